package account

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Condition restricts a statement: operator, condition key, values. All operators and keys must hold, of a key's values one.
//
//	{"StringEquals":{"g:ProjectName":["local-1","local-2"]}}
type Condition map[string]map[string][]string

// The condition keys: those of IAM's global ones that a call to lethe has (IAM user guide, request conditions).
const (
	KeyProjectName = "g:ProjectName" // of the project that the call is about; a call about the account has none
	KeyDomainName  = "g:DomainName"  // of the caller's account
	KeyUserName    = "g:UserName"
	KeyUserID      = "g:UserId"
)

var conditionKeys = []string{KeyProjectName, KeyDomainName, KeyUserName, KeyUserID}

// operator is a comparison of the call's value with one of the condition's; with negated none of them may hold.
type operator struct {
	holds   func(value, with string) bool
	negated bool
}

var operators = map[string]operator{
	"StringEquals":       {func(a, b string) bool { return a == b }, false},
	"StringNotEquals":    {func(a, b string) bool { return a == b }, true},
	"StringStartWith":    {strings.HasPrefix, false},
	"StringNotStartWith": {strings.HasPrefix, true},
	"StringEndWith":      {strings.HasSuffix, false},
	"StringNotEndWith":   {strings.HasSuffix, true},
}

// The limits of a condition; the policy's own length bounds the rest.
const (
	maxConditionValues = 50
	maxConditionValue  = 128 // bytes
)

// allows reports whether a statement that allows counts. A key that the call has no value of holds for no operator, not even a
// negated one: "in every project but this one" gives nothing away outside of all projects.
func (c Condition) allows(values map[string]string) bool { return c.hold(values, false) }

// denies reports whether a statement that denies counts. A key that the call has no value of fails an operator and holds for a
// negated one: "nothing but in this project" denies also what is in none. What is no operator, and so never went through
// ParsePolicy, holds.
func (c Condition) denies(values map[string]string) bool { return c.hold(values, true) }

func (c Condition) hold(values map[string]string, deny bool) bool {
	for name, keys := range c {
		operator, known := operators[name]
		if !known {
			if deny {
				continue
			}
			return false
		}
		for key, with := range keys {
			value, has := values[key]
			if !has && (!deny || !operator.negated) {
				return false
			}
			one := has && slices.ContainsFunc(with, func(w string) bool { return operator.holds(value, w) })
			if one == operator.negated {
				return false
			}
		}
	}
	return true
}

// parseCondition reads a condition; a value may also stand alone instead of in a list.
func parseCondition(text json.RawMessage, name string) (Condition, error) {
	c := Condition{}
	err := object(text, name, func(operator string, keys json.RawMessage) error {
		at := name + "." + operator
		c[operator] = map[string][]string{}
		return object(keys, at, func(key string, value json.RawMessage) error {
			var list []string
			var single string
			if string(value) != "null" && json.Unmarshal(value, &single) == nil {
				list = []string{single}
			} else if err := into(value, &list, at+"."+key, "a list of strings"); err != nil {
				return err
			}
			c[operator][key] = list
			return nil
		})
	})
	return c, err
}

func (c Condition) validate() error {
	if c != nil && len(c) == 0 {
		return errors.New("the field Condition is empty: leave it out")
	}
	for _, name := range slices.Sorted(maps.Keys(c)) {
		if _, ok := operators[name]; !ok {
			return fmt.Errorf("the Condition operator %.64q is not supported: there are %s", name, strings.Join(slices.Sorted(maps.Keys(operators)), ", "))
		}
		if len(c[name]) == 0 {
			return fmt.Errorf("the Condition operator %s has no key: leave it out, or name one of %s", name, strings.Join(conditionKeys, ", "))
		}
		for _, key := range slices.Sorted(maps.Keys(c[name])) {
			values := c[name][key]
			switch {
			case !slices.Contains(conditionKeys, key):
				return fmt.Errorf("the Condition key %.64q is not supported: there are %s", key, strings.Join(conditionKeys, ", "))
			case len(values) == 0 || len(values) > maxConditionValues:
				return fmt.Errorf("the field Condition.%s.%s has %d values: 1 to %d are taken", name, key, len(values), maxConditionValues)
			case slices.ContainsFunc(values, func(v string) bool { return v == "" || len(v) > maxConditionValue }):
				return fmt.Errorf("the field Condition.%s.%s has a value of no or of more than %d bytes", name, key, maxConditionValue)
			}
		}
	}
	return nil
}
