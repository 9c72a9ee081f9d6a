package faults

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/testenv"
)

// pacedReset resets the phones at a pace through a replica that is ready, and gives the request's id.
func (in *installation) pacedReset(r *replica, phones []phoneRow, pace api.Pace) string {
	in.t.Helper()
	in.ready(r)
	request, err := in.tryPacedReset(r, "", phones, &pace)
	if err != nil {
		in.t.Fatal(err)
	}
	return request
}

// Paced batches, on two servers at once, keep their pace over all replicas and come to their ends while replicas are killed at random
// moments and started again. The watcher holds every state of the database that it sees against the pace.
func TestPaceHoldsThroughKills(t *testing.T) {
	t.Parallel()
	in := install(t, config{database: testenv.Postgres(t)})
	random := newRandom(t)
	image := in.addImage("first", "first")
	hosts := []*folderHost{
		in.addSimulated("rack", image, 9, 4, `{"boot_time":"30ms","boot_spread":0.5}`),
		in.addSimulated("shelf", image, 6, 4, `{"boot_time":"30ms"}`),
	}
	left := rounds(t, 6)
	for left > 0 {
		for _, h := range hosts {
			h.mark(t, in.phones(`server_id = $1`, h.id))
		}
		phones := in.phones(`true`)
		random.Shuffle(len(phones), func(i, j int) { phones[i], phones[j] = phones[j], phones[i] })
		r := in.live()[random.IntN(len(in.live()))]
		requests := map[string]int{
			in.pacedReset(r, phones[:9], api.Pace{First: new(2), AtOnce: new(3)}): 3,
			in.pacedReset(r, phones[9:], api.Pace{AtOnce: new(1)}):                1,
		}
		for left > 0 && in.unfinished() > 0 {
			in.awaitChanges(1 + random.IntN(12))
			in.killAndRestart(random)
			left--
		}
		in.settle()
		for request, most := range requests {
			if n := in.watch.sawOpen(request); n > most {
				t.Errorf("%d jobs of a request were seen under way at once, want at most %d", n, most)
			}
		}
	}
	if n := in.count(`SELECT count(*) FROM jobs WHERE phase <> 'succeeded'`); n > 0 {
		t.Errorf("%d jobs have not succeeded", n)
	}
	in.check()
}

// A paced batch of which too many fail stops, whatever is killed meanwhile: the phones that it did not reach are in status 2, with
// their generation, their instance and every file they had; the answer of any replica says why, and a retry goes on.
func TestPaceStopsThroughKills(t *testing.T) {
	t.Parallel()
	in := install(t, config{database: testenv.Postgres(t)})
	random := newRandom(t)
	image := in.addImage("first", "first")
	// Each third phone's next boot ends at once.
	h := in.addSimulated("rack", image, 12, 4, `{"boot_time":"20ms","faults":[
		{"phone":"rack-*[369]","operation":"boot","effect":"exit","exit_code":1,"duration":"1ms","generations":[2]}]}`)
	phones := in.phones(`server_id = $1`, h.id)
	h.mark(t, phones)
	before := h.tree(t)
	request := in.pacedReset(in.replicas[random.IntN(3)], phones, api.Pace{First: new(3), AtOnce: new(3), StopPercent: new(25)})
	for range rounds(t, 3) {
		if in.unfinished() == 0 {
			break
		}
		in.awaitChanges(1 + random.IntN(5))
		in.killAndRestart(random)
	}
	in.settle()

	var progress api.Progress
	in.ready(in.replicas[1])
	in.call(in.replicas[1], http.MethodGet, "/lethe/v1/requests/"+request, nil, &progress)
	want := "1 of the first 3 phones failed, more than the 25 % that the request allows."
	if full := "1 of 3 phones failed, more than the 25 % that the request allows."; progress.Stopped == nil || progress.Stopped.Msg != want && progress.Stopped.Msg != full {
		t.Fatalf("the request says %+v", progress.Stopped)
	}
	after, untouched := h.tree(t), 0
	for i, p := range in.phones(`server_id = $1`, h.id) {
		j := in.jobs(`request_id = $1 AND phone_id = $2`, request, p.id)[0]
		if i >= 3 && j.phase != "cancelled" {
			t.Errorf("%s, behind the canary, is %s", j, j.phase)
		}
		if j.phase != "cancelled" {
			continue
		}
		untouched++
		if p.status != 2 || p.generation != phones[i].generation || p.image != phones[i].image {
			t.Errorf("a phone that was not reached is %+v, it was %+v", p, phones[i])
		}
		mark, err := filepath.Glob(filepath.Join(h.phoneDir(p.id), fmt.Sprintf("%d.volume.*", p.generation), markName+"*"))
		if err != nil || len(mark) != 1 {
			t.Errorf("the data of a phone that was not reached: %v, %v", mark, err)
		}
		if diff := cmp.Diff(under(before, h.phoneDir(p.id)), under(after, h.phoneDir(p.id))); diff != "" {
			t.Errorf("what a phone that was not reached has on its host (-before +after):\n%s", diff)
		}
	}
	if untouched < 9 {
		t.Errorf("%d phones were not reached, want at least 9", untouched)
	}

	// The fault is over with the second generation: all that is left is reset, at the same pace.
	var again api.Accepted
	in.call(in.replicas[2%len(in.live())], http.MethodPost, "/lethe/v1/requests/"+request+"/retry", nil, &again)
	for _, j := range again.Jobs {
		in.accepted[j.JobID] = j.PhoneID
	}
	in.settle()
	if n := in.count(`SELECT count(*) FROM jobs WHERE request_id = $1 AND phase = 'succeeded'`, again.RequestID); n != len(again.Jobs) || n < 10 {
		t.Errorf("%d of %d retried phones were reset", n, len(again.Jobs))
	}
	in.check()
}

// under gives the part of a host's tree that is below a folder, the folders themselves aside.
func under(tree map[string]string, dir string) map[string]string {
	part := map[string]string{}
	for path, state := range tree {
		if rel, err := filepath.Rel(dir, path); err == nil && filepath.IsLocal(rel) && rel != "." && state != os.ModeDir.String() {
			part[rel] = state
		}
	}
	return part
}
