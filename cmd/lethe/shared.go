package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/client"
)

func newServerFilesCommand(env *environment) *cobra.Command {
	return group("files", "Files that all phones of a server read",
		newSharePushCommand(env), newShareListCommand(env), newShareDeleteCommand(env))
}

func newServerAppsCommand(env *environment) *cobra.Command {
	return group("apps", "Apps that all phones of a server can install from its shared storage",
		newAppPushCommand(env), newAppDeleteCommand(env))
}

// sharedObject reads obs://BUCKET/PATH.
func sharedObject(text string) (api.PushShared, error) {
	rest, ok := strings.CutPrefix(text, "obs://")
	bucket, path, named := strings.Cut(rest, "/")
	if !ok || !named {
		return api.PushShared{}, usagef("the archive is %q: write obs://BUCKET/PATH.tar", text)
	}
	return api.PushShared{BucketName: bucket, ObjectPath: path}, nil
}

// sharedCommand is one of the commands that do something with a server's shared storage and tell what was accepted.
func sharedCommand(env *environment, cmd *cobra.Command, do func(ctx context.Context, c *client.Client, id string, args []string) (api.AcceptedServer, error)) *cobra.Command {
	var wait bool
	cmd.ValidArgsFunction = once(completeServers(env))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, id, err := env.serverNamed(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		accepted, err := do(cmd.Context(), c, id, args[1:])
		if err != nil {
			return err
		}
		return env.followServer(cmd.Context(), c, accepted.RequestID, wait)
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until it is done")
	return cmd
}

func newSharePushCommand(env *environment) *cobra.Command {
	return sharedCommand(env, &cobra.Command{
		Use:   "push SERVER obs://BUCKET/PATH.tar",
		Short: "Unpack an archive in the shared storage of a server",
		Long: `Unpack a tar archive in the shared storage of a server, which all of its phones read and none writes: at the share_path of the server's
template. The archive's names begin with data/ or cache/. It comes from a bucket that the operator has registered for the project. Exits with
1 when, with --wait, it could not be done.`,
		Example: "  lethe server files push edge obs://files/maps.tar --wait",
		Args:    exactArgs(2),
	}, func(ctx context.Context, c *client.Client, id string, args []string) (api.AcceptedServer, error) {
		object, err := sharedObject(args[0])
		if err != nil {
			return api.AcceptedServer{}, err
		}
		return c.PushSharedFiles(ctx, id, object)
	})
}

func newShareDeleteCommand(env *environment) *cobra.Command {
	return sharedCommand(env, &cobra.Command{
		Use:   "delete SERVER PATH...",
		Short: "Delete files of the shared storage of a server",
		Long: `Delete files, and folders with all that is in them, of the shared storage of a server. Their paths are those that lethe server files list
takes. What is not there is no error. Exits with 1 when, with --wait, it could not be done.`,
		Example: "  lethe server files delete edge /data/maps --wait",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return usagef("name the server and at least one path: %s", cmd.UseLine())
			}
			return nil
		},
	}, func(ctx context.Context, c *client.Client, id string, args []string) (api.AcceptedServer, error) {
		return c.DeleteSharedFiles(ctx, id, args)
	})
}

func newAppPushCommand(env *environment) *cobra.Command {
	return sharedCommand(env, &cobra.Command{
		Use:   "push SERVER PACKAGE obs://BUCKET/PATH.tar",
		Short: "Put an app into the shared storage of a server",
		Long: `Unpack a tar archive in the folder apps/PACKAGE of the shared storage of a server, in place of what is there. Phones install the app from
there: lethe phone run --command "pm install SHARE_PATH/apps/PACKAGE/NAME.apk". Exits with 1 when, with --wait, it could not be done.`,
		Example: "  lethe server apps push edge com.example.app obs://apps/example.tar --wait",
		Args:    exactArgs(3),
	}, func(ctx context.Context, c *client.Client, id string, args []string) (api.AcceptedServer, error) {
		object, err := sharedObject(args[1])
		if err != nil {
			return api.AcceptedServer{}, err
		}
		return c.PushSharedApp(ctx, id, args[0], object)
	})
}

func newAppDeleteCommand(env *environment) *cobra.Command {
	return sharedCommand(env, &cobra.Command{
		Use:   "delete SERVER PACKAGE",
		Short: "Delete an app of the shared storage of a server",
		Long: `Delete the folder apps/PACKAGE of the shared storage of a server. Phones that have installed the app keep it. One that is not there is no
error. Exits with 1 when, with --wait, it could not be done.`,
		Example: "  lethe server apps delete edge com.example.app --wait",
		Args:    exactArgs(2),
	}, func(ctx context.Context, c *client.Client, id string, args []string) (api.AcceptedServer, error) {
		return c.DeleteSharedApp(ctx, id, args[0])
	})
}

func newShareListCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use: "list SERVER PATH", Aliases: []string{"ls"},
		Short: "List a folder of the shared storage of a server",
		Long: `List a folder of the shared storage of a server, as from the storage's root: /data and /cache have the files that were pushed, /apps the
apps. It is a job of the server, which waits for those that were accepted before it.`,
		Example:           "  lethe server files list edge /data/maps",
		Args:              exactArgs(2),
		ValidArgsFunction: once(completeServers(env)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, id, err := env.serverNamed(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			files, err := env.sharedFiles(cmd.Context(), c, id, args[1])
			if err != nil {
				return err
			}
			return env.print(files, func() table { return sharedFilesTable(files) })
		},
	}
}

// sharedFiles lists a folder, page by page.
func (e *environment) sharedFiles(ctx context.Context, c *client.Client, id, folder string) ([]api.SharedFile, error) {
	files := []api.SharedFile{}
	for {
		accepted, err := c.ListSharedFiles(ctx, id, folder, len(files))
		if err != nil {
			return nil, err
		}
		failed, err := e.waitFor(ctx, c, accepted.RequestID)
		if err != nil {
			return nil, err
		}
		for _, job := range failed {
			return nil, fmt.Errorf("%s %s: %s", job.ErrorCode, job.ErrorMsg, job.ExecuteMsg)
		}
		progress, err := c.Request(ctx, accepted.RequestID)
		if err != nil {
			return nil, err
		}
		if len(progress.Servers) != 1 || progress.Servers[0].Listing == nil {
			return nil, fmt.Errorf("request %s has no list", accepted.RequestID)
		}
		page := progress.Servers[0].Listing
		files = append(files, page.Files...)
		if len(page.Files) == 0 || len(files) >= page.Total {
			return files, nil
		}
	}
}

func sharedFilesTable(files []api.SharedFile) table {
	t := table{header: []string{"NAME", "TYPE", "BYTES", "MODIFIED"}}
	for _, f := range files {
		size := "-"
		if f.Type == "file" {
			size = strconv.FormatInt(f.Size, 10)
		}
		t.rows = append(t.rows, []string{f.Name, f.Type, size, moment(f.ModifyTime)})
	}
	return t
}
