package cph_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/cph"
	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// host runs what exec says in every phone.
type host struct {
	exec func(ctx context.Context, ref driver.Ref, command driver.Command) (driver.Result, error)
	runs atomic.Int32
}

func (h *host) Driver(context.Context, phone.Server) (driver.Driver, error) {
	return hostDriver{h: h}, nil
}

// hostDriver can do nothing else.
type hostDriver struct {
	driver.Driver
	h *host
}

func (d hostDriver) Exec(ctx context.Context, ref driver.Ref, command driver.Command) (driver.Result, error) {
	d.h.runs.Add(1)
	return d.h.exec(ctx, ref, command)
}

// withHost is a bundle with such a host, and a clock that goes on by d each time that it is asked.
func withHost(t *testing.T, h *host, d time.Duration) *bundle {
	t.Helper()
	store, at := newBundle(t).store, now
	b := newBundle(t, func(c *cph.Config) {
		c.Fleet = fleet.New(fleet.Config{Store: store, Hosts: h, MaxBatch: 20})
		c.Now = func() time.Time {
			at = at.Add(d)
			return at
		}
	})
	b.store = store
	return b
}

func (b *bundle) sync(body string) answer {
	b.t.Helper()
	return b.post("/phones/sync-commands", body)
}

// syncJobs gives an answer's elements; what they are called is of no interest.
func (a answer) syncJobs(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, j := range a.list(t, "jobs") {
		id, hasID := j["job_id"].(string)
		if hasID && !phone.ValidID(id) {
			t.Errorf("job_id %q", id)
		}
		who, _ := j["phone_id"].(string)
		if server, ok := j["server_id"].(string); ok {
			who = "server " + server
		}
		all = append(all, fmt.Sprintf("%s run=%v %v %v %v %q", who, hasID, j["status"], j["error_code"], j["error_msg"], j["execute_msg"]))
	}
	return all
}

func in(id phone.ID, status phone.Status) phone.Phone {
	p := runningPhone(id)
	p.Name, p.Status, p.Generation = string(id), status, 3
	return p
}

func hexID(n int) string { return fmt.Sprintf("%032x", n) }

func TestSyncCommand(t *testing.T) {
	t.Parallel()
	errs := func(code phone.Code, reason phone.Reason) func() (driver.Result, error) {
		return func() (driver.Result, error) {
			return driver.Result{}, phone.Errorf(code, reason, "secret of the inside")
		}
	}
	ends := func(r driver.Result) func() (driver.Result, error) {
		return func() (driver.Result, error) { return r, nil }
	}
	behaviour := map[string]func() (driver.Result, error){
		hexID(1): ends(driver.Result{Stdout: []byte("out\r\n")}),
		hexID(2): ends(driver.Result{ExitCode: 1, Stdout: []byte("some\n"), Stderr: []byte("ls: /x: No such file or directory\n")}),
		hexID(3): ends(driver.Result{ExitCode: 137, Stdout: []byte("begun"), Expired: true}),
		hexID(4): errs(phone.Unavailable, ""),
		hexID(5): errs(phone.NotFound, ""),
		hexID(6): errs(phone.Precondition, phone.ReasonPhoneNotRunning),
		hexID(7): errs(phone.Internal, ""),
		hexID(8): ends(driver.Result{Stdout: []byte(strings.Repeat("手", 400))}),
		hexID(9): ends(driver.Result{Stdout: []byte("a\xff\x00b")}),
	}
	h := &host{exec: func(_ context.Context, ref driver.Ref, command driver.Command) (driver.Result, error) {
		want := driver.Command{Args: []string{"sh", "-c", "ls -l /system"}, MaxOutput: 1025, TimeLimit: 2 * time.Second}
		if diff := cmp.Diff(want, command); diff != "" || ref.Generation != 3 {
			t.Errorf("generation %d: %s", ref.Generation, diff)
		}
		return behaviour[string(ref.Phone)]()
	}}
	b := withHost(t, h, time.Hour)
	for n := range 9 {
		b.store.Put(in(phone.ID(hexID(n+1)), phone.StatusRunning))
	}
	b.store.Put(in(phone.ID(hexID(10)), phone.StatusStopped), in(phone.ID(hexID(11)), phone.StatusFrozen))
	ids := []string{
		hexID(1), hexID(2), hexID(3), hexID(4), hexID(5), hexID(6), hexID(7), hexID(8), hexID(9), hexID(10), hexID(11),
		string(unknownID), string(theirID), "x", hexID(1),
	}
	list, _ := json.Marshal(ids)
	got := b.sync(`{"command":"shell","content":" ls -l /system ","phone_ids":` + string(list) + `,"server_ids":["ignored"]}`).syncJobs(t)
	want := []string{
		hexID(1) + ` run=true 2   "out"`,
		hexID(2) + ` run=true -1 CPS.0191 Run command failed. "some\nls: /x: No such file or directory"`,
		hexID(3) + ` run=true -1 CPS.0054 Handle job timeout. "begun"`,
		hexID(4) + ` run=false -1 CPS.0099 Parameter: server is not ready. ""`,
		hexID(5) + ` run=false -1 CPS.0141 Phone is not in running status. ""`,
		hexID(6) + ` run=false -1 CPS.0141 Phone is not in running status. ""`,
		hexID(7) + ` run=false -1 CPS.0003 Service internal error. ""`,
		hexID(8) + ` run=true 2   "` + strings.Repeat("手", 341) + `"`,
		hexID(9) + ` run=true 2   "a�\x00b"`,
		hexID(10) + ` run=false -1 CPS.0141 Phone is not in running status. ""`,
		hexID(11) + ` run=false -1 CPS.0053 No permission to request resources. Phone is freezed. ""`,
		string(unknownID) + ` run=false -1 CPS.0005 Phone is not found. ""`,
		string(theirID) + ` run=false -1 CPS.0005 Phone is not found. ""`,
		`x run=false -1 CPS.0005 Phone is not found. ""`,
		hexID(1) + ` run=false -1 CPS.0023 Duplicate apply the phone. ""`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if h.runs.Load() != 9 {
		t.Errorf("%d runs", h.runs.Load())
	}
	if log := b.log.String(); strings.Count(log, "secret of the inside") != 1 {
		t.Errorf("the log must have the one failure of ours: %s", log)
	}
}

func TestSyncCommandOnServers(t *testing.T) {
	t.Parallel()
	h := &host{exec: func(context.Context, driver.Ref, driver.Command) (driver.Result, error) { return driver.Result{}, nil }}
	b := withHost(t, h, time.Hour)
	const theirServer = "77777777777777777777777777777777"
	b.store.Put(in(phone.ID(hexID(1)), phone.StatusStopped))
	ask := func(servers string) answer {
		return b.sync(`{"command":"shell","content":"id","phone_ids":[],"server_ids":[` + servers + `]}`)
	}
	got := ask(`"` + theirServer + `","` + string(serverID) + `","x","` + string(serverID) + `"`).syncJobs(t)
	slices.Sort(got)
	want := []string{
		hexID(1) + ` run=false -1 CPS.0141 Phone is not in running status. ""`,
		string(firstID) + ` run=true 2   ""`,
		`server ` + theirServer + ` run=false -1 CPS.0097 Parameter: server_id is invalid. ""`,
		`server x run=false -1 CPS.0097 Parameter: server_id is invalid. ""`,
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for n := range 20 {
		b.store.Put(in(phone.ID(hexID(n+1)), phone.StatusRunning))
	}
	ask(`"`+string(serverID)+`"`).refused(t, 400, "CPS.0190", "The number of phones exceeds the limit.")
	if h.runs.Load() != 1 {
		t.Errorf("%d runs", h.runs.Load())
	}
}

func TestSyncCommandLimits(t *testing.T) {
	t.Parallel()
	h := &host{}
	b := withHost(t, h, time.Hour)
	id := `["` + string(firstID) + `"]`
	ids := func(n int) string {
		return "[" + strings.TrimSuffix(strings.Repeat(`"`+string(firstID)+`",`, n), ",") + "]"
	}
	const content, command = "Parameter: content is invalid.", "Parameter: command is invalid."
	for _, tt := range []struct{ body, code, msg string }{
		{`{"content":"id","phone_ids":` + id + `}`, "CPS.0117", command},
		{`{"command":"install","content":"id","phone_ids":` + id + `}`, "CPS.0117", command},
		{`{"command":7,"content":"id","phone_ids":` + id + `}`, "CPS.0117", command},
		{`{"command":"shell","phone_ids":` + id + `}`, "CPS.0118", content},
		{`{"command":"shell","content":[],"phone_ids":` + id + `}`, "CPS.0118", content},
		{`{"command":"shell","content":"  ","phone_ids":` + id + `}`, "CPS.0118", content},
		{`{"command":"shell","content":"-x","phone_ids":` + id + `}`, "CPS.0118", content},
		{`{"command":"shell","content":"ls; reboot","phone_ids":` + id + `}`, "CPS.0118", content},
		{`{"command":"shell","content":"ls $HOME","phone_ids":` + id + `}`, "CPS.0118", content},
		{`{"command":"shell","content":"ls\nls","phone_ids":` + id + `}`, "CPS.0118", content},
		{`{"command":"shell","content":"手","phone_ids":` + id + `}`, "CPS.0118", content},
		{`{"command":"shell","content":"` + strings.Repeat("a", 1025) + `","phone_ids":` + id + `}`, "CPS.0118", content},
		{`{"command":"shell","content":"id"}`, "CPS.0009", "Parameter: phone_id list is empty."},
		{`{"command":"shell","content":"id","phone_ids":[ ],"server_ids":null}`, "CPS.0009", "Parameter: phone_id list is empty."},
		{`{"command":"shell","content":"id","phone_ids":` + ids(16) + `}`, "CPS.0190", "The number of phones exceeds the limit."},
		{`{"command":"shell","content":"id","phone_ids":7}`, "CPS.0080", "Parameter: phone_ids is invalid."},
		{`{"command":"shell","content":"id","server_ids":` + ids(101) + `}`, "CPS.0096", "The number of servers exceeds the limit."},
		{`{"command":"shell","content":"id","server_ids":[7]}`, "CPS.0094", "Parameter: server_ids is invalid."},
	} {
		b.sync(tt.body).refused(t, 400, tt.code, tt.msg)
	}
	if b.store.Calls() != 0 {
		t.Errorf("the store was asked %d times", b.store.Calls())
	}
	h.exec = func(_ context.Context, _ driver.Ref, command driver.Command) (driver.Result, error) {
		return driver.Result{Stdout: []byte(fmt.Sprint(len(command.Args[2])))}, nil
	}
	got := b.sync(`{"command":"shell","content":"` + strings.Repeat("a", 1024) + `","phone_ids":` + id + `}`).syncJobs(t)
	if want := string(firstID) + ` run=true 2   "1024"`; len(got) != 1 || got[0] != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// Six calls of a user within a minute; the seventh is told when there is room again, and others are not concerned.
func TestSyncCommandRate(t *testing.T) {
	t.Parallel()
	h := &host{exec: func(context.Context, driver.Ref, driver.Command) (driver.Result, error) { return driver.Result{}, nil }}
	b := withHost(t, h, 7*time.Second)
	body := `{"command":"shell","content":"id","phone_ids":["` + string(firstID) + `"]}`
	b.sync(`{"command":"shell","content":"","phone_ids":["`+string(firstID)+`"]}`).refused(t, 400, "CPS.0118", "Parameter: content is invalid.")
	var statuses []int
	var last answer
	for range 10 { // at 7, 14, ... 70 s
		last = b.sync(body)
		statuses = append(statuses, last.status)
		if last.status == 429 {
			last.refused(t, 429, "APIGW.0308", "The throttling threshold has been reached.")
		}
	}
	if diff := cmp.Diff([]int{200, 200, 200, 200, 200, 200, 429, 429, 429, 200}, statuses); diff != "" {
		t.Error(diff)
	}
	if got := b.sync(body); got.status != 200 { // at 77 s: the one of 14 s no longer counts
		t.Errorf("%d %s", got.status, got.body)
	}
	got := b.do("POST", base+"/phones/sync-commands", "cph:phones:execSyncCommands", body)
	if got.status != 200 {
		t.Errorf("another user: %d %s", got.status, got.body)
	}
	for range 6 {
		got = b.sync(body)
	}
	if got.status != 429 || got.header.Get("Retry-After") == "" {
		t.Errorf("%d, Retry-After %q", got.status, got.header.Get("Retry-After"))
	}
}

// All phones of a call are at work at the same time.
func TestSyncCommandAtOnce(t *testing.T) {
	t.Parallel()
	const phones = 15
	var here sync.WaitGroup
	here.Add(phones)
	h := &host{exec: func(ctx context.Context, _ driver.Ref, _ driver.Command) (driver.Result, error) {
		here.Done()
		all := make(chan struct{})
		go func() { here.Wait(); close(all) }()
		select {
		case <-all:
			return driver.Result{}, nil
		case <-ctx.Done():
			return driver.Result{}, &phone.Error{Code: phone.Unavailable, Err: ctx.Err()}
		}
	}}
	b := withHost(t, h, time.Hour)
	var ids []string
	for n := range phones {
		b.store.Put(in(phone.ID(hexID(n+1)), phone.StatusRunning))
		ids = append(ids, hexID(n+1))
	}
	list, _ := json.Marshal(ids)
	for i, job := range b.sync(`{"command":"shell","content":"id","phone_ids":` + string(list) + `}`).syncJobs(t) {
		if want := hexID(i+1) + ` run=true 2   ""`; job != want {
			t.Errorf("%s, want %s", job, want)
		}
	}
}
