package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/audit"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Trail is what the native API asks about the audit trail; fleet.Audit is one. It authorises its caller by itself.
type Trail interface {
	Events(ctx context.Context, caller account.Caller, filter fleet.AuditFilter) ([]audit.Event, fleet.AuditMark, error)
}

func (a *API) auditEvents(c *call) error {
	filter := fleet.AuditFilter{
		User: c.query.Get("user_name"), Phone: phone.ID(c.query.Get("phone_id")), Trace: audit.Trace(c.query.Get("trace")),
		Result: audit.Result(c.query.Get("result")),
	}
	var err error
	if filter.From, err = c.moment("from"); err != nil {
		return err
	}
	if filter.To, err = c.moment("to"); err != nil {
		return err
	}
	if filter.Limit, err = c.integer("limit", defaultPage, 1, maxPage); err != nil {
		return err
	}
	switch order := c.query.Get("order"); order {
	case "", "newest":
	case "oldest":
		filter.Oldest = true
	default:
		return &phone.Error{Code: phone.Invalid, Field: "order", Msg: "order must be newest or oldest"}
	}
	if filter.After, err = markIn(c.query.Get("mark")); err != nil {
		return err
	}
	events, next, err := a.Trail.Events(c.Context(), c.caller, filter)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, api.AuditEvents{Events: each(events, auditOut), Next: markOut(next)})
}

// moment reads a time in RFC 3339 from the query; absent, it is the zero time.
func (c *call) moment(name string) (time.Time, error) {
	text := c.query.Get(name)
	if text == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil || at.Year() < 1970 || at.Year() > 9999 {
		return time.Time{}, &phone.Error{Code: phone.Invalid, Field: name, Msg: name + " must be a time such as 2026-01-02T15:04:05Z"}
	}
	return at, nil
}

// A mark is written as the microsecond and the number of the last event.
func markOut(m fleet.AuditMark) string {
	if m == (fleet.AuditMark{}) {
		return ""
	}
	return fmt.Sprintf("%d-%d", m.At.UnixMicro(), m.Seq)
}

func markIn(text string) (fleet.AuditMark, error) {
	if text == "" {
		return fleet.AuditMark{}, nil
	}
	at, seq, _ := strings.Cut(text, "-")
	us, err1 := strconv.ParseInt(at, 10, 64)
	n, err2 := strconv.ParseInt(seq, 10, 64)
	if err1 != nil || err2 != nil || us < 0 || n < 0 {
		return fleet.AuditMark{}, &phone.Error{Code: phone.Invalid, Field: "mark", Msg: "mark must be what an earlier page gave as next"}
	}
	return fleet.AuditMark{At: time.UnixMicro(us).UTC(), Seq: n}, nil
}

func auditOut(e audit.Event) api.AuditEvent {
	return api.AuditEvent{
		EventID: strconv.FormatInt(e.Seq, 10), Time: e.At.UTC(), ProjectID: e.Project, UserID: e.User, UserName: e.UserName, AccessKey: e.AccessKey,
		Source: e.Source, UserAgent: e.Agent, Trace: string(e.Trace), Route: e.Route, Target: e.Target, RequestID: e.Request,
		Result: string(e.Result), Code: e.Code, Reason: e.Reason,
		Changes: each(e.Changes, func(ch audit.Change) api.AuditChange {
			return api.AuditChange{
				PhoneIDs: ch.Phones, OldImageID: ch.OldImage, NewImageID: ch.NewImage, OldPropertyKeys: ch.OldKeys, NewPropertyKeys: ch.NewKeys,
				Refused: ch.Refused, Result: ch.Result,
			}
		}),
	}
}
