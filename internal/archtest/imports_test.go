package archtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// listed is what `go list -json` says of one package.
type listed struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
}

// goList asks the go command for the packages of this module.
func goList(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,GoFiles,Imports", "./...")
	cmd.Dir = filepath.Join("..", "..")
	output, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatalf("go list: %v", err)
	}
	var packages []listed
	decoder := json.NewDecoder(strings.NewReader(string(output)))
	for {
		var p listed
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

func TestImports(t *testing.T) {
	t.Parallel()
	packages := goList(t)
	if len(packages) < 10 {
		t.Fatalf("go list gave %d packages: this test looks at nothing", len(packages))
	}
	for _, violation := range violations(packages) {
		t.Error(violation)
	}
	for name := range rules {
		if !slices.ContainsFunc(packages, func(p listed) bool { return p.ImportPath == module+name }) {
			t.Errorf("there is a rule for %s and no such package: remove the rule", name)
		}
	}
}

// violations gives one sentence for each import that no rule allows.
func violations(packages []listed) []string {
	var found []string
	for _, p := range packages {
		if len(p.GoFiles) == 0 {
			continue // tests only
		}
		name := strings.TrimPrefix(p.ImportPath, module)
		rule, known := rules[name]
		if !known {
			found = append(found, fmt.Sprintf("%s has no rule: decide in internal/archtest what it may import, and say why", name))
			continue
		}
		for _, path := range p.Imports {
			found = append(found, judge(name, rule, path)...)
		}
	}
	return found
}

// judge gives what is wrong with one package's import of path.
func judge(name string, rule rule, path string) []string {
	var found []string
	if ours, ok := strings.CutPrefix(path, module); ok {
		if !matches(rule.may, ours) {
			found = append(found, fmt.Sprintf("%s must not import %s: %s", name, ours, rule.why))
		}
		if slices.Contains(testOnly, ours) {
			found = append(found, fmt.Sprintf("%s must not import %s: that is for tests, and the program would carry it", name, ours))
		}
	}
	for _, l := range libraries {
		if (path == l.prefix || strings.HasPrefix(path, l.prefix+"/")) && !matches(l.may, name) {
			found = append(found, fmt.Sprintf("%s must not import %s: %s", name, path, l.why))
		}
	}
	return found
}

// matches reports whether name is one of the patterns.
func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		below, tree := strings.CutSuffix(pattern, "...")
		return pattern == name || tree && (name+"/" == below || strings.HasPrefix(name, below))
	})
}

func TestViolationsAreSeen(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		pkg     string
		imports []string
		want    string // a part of the one violation; "" for none
	}{
		{"the domain stays alone", "internal/phone", []string{"internal/account"}, "internal/phone must not import internal/account: the domain is decisions"},
		{"an edge and the store", "internal/cph", []string{"internal/store"}, "internal/cph must not import internal/store"},
		{"edges among themselves", "internal/iam", []string{"internal/cph"}, "internal/iam must not import internal/cph"},
		{"a driver and the engine", "internal/driver/docker", []string{"internal/work"}, "must not import internal/work: a driver is stateless"},
		{"a package without a rule", "internal/util", nil, "internal/util has no rule"},
		{"a suite in the program", "cmd/lethe", []string{"internal/driver/drivertest"}, "that is for tests"},
		{"SQL outside the store", "internal/fleet", []string{"!database/sql"}, "all SQL is in the store"},
		{"a driver of a database", "internal/work", []string{"!github.com/jackc/pgx/v5/pgxpool"}, "stays behind the store"},
		{"River outside the store", "internal/work", []string{"!github.com/riverqueue/river/rivertype"}, "River only delivers"},
		{"Docker outside its driver", "cmd/lethe", []string{"!github.com/moby/moby/client"}, "translated in one place"},
		{"the vendor's SDK", "client", []string{"!github.com/huaweicloud/huaweicloud-sdk-go-v3/core"}, "our judge"},
		{"the store and what belongs to it", "internal/store", []string{"internal/phone", "internal/store/migrations", "!database/sql", "!modernc.org/sqlite"}, ""},
		{"everything in the command", "cmd/lethe", []string{"internal/store", "internal/work", "api", "!github.com/spf13/cobra"}, ""},
		{"a name that only begins alike", "client", []string{"!github.com/mobyville/x"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := listed{ImportPath: module + tt.pkg, GoFiles: []string{"x.go"}}
			for _, path := range tt.imports {
				library, ok := strings.CutPrefix(path, "!")
				if !ok {
					path = module + path
				} else {
					path = library
				}
				p.Imports = append(p.Imports, path)
			}
			got := violations([]listed{p})
			if tt.want == "" && len(got) > 0 || tt.want != "" && (len(got) != 1 || !strings.Contains(got[0], tt.want)) {
				t.Errorf("got %q, want one violation that says %q", got, tt.want)
			}
		})
	}
}

// The vendor's SDK is not even in the list of modules, so nobody downloads it by building lethe.
func TestVendorSDKIsNoRequirement(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("go", "mod", "edit", "-json")
	cmd.Dir = filepath.Join("..", "..")
	output, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var mod struct{ Require []struct{ Path string } }
	if err := json.Unmarshal(output, &mod); err != nil {
		t.Fatal(err)
	}
	if len(mod.Require) == 0 {
		t.Fatal("go.mod requires nothing: this test looks at nothing")
	}
	for _, r := range mod.Require {
		if strings.HasPrefix(r.Path, "github.com/huaweicloud/") {
			t.Errorf("go.mod requires %s: the vendor's SDK belongs in test/compat/go.mod", r.Path)
		}
	}
}

// No package does anything by being imported: what there is stands in cmd/lethe/wire.go, and a reader finds it there.
func TestNoInitFunctions(t *testing.T) {
	t.Parallel()
	for _, p := range goList(t) {
		for _, name := range p.GoFiles {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, declaration := range file.Decls {
				if f, ok := declaration.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
					t.Errorf("%s/%s has an init function: build it by hand in cmd/lethe/wire.go instead", strings.TrimPrefix(p.ImportPath, module), name)
				}
			}
		}
	}
}
