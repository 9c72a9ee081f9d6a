package config_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/config"
)

const aProject = "0123456789abcdef0123456789abcdef"

func bucketsOf(text string) (config.Config, error) {
	return config.Load(source("f", map[string]string{"f": text}, nil, map[string]string{"data": "d"}))
}

func TestBuckets(t *testing.T) {
	t.Parallel()
	got, err := bucketsOf(`
[[buckets]]
name = "apps"
url = "file:///srv/apps"
project = "` + aProject + `"
[[buckets]]
name = "far.away-1"
url = "s3://b?region=eu-1&endpoint=http://127.0.0.1:9000&use_path_style=true"
project = "` + aProject + `"
read_only = true
`)
	want := []config.Bucket{
		{Name: "apps", URL: "file:///srv/apps", Project: aProject},
		{Name: "far.away-1", URL: "s3://b?region=eu-1&endpoint=http://127.0.0.1:9000&use_path_style=true", Project: aProject, ReadOnly: true},
	}
	if diff := cmp.Diff(want, got.Buckets); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

// Each problem of a bucket is named, and no URL that could hold a key is repeated.
func TestBucketProblems(t *testing.T) {
	t.Parallel()
	good := map[string]string{"name": `"apps"`, "url": `"file:///srv/apps"`, "project": `"` + aProject + `"`}
	for _, c := range []struct{ key, value, says string }{
		{"name", `"Apps"`, "name must be"}, {"name", `"ab"`, "name must be"}, {"url", `"file://srv/apps"`, "url must be"}, {"url", `"srv/apps"`, "url must be"},
		{"url", `"s3://key:secret@b"`, "url must be"}, {"url", `"mem://"`, "url must be"}, {"url", "7", "url must be"}, {"project", `"local-1"`, "project must be"},
		{"url", "", "url is missing"}, {"project", "", "project is missing"}, {"size", "1", `unknown key "size"`}, {"read_only", `"yes"`, "read_only must be true or false"},
	} {
		var text strings.Builder
		text.WriteString("[[buckets]]\n")
		for _, key := range []string{"name", "url", "project"} {
			if key != c.key {
				text.WriteString(key + " = " + good[key] + "\n")
			}
		}
		if c.value != "" {
			text.WriteString(c.key + " = " + c.value + "\n")
		}
		if _, err := bucketsOf(text.String()); err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s = %s: %v, want %q", c.key, c.value, err, c.says)
		}
	}
	if _, err := bucketsOf(`buckets = "apps"`); err == nil || !strings.Contains(err.Error(), "[[buckets]]") {
		t.Errorf("no table: %v", err)
	}
}

// What one project may change is no other's, whatever it is called.
func TestBucketOverlap(t *testing.T) {
	t.Parallel()
	const another = "ffffffffffffffffffffffffffffffff"
	for _, c := range []struct {
		a, b     string
		overlaps bool
	}{
		{"file:///srv/apps", "file:///srv/apps", true}, {"file:///srv/apps", "file:///srv/./apps/", true}, {"file:///srv/apps", "file:///srv/apps/of/one", true},
		{"file:///srv", "file:///srv/of/one", true}, {"file:///srv/%61pps", "file:///srv/apps", true}, {"file:///srv/apps", "file:///srv/apps2", false},
		{"s3://b?region=eu-1", "s3://b?region=eu-2", true}, {"s3://b", "s3://b?prefix=a/", true}, {"s3://b?prefix=a/", "s3://b?prefix=a/b/", true},
		{"s3://b?endpoint=http://one:9000", "s3://b?endpoint=HTTP://ONE:9000/", true}, {"s3://b?endpoint=http://one:9000", "s3://b?endpoint=http://two:9000", false},
		{"s3://b?prefix=a/", "s3://b?prefix=c/", false}, {"s3://a", "s3://b", false}, {"file:///b", "s3://b", false},
	} {
		load := func(projectB string, readOnlyA, readOnlyB bool) error {
			_, err := bucketsOf(fmt.Sprintf("[[buckets]]\nname = \"one\"\nurl = %q\nproject = %q\nread_only = %t\n[[buckets]]\nname = \"two\"\nurl = %q\nproject = %q\nread_only = %t\n",
				c.a, aProject, readOnlyA, c.b, projectB, readOnlyB))
			return err
		}
		for _, readOnlyB := range []bool{false, true} {
			if err := load(another, false, readOnlyB); (err != nil) != c.overlaps || err != nil && !strings.Contains(err.Error(), `bucket "two" (f): url is where bucket "one" of another project is`) {
				t.Errorf("%s and %s: %v", c.a, c.b, err)
			}
		}
		if err := load(another, true, true); err != nil {
			t.Errorf("%s and %s, which are only read: %v", c.a, c.b, err)
		}
		if err := load(aProject, false, false); err != nil {
			t.Errorf("%s and %s of one project: %v", c.a, c.b, err)
		}
	}
}

func TestObjectFolder(t *testing.T) {
	t.Parallel()
	for folder, refused := range map[string]bool{"/srv/objects": true, "/srv/objects/ab": true, "/srv": true, "/srv/apps": false} {
		_, err := bucketsOf(fmt.Sprintf("object_folder = \"/srv/objects\"\n[[buckets]]\nname = \"apps\"\nurl = \"file://%s\"\nproject = %q\nread_only = true\n", folder, aProject))
		if (err != nil) != refused || err != nil && !strings.Contains(err.Error(), `bucket "apps": url is the folder of the buckets that projects make`) {
			t.Errorf("%s: %v", folder, err)
		}
	}
	data, err := filepath.Abs("d")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bucketsOf(fmt.Sprintf("[[buckets]]\nname = \"apps\"\nurl = \"file://%s/objects\"\nproject = %q\n", data, aProject)); err == nil {
		t.Error("the data folder's own is taken")
	}
	if _, err := config.Load(source("f", map[string]string{"f": `object_folder = "objects"`}, nil, map[string]string{"data": "d"})); err == nil || !strings.Contains(err.Error(), "must be a folder's whole path") {
		t.Errorf("a path that depends on where it is started: %v", err)
	}
}
