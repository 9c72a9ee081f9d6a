package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/lethe-cloud/lethe/client"
)

// phoneData are the flags of the commands that move the data of a phone.
type phoneData struct {
	include, exclude []string
	key              string
	wait             bool
}

func newPhoneExportCommand(env *environment) *cobra.Command {
	var f phoneData
	cmd := &cobra.Command{
		Use:   "export PHONE obs://BUCKET/KEY",
		Short: "Export the data of a phone into a bucket",
		Long: `Write the data of a phone that runs into an object, as a tar archive: all of /data, or what --include and --exclude say. Owners, modes, times and
links are kept; sockets and devices are left out. Its SHA-256 is in the object KEY.sha256, as sha256sum writes it, and is compared when it is
imported. Nobody sees the object before it is whole. The phone runs on: what it writes meanwhile may be in the archive or not.`,
		Example: "  lethe phone export edge-0001 obs://backups/edge-0001.tar --wait\n" +
			"  lethe phone export edge-0001 obs://backups/app.tar --include '/data/app/com.example.app*' --include /data/data/com.example.app --exclude /data/data/com.example.app/cache",
		Args:              f.args,
		ValidArgsFunction: once(completePhones(env)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd.Context(), env, args, "exported", func(ctx context.Context, c *client.Client, id, bucket, key, idempotency string) (client.Accepted, error) {
				return c.ExportPhones(ctx, []client.PhoneExport{{PhoneID: id, IncludeFiles: f.include, ExcludeFiles: f.exclude, BucketName: bucket, ObjectPath: key}}, idempotency)
			})
		},
	}
	cmd.Flags().StringArrayVar(&f.include, "include", []string{"/data"}, "a `path` to export, /data or /cache or below them; a * at its end stands for the rest of a name; may be given many times")
	cmd.Flags().StringArrayVar(&f.exclude, "exclude", nil, "a `path` to leave out; may be given many times")
	f.register(cmd)
	return cmd
}

func newPhoneImportCommand(env *environment) *cobra.Command {
	var f phoneData
	cmd := &cobra.Command{
		Use:   "import PHONE obs://BUCKET/KEY",
		Short: "Import the data of a phone from a bucket",
		Long: `Unpack a tar archive that was exported, from this phone or another, in the /data and /cache of a phone that runs. What is there of the same name is
replaced, everything else stays. The archive is read as a whole before: one that is not what its KEY.sha256 says, or that would put
anything elsewhere, is refused. Restart the phone afterwards: what runs in it may hold older data.`,
		Example:           "  lethe phone import edge-0002 obs://backups/edge-0001.tar --wait && lethe phone restart edge-0002",
		Args:              f.args,
		ValidArgsFunction: once(completePhones(env)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd.Context(), env, args, "imported", func(ctx context.Context, c *client.Client, id, bucket, key, idempotency string) (client.Accepted, error) {
				return c.ImportPhones(ctx, []client.PhoneImport{{PhoneID: id, BucketName: bucket, ObjectPath: key}}, idempotency)
			})
		},
	}
	f.register(cmd)
	return cmd
}

func (f *phoneData) register(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.wait, "wait", false, "wait until it has ended, and show what came of it")
	cmd.Flags().StringVar(&f.key, "idempotency-key", "", "a `key` that makes the command repeatable for 24 hours")
}

func (f *phoneData) args(cmd *cobra.Command, args []string) error {
	if err := exactArgs(2)(cmd, args); err != nil {
		return err
	}
	if cmd.Flags().Changed("idempotency-key") && !keyFits(f.key) {
		return errKeyFlag
	}
	_, _, err := parseObject(args[1])
	return err
}

func (f *phoneData) run(ctx context.Context, env *environment, args []string, done string,
	send func(ctx context.Context, c *client.Client, id, bucket, key, idempotency string) (client.Accepted, error)) error {
	bucket, key, err := parseObject(args[1])
	if err != nil {
		return err
	}
	c, err := env.client()
	if err != nil {
		return err
	}
	phones, err := resolvePhones(ctx, c, args[:1])
	if err != nil {
		return err
	}
	results, err := sendInBatches(phones, client.MaxBatch, f.key, func(ids []string, idempotency string) (client.Accepted, error) {
		return send(ctx, c, ids[0], bucket, key, idempotency)
	})
	for i := range results {
		results[i].done, results[i].says = done, true
	}
	return env.followResets(ctx, c, results, f.wait, err)
}
