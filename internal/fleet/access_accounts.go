package fleet

import (
	"context"

	"github.com/lethe-cloud/lethe/internal/account"
)

// NewAccount is an account as the operator adds it.
type NewAccount struct {
	Name    string
	Owner   string // its owner's user name; "" means DefaultOwner
	Project string // its first project's name; "" means the installation's region
	// OwnHosts lets it add servers: see account.Account.
	OwnHosts bool
}

// DefaultOwner is what an account's owner is called where the caller names none.
const DefaultOwner = "admin"

// AddedAccount is a new account with its first project and its owner, whose secrets can be seen this once.
type AddedAccount struct {
	Account account.Account
	Project account.Project
	Owner   AddedUser
}

// String keeps the secrets out of messages.
func (a AddedAccount) String() string { return a.Account.ID }

// AddAccount makes an account with one project and an owner, who may do all in it.
func (a *Access) AddAccount(ctx context.Context, caller account.Caller, in NewAccount) (AddedAccount, error) {
	if err := Authorise(caller, "", ActionAccountsCreate); err != nil {
		return AddedAccount{}, err
	}
	if in.Owner == "" {
		in.Owner = DefaultOwner
	}
	if in.Project == "" {
		in.Project = a.region
	}
	if err := accountName.check(in.Name); err != nil {
		return AddedAccount{}, err
	}
	if err := userName.check(in.Owner); err != nil {
		return AddedAccount{}, err
	}
	if err := projectName.check(in.Project); err != nil {
		return AddedAccount{}, err
	}
	now := a.time()
	added := AddedAccount{Account: account.Account{ID: account.NewID(), Name: in.Name, OwnHosts: in.OwnHosts, CreatedAt: now}}
	added.Project = account.Project{ID: account.NewID(), Account: added.Account.ID, Name: in.Project, CreatedAt: now}
	added.Owner = a.newUser(added.Account.ID, in.Owner)
	added.Owner.User.Owner = true
	who := account.Identity{User: added.Owner.User, Account: added.Account, Projects: []account.Project{added.Project}}
	if err := a.store.AddAccount(ctx, who, added.Owner.Key); err != nil {
		return AddedAccount{}, err
	}
	added.Owner.User = withoutHash(added.Owner.User)
	return added, nil
}

// Accounts gives all accounts of the installation by name.
func (a *Access) Accounts(ctx context.Context, caller account.Caller) ([]account.Account, error) {
	if err := Authorise(caller, "", ActionAccountsList); err != nil {
		return nil, err
	}
	return a.store.Accounts(ctx)
}

// Account gives one account with its projects.
func (a *Access) Account(ctx context.Context, caller account.Caller, name string) (account.Account, []account.Project, error) {
	if err := Authorise(caller, "", ActionAccountsGet); err != nil {
		return account.Account{}, nil, err
	}
	accounts, err := a.store.Accounts(ctx)
	if err != nil {
		return account.Account{}, nil, err
	}
	for _, found := range accounts {
		if found.Name == name {
			projects, err := a.store.Projects(ctx, found.ID)
			return found, projects, err
		}
	}
	return account.Account{}, nil, NoSuch("account")
}

// SetOwnHosts says whether an account may add servers, on hosts that it names.
func (a *Access) SetOwnHosts(ctx context.Context, caller account.Caller, name string, may bool) error {
	if err := Authorise(caller, "", ActionAccountsUpdate); err != nil {
		return err
	}
	if err := accountName.find(name); err != nil {
		return err
	}
	return a.store.SetOwnHosts(ctx, name, may)
}

// DeleteAccount removes an account with its users, projects and policies.
func (a *Access) DeleteAccount(ctx context.Context, caller account.Caller, name string) error {
	if err := Authorise(caller, "", ActionAccountsDelete); err != nil {
		return err
	}
	if err := accountName.find(name); err != nil {
		return err
	}
	return a.store.DeleteAccount(ctx, name)
}

// AddProject makes a project in the caller's account.
func (a *Access) AddProject(ctx context.Context, caller account.Caller, name string) (account.Project, error) {
	if err := Authorise(caller, "", ActionProjectsCreate); err != nil {
		return account.Project{}, err
	}
	if err := projectName.check(name); err != nil {
		return account.Project{}, err
	}
	project := account.Project{ID: account.NewID(), Account: caller.Account.ID, Name: name, CreatedAt: a.time()}
	if err := a.store.AddProject(ctx, project); err != nil {
		return account.Project{}, err
	}
	return project, nil
}

// Projects gives the projects of the caller's account by name.
func (a *Access) Projects(ctx context.Context, caller account.Caller) ([]account.Project, error) {
	if err := Authorise(caller, "", ActionProjectsList); err != nil {
		return nil, err
	}
	return a.store.Projects(ctx, caller.Account.ID)
}

// RenameProject gives a project of the caller's account another name; its id, its servers and what was granted on it stay.
func (a *Access) RenameProject(ctx context.Context, caller account.Caller, name, to string) error {
	if err := Authorise(caller, "", ActionProjectsUpdate); err != nil {
		return err
	}
	if err := projectName.check(to); err != nil {
		return err
	}
	if err := projectName.find(name); err != nil {
		return err
	}
	return a.store.RenameProject(ctx, caller.Account.ID, name, to)
}

// DeleteProject removes a project of the caller's account that has neither servers nor phones.
func (a *Access) DeleteProject(ctx context.Context, caller account.Caller, name string) error {
	if err := Authorise(caller, "", ActionProjectsDelete); err != nil {
		return err
	}
	if err := projectName.find(name); err != nil {
		return err
	}
	return a.store.DeleteProject(ctx, caller.Account.ID, name)
}
