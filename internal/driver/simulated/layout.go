package simulated

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Where the objects of one phone are in its folder: N.instance.json, N.volume.INSTALLATION.SERVER.JOB, and, on its way out,
// trash~N.volume.INSTALLATION.SERVER.JOB~RANDOM.
const (
	instanceSuffix = ".instance.json"
	volumeInfix    = ".volume"
	trashPrefix    = "trash~"
)

func (d *Driver) instancePath(ref driver.Ref) string {
	return filepath.Join(d.phoneDir(ref.Phone), strconv.FormatInt(int64(ref.Generation), 10)+instanceSuffix)
}

func (d *Driver) volumePath(l label) string {
	return filepath.Join(d.phoneDir(l.Phone), l.volumeFolder())
}

func (l label) volumeFolder() string {
	return fmt.Sprintf("%d%s.%s.%s.%s", l.Generation, volumeInfix, l.Installation, l.Server, l.Job)
}

// trashPath is a new name for a volume on its way out. The random part keeps apart what one job made again after an erasure.
func (d *Driver) trashPath(l label) string {
	return filepath.Join(d.phoneDir(l.Phone), trashPrefix+l.volumeFolder()+"~"+phone.NewID[string]())
}

// contents is what a phone's folder has.
type contents struct {
	instances  []driver.Ref // files with the name of an instance, whosever they are
	volumes    []label      // folders with the name of a volume, whosever they are
	trash      []discarded  // this server's volumes on their way out
	unfinished []string     // paths of what a killed process had not finished writing
}

// discarded is one volume in the trash, where nothing can start on it any more.
type discarded struct {
	label label
	path  string
}

// scan reads a phone's folder; one that is not there has nothing.
func (d *Driver) scan(id phone.ID) (contents, error) {
	var c contents
	dir := d.phoneDir(id)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	for _, entry := range entries {
		name := entry.Name()
		path := filepath.Join(dir, name)
		if strings.HasPrefix(name, temporary) {
			c.unfinished = append(c.unfinished, path)
		} else if generation, ok := parseInstanceFile(name); ok {
			c.instances = append(c.instances, driver.Ref{Phone: id, Generation: generation})
		} else if l, ok := parseVolumeFolder(id, name); ok {
			c.volumes = append(c.volumes, l)
		} else if l, ok := parseTrash(id, name); ok && d.owns(l) {
			c.trash = append(c.trash, discarded{label: l, path: path})
		}
	}
	return c, err
}

// volume says whose the volume of a generation is.
func (c contents) volume(d *Driver, generation phone.Generation) (label, ownership) {
	found := absent
	for _, l := range c.volumes {
		if l.Generation != generation {
			continue
		}
		if d.owns(l) {
			return l, ours
		}
		found = foreign
	}
	return label{}, found
}

// parseGeneration reads a generation exactly as it is written, so that no two names stand for one.
func parseGeneration(digits string) (phone.Generation, bool) {
	n, err := strconv.ParseInt(digits, 10, 64)
	return phone.Generation(n), err == nil && n > 0 && digits == strconv.FormatInt(n, 10)
}

func parseInstanceFile(name string) (phone.Generation, bool) {
	digits, ok := strings.CutSuffix(name, instanceSuffix)
	if !ok {
		return 0, false
	}
	return parseGeneration(digits)
}

// parseVolumeFolder reads the name of a volume's folder. One that begins so and has no whole label is in the way of a volume of
// that generation all the same; its label has no installation, so it is not ours.
func parseVolumeFolder(id phone.ID, name string) (label, bool) {
	digits, rest, ok := strings.Cut(name, volumeInfix)
	generation, valid := parseGeneration(digits)
	if !ok || !valid || rest != "" && rest[0] != '.' {
		return label{}, false
	}
	l := label{Phone: id, Generation: generation}
	if parts := strings.Split(rest, "."); len(parts) == 4 {
		l.Installation, l.Server, l.Job = parts[1], phone.ServerID(parts[2]), phone.JobID(parts[3])
	}
	return l, true
}

func parseTrash(id phone.ID, name string) (label, bool) {
	rest, ok := strings.CutPrefix(name, trashPrefix)
	if !ok {
		return label{}, false
	}
	folder, _, _ := strings.Cut(rest, "~")
	return parseVolumeFolder(id, folder)
}
