package faults

import (
	"fmt"
	"strings"
	"testing"
)

// Resets that nothing stops on their way and whose end does not stand up to a look at it: a property that is set and does not take, an
// older volume that cannot be removed. Without the rollback policy both phones fail, and say why. With it the old life comes back when a
// property did not take, even if the new life cannot be destroyed; a volume that stays is found after the point of no return, and fails the phone.
// When the cause is gone they are reset as if nothing had been.
func TestVerificationFails(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, c config) {
		in := install(t, c)
		h := in.addSimulated("rack", in.addImage("first", "first"), 4, 4, `{"boot_time":"20ms"}`)
		for range max(1, rounds(t, 1)/20) {
			in.failVerification(h, false)
			in.failVerification(h, true)
		}
		in.check()
	})
}

// failVerification resets the server's phones, of which the first's properties do not take, the second's older volumes stay, and the
// third's properties do not take and its new life stays; the fourth has no fault. Then it resets them again, without any.
func (in *installation) failVerification(h *folderHost, keeps bool) {
	t := in.t
	t.Helper()
	phones := in.phones(`server_id = $1`, h.id)
	h.mark(t, phones)
	ignores := func(p phoneRow) string {
		return fmt.Sprintf(`{"phone":%q,"operation":"exec","effect":"ignored","generations":[%d]}`, p.id, p.last+1)
	}
	fails := func(p phoneRow, operation string) string {
		return fmt.Sprintf(`{"phone":%q,"operation":%q,"effect":"fail"}`, p.id, operation)
	}
	h.faults(t, `[`+strings.Join([]string{ignores(phones[0]), fails(phones[1], "erase"), ignores(phones[2]), fails(phones[2], "discard")}, ",")+`]`)
	reset := in.reset
	if keeps {
		reset = in.resetKeeping
	}
	request := reset(in.replicas[0], "", phones)
	in.settle()
	in.wantFailed(h.id, map[string]string{"rack-0001": "CPS.0003", "rack-0002": "CPS.0003", "rack-0003": "CPS.0003"})
	objects := h.objects(t, in)
	for i, want := range []struct {
		reason string
		back   bool
		left   []int64 // volumes
	}{
		{"verify_failed", keeps, nil},
		{"erase_failed", false, []int64{phones[1].generation, phones[1].last + 1}},
		{"verify_failed", keeps, nil},
		{"", false, []int64{phones[3].last + 1}},
	} {
		switch {
		case want.left != nil:
		case !keeps: // what was older is gone, and what failed is there to be looked at
			want.left = []int64{phones[i].last + 1}
		case i == 2:
			want.left = []int64{phones[i].generation, phones[i].last + 1}
		default:
			want.left = []int64{phones[i].generation}
		}
		j, p := in.jobs(`request_id = $1 AND phone_id = $2`, request, phones[i].id)[0], in.phones(`id = $1`, phones[i].id)[0]
		status := map[bool]int{true: 2, false: -5}[want.back || want.reason == ""]
		if p.status != status || j.rolledBack != want.back || !strings.Contains(j.failure, want.reason) {
			t.Errorf("phone %s (policy %v) is in status %d, brought back: %v, failure %q; want %d, %v, %s", p.name, keeps, p.status, j.rolledBack, j.failure, status, want.back, want.reason)
		}
		in.checkVolumes(p, objects, want.left, phones[i].generation)
	}
	h.faults(t, "")
	in.reset(in.live()[0], "", in.phones(`server_id = $1`, h.id))
	in.settle()
	in.wantFailed(h.id, nil)
}

// checkVolumes fails unless the phone has exactly the volumes of these lives on its host, the marked one of them with its data.
func (in *installation) checkVolumes(p phoneRow, objects []object, want []int64, marked int64) {
	in.t.Helper()
	got := map[int64]object{}
	for _, o := range objects {
		if o.volume && o.phone == p.id {
			got[o.generation] = o
		}
	}
	for _, generation := range want {
		v, there := got[generation]
		if !there || v.trash || (len(v.marks) > 0) != (generation == marked) {
			in.t.Errorf("phone %s: the volume of life %d is there: %v; it has %v", p.name, generation, there, v)
		}
	}
	if len(got) != len(want) {
		in.t.Errorf("phone %s has the volumes %v, want those of the lives %v", p.name, got, want)
	}
}
