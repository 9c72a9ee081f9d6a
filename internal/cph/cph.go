// Package cph is the wire of the Cloud Phone Host API v1, under /v1/{project_id}/cloud-phone: routes, the JSON that goes in and
// out, and the codes of its errors. Field names and types are those of the official Go SDK's models, codes and sentences those
// of the CPH API reference.
//
// A request passes, in this order: credentials (401), the route's project and permission (403), the body's size (413), what was
// asked (400 and others). A signature covers the body, so a signed request's size comes first. Every answer carries
// X-Request-Id, the same as request_id in its body; for a batch reset it is the id of the accepted request.
package cph

import (
	"context"
	"log/slog"
	"net/http"
	"path"
	"sync"
	"time"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/audit"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Fleet is what the wire asks of the use cases.
type Fleet interface {
	MaxBatch() int
	ResetPhones(ctx context.Context, caller account.Caller, in fleet.ResetPhones) (phone.RequestID, []phone.Outcome, error)
	StopPhones(ctx context.Context, caller account.Caller, in fleet.StopPhones) (phone.RequestID, []phone.Outcome, error)
	UpdateProperties(ctx context.Context, caller account.Caller, in fleet.UpdateProperties) (phone.RequestID, []phone.Outcome, error)
	RunTask(ctx context.Context, caller account.Caller, in fleet.RunTask) (phone.RequestID, []phone.Outcome, error)
	TransferData(ctx context.Context, caller account.Caller, in fleet.TransferData) (phone.RequestID, []phone.Outcome, error)
	RestartPhones(ctx context.Context, caller account.Caller, in fleet.RestartPhones) (phone.RequestID, []phone.Outcome, error)
	Phones(ctx context.Context, caller account.Caller, filter fleet.PhoneFilter) ([]phone.Phone, int, error)
	PhoneOnServer(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ID) (phone.Phone, phone.Server, error)
	Servers(ctx context.Context, caller account.Caller, filter fleet.ServerFilter) ([]phone.Server, int, error)
	Server(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ServerID) (phone.Server, error)
	Images(ctx context.Context, caller account.Caller, filter fleet.ImageFilter) ([]phone.Image, error)
	Job(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.JobID) (phone.Job, error)
	RunOnPhones(ctx context.Context, caller account.Caller, in fleet.RunOnPhones) ([]fleet.PhoneResult, error)
	RenamePhone(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ID, name string) error
	RenameServer(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ServerID, name string) error
	PhoneModels(ctx context.Context, caller account.Caller, project phone.ProjectID) ([]phone.PhoneModel, error)
	ServerModels(ctx context.Context, caller account.Caller, project phone.ProjectID) ([]phone.ServerModel, error)
	CustomImages(ctx context.Context, caller account.Caller, filter fleet.CustomImageFilter) ([]phone.CustomImage, int, error)
	DeleteImage(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ImageID) error
	ImageMembers(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ImageID) ([]phone.ImageMember, error)
	ShareImage(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ImageID, with phone.ProjectID) error
	AnswerShare(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ImageID, status phone.MemberStatus) error
	UnshareImage(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ImageID, member phone.ProjectID) error
	ServerTags(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ServerID) ([]phone.Tag, error)
	AddTags(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ServerID, tags []phone.Tag) error
	RemoveTags(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ServerID, tags []phone.Tag) error
	ProjectTags(ctx context.Context, caller account.Caller, project phone.ProjectID, offset, limit int) ([]phone.TagValues, int, error)
	TaggedServers(ctx context.Context, caller account.Caller, filter fleet.TagFilter) ([]phone.TaggedServer, int, error)
	Connect(ctx context.Context, caller account.Caller, project phone.ProjectID, ids []string, address func(phone.Server) string) ([]fleet.Connection, error)
	RequestJobs(ctx context.Context, caller account.Caller, project phone.ProjectID, ids []phone.RequestID, offset, limit int) ([]phone.ServerJob, []phone.Job, error)
	ServerJob(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.JobID) (phone.ServerJob, error)
	CreateServers(ctx context.Context, caller account.Caller, in fleet.CreateServers) (phone.RequestID, []phone.ServerID, error)
	RestartServers(ctx context.Context, caller account.Caller, in fleet.ServersCall) (phone.RequestID, []phone.ServerOutcome, error)
	RunShareTask(ctx context.Context, caller account.Caller, in fleet.ShareCall) (phone.RequestID, []phone.ServerOutcome, error)
	UpdateKeypair(ctx context.Context, caller account.Caller, in fleet.UpdateKeypair) (phone.RequestID, []phone.ServerOutcome, error)
	DeleteServers(ctx context.Context, caller account.Caller, in fleet.ServersCall) (phone.RequestID, phone.JobID, error)
	ChangeServer(ctx context.Context, caller account.Caller, in fleet.ChangeServer) (phone.RequestID, phone.JobID, error)
}

// Config is what the wire needs.
type Config struct {
	Fleet Fleet
	// Authenticate says who calls: an error is Unauthenticated (with ReasonTokenExpired for a token past its time), Exhausted
	// when the caller must wait, or a failure of ours. The body is given for a request with an Authorization header, whose
	// signature covers it, and is nil otherwise.
	Authenticate func(r *http.Request, body []byte) (account.Caller, error)
	Logger       *slog.Logger
	// Audit gets what changes something and what is refused; nil: nothing is audited.
	Audit *audit.Log
	// Address gives the host at which the adb ports of a server's phones are reached, "" when it is not known. It asks no host.
	Address func(phone.Server) string
	// MaxBody is the largest body in bytes; 0 means 12 MB, the CPH API's limit for signed calls.
	MaxBody int64
	// BodyTimeout is how long a body may take to arrive; 0 means 30 s.
	BodyTimeout time.Duration
	// MaxConcurrent is how many requests of one user may be at work at once, more are told to come later (429); 0 means 256.
	MaxConcurrent int
	Now           func() time.Time // nil: the clock
}

// Handler answers the CPH API. It is safe for concurrent use.
type Handler struct {
	Config
	mux     *http.ServeMux
	unknown http.Handler
	users   gate

	syncCalls *window

	mu     sync.Mutex
	counts map[Count]uint64
}

// New makes the wire; it answers every path, those it does not know with 404.
func New(c Config) *Handler {
	if c.Address == nil {
		c.Address = func(phone.Server) string { return "" }
	}
	if c.MaxBody == 0 {
		c.MaxBody = 12 << 20
	}
	if c.BodyTimeout == 0 {
		c.BodyTimeout = 30 * time.Second
	}
	if c.MaxConcurrent == 0 {
		c.MaxConcurrent = 256
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	h := &Handler{syncCalls: newWindow(syncPerMinute, c.Now), Config: c, mux: http.NewServeMux(), users: gate{max: c.MaxConcurrent}, counts: map[Count]uint64{}}
	h.routes()
	return h
}

// ServeHTTP answers one request. The mux would redirect a path with a double slash or a dot, and answer "*" by itself: no client
// of this API follows that with a POST, so it is a path that does not exist.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != path.Clean("/"+r.URL.Path) {
		h.unknown.ServeHTTP(w, r)
		return
	}
	h.mux.ServeHTTP(w, r)
}

// Count is one kind of answer.
type Count struct {
	Route  string // the pattern, "" for what no route knows
	Status int
}

// Counts tells how many answers of each kind were given since New.
func (h *Handler) Counts() map[Count]uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make(map[Count]uint64, len(h.counts))
	for k, n := range h.counts {
		out[k] = n
	}
	return out
}

func (h *Handler) count(route string, status int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counts[Count{Route: route, Status: status}]++
}

// gate bounds how many requests of one user are at work at once.
type gate struct {
	max int

	mu     sync.Mutex
	inside map[string]int
}

var errThrottled = &phone.Error{
	Code: phone.Exhausted, Reason: phone.ReasonRateExceeded, RetryAfter: time.Second, Msg: "too many requests of this user at once",
}

// enter lets one request in; leave lets it out again.
func (g *gate) enter(user string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inside == nil {
		g.inside = map[string]int{}
	}
	if g.inside[user] >= g.max {
		return errThrottled
	}
	g.inside[user]++
	return nil
}

func (g *gate) leave(user string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inside[user]--; g.inside[user] == 0 {
		delete(g.inside, user)
	}
}
