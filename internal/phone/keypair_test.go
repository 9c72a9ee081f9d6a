package phone_test

import (
	"testing"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// Which key pairs an account can have: those of nobody in particular, and those that name it.
func TestChooseKeypair(t *testing.T) {
	t.Parallel()
	all := []phone.Keypair{{Name: "ops"}, {Name: "acme", Accounts: []string{"acme"}}, {Name: "by-id", Accounts: []string{"7"}}}
	for _, tt := range []struct {
		name, account string
		want          phone.Reason
	}{
		{"ops", "other", ""}, {"acme", "acme", ""}, {"by-id", "acme", ""}, {"acme", "other", phone.ReasonNoKeypair}, {"none", "acme", phone.ReasonNoKeypair},
		{"", "acme", phone.ReasonKeypairMissing},
	} {
		id := map[string]string{"acme": "7", "other": "8"}[tt.account]
		got := phone.ChooseKeypair(all, tt.name, id, tt.account)
		if reason := phone.Reason(""); got.Name != tt.name || got.Err != nil && got.Err.Reason != tt.want || (got.Err == nil) != (tt.want == reason) {
			t.Errorf("%q for %s: %+v, want %q", tt.name, tt.account, got, tt.want)
		}
	}
}

// Other keys are for all of a server's phones or for none: one that work has begun on could be made with the keys of before.
func TestUpdateKeypair(t *testing.T) {
	t.Parallel()
	can := func(string) *phone.Error { return nil }
	cannot := func(string) *phone.Error { return phone.Errorf(phone.Precondition, phone.ReasonNoADBKeys, "no") }
	unknown := map[phone.ServerID]phone.KeypairChoice{}
	target := serverWith(2, 8, -5, -7, -8)
	target.Phones[2].Phone.Generation = 0 // it was never made
	target.Phones[0].Phone.Properties = phone.Properties{"a": "b"}
	accepted, err := phone.UpdateKeypair(unknown, can)(target)
	if err != nil || len(accepted) != 4 {
		t.Fatalf("%d accepted, %v", len(accepted), err)
	}
	for _, a := range accepted {
		if a.Phone.ID == target.Phones[2].Phone.ID || a.Target != a.Phone.Generation || a.Image != a.Phone.Image || len(a.Properties) != len(a.Phone.Properties) {
			t.Errorf("accepted: %+v", a)
		}
	}
	if accepted, err := phone.UpdateKeypair(unknown, can)(serverWith()); err != nil || len(accepted) != 0 {
		t.Errorf("a server without phones: %v, %v", accepted, err)
	}
	unknown[target.Server.ID] = phone.KeypairChoice{Err: phone.Errorf(phone.NotFound, phone.ReasonNoKeypair, "no")}
	updating := serverWith(2)
	updating.Phones[0].Busy = true
	for name, tt := range map[string]struct {
		target phone.ServerTarget
		check  func(string) *phone.Error
		want   phone.Reason
	}{
		"an unknown pair":   {target, can, phone.ReasonNoKeypair},
		"a driver without":  {serverWith(2), cannot, phone.ReasonNoADBKeys},
		"one phone at work": {serverWith(2, 3), can, phone.ReasonServerBusy},
		"one frozen":        {serverWith(2, 6), can, phone.ReasonServerBusy},
		"one being updated": {updating, can, phone.ReasonServerBusy},
	} {
		if _, err := phone.UpdateKeypair(unknown, tt.check)(tt.target); err == nil || err.Reason != tt.want {
			t.Errorf("%s: %v, want %s", name, err, tt.want)
		}
	}
}
