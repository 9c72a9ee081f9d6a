package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/client"
	"github.com/lethe-cloud/lethe/internal/iam"
)

// environment is all that a command may touch of the process it runs in, and the flags that every command of the client side
// shares. A test makes one of its own.
type environment struct {
	getenv func(string) string
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer

	credentials string // --credentials
	output      outputFormat
}

func newEnvironment(getenv func(string) string, stdin io.Reader, stdout, stderr io.Writer) *environment {
	return &environment{getenv: getenv, stdin: stdin, stdout: stdout, stderr: stderr, output: outputTable}
}

// defaultCredentials is where the CLI looks without a flag and without LETHE_ variables.
const defaultCredentials = "credentials.json"

// clientFlags gives a command and its subcommands the flags of everything that calls a server.
func (e *environment) clientFlags(cmd *cobra.Command) *cobra.Command {
	cmd.PersistentFlags().StringVar(&e.credentials, "credentials", "", "credentials `file` (default ./"+defaultCredentials+", then LETHE_ENDPOINT, LETHE_ACCESS_KEY, LETHE_SECRET_KEY, LETHE_PROJECT_ID over it)")
	e.outputFlag(cmd)
	return cmd
}

func (e *environment) outputFlag(cmd *cobra.Command) {
	cmd.PersistentFlags().VarP(&e.output, "output", "o", "table or json")
	completeFlag(cmd, "output", completeWords("table", "json"))
}

// client makes a client from the credentials that the flags and the environment name; it sends nothing yet.
func (e *environment) client() (*client.Client, error) {
	credentials, err := e.readCredentials()
	if err != nil {
		return nil, err
	}
	c, err := client.New(client.Config{
		Endpoint: credentials.Endpoint, AccessKey: credentials.AccessKey, SecretKey: credentials.SecretKey, ProjectID: credentials.ProjectID,
	})
	if err != nil {
		return nil, usagef("%v", err)
	}
	return c, nil
}

// What the server writes and what its callers read is one file: this stops compiling when the two structs differ.
var _ = api.Credentials(iam.Credentials{})

// readCredentials follows one rule: a file named by the flag is taken alone; otherwise ./credentials.json, if there is one,
// with the LETHE_ variables over it.
func (e *environment) readCredentials() (api.Credentials, error) {
	if e.credentials != "" {
		return readCredentialsFile(e.credentials)
	}
	fromEnv := api.Credentials{
		Endpoint: e.getenv("LETHE_ENDPOINT"), AccessKey: e.getenv("LETHE_ACCESS_KEY"),
		SecretKey: e.getenv("LETHE_SECRET_KEY"), ProjectID: e.getenv("LETHE_PROJECT_ID"),
	}
	if fromEnv.Endpoint != "" && fromEnv.AccessKey != "" && fromEnv.SecretKey != "" && fromEnv.ProjectID != "" {
		return fromEnv, nil
	}
	fromFile, err := readCredentialsFile(defaultCredentials)
	if errors.Is(err, fs.ErrNotExist) {
		if fromEnv != (api.Credentials{}) {
			return api.Credentials{}, errors.New("incomplete credentials: set all of LETHE_ENDPOINT, LETHE_ACCESS_KEY, LETHE_SECRET_KEY and LETHE_PROJECT_ID, or name a file with --credentials")
		}
		return api.Credentials{}, errors.New("no credentials: there is no ./" + defaultCredentials +
			"; name the file that lethe serve wrote into its data folder with --credentials FILE, or set LETHE_ENDPOINT, LETHE_ACCESS_KEY, LETHE_SECRET_KEY and LETHE_PROJECT_ID")
	}
	if err != nil {
		return api.Credentials{}, err
	}
	override(&fromFile.Endpoint, fromEnv.Endpoint)
	override(&fromFile.AccessKey, fromEnv.AccessKey)
	override(&fromFile.SecretKey, fromEnv.SecretKey)
	override(&fromFile.ProjectID, fromEnv.ProjectID)
	return fromFile, nil
}

func override(value *string, with string) {
	if with != "" {
		*value = with
	}
}

// readCredentialsFile takes a file that has less in it than the one lethe serve writes: only what signs a call is needed.
func readCredentialsFile(path string) (api.Credentials, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return api.Credentials{}, fmt.Errorf("read the credentials in %s: %w", path, cause(err))
	}
	var c api.Credentials
	if err := json.Unmarshal(text, &c); err != nil {
		return api.Credentials{}, fmt.Errorf("%s is not a credentials file: %w", path, err)
	}
	return c, nil
}

// isTerminal reports whether w is a terminal that a person looks at.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}
