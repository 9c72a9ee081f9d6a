package simulated

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Config is what phone.Server.Config holds for a simulated server, as one JSON object. Every key may be left out. Who makes one
// in Go begins with DefaultConfig.
type Config struct {
	// BootTime is how long a boot takes, from Start until the phone has booted; 1 s when left out.
	BootTime Duration `json:"boot_time"`
	// BootSpread, 0 to 1, makes boots differ: each takes BootTime plus or minus up to this part of it. How much is made from
	// the phone's id and generation, so it is the same again after a restart.
	BootSpread float64 `json:"boot_spread"`
	// Capacity is how many instances of this server the host takes; 0, or left out, is no limit. One more is Exhausted.
	Capacity int `json:"capacity"`
	// Disk is how many bytes the host has for volumes; 0, or left out, is what the file system of its folder has. It makes no write
	// fail: it is what Space answers from.
	Disk int64 `json:"disk"`
	// SharePath gives the server a shared storage, which its phones see at this path; "", or left out, is none.
	SharePath string `json:"share_path,omitempty"`
	// DataFiles is how many files a phone's first boot writes into its volume; 24 when left out.
	DataFiles int `json:"data_files"`
	// MissingImages are the references that the host cannot get.
	MissingImages []string `json:"missing_images,omitempty"`
	// Faults are scripted faults. Those in the host's faults.json are tried before these.
	Faults []Fault `json:"faults,omitempty"`
}

// Duration is a time.Duration that JSON writes as "1.5s".
type Duration time.Duration

// MarshalText writes the duration as time.Duration does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what time.ParseDuration reads and is not negative.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err == nil && parsed < 0 {
		err = fmt.Errorf("%s is negative", parsed)
	}
	*d = Duration(parsed)
	return err
}

const (
	maxDataFiles = 10_000
	maxFactor    = 1_000_000
)

// DefaultConfig is the configuration of a server that has none.
func DefaultConfig() Config { return Config{BootTime: Duration(time.Second), DataFiles: 24} }

// ParseConfig reads the configuration of a simulated server; no text at all is the default. An error is Invalid and names the
// key and the cure. Unknown keys are refused.
func ParseConfig(text []byte) (Config, error) {
	config := DefaultConfig()
	if len(bytes.TrimSpace(text)) == 0 {
		return config, nil
	}
	var faults json.RawMessage
	err := readObject(text, "", map[string]any{
		"boot_time": &config.BootTime, "boot_spread": &config.BootSpread, "capacity": &config.Capacity,
		"disk": &config.Disk, "data_files": &config.DataFiles, "share_path": &config.SharePath, "missing_images": &config.MissingImages, "faults": &faults,
	})
	switch {
	case err != nil:
		return Config{}, err
	case config.BootSpread < 0 || config.BootSpread > 1:
		return Config{}, badConfig("boot_spread", "must be from 0 (every boot takes boot_time) to 1")
	case config.Capacity < 0:
		return Config{}, badConfig("capacity", "must be a number of instances, or 0 for no limit")
	case config.Disk < 0:
		return Config{}, badConfig("disk", "must be a number of bytes, or 0 for what the file system has")
	case config.DataFiles < 0 || config.DataFiles > maxDataFiles:
		return Config{}, badConfig("data_files", fmt.Sprintf("must be from 0 to %d", maxDataFiles))
	}
	if config.SharePath != "" {
		if wrong := driver.CheckSharePath(config.SharePath); wrong != "" {
			return Config{}, badConfig("share_path", wrong)
		}
	}
	if faults != nil {
		if config.Faults, err = parseFaults(faults, "faults"); err != nil {
			return Config{}, err
		}
	}
	return config, nil
}

// ParseFaults reads a list of faults, as the key faults of a Config and the file faults.json have it. An error is Invalid and
// names the key and the cure.
func ParseFaults(text []byte) ([]Fault, error) { return parseFaults(text, "faults") }

func parseFaults(text []byte, at string) ([]Fault, error) {
	var list []json.RawMessage
	if err := json.Unmarshal(text, &list); err != nil || list == nil {
		return nil, badConfig(at, `must be a list of rules such as [{"phone": "*", "operation": "boot", "effect": "never"}]`)
	}
	faults := make([]Fault, len(list))
	for i, text := range list {
		fault, at := &faults[i], fmt.Sprintf("%s[%d]", at, i)
		err := readObject(text, at+".", map[string]any{
			"name": &fault.Name, "phone": &fault.Phone, "operation": &fault.Operation, "effect": &fault.Effect, "duration": &fault.Duration,
			"factor": &fault.Factor, "exit_code": &fault.ExitCode, "times": &fault.Times, "generations": &fault.Generations,
		})
		if err != nil {
			return nil, err
		}
		if key, cure := fault.wrong(); key != "" {
			return nil, badConfig(at+"."+key, cure)
		}
	}
	return faults, nil
}

// wrong names a key of the rule that cannot be so, and what would be right.
func (f Fault) wrong() (key, cure string) {
	at, known := f.Effect.operations()
	switch _, err := path.Match(f.Phone, ""); {
	case err != nil:
		return "phone", `must be an id, a name, or a pattern such as "web-*"`
	case !known:
		return "effect", "must be one of " + join(Effects())
	case !slices.Contains(at, f.Operation):
		return "operation", fmt.Sprintf("must be, for the effect %s, one of %s", f.Effect, join(at))
	case f.Factor < 0 || f.Factor > maxFactor || f.Factor != 0 && (f.Effect != EffectSlow || f.Operation != OpBoot):
		return "factor", fmt.Sprintf("belongs to the effect slow of the operation boot, and is at most %d", maxFactor)
	case f.Effect == EffectLate && f.Duration == 0:
		return "duration", `is needed for the effect late: say how long, as in "2s"`
	case f.Effect == EffectSlow && f.Duration == 0 && f.Factor == 0:
		return "duration", `is needed for the effect slow: say how long, as in "2s" (or, for a boot, give a factor)`
	case f.Duration != 0 && !slices.Contains([]Effect{EffectSlow, EffectLate, EffectExit, EffectVanish}, f.Effect):
		return "duration", "belongs to the effects slow, late, exit and vanish"
	case f.ExitCode != nil && (f.Effect != EffectExit || *f.ExitCode < 0 || *f.ExitCode > 255):
		return "exit_code", "belongs to the effect exit and is from 0 to 255"
	case f.Times < 0:
		return "times", "must be how often the rule strikes, or 0 for every time"
	case slices.ContainsFunc(f.Generations, func(g phone.Generation) bool { return g < 1 }):
		return "generations", "must be numbers from 1"
	case len(f.Generations) > 0 && slices.Contains([]Operation{OpInfo, OpPrepare, OpShare, OpList, OpAll}, f.Operation):
		return "generations", fmt.Sprintf("cannot be given for the operation %s, which is about no one phone", f.Operation)
	}
	return "", ""
}

func join[T ~string](words []T) string {
	var all []string
	for _, w := range words {
		all = append(all, string(w))
	}
	return strings.Join(all, ", ")
}

// readObject reads a JSON object into the pointers that stand for its keys. at is put before a key in errors.
func readObject(text []byte, at string, fields map[string]any) error {
	here := strings.TrimSuffix(at, ".")
	dec := json.NewDecoder(bytes.NewReader(text))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return badConfig(here, "must be one JSON object")
	}
	seen := map[string]bool{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return badConfig(here, "is not valid JSON: "+err.Error())
		}
		key := token.(string) // what else could stand here is an error of Token
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return badConfig(at+key, "is not valid JSON: "+err.Error())
		}
		field, known := fields[key]
		switch {
		case !known:
			return badConfig(at+key, "is not known: leave it out or use one of "+join(sortedKeys(fields)))
		case seen[key]:
			return badConfig(at+key, "is given twice: leave one out")
		}
		seen[key] = true
		if err := json.Unmarshal(raw, field); err != nil || string(raw) == "null" {
			return badConfig(at+key, "must be "+wanted(field))
		}
	}
	if _, err := dec.Token(); err != nil {
		return badConfig(here, "is not valid JSON: "+err.Error())
	}
	if _, err := dec.Token(); err != io.EOF {
		return badConfig(here, "must be one JSON object and nothing after it")
	}
	return nil
}

// wanted says in words what a key takes.
func wanted(field any) string {
	switch field.(type) {
	case *Duration:
		return `a duration such as "1.5s"`
	case *float64:
		return "a number"
	case *int, **int, *int64:
		return "a whole number"
	case *[]string:
		return `a list of texts such as ["a", "b"]`
	case *[]phone.Generation:
		return "a list of whole numbers such as [1, 2]"
	case *json.RawMessage:
		return "a list"
	}
	return "a text"
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func badConfig(key, says string) error {
	msg := "the configuration of a simulated server " + says
	if key != "" {
		msg = key + " " + says
	}
	return &phone.Error{Code: phone.Invalid, Reason: phone.ReasonServerInvalid, Field: key, Msg: msg}
}
