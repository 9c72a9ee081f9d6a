package client

import (
	"context"
	"iter"
	"net/url"
	"strconv"

	"github.com/lethe-cloud/lethe/api"
)

// pageSize is how many of a list one call asks for.
const pageSize = 1000

// PhoneFilter chooses phones; zero fields choose nothing.
type PhoneFilter struct {
	ServerID string
	Name     string // part of the name
	Status   int    // 0: any
}

// ServerFilter chooses servers.
type ServerFilter struct {
	Name string // part of the name
}

// JobFilter chooses jobs; zero fields choose nothing.
type JobFilter struct {
	RequestID string
	PhoneID   string
	ServerID  string
}

// Phones goes through the phones that the filter chooses, created last first, page by page. After an error nothing follows. What is
// added or removed meanwhile neither hides a phone nor gives one twice.
func (c *Client) Phones(ctx context.Context, f PhoneFilter) iter.Seq2[api.Phone, error] {
	values := query("server_id", f.ServerID, "phone_name", f.Name)
	if f.Status != 0 {
		values.Set("status", strconv.Itoa(f.Status))
	}
	return follow(func(after string) ([]api.Phone, string, error) {
		var out api.Phones
		err := c.get(ctx, api.Prefix+"/phones", withCursor(values, after), &out)
		return out.Phones, out.Next, err
	})
}

// Servers goes through the servers that the filter chooses, created last first.
func (c *Client) Servers(ctx context.Context, f ServerFilter) iter.Seq2[api.Server, error] {
	values := query("server_name", f.Name)
	return follow(func(after string) ([]api.Server, string, error) {
		var out api.Servers
		err := c.get(ctx, api.Prefix+"/servers", withCursor(values, after), &out)
		return out.Servers, out.Next, err
	})
}

// Jobs goes through the jobs that the filter chooses: newest first, those of one request in the order of the call.
func (c *Client) Jobs(ctx context.Context, f JobFilter) iter.Seq2[api.Job, error] {
	values := query("request_id", f.RequestID, "phone_id", f.PhoneID, "server_id", f.ServerID)
	return follow(func(after string) ([]api.Job, string, error) {
		var out api.Jobs
		err := c.get(ctx, api.Prefix+"/jobs", withCursor(values, after), &out)
		return out.Jobs, out.Next, err
	})
}

// follow goes through a list from cursor to cursor, until a page names no next one.
func follow[T any](fetch func(after string) (page []T, next string, err error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for after := ""; ; {
			page, next, err := fetch(after)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, element := range page {
				if !yield(element, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			after = next
		}
	}
}

func withCursor(values url.Values, after string) url.Values {
	values.Set("after", after)
	values.Set("limit", strconv.Itoa(pageSize))
	return values
}

// Collect gathers what a list goes through, at most limit elements; 0 means all. The list of none is not nil.
func Collect[T any](list iter.Seq2[T, error], limit int) ([]T, error) {
	all := []T{}
	for element, err := range list {
		if err != nil {
			return nil, err
		}
		all = append(all, element)
		if len(all) == limit {
			break
		}
	}
	return all, nil
}

func cphPath(project, rest string) string {
	return "/v1/" + url.PathEscape(project) + "/cloud-phone/" + rest
}
