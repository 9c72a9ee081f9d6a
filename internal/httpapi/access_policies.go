package httpapi

import (
	"net/http"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

func (a *API) addPolicy(c *call) error {
	var in api.AddPolicy
	if err := c.decode(&in); err != nil {
		return err
	}
	c.audited.About(in.PolicyName)
	policy := policyIn(in.Policy)
	if policy.Name != "" && policy.Name != in.PolicyName {
		return &phone.Error{Code: phone.Invalid, Field: "policy.Name", Msg: "policy.Name must be policy_name, or be left out"}
	}
	policy.Name = in.PolicyName
	added, err := a.Access.AddPolicy(c.Context(), c.caller, policy)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, namedPolicyOut(added))
}

func (a *API) policies(c *call) error {
	policies, err := a.Access.Policies(c.Context(), c.caller)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, api.NamedPolicies{Policies: each(policies, namedPolicyOut), Count: len(policies)})
}

func (a *API) policy(c *call) error {
	found, err := a.Access.Policy(c.Context(), c.caller, c.PathValue("policy_name"))
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, namedPolicyOut(found))
}

func (a *API) setPolicy(c *call) error {
	var in api.SetPolicy
	if err := c.decode(&in); err != nil {
		return err
	}
	replaced, err := a.Access.ReplacePolicy(c.Context(), c.caller, c.PathValue("policy_name"), policyIn(in.Policy))
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, namedPolicyOut(replaced))
}

func (a *API) deletePolicy(c *call) error {
	return c.done(a.Access.DeletePolicy(c.Context(), c.caller, c.PathValue("policy_name")))
}

// attachment reads a grant: the holder and the policy are in the path, the project is in the query.
func (c *call) attachment() account.Attachment {
	return account.Attachment{
		User: c.PathValue("user_name"), Group: c.PathValue("group_name"), Policy: c.PathValue("policy_name"), Project: c.query.Get("project_name"),
	}
}

func (a *API) attach(c *call) error {
	in := c.attachment()
	if err := a.Access.Attach(c.Context(), c.caller, in); err != nil {
		return err
	}
	return c.answer(http.StatusOK, grantOut(in))
}

func (a *API) detach(c *call) error {
	return c.done(a.Access.Detach(c.Context(), c.caller, c.attachment()))
}

func (a *API) addGroup(c *call) error {
	var in api.AddGroup
	if err := c.decode(&in); err != nil {
		return err
	}
	c.audited.About(in.GroupName)
	group, err := a.Access.AddGroup(c.Context(), c.caller, in.GroupName)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, groupOut(group))
}

func (a *API) groups(c *call) error {
	groups, err := a.Access.Groups(c.Context(), c.caller)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, api.Groups{Groups: each(groups, groupOut), Count: len(groups)})
}

func (a *API) group(c *call) error {
	detail, err := a.Access.Group(c.Context(), c.caller, c.PathValue("group_name"))
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, groupDetailOut(detail))
}

func (a *API) deleteGroup(c *call) error {
	return c.done(a.Access.DeleteGroup(c.Context(), c.caller, c.PathValue("group_name")))
}

func (a *API) addMember(c *call) error {
	return c.done(a.Access.AddMember(c.Context(), c.caller, c.PathValue("group_name"), c.PathValue("user_name")))
}

func (a *API) removeMember(c *call) error {
	return c.done(a.Access.RemoveMember(c.Context(), c.caller, c.PathValue("group_name"), c.PathValue("user_name")))
}

func policyIn(p api.Policy) account.Policy {
	return account.Policy{Name: p.Name, Version: p.Version, Statement: each(p.Statement, func(s api.Statement) account.Statement {
		return account.Statement{Effect: s.Effect, Action: s.Action, Condition: s.Condition}
	})}
}

func policyOut(p account.Policy) api.Policy {
	return api.Policy{Name: p.Name, Version: p.Version, Statement: each(p.Statement, func(s account.Statement) api.Statement {
		return api.Statement{Effect: s.Effect, Action: s.Action, Condition: s.Condition}
	})}
}

func namedPolicyOut(p account.NamedPolicy) api.NamedPolicy {
	out := api.NamedPolicy{PolicyName: p.Policy.Name, System: p.System(), Policy: policyOut(p.Policy)}
	if !p.System() {
		created, updated := p.CreatedAt.UTC(), p.UpdatedAt.UTC()
		out.CreateTime, out.UpdateTime = &created, &updated
	}
	return out
}

func grantOut(a account.Attachment) api.Grant {
	return api.Grant{UserName: a.User, GroupName: a.Group, PolicyName: a.Policy, ProjectName: a.Project}
}

func groupOut(g account.Group) api.Group {
	return api.Group{GroupID: g.ID, GroupName: g.Name, CreateTime: g.CreatedAt.UTC()}
}

func groupDetailOut(d fleet.GroupDetail) api.GroupDetail {
	return api.GroupDetail{Group: groupOut(d.Group), Users: each(d.Users, text), Grants: each(d.Grants, grantOut)}
}
