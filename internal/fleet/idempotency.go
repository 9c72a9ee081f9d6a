package fleet

import (
	"crypto/sha256"
	"encoding/json"
	"strings"
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// KeyLife is how long an idempotency key stands for the call that it was first used with.
const KeyLife = 24 * time.Hour

// maxKey is how many characters an idempotency key may have.
const maxKey = 128

// checkKey refuses a key that is not 1 to 128 printable ASCII characters; nil is no key at all.
func checkKey(key *string) error {
	if key == nil {
		return nil
	}
	unprintable := func(r rune) bool { return r < ' ' || r > '~' }
	if *key == "" || len(*key) > maxKey || strings.ContainsFunc(*key, unprintable) {
		return &phone.Error{
			Code: phone.Invalid, Reason: phone.ReasonKeyInvalid, Field: "Idempotency-Key",
			Msg: "Idempotency-Key must be 1 to 128 printable ASCII characters, and stand once",
		}
	}
	return nil
}

// key makes what the store keeps of a key. Only the hash of the call is kept: it may have property values in it.
func (s *Service) key(key string, canonical any) IdempotencyKey {
	text, err := json.Marshal(canonical)
	if err != nil {
		panic("fleet: a call without JSON form: " + err.Error())
	}
	return IdempotencyKey{Key: key, Hash: sha256.Sum256(text), Expires: s.now().Add(KeyLife)}
}
