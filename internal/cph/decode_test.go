package cph

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/lethe-cloud/lethe/internal/phone"
)

func TestLonger(t *testing.T) {
	t.Parallel()
	for list, n := range map[string]int{
		`[]`: 0, ` [ ] `: 0, `[1]`: 1, `[1,2]`: 2, `[[1,2],{"a":[3,4],"b":5}]`: 2, `["a,b","\",[",3]`: 3, `["\\",2]`: 2, `["\\\",",2]`: 2,
	} {
		for max := 1; max < 5; max++ {
			if got := longer([]byte(list), max); got != (n > max) {
				t.Errorf("longer(%s, %d) = %t with %d elements", list, max, got, n)
			}
		}
	}
}

// Whatever the body: it is refused with an error that has a line in the table and says something, or it is JSON that means the
// same to encoding/json.
func FuzzDecodeReset(f *testing.F) {
	example, err := os.ReadFile("testdata/reset_request.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(example)
	for _, seed := range []string{
		``, `{}`, `null`, `[]`, `{"phones":[]}`, `{"phones":[{"phone_id":"a","property":"","factory_reset_enabled":true}],"image_id":""}`,
		`{"phones":[{"phone_id":"a","property":{}},{"phone_id":"a","property":null},{"phone_id":"b\u0000"}]}`,
		`{"phones":[{"phone_id":1}]}`, `{"phones":[null]}`, `{"phones":[{"phone_id":"a"},{"phone_id":"a"},{"phone_id":"a"},{"phone_id":"a"}]}`,
		`{"phones":[{"phone_id":"a"}],"phones":[]}`, `{"PHONES":[]}`, `{"x":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[`, "{\"phones\":[{\"phone_id\":\"\xff\"}]}",
		`{"phones":[{"phone_id":"\ud800"}]}`, `{"phones":[{"phone_id":"a"}]} x`,
	} {
		f.Add([]byte(seed))
	}
	const max = 3
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := decodeReset(body, max)
		if err != nil {
			var e *phone.Error
			if !errors.As(err, &e) || e.Msg == "" {
				t.Fatalf("error %v", err)
			}
			if l := lineOf(err); l.status != 400 || !strings.HasPrefix(l.code, "CPS.") || !utf8.ValidString(l.sentence(err)) {
				t.Fatalf("answered with %+v", l)
			}
			return
		}
		var want struct {
			ImageID *string `json:"image_id"`
			Phones  []struct {
				PhoneID string `json:"phone_id"`
				Factory bool   `json:"factory_reset_enabled"`
			} `json:"phones"`
		}
		if err := json.Unmarshal(body, &want); err != nil {
			t.Fatalf("took what encoding/json refuses: %v", err)
		}
		if len(got.Phones) != len(want.Phones) || len(got.Phones) > max {
			t.Fatalf("%d phones, want %d", len(got.Phones), len(want.Phones))
		}
		if want.ImageID != nil && got.Image != *want.ImageID {
			t.Fatalf("image %q, want %q", got.Image, *want.ImageID)
		}
		for i, p := range got.Phones {
			if p.ID != want.Phones[i].PhoneID || p.Factory != want.Phones[i].Factory {
				t.Fatalf("phone %d is %+v, want %+v", i, p, want.Phones[i])
			}
		}
	})
}
