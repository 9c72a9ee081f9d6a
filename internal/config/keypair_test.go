package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// exampleKey is a line as in ~/.android/adbkey.pub, as far as its form goes.
var exampleKey = "QAAAA" + strings.Repeat("A", 695) + " ops@rack"

// opsKeypair is a configuration with one key pair.
var opsKeypair = "[[keypairs]]\nname = \"ops\"\npublic_keys = [\"" + exampleKey + "\"]\n"

func TestKeypairs(t *testing.T) {
	t.Parallel()
	read := func(text string) (Config, error) {
		return Load(Source{File: "lethe.toml", Flags: map[string]string{"data": "d"}, Read: func(string) ([]byte, error) { return []byte(text), nil }})
	}
	got, err := read(opsKeypair + "accounts = [\"acme\"]\n" + strings.Replace(opsKeypair, "ops", "dev", 1))
	if err != nil {
		t.Fatal(err)
	}
	want := []Keypair{{Name: "ops", PublicKeys: []string{exampleKey}, Accounts: []string{"acme"}}, {Name: "dev", PublicKeys: []string{exampleKey}}}
	if diff := cmp.Diff(want, got.Keypairs); diff != "" {
		t.Error(diff)
	}
	for name, tt := range map[string]struct{ text, says string }{
		"no name":      {"[[keypairs]]\npublic_keys = [\"" + exampleKey + "\"]", "keypairs number 1 (lethe.toml): name must be"},
		"no keys":      {"[[keypairs]]\nname = \"ops\"", `key pair "ops" (lethe.toml): public_keys is missing`},
		"empty keys":   {"[[keypairs]]\nname = \"ops\"\npublic_keys = []", "public_keys must be"},
		"a bad key":    {"[[keypairs]]\nname = \"ops\"\npublic_keys = [\"ssh-rsa AAAA\"]", `key pair "ops" (lethe.toml): public_keys must be`},
		"two in one":   {"[[keypairs]]\nname = \"ops\"\npublic_keys = [\"" + exampleKey + "\\n" + exampleKey + "\"]", "public_keys must be"},
		"bad accounts": {opsKeypair + "accounts = \"acme\"", "accounts must be"},
		"unknown key":  {opsKeypair + "colour = 1", `unknown key "colour"`},
		"named twice":  {opsKeypair + opsKeypair, "is there twice"},
		"no list":      {"keypairs = 1", "keypairs (lethe.toml) must be a list of tables"},
	} {
		if _, err := read(tt.text); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want %q", name, err, tt.says)
		}
	}
}
