package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lethe-cloud/lethe/client"
)

// A shell that completes waits for its answer: it gets what one page and completeTimeout give, or nothing.
const (
	completeTimeout = 2 * time.Second
	completeMost    = 200
)

type completion = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)

// completeFrom asks the server for names; "NAME\tid" shows the id beside the name.
func completeFrom(env *environment, ask func(ctx context.Context, c *client.Client, prefix string) ([]string, error)) completion {
	return func(cmd *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
		c, err := env.client()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completeTimeout)
		defer cancel()
		names, err := ask(ctx, c, prefix)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return completeWords(names...)(cmd, nil, prefix)
	}
}

// completeWords completes to those of the words that begin so.
func completeWords(words ...string) completion {
	return func(_ *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
		var kept []string
		for _, word := range words {
			if strings.HasPrefix(word, prefix) {
				kept = append(kept, word)
			}
		}
		return kept, cobra.ShellCompDirectiveNoFileComp
	}
}

func completePhones(env *environment) completion {
	return completeFrom(env, func(ctx context.Context, c *client.Client, prefix string) ([]string, error) {
		phones, err := client.Collect(c.Phones(ctx, client.PhoneFilter{Name: prefix}), completeMost)
		names := make([]string, len(phones))
		for i, p := range phones {
			names[i] = p.PhoneName + "\t" + p.PhoneID
		}
		return names, err
	})
}

func completeServers(env *environment) completion {
	return completeFrom(env, func(ctx context.Context, c *client.Client, prefix string) ([]string, error) {
		servers, err := client.Collect(c.Servers(ctx, client.ServerFilter{Name: prefix}), completeMost)
		names := make([]string, len(servers))
		for i, s := range servers {
			names[i] = s.ServerName + "\t" + s.ServerID
		}
		return names, err
	})
}

func completeImages(env *environment) completion {
	return completeFrom(env, func(ctx context.Context, c *client.Client, _ string) ([]string, error) {
		images, err := c.Images(ctx, "")
		names := make([]string, len(images))
		for i, image := range images {
			names[i] = image.ImageName + "\t" + image.ImageID
		}
		return names, err
	})
}

// once completes only the first argument.
func once(complete completion) completion {
	return func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return complete(cmd, args, prefix)
	}
}

// completeFlag completes a flag's value; the flag is one that cmd has.
func completeFlag(cmd *cobra.Command, flag string, complete completion) {
	if err := cmd.RegisterFlagCompletionFunc(flag, complete); err != nil {
		panic(err) // a misspelt flag: no command line can cause it
	}
}
