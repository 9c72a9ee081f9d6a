package fleet_test

import (
	"testing"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Each server of a call about key pairs is answered by itself, and the accepted ones have their pairs at once.
func TestUpdateKeypair(t *testing.T) {
	t.Parallel()
	b := newBundle(t, func(c *fleet.Config) {
		c.Keypairs = []phone.Keypair{{Name: "ops"}, {Name: "theirs", Accounts: []string{"somebody else"}}}
	})
	give := func(servers ...fleet.ServerKeypair) ([]phone.ServerOutcome, error) {
		_, outcomes, err := b.UpdateKeypair(t.Context(), owner(), fleet.UpdateKeypair{Project: project, Servers: servers})
		return outcomes, err
	}
	for keypair, want := range map[string]phone.Reason{"": phone.ReasonKeypairMissing, "theirs": phone.ReasonNoKeypair, "none": phone.ReasonNoKeypair} {
		if outcomes, err := give(fleet.ServerKeypair{Server: string(serverID), Keypair: keypair}); err != nil || outcomes[0].Err == nil || outcomes[0].Err.Reason != want {
			t.Errorf("%q: %+v, %v, want %s", keypair, outcomes, err, want)
		}
	}
	outcomes, err := give(fleet.ServerKeypair{Server: "x", Keypair: "ops"}, fleet.ServerKeypair{Server: string(serverID), Keypair: "ops"}, fleet.ServerKeypair{Server: string(serverID), Keypair: "none"})
	if err != nil || outcomes[0].Err == nil || outcomes[1].Err != nil || outcomes[2].Err == nil || outcomes[2].Err.Reason != phone.ReasonServerInvalid {
		t.Errorf("%+v, %v", outcomes, err)
	}
	if server, err := b.Server(t.Context(), owner(), project, serverID); err != nil || server.Keypair != "ops" || server.Shown() != phone.ServerNormal {
		t.Errorf("the server: %+v, %v", server, err)
	}
	if _, err := give(); phone.CodeOf(err) != phone.Invalid {
		t.Errorf("no server: %v", err)
	}
	if _, err := give(make([]fleet.ServerKeypair, fleet.MaxKeypairServers+1)...); phone.CodeOf(err) != phone.Exhausted {
		t.Errorf("too many servers: %v", err)
	}
}

// A driver that cannot say whose adb a phone lets in refuses its servers, which keep what they have.
func TestUpdateKeypairDriver(t *testing.T) {
	t.Parallel()
	b := newBundle(t, func(c *fleet.Config) {
		c.Keypairs = []phone.Keypair{{Name: "ops"}}
		c.CheckKeys = func(driver string) *phone.Error {
			return phone.Errorf(phone.Precondition, phone.ReasonNoADBKeys, "the driver %s cannot", driver)
		}
	})
	_, outcomes, err := b.UpdateKeypair(t.Context(), owner(), fleet.UpdateKeypair{Project: project, Servers: []fleet.ServerKeypair{{Server: string(serverID), Keypair: "ops"}}})
	if err != nil || outcomes[0].Err == nil || outcomes[0].Err.Reason != phone.ReasonNoADBKeys {
		t.Errorf("%+v, %v", outcomes, err)
	}
	if server, err := b.Server(t.Context(), owner(), project, serverID); err != nil || server.Keypair != "" {
		t.Errorf("the server: %+v, %v", server, err)
	}
}
