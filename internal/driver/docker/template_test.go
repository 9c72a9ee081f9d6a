package docker

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

const (
	local  = "unix:///var/run/docker.sock"
	remote = "tcp://10.0.0.5:2376"
)

var exampleKey = strings.Repeat("QAAAAE", 40) + " operator@example"

func TestTemplateRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		config, endpoint string
		want             []string // parts of the message
	}{
		{`{"widht":720}`, local, []string{`"widht" is unknown`, "width"}},
		{`{"mounts":[{"source":"/a","target":"/b","readonly":true}]}`, local, []string{"readonly"}},
		{`{"cpus":"2"}`, local, []string{`"cpus"`, "float64"}},
		{`[]`, local, []string{"one JSON object"}},
		{`{"width":1} {}`, local, []string{"one JSON object"}},
		{`{"privileges":"root"}`, local, []string{"privileged, capabilities or none"}},
		{`{"gpu_mode":"nvidia"}`, local, []string{"guest, host or auto"}},
		{`{"width":-1,"memory":"lots","pids_limit":-5}`, local, []string{"width is negative", "memory", "pids_limit is negative"}},
		{`{"memory":"4k"}`, local, []string{"64m"}},
		{`{"network":"host"}`, local, []string{"no adb port"}},
		{`{"init_args":["use_memfd=1"]}`, local, []string{"androidboot.NAME=VALUE"}},
		{`{"init_args":["androidboot.use_memfd"]}`, local, []string{"androidboot.NAME=VALUE"}},
		{`{"init_args":["ro.a=b=c"]}`, local, []string{"ro.a", "equals"}},
		{`{"init_args":["ro.a=b c"]}`, local, []string{"ro.a", "space"}},
		{`{"init_args":["ro.adb.secure=0"]}`, local, []string{"ro.adb.secure", "key of its own"}},
		{`{"init_args":["androidboot.redroid_width=1"],"width":2}`, local, []string{"redroid_width", "key of its own"}},
		{`{"init_args":["ro.boot.x=1","androidboot.x=2"]}`, local, []string{"androidboot.x twice"}},
		{`{"init_args":["androidboot.use_redroid_overlayfs=1"]}`, local, []string{"no reset would destroy"}},
		{`{"dns":["example.test"]}`, local, []string{"no IP address"}},
		{`{"dns":["1.1.1.1","1.1.1.1","1.1.1.1","1.1.1.1","1.1.1.1"]}`, local, []string{"more than 4"}},
		{`{"mounts":[{"source":"/a","target":"/data/media"}]}`, local, []string{"outlive a reset"}},
		{`{"mounts":[{"source":"/a","target":"/x/../data"}]}`, local, []string{"outlive a reset"}},
		{`{"mounts":[{"source":"a","target":"/b"}]}`, local, []string{"absolute"}},
		{`{"devices":["dri"]}`, local, []string{"PATH:INSIDE"}},
		{`{"devices":["/dev/dri:/dev/dri:x"]}`, local, []string{"PATH:INSIDE"}},
		{`{"adb_bind":"localhost"}`, local, []string{"adb_bind", "IP address"}},
		{`{"adb_keys":["short"]}`, local, []string{"adbkey.pub"}},
		{`{}`, "docker.sock", []string{"unix:///PATH or tcp://HOST:PORT"}},
		{`{}`, "tcp://10.0.0.5", []string{"unix:///PATH or tcp://HOST:PORT"}},
		{`{"tls":{"ca":"a","cert":"b","key":"c"}}`, local, []string{"tcp://"}},
		{`{"tls":{"ca":"a"},"adb_bind":"0.0.0.0"}`, remote, []string{"ca, cert and key"}},
		{`{"adb_bind":"0.0.0.0"}`, remote, []string{"without TLS", "plain_tcp"}},
		{`{"plain_tcp":true}`, remote, []string{"nobody reaches", "adb_probe"}},
	} {
		t.Run(tt.config, func(t *testing.T) {
			t.Parallel()
			_, err := ParseTemplate([]byte(tt.config), tt.endpoint)
			if phone.CodeOf(err) != phone.Invalid {
				t.Fatalf("ParseTemplate: %v, want Invalid", err)
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("the error does not say %q: %v", part, err)
				}
			}
		})
	}
}

func TestTemplateTakesItself(t *testing.T) {
	t.Parallel()
	for _, given := range []Template{
		{},
		{Privileges: "none", Network: "bridge", InitArgs: []string{"androidboot.use_memfd=1"}, Width: 1080, Memory: "4g", CPUs: 1.5,
			Mounts: []Mount{{Source: "/sys", Target: "/sys", ReadOnly: true}}, Devices: []string{"/dev/dri"}, ADBKeys: []string{exampleKey}},
	} {
		text, err := json.Marshal(given)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseTemplate(text, local); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := ParseTemplate(nil, local); err != nil {
		t.Errorf("no template at all: %v", err)
	}
}

func TestADBAddresses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		config, endpoint string
		listed, probe    string
	}{
		{`{}`, local, "127.0.0.1", "127.0.0.1"},
		{`{"adb_bind":"0.0.0.0"}`, local, "127.0.0.1", "127.0.0.1"},
		{`{"adb_bind":"192.0.2.7"}`, local, "192.0.2.7", "192.0.2.7"},
		{`{"adb_bind":"0.0.0.0","adb_advertise":"phones.example"}`, local, "phones.example", "127.0.0.1"},
		{`{"adb_bind":"0.0.0.0","plain_tcp":true}`, remote, "10.0.0.5", "10.0.0.5"},
		{`{"adb_bind":"192.0.2.7","plain_tcp":true}`, remote, "192.0.2.7", "192.0.2.7"},
		{`{"adb_probe":"off","plain_tcp":true}`, remote, "10.0.0.5", ""},
		{`{"adb_probe":"172.17.0.1"}`, local, "127.0.0.1", "172.17.0.1"},
		{`{}`, "tcp://127.0.0.1:2375", "127.0.0.1", "127.0.0.1"},
	} {
		got, err := ParseTemplate([]byte(tt.config), tt.endpoint)
		if err != nil {
			t.Errorf("%s %s: %v", tt.config, tt.endpoint, err)
			continue
		}
		if got.listed != tt.listed || got.probe != tt.probe {
			t.Errorf("%s %s: operators are told %q, asked is %q; want %q and %q", tt.config, tt.endpoint, got.listed, got.probe, tt.listed, tt.probe)
		}
	}
}

func mustTemplate(t *testing.T, config string) Template {
	t.Helper()
	template, err := ParseTemplate([]byte(config), local)
	if err != nil {
		t.Fatal(err)
	}
	return template
}

func TestArgs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, config string
		properties   phone.Properties
		want         []string
	}{
		{"adb is closed by default", `{}`, nil, []string{"ro.adb.secure=1"}},
		{"adb opened", `{"adb_secure":false}`, nil, []string{"ro.adb.secure=0"}},
		{
			"the template's keys", `{"init_args":["androidboot.use_memfd=1"],"width":1080,"height":1920,"dpi":480,"fps":60,"dns":["1.1.1.1","8.8.8.8"],"gpu_mode":"host","gpu_node":"/dev/dri/renderD128"}`, nil,
			[]string{
				"androidboot.use_memfd=1", "androidboot.redroid_width=1080", "androidboot.redroid_height=1920", "androidboot.redroid_dpi=480",
				"androidboot.redroid_fps=60", "androidboot.redroid_net_ndns=2", "androidboot.redroid_net_dns1=1.1.1.1", "androidboot.redroid_net_dns2=8.8.8.8",
				"androidboot.redroid_gpu_mode=host", "androidboot.redroid_gpu_node=/dev/dri/renderD128", "ro.adb.secure=1",
			},
		},
		{
			"the phone's properties go before the template's, and only those of creation are arguments",
			`{"init_args":["ro.product.model=server's","ro.debuggable=0"]}`,
			phone.Properties{"ro.product.model": "phone's", "ro.product.brand": "B", "persist.sys.locale": "de-DE", "ro.adb.secure": "0"},
			[]string{"ro.debuggable=0", "ro.product.brand=B", "ro.product.model=phone's", "ro.adb.secure=1"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			template := mustTemplate(t, tt.config)
			if diff := cmp.Diff(tt.want, template.args(tt.properties)); diff != "" {
				t.Errorf("arguments (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHostname(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"cph-1": "cph-1", "My_Phone 2": "my-phone-2", "--x--": "x", "手机": "phone", "": "phone", strings.Repeat("a", 70): strings.Repeat("a", 63),
	} {
		if got := hostname(name); got != want {
			t.Errorf("hostname(%q) is %q, want %q", name, got, want)
		}
	}
}

func TestRepositoryDigest(t *testing.T) {
	t.Parallel()
	digests := []string{"mirror.example:5000/redroid@sha256:aa", "redroid/redroid@sha256:bb"}
	for reference, want := range map[string]string{
		"redroid/redroid:12.0.0-latest":           "sha256:bb",
		"docker.io/redroid/redroid:12":            "sha256:bb",
		"redroid/redroid@sha256:bb":               "sha256:bb",
		"mirror.example:5000/redroid":             "sha256:aa",
		"mirror.example:5000/redroid:12":          "sha256:aa",
		"another/image:1":                         "",
		"sha256:0123":                             "",
		"another.example:5000/notredroid/redroid": "",
	} {
		if got := repositoryDigest(reference, digests); got != want {
			t.Errorf("the digest of %s is %q, want %q", reference, got, want)
		}
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	rules := Rules()
	for key, want := range map[string]driver.Timing{
		"ro.product.model": driver.AtCreation, "ro.com.cph.non_root": driver.AtCreation, "persist.sys.locale": driver.AfterBoot,
		"gsm.operator.alpha": driver.AfterBoot, "com.cph.mainkeys": driver.AfterBoot, "com.cph.bandwidth_limit": driver.Recorded,
		"sys.prop.writeimsi": driver.Recorded, "sys.prop.writephonenum": driver.Recorded, "sys.prop.writewifissid": driver.Recorded,
	} {
		if got := rules.Timing(key); got != want {
			t.Errorf("%s takes effect %q, want %q", key, got, want)
		}
	}
	for _, tt := range []struct {
		key, value string
		ok         bool
	}{
		{"ro.product.model", "Pixel_9", true},
		{"ro.product.model", strings.Repeat("x", 500), true}, // init takes long ro values since Android 8
		{"ro.product.model", "Pixel 9", false},
		{"ro.product.model", "a=b", false},
		{"ro.product.model", "a\tb", false},
		{"gsm.operator.alpha", "two words, and = signs", true},
		{"com.cph.cg.heartbeat_url", strings.Repeat("x", 91), true},
		{"com.cph.cg.heartbeat_url", strings.Repeat("x", 92), false},
		{"com.cph.cam_local_pic_path", strings.Repeat("ü", 46), false}, // 92 bytes
		{"com.cph.mainkeys", "a\x00b", false},
		{"sys.prop.writeimsi", strings.Repeat("1", 200), true}, // only kept
	} {
		err := rules.Check(phone.Properties{tt.key: tt.value})
		switch {
		case tt.ok && err != nil:
			t.Errorf("%s with %d bytes is refused: %v", tt.key, len(tt.value), err)
		case !tt.ok && (err == nil || err.Code != phone.Invalid || err.Reason != phone.ReasonPropertyValue || err.Field != tt.key):
			t.Errorf("%s with %q: %+v", tt.key, tt.value, err)
		}
	}
}
