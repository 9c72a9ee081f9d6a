package imagetar

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// build compiles a tiny program and returns its path.
func build(t *testing.T, arch string, linker ...string) string {
	t.Helper()
	dir := t.TempDir()
	source := filepath.Join(dir, "main.go")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "program")
	cmd := exec.Command("go", append([]string{"build", "-trimpath", "-o", out}, append(linker, source)...)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH="+arch, "GOOS=linux")
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, said)
	}
	return out
}

func example(binary string) Image {
	return Image{
		Name: "lethe-example", Architecture: "amd64", Binary: binary, Path: "/init", Links: []string{"/system/bin/pm", "/system/bin/getprop"},
		Dirs: []string{"/data"}, Entrypoint: []string{"/init", "qemu=1"}, Env: []string{"PATH=/system/bin"}, Labels: map[string]string{"b": "2", "a": "1"},
	}
}

func written(t *testing.T, i Image) (*Tar, []byte) {
	t.Helper()
	tarball, err := New(i)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := tarball.Write(&b); err != nil {
		t.Fatal(err)
	}
	return tarball, b.Bytes()
}

func TestSameInputSameBytes(t *testing.T) {
	t.Parallel()
	binary := build(t, "amd64")
	first, firstBytes := written(t, example(binary))

	moved := filepath.Join(t.TempDir(), "elsewhere")
	content, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(moved, content, 0o700); err != nil { // other name, other mode, other times
		t.Fatal(err)
	}
	if err := os.Chtimes(moved, time.Unix(1e9, 0), time.Unix(1e9, 0)); err != nil {
		t.Fatal(err)
	}
	second, secondBytes := written(t, example(moved))
	if !bytes.Equal(firstBytes, secondBytes) || first.Reference != second.Reference || first.Digest != second.Digest {
		t.Errorf("one input gave two images: %s and %s", first.Digest, second.Digest)
	}

	changed := example(binary)
	changed.Labels = map[string]string{"a": "1"}
	if third, _ := written(t, changed); third.Reference == first.Reference {
		t.Errorf("another configuration has the same reference %s", third.Reference)
	}
}

func TestContent(t *testing.T) {
	t.Parallel()
	tarball, b := written(t, example(build(t, "amd64")))
	files := map[string][]byte{}
	for r := tar.NewReader(bytes.NewReader(b)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	var manifest []manifestItem
	if err := json.Unmarshal(files["manifest.json"], &manifest); err != nil || len(manifest) != 1 {
		t.Fatalf("manifest: %v %v", manifest, err)
	}
	if diff := cmp.Diff([]string{tarball.Reference}, manifest[0].RepoTags); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	digest := sha256.Sum256(files[manifest[0].Config])
	if got := "sha256:" + hex.EncodeToString(digest[:]); got != tarball.Digest {
		t.Errorf("Digest is %s, the configuration's is %s", tarball.Digest, got)
	}
	var config imageConfig
	if err := json.Unmarshal(files[manifest[0].Config], &config); err != nil {
		t.Fatal(err)
	}
	layer := files[manifest[0].Layers[0]]
	layerDigest := sha256.Sum256(layer)
	if diff := cmp.Diff([]string{"sha256:" + hex.EncodeToString(layerDigest[:])}, config.RootFS.DiffIDs); diff != "" {
		t.Errorf("diff ids (-want +got):\n%s", diff)
	}
	var names []string
	for r := tar.NewReader(bytes.NewReader(layer)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name+" "+h.Linkname)
	}
	want := []string{"data/ ", "system/ ", "system/bin/ ", "init ", "system/bin/getprop /init", "system/bin/pm /init"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestWriteNoticesChangedBinary(t *testing.T) {
	t.Parallel()
	binary := build(t, "amd64")
	tarball, err := New(example(binary))
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(binary, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("changed"), 4000); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := tarball.Write(io.Discard); err == nil || !strings.Contains(err.Error(), "changed") {
		t.Errorf("Write after the binary changed: %v", err)
	}
}

func TestStatic(t *testing.T) {
	t.Parallel()
	for _, arch := range []string{"amd64", "arm64"} {
		if got, err := Static(build(t, arch)); err != nil || got != arch {
			t.Errorf("Static of a program for %s: %q, %v", arch, got, err)
		}
	}
	// -I names a dynamic linker, which is what external linking against libc does.
	dynamic := build(t, "amd64", "-ldflags=-linkmode=internal -I=/lib64/ld-linux-x86-64.so.2", "-buildmode=pie")
	if _, err := Static(dynamic); !errors.Is(err, ErrNotStatic) {
		t.Errorf("Static of a dynamic program: %v, want ErrNotStatic", err)
	}
	if _, err := New(example(dynamic)); !errors.Is(err, ErrNotStatic) {
		t.Errorf("New of a dynamic program: %v, want ErrNotStatic", err)
	}
	if _, err := New(example(build(t, "arm64"))); err == nil {
		t.Error("New takes an arm64 program for an amd64 image")
	}
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Static(text); err == nil {
		t.Error("Static takes a shell script")
	}
}
