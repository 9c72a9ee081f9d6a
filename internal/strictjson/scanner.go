package strictjson

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
)

// scanner walks a body and the Go type it is meant for side by side. A nil type is one that takes anything.
type scanner struct {
	body    []byte
	at      int
	depth   int
	options Options
	path    []string // "phones", "[3]", "phone_id"
	fields  map[reflect.Type]map[string]reflect.Type
}

func (s *scanner) fail(at int, kind Kind, format string, args ...any) error {
	return fail(s.body, at, kind, s.where(), format, args...)
}

func (s *scanner) where() string {
	var b strings.Builder
	for _, part := range s.path {
		if b.Len() > 0 && part[0] != '[' {
			b.WriteByte('.')
		}
		b.WriteString(part)
	}
	return b.String()
}

func (s *scanner) document(t reflect.Type) error {
	s.space()
	if s.at == len(s.body) {
		return fail(s.body, s.at, Empty, "", "the body is empty")
	}
	if err := s.value(t); err != nil {
		return err
	}
	if s.space(); s.at < len(s.body) {
		return s.fail(s.at, Syntax, "something follows the end of the value")
	}
	return nil
}

func (s *scanner) space() {
	for s.at < len(s.body) && strings.IndexByte(" \t\r\n", s.body[s.at]) >= 0 {
		s.at++
	}
}

// peek skips white space and gives the next byte, 0 at the end.
func (s *scanner) peek() byte {
	if s.space(); s.at < len(s.body) {
		return s.body[s.at]
	}
	return 0
}

func (s *scanner) value(t reflect.Type) error {
	t = plain(t)
	c := s.peek()
	start := s.at
	switch {
	case c == '{':
		if t != nil && t.Kind() != reflect.Struct && t.Kind() != reflect.Map {
			return s.wrongType(start, "an object", t)
		}
		return s.nested(func() error { return s.object(t) })
	case c == '[':
		if t != nil && (t.Kind() != reflect.Slice && t.Kind() != reflect.Array || t.Elem().Kind() == reflect.Uint8) {
			return s.wrongType(start, "a list", t)
		}
		return s.nested(func() error { return s.list(t) })
	case c == '"':
		if t != nil && t.Kind() != reflect.String && (t.Kind() != reflect.Slice || t.Elem().Kind() != reflect.Uint8) {
			return s.wrongType(start, "a string", t)
		}
		_, err := s.text()
		return err
	case c == '-' || c >= '0' && c <= '9':
		if t != nil && !number(t) {
			return s.wrongType(start, "a number", t)
		}
		return s.number(t)
	case c == 't':
		return s.boolean("true", t)
	case c == 'f':
		return s.boolean("false", t)
	case c == 'n':
		return s.word("null")
	case s.at == len(s.body):
		return s.fail(s.at, Syntax, "the body ends too early")
	}
	return s.fail(s.at, Syntax, "a value was expected here")
}

func (s *scanner) nested(scan func() error) error {
	if s.depth++; s.depth > s.options.MaxDepth {
		return s.fail(s.at, TooDeep, "nested deeper than %d", s.options.MaxDepth)
	}
	err := scan()
	s.depth--
	return err
}

func (s *scanner) object(t reflect.Type) error {
	fields := s.fieldsOf(t)
	seen := map[string]bool{}
	s.at++
	if s.peek() == '}' {
		s.at++
		return nil
	}
	for {
		s.space()
		at := s.at
		if s.peek() != '"' {
			return s.fail(s.at, Syntax, "a key in quotes was expected here")
		}
		key, err := s.text()
		if err != nil {
			return err
		}
		if seen[key] {
			return s.fail(at, Duplicate, "the key %s stands twice", quote(key))
		}
		seen[key] = true
		child, err := s.field(at, t, fields, key)
		if err != nil {
			return err
		}
		if s.peek() != ':' {
			return s.fail(s.at, Syntax, "a colon was expected here")
		}
		s.at++
		s.path = append(s.path, step(key))
		if err := s.value(child); err != nil {
			return err
		}
		s.path = s.path[:len(s.path)-1]
		if done, err := s.next('}'); done || err != nil {
			return err
		}
	}
}

// field gives the type of a key's value. encoding/json would also take a key that differs in case: such a one is refused, since
// the same field could then be given twice unseen.
func (s *scanner) field(at int, t reflect.Type, fields map[string]reflect.Type, key string) (reflect.Type, error) {
	switch {
	case t == nil:
		return nil, nil
	case t.Kind() == reflect.Map:
		return t.Elem(), nil
	}
	if child, ok := fields[key]; ok {
		return child, nil
	}
	for name := range fields {
		if strings.EqualFold(name, key) {
			return nil, s.fail(at, Unknown, "there is no field %s: write %s", quote(key), quote(name))
		}
	}
	if !s.options.AllowUnknown {
		return nil, s.fail(at, Unknown, "there is no field %s", quote(key))
	}
	return nil, nil
}

func (s *scanner) list(t reflect.Type) error {
	var elem reflect.Type
	if t != nil {
		elem = t.Elem()
	}
	s.at++
	if s.peek() == ']' {
		s.at++
		return nil
	}
	for i := 0; ; i++ {
		s.path = append(s.path, "["+strconv.Itoa(i)+"]")
		if err := s.value(elem); err != nil {
			return err
		}
		s.path = s.path[:len(s.path)-1]
		if done, err := s.next(']'); done || err != nil {
			return err
		}
	}
}

// next steps over a comma, or over the closing bracket: then it is done.
func (s *scanner) next(closing byte) (done bool, err error) {
	switch c := s.peek(); {
	case c == ',':
		s.at++
		return false, nil
	case c == closing:
		s.at++
		return true, nil
	case s.at == len(s.body):
		return false, s.fail(s.at, Syntax, "the body ends too early")
	}
	return false, s.fail(s.at, Syntax, "a comma or %q was expected here", closing)
}

// text steps over a string and gives what it says.
func (s *scanner) text() (string, error) {
	start := s.at
	escaped := false
	for s.at++; ; s.at++ {
		if s.at >= len(s.body) {
			return "", s.fail(s.at, Syntax, "the body ends within a string")
		}
		switch c := s.body[s.at]; {
		case c == '"':
			s.at++
			if !escaped {
				return string(s.body[start+1 : s.at-1]), nil
			}
			var out string
			if err := json.Unmarshal(s.body[start:s.at], &out); err != nil {
				return "", s.fail(start, Syntax, "a string with a wrong escape")
			}
			return out, nil
		case c < 0x20:
			return "", s.fail(s.at, Syntax, "a control character within a string must be escaped")
		case c == '\\':
			escaped = true
			if err := s.escape(); err != nil {
				return "", err
			}
		}
	}
}

// escape steps to the last byte of an escape; half a surrogate pair is not a character.
func (s *scanner) escape() error {
	start := s.at
	unit, ok := s.unit(start)
	if !ok {
		s.at++ // \n, \" and the like; whether it exists is checked with the whole string
		return nil
	}
	s.at += 5
	if unit < 0xD800 || unit > 0xDFFF {
		return nil
	}
	if low, ok := s.unit(start + 6); unit < 0xDC00 && ok && low >= 0xDC00 && low <= 0xDFFF {
		s.at += 6
		return nil
	}
	return s.fail(start, Syntax, "half a surrogate pair is not a character")
}

// unit reads \uXXXX.
func (s *scanner) unit(at int) (uint64, bool) {
	if at+6 > len(s.body) || s.body[at] != '\\' || s.body[at+1] != 'u' {
		return 0, false
	}
	unit, err := strconv.ParseUint(string(s.body[at+2:at+6]), 16, 16)
	return unit, err == nil
}

func (s *scanner) number(t reflect.Type) error {
	start := s.at
	for s.at < len(s.body) && strings.IndexByte("+-.eE0123456789", s.body[s.at]) >= 0 {
		s.at++
	}
	text := string(s.body[start:s.at])
	if !json.Valid([]byte(text)) {
		return s.fail(start, Syntax, "not a number")
	}
	if t == nil || t.Kind() == reflect.Float64 || t.Kind() == reflect.Float32 {
		return nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err != nil || reflect.New(t).Elem().OverflowInt(n) {
		return s.fail(start, Type, "must be a whole number that fits into %d bits", t.Bits())
	}
	return nil
}

func (s *scanner) boolean(word string, t reflect.Type) error {
	if t != nil && t.Kind() != reflect.Bool {
		return s.wrongType(s.at, "a boolean", t)
	}
	return s.word(word)
}

func (s *scanner) word(word string) error {
	if !strings.HasPrefix(string(s.body[s.at:min(s.at+len(word), len(s.body))]), word) {
		return s.fail(s.at, Syntax, "a value was expected here")
	}
	s.at += len(word)
	return nil
}

func (s *scanner) wrongType(at int, is string, want reflect.Type) error {
	must := "a whole number"
	switch {
	case want.Kind() == reflect.Struct || want.Kind() == reflect.Map:
		must = "an object"
	case want.Kind() == reflect.String:
		must = "a string"
	case want.Kind() == reflect.Slice && want.Elem().Kind() == reflect.Uint8:
		must = "a string in base64"
	case want.Kind() == reflect.Slice || want.Kind() == reflect.Array:
		must = "a list"
	case want.Kind() == reflect.Bool:
		must = "true or false"
	case want.Kind() == reflect.Float64 || want.Kind() == reflect.Float32:
		must = "a number"
	}
	if len(s.path) == 0 {
		return s.fail(at, Type, "the body must be %s, not %s", must, is)
	}
	return s.fail(at, Type, "must be %s, not %s", must, is)
}

func number(t reflect.Type) bool {
	return t.Kind() >= reflect.Int && t.Kind() <= reflect.Int64 || t.Kind() == reflect.Float64 || t.Kind() == reflect.Float32
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// plain strips pointers, and gives nil for a type that decodes itself or takes anything.
func plain(t reflect.Type) reflect.Type {
	for t != nil {
		switch {
		case t.Kind() == reflect.Interface || t.Implements(unmarshaler) || reflect.PointerTo(t).Implements(unmarshaler):
			return nil
		case t.Kind() != reflect.Pointer:
			return t
		}
		t = t.Elem()
	}
	return nil
}

// fieldsOf remembers each struct's fields: a list has one type for thousands of elements.
func (s *scanner) fieldsOf(t reflect.Type) map[string]reflect.Type {
	if fields, ok := s.fields[t]; ok {
		return fields
	}
	if s.fields == nil {
		s.fields = map[reflect.Type]map[string]reflect.Type{}
	}
	s.fields[t] = fieldsOf(t)
	return s.fields[t]
}

// fieldsOf gives a struct's fields by the names that encoding/json knows them by.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	if t == nil || t.Kind() != reflect.Struct {
		return nil
	}
	fields := map[string]reflect.Type{}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case !f.IsExported() || name == "-" || f.Anonymous && name == "":
		case name == "":
			fields[f.Name] = f.Type
		default:
			fields[name] = f.Type
		}
	}
	return fields
}

// quote shows a key in a message, and short bounds how much of a body a message repeats.
func quote(key string) string { return strconv.Quote(short(key)) }

func short(key string) string {
	if len(key) > 64 {
		return strings.ToValidUTF8(key[:64], "") + "…"
	}
	return key
}

// step shows a key in a path.
func step(key string) string {
	for _, c := range key {
		if c != '_' && c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return "[" + quote(key) + "]"
		}
	}
	if key == "" {
		return `[""]`
	}
	return short(key)
}
