package iam

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var errWrong = errors.New("wrong")

func says(v verdict) func() (verdict, error) {
	return func() (verdict, error) {
		if v == right {
			return v, nil
		}
		return v, errWrong
	}
}

func TestLimiter(t *testing.T) {
	t.Parallel()
	// Each step is what judge would say, after the clock moved, and what try must answer.
	type step struct {
		wait time.Duration
		key  string
		says verdict
		want error
	}
	failed := func(key string) step { return step{0, key, wrong, errWrong} }
	tests := []struct {
		name  string
		steps []step
	}{
		{"right", []step{{0, "a", right, nil}}},
		{"the sixth is locked, right or wrong", []step{
			failed("a"), failed("a"), failed("a"), failed("a"), failed("a"), {0, "a", right, errLocked}, {0, "a", wrong, errLocked},
		}},
		{"another key is not", []step{
			failed("a"), failed("a"), failed("a"), failed("a"), failed("a"), {0, "b", right, nil}, {0, "a", right, errLocked},
		}},
		{"a right one in between starts again", []step{
			failed("a"), failed("a"), failed("a"), failed("a"), {0, "a", right, nil},
			failed("a"), failed("a"), failed("a"), failed("a"), {0, "a", right, nil},
		}},
		{"for 15 minutes", []step{
			failed("a"), failed("a"), failed("a"), failed("a"), failed("a"),
			{lockTime - time.Second, "a", right, errLocked}, {time.Second, "a", right, nil},
		}},
		{"knocking while locked does not make it longer", []step{
			failed("a"), failed("a"), failed("a"), failed("a"), failed("a"),
			{lockTime - time.Second, "a", wrong, errLocked}, {time.Second, "a", right, nil},
		}},
		{"after the lock there are five again", []step{
			failed("a"), failed("a"), failed("a"), failed("a"), failed("a"), {lockTime, "a", wrong, errWrong},
			failed("a"), failed("a"), failed("a"), failed("a"), {0, "a", right, errLocked},
		}},
		{"old failures are forgotten", []step{
			failed("a"), failed("a"), failed("a"), failed("a"), {lockTime, "a", wrong, errWrong}, {0, "a", right, nil},
		}},
		{"what was not judged does not count", []step{
			failed("a"), failed("a"), failed("a"), failed("a"), {0, "a", undecided, errWrong}, {0, "a", undecided, errWrong}, {0, "a", right, nil},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := &clock{at: time.Unix(1_800_000_000, 0)}
			l := newLimiter(c.now)
			for i, s := range tt.steps {
				c.add(s.wait)
				if err := l.try(t.Context(), s.key, says(s.says)); !errors.Is(err, s.want) {
					t.Fatalf("step %d: try = %v, want %v", i, err, s.want)
				}
			}
		})
	}
}

// TestLimiterAtOnce sends many wrong passwords at once: no more than five may be judged.
func TestLimiterAtOnce(t *testing.T) {
	t.Parallel()
	l := newLimiter((&clock{at: time.Unix(1_800_000_000, 0)}).now)
	var judged, locked int
	var inside atomic.Int32
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			err := l.try(t.Context(), "a", func() (verdict, error) {
				if inside.Add(1) > 1 {
					t.Error("two passwords of one user are judged at once")
				}
				defer inside.Add(-1)
				for range 100 {
					runtime.Gosched()
				}
				mu.Lock()
				defer mu.Unlock()
				judged++
				return wrong, errWrong
			})
			mu.Lock()
			defer mu.Unlock()
			if errors.Is(err, errLocked) {
				locked++
			}
		})
	}
	all.Wait()
	if judged != maxFailures || locked != 100-maxFailures {
		t.Errorf("%d were judged and %d locked out, want %d and %d", judged, locked, maxFailures, 100-maxFailures)
	}
}

// TestLimiterWaitEnds: who gives up while another's password is judged does not wait for it, and leaves nothing behind.
func TestLimiterWaitEnds(t *testing.T) {
	t.Parallel()
	l := newLimiter((&clock{at: time.Unix(1_800_000_000, 0)}).now)
	judging, goOn, ended := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		ended <- l.try(t.Context(), "a", func() (verdict, error) {
			close(judging)
			<-goOn
			return right, nil
		})
	}()
	<-judging
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.try(ctx, "a", says(right)); !errors.Is(err, context.Canceled) {
		t.Errorf("try = %v, want the context's error", err)
	}
	if err := l.try(t.Context(), "b", says(right)); err != nil {
		t.Errorf("another key had to wait: %v", err)
	}
	close(goOn)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if len(l.tries) != 0 {
		t.Errorf("%d keys are remembered without a failure", len(l.tries))
	}
}

func TestLimiterMemory(t *testing.T) {
	t.Parallel()
	c := &clock{at: time.Unix(1_800_000_000, 0)}
	l := newLimiter(c.now)
	l.most = 10
	fail := func(key string) {
		t.Helper()
		if err := l.try(t.Context(), key, says(wrong)); !errors.Is(err, errWrong) {
			t.Fatalf("try %s = %v", key, err)
		}
	}
	for i := range 100 {
		c.add(time.Second)
		fail(fmt.Sprint("key", i))
		if len(l.tries) > 10 {
			t.Fatalf("%d keys are remembered, want at most 10", len(l.tries))
		}
	}
	if l.tries["key99"] == nil || l.tries["key90"] == nil || l.tries["key89"] != nil {
		t.Errorf("the last ten should be remembered, not %v", l.tries)
	}
	c.add(lockTime)
	fail("later")
	if len(l.tries) != 1 {
		t.Errorf("%d keys are remembered after all have lapsed, want 1", len(l.tries))
	}
}

// TestLimiterKeepsWhoIsThere: to make room nobody is forgotten whose password is being judged, or his failure would count for nothing.
func TestLimiterKeepsWhoIsThere(t *testing.T) {
	t.Parallel()
	l := newLimiter((&clock{at: time.Unix(1_800_000_000, 0)}).now)
	l.most = 1
	for i := range maxFailures {
		err := l.try(t.Context(), "a", func() (verdict, error) {
			if err := l.try(t.Context(), fmt.Sprint("b", i), says(wrong)); !errors.Is(err, errWrong) {
				t.Errorf("another key: %v", err)
			}
			return wrong, errWrong
		})
		if !errors.Is(err, errWrong) {
			t.Fatalf("try %d = %v", i, err)
		}
	}
	if err := l.try(t.Context(), "a", says(right)); !errors.Is(err, errLocked) {
		t.Errorf("after five failures: %v, want locked", err)
	}
}

func TestNetwork(t *testing.T) {
	t.Parallel()
	for remote, want := range map[string]string{
		"192.0.2.7:1234":              "192.0.2.7",
		"[::ffff:192.0.2.7]:1234":     "192.0.2.7",
		"[2001:db8:1:2:3:4:5:6]:1234": "2001:db8:1:2::/64",
		"[2001:db8:1:2::1]:99":        "2001:db8:1:2::/64",
		"[fe80::1%eth0]:99":           "fe80::/64",
		"192.0.2.7":                   "192.0.2.7",
		"@":                           "@", // a Unix socket's
		"":                            "",
	} {
		if got := network(remote); got != want {
			t.Errorf("network(%q) = %q, want %q", remote, got, want)
		}
	}
}
