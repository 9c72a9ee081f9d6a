package account

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/argon2"
)

func TestHashPassword(t *testing.T) {
	t.Parallel()
	hash := HashPassword("correct horse")
	if !regexp.MustCompile(`^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$`).MatchString(hash) {
		t.Errorf("HashPassword = %q, not a PHC string", hash)
	}
	if again := HashPassword("correct horse"); again == hash {
		t.Error("two hashes of one password are equal: the salt is not random")
	}
	for password, want := range map[string]bool{"correct horse": true, "correct hors": false, "": false, "correct horse\x00": false} {
		if got, err := CheckPassword(hash, password); got != want || err != nil {
			t.Errorf("CheckPassword(%q) = %v, %v, want %v", password, got, err, want)
		}
	}
}

func TestCheckPasswordTakesStoredParameters(t *testing.T) {
	t.Parallel()
	salt := []byte("0123456789")
	sum := argon2.IDKey([]byte("secret"), salt, 1, 64, 2, 16)
	hash := fmt.Sprintf("$argon2id$v=19$m=64,t=1,p=2$MDEyMzQ1Njc4OQ$%s", base64.RawStdEncoding.EncodeToString(sum))
	if ok, err := CheckPassword(hash, "secret"); !ok || err != nil {
		t.Errorf("CheckPassword with other parameters = %v, %v, want true", ok, err)
	}
	if ok, err := CheckPassword(strings.Replace(hash, "t=1", "t=2", 1), "secret"); ok || err != nil {
		t.Errorf("CheckPassword with the wrong parameters = %v, %v, want false", ok, err)
	}
}

func TestCheckPasswordRefusesStoredHash(t *testing.T) {
	t.Parallel()
	const salt, sum = "MDEyMzQ1Njc4OQ", "MDEyMzQ1Njc4OTAxMjM0NQ"
	for _, hash := range []string{
		"", "plain text", "$argon2id$v=19$m=64,t=1,p=1$" + salt,
		"$argon2i$v=19$m=64,t=1,p=1$" + salt + "$" + sum,
		"$2a$10$abcdefghijklmnopqrstuv",
		"$argon2id$v=16$m=64,t=1,p=1$" + salt + "$" + sum,
		"$argon2id$v=19$m=64,t=1$" + salt + "$" + sum,
		"$argon2id$v=19$t=1,m=64,p=1$" + salt + "$" + sum,
		"$argon2id$v=19$m=64,t=0,p=1$" + salt + "$" + sum,
		"$argon2id$v=19$m=64,t=1,p=0$" + salt + "$" + sum,
		"$argon2id$v=19$m=64,t=1,p=17$" + salt + "$" + sum,
		"$argon2id$v=19$m=64,t=17,p=1$" + salt + "$" + sum,
		"$argon2id$v=19$m=262145,t=1,p=1$" + salt + "$" + sum,
		"$argon2id$v=19$m=8,t=1,p=2$" + salt + "$" + sum,
		"$argon2id$v=19$m=4294967360,t=1,p=1$" + salt + "$" + sum,
		"$argon2id$v=19$m=-64,t=1,p=1$" + salt + "$" + sum,
		"$argon2id$v=19$m=64,t=1,p=1$MDEy$" + sum,
		"$argon2id$v=19$m=64,t=1,p=1$" + salt + "$MDEy",
		"$argon2id$v=19$m=64,t=1,p=1$" + salt + "$" + sum + "=",
		"$argon2id$v=19$m=64,t=1,p=1$" + salt + "$" + strings.Repeat("A", 88),
	} {
		ok, err := CheckPassword(hash, "secret")
		if ok || err == nil {
			t.Errorf("CheckPassword(%q) = %v, %v, want an error", hash, ok, err)
		}
		if err != nil && strings.Contains(err.Error(), sum) {
			t.Errorf("the error repeats the hash: %v", err)
		}
	}
}

func TestDecoyHash(t *testing.T) {
	t.Parallel()
	decoy := DecoyHash()
	real, err := parsePHC(HashPassword("x"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := parsePHC(decoy)
	if err != nil {
		t.Fatal(err)
	}
	costs := func(h argonPHC) [5]int {
		return [5]int{int(h.memory), int(h.passes), int(h.lanes), len(h.salt), len(h.hash)}
	}
	if costs(got) != costs(real) {
		t.Errorf("a decoy costs %v, a real hash %v", costs(got), costs(real))
	}
	if decoy == DecoyHash() {
		t.Error("two decoys are equal")
	}
}

func TestCheckPasswordRefusesLongPassword(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", MaxPassword+1)
	if ok, err := CheckPassword(HashPassword(long), long); ok || err != nil {
		t.Errorf("CheckPassword of a password over the limit = %v, %v, want false", ok, err)
	}
}

func TestNewSecrets(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 678_901_234, time.UTC)
	user := User{ID: NewID(), Epoch: 7}
	shapes := map[string]func() string{
		`^[0-9a-f]{32}$`:    NewID,
		`^[A-Z0-9]{20}$`:    func() string { return NewAccessKey("u", now).ID },
		`^[A-Za-z0-9]{40}$`: func() string { return NewAccessKey("u", now).Secret },
		`^[A-Za-z0-9]{24}$`: NewPassword,
		`^[A-Za-z0-9]{64}$`: func() string { text, _ := NewToken(user, "p", now, time.Hour); return text },
	}
	for shape, make := range shapes {
		seen := map[string]bool{}
		for range 200 {
			s := make()
			if !regexp.MustCompile(shape).MatchString(s) {
				t.Fatalf("%q is not %s", s, shape)
			}
			if seen[s] {
				t.Fatalf("%q was made twice", s)
			}
			seen[s] = true
		}
	}

	text, token := NewToken(user, "p", now, time.Hour)
	want := Token{
		Hash: sha256.Sum256([]byte(text)), User: user.ID, Epoch: 7, Project: "p",
		IssuedAt: now.Truncate(time.Microsecond), ExpiresAt: now.Truncate(time.Microsecond).Add(time.Hour),
	}
	if diff := cmp.Diff(want, token); diff != "" {
		t.Errorf("NewToken (-want +got):\n%s", diff)
	}
	if TokenHash(text) != token.Hash {
		t.Error("the token cannot be found by its text")
	}
}

func TestRandomUsesTheWholeAlphabet(t *testing.T) {
	t.Parallel()
	counts := map[rune]int{}
	const n = 62 * 4000
	for _, c := range random(alphanumeric, n) {
		counts[c]++
	}
	for _, c := range alphanumeric {
		// 4,000 expected with a deviation of about 63; a character that a biased draw favours would have 4,840.
		if counts[c] < 3600 || counts[c] > 4400 {
			t.Errorf("%q was drawn %d times of %d, expected about 4000", c, counts[c], n)
		}
	}
}

func TestSecretsStayOutOfLogs(t *testing.T) {
	t.Parallel()
	key := AccessKey{ID: "AKTEST", Secret: "the-secret", User: "u"}
	identity := Identity{User: User{ID: "user-id", PasswordHash: "the-secret"}}
	var out bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).Info("m", "key", key, "user", identity.User, "identity", identity, "caller", Caller{Identity: identity})
	}
	_, _ = fmt.Fprintf(&out, "%v %+v %s %v %v", key, key, key, identity, Caller{Identity: identity})
	if strings.Contains(out.String(), "the-secret") {
		t.Errorf("a secret was written:\n%s", out.String())
	}
	if !strings.Contains(out.String(), "AKTEST") || !strings.Contains(out.String(), "user-id") {
		t.Errorf("the ids are missing:\n%s", out.String())
	}
}

func TestIn(t *testing.T) {
	t.Parallel()
	identity := Identity{Projects: []Project{{ID: "p1"}, {ID: "p2"}}}
	tests := []struct {
		name    string
		caller  Caller
		project string
		want    bool
	}{
		{"token of the project", Caller{Identity: identity, Scope: "p1"}, "p1", true},
		{"token of another project", Caller{Identity: identity, Scope: "p1"}, "p2", false},
		{"token of the account", Caller{Identity: identity}, "p1", false},
		{"token of the account, no project", Caller{Identity: identity}, "", false},
		{"signed", Caller{Identity: identity, Signed: true}, "p2", true},
		{"signed, another account's project", Caller{Identity: identity, Signed: true}, "p3", false},
		{"signed, no project", Caller{Identity: identity, Signed: true}, "", false},
	}
	for _, tt := range tests {
		if got := tt.caller.In(tt.project); got != tt.want {
			t.Errorf("%s: In(%q) = %v, want %v", tt.name, tt.project, got, tt.want)
		}
	}
}
