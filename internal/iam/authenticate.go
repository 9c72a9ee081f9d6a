package iam

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/signature"
)

// The causes of an Unauthenticated error, for this package's own answers. Other edges need only its code and reason.
var (
	errNoCredentials = errors.New("no credentials")
	errSignature     = errors.New("signature not verified")
	errToken         = errors.New("token not valid")
	errPassword      = errors.New("wrong user or password")
	errLocked        = errors.New("locked after repeated wrong passwords")
)

const (
	headerAuthToken    = "X-Auth-Token"
	headerSubjectToken = "X-Subject-Token"
)

// Authenticate finds out who made the request: by X-Auth-Token, or else by Authorization: SDK-HMAC-SHA256. The request must be as
// it arrived (URL, headers, Host), body all of its body. An error of code Unauthenticated has a message in the API gateway's
// words, and phone.ReasonTokenExpired for a token that was valid once; it is the same whether an access key does not exist, is
// disabled, or its signature is wrong. A caller who is known, and makes too many calls, is Exhausted.
func (s *Service) Authenticate(r *http.Request, body []byte) (account.Caller, error) {
	caller, err := s.identify(r, func() (signature.Claim, error) { return signature.Read(r, body, s.now()) })
	if err != nil {
		return account.Caller{}, err
	}
	return caller, s.rates.take(caller.User.ID)
}

// AuthenticateHead is Authenticate for a request whose body is read later, because it is too big to be held. It gives the SHA-256 in hex that the body
// must have, if it was signed; "" of a request with a token.
func (s *Service) AuthenticateHead(r *http.Request) (account.Caller, string, error) {
	hash := ""
	caller, err := s.identify(r, func() (signature.Claim, error) {
		claim, err := signature.ReadHead(r, s.now())
		hash = claim.ContentHash
		return claim, err
	})
	if err != nil {
		return account.Caller{}, "", err
	}
	return caller, hash, s.rates.take(caller.User.ID)
}

func (s *Service) identify(r *http.Request, read func() (signature.Claim, error)) (account.Caller, error) {
	tokens := r.Header.Values(headerAuthToken)
	switch {
	case len(tokens) > 1:
		return account.Caller{}, unauthenticated(errToken, "decrypt token fail, %s is there %d times", headerAuthToken, len(tokens))
	case len(tokens) == 1 && tokens[0] != "":
		return s.byToken(r.Context(), tokens[0])
	case r.Header.Get("Authorization") != "":
		return s.bySignature(r, read)
	}
	return account.Caller{}, unauthenticated(errNoCredentials, "x-auth-token not found")
}

func (s *Service) byToken(ctx context.Context, text string) (account.Caller, error) {
	token, identity, err := s.store.Token(ctx, account.TokenHash(text))
	switch {
	case phone.CodeOf(err) == phone.NotFound:
		return account.Caller{}, unauthenticated(errToken, "decrypt token fail")
	case err != nil:
		return account.Caller{}, fmt.Errorf("look up a token: %w", err)
	case !s.now().Before(token.ExpiresAt):
		expired := unauthenticated(errToken, "token expires, expires_at: %s", token.ExpiresAt.UTC().Format(timeFormat))
		expired.Reason = phone.ReasonTokenExpired
		return account.Caller{}, expired
	case token.Epoch != identity.User.Epoch, identity.User.Disabled:
		return account.Caller{}, unauthenticated(errToken, "decrypt token fail, the user's password or permissions have changed since it was issued")
	case token.Project != "" && !hasProject(identity, token.Project):
		return account.Caller{}, unauthenticated(errToken, "decrypt token fail, its project is gone")
	}
	return account.Caller{Identity: identity, Scope: token.Project, Token: &token}, nil
}

func (s *Service) bySignature(r *http.Request, read func() (signature.Claim, error)) (account.Caller, error) {
	claim, err := read()
	if err != nil {
		return account.Caller{}, unauthenticated(errSignature, "verify aksk signature fail, %s", err)
	}
	key, identity, err := s.store.AccessKey(r.Context(), claim.AccessKey)
	known := err == nil
	switch {
	case phone.CodeOf(err) == phone.NotFound:
		key.Secret = s.decoySecret
	case err != nil:
		return account.Caller{}, fmt.Errorf("look up an access key: %w", err)
	}
	inUse := known && !key.Disabled && !identity.User.Disabled
	if verified := claim.Verify(key.Secret); !verified || !inUse {
		return account.Caller{}, unauthenticated(errSignature, "verify aksk signature fail")
	}
	return account.Caller{Identity: identity, Signed: true, AccessKey: key.ID}, nil
}

func unauthenticated(cause error, format string, args ...any) *phone.Error {
	return &phone.Error{
		Code: phone.Unauthenticated, Msg: "Incorrect IAM authentication information: " + fmt.Sprintf(format, args...), Err: cause,
	}
}

func hasProject(identity account.Identity, id string) bool {
	return slices.ContainsFunc(identity.Projects, func(p account.Project) bool { return p.ID == id })
}

// timeFormat is how IAM writes a time: UTC with microseconds.
const timeFormat = "2006-01-02T15:04:05.000000Z"

func formatTime(t time.Time) string { return t.UTC().Format(timeFormat) }
