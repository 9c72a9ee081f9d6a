package simulated

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// state is what a test wants of an instance at some time after its start.
type state struct {
	After                   time.Duration
	Running, Booted, Exited bool
	ExitCode                int
	CheckAfter              time.Duration
	Gone                    bool
}

// A boot and every fault of it are deadlines: what Inspect says at any time follows from them.
func TestBootFaults(t *testing.T) {
	t.Parallel()
	const second = time.Second
	seven := 7
	for name, test := range map[string]struct {
		fault *Fault
		want  []state
	}{
		"none": {nil, []state{
			{After: 0, Running: true, CheckAfter: 10 * second},
			{After: 9999 * time.Millisecond, Running: true, CheckAfter: time.Millisecond},
			{After: 10 * second, Running: true, Booted: true},
			{After: 10000 * time.Hour, Running: true, Booted: true},
		}},
		"slow by a factor": {&Fault{Operation: OpBoot, Effect: EffectSlow, Factor: 3}, []state{
			{After: 29 * second, Running: true, CheckAfter: second}, {After: 30 * second, Running: true, Booted: true},
		}},
		"slow by a time": {&Fault{Operation: OpBoot, Effect: EffectSlow, Duration: Duration(5 * second)}, []state{
			{After: 14 * second, Running: true, CheckAfter: second}, {After: 15 * second, Running: true, Booted: true},
		}},
		"slow by both": {&Fault{Operation: OpBoot, Effect: EffectSlow, Factor: 2, Duration: Duration(second)}, []state{
			{After: 20 * second, Running: true, CheckAfter: second}, {After: 21 * second, Running: true, Booted: true},
		}},
		"never": {&Fault{Operation: OpBoot, Effect: EffectNever}, []state{
			{After: 0, Running: true}, {After: 1000 * time.Hour, Running: true},
		}},
		"exit": {&Fault{Operation: OpBoot, Effect: EffectExit}, []state{
			{After: 4 * second, Running: true, CheckAfter: second}, {After: 5 * second, Exited: true, ExitCode: 129},
			{After: 20 * second, Exited: true, ExitCode: 129},
		}},
		"exit late with a code": {&Fault{Operation: OpBoot, Effect: EffectExit, ExitCode: &seven, Duration: Duration(60 * second)}, []state{
			{After: 59 * second, Running: true, CheckAfter: second}, {After: 60 * second, Exited: true, ExitCode: 7},
		}},
		"vanish": {&Fault{Operation: OpStart, Effect: EffectVanish}, []state{
			{After: 4 * second, Running: true, CheckAfter: second}, {After: 5 * second, Gone: true},
		}},
		"vanish after the boot": {&Fault{Operation: OpBoot, Effect: EffectVanish, Duration: Duration(20 * second)}, []state{
			{After: 9 * second, Running: true, CheckAfter: second}, {After: 10 * second, Running: true, Booted: true}, {After: 20 * second, Gone: true},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := Config{BootTime: Duration(10 * second)}
			if test.fault != nil {
				config.Faults = []Fault{*test.fault}
			}
			d, clock := timed(t, config)
			spec := started(t, d, newSpec(t, d))
			began := clock.Now()
			for _, want := range test.want {
				clock.Add(began.Add(want.After).Sub(clock.Now()))
				instance, err := d.Inspect(t.Context(), spec.Ref)
				got := state{
					After: want.After, Running: instance.Running, Booted: instance.Booted, Exited: instance.Exited, ExitCode: instance.ExitCode,
					CheckAfter: instance.CheckAfter, Gone: phone.CodeOf(err) == phone.NotFound,
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%v (-want +got):\n%s", err, diff)
				}
				if got.Exited && (instance.Log == "" || len(instance.Log) > 2048) {
					t.Errorf("the log of an instance that ended is %q", instance.Log)
				}
			}
		})
	}
}

func TestVanishedInstanceIsMadeAgain(t *testing.T) {
	t.Parallel()
	config := Config{BootTime: Duration(time.Second), Faults: []Fault{
		{Operation: OpBoot, Effect: EffectVanish, Duration: Duration(time.Minute), Times: 1},
	}}
	d, clock := timed(t, config)
	spec := started(t, d, newSpec(t, d))
	sh(t, d, spec.Ref, "kept", "tee /data/file")
	clock.Add(time.Hour)
	wantError(t, d.Start(t.Context(), spec.Ref), phone.NotFound, "", "no instance")
	wantError(t, drop(d.Exec(t.Context(), spec.Ref, driver.Command{Args: []string{"getprop"}})), phone.NotFound, "", "no instance")
	must(t, d.Stop(t.Context(), spec.Ref))
	objects, err := d.List(t.Context())
	if must(t, err); len(objects) != 1 || objects[0].Kind != driver.ObjectVolume {
		t.Errorf("List shows %+v of a vanished instance", objects)
	}
	made, err := d.Ensure(t.Context(), spec)
	if must(t, err); made.Exited || made.Running {
		t.Errorf("made again: %+v", made)
	}
	must(t, d.Start(t.Context(), spec.Ref))
	clock.Add(time.Hour)
	if got := sh(t, d, spec.Ref, "", "cat /data/file"); !inspect(t, d, spec.Ref).Booted || string(got.Stdout) != "kept" {
		t.Errorf("after the second start the file is %q", got.Stdout)
	}
}

// Which calls a rule is about.
func TestRuleHits(t *testing.T) {
	t.Parallel()
	id := phone.ID("0123456789abcdef0123456789abcdef")
	who := subject{phone: id, generation: 3, names: func() []string { return []string{"web-7"} }}
	host := subject{}
	for _, test := range []struct {
		fault Fault
		op    Operation
		who   subject
		want  bool
	}{
		{Fault{Operation: OpEnsure}, OpEnsure, who, true},
		{Fault{Operation: OpEnsure}, OpStart, who, false},
		{Fault{Operation: OpAll}, OpList, host, true},
		{Fault{Operation: OpAll}, OpBoot, who, false},
		{Fault{Operation: OpEnsure, Phone: "*"}, OpEnsure, who, true},
		{Fault{Operation: OpEnsure, Phone: string(id)}, OpEnsure, who, true},
		{Fault{Operation: OpEnsure, Phone: "0123*"}, OpEnsure, who, true},
		{Fault{Operation: OpEnsure, Phone: "1123*"}, OpEnsure, who, false},
		{Fault{Operation: OpEnsure, Phone: "web-7"}, OpEnsure, who, true},
		{Fault{Operation: OpEnsure, Phone: "web-?"}, OpEnsure, who, true},
		{Fault{Operation: OpEnsure, Phone: "web"}, OpEnsure, who, false},
		{Fault{Operation: OpInfo, Phone: "web-*"}, OpInfo, host, false},
		{Fault{Operation: OpBoot, Generations: []phone.Generation{2, 3}}, OpBoot, who, true},
		{Fault{Operation: OpBoot, Generations: []phone.Generation{2, 4}}, OpBoot, who, false},
		{Fault{Operation: OpErase, Generations: []phone.Generation{2}}, OpErase, who, true},
		{Fault{Operation: OpErase, Generations: []phone.Generation{3}}, OpErase, who, false},
	} {
		if got := test.fault.hits(test.op, test.who); got != test.want {
			t.Errorf("%+v at %s: %v", test.fault, test.op, got)
		}
	}
}

// A rule finds a phone by its name in every operation, also where the call has the id alone.
func TestFaultByName(t *testing.T) {
	t.Parallel()
	d, _, _ := newHost(t, Config{})
	spec := newSpec(t, d)
	spec.Name = "web-7"
	other := newSpec(t, d)
	started(t, d, spec)
	started(t, d, other)
	calls := func(spec driver.Spec) map[Operation]error {
		return map[Operation]error{
			OpEnsure:  drop(d.Ensure(t.Context(), spec)),
			OpStart:   d.Start(t.Context(), spec.Ref),
			OpInspect: drop(d.Inspect(t.Context(), spec.Ref)),
			OpExec:    drop(d.Exec(t.Context(), spec.Ref, driver.Command{Args: []string{"getprop"}})),
			OpErase:   drop(d.Erase(t.Context(), spec.Phone, spec.Generation)),
			OpStop:    d.Stop(t.Context(), spec.Ref),
			OpRemove:  d.Remove(t.Context(), spec.Ref),
		}
	}
	must(t, d.WriteFaults([]Fault{{Name: "scripted", Phone: "web-*", Operation: OpAll, Effect: EffectFail}}))
	for op, err := range calls(spec) {
		wantError(t, err, phone.Internal, "", `the scripted fault "scripted"`)
		if erase := op == OpErase; erase != (phone.ReasonOf(err) == phone.ReasonEraseFailed) {
			t.Errorf("%s has the reason %q", op, phone.ReasonOf(err))
		}
	}
	for op, err := range calls(other) {
		if err != nil {
			t.Errorf("%s of another phone: %v", op, err)
		}
	}
}

// A rule strikes as often as it says, counted over all handles of the host; changed, it counts anew.
func TestFaultTimes(t *testing.T) {
	t.Parallel()
	fault := Fault{Operation: OpInspect, Effect: EffectUnavailable, Times: 3}
	d, dir, owner := newHost(t, Config{Faults: []Fault{fault}})
	spec := newSpec(t, d)
	must(t, drop(d.Ensure(t.Context(), spec)))
	handles := []*Driver{d, open(t, dir, owner, d.config), open(t, dir, owner, d.config)}
	const calls = 10
	failed := make([]int, len(handles))
	var all sync.WaitGroup
	for i, handle := range handles {
		all.Go(func() {
			for range calls {
				if _, err := handle.Inspect(t.Context(), spec.Ref); err != nil {
					failed[i]++
				}
			}
		})
	}
	all.Wait()
	if sum := failed[0] + failed[1] + failed[2]; sum != fault.Times {
		t.Errorf("it struck %d times, want %d", sum, fault.Times)
	}
	fault.Name = "another"
	again := open(t, dir, owner, Config{Faults: []Fault{fault, fault}})
	struck := 0
	for range calls {
		if _, err := again.Inspect(t.Context(), spec.Ref); err != nil {
			struck++
		}
	}
	if struck != 2*fault.Times {
		t.Errorf("two equal rules struck %d times together, want %d", struck, 2*fault.Times)
	}
}

// faults.json works from the next call on, in every handle; a file that cannot be read says so and heals.
func TestFaultFile(t *testing.T) {
	t.Parallel()
	d, dir, owner := newHost(t, Config{})
	other := open(t, dir, owner, Config{})
	info := func() error { return drop(other.Info(t.Context())) }
	must(t, info())
	for range 3 { // each change comes right after the one before, within one tick of the file's time
		must(t, d.WriteFaults([]Fault{{Operation: OpInfo, Effect: EffectUnavailable}}))
		wantError(t, info(), phone.Unavailable, "", "scripted")
		must(t, d.WriteFaults([]Fault{{Operation: OpList, Effect: EffectUnavailable}}))
		must(t, info())
		must(t, d.WriteFaults(nil))
		must(t, info())
	}
	must(t, os.WriteFile(d.path(faultsFile), []byte(`[{"operation": "info", "effe`), 0o600))
	wantError(t, info(), phone.Unavailable, "", "correct the file or remove it")
	must(t, os.WriteFile(d.path(faultsFile), []byte(`[{"operation": "info", "effect": "nothing"}]`), 0o600))
	wantError(t, info(), phone.Unavailable, "", "faults[0].effect")
	must(t, os.WriteFile(d.path(faultsFile), []byte(`[]`), 0o600))
	must(t, info())
	wantError(t, d.WriteFaults([]Fault{{Operation: OpInfo, Effect: EffectNever}}), phone.Invalid, "", "faults[0].operation")
	must(t, info())
}

// An unchanged faults.json that is old enough is not read again.
func TestFaultFileIsCached(t *testing.T) {
	t.Parallel()
	d, _, _ := newHost(t, Config{})
	must(t, d.WriteFaults([]Fault{{Operation: OpInfo, Effect: EffectUnavailable}}))
	old := time.Now().Add(-time.Hour)
	must(t, os.Chtimes(d.path(faultsFile), old, old))
	wantError(t, drop(d.Info(t.Context())), phone.Unavailable, "", "")
	first := d.file.rules
	wantError(t, drop(d.Info(t.Context())), phone.Unavailable, "", "")
	if d.file.info == nil || &first[0] != &d.file.rules[0] {
		t.Error("the file was read again")
	}
}

// A slow call waits before it does anything, and no longer than its ctx.
func TestFaultSlow(t *testing.T) {
	t.Parallel()
	d, _, _ := newHost(t, Config{})
	spec := newSpec(t, d)
	must(t, d.WriteFaults([]Fault{{Operation: OpEnsure, Effect: EffectSlow, Duration: Duration(time.Hour), Times: 1}}))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := d.Ensure(ctx, spec)
	if wantError(t, err, phone.Unavailable, "", ""); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v is not the end of ctx", err)
	}
	wantError(t, drop(d.Inspect(t.Context(), spec.Ref)), phone.NotFound, "", "")
	must(t, drop(d.Ensure(t.Context(), spec)))
	inspect(t, d, spec.Ref)
}

func TestLostAnswerOncePerLife(t *testing.T) {
	t.Parallel()
	d, dir, owner := newHost(t, Config{Faults: []Fault{{Operation: OpEnsure, Effect: EffectLostAnswer}}})
	other := open(t, dir, owner, d.config)
	first := newSpec(t, d)
	for _, spec := range []driver.Spec{first, nextLife(first), newSpec(t, d)} {
		wantError(t, drop(d.Ensure(t.Context(), spec)), phone.Unavailable, "", "answer was lost")
		for _, handle := range []*Driver{other, d} {
			if made, err := handle.Ensure(t.Context(), spec); err != nil || made.Ref != spec.Ref {
				t.Errorf("again: %+v, %v", made, err)
			}
		}
		inspect(t, d, spec.Ref)
	}
	// Work that fails has no answer to lose, and leaves the loss to the next call.
	spec := newSpec(t, d)
	identity := spec.Identity
	spec.Identity.ID = "sha256:none"
	wantError(t, drop(d.Ensure(t.Context(), spec)), phone.NotFound, phone.ReasonImageNotFound, "")
	spec.Identity = identity
	wantError(t, drop(d.Ensure(t.Context(), spec)), phone.Unavailable, "", "answer was lost")
}

// A late answer is one of work that is done: who does not wait for it leaves the work behind.
func TestLateAnswer(t *testing.T) {
	t.Parallel()
	d, _, _ := newHost(t, Config{Faults: []Fault{{Operation: OpEnsure, Effect: EffectLate, Duration: Duration(time.Hour), Times: 1}}})
	spec := newSpec(t, d)
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	answered := make(chan error, 1)
	go func() { answered <- drop(d.Ensure(ctx, spec)) }()
	for made := false; !made; {
		_, err := d.Inspect(t.Context(), spec.Ref)
		made = err == nil
		select {
		case err := <-answered:
			t.Fatalf("the answer was not late: %v", err)
		default:
		}
	}
	leave()
	if err := <-answered; !errors.Is(err, context.Canceled) {
		t.Errorf("%v is not the end of ctx", err)
	}
	must(t, drop(d.Ensure(t.Context(), spec)))
}

// A command that is ignored is answered as done, and what only reads is not ignored.
func TestIgnoredCommand(t *testing.T) {
	t.Parallel()
	d, _, _ := newHost(t, Config{Faults: []Fault{{Operation: OpExec, Effect: EffectIgnored, Times: 1}}})
	ref := started(t, d, newSpec(t, d)).Ref
	run := func(args ...string) string {
		t.Helper()
		result, err := d.Exec(t.Context(), ref, driver.Command{Args: args})
		if err != nil || result.ExitCode != 0 {
			t.Fatalf("%v: exit code %d, %v", args, result.ExitCode, err)
		}
		return string(result.Stdout)
	}
	const key = "persist.lethe.test"
	if got := run("getprop", "ro.lethe.none"); got != "\n" {
		t.Errorf("reading was not done: %q", got)
	}
	for _, want := range []string{"\n", "second\n"} {
		run("setprop", key, "second")
		if got := run("getprop", key); got != want {
			t.Errorf("the property is %q, want %q", got, want)
		}
	}
}

func TestBootSpread(t *testing.T) {
	t.Parallel()
	const boot, n = 10 * time.Second, 400
	boots := func(spread float64) []time.Duration {
		d, clock := timed(t, Config{BootTime: Duration(boot), BootSpread: spread})
		var all []time.Duration
		for i := range n {
			ref := driver.Ref{Phone: phone.ID(make32(i / 2)), Generation: phone.Generation(1 + i%2)}
			next, err := d.plan(t.Context(), ref, clock.Now())
			must(t, err)
			all = append(all, next.BootsAt.Sub(next.StartedAt))
		}
		return all
	}
	first := boots(0.5)
	if diff := cmp.Diff(first, boots(0.5)); diff != "" {
		t.Errorf("another host gives other times:\n%s", diff)
	}
	different := map[time.Duration]bool{}
	low, high := boot, boot
	for _, b := range first {
		different[b] = true
		low, high = min(low, b), max(high, b)
	}
	if len(different) < n*9/10 || low < boot/2 || low > boot*6/10 || high > boot*3/2 || high < boot*14/10 {
		t.Errorf("%d of %d differ, from %s to %s", len(different), n, low, high)
	}
	for _, b := range boots(0) {
		if b != boot {
			t.Fatalf("without spread a boot takes %s", b)
		}
	}
}

// make32 is an id made from a number.
func make32(n int) string {
	const digits = "0123456789abcdef"
	id := []byte("00000000000000000000000000000000")
	for i := len(id) - 1; n > 0; i, n = i-1, n/16 {
		id[i] = digits[n%16]
	}
	return string(id)
}
