package adb

import (
	"errors"
	"strings"
)

var errKey = errors.New("takes public keys, one line each, as in ~/.android/adbkey.pub")

// CheckKeys fails unless each of the keys can be a public key as adb writes it: a line of base64, and after a space whose it is.
func CheckKeys(keys []string) error {
	for _, key := range keys {
		// 2,048 bits of RSA, in the form that adbd reads, are 700 characters; the bound only keeps out what is no key at all.
		if strings.ContainsAny(key, "\r\n\x00") || len(strings.TrimSpace(key)) < 100 {
			return errKey
		}
	}
	return nil
}
