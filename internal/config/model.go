package config

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
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
	// What the phone-models list of the CPH API tells besides, and what a new server is held to: the only server model that has it,
	// the label of the images that fit, how many of its phones fit on one server, whether new servers still get it. Disk is announced
	// and not enforced.
	ServerModel string
	ImageLabel  string
	Disk        int // GiB
	Phones      int
	Retired     bool
}

// ServerModel is what the server-models list of the CPH API tells of a kind of machine. It is set in the configuration file only, as one
// [[server_models]] table each.
type ServerModel struct {
	Name   string // as in the CPH API's server_model_name
	Type   string // the processor, for people
	CPUs   int
	Memory int    // GB
	GPU    string // for people
	Game   bool   // for cloud games
}

// The keys of the file that are not single values.
const (
	phoneModelsKey  = "phone_models"
	serverModelsKey = "server_models"
)

var (
	modelName   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	modelText   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 ._-]{0,31}$`)
	modelMemory = regexp.MustCompile(`^[1-9][0-9]{0,8}[kmgKMG]?$`)
)

// readPhoneModels reads the tables. Every problem names the model, the key and what it must be.
func readPhoneModels(path string, raw any, problems *Error) []PhoneModel {
	return readModels(path, phoneModelsKey, "phone model", raw, problems, readPhoneModel, func(m PhoneModel) string { return m.Name })
}

// readServerModels is readPhoneModels for the other list.
func readServerModels(path string, raw any, problems *Error) []ServerModel {
	return readModels(path, serverModelsKey, "server model", raw, problems, readServerModel, func(m ServerModel) string { return m.Name })
}

func readModels[M any](path, key, noun string, raw any, problems *Error, read func(map[string]any) (M, []string), name func(M) string) []M {
	tables, ok := raw.([]map[string]any)
	if !ok {
		problems.addf("%s (%s) must be a list of tables: write [[%s]] above each model's keys", key, path, key)
		return nil
	}
	var models []M
	for i, table := range tables {
		model, wrong := read(table)
		where := fmt.Sprintf("%s number %d", key, i+1)
		if name(model) != "" {
			where = fmt.Sprintf("%s %q", noun, name(model))
		}
		for _, w := range wrong {
			problems.addf("%s (%s): %s", where, path, w)
		}
		if slices.ContainsFunc(models, func(m M) bool { return name(m) == name(model) }) {
			problems.addf("%s (%s) is there twice: keep one of them", where, path)
		}
		models = append(models, model)
	}
	return models
}

// modelKey is one key of a model's table.
type modelKey struct {
	name, must string
	set        func(any) bool // whether the value will do
}

func textKey(field *string, rule *regexp.Regexp) func(any) bool {
	return func(v any) bool {
		s, ok := v.(string)
		*field = s
		return ok && rule.MatchString(s)
	}
}

func textsKey(field *[]string) func(any) bool {
	return func(v any) bool {
		texts, ok := v.([]any)
		for _, text := range texts {
			s, is := text.(string)
			ok = ok && is && s != ""
			*field = append(*field, s)
		}
		return ok && len(texts) > 0
	}
}

func numberKey(set func(int64), most int64) func(any) bool {
	return func(v any) bool {
		n, ok := v.(int64)
		set(n)
		return ok && n > 0 && n <= most
	}
}

func switchKey(field *bool) func(any) bool {
	return func(v any) (ok bool) {
		*field, ok = v.(bool)
		return ok
	}
}

// readModel sets what the table has; of the keys the first, the name, must be there.
func readModel(table map[string]any, keys []modelKey) (wrong []string) {
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
	return wrong
}

func readPhoneModel(table map[string]any) (m PhoneModel, wrong []string) {
	wrong = readModel(table, []modelKey{
		{"name", "must be 1 to 64 letters, digits, - _ or ., such as lethe.cp.small", textKey(&m.Name, modelName)},
		{"cpus", "must be a number above 0 and up to 1024, such as 2.0", func(v any) bool {
			switch n := v.(type) {
			case float64:
				m.CPUs = n
			case int64:
				m.CPUs = float64(n)
			}
			return m.CPUs > 0 && m.CPUs <= 1024 && !math.IsNaN(m.CPUs)
		}},
		{"memory", `must be an amount in quotes, such as "4g"`, textKey(&m.Memory, modelMemory)},
		{"pids_limit", "must be a whole number from 1 to 4194304", numberKey(func(n int64) { m.PidsLimit = n }, 4<<20)},
		{"width", "must be 1 to 10000 pixels", numberKey(func(n int64) { m.Width = int(n) }, 10_000)},
		{"height", "must be 1 to 10000 pixels", numberKey(func(n int64) { m.Height = int(n) }, 10_000)},
		{"dpi", "must be 1 to 2000", numberKey(func(n int64) { m.DPI = int(n) }, 2000)},
		{"fps", "must be 1 to 240", numberKey(func(n int64) { m.FPS = int(n) }, 240)},
		{"server_model", "must be 1 to 64 letters, digits, - _ or ., such as physical.lethe", textKey(&m.ServerModel, modelName)},
		{"image_label", "must be 1 to 64 letters, digits, - _ or ., such as cloud_phone", textKey(&m.ImageLabel, modelName)},
		{"disk", "must be 1 to 32768 GiB", numberKey(func(n int64) { m.Disk = int(n) }, 32_768)},
		{"phones", "must be 1 to 10000 phones", numberKey(func(n int64) { m.Phones = int(n) }, 10_000)},
		{"retired", "must be true or false", switchKey(&m.Retired)},
	})
	return m, wrong
}

func readServerModel(table map[string]any) (m ServerModel, wrong []string) {
	wrong = readModel(table, []modelKey{
		{"name", "must be 1 to 64 letters, digits, - _ or ., such as physical.lethe", textKey(&m.Name, modelName)},
		{"type", "must be 1 to 32 letters, digits, spaces, - _ or ., such as EPYC-9654", textKey(&m.Type, modelText)},
		{"cpus", "must be a whole number from 1 to 4096", numberKey(func(n int64) { m.CPUs = int(n) }, 4096)},
		{"memory", "must be a whole number of GB from 1 to 65536", numberKey(func(n int64) { m.Memory = int(n) }, 65_536)},
		{"gpu", "must be 1 to 32 letters, digits, spaces, - _ or .", textKey(&m.GPU, modelText)},
		{"game", "must be true or false", switchKey(&m.Game)},
	})
	return m, wrong
}

// MemoryMB is the memory in MB; 0 when none is set.
func (m PhoneModel) MemoryMB() int {
	digits, shift := m.Memory, 0
	if n := len(digits); n > 0 {
		if at := strings.IndexByte("kmg", digits[n-1]|0x20); at >= 0 {
			digits, shift = digits[:n-1], 10*(at+1)
		}
	}
	amount, _ := strconv.ParseInt(digits, 10, 64) // at most 9 digits, as modelMemory has them
	return int(amount << shift >> 20)
}
