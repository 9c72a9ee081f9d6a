package main

import (
	"testing"

	"github.com/lethe-cloud/lethe/api"
)

func TestRenameCommands(t *testing.T) {
	t.Parallel()
	in := newTestInstallation(t)
	in.fleet("edge", 2)
	before := jsonOf[api.Phone](t, in.run("phone", "show", "edge-0001", "-o", "json").must(t, 0))
	contains(t, in.run("phone", "rename", "edge-0001", "front-desk").must(t, 0).stderr, "phone edge-0001 is called front-desk now")
	if after := jsonOf[api.Phone](t, in.run("phone", "show", "front-desk", "-o", "json").must(t, 0)); after.PhoneID != before.PhoneID {
		t.Errorf("another phone is called so: %s, not %s", after.PhoneID, before.PhoneID)
	}
	contains(t, in.run("phone", "rename", "front-desk", "edge-0002").must(t, 1).stderr, "the name is taken")
	contains(t, in.run("phone", "rename", "front-desk", "a b").must(t, 2).stderr, "phone_name")
	contains(t, in.run("phone", "rename", "edge-0001", "x").must(t, 2).stderr, "edge-0001")
	contains(t, in.run("phone", "rename", "01234567890123456789012345678901", "x").must(t, 1).stderr, "not_found")
	in.run("phone", "rename", "front-desk").must(t, 2)

	contains(t, in.run("server", "rename", "edge", "rack-7").must(t, 0).stderr, "server edge is called rack-7 now")
	contains(t, in.run("server", "show", "rack-7").must(t, 0).stdout, "2 running")
	contains(t, in.run("server", "rename", "rack-7", "rack 7").must(t, 2).stderr, "server_name")
	contains(t, in.run("server", "rename", "edge", "x").must(t, 2).stderr, `no server is named "edge"`)
}

func TestImageDelete(t *testing.T) {
	t.Parallel()
	in := newTestInstallation(t)
	in.fleet("edge", 1)
	in.run("image", "add", "--name", "spare", "--reference", "r").must(t, 0)
	contains(t, in.run("image", "delete", "spare").must(t, 0).stderr, "image spare is deleted")
	contains(t, in.run("image", "delete", "spare").must(t, 2).stderr, `no image is named "spare"`)
	used := jsonOf[api.Phone](t, in.run("phone", "show", "edge-0001", "-o", "json").must(t, 0)).ImageID
	if got := in.run("image", "delete", used).must(t, 1); got.stderr == "" {
		t.Error("an image in use was refused without a word")
	}
	in.run("phone", "show", "edge-0001").must(t, 0)
}
