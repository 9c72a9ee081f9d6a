package iam

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
)

// Credentials is everything one needs to call an installation: what credentials.json holds.
type Credentials struct {
	Endpoint  string `json:"endpoint"`
	Region    string `json:"region"`
	Account   string `json:"account"`
	AccountID string `json:"account_id"`
	User      string `json:"user"`
	Password  string `json:"password"`
	Project   string `json:"project"`
	ProjectID string `json:"project_id"`
	AccessKey string `json:"access_key"`
	SecretKey string `json:"secret_key"`
}

// LogValue keeps password and secret key out of logs.
func (c Credentials) LogValue() slog.Value { return slog.StringValue(c.String()) }

// String keeps password and secret key out of messages.
func (c Credentials) String() string {
	return "credentials of user " + c.User + ", access key " + c.AccessKey
}

// Write puts the credentials into a file that only its owner can read (mode 0600). A file that is there is replaced as a whole:
// at any moment, also after a power cut, the path has the old content or the new.
func (c Credentials) Write(path string) error {
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return fmt.Errorf("write the credentials: %w", err)
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), ".credentials-*") // mode 0600
	if err != nil {
		return fmt.Errorf("write the credentials: %w", err)
	}
	_, err = temporary.Write(append(text, '\n'))
	err = errors.Join(err, temporary.Sync(), temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write the credentials to %s: %w", path, err), os.Remove(temporary.Name()))
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes a rename survive a power cut.
func syncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil // a folder cannot be opened for this there
	}
	dir, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("make the folder %s durable: %w", path, err)
	}
	if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		return fmt.Errorf("make the folder %s durable: %w", path, err)
	}
	return nil
}

// ReadCredentials reads what Write wrote, or a file that someone made by hand with less in it. A file that is not there is
// fs.ErrNotExist. The error repeats nothing of the file.
func ReadCredentials(path string) (Credentials, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Credentials{}, fmt.Errorf("read the credentials: %w", err)
	}
	var c Credentials
	if err := json.Unmarshal(text, &c); err != nil {
		return Credentials{}, fmt.Errorf("%s is not a credentials file: it must be one JSON object of strings", path)
	}
	return c, nil
}
