package iam

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/signature"
)

func signed(w *world, key account.AccessKey, body string) *http.Request {
	r := httptest.NewRequest("POST", "http://h/v1/p/x?a=1", strings.NewReader(body))
	signature.Sign(r, []byte(body), signature.Key{ID: key.ID, Secret: key.Secret}, w.clock.now())
	return r
}

func TestAuthenticateByToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	project := w.robot.Projects[1].ID
	for _, scope := range []string{project, ""} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("X-Auth-Token", w.token(t, w.robot, scope))
		r.Header.Set("Authorization", "Bearer of some proxy's own") // the token counts
		got, err := w.Authenticate(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(w.robot, got.Identity); diff != "" {
			t.Errorf("the identity (-want +got):\n%s", diff)
		}
		if got.Signed || got.Scope != scope || got.Token == nil || got.Token.Project != scope {
			t.Errorf("a token of project %q gives scope %q, signed %v, token %v", scope, got.Scope, got.Signed, got.Token)
		}
		if got.In(project) != (scope == project) || got.In(w.robot.Projects[0].ID) {
			t.Errorf("a token of project %q reaches into the wrong projects", scope)
		}
	}
}

func TestAuthenticateBySignature(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got, err := w.Authenticate(signed(w, w.robotKey, "{}\n"), []byte("{}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(account.Caller{Identity: w.robot, Signed: true, AccessKey: w.robotKey.ID}, got); diff != "" {
		t.Errorf("the caller (-want +got):\n%s", diff)
	}
	for _, p := range w.robot.Projects {
		if !got.In(p.ID) {
			t.Errorf("a signed call does not reach into project %s of its own account", p.Name)
		}
	}
	if got.In(w.stranger.Projects[0].ID) {
		t.Error("a signed call reaches into another account's project")
	}
}

// Whoever sends a body that is read later is known before: by a token, or by a signature over the body's hash.
func TestAuthenticateHead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	r := httptest.NewRequest("PUT", "http://h/x", nil)
	r.Header.Set(signature.HeaderContentHash, hash)
	signature.Sign(r, nil, signature.Key{ID: w.robotKey.ID, Secret: w.robotKey.Secret}, w.clock.now())
	if got, of, err := w.AuthenticateHead(r); err != nil || of != hash || got.AccessKey != w.robotKey.ID {
		t.Errorf("%+v, %q, %v", got, of, err)
	}
	if _, _, err := w.AuthenticateHead(signed(w, w.robotKey, "")); phone.CodeOf(err) != phone.Unauthenticated {
		t.Errorf("without the body's hash: %v", err)
	}
	r.Header.Set("X-Project-Id", "x")
	signature.Sign(r, nil, signature.Key{ID: w.robotKey.ID, Secret: "another"}, w.clock.now())
	if _, of, err := w.AuthenticateHead(r); phone.CodeOf(err) != phone.Unauthenticated || of != "" {
		t.Errorf("with another key: %q, %v", of, err)
	}
	r = httptest.NewRequest("PUT", "/", nil)
	r.Header.Set("X-Auth-Token", w.token(t, w.robot, ""))
	if got, of, err := w.AuthenticateHead(r); err != nil || of != "" || got.Token == nil {
		t.Errorf("by a token: %+v, %q, %v", got, of, err)
	}
}

func TestAuthenticateRefuses(t *testing.T) {
	t.Parallel()
	const prefix = "Incorrect IAM authentication information: "
	tests := []struct {
		name    string
		request func(t *testing.T, w *world) *http.Request
		reason  phone.Reason
		msg     string // after the prefix
	}{
		{"nothing", func(*testing.T, *world) *http.Request { return httptest.NewRequest("GET", "/", nil) }, "", "x-auth-token not found"},
		{"an empty token", func(*testing.T, *world) *http.Request { return withToken("") }, "", "x-auth-token not found"},
		{"no such token", func(*testing.T, *world) *http.Request { return withToken("MIIatAYJKoZIhvcNAQcC") }, "", "decrypt token fail"},
		{"two tokens", func(t *testing.T, w *world) *http.Request {
			r := withToken(w.token(t, w.boss, ""))
			r.Header.Add("X-Auth-Token", "x")
			return r
		}, "", "decrypt token fail, X-Auth-Token is there 2 times"},
		{"the token's hash", func(t *testing.T, w *world) *http.Request {
			hash := account.TokenHash(w.token(t, w.boss, ""))
			return withToken(string(hash[:]))
		}, "", "decrypt token fail"},
		{"an expired token", func(t *testing.T, w *world) *http.Request {
			r := withToken(w.token(t, w.boss, ""))
			w.clock.add(24 * time.Hour)
			return r
		}, phone.ReasonTokenExpired, "token expires, expires_at: 2026-05-07T07:08:09.123456Z"},
		{"a token from before the user was changed", func(t *testing.T, w *world) *http.Request {
			r := withToken(w.token(t, w.boss, ""))
			w.store.change(w.boss.User.ID, func(u *account.Identity) { u.User.Epoch++ })
			return r
		}, "", "decrypt token fail, the user's password or permissions have changed since it was issued"},
		{"a token of a project that is gone", func(t *testing.T, w *world) *http.Request {
			r := withToken(w.token(t, w.boss, w.boss.Projects[1].ID))
			w.store.change(w.boss.User.ID, func(u *account.Identity) { u.Projects = u.Projects[:1] })
			return r
		}, "", "decrypt token fail, its project is gone"},
		{"a token of another account's project", func(t *testing.T, w *world) *http.Request {
			return withToken(w.token(t, w.boss, w.stranger.Projects[0].ID))
		}, "", "decrypt token fail, its project is gone"},
		{"no such key", func(_ *testing.T, w *world) *http.Request {
			return signed(w, account.NewAccessKey("u", w.clock.now()), "")
		},
			"", "verify aksk signature fail"},
		{"wrong secret", func(_ *testing.T, w *world) *http.Request {
			return signed(w, account.AccessKey{ID: w.key.ID, Secret: w.robotKey.Secret}, "")
		}, "", "verify aksk signature fail"},
		{"empty secret", func(_ *testing.T, w *world) *http.Request { return signed(w, account.AccessKey{ID: w.key.ID}, "") },
			"", "verify aksk signature fail"},
		{"another body", func(_ *testing.T, w *world) *http.Request { return signed(w, w.key, "{}") }, "", "verify aksk signature fail"},
		{"another scheme", func(*testing.T, *world) *http.Request {
			r := httptest.NewRequest("GET", "/", nil)
			r.SetBasicAuth("boss", "x")
			return r
		}, "", "verify aksk signature fail, the Authorization header does not begin with SDK-HMAC-SHA256"},
		{"too late", func(_ *testing.T, w *world) *http.Request {
			r := signed(w, w.key, "")
			w.clock.add(15*time.Minute + time.Second)
			return r
		}, "", "verify aksk signature fail, the signature has expired or is not yet valid: X-Sdk-Date is 20260506T070809Z, " +
			"the server's time is 20260506T072310Z, and they may differ by 15 minutes at most: set the clock"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			caller, err := w.Authenticate(tt.request(t, w), nil)
			if phone.CodeOf(err) != phone.Unauthenticated || phone.ReasonOf(err) != tt.reason {
				t.Fatalf("Authenticate = %v, %v: code %q, reason %q, want unauthenticated, %q", caller, err, phone.CodeOf(err), phone.ReasonOf(err), tt.reason)
			}
			var shown *phone.Error
			if !errors.As(err, &shown) {
				t.Fatalf("%v is not to be shown", err)
			}
			if diff := cmp.Diff(prefix+tt.msg, shown.Msg); diff != "" {
				t.Errorf("the message (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(account.Caller{}, caller); diff != "" {
				t.Errorf("a refused call still gives a caller:\n%s", diff)
			}
		})
	}
}

func withToken(text string) *http.Request {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("X-Auth-Token", text)
	return r
}

// TestAuthenticateAtTheLastMoment: the last moment of a token's life is still life, the next is not.
func TestAuthenticateAtTheLastMoment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := withToken(w.token(t, w.boss, ""))
	w.clock.add(TokenLifetime - time.Microsecond)
	if _, err := w.Authenticate(r, nil); err != nil {
		t.Errorf("a microsecond before it expires: %v", err)
	}
	w.clock.add(time.Microsecond)
	if _, err := w.Authenticate(r, nil); phone.ReasonOf(err) != phone.ReasonTokenExpired {
		t.Errorf("when it expires: %v", err)
	}
}

// TestAuthenticateWithoutDatabase: a database that does not answer is not a wrong password.
func TestAuthenticateWithoutDatabase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	byToken, bySignature := withToken(w.token(t, w.boss, "")), signed(w, w.key, "")
	w.store.fail(errDown)
	for _, r := range []*http.Request{byToken, bySignature} {
		if _, err := w.Authenticate(r, nil); phone.CodeOf(err) != phone.Unavailable || !errors.Is(err, errDown) {
			t.Errorf("Authenticate = %v, want the store's error", err)
		}
	}
}

func TestSweep(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := w.token(t, w.boss, "")
	ctx, cancel := context.WithCancel(t.Context())
	tick := make(chan time.Time)
	ended := make(chan error)
	go func() { ended <- w.sweep(ctx, tick) }()

	has := func(text string) bool {
		_, _, err := w.store.Token(ctx, account.TokenHash(text))
		return err == nil
	}
	tick <- time.Time{} // received after the first sweep: nothing is over yet
	tick <- time.Time{}
	if !has(old) {
		t.Fatal("a valid token was deleted")
	}
	w.store.fail(errDown)
	tick <- time.Time{}
	tick <- time.Time{} // a failed sweep is behind us
	w.store.fail(nil)
	w.clock.add(TokenLifetime)
	fresh := w.token(t, w.boss, "")
	tick <- time.Time{}
	tick <- time.Time{}
	if has(old) || !has(fresh) {
		t.Errorf("after a sweep: the expired token is there: %v, the valid one: %v", has(old), has(fresh))
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("sweep = %v, want the context's error", err)
	}
	if err := w.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v, want the context's error", err)
	}
}
