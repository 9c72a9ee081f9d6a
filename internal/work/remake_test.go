package work_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// restartTo restarts phones, all of which must be accepted, to an image ("": their own) and with properties.
func (b *bench) restartTo(image phone.ImageID, given phone.Properties, phones ...phone.Phone) phone.RequestID {
	b.t.Helper()
	in := fleet.AcceptRestart{Image: image, Check: anyProperties}
	in.Request = phone.Request{ID: phone.NewID[phone.RequestID](), Project: b.project, Kind: phone.KindRestart, Caller: "test", CreatedAt: time.Now()}
	for _, p := range phones {
		in.Items = append(in.Items, phone.ResetItem{PhoneID: string(p.ID), Given: given})
	}
	_, outcomes, err := b.store.AcceptRestart(b.t.Context(), in)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, o := range outcomes {
		if o.Err != nil {
			b.t.Fatalf("phone %s refused: %v", o.PhoneID, o.Err)
		}
	}
	return in.Request.ID
}

// wantMade holds a running phone and its instance to an image, a model and the volume that its first job made.
func (b *bench) wantMade(i int, image phone.Image, model string, volume phone.JobID) {
	b.t.Helper()
	p := b.phone(b.phones[i].ID)
	if p.Status != phone.StatusRunning || p.Image != image.ID || p.Properties["ro.product.model"] != model || p.Generation != 1 || p.LastGeneration != 1 {
		b.t.Errorf("the phone: %+v", p)
	}
	b.host.set(b.ref(i, 1), func(m *memoryInstance) {
		if m.spec.Image.ID != image.ID || m.props["ro.product.model"] != model || !m.running {
			b.t.Errorf("the instance: %+v", m)
		}
	})
	if now := b.volume(i); now != volume {
		b.t.Errorf("the volume was made by %s and is now that of %s", volume, now)
	}
}

func (b *bench) volume(i int) phone.JobID {
	b.host.mu.Lock()
	defer b.host.mu.Unlock()
	return b.host.volumes[b.ref(i, 1)]
}

func noHook(context.Context, string, driver.Ref) error { return nil }

// A restart with an image and a property brings the image, makes the instance anew on the volume that is there, and gives the phone both.
func TestRestartToAnImage(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2, 1)
	b.start()
	b.created()
	volumes := []phone.JobID{b.volume(0), b.volume(1)}
	b.succeeded(b.power(phone.KindStop, b.phones[1]))
	b.host.onCall(func(_ context.Context, call string, ref driver.Ref) error {
		if slices.Contains([]string{"ensure", "remove", "erase", "discard"}, call) {
			t.Errorf("%s of %+v: a restart keeps the life", call, ref)
		}
		return nil
	})
	jobs := b.succeeded(b.restartTo(b.images[1].ID, phone.Properties{"ro.product.model": "X", "com.cph.mainkeys": "1"}, b.phones...))
	for i, j := range jobs {
		b.wantMade(i, b.images[1], "X", volumes[i])
		want := []phone.PropertyReading{{Key: "com.cph.mainkeys", Effect: phone.EffectVerified}, {Key: "ro.product.model", Effect: phone.EffectVerified}}
		r := j.Receipt
		if r.Image != b.images[1].ID || r.Identity.ID != "sha256:"+b.images[1].Reference || r.From != 1 || r.To != 1 || !slices.Equal(r.Properties, want) {
			t.Errorf("the receipt: %+v", r)
		}
		if j.PhaseAt[phone.PhaseCreating].IsZero() || j.PriorImage != b.images[0].ID {
			t.Errorf("the job: %+v", j)
		}
	}
	if n := b.host.count("remake"); n != 2 {
		t.Errorf("%d instances were made anew", n)
	}
	b.succeeded(b.power(phone.KindRestart, b.phones...)) // they are what they should be
	b.succeeded(b.restartTo(b.images[1].ID, nil, b.phones...))
	if n := b.host.count("remake"); n != 2 {
		t.Errorf("%d instances were made anew after restarts that ask for what is there", n)
	}
}

// Cut off at any call, by the end of the process or a lost answer, the next attempt goes on, and the data is there.
func TestRestartToAnImageGoesOn(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"prepare", "stop", "remake", "remake, the old one is gone", "start", "inspect", "exec getprop"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, 1, 1)
			stop := b.start()
			b.created()
			volume := b.volume(0)
			reached := make(chan struct{}, 1000)
			b.host.onCall(func(_ context.Context, call string, _ driver.Ref) error {
				if call == at {
					reached <- struct{}{}
					return phone.Errorf(phone.Unavailable, "", "the answer was lost")
				}
				return nil
			})
			request := b.restartTo(b.images[1].ID, phone.Properties{"ro.product.model": "X"}, b.phones...)
			<-reached
			stop()
			b.host.onCall(noHook)
			b.start()
			b.succeeded(request)
			b.wantMade(0, b.images[1], "X", volume)
		})
	}
}

// A restart to an image that cannot be had, or does not boot, leaves the phone's data and its row; a restart without any brings back what the
// row says, and a retry tries again what was asked for.
func TestRestartToAnImageFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		hook   func(b *bench, call string, ref driver.Ref) error
		reason phone.Reason
	}{
		"no such image": {func(_ *bench, call string, _ driver.Ref) error {
			if call == "prepare" {
				return phone.Errorf(phone.NotFound, phone.ReasonImageNotFound, "no such image")
			}
			return nil
		}, phone.ReasonImageNotFound},
		"between the two": {func(_ *bench, call string, _ driver.Ref) error {
			if call == "remake, the old one is gone" || call == "remake" {
				return phone.Errorf(phone.Internal, phone.ReasonHostFailed, "the disk is full")
			}
			return nil
		}, phone.ReasonHostFailed},
		"it ends": {func(b *bench, call string, ref driver.Ref) error {
			if call == "inspect" {
				b.host.set(ref, func(i *memoryInstance) {
					if i != nil && i.running && i.spec.Image.ID == b.images[1].ID {
						i.running, i.booted, i.exited, i.exitCode = false, false, true, 129
					}
				})
			}
			return nil
		}, phone.ReasonBootExited},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, 1, 1)
			b.start()
			b.created()
			volume := b.volume(0)
			b.host.onCall(func(_ context.Context, call string, ref driver.Ref) error { return c.hook(b, call, ref) })
			request := b.restartTo(b.images[1].ID, phone.Properties{"ro.product.model": "X"}, b.phones...)
			j := b.await(request, "ended", ended)[0]
			if j.Phase != phone.PhaseFailed || j.Failure.Reason != c.reason || strings.Contains(j.Failure.Detail, "reset the phone again") {
				t.Errorf("%s: %+v", j.Phase, j.Failure)
			}
			if p := b.phone(b.phones[0].ID); p.Status != phone.StatusRestartFailed || p.Image != b.images[0].ID || len(p.Properties) != 0 || b.volume(0) != volume {
				t.Errorf("the phone: %+v", p)
			}
			b.host.onCall(noHook)
			b.succeeded(b.power(phone.KindRestart, b.phones...))
			b.wantMade(0, b.images[0], "", volume)

			b.host.onCall(func(_ context.Context, call string, ref driver.Ref) error { return c.hook(b, call, ref) })
			request = b.restartTo(b.images[1].ID, phone.Properties{"ro.product.model": "X"}, b.phones...)
			b.await(request, "ended", ended)
			b.host.onCall(noHook)
			again := fleet.RetryJobs{Of: request, Check: anyProperties}
			again.Request = phone.Request{ID: phone.NewID[phone.RequestID](), Project: b.project, Kind: phone.KindRestart, Caller: "test", CreatedAt: time.Now()}
			if _, _, err := b.store.Retry(t.Context(), again); err != nil {
				t.Fatal(err)
			}
			b.succeeded(again.Request.ID)
			b.wantMade(0, b.images[1], "X", volume)
		})
	}
}

// Calls of an earlier job that land late: the old instance runs when it is to be made anew, and another one is there after it was.
func TestLateCallsOfARestartToAnImage(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1, 1)
	b.start()
	b.created()
	volume, started, swapped := b.volume(0), false, false
	b.host.onCall(func(_ context.Context, call string, ref driver.Ref) error {
		b.host.set(ref, func(i *memoryInstance) {
			switch {
			case i == nil:
			case call == "remake" && !started:
				started, i.running, i.booted = true, true, true
			case call == "start" && !swapped && i.spec.Image.ID == b.images[1].ID:
				swapped, i.spec.Image = true, b.images[0]
			}
		})
		return nil
	})
	b.succeeded(b.restartTo(b.images[1].ID, nil, b.phones...))
	if b.wantMade(0, b.images[1], "", volume); !started || !swapped {
		t.Errorf("the late calls have not come: %v, %v", started, swapped)
	}
}

// A property that takes effect at creation is the phone's at once and its instance's from the next boot on, whoever boots it; until then nothing
// that is done to the phone fails for it.
func TestUpdateOfWhatIsSetAtCreation(t *testing.T) {
	t.Parallel()
	b := newBench(t, 3, 3)
	stop := b.start()
	b.created()
	volumes := []phone.JobID{b.volume(0), b.volume(1), b.volume(2)}
	b.succeeded(b.power(phone.KindStop, b.phones[2]))
	given := phone.Properties{"ro.product.model": "X", "com.cph.mainkeys": "1"}
	for i, j := range b.succeeded(b.update(given, b.phones...)) {
		want := []phone.PropertyReading{{Key: "com.cph.mainkeys", Effect: phone.EffectVerified}, {Key: "ro.product.model", Effect: phone.EffectPending}}
		if i == 2 {
			want[0].Effect = phone.EffectPending
		}
		if !slices.Equal(j.Receipt.Properties, want) || b.phone(b.phones[i].ID).Properties["ro.product.model"] != "X" || b.prop(i, 1, "ro.product.model") != "" {
			t.Errorf("phone %d: %+v", i, j.Receipt.Properties)
		}
	}
	b.succeeded(b.update(phone.Properties{"com.cph.mainkeys": "0"}, b.phones[0])) // another one, meanwhile
	b.host.onCall(func(_ context.Context, call string, ref driver.Ref) error {
		if call == "start" && ref.Generation == 2 {
			return phone.Errorf(phone.Precondition, phone.ReasonBootExited, "no binder")
		}
		return nil
	})
	j := b.await(b.resetBy(b.phones[:1], nil, true), "ended", ended)[0] // a reset that is rolled back
	if p := b.phone(b.phones[0].ID); !j.RolledBack || p.Status != phone.StatusRunning || p.Properties["ro.product.model"] != "X" || b.prop(0, 1, "ro.product.model") != "" {
		t.Errorf("rolled back: %v, %+v", j.RolledBack, p)
	}
	b.host.onCall(noHook)
	b.succeeded(b.power(phone.KindRestart, b.phones[2]))
	stop()
	b.host.set(b.ref(1, 1), func(i *memoryInstance) { i.running, i.booted, i.exited = false, false, true }) // and one that dies
	b.config.RestartDead, b.config.ReconcileEvery = true, 20*time.Millisecond
	b.start()
	eventually(t, "the dead one runs again", func() bool { return b.startedAgain(b.phones[1].ID) })
	for _, i := range []int{1, 2} {
		b.wantMade(i, b.images[0], "X", volumes[i])
	}
}
