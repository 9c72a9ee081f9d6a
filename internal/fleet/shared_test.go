package fleet_test

import (
	"context"
	"strings"
	"testing"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Each server of a call about shared storages is answered by itself; what is done with a server besides is in nobody's way.
func TestShareTask(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	run := func(servers ...string) []phone.ServerOutcome {
		t.Helper()
		_, outcomes, err := b.RunShareTask(t.Context(), owner(), fleet.ShareCall{
			Project: project, Kind: phone.KindShareDelete, Task: phone.Task{Share: &phone.ShareTask{Paths: []string{"/data/a"}}}, Servers: servers,
		})
		if err != nil {
			t.Fatal(err)
		}
		return outcomes
	}
	outcomes := run("x", string(serverID), strings.Repeat("f", 32), "55555555555555555555555555555555", string(serverID))
	for i, want := range []phone.Reason{phone.ReasonServerInvalid, "", phone.ReasonServerNotFound, phone.ReasonServerNotFound, phone.ReasonServerInvalid} {
		if got := reasonOf(outcomes[i].Err); got != want {
			t.Errorf("element %d: %q, want %q", i, got, want)
		}
	}
	if outcomes = run(string(serverID)); reasonOf(outcomes[0].Err) != "" {
		t.Errorf("beside another one: %+v", outcomes[0])
	}
	server, err := b.Server(t.Context(), owner(), project, serverID)
	if err != nil || server.Shown() != phone.ServerNormal {
		t.Errorf("the server meanwhile: %+v, %v", server, err)
	}
	for range phone.MaxShareTasks - 2 {
		run(string(serverID))
	}
	if outcomes = run(string(serverID)); reasonOf(outcomes[0].Err) != phone.ReasonServerBusy {
		t.Errorf("beside too many: %+v", outcomes[0])
	}
}

// A server whose settings give it no shared storage says how it gets one.
func TestShareTaskWithoutStorage(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.hosts.bare = true
	_, outcomes, err := b.RunShareTask(t.Context(), owner(), fleet.ShareCall{
		Project: project, Kind: phone.KindAppDelete, Task: phone.Task{Package: "com.example.app"}, Servers: []string{string(serverID)},
	})
	if err != nil || reasonOf(outcomes[0].Err) != phone.ReasonNoShare || !strings.Contains(outcomes[0].Err.Msg, "share_path") {
		t.Errorf("%+v, %v", outcomes, err)
	}
}

// What cannot be done with a shared storage is refused as a whole.
func TestShareTaskRefuses(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	object := func(key string) []phone.Object { return []phone.Object{{Bucket: "apps", Key: key}} }
	paths := func(paths ...string) *phone.ShareTask { return &phone.ShareTask{Paths: paths} }
	list := func(path string, limit int) *phone.ShareTask { return &phone.ShareTask{Path: path, Limit: limit} }
	for _, tt := range []struct {
		kind phone.Kind
		task phone.Task
		want phone.Reason
	}{
		{phone.KindSharePush, phone.Task{}, phone.ReasonObjectPathInvalid},
		{phone.KindSharePush, phone.Task{Objects: object("a.zip")}, phone.ReasonObjectPathInvalid},
		{phone.KindSharePush, phone.Task{Objects: object("/a.tar")}, phone.ReasonObjectPathInvalid},
		{phone.KindSharePush, phone.Task{Objects: object("../a.tar")}, phone.ReasonObjectPathInvalid},
		{phone.KindSharePush, phone.Task{Objects: object(strings.Repeat("a", 1021) + ".tar")}, phone.ReasonObjectPathInvalid},
		{phone.KindSharePush, phone.Task{Objects: []phone.Object{{Bucket: "A", Key: "a.tar"}}}, phone.ReasonBucketInvalid},
		{phone.KindSharePush, phone.Task{Objects: object("absent.tar")}, phone.ReasonObjectNotFound},
		{phone.KindAppPush, phone.Task{Package: "app", Objects: object("a.tar")}, phone.ReasonPackageInvalid},
		{phone.KindAppDelete, phone.Task{Package: "com.example/../x"}, phone.ReasonPackageInvalid},
		{phone.KindAppDelete, phone.Task{Package: "com." + strings.Repeat("a", 125)}, phone.ReasonPackageInvalid},
		{phone.KindShareDelete, phone.Task{}, phone.ReasonFilePathsInvalid},
		{phone.KindShareDelete, phone.Task{Share: paths("/data")}, phone.ReasonFilePathsInvalid},
		{phone.KindShareDelete, phone.Task{Share: paths("/data/")}, phone.ReasonFilePathsInvalid},
		{phone.KindShareDelete, phone.Task{Share: paths("/apps/com.example.app")}, phone.ReasonFilePathsInvalid},
		{phone.KindShareDelete, phone.Task{Share: paths("data/a")}, phone.ReasonFilePathsInvalid},
		{phone.KindShareDelete, phone.Task{Share: paths("/data/../cache/a")}, phone.ReasonFilePathsInvalid},
		{phone.KindShareDelete, phone.Task{Share: paths("/data/*")}, phone.ReasonFilePathsInvalid},
		{phone.KindShareDelete, phone.Task{Share: paths("/data/" + strings.Repeat("a", 4096))}, phone.ReasonFilePathsInvalid},
		{phone.KindShareDelete, phone.Task{Share: paths(make([]string, phone.MaxSharePaths+1)...)}, phone.ReasonFilePathsInvalid},
		{phone.KindShareList, phone.Task{Share: list("/", 50)}, phone.ReasonPathInvalid},
		{phone.KindShareList, phone.Task{Share: list("data", 50)}, phone.ReasonPathInvalid},
		{phone.KindShareList, phone.Task{Share: list("/data//a", 50)}, phone.ReasonPathInvalid},
		{phone.KindShareList, phone.Task{Share: list("/data/../a", 50)}, phone.ReasonPathInvalid},
		{phone.KindShareList, phone.Task{Share: list("/data", 51)}, phone.ReasonPageInvalid},
		{phone.KindReset, phone.Task{}, ""},
	} {
		_, _, err := b.RunShareTask(context.Background(), owner(), fleet.ShareCall{Project: project, Kind: tt.kind, Task: tt.task, Servers: []string{string(serverID)}})
		if err == nil || phone.ReasonOf(err) != tt.want {
			t.Errorf("%s %+v: %v, want %s", tt.kind, tt.task, err, tt.want)
		}
	}
	call := fleet.ShareCall{Project: project, Kind: phone.KindAppDelete, Task: phone.Task{Package: "com.example.app"}}
	if _, _, err := b.RunShareTask(context.Background(), owner(), call); phone.CodeOf(err) != phone.Invalid {
		t.Errorf("no server: %v", err)
	}
	call.Servers = make([]string, phone.MaxShareServers+1)
	if _, _, err := b.RunShareTask(context.Background(), owner(), call); phone.CodeOf(err) != phone.Exhausted {
		t.Errorf("too many servers: %v", err)
	}
}
