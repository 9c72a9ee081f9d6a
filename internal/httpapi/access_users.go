package httpapi

import (
	"net/http"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/fleet"
)

// secret answers with something that is shown this once.
func (c *call) secret(v any) error {
	c.w.Header().Set("Cache-Control", "no-store")
	return c.answer(http.StatusOK, v)
}

// done answers what has no answer of its own.
func (c *call) done(err error) error {
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, api.Done{})
}

func (a *API) addUser(c *call) error {
	var in api.AddUser
	if err := c.decode(&in); err != nil {
		return err
	}
	c.audited.About(in.UserName)
	added, err := a.Access.AddUser(c.Context(), c.caller, fleet.NewUser{Name: in.UserName, Policies: each(in.Policies, policyIn)})
	if err != nil {
		return err
	}
	return c.secret(addedUserOut(added))
}

func (a *API) users(c *call) error {
	users, err := a.Access.Users(c.Context(), c.caller)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, api.Users{Users: each(users, userOut), Count: len(users)})
}

func (a *API) user(c *call) error {
	detail, err := a.Access.User(c.Context(), c.caller, c.PathValue("user_name"))
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, api.UserDetail{User: userOut(detail.User), Groups: each(detail.Groups, text), Grants: each(detail.Grants, grantOut)})
}

func (a *API) setPolicies(c *call) error {
	var in api.SetPolicies
	if err := c.decode(&in); err != nil {
		return err
	}
	name, policies := c.PathValue("user_name"), each(in.Policies, policyIn)
	if err := a.Access.SetPolicies(c.Context(), c.caller, name, policies); err != nil {
		return err
	}
	return c.answer(http.StatusOK, api.UserPolicies{UserName: name, Policies: each(policies, policyOut)})
}

func (a *API) setUser(c *call) error {
	var in api.SetEnabled
	if err := c.decode(&in); err != nil {
		return err
	}
	return c.done(a.Access.SetUserDisabled(c.Context(), c.caller, c.PathValue("user_name"), !in.Enabled))
}

func (a *API) deleteUser(c *call) error {
	return c.done(a.Access.DeleteUser(c.Context(), c.caller, c.PathValue("user_name")))
}

func (a *API) resetPassword(c *call) error {
	var in api.ResetPassword
	if err := c.decode(&in); err != nil {
		return err
	}
	name := c.PathValue("user_name")
	password, err := a.Access.ResetPassword(c.Context(), c.caller, name, in.Password)
	if err != nil {
		return err
	}
	return c.secret(api.Password{UserName: name, Password: password})
}

func (a *API) changePassword(c *call) error {
	c.audited.About(c.caller.User.Name)
	var in api.ChangePassword
	if err := c.decode(&in); err != nil {
		return err
	}
	return c.done(a.Access.ChangePassword(c.Context(), c.caller, in.OriginalPassword, in.Password))
}

func (a *API) addKey(c *call) error {
	key, err := a.Access.AddKey(c.Context(), c.caller, c.PathValue("user_name"))
	if err != nil {
		return err
	}
	return c.secret(api.AddedKey{AccessKey: keyOut(key), SecretKey: key.Secret})
}

func (a *API) keys(c *call) error {
	keys, err := a.Access.Keys(c.Context(), c.caller, c.PathValue("user_name"))
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, api.AccessKeys{AccessKeys: each(keys, keyOut), Count: len(keys)})
}

func (a *API) setKey(c *call) error {
	var in api.SetEnabled
	if err := c.decode(&in); err != nil {
		return err
	}
	return c.done(a.Access.SetKeyDisabled(c.Context(), c.caller, c.PathValue("user_name"), c.PathValue("access_key"), !in.Enabled))
}

func (a *API) deleteKey(c *call) error {
	return c.done(a.Access.DeleteKey(c.Context(), c.caller, c.PathValue("user_name"), c.PathValue("access_key")))
}

func addedUserOut(added fleet.AddedUser) api.AddedUser {
	return api.AddedUser{User: userOut(added.User), Password: added.Password, AccessKey: added.Key.ID, SecretKey: added.Key.Secret}
}

func userOut(u account.User) api.User {
	return api.User{
		UserID: u.ID, UserName: u.Name, Owner: u.Owner, Enabled: !u.Disabled, Policies: each(u.Policies, policyOut), CreateTime: u.CreatedAt.UTC(),
	}
}

func keyOut(key account.AccessKey) api.AccessKey {
	return api.AccessKey{AccessKey: key.ID, Enabled: !key.Disabled, CreateTime: key.CreatedAt.UTC()}
}

func text(s string) string { return s }
