package faults

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// object is one thing of this installation on a host.
type object struct {
	volume     bool // else an instance
	phone      string
	generation int64
	job        string
	trash      bool // a volume on its way out
	running    bool
	booted     bool
	started    time.Time // of an instance that was started, where the host knows
	boots      time.Time // when it had booted; zero: never
	marks      []string  // what a test left in a volume
}

func (o object) String() string {
	kind := "instance"
	if o.volume {
		kind = "volume"
	}
	return fmt.Sprintf("%s of phone %s, generation %d (job %s, running %v, booted %v, trash %v)", kind, o.phone, o.generation, o.job, o.running, o.booted, o.trash)
}

// folderHost is a simulated host, read as the folder that it is and without its driver.
type folderHost struct {
	id      string
	dir     string
	foreign map[string]string // path to content of what is not ours
}

// markName is how a test's own files in a volume begin.
const markName = "mark-of-the-test-"

// simulated describes a server and the host that it will have.
func (in *installation) simulated(name, image string, phones, slots int, settings string) (api.AddServer, *folderHost) {
	dir := filepath.Join(in.root, "hosts", name)
	return api.AddServer{
		ServerName: name, Driver: "simulated", Endpoint: "sim://" + dir, PhoneCount: phones, ImageID: image, MaxConcurrentBoots: slots,
		Config: json.RawMessage(settings),
	}, &folderHost{dir: dir}
}

// addSimulated adds a server with running phones and plants beside them what is not lethe's.
func (in *installation) addSimulated(name, image string, phones, slots int, settings string) *folderHost {
	in.t.Helper()
	server, h := in.simulated(name, image, phones, slots, settings)
	h.id = in.addServer(server)
	h.plant(in.t, in.phones(`server_id = $1`, h.id))
	in.hosts = append(in.hosts, h)
	return h
}

func (h *folderHost) server() string { return h.id }

// plant puts another installation's phone on the host, and another installation's volume beside each first phone's own.
func (h *folderHost) plant(t testing.TB, phones []phoneRow) {
	t.Helper()
	h.foreign = map[string]string{}
	other, job := phone.NewID[string](), phone.NewID[string]()
	owners := []string{phone.NewID[string]()}
	for _, p := range phones[:min(2, len(phones))] {
		owners = append(owners, p.id)
	}
	for i, owner := range owners {
		dir := h.phoneDir(owner)
		volume := filepath.Join(dir, fmt.Sprintf("1.volume.%s.%s.%s", other, h.id, job))
		h.foreign[filepath.Join(volume, "data")] = "another's data"
		if i == 0 {
			h.foreign[filepath.Join(dir, "1.instance.json")] = `{"installation":"` + other + `","server":"` + h.id + `","phone":"` + owner + `","generation":1,"job":"` + job + `"}`
		}
	}
	for path, content := range h.foreign {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func (h *folderHost) phoneDir(id string) string {
	return filepath.Join(h.dir, "phones", id[0:2], id[2:4], id)
}

func (h *folderHost) mark(t testing.TB, phones []phoneRow) {
	t.Helper()
	for _, p := range phones {
		volumes, err := filepath.Glob(filepath.Join(h.phoneDir(p.id), fmt.Sprintf("%d.volume.*", p.generation)))
		if err != nil {
			t.Fatal(err)
		}
		for _, volume := range volumes {
			if h.isForeign(volume) {
				continue
			}
			if err := os.WriteFile(filepath.Join(volume, markName+strconv.FormatInt(p.generation, 10)), []byte("old data"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func (h *folderHost) isForeign(path string) bool {
	for _, known := range slices.Collect(maps.Keys(h.foreign)) {
		if known == path || filepath.Dir(known) == path {
			return true
		}
	}
	return false
}

func (h *folderHost) objects(t testing.TB, in *installation) []object {
	t.Helper()
	for path, want := range h.foreign {
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("I4: %s is not lethe's and was changed: %q, %v", path, got, err)
		}
	}
	mine := in.installationID
	dirs, err := filepath.Glob(filepath.Join(h.dir, "phones", "*", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	var all []object
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			path := filepath.Join(dir, e.Name())
			if h.isForeign(path) {
				continue
			}
			o, known := h.object(t, path, mine)
			if !known {
				if !strings.HasPrefix(e.Name(), ".new-") { // what a killed process had not finished writing
					t.Errorf("I4: %s is nothing that should be on the host", path)
				}
				continue
			}
			all = append(all, o)
		}
	}
	return all
}

// object reads one entry of a phone's folder.
func (h *folderHost) object(t testing.TB, path, mine string) (object, bool) {
	t.Helper()
	name, id := filepath.Base(path), filepath.Base(filepath.Dir(path))
	if _, ok := strings.CutSuffix(name, ".instance.json"); ok {
		return h.instance(t, path, mine), true
	}
	rest, trash := strings.CutPrefix(name, "trash~")
	rest, _, _ = strings.Cut(rest, "~")
	parts := strings.Split(rest, ".")
	if len(parts) != 5 || parts[1] != "volume" || parts[2] != mine || parts[3] != h.id {
		return object{}, false
	}
	generation, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil {
		return object{}, false
	}
	o := object{volume: true, phone: id, generation: generation, job: parts[4], trash: trash}
	err = filepath.WalkDir(path, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(e.Name(), markName) {
			o.marks = append(o.marks, e.Name())
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return o, true
}

func (h *folderHost) instance(t testing.TB, path, mine string) object {
	t.Helper()
	var record struct {
		Installation string `json:"installation"`
		Server       string `json:"server"`
		Phone        string `json:"phone"`
		Generation   int64  `json:"generation"`
		Job          string `json:"job"`
		Run          *struct {
			StartedAt time.Time `json:"started_at"`
			BootsAt   time.Time `json:"boots_at"`
			ExitsAt   time.Time `json:"exits_at"`
			VanishAt  time.Time `json:"vanishes_at"`
			StoppedAt time.Time `json:"stopped_at"`
		} `json:"run"`
	}
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &record)
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if record.Installation != mine || record.Server != h.id {
		t.Errorf("I4: %s is of installation %s and server %s", path, record.Installation, record.Server)
	}
	o := object{phone: record.Phone, generation: record.Generation, job: record.Job}
	if run := record.Run; run != nil {
		now := time.Now()
		over := func(at time.Time) bool { return !at.IsZero() && !at.After(now) }
		o.started, o.boots = run.StartedAt, run.BootsAt
		o.running = run.StoppedAt.IsZero() && !over(run.ExitsAt) && !over(run.VanishAt)
		o.booted = o.running && over(run.BootsAt)
	}
	return o
}

// image is the reference of what a phone's present instance was made of.
func (h *folderHost) image(t testing.TB, p phoneRow) string {
	t.Helper()
	var record struct {
		Image string `json:"image"`
	}
	text, err := os.ReadFile(filepath.Join(h.phoneDir(p.id), fmt.Sprintf("%d.instance.json", p.generation)))
	if err == nil {
		err = json.Unmarshal(text, &record)
	}
	if err != nil {
		t.Errorf("the instance of phone %s: %v", p.name, err)
	}
	return record.Image
}

// tree is every file of the host with the time of its last change: what a call that came late would have altered.
func (h *folderHost) tree(t testing.TB) map[string]string {
	t.Helper()
	tree := map[string]string{}
	err := filepath.WalkDir(filepath.Join(h.dir, "phones"), func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err == nil && e.Type().IsRegular() {
			tree[path] = info.ModTime().String() + " " + strconv.FormatInt(info.Size(), 10)
		} else {
			tree[path] = e.Type().String()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}
