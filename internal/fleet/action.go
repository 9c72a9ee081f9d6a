package fleet

import (
	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Action is what a policy allows or denies: service:resource:operation.
type Action string

// The actions on the fleet; those on users stand with their use cases. The CPH API reference names cph:phones:reset, ims:images:get, cph:servers:list, cph:servers:get
// and cph:servers:create; it leaves the others open, and they follow its pattern.
const (
	ActionPhonesList       Action = "cph:phones:list"
	ActionPhonesGet        Action = "cph:phones:get"
	ActionPhonesReset      Action = "cph:phones:reset"
	ActionPhonesCommand    Action = "cph:phones:runCommand"
	ActionServersList      Action = "cph:servers:list"
	ActionServersGet       Action = "cph:servers:get"
	ActionServersCreate    Action = "cph:servers:create"
	ActionServersReconcile Action = "cph:servers:reconcile"
	ActionJobsList         Action = "cph:jobs:list"
	ActionJobsGet          Action = "cph:jobs:get"
	ActionImagesList       Action = "cph:images:list"
	ActionImagesGet        Action = "ims:images:get" // naming an image in a reset: images belong to the image service
	ActionImagesCreate     Action = "ims:images:create"
)

// Actions lists every action, for those who write policies.
func Actions() []Action {
	return []Action{
		ActionPhonesList, ActionPhonesGet, ActionPhonesReset, ActionPhonesCommand, ActionServersList, ActionServersGet,
		ActionServersCreate, ActionServersReconcile, ActionJobsList, ActionJobsGet, ActionImagesList, ActionImagesGet, ActionImagesCreate,
		ActionUsersList, ActionUsersCreate, ActionUsersGrant, ActionAuditList,
	}
}

// Authorise refuses (Forbidden) a caller whose credentials do not reach into the project or whose policies do not allow every
// one of the actions. Each use case asks it by itself; an edge may ask before, to answer 403 without reading a body.
func Authorise(c account.Caller, project phone.ProjectID, actions ...Action) error {
	if !c.In(string(project)) {
		return phone.Errorf(phone.Forbidden, "", "the credentials are not scoped to this project")
	}
	for _, action := range actions {
		if !c.May(string(action)) {
			return phone.Errorf(phone.Forbidden, "", "the user has no permission for %s", action)
		}
	}
	return nil
}
