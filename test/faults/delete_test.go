package faults

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/testenv"
)

// deletions are all moments of a deletion.
func deletions() []boundary {
	return []boundary{
		{name: "accepted", at: `true`},
		before("remove", `phase = 'deleting'`), after("remove", `phase = 'deleting'`),
		before("erase", `phase = 'deleting'`), after("erase", `phase = 'deleting'`),
		{name: "succeeded", at: `phase = 'succeeded'`},
	}
}

// A replica that is killed at each step boundary of a deletion, and started again, deletes the phone all the same, with nothing of it left;
// and then, killed once more while its phones go, the whole server.
func TestDeletionsThroughKills(t *testing.T) {
	t.Parallel()
	onBoth(t, deleteThroughKills)
}

func deleteThroughKills(t *testing.T, c config) {
	in := install(t, c)
	kept := in.addSimulated("kept", in.addImage("first", "first"), 1, 1, `{"boot_time":"20ms"}`)
	h := in.addSimulated("rack", in.addImage("second", "second"), len(deletions())+4, 4, `{"boot_time":"20ms"}`)
	for _, b := range deletions() {
		in.deleteAt(h, b)
	}
	r := in.live()[0]
	if got, err := in.send(r, http.MethodPost, "/lethe/v1/servers/"+h.id+"/restart", in.tokens[in.project], nil); err != nil || got.status != http.StatusOK {
		t.Fatalf("restart the server: %d %s (%v)", got.status, got.body, err)
	}
	in.killAndRestart(newRandom(t))
	in.settleServers()
	in.ready(r)
	if got, err := in.send(r, http.MethodDelete, "/lethe/v1/servers/"+h.id, in.tokens[in.project], nil); err != nil || got.status != http.StatusOK {
		t.Fatalf("delete the server: %d %s (%v)", got.status, got.body, err)
	}
	in.killAndRestart(newRandom(t))
	in.settleServers()
	if n := in.count(`SELECT count(*) FROM servers WHERE id = $1`, h.id); n != 0 {
		t.Error("I2: the server is there after its deletion")
	}
	if n := in.count(`SELECT count(*) FROM server_jobs WHERE failure IS NOT NULL`); n != 0 {
		t.Errorf("%d jobs of servers failed", n)
	}
	if objects := h.objects(t, in); len(objects) != 0 {
		t.Errorf("the host of a deleted server has %v", objects)
	}
	if n := len(in.phones(`server_id = $1`, kept.id)); n != 1 {
		t.Errorf("the other server has %d phones", n)
	}
	in.mu.Lock()
	in.unsure = true // the calls about the whole server named no phones' jobs
	in.mu.Unlock()
	in.check()
}

// settleServers waits until every job has ended, those of servers too.
func (in *installation) settleServers() {
	in.t.Helper()
	in.settle()
	eventually(in.t, "the end of the servers' jobs", func() bool { return in.count(`SELECT count(*) FROM server_jobs WHERE ended_at IS NULL`) == 0 })
}

// deleteAt deletes a phone of the host, holds that at the boundary, kills the replica that works on it, and starts that again.
func (in *installation) deleteAt(h *folderHost, b boundary) {
	t := in.t
	t.Helper()
	victim := in.phones(`server_id = $1`, h.id)[0]
	struck := h.strikes(t)
	h.faults(t, b.script(victim, "delete, "+b.name))
	r := in.live()[0]
	in.ready(r)
	request, err := in.tryBatch(r, "/lethe/v1/phones/batch-delete", map[string]any{"phone_ids": []string{victim.id}}, []phoneRow{victim}, 7)
	if err != nil {
		t.Fatal(err)
	}
	var owner string
	eventually(t, b.name, func() bool {
		jobs := in.jobs(`request_id = $1 AND `+b.at, request)
		if len(jobs) == 0 || b.hold != "" && h.strikes(t) == struck {
			return false
		}
		owner = jobs[0].owner
		return b.hold == "" || owner != ""
	})
	killed := in.replicas[0]
	for _, r := range in.replicas {
		if r.id() == owner {
			killed = r
		}
	}
	killed.kill()
	h.faults(t, "")
	killed.start()
	in.settle()
	for _, j := range in.jobs(`request_id = $1`, request) {
		if j.phase != "succeeded" {
			t.Errorf("%s: %s is %s: %s", b.name, j, j.phase, j.failure)
		}
	}
	if n := in.count(`SELECT count(*) FROM phones WHERE id = $1`, victim.id); n != 0 {
		t.Errorf("%s: the deleted phone is there", b.name)
	}
	for _, o := range h.objects(t, in) {
		if o.phone == victim.id {
			t.Errorf("%s: the host has %s of a deleted phone", b.name, o)
		}
	}
}

// A server on Docker of which one phone's volume is used by somebody else: that phone and so the server stay, and say why; when the cause is
// gone both are deleted, and the daemon has nothing of them, but what is another installation's.
func TestDockerServerIsDeleted(t *testing.T) {
	t.Parallel()
	endpoint, reference := testenv.Docker(t), testenv.SimphoneImage(t)
	var in *installation
	purge(t, endpoint, &in)
	in = install(t, config{database: testenv.Postgres(t), flags: []string{"--host-deadline", "5s"}})
	d, image := newDaemon(t, endpoint), in.addImage("first", reference)
	kept := in.addDocker(d, endpoint, api.AddServer{ServerName: "kept", PhoneCount: 1, ImageID: image, Config: template()})
	h := in.addDocker(d, endpoint, api.AddServer{ServerName: "rack", PhoneCount: 3, ImageID: image, MaxConcurrentBoots: 3, Config: template()})
	used := in.phones(`server_id = $1`, h.id)[0]
	var user struct {
		ID string `json:"Id"`
	}
	d.ask(http.MethodPost, "/containers/create", map[string]any{"Image": reference, "Cmd": []string{"none"}, "HostConfig": map[string]any{
		"Binds": []string{fmt.Sprintf("lethe-%s-g%d-data:/used", used.id, used.generation)},
	}}, &user)
	t.Cleanup(func() { d.ask(http.MethodDelete, "/containers/"+user.ID+"?force=1", nil, nil) })
	remove := func() {
		t.Helper()
		if got, err := in.send(in.live()[0], http.MethodDelete, "/lethe/v1/servers/"+h.id, in.tokens[in.project], nil); err != nil || got.status != http.StatusOK {
			t.Fatalf("delete the server: %d %s (%v)", got.status, got.body, err)
		}
		in.settleServers()
	}
	remove()
	left := in.phones(`server_id = $1`, h.id)
	if len(left) != 1 || left[0].id != used.id || left[0].status != -5 {
		t.Errorf("left of the server: %v", left)
	}
	if n := in.count(`SELECT count(*) FROM server_jobs WHERE server_id = $1 AND failure LIKE '%1 of 3 phones could not be deleted%'`, h.id); n != 1 {
		t.Errorf("%d jobs say why the server stays", n)
	}
	d.ask(http.MethodDelete, "/containers/"+user.ID+"?force=1", nil, nil)
	remove()
	if n := in.count(`SELECT count(*) FROM servers WHERE id = $1`, h.id); n != 0 {
		t.Error("the server is there after its deletion")
	}
	if objects := h.objects(t, in); len(objects) != 0 {
		t.Errorf("the daemon has %v of a deleted server", objects)
	}
	if d.ask(http.MethodGet, "/volumes/"+h.foreign, nil, nil) != http.StatusOK {
		t.Error("I4: another installation's volume is gone")
	}
	if n := len(in.phones(`server_id = $1`, kept.id)); n != 1 {
		t.Errorf("the other server has %d phones", n)
	}
	in.mu.Lock()
	in.unsure = true // as above
	in.mu.Unlock()
	in.check()
}
