package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/client"
)

func newPolicyCommand(env *environment) *cobra.Command {
	return group("policy", "Make policies, and attach them to users and groups", newPolicyAddCommand(env), newPolicyListCommand(env),
		newPolicyShowCommand(env), newPolicySetCommand(env), newPolicyAttachCommand(env), newPolicyDetachCommand(env), newPolicyDeleteCommand(env))
}

// one gives the one policy that the flags describe.
func (f *policyFlags) one() (api.Policy, error) {
	policies, err := f.policies()
	switch {
	case err != nil:
		return api.Policy{}, err
	case len(policies) != 1:
		return api.Policy{}, usagef("give one policy: --allow ACTION, --deny ACTION, or --policy FILE with one policy in it")
	}
	return policies[0], nil
}

func newPolicyAddCommand(env *environment) *cobra.Command {
	var f policyFlags
	cmd := &cobra.Command{
		Use:     "add NAME --allow ACTION... | --policy FILE",
		Short:   "Add a policy of the account; it counts for nobody until it is attached",
		Example: "  lethe policy add resetters --allow cph:phones:reset,cph:phones:list,cph:jobs:list\n  lethe policy attach resetters --group testers --project local-1",
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			policy, err := f.one()
			if err != nil {
				return err
			}
			if policy.Name != "" && policy.Name != args[0] {
				return usagef("the policy in %s is called %q: give it that name, or take Name out", f.file, policy.Name)
			}
			return does(env, func(ctx context.Context, c *client.Client, args []string) error {
				added, err := c.AddPolicy(ctx, api.AddPolicy{PolicyName: args[0], Policy: policy})
				if err != nil {
					return err
				}
				return env.print(added, func() table { return policyTable(added) })
			})(cmd, args)
		},
	}
	f.register(cmd)
	return cmd
}

func policyTable(policies ...api.NamedPolicy) table {
	t := table{header: []string{"NAME", "SYSTEM", "POLICY"}}
	for _, p := range policies {
		t.rows = append(t.rows, []string{p.PolicyName, yesOrNo(p.System), policyWords([]api.Policy{p.Policy})})
	}
	return t
}

func newPolicyListCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"},
		Short: "List the system policies and the account's",
		Args:  exactArgs(0),
		RunE: does(env, func(ctx context.Context, c *client.Client, _ []string) error {
			policies, err := c.Policies(ctx)
			if err != nil {
				return err
			}
			return env.print(policies, func() table { return policyTable(policies...) })
		}),
	}
}

func newPolicyShowCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:               "show NAME",
		Short:             "Show a policy",
		Args:              exactArgs(1),
		ValidArgsFunction: once(completePolicies(env)),
		RunE: does(env, func(ctx context.Context, c *client.Client, args []string) error {
			found, err := c.Policy(ctx, args[0])
			if err != nil {
				return err
			}
			return env.print(found, func() table { return policyTable(found) })
		}),
	}
}

func newPolicySetCommand(env *environment) *cobra.Command {
	var f policyFlags
	cmd := &cobra.Command{
		Use:               "set NAME --allow ACTION... | --policy FILE",
		Short:             "Replace what a policy says, for everybody who has it; their tokens die at once",
		Args:              exactArgs(1),
		ValidArgsFunction: once(completePolicies(env)),
		RunE: func(cmd *cobra.Command, args []string) error {
			policy, err := f.one()
			if err != nil {
				return err
			}
			return does(env, func(ctx context.Context, c *client.Client, args []string) error {
				set, err := c.SetPolicy(ctx, args[0], policy)
				if err != nil {
					return err
				}
				return env.print(set, func() table { return policyTable(set) })
			})(cmd, args)
		},
	}
	f.register(cmd)
	return cmd
}

// grantFlags say to whom a policy is given, and where it counts.
type grantFlags struct {
	user, group, project string
}

func (f *grantFlags) register(env *environment, cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.user, "user", "", "the `user` that has it")
	cmd.Flags().StringVar(&f.group, "group", "", "the `group` whose users have it")
	cmd.Flags().StringVar(&f.project, "project", "", "the one `project` in which it counts (default: all of the account)")
	completeFlag(cmd, "user", completeUsers(env))
	completeFlag(cmd, "group", completeGroups(env))
	completeFlag(cmd, "project", completeProjects(env))
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if (f.user == "") == (f.group == "") {
			return usagef("name who has the policy: either --user USER or --group GROUP")
		}
		if cmd.Flag("project").Changed && f.project == "" {
			return usagef("--project is empty: name a project, or leave the flag out for all of the account")
		}
		return nil
	}
}

func (f *grantFlags) grant(policy string) api.Grant {
	return api.Grant{UserName: f.user, GroupName: f.group, PolicyName: policy, ProjectName: f.project}
}

func newPolicyAttachCommand(env *environment) *cobra.Command {
	var f grantFlags
	cmd := &cobra.Command{
		Use:   "attach NAME --user USER | --group GROUP",
		Short: "Give a policy to a user or to a group, in all of the account or in one project",
		Long: "Give a policy to a user or to a group. With --project it counts for calls in that project and for nothing else; without, for all projects\n" +
			"of the account and for the account itself. The tokens of those who get it die at once.",
		Example:           "  lethe policy attach \"CPH FullAccess\" --user ann\n  lethe policy attach \"CPH ReadOnlyAccess\" --group testers --project local-1",
		Args:              exactArgs(1),
		ValidArgsFunction: once(completePolicies(env)),
		RunE: does(env, func(ctx context.Context, c *client.Client, args []string) error {
			grant, err := c.Attach(ctx, f.grant(args[0]))
			if err != nil {
				return err
			}
			return env.print(grant, func() table {
				return pairs("POLICY", grant.PolicyName, "USER", dash(grant.UserName), "GROUP", dash(grant.GroupName), "PROJECT", dash(grant.ProjectName))
			})
		}),
	}
	f.register(env, cmd)
	return cmd
}

func newPolicyDetachCommand(env *environment) *cobra.Command {
	var f grantFlags
	cmd := &cobra.Command{
		Use:               "detach NAME --user USER | --group GROUP",
		Short:             "Take back a policy that was attached; the tokens of those who had it die at once",
		Args:              exactArgs(1),
		ValidArgsFunction: once(completePolicies(env)),
		RunE: does(env, func(ctx context.Context, c *client.Client, args []string) error {
			if err := c.Detach(ctx, f.grant(args[0])); err != nil {
				return err
			}
			return env.say("policy %s is detached", args[0])
		}),
	}
	f.register(env, cmd)
	return cmd
}

func newPolicyDeleteCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:               "delete NAME",
		Short:             "Delete a policy of the account that is attached nowhere",
		Args:              exactArgs(1),
		ValidArgsFunction: once(completePolicies(env)),
		RunE: does(env, func(ctx context.Context, c *client.Client, args []string) error {
			if err := c.DeletePolicy(ctx, args[0]); err != nil {
				return err
			}
			return env.say("policy %s is deleted", args[0])
		}),
	}
}
