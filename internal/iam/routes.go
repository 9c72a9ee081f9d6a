package iam

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/audit"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Routes registers /v3.
func (s *Service) Routes(mux *http.ServeMux) {
	mux.Handle("POST /v3/auth/tokens", s.handle(keystoneForm, s.createToken))
	mux.Handle("GET /v3/auth/tokens", s.handle(keystoneForm, s.authenticated(s.showToken)))
	mux.Handle("GET /v3/projects", s.handle(codeForm, s.authenticated(s.listProjects)))
	mux.Handle("GET /v3/projects/{project_id}", s.handle(codeForm, s.authenticated(s.showProject)))
	mux.Handle("GET /v3/auth/projects", s.handle(codeForm, s.authenticated(s.listOwnProjects)))
	mux.Handle("GET /v3/auth/domains", s.handle(codeForm, s.authenticated(s.listDomains)))
}

// reply is an answer that went well.
type reply struct {
	status int
	token  string // X-Subject-Token, if any
	body   any
	user   string // for the log
}

type handler func(r *http.Request, body []byte) (reply, error)

// handle reads the body, answers what the handler gives, and logs one line, which has neither query nor headers nor body.
func (s *Service) handle(f form, h handler) http.Handler {
	return WithRequestID(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := s.now()
		requestID := RequestID(r.Context())
		out, err := serve(w, r, h)
		var status int
		if err == nil {
			if out.token != "" {
				w.Header().Set(headerSubjectToken, out.token)
				w.Header().Set("Cache-Control", "no-store") // it is as good as the password for a day
			}
			status = writeJSON(w, out.status, out.body)
		} else {
			status = writeError(w, requestID, err, f)
		}
		s.logRequest(r, requestID, status, out.user, s.now().Sub(start), err)
	}))
}

func serve(w http.ResponseWriter, r *http.Request, h handler) (out reply, err error) {
	defer func() {
		if p := recover(); p != nil {
			out, err = reply{}, fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	body, err := readBody(w, r)
	if err != nil {
		return reply{}, err
	}
	return h(r, body)
}

// readBody reads the whole body within its limits of size and time.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	// Only a server's own connection has a deadline; the error says that there is none here. It is taken back afterwards, since
	// the server goes on reading to notice a client that leaves.
	deadline := http.NewResponseController(w)
	_ = deadline.SetReadDeadline(time.Now().Add(bodyTimeout))
	defer func() { _ = deadline.SetReadDeadline(time.Time{}) }()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, invalid("over %d bytes, or not to be read to its end: %w", maxBody, err)
	}
	return body, nil
}

func (s *Service) logRequest(r *http.Request, requestID string, status int, user string, took time.Duration, err error) {
	level := slog.LevelInfo
	if status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	attrs := []slog.Attr{
		slog.String("request_id", requestID), slog.String("method", r.Method), slog.String("route", r.Pattern),
		slog.Int("status", status), slog.Duration("took", took),
	}
	if user != "" {
		attrs = append(attrs, slog.String("user_id", user))
	}
	if err != nil {
		attrs = append(attrs, slog.String("remote", network(r.RemoteAddr)), slog.Any("err", err))
	}
	s.log.LogAttrs(r.Context(), level, "request", attrs...)
}

// authenticated lets a handler know who calls.
func (s *Service) authenticated(h func(r *http.Request, caller account.Caller) (reply, error)) handler {
	return func(r *http.Request, body []byte) (reply, error) {
		caller, err := s.Authenticate(r, body)
		if err != nil {
			return reply{}, err
		}
		out, err := h(r, caller)
		out.user = caller.User.ID
		return out, err
	}
}

func (s *Service) createToken(r *http.Request, body []byte) (reply, error) {
	in, err := decodeLogin(body)
	if err != nil {
		return reply{}, err
	}
	text, caller, err := s.issue(r.Context(), in, audit.Event{
		Source: Source(r), Agent: r.UserAgent(), Trace: audit.Login, Route: r.Pattern, Request: RequestID(r.Context()),
	})
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusCreated, token: text, body: s.tokenOut(r, caller), user: caller.User.ID}, nil
}

// showToken looks at another token, or at one's own. The account may look at its users' tokens, a user at his own only (IAM API
// reference, "Verifying a Token"). One that is not valid any more, or of another account, is not found.
func (s *Service) showToken(r *http.Request, caller account.Caller) (reply, error) {
	subject := r.Header.Values(headerSubjectToken)
	if len(subject) != 1 || subject[0] == "" {
		return reply{}, subjectNotFound()
	}
	shown, err := s.byToken(r.Context(), subject[0])
	switch {
	case phone.CodeOf(err) == phone.Unauthenticated, err == nil && shown.Account.ID != caller.Account.ID:
		return reply{}, subjectNotFound()
	case err != nil:
		return reply{}, err
	case !caller.User.Owner && shown.User.ID != caller.User.ID:
		return reply{}, phone.Errorf(phone.Forbidden, "", "a user may look only at tokens of his own")
	}
	return reply{status: http.StatusOK, token: subject[0], body: s.tokenOut(r, shown)}, nil
}

func subjectNotFound() error {
	return phone.Errorf(phone.NotFound, "", "X-Subject-Token is invalid in the request")
}

// listProjects gives the projects of the caller's account. It needs no permission: the SDKs ask for the project's id before
// they can call anything.
func (s *Service) listProjects(r *http.Request, caller account.Caller) (reply, error) {
	return s.projects(r, caller.Projects)
}

// listOwnProjects gives those of them in which a policy counts for the caller (IAM API reference, "Querying the List of Projects
// Accessible to an IAM User").
func (s *Service) listOwnProjects(r *http.Request, caller account.Caller) (reply, error) {
	var own []account.Project
	for _, p := range caller.Projects {
		if caller.Enters(p.ID) {
			own = append(own, p)
		}
	}
	return s.projects(r, own)
}

func (s *Service) projects(r *http.Request, projects []account.Project) (reply, error) {
	query := r.URL.Query()
	base := s.base(r)
	out := projectsOut{Projects: []projectOut{}, Links: linksOut{Self: base + r.URL.Path}}
	for _, p := range projects {
		if asked(query, "name", p.Name) && asked(query, "domain_id", p.Account) && asked(query, "parent_id", p.Account) &&
			askedBool(query, "enabled", true) && askedBool(query, "is_domain", false) {
			out.Projects = append(out.Projects, projectWire(base, p))
		}
	}
	return reply{status: http.StatusOK, body: out}, nil
}

// asked reports whether the query asks for this value, or does not ask at all.
func asked(query url.Values, key, value string) bool {
	want := query.Get(key)
	return want == "" || want == value
}

func askedBool(query url.Values, key string, value bool) bool {
	want, err := strconv.ParseBool(query.Get(key))
	return err != nil || want == value
}

func (s *Service) showProject(r *http.Request, caller account.Caller) (reply, error) {
	id := r.PathValue("project_id")
	for _, p := range caller.Projects {
		if p.ID == id {
			return reply{status: http.StatusOK, body: map[string]projectOut{"project": projectWire(s.base(r), p)}}, nil
		}
	}
	return reply{}, phone.Errorf(phone.NotFound, "", "Could not find project: %s.", id)
}

func (s *Service) listDomains(r *http.Request, caller account.Caller) (reply, error) {
	base := s.base(r)
	return reply{status: http.StatusOK, body: domainsOut{
		Domains: []domainOut{{
			ID: caller.Account.ID, Name: caller.Account.Name, Enabled: true, Links: selfOut{Self: base + "/v3/domains/" + caller.Account.ID},
		}},
		Links: linksOut{Self: base + r.URL.Path},
	}}, nil
}
