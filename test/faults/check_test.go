package faults

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// check ends every case. It waits until all accepted jobs have ended, asks the living replicas what strangers see, stops them
// in order, and then holds the database and the hosts against the invariants. It believes nothing that lethe says of itself.
func (in *installation) check() {
	in.t.Helper()
	in.settle()
	in.checkStrangers()
	for _, r := range in.live() {
		in.ready(r)
		r.stop()
	}
	in.checkWatch()
	in.checkJobs()
	in.checkPhones()
	in.checkProjects()
	in.checkReplicas()
	in.checkHosts()
	in.checkLogs()
}

// I1, I6 and the boot slots, in every state of the database that was seen.
func (in *installation) checkWatch() {
	in.t.Helper()
	in.watch.stop()
	in.watch.mu.Lock()
	defer in.watch.mu.Unlock()
	for sentence, times := range in.watch.violations {
		in.t.Errorf("%s: seen %d times in %d looks", sentence, times, in.watch.looks)
	}
	if in.watch.looks == 0 {
		in.t.Error("the database was never looked at")
	}
}

// I2: every job that was accepted is there and ended, in success with its receipt or in a failure with cause and cure.
func (in *installation) checkJobs() {
	in.t.Helper()
	jobs := in.jobs(`true`)
	known := map[string]string{}
	asked := 0
	for _, j := range jobs {
		known[j.id] = j.phone
		if j.kind != "start" { // which nobody asked for
			asked++
		}
		switch j.phase {
		case "succeeded":
			if !phone.Kind(j.kind).Task() { // whose proof is what its program said
				in.checkReceipt(j)
			}
		case "failed", "cancelled":
			var f struct{ Reason, Msg, Detail string }
			if err := json.Unmarshal([]byte(j.failure), &f); err != nil || f.Reason == "" || f.Msg == "" || f.Detail == "" {
				in.t.Errorf("I2: %s is %s without a name, a cause and a cure: %s", j, j.phase, j.failure)
			}
			if j.phase == "cancelled" && j.began {
				in.t.Errorf("%s was cancelled after something had been done to its phone", j)
			}
		default:
			in.t.Errorf("I2: %s is %s after everything has ended", j, j.phase)
		}
		if j.owner != "" {
			in.t.Errorf("I3: %s is over and owned by %s", j, j.owner)
		}
	}
	for job, id := range in.accepted {
		if known[job] != id {
			in.t.Errorf("I2: job %s of phone %s was accepted and is lost", job, id)
		}
	}
	if len(in.accepted) != asked && !in.unsure {
		in.t.Errorf("I2: %d jobs were accepted, the database has %d", len(in.accepted), asked)
	}
}

func (in *installation) checkReceipt(j jobRow) {
	in.t.Helper()
	var r struct {
		Phone     string    `json:"phone_id"`
		Job       string    `json:"job_id"`
		From      int64     `json:"from_generation"`
		To        int64     `json:"to_generation"`
		LookedFor time.Time `json:"looked_for_at"`
		Erased    []struct {
			Generation int64 `json:"generation"`
			Gone       bool  `json:"gone"`
		} `json:"erased"`
	}
	if err := json.Unmarshal([]byte(j.receipt), &r); err != nil {
		in.t.Errorf("%s has a receipt that cannot be read: %v", j, err)
		return
	}
	if r.Phone != j.phone || r.Job != j.id || r.From != j.prior || r.To != j.target {
		in.t.Errorf("I5: %s has another's receipt: %s", j, j.receipt)
	}
	if (j.kind == "reset" || j.kind == "delete") && (j.erase != "done" || r.LookedFor.IsZero()) {
		in.t.Errorf("%s succeeded and nobody has looked for older volumes: erase %s, receipt %s", j, j.erase, j.receipt)
	}
	for _, e := range r.Erased {
		if !e.Gone || e.Generation >= j.target && j.kind != "delete" || e.Generation > j.target {
			in.t.Errorf("%s: its receipt has generation %d, gone %v", j, e.Generation, e.Gone)
		}
	}
}

// I1 and I2: no phone is left in a transitional status; each has the generation that its last job led to, and no number twice.
func (in *installation) checkPhones() {
	in.t.Helper()
	if n := in.count(`SELECT count(*) FROM (SELECT phone_id FROM jobs WHERE kind IN ('create', 'reset') GROUP BY phone_id, target HAVING count(*) > 1) AS twice`); n > 0 {
		in.t.Errorf("I3: %d generations were given twice", n)
	}
	last, highest := map[string]jobRow{}, map[string]int64{}
	succeeded := map[string]jobRow{}
	for _, j := range in.jobs(`true`) {
		if phone.Kind(j.kind).Task() {
			continue // it says nothing of what its phone is
		}
		last[j.phone] = j
		highest[j.phone] = max(highest[j.phone], j.target)
		if j.phase == "succeeded" {
			succeeded[j.phone] = j
		}
	}
	for _, p := range in.phones(`true`) {
		j := last[p.id]
		want := map[string]int{
			"create succeeded": 2, "reset succeeded": 2, "start succeeded": 2, "create failed": -8, "reset failed": -5, "start failed": -7,
			"stop succeeded": 8, "stop failed": -9, "restart succeeded": 2, "restart failed": -6, "restart cancelled": j.priorStatus,
			"delete failed": -5, "update succeeded": j.priorStatus, "update failed": j.priorStatus,
			"reset cancelled": j.priorStatus,
		}[j.kind+" "+j.phase]
		if j.rolledBack {
			want = j.priorStatus
			if !j.rollback || j.phase != "failed" || p.generation != j.prior {
				in.t.Errorf("%s is %s (policy %v) and rolled back; its phone has generation %d, and had %d", j, j.phase, j.rollback, p.generation, j.prior)
			}
		}
		if p.status != want {
			in.t.Errorf("I2: phone %s is in status %d after its last %s, want %d", p.name, p.status, j, want)
		}
		if p.last != highest[p.id] || p.generation != succeeded[p.id].target {
			in.t.Errorf("I3: phone %s has generation %d (last %d), want %d (last %d)", p.name, p.generation, p.last, succeeded[p.id].target, highest[p.id])
		}
	}
}

// I5, as far as rows show it: what belongs together is of one project.
func (in *installation) checkProjects() {
	in.t.Helper()
	if n := in.count(`SELECT count(*) FROM jobs j JOIN phones p ON p.id = j.phone_id JOIN servers s ON s.id = j.server_id JOIN requests r ON r.id = j.request_id
		WHERE j.project_id <> p.project_id OR j.project_id <> s.project_id OR j.project_id <> r.project_id OR p.server_id <> s.id`); n > 0 {
		in.t.Errorf("I5: %d jobs mix projects or servers", n)
	}
	if n := in.count(`SELECT (SELECT count(*) FROM phones WHERE project_id <> $1) + (SELECT count(*) FROM jobs WHERE project_id <> $1)`, in.project); n > 0 {
		in.t.Errorf("I5: %d rows are of a project that never had any", n)
	}
}

// Replicas that ended in order have given their leases back.
func (in *installation) checkReplicas() {
	in.t.Helper()
	for _, r := range in.replicas {
		if n := in.owns(r); n > 0 {
			in.t.Errorf("I3: replica %s has ended and owns %d jobs", r.id(), n)
		}
	}
}

// I3 and I4, on the hosts: each phone that runs has its present generation there, made by the job that says so, running on a
// volume without old data, and nothing else; a failed one has at most what its jobs had begun; strangers' things are untouched.
func (in *installation) checkHosts() {
	in.t.Helper()
	jobs, last := map[string]jobRow{}, map[string]jobRow{}
	for _, j := range in.jobs(`true`) {
		if jobs[j.id] = j; !phone.Kind(j.kind).Task() {
			last[j.phone] = j
		}
	}
	for _, h := range in.hosts {
		objects := h.objects(in.t, in)
		known := map[string]phoneRow{}
		for _, p := range in.phones(`server_id = $1`, h.server()) {
			known[p.id] = p
			in.checkPhoneOnHost(p, last[p.id], objects)
		}
		for _, o := range objects {
			p, ok := known[o.phone]
			switch j := jobs[o.job]; {
			case !ok:
				in.t.Errorf("I4: %s is on the host of server %s, which has no such phone", o, h.server())
			case o.generation > p.last:
				in.t.Errorf("I3: %s is above the highest generation %d", o, p.last)
			case o.job != "" && (j.phone != o.phone || j.target != o.generation):
				in.t.Errorf("I3: %s is not what its job makes", o)
			}
		}
		in.checkBoots(h.server(), objects)
	}
}

// checkPhoneOnHost looks at one phone. The data that the test left in the life that a reset was to end must be gone after a success,
// and must still be there after a rollback; a stop and a restart leave what a life has.
func (in *installation) checkPhoneOnHost(p phoneRow, last jobRow, objects []object) {
	in.t.Helper()
	var instances, volumes, running []object
	for _, o := range objects {
		switch {
		case o.phone != p.id:
		case o.volume:
			volumes = append(volumes, o)
		default:
			instances = append(instances, o)
			if o.running {
				running = append(running, o)
			}
		}
	}
	if len(running) > 1 {
		in.t.Errorf("I3: phone %s runs %d times: %v", p.name, len(running), running)
	}
	if p.status != 2 && p.status != 8 {
		return
	}
	if len(instances) != 1 || instances[0].generation != p.generation || instances[0].booted != (p.status == 2) || p.status == 8 && len(running) > 0 {
		in.t.Errorf("I3: phone %s is in status %d with generation %d, and its host has %v", p.name, p.status, p.generation, instances)
	}
	if len(volumes) != 1 || volumes[0].generation != p.generation || volumes[0].trash {
		in.t.Errorf("I3: phone %s is in status %d with generation %d, and its host has the volumes %v", p.name, p.status, p.generation, volumes)
	}
	for _, v := range volumes {
		if last.rolledBack || last.kind == "stop" || last.kind == "restart" || last.kind == "update" {
			if want := markName + strconv.FormatInt(p.generation, 10); !slices.Equal(v.marks, []string{want}) {
				in.t.Errorf("phone %s kept its life (%s), and its volume has %v instead of its old data %s", p.name, last, v.marks, want)
			}
			continue
		}
		if len(v.marks) > 0 {
			in.t.Errorf("phone %s was reset, and its volume has old data: %v", p.name, v.marks)
		}
	}
}

// checkBoots compares what the host has written down of starts and boots with the server's boot slots.
func (in *installation) checkBoots(server string, objects []object) {
	in.t.Helper()
	var slots int
	in.row(`SELECT coalesce(max(max_concurrent_boots), 0) FROM servers WHERE id = $1`, []any{server}, &slots) // none: it was deleted
	type event struct {
		at    time.Time
		begin int
	}
	var events []event
	for _, o := range objects {
		if !o.started.IsZero() && !o.boots.IsZero() {
			events = append(events, event{o.started, 1}, event{o.boots, -1})
		}
	}
	slices.SortFunc(events, func(a, b event) int {
		if c := a.at.Compare(b.at); c != 0 {
			return c
		}
		return a.begin - b.begin
	})
	booting, most := 0, 0
	for _, e := range events {
		booting += e.begin
		most = max(most, booting)
	}
	if most > slots {
		in.t.Errorf("%d phones of server %s booted at once, it has %d boot slots", most, server, slots)
	}
}

// I5: the owner of another project sees no server, phone or job of this one, and can change none, by any living replica.
func (in *installation) checkStrangers() {
	in.t.Helper()
	phones := in.phones(`true`)
	if len(phones) == 0 {
		in.t.Fatal("there is no phone to ask for")
	}
	token := in.tokens[in.stranger]
	for _, r := range in.live() {
		in.ready(r)
		for _, list := range []string{"phones", "servers"} {
			got, err := in.send(r, http.MethodGet, "/lethe/v1/"+list, token, nil)
			var count struct{ Count int }
			if err != nil || got.status != http.StatusOK || json.Unmarshal(got.body, &count) != nil || count.Count != 0 {
				in.t.Errorf("I5: a stranger asks for %s and gets %d %s (%v)", list, got.status, got.body, err)
			}
		}
		bodies := map[string]bool{}
		for _, id := range []string{phones[0].id, strings.Repeat("0", 32)} {
			got, err := in.send(r, http.MethodGet, "/lethe/v1/phones/"+id, token, nil)
			if err != nil || got.status != http.StatusNotFound {
				in.t.Errorf("I5: a stranger asks for a phone and gets %d %s (%v)", got.status, got.body, err)
			}
			bodies[strings.ReplaceAll(string(got.body), got.header.Get("X-Request-Id"), "")] = true
		}
		if len(bodies) != 1 {
			in.t.Errorf("I5: a strange phone and one that does not exist look different: %v", bodies)
		}
		got, err := in.send(r, http.MethodPost, "/v1/"+in.stranger+"/cloud-phone/phones/batch-reset", token,
			map[string]any{"phones": []map[string]any{{"phone_id": phones[0].id}}})
		if err != nil || strings.Contains(string(got.body), "job_id") || !strings.Contains(string(got.body), "CPS.0004") {
			in.t.Errorf("I5: a stranger resets a phone and gets %d %s (%v)", got.status, got.body, err)
		}
	}
	for i, p := range in.phones(`true`) {
		if p != phones[i] {
			in.t.Errorf("I5: a stranger changed phone %s", p.name)
		}
	}
}

// I7: no log has a password, a key, a token or a property's value.
func (in *installation) checkLogs() {
	in.t.Helper()
	for _, r := range in.replicas {
		said := r.said()
		for _, secret := range in.secrets {
			if strings.Contains(said, secret) {
				in.t.Errorf("I7: the log of replica %s has a secret", r.id())
			}
		}
	}
}
