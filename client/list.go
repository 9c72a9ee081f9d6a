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

// Phones goes through the phones that the filter chooses, created last first, page by page. After an error nothing follows.
func (c *Client) Phones(ctx context.Context, f PhoneFilter) iter.Seq2[api.Phone, error] {
	values := query("server_id", f.ServerID, "phone_name", f.Name)
	if f.Status != 0 {
		values.Set("status", strconv.Itoa(f.Status))
	}
	return pages(pageSize, func(p api.Phone) string { return p.PhoneID }, func(offset int) ([]api.Phone, error) {
		var out api.Phones
		return out.Phones, c.get(ctx, api.Prefix+"/phones", withPage(values, offset, pageSize), &out)
	})
}

// Servers goes through the servers that the filter chooses, created last first.
func (c *Client) Servers(ctx context.Context, f ServerFilter) iter.Seq2[api.Server, error] {
	values := query("server_name", f.Name)
	return pages(pageSize, func(s api.Server) string { return s.ServerID }, func(offset int) ([]api.Server, error) {
		var out api.Servers
		return out.Servers, c.get(ctx, api.Prefix+"/servers", withPage(values, offset, pageSize), &out)
	})
}

// Jobs goes through the jobs that the filter chooses: newest first, those of one request in the order of the call.
func (c *Client) Jobs(ctx context.Context, f JobFilter) iter.Seq2[api.Job, error] {
	values := query("request_id", f.RequestID, "phone_id", f.PhoneID, "server_id", f.ServerID)
	return pages(pageSize, func(j api.Job) string { return j.JobID }, func(offset int) ([]api.Job, error) {
		var out api.Jobs
		return out.Jobs, c.get(ctx, api.Prefix+"/jobs", withPage(values, offset, pageSize), &out)
	})
}

// pages goes through a list page by page until one is not full. What was added meanwhile moves the rest down the list: an
// element that was seen is not given again.
func pages[T any](size int, id func(T) string, fetch func(offset int) ([]T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		seen := map[string]bool{}
		for offset := 0; ; offset += size {
			page, err := fetch(offset)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, element := range page {
				if seen[id(element)] {
					continue
				}
				seen[id(element)] = true
				if !yield(element, nil) {
					return
				}
			}
			if len(page) < size {
				return
			}
		}
	}
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
