// Package imagetar makes a container image out of one static binary: a tar that `docker load` takes, built from nothing, with
// nothing pulled. The same input gives the same bytes, and so the same image.
package imagetar

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// Image is an image of one binary.
type Image struct {
	// Name is the repository, "lethe-simphone". The tag is the beginning of the image's digest, so that a host which has the
	// reference has exactly this image.
	Name         string
	Architecture string   // as GOARCH has it
	Binary       string   // the static ELF file on this machine
	Path         string   // where it is in the image, "/init"
	Links        []string // symbolic links to it, "/system/bin/getprop"
	Dirs         []string // empty directories, mode 0755
	Entrypoint   []string
	Cmd          []string
	Env          []string
	Labels       map[string]string
	Volumes      []string // where every container gets a volume without a name
}

// Tar is an image that is ready to be written.
type Tar struct {
	Reference string // name:tag
	Digest    string // of the image's configuration, "sha256:...": what Docker's classic image store calls the image ID

	image  Image
	config []byte
	layer  string // hex digest of the layer
	size   int64  // of the layer
}

// New reads the binary once and works out the image's digest. It refuses a binary that would not run in an empty image.
func New(image Image) (*Tar, error) {
	arch, err := Static(image.Binary)
	if err != nil {
		return nil, err
	}
	if arch != image.Architecture {
		return nil, fmt.Errorf("%s is built for %s, the image is for %s", image.Binary, arch, image.Architecture)
	}
	sum := sha256.New()
	counter := &countWriter{w: sum}
	if err := writeLayer(counter, image); err != nil {
		return nil, err
	}
	t := &Tar{image: image, layer: hex.EncodeToString(sum.Sum(nil)), size: counter.n}
	if t.config, err = json.Marshal(configOf(image, t.layer)); err != nil {
		return nil, fmt.Errorf("image configuration: %w", err)
	}
	digest := sha256.Sum256(t.config)
	t.Digest = "sha256:" + hex.EncodeToString(digest[:])
	t.Reference = image.Name + ":" + hex.EncodeToString(digest[:6])
	return t, nil
}

// Write writes the tar. It fails when the binary has changed since New.
func (t *Tar) Write(w io.Writer) error {
	out := tar.NewWriter(w)
	configName := strings.TrimPrefix(t.Digest, "sha256:") + ".json"
	layerName := t.layer + "/layer.tar"
	manifest, err := json.Marshal([]manifestItem{{Config: configName, RepoTags: []string{t.Reference}, Layers: []string{layerName}}})
	if err != nil {
		return fmt.Errorf("image manifest: %w", err)
	}
	if err := writeFile(out, configName, t.config); err != nil {
		return err
	}
	if err := out.WriteHeader(header(tar.TypeReg, layerName, 0o644, t.size)); err != nil {
		return fmt.Errorf("image tar: %w", err)
	}
	sum := sha256.New()
	if err := writeLayer(io.MultiWriter(out, sum), t.image); err != nil {
		return err
	}
	if err := unchanged(sum, t.layer); err != nil {
		return fmt.Errorf("%s: %w", t.image.Binary, err)
	}
	if err := writeFile(out, "manifest.json", manifest); err != nil {
		return err
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("image tar: %w", err)
	}
	return nil
}

func unchanged(sum hash.Hash, want string) error {
	if got := hex.EncodeToString(sum.Sum(nil)); got != want {
		return fmt.Errorf("the file changed while its image was being made")
	}
	return nil
}

// The three JSON documents' fields that an image needs. Source: the image specification v1.2 of github.com/moby/docker-image-spec.
type manifestItem struct {
	Config   string
	RepoTags []string
	Layers   []string
}

type imageConfig struct {
	Architecture string          `json:"architecture"`
	Config       containerConfig `json:"config"`
	Created      string          `json:"created"`
	History      []history       `json:"history"`
	OS           string          `json:"os"`
	RootFS       rootFS          `json:"rootfs"`
}

type containerConfig struct {
	Cmd        []string
	Entrypoint []string
	Env        []string
	Labels     map[string]string
	Volumes    map[string]struct{} `json:",omitempty"`
	WorkingDir string
}

type history struct {
	Created   string `json:"created"`
	CreatedBy string `json:"created_by"`
}

type rootFS struct {
	Type    string   `json:"type"`
	DiffIDs []string `json:"diff_ids"`
}

// epoch is the time of everything in the image: a real one would make each build another image.
const epoch = "1970-01-01T00:00:00Z"

func configOf(i Image, layer string) imageConfig {
	volumes := map[string]struct{}{}
	for _, dir := range i.Volumes {
		volumes[dir] = struct{}{}
	}
	return imageConfig{
		Architecture: i.Architecture,
		OS:           "linux",
		Created:      epoch,
		Config:       containerConfig{Cmd: i.Cmd, Entrypoint: i.Entrypoint, Env: i.Env, Labels: i.Labels, Volumes: volumes, WorkingDir: "/"},
		History:      []history{{Created: epoch, CreatedBy: "lethe: one static binary"}},
		RootFS:       rootFS{Type: "layers", DiffIDs: []string{"sha256:" + layer}},
	}
}

// writeLayer writes the image's files: directories first, parents before children, then the binary, then the links.
func writeLayer(w io.Writer, i Image) error {
	out := tar.NewWriter(w)
	for _, dir := range directories(i) {
		if err := out.WriteHeader(header(tar.TypeDir, dir+"/", 0o755, 0)); err != nil {
			return fmt.Errorf("image layer: %w", err)
		}
	}
	if err := copyBinary(out, i); err != nil {
		return err
	}
	for _, link := range slices.Sorted(slices.Values(i.Links)) {
		h := header(tar.TypeSymlink, relative(link), 0o777, 0)
		h.Linkname = i.Path
		if err := out.WriteHeader(h); err != nil {
			return fmt.Errorf("image layer: %w", err)
		}
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("image layer: %w", err)
	}
	return nil
}

func copyBinary(out *tar.Writer, i Image) error {
	f, err := os.Open(i.Binary)
	if err != nil {
		return fmt.Errorf("image binary: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("image binary: %w", err)
	}
	if err := out.WriteHeader(header(tar.TypeReg, relative(i.Path), 0o755, info.Size())); err != nil {
		return fmt.Errorf("image layer: %w", err)
	}
	if _, err := io.Copy(out, f); err != nil {
		return fmt.Errorf("image layer: copy %s: %w", i.Binary, err)
	}
	return nil
}

// directories lists every directory that the image needs, each after its parent.
func directories(i Image) []string {
	seen := map[string]bool{}
	add := func(dir string) {
		for ; dir != "." && dir != ""; dir = path.Dir(dir) {
			seen[dir] = true
		}
	}
	for _, dir := range i.Dirs {
		add(relative(dir))
	}
	for _, file := range append([]string{i.Path}, i.Links...) {
		add(path.Dir(relative(file)))
	}
	all := make([]string, 0, len(seen))
	for dir := range seen {
		all = append(all, dir)
	}
	slices.Sort(all) // "a" sorts before "a/b"
	return all
}

func relative(name string) string { return strings.TrimPrefix(path.Clean(name), "/") }

func header(kind byte, name string, mode, size int64) *tar.Header {
	return &tar.Header{Typeflag: kind, Name: name, Mode: mode, Size: size, ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}
}

func writeFile(out *tar.Writer, name string, content []byte) error {
	if err := out.WriteHeader(header(tar.TypeReg, name, 0o644, int64(len(content)))); err != nil {
		return fmt.Errorf("image tar: %w", err)
	}
	if _, err := out.Write(content); err != nil {
		return fmt.Errorf("image tar: %w", err)
	}
	return nil
}

type countWriter struct {
	w io.Writer
	n int64
}

func (c *countWriter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}
