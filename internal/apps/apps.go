// Package apps is the package manager of phones that run no Android: the test phone and the simulated one. What is installed lies in the
// phone's data folder, as on Android: app/NAME/ has the packages of an app and data/NAME/ what it keeps, so a reset ends both.
package apps

import (
	"archive/zip"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Manager is the package manager of one phone.
type Manager struct {
	Data   *os.Root          // the phone's /data
	System map[string]string // the apps of its system: their paths by their names
	// Shared is what the phone sees at SharedAt besides, and installs from; nil: nothing.
	Shared   *os.Root
	SharedAt string
}

// Result is how a call of pm ended.
type Result struct {
	Code   int
	Stdout string
	Stderr string
}

const usage = "usage: pm path PACKAGE | list packages [-3] [FILTER] | install [-r] FILE | uninstall PACKAGE | " +
	"install-create [-r] | install-write SESSION NAME FILE | install-commit SESSION | install-abandon SESSION"

// Run is one call of pm, without its name. The error is one of the file system, and not the program's.
func (m Manager) Run(args []string) (Result, error) {
	if len(args) == 0 {
		return Result{Code: 255, Stderr: usage + "\n"}, nil
	}
	rest := args[1:]
	switch args[0] {
	case "path":
		if len(rest) == 1 {
			return m.path(rest[0])
		}
	case "list":
		if len(rest) > 0 && rest[0] == "packages" {
			return m.list(rest[1:])
		}
	case "uninstall":
		if len(rest) == 1 {
			return m.uninstall(rest[0])
		}
	case "install":
		if rest = withoutR(rest); len(rest) == 1 {
			return m.install(rest)
		}
	case "install-create":
		if len(withoutR(rest)) == 0 {
			return m.create()
		}
	case "install-write":
		if len(rest) == 3 {
			return m.write(rest[0], rest[1], rest[2])
		}
	case "install-commit", "install-abandon":
		if len(rest) == 1 {
			return m.end(rest[0], args[0] == "install-commit")
		}
	}
	return Result{Code: 255, Stderr: usage + "\n"}, nil
}

// withoutR leaves the option out that replaces an app which is there: every install does.
func withoutR(args []string) []string {
	return slices.DeleteFunc(slices.Clone(args), func(arg string) bool { return arg == "-r" })
}

// installed gives the apps that were installed: the paths of their first packages by their names.
func (m Manager) installed() (map[string]string, error) {
	found := map[string]string{}
	entries, err := fs.ReadDir(m.Data.FS(), "app")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		if e.IsDir() && nameRule.MatchString(e.Name()) {
			found[e.Name()] = "/data/app/" + e.Name() + "/base.apk"
		}
	}
	return found, nil
}

func (m Manager) path(name string) (Result, error) {
	found, err := m.installed()
	if err != nil {
		return Result{}, err
	}
	maps.Copy(found, m.System)
	if at, there := found[name]; there {
		return Result{Stdout: "package:" + at + "\n"}, nil
	}
	return Result{Code: 1}, nil // Android's says nothing then
}

func (m Manager) list(args []string) (Result, error) {
	found, err := m.installed()
	if err != nil {
		return Result{}, err
	}
	if !slices.Contains(args, "-3") { // -3: those that a user installed
		maps.Copy(found, m.System)
	}
	filter := ""
	for _, arg := range args {
		if arg != "-3" {
			filter = arg
		}
	}
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if strings.Contains(name, filter) {
			out.WriteString("package:" + name + "\n")
		}
	}
	return Result{Stdout: out.String()}, nil
}

func (m Manager) uninstall(name string) (Result, error) {
	found, err := m.installed()
	if err != nil {
		return Result{}, err
	}
	if _, there := found[name]; !there {
		return failure("DELETE_FAILED_INTERNAL_ERROR", ""), nil
	}
	for _, folder := range []string{"data", "app"} { // the app last: while it is there, an uninstall that was cut off is done again
		if err := m.Data.RemoveAll(path.Join(folder, name)); err != nil {
			return Result{}, err
		}
	}
	return Result{Stdout: "Success\n"}, nil
}

func failure(code, why string) Result {
	if why != "" {
		code += ": " + why
	}
	return Result{Code: 1, Stdout: "Failure [" + code + "]\n"}
}

// install makes an app of the packages, whose files lie below /data or in what is shared: the app is there as a whole or not at all.
func (m Manager) install(files []string) (Result, error) {
	name := ""
	for _, file := range files {
		if _, _, ok := m.place(file); !ok {
			return failure("INSTALL_PARSE_FAILED_NOT_APK", "Failed to parse "+file), nil
		}
		found, err := m.packageOf(file)
		switch {
		case err != nil:
			return failure("INSTALL_PARSE_FAILED_NOT_APK", "Failed to parse "+file+": "+err.Error()), nil
		case name != "" && found != name:
			return failure("INSTALL_FAILED_INVALID_APK", file+" inconsistent with "+name), nil
		}
		name = found
	}
	if _, system := m.System[name]; system {
		return failure("INSTALL_FAILED_DUPLICATE_PACKAGE", name+" is of the system"), nil
	}
	next := path.Join("local", "install-"+name)
	if err := errors.Join(m.Data.RemoveAll(next), m.Data.MkdirAll(next, 0o700), m.Data.MkdirAll("app", 0o700), m.Data.MkdirAll(path.Join("data", name), 0o700)); err != nil {
		return Result{}, err
	}
	for i, file := range files {
		to := "base.apk"
		if i > 0 {
			to = fmt.Sprintf("split_%d.apk", i)
		}
		if err := m.copyFile(file, path.Join(next, to)); err != nil {
			return Result{}, err
		}
	}
	if err := errors.Join(m.Data.RemoveAll(path.Join("app", name)), m.Data.Rename(next, path.Join("app", name))); err != nil {
		return Result{}, err
	}
	return Result{Stdout: "Success\n"}, nil
}

// place is where a path of the phone leads, as far as it installs from there.
func (m Manager) place(file string) (root *os.Root, below string, ok bool) {
	if m.Shared != nil {
		if below, ok = strings.CutPrefix(path.Clean(file), m.SharedAt+"/"); ok {
			return m.Shared, below, true
		}
	}
	below, ok = strings.CutPrefix(path.Clean(file), "/data/")
	return m.Data, below, ok
}

func (m Manager) open(file string) (*os.File, error) {
	root, below, ok := m.place(file)
	if !ok {
		return nil, fs.ErrNotExist
	}
	return root.Open(below)
}

func (m Manager) copyFile(from, to string) (err error) {
	in, err := m.open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := m.Data.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// maxManifest bounds what is read of a manifest, in bytes.
const maxManifest = 1 << 20

var nameRule = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)+$`)

// packageOf reads which app a package is of. These phones read a manifest that is text; Android's own, which is binary, they say that they do
// not.
func (m Manager) packageOf(file string) (name string, err error) {
	f, err := m.open(file)
	if err != nil {
		return "", errors.New("no such file")
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	archive, err := zip.NewReader(f, info.Size())
	if err != nil {
		return "", errors.New("it is no archive")
	}
	entry, err := archive.Open("AndroidManifest.xml")
	if err != nil {
		return "", errors.New("it has no AndroidManifest.xml")
	}
	defer entry.Close()
	var manifest struct {
		XMLName xml.Name `xml:"manifest"`
		Package string   `xml:"package,attr"`
	}
	if err := xml.NewDecoder(io.LimitReader(entry, maxManifest)).Decode(&manifest); err != nil {
		return "", errors.New("its manifest is not text: this phone, which runs no Android, reads no other")
	}
	if !nameRule.MatchString(manifest.Package) {
		return "", errors.New("its manifest names no package")
	}
	return manifest.Package, nil
}

// session is where the files of an install in several steps are listed.
func session(id string) (string, bool) {
	if id == "" || strings.Trim(id, "0123456789") != "" || len(id) > 9 {
		return "", false
	}
	return path.Join("local", "session-"+id), true
}

func (m Manager) create() (Result, error) {
	if err := m.Data.MkdirAll("local", 0o700); err != nil {
		return Result{}, err
	}
	for id := 1; ; id++ {
		at, _ := session(fmt.Sprint(id))
		f, err := m.Data.OpenFile(at, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return Result{}, err
		}
		return Result{Stdout: fmt.Sprintf("Success: created install session [%d]\n", id)}, f.Close()
	}
}

func (m Manager) write(id, name, file string) (Result, error) {
	at, ok := session(id)
	if !ok || strings.ContainsAny(name+file, "\n") {
		return Result{Code: 1, Stderr: "Error: no such session " + id + "\n"}, nil
	}
	f, err := m.Data.OpenFile(at, os.O_APPEND|os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return Result{Code: 1, Stderr: "Error: no such session " + id + "\n"}, nil
	}
	if err != nil {
		return Result{}, err
	}
	_, err = fmt.Fprintln(f, file)
	return Result{Stdout: "Success: streamed " + name + "\n"}, errors.Join(err, f.Close())
}

func (m Manager) end(id string, commit bool) (Result, error) {
	at, ok := session(id)
	if !ok {
		return Result{Code: 1, Stderr: "Error: no such session " + id + "\n"}, nil
	}
	listed, err := m.Data.ReadFile(at)
	if errors.Is(err, fs.ErrNotExist) {
		return Result{Code: 1, Stderr: "Error: no such session " + id + "\n"}, nil
	}
	if err != nil {
		return Result{}, err
	}
	result := Result{Stdout: "Success\n"}
	if commit {
		files := strings.Fields(string(listed))
		if len(files) == 0 {
			result = failure("INSTALL_FAILED_INVALID_APK", "no packages staged")
		} else if result, err = m.install(files); err != nil {
			return Result{}, err
		}
	}
	return result, m.Data.Remove(at)
}
