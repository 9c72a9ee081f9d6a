package fleet

import (
	"context"
	"strings"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// AddPolicy makes a policy of the account, under the name that it has; it counts for nobody until it is attached.
func (a *Access) AddPolicy(ctx context.Context, caller account.Caller, policy account.Policy) (account.NamedPolicy, error) {
	if err := Authorise(caller, "", ActionPoliciesCreate); err != nil {
		return account.NamedPolicy{}, err
	}
	if err := policyName.check(policy.Name); err != nil {
		return account.NamedPolicy{}, err
	}
	if err := checkPolicy(policy); err != nil {
		return account.NamedPolicy{}, err
	}
	for _, system := range account.SystemPolicies() {
		if strings.EqualFold(policy.Name, system.Policy.Name) {
			return account.NamedPolicy{}, phone.Errorf(phone.Conflict, phone.ReasonNameTaken, "%s is a system policy: choose another name", system.Policy.Name)
		}
	}
	now := a.time()
	named := account.NamedPolicy{ID: account.NewID(), Account: caller.Account.ID, Policy: policy, CreatedAt: now, UpdatedAt: now}
	if err := a.store.AddPolicy(ctx, named); err != nil {
		return account.NamedPolicy{}, err
	}
	return named, nil
}

// Policies gives the system policies, then the account's, each by name.
func (a *Access) Policies(ctx context.Context, caller account.Caller) ([]account.NamedPolicy, error) {
	if err := Authorise(caller, "", ActionPoliciesList); err != nil {
		return nil, err
	}
	own, err := a.store.Policies(ctx, caller.Account.ID)
	return append(account.SystemPolicies(), own...), err
}

// Policy gives one policy, the account's or a system policy.
func (a *Access) Policy(ctx context.Context, caller account.Caller, name string) (account.NamedPolicy, error) {
	if err := Authorise(caller, "", ActionPoliciesGet); err != nil {
		return account.NamedPolicy{}, err
	}
	return a.policy(ctx, caller, name)
}

func (a *Access) policy(ctx context.Context, caller account.Caller, name string) (account.NamedPolicy, error) {
	if system, ok := account.SystemPolicy(name); ok {
		return system, nil
	}
	own, err := a.store.Policies(ctx, caller.Account.ID)
	if err != nil {
		return account.NamedPolicy{}, err
	}
	for _, p := range own {
		if p.Policy.Name == name {
			return p, nil
		}
	}
	return account.NamedPolicy{}, NoSuch("policy")
}

// ReplacePolicy replaces what one of the account's policies says, for everybody who has it.
func (a *Access) ReplacePolicy(ctx context.Context, caller account.Caller, name string, policy account.Policy) (account.NamedPolicy, error) {
	if err := Authorise(caller, "", ActionPoliciesUpdate); err != nil {
		return account.NamedPolicy{}, err
	}
	if policy.Name != "" && policy.Name != name {
		return account.NamedPolicy{}, &phone.Error{Code: phone.Invalid, Field: "Name", Msg: "Name must be the policy's own, or left out: a policy keeps its name"}
	}
	if err := checkPolicy(policy); err != nil {
		return account.NamedPolicy{}, err
	}
	if err := ownPolicy(name, "changed"); err != nil {
		return account.NamedPolicy{}, err
	}
	if err := a.store.ReplacePolicy(ctx, caller.Account.ID, name, policy); err != nil {
		return account.NamedPolicy{}, err
	}
	return a.policy(ctx, caller, name)
}

// DeletePolicy removes one of the account's policies, unless somebody has it.
func (a *Access) DeletePolicy(ctx context.Context, caller account.Caller, name string) error {
	if err := Authorise(caller, "", ActionPoliciesDelete); err != nil {
		return err
	}
	if err := ownPolicy(name, "deleted"); err != nil {
		return err
	}
	return a.store.DeletePolicy(ctx, caller.Account.ID, name)
}

func ownPolicy(name, what string) error {
	if _, ok := account.SystemPolicy(name); ok {
		return phone.Errorf(phone.Precondition, "", "%s is a system policy: it cannot be %s", name, what)
	}
	return policyName.find(name)
}

func checkPolicy(policy account.Policy) error {
	if err := policy.Validate(); err != nil {
		return &phone.Error{Code: phone.Invalid, Field: "policy", Msg: err.Error()}
	}
	return nil
}

// Attach grants a policy to a user or to a group, in the whole account or in one project.
func (a *Access) Attach(ctx context.Context, caller account.Caller, in account.Attachment) error {
	if err := a.attachment(ctx, caller, in, ActionAttach); err != nil {
		return err
	}
	return a.store.Attach(ctx, caller.Account.ID, in)
}

// Detach takes back what Attach granted.
func (a *Access) Detach(ctx context.Context, caller account.Caller, in account.Attachment) error {
	if err := a.attachment(ctx, caller, in, ActionDetach); err != nil {
		return err
	}
	return a.store.Detach(ctx, caller.Account.ID, in)
}

func (a *Access) attachment(ctx context.Context, caller account.Caller, in account.Attachment, action Action) error {
	if err := Authorise(caller, "", action); err != nil {
		return err
	}
	if err := policyName.find(in.Policy); err != nil {
		return err
	}
	if in.Project != "" {
		if err := projectName.find(in.Project); err != nil {
			return err
		}
	}
	if in.Group != "" {
		return groupName.find(in.Group)
	}
	return a.others(ctx, caller, in.User, "no policy counts for it")
}
