package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"

	"github.com/lethe-cloud/lethe/internal/driver/docker"
	"github.com/lethe-cloud/lethe/internal/driver/simulated"
	"github.com/lethe-cloud/lethe/internal/imagetar"
	"github.com/lethe-cloud/lethe/internal/simphone"
	"github.com/lethe-cloud/lethe/internal/store"
)

// demoImages is what the demonstration's phones boot, and where.
type demoImages struct {
	first, second string // references
	endpoint      string
	config        json.RawMessage // of every server
	helper        helperBinary
}

// prepareDemoImages makes two images that differ. On Docker they are real ones, of a stand-in for Android.
func prepareDemoImages(ctx context.Context, o demoOptions, dir string) (demoImages, error) {
	images := demoImages{first: "registry.invalid/android:12", second: "registry.invalid/android:13", helper: ownBinary}
	var err error
	if o.driver == simulated.Name {
		images.config, err = json.Marshal(map[string]any{"boot_time": o.bootTime.String()})
		return images, err
	}
	binary, between, err := staticSelf(ctx, dir)
	if err != nil {
		return demoImages{}, err
	}
	images.endpoint = o.dockerHost
	images.helper = func(string) (string, error) { return binary, nil }
	for reference, version := range map[*string]string{&images.first: "12", &images.second: "13"} {
		image := simphone.Image(binary, runtime.GOARCH, between...)
		image.Env = append(image.Env, "LETHE_DEMO_VERSION="+version)
		content, err := imagetar.New(image)
		if err != nil {
			return demoImages{}, err
		}
		if err := docker.LoadImage(ctx, o.dockerHost, content); err != nil {
			return demoImages{}, err
		}
		*reference = content.Reference
	}
	images.config, err = json.Marshal(docker.Template{
		Privileges: "none", InitArgs: []string{fmt.Sprintf("%s=%d", simphone.ArgBootMillis, o.bootTime.Milliseconds())},
	})
	return images, err
}

// staticSelf gives a static lethe and the arguments with which it is the stand-in phone: this program's own file, or under
// `go run`, whose programs are linked against libc, one that the Go toolchain builds from the same sources.
func staticSelf(ctx context.Context, dir string) (binary string, between []string, err error) {
	between = []string{phoneCommand}
	if binary, err = ownBinary(runtime.GOARCH); err == nil {
		return binary, between, nil
	}
	binary = filepath.Join(dir, "lethe")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "github.com/lethe-cloud/lethe/cmd/lethe")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	var said bytes.Buffer
	build.Stderr = &said
	if buildErr := build.Run(); buildErr != nil {
		return "", nil, fmt.Errorf("the docker demonstration needs a static lethe, and `go build` made none here (%w: %s): run `make build` in lethe's source folder, then bin/lethe demo", buildErr, bytes.TrimSpace(said.Bytes()))
	}
	return binary, between, nil
}

// freePorts gives the first of n adb ports in a row on which nothing listens, so that two demonstrations on one machine do not
// meet. It looks where lethe gives no ports by itself and the kernel hands none out.
func freePorts(n int) (int, error) {
	const first, last = 10_000, 19_999
	for range 200 {
		base := first + rand.IntN(max(1, last-first-n))
		free := 0
		for free < n && portFree(base+free) {
			free++
		}
		if free == n {
			return base, nil
		}
	}
	return 0, fmt.Errorf("no %d TCP ports in a row are free from %d to %d: run the demonstration with fewer --phones", n, first, last)
}

func portFree(port int) bool {
	l, err := net.Listen("tcp", ":"+strconv.Itoa(port))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// removeDemo removes everything from the Docker host that bears the demonstration's installation.
func removeDemo(ctx context.Context, o demoOptions, data string) (err error) {
	if o.driver != docker.Name {
		return nil
	}
	database := filepath.Join(data, "lethe.db")
	if _, err := os.Stat(database); errors.Is(err, os.ErrNotExist) {
		return nil // it never got so far
	}
	st, err := store.Open(ctx, store.Config{URL: "sqlite:" + database})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	installation, err := st.Installation(ctx)
	if err != nil {
		return err
	}
	if err := docker.Purge(ctx, o.dockerHost, installation); err != nil {
		return fmt.Errorf("remove the demonstration's phones: %w", err)
	}
	return nil
}
