package faults

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/testenv"
)

// handled is a host on which somebody does things by hand, behind lethe's back.
type handled interface {
	host
	die(t testing.TB, p phoneRow)           // its instance ends
	vanish(t testing.TB, p phoneRow)        // its instance is removed
	orphan(t testing.TB, p phoneRow)        // an instance of its first life appears
	orphaned(t testing.TB, p phoneRow) bool // and is there
	sick(t testing.TB, on bool)             // the host says that it is not healthy, or does not answer
}

// The reconciler with the real binary: a phone that was killed by hand is started again, or is abnormal and stays so, as the operator
// has set it; one that was removed by hand is abnormal; what is left of an old life is removed after the grace, what is somebody
// else's is not touched; and while the host is not healthy nothing is done.
func TestReconciler(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ kind, policy string }{{"simulated", "start"}, {"simulated", "never"}, {"docker", "start"}} {
		t.Run(c.kind+" "+c.policy, func(t *testing.T) {
			t.Parallel()
			reconciler(t, c.kind, c.policy)
		})
	}
}

func reconciler(t *testing.T, kind, policy string) {
	var in *installation
	c := config{database: embedded, flags: []string{"--reconcile-every", "1s", "--reconcile-grace", "1s", "--restart-dead", policy}}
	if kind == "docker" {
		purge(t, testenv.Docker(t), &in)
	}
	in = install(t, c)
	h := in.handledHost(kind)
	only := in.replicas[0]
	in.resetAll(only, h) // so that each phone has a life behind it
	in.settle()
	in.wantFailed(h.server(), nil)
	phones := in.phones(`server_id = $1`, h.server())
	dies, goes, left, fine := phones[0], phones[1], phones[2], phones[3]

	// Nothing while the host is not healthy, in three passes.
	h.sick(t, true)
	h.orphan(t, left)
	h.die(t, dies)
	h.vanish(t, goes)
	in.passes(only, "nothing was done")
	for _, p := range in.phones(`server_id = $1`, h.server()) {
		if p.status != 2 || in.count(`SELECT count(*) FROM jobs WHERE kind = 'start'`) > 0 {
			t.Errorf("phone %s is in status %d while its host is not healthy", p.name, p.status)
		}
	}
	if !h.orphaned(t, left) {
		t.Error("something was removed from a host that is not healthy")
	}

	h.sick(t, false)
	eventually(t, "what is left of an old life is removed", func() bool { return !h.orphaned(t, left) })
	eventually(t, "the phones that died are noticed", func() bool {
		return in.count(`SELECT count(*) FROM phones WHERE id IN ($1, $2) AND status = 2`, dies.id, goes.id) == 0 ||
			in.count(`SELECT count(*) FROM jobs WHERE kind = 'start' AND ended_at IS NOT NULL`) > 0 && in.phones(`id = $1`, goes.id)[0].status == -7
	})
	in.settle()
	starts := in.jobs(`kind = 'start'`)
	now := in.phones(`id = $1`, dies.id)[0]
	switch {
	case in.phones(`id = $1`, goes.id)[0].status != -7:
		t.Error("a phone whose instance was removed by hand is not abnormal")
	case policy == "never" && (now.status != -7 || len(starts) > 0):
		t.Errorf("a phone that died is in status %d and was started %d times, although nothing is started again", now.status, len(starts))
	case policy == "start" && (now.status != 2 || len(starts) != 1 || starts[0].phone != dies.id || now.generation != dies.generation):
		t.Errorf("a phone that died is in status %d, life %d, after %d starts", now.status, now.generation, len(starts))
	}
	if p := in.phones(`id = $1`, fine.id)[0]; p != fine {
		t.Errorf("a phone that had nothing was changed: %+v", p)
	}
	var shown struct{ Cause string }
	in.call(only, http.MethodGet, "/lethe/v1/phones/"+goes.id, nil, &shown)
	if !strings.Contains(shown.Cause, "is gone") || !strings.Contains(shown.Cause, "restart the phone") {
		t.Errorf("an abnormal phone says %q", shown.Cause)
	}
	in.resetAll(only, h)
	in.settle()
	in.wantFailed(h.server(), nil)
	in.check()
}

// passes waits until three passes over a host have said that.
func (in *installation) passes(r *replica, say string) {
	in.t.Helper()
	before := strings.Count(r.said(), say)
	eventually(in.t, "three passes say: "+say, func() bool { return strings.Count(r.said(), say) >= before+3 })
}

func (in *installation) handledHost(kind string) handled {
	in.t.Helper()
	if kind == "simulated" {
		return in.addSimulated("rack", in.addImage("first", "first"), 4, 2, `{"boot_time":"20ms"}`)
	}
	endpoint := testenv.Docker(in.t)
	network, address := endpointParts(in.t, endpoint)
	socket := filepath.Join(in.root, "gate.sock")
	g := newGate(in.t, "unix", socket, network, address)
	h := in.addDocker(newDaemon(in.t, endpoint), "unix://"+socket, api.AddServer{
		ServerName: "rack", PhoneCount: 4, ImageID: in.addImage("first", testenv.SimphoneImage(in.t)), MaxConcurrentBoots: 2, Config: template(),
	})
	return &gatedHost{h, g}
}

func (h *folderHost) record(p phoneRow, generation int64) string {
	return filepath.Join(h.phoneDir(p.id), fmt.Sprintf("%d.instance.json", generation))
}

// rewrite changes an instance's record as the host itself would: another file in its place.
func (h *folderHost) rewrite(t testing.TB, from, to string, change func(map[string]any)) {
	t.Helper()
	text, err := os.ReadFile(from)
	var record map[string]any
	if err == nil {
		err = json.Unmarshal(text, &record)
	}
	if err == nil {
		change(record)
		text, err = json.Marshal(record)
	}
	if err == nil {
		err = os.WriteFile(to+".hand", text, 0o600)
	}
	if err == nil {
		err = os.Rename(to+".hand", to)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (h *folderHost) die(t testing.TB, p phoneRow) {
	path := h.record(p, p.generation)
	h.rewrite(t, path, path, func(record map[string]any) {
		run := record["run"].(map[string]any)
		run["exits_at"], run["exit_code"] = time.Now().UTC(), 9
	})
}

func (h *folderHost) vanish(t testing.TB, p phoneRow) {
	if err := os.Remove(h.record(p, p.generation)); err != nil {
		t.Fatal(err)
	}
}

func (h *folderHost) orphan(t testing.TB, p phoneRow) {
	h.rewrite(t, h.record(p, p.generation), h.record(p, 1), func(record map[string]any) {
		record["generation"] = 1
		delete(record, "run")
	})
}

func (h *folderHost) orphaned(t testing.TB, p phoneRow) bool {
	_, err := os.Stat(h.record(p, 1))
	return err == nil
}

func (h *folderHost) sick(t testing.TB, on bool) {
	script := ""
	if on {
		script = `[{"operation":"info","effect":"unavailable"}]`
	}
	h.faults(t, script)
}

// gatedHost is a Docker host behind a gate.
type gatedHost struct {
	*daemonHost
	gate *gate
}

func (h *gatedHost) container(p phoneRow, generation int64) string {
	var found []struct {
		ID string `json:"Id"`
	}
	filters := fmt.Sprintf(`{"label":["cloud.lethe.kind=instance","cloud.lethe.phone=%s","cloud.lethe.generation=%d"]}`, p.id, generation)
	h.daemon.ask(http.MethodGet, "/containers/json?"+url.Values{"all": {"1"}, "filters": {filters}}.Encode(), nil, &found)
	if len(found) == 0 {
		return ""
	}
	return found[0].ID
}

func (h *gatedHost) die(_ testing.TB, p phoneRow) {
	h.daemon.ask(http.MethodPost, "/containers/"+h.container(p, p.generation)+"/kill", nil, nil)
}

func (h *gatedHost) vanish(_ testing.TB, p phoneRow) {
	h.daemon.ask(http.MethodDelete, "/containers/"+h.container(p, p.generation)+"?force=1", nil, nil)
}

func (h *gatedHost) orphan(t testing.TB, p phoneRow) {
	t.Helper()
	var present struct {
		Config struct{ Labels map[string]string }
	}
	h.daemon.ask(http.MethodGet, "/containers/"+h.container(p, p.generation)+"/json", nil, &present)
	present.Config.Labels["cloud.lethe.generation"] = "1"
	h.daemon.ask(http.MethodPost, "/containers/create?name=lethe-"+p.id+"-g1", map[string]any{
		"Image": testenv.SimphoneImage(t), "Cmd": []string{"none"}, "Labels": present.Config.Labels,
	}, nil)
	if h.container(p, 1) == "" {
		t.Fatal("the orphan was not made")
	}
}

func (h *gatedHost) orphaned(_ testing.TB, p phoneRow) bool { return h.container(p, 1) != "" }

func (h *gatedHost) sick(_ testing.TB, on bool) {
	h.gate.refuse(on)
	h.gate.cut()
}
