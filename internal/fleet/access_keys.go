package fleet

import (
	"context"

	"github.com/lethe-cloud/lethe/internal/account"
)

// AddKey gives a user a further access key. Its secret is in this answer only.
func (a *Access) AddKey(ctx context.Context, caller account.Caller, user string) (account.AccessKey, error) {
	if err := Authorise(caller, "", ActionKeysCreate); err != nil {
		return account.AccessKey{}, err
	}
	if err := a.credentialsOf(ctx, caller, user); err != nil {
		return account.AccessKey{}, err
	}
	key := account.NewAccessKey("", a.time())
	if err := a.store.AddKey(ctx, caller.Account.ID, user, key); err != nil {
		return account.AccessKey{}, err
	}
	return key, nil
}

// Keys gives a user's access keys without their secrets, the oldest first.
func (a *Access) Keys(ctx context.Context, caller account.Caller, user string) ([]account.AccessKey, error) {
	if err := Authorise(caller, "", ActionKeysList); err != nil {
		return nil, err
	}
	if err := userName.find(user); err != nil {
		return nil, err
	}
	return a.store.Keys(ctx, caller.Account.ID, user)
}

// SetKeyDisabled takes an access key out of use, or puts it back.
func (a *Access) SetKeyDisabled(ctx context.Context, caller account.Caller, user, id string, disabled bool) error {
	if err := Authorise(caller, "", ActionKeysUpdate); err != nil {
		return err
	}
	if err := a.keyOf(ctx, caller, user, id); err != nil {
		return err
	}
	return a.store.SetKeyDisabled(ctx, caller.Account.ID, user, id, disabled)
}

// DeleteKey removes an access key.
func (a *Access) DeleteKey(ctx context.Context, caller account.Caller, user, id string) error {
	if err := Authorise(caller, "", ActionKeysDelete); err != nil {
		return err
	}
	if err := a.keyOf(ctx, caller, user, id); err != nil {
		return err
	}
	return a.store.DeleteKey(ctx, caller.Account.ID, user, id)
}

func (a *Access) keyOf(ctx context.Context, caller account.Caller, user, id string) error {
	if !word.MatchString(id) {
		return NoSuch("access key")
	}
	return a.credentialsOf(ctx, caller, user)
}
