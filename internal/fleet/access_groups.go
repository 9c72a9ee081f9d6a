package fleet

import (
	"context"

	"github.com/lethe-cloud/lethe/internal/account"
)

// AddGroup makes a group without users and policies.
func (a *Access) AddGroup(ctx context.Context, caller account.Caller, name string) (account.Group, error) {
	if err := Authorise(caller, "", ActionGroupsCreate); err != nil {
		return account.Group{}, err
	}
	if err := groupName.check(name); err != nil {
		return account.Group{}, err
	}
	group := account.Group{ID: account.NewID(), Account: caller.Account.ID, Name: name, CreatedAt: a.time()}
	if err := a.store.AddGroup(ctx, group); err != nil {
		return account.Group{}, err
	}
	return group, nil
}

// Groups gives the groups of the caller's account by name.
func (a *Access) Groups(ctx context.Context, caller account.Caller) ([]account.Group, error) {
	if err := Authorise(caller, "", ActionGroupsList); err != nil {
		return nil, err
	}
	return a.store.Groups(ctx, caller.Account.ID)
}

// Group gives one group with its members and its grants.
func (a *Access) Group(ctx context.Context, caller account.Caller, name string) (GroupDetail, error) {
	if err := Authorise(caller, "", ActionGroupsGet); err != nil {
		return GroupDetail{}, err
	}
	if err := groupName.find(name); err != nil {
		return GroupDetail{}, err
	}
	return a.store.Group(ctx, caller.Account.ID, name)
}

// DeleteGroup removes a group; its members lose what it gave them.
func (a *Access) DeleteGroup(ctx context.Context, caller account.Caller, name string) error {
	if err := Authorise(caller, "", ActionGroupsDelete); err != nil {
		return err
	}
	if err := groupName.find(name); err != nil {
		return err
	}
	return a.store.DeleteGroup(ctx, caller.Account.ID, name)
}

// AddMember puts a user into a group.
func (a *Access) AddMember(ctx context.Context, caller account.Caller, group, user string) error {
	return a.setMember(ctx, caller, group, user, ActionGroupsAdd, true)
}

// RemoveMember takes a user out of a group.
func (a *Access) RemoveMember(ctx context.Context, caller account.Caller, group, user string) error {
	return a.setMember(ctx, caller, group, user, ActionGroupsRemove, false)
}

func (a *Access) setMember(ctx context.Context, caller account.Caller, group, user string, action Action, member bool) error {
	if err := Authorise(caller, "", action); err != nil {
		return err
	}
	if err := groupName.find(group); err != nil {
		return err
	}
	if err := a.others(ctx, caller, user, "a group changes nothing for it"); err != nil {
		return err
	}
	return a.store.SetMember(ctx, caller.Account.ID, group, user, member)
}
