package docker

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"path"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// dataPath is where a phone's data volume is mounted.
const dataPath = "/data"

// adbPort is where adbd listens inside every phone.
var adbPort = network.MustParsePort("5555/tcp")

// args are the arguments after the image: what init takes for properties. A key comes once, because init keeps the first
// value of a ro property: the phone's properties override the template's, and nothing overrides adb's security.
func (t *Template) args(properties phone.Properties) []string {
	secure := "0"
	if *t.ADBSecure {
		secure = "1"
	}
	var all []arg
	for _, text := range t.InitArgs {
		key, value, _ := strings.Cut(text, "=")
		all = append(all, arg{key, value})
	}
	all = append(all, t.ownArgs()...)
	for _, key := range properties.Keys() {
		if timing(key) == driver.AtCreation {
			all = append(all, arg{key, properties[key]})
		}
	}
	all = append(all, arg{"ro.adb.secure", secure})

	last := map[string]int{}
	for i, a := range all {
		last[argKey(a.key)] = i
	}
	var args []string
	for i, a := range all {
		if last[argKey(a.key)] == i {
			args = append(args, a.key+"="+a.value)
		}
	}
	return args
}

// container describes the container of a life on a network.
func (d *Driver) container(spec driver.Spec, networkID string) (client.ContainerCreateOptions, error) {
	t := &d.template
	bind, err := netip.ParseAddr(t.ADBBind)
	if err != nil {
		return client.ContainerCreateOptions{}, phone.Errorf(phone.Invalid, "", "adb_bind: %w", err)
	}
	volumeLabels := d.lifeLabels(kindVolume, spec)
	options := client.ContainerCreateOptions{
		Name: instanceName(spec.Ref),
		Config: &container.Config{
			Image:        spec.Identity.ID, // exactly what was prepared, wherever its tag points today
			Cmd:          t.args(spec.Properties),
			Hostname:     hostname(spec.Name),
			Labels:       d.lifeLabels(kindInstance, spec),
			ExposedPorts: network.PortSet{adbPort: {}},
			Tty:          true, // as in redroid's documented run
			OpenStdin:    true,
		},
		HostConfig: &container.HostConfig{
			NetworkMode:  container.NetworkMode(networkID),
			PortBindings: network.PortMap{adbPort: {{HostIP: bind, HostPort: strconv.Itoa(spec.ADBPort)}}},
			// After a reboot of the host the phones start through the boot slots, not all at once.
			RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyDisabled},
			// The end of the log tells why a boot failed; it must be readable and must not fill the disk.
			LogConfig: container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "1m", "max-file": "1"}},
			Resources: container.Resources{CpusetCpus: t.CPUSet, NanoCPUs: int64(t.CPUs * 1e9), Memory: t.memory},
			Mounts: []mount.Mount{{
				Type: mount.TypeVolume, Source: volumeName(spec.Ref), Target: dataPath,
				// The labels are for a volume that somebody removed meanwhile: Docker would make a new one in silence, and it
				// must be known as ours. Without NoCopy it would be filled from the image.
				VolumeOptions: &mount.VolumeOptions{NoCopy: true, Labels: volumeLabels},
			}},
		},
	}
	host := options.HostConfig
	if t.PidsLimit > 0 {
		host.PidsLimit = &t.PidsLimit
	}
	for _, m := range t.Mounts {
		host.Mounts = append(host.Mounts, mount.Mount{Type: mount.TypeBind, Source: m.Source, Target: m.Target, ReadOnly: m.ReadOnly})
	}
	if t.SharePath != "" {
		host.Mounts = append(host.Mounts, d.shareMount())
	}
	for _, text := range t.Devices {
		device, err := parseDevice(text)
		if err != nil {
			return client.ContainerCreateOptions{}, err
		}
		host.Devices = append(host.Devices, device)
	}
	t.privilege(host)
	options.Config.Labels[labelDigest] = spec.Identity.Digest
	options.Config.Labels[labelMade] = made(spec)
	options.Config.Labels[labelSpec], err = digestOf(options)
	return options, err
}

func made(spec driver.Spec) string { return Rules().Made(spec.Image.ID, spec.Properties) }

// privilege gives the container its rights. Source of the capability set: redroid-doc, issue 591.
func (t *Template) privilege(host *container.HostConfig) {
	switch t.Privileges {
	case privileged:
		host.Privileged = true
	case capabilities:
		host.CapAdd = []string{"ALL"}
		host.SecurityOpt = []string{"seccomp=unconfined", "apparmor=unconfined"}
		host.DeviceCgroupRules = []string{"c *:* rwm"}
	}
}

// digestOf tells two descriptions of a container apart.
func digestOf(options client.ContainerCreateOptions) (string, error) {
	text, err := json.Marshal(options)
	if err != nil {
		return "", fmt.Errorf("digest of a container's description: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16]), nil
}

// parseDevice reads PATH[:INSIDE[:PERMISSIONS]].
func parseDevice(text string) (container.DeviceMapping, error) {
	parts := strings.Split(text, ":")
	device := container.DeviceMapping{PathOnHost: parts[0], PathInContainer: parts[0], CgroupPermissions: "rwm"}
	if len(parts) > 1 {
		device.PathInContainer = parts[1]
	}
	if len(parts) > 2 {
		device.CgroupPermissions = parts[2]
	}
	if len(parts) > 3 || !path.IsAbs(device.PathOnHost) || !path.IsAbs(device.PathInContainer) || strings.Trim(device.CgroupPermissions, "rwm") != "" {
		return container.DeviceMapping{}, phone.Errorf(phone.Invalid, "", "devices has %q and takes PATH, PATH:INSIDE or PATH:INSIDE:rwm", text)
	}
	return device, nil
}

// hostname makes a host name of a phone's name: what is not a letter, a digit or a hyphen becomes a hyphen.
func hostname(name string) string {
	text := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, name)
	if text = strings.Trim(text[:min(len(text), 63)], "-"); text == "" {
		return "phone"
	}
	return text
}

// address is where operators reach a phone's adb.
func (d *Driver) address(port int) string {
	return net.JoinHostPort(d.template.listed, strconv.Itoa(port))
}

// check refuses a life that could not be what it is asked to be, before anything is touched.
func (d *Driver) check(spec driver.Spec) error {
	switch {
	case !phone.ValidID(spec.Phone) || spec.Generation < 1 || spec.Job == "":
		return phone.Errorf(phone.Invalid, "", "a life needs a phone's id, a generation from 1 on and a job")
	case spec.Identity.ID == "":
		return phone.Errorf(phone.Invalid, phone.ReasonImageNotFound, "the image was not prepared on this host")
	case spec.ADBPort < 1 || spec.ADBPort > 65535:
		return phone.Errorf(phone.Invalid, "", "the phone's adb port %d is none: it must be 1 to 65535", spec.ADBPort)
	}
	if err := check(spec.Properties); err != nil {
		return err
	}
	return checkKeys(spec.ADBKeys)
}
