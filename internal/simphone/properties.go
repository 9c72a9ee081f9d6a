package simphone

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// maxValue is the longest value of a property that is not ro.*, in bytes: PROP_VALUE_MAX of bionic less its final NUL.
const maxValue = 91

// parseCmdline reads a command line as redroid's init does: the arguments joined by spaces, split at spaces, then at `=`;
// only what has exactly two parts counts, so a value with a space is cut and one with `=` is dropped. androidboot.X becomes
// ro.boot.X, ro.* are taken as they are. A ro property keeps the first value it is given.
func parseCmdline(cmdline []byte) map[string]string {
	properties := map[string]string{}
	for _, entry := range strings.Split(strings.ReplaceAll(string(cmdline), "\x00", " "), " ") {
		parts := strings.Split(entry, "=")
		if len(parts) != 2 {
			continue
		}
		key := parts[0]
		if name, ok := strings.CutPrefix(key, "androidboot."); ok {
			key = "ro.boot." + name
		}
		if _, given := properties[key]; strings.HasPrefix(key, "ro.") && !given {
			properties[key] = parts[1]
		}
	}
	return properties
}

// buildProperties are what a phone's image says of itself where the arguments do not.
var buildProperties = map[string]string{
	"ro.product.brand":         "lethe",
	"ro.product.device":        "simphone",
	"ro.product.manufacturer":  "lethe",
	"ro.product.model":         "simphone",
	"ro.product.name":          "simphone",
	"ro.build.version.release": "12",
	"ro.build.version.sdk":     "31",
	"ro.adb.secure":            "0",
}

// propertyStore is a phone's properties; those called persist.* outlive a restart in a file of the phone's data.
type propertyStore struct {
	mu     sync.Mutex
	values map[string]string
	file   string
}

// openProperties starts with the command line's properties, the image's, and those kept in the data.
func openProperties(cmdline []byte, data string) (*propertyStore, error) {
	s := &propertyStore{values: maps.Clone(buildProperties), file: filepath.Join(data, "property", "persistent_properties")}
	maps.Copy(s.values, parseCmdline(cmdline))
	kept, err := os.ReadFile(s.file)
	if errors.Is(err, os.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	persistent := map[string]string{}
	if err := json.Unmarshal(kept, &persistent); err != nil {
		return nil, fmt.Errorf("%s: %w", s.file, err)
	}
	maps.Copy(s.values, persistent)
	return s, nil
}

func (s *propertyStore) value(key string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.values[key]
}

func (s *propertyStore) all() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.values)
}

// set is setprop: it refuses ro properties, which only the command line gives, and values that bionic would refuse.
func (s *propertyStore) set(key, value string) error {
	switch {
	case key == "" || strings.ContainsAny(key, " =\n"):
		return errors.New("illegal property name")
	case strings.HasPrefix(key, "ro."):
		return errors.New("read-only property")
	case len(value) > maxValue:
		return fmt.Errorf("value has %d bytes, at most %d are taken", len(value), maxValue)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values[key] = value
	if !strings.HasPrefix(key, "persist.") {
		return nil
	}
	return s.save()
}

func (s *propertyStore) save() error {
	persistent := map[string]string{}
	for k, v := range s.values {
		if strings.HasPrefix(k, "persist.") {
			persistent[k] = v
		}
	}
	content, err := json.Marshal(persistent)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(s.file), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(s.file+".tmp", content, 0o600); err != nil {
		return err
	}
	return os.Rename(s.file+".tmp", s.file)
}
