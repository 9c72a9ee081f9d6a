package account

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// argon2id's parameters for new hashes: 19 MiB, two passes, one lane (OWASP Password Storage Cheat Sheet). Older hashes keep
// the parameters they were made with.
const (
	argonMemory  = 19 * 1024 // KiB
	argonPasses  = 2
	argonLanes   = 1
	argonSalt    = 16 // bytes
	argonHash    = 32 // bytes
	phcFormat    = "$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s"
	maxMemory    = 256 * 1024 // KiB; a stored hash may not make this process spend more than these
	maxPasses    = 16
	maxLanes     = 16
	maxSalt      = 64
	maxHash      = 64
	minSaltBytes = 8
	minHashBytes = 16
)

// MaxPassword is the longest password in bytes; it bounds what a caller can make us hash.
const MaxPassword = 1024

// HashPassword makes a hash to keep, as a PHC string: $argon2id$v=19$m=19456,t=2,p=1$salt$hash. It takes about 20 ms and 19 MiB.
func HashPassword(password string) string {
	salt := make([]byte, argonSalt)
	_, _ = rand.Read(salt) // never fails: crypto/rand ends the program instead
	return phc(salt, argon2.IDKey([]byte(password), salt, argonPasses, argonMemory, argonLanes, argonHash))
}

// DecoyHash makes a hash that no password is known for, at no cost. Checking against it takes as long as against a real one:
// it stands in for the hash of a user who does not exist, so that the time of an answer does not tell who does.
func DecoyHash() string {
	random := make([]byte, argonSalt+argonHash)
	_, _ = rand.Read(random)
	return phc(random[:argonSalt], random[argonSalt:])
}

func phc(salt, hash []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf(phcFormat, argon2.Version, argonMemory, argonPasses, argonLanes, b64.EncodeToString(salt), b64.EncodeToString(hash))
}

// CheckPassword reports whether the password is the one that was hashed, comparing in constant time. The error means that the
// stored hash itself cannot be used; it does not repeat it.
func CheckPassword(hash, password string) (bool, error) {
	h, err := parsePHC(hash)
	if err != nil {
		return false, err
	}
	if len(password) > MaxPassword {
		return false, nil
	}
	got := argon2.IDKey([]byte(password), h.salt, h.passes, h.memory, h.lanes, uint32(len(h.hash)))
	return subtle.ConstantTimeCompare(got, h.hash) == 1, nil
}

type argonPHC struct {
	memory, passes uint32
	lanes          uint8
	salt, hash     []byte
}

func parsePHC(text string) (argonPHC, error) {
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return argonPHC{}, errors.New("the stored password hash is not an argon2id PHC string")
	}
	if parts[2] != "v="+strconv.Itoa(argon2.Version) {
		return argonPHC{}, fmt.Errorf("the stored password hash is not of argon2 version %d", argon2.Version)
	}
	costs := strings.Split(parts[3], ",")
	if len(costs) != 3 {
		return argonPHC{}, errors.New("the stored password hash must have the parameters m, t and p")
	}
	lanes, err3 := cost(costs[2], "p=", 1, maxLanes)
	memory, err1 := cost(costs[0], "m=", 8*max(lanes, 1), maxMemory) // argon2 itself needs 8 KiB a lane
	passes, err2 := cost(costs[1], "t=", 1, maxPasses)
	salt, err4 := material(parts[4], "salt", minSaltBytes, maxSalt)
	hash, err5 := material(parts[5], "hash", minHashBytes, maxHash)
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return argonPHC{}, fmt.Errorf("the stored password hash cannot be used: %w", err)
	}
	return argonPHC{memory: memory, passes: passes, lanes: uint8(lanes), salt: salt, hash: hash}, nil
}

func cost(text, name string, least, most uint32) (uint32, error) {
	digits, ok := strings.CutPrefix(text, name)
	n, err := strconv.ParseUint(digits, 10, 32)
	if !ok || err != nil || n > math.MaxUint32 || uint32(n) < least || uint32(n) > most {
		return 0, fmt.Errorf("parameter %s must be a number from %d to %d", name, least, most)
	}
	return uint32(n), nil
}

func material(text, name string, least, most int) ([]byte, error) {
	data, err := base64.RawStdEncoding.Strict().DecodeString(text)
	if err != nil || len(data) < least || len(data) > most {
		return nil, fmt.Errorf("the %s must be %d to %d bytes in base64", name, least, most)
	}
	return data, nil
}
