// Package strictjson decodes a request body into a struct and refuses what encoding/json would let pass: a key that stands
// twice, a key that differs from a field's name only in its case, invalid UTF-8, deep nesting, anything after the value, and
// a body beyond its limit. Every refusal says what is wrong and where.
package strictjson

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"unicode/utf8"
)

// Kind is what sort of wrong a body is.
type Kind string

// The kinds of errors.
const (
	Syntax    Kind = "syntax"    // not JSON, not UTF-8, or truncated
	Empty     Kind = "empty"     // no value at all
	TooLarge  Kind = "too_large" // more bytes than the limit
	TooDeep   Kind = "too_deep"  // nested deeper than the limit
	Duplicate Kind = "duplicate" // a key twice in one object
	Unknown   Kind = "unknown"   // a key that no field has
	Type      Kind = "type"      // a value of another type than the field's
)

// Error is a refused body. Everything in it is safe to show to whoever sent the body, but may quote its keys.
type Error struct {
	Kind Kind
	Path string // the value it is about: phones[3].phone_id; "" for the whole body
	Line int    // from 1; 0 when the body was not looked at
	Col  int    // from 1, in bytes
	Msg  string
	Err  error // why the body could not be read, if that was it
}

// Error gives the sentence with its place.
func (e *Error) Error() string {
	msg := e.Msg
	if e.Path != "" {
		msg = e.Path + ": " + msg
	}
	if e.Line > 0 {
		msg += fmt.Sprintf(" (line %d, column %d)", e.Line, e.Col)
	}
	return msg
}

// Unwrap gives why the body could not be read.
func (e *Error) Unwrap() error { return e.Err }

// Options are the limits of one kind of body.
type Options struct {
	// MaxBytes is the largest body; 0 means 1 MiB.
	MaxBytes int64
	// MaxDepth is how deep objects and lists may nest; 0 means 32.
	MaxDepth int
	// AllowUnknown skips keys that no field has, instead of refusing them.
	AllowUnknown bool
}

// Decode reads all of r and fills v, a pointer. Every error is an *Error; v is then not to be used.
func Decode(r io.Reader, v any, o Options) error {
	if o.MaxBytes == 0 {
		o.MaxBytes = 1 << 20
	}
	body, err := io.ReadAll(io.LimitReader(r, o.MaxBytes+1))
	if err != nil {
		return &Error{Kind: Syntax, Msg: "the body could not be read to its end", Err: err}
	}
	if int64(len(body)) > o.MaxBytes {
		return &Error{Kind: TooLarge, Msg: fmt.Sprintf("the body has more than %d bytes", o.MaxBytes)}
	}
	return Unmarshal(body, v, o)
}

// Unmarshal is Decode for a body that has been read; MaxBytes is not looked at.
func Unmarshal(body []byte, v any, o Options) error {
	if o.MaxDepth == 0 {
		o.MaxDepth = 32
	}
	if at := invalidUTF8(body); at >= 0 {
		return fail(body, at, Syntax, "", "not valid UTF-8")
	}
	s := scanner{body: body, options: o}
	if err := s.document(reflect.TypeOf(v).Elem()); err != nil {
		return err
	}
	err := json.Unmarshal(body, v)
	var wrong *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrong):
		return fail(body, int(wrong.Offset), Type, wrong.Field, "a %s does not fit here", wrong.Value)
	}
	return &Error{Kind: Type, Msg: err.Error()} // a field's own UnmarshalJSON, or base64 that is none
}

func invalidUTF8(body []byte) int {
	if utf8.Valid(body) {
		return -1
	}
	for at := 0; ; {
		r, size := utf8.DecodeRune(body[at:])
		if r == utf8.RuneError && size == 1 {
			return at
		}
		at += size
	}
}

// fail makes the error for a place in the body.
func fail(body []byte, at int, kind Kind, path, format string, args ...any) *Error {
	line, col := 1, 1
	for _, c := range body[:min(at, len(body))] {
		if col++; c == '\n' {
			line, col = line+1, 1
		}
	}
	return &Error{Kind: kind, Path: path, Line: line, Col: col, Msg: fmt.Sprintf(format, args...)}
}
