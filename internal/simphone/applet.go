package simphone

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lethe-cloud/lethe/internal/apps"
)

// call is one call of a command inside the phone.
type call struct {
	args   []string
	root   string
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
}

func (c call) fail(format string, args ...any) int {
	fmt.Fprintf(c.stderr, format+"\n", args...)
	return 1
}

// applets are the phone's commands by name, as much of each as a control plane uses.
var applets = map[string]func(call) int{
	"sh":      shell,
	"sleep":   sleep,
	"kill":    kill,
	"getprop": getprop,
	"setprop": setprop,
	"pm":      packageManager,
	"cat":     cat,
	"tee":     tee,
	"ls":      list,
	"rm":      remove,
}

// getprop prints one property's value, or all of them.
func getprop(c call) int {
	if len(c.args) > 0 {
		out, err := ask(c.root, request{Op: "get", Key: c.args[0]})
		if err != nil {
			return c.fail("getprop: %v", err)
		}
		if out.Value == "" && len(c.args) > 1 {
			out.Value = c.args[1] // the default that the caller names
		}
		fmt.Fprintln(c.stdout, out.Value)
		return 0
	}
	out, err := ask(c.root, request{Op: "all"})
	if err != nil {
		return c.fail("getprop: %v", err)
	}
	for _, key := range slices.Sorted(maps.Keys(out.Values)) {
		fmt.Fprintf(c.stdout, "[%s]: [%s]\n", key, out.Values[key])
	}
	return 0
}

func setprop(c call) int {
	if len(c.args) != 2 {
		return c.fail("usage: setprop NAME VALUE")
	}
	out, err := ask(c.root, request{Op: "set", Key: c.args[0], Value: c.args[1]})
	if err != nil {
		return c.fail("setprop: %v", err)
	}
	if out.Error != "" {
		return c.fail("Failed to set property '%s': %s", c.args[0], out.Error)
	}
	return 0
}

// packageManager is pm, as soon as the phone says that it has one.
func packageManager(c call) int {
	out, err := ask(c.root, request{Op: "packages"})
	if err != nil {
		return c.fail("cmd: %v", err)
	}
	if out.Error != "" {
		fmt.Fprintln(c.stderr, "cmd:", out.Error)
		return 20 // as Android's cmd does
	}
	data, err := os.OpenRoot(filepath.Join(c.root, dataPath))
	if err != nil {
		return c.fail("cmd: %v", err)
	}
	defer data.Close()
	result, err := apps.Manager{Data: data, System: out.Values}.Run(c.args)
	if err != nil {
		return c.fail("cmd: %v", err)
	}
	fmt.Fprint(c.stdout, result.Stdout)
	fmt.Fprint(c.stderr, result.Stderr)
	return result.Code
}

func cat(c call) int {
	if len(c.args) == 0 {
		if _, err := io.Copy(c.stdout, c.stdin); err != nil {
			return c.fail("cat: %v", err)
		}
	}
	code := 0
	for _, name := range c.args {
		if err := copyFile(c.stdout, name); err != nil {
			code = c.fail("cat: %v", err)
		}
	}
	return code
}

func copyFile(w io.Writer, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}

// tee copies its input to its output and to each file; one that cannot be written does not keep it from the others.
func tee(c call) int {
	writers := []io.Writer{c.stdout}
	var files []*os.File
	code := 0
	for _, name := range c.args {
		f, err := os.Create(name)
		if err != nil {
			code = c.fail("tee: %v", err)
			continue
		}
		writers, files = append(writers, f), append(files, f)
	}
	_, err := io.Copy(io.MultiWriter(writers...), c.stdin)
	errs := []error{err}
	for _, f := range files {
		errs = append(errs, f.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return c.fail("tee: %v", err)
	}
	return code
}

// list is ls: names one below the other, those that begin with a dot left out. Options change nothing.
func list(c call) int {
	code := 0
	for _, name := range c.args {
		if strings.HasPrefix(name, "-") {
			continue
		}
		if err := listOne(c.stdout, name); err != nil {
			code = c.fail("ls: %v", err)
		}
	}
	return code
}

func listOne(w io.Writer, name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		fmt.Fprintln(w, name)
		return nil
	}
	entries, err := os.ReadDir(name)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			fmt.Fprintln(w, e.Name())
		}
	}
	return nil
}

// remove is rm, with -r, -f and -rf.
func remove(c call) int {
	recursive, force := false, false
	names := c.args
	for len(names) > 0 && strings.HasPrefix(names[0], "-") {
		recursive = recursive || strings.Contains(names[0], "r")
		force = force || strings.Contains(names[0], "f")
		names = names[1:]
	}
	code := 0
	for _, name := range names {
		err := removeOne(name, recursive)
		if err != nil && !(force && errors.Is(err, os.ErrNotExist)) {
			code = c.fail("rm: %v", err)
		}
	}
	return code
}

func removeOne(name string, recursive bool) error {
	info, err := os.Lstat(name)
	if err != nil {
		return err
	}
	if info.IsDir() && !recursive {
		return fmt.Errorf("%s: is a directory", name)
	}
	return os.RemoveAll(name)
}
