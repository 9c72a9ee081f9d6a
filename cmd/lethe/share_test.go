package main

import (
	"testing"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// An image is offered to another project, taken back and offered again; what others offer is accepted by its name.
func TestImageSharing(t *testing.T) {
	t.Parallel()
	in := newTestInstallation(t)
	in.fleet("edge", 1)
	other, theirs := phone.NewID[phone.ProjectID](), phone.NewID[phone.ImageID]()
	in.store.Put(
		phone.Server{ID: phone.NewID[phone.ServerID](), Name: "theirs", Project: other},
		phone.Image{ID: theirs, Name: "offered", Project: other, Label: "cloud_phone", OSName: "AOSP13", Reference: "r"},
		phone.ImageMember{Image: theirs, Project: testProject, Status: phone.MemberPending},
	)
	contains(t, in.run("image", "share", "edge-image", string(other)).must(t, 0).stderr, "image edge-image is offered to project "+string(other))
	members := jsonOf[[]api.ImageMember](t, in.run("image", "members", "edge-image", "-o", "json").must(t, 0))
	if len(members) != 1 || members[0].ProjectID != string(other) || members[0].Status != "pending" {
		t.Errorf("members: %+v", members)
	}
	contains(t, in.run("image", "members", "edge-image").must(t, 0).stdout, "pending")
	in.run("image", "unshare", "edge-image", string(other)).must(t, 0)
	in.run("image", "unshare", "edge-image", string(other)).must(t, 1) // not shared any more
	in.run("image", "share", "edge-image", string(phone.NewID[phone.ProjectID]())).must(t, 2)
	in.run("image", "share", "nowhere", string(other)).must(t, 2)
	in.run("image", "share", "edge-image").must(t, 2)

	shared := jsonOf[[]api.SharedImage](t, in.run("image", "shared", "-o", "json").must(t, 0))
	want := api.SharedImage{ImageID: string(theirs), ImageName: "offered", ImageLabel: "cloud_phone", OSName: "AOSP13", SourceProjectID: string(other), Status: "pending"}
	if len(shared) != 1 || shared[0] != want {
		t.Errorf("shared: %+v", shared)
	}
	in.run("phone", "restart", "edge-0001", "--image", "offered").must(t, 2) // not accepted yet
	contains(t, in.run("image", "accept", "offered").must(t, 0).stderr, "image offered is accepted")
	contains(t, in.run("image", "list").must(t, 0).stdout, "offered")
	contains(t, in.run("image", "reject", "offered").must(t, 0).stderr, "image offered is rejected")
	contains(t, in.run("image", "accept", "offered").must(t, 2).stderr, `no image named "offered" is shared with the project`)
	in.run("image", "accept", string(theirs)).must(t, 0) // by its id, after all
	in.run("image", "accept", in.image("edge")).must(t, 1)
}

func TestServerTags(t *testing.T) {
	t.Parallel()
	in := newTestInstallation(t)
	in.fleet("edge", 1)
	in.run("server", "tag", "set", "edge", "team=qa", "rack=7").must(t, 0)
	in.run("server", "tag", "set", "edge", "team=x", "place=a=b").must(t, 0)
	tags := jsonOf[[]api.Tag](t, in.run("server", "tag", "list", "edge", "-o", "json").must(t, 0))
	want := []api.Tag{{Key: "place", Value: "a=b"}, {Key: "rack", Value: "7"}, {Key: "team", Value: "x"}}
	if len(tags) != 3 || tags[0] != want[0] || tags[1] != want[1] || tags[2] != want[2] {
		t.Errorf("tags: %+v", tags)
	}
	in.run("server", "tag", "delete", "edge", "place", "rack", "none").must(t, 0)
	contains(t, in.run("server", "tag", "list", "edge").must(t, 0).stdout, "team")
	if left := jsonOf[[]api.Tag](t, in.run("server", "tag", "list", "edge", "-o", "json").must(t, 0)); len(left) != 1 {
		t.Errorf("left: %+v", left)
	}
	for _, args := range [][]string{{"set", "edge"}, {"set", "edge", "team"}, {"set", "edge", "=x"}, {"set", "nowhere", "a=b"}, {"delete", "edge"}, {"set", "edge", "_sys_a=b"}, {"list"}} {
		in.run(append([]string{"server", "tag"}, args...)...).must(t, 2)
	}
}
