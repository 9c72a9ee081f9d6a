package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/client"
)

func newImageCommand(env *environment) *cobra.Command {
	return group("image", "Register images, list, share and delete them", newImageAddCommand(env), newImageListCommand(env), newImageDeleteCommand(env),
		newImageShareCommand(env), newImageUnshareCommand(env), newImageMembersCommand(env), newImageSharedCommand(env),
		newImageAcceptCommand(env), newImageRejectCommand(env))
}

func newImageAddCommand(env *environment) *cobra.Command {
	var in api.AddImage
	cmd := &cobra.Command{
		Use:   "add --name NAME --reference REF",
		Short: "Register an image; nothing is fetched until a server needs it",
		Example: "  lethe image add --name android12 --reference redroid/redroid:12.0.0_64only-latest --os-name AOSP12.0\n" +
			"  lethe image add --name android12 --reference redroid/redroid:12.0.0_64only-latest -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := env.client()
			if err != nil {
				return err
			}
			image, err := c.AddImage(cmd.Context(), in)
			if err != nil {
				return err
			}
			return env.print(image, func() table { return imageTable(image) })
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&in.ImageName, "name", "", "the image's `name`")
	flags.StringVar(&in.Reference, "reference", "", "what a host resolves, an OCI `reference`")
	flags.StringVar(&in.ImageLabel, "label", "", "fits servers of this `label` only (default: the installation's)")
	flags.StringVar(&in.OSName, "os-name", "", "the `system` in it, such as AOSP12.0")
	require(cmd, "name", "reference")
	return cmd
}

func newImageListCommand(env *environment) *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the images that the project may use, newest first",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := env.client()
			if err != nil {
				return err
			}
			images, err := c.Images(cmd.Context(), name)
			if err != nil {
				return err
			}
			return env.print(images, func() table { return imageTable(images...) })
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "only those of this whole `name`")
	completeFlag(cmd, "name", completeImages(env))
	return cmd
}

func newImageDeleteCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:               "delete IMAGE",
		Short:             "Delete an image; refused while a phone or an unfinished job, of any project, has it",
		Args:              exactArgs(1),
		ValidArgsFunction: once(completeImages(env)),
		RunE: does(env, func(ctx context.Context, c *client.Client, args []string) error {
			id, err := resolveImage(ctx, c, args[0])
			if err != nil {
				return err
			}
			if err := c.DeleteImage(ctx, id); err != nil {
				return err
			}
			return env.say("image %s is deleted", args[0])
		}),
	}
}

func imageTable(images ...api.Image) table {
	t := table{header: []string{"IMAGE ID", "NAME", "LABEL", "OS", "REFERENCE"}}
	for _, i := range images {
		t.rows = append(t.rows, []string{i.ImageID, i.ImageName, i.ImageLabel, i.OSName, i.Reference})
	}
	return t
}
