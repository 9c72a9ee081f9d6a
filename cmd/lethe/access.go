package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/client"
	"github.com/lethe-cloud/lethe/internal/iam"
)

// What the commands about accounts, projects, users, keys, groups and policies share.

// does makes a RunE of what is done with a client and the arguments.
func does(env *environment, do func(ctx context.Context, c *client.Client, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := env.client()
		if err != nil {
			return err
		}
		return do(cmd.Context(), c, args)
	}
}

// say tells on stderr what was done where there is nothing to print.
func (e *environment) say(format string, args ...any) error {
	fmt.Fprintf(e.stderr, "lethe: "+format+"\n", args...)
	return nil
}

func yesOrNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// oneOf wants exactly one of the flags.
func oneOf(cmd *cobra.Command, flags ...string) error {
	given := 0
	for _, name := range flags {
		if cmd.Flag(name).Changed {
			given++
		}
	}
	if given != 1 {
		return usagef("give exactly one of the flags of %s: %s", cmd.CommandPath(), cmd.UseLine())
	}
	return nil
}

// saveFlag is --save: a credentials file for what was made, with which the CLI calls as it.
type saveFlag string

func (f *saveFlag) register(cmd *cobra.Command) {
	cmd.Flags().StringVar((*string)(f), "save", "", "write the credentials to this `file` (mode 0600), which must not be there yet, instead of showing them")
}

// check refuses a file that is there, before anything is made whose secret would then be lost.
func (f saveFlag) check() error {
	if f == "" {
		return nil
	}
	if _, err := os.Lstat(string(f)); err == nil {
		return usagef("--save %s: the file is there already", string(f))
	}
	file, err := os.OpenFile(string(f), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return usagef("--save %s: %w", string(f), cause(err))
	}
	if err := file.Close(); err != nil {
		return err
	}
	return os.Remove(string(f))
}

// secrets gives the pairs for a table, none when they are in the file.
func (f saveFlag) secrets(pairs ...string) []string {
	if f == "" {
		return pairs
	}
	return nil
}

func (f saveFlag) write(env *environment, c api.Credentials) error {
	if f == "" {
		return nil
	}
	if err := iam.Credentials(c).Write(string(f)); err != nil {
		return fmt.Errorf("%w; what could not be written: password %s, access key %s, secret key %s", err, c.Password, c.AccessKey, c.SecretKey)
	}
	return env.say("credentials of user %s in %s", c.User, string(f))
}

// user writes the credentials of a user of the own account.
func (f saveFlag) user(env *environment, added api.AddedUser) error {
	own, err := env.readCredentials()
	if err != nil {
		return err
	}
	own.User, own.Password, own.AccessKey, own.SecretKey = added.UserName, added.Password, added.AccessKey, added.SecretKey
	return f.write(env, own)
}

func completeAll[T any](env *environment, list func(*client.Client, context.Context) ([]T, error), name func(T) string) completion {
	return completeFrom(env, func(ctx context.Context, c *client.Client, _ string) ([]string, error) {
		found, err := list(c, ctx)
		names := make([]string, len(found))
		for i, f := range found {
			names[i] = name(f)
		}
		return names, err
	})
}

func completeUsers(env *environment) completion {
	return completeAll(env, (*client.Client).Users, func(u api.User) string { return u.UserName })
}

func completeGroups(env *environment) completion {
	return completeAll(env, (*client.Client).Groups, func(g api.Group) string { return g.GroupName })
}

func completePolicies(env *environment) completion {
	return completeAll(env, (*client.Client).Policies, func(p api.NamedPolicy) string { return p.PolicyName })
}

func completeProjects(env *environment) completion {
	return completeAll(env, (*client.Client).Projects, func(p api.Project) string { return p.ProjectName })
}

func completeAccounts(env *environment) completion {
	return completeAll(env, (*client.Client).Accounts, func(a api.Account) string { return a.AccountName })
}
