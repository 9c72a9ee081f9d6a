package storetest

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// key is an idempotency key that lives for a day; the hash's first byte tells calls apart.
func (f Fixture) key(key string, hash byte) fleet.IdempotencyKey {
	return fleet.IdempotencyKey{Key: key, Hash: [32]byte{hash}, Expires: f.Clock.Now().Add(24 * time.Hour)}
}

func testAcceptOnce(t *testing.T, f Fixture) {
	image := f.Image(t)
	in := f.Fleet(t, f.Project(0), image.ID, 4, 2)
	once := func(what string, reset fleet.AcceptReset, key fleet.IdempotencyKey) (phone.RequestID, []phone.Outcome) {
		t.Helper()
		id, outcomes, err := f.AcceptResetOnce(t.Context(), reset, key)
		must(t, what, err)
		return id, outcomes
	}
	call := f.ResetInput(f.Project(0), in.Phones[0].ID, in.Phones[0].ID)
	call.Items[0].Given = phone.Properties{"com.cph.mainkeys": "SECRET123"}
	call.Items = append(call.Items,
		phone.ResetItem{PhoneID: string(in.Phones[1].ID), Err: &phone.Error{Code: phone.Invalid, Reason: phone.ReasonPropertyValue, Field: "a.key", Msg: "no"}},
		phone.ResetItem{PhoneID: strings.Repeat("é", 300)},
	)
	first, outcomes := once("the first call", call, f.key("k", 1))
	equal(t, "its request", first, call.Request.ID)
	want := []phone.Outcome{
		{PhoneID: string(in.Phones[0].ID), Job: outcomes[0].Job},
		{PhoneID: string(in.Phones[0].ID), Err: &phone.Error{Code: phone.Conflict, Reason: phone.ReasonPhoneDuplicate, Msg: outcomes[1].Err.Msg}},
		{PhoneID: string(in.Phones[1].ID), Err: &phone.Error{Code: phone.Invalid, Reason: phone.ReasonPropertyValue, Field: "a.key", Msg: "no"}},
		{PhoneID: strings.Repeat("é", 128), Err: &phone.Error{Code: phone.Invalid, Reason: phone.ReasonPhoneInvalid, Msg: outcomes[3].Err.Msg}},
	}
	f.Clock.Advance(24*time.Hour - time.Microsecond)
	again := call
	again.Request.ID = phone.NewID[phone.RequestID]()
	f.unchanged(t, "a call again", func() {
		id, outcomes := once("the call again", again, f.key("k", 1))
		equal(t, "the request of the call again", id, first)
		equal(t, "the outcomes of the call again", outcomes, want)
		_, _, err := f.AcceptResetOnce(t.Context(), again, f.key("k", 2))
		refused(t, "another call with the key", err, phone.Conflict, phone.ReasonKeyReused)
	})
	f.consistent(t)
	if n := f.count(t, `SELECT count(*) FROM idempotency_keys WHERE outcomes LIKE '%SECRET123%' OR outcomes LIKE '%mainkeys%'`); n != 0 {
		t.Error("a property stands in the table of keys")
	}

	// The key is another one in another project and for another user.
	foreign := f.Fleet(t, f.Project(1), image.ID, 1, 1)
	other := f.ResetInput(f.Project(1), foreign.Phones[0].ID)
	if id, _ := once("the key in another project", other, f.key("k", 2)); id != other.Request.ID {
		t.Error("a key of another project answers")
	}
	someone := f.ResetInput(f.Project(0), in.Phones[1].ID)
	someone.Request.Caller = phone.NewID[string]()
	if id, _ := once("the key of another user", someone, f.key("k", 2)); id != someone.Request.ID {
		t.Error("a key of another user answers")
	}

	// A call that fails as a whole leaves its key free.
	bad := f.ResetInput(f.Project(0), in.Phones[2].ID)
	bad.Image = phone.NewID[phone.ImageID]()
	_, _, err := f.AcceptResetOnce(t.Context(), bad, f.key("free", 1))
	refused(t, "a call with an unknown image", err, phone.NotFound, phone.ReasonImageNotFound)
	good := f.ResetInput(f.Project(0), in.Phones[2].ID)
	if id, _ := once("another call with its key", good, f.key("free", 2)); id != good.Request.ID {
		t.Error("a call that failed keeps its key")
	}

	// So does one whose key has expired, whether it was swept or not.
	f.Clock.Advance(time.Microsecond)
	late := f.ResetInput(f.Project(0), in.Phones[3].ID)
	if id, outcomes := once("a call with an expired key", late, f.key("k", 3)); id != late.Request.ID || outcomes[0].Job == "" {
		t.Error("an expired key answers")
	}
	f.scheduled(t)
}

func testSweepKeys(t *testing.T, f Fixture) {
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 1, 1)
	for i, key := range []string{"old", "new"} {
		_, _, err := f.AcceptResetOnce(t.Context(), f.ResetInput(f.Project(0), in.Phones[0].ID), f.key(key, byte(i)))
		must(t, "AcceptResetOnce", err)
		f.Clock.Advance(12 * time.Hour)
	}
	if _, err := f.Sweep(t.Context(), time.Minute); err != nil {
		t.Fatalf("Sweep: %v", err)
	}
	equal(t, "expired keys left", f.count(t, `SELECT count(*) FROM idempotency_keys WHERE key = 'old'`), 0)
	equal(t, "keys left", f.count(t, `SELECT count(*) FROM idempotency_keys WHERE key = 'new'`), 1)
}

// testAcceptOnceConcurrently sends one call many times at once, through two stores: one batch is made, and everybody hears of it.
func testAcceptOnceConcurrently(t *testing.T, f Fixture) {
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 8, 3)
	stores := []interface {
		AcceptResetOnce(context.Context, fleet.AcceptReset, fleet.IdempotencyKey) (phone.RequestID, []phone.Outcome, error)
	}{f.Store, Reopen(t, f.URL, f.Clock)}
	const callers = 8
	var requests [callers]phone.RequestID
	var outcomes [callers][]phone.Outcome
	var group sync.WaitGroup
	for c := range callers {
		group.Go(func() {
			var err error
			requests[c], outcomes[c], err = stores[c%2].AcceptResetOnce(t.Context(), f.ResetInput(f.Project(0), ids(in.Phones)...), f.key("k", 1))
			if err != nil {
				t.Errorf("AcceptResetOnce: %v", err)
			}
		})
	}
	group.Wait()
	for c := range callers {
		equal(t, "a caller's request", requests[c], requests[0])
		equal(t, "a caller's outcomes", outcomes[c], outcomes[0])
	}
	for _, o := range outcomes[0] {
		if o.Err != nil {
			t.Errorf("phone %s was refused: %v", o.PhoneID, o.Err)
		}
	}
	equal(t, "requests", f.count(t, `SELECT count(*) FROM requests WHERE kind = 'reset'`), 1)
	f.consistent(t)
	f.scheduled(t)
}
