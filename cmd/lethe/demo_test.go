package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/testenv"
)

func TestDemo(t *testing.T) {
	t.Parallel()
	for name, extra := range map[string]func(*testing.T) []string{
		"simulated": func(*testing.T) []string { return nil },
		"docker":    func(t *testing.T) []string { return []string{"--driver", "docker", "--docker-host", testenv.Docker(t)} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"demo", "--json", "--phones", "5", "--servers", "2", "--boot-time", "50ms"}, extra(t)...)
			var stdout, stderr bytes.Buffer
			if err := run(t.Context(), args, func(string) string { return "" }, strings.NewReader(""), &stdout, &stderr); err != nil {
				t.Fatalf("%v\n%s", err, stderr.String())
			}
			var got map[string]any
			if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
				t.Fatalf("not one JSON object: %v\n%s", err, stdout.String())
			}
			if ms, ok := got["elapsed_ms"].(float64); !ok || ms <= 0 {
				t.Errorf("elapsed_ms is %v", got["elapsed_ms"])
			}
			if phases, ok := got["phases_ms"].(map[string]any); !ok || phases["booting"] == nil {
				t.Errorf("phases_ms is %v", got["phases_ms"])
			}
			delete(got, "elapsed_ms")
			delete(got, "phases_ms")
			want := map[string]any{"phones": 5., "accepted": 5., "refused": 2., "succeeded": 5., "failed": 0., "erased": 5.}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("report (-want +got):\n%s", diff)
			}
		})
	}
}

// The verdict notices every way in which a reset can fall short.
func TestDemoVerdict(t *testing.T) {
	t.Parallel()
	job := func(change func(*api.Job)) api.Job {
		j := api.Job{
			JobID: "job", PhoneID: "phone", Phase: "succeeded",
			Receipt: &api.Receipt{
				ImageID: "new", LookedForAt: time.Now(), Erased: []api.ErasedVolume{{Name: "old", Generation: 1, Files: 3, Bytes: 9, Gone: true}},
				Properties: []api.PropertyReading{
					{Key: "ro.product.manufacturer", Effect: "verified"}, {Key: "com.cph.mainkeys", Effect: "verified"}, {Key: "sys.prop.writeimsi", Effect: "recorded"},
				},
			},
		}
		change(&j)
		return j
	}
	good := func(r *demoReport) {
		r.accept("phone", "job", "", "")
		r.accept(malformedID, "", refusedCode, "no")
		r.accept(unknownID, "", refusedCode, "no")
	}
	for name, c := range map[string]struct {
		answer  func(*demoReport)
		change  func(*api.Job)
		status  int
		problem string
	}{
		"all is well":          {good, func(*api.Job) {}, 2, ""},
		"a failed job":         {good, func(j *api.Job) { j.Phase, j.Receipt = "failed", nil }, -1, "failed"},
		"two words about it":   {good, func(*api.Job) {}, 1, "failed"},
		"the old image":        {good, func(j *api.Job) { j.Receipt.ImageID = "old" }, 2, "not the new one"},
		"a volume that stayed": {good, func(j *api.Job) { j.Receipt.Erased[0].Gone = false }, 2, "nobody can say"},
		"no volume erased":     {good, func(j *api.Job) { j.Receipt.Erased = nil }, 2, "nobody can say"},
		"nobody looked":        {good, func(j *api.Job) { j.Receipt.LookedForAt = time.Time{} }, 2, "nobody can say"},
		"a property not read":  {good, func(j *api.Job) { j.Receipt.Properties = j.Receipt.Properties[1:] }, 2, "neither read back"},
		"a property mismatch":  {good, func(j *api.Job) { j.Receipt.Properties[0].Effect = "mismatch" }, 2, "neither read back"},
		"a bad id accepted": {func(r *demoReport) {
			good(r)
			r.accept(malformedID, "job2", "", "")
		}, func(*api.Job) {}, 2, "was accepted"},
		"a bad id with another code": {func(r *demoReport) {
			r.accept("phone", "job", "", "")
			r.accept(malformedID, "", "CPS.0005", "no")
			r.accept(unknownID, "", refusedCode, "no")
		}, func(*api.Job) {}, 2, "not " + refusedCode},
		"a good phone refused": {func(r *demoReport) {
			good(r)
			r.accept("other", "", "CPS.0042", "busy")
		}, func(*api.Job) {}, 2, "was refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &demoReport{Phones: 1, servers: map[string]*demoServer{}, PhasesMS: map[string]int64{}}
			c.answer(r)
			r.job(job(c.change), wireJob{JobID: "job", Status: c.status}, "rack", "new")
			r.conclude()
			text := strings.Join(r.problems, "\n")
			if c.problem == "" && text != "" || !strings.Contains(text, c.problem) {
				t.Errorf("problems %q, want %q", text, c.problem)
			}
			var table bytes.Buffer
			if err := r.writeTable(&table); err != nil {
				t.Fatal(err)
			}
			if passed := strings.Contains(table.String(), "PASSED"); passed != (c.problem == "") {
				t.Errorf("the verdict is wrong:\n%s", table.String())
			}
		})
	}
}
