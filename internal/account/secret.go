package account

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"time"
)

const (
	upperAndDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	alphanumeric   = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
)

// NewID makes an id of an account, a project or a user: 128 random bits as 32 lower-case hex digits.
func NewID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return hex.EncodeToString(b[:])
}

// NewAccessKey makes a user's access key: an AK of 20 upper-case letters and digits, an SK of 40 letters and digits.
func NewAccessKey(user string, now time.Time) AccessKey {
	return AccessKey{ID: random(upperAndDigits, 20), Secret: random(alphanumeric, 40), User: user, CreatedAt: now}
}

// NewPassword makes a password of 24 letters and digits (142 bits), which needs no quoting in a shell.
func NewPassword() string { return random(alphanumeric, 24) }

// NewToken makes a token for the user, and the text that the caller carries it as: 64 letters and digits (381 bits). Only the
// text's hash is part of the token, so that who reads the database cannot call with it. project is "" for a token scoped to
// the account. Times are cut to microseconds, which is what the wire and the database keep.
func NewToken(user User, project string, now time.Time, lifetime time.Duration) (string, Token) {
	text := random(alphanumeric, 64)
	now = now.UTC().Truncate(time.Microsecond)
	return text, Token{
		Hash: TokenHash(text), User: user.ID, Epoch: user.Epoch, Project: project, IssuedAt: now, ExpiresAt: now.Add(lifetime),
	}
}

// TokenHash is what a token is kept and found by.
func TokenHash(text string) [32]byte { return sha256.Sum256([]byte(text)) }

// random draws n characters, each of the alphabet's equally likely: a byte beyond the last whole multiple of the alphabet's
// length is thrown away, since taking it would favour the first letters.
func random(alphabet string, n int) string {
	limit := 256 - 256%len(alphabet)
	out := make([]byte, 0, n)
	buffer := make([]byte, 2*n)
	for len(out) < n {
		_, _ = rand.Read(buffer)
		for _, b := range buffer {
			if int(b) < limit && len(out) < n {
				out = append(out, alphabet[int(b)%len(alphabet)])
			}
		}
	}
	return string(out)
}

// LogValue keeps the secret key out of logs.
func (k AccessKey) LogValue() slog.Value { return slog.StringValue(k.ID) }

// String keeps the secret key out of messages.
func (k AccessKey) String() string { return k.ID }

// LogValue keeps the password's hash out of logs.
func (u User) LogValue() slog.Value { return slog.StringValue(u.ID) }

// String keeps the password's hash out of messages.
func (u User) String() string { return u.ID }

// LogValue keeps the password's hash out of logs.
func (i Identity) LogValue() slog.Value { return slog.StringValue(i.User.ID) }

// String keeps the password's hash out of messages.
func (i Identity) String() string { return i.User.ID }
