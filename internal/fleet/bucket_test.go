package fleet_test

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// A bucket's life: its name is the installation's, it is seen by its project alone, goes only when it is empty, and what was in it does not come back.
func TestBuckets(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	ctx, c, stranger := t.Context(), owner(), owner()
	stranger.Scope, stranger.Projects = string(other), []account.Project{{ID: string(other)}}
	for name, reason := range map[string]phone.Reason{"ours": phone.ReasonNameTaken, "registered": phone.ReasonNameTaken, "theirs": phone.ReasonNameTaken, "Big": phone.ReasonObjectInvalid, "ab": phone.ReasonObjectInvalid, "a..": phone.ReasonObjectInvalid} {
		if _, err := b.CreateBucket(ctx, c, project, name); phone.ReasonOf(err) != reason {
			t.Errorf("%s: %v, want %s", name, err, reason)
		}
	}
	if _, err := b.CreateBucket(ctx, c, project, "mine"); err != nil {
		t.Fatal(err)
	}
	all, err := b.Buckets(ctx, c, project)
	var names []string
	for _, bucket := range all {
		names = append(names, bucket.Name)
	}
	if err != nil || !slices.Equal(names, []string{"mine", "ours", "registered"}) || !all[2].ReadOnly || all[2].ID != "" {
		t.Errorf("%+v, %v", all, err)
	}
	write := func(w io.Writer) error {
		_, err := w.Write([]byte("content"))
		return err
	}
	if n, err := b.PutObject(ctx, c, project, "mine", "a/b", write); err != nil || n != 7 {
		t.Errorf("%d bytes, %v", n, err)
	}
	if _, err := b.PutObject(ctx, c, project, "registered", "a", write); phone.ReasonOf(err) != phone.ReasonBucketReadOnly {
		t.Errorf("into one that is only read from: %v", err)
	}
	if _, err := b.PutObject(ctx, c, project, "mine", "../a", write); phone.ReasonOf(err) != phone.ReasonObjectInvalid {
		t.Errorf("a way out: %v", err)
	}
	for what, err := range map[string]error{
		"its bucket": b.DeleteBucket(ctx, stranger, other, "mine"), "its object": b.DeleteObject(ctx, stranger, other, "mine", "a/b"),
		"one that is not there": b.DeleteBucket(ctx, stranger, other, "absent"),
	} {
		if phone.ReasonOf(err) != phone.ReasonBucketNotFound {
			t.Errorf("of another project, %s: %v", what, err)
		}
	}
	if _, _, err := b.OpenObject(ctx, stranger, other, "mine", "a/b"); phone.ReasonOf(err) != phone.ReasonObjectNotFound {
		t.Errorf("another project reads it: %v", err)
	}
	if err := b.DeleteBucket(ctx, c, project, "mine"); phone.ReasonOf(err) != phone.ReasonBucketNotEmpty {
		t.Errorf("with an object: %v", err)
	}
	if err := b.DeleteBucket(ctx, c, project, "registered"); phone.CodeOf(err) != phone.Precondition {
		t.Errorf("of the configuration: %v", err)
	}
	// An object takes its checksum with it.
	if err := b.DeleteObject(ctx, c, project, "ours", "gone"); err != nil {
		t.Error(err)
	}
	if found, _, err := b.ListObjects(ctx, c, fleet.ObjectFilter{Project: project, Bucket: "ours"}); err != nil || len(found) != 1 || found[0].Key != "kept" {
		t.Errorf("%v, %v", found, err)
	}
	if err := b.DeleteObject(ctx, c, project, "mine", "a/b"); err != nil {
		t.Error(err)
	}
	if err := b.DeleteBucket(ctx, c, project, "mine"); err != nil {
		t.Error(err)
	}
	if _, err := b.CreateBucket(ctx, stranger, other, "mine"); err != nil {
		t.Errorf("a name that is free again: %v", err)
	}
	without := newBundle(t, func(c *fleet.Config) { c.Objects = nil })
	if _, err := without.CreateBucket(ctx, c, project, "mine"); phone.ReasonOf(err) != phone.ReasonNoObjectFolder || !strings.Contains(err.Error(), "folder") {
		t.Errorf("without a folder: %v", err)
	}
}
