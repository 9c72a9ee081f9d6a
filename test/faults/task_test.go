package faults

import (
	"fmt"
	"testing"
)

// Replicas that are killed at random moments while commands run leave no command that ran twice, and none without an end; a reset in
// between ends them.
func TestCommandsThroughKills(t *testing.T) {
	t.Parallel()
	everywhere(t, runCommands)
}

func runCommands(t *testing.T, c config) {
	in := install(t, c)
	random := newRandom(t)
	h := in.addSimulated("rack", in.addImage("first", "first"), 12, 4,
		`{"boot_time":"30ms","boot_spread":0.5,"faults":[{"operation":"exec","effect":"slow","duration":"15ms"}]}`)
	left := rounds(t, 4)
	for batch := 0; left > 0 || batch < 3; batch++ {
		phones := in.phones(`server_id = $1`, h.id)
		r := in.live()[random.IntN(len(in.live()))]
		in.ready(r)
		for n := range 3 {
			in.command(r, fmt.Sprintf("mkdir /data/ran-%d-%d", batch, n), phones) // which fails when it has run before
		}
		if batch%3 == 2 {
			in.reset(r, "", phones)
		}
		for left > 0 && in.unfinished() > 0 {
			in.awaitChanges(1 + random.IntN(8))
			in.killAndRestart(random)
			left--
		}
		in.settle()
	}
	if n := in.count(`SELECT count(*) FROM jobs WHERE kind = 'shell' AND phase = 'failed' AND failure LIKE '%command_failed%'`); n > 0 {
		t.Errorf("%d commands ran twice", n)
	}
	if n := in.count(`SELECT count(*) FROM jobs WHERE kind = 'shell' AND phase = 'succeeded'`); n == 0 {
		t.Error("no command succeeded")
	}
	in.check()
}

// command runs a command in the phones through the replica; each has to be accepted, and stays as it is.
func (in *installation) command(r *replica, content string, phones []phoneRow) {
	in.t.Helper()
	var ids []string
	for _, p := range phones {
		ids = append(ids, p.id)
	}
	body := map[string]any{"command": "shell", "content": content, "phone_ids": ids}
	if _, err := in.tryBatch(r, "/v1/"+in.project+"/cloud-phone/phones/commands", body, phones, 2); err != nil {
		in.t.Fatal(err)
	}
}
