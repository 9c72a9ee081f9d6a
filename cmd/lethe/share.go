package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/client"
	"github.com/lethe-cloud/lethe/internal/phone"
)

func newImageShareCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:   "share IMAGE PROJECT",
		Short: "Offer an image to another project, which may use it once it has accepted",
		Long: `Offer an image to another project: one of the own account by its name, one of any account by its id. It may use the image once it has
accepted it (lethe image accept). Sharing again changes nothing, except that an image that was rejected is offered anew.`,
		Example: `  lethe image share android12 f1d2d2f924e986ac86fdf7b36c94bcdf
  lethe image share android12 staging`,
		Args:              exactArgs(2),
		ValidArgsFunction: once(completeImages(env)),
		RunE: does(env, func(ctx context.Context, c *client.Client, args []string) error {
			image, project, err := resolveShare(ctx, c, args)
			if err != nil {
				return err
			}
			if err := c.ShareImage(ctx, image, project); err != nil {
				return err
			}
			return env.say("image %s is offered to project %s", args[0], args[1])
		}),
	}
}

func newImageUnshareCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:               "unshare IMAGE PROJECT",
		Short:             "End the sharing of an image with a project; its phones that boot the image keep it",
		Args:              exactArgs(2),
		ValidArgsFunction: once(completeImages(env)),
		RunE: does(env, func(ctx context.Context, c *client.Client, args []string) error {
			image, project, err := resolveShare(ctx, c, args)
			if err != nil {
				return err
			}
			if err := c.UnshareImage(ctx, image, project); err != nil {
				return err
			}
			return env.say("image %s is not shared with project %s any more", args[0], args[1])
		}),
	}
}

// resolveShare gives the ids of an image and of the project that it is shared with.
func resolveShare(ctx context.Context, c *client.Client, args []string) (image, project string, err error) {
	if image, err = resolveImage(ctx, c, args[0]); err != nil || phone.ValidID(args[1]) {
		return image, args[1], err
	}
	projects, err := c.Projects(ctx)
	if err != nil {
		return "", "", fmt.Errorf("look for the project %q by its name; its id would do too: %w", args[1], err)
	}
	for _, p := range projects {
		if p.ProjectName == args[1] {
			return image, p.ProjectID, nil
		}
	}
	return "", "", usagef("the account has no project %q: see lethe project list; another account's is named by its id", args[1])
}

func newImageMembersCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:               "members IMAGE",
		Short:             "List the projects that an image is shared with",
		Args:              exactArgs(1),
		ValidArgsFunction: once(completeImages(env)),
		RunE: does(env, func(ctx context.Context, c *client.Client, args []string) error {
			id, err := resolveImage(ctx, c, args[0])
			if err != nil {
				return err
			}
			members, err := c.ImageMembers(ctx, id)
			if err != nil {
				return err
			}
			return env.print(members, func() table {
				t := table{header: []string{"PROJECT ID", "STATUS", "SHARED"}}
				for _, m := range members {
					t.rows = append(t.rows, []string{m.ProjectID, m.Status, moment(m.CreateTime)})
				}
				return t
			})
		}),
	}
}

func newImageSharedCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:   "shared",
		Short: "List the images that other projects have shared with this one, also those that it has not accepted",
		RunE: does(env, func(ctx context.Context, c *client.Client, _ []string) error {
			images, err := c.SharedImages(ctx)
			if err != nil {
				return err
			}
			return env.print(images, func() table {
				t := table{header: []string{"IMAGE ID", "NAME", "LABEL", "OS", "FROM PROJECT", "STATUS"}}
				for _, i := range images {
					t.rows = append(t.rows, []string{i.ImageID, i.ImageName, i.ImageLabel, i.OSName, i.SourceProjectID, i.Status})
				}
				return t
			})
		}),
	}
}

func newImageAcceptCommand(env *environment) *cobra.Command {
	return newImageAnswerCommand(env, "accept", phone.MemberAccepted, "Accept an image that another project has shared with this one: it can be used from then on")
}

func newImageRejectCommand(env *environment) *cobra.Command {
	return newImageAnswerCommand(env, "reject", phone.MemberRejected, "Reject an image that another project has shared with this one, also one that was accepted; phones that boot it keep it")
}

func newImageAnswerCommand(env *environment, word string, status phone.MemberStatus, short string) *cobra.Command {
	return &cobra.Command{
		Use:               word + " IMAGE",
		Short:             short,
		Args:              exactArgs(1),
		ValidArgsFunction: once(completeShared(env)),
		RunE: does(env, func(ctx context.Context, c *client.Client, args []string) error {
			id, err := resolveShared(ctx, c, args[0])
			if err != nil {
				return err
			}
			if err := c.AnswerImage(ctx, id, api.AnswerImage{Status: string(status)}); err != nil {
				return err
			}
			return env.say("image %s is %s", args[0], status)
		}),
	}
}

// resolveShared gives the id of an image that was shared with the project, named by its id or its name.
func resolveShared(ctx context.Context, c *client.Client, nameOrID string) (string, error) {
	if phone.ValidID(nameOrID) {
		return nameOrID, nil
	}
	images, err := c.SharedImages(ctx)
	if err != nil {
		return "", err
	}
	found := ""
	for _, i := range images {
		if i.ImageName != nameOrID {
			continue
		}
		if found != "" {
			return "", usagef("several images named %q are shared with the project: give the id of one, see lethe image shared", nameOrID)
		}
		found = i.ImageID
	}
	if found == "" {
		return "", usagef("no image named %q is shared with the project: see lethe image shared", nameOrID)
	}
	return found, nil
}

func completeShared(env *environment) completion {
	return completeFrom(env, func(ctx context.Context, c *client.Client, _ string) ([]string, error) {
		images, err := c.SharedImages(ctx)
		names := make([]string, len(images))
		for i, image := range images {
			names[i] = image.ImageName + "\t" + image.ImageID
		}
		return names, err
	})
}
