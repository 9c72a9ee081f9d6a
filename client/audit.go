package client

import (
	"context"
	"iter"
	"strconv"
	"time"

	"github.com/lethe-cloud/lethe/api"
)

// AuditFilter chooses events of the audit trail; zero fields choose nothing.
type AuditFilter struct {
	UserName string
	PhoneID  string
	Trace    string
	Result   string
	From, To time.Time // From is inclusive, To is not
	Oldest   bool      // oldest first, else newest first
}

// AuditEvents goes through the audit trail page by page. After an error nothing follows.
func (c *Client) AuditEvents(ctx context.Context, f AuditFilter) iter.Seq2[api.AuditEvent, error] {
	values := query("user_name", f.UserName, "phone_id", f.PhoneID, "trace", f.Trace, "result", f.Result)
	for name, at := range map[string]time.Time{"from": f.From, "to": f.To} {
		if !at.IsZero() {
			values.Set(name, at.UTC().Format(time.RFC3339Nano))
		}
	}
	if f.Oldest {
		values.Set("order", "oldest")
	}
	values.Set("limit", strconv.Itoa(pageSize))
	return func(yield func(api.AuditEvent, error) bool) {
		for {
			var page api.AuditEvents
			if err := c.get(ctx, api.Prefix+"/audit", values, &page); err != nil {
				yield(api.AuditEvent{}, err)
				return
			}
			for _, event := range page.Events {
				if !yield(event, nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			values.Set("mark", page.Next)
		}
	}
}
