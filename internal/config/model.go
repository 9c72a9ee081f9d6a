package config

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
)

// PhoneModel is what the phones of a model may use of their host and what their screen is like. It is set in the configuration
// file only, as one [[phone_models]] table each; a zero leaves the driver's default. A server's own template goes before it.
type PhoneModel struct {
	Name      string  // as in the CPH API's phone_model_name
	CPUs      float64 // processors, 1.5 being one and a half
	Memory    string  // "4g"
	PidsLimit int64   // threads
	Width     int     // pixels
	Height    int     // pixels
	DPI       int
	FPS       int
}

// phoneModelsKey is the one key of the file that is not a single value.
const phoneModelsKey = "phone_models"

var (
	modelName   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	modelMemory = regexp.MustCompile(`^[1-9][0-9]{0,8}[kmgKMG]?$`)
)

// readPhoneModels reads the tables. Every problem names the model, the key and what it must be.
func readPhoneModels(path string, raw any, problems *Error) []PhoneModel {
	tables, ok := raw.([]map[string]any)
	if !ok {
		problems.addf("%s (%s) must be a list of tables: write [[%s]] above each model's keys", phoneModelsKey, path, phoneModelsKey)
		return nil
	}
	var models []PhoneModel
	for i, table := range tables {
		model, wrong := readPhoneModel(table)
		where := fmt.Sprintf("%s number %d", phoneModelsKey, i+1)
		if model.Name != "" {
			where = fmt.Sprintf("phone model %q", model.Name)
		}
		for _, w := range wrong {
			problems.addf("%s (%s): %s", where, path, w)
		}
		if slices.ContainsFunc(models, func(m PhoneModel) bool { return m.Name == model.Name }) {
			problems.addf("%s (%s) is there twice: keep one of them", where, path)
		}
		models = append(models, model)
	}
	return models
}

func readPhoneModel(table map[string]any) (m PhoneModel, wrong []string) {
	text := func(field *string, rule *regexp.Regexp) func(any) bool {
		return func(v any) bool {
			s, ok := v.(string)
			*field = s
			return ok && rule.MatchString(s)
		}
	}
	number := func(set func(int64), most int64) func(any) bool {
		return func(v any) bool {
			n, ok := v.(int64)
			set(n)
			return ok && n > 0 && n <= most
		}
	}
	keys := []struct {
		name, must string
		set        func(any) bool
	}{
		{"name", "must be 1 to 64 letters, digits, - _ or ., such as lethe.cp.small", text(&m.Name, modelName)},
		{"cpus", "must be a number above 0 and up to 1024, such as 2.0", func(v any) bool {
			switch n := v.(type) {
			case float64:
				m.CPUs = n
			case int64:
				m.CPUs = float64(n)
			}
			return m.CPUs > 0 && m.CPUs <= 1024 && !math.IsNaN(m.CPUs)
		}},
		{"memory", `must be an amount in quotes, such as "4g"`, text(&m.Memory, modelMemory)},
		{"pids_limit", "must be a whole number from 1 to 4194304", number(func(n int64) { m.PidsLimit = n }, 4<<20)},
		{"width", "must be 1 to 10000 pixels", number(func(n int64) { m.Width = int(n) }, 10_000)},
		{"height", "must be 1 to 10000 pixels", number(func(n int64) { m.Height = int(n) }, 10_000)},
		{"dpi", "must be 1 to 2000", number(func(n int64) { m.DPI = int(n) }, 2000)},
		{"fps", "must be 1 to 240", number(func(n int64) { m.FPS = int(n) }, 240)},
	}
	var names []string
	for _, k := range keys {
		names = append(names, k.name)
		value, given := table[k.name]
		if !given && k.name != "name" {
			continue
		}
		if !k.set(value) {
			wrong = append(wrong, k.name+" "+k.must)
		}
	}
	for _, name := range sortedKeys(table) {
		if !slices.Contains(names, name) {
			wrong = append(wrong, fmt.Sprintf("unknown key %q: the keys are %s", name, strings.Join(names, ", ")))
		}
	}
	return m, wrong
}
