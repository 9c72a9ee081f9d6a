package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/lethe-cloud/lethe/api"
)

// below makes a path of a resource and the names in it.
func below(parts ...string) string {
	path := api.Prefix
	for i, part := range parts {
		if i%2 == 1 {
			part = url.PathEscape(part)
		}
		path += "/" + part
	}
	return path
}

func (c *Client) post(ctx context.Context, path string, in, out any) error {
	return c.call(ctx, http.MethodPost, path, nil, in, out)
}

func (c *Client) put(ctx context.Context, path string, in, out any) error {
	return c.call(ctx, http.MethodPut, path, nil, in, out)
}

func (c *Client) remove(ctx context.Context, path string) error {
	return c.call(ctx, http.MethodDelete, path, nil, nil, &api.Done{})
}

// AddAccount makes an account; its owner's password and access key are in this answer and in no other.
func (c *Client) AddAccount(ctx context.Context, in api.AddAccount) (api.AddedAccount, error) {
	var out api.AddedAccount
	return out, c.post(ctx, below("accounts"), in, &out)
}

// Accounts gives all accounts of the installation.
func (c *Client) Accounts(ctx context.Context) ([]api.Account, error) {
	var out api.Accounts
	return out.Accounts, c.get(ctx, below("accounts"), nil, &out)
}

// Account gives one account with its projects.
func (c *Client) Account(ctx context.Context, name string) (api.AccountDetail, error) {
	var out api.AccountDetail
	return out, c.get(ctx, below("accounts", name), nil, &out)
}

// SetOwnHosts lets an account add servers on hosts that it names, or not.
func (c *Client) SetOwnHosts(ctx context.Context, name string, may bool) error {
	return c.put(ctx, below("accounts", name), api.SetAccount{OwnHosts: may}, &api.Done{})
}

// DeleteAccount removes an account that has neither servers nor phones.
func (c *Client) DeleteAccount(ctx context.Context, name string) error {
	return c.remove(ctx, below("accounts", name))
}

// AddProject makes a project in the caller's account.
func (c *Client) AddProject(ctx context.Context, name string) (api.Project, error) {
	var out api.Project
	return out, c.post(ctx, below("projects"), api.AddProject{ProjectName: name}, &out)
}

// Projects gives the account's projects.
func (c *Client) Projects(ctx context.Context) ([]api.Project, error) {
	var out api.Projects
	return out.Projects, c.get(ctx, below("projects"), nil, &out)
}

// RenameProject gives a project another name.
func (c *Client) RenameProject(ctx context.Context, name, to string) error {
	return c.put(ctx, below("projects", name), api.RenameProject{ProjectName: to}, &api.Done{})
}

// DeleteProject removes a project that has neither servers nor phones.
func (c *Client) DeleteProject(ctx context.Context, name string) error {
	return c.remove(ctx, below("projects", name))
}

// AddUser makes a user; its password and access key are in this answer and in no other.
func (c *Client) AddUser(ctx context.Context, in api.AddUser) (api.AddedUser, error) {
	var out api.AddedUser
	return out, c.post(ctx, below("users"), in, &out)
}

// Users gives the account's users.
func (c *Client) Users(ctx context.Context) ([]api.User, error) {
	var out api.Users
	return out.Users, c.get(ctx, below("users"), nil, &out)
}

// User gives one user with its groups and its grants.
func (c *Client) User(ctx context.Context, name string) (api.UserDetail, error) {
	var out api.UserDetail
	return out, c.get(ctx, below("users", name), nil, &out)
}

// SetUserEnabled disables a user, or enables it.
func (c *Client) SetUserEnabled(ctx context.Context, name string, enabled bool) error {
	return c.put(ctx, below("users", name), api.SetEnabled{Enabled: enabled}, &api.Done{})
}

// DeleteUser removes a user.
func (c *Client) DeleteUser(ctx context.Context, name string) error {
	return c.remove(ctx, below("users", name))
}

// SetPolicies replaces a user's own policies.
func (c *Client) SetPolicies(ctx context.Context, user string, policies []api.Policy) (api.UserPolicies, error) {
	if policies == nil {
		policies = []api.Policy{}
	}
	var out api.UserPolicies
	return out, c.put(ctx, below("users", user, "policies"), api.SetPolicies{Policies: policies}, &out)
}

// ResetPassword gives a user a new password, one made by the server when password is "".
func (c *Client) ResetPassword(ctx context.Context, user, password string) (api.Password, error) {
	var out api.Password
	return out, c.put(ctx, below("users", user, "password"), api.ResetPassword{Password: password}, &out)
}

// ChangePassword gives the caller itself a new password.
func (c *Client) ChangePassword(ctx context.Context, in api.ChangePassword) error {
	return c.put(ctx, below("password"), in, &api.Done{})
}

// AddKey makes a further access key of a user; its secret is in this answer and in no other.
func (c *Client) AddKey(ctx context.Context, user string) (api.AddedKey, error) {
	var out api.AddedKey
	return out, c.post(ctx, below("users", user, "keys"), nil, &out)
}

// Keys gives a user's access keys without their secrets.
func (c *Client) Keys(ctx context.Context, user string) ([]api.AccessKey, error) {
	var out api.AccessKeys
	return out.AccessKeys, c.get(ctx, below("users", user, "keys"), nil, &out)
}

// SetKeyEnabled disables an access key, or enables it.
func (c *Client) SetKeyEnabled(ctx context.Context, user, key string, enabled bool) error {
	return c.put(ctx, below("users", user, "keys", key), api.SetEnabled{Enabled: enabled}, &api.Done{})
}

// DeleteKey removes an access key.
func (c *Client) DeleteKey(ctx context.Context, user, key string) error {
	return c.remove(ctx, below("users", user, "keys", key))
}

// AddGroup makes a group.
func (c *Client) AddGroup(ctx context.Context, name string) (api.Group, error) {
	var out api.Group
	return out, c.post(ctx, below("groups"), api.AddGroup{GroupName: name}, &out)
}

// Groups gives the account's groups.
func (c *Client) Groups(ctx context.Context) ([]api.Group, error) {
	var out api.Groups
	return out.Groups, c.get(ctx, below("groups"), nil, &out)
}

// Group gives one group with its users and its grants.
func (c *Client) Group(ctx context.Context, name string) (api.GroupDetail, error) {
	var out api.GroupDetail
	return out, c.get(ctx, below("groups", name), nil, &out)
}

// DeleteGroup removes a group.
func (c *Client) DeleteGroup(ctx context.Context, name string) error {
	return c.remove(ctx, below("groups", name))
}

// AddToGroup puts a user into a group.
func (c *Client) AddToGroup(ctx context.Context, group, user string) error {
	return c.put(ctx, below("groups", group, "users", user), nil, &api.Done{})
}

// RemoveFromGroup takes a user out of a group.
func (c *Client) RemoveFromGroup(ctx context.Context, group, user string) error {
	return c.remove(ctx, below("groups", group, "users", user))
}

// AddPolicy makes a policy of the account.
func (c *Client) AddPolicy(ctx context.Context, in api.AddPolicy) (api.NamedPolicy, error) {
	var out api.NamedPolicy
	return out, c.post(ctx, below("policies"), in, &out)
}

// Policies gives the system policies and the account's.
func (c *Client) Policies(ctx context.Context) ([]api.NamedPolicy, error) {
	var out api.NamedPolicies
	return out.Policies, c.get(ctx, below("policies"), nil, &out)
}

// Policy gives one policy.
func (c *Client) Policy(ctx context.Context, name string) (api.NamedPolicy, error) {
	var out api.NamedPolicy
	return out, c.get(ctx, below("policies", name), nil, &out)
}

// SetPolicy replaces what a policy of the account says, for everybody who has it.
func (c *Client) SetPolicy(ctx context.Context, name string, policy api.Policy) (api.NamedPolicy, error) {
	var out api.NamedPolicy
	return out, c.put(ctx, below("policies", name), api.SetPolicy{Policy: policy}, &out)
}

// DeletePolicy removes a policy of the account that is attached nowhere.
func (c *Client) DeletePolicy(ctx context.Context, name string) error {
	return c.remove(ctx, below("policies", name))
}

// Attach gives a policy to the user or the group that the grant names.
func (c *Client) Attach(ctx context.Context, grant api.Grant) (api.Grant, error) {
	var out api.Grant
	return out, c.call(ctx, http.MethodPut, grantPath(grant), query("project_name", grant.ProjectName), nil, &out)
}

// Detach takes back what Attach gave.
func (c *Client) Detach(ctx context.Context, grant api.Grant) error {
	return c.call(ctx, http.MethodDelete, grantPath(grant), query("project_name", grant.ProjectName), nil, &api.Done{})
}

func grantPath(grant api.Grant) string {
	if grant.GroupName != "" {
		return below("groups", grant.GroupName, "grants", grant.PolicyName)
	}
	return below("users", grant.UserName, "grants", grant.PolicyName)
}
