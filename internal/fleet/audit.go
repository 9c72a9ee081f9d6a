package fleet

import (
	"context"
	"time"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/audit"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// AuditStore keeps the audit trail.
type AuditStore interface {
	// AuditEvents gives events that the filter chooses, and the mark after the last one: the zero Mark when there are no more. A page
	// may be shorter than its limit when its events are big.
	AuditEvents(ctx context.Context, filter AuditFilter) ([]audit.Event, AuditMark, error)
}

// AuditMark is a place in the audit trail; the zero AuditMark is before its beginning.
type AuditMark struct {
	At  time.Time
	Seq int64
}

// AuditFilter chooses events of an account; zero fields choose nothing.
type AuditFilter struct {
	Account  string
	Projects []string // events of these, and those that belong to the account itself
	User     string   // name
	Phone    phone.ID
	Trace    audit.Trace
	Result   audit.Result
	From, To time.Time // From is inclusive, To is not
	Oldest   bool      // oldest first, else newest first
	After    AuditMark // in that order
	Limit    int
}

// Audit is the use case of looking at the audit trail. It is safe for concurrent use.
type Audit struct{ store AuditStore }

// NewAudit makes the use case over a store.
func NewAudit(store AuditStore) *Audit { return &Audit{store: store} }

// Events gives the events of the caller's account: those of the projects that his credentials reach into, and those that belong to
// the account itself. Needs ActionAuditList.
func (a *Audit) Events(ctx context.Context, caller account.Caller, filter AuditFilter) ([]audit.Event, AuditMark, error) {
	if err := Authorise(caller, "", ActionAuditList); err != nil {
		return nil, AuditMark{}, err
	}
	limit, err := page(0, filter.Limit)
	if err != nil {
		return nil, AuditMark{}, err
	}
	wrong := func(field, msg string) error { return &phone.Error{Code: phone.Invalid, Field: field, Msg: msg} }
	switch {
	case filter.Phone != "" && !phone.ValidID(filter.Phone):
		return nil, AuditMark{}, phone.Errorf(phone.Invalid, phone.ReasonPhoneInvalid, "phone_id is not 32 lower-case hex digits")
	case filter.User != "" && !searchable(filter.User, 64):
		return nil, AuditMark{}, wrong("user_name", "user_name cannot be a user's name")
	case filter.Trace != "" && !searchable(string(filter.Trace), 64):
		return nil, AuditMark{}, wrong("trace", "trace cannot be the name of a trace, such as resetCloudPhone")
	case filter.Result != "" && filter.Result != audit.Accepted && filter.Result != audit.Refused && filter.Result != audit.Failed:
		return nil, AuditMark{}, wrong("result", "result must be accepted, refused or failed")
	case !filter.From.IsZero() && !filter.To.IsZero() && !filter.From.Before(filter.To):
		return nil, AuditMark{}, wrong("from", "from must be before to")
	}
	filter.Limit, filter.Account, filter.Projects = limit, caller.Account.ID, nil
	for _, p := range caller.Projects {
		if caller.In(p.ID) {
			filter.Projects = append(filter.Projects, p.ID)
		}
	}
	return a.store.AuditEvents(ctx, filter)
}
