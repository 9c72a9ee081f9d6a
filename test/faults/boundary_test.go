package faults

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// boundary is one moment between two steps of a reset, at which the replica that works on it is killed.
type boundary struct {
	name string
	// fault holds the reset at that moment: a call of the host that is made and does not begin (slow), or that was done and whose
	// answer is lost. %s is the phone.
	fault string
	// at is what the job's row says at that moment.
	at string
}

// before and after hold a reset right before a call of the host does anything, and right after it did everything.
func before(operation, at string) boundary {
	return boundary{"before " + operation, fault(operation, `"slow","duration":"10m"`), at}
}

func after(operation, at string) boundary {
	return boundary{"after " + operation, fault(operation, `"lost-answer"`), at}
}

func fault(operation, effect string) string {
	which := `"phone":"%s",`
	if operation == "prepare" { // is of an image, and not of a phone
		which = ``
	}
	return `[{` + which + `"operation":"` + operation + `","times":1,"name":"NAME","effect":` + effect + `}]`
}

// boundaries are all moments of a reset: each phase has begun and its call is still to come, the call was made and its end is not
// saved, and the ends of both ways that a reset goes at once, booting and erasing.
func boundaries() []boundary {
	return []boundary{
		{"accepted", `[]`, `true`},
		before("prepare", `phase = 'preparing'`), after("prepare", `phase = 'preparing'`),
		before("remove", `phase = 'removing'`), after("remove", `phase = 'removing'`),
		before("ensure", `phase = 'creating'`), after("ensure", `phase = 'creating'`),
		before("start", `phase = 'booting'`), after("start", `phase = 'booting'`),
		before("inspect", `phase = 'booting'`),
		before("erase", `erase = 'pending'`), after("erase", `erase = 'pending'`),
		{"erased", fault("inspect", `"slow","duration":"10m"`), `erase = 'done' AND phase = 'booting'`},
		{"booted", fault("erase", `"slow","duration":"10m"`), `erase = 'pending' AND phase = 'verifying'`},
		before("exec", `phase = 'verifying'`), after("exec", `phase = 'verifying'`),
		{"succeeded", `[]`, `phase = 'succeeded'`},
	}
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

// A replica that is killed at each step boundary of a reset, and started again: the reset goes on where it was and succeeds.
func TestKillAtEachBoundary(t *testing.T) {
	longForm(t)
	t.Parallel()
	everywhere(t, killAtEachBoundary)
}

func killAtEachBoundary(t *testing.T, c config) {
	in := install(t, c)
	h := in.addSimulated("rack", in.addImage("first", "first"), 3, 2, `{"boot_time":"20ms"}`)
	victim := in.phones(`server_id = $1`, h.id)[0]
	hits := map[string]int{}
	few := max(1, rounds(t, 1)/len(boundaries()))
	for round := range few {
		for _, b := range boundaries() {
			// A kill comes too late when the reset got on between the look and the signal, which a busy machine makes likely at times.
			for try := 1; !in.killAt(h, victim.id, b, fmt.Sprintf("%s %d %d", b.name, round, try)); try++ {
				if try > 20 {
					t.Fatalf("%s: the kill came too late %d times", b.name, try)
				}
			}
			hits[b.name]++
		}
	}
	for _, b := range boundaries() {
		if hits[b.name] != few {
			t.Errorf("%s: killed there %d times, want %d", b.name, hits[b.name], few)
		}
	}
	t.Logf("killed at %d boundaries, %d times each", len(hits), few)
	in.check()
}

// killAt resets all phones and kills the replica that works on one of them at the boundary. It reports whether the job's row was
// still there when the replica was dead.
func (in *installation) killAt(h *folderHost, victim string, b boundary, name string) (hit bool) {
	t := in.t
	t.Helper()
	script := b.fault
	if b.fault != `[]` {
		script = strings.NewReplacer("NAME", name, "%s", victim).Replace(script)
	}
	struck := h.strikes(t)
	h.faults(t, script)
	phones := in.phones(`server_id = $1`, h.id)
	h.mark(t, phones)
	// A fresh image, so that each reset has one to prepare.
	image := in.addImage("image-"+phone.NewID[string](), phone.NewID[string]())
	request := in.reset(in.live()[0], image, phones)
	reached := `request_id = $1 AND phone_id = $2`
	if strings.Contains(b.fault, `"prepare"`) { // whichever phone's job brings the image
		reached = `request_id = $1 AND $2 <> '' AND phase = 'preparing'`
	}
	var owner string
	eventually(t, b.name, func() bool {
		jobs := in.jobs(reached+` AND `+b.at, request, victim)
		if len(jobs) == 0 || b.fault != `[]` && h.strikes(t) == struck {
			return false
		}
		owner = jobs[0].owner
		return b.fault == `[]` || owner != ""
	})
	killed := in.replicas[0] // of a job that nobody works on yet, or any more
	for _, r := range in.replicas {
		if r.id() == owner {
			killed = r
		}
	}
	killed.kill()
	hit = len(in.jobs(reached+` AND `+b.at, request, victim)) > 0
	h.faults(t, "")
	killed.start()
	in.settle()
	in.wantFailed(h.id, nil)
	return hit
}
