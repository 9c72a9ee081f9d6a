package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/client"
)

func newProjectCommand(env *environment) *cobra.Command {
	return group("project", "Divide the account into projects", newProjectAddCommand(env), newProjectListCommand(env), newProjectSetCommand(env), newProjectDeleteCommand(env))
}

func newProjectAddCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:     "add NAME",
		Short:   "Add a project",
		Example: "  lethe project add staging\n  LETHE_PROJECT_ID=... lethe server list",
		Args:    exactArgs(1),
		RunE: does(env, func(ctx context.Context, c *client.Client, args []string) error {
			added, err := c.AddProject(ctx, args[0])
			if err != nil {
				return err
			}
			return env.print(added, func() table { return projectTable(added) })
		}),
	}
}

func projectTable(projects ...api.Project) table {
	t := table{header: []string{"PROJECT ID", "NAME", "CREATED"}}
	for _, p := range projects {
		t.rows = append(t.rows, []string{p.ProjectID, p.ProjectName, moment(p.CreateTime)})
	}
	return t
}

func newProjectListCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"},
		Short: "List the account's projects",
		Args:  exactArgs(0),
		RunE: does(env, func(ctx context.Context, c *client.Client, _ []string) error {
			projects, err := c.Projects(ctx)
			if err != nil {
				return err
			}
			return env.print(projects, func() table { return projectTable(projects...) })
		}),
	}
}

func newProjectSetCommand(env *environment) *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use:               "set NAME --name NEW",
		Short:             "Give a project another name; its id stays, and the tokens of the account's users die at once",
		Args:              exactArgs(1),
		ValidArgsFunction: once(completeProjects(env)),
		RunE: does(env, func(ctx context.Context, c *client.Client, args []string) error {
			if err := c.RenameProject(ctx, args[0], to); err != nil {
				return err
			}
			return env.say("project %s is called %s now", args[0], to)
		}),
	}
	cmd.Flags().StringVar(&to, "name", "", "the new `name`")
	require(cmd, "name")
	return cmd
}

func newProjectDeleteCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:               "delete NAME",
		Short:             "Delete a project with its images; refused while it has a server or a phone",
		Args:              exactArgs(1),
		ValidArgsFunction: once(completeProjects(env)),
		RunE: does(env, func(ctx context.Context, c *client.Client, args []string) error {
			if err := c.DeleteProject(ctx, args[0]); err != nil {
				return err
			}
			return env.say("project %s is deleted", args[0])
		}),
	}
}
