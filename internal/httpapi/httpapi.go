// Package httpapi is the native API's edge, /lethe/v1: what the Cloud Phone Host API has no word for. The wire structs are those
// of package api. A handler reads the call, asks one use case and shapes the answer; the errors of all of them are mapped,
// counted and logged in one place.
package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/audit"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/iam"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Config is what the native API needs.
type Config struct {
	Fleet  Fleet
	Access Access
	// Authenticate says who sent the request, or fails with Unauthenticated. The body is given for a request with an Authorization
	// header, whose signature covers it, and is nil otherwise.
	Authenticate func(r *http.Request, body []byte) (account.Caller, error)
	// AuthenticateHead is Authenticate for a request whose body is read later; it gives the SHA-256 in hex that was signed of it, or "".
	AuthenticateHead func(r *http.Request) (account.Caller, string, error)
	// Ready fails while the installation cannot serve, with a sentence that is safe to show.
	Ready func(ctx context.Context) error
	// BodyPatience is how long a caller may be silent in the middle of an object; 0: a minute.
	BodyPatience time.Duration
	// Stopping is closed when the process begins to stop: calls that wait are answered then. nil: never.
	Stopping <-chan struct{}
	Version  api.Version
	Log      *slog.Logger
	// Trail is what callers look at of the audit trail, Audit gets what changes something and what is refused; nil: nothing is audited.
	Trail Trail
	Audit *audit.Log
}

// API serves the native API.
type API struct {
	Config
}

// New makes the native API over the use cases.
func New(c Config) *API {
	if c.BodyPatience == 0 {
		c.BodyPatience = time.Minute
	}
	return &API{Config: c}
}

// Handler serves everything below /lethe/v1/.
func (a *API) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, route := range a.routes() {
		mux.Handle(route.pattern, a.serve(route))
	}
	mux.Handle("/", a.serve(route{open: true, anyQuery: true, handle: func(c *call) error {
		return phone.Errorf(phone.NotFound, "", "there is no %s %s", c.Method, c.URL.Path)
	}}))
	return mux
}

// serve makes a handler of a route: it asks who is calling, reads the body, and answers and logs what the route returns.
func (a *API) serve(route route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		c := &call{Request: r, requestID: phone.NewID[phone.RequestID]()}
		w.Header().Set("X-Request-Id", string(c.requestID)) // before anything can fail
		recorded := &recorder{ResponseWriter: w}
		c.w = recorded
		err := a.handle(route, c)
		a.Audit.Settle(c.Context(), c.audited, err)
		if err != nil && recorded.status == 0 {
			if seconds, wait := phone.RetryAfter(err); wait {
				w.Header().Set("Retry-After", strconv.Itoa(seconds))
			}
			if failed := c.answer(statusOf(err), errorOut(c.requestID, err)); failed != nil {
				err = fmt.Errorf("%w (and %w)", err, failed)
			}
		}
		a.log(route, c, recorded.status, time.Since(began), err)
	})
}

func (a *API) handle(route route, c *call) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	if route.open {
		err = c.checkQuery(route)
	} else {
		err = a.admit(route, c)
	}
	if err != nil {
		return err
	}
	return route.handle(c)
}

// admit finds out who is calling, whether he may, and reads the body. A signature covers the body, so it is read first when there
// is one; a token's caller is known, and known to be allowed, before anything is read from him.
func (a *API) admit(route route, c *call) (err error) {
	if route.stream {
		return a.admitStream(route, c)
	}
	limit := int64(maxBody)
	if route.maxBody > 0 {
		limit = route.maxBody
	}
	signed := c.Header.Get("Authorization") != ""
	if signed {
		if err := c.readBody(limit); err != nil {
			return err
		}
	}
	if c.caller, err = a.Authenticate(c.Request, c.body); err != nil {
		return err
	}
	a.begin(route, c)
	if err := c.checkQuery(route); err != nil {
		return err
	}
	if err := c.authorise(route); err != nil || signed {
		return err
	}
	return c.readBody(limit)
}

// admitStream leaves the body to the handler: whoever may not send it is refused before.
func (a *API) admitStream(route route, c *call) (err error) {
	if c.caller, c.contentHash, err = a.AuthenticateHead(c.Request); err != nil {
		return err
	}
	a.begin(route, c)
	if err := c.checkQuery(route); err != nil {
		return err
	}
	return c.authorise(route)
}

func (c *call) checkQuery(route route) error {
	if route.anyQuery {
		return nil
	}
	return c.onlyQuery(route.query)
}

// authorise asks what the use case will ask once more, who knows what the call is about.
func (c *call) authorise(route route) error {
	if route.self {
		return nil
	}
	actions := append([]fleet.Action{route.action}, route.or...)
	var project phone.ProjectID
	if permission, _ := fleet.PermissionOf(route.action); permission.Scope == fleet.ScopeProject {
		var err error
		if project, err = c.project(); err != nil {
			return err
		}
	}
	return fleet.AuthoriseOne(c.caller, project, actions...)
}

// begin lets the audit trail know of the call: who makes it is known now.
func (a *API) begin(route route, c *call) {
	ctx, entry := a.Audit.Begin(c.Context(), audit.Event{
		Project: c.auditProject(route), Source: iam.Source(c.Request), Agent: c.UserAgent(), Trace: route.trace, Route: route.pattern,
		Target: audit.Target(route.pattern, c.PathValue), Request: string(c.requestID),
	}, c.caller)
	c.Request, c.audited = c.WithContext(ctx), entry
}

// maxBody is the largest body of a route that names no other.
const maxBody = 1 << 20

func (a *API) log(route route, c *call, status int, took time.Duration, err error) {
	level := slog.LevelInfo
	attrs := []slog.Attr{
		slog.String("request_id", string(c.requestID)), slog.String("method", c.Method), slog.String("route", route.pattern),
		slog.Int("status", status), slog.Duration("took", took),
	}
	if c.caller.User.ID != "" {
		attrs = append(attrs, slog.String("user_id", c.caller.User.ID))
	}
	if err != nil {
		attrs = append(attrs, slog.Any("err", err))
	}
	gone := errors.Is(err, context.Canceled) && c.Context().Err() != nil
	switch {
	case status >= http.StatusInternalServerError && !gone:
		level = slog.LevelError
	case route.quiet:
		level = slog.LevelDebug
	}
	a.Log.LogAttrs(c.Context(), level, "request", attrs...)
}

// recorder remembers the status.
type recorder struct {
	http.ResponseWriter
	status int
}

// Unwrap lets http.ResponseController reach the connection's deadlines.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// WriteHeader remembers the first status.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}
