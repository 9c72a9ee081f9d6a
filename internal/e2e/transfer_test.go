package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/api"
)

// A process that is killed in the middle of an export leaves nothing that anybody sees, and one that is killed in the middle of an import nothing
// that is taken for done: the next process does both anew.
func TestKillInTheMiddleOfATransfer(t *testing.T) {
	t.Parallel()
	p := newProcess(t, "")
	faults := filepath.Join(t.TempDir(), "faults.toml")
	if err := os.WriteFile(faults, []byte("[[faults]]\noperation = \"exec\"\neffect = \"slow\"\nduration = \"10s\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	addImage(p, "first", "first")
	p.lethe("server", "add", "--name", "rack", "--driver", "simulated", "--phones", "1", "--image", "first", "--faults", faults, "--wait")
	p.lethe("bucket", "create", "backups")
	var phones api.Phones
	p.request(http.MethodGet, "/lethe/v1/phones", nil, &phones)
	id := phones.Phones[0].PhoneID

	job := func(request string) (j api.Job) {
		t.Helper()
		var jobs api.Jobs
		p.request(http.MethodGet, "/lethe/v1/jobs?request_id="+request, nil, &jobs)
		return jobs.Jobs[0]
	}
	poll := func(what string, ok func() bool) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s does not come", what)
			}
		}
	}
	ended := func(request, says string) {
		t.Helper()
		poll("the end of the job", func() bool { return job(request).Status != 1 })
		if j := job(request); j.Status != 2 || j.Attempt < 2 || !strings.Contains(j.Output, says) {
			t.Errorf("the job: %+v", j)
		}
	}
	visible := func() (keys []string) {
		var objects api.Objects
		p.request(http.MethodGet, "/lethe/v1/buckets/backups/objects", nil, &objects)
		for _, o := range objects.Objects {
			keys = append(keys, o.Key)
		}
		return keys
	}
	written := func() int {
		found, err := filepath.Glob(filepath.Join(p.data, "objects", "*", "~writing", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	var accepted api.Accepted
	p.request(http.MethodPost, "/v1/"+p.project+"/cloud-phone/phones/batch-storage", map[string]any{"storage_infos": []any{
		map[string]any{"phone_id": id, "include_files": []string{"/data"}, "bucket_name": "backups", "object_path": "a.tar"},
	}}, &accepted)
	poll("the export's beginning", func() bool { return written() == 1 })
	if got := visible(); len(got) != 0 {
		t.Errorf("while it is exported there is %q", got)
	}
	p.kill()
	p.start()
	if status, got := job(accepted.RequestID).Status, visible(); len(got) != 0 && status == 1 {
		t.Errorf("after the kill there is %q", got)
	}
	ended(accepted.RequestID, "exported")
	if got := visible(); fmt.Sprint(got) != "[a.tar a.tar.sha256]" || written() != 0 {
		t.Errorf("there is %q, and %d files are being written", got, written())
	}

	p.request(http.MethodPost, "/v1/"+p.project+"/cloud-phone/phones/batch-restore", map[string]any{"restore_infos": []any{
		map[string]any{"phone_id": id, "bucket_name": "backups", "object_path": "a.tar"},
	}}, &accepted)
	poll("the import's beginning", func() bool { j := job(accepted.RequestID); return j.Attempt > 0 && !j.BeginTime.IsZero() })
	p.kill()
	p.start()
	ended(accepted.RequestID, "as its checksum says")
	p.request(http.MethodGet, "/lethe/v1/phones", nil, &phones)
	if phones.Phones[0].Status != 2 || phones.Phones[0].Generation != 1 {
		t.Errorf("the phone: %+v", phones.Phones[0])
	}
}
