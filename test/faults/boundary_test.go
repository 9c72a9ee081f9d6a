package faults

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// boundary is one moment between two steps of a reset, or of a restart to another image, at which the replica that works on it is killed.
type boundary struct {
	name string
	// hold keeps the reset at that moment until its replica is dead: a call of the host that is made and does not begin, or that was done
	// and whose answer does not come. "" needs none: what the row says then, it says for good.
	hold string
	// at is what the job's row says at that moment.
	at string
	// keeps is the rollback policy; back lets the new life fail, so that the old one comes back.
	keeps, back bool
	// remakes is a restart, which makes the instance anew on the volume that is there.
	remakes bool
}

// PHONE, PRIOR and TARGET in a fault stand for the phone, its present life and the one that it is reset to; NAME makes it a new rule.

// before and after hold a reset right before a call of the host does anything, and right after it did everything.
func before(operation, at string) boundary {
	return boundary{name: "before " + operation, hold: fault(operation, `"slow","duration":"10m"`), at: at}
}

func after(operation, at string) boundary {
	return boundary{name: "after " + operation, hold: fault(operation, `"late","duration":"10m"`), at: at}
}

func fault(operation, effect string) string {
	which := `"phone":"PHONE",`
	if operation == "prepare" { // is of an image, and not of a phone
		which = ``
	}
	return `{` + which + `"operation":"` + operation + `","times":1,"name":"NAME","effect":` + effect + `}`
}

// ofOld makes a boundary one of a call that is about the old life, and not about the new one.
func ofOld(b boundary) boundary {
	b.hold = strings.Replace(b.hold, `{`, `{"generations":[PRIOR],`, 1)
	return b
}

// boundaries are all moments of a reset: each phase has begun and its call is still to come, the call was made and its end is not
// saved, and the ends of both ways that a reset goes at once, booting and erasing.
func boundaries() []boundary {
	all := []boundary{
		{name: "accepted", at: `true`},
		before("prepare", `phase = 'preparing'`), after("prepare", `phase = 'preparing'`),
		before("remove", `phase = 'removing'`), after("remove", `phase = 'removing'`),
		before("ensure", `phase = 'creating'`), after("ensure", `phase = 'creating'`),
		before("start", `phase = 'booting'`), after("start", `phase = 'booting'`),
		before("inspect", `phase = 'booting'`),
		before("erase", `erase = 'pending'`), after("erase", `erase = 'pending'`),
		{name: "erased", hold: fault("inspect", `"slow","duration":"10m"`), at: `erase = 'done' AND phase = 'booting'`},
		{name: "booted", hold: fault("erase", `"slow","duration":"10m"`), at: `erase = 'pending' AND phase = 'verifying'`},
		before("exec", `phase = 'verifying'`), after("exec", `phase = 'verifying'`),
		{name: "succeeded", at: `phase = 'succeeded'`},
	}
	// A restart to another image: the instance ends, is made anew and boots, and the data stays.
	for _, b := range []boundary{
		{name: "accepted", at: `true`},
		before("prepare", `phase = 'preparing'`), after("prepare", `phase = 'preparing'`),
		before("stop", `phase = 'removing'`), after("stop", `phase = 'removing'`),
		before("remake", `phase = 'creating'`), after("remake", `phase = 'creating'`),
		before("start", `phase = 'booting'`), after("start", `phase = 'booting'`),
		before("exec", `phase = 'verifying'`), after("exec", `phase = 'verifying'`),
		{name: "succeeded", at: `phase = 'succeeded'`},
	} {
		b.name, b.remakes = "making the instance anew, "+b.name, true
		all = append(all, b)
	}
	// With the rollback policy: up to the point of no return nothing is destroyed, from then on the old life goes.
	for _, b := range []boundary{
		before("stop", `phase = 'removing'`), after("stop", `phase = 'removing'`),
		before("exec", `phase = 'booting'`), after("exec", `phase = 'booting'`),
		before("remove", `phase = 'verifying'`), after("remove", `phase = 'verifying'`),
		before("erase", `phase = 'verifying'`), after("erase", `phase = 'verifying'`),
	} {
		b.name, b.keeps = "keeping the old life, "+b.name, true
		all = append(all, b)
	}
	// And on the way back from a new life that ended while it booted.
	for _, b := range []boundary{
		before("remove", `phase = 'restoring'`), after("remove", `phase = 'restoring'`),
		ofOld(before("start", `phase = 'restoring'`)), ofOld(after("start", `phase = 'restoring'`)),
		ofOld(before("exec", `phase = 'restoring'`)), ofOld(after("exec", `phase = 'restoring'`)),
		before("discard", `phase = 'restoring'`), after("discard", `phase = 'restoring'`),
		{name: "back", at: `phase = 'failed' AND rolled_back`},
	} {
		b.name, b.keeps, b.back = "on the way back, "+b.name, true, true
		all = append(all, b)
	}
	return all
}

// strikes counts how often faults have struck on the host, of those that strike a limited number of times.
func (h *folderHost) strikes(t testing.TB) int64 {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(h.dir, "faults"))
	if err != nil {
		t.Fatal(err)
	}
	var n int64
	for _, e := range entries {
		if info, err := e.Info(); err == nil && e.Type()&fs.ModeType == 0 {
			n += info.Size()
		}
	}
	return n
}

// A replica that is killed at each step boundary of a reset, or of a restart to another image, and started again: the job goes on where it was,
// and succeeds or, where the new life of a reset fails and the old one was to be kept, brings that back.
func TestKillAtEachBoundary(t *testing.T) {
	t.Parallel()
	onBoth(t, killAtEachBoundary)
}

func killAtEachBoundary(t *testing.T, c config) {
	in := install(t, c)
	h := in.addSimulated("rack", in.addImage("first", "first"), 2, 2, `{"boot_time":"20ms"}`)
	victim := in.phones(`server_id = $1`, h.id)[0].id
	few := max(1, rounds(t, 1)/len(boundaries()))
	for round := range few {
		for _, b := range boundaries() {
			in.killAt(h, victim, b, fmt.Sprintf("%s %d", b.name, round))
		}
	}
	t.Logf("killed at %d boundaries, %d times each", len(boundaries()), few)
	in.check()
}

// killAt resets all phones, or restarts them, holds the job of one of them at the boundary, kills the replica that works on it, and starts that again.
func (in *installation) killAt(h *folderHost, victim string, b boundary, name string) {
	t := in.t
	t.Helper()
	phones := in.phones(`server_id = $1`, h.id)
	before := in.phones(`id = $1`, victim)[0]
	struck := h.strikes(t)
	h.faults(t, b.script(before, name))
	h.mark(t, phones)
	// A fresh image, so that each reset has one to prepare.
	reference := phone.NewID[string]()
	image, reset := in.addImage("image-"+phone.NewID[string](), reference), in.reset
	switch {
	case b.keeps:
		reset = in.resetKeeping
	case b.remakes:
		reset = func(r *replica, image string, phones []phoneRow) string { return in.power(r, "restart", image, phones) }
	}
	request := reset(in.live()[0], image, phones)
	reached := `request_id = $1 AND phone_id = $2`
	if strings.Contains(b.hold, `"prepare"`) { // whichever phone's job brings the image
		reached = `request_id = $1 AND $2 <> '' AND phase = 'preparing'`
	}
	var owner string
	eventually(t, name, func() bool {
		jobs := in.jobs(reached+` AND `+b.at, request, victim)
		if len(jobs) == 0 || b.hold != "" && h.strikes(t) == struck {
			return false
		}
		owner = jobs[0].owner
		return b.hold == "" || owner != ""
	})
	killed := in.replicas[0] // of a job that nobody works on yet, or any more
	for _, r := range in.replicas {
		if r.id() == owner {
			killed = r
		}
	}
	killed.kill()
	if len(in.jobs(reached+` AND `+b.at, request, victim)) == 0 {
		t.Errorf("%s: the job went on although it was held", name)
	}
	h.faults(t, "")
	killed.start()
	in.settle()
	in.checkAfter(h, before, b, name)
	for _, p := range in.phones(`server_id = $1`, h.id) {
		if back := b.back && p.id == victim; !back && (p.image != image || h.image(t, p) != reference) {
			t.Errorf("%s: phone %s has image %s, and its instance is of %s, want %s and %s", name, p.name, p.image, h.image(t, p), image, reference)
		}
	}
}

// script is the host's faults for the boundary.
func (b boundary) script(p phoneRow, name string) string {
	var faults []string
	if b.hold != "" {
		faults = append(faults, b.hold)
	}
	if b.back {
		faults = append(faults, `{"phone":"PHONE","operation":"boot","effect":"exit","generations":[TARGET]}`)
	}
	target := strconv.FormatInt(p.last+1, 10)
	prior := strconv.FormatInt(p.generation, 10)
	return strings.NewReplacer("NAME", name, "PHONE", p.id, "TARGET", target, "PRIOR", prior).Replace(`[` + strings.Join(faults, ",") + `]`)
}

// checkAfter compares all phones with what the boundary's job must have led to.
func (in *installation) checkAfter(h *folderHost, victim phoneRow, b boundary, name string) {
	in.t.Helper()
	failed := map[string]string{}
	if b.back {
		failed[victim.name] = "CPS.0003"
	}
	in.wantFailed(h.id, failed)
	objects := h.objects(in.t, in)
	for _, p := range in.phones(`server_id = $1`, h.id) {
		back := b.back && p.id == victim.id
		if p.status != 2 || back != (p.generation < p.last) || back && p.generation != victim.generation {
			in.t.Errorf("%s: phone %s is in status %d with generation %d of %d, brought back: %v", name, p.name, p.status, p.generation, p.last, back)
		}
		if b.remakes && p.generation != p.last {
			in.t.Errorf("%s: phone %s has generation %d of %d after a restart", name, p.name, p.generation, p.last)
		}
		kind := "reset"
		if b.remakes {
			kind = "restart"
		}
		in.checkPhoneOnHost(p, jobRow{kind: kind, rolledBack: back}, objects)
	}
}
