package phone_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/phone"
)

func TestDecidePowerByStatus(t *testing.T) {
	t.Parallel()
	type reasons struct{ Stop, Restart phone.Reason }
	busy := reasons{phone.ReasonPhoneBusy, phone.ReasonPhoneBusy}
	no := reasons{phone.ReasonPhoneNotRunning, phone.ReasonPhoneNotRestartable}
	want := map[phone.Status]reasons{
		phone.StatusCreating: busy, phone.StatusResetting: busy, phone.StatusRestarting: busy, phone.StatusStopping: busy,
		phone.StatusFrozen:  {phone.ReasonPhoneFrozen, phone.ReasonPhoneFrozen},
		phone.StatusRunning: {}, phone.StatusAbnormal: {}, phone.StatusRestartFailed: {}, phone.StatusStopFailed: {},
		phone.StatusStopped:     {Stop: phone.ReasonPhoneNotRunning},
		phone.StatusResetFailed: no, phone.StatusCreateFailed: no, 0: no, 99: no,
	}
	got := map[phone.Status]reasons{}
	for _, status := range append(phone.Statuses(), 0, 99) {
		items, targets := []phone.ResetItem{{PhoneID: string(firstID)}}, map[phone.ID]phone.ResetTarget{firstID: target(firstID, status)}
		stops, stopped := phone.DecideStop(items, targets)
		restarts, restarted, err := phone.DecideRestart(items, targets, nil, anyProperties)
		if err != nil {
			t.Fatal(err)
		}
		got[status] = reasons{reasonOf(stopped[0]), reasonOf(restarted[0])}
		for _, accepted := range [][]phone.Accepted{stops, restarts} {
			for _, a := range accepted {
				p := targets[firstID].Phone
				if diff := cmp.Diff(phone.Accepted{Phone: p, Target: p.Generation, Image: p.Image, Properties: p.Properties}, a); diff != "" {
					t.Errorf("status %s: %s", status, diff)
				}
			}
		}
		if len(stops) != 0 != (got[status].Stop == "") || len(restarts) != 0 != (got[status].Restart == "") {
			t.Errorf("status %s: %d stops and %d restarts accepted, reasons %+v", status, len(stops), len(restarts), got[status])
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func reasonOf(o phone.Outcome) phone.Reason {
	if o.Err == nil {
		return ""
	}
	return o.Err.Reason
}

func TestDecidePowerByElement(t *testing.T) {
	t.Parallel()
	targets := map[phone.ID]phone.ResetTarget{firstID: target(firstID, phone.StatusRunning), secondID: target(secondID, phone.StatusRunning)}
	sick := targets[secondID]
	sick.ServerStatus = phone.ServerAbnormal
	targets[secondID] = sick
	items := []phone.ResetItem{{PhoneID: "nonsense"}, {PhoneID: string(firstID)}, {PhoneID: string(firstID)}, {PhoneID: string(secondID)}}
	want := []phone.Reason{phone.ReasonPhoneInvalid, "", phone.ReasonPhoneDuplicate, phone.ReasonServerNotReady}
	restart := func(items []phone.ResetItem, targets map[phone.ID]phone.ResetTarget) ([]phone.Accepted, []phone.Outcome) {
		accepted, outcomes, err := phone.DecideRestart(items, targets, nil, anyProperties)
		if err != nil {
			t.Error(err)
		}
		return accepted, outcomes
	}
	for name, decide := range map[string]func([]phone.ResetItem, map[phone.ID]phone.ResetTarget) ([]phone.Accepted, []phone.Outcome){
		"stop": phone.DecideStop, "restart": restart,
	} {
		accepted, outcomes := decide(items, targets)
		var got []phone.Reason
		for i, o := range outcomes {
			got = append(got, reasonOf(o))
			if o.PhoneID != items[i].PhoneID {
				t.Errorf("%s: element %d is of phone %q", name, i, o.PhoneID)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" || len(accepted) != 1 || accepted[0].Index != 1 {
			t.Errorf("%s: %d accepted: %s", name, len(accepted), diff)
		}
	}
}

// A restart with an image keeps the data, so it keeps the Android that the data is of; what does not fit the server refuses the whole call.
func TestDecideRestartWithMore(t *testing.T) {
	t.Parallel()
	has := func(id phone.ID, system string) phone.ResetTarget {
		made := target(id, phone.StatusRunning)
		made.System, made.Phone.Properties = system, phone.Properties{"ro.product.model": "X", "com.cph.mainkeys": "1"}
		return made
	}
	targets := map[phone.ID]phone.ResetTarget{firstID: has(firstID, "AOSP12"), secondID: has(secondID, "AOSP13")}
	image := &phone.Image{ID: "new", Label: targets[firstID].ServerLabel, OSName: "AOSP12"}
	items := []phone.ResetItem{{PhoneID: string(firstID), Given: phone.Properties{"ro.product.model": "Y"}}, {PhoneID: string(secondID)}}

	accepted, outcomes, err := phone.DecideRestart(items, targets, image, anyProperties)
	if err != nil || len(accepted) != 1 || reasonOf(outcomes[0]) != "" || reasonOf(outcomes[1]) != phone.ReasonImageSystem {
		t.Fatalf("with another Android: %+v, %+v, %v", accepted, outcomes, err)
	}
	p := targets[firstID].Phone
	want := phone.Accepted{Phone: p, Target: p.Generation, Image: "new", Properties: phone.Properties{"ro.product.model": "Y", "com.cph.mainkeys": "1"}}
	if diff := cmp.Diff(want, accepted[0]); diff != "" {
		t.Error(diff)
	}
	refusing := func(_ string, merged phone.Properties) *phone.Error {
		return &phone.Error{Code: phone.Invalid, Reason: phone.ReasonPropertyValue, Field: merged.Keys()[0]}
	}
	accepted, outcomes, err = phone.DecideRestart(items, targets, nil, refusing)
	if err != nil || len(accepted) != 1 || accepted[0].Image != targets[secondID].Phone.Image || reasonOf(outcomes[0]) != phone.ReasonPropertyValue || reasonOf(outcomes[1]) != "" {
		t.Errorf("with a value that the driver refuses: %+v, %+v, %v", accepted, outcomes, err)
	}
	odd := *image
	odd.Label = "odd"
	if _, _, err := phone.DecideRestart(items, targets, &odd, anyProperties); phone.ReasonOf(err) != phone.ReasonImageLabel {
		t.Errorf("with an image for other servers: %v", err)
	}
}

// A retried restart is to what was asked for, unless that image is gone.
func TestDecideRetryOfRestarts(t *testing.T) {
	t.Parallel()
	targets := map[phone.ID]phone.ResetTarget{firstID: target(firstID, phone.StatusRestartFailed), secondID: target(secondID, phone.StatusRestartFailed)}
	asked := phone.Properties{"ro.product.model": "Y"}
	jobs := []phone.Job{{Phone: firstID, Image: "new", Properties: asked}, {Phone: secondID, Image: "deleted"}}
	accepted, outcomes := phone.DecideRetry(phone.KindRestart, jobs, targets, map[phone.ImageID]bool{"new": true}, anyProperties)
	p := targets[firstID].Phone
	want := []phone.Accepted{{Phone: p, Target: p.Generation, Image: "new", Properties: asked}}
	if diff := cmp.Diff(want, accepted); diff != "" || reasonOf(outcomes[1]) != phone.ReasonImageNotFound {
		t.Errorf("%+v: %s", outcomes, diff)
	}
}

// A retry does what was asked for, never more.
func TestDecideRetryByKind(t *testing.T) {
	t.Parallel()
	targets := map[phone.ID]phone.ResetTarget{firstID: target(firstID, phone.StatusStopFailed)}
	jobs := []phone.Job{{Phone: firstID, Image: "old"}}
	for kind, generation := range map[phone.Kind]phone.Generation{
		phone.KindCreate: 7, phone.KindReset: 7, phone.KindStop: 4, phone.KindRestart: 4,
	} {
		accepted, _ := phone.DecideRetry(kind, jobs, targets, map[phone.ImageID]bool{"old": true}, anyProperties)
		if len(accepted) != 1 || accepted[0].Target != generation || kind.Retried().KeepsLife() != (generation == 4) {
			t.Errorf("retrying a %s: %+v, as %s", kind, accepted, kind.Retried())
		}
	}
}
