package docker

import (
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"strings"

	"github.com/docker/go-units"

	"github.com/lethe-cloud/lethe/internal/adb"
	"github.com/lethe-cloud/lethe/internal/driver"
)

// complete fills in the defaults and returns what is wrong, one sentence each.
func (t *Template) complete(endpoint string) []string {
	var problems []string
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }

	switch t.Privileges {
	case "":
		t.Privileges = privileged
	case privileged, capabilities, noPrivileges:
	default:
		wrong("privileges is %q and must be privileged, capabilities or none", t.Privileges)
	}
	switch t.GPUMode {
	case "", "guest", "host", "auto":
	default:
		wrong("gpu_mode is %q and must be guest, host or auto", t.GPUMode)
	}
	for _, limit := range []struct {
		key   string
		value float64
	}{
		{"width", float64(t.Width)}, {"height", float64(t.Height)}, {"dpi", float64(t.DPI)}, {"fps", float64(t.FPS)},
		{"cpus", t.CPUs}, {"pids_limit", float64(t.PidsLimit)},
	} {
		if limit.value < 0 {
			wrong("%s is negative: leave it out for the default", limit.key)
		}
	}
	if t.Memory != "" {
		var err error
		if t.memory, err = units.RAMInBytes(t.Memory); err != nil || t.memory < 64<<20 {
			wrong("memory is %q and must be a size from 64m on, such as 512m or 4g", t.Memory)
		}
	}
	switch {
	case t.Network == "host", t.Network == "none", strings.HasPrefix(t.Network, "container:"):
		wrong("network is %q, where no adb port can be published: name a bridge network, or leave it out for one per project", t.Network)
	}
	problems = append(problems, t.checkArgs()...)
	problems = append(problems, t.checkMounts()...)
	problems = append(problems, t.checkShare()...)
	problems = append(problems, t.completeADB(endpoint)...)
	return append(problems, t.checkEndpoint(endpoint)...)
}

// checkArgs refuses init arguments that init would drop or cut, and those that another key of the template makes.
func (t *Template) checkArgs() []string {
	var problems []string
	made := map[string]bool{"ro.adb.secure": true, "ro.boot.redroid_net_ndns": len(t.DNS) > 0}
	for _, a := range t.ownArgs() {
		made[argKey(a.key)] = true
	}
	seen := map[string]bool{}
	for _, text := range t.InitArgs {
		key, value, found := strings.Cut(text, "=")
		switch {
		case !found || !strings.HasPrefix(key, "androidboot.") && !strings.HasPrefix(key, "ro."):
			problems = append(problems, fmt.Sprintf("init_args has %q and takes androidboot.NAME=VALUE or ro.NAME=VALUE", text))
		case wrongArgument(key) != "" || wrongArgument(value) != "":
			problems = append(problems, fmt.Sprintf("init_args: %s: %s", key, wrongArgument(key+value)))
		case argKey(key) == "ro.boot.use_redroid_overlayfs" && value != "0":
			problems = append(problems, "init_args: androidboot.use_redroid_overlayfs keeps the phone's data outside /data, where no reset would destroy it: leave it out")
		case made[argKey(key)]:
			problems = append(problems, fmt.Sprintf("init_args has %s, for which the template has a key of its own: use only that", key))
		case seen[argKey(key)]:
			problems = append(problems, fmt.Sprintf("init_args has %s twice", key))
		}
		seen[argKey(key)] = true
	}
	for _, text := range t.DNS {
		if _, err := netip.ParseAddr(text); err != nil {
			problems = append(problems, fmt.Sprintf("dns has %q, which is no IP address", text))
		}
	}
	if len(t.DNS) > 4 {
		problems = append(problems, "dns has more than 4 addresses")
	}
	if wrongArgument(t.GPUNode) != "" {
		problems = append(problems, fmt.Sprintf("gpu_node is %q, which is no path that init takes", t.GPUNode))
	}
	return problems
}

func (t *Template) checkMounts() []string {
	var problems []string
	for _, m := range t.Mounts {
		target := path.Clean(m.Target)
		switch {
		case !path.IsAbs(m.Source) || !path.IsAbs(m.Target):
			problems = append(problems, fmt.Sprintf("mounts has %q on %q: source and target must be absolute paths", m.Source, m.Target))
		case target == "/data" || strings.HasPrefix(target, "/data/") || target == "/":
			problems = append(problems, fmt.Sprintf("mounts has the target %q: what is mounted over a phone's data would outlive a reset", m.Target))
		}
	}
	for _, text := range t.Devices {
		if _, err := parseDevice(text); err != nil {
			problems = append(problems, err.Error())
		}
	}
	return problems
}

// checkShare refuses a place for the shared storage at which phones would not see it, or would lose something else.
func (t *Template) checkShare() []string {
	if t.SharePath == "" {
		return nil
	}
	if wrong := driver.CheckSharePath(t.SharePath); wrong != "" {
		return []string{fmt.Sprintf("share_path is %q and %s", t.SharePath, wrong)}
	}
	for _, m := range t.Mounts {
		target := path.Clean(m.Target)
		if target == t.SharePath || strings.HasPrefix(target, t.SharePath+"/") || strings.HasPrefix(t.SharePath, target+"/") {
			return []string{fmt.Sprintf("share_path is %q and mounts has the target %q: one would hide the other", t.SharePath, m.Target)}
		}
	}
	return nil
}

func (t *Template) completeADB(endpoint string) []string {
	var problems []string
	if t.ADBBind == "" {
		t.ADBBind = "127.0.0.1"
	}
	bind, err := netip.ParseAddr(t.ADBBind)
	if err != nil {
		return []string{fmt.Sprintf("adb_bind is %q and must be an IP address of the host, or 0.0.0.0 for all", t.ADBBind)}
	}
	if t.ADBSecure == nil {
		secure := true
		t.ADBSecure = &secure
	}
	if err := adb.CheckKeys(t.ADBKeys); err != nil {
		problems = append(problems, "adb_keys "+err.Error())
	}
	remote := remoteHost(endpoint)
	host := t.ADBBind
	switch {
	case remote != "" && (bind.IsUnspecified() || bind.IsLoopback()):
		host = remote
	case bind.IsUnspecified():
		host = "127.0.0.1"
	}
	if t.listed = t.ADBAdvertise; t.listed == "" {
		t.listed = host
	}
	switch t.ADBProbe {
	case "":
		t.probe = host
		if remote != "" && bind.IsLoopback() {
			problems = append(problems, fmt.Sprintf("adb_bind is %s, which nobody reaches on the remote host %s: set adb_bind to an address of that host, or adb_probe to %q", t.ADBBind, remote, probeOff))
		}
	case probeOff:
	default:
		t.probe = t.ADBProbe
	}
	return problems
}

// remoteHost gives the host of an endpoint on another machine, or "".
func remoteHost(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "tcp" || loopback(u.Hostname()) {
		return ""
	}
	return u.Hostname()
}

func (t *Template) checkEndpoint(endpoint string) []string {
	u, err := url.Parse(endpoint)
	switch {
	case err != nil, u.Scheme != "unix" && u.Scheme != "tcp", u.Scheme == "unix" && u.Path == "", u.Scheme == "tcp" && u.Port() == "":
		return []string{"the endpoint must be unix:///PATH or tcp://HOST:PORT"}
	case u.Scheme == "unix" && t.TLS != nil:
		return []string{"tls is for tcp:// endpoints: leave it out"}
	case t.TLS != nil && (t.TLS.CA == "" || t.TLS.Cert == "" || t.TLS.Key == ""):
		return []string{"tls needs the files ca, cert and key"}
	case remoteHost(endpoint) != "" && t.TLS == nil && !t.PlainTCP:
		return []string{"the endpoint is a Docker port of another machine without TLS, where anybody is root who reaches it: set tls to the files ca, cert and key, or plain_tcp to true"}
	}
	return nil
}
