package faults

import (
	"testing"

	"github.com/lethe-cloud/lethe/internal/testenv"
)

// What hangs holds up nobody else. A server all of whose calls hang, with a slot for each phone, keeps no other server's batches from
// going through, one after the other; and on one server, a phone that never boots keeps its own slot and no more.
func TestNeighboursAreNotHeldUp(t *testing.T) {
	t.Parallel()
	for _, database := range []string{embedded, "postgres"} {
		t.Run(database, func(t *testing.T) {
			t.Parallel()
			c := config{database: database}
			if database != embedded {
				c.database = testenv.Postgres(t)
			}
			neighboursAreNotHeldUp(t, c)
		})
	}
}

func neighboursAreNotHeldUp(t *testing.T, c config) {
	in := install(t, c)
	image := in.addImage("first", "first")
	hanging := in.addSimulated("hangs", image, 20, 20, `{"boot_time":"10ms"}`)
	mixed := in.addSimulated("mixed", image, 8, 2, `{"boot_time":"10ms"}`)
	good := in.addSimulated("good", image, 8, 2, `{"boot_time":"10ms"}`)
	unfinished := func(h host) int {
		return in.count(`SELECT count(*) FROM jobs WHERE ended_at IS NULL AND server_id = $1`, h.server())
	}
	ended := func(what string, h host, left int) {
		t.Helper()
		eventually(t, what, func() bool { return unfinished(h) == left })
	}

	struck := hanging.strikes(t)
	hanging.faults(t, `[{"operation":"remove","effect":"slow","duration":"24h","times":20}]`)
	in.resetAll(in.replicas[0], hanging)
	eventually(t, "every call hangs", func() bool { return hanging.strikes(t) == struck+20 })
	stuck := in.phones(`server_id = $1`, mixed.id)[0]
	mixed.faults(t, `[{"phone":"`+stuck.id+`","operation":"boot","effect":"never"}]`)
	in.resetAll(in.replicas[0], mixed)
	for range max(3, rounds(t, 1)/10) {
		in.resetAll(in.live()[len(in.live())-1], good)
		ended("a good server's batch ends beside calls that hang", good, 0)
		if n := unfinished(hanging); n != 20 {
			t.Errorf("%d jobs of the server that hangs are unfinished, want all 20: this has shown nothing", n)
		}
	}
	ended("all but the phone that never boots have ended on their server", mixed, 1)
	if left := in.jobs(`ended_at IS NULL AND server_id = $1`, mixed.id); left[0].phone != stuck.id || left[0].phase != "booting" {
		t.Errorf("what is left is %s in %s", left[0], left[0].phase)
	}

	// The calls that hang end with their process, and the phone that never boots with its host's fault.
	hanging.faults(t, "")
	mixed.faults(t, "")
	in.exec(`UPDATE servers SET boot_timeout = 1000000 WHERE id = $1`, mixed.id)
	for _, r := range in.replicas {
		r.kill()
		r.start()
	}
	in.settle()
	in.wantFailed(hanging.id, nil)
	in.wantFailed(mixed.id, map[string]string{stuck.name: "CPS.0054"})
	in.exec(`UPDATE servers SET boot_timeout = 300000000 WHERE id = $1`, mixed.id)
	in.resetAll(in.replicas[0], mixed)
	in.settle()
	in.wantFailed(mixed.id, nil)
	in.check()
}
