package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/client"
)

func newBucketCommand(env *environment) *cobra.Command {
	return group("bucket", "Make, list and delete buckets, in which files for phones and phones' data are", newBucketCreateCommand(env), newBucketListCommand(env),
		newBucketDeleteCommand(env))
}

func newBucketCreateCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:   "create BUCKET",
		Short: "Make an empty bucket of the project",
		Long: `Make an empty bucket of the project. Its name has 3 to 63 lower-case letters, digits, - and ., and no other bucket of the installation has it.
It lies in the installation's folder for buckets (object_folder), which an installation with PostgreSQL has only where its operator has named one.`,
		Args: exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := env.client()
			if err != nil {
				return err
			}
			bucket, err := c.AddBucket(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return env.print(bucket, func() table { return bucketTable(bucket) })
		},
	}
}

func newBucketListCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the project's buckets, those of the configuration too",
		Args:    exactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := env.client()
			if err != nil {
				return err
			}
			buckets, err := c.Buckets(cmd.Context())
			if err != nil {
				return err
			}
			return env.print(buckets, func() table { return bucketTable(buckets...) })
		},
	}
}

func newBucketDeleteCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:   "delete BUCKET",
		Short: "Delete a bucket that has no object",
		Args:  exactArgs(1),
		RunE: does(env, func(ctx context.Context, c *client.Client, args []string) error {
			if err := c.DeleteBucket(ctx, args[0]); err != nil {
				return err
			}
			return env.say("bucket %s is deleted", args[0])
		}),
	}
}

func bucketTable(buckets ...api.Bucket) table {
	t := table{header: []string{"BUCKET", "READ ONLY", "MADE"}}
	for _, b := range buckets {
		made := "by the operator"
		if b.CreateTime != nil {
			made = b.CreateTime.Format(time.RFC3339)
		}
		t.rows = append(t.rows, []string{b.BucketName, yesOrNo(b.ReadOnly), made})
	}
	return t
}

func newObjectCommand(env *environment) *cobra.Command {
	return group("object", "Write, read, list and delete the objects of buckets", newObjectPutCommand(env), newObjectGetCommand(env), newObjectListCommand(env),
		newObjectDeleteCommand(env))
}

// parseObject reads obs://BUCKET/KEY; the server judges both.
func parseObject(text string) (bucket, key string, err error) {
	bucket, key, named := strings.Cut(strings.TrimPrefix(text, "obs://"), "/")
	if !strings.HasPrefix(text, "obs://") || !named || bucket == "" || key == "" {
		return "", "", usagef("%q names no object: write obs://BUCKET/KEY", text)
	}
	return bucket, key, nil
}

func newObjectPutCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:   "put FILE obs://BUCKET/KEY",
		Short: "Write a file into a bucket",
		Long: `Write a file into a bucket, in place of an object of that key. Nobody sees the object before it is whole. The file is read twice, for its SHA-256
is sent with it and compared.`,
		Example: "  lethe object put app.apk obs://apps/com.example.app/1.apk",
		Args:    exactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			bucket, key, err := parseObject(args[1])
			if err != nil {
				return err
			}
			c, err := env.client()
			if err != nil {
				return err
			}
			file, err := os.Open(args[0])
			if err != nil {
				return err
			}
			defer file.Close()
			if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
				return errors.Join(err, fmt.Errorf("%s is no file", args[0]))
			}
			stored, err := c.PutObject(cmd.Context(), bucket, key, file)
			if err != nil {
				return err
			}
			return env.print(stored, func() table {
				return table{header: []string{"KEY", "BYTES", "SHA-256"}, rows: [][]string{{stored.Key, strconv.FormatInt(stored.Size, 10), stored.SHA256}}}
			})
		},
	}
}

func newObjectGetCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:     "get obs://BUCKET/KEY FILE",
		Short:   "Read an object into a file, or with - to the standard output",
		Long:    `Read an object into a file, which is there as a whole or not at all, in place of one of that name; with - to the standard output.`,
		Example: "  lethe object get obs://backups/edge-0001.tar edge-0001.tar\n  lethe object get obs://backups/edge-0001.tar - | tar t",
		Args:    exactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			bucket, key, err := parseObject(args[0])
			if err != nil {
				return err
			}
			c, err := env.client()
			if err != nil {
				return err
			}
			content, _, err := c.GetObject(cmd.Context(), bucket, key)
			if err != nil {
				return err
			}
			if args[1] == "-" {
				_, err = io.Copy(env.stdout, content)
				return cutOff(errors.Join(err, content.Close()))
			}
			return cutOff(errors.Join(writeWhole(args[1], content), content.Close()))
		},
	}
}

// cutOff says what the end of a connection means.
func cutOff(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the object was cut off: try again (%w)", err)
	}
	return err
}

// writeWhole makes a file of what content gives, if it gives all of it.
func writeWhole(path string, content io.Reader) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), ".lethe-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	_, err = io.Copy(file, content)
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

func newObjectListCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:     "list obs://BUCKET[/PREFIX]",
		Aliases: []string{"ls"},
		Short:   "List a bucket's objects, or those whose keys begin with a prefix",
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			bucket, prefix, _ := strings.Cut(strings.TrimPrefix(args[0], "obs://"), "/")
			if bucket == "" {
				return usagef("%q names no bucket: write obs://BUCKET or obs://BUCKET/PREFIX", args[0])
			}
			c, err := env.client()
			if err != nil {
				return err
			}
			objects, err := client.Collect(c.Objects(cmd.Context(), bucket, prefix), 0)
			if err != nil {
				return err
			}
			return env.print(objects, func() table {
				t := table{header: []string{"KEY", "BYTES", "WRITTEN"}}
				for _, o := range objects {
					t.rows = append(t.rows, []string{o.Key, strconv.FormatInt(o.Size, 10), o.UpdateTime.Format(time.RFC3339)})
				}
				return t
			})
		},
	}
}

func newObjectDeleteCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:   "delete obs://BUCKET/KEY",
		Short: "Delete an object, and the checksum that an export has put beside it",
		Args:  exactArgs(1),
		RunE: does(env, func(ctx context.Context, c *client.Client, args []string) error {
			bucket, key, err := parseObject(args[0])
			if err != nil {
				return err
			}
			if err := c.DeleteObject(ctx, bucket, key); err != nil {
				return err
			}
			return env.say("object %s is deleted", args[0])
		}),
	}
}
