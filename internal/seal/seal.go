// Package seal encrypts small secrets that have to be had back as they were, so that who reads only the database cannot use
// them. The keys are in a file of the installation, not in the database.
//
// A sealed text is "sealed:1:KEY:DATA": the id of the key, and nonce and ciphertext of XChaCha20-Poly1305 in base64. What the
// secret belongs to is authenticated with it, so that a sealed text is of no use in another row.
package seal

import (
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"
)

const prefix = "sealed:1:"

// What can go wrong when a sealed text is opened. Neither repeats the text.
var (
	// ErrForeign is a text that none of the keys has sealed.
	ErrForeign = errors.New("sealed with another key")
	// ErrBroken is a text that was changed, cut, or belongs somewhere else.
	ErrBroken = errors.New("the sealed text is damaged or not of this place")
)

// key is one key of the file.
type key struct {
	id   string // follows from the key, so that no two are ever confused
	aead cipher.AEAD
}

// Keys seal with the first key and open with any. The zero value has none.
type Keys struct {
	keys []key
}

// Empty reports whether there is no key at all.
func (k Keys) Empty() bool { return len(k.keys) == 0 }

// ID names the key that seals; it says nothing about the key itself. "" without one.
func (k Keys) ID() string {
	if k.Empty() {
		return ""
	}
	return k.keys[0].id
}

// Prefix is what every text begins with that the first key has sealed.
func (k Keys) Prefix() string { return prefix + k.ID() + ":" }

// String keeps the keys out of messages.
func (k Keys) String() string { return "keys, sealing with " + k.ID() }

// LogValue keeps the keys out of logs.
func (k Keys) LogValue() slog.Value { return slog.StringValue(k.String()) }

// newKey takes 32 bytes.
func newKey(secret []byte) (key, error) {
	aead, err := chacha20poly1305.NewX(secret)
	if err != nil {
		return key{}, fmt.Errorf("a key must have %d bytes", chacha20poly1305.KeySize)
	}
	sum := sha256.Sum256(append([]byte("lethe key id\x00"), secret...))
	return key{id: hex.EncodeToString(sum[:8]), aead: aead}, nil
}

// Seal encrypts a secret that belongs to owner. It must not be called without a key.
func (k Keys) Seal(owner, secret string) string {
	nonce := make([]byte, chacha20poly1305.NonceSizeX)
	_, _ = rand.Read(nonce) // never fails: crypto/rand ends the program instead
	data := k.keys[0].aead.Seal(nonce, nonce, []byte(secret), []byte(owner))
	return k.Prefix() + base64.RawStdEncoding.EncodeToString(data)
}

// Sealed reports whether a text looks like a sealed one.
func Sealed(text string) bool { return strings.HasPrefix(text, prefix) }

// Open decrypts what Seal made for the same owner. The error is ErrForeign or ErrBroken.
func (k Keys) Open(owner, sealed string) (string, error) {
	rest, ok := strings.CutPrefix(sealed, prefix)
	id, text, found := strings.Cut(rest, ":")
	if !ok || !found {
		return "", ErrBroken
	}
	data, err := base64.RawStdEncoding.Strict().DecodeString(text)
	if err != nil || len(data) < chacha20poly1305.NonceSizeX {
		return "", ErrBroken
	}
	for _, key := range k.keys {
		if key.id != id {
			continue
		}
		nonce, box := data[:chacha20poly1305.NonceSizeX], data[chacha20poly1305.NonceSizeX:]
		secret, err := key.aead.Open(nil, nonce, box, []byte(owner))
		if err != nil {
			return "", ErrBroken
		}
		return string(secret), nil
	}
	return "", ErrForeign
}
