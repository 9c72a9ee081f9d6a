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

// update gives phones other values; each must be accepted.
func (b *bench) update(given phone.Properties, phones ...phone.Phone) phone.RequestID {
	b.t.Helper()
	in := fleet.AcceptUpdate{
		Check: anyProperties,
	}
	in.Request = phone.Request{ID: phone.NewID[phone.RequestID](), Project: b.project, Kind: phone.KindUpdate, Caller: "test", CreatedAt: time.Now()}
	for _, p := range phones {
		in.Items = append(in.Items, phone.ResetItem{PhoneID: string(p.ID), Given: given})
	}
	_, outcomes, err := b.store.AcceptUpdate(b.t.Context(), in)
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

func (b *bench) prop(i int, generation phone.Generation, key string) (value string) {
	b.host.set(b.ref(i, generation), func(i *memoryInstance) { value = i.props[key] })
	return value
}

// A running phone has its new values at once, one that is stopped when it runs again.
func TestUpdate(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2, 2)
	b.start()
	b.created()
	b.succeeded(b.power(phone.KindStop, b.phones[1]))
	given := phone.Properties{"com.cph.mainkeys": "1", "sys.prop.writeimsi": "123"}
	jobs := b.succeeded(b.update(given, b.phones...))
	for i, effect := range []phone.Effect{phone.EffectVerified, phone.EffectPending} {
		want := []phone.PropertyReading{{Key: "com.cph.mainkeys", Effect: effect}, {Key: "sys.prop.writeimsi", Effect: phone.EffectRecorded}}
		if !slices.Equal(jobs[i].Receipt.Properties, want) {
			t.Errorf("phone %d: %+v, want %+v", i, jobs[i].Receipt.Properties, want)
		}
	}
	if on, off := b.prop(0, 1, "com.cph.mainkeys"), b.prop(1, 1, "com.cph.mainkeys"); on != "1" || off != "" {
		t.Errorf("the running phone has %q, the stopped one %q", on, off)
	}
	if p := b.phone(b.phones[1].ID); p.Status != phone.StatusStopped || b.host.running(b.ref(1, 1)) {
		t.Errorf("the stopped phone is %s", p.Status)
	}
	b.succeeded(b.power(phone.KindRestart, b.phones[1]))
	if now := b.prop(1, 1, "com.cph.mainkeys"); now != "1" {
		t.Errorf("the restarted phone has %q", now)
	}
}

// An update that fails leaves the phone with the status and the properties that it has.
func TestUpdateFails(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1, 1)
	b.config.HostDeadline = 50 * time.Millisecond
	b.start()
	b.created()
	b.host.onCall(func(_ context.Context, call string, _ driver.Ref) error {
		if strings.HasPrefix(call, "exec") {
			return phone.Errorf(phone.Unavailable, "", "no route to host")
		}
		return nil
	})
	j := b.await(b.update(phone.Properties{"com.cph.mainkeys": "1"}, b.phones[0]), "ended", ended)[0]
	if j.Phase != phone.PhaseFailed || j.Failure.Reason != phone.ReasonHostGone || !strings.Contains(j.Failure.Detail, "update the phone's properties again") {
		t.Errorf("%s: %+v", j.Phase, j.Failure)
	}
	if p := b.phone(b.phones[0].ID); p.Status != phone.StatusRunning || len(p.Properties) != 0 {
		t.Errorf("the phone: %+v", p)
	}
	b.host.onCall(func(context.Context, string, driver.Ref) error { return nil })
	b.succeeded(b.update(phone.Properties{"com.cph.mainkeys": "1"}, b.phones[0]))
}
