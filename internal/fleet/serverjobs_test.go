package fleet_test

import (
	"errors"
	"testing"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// What a call about servers was answered with comes first in the list of its jobs; the jobs of its phones are not in that list.
func TestServerRequestJobs(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	ctx := t.Context()
	reset, _, err := b.ResetPhones(ctx, owner(), fleet.ResetPhones{Project: project, Phones: []fleet.ResetPhone{{ID: string(firstID)}}})
	if err != nil {
		t.Fatal(err)
	}
	restart, outcomes, err := b.RestartServers(ctx, owner(), fleet.ServersCall{Project: project, Servers: []string{string(serverID), "x"}})
	if err != nil || outcomes[0].Err != nil || outcomes[1].Err == nil {
		t.Fatalf("%v, %v", outcomes, err)
	}
	both := []phone.RequestID{reset, restart}
	for offset, want := range map[int][2]int{0: {1, 1}, 1: {0, 1}, 2: {0, 0}} {
		servers, jobs, err := b.RequestJobs(ctx, owner(), project, both, offset, 10)
		if err != nil || len(servers) != want[0] || len(jobs) != want[1] {
			t.Errorf("from %d: %d jobs of servers and %d of phones (%v), want %v", offset, len(servers), len(jobs), err, want)
		}
	}
	if servers, jobs, err := b.RequestJobs(ctx, owner(), project, both, 0, 1); err != nil || len(servers) != 1 || len(jobs) != 0 || servers[0].ID != outcomes[0].Job {
		t.Errorf("a page of one: %v, %v, %v", servers, jobs, err)
	}
	if servers, jobs, err := b.RequestJobs(ctx, owner(), project, []phone.RequestID{restart}, 1, 10); err != nil || len(servers)+len(jobs) != 0 {
		t.Errorf("past the end: %v, %v, %v", servers, jobs, err)
	}
	if _, err := b.ServerJob(ctx, owner(), project, phone.NewID[phone.JobID]()); phone.ReasonOf(err) != phone.ReasonJobNotFound {
		t.Errorf("an unknown job: %v", err)
	}
}

// What is wrong with a call about servers is said before anything is looked up, with its field or its reason.
func TestServersCallRefused(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	ctx := t.Context()
	many := make([]string, fleet.MaxRestartServers+1)
	for name, want := range map[string]struct {
		err    error
		code   phone.Code
		reason phone.Reason
	}{
		"no server":        {second(b.RestartServers(ctx, owner(), fleet.ServersCall{Project: project})), phone.Invalid, phone.ReasonServerInvalid},
		"too many servers": {second(b.RestartServers(ctx, owner(), fleet.ServersCall{Project: project, Servers: many})), phone.Exhausted, phone.ReasonServerInvalid},
		"too many to delete": {
			second(b.DeleteServers(ctx, owner(), fleet.ServersCall{Project: project, Servers: many[:fleet.MaxDeleteServers+1]})), phone.Exhausted, phone.ReasonServerInvalid,
		},
		"an unknown one to delete": {
			second(b.DeleteServers(ctx, owner(), fleet.ServersCall{Project: project, Servers: []string{string(phone.NewID[phone.ServerID]())}})), phone.NotFound, phone.ReasonServerNotFound,
		},
		"no image": {second(b.ChangeServer(ctx, owner(), fleet.ChangeServer{Project: project, Server: serverID, Image: "x"})), phone.Invalid, phone.ReasonImageInvalid},
		"another phone model": {
			second(b.ChangeServer(ctx, owner(), fleet.ChangeServer{Project: project, Server: serverID, Image: string(imageID), PhoneModel: "other"})), phone.Invalid, phone.ReasonModelInvalid,
		},
		"a bad property": {
			second(b.ChangeServer(ctx, owner(), fleet.ChangeServer{Project: project, Server: serverID, Image: string(imageID), Property: `{"no.such.key":1}`})), phone.Invalid, phone.ReasonPropertyUnsupported,
		},
	} {
		if phone.CodeOf(want.err) != want.code || phone.ReasonOf(want.err) != want.reason {
			t.Errorf("%s: %v (%s %s), want %s %s", name, want.err, phone.CodeOf(want.err), phone.ReasonOf(want.err), want.code, want.reason)
		}
	}
}

func second[A, B any](_ A, _ B, err error) error { return err }

// A server is abandoned only while its host does not answer.
func TestAbandonServer(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	if _, err := b.AbandonServer(t.Context(), owner(), project, serverID); phone.CodeOf(err) != phone.Precondition {
		t.Errorf("while the host answers: %v", err)
	}
	b.hosts.silent = errors.New("no such certificate")
	if _, err := b.AbandonServer(t.Context(), owner(), project, serverID); !errors.Is(err, b.hosts.silent) {
		t.Errorf("while the host cannot be asked: %v", err)
	}
	b.hosts.silent = phone.Errorf(phone.Unavailable, "", "connection refused")
	n, err := b.AbandonServer(t.Context(), owner(), project, serverID)
	if err != nil || n == 0 {
		t.Errorf("%d phones, %v", n, err)
	}
	if _, err := b.Server(t.Context(), owner(), project, serverID); phone.ReasonOf(err) != phone.ReasonServerNotFound {
		t.Errorf("afterwards: %v", err)
	}
	if _, err := b.Phone(t.Context(), owner(), project, firstID); phone.CodeOf(err) != phone.NotFound {
		t.Errorf("its phone afterwards: %v", err)
	}
}
