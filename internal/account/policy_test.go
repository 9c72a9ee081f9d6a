package account

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParsePolicy(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text string
		want Policy
	}{
		{`{"Version":"1.1","Statement":[{"Effect":"Allow","Action":["cph:phones:reset"]}]}`,
			Policy{Version: "1.1", Statement: []Statement{{Effect: Allow, Action: []string{"cph:phones:reset"}}}}},
		{` {"Statement" : [ {"Action":["cph:*","*","CPH:Phones:*"],"Effect":"Deny"}, {"Effect":"Allow","Action":["ims:images:get"]} ], "Version":"1.0", "Name":"read only"} `,
			Policy{Name: "read only", Version: "1.0", Statement: []Statement{
				{Effect: Deny, Action: []string{"cph:*", "*", "CPH:Phones:*"}}, {Effect: Allow, Action: []string{"ims:images:get"}},
			}}},
		{`{"Version":"1.1","Statement":[{"Effect":"Allow","Action":["*"],"Condition":{"StringEquals":{"g:ProjectName":["a","b"],"g:UserName":"c"}}}]}`,
			Policy{Version: "1.1", Statement: []Statement{{Effect: Allow, Action: []string{"*"}, Condition: Condition{
				"StringEquals": {KeyProjectName: {"a", "b"}, KeyUserName: {"c"}},
			}}}}},
	}
	for _, tt := range tests {
		got, err := ParsePolicy([]byte(tt.text))
		if err != nil {
			t.Errorf("ParsePolicy(%s): %v", tt.text, err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("ParsePolicy(%s) (-want +got):\n%s", tt.text, diff)
		}
		again, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ParsePolicy(again); err != nil || !cmp.Equal(tt.want, got) {
			t.Errorf("what was parsed, written and parsed again: %v, %v", got, err)
		}
	}
}

func TestParsePolicyRefuses(t *testing.T) {
	t.Parallel()
	const good = `{"Effect":"Allow","Action":["cph:phones:reset"]}`
	list := func(n int, element string) string { return strings.TrimSuffix(strings.Repeat(element+",", n), ",") }
	statement := func(fields string) string { return `{"Version":"1.1","Statement":[{` + fields + `}]}` }
	action := func(a string) string {
		return statement(fmt.Sprintf(`"Effect":"Allow","Action":["cph:phones:list",%q]`, a))
	}
	tests := []struct {
		name string
		text string
		says []string // what the message must name: the field and the cure
	}{
		{"empty", "", []string{"not a JSON object"}},
		{"not JSON", "{", []string{"not valid JSON"}},
		{"truncated", `{"Version":"1.1","Statement":[` + good, []string{"not valid JSON"}},
		{"a list", "[]", []string{"not a JSON object"}},
		{"null", "null", []string{"not a JSON object"}},
		{"two values", `{"Version":"1.1","Statement":[` + good + `]} {}`, []string{"something follows"}},
		{"not UTF-8", "{\"Version\":\"1.1\xff\"}", []string{"UTF-8"}},
		{"too long", `{"Version":"1.1","Statement":[` + good + `]}` + strings.Repeat(" ", MaxPolicyBytes), []string{"6144"}},
		{"unknown key", `{"Version":"1.1","Statement":[` + good + `],"Id":"x"}`, []string{`"Id"`, "Version"}},
		{"key in another case", `{"version":"1.1","Statement":[` + good + `]}`, []string{`"version"`, "Version"}},
		{"key twice", `{"Version":"1.1","Version":"1.1","Statement":[` + good + `]}`, []string{`"Version" twice`}},
		{"depends", `{"Version":"1.0","Statement":[` + good + `],"Depends":[]}`, []string{"Depends", "remove"}},
		{"no version", `{"Statement":[` + good + `]}`, []string{"Version is missing", `"1.1"`}},
		{"version 5.0", `{"Version":"5.0","Statement":[` + good + `]}`, []string{`"5.0"`, `"1.1"`}},
		{"version a number", `{"Version":1.1,"Statement":[` + good + `]}`, []string{"Version must be a string"}},
		{"version null", `{"Version":null,"Statement":[` + good + `]}`, []string{"Version must be a string"}},
		{"name a number", `{"Name":7,"Version":"1.1","Statement":[` + good + `]}`, []string{"Name must be a string"}},
		{"name too long", `{"Name":"` + strings.Repeat("n", 65) + `","Version":"1.1","Statement":[` + good + `]}`, []string{"Name", "64"}},
		{"name with a line break", `{"Name":"a\nb","Version":"1.1","Statement":[` + good + `]}`, []string{"Name", "control"}},
		{"no statement", `{"Version":"1.1"}`, []string{"Statement is missing"}},
		{"empty statement", `{"Version":"1.1","Statement":[]}`, []string{"Statement is missing or empty"}},
		{"statement an object", `{"Version":"1.1","Statement":` + good + `}`, []string{"Statement must be a list"}},
		{"statement of strings", `{"Version":"1.1","Statement":["Allow"]}`, []string{"Statement[0] is not a JSON object"}},
		{"nine statements", `{"Version":"1.1","Statement":[` + list(9, good) + `]}`, []string{"9 elements", "at most 8"}},
		{"no effect", statement(`"Action":["*"]`), []string{"Statement[0]", "Effect", "Allow or Deny"}},
		{"effect in another case", statement(`"Effect":"allow","Action":["*"]`), []string{`"allow"`, "Allow or Deny"}},
		{"effect a list", statement(`"Effect":["Allow"],"Action":["*"]`), []string{"Statement[0].Effect must be"}},
		{"effect twice", statement(`"Effect":"Deny","Action":["*"],"Effect":"Allow"`), []string{`"Effect" twice`}},
		{"no action", statement(`"Effect":"Allow"`), []string{"Statement[0]", "Action is missing"}},
		{"empty action", statement(`"Effect":"Allow","Action":[]`), []string{"Action is missing or empty"}},
		{"action a string", statement(`"Effect":"Allow","Action":"*"`), []string{"Statement[0].Action must be a list"}},
		{"101 actions", statement(`"Effect":"Allow","Action":[` + list(101, `"*"`) + `]`), []string{"101 elements", "at most 100"}},
		{"an empty condition", statement(`"Effect":"Allow","Action":["*"],"Condition":{}`), []string{"Statement[0]", "Condition is empty", "leave it out"}},
		{"a condition that is a list", statement(`"Effect":"Allow","Action":["*"],"Condition":[]`), []string{"Statement[0].Condition", "not a JSON object"}},
		{"a condition's unknown operator", statement(`"Effect":"Allow","Action":["*"],"Condition":{"Bool":{"g:UserName":["a"]}}`), []string{`"Bool"`, "StringEquals"}},
		{"a condition's unknown key", statement(`"Effect":"Allow","Action":["*"],"Condition":{"StringEquals":{"g:MFAPresent":["true"]}}`), []string{`"g:MFAPresent"`, "g:ProjectName"}},
		{"a condition without key", statement(`"Effect":"Allow","Action":["*"],"Condition":{"StringEquals":{}}`), []string{"StringEquals", "no key"}},
		{"a condition without value", statement(`"Effect":"Allow","Action":["*"],"Condition":{"StringEquals":{"g:UserName":[]}}`), []string{"g:UserName", "0 values"}},
		{"a condition with an empty value", statement(`"Effect":"Allow","Action":["*"],"Condition":{"StringEquals":{"g:UserName":""}}`), []string{"g:UserName", "128 bytes"}},
		{"a condition with a number", statement(`"Effect":"Allow","Action":["*"],"Condition":{"StringEquals":{"g:UserName":7}}`), []string{"g:UserName", "list of strings"}},
		{"a condition with null", statement(`"Effect":"Allow","Action":["*"],"Condition":{"StringEquals":{"g:UserName":null}}`), []string{"g:UserName", "list of strings"}},
		{"a condition's key twice", statement(`"Effect":"Allow","Action":["*"],"Condition":{"StringEquals":{"g:UserName":["a"],"g:UserName":["b"]}}`), []string{`"g:UserName" twice`}},
		{"a resource", statement(`"Effect":"Allow","Action":["*"],"Resource":["*"]`), []string{"Statement[0].Resource", "remove"}},
		{"not action", statement(`"Effect":"Allow","NotAction":["*"]`), []string{"Statement[0].NotAction", "remove"}},
		{"unknown key in a statement", statement(`"Effect":"Allow","Action":["*"],"Sid":"1"`), []string{`"Sid"`, "Effect, Action and Condition"}},
		{"action of no part", action(""), []string{"Action[1]", "service:resource:operation"}},
		{"action of one part", action("cph"), []string{"Action[1]", `"cph"`}},
		{"action of two parts", action("cph:phones"), []string{"Action[1]", `"cph:phones"`}},
		{"action of four parts", action("cph:phones:reset:now"), []string{"Action[1]"}},
		{"action with an empty part", action("cph::reset"), []string{"Action[1]"}},
		{"action ending in a colon", action("cph:phones:"), []string{"Action[1]"}},
		{"action with a space", action("cph:phones:re set"), []string{"Action[1]"}},
		{"action with a question mark", action("cph:phones:rese?"), []string{"Action[1]"}},
		{"action too long", action("cph:phones:" + strings.Repeat("x", 120)), []string{"Action[1]"}},
		{"action null", statement(`"Effect":"Allow","Action":[null]`), []string{"Action[0]"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, err := ParsePolicy([]byte(tt.text))
			if err == nil {
				t.Fatalf("ParsePolicy(%s) = %v, want an error", tt.text, p)
			}
			for _, part := range tt.says {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("the error %q does not say %q", err, part)
				}
			}
		})
	}
}

// FuzzParsePolicy holds ParsePolicy to its word: what it accepts is valid, and says the same when it is written and read again.
func FuzzParsePolicy(f *testing.F) {
	f.Add([]byte(`{"Version":"1.1","Statement":[{"Effect":"Allow","Action":["cph:phones:reset"]}]}`))
	f.Add([]byte(`{"Version":"1.1","Statement":[{"Effect":"Deny","Action":["*"],"Effect":"Allow"}]}`))
	f.Add([]byte(`{"Name":"\u0000","Version":"1.0","Statement":[{}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := ParsePolicy(text)
		if err != nil {
			return
		}
		if err := p.Validate(); err != nil {
			t.Fatalf("accepted, but not valid: %v", err)
		}
		again, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		q, err := ParsePolicy(again)
		if err != nil && len(again) <= MaxPolicyBytes {
			t.Fatalf("accepted %q, but not as it is written: %s: %v", text, again, err)
		}
		if err == nil && !cmp.Equal(p, q) {
			t.Fatalf("read again it says something else:\n%s", cmp.Diff(p, q))
		}
	})
}
