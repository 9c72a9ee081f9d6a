package faults

import (
	"slices"
	"testing"
)

// Replicas that are killed at random moments in the middle of stops and restarts, and started again, leave every phone as it was asked
// for, in the life that it had, with its data; also where a reset came between.
func TestStopsAndRestartsThroughKills(t *testing.T) {
	t.Parallel()
	everywhere(t, stopAndRestart)
}

func stopAndRestart(t *testing.T, c config) {
	in := install(t, c)
	random := newRandom(t)
	images := []string{in.addImage("first", "first"), in.addImage("second", "second")}
	h := in.addSimulated("rack", images[0], 12, 4,
		`{"boot_time":"30ms","boot_spread":0.5,"faults":[{"operation":"stop","effect":"slow","duration":"15ms"},{"operation":"remake","effect":"slow","duration":"15ms"}]}`)
	h.mark(t, in.phones(`server_id = $1`, h.id))
	left := rounds(t, 8)
	for batch := 0; left > 0 || batch < 4; batch++ {
		phones := in.phones(`server_id = $1`, h.id)
		r := in.live()[random.IntN(len(in.live()))]
		in.ready(r)
		status := 8
		switch batch % 4 {
		case 0, 2:
			in.power(r, "stop", "", phones)
		case 1: // to the other image: their instances are made anew
			slices.Reverse(images)
			in.power(r, "restart", images[0], phones)
			status = 2
		case 3:
			in.reset(r, "", phones)
			status = 2
		}
		for left > 0 && in.unfinished() > 0 {
			in.awaitChanges(1 + random.IntN(8))
			in.killAndRestart(random)
			left--
		}
		in.settle()
		for _, p := range in.phones(`server_id = $1`, h.id) {
			if p.status != status {
				t.Errorf("phone %s is in status %d after batch %d, want %d", p.name, p.status, batch, status)
			}
		}
		if batch%4 == 3 {
			h.mark(t, in.phones(`server_id = $1`, h.id))
		}
	}
	// The checks know of marks what the last job was: it must be one that keeps them.
	in.power(in.live()[0], "restart", images[1], in.phones(`server_id = $1`, h.id))
	in.settle()
	in.check()
}

// power stops or restarts the phones through the replica, to an image where one is named; each has to be accepted. It gives the request's id.
func (in *installation) power(r *replica, what, image string, phones []phoneRow) string {
	in.t.Helper()
	type m = map[string]any
	var ids []string
	var elements []m
	for _, p := range phones {
		ids = append(ids, p.id)
		elements = append(elements, m{"phone_id": p.id})
	}
	body, status := m{"phone_ids": ids}, 7
	if what == "restart" {
		body, status = m{"phones": elements, "image_id": image}, 4
	}
	request, err := in.tryBatch(r, "/v1/"+in.project+"/cloud-phone/phones/batch-"+what, body, phones, status)
	if err != nil {
		in.t.Fatal(err)
	}
	return request
}
