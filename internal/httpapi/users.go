package httpapi

import (
	"context"
	"net/http"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/fleet"
)

// Users is what the native API asks about the account's users; fleet.Users is one. Every method authorises its caller by itself.
type Users interface {
	AddUser(ctx context.Context, caller account.Caller, in fleet.NewUser) (fleet.AddedUser, error)
	Users(ctx context.Context, caller account.Caller) ([]account.User, error)
	SetPolicies(ctx context.Context, caller account.Caller, name string, policies []account.Policy) error
}

func (a *API) addUser(c *call) error {
	var in api.AddUser
	if err := c.decode(&in); err != nil {
		return err
	}
	c.audited.About(in.UserName)
	added, err := a.Users.AddUser(c.Context(), c.caller, fleet.NewUser{Name: in.UserName, Policies: each(in.Policies, policyIn)})
	if err != nil {
		return err
	}
	c.w.Header().Set("Cache-Control", "no-store") // it has the secrets
	return c.answer(http.StatusOK, api.AddedUser{
		User: userOut(added.User), Password: added.Password, AccessKey: added.Key.ID, SecretKey: added.Key.Secret,
	})
}

func (a *API) users(c *call) error {
	users, err := a.Users.Users(c.Context(), c.caller)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, api.Users{Users: each(users, userOut), Count: len(users)})
}

func (a *API) setPolicies(c *call) error {
	var in api.SetPolicies
	if err := c.decode(&in); err != nil {
		return err
	}
	name, policies := c.PathValue("user_name"), each(in.Policies, policyIn)
	if err := a.Users.SetPolicies(c.Context(), c.caller, name, policies); err != nil {
		return err
	}
	return c.answer(http.StatusOK, api.UserPolicies{UserName: name, Policies: each(policies, policyOut)})
}

func userOut(u account.User) api.User {
	return api.User{
		UserID: u.ID, UserName: u.Name, Owner: u.Owner, Policies: each(u.Policies, policyOut), CreateTime: u.CreatedAt.UTC(),
	}
}

func policyIn(p api.Policy) account.Policy {
	return account.Policy{Name: p.Name, Version: p.Version, Statement: each(p.Statement, func(s api.Statement) account.Statement {
		return account.Statement(s)
	})}
}

func policyOut(p account.Policy) api.Policy {
	return api.Policy{Name: p.Name, Version: p.Version, Statement: each(p.Statement, func(s account.Statement) api.Statement {
		return api.Statement(s)
	})}
}
