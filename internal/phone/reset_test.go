package phone_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lethe-cloud/lethe/internal/phone"
)

const (
	firstID  phone.ID = "a7f3a1c5258347d6b6f1def79e11f2bc"
	secondID phone.ID = "1678567b8bab40f93711234cb80d0764"
)

func anyProperties(string, phone.Properties) *phone.Error { return nil }

func target(id phone.ID, status phone.Status) phone.ResetTarget {
	return phone.ResetTarget{
		Phone: phone.Phone{
			ID: id, Status: status, Image: "old", Generation: 4, LastGeneration: 6, Properties: phone.Properties{"com.cph.mainkeys": "1"},
		},
		ServerStatus: phone.ServerNormal, ServerLabel: "cloud_phone", Driver: "simulated",
	}
}

func TestDecideResetByStatus(t *testing.T) {
	t.Parallel()
	for _, status := range append(phone.Statuses(), 0, 99) {
		accepted, outcomes, err := phone.DecideReset([]phone.ResetItem{{PhoneID: string(firstID)}}, map[phone.ID]phone.ResetTarget{firstID: target(firstID, status)}, nil, anyProperties)
		if err != nil {
			t.Fatal(err)
		}
		var want phone.Reason
		switch {
		case status == phone.StatusFrozen:
			want = phone.ReasonPhoneFrozen
		case !status.Resettable():
			want = phone.ReasonPhoneBusy
		}
		var got phone.Reason
		if outcomes[0].Err != nil {
			got = outcomes[0].Err.Reason
		}
		if got != want || (want == "") != (len(accepted) == 1) {
			t.Errorf("status %s: reason %q and %d accepted, want %q", status, got, len(accepted), want)
		}
	}
}

func TestDecideReset(t *testing.T) {
	t.Parallel()
	running := map[phone.ID]phone.ResetTarget{firstID: target(firstID, phone.StatusRunning), secondID: target(secondID, phone.StatusStopped)}
	down := map[phone.ID]phone.ResetTarget{firstID: target(firstID, phone.StatusRunning)}
	sick := down[firstID]
	sick.ServerStatus = phone.ServerAbnormal
	down[firstID] = sick
	badValue := &phone.Error{Code: phone.Invalid, Reason: phone.ReasonPropertyValue, Field: "com.cph.mainkeys"}
	refuseAll := func(driver string, _ phone.Properties) *phone.Error {
		return &phone.Error{Code: phone.Invalid, Reason: phone.ReasonPropertyValue, Field: driver}
	}
	kept := phone.Properties{"com.cph.mainkeys": "1"}
	one := func(p phone.ID, image phone.ImageID, index int, properties phone.Properties, factory bool) phone.Accepted {
		return phone.Accepted{Index: index, Phone: running[p].Phone, Target: 7, Image: image, Properties: properties, Factory: factory}
	}
	tests := map[string]struct {
		items    []phone.ResetItem
		targets  map[phone.ID]phone.ResetTarget
		image    *phone.Image
		check    phone.PropertyCheck
		accepted []phone.Accepted
		reasons  []phone.Reason
		refused  phone.Reason
	}{
		"in order, each its own image and properties": {
			items: []phone.ResetItem{{PhoneID: string(secondID)}, {PhoneID: string(firstID), Given: phone.Properties{"com.cph.mainkeys": "0", "ro.install.auto": "1"}}},
			accepted: []phone.Accepted{
				one(secondID, "old", 0, kept, false),
				one(firstID, "old", 1, phone.Properties{"com.cph.mainkeys": "0", "ro.install.auto": "1"}, false),
			},
			reasons: []phone.Reason{"", ""},
		},
		"another image": {
			items: []phone.ResetItem{{PhoneID: string(firstID)}}, image: &phone.Image{ID: "new", Label: "cloud_phone"},
			accepted: []phone.Accepted{one(firstID, "new", 0, kept, false)}, reasons: []phone.Reason{""},
		},
		"factory clears first": {
			items:    []phone.ResetItem{{PhoneID: string(firstID), Factory: true, Given: phone.Properties{"ro.install.auto": "1"}}},
			accepted: []phone.Accepted{one(firstID, "old", 0, phone.Properties{"ro.install.auto": "1"}, true)}, reasons: []phone.Reason{""},
		},
		"unknown and malformed": {
			items:   []phone.ResetItem{{PhoneID: "ffffffffffffffffffffffffffffffff"}, {PhoneID: "nonsense"}, {PhoneID: ""}},
			reasons: []phone.Reason{phone.ReasonPhoneInvalid, phone.ReasonPhoneInvalid, phone.ReasonPhoneInvalid},
		},
		"unknown comes before a bad property": {
			items: []phone.ResetItem{{PhoneID: "nonsense", Err: badValue}}, reasons: []phone.Reason{phone.ReasonPhoneInvalid},
		},
		"twice: the first counts": {
			items:    []phone.ResetItem{{PhoneID: string(firstID)}, {PhoneID: string(secondID)}, {PhoneID: string(firstID)}, {PhoneID: string(firstID)}},
			accepted: []phone.Accepted{one(firstID, "old", 0, kept, false), one(secondID, "old", 1, kept, false)},
			reasons:  []phone.Reason{"", "", phone.ReasonPhoneDuplicate, phone.ReasonPhoneDuplicate},
		},
		"twice: also when the first was refused": {
			items:   []phone.ResetItem{{PhoneID: string(firstID), Err: badValue}, {PhoneID: string(firstID)}},
			reasons: []phone.Reason{phone.ReasonPropertyValue, phone.ReasonPhoneDuplicate},
		},
		"server not normal": {
			items: []phone.ResetItem{{PhoneID: string(firstID)}}, targets: down, reasons: []phone.Reason{phone.ReasonServerNotReady},
		},
		"the driver cannot take the properties": {
			items: []phone.ResetItem{{PhoneID: string(firstID)}}, check: refuseAll, reasons: []phone.Reason{phone.ReasonPropertyValue},
		},
		"a label that does not fit refuses all": {
			items: []phone.ResetItem{{PhoneID: "nonsense"}, {PhoneID: string(firstID)}}, image: &phone.Image{ID: "new", Label: "cloud_game"},
			refused: phone.ReasonImageLabel,
		},
		"a label does not matter to refused phones": {
			items: []phone.ResetItem{{PhoneID: "nonsense"}}, image: &phone.Image{ID: "new", Label: "cloud_game"},
			reasons: []phone.Reason{phone.ReasonPhoneInvalid},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.targets == nil {
				tt.targets = running
			}
			if tt.check == nil {
				tt.check = anyProperties
			}
			accepted, outcomes, err := phone.DecideReset(tt.items, tt.targets, tt.image, tt.check)
			if phone.ReasonOf(err) != tt.refused {
				t.Fatalf("error %v, want reason %q", err, tt.refused)
			}
			if diff := cmp.Diff(tt.accepted, accepted, cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
			for i, o := range outcomes {
				var got phone.Reason
				if o.Err != nil {
					got = o.Err.Reason
				}
				if o.PhoneID != tt.items[i].PhoneID || got != tt.reasons[i] {
					t.Errorf("element %d: phone %q, reason %q; want %q, %q", i, o.PhoneID, got, tt.items[i].PhoneID, tt.reasons[i])
				}
			}
			if err == nil && len(outcomes) != len(tt.items) {
				t.Errorf("%d outcomes for %d elements", len(outcomes), len(tt.items))
			}
		})
	}
}
