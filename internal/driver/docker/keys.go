package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/moby/moby/client"

	"github.com/lethe-cloud/lethe/internal/adb"
	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// keysFile is the name, in the root folder, of a file that adbd reads for each client that proves who it is: whoever connects after a
// change is held to it, and who is connected is not asked again. Source: AOSP, packages/modules/adb, docs/dev/keystore.md.
const keysFile = "adb_keys"

// SetADBKeys writes the template's keys and these to the container's own layer, where they stay until the instance is made anew.
func (d *Driver) SetADBKeys(ctx context.Context, ref driver.Ref, keys []string) error {
	if err := checkKeys(keys); err != nil {
		return err
	}
	found, err := d.find(ctx, ref)
	if err != nil {
		return err
	}
	return d.putKeys(ctx, found.ID, keys)
}

func checkKeys(keys []string) error {
	if err := adb.CheckKeys(keys); err != nil {
		return &phone.Error{Code: phone.Invalid, Field: "adb_keys", Msg: "adb_keys " + err.Error()}
	}
	return nil
}

// writeKeys gives a container that was never started its keys; one without any needs no file.
func (d *Driver) writeKeys(ctx context.Context, id string, keys []string) error {
	if len(d.template.ADBKeys)+len(keys) == 0 {
		return nil
	}
	return d.putKeys(ctx, id, keys)
}

// putKeys replaces the file, also by an empty one. Docker unpacks an archive entry by removing what has its name and making it anew.
func (d *Driver) putKeys(ctx context.Context, id string, keys []string) error {
	var content bytes.Buffer
	for _, list := range [][]string{d.template.ADBKeys, keys} {
		for _, key := range list {
			content.WriteString(strings.TrimSpace(key) + "\n")
		}
	}
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	h := &tar.Header{Typeflag: tar.TypeReg, Name: keysFile, Mode: 0o644, Size: int64(content.Len()), ModTime: d.host.now()}
	if err := w.WriteHeader(h); err != nil {
		return fmt.Errorf("archive of the adb keys: %w", err)
	}
	if _, err := w.Write(content.Bytes()); err != nil {
		return fmt.Errorf("archive of the adb keys: %w", err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("archive of the adb keys: %w", err)
	}
	_, err := d.host.api.CopyToContainer(ctx, id, client.CopyToContainerOptions{DestinationPath: "/", Content: &archive})
	return classify("write the adb keys", err)
}
