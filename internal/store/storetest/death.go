package storetest

import (
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
)

func testDied(t *testing.T, f Fixture) {
	ctx := t.Context()
	must(t, "Register", f.Register(ctx, "r1", time.Hour))
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 6, 6)
	other := f.Fleet(t, f.Project(0), in.Phones[0].Image, 1, 1)
	found := f.Clock.Now()
	death := func(p phone.Phone) phone.Death {
		return phone.Death{Phone: p.ID, Generation: 1, UpdatedAt: found, Cause: "it ended, said 'x'"}
	}
	f.Clock.Advance(time.Minute)
	f.Reset(t, f.Project(0), in.Phones[1].ID)                                                         // at work
	f.finish(t, f.claim(t, f.Reset(t, f.Project(0), in.Phones[2].ID)[0], "r1"))                       // another life since
	f.exec(t, `UPDATE phones SET updated_at = updated_at + 1 WHERE id = $1`, string(in.Phones[3].ID)) // changed since
	deaths := []phone.Death{death(in.Phones[5]), death(in.Phones[1]), death(in.Phones[2]), death(in.Phones[3]), death(in.Phones[0]), death(other.Phones[0])}
	deaths = append(deaths, phone.Death{Phone: phone.NewID[phone.ID](), Generation: 1, UpdatedAt: found})

	died, err := f.Died(ctx, in.Server.ID, deaths)
	must(t, "Died", err)
	want := map[phone.ID]bool{in.Phones[0].ID: true, in.Phones[5].ID: true}
	got := map[phone.ID]bool{}
	for _, id := range died {
		got[id] = true
		p := f.phone(t, id)
		equal(t, "the phone", []any{p.Status, p.Cause, p.Generation, p.UpdatedAt}, []any{phone.StatusAbnormal, "it ended, said 'x'", phone.Generation(1), f.Clock.Now()})
	}
	equal(t, "who died", got, want)
	f.consistent(t)
	f.unchanged(t, "dying again, or nobody", func() {
		again, err := f.Died(ctx, in.Server.ID, deaths)
		must(t, "Died again", err)
		none, err := f.Died(ctx, in.Server.ID, nil)
		must(t, "Died of nobody", err)
		equal(t, "who died again", len(again)+len(none), 0)
	})
	f.Reset(t, f.Project(0), in.Phones[0].ID)
	equal(t, "the cause after a reset was accepted", f.phone(t, in.Phones[0].ID).Cause, "")
	f.consistent(t)
}
