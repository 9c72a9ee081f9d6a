package account

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Policy is a set of statements in the Huawei Cloud JSON form:
//
//	{"Version":"1.1","Statement":[{"Effect":"Allow","Action":["cph:phones:reset"],
//	  "Condition":{"StringEquals":{"g:ProjectName":["local-1"]}}}]}
type Policy struct {
	Name      string      `json:"Name,omitempty"`
	Version   string      `json:"Version"`
	Statement []Statement `json:"Statement"`
}

// Statement allows or denies actions. An action is service:resource:operation; "*" stands for any run of characters.
type Statement struct {
	Effect    string    `json:"Effect"` // Allow or Deny
	Action    []string  `json:"Action"`
	Condition Condition `json:"Condition,omitempty"` // none: always
}

// The effects of a statement.
const (
	Allow = "Allow"
	Deny  = "Deny"
)

// The limits of a policy (IAM API reference, "Creating a Custom Policy for Cloud Services" and its error codes).
const (
	MaxPolicyBytes = 6144
	maxStatements  = 8
	maxActions     = 100
	maxActionBytes = 128
	maxPolicyName  = 64
)

// ParsePolicy reads a policy in its JSON form. It refuses what IAM knows and lethe does not (Resource, NotAction, a condition
// on what no call here has): a statement without its restriction would allow more than it was written to. The error names the
// field and the cure, and is safe to show.
func ParsePolicy(text []byte) (Policy, error) {
	if len(text) > MaxPolicyBytes {
		return Policy{}, fmt.Errorf("the policy has %d bytes, at most %d are taken: split it into several", len(text), MaxPolicyBytes)
	}
	if !utf8.Valid(text) {
		return Policy{}, errors.New("the policy is not valid UTF-8")
	}
	var p Policy
	err := object(text, "the policy", func(key string, value json.RawMessage) error {
		switch key {
		case "Name":
			return into(value, &p.Name, "Name", "a string")
		case "Version":
			return into(value, &p.Version, "Version", `a string, "1.1"`)
		case "Statement":
			return p.parseStatements(value)
		case "Depends":
			return errors.New("the field Depends is not supported: remove it and allow the actions themselves")
		}
		return fmt.Errorf("%.64q is no field of a policy: only Name, Version and Statement are", key)
	})
	if err != nil {
		return Policy{}, err
	}
	return p, p.Validate()
}

func (p *Policy) parseStatements(text json.RawMessage) error {
	var statements []json.RawMessage
	if err := into(text, &statements, "Statement", "a list of objects"); err != nil {
		return err
	}
	for i, text := range statements {
		name := fmt.Sprintf("Statement[%d]", i)
		var s Statement
		err := object(text, name, func(key string, value json.RawMessage) error {
			switch key {
			case "Effect":
				return into(value, &s.Effect, name+".Effect", "a string, Allow or Deny")
			case "Action":
				return into(value, &s.Action, name+".Action", "a list of strings")
			case "Condition":
				var err error
				s.Condition, err = parseCondition(value, name+".Condition")
				return err
			case "Resource":
				return fmt.Errorf("%s.Resource is not supported: remove it; a project is chosen by a Condition on %s, or by granting the policy on the project", name, KeyProjectName)
			case "NotAction":
				return fmt.Errorf("%s.NotAction is not supported: remove it, and name in Action exactly what the statement is for", name)
			}
			return fmt.Errorf("%.64q is no field of %s: only Effect, Action and Condition are", key, name)
		})
		if err != nil {
			return err
		}
		p.Statement = append(p.Statement, s)
	}
	return nil
}

// Validate refuses a policy that ParsePolicy would refuse, for one that came another way.
func (p Policy) Validate() error {
	switch {
	case len(p.Name) > maxPolicyName || strings.ContainsFunc(p.Name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fmt.Errorf("the field Name must have at most %d bytes and no control characters", maxPolicyName)
	case p.Version == "":
		return errors.New(`the field Version is missing: add "Version":"1.1"`)
	case p.Version != "1.0" && p.Version != "1.1":
		return fmt.Errorf(`the Version %.64q is not known: write "1.1"`, p.Version)
	case len(p.Statement) == 0:
		return errors.New("the field Statement is missing or empty: add at least one object with Effect and Action")
	case len(p.Statement) > maxStatements:
		return fmt.Errorf("the field Statement has %d elements, at most %d are taken: put more actions into one, or use several policies", len(p.Statement), maxStatements)
	}
	for i, s := range p.Statement {
		if err := s.validate(); err != nil {
			return fmt.Errorf("in Statement[%d]: %w", i, err)
		}
	}
	if text, err := json.Marshal(p); err != nil || len(text) > MaxPolicyBytes {
		return fmt.Errorf("the policy has more than %d bytes: split it into several", MaxPolicyBytes)
	}
	return nil
}

func (s Statement) validate() error {
	switch {
	case s.Effect != Allow && s.Effect != Deny:
		return fmt.Errorf("the Effect %.64q is not known: write Allow or Deny", s.Effect)
	case len(s.Action) == 0:
		return errors.New("the field Action is missing or empty: name at least one action, like cph:phones:reset")
	case len(s.Action) > maxActions:
		return fmt.Errorf("the field Action has %d elements, at most %d are taken: use * or several statements", len(s.Action), maxActions)
	}
	for i, action := range s.Action {
		if !validAction(action) {
			return fmt.Errorf("in Action[%d]: %.140q is no action: write service:resource:operation, like cph:phones:reset, with * for any run of characters", i, action)
		}
	}
	return s.Condition.validate()
}

// validAction takes three parts of letters, digits, _ - and *, and fewer when the last one ends in a star ("*", "cph:*"),
// which covers the parts that are missing. Any other action of fewer parts could match nothing.
func validAction(action string) bool {
	if len(action) > maxActionBytes {
		return false
	}
	parts := strings.Split(action, ":")
	if len(parts) > 3 || len(parts) < 3 && !strings.HasSuffix(action, "*") {
		return false
	}
	return !slices.ContainsFunc(parts, func(part string) bool {
		return part == "" || strings.ContainsFunc(part, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-' && r != '*'
		})
	})
}

// object reads one JSON object and calls field once for each key, with the key as it is written. encoding/json alone would
// take a key in any case, and a key twice: with "Effect" given twice nobody could say which one was meant.
func object(text []byte, name string, field func(key string, value json.RawMessage) error) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return fmt.Errorf("%s is not a JSON object", name)
	}
	seen := map[string]bool{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return fmt.Errorf("%s is not valid JSON", name)
		}
		key := token.(string) // within an object the decoder itself refuses any other key
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return fmt.Errorf("%s is not valid JSON", name)
		}
		if seen[key] {
			return fmt.Errorf("%s has the key %.64q twice: keep one", name, key)
		}
		seen[key] = true
		if err := field(key, value); err != nil {
			return err
		}
	}
	if _, err := decoder.Token(); err != nil {
		return fmt.Errorf("%s is not valid JSON", name)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("something follows the end of %s", name)
	}
	return nil
}

func into[T any](text json.RawMessage, value *T, name, must string) error {
	if string(text) == "null" || json.Unmarshal(text, value) != nil {
		return fmt.Errorf("%s must be %s", name, must)
	}
	return nil
}
