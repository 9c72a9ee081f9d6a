// Package iam finds out who is calling: it checks tokens and request signatures, issues tokens, and serves the IAM calls that
// clients of the CPH API make before they reach it (/v3, as in the IAM API reference). What a caller may do is not decided here.
package iam

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/audit"
)

// TokenLifetime is how long a token is valid (IAM API reference: 24 hours).
const TokenLifetime = 24 * time.Hour

// sweepEvery is how often expired tokens are deleted. A token is refused from the moment it expires, whether it is still there
// or not.
const sweepEvery = 10 * time.Minute

// hashesAtOnce bounds what logins cost together: each checks one password in about 19 MiB.
const hashesAtOnce = 4

// Store keeps accounts, users, access keys and tokens. Every method is one whole transaction; a missing row is phone.NotFound,
// a database that does not answer phone.Unavailable.
type Store interface {
	// Bootstrap writes the installation's first account, its projects, its owner and the owner's access key, unless there is an
	// account already: then it changes nothing and gives false. Of several processes that call it at once, one gets true.
	Bootstrap(ctx context.Context, first account.Identity, key account.AccessKey) (bool, error)

	// UserByName gives the user of that name in the account that has domain as its id or its name.
	UserByName(ctx context.Context, domain, user string) (account.Identity, error)
	UserByID(ctx context.Context, id string) (account.Identity, error)

	// AccessKey gives the key with that id (AK) and its user.
	AccessKey(ctx context.Context, id string) (account.AccessKey, account.Identity, error)

	InsertToken(ctx context.Context, token account.Token) error
	// Token gives the token with that hash and its user as it is now. Whether it still counts is not the store's to say.
	Token(ctx context.Context, hash [32]byte) (account.Token, account.Identity, error)
	// DeleteExpiredTokens deletes the tokens whose time is over, and says how many.
	DeleteExpiredTokens(ctx context.Context) (int, error)
}

// Config is what a Service needs.
type Config struct {
	Store Store
	Log   *slog.Logger
	// BaseURL is where clients reach this installation, without a slash at its end: the service catalog and the links say so.
	// "": what the request itself was sent to, with https if it came over TLS.
	BaseURL string
	// RateLimit is how many calls one user may make in a second; 0: any number.
	RateLimit int
	// Audit gets every login, granted and refused; nil: nothing is audited.
	Audit *audit.Log
	Now   func() time.Time // nil: time.Now
}

// Service authenticates callers and serves /v3. It is safe for concurrent use.
type Service struct {
	store   Store
	log     *slog.Logger
	audit   *audit.Log
	baseURL string
	now     func() time.Time

	logins  *limiter
	sprays  *spray
	rates   *rates
	hashing chan struct{} // holds one element for each password that is being checked

	// What stands in for a user, or a key, that does not exist, so that both answers take the same work.
	decoyHash   string
	decoySecret string
}

// New makes a Service.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Service{
		store: c.Store, log: c.Log, audit: c.Audit, baseURL: c.BaseURL, now: c.Now,
		logins: newLimiter(c.Now), sprays: newSpray(c.Now), rates: newRates(c.RateLimit, c.Now), hashing: make(chan struct{}, hashesAtOnce),
		decoyHash: account.DecoyHash(), decoySecret: account.NewAccessKey("", c.Now()).Secret,
	}
}

// Run deletes expired tokens now and then, until ctx ends; it gives ctx's error. A failed sweep is logged and tried again.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	return s.sweep(ctx, tick.C)
}

func (s *Service) sweep(ctx context.Context, tick <-chan time.Time) error {
	for {
		switch n, err := s.store.DeleteExpiredTokens(ctx); {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			s.log.Error("expired tokens were not deleted", "err", err)
		case n > 0:
			s.log.Debug("expired tokens deleted", "tokens", n)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick:
		}
	}
}

// hash runs check when it is its turn.
func (s *Service) hash(ctx context.Context, check func()) error {
	select {
	case s.hashing <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("wait to check a password: %w", ctx.Err())
	}
	defer func() { <-s.hashing }()
	check()
	return nil
}
