package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/testenv"
)

// recorder is a test that only notes what it is told.
type recorder struct {
	testing.TB
	mu   sync.Mutex
	said []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = append(r.said, fmt.Sprintf(format, args...))
}

func (r *recorder) Error(args ...any) { r.Errorf("%s", fmt.Sprint(args...)) }

// The checks find what they are there to find: each kind of damage, done behind lethe's back, is named.
func TestChecksFindDamage(t *testing.T) {
	t.Parallel()
	in := install(t, config{database: testenv.Postgres(t), replicas: 1})
	h := in.addSimulated("rack", in.addImage("first", "first"), 3, 3, `{"boot_time":"10ms"}`)
	phones := in.phones(`server_id = $1`, h.id)
	h.mark(t, phones)
	in.reset(in.replicas[0], "", phones)
	in.check()

	victim := in.phones(`id = $1`, phones[0].id)[0]
	job := in.jobs(`phone_id = $1 AND target = $2`, victim.id, victim.generation)[0]
	instance := filepath.Join(h.phoneDir(victim.id), fmt.Sprintf("%d.instance.json", victim.generation))
	record, err := os.ReadFile(instance)
	if err != nil {
		t.Fatal(err)
	}
	put := func(path, content string) func() {
		return func() {
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	remove := func(path string) func() {
		return func() {
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
		}
	}
	folder := func(path string) func() {
		return func() {
			if err := os.MkdirAll(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}
	}
	volumes, err := filepath.Glob(filepath.Join(h.phoneDir(victim.id), fmt.Sprintf("%d.volume.*", victim.generation)))
	if err != nil || len(volumes) != 1 {
		t.Fatalf("volumes %v, %v", volumes, err)
	}
	mark, older := filepath.Join(volumes[0], markName+"1"), strings.Replace(volumes[0], "/2.volume", "/1.volume", 1)
	second := filepath.Join(filepath.Dir(instance), "1.instance.json")
	stray := strings.ReplaceAll(volumes[0], victim.id, phone.NewID[string]())
	var foreign string
	for foreign = range h.foreign {
		break
	}
	sql := func(query string, args ...any) func() { return func() { in.exec(query, args...) } }
	in.watch = startWatcher(in.db, "postgres")
	for _, damage := range []struct {
		name, says string
		do, undo   func()
	}{
		{"a phone that is reset for ever", "I2: phone", sql(`UPDATE phones SET status = 3 WHERE id = $1`, victim.id), sql(`UPDATE phones SET status = 2 WHERE id = $1`, victim.id)},
		{"a job without a cure", "I2: job", sql(`UPDATE jobs SET phase = 'failed', failure = '{"msg":"x"}' WHERE id = $1`, job.id), sql(`UPDATE jobs SET phase = 'succeeded', failure = NULL WHERE id = $1`, job.id)},
		{"a job that is lost", "is lost", func() { in.accepted["lost"] = victim.id }, func() { delete(in.accepted, "lost") }},
		{"a receipt of another", "another's receipt", sql(`UPDATE jobs SET receipt = replace(receipt, $2, 'x') WHERE id = $1`, job.id, job.phone), sql(`UPDATE jobs SET receipt = $2 WHERE id = $1`, job.id, job.receipt)},
		{"a generation that no job made", "I3: phone", sql(`UPDATE phones SET last_generation = 9 WHERE id = $1`, victim.id), sql(`UPDATE phones SET last_generation = $2 WHERE id = $1`, victim.id, victim.last)},
		{"a job of another project", "I5: ", sql(`UPDATE jobs SET project_id = $2 WHERE id = $1`, job.id, in.stranger), sql(`UPDATE jobs SET project_id = $2 WHERE id = $1`, job.id, in.project)},
		{"an instance that is gone", "its host has []", remove(instance), put(instance, string(record))},
		{"an older instance that runs", "runs 2 times", put(second, strings.Replace(string(record), `"generation":2`, `"generation":1`, 1)), remove(second)},
		{"an older volume", "the volumes", folder(older), remove(older)},
		{"old data", "old data", put(mark, "x"), remove(mark)},
		{"a rollback whose old data is lost", "kept its life (job ", sql(`UPDATE jobs SET phase = 'failed', failure = '{}', erase = 'pending', rollback = true, rolled_back = true WHERE id = $1`, job.id),
			sql(`UPDATE jobs SET phase = 'succeeded', failure = NULL, erase = 'done', rollback = false, rolled_back = false WHERE id = $1`, job.id)},
		{"a rollback to another life", "and rolled back; its phone has generation 2, and had 1", sql(`UPDATE jobs SET phase = 'failed', failure = '{}', erase = 'pending', rollback = true, rolled_back = true WHERE id = $1`, job.id),
			sql(`UPDATE jobs SET phase = 'succeeded', failure = NULL, erase = 'done', rollback = false, rolled_back = false WHERE id = $1`, job.id)},
		{"a phone that nobody knows", "no such phone", folder(stray), remove(filepath.Dir(stray))},
		{"another's data that was changed", "I4: ", put(foreign, "x"), put(foreign, h.foreign[foreign])},
		{"a secret in a log", "I7: ", func() { in.secrets = append(in.secrets, "lethe: listening") }, func() { in.secrets = in.secrets[:len(in.secrets)-1] }},
	} {
		heard := &recorder{TB: t}
		in.t = heard
		for _, look := range []func(){damage.do, in.checkJobs, in.checkPhones, in.checkProjects, in.checkHosts, in.checkLogs, damage.undo} {
			look()
		}
		in.t = t
		if !strings.Contains(strings.Join(heard.said, "\n"), damage.says) {
			t.Errorf("%s: the checks say %q, and nothing of %q", damage.name, heard.said, damage.says)
		}
	}
	quiet := &recorder{TB: t}
	in.t = quiet
	for _, look := range []func(){in.checkJobs, in.checkPhones, in.checkProjects, in.checkHosts, in.checkLogs} {
		look()
	}
	if len(quiet.said) > 0 {
		t.Errorf("everything is in order again, and the checks say %q", quiet.said)
	}

	// What only the watcher sees: states that pass.
	in.t = t
	look := func(query string) {
		t.Helper()
		in.exec(query, victim.id)
		before, _, _ := in.watch.saw() // now: looks may pass while the change is being committed
		eventually(t, "the watcher looks", func() bool { n, _, _ := in.watch.saw(); return n > before+2 })
	}
	look(`UPDATE phones SET status = 3 WHERE id = $1`)
	look(`UPDATE phones SET status = 2, generation = 1, last_generation = 3 WHERE id = $1 AND last_generation > 0`)
	look(`UPDATE phones SET generation = 3 WHERE id = $1`)
	const request = `(SELECT request_id FROM jobs WHERE phone_id = $1 AND target = 2)`
	look(`UPDATE requests SET pace = '{"first":1,"at_once":2}' WHERE id = ` + request)
	look(`UPDATE jobs SET phase = 'queued', paced = true, ended_at = NULL WHERE request_id = ` + request)
	look(`UPDATE jobs SET phase = 'held' WHERE phone_id = $1 AND target = 2`)
	heard := &recorder{TB: t}
	in.t = heard
	in.checkWatch()
	in.t = t
	for _, says := range []string{"I1: a phone in a transitional status", "I6: a phone runs",
		"pace: more jobs of a request are under way", "pace: others were let go before the canary", "pace: a job is held, and nobody looks"} {
		if !strings.Contains(strings.Join(heard.said, "\n"), says) {
			t.Errorf("the watcher says %q, and nothing of %q", heard.said, says)
		}
	}
}
