package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/client"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

func TestImageCommands(t *testing.T) {
	t.Parallel()
	in := newTestInstallation(t)
	added := jsonOf[api.Image](t, in.run("image", "add", "--name", "android12", "--reference", "redroid:12", "--os-name", "AOSP12.0", "-o", "json").must(t, 0))
	if !phone.ValidID(added.ImageID) || added.Reference != "redroid:12" || added.OSName != "AOSP12.0" || added.ImageLabel != "cloud_phone" {
		t.Errorf("added %+v", added)
	}
	contains(t, in.run("image", "add", "--name", "game", "--reference", "g", "--label", "cloud_game").must(t, 0).stdout, "IMAGE ID", "game", "cloud_game")
	listed := in.run("image", "list", "--name", "android12", "-o", "json").must(t, 0)
	if diff := cmp.Diff([]api.Image{added}, jsonOf[[]api.Image](t, listed)); diff != "" {
		t.Error(diff)
	}
	contains(t, in.run("image", "ls").must(t, 0).stdout, "android12", "game")
}

func TestServerAdd(t *testing.T) {
	t.Parallel()
	in := newTestInstallation(t)
	in.fleet("old", 0)
	faults := writeFile(t, "faults.toml", "[[faults]]\nphone = \"edge-0003\"\noperation = \"boot\"\neffect = \"never\"\n")
	template := writeFile(t, "template.toml", "boot_spread = 0.25\nboot_time = \"1h\"\n")
	r := in.run("server", "add", "--name", "edge", "--driver", "simulated", "--endpoint", "sim:///tmp/edge", "--phones", "3", "--image", "old-image",
		"--concurrent-boots", "2", "--boot-time", "1500ms", "--faults", faults, "--template", template, "--port-base", "21000", "--boot-timeout", "90s", "-o", "json").must(t, 0)
	added := jsonOf[api.AddedServer](t, r)
	want := `{"boot_spread":0.25,"boot_time":"1.5s","faults":[{"effect":"never","operation":"boot","phone":"edge-0003"}]}`
	server, err := in.store.Server(t.Context(), testProject, phone.ServerID(added.ServerID))
	if err != nil {
		t.Fatal(err)
	}
	if string(server.Config) != want {
		t.Errorf("config %s, want %s", server.Config, want)
	}
	if server.MaxConcurrentBoots != 2 || server.BootTimeout.Seconds() != 90 || server.PortBase != 21000 || server.Capacity != 3 || server.Endpoint != "sim:///tmp/edge" {
		t.Errorf("server %+v", server)
	}
	contains(t, r.stderr, "3 phones are being created (request "+added.RequestID+")")

	docker := in.run("server", "add", "--name", "rack", "--driver", "docker", "--endpoint", "unix:///d.sock", "--phones", "1", "--image", in.image("old")).must(t, 0)
	contains(t, docker.stdout, "rack", "docker", "unix:///d.sock")
}

func TestServerAddWaits(t *testing.T) {
	t.Parallel()
	in := newTestInstallation(t)
	in.fleet("old", 0)
	in.fails["bad-0002"] = phone.Failure{Reason: phone.ReasonBootTimeout, Msg: "The phone did not boot in 5m0s.", Detail: "Look at\nits log."}
	args := []string{"server", "add", "--driver", "simulated", "--phones", "3", "--image", "old-image", "--endpoint", "sim:///e", "--wait", "--name"}
	good := in.run(append(args, "good")...).must(t, 0)
	contains(t, good.stderr, "[####################] 3/3")
	bad := in.run(append(args, "bad")...).must(t, 1)
	contains(t, bad.stderr, "bad-0002 (", "): CPS.0054 ", "Look at its log.", "lethe: 1 of 3 phones could not be created")
}

func TestServerListAndShow(t *testing.T) {
	t.Parallel()
	in := newTestInstallation(t)
	in.fleet("edge", 2)
	in.fleet("core", 1)
	if servers := jsonOf[[]api.Server](t, in.run("server", "list", "-o", "json").must(t, 0)); len(servers) != 2 {
		t.Errorf("servers %+v", servers)
	}
	contains(t, in.run("server", "list", "--name", "edge").must(t, 0).stdout, "SERVER ID", "edge", "simulated", "normal")
	contains(t, in.run("server", "show", "edge").must(t, 0).stdout, "BOOT SLOTS", "0 of 2 in use", "2: 2 running")
	shown := jsonOf[api.Server](t, in.run("server", "show", "edge", "-o", "json").must(t, 0))
	if diff := cmp.Diff(&api.Slots{Total: 2}, shown.Slots); diff != "" {
		t.Error(diff)
	}
}

func TestReplicaList(t *testing.T) {
	t.Parallel()
	in := newTestInstallation(t)
	started := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	in.store.Put(
		phone.Replica{ID: "00000000000000000000000000000001", StartedAt: started},
		phone.Replica{ID: "00000000000000000000000000000002", StartedAt: started.Add(time.Minute), LeaseExpiresAt: started.Add(time.Hour), Alive: true, Jobs: 12},
	)
	rows := strings.Split(in.run("replica", "list").must(t, 0).stdout, "\n")
	for i, want := range []string{
		"REPLICA ID ALIVE JOBS STARTED LEASE UNTIL",
		"00000000000000000000000000000002 yes 12 " + moment(started.Add(time.Minute)) + " " + moment(started.Add(time.Hour)),
		"00000000000000000000000000000001 no 0 " + moment(started) + " -",
	} {
		if got := strings.Join(strings.Fields(rows[i]), " "); got != want {
			t.Errorf("row %d: %q, want %q", i, got, want)
		}
	}
	listed := jsonOf[[]api.Replica](t, in.run("replica", "ls", "-o", "json").must(t, 0))
	if len(listed) != 2 || !listed[0].Alive || listed[0].Jobs != 12 || listed[1].Alive || !listed[1].LeaseExpireTime.IsZero() {
		t.Errorf("listed %+v", listed)
	}
}

func TestPhoneListAndShow(t *testing.T) {
	t.Parallel()
	in := newTestInstallation(t)
	in.fleet("edge", 3)
	in.fleet("core", 2)
	names := func(args ...string) (names []string) {
		t.Helper()
		for _, p := range jsonOf[[]api.Phone](t, in.run(append([]string{"phone", "list", "-o", "json"}, args...)...).must(t, 0)) {
			names = append(names, p.PhoneName)
		}
		return names
	}
	for args, want := range map[string][]string{
		"":                           {"core-0001", "core-0002", "edge-0001", "edge-0002", "edge-0003"},
		"--server core":              {"core-0001", "core-0002"},
		"--name 0002":                {"core-0002", "edge-0002"},
		"--status running --name 3":  {"edge-0003"},
		"--status=-5":                nil,
		"--status creation-failed":   nil,
		"--server edge --name 00001": nil,
	} {
		if diff := cmp.Diff(want, names(strings.Fields(args)...)); diff != "" {
			t.Errorf("%s: %s", args, diff)
		}
	}
	if got := names("--limit", "2"); len(got) != 2 {
		t.Errorf("limited: %v", got)
	}
	if none := in.run("phone", "list", "--name", "nothing", "-o", "json").must(t, 0); none.stdout != "[]\n" {
		t.Errorf("a list of none is %q", none.stdout)
	}
	contains(t, in.run("phone", "show", "edge-0002").must(t, 0).stdout, "edge-0002", "1 (last 1)", "192.0.2.7:20001")
	dead := in.store.AllPhones()[0]
	dead.Status, dead.Cause = phone.StatusAbnormal, "it ended;\nlast words"
	in.store.Put(dead)
	contains(t, in.run("phone", "show", dead.Name).must(t, 0).stdout, "abnormal", "it ended; last words")
	shown := jsonOf[map[string]any](t, in.run("phone", "show", "edge-0002", "-o", "json").must(t, 0))
	if shown["phone_id"] != fmt.Sprintf("%032x", 2) || shown["status"] != 2.0 || shown["property"] != "{}" {
		t.Errorf("shown %v", shown)
	}
}

func TestPhoneExec(t *testing.T) {
	t.Parallel()
	in := newTestInstallation(t)
	in.fleet("edge", 1)
	for _, args := range [][]string{
		{"phone", "exec", "edge-0001", "--", "sh", "-c", "exit 7", "--help"},
		{"phone", "exec", "edge-0001", "sh", "-c", "exit 7", "--help"},
		{"phone", "exec", "--", "edge-0001", "sh", "-c", "exit 7", "--help"},
	} {
		r := in.run(args...).must(t, 7)
		if r.stdout != "sh|-c|exit 7|--help" || r.stderr != "bad\nlethe: output beyond 1 MiB was dropped\n" {
			t.Errorf("%v: stdout %q, stderr %q", args, r.stdout, r.stderr)
		}
	}
	if r := in.runWith("hallo", "phone", "exec", "-i", "edge-0001", "--", "cat").must(t, 0); r.stdout != "hallo" || r.stderr != "" {
		t.Errorf("stdout %q, stderr %q", r.stdout, r.stderr)
	}
	if r := in.runWith("hallo", "phone", "exec", "edge-0001", "--", "cat").must(t, 0); r.stdout != "" {
		t.Errorf("stdin was read without -i: %q", r.stdout)
	}
	if result := jsonOf[api.ExecResult](t, in.run("phone", "exec", "-o", "json", "edge-0001", "x").must(t, 7)); result.ExitCode != 7 || string(result.Stdout) != "x" {
		t.Errorf("result %+v", result)
	}
	if r := in.runWith(strings.Repeat("a", maxStdin+1), "phone", "exec", "-i", "edge-0001", "--", "cat").must(t, 2); !strings.Contains(r.stderr, "stdin") {
		t.Errorf("too much stdin: %s", r.stderr)
	}
}

func TestJobCommands(t *testing.T) {
	t.Parallel()
	in := newTestInstallation(t)
	in.fleet("edge", 2)
	in.fails["edge-0002"] = phone.Failure{Reason: phone.ReasonBootTimeout, Msg: "The phone did not boot.", Detail: "Wait longer."}
	results := jsonOf[[]resetResult](t, in.run("reset", "--all", "--wait", "-o", "json").must(t, 1))
	contains(t, in.run("job", "list", "--request", results[0].RequestID).must(t, 0).stdout, "JOB ID", "succeeded", "failed", "boot_timeout")
	for args, want := range map[string]int{"": 2, "--phone edge-0002": 1, "--server edge": 2, "--limit 1": 1, "--request " + strings.Repeat("0", 32): 0} {
		if jobs := jsonOf[[]api.Job](t, in.run(append([]string{"job", "list", "-o", "json"}, strings.Fields(args)...)...).must(t, 0)); len(jobs) != want {
			t.Errorf("%s: %d jobs, want %d", args, len(jobs), want)
		}
	}
	contains(t, in.run("job", "show", results[1].JobID).must(t, 0).stdout, "CAUSE", "boot_timeout: The phone did not boot.", "CURE", "Wait longer.")
	if job := jsonOf[api.Job](t, in.run("job", "show", results[0].JobID, "-o", "json").must(t, 0)); job.Status != 2 || job.PhoneID != results[0].PhoneID {
		t.Errorf("job %+v", job)
	}
	contains(t, in.run("job", "show", "nonsense").must(t, 1).stderr, "no such job")
}

func TestUserCommands(t *testing.T) {
	t.Parallel()
	in := newTestInstallation(t)
	added := jsonOf[api.AddedUser](t, in.run("user", "add", "ci", "--allow", "cph:phones:reset,cph:jobs:list", "--deny", "ims:*", "-o", "json").must(t, 0))
	want := []api.Policy{{Version: "1.1", Statement: []api.Statement{
		{Effect: "Allow", Action: []string{"cph:phones:reset", "cph:jobs:list"}}, {Effect: "Deny", Action: []string{"ims:*"}},
	}}}
	if diff := cmp.Diff(want, added.Policies); diff != "" || added.Password == "" || added.SecretKey == "" {
		t.Errorf("added %+v: %s", added.User, diff)
	}
	contains(t, in.run("user", "list").must(t, 0).stdout, "ci", "allow cph:phones:reset,cph:jobs:list; deny ims:*")
	one := writeFile(t, "one.json", `{"Version":"1.1","Statement":[{"Effect":"Allow","Action":["cph:*"]}]}`)
	contains(t, in.run("user", "policy", "ci", "--policy", one).must(t, 0).stdout, "allow cph:*")
	many := writeFile(t, "many.json", `[{"Version":"1.1","Statement":[{"Effect":"Allow","Action":["a:b:c"]}]},{"Version":"1.1","Statement":[{"Effect":"Deny","Action":["d:e:f"]}]}]`)
	contains(t, in.run("user", "policy", "ci", "--policy", many, "--allow", "g:h:i").must(t, 0).stdout, "allow a:b:c; deny d:e:f; allow g:h:i")
	contains(t, in.run("user", "policy", "ci", "--none").must(t, 0).stdout, "nothing")
	contains(t, in.run("user", "policy", "nobody", "--none").must(t, 1).stderr, "no such user")
}

// What is wrong with a command line is said in one sentence that names it, and no call is made.
func TestWrongCommandLines(t *testing.T) {
	t.Parallel()
	in := newTestInstallation(t)
	noTOML, noFaults := writeFile(t, "no.toml", "a = \nb"), writeFile(t, "other.toml", "fault = 1")
	noPolicy := writeFile(t, "policy.json", `{"Version":"1.1","Statement":[{"Effect":"Allow","Action":["a:b:c"],"Condition":{}}]}`)
	server := "server add --name a --driver simulated --phones 1 --image i "
	tests := map[string]string{
		"image remove":                           `"remove"`,
		"image add":                              "--name",
		"image add --name a":                     "--reference",
		"image add --name= --reference r":        "--name is empty",
		"image add --name a --reference r extra": `"extra"`,
		"image list --nam a":                     "--nam",
		"server list -o yaml":                    `"yaml"`,
		"server add --name a --driver vmware --phones 1 --image i":                `--driver "vmware"`,
		"server add --name a --driver simulated --phones 0 --image i":             "--phones 0",
		"server add --name a --driver simulated --phones x --image i":             "--phones",
		"server add --name a --driver docker --phones 1 --image i --boot-time 1s": "--boot-time",
		"server add --name a --driver docker --phones 1 --image i --faults f":     "--faults",
		server + "--concurrent-boots 0":                                           "--concurrent-boots 0",
		server + "--boot-timeout 1ms":                                             "--boot-timeout 1ms",
		server + "--boot-time=-1s":                                                "--boot-time -1s",
		server + "--boot-time soon":                                               "--boot-time",
		server + "--port-base 80":                                                 "--port-base 80",
		server + "--faults /nowhere.toml":                                         "--faults /nowhere.toml",
		server + "--faults " + noTOML:                                             "line 1",
		server + "--faults " + noFaults:                                           `"fault"`,
		server + "--template " + noTOML:                                           "--template " + noTOML,
		"server show":                                                             "1 argument",
		"server show a b":                                                         "1 argument",
		"phone list --status asleep":                                              `"asleep"`,
		"phone list --limit -1":                                                   "--limit -1",
		"phone exec edge-0001":                                                    "a program",
		"phone exec edge-0001 --":                                                 "a program",
		"phone exec":                                                              "a phone",
		"reset":                                                                   "no phone is named",
		"reset a --all":                                                           "only one of the three",
		"reset --all --server a":                                                  "only one of the three",
		"reset a --image=":                                                        "--image is empty",
		"reset --server=":                                                         "--server is empty",
		"reset a --property x":                                                    `"x"`,
		"reset a --property no.such.key=1":                                        "no.such.key",
		"reset a --property com.cph.mainkeys=2":                                   "com.cph.mainkeys",
		"reset a --property com.cph.mainkeys=1 --property com.cph.mainkeys=0": "twice",
		"job list --limit x":                  "--limit",
		"job show":                            "1 argument",
		"user add":                            "1 argument",
		"user add ci --allow reset":           `"reset"`,
		"user add ci --policy " + noPolicy:    "Condition",
		"user policy ci":                      "--allow",
		"user policy ci --none --allow a:b:c": "--none",
		"version now":                         `"now"`,
	}
	for line, names := range tests {
		r := in.run(strings.Fields(line)...)
		if r.code != 2 || r.stdout != "" || !strings.Contains(r.stderr, names) || strings.Count(r.stderr, "\n") != 1 || !strings.HasPrefix(r.stderr, "lethe: ") {
			t.Errorf("%s: exit code %d, stdout %q, stderr %q, want one line that names %s", line, r.code, r.stdout, r.stderr, names)
		}
	}
	if calls := in.called(); len(calls) > 0 {
		t.Errorf("calls were made: %v", calls)
	}
}

// What only the server can know to be wrong is a wrong argument too, and nothing is started.
func TestArgumentsThatNameNothing(t *testing.T) {
	t.Parallel()
	in := newTestInstallation(t)
	in.fleet("edge", 1)
	for range 2 {
		in.store.Put(phone.Image{ID: phone.NewID[phone.ImageID](), Name: "twin", Project: testProject, Label: "cloud_phone"})
	}
	for line, names := range map[string]string{
		"reset edge-0001 edge-0002":    `"edge-0002"`,
		"reset edge-0001 --image none": `"none"`,
		"reset edge-0001 --image twin": "2 images",
		"reset --server none":          `"none"`,
		"phone show none":              `"none"`,
		"phone exec none -- true":      `"none"`,
		"phone list --server none":     `"none"`,
		"job list --phone none":        `"none"`,
		"server show none":             `"none"`,
		"server drift none":            `"none"`,
		"server reconcile none":        `"none"`,
		"server add --name a! --driver simulated --phones 1 --image edge-image": "server_name",
		"job list --request x": "request_id",
	} {
		r := in.run(strings.Fields(line)...)
		if r.code != 2 || r.stdout != "" || !strings.Contains(r.stderr, names) {
			t.Errorf("%s: exit code %d, stdout %q, stderr %q, want one line that names %s", line, r.code, r.stdout, r.stderr, names)
		}
	}
	if jobs := in.store.AllJobs(); len(jobs) > 0 {
		t.Errorf("jobs were made: %v", jobs)
	}
	contains(t, in.run("reset", "--server", "edge", "--image", strings.Repeat("0", 32)).must(t, 1).stderr, "CPS.0166")
}

// Every code that a server answers with has an exit code, also wrapped and among others.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	for _, code := range phone.Codes() {
		want := exitFailed
		if code == phone.Invalid {
			want = exitUsage
		}
		refused := &client.Error{Code: string(code), Msg: "no"}
		if got := exitCode(fmt.Errorf("send: %w", refused)); got != want {
			t.Errorf("%s: exit code %d, want %d", code, got, want)
		}
	}
	for want, err := range map[int]error{
		exitOK: nil, exitUsage: usagef("wrong"), 7: exitError(7), exitFailed: errors.Join(&client.Error{Code: "CPS.0030"}, context.Canceled),
	} {
		if got := exitCode(err); got != want {
			t.Errorf("%v: exit code %d, want %d", err, got, want)
		}
	}
}

func TestComplain(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	env := newEnvironment(nil, nil, nil, &out)
	env.complain("a", "CPS.0004", "Parameter: phone_id is invalid.", "")
	env.complain("b", "CPS.0054", "It did not boot.", "Look at\nits log.")
	env.complain("c", "CPS.0003", "the data is there", "the data is there: free it")
	want := "a: CPS.0004 Parameter: phone_id is invalid\nb: CPS.0054 It did not boot: Look at its log.\nc: CPS.0003 the data is there: free it\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestServerUnreachable(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	endpoint := "http://" + listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	in := &testInstallation{t: t, url: endpoint}
	for _, line := range []string{"phone list", "reset --all", "image add --name a --reference r", "user list"} {
		r := in.run(strings.Fields(line)...).must(t, 1)
		contains(t, r.stderr, "lethe: nothing answers at "+endpoint, "start it with lethe serve")
		if strings.Count(r.stderr, "\n") != 1 || r.stdout != "" {
			t.Errorf("%s: stdout %q, stderr %q", line, r.stdout, r.stderr)
		}
	}
}

func TestWrongKey(t *testing.T) {
	t.Parallel()
	in := newTestInstallation(t)
	getenv := func(name string) string {
		if name == "LETHE_SECRET_KEY" {
			return "another"
		}
		return in.getenv(name)
	}
	r := runCommand(t.Context(), getenv, "", "phone", "list").must(t, 1)
	contains(t, r.stderr, "verify aksk signature fail (unauthenticated, request ")
	if strings.Contains(r.stderr, "another") {
		t.Error("a secret is shown")
	}
}

func TestCredentials(t *testing.T) {
	in := newTestInstallation(t)
	whole := fmt.Sprintf(`{"endpoint":%q,"access_key":%q,"secret_key":%q,"project_id":%q}`, in.url, testAccess, testSecret, testProject)
	elsewhere := strings.Replace(whole, in.url, "http://127.0.0.1:1", 1)
	file, other := writeFile(t, "c.json", whole), writeFile(t, "o.json", elsewhere)
	empty := t.TempDir()
	t.Chdir(empty)
	none := func(string) string { return "" }
	only := func(set map[string]string) func(string) string { return func(name string) string { return set[name] } }

	runCommand(t.Context(), none, "", "phone", "list", "--credentials", file).must(t, 0)
	runCommand(t.Context(), in.getenv, "", "phone", "list").must(t, 0)
	// The flag's file is taken alone, whatever the environment has.
	contains(t, runCommand(t.Context(), in.getenv, "", "phone", "list", "--credentials", other).must(t, 1).stderr, "nothing answers at http://127.0.0.1:1")
	contains(t, runCommand(t.Context(), none, "", "phone", "list").must(t, 1).stderr, "no credentials", "--credentials", "LETHE_ENDPOINT")
	contains(t, runCommand(t.Context(), only(map[string]string{"LETHE_ENDPOINT": in.url}), "", "phone", "list").must(t, 1).stderr, "LETHE_ACCESS_KEY")
	contains(t, runCommand(t.Context(), none, "", "phone", "list", "--credentials", "nowhere.json").must(t, 1).stderr, "nowhere.json: no such file")
	contains(t, runCommand(t.Context(), none, "", "phone", "list", "--credentials", writeFile(t, "b.json", "[]")).must(t, 1).stderr, "b.json is not a credentials file")
	contains(t, runCommand(t.Context(), none, "", "phone", "list", "--credentials", writeFile(t, "e.json", `{"endpoint":"x"}`)).must(t, 2).stderr, `"x" is not a URL`)

	// ./credentials.json, and single variables over it.
	if err := os.WriteFile(defaultCredentials, []byte(elsewhere), 0o600); err != nil {
		t.Fatal(err)
	}
	contains(t, runCommand(t.Context(), none, "", "phone", "list").must(t, 1).stderr, "nothing answers at http://127.0.0.1:1")
	runCommand(t.Context(), only(map[string]string{"LETHE_ENDPOINT": in.url}), "", "phone", "list").must(t, 0)
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	in := newTestInstallation(t)
	in.fleet("edge", 2)
	in.fleet("core", 1)
	tests := map[string][]string{
		"reset edge":                   {"edge-0001\t" + fmt.Sprintf("%032x", 1), "edge-0002\t" + fmt.Sprintf("%032x", 2)},
		"phone show core":              {"core-0001\t" + fmt.Sprintf("%032x", 3)},
		"phone exec edge-0001 ":        nil,
		"server show e":                {"edge"},
		"reset --server c":             {"core"},
		"reset x --image edge":         {"edge-image\t" + in.image("edge")},
		"reset x --property com.cph.m": {"com.cph.mainkeys=\t0 or 1"},
		"phone list --status reset-":   {"reset-failed"},
		"server add --driver s":        {"simulated"},
		"phone list -o j":              {"json"},
		"user add ci --allow " + string(fleet.ActionPhonesReset)[:15]: {string(fleet.ActionPhonesReset)},
	}
	for line, want := range tests {
		r := in.run(append([]string{"__complete"}, strings.Split(line, " ")...)...).must(t, 0)
		lines := strings.Split(strings.TrimSpace(r.stdout), "\n")
		lines = lines[:len(lines)-1] // cobra's directive
		if len(lines) != len(want) {
			t.Errorf("%s: completed to %q, want %q", line, lines, want)
			continue
		}
		for i := range want {
			if !strings.HasPrefix(lines[i], want[i]) {
				t.Errorf("%s: completed to %q, want %q", line, lines[i], want[i])
			}
		}
	}
	r := runCommand(t.Context(), func(string) string { return "" }, "", "__complete", "reset", "--credentials", "/nowhere", "edge").must(t, 0)
	if strings.Contains(r.stdout, "edge") {
		t.Errorf("completed without a server: %q", r.stdout)
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	v := jsonOf[api.Version](t, runCommand(t.Context(), func(string) string { return "" }, "", "version", "-o", "json").must(t, 0))
	if v.Version == "" || !strings.HasPrefix(v.Go, "go") {
		t.Errorf("version %+v", v)
	}
}
