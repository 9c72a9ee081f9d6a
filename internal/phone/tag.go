package phone

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxTags is how many tags one server may have, as on every resource of the cloud whose API this is.
const MaxTags = 20

// Tag is a word that a tenant hangs on a server. A server has each key once.
type Tag struct {
	Key   string
	Value string
}

// TagValues is a key with all values that it has.
type TagValues struct {
	Key    string
	Values []string
}

// TaggedServer is a server with its tags, by key.
type TaggedServer struct {
	ID   ServerID
	Name string
	Tags []Tag
}

// CheckTags refuses (Invalid, with ReasonTagInvalid) tags that no server may have [SDK model_tag.go], and a key that stands twice.
// Tags to be removed may lack their value.
func CheckTags(tags []Tag, remove bool) *Error {
	if len(tags) == 0 || len(tags) > MaxTags {
		return badTag("tags", "must have 1 to %d elements", MaxTags)
	}
	seen := map[string]bool{}
	for i, t := range tags {
		at := func(part string) string { return fmt.Sprintf("tags[%d].%s", i, part) }
		switch {
		case !tagText(t.Key, 127) || strings.HasPrefix(t.Key, "_sys_"):
			return badTag(at("key"), "must be 1 to 127 letters, digits, spaces and _ . : = + - @, and not begin with _sys_")
		case seen[t.Key]:
			return badTag(at("key"), "stands twice")
		case !tagText(t.Value, 255) && !(remove && t.Value == ""):
			return badTag(at("value"), "must be 1 to 255 letters, digits, spaces and _ . : = + - @")
		}
		seen[t.Key] = true
	}
	return nil
}

func badTag(field, format string, args ...any) *Error {
	return &Error{Code: Invalid, Reason: ReasonTagInvalid, Field: field, Msg: field + " " + fmt.Sprintf(format, args...)}
}

// tagText reports whether s is 1 to max characters that a tag may have, without spaces around it.
func tagText(s string, max int) bool {
	foreign := func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) && !strings.ContainsRune(" _.:：=+-@", r)
	}
	return s != "" && utf8.ValidString(s) && utf8.RuneCountInString(s) <= max && !strings.ContainsFunc(s, foreign) && strings.TrimSpace(s) == s
}

// MergeTags decides what tags a server has after these were added: one of a key that it has takes the old one's place. More than
// MaxTags are Exhausted with ReasonTagsTooMany.
func MergeTags(present, added []Tag) ([]Tag, *Error) {
	merged := append([]Tag(nil), present...)
	for _, t := range added {
		i := 0
		for i < len(merged) && merged[i].Key != t.Key {
			i++
		}
		if i == len(merged) {
			merged = append(merged, t)
		}
		merged[i] = t
	}
	if len(merged) > MaxTags {
		return nil, Errorf(Exhausted, ReasonTagsTooMany, "the server would have %d tags, at most %d are kept", len(merged), MaxTags)
	}
	return merged, nil
}
