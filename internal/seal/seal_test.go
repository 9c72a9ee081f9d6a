package seal_test

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lethe-cloud/lethe/internal/seal"
)

func parse(t testing.TB, lines ...string) seal.Keys {
	t.Helper()
	keys, err := seal.Parse([]byte(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestSealAndOpen(t *testing.T) {
	t.Parallel()
	old, fresh := seal.NewLine(), seal.NewLine()
	before, both, after := parse(t, old), parse(t, fresh, old), parse(t, fresh)
	sealed := before.Seal("AK1", "secret")
	if strings.Contains(sealed, "secret") || !seal.Sealed(sealed) || !strings.HasPrefix(sealed, before.Prefix()) {
		t.Errorf("sealed: %s", sealed)
	}
	if again := before.Seal("AK1", "secret"); again == sealed {
		t.Error("the same secret is sealed the same way twice: the nonce is not fresh")
	}
	if both.ID() != after.ID() || both.ID() == before.ID() {
		t.Errorf("ids %s %s %s: the first key must seal", before.ID(), both.ID(), after.ID())
	}
	for name, c := range map[string]struct {
		keys  seal.Keys
		owner string
		text  string
		want  error
	}{
		"by the same key":      {before, "AK1", sealed, nil},
		"by an older key":      {both, "AK1", sealed, nil},
		"the older key is out": {after, "AK1", sealed, seal.ErrForeign},
		"no keys":              {seal.Keys{}, "AK1", sealed, seal.ErrForeign},
		"of another row":       {before, "AK2", sealed, seal.ErrBroken},
		"cut":                  {before, "AK1", sealed[:len(sealed)-4], seal.ErrBroken},
		"nothing in it":        {before, "AK1", before.Prefix(), seal.ErrBroken},
		"not base64":           {before, "AK1", before.Prefix() + "%%", seal.ErrBroken},
		"plain":                {before, "AK1", "secret", seal.ErrBroken},
		"another key's name":   {both, "AK1", strings.Replace(sealed, before.ID(), both.ID(), 1), seal.ErrBroken},
	} {
		got, err := c.keys.Open(c.owner, c.text)
		if !errors.Is(err, c.want) || err == nil && got != "secret" {
			t.Errorf("%s: %q, %v; want the error %v", name, got, err, c.want)
		}
	}
}

// Every changed byte is noticed.
func TestOpenNoticesEveryChange(t *testing.T) {
	t.Parallel()
	keys := parse(t, seal.NewLine())
	sealed := keys.Seal("AK", "s3cret")
	for i := range sealed {
		changed := []byte(sealed)
		changed[i] ^= 1
		if got, err := keys.Open("AK", string(changed)); err == nil {
			t.Errorf("byte %d changed, and it opens as %q", i, got)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	line := seal.NewLine()
	for text, want := range map[string]string{
		"":                          "it has no key",
		"# only words\n\n":          "it has no key",
		line + "\nsecretish":        "line 2 is no key",
		line + "\n" + line:          "line 2 repeats a key",
		line[:20]:                   "line 1 is no key",
		strings.Repeat("#\n", 40e3): "more than 65536 bytes",
	} {
		_, err := seal.Parse([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secretish") || strings.Contains(err.Error(), line) {
			t.Errorf("%.40q: %v, want %q and nothing of the text", text, err, want)
		}
	}
}

func TestFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secret.key")
	if _, err := seal.Read(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	made, err := seal.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key file: %v, %v", info.Mode(), err)
	}
	if _, err := seal.Create(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Create over a file: %v", err)
	}
	read, err := seal.Read(path)
	if err != nil || read.ID() != made.ID() {
		t.Errorf("Read: %s, %v; want %s", read.ID(), err, made.ID())
	}
	sealed := made.Seal("AK", "s")
	rotated, err := seal.Rotate(path)
	if err != nil || rotated.ID() == made.ID() {
		t.Fatalf("Rotate: %s, %v", rotated.ID(), err)
	}
	if read, err = seal.Read(path); err != nil || read.ID() != rotated.ID() {
		t.Errorf("after Rotate: %s, %v", read.ID(), err)
	}
	if got, err := read.Open("AK", sealed); err != nil || got != "s" {
		t.Errorf("what was sealed before: %q, %v", got, err)
	}
	text, err := os.ReadFile(path)
	if err != nil || !strings.HasPrefix(string(text), "# Keys of this lethe") {
		t.Errorf("the words at the top are gone: %v\n%s", err, text)
	}
	for _, mode := range []os.FileMode{0o604, 0o620, 0o666} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := seal.Read(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
}

func TestKeysStayOutOfLogs(t *testing.T) {
	t.Parallel()
	line := seal.NewLine()
	keys := parse(t, line)
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "keys", keys)
	for _, text := range []string{log.String(), fmt.Sprint(keys), fmt.Sprintf("%v %s", keys, keys)} {
		if strings.Contains(text, line) || !strings.Contains(text, keys.ID()) {
			t.Errorf("shown: %s", text)
		}
	}
}

func FuzzOpen(f *testing.F) {
	keys := parse(f, "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
	sealed := keys.Seal("AK", "secret")
	f.Add("AK", sealed)
	f.Add("AK", "sealed:1:")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, owner, text string) {
		got, err := keys.Open(owner, text)
		if err == nil && (owner != "AK" || got != "secret") { // every fuzzing process seals its own seed
			t.Errorf("%q of %q opens as %q", text, owner, got)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n# old\n"))
	f.Add([]byte("\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if keys, err := seal.Parse(text); err == nil && keys.Empty() {
			t.Error("no error and no key")
		}
	})
}
