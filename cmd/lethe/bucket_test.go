package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Buckets and objects from the command line: what is written comes back, whole.
func TestBucketCommands(t *testing.T) {
	t.Parallel()
	in := newTestInstallation(t)
	dir := t.TempDir()
	content := strings.Repeat("content", 1000)
	for name, text := range map[string]string{"a.apk": content, "empty": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	contains(t, in.run("bucket", "create", "apps").must(t, 0).stdout, "apps")
	contains(t, in.run("bucket", "create", "apps").must(t, 1).stderr, "the name is taken")
	contains(t, in.run("bucket", "create", "Apps").must(t, 2).stderr, "3 to 63 lower-case letters")
	if buckets := jsonOf[[]api.Bucket](t, in.run("bucket", "list", "-o", "json").must(t, 0)); len(buckets) != 1 || buckets[0].BucketName != "apps" || buckets[0].CreateTime == nil {
		t.Errorf("%+v", buckets)
	}
	stored := jsonOf[api.StoredObject](t, in.run("object", "put", filepath.Join(dir, "a.apk"), "obs://apps/com.a/1+b.apk", "-o", "json").must(t, 0))
	if stored.Key != "com.a/1+b.apk" || stored.Size != int64(len(content)) || len(stored.SHA256) != 64 {
		t.Errorf("%+v", stored)
	}
	in.run("object", "put", filepath.Join(dir, "empty"), "obs://apps/empty").must(t, 0)
	if got := in.run("object", "get", "obs://apps/com.a/1+b.apk", "-").must(t, 0).stdout; got != content {
		t.Errorf("%d bytes came back", len(got))
	}
	in.run("object", "get", "obs://apps/empty", filepath.Join(dir, "back")).must(t, 0)
	if back, err := os.ReadFile(filepath.Join(dir, "back")); err != nil || len(back) != 0 {
		t.Errorf("%q, %v", back, err)
	}
	contains(t, in.run("object", "get", "obs://apps/absent", filepath.Join(dir, "absent")).must(t, 1).stderr, "no object")
	if left, err := os.ReadDir(dir); err != nil || len(left) != 3 {
		t.Errorf("the folder has %v, %v", left, err)
	}
	if objects := jsonOf[[]api.Object](t, in.run("object", "list", "obs://apps/com", "-o", "json").must(t, 0)); len(objects) != 1 || objects[0].Key != "com.a/1+b.apk" {
		t.Errorf("%+v", objects)
	}
	contains(t, in.run("object", "put", filepath.Join(dir, "a.apk"), "obs://apps/../x").must(t, 2).stderr, "..")
	contains(t, in.run("bucket", "delete", "apps").must(t, 1).stderr, "has objects")
	for _, key := range []string{"com.a/1+b.apk", "empty"} {
		contains(t, in.run("object", "delete", "obs://apps/"+key).must(t, 0).stderr, "is deleted")
	}
	contains(t, in.run("bucket", "delete", "apps").must(t, 0).stderr, "bucket apps is deleted")
	for _, args := range [][]string{
		{"object", "put", "a", "apps/x"}, {"object", "put", "a", "obs://apps"}, {"object", "get", "obs://apps/x"}, {"object", "list", "obs://"}, {"bucket", "create"}, {"object", "delete", "obs:///x"},
	} {
		in.run(args...).must(t, 2)
	}
}

// A phone's data goes into an object and comes from one, as a job.
func TestPhoneData(t *testing.T) {
	t.Parallel()
	in := newTestInstallation(t)
	in.fleet("edge", 1)
	in.run("bucket", "create", "backups").must(t, 0)
	results := jsonOf[[]resetResult](t, in.run("phone", "export", "edge-0001", "obs://backups/a.tar", "--exclude", "/data/x", "-o", "json", "--wait").must(t, 0))
	jobs := in.store.AllJobs()
	if last := jobs[len(jobs)-1]; last.Kind != phone.KindExport || len(results) != 1 || string(last.ID) != results[0].JobID || results[0].Status != 2 {
		t.Errorf("%+v, %+v", results, last)
	}
	contains(t, in.run("phone", "import", "edge-0001", "obs://backups/a.tar").must(t, 1).stderr, "CPS.0104") // nobody has exported it
	file := filepath.Join(t.TempDir(), "a.tar")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	in.run("object", "put", file, "obs://backups/a.tar").must(t, 0)
	in.run("phone", "import", "edge-0001", "obs://backups/a.tar", "--idempotency-key", "once").must(t, 0)
	if jobs := in.store.AllJobs(); jobs[len(jobs)-1].Kind != phone.KindImport {
		t.Errorf("%+v", jobs[len(jobs)-1])
	}
	contains(t, in.run("phone", "export", "edge-0001", "obs://absent/a.tar").must(t, 1).stderr, "the project has no bucket absent")
	contains(t, in.run("phone", "export", "edge-0001", "obs://backups/a.tar", "--include", "/system").must(t, 1).stderr, "CPS.0168")
	for _, args := range [][]string{
		{"phone", "export", "edge-0001"}, {"phone", "export", "edge-0001", "backups/a.tar"}, {"phone", "import", "nobody", "obs://backups/a.tar"},
		{"phone", "import", "edge-0001", "obs://backups/a.tar", "--idempotency-key", ""},
	} {
		in.run(args...).must(t, 2)
	}
}
