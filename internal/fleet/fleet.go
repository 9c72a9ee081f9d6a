// Package fleet holds the use cases: what a caller may ask of the fleet, what is checked, and which transaction does it. It
// knows no wire format and no database.
//
// Each use case first authorises (Forbidden), then checks what was asked (Invalid, with the field), then makes one call to the
// store. What belongs to another project answers exactly like what does not exist.
package fleet

import (
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// Service is the fleet's use cases. It is safe for concurrent use.
type Service struct {
	store       Store
	objects     Objects
	hosts       Hosts
	check       phone.PropertyCheck
	checkServer func(*phone.Server) *phone.Error
	maxBatch    int
	bootTimeout time.Duration
	reconciler  Reconciler
	models      Models
	pool        []phone.PoolHost
	keypairs    []phone.Keypair
	checkKeys   func(driver string) *phone.Error
	now         func() time.Time
}

// Config is what a Service needs.
type Config struct {
	Store Store
	Hosts Hosts
	// Objects are the buckets that files come from and data goes to; nil: there is none.
	Objects Objects
	// Check says whether a driver can give a phone its properties; nil lets all pass.
	Check phone.PropertyCheck
	// CheckServer fills in what a new server's driver chooses when the caller left it open (its endpoint) and refuses what no
	// driver can run: an unknown kind, a bad endpoint, a bad configuration. It asks no host; nil lets all pass.
	CheckServer func(*phone.Server) *phone.Error
	// MaxBatch is how many phones one batch call may name; 0 means 1,000.
	MaxBatch int
	// BootTimeout is a new server's where its caller gives none; 0 means DefaultBootTimeout.
	BootTimeout time.Duration
	// Models are what the installation offers, besides what a server gets that names none.
	Models Models
	// Pool are the hosts that projects may take as servers.
	Pool []phone.PoolHost
	// Keypairs are those that the phones of servers can be given.
	Keypairs []phone.Keypair
	// CheckKeys says why a kind of driver cannot say whose adb a phone lets in; nil lets all pass.
	CheckKeys func(driver string) *phone.Error
	// Reconciler compares hosts with the database; nil leaves it unsupported.
	Reconciler Reconciler
	Now        func() time.Time
}

// New makes the use cases over a store.
func New(c Config) *Service {
	if c.Check == nil {
		c.Check = func(string, phone.Properties) *phone.Error { return nil }
	}
	if c.CheckServer == nil {
		c.CheckServer = func(*phone.Server) *phone.Error { return nil }
	}
	if c.CheckKeys == nil {
		c.CheckKeys = func(string) *phone.Error { return nil }
	}
	if c.Objects == nil {
		c.Objects = noObjects{}
	}
	if c.MaxBatch == 0 {
		c.MaxBatch = 1000
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.BootTimeout == 0 {
		c.BootTimeout = DefaultBootTimeout
	}
	return &Service{
		bootTimeout: c.BootTimeout, objects: c.Objects, store: c.Store, hosts: c.Hosts, check: c.Check, checkServer: c.CheckServer, maxBatch: c.MaxBatch,
		reconciler: c.Reconciler, models: c.Models.withDefaults(), pool: c.Pool, keypairs: c.Keypairs, checkKeys: c.CheckKeys, now: c.Now,
	}
}

// MaxBatch is how many phones one batch call may name.
func (s *Service) MaxBatch() int { return s.maxBatch }

// maxPage is the most rows one call reads; edges have lower limits of their own.
const maxPage = 1000

// page checks a page and gives its limit: 0 means 100.
func page(offset, limit int) (int, error) {
	switch {
	case offset < 0:
		return 0, &phone.Error{Code: phone.Invalid, Reason: phone.ReasonPageInvalid, Field: "offset", Msg: "offset is negative"}
	case limit < 0 || limit > maxPage:
		return 0, &phone.Error{Code: phone.Invalid, Reason: phone.ReasonPageInvalid, Field: "limit", Msg: "limit must be 1 to 1000"}
	case limit == 0:
		return 100, nil
	}
	return limit, nil
}

// newRequest begins the record of an accepted call; an edge that told its caller an id already passes it.
func (s *Service) newRequest(id phone.RequestID, project phone.ProjectID, kind phone.Kind, user string) phone.Request {
	if id == "" {
		id = phone.NewID[phone.RequestID]()
	}
	return phone.Request{ID: id, Project: project, Kind: kind, Caller: user, CreatedAt: s.now()}
}
