package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/BurntSushi/toml"
)

// config puts the driver's settings together: the template, over it the faults and the boot time. Which keys there are is the
// driver's to say; an empty result is its default.
func (f *serverAddFlags) config(withBootTime bool) (json.RawMessage, error) {
	config := map[string]any{}
	if f.template != "" {
		if err := readTOML("template", f.template, &config); err != nil {
			return nil, err
		}
	}
	if f.faults != "" {
		faults, err := readFaults(f.faults)
		if err != nil {
			return nil, err
		}
		config["faults"] = faults
	}
	if withBootTime {
		config["boot_time"] = f.bootTime.String()
	}
	if len(config) == 0 {
		return nil, nil
	}
	text, err := json.Marshal(config)
	if err != nil {
		return nil, usagef("--template %s: %v", f.template, err) // a NaN, which TOML has and JSON has not
	}
	return text, nil
}

// readFaults gives the rules of a faults file, which holds nothing else.
func readFaults(path string) (any, error) {
	var file map[string]any
	if err := readTOML("faults", path, &file); err != nil {
		return nil, err
	}
	for key := range file {
		if key != "faults" {
			return nil, usagef("--faults %s: there is no key %q, only [[faults]]", path, key)
		}
	}
	if file["faults"] == nil {
		return nil, usagef("--faults %s: there is no [[faults]] in it", path)
	}
	return file["faults"], nil
}

func readTOML(flag, path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return usagef("--%s %s: %w", flag, path, cause(err))
	}
	_, err = toml.Decode(string(text), into)
	var wrong toml.ParseError
	if errors.As(err, &wrong) {
		return usagef("--%s %s: line %d: %s", flag, path, wrong.Position.Line, strings.TrimSuffix(wrong.Message, "."))
	}
	if err != nil {
		return usageError{fmt.Errorf("--%s %s: %w", flag, path, err)}
	}
	return nil
}

// cause is why a file could not be read, without its name, which the sentence around it has.
func cause(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}
