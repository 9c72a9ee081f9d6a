package phone

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Properties are a phone's configured properties by key. They never reach a log.
type Properties map[string]string

// Keys gives the keys in order.
func (p Properties) Keys() []string {
	keys := make([]string, 0, len(p))
	for k := range p {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// String keeps the values out of what is printed: only the keys are shown.
func (p Properties) String() string { return "[" + strings.Join(p.Keys(), " ") + "]" }

// LogValue keeps the values out of logs, also of those written as JSON.
func (p Properties) LogValue() slog.Value { return slog.StringValue(p.String()) }

// PropertyRule says which values a key takes. Sources: the CPH API's table of phone properties; the keys of rows marked
// Extension are lethe's own, for what redroid takes besides.
type PropertyRule struct {
	Key        string
	Values     *regexp.Regexp // the whole value
	Says       string         // the rule in words, for the error
	Deprecated bool           // still sent by real clients, so still taken
	Extension  bool
}

var (
	bit      = regexp.MustCompile(`^[01]$`)
	token64  = regexp.MustCompile(`^[A-Za-z0-9._:/+-]{1,64}$`)
	plain91  = regexp.MustCompile(`^[^\s=\x00-\x1f\x7f]{1,91}$`)
	operator = regexp.MustCompile(`^[A-Za-z0-9 ,._-]{1,20}$`)
	country  = regexp.MustCompile(`^[A-Za-z,]{1,10}$`)
	numeric  = regexp.MustCompile(`^[A-Za-z0-9,]{1,10}$`)
	url256   = regexp.MustCompile(`^https?://[A-Za-z0-9_.,/:-]{1,249}$`)
	cgPort   = regexp.MustCompile(`^(10[0-9]{3}|11000)$`)
)

// PropertyRules lists every key that a phone can be given.
func PropertyRules() []PropertyRule { return slices.Clone(propertyRules) }

var propertyRules = []PropertyRule{
	{Key: "com.cph.mainkeys", Values: bit, Says: "0 or 1"},
	{Key: "disable.status.bar", Values: bit, Says: "0 or 1"},
	{Key: "ro.permission.changed", Values: bit, Says: "0 or 1"},
	{Key: "ro.install.auto", Values: bit, Says: "0 or 1"},
	{Key: "ro.com.cph.non_root", Values: bit, Says: "0 or 1"},
	{Key: "ro.com.cph.notification_disable", Values: bit, Says: "0 or 1"},
	{Key: "com.cph.disable_fb_permission", Values: bit, Says: "0 or 1"},
	{Key: "com.cph.bandwidth_limit", Values: regexp.MustCompile(`^(-1|[1-9][0-9]{0,7})$`), Says: "1 to 99999999 (kbit/s), or -1 for no limit"},
	{Key: "ro.com.cph.toast_enable", Values: bit, Says: "0 or 1"},
	{Key: "com.cph.cam_local_pic_path", Values: regexp.MustCompile(`^[\p{L}\p{N}_@#.:/ -]{1,90}$`), Says: "1 to 90 letters, digits, or - _ @ # . : / space"},
	{Key: "persist.sys.locale", Values: regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`), Says: "1 to 64 letters, digits or -"},
	{Key: "sys.prop.writeimsi", Values: regexp.MustCompile(`^[0-9]{1,15}$`), Says: "1 to 15 digits"},
	{Key: "sys.prop.writephonenum", Values: regexp.MustCompile(`^[0-9]{1,20}$`), Says: "1 to 20 digits"},
	{Key: "sys.prop.writewifissid", Values: regexp.MustCompile(`^[A-Za-z0-9_./@#: -]{1,64}$`), Says: "1 to 64 letters, digits, or - _ . / @ # : space"},
	{Key: "gsm.sim.operator.iso-country", Values: country, Says: "1 to 10 letters and commas"},
	{Key: "gsm.sim.operator.numeric", Values: numeric, Says: "1 to 10 digits, letters and commas"},
	{Key: "gsm.sim.operator.alpha", Values: operator, Says: "1 to 20 letters, digits, or , . _ - space"},
	{Key: "gsm.operator.iso-country", Values: country, Says: "1 to 10 letters and commas"},
	{Key: "gsm.operator.numeric", Values: numeric, Says: "1 to 10 digits, letters and commas"},
	{Key: "gsm.operator.alpha", Values: operator, Says: "1 to 20 letters, digits, or , . _ - space"},
	{Key: "ro.horizontal.screen", Values: bit, Says: "0 or 1"},
	{Key: "com.cph.cg.sign_check_url", Values: url256, Says: "an http or https URL of at most 256 characters"},
	{Key: "com.cph.cg.event_notify_url", Values: url256, Says: "an http or https URL of at most 256 characters"},
	{Key: "com.cph.cg.heartbeat_url", Values: url256, Says: "an http or https URL of at most 256 characters"},
	{Key: "com.cph.cg.heartbeat_interval", Values: regexp.MustCompile(`^[0-9]{1,10}$`), Says: "seconds, 1 to 10 digits"},
	{Key: "com.cph.cg.app_port", Values: cgPort, Says: "10000 to 11000"},
	{Key: "com.cph.cg.h5_port", Values: cgPort, Says: "10000 to 11000"},
	{Key: "ro.com.cph.cloud_app_engine", Values: bit, Says: "0 or 1"},

	{Key: "ro.hardware.gpurenderer", Values: token64, Says: "1 to 64 letters, digits, or . _ : / + -", Deprecated: true},
	{Key: "ro.board.platform", Values: token64, Says: "1 to 64 letters, digits, or . _ : / + -", Deprecated: true},
	{Key: "ro.build.product", Values: token64, Says: "1 to 64 letters, digits, or . _ : / + -", Deprecated: true},
	{Key: "ro.product.device", Values: token64, Says: "1 to 64 letters, digits, or . _ : / + -", Deprecated: true},
	{Key: "ro.com.cph.sfs_enable", Values: bit, Says: "0 or 1", Deprecated: true},
	{Key: "ro.product.manufacturer", Values: plain91, Says: "1 to 91 characters, no white space and no =", Deprecated: true},
	{Key: "ro.product.name", Values: plain91, Says: "1 to 91 characters, no white space and no =", Deprecated: true},
	{Key: "qemu.hw.mainkeys", Values: bit, Says: "0 or 1", Deprecated: true},

	{Key: "ro.product.brand", Values: plain91, Says: "1 to 91 characters, no white space and no =", Extension: true},
	{Key: "ro.product.model", Values: plain91, Says: "1 to 91 characters, no white space and no =", Extension: true},
	{Key: "ro.serialno", Values: regexp.MustCompile(`^[A-Za-z0-9]{6,32}$`), Says: "6 to 32 letters and digits", Extension: true},
}

var propertyRuleByKey = func() map[string]PropertyRule {
	m := make(map[string]PropertyRule, len(propertyRules))
	for _, r := range propertyRules {
		m[r.Key] = r
	}
	return m
}()

// MaxPropertyBytes is the most a property text may have; the CPH API gives 8,192 characters at creation and none for reset.
const MaxPropertyBytes = 8192

// ParseProperties reads the property text of one phone: a JSON object of strings and integers, as the CPH API sends it (JSON
// inside a JSON string). "" is no property at all. The error has one of the three property reasons and names the key.
func ParseProperties(text string) (Properties, *Error) {
	if text == "" {
		return nil, nil
	}
	if len(text) > MaxPropertyBytes {
		return nil, Errorf(Invalid, ReasonPropertyInvalid, "property has %d bytes, at most %d are taken", len(text), MaxPropertyBytes)
	}
	if !utf8.ValidString(text) {
		return nil, Errorf(Invalid, ReasonPropertyInvalid, "property is not valid UTF-8")
	}
	raw, err := readPropertyObject(text)
	if err != nil {
		return nil, Errorf(Invalid, ReasonPropertyInvalid, "property is not a JSON object of strings and numbers: %w", err)
	}
	properties := make(Properties, len(raw))
	for _, kv := range raw {
		rule, known := propertyRuleByKey[kv.key]
		if !known {
			return nil, &Error{Code: Invalid, Reason: ReasonPropertyUnsupported, Field: kv.key, Msg: "no phone can be given this property"}
		}
		if _, twice := properties[kv.key]; twice {
			return nil, &Error{Code: Invalid, Reason: ReasonPropertyInvalid, Field: kv.key, Msg: "the property is given twice"}
		}
		value, ok := kv.text()
		if !ok || !rule.Values.MatchString(value) {
			return nil, &Error{Code: Invalid, Reason: ReasonPropertyValue, Field: kv.key, Msg: "the value must be " + rule.Says}
		}
		properties[kv.key] = value
	}
	return properties, nil
}

type rawProperty struct {
	key   string
	value any // of encoding/json, numbers as json.Number
}

// text gives the value as the phone gets it; only strings and integers have one.
func (r rawProperty) text() (string, bool) {
	switch v := r.value.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), !strings.ContainsAny(v.String(), ".eE")
	}
	return "", false
}

// readPropertyObject reads the object key by key, so that a key that stands twice is seen.
func readPropertyObject(text string) ([]rawProperty, error) {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	if open, err := dec.Token(); err != nil {
		return nil, err
	} else if open != json.Delim('{') {
		return nil, errNotObject
	}
	var all []rawProperty
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, err
		}
		var value any
		if err := dec.Decode(&value); err != nil {
			return nil, err
		}
		all = append(all, rawProperty{key: key.(string), value: value})
	}
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	if rest := bytes.TrimSpace([]byte(text[dec.InputOffset():])); len(rest) > 0 {
		return nil, errTrailing
	}
	return all, nil
}

type constError string

func (e constError) Error() string { return string(e) }

const (
	errNotObject constError = "it is not an object"
	errTrailing  constError = "something follows the object"
)
