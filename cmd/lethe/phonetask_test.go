package main

import (
	"testing"

	"github.com/lethe-cloud/lethe/internal/phone"
)

func TestPhoneTasks(t *testing.T) {
	t.Parallel()
	in := newTestInstallation(t)
	in.fleet("edge", 2)
	for _, c := range []struct {
		kind phone.Kind
		args []string
		jobs int
	}{
		{phone.KindShell, []string{"run", "--command", "pm list packages", "--server", "edge"}, 2},
		{phone.KindUninstall, []string{"uninstall", "--package", "com.example.app", "edge-0002"}, 1},
	} {
		before := len(in.store.AllJobs())
		results := jsonOf[[]resetResult](t, in.run(append([]string{"phone", "-o", "json"}, c.args...)...).must(t, 0))
		jobs := in.store.AllJobs()[before:]
		if len(jobs) != c.jobs || len(results) != c.jobs || jobs[0].Kind != c.kind || string(jobs[0].ID) != results[0].JobID || results[0].Status != 1 {
			t.Errorf("%s: %+v, jobs %+v", c.kind, results, jobs)
		}
	}
	contains(t, in.run("phone", "run", "--command", "reboot; ls", "--all").must(t, 1).stderr, "CPS.0118")
	for _, args := range [][]string{{"install", "--apk", "obs://apps/a.apk"}, {"install", "--apk", "obs://apps/a.apk obs://apps/b.apk"}, {"push", "--archive", "obs://apps/a.tar"}} {
		contains(t, in.run(append([]string{"phone"}, append(args, "edge-0001")...)...).must(t, 1).stderr, "CPS.0104") // there is no bucket
	}
	contains(t, in.run("phone", "install", "--apk", "obs://apps/a.zip", "--all").must(t, 1).stderr, "CPS.0119")
	for _, args := range [][]string{{"phone", "run", "--all"}, {"phone", "uninstall", "--package", "com.example.app"}, {"phone", "run", "edge-0001"}} {
		in.run(args...).must(t, 2)
	}
}

func TestTaskTable(t *testing.T) {
	t.Parallel()
	got := resetTable([]resetResult{{PhoneID: "p", JobID: "j", Status: 2, done: "ran", says: true, ExecuteMsg: "a\nb"}, {PhoneID: "q", ErrorCode: "CPS.0141", says: true}})
	if got.header[4] != "OUTPUT" || got.rows[0][3] != "ran" || got.rows[0][4] != "a | b" || got.rows[1][4] != "-" {
		t.Errorf("%+v", got)
	}
}
