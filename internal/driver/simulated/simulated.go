// Package simulated is the driver of simulated hosts: the default, in the binary, with no need of a container engine.
//
// All state of a simulated host lies in its folder (sim://DIR): a volume is a folder of real files, an instance is a small
// file, a boot is a stored deadline. So every process that opens the folder sees the same host, and a process that is killed
// loses nothing: what is written is written to a temporary name and renamed, so nothing half written is ever believed. Calls
// on one phone exclude each other with a file lock, over goroutines and processes. Nothing is synced to the disk: the folder
// outlives a crash of the process, not a loss of power.
//
// Layout of the folder:
//
//	host.json                                  the folder is a simulated host
//	faults.json                                scripted faults besides those of the server's configuration, optional
//	images/SHA256.json                         a prepared image
//	phones/AB/CD/ABCD.../N.instance.json       the instance of generation N
//	phones/AB/CD/ABCD.../N.volume.LABEL/       the volume of generation N: what the phone sees as /data
//	phones/AB/CD/ABCD.../trash~N.volume...     a volume on its way out
//	shares/INSTALLATION.SERVER/                the shared storage of a server
//	faults/, capacity/                         how often faults struck; how many instances a server has
//
// Opening a host costs nothing, and a call costs what its phone has, not what the host has; only List walks the host.
package simulated

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Name is what a server of this driver has in phone.Server.Driver.
const Name = "simulated"

// version is what Info says; it grows with what a simulated host can do.
const version = "1"

// Driver drives one simulated host. It is safe for concurrent use, also beside other Drivers, in this process or another.
type Driver struct {
	dir          string // the host's folder, absolute
	installation string
	server       phone.ServerID
	config       Config
	scripted     []rule // of the configuration
	file         faultFile
	now          func() time.Time
}

var (
	_ driver.Driver    = (*Driver)(nil)
	_ driver.Creator   = (*Driver)(nil)
	_ driver.Measurer  = (*Driver)(nil)
	_ driver.KeySetter = (*Driver)(nil)
	_ driver.Sharer    = (*Driver)(nil)
)

// Open gives a driver for a server whose Endpoint is sim://DIR (DIR absolute) and whose Config is a Config as JSON. It reads
// the two and does not touch the folder: whether that is there is found out by each call. An error is Invalid and names the
// key and the cure.
func Open(installation string, server phone.Server) (*Driver, error) {
	dir, err := endpointDir(server.Endpoint)
	if err != nil {
		return nil, err
	}
	if !phone.ValidID(installation) || !phone.ValidID(server.ID) {
		return nil, phone.Errorf(phone.Invalid, phone.ReasonServerInvalid,
			"installation %q or server %q cannot be: an id has 32 lower-case hex digits", installation, server.ID)
	}
	config, err := ParseConfig(server.Config)
	if err != nil {
		return nil, err
	}
	return &Driver{
		dir: dir, installation: installation, server: server.ID, config: config, scripted: compile(config.Faults), now: time.Now,
	}, nil
}

func endpointDir(endpoint string) (string, error) {
	dir, ok := strings.CutPrefix(endpoint, "sim://")
	if !ok || !filepath.IsAbs(dir) {
		return "", &phone.Error{
			Code: phone.Invalid, Reason: phone.ReasonServerInvalid, Field: "endpoint",
			Msg: "the endpoint of a simulated server must be sim:// and an absolute folder, as in sim:///var/lib/lethe/host1",
		}
	}
	return filepath.Clean(dir), nil
}

// Create makes the host's folder. It is called once, when the server is added, and never by another call of the driver: a
// host whose folder is lost is unavailable, and must not come back empty as if all data had been erased. A host that is there
// already is left as it is; a folder that holds anything else is a Conflict.
func (d *Driver) Create(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return d.classify(ctx, "create the host", err)
	}
	if err := d.create(); err != nil {
		return d.classify(ctx, "create the host", err)
	}
	return nil
}

func (d *Driver) create() error {
	if _, err := os.Lstat(d.path(hostFile)); err == nil {
		return nil
	}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return err
	}
	folders := []string{imagesDir, phonesDir, strikesDir, capacityDir}
	for _, entry := range entries {
		// An earlier Create that was killed may have left some of these.
		if name := entry.Name(); !slices.Contains(folders, name) && name != faultsFile && !strings.HasPrefix(name, temporary) {
			return phone.Errorf(phone.Conflict, phone.ReasonServerInvalid,
				"the folder %s is not empty and not a simulated host: give the server a folder of its own", d.dir)
		}
	}
	for _, folder := range folders {
		if err := os.Mkdir(d.path(folder), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return writeJSON(d.path(hostFile), hostRecord{Format: 1, CreatedAt: d.now().UTC()})
}

type hostRecord struct {
	Format    int       `json:"format"`
	CreatedAt time.Time `json:"created_at"`
}

// Info says what a simulated host is.
func (d *Driver) Info(ctx context.Context) (driver.Info, error) {
	return call(ctx, d, OpInfo, subject{}, func() (driver.Info, error) {
		info := driver.Info{
			Driver: Name, Version: version, Architecture: runtime.GOARCH,
			Capabilities: []string{driver.CapabilitySpace, driver.CapabilityADBKeys, driver.CapabilityFiles, driver.CapabilityExport},
		}
		if d.config.SharePath != "" {
			info.Capabilities = append(info.Capabilities, driver.CapabilityShare)
		}
		return info, nil
	})
}

// Prepare resolves every reference, except the configured missing images, to a content address that is made from the
// reference alone: the same one on every host and at all times.
func (d *Driver) Prepare(ctx context.Context, image phone.Image) (phone.ImageIdentity, error) {
	identity := resolve(image.Reference)
	return call(ctx, d, OpPrepare, subject{image: identity.ID}, func() (phone.ImageIdentity, error) {
		if image.Reference == "" || slices.Contains(d.config.MissingImages, image.Reference) {
			return phone.ImageIdentity{}, phone.Errorf(phone.NotFound, phone.ReasonImageNotFound,
				"the image %q cannot be had: correct its reference", image.Reference)
		}
		path, _ := d.imagePath(identity)
		if _, err := os.Lstat(path); err == nil {
			return identity, nil
		}
		record := imageRecord{Reference: image.Reference, Identity: identity, PreparedAt: d.now().UTC()}
		if err := writeJSON(path, record); err != nil {
			return phone.ImageIdentity{}, err
		}
		return identity, nil
	})
}

type imageRecord struct {
	Reference  string              `json:"reference"`
	Identity   phone.ImageIdentity `json:"identity"`
	PreparedAt time.Time           `json:"prepared_at"`
}

func resolve(reference string) phone.ImageIdentity {
	sum := sha256.Sum256([]byte("lethe simulated image\x00" + reference))
	return phone.ImageIdentity{ID: "sha256:" + hex.EncodeToString(sum[:])}
}

var contentAddress = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// imagePath is where a prepared image is recorded; an identity that no Prepare can have given has none.
func (d *Driver) imagePath(identity phone.ImageIdentity) (string, bool) {
	if !contentAddress.MatchString(identity.ID) {
		return "", false
	}
	return d.path(imagesDir, strings.TrimPrefix(identity.ID, "sha256:")+".json"), true
}

// wantImage fails unless the image was prepared on this host.
func (d *Driver) wantImage(identity phone.ImageIdentity) error {
	path, ok := d.imagePath(identity)
	if ok {
		_, err := os.Lstat(path)
		if err == nil {
			return nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return phone.Errorf(phone.NotFound, phone.ReasonImageNotFound, "the image %s is not on the host: prepare it again", identity.ID)
}
