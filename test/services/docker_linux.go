package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// docker is a running Docker daemon with a containerd and a bridge of its own. It changes no rule of the machine's firewall:
// published ports are served by docker-proxy, and its containers reach nothing outside.
type docker struct {
	containerd *process
	dockerd    *process
	client     *http.Client
	address    string
}

// containerdConfig gives containerd folders of its own and leaves out what dockerd does not use.
const containerdConfig = `version = 2
root = %q
state = %q
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = %q
`

// startDocker starts both daemons; what it gives must be stopped, with an error too.
func startDocker(ctx context.Context, in *folder, programs programs, durable bool, say func(string, ...any)) (*docker, error) {
	home, err := in.sub("docker", nil)
	if err != nil {
		return nil, err
	}
	if !durable {
		in.memory(home, say)
	}
	at := func(name string) string { return filepath.Join(home, name) }
	socket, containerdSocket := at("docker.sock"), at("containerd.sock")
	config := fmt.Sprintf(containerdConfig, at("containerd"), at("containerd-state"), containerdSocket)
	if err := os.WriteFile(at("containerd.toml"), []byte(config), 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(at("daemon.json"), []byte("{}"), 0o600); err != nil { // in place of the machine's own
		return nil, err
	}
	network, err := in.newBridge()
	if err != nil {
		return nil, err
	}
	d := &docker{address: "unix://" + socket, client: &http.Client{
		Timeout: time.Minute,
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}},
	}}
	d.containerd, err = startProcess(filepath.Join(in.path, "containerd.log"), syscall.SIGKILL, nil, programs.containerd, "--config", at("containerd.toml"))
	if err != nil {
		return d, err
	}
	if err := d.containerd.ready(ctx, func(ctx context.Context) bool { return accepts(ctx, containerdSocket) }); err != nil {
		return d, err
	}
	d.dockerd, err = startProcess(filepath.Join(in.path, "dockerd.log"), syscall.SIGTERM, nil, programs.dockerd,
		"--config-file", at("daemon.json"),
		"--data-root", at("data"), "--exec-root", at("exec"), "--pidfile", at("pid"),
		"--host", d.address, "--group", "root", "--containerd", containerdSocket,
		"--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", in.cgroup(),
		"--bridge", network.bridge, "--default-address-pool", "base="+network.pool+",size=24",
		"--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false", "--userland-proxy=true")
	if err != nil {
		return d, err
	}
	return d, d.dockerd.ready(ctx, d.answers)
}

// accepts reports whether somebody listens on a unix socket.
func accepts(ctx context.Context, socket string) bool {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return false
	}
	_ = conn.Close() // nothing was written
	return true
}

func (d *docker) answers(ctx context.Context) bool {
	return d.call(ctx, http.MethodGet, "/_ping", nil) == nil
}

// call makes one request of the Docker API and decodes the answer into out, when that is not nil.
func (d *docker) call(ctx context.Context, method, path string, out any) error {
	request, err := http.NewRequestWithContext(ctx, method, "http://docker"+path, nil)
	if err != nil {
		return err
	}
	response, err := d.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode >= 300 && response.StatusCode != http.StatusNotFound {
		return fmt.Errorf("%s %s: %s", method, path, response.Status)
	}
	if out == nil {
		_, err = io.Copy(io.Discard, response.Body)
		return err
	}
	return json.NewDecoder(response.Body).Decode(out)
}

// stop removes the containers that are left (dockerd would wait for each of them to obey) and ends both daemons.
func (d *docker) stop() error {
	var errs []error
	if d.dockerd != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		errs = append(errs, d.removeContainers(ctx), d.dockerd.stop(syscall.SIGTERM))
	}
	if d.containerd != nil {
		errs = append(errs, d.containerd.stop(syscall.SIGTERM))
	}
	return errors.Join(errs...)
}

func (d *docker) removeContainers(ctx context.Context) error {
	select {
	case <-d.dockerd.done:
		return nil
	default:
	}
	if !d.answers(ctx) {
		return nil // it never came up: what it left is found by other means
	}
	var containers []struct{ ID string }
	if err := d.call(ctx, http.MethodGet, "/containers/json?all=1", &containers); err != nil {
		return err
	}
	var (
		group sync.WaitGroup
		slots = make(chan struct{}, 8)
		errs  = make([]error, len(containers))
	)
	for i, c := range containers {
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			errs[i] = d.call(ctx, http.MethodDelete, "/containers/"+c.ID+"?force=1", nil)
		})
	}
	group.Wait()
	return errors.Join(errs...)
}
