package phone

import (
	"crypto/rand"
	"encoding/hex"
)

// ID names one cloud phone for its whole existence: 32 lower-case hex digits, as in every example of the CPH API reference.
type ID string

// ServerID names a cloud phone server: 32 lower-case hex digits.
type ServerID string

// ImageID names an image: 32 lower-case hex digits (the CPH API allows at most 32 bytes).
type ImageID string

// JobID names one job: 32 lower-case hex digits.
type JobID string

// RequestID names one accepted call: 32 lower-case hex digits.
type RequestID string

// ProjectID names the project (resource scope of an account) that owns a phone: 32 lower-case hex digits.
type ProjectID string

// ReplicaID names one serving process's data folder; it survives restarts of that process.
type ReplicaID string

// NewID returns 128 random bits as 32 lower-case hex digits, in whichever id type the caller asks for.
func NewID[T ~string]() T {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return T(hex.EncodeToString(b[:]))
}

// ValidID reports whether s is 32 lower-case hex digits.
func ValidID[T ~string](s T) bool {
	if len(s) != 32 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
