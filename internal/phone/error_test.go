package phone_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"

	"github.com/lethe-cloud/lethe/internal/phone"
)

func TestErrorText(t *testing.T) {
	t.Parallel()
	cause := errors.New("connection refused")
	tests := map[string]struct {
		err  *phone.Error
		want string
	}{
		"message alone":      {phone.Errorf(phone.Invalid, "", "offset is %d", -1), "offset is -1"},
		"cause in message":   {phone.Errorf(phone.Unavailable, "", "reach host: %w", cause), "reach host: connection refused"},
		"cause beside":       {&phone.Error{Code: phone.Internal, Msg: "internal error", Err: cause}, "internal error: connection refused"},
		"cause alone":        {&phone.Error{Code: phone.Internal, Err: cause}, "connection refused"},
		"nothing to be said": {&phone.Error{Code: phone.Internal}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := tt.err.Error(); got != tt.want {
				t.Errorf("Error() = %q, want %q", got, tt.want)
			}
			if strings.Contains(tt.want, "refused") && !errors.Is(tt.err, cause) {
				t.Error("the cause is not in the chain")
			}
		})
	}
}

func TestCodeOf(t *testing.T) {
	t.Parallel()
	busy := phone.Errorf(phone.Precondition, phone.ReasonPhoneBusy, "the phone is resetting")
	tests := map[string]struct {
		err    error
		code   phone.Code
		reason phone.Reason
	}{
		"nil":     {nil, "", ""},
		"plain":   {errors.New("disk full"), phone.Internal, ""},
		"own":     {busy, phone.Precondition, phone.ReasonPhoneBusy},
		"wrapped": {fmt.Errorf("accept: %w", busy), phone.Precondition, phone.ReasonPhoneBusy},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if code, reason := phone.CodeOf(tt.err), phone.ReasonOf(tt.err); code != tt.code || reason != tt.reason {
				t.Errorf("code %q, reason %q; want %q, %q", code, reason, tt.code, tt.reason)
			}
		})
	}
}

// Codes, Reasons, Phases and Statuses say that they list every constant of their type; edges' tables are tested against them.
func TestListsAreWhole(t *testing.T) {
	t.Parallel()
	lists := map[string]int{
		"Code": len(phone.Codes()), "Reason": len(phone.Reasons()), "Phase": len(phone.Phases()), "Status": len(phone.Statuses()),
	}
	declared := constants(t)
	for name, listed := range lists {
		if declared[name] == 0 || declared[name] != listed {
			t.Errorf("%d constants of type %s, %d of them listed", declared[name], name, listed)
		}
	}
	if reasons := phone.Reasons(); len(slices.Compact(slices.Sorted(slices.Values(reasons)))) != len(reasons) {
		t.Error("a reason is listed twice")
	}
}

// constants counts the package's constants by their declared type.
func constants(t *testing.T) map[string]int {
	t.Helper()
	declared := map[string]int{}
	for _, file := range []string{"error.go", "job.go", "status.go"} {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range f.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok || gen.Tok != token.CONST {
				continue
			}
			for _, spec := range gen.Specs {
				value := spec.(*ast.ValueSpec)
				if name, ok := value.Type.(*ast.Ident); ok {
					declared[name.Name] += len(value.Names)
				}
			}
		}
	}
	return declared
}
