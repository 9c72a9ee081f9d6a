package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/fleet"
)

func newUserCommand(env *environment) *cobra.Command {
	return group("user", "Add users, and say what they may do", newUserAddCommand(env), newUserListCommand(env), newUserShowCommand(env),
		newUserSetCommand(env), newUserPolicyCommand(env), newUserPasswordCommand(env), newUserDeleteCommand(env))
}

// policyFlags say what a user may do.
type policyFlags struct {
	allow []string
	deny  []string
	file  string
	none  bool
}

func (f *policyFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringSliceVar(&f.allow, "allow", nil, "allow an `action` such as cph:phones:reset or cph:*; may be given many times")
	flags.StringSliceVar(&f.deny, "deny", nil, "deny an `action`, whatever is allowed")
	flags.StringVar(&f.file, "policy", "", "a policy, or a list of policies, in the Huawei Cloud JSON form, a `file`")
	actions := make([]string, 0, len(fleet.Actions()))
	for _, action := range fleet.Actions() {
		actions = append(actions, string(action))
	}
	completeFlag(cmd, "allow", completeWords(actions...))
	completeFlag(cmd, "deny", completeWords(actions...))
}

func (f *policyFlags) given() bool {
	return len(f.allow) > 0 || len(f.deny) > 0 || f.file != "" || f.none
}

// policies puts the flags together: those of the file, and one of --allow and --deny.
func (f *policyFlags) policies() ([]api.Policy, error) {
	if f.none {
		if len(f.allow) > 0 || len(f.deny) > 0 || f.file != "" {
			return nil, usagef("--none takes everything away: give it alone")
		}
		return []api.Policy{}, nil
	}
	policies := []api.Policy{}
	if f.file != "" {
		read, err := readPolicies(f.file)
		if err != nil {
			return nil, usagef("--policy %s: %w", f.file, err)
		}
		policies = read
	}
	var own []account.Statement
	if len(f.allow) > 0 {
		own = append(own, account.Statement{Effect: account.Allow, Action: f.allow})
	}
	if len(f.deny) > 0 {
		own = append(own, account.Statement{Effect: account.Deny, Action: f.deny})
	}
	if len(own) == 0 {
		return policies, nil
	}
	policy := account.Policy{Version: "1.1", Statement: own}
	if err := policy.Validate(); err != nil {
		return nil, usagef("--allow and --deny: %w", err)
	}
	return append(policies, policyOut(policy)), nil
}

// readPolicies reads a file with one policy, or with a list of them.
func readPolicies(path string) ([]api.Policy, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, cause(err)
	}
	list := []json.RawMessage{text}
	if strings.HasPrefix(strings.TrimSpace(string(text)), "[") {
		if err := json.Unmarshal(text, &list); err != nil {
			return nil, fmt.Errorf("not valid JSON: %w", err)
		}
	}
	var policies []api.Policy
	for _, text := range list {
		policy, err := account.ParsePolicy(text)
		if err != nil {
			return nil, err
		}
		policies = append(policies, policyOut(policy))
	}
	return policies, nil
}

func policyOut(p account.Policy) api.Policy {
	out := api.Policy{Name: p.Name, Version: p.Version}
	for _, s := range p.Statement {
		out.Statement = append(out.Statement, api.Statement{Effect: s.Effect, Action: s.Action, Condition: s.Condition})
	}
	return out
}

func newUserAddCommand(env *environment) *cobra.Command {
	var f policyFlags
	var save saveFlag
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Add a user, and show its password and its access key this once",
		Long: "Add a user, and show its password and its access key: they are shown this once and cannot be had again.\n\n" +
			"A user may do what its policies allow, and nothing without one: its own, which the flags give it, and those that are attached to it\n" +
			"or to its groups with lethe policy attach.",
		Example: "  lethe user add ci --allow cph:phones:reset,ims:images:get,cph:jobs:list --save ci.json\n  lethe user add auditor --policy readonly.json -o json",
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			policies, err := f.policies()
			if err != nil {
				return err
			}
			if err := save.check(); err != nil {
				return err
			}
			c, err := env.client()
			if err != nil {
				return err
			}
			added, err := c.AddUser(cmd.Context(), api.AddUser{UserName: args[0], Policies: policies})
			if err != nil {
				return err
			}
			if err := save.user(env, added); err != nil {
				return err
			}
			return env.print(added, func() table {
				return pairs(append([]string{"USER ID", added.UserID, "NAME", added.UserName, "POLICIES", policyWords(added.Policies)},
					save.secrets("PASSWORD", added.Password, "ACCESS KEY", added.AccessKey, "SECRET KEY", added.SecretKey)...)...)
			})
		},
	}
	f.register(cmd)
	save.register(cmd)
	return cmd
}

func newUserListCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"},
		Short: "List the account's users",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := env.client()
			if err != nil {
				return err
			}
			users, err := c.Users(cmd.Context())
			if err != nil {
				return err
			}
			return env.print(users, func() table { return userTable(users...) })
		},
	}
}

func newUserPolicyCommand(env *environment) *cobra.Command {
	var f policyFlags
	cmd := &cobra.Command{
		Use:               "policy NAME --allow ACTION... | --policy FILE | --none",
		Short:             "Replace a user's own policies; its tokens die at once",
		ValidArgsFunction: once(completeUsers(env)),
		Args: func(cmd *cobra.Command, args []string) error {
			if err := exactArgs(1)(cmd, args); err != nil {
				return err
			}
			if !f.given() {
				return usagef("say what %s may do: --allow ACTION, --deny ACTION, --policy FILE, or --none", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			policies, err := f.policies()
			if err != nil {
				return err
			}
			c, err := env.client()
			if err != nil {
				return err
			}
			user, err := c.SetPolicies(cmd.Context(), args[0], policies)
			if err != nil {
				return err
			}
			return env.print(user, func() table { return pairs("NAME", user.UserName, "POLICIES", policyWords(user.Policies)) })
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&f.none, "none", false, "nothing at all")
	return cmd
}

func userTable(users ...api.User) table {
	t := table{header: []string{"USER ID", "NAME", "ENABLED", "OWN POLICIES"}}
	for _, u := range users {
		may := policyWords(u.Policies)
		if u.Owner {
			may = "all (the account itself)"
		}
		t.rows = append(t.rows, []string{u.UserID, u.UserName, yesOrNo(u.Enabled), may})
	}
	return t
}

// policyWords sums policies up in one line.
func policyWords(policies []api.Policy) string {
	var words []string
	for _, policy := range policies {
		for _, statement := range policy.Statement {
			words = append(words, fmt.Sprintf("%s %s%s", strings.ToLower(statement.Effect), strings.Join(statement.Action, ","), conditionWords(statement.Condition)))
		}
	}
	if len(words) == 0 {
		return "nothing"
	}
	return strings.Join(words, "; ")
}

// conditionWords sums a condition up: " if g:ProjectName StringEquals local-1|local-2".
func conditionWords(condition map[string]map[string][]string) string {
	var words []string
	for _, operator := range slices.Sorted(maps.Keys(condition)) {
		for _, key := range slices.Sorted(maps.Keys(condition[operator])) {
			words = append(words, fmt.Sprintf("%s %s %s", key, operator, strings.Join(condition[operator][key], "|")))
		}
	}
	if len(words) == 0 {
		return ""
	}
	return " if " + strings.Join(words, " and ")
}
