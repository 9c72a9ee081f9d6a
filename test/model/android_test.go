package model

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// What runs inside a phone of a machine.

func (h handle) Exec(ctx context.Context, ref driver.Ref, command driver.Command) (driver.Result, error) {
	end, err := h.begin(ctx)
	if err != nil {
		return driver.Result{}, err
	}
	defer end()
	i := h.own(ref)
	switch {
	case i == nil:
		return driver.Result{}, refused(phone.NotFound, "", "there is no instance %s", instanceName(ref))
	case !i.running:
		return driver.Result{}, refused(phone.Precondition, "", "the instance %s does not run", instanceName(ref))
	}
	if command.Args[0] == "sleep" {
		return sleep(ctx, command)
	}
	if command.Args[0] == "sh" {
		h.newly = append(h.newly, ran{ref, command.Args[2]})
	}
	var files map[string][]byte
	if v := h.volumes[volumeName(ref)]; v != nil {
		files = v.files
	}
	code, out, said := i.run(command, files)
	most := cmp.Or(command.MaxOutput, 64<<10)
	result := driver.Result{ExitCode: code, Truncated: len(out) > most || len(said) > most}
	result.Stdout, result.Stderr = slices.Clone(out[:min(len(out), most)]), []byte(said[:min(len(said), most)])
	return result, nil
}

// sleep is the one program that takes time: as long as it says, or as it may.
func sleep(ctx context.Context, command driver.Command) (driver.Result, error) {
	d, err := time.ParseDuration(command.Args[1] + "s")
	if err != nil {
		return driver.Result{ExitCode: 1}, nil
	}
	var result driver.Result
	if limit := command.TimeLimit; limit > 0 && limit < d {
		d, result = limit, driver.Result{ExitCode: 137, Expired: true} // 128 + SIGKILL
	}
	select {
	case <-time.After(d):
		return result, nil
	case <-ctx.Done():
		return driver.Result{}, &phone.Error{Code: phone.Unavailable, Msg: "the call ended before the program did", Err: ctx.Err()}
	}
}

// run runs one program and gives its exit code, output and standard error.
func (i *instance) run(command driver.Command, files map[string][]byte) (code int, out []byte, said string) {
	args := append(slices.Clone(command.Args), "", "")
	name, first, second := args[0], args[1], args[2]
	data, there := files[first]
	switch {
	case name == "getprop":
		return 0, i.getprop(first), ""
	case name == "setprop" && (strings.HasPrefix(first, "ro.") || len(second) > 91):
		return 1, nil, "setprop: it cannot be set"
	case name == "setprop":
		i.props[first] = second
		return 0, nil, ""
	case name == "pm" && second == "android" && i.booted():
		return 0, []byte("package:/system/framework/framework-res.apk\n"), ""
	case name == "pm" && first == "path" && second == app && files[appFile] != nil:
		return 0, []byte("package:" + appFile + "\n"), ""
	case name == "pm" && first == "path":
		return 1, nil, ""
	case name == "pm" && first == "uninstall" && second == app && files[appFile] != nil:
		delete(files, appFile)
		return 0, []byte("Success\n"), ""
	case name == "sh" && strings.HasPrefix(second, "note "):
		return 0, []byte(second + "\n"), ""
	case name == "tee" && files != nil && path.Dir(first) == "/data":
		files[first] = slices.Clone(command.Stdin)
		return 0, command.Stdin, ""
	case name == "cat" && there:
		return 0, data, ""
	case name == "ls" && there:
		return 0, []byte(first + "\n"), ""
	case name == "ls" && first == "/data":
		for _, file := range sorted(files) {
			out = append(out, path.Base(file)+"\n"...)
		}
		return 0, out, ""
	}
	return 1, nil, name + ": it failed on " + first
}

func (i *instance) getprop(key string) []byte {
	all := maps.Clone(i.props)
	if i.booted() {
		all["sys.boot_completed"] = "1"
	}
	if key != "" {
		return []byte(all[key] + "\n")
	}
	var b bytes.Buffer
	for _, k := range sorted(all) {
		fmt.Fprintf(&b, "[%s]: [%s]\n", k, all[k])
	}
	return b.Bytes()
}

// sorted gives a map's keys in order: nothing here may depend on the order of a map.
func sorted[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
