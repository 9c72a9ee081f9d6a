package cph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/audit"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/iam"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// call is one request on its way through a handler.
type call struct {
	*http.Request
	id      phone.RequestID
	project phone.ProjectID
	caller  account.Caller
	body    []byte
	audited *audit.Entry
}

// adapt makes a route's handler out of what it does: everything that all routes have in common is here.
func (h *Handler) adapt(rt mounted) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := time.Now()
		c := &call{Request: r, id: phone.NewID[phone.RequestID](), project: phone.ProjectID(r.PathValue("project_id"))}
		out, err := h.serve(w, c, rt)
		h.Audit.Settle(c.Context(), c.audited, err)
		h.answer(w, c, rt.pattern, started, out, err)
	})
}

// noRoute answers what no route knows. Nobody is asked who they are: that a path does not exist is no secret.
func (h *Handler) noRoute(w http.ResponseWriter, r *http.Request) {
	h.limitBody(w, r)
	c := &call{Request: r, id: phone.NewID[phone.RequestID]()}
	h.answer(w, c, "", time.Now(), nil, phone.Errorf(phone.NotFound, reasonNoRoute, "no such route"))
}

// serve lets the call through the checks that come before every handler, in the order that the package comment gives.
func (h *Handler) serve(w http.ResponseWriter, c *call, rt mounted) (out any, err error) {
	defer func() {
		if p := recover(); p != nil {
			out, err = nil, fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	h.limitBody(w, c.Request)
	signed := c.Header.Get("Authorization") != ""
	if signed {
		if err := h.readBody(w, c); err != nil {
			return nil, err
		}
	}
	if c.caller, err = h.Authenticate(c.Request, c.body); err != nil {
		return nil, err
	}
	h.begin(c, rt.route)
	if err := fleet.AuthoriseOne(c.caller, c.project, rt.actions...); err != nil {
		return nil, err
	}
	if err := h.users.enter(c.caller.User.ID); err != nil {
		return nil, err
	}
	defer h.users.leave(c.caller.User.ID)
	if !signed {
		if err := h.readBody(w, c); err != nil {
			return nil, err
		}
	}
	return rt.handle(c)
}

// begin lets the audit trail know of the call: who makes it is known now.
func (h *Handler) begin(c *call, rt route) {
	project := ""
	if c.caller.In(string(c.project)) { // nobody writes into what others read
		project = string(c.project)
	}
	ctx, entry := h.Audit.Begin(c.Context(), audit.Event{
		Project: project, Source: iam.Source(c.Request), Agent: c.UserAgent(), Trace: rt.trace(), Route: rt.pattern,
		Target: audit.Target(rt.pattern, c.PathValue), Request: string(c.id),
	}, c.caller)
	c.Request, c.audited = c.WithContext(ctx), entry
}

// limitBody begins the time in which a body must have arrived. It holds also for what is left unread by a refused request, since
// the server reads on before it answers. Only a server's own connection has a deadline; what has none needs none.
func (h *Handler) limitBody(w http.ResponseWriter, r *http.Request) {
	if r.Body != http.NoBody {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(h.BodyTimeout))
	}
}

// readBody reads the whole body within its limits of size and time. Once it is there the time no longer counts: the server goes
// on reading, to notice a client that leaves.
func (h *Handler) readBody(w http.ResponseWriter, c *call) error {
	if c.ContentLength > h.MaxBody {
		return h.errTooLarge()
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, c.Body, h.MaxBody))
	var (
		refused  *phone.Error
		tooLarge *http.MaxBytesError
		late     interface{ Timeout() bool }
	)
	switch {
	case errors.As(err, &refused):
		return err
	case errors.As(err, &tooLarge):
		return h.errTooLarge()
	case errors.As(err, &late) && late.Timeout():
		return &phone.Error{Code: phone.Invalid, Reason: reasonBodyLate, Msg: "the body did not arrive within " + h.BodyTimeout.String(), Err: err}
	case err != nil:
		return &phone.Error{Code: phone.Invalid, Reason: phone.ReasonPhonesInvalid, Msg: "the body could not be read to its end", Err: err}
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	c.body = body
	return nil
}

func (h *Handler) errTooLarge() error {
	return phone.Errorf(phone.Invalid, reasonBodyTooLarge, "the body has more than %d bytes", h.MaxBody)
}

// answer encodes before it writes, so that what cannot be encoded is an error and not half an answer.
func (h *Handler) answer(w http.ResponseWriter, c *call, route string, started time.Time, out any, err error) {
	status := http.StatusOK
	var body []byte
	if err == nil {
		body, err = json.Marshal(out)
	}
	if err != nil {
		line := lineOf(err)
		if seconds, wait := phone.RetryAfter(err); wait {
			w.Header().Set("Retry-After", strconv.Itoa(seconds))
		}
		status = line.status
		body, _ = json.Marshal(errorBody{RequestID: c.id, Code: line.code, Msg: line.sentence(err)}) // three strings always encode
	}
	w.Header().Set("X-Request-Id", string(c.id))
	if _, empty := out.(noContent); empty && err == nil {
		status = http.StatusNoContent
		w.WriteHeader(status)
	} else {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write(body) // a client that has gone cannot be told
	}
	h.count(route, status)
	h.log(c, route, status, time.Since(started), err)
}

// log writes the one line of a request: no body, no path, no query, since ids, names and values of a tenant are in them.
func (h *Handler) log(c *call, route string, status int, took time.Duration, err error) {
	level := slog.LevelInfo
	attrs := []slog.Attr{
		slog.String("method", c.Method), slog.String("route", route), slog.Int("status", status), slog.Duration("took", took),
		slog.String("request_id", string(c.id)), slog.String("user_id", c.caller.User.ID),
	}
	if err != nil {
		attrs = append(attrs, slog.String("err", err.Error()))
	}
	if gone := errors.Is(err, context.Canceled) && c.Context().Err() != nil; status >= 500 && !gone {
		level = slog.LevelError
	}
	h.Logger.LogAttrs(context.WithoutCancel(c.Context()), level, "request", attrs...)
}

// errorBody is what every error looks like [CPH API reference, abnormal responses].
type errorBody struct {
	RequestID phone.RequestID `json:"request_id"`
	Code      string          `json:"error_code"`
	Msg       string          `json:"error_msg"`
}
