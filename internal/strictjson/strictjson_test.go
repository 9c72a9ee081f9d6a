package strictjson_test

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/strictjson"
)

type embedded struct {
	Label string `json:"label"`
}

type item struct {
	PhoneID string `json:"phone_id"`
	Factory bool   `json:"factory"`
	Small   int8   `json:"small"`
}

type body struct {
	embedded
	Embedded
	Image  string            `json:"image_id"`
	Phones []item            `json:"phones"`
	Any    json.RawMessage   `json:"any"`
	Map    map[string]string `json:"map"`
	Data   []byte            `json:"data"`
	Ratio  float64           `json:"ratio"`
	One    *item             `json:"one"`
	hidden string
}

type Embedded struct {
	OS string `json:"os"`
}

func TestDecodeTakes(t *testing.T) {
	t.Parallel()
	in := ` {"image_id":"a\u00e9\ud83d\ude00\n\"","phones":[{"phone_id":"x","factory":true,"small":-128},{}],"any":[1,{"a":null}],
		"map":{"k":"v"},"data":"aGk=","ratio":1.5e3,"one":{"phone_id":"y"},"os":"AOSP"}` + "\n"
	var got body
	if err := strictjson.Decode(strings.NewReader(in), &got, strictjson.Options{}); err != nil {
		t.Fatal(err)
	}
	want := body{
		Embedded: Embedded{OS: "AOSP"}, Image: "aé😀\n\"", Phones: []item{{PhoneID: "x", Factory: true, Small: -128}, {}},
		Any: json.RawMessage(`[1,{"a":null}]`), Map: map[string]string{"k": "v"}, Data: []byte("hi"), Ratio: 1500, One: &item{PhoneID: "y"}, hidden: "",
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(body{}, embedded{})); diff != "" {
		t.Error(diff)
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		body    string
		options strictjson.Options
		kind    strictjson.Kind
		says    string
	}{
		"nothing":               {"", strictjson.Options{}, strictjson.Empty, "the body is empty (line 1, column 1)"},
		"white space":           {" \n ", strictjson.Options{}, strictjson.Empty, "the body is empty (line 2, column 2)"},
		"truncated":             {`{"phones":[{"phone_id":`, strictjson.Options{}, strictjson.Syntax, "phones[0].phone_id: the body ends too early (line 1, column 24)"},
		"truncated string":      {`{"image_id":"ab`, strictjson.Options{}, strictjson.Syntax, "image_id: the body ends within a string (line 1, column 16)"},
		"truncated key":         {`{"image_id"`, strictjson.Options{}, strictjson.Syntax, "a colon was expected here (line 1, column 12)"},
		"truncated list":        {`{"phones":[{}`, strictjson.Options{}, strictjson.Syntax, "phones: the body ends too early (line 1, column 14)"},
		"no object":             {`[]`, strictjson.Options{}, strictjson.Type, "the body must be an object, not a list (line 1, column 1)"},
		"a word":                {`hello`, strictjson.Options{}, strictjson.Syntax, "a value was expected here (line 1, column 1)"},
		"trailing":              {`{} {}`, strictjson.Options{}, strictjson.Syntax, "something follows the end of the value (line 1, column 4)"},
		"trailing comma":        {`{"image_id":"a",}`, strictjson.Options{}, strictjson.Syntax, "a key in quotes was expected here (line 1, column 17)"},
		"duplicate":             {`{"image_id":"a","image_id":"b"}`, strictjson.Options{}, strictjson.Duplicate, `the key "image_id" stands twice (line 1, column 17)`},
		"duplicate by escape":   {`{"image_id":"a","image\u005fid":"b"}`, strictjson.Options{}, strictjson.Duplicate, `the key "image_id" stands twice (line 1, column 17)`},
		"duplicate deep in any": {`{"any":[{"a":1,"a":2}]}`, strictjson.Options{}, strictjson.Duplicate, `any[0]: the key "a" stands twice (line 1, column 16)`},
		"other case":            {`{"Image_ID":"a"}`, strictjson.Options{AllowUnknown: true}, strictjson.Unknown, `there is no field "Image_ID": write "image_id" (line 1, column 2)`},
		"unknown":               {`{"imag":"a"}`, strictjson.Options{}, strictjson.Unknown, `there is no field "imag" (line 1, column 2)`},
		"unknown, odd":          {"{\"a\\nb\":\"a\"}", strictjson.Options{}, strictjson.Unknown, `there is no field "a\nb" (line 1, column 2)`},
		"invalid UTF-8":         {"{\"image_id\":\"\xff\"}", strictjson.Options{}, strictjson.Syntax, "not valid UTF-8 (line 1, column 14)"},
		"half surrogate":        {`{"image_id":"\ud800x"}`, strictjson.Options{}, strictjson.Syntax, "image_id: half a surrogate pair is not a character (line 1, column 14)"},
		"second half alone":     {`{"image_id":"\udc00"}`, strictjson.Options{}, strictjson.Syntax, "image_id: half a surrogate pair is not a character (line 1, column 14)"},
		"wrong escape":          {`{"image_id":"\q"}`, strictjson.Options{}, strictjson.Syntax, "image_id: a string with a wrong escape (line 1, column 13)"},
		"control character":     {"{\"image_id\":\"a\nb\"}", strictjson.Options{}, strictjson.Syntax, "image_id: a control character within a string must be escaped (line 1, column 15)"},
		"number for string":     {`{"phones":[{},{"phone_id":7}]}`, strictjson.Options{}, strictjson.Type, "phones[1].phone_id: must be a string, not a number (line 1, column 27)"},
		"object for list":       {`{"phones":{}}`, strictjson.Options{}, strictjson.Type, "phones: must be a list, not an object (line 1, column 11)"},
		"string for boolean":    {`{"phones":[{"factory":"true"}]}`, strictjson.Options{}, strictjson.Type, "phones[0].factory: must be true or false, not a string (line 1, column 23)"},
		"boolean for string":    {`{"image_id":true}`, strictjson.Options{}, strictjson.Type, "image_id: must be a string, not a boolean (line 1, column 13)"},
		"list for bytes":        {`{"data":[1]}`, strictjson.Options{}, strictjson.Type, "data: must be a string in base64, not a list (line 1, column 9)"},
		"no base64":             {`{"data":"%"}`, strictjson.Options{}, strictjson.Type, "illegal base64 data at input byte 0"},
		"too big a number":      {`{"phones":[{"small":128}]}`, strictjson.Options{}, strictjson.Type, "phones[0].small: must be a whole number that fits into 8 bits (line 1, column 21)"},
		"fraction":              {`{"phones":[{"small":1.5}]}`, strictjson.Options{}, strictjson.Type, "phones[0].small: must be a whole number that fits into 8 bits (line 1, column 21)"},
		"not a number":          {`{"ratio":-}`, strictjson.Options{}, strictjson.Syntax, "ratio: not a number (line 1, column 10)"},
		"too big a float":       {`{"ratio":1e999}`, strictjson.Options{}, strictjson.Type, "ratio: a number 1e999 does not fit here (line 1, column 15)"},
		"half a word":           {`{"phones":[{"factory":tru}]}`, strictjson.Options{}, strictjson.Syntax, "phones[0].factory: a value was expected here (line 1, column 23)"},
		"too deep":              {`{"any":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + "}", strictjson.Options{}, strictjson.TooDeep, ""},
		"much too deep":         {`{"any":` + strings.Repeat(`{"a":`, 100_000), strictjson.Options{MaxBytes: 1 << 22}, strictjson.TooDeep, ""},
		"too large":             {`{"image_id":"` + strings.Repeat("a", 100) + `"}`, strictjson.Options{MaxBytes: 64}, strictjson.TooLarge, "the body has more than 64 bytes"},
		"unexported":            {`{"hidden":"a"}`, strictjson.Options{}, strictjson.Unknown, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got body
			err := strictjson.Decode(strings.NewReader(tt.body), &got, tt.options)
			var refused *strictjson.Error
			if !errors.As(err, &refused) {
				t.Fatalf("error %v, want a *strictjson.Error", err)
			}
			if refused.Kind != tt.kind {
				t.Errorf("kind %q, want %q", refused.Kind, tt.kind)
			}
			if tt.says != "" && err.Error() != tt.says {
				t.Errorf("says %q, want %q", err, tt.says)
			}
		})
	}
}

func TestDecodeSkipsUnknown(t *testing.T) {
	t.Parallel()
	var got body
	err := strictjson.Decode(strings.NewReader(`{"new":{"phones":[1]},"image_id":"a"}`), &got, strictjson.Options{AllowUnknown: true})
	if err != nil || got.Image != "a" {
		t.Fatalf("image %q, error %v", got.Image, err)
	}
}

func TestDecodeBrokenBody(t *testing.T) {
	t.Parallel()
	var got body
	err := strictjson.Decode(io.MultiReader(strings.NewReader(`{"image_id"`), iotest.ErrReader(io.ErrUnexpectedEOF)), &got, strictjson.Options{})
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("error %v, want the cause in its chain", err)
	}
}

// A body is either refused with an *Error or is JSON that encoding/json reads the same way.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"image_id":"a\u00e9","phones":[{"phone_id":"x","factory":true,"small":1}],"any":[1,{"a":null}],"map":{"k":"v"}}`))
	f.Add([]byte(`{"ratio":1e5,"data":"aGk=","one":null}`))
	f.Add([]byte(`[[[["\ud800"`))
	f.Add([]byte("{\"a\":\"\xff\"}"))
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, allow := range []bool{false, true} {
			var got, want body
			err := strictjson.Unmarshal(in, &got, strictjson.Options{AllowUnknown: allow})
			var refused *strictjson.Error
			switch {
			case err == nil:
				if err := json.Unmarshal(in, &want); err != nil {
					t.Fatalf("took what encoding/json refuses: %v", err)
				}
				if diff := cmp.Diff(want, got, cmp.AllowUnexported(body{}, embedded{})); diff != "" {
					t.Fatal(diff)
				}
			case !errors.As(err, &refused):
				t.Fatalf("error %v is no *Error", err)
			case refused.Line < 0 || refused.Msg == "":
				t.Fatalf("error without a message: %#v", refused)
			}
		}
		var anything any
		if err := strictjson.Unmarshal(in, &anything, strictjson.Options{MaxDepth: 10_000}); err == nil && !json.Valid(in) {
			t.Fatal("took what is no JSON")
		}
	})
}
