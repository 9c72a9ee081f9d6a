package iam

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
)

func TestRates(t *testing.T) {
	t.Parallel()
	c := &clock{at: time.Unix(1_800_000_000, 0)}
	r := newRates(2, c.now)
	took := func(user string) (n int) {
		for range 1000 {
			if r.take(user) != nil {
				return n
			}
			n++
		}
		return n
	}
	if n := took("a"); n != 2*burstSeconds {
		t.Errorf("a quiet user made %d calls at once, want %d", n, 2*burstSeconds)
	}
	err := r.take("a")
	if phone.CodeOf(err) != phone.Exhausted || phone.ReasonOf(err) != phone.ReasonRateExceeded {
		t.Errorf("one call too many: %v", err)
	}
	if seconds, ok := phone.RetryAfter(err); !ok || seconds != 1 {
		t.Errorf("to be sent again after %d s (%v), want 1: half a second, rounded up", seconds, ok)
	}
	if n := took("b"); n != 2*burstSeconds {
		t.Errorf("another user made %d calls, want %d", n, 2*burstSeconds)
	}
	c.add(3 * time.Second)
	if n := took("a"); n != 6 {
		t.Errorf("after three seconds %d calls, want 6", n)
	}
	if n := newRates(0, c.now).take("a"); n != nil {
		t.Errorf("without a limit: %v", n)
	}
}

func TestRatesMemory(t *testing.T) {
	t.Parallel()
	c := &clock{at: time.Unix(1_800_000_000, 0)}
	r := newRates(1, c.now)
	r.most = 10
	for i := range 100 {
		c.add(burstSeconds * time.Second) // all of before are full again
		if err := r.take(fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
		if len(r.buckets) > 10 {
			t.Fatalf("%d buckets are kept, want at most 10", len(r.buckets))
		}
	}
}

// Every way in is counted together, and a caller who is refused is told who he is to the log.
func TestAuthenticateLimitsTheCaller(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.rates = newRates(1, w.clock.now)
	token := w.token(t, w.robot, "")
	for i := range burstSeconds + 1 {
		r := httptest.NewRequest("GET", "/", nil)
		var body []byte
		if i%2 == 0 {
			r.Header.Set("X-Auth-Token", token)
		} else {
			body = []byte("{}")
			r = signed(w, w.robotKey, "{}")
		}
		caller, err := w.Authenticate(r, body)
		if got := phone.CodeOf(err) == phone.Exhausted; got != (i == burstSeconds) {
			t.Errorf("call %d: %v", i, err)
		}
		if caller.User.ID != w.robot.User.ID {
			t.Errorf("call %d is of user %q", i, caller.User.ID)
		}
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("X-Auth-Token", w.token(t, w.boss, ""))
	if _, err := w.Authenticate(r, nil); err != nil {
		t.Errorf("another user of the account: %v", err)
	}
}

func TestSpray(t *testing.T) {
	t.Parallel()
	c := &clock{at: time.Unix(1_800_000_000, 0)}
	s := newSpray(c.now)
	for i := range maxSprayed {
		if s.locked("a") {
			t.Fatalf("locked after %d", i)
		}
		c.add(time.Second)
		if got := s.wrong("a"); got != (i == maxSprayed-1) {
			t.Errorf("failure %d locks: %v", i, got)
		}
	}
	if !s.locked("a") || s.locked("b") {
		t.Error("the address must be locked, and no other")
	}
	c.add(lockTime - maxSprayed*time.Second)
	if !s.locked("a") {
		t.Error("it is open before its time is over")
	}
	c.add(time.Second)
	if s.locked("a") {
		t.Error("it stays locked for ever")
	}
	s.most = 3
	for _, address := range []string{"b", "b", "c", "d", "e", "e"} {
		s.wrong(address)
	}
	if len(s.addresses) > 3 || s.addresses["b"] == nil {
		t.Errorf("%d addresses are kept, with b: %v; want 3 with b", len(s.addresses), s.addresses["b"] != nil)
	}
}

// An attacker goes through a list of users from one address: it is locked for every user, and nobody who comes from elsewhere is.
func TestLoginLocksASprayingAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	try := func(user, password, remote string) error {
		_, err := w.check(t.Context(), login{user: reference{Name: user}, domain: reference{Name: "acme"}, password: password}, remote)
		return err
	}
	for i := range maxSprayed {
		if err := try(fmt.Sprint("user", i), "123456", "192.0.2.66:1"); !errors.Is(err, errPassword) {
			t.Fatalf("try %d: %v", i, err)
		}
	}
	if err := try("boss", bossPassword, "192.0.2.66:2"); !errors.Is(err, errLocked) || phone.CodeOf(err) != phone.Unauthenticated {
		t.Errorf("the right password from the locked address: %v", err)
	}
	if err := try("boss", bossPassword, "192.0.2.7:1"); err != nil {
		t.Errorf("the right password from elsewhere: %v", err)
	}
	w.clock.add(lockTime)
	if err := try("boss", bossPassword, "192.0.2.66:2"); err != nil {
		t.Errorf("after the lock's time: %v", err)
	}
}
