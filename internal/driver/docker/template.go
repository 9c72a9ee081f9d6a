package docker

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// Template is what all phones of a server have in common: the server's Config as a JSON object. Every key may be left out.
type Template struct {
	// InitArgs are redroid's init arguments as its README lists them, "androidboot.use_memfd=1" (needed on kernels from 5.18).
	// Each is KEY=VALUE; the keys are androidboot.* and ro.*. A phone's own properties override them.
	InitArgs []string `json:"init_args,omitempty"`

	// Width, Height, DPI and FPS are the screen's; 0 leaves redroid's default (720, 1280, 320; 15 frames without a GPU).
	Width  int `json:"width,omitempty"`
	Height int `json:"height,omitempty"`
	DPI    int `json:"dpi,omitempty"`
	FPS    int `json:"fps,omitempty"`

	// GPUMode is guest (software), host or auto; GPUNode is the render node for host, "/dev/dri/renderD128".
	GPUMode string `json:"gpu_mode,omitempty"`
	GPUNode string `json:"gpu_node,omitempty"`

	// DNS are the addresses of the phones' name servers, at most 4; without any redroid asks 8.8.8.8.
	DNS []string `json:"dns,omitempty"`

	// Privileges is what the container may do: "privileged" (the default, and redroid's documented run); "capabilities", which
	// is all capabilities, no seccomp and AppArmor profile and all character devices, where privileged containers are not
	// allowed; or "none", which suffices for the test phone but not for Android.
	Privileges string `json:"privileges,omitempty"`

	// Devices are host devices as docker run's --device takes them: PATH, PATH:INSIDE or PATH:INSIDE:rwm.
	Devices []string `json:"devices,omitempty"`

	// Mounts are folders of the host that every phone sees. None may lie in /data: it would outlive a reset.
	Mounts []Mount `json:"mounts,omitempty"`

	// SharePath gives the server a shared storage: a volume that lethe writes, and that every phone sees at this path, read-only. "/data/share"
	// is a good place; "" is none.
	SharePath string `json:"share_path,omitempty"`

	// Network is an existing network for all phones. "" gives each project a bridge network of its own, made when needed, so
	// that the phones of different projects do not reach each other.
	Network string `json:"network,omitempty"`

	// CPUSet is the processors a phone may use, "0-3"; CPUs how much of them, 1.5 being one and a half; Memory its most memory,
	// "4g"; PidsLimit its most threads. Empty and 0 are no limit.
	CPUSet    string  `json:"cpuset,omitempty"`
	CPUs      float64 `json:"cpus,omitempty"`
	Memory    string  `json:"memory,omitempty"`
	PidsLimit int64   `json:"pids_limit,omitempty"`

	// ADBBind is the host's address on which the phones' adb ports are published; 127.0.0.1 when left out. ADBAdvertise is the
	// host name or address that operators are told; when left out, that of the endpoint, or else ADBBind.
	ADBBind      string `json:"adb_bind,omitempty"`
	ADBAdvertise string `json:"adb_advertise,omitempty"`

	// ADBProbe is the host name or address at which this process reaches the adb ports: a phone counts as booted only when adb
	// answers there. Left out it is worked out from the endpoint and ADBBind; "off" means that adb is not asked.
	ADBProbe string `json:"adb_probe,omitempty"`

	// ADBSecure lets only holders of a known key in (ro.adb.secure=1); true when left out, since stock redroid lets in whoever
	// reaches the port. ADBKeys are the operators' public keys, one line each as in ~/.android/adbkey.pub. They are written to
	// the container's /adb_keys: adbd reads that file besides /data/misc/adb/adb_keys, and, unlike keys in /data, Android
	// neither removes them after a week without use nor loses them with the data.
	ADBSecure *bool    `json:"adb_secure,omitempty"`
	ADBKeys   []string `json:"adb_keys,omitempty"`

	// HelperImage is an image to empty volumes with, in place of lethe's own: it is given directories as arguments and prints
	// what `lethe volume-helper` prints.
	HelperImage string `json:"helper_image,omitempty"`

	// TLS are the files of this machine with which a tcp:// endpoint is reached. Without them such an endpoint must be on the
	// loopback interface, or PlainTCP be true: whoever reaches a Docker port without TLS is root on that host.
	TLS      *TLS `json:"tls,omitempty"`
	PlainTCP bool `json:"plain_tcp,omitempty"`

	memory int64  // Memory in bytes
	probe  string // ADBProbe worked out; "" for none
	listed string // ADBAdvertise worked out
}

// Mount is a folder or file of the host that a phone sees.
type Mount struct {
	Source   string `json:"source"`
	Target   string `json:"target"`
	ReadOnly bool   `json:"read_only"`
}

// TLS names PEM files.
type TLS struct {
	CA   string `json:"ca"`
	Cert string `json:"cert"`
	Key  string `json:"key"`
}

// The values of Privileges.
const (
	privileged   = "privileged"
	capabilities = "capabilities"
	noPrivileges = "none"
)

// probeOff is the value of ADBProbe that means that adb is not asked.
const probeOff = "off"

// ParseTemplate reads a server's Config for the endpoint it belongs to. The error is Invalid; it names every wrong key, and
// says what would be right.
func ParseTemplate(config []byte, endpoint string) (Template, error) {
	t := Template{}
	if len(bytes.TrimSpace(config)) > 0 {
		if err := decodeTemplate(config, &t); err != nil {
			return Template{}, phone.Errorf(phone.Invalid, "", "the server's template: %w", err)
		}
	}
	if problems := t.complete(endpoint); len(problems) > 0 {
		return Template{}, phone.Errorf(phone.Invalid, "", "the server's template: %s", strings.Join(problems, "; "))
	}
	return t, nil
}

func decodeTemplate(config []byte, t *Template) error {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(config, &keys); err != nil {
		return errors.New("it is not one JSON object")
	}
	known := templateKeys()
	for key := range keys {
		if !slices.Contains(known, key) {
			return fmt.Errorf("the key %q is unknown: take it out, or use one of %s", key, strings.Join(known, ", "))
		}
	}
	decoder := json.NewDecoder(bytes.NewReader(config))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(t)
	var mistyped *json.UnmarshalTypeError
	if errors.As(err, &mistyped) {
		return fmt.Errorf("the key %q has a %s, and takes a %s", mistyped.Field, mistyped.Value, mistyped.Type)
	}
	if err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

func templateKeys() []string {
	var keys []string
	for field := range reflect.TypeFor[Template]().Fields() {
		if key, _, _ := strings.Cut(field.Tag.Get("json"), ","); key != "" {
			keys = append(keys, key)
		}
	}
	return keys
}

// arg is one init argument.
type arg struct{ key, value string }

// ownArgs are the init arguments that the template's other keys make.
func (t *Template) ownArgs() []arg {
	var args []arg
	number := func(key string, value int) {
		if value > 0 {
			args = append(args, arg{key, strconv.Itoa(value)})
		}
	}
	number("androidboot.redroid_width", t.Width)
	number("androidboot.redroid_height", t.Height)
	number("androidboot.redroid_dpi", t.DPI)
	number("androidboot.redroid_fps", t.FPS)
	number("androidboot.redroid_net_ndns", len(t.DNS))
	for i, address := range t.DNS {
		args = append(args, arg{fmt.Sprintf("androidboot.redroid_net_dns%d", i+1), address})
	}
	if t.GPUMode != "" {
		args = append(args, arg{"androidboot.redroid_gpu_mode", t.GPUMode})
	}
	if t.GPUNode != "" {
		args = append(args, arg{"androidboot.redroid_gpu_node", t.GPUNode})
	}
	return args
}

// argKey is the property that an init argument becomes.
func argKey(key string) string {
	if name, ok := strings.CutPrefix(key, "androidboot."); ok {
		return "ro.boot." + name
	}
	return key
}
