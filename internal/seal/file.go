package seal

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"
)

// maxFile bounds a key file, and maxKeys the keys in it: each rotation adds one, and old ones are taken out by hand.
const (
	maxFile = 64 << 10
	maxKeys = 100
)

// NewLine makes a fresh key as a line of a key file.
func NewLine() string {
	secret := make([]byte, chacha20poly1305.KeySize)
	_, _ = rand.Read(secret) // never fails: crypto/rand ends the program instead
	return base64.StdEncoding.EncodeToString(secret)
}

// Parse reads a key file: a key of 32 bytes in base64 on each line; empty lines and those that begin with # are passed over. The
// error names the line and repeats nothing of it.
func Parse(text []byte) (Keys, error) {
	if len(text) > maxFile {
		return Keys{}, fmt.Errorf("it has more than %d bytes", maxFile)
	}
	var keys Keys
	seen := map[string]bool{}
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		secret, err := base64.StdEncoding.Strict().DecodeString(line)
		if err != nil || len(secret) != chacha20poly1305.KeySize {
			return Keys{}, fmt.Errorf("line %d is no key: a key is %d bytes in base64", i+1, chacha20poly1305.KeySize)
		}
		k, err := newKey(secret)
		if err != nil {
			return Keys{}, fmt.Errorf("line %d: %w", i+1, err)
		}
		if seen[k.id] {
			return Keys{}, fmt.Errorf("line %d repeats a key", i+1)
		}
		seen[k.id] = true
		keys.keys = append(keys.keys, k)
	}
	switch {
	case keys.Empty():
		return Keys{}, errors.New("it has no key")
	case len(keys.keys) > maxKeys:
		return Keys{}, fmt.Errorf("it has more than %d keys", maxKeys)
	}
	return keys, nil
}

// Read reads a key file, and refuses one that others than its owner and his group can read, or than its owner can write. A file
// that is not there is fs.ErrNotExist.
func Read(path string) (Keys, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Keys{}, err
	case err != nil:
		return Keys{}, fmt.Errorf("the key file cannot be read: %w", err)
	case info.Mode().Perm()&0o027 != 0:
		return Keys{}, fmt.Errorf("the key file %s has the mode %04o, so that others can read or change it: chmod 600 %s", path, info.Mode().Perm(), path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return Keys{}, fmt.Errorf("the key file cannot be read: %w", err)
	}
	keys, err := Parse(text)
	if err != nil {
		return Keys{}, fmt.Errorf("the key file %s cannot be used: %w", path, err)
	}
	return keys, nil
}

// Create writes a key file with one fresh key, mode 0600, that is on the disk when it returns. A file that is there is
// fs.ErrExist.
func Create(path string) (Keys, error) {
	if _, err := os.Lstat(path); err == nil {
		return Keys{}, &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist}
	}
	line := NewLine()
	if err := write(path, header+line+"\n"); err != nil {
		return Keys{}, err
	}
	return Parse([]byte(line))
}

const header = "# Keys of this lethe installation. The first one encrypts access keys in the database, all of them decrypt.\n" +
	"# Keep a copy in a safe place, apart from the database's backups. Never share it with another installation.\n"

// Rotate puts a fresh key before the others, and gives the keys as they are now. What other keys have sealed is sealed anew when
// the installation starts.
func Rotate(path string) (Keys, error) {
	if _, err := Read(path); err != nil {
		return Keys{}, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return Keys{}, err
	}
	lines := strings.SplitAfter(string(text), "\n")
	at := 0 // before the first key, behind the comments at the top
	for at < len(lines) && (strings.TrimSpace(lines[at]) == "" || strings.HasPrefix(strings.TrimSpace(lines[at]), "#")) {
		at++
	}
	fresh := strings.Join(lines[:at], "") + NewLine() + "\n" + strings.Join(lines[at:], "")
	keys, err := Parse([]byte(fresh))
	if err != nil {
		return Keys{}, err
	}
	return keys, write(path, fresh)
}

// write replaces a private file: after a crash it is there whole, old or new.
func write(path, text string) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return fmt.Errorf("write the key file: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("write the key file %s: %w", path, err), os.Remove(file.Name()))
		}
	}()
	_, err = file.WriteString(text)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err = os.Rename(file.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
