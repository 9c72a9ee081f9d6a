package phone_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/phone"
)

func TestDecideUpdate(t *testing.T) {
	t.Parallel()
	present := func(status phone.Status) phone.ResetTarget {
		made := target(firstID, status)
		made.Phone.Properties = phone.Properties{"com.cph.mainkeys": "1", "ro.product.model": "X"}
		return made
	}
	busy, unmade := present(phone.StatusRunning), present(phone.StatusResetFailed)
	busy.Busy, unmade.Phone.Generation = true, 0
	refusing := func(string, phone.Properties) *phone.Error {
		return &phone.Error{Code: phone.Invalid, Reason: phone.ReasonPropertyValue}
	}
	for name, tt := range map[string]struct {
		target phone.ResetTarget
		given  phone.Properties
		check  phone.PropertyCheck
		want   phone.Properties // nil: refused
		reason phone.Reason
	}{
		"runs":             {target: present(phone.StatusRunning), given: phone.Properties{"com.cph.mainkeys": "0", "disable.status.bar": "1"}, want: phone.Properties{"com.cph.mainkeys": "0", "disable.status.bar": "1", "ro.product.model": "X"}},
		"stopped":          {target: present(phone.StatusStopped), given: phone.Properties{"com.cph.mainkeys": "0"}, want: phone.Properties{"com.cph.mainkeys": "0", "ro.product.model": "X"}},
		"reset failed":     {target: present(phone.StatusResetFailed), given: phone.Properties{}, want: phone.Properties{"com.cph.mainkeys": "1", "ro.product.model": "X"}},
		"the value it has": {target: present(phone.StatusRunning), given: phone.Properties{"ro.product.model": "X"}, want: phone.Properties{"com.cph.mainkeys": "1", "ro.product.model": "X"}},
		"set when made":    {target: present(phone.StatusRunning), given: phone.Properties{"ro.product.model": "Y"}, want: phone.Properties{"com.cph.mainkeys": "1", "ro.product.model": "Y"}},
		"a bad value":      {target: present(phone.StatusRunning), given: phone.Properties{}, check: refusing, reason: phone.ReasonPropertyValue},
		"at work":          {target: present(phone.StatusStopping), reason: phone.ReasonPhoneBusy},
		"being updated":    {target: busy, reason: phone.ReasonPhoneBusy},
		"frozen":           {target: present(phone.StatusFrozen), reason: phone.ReasonPhoneFrozen},
		"never made":       {target: unmade, reason: phone.ReasonPhoneNotRunning},
	} {
		if tt.check == nil {
			tt.check = anyProperties
		}
		accepted, outcomes := phone.DecideUpdate([]phone.ResetItem{{PhoneID: string(firstID), Given: tt.given}}, map[phone.ID]phone.ResetTarget{firstID: tt.target}, tt.check)
		var got phone.Properties
		if len(accepted) == 1 {
			got = accepted[0].Properties
			if a := accepted[0]; a.Target != tt.target.Phone.Generation || a.Image != tt.target.Phone.Image {
				t.Errorf("%s: %+v", name, a)
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" || reasonOf(outcomes[0]) != tt.reason {
			t.Errorf("%s: reason %q, want %q; %s", name, reasonOf(outcomes[0]), tt.reason, diff)
		}
	}
	// What is being updated takes no other job either.
	items, targets := []phone.ResetItem{{PhoneID: string(firstID)}}, map[phone.ID]phone.ResetTarget{firstID: busy}
	_, resets, err := phone.DecideReset(items, targets, nil, anyProperties)
	_, stops := phone.DecideStop(items, targets)
	_, restarts, _ := phone.DecideRestart(items, targets, nil, anyProperties)
	for what, outcomes := range map[string][]phone.Outcome{"reset": resets, "stop": stops, "restart": restarts} {
		if reasonOf(outcomes[0]) != phone.ReasonPhoneBusy || err != nil {
			t.Errorf("a %s of a phone that is being updated: %v", what, outcomes[0].Err)
		}
	}
}
