package httpapi

import (
	"net/http"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/fleet"
)

func (a *API) addAccount(c *call) error {
	var in api.AddAccount
	if err := c.decode(&in); err != nil {
		return err
	}
	c.audited.About(in.AccountName)
	added, err := a.Access.AddAccount(c.Context(), c.caller, fleet.NewAccount{Name: in.AccountName, Owner: in.UserName, Project: in.ProjectName, OwnHosts: in.OwnHosts})
	if err != nil {
		return err
	}
	return c.secret(api.AddedAccount{Account: accountOut(added.Account), Project: projectOut(added.Project), Owner: addedUserOut(added.Owner)})
}

func (a *API) accounts(c *call) error {
	accounts, err := a.Access.Accounts(c.Context(), c.caller)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, api.Accounts{Accounts: each(accounts, accountOut), Count: len(accounts)})
}

func (a *API) account(c *call) error {
	found, projects, err := a.Access.Account(c.Context(), c.caller, c.PathValue("account_name"))
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, api.AccountDetail{Account: accountOut(found), Projects: each(projects, projectOut)})
}

func (a *API) setAccount(c *call) error {
	var in api.SetAccount
	if err := c.decode(&in); err != nil {
		return err
	}
	return c.done(a.Access.SetOwnHosts(c.Context(), c.caller, c.PathValue("account_name"), in.OwnHosts))
}

func (a *API) deleteAccount(c *call) error {
	return c.done(a.Access.DeleteAccount(c.Context(), c.caller, c.PathValue("account_name")))
}

func (a *API) addProject(c *call) error {
	var in api.AddProject
	if err := c.decode(&in); err != nil {
		return err
	}
	c.audited.About(in.ProjectName)
	project, err := a.Access.AddProject(c.Context(), c.caller, in.ProjectName)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, projectOut(project))
}

func (a *API) projects(c *call) error {
	projects, err := a.Access.Projects(c.Context(), c.caller)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, api.Projects{Projects: each(projects, projectOut), Count: len(projects)})
}

func (a *API) renameProject(c *call) error {
	var in api.RenameProject
	if err := c.decode(&in); err != nil {
		return err
	}
	return c.done(a.Access.RenameProject(c.Context(), c.caller, c.PathValue("project_name"), in.ProjectName))
}

func (a *API) deleteProject(c *call) error {
	return c.done(a.Access.DeleteProject(c.Context(), c.caller, c.PathValue("project_name")))
}

func accountOut(a account.Account) api.Account {
	return api.Account{AccountID: a.ID, AccountName: a.Name, Operator: a.Operator, OwnHosts: a.MayNameHosts(), CreateTime: a.CreatedAt.UTC()}
}

func projectOut(p account.Project) api.Project {
	return api.Project{ProjectID: p.ID, ProjectName: p.Name, CreateTime: p.CreatedAt.UTC()}
}
