package cph_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/cph"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/fleet/fleettest"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// withBuckets is a bundle whose project has the bucket backups, with the object a.tar, and the bucket images, which is only read from and has it too.
func withBuckets(t *testing.T) *bundle {
	t.Helper()
	b := newBundle(t)
	files := &fleettest.Objects{Store: b.store, Fixed: []phone.Bucket{
		{Name: "backups", Project: project}, {Name: "images", Project: project, ReadOnly: true}, {Name: "theirs", Project: other},
	}}
	for _, bucket := range files.Fixed {
		files.Fill(bucket.Name, map[string]string{"a.tar": "x"})
	}
	b.Handler = cph.New(cph.Config{
		Fleet: fleet.New(fleet.Config{Store: b.store, MaxBatch: 5, Objects: files}), Authenticate: authenticate, Logger: slog.New(slog.DiscardHandler),
		Address: func(phone.Server) string { return "192.0.2.7" },
	})
	return b
}

// What a call makes of its elements: each phone has a task of its own.
func TestTransfers(t *testing.T) {
	t.Parallel()
	b := withBuckets(t)
	codes := func(path, body string) (codes []string) {
		t.Helper()
		for _, job := range b.post(path, strings.ReplaceAll(body, "PHONE", string(firstID))).jobs(t) {
			codes = append(codes, job["error_code"])
			if job["phone_id"] == "" {
				t.Errorf("an element has no phone_id: %v", job)
			}
		}
		return codes
	}
	export := func(id, bucket, path string) string {
		return fmt.Sprintf(`{"phone_id":%q,"include_files":["/data/data/com.a*"],"exclude_files":["/data/data/com.a/cache"],"bucket_name":%q,"object_path":%q}`, id, bucket, path)
	}
	strange := strings.Repeat("0", 32)
	got := codes("/phones/batch-storage", `{"storage_infos":[`+strings.Join([]string{
		export("PHONE", "backups", "a/b.tar"), export(strange, "backups", "c"), export("PHONE", "backups", "d"), export(string(theirID), "backups", "e"),
	}, ",")+`]}`)
	if diff := cmp.Diff([]string{"", "CPS.0005", "CPS.0023", "CPS.0005"}, got); diff != "" {
		t.Error(diff)
	}
	for body, code := range map[string]string{
		export("PHONE", "theirs", "a"): "CPS.0103", export("PHONE", "absent", "a"): "CPS.0103", export("PHONE", "images", "a"): "CPS.0103",
	} {
		if got := codes("/phones/batch-storage", `{"storage_infos":[`+body+`]}`); got[0] != code {
			t.Errorf("%s: %s, want %s", body, got, code)
		}
	}
	for object, code := range map[string]string{"backups/a.tar": "", "images/a.tar": "", "backups/absent": "CPS.0104", "theirs/a.tar": "CPS.0104", "absent/a.tar": "CPS.0104"} {
		bucket, path, _ := strings.Cut(object, "/")
		if got := codes("/phones/batch-restore", fmt.Sprintf(`{"restore_infos":[{"phone_id":"PHONE","bucket_name":%q,"object_path":%q}]}`, bucket, path)); got[0] != code {
			t.Errorf("%s: %s, want %q", object, got, code)
		}
	}
	jobs := b.store.AllJobs()
	var kinds []phone.Kind
	for _, j := range jobs {
		kinds = append(kinds, j.Kind)
	}
	if diff := cmp.Diff([]phone.Kind{phone.KindExport, phone.KindImport, phone.KindImport}, kinds); diff != "" {
		t.Error(diff)
	}
	b.with(func(p *phone.Phone) { p.Status = phone.StatusStopped })
	if got := codes("/phones/batch-storage", `{"storage_infos":[`+export("PHONE", "backups", "f")+`]}`); got[0] != "CPS.0141" {
		t.Errorf("of a phone that is stopped: %s", got)
	}
}

// What refuses a whole call.
func TestTransfersRefused(t *testing.T) {
	t.Parallel()
	b := withBuckets(t)
	storage := func(change, to string) string {
		good := `{"phone_id":"PHONE","include_files":["/data"],"exclude_files":[],"bucket_name":"backups","object_path":"a.tar"}`
		return `{"storage_infos":[` + strings.Replace(good, change, to, 1) + `]}`
	}
	path := func(p string) string { return storage(`["/data"]`, `["`+p+`"]`) }
	for body, code := range map[string]string{
		`{}`: "CPS.0167", `{"storage_infos":[]}`: "CPS.0167", `{"storage_infos":{}}`: "CPS.0167", `{"storage_infos":[null]}`: "CPS.0167", `{"storage_infos":[7]}`: "CPS.0167",
		`{"storage_infos":[{},{},{},{},{},{}]}`: "CPS.0170", storage(`"PHONE"`, `7`): "CPS.0167",
		storage(`"backups"`, `"B"`): "CPS.0167", storage(`"backups"`, `"a_b"`): "CPS.0167", storage(`,"bucket_name":"backups"`, ``): "CPS.0167",
		storage(`"a.tar"`, `""`): "CPS.0167", storage(`"a.tar"`, `"/a"`): "CPS.0167", storage(`"a.tar"`, `"a//b"`): "CPS.0167", storage(`"a.tar"`, `"../a"`): "CPS.0167",
		storage(`"a.tar"`, `"a b"`): "CPS.0167", storage(`"a.tar"`, `"a.sha256"`): "CPS.0167", storage(`"a.tar"`, `"`+strings.Repeat("x/", 512)+`x"`): "CPS.0167",
		storage(`,"include_files":["/data"]`, ``): "CPS.0168", storage(`["/data"]`, `[]`): "CPS.0168", storage(`["/data"]`, `"/data"`): "CPS.0168", storage(`["/data"]`, `[null]`): "CPS.0168",
		path("/system"): "CPS.0168", path("data"): "CPS.0168", path("/data/../system"): "CPS.0168", path("/data/*/x"): "CPS.0168", path("/data*"): "CPS.0168", path("/database"): "CPS.0168",
		path("/data/a b"): "CPS.0168", path("/data//a"): "CPS.0168", path("/data/a**"): "CPS.0168", path("/"): "CPS.0168", path("/data/" + strings.Repeat("x", 4096)): "CPS.0168",
		storage(`[]`, `["/system"]`): "CPS.0169", storage(`[]`, `7`): "CPS.0169",
	} {
		if got := b.post("/phones/batch-storage", strings.ReplaceAll(body, "PHONE", string(firstID))); got.status != 400 || !strings.Contains(got.body, `"`+code+`"`) {
			t.Errorf("%s: %d %s, want %s", body, got.status, got.body, code)
		}
	}
	for body, code := range map[string]string{
		`{}`: "CPS.0171", `{"restore_infos":7}`: "CPS.0171", `{"restore_infos":[{},{},{},{},{},{}]}`: "CPS.0190",
		`{"restore_infos":[{"phone_id":"PHONE","bucket_name":"backups","object_path":"../a"}]}`: "CPS.0171",
		`{"restore_infos":[{"phone_id":"PHONE","object_path":"a"}]}`:                            "CPS.0171",
	} {
		if got := b.post("/phones/batch-restore", strings.ReplaceAll(body, "PHONE", string(firstID))); got.status != 400 || !strings.Contains(got.body, `"`+code+`"`) {
			t.Errorf("%s: %d %s, want %s", body, got.status, got.body, code)
		}
	}
	for _, good := range []string{"/data/*", "/data/", "/cache", "/data/data/com.a-1~==/x*", "/data/.hidden/..x"} {
		if got := b.post("/phones/batch-storage", strings.ReplaceAll(path(good), "PHONE", strings.Repeat("0", 32))); got.status != 200 {
			t.Errorf("%s: %d %s", good, got.status, got.body)
		}
	}
	if n := len(b.store.AllJobs()); n != 0 {
		t.Errorf("refused calls made jobs: %d", n)
	}
}
