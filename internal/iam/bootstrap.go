package iam

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Names is what an installation's first account, user and project are called; "" takes the default.
type Names struct {
	Account string // "lethe"
	User    string // "admin"
	Region  string // "local-1": also the project's name, which is how clients find their project
	// Now is the clock for the time of creation; nil: time.Now.
	Now func() time.Time
}

// Bootstrap makes one account with one project, its owner and one access key, with secrets drawn at random, unless the store has
// an account already: then it changes nothing and created is false. The credentials' endpoint is left to the caller.
func Bootstrap(ctx context.Context, store Store, names Names) (c Credentials, created bool, err error) {
	c = names.credentials()
	created, err = c.bootstrap(ctx, store, names)
	if err != nil || !created {
		return Credentials{}, false, err
	}
	return c, true, nil
}

// Provision sees to it that the store has an account and, if it was made here, that path has its credentials, with this endpoint;
// a later call keeps the file's endpoint up to date and touches nothing else. created says whether the account is new.
//
// The secrets exist nowhere else, so they are on the disk before the account is in the store: under path with ".new" at its end,
// until it is. A call after a crash, or after an answer of the store that never came, goes on from there.
func Provision(ctx context.Context, store Store, names Names, endpoint, path string) (created bool, err error) {
	if endpoint == "" {
		return false, errors.New("write the credentials: no endpoint is known")
	}
	pending := path + ".new"
	for _, earlier := range []string{path, pending} {
		c, err := ReadCredentials(earlier)
		if err != nil {
			continue // not there, or not to be used: whether an account has to be made, the store says
		}
		switch _, _, err := store.AccessKey(ctx, c.AccessKey); {
		case phone.CodeOf(err) == phone.NotFound:
			continue // of another database, or of a first start that never got to it
		case err != nil:
			return false, fmt.Errorf("look for the first account: %w", err)
		}
		return earlier == pending, c.publish(endpoint, pending, path)
	}
	c := names.credentials()
	c.Endpoint = endpoint
	if err := c.Write(pending); err != nil {
		return false, err
	}
	created, err = c.bootstrap(ctx, store, names)
	switch {
	case err != nil:
		return false, err // perhaps it was committed nevertheless: the next call finds out
	case !created:
		return false, remove(pending) // another process made the account, and has its credentials
	}
	return true, c.publish(endpoint, pending, path)
}

// publish puts the credentials in their place.
func (c Credentials) publish(endpoint, pending, path string) error {
	c.Endpoint = endpoint
	if there, err := ReadCredentials(path); err != nil || there != c {
		if err := c.Write(path); err != nil {
			return err
		}
	}
	return remove(pending)
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the credentials of an unfinished start: %w", err)
	}
	return nil
}

func (n Names) credentials() Credentials {
	or := func(name, otherwise string) string {
		if name == "" {
			return otherwise
		}
		return name
	}
	key := account.NewAccessKey("", time.Time{})
	region := or(n.Region, "local-1")
	return Credentials{
		Region: region, Account: or(n.Account, "lethe"), AccountID: account.NewID(), User: or(n.User, "admin"),
		Password: account.NewPassword(), Project: region, ProjectID: account.NewID(), AccessKey: key.ID, SecretKey: key.Secret,
	}
}

func (c Credentials) bootstrap(ctx context.Context, store Store, names Names) (bool, error) {
	now := time.Now
	if names.Now != nil {
		now = names.Now
	}
	at := now().UTC().Truncate(time.Microsecond)
	user := account.User{
		ID: account.NewID(), Account: c.AccountID, Name: c.User, PasswordHash: account.HashPassword(c.Password), Owner: true, CreatedAt: at,
	}
	first := account.Identity{
		User:     user,
		Account:  account.Account{ID: c.AccountID, Name: c.Account, Operator: true, CreatedAt: at},
		Projects: []account.Project{{ID: c.ProjectID, Account: c.AccountID, Name: c.Project, CreatedAt: at}},
	}
	created, err := store.Bootstrap(ctx, first, account.AccessKey{ID: c.AccessKey, Secret: c.SecretKey, User: user.ID, CreatedAt: at})
	if err != nil {
		return false, fmt.Errorf("make the first account: %w", err)
	}
	return created, nil
}
