package simulated

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/driver/drivertest"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// childEnv holds a child's orders: this test binary runs itself to have processes that can be killed.
const childEnv = "LETHE_TEST_SIMULATED_CHILD"

type orders struct {
	Dir    string
	Owner  drivertest.Owner
	Phones []phone.ID
	// Lives is how many lives each phone gets; 0 is until the end.
	Lives int
	// Beside says that other processes make the same lives at the same time.
	Beside bool
}

func TestMain(m *testing.M) {
	if text := os.Getenv(childEnv); text != "" {
		var o orders
		if err := json.Unmarshal([]byte(text), &o); err != nil {
			panic(err)
		}
		if err := o.work(context.Background(), os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// config has a capacity, so that the count of instances is part of what a kill can hit.
func (o orders) config() Config { return Config{DataFiles: 3, Capacity: 2 * len(o.Phones)} }

func (o orders) open() (*Driver, error) {
	text, err := json.Marshal(o.config())
	if err != nil {
		return nil, err
	}
	return Open(o.Owner.Installation, phone.Server{ID: o.Owner.Server, Endpoint: "sim://" + o.Dir, Config: text})
}

// work gives the phones one life after the other, as an engine does, and says so after each. It goes on where another one was
// killed: the highest life on the host is done again from its beginning.
func (o orders) work(ctx context.Context, out io.Writer) error {
	d, err := o.open()
	if err != nil {
		return err
	}
	for round := 0; o.Lives == 0 || round < o.Lives; round++ {
		for _, id := range o.Phones {
			found, err := d.scan(id)
			if err != nil {
				return err
			}
			generation := phone.Generation(1)
			for _, l := range found.volumes {
				generation = max(generation, l.Generation)
			}
			if round > 0 {
				generation++
			}
			if err := o.life(ctx, d, driver.Ref{Phone: id, Generation: generation}); err != nil {
				return fmt.Errorf("generation %d of %s: %w", generation, id, err)
			}
			if _, err := fmt.Fprintln(out, id, generation); err != nil {
				return err
			}
		}
	}
	return nil
}

// life is the driver's part of one job, which is named after the life so that whoever takes it over has the same one; and, unless others do
// the same beside it, of a restart with other properties after it.
func (o orders) life(ctx context.Context, d *Driver, ref driver.Ref) error {
	job := sha256.Sum256(fmt.Appendf(nil, "%s %d", ref.Phone, ref.Generation))
	image := phone.Image{Reference: "example.test/phone:12"}
	identity, err := d.Prepare(ctx, image)
	if err != nil {
		return err
	}
	if ref.Generation > 1 {
		if err := d.Remove(ctx, driver.Ref{Phone: ref.Phone, Generation: ref.Generation - 1}); err != nil {
			return err
		}
	}
	spec := driver.Spec{Ref: ref, Job: phone.JobID(hex.EncodeToString(job[:16])), Image: image, Identity: identity, ADBPort: 5555}
	if _, err := d.Ensure(ctx, spec); err != nil {
		return err
	}
	if err := d.Start(ctx, ref); err != nil {
		return err
	}
	const file = "/data/file"
	for _, command := range [][]string{{"tee", file}, {"setprop", "persist.x", "1"}, {"setprop", "debug.x", "1"}} {
		result, err := d.Exec(ctx, ref, driver.Command{Args: command, Stdin: []byte("data")})
		if err != nil || result.ExitCode != 0 {
			return fmt.Errorf("%v: exit code %d: %s: %v", command, result.ExitCode, result.Stderr, err)
		}
	}
	if o.Beside {
		_, err = d.Erase(ctx, ref.Phone, ref.Generation)
		return err
	}
	if err := d.Stop(ctx, ref); err != nil {
		return err
	}
	spec.Properties = phone.Properties{"ro.product.model": "remade"}
	if _, err := d.Remake(ctx, spec); err != nil {
		return err
	}
	if err := d.Start(ctx, ref); err != nil {
		return err
	}
	result, err := d.Exec(ctx, ref, driver.Command{Args: []string{"cat", file}})
	if err != nil || result.ExitCode != 0 || string(result.Stdout) != "data" {
		return fmt.Errorf("after Remake the file has %q, %d: %v", result.Stdout, result.ExitCode, err)
	}
	_, err = d.Erase(ctx, ref.Phone, ref.Generation)
	return err
}

// start runs this test binary as a child with these orders.
func (o orders) start(t *testing.T) (child *exec.Cmd, lines *bufio.Scanner, stderr *strings.Builder) {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	text, err := json.Marshal(o)
	must(t, err)
	child = exec.CommandContext(t.Context(), self)
	child.Env = append(os.Environ(), childEnv+"="+string(text))
	stderr = &strings.Builder{}
	child.Stderr = stderr
	out, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	return child, bufio.NewScanner(out), stderr
}

// Processes are killed in the middle of resets, again and again. What they leave is at all times a host that can be read, and
// the next one goes on.
func TestKilled(t *testing.T) {
	t.Parallel()
	_, dir, owner := newHost(t, Config{})
	o := orders{Dir: dir, Owner: owner}
	for range 3 {
		o.Phones = append(o.Phones, phone.NewID[phone.ID]())
	}
	const kills = 15
	lived := map[phone.ID]phone.Generation{} // the last life of each phone that a process said had ended
	for n := range kills {
		child, lines, stderr := o.start(t)
		for range 1 + n%6 { // from the fourth line on a phone has one life more
			if !lines.Scan() {
				break
			}
			var id phone.ID
			var generation phone.Generation
			if _, err := fmt.Sscan(lines.Text(), &id, &generation); err != nil {
				t.Fatalf("the child said %q: %v", lines.Text(), err)
			}
			lived[id] = max(lived[id], generation)
		}
		must(t, child.Process.Kill())
		if err := child.Wait(); stderr.Len() > 0 {
			t.Fatalf("the child after %d kills: %v: %s", n, err, stderr)
		}
		o.wantReadable(t)
	}
	o.Lives = 2
	var out strings.Builder
	must(t, o.work(t.Context(), &out))

	d, err := o.open()
	must(t, err)
	for _, id := range o.Phones {
		entries, err := os.ReadDir(d.phoneDir(id))
		must(t, err)
		found, err := d.scan(id)
		must(t, err)
		if len(entries) != 2 || len(found.instances) != 1 || len(found.volumes) != 1 || found.instances[0].Generation != found.volumes[0].Generation {
			t.Errorf("phone %s has %v", id, entries)
		}
		if len(found.instances) == 1 && found.instances[0].Generation <= lived[id] {
			t.Errorf("after %d processes phone %s is only at generation %d, and one had ended %d: they did not go on where others ended",
				kills, id, found.instances[0].Generation, lived[id])
		}
	}
	if count, err := d.readCount(t.Context()); err != nil || count < len(o.Phones) {
		t.Errorf("%d instances are counted, %v: a kill must never make the count too low", count, err)
	}
}

// wantReadable holds everything on the host to being whole: ours by its label, or a name that nobody reads.
func (o orders) wantReadable(t *testing.T) {
	t.Helper()
	d, err := o.open()
	must(t, err)
	for _, id := range o.Phones {
		found, err := d.scan(id)
		must(t, err)
		for _, ref := range found.instances {
			i, owner, err := d.readInstance(ref)
			if must(t, err); owner != ours {
				t.Errorf("the record of generation %d is not whole", ref.Generation)
			} else if _, volume := found.volume(d, ref.Generation); volume != ours {
				t.Errorf("generation %d has an instance of job %s without a volume", ref.Generation, i.Job)
			}
		}
		for _, l := range found.volumes {
			if !d.owns(l) {
				t.Errorf("the volume of generation %d is not whole", l.Generation)
			}
		}
	}
}

// Processes that make the same lives at the same time make each one once.
func TestProcessesBesideEachOther(t *testing.T) {
	t.Parallel()
	_, dir, owner := newHost(t, Config{})
	o := orders{Dir: dir, Owner: owner, Lives: 1, Beside: true}
	for range 20 {
		o.Phones = append(o.Phones, phone.NewID[phone.ID]())
	}
	const processes = 3
	var wait []func() error
	for range processes {
		child, lines, stderr := o.start(t)
		wait = append(wait, func() error {
			n := 0
			for lines.Scan() {
				n++
			}
			if err := child.Wait(); err != nil || n != len(o.Phones) {
				return fmt.Errorf("a child made %d of %d lives: %v: %s", n, len(o.Phones), err, stderr)
			}
			return nil
		})
	}
	for _, w := range wait {
		if err := w(); err != nil {
			t.Error(err)
		}
	}
	d, err := o.open()
	must(t, err)
	objects, err := d.List(t.Context())
	if must(t, err); len(objects) != 2*len(o.Phones) {
		t.Errorf("the host has %d objects of %d phones", len(objects), len(o.Phones))
	}
	if count, err := d.readCount(t.Context()); err != nil || count != len(o.Phones) {
		t.Errorf("%d instances are counted, %v; want %d", count, err, len(o.Phones))
	}
}
