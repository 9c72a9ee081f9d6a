package fleet

import (
	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Action is what a policy allows or denies: service:resource:operation.
type Action string

// The actions. The CPH API reference names cph:phones:reset, cph:phones:updateProperty, ims:images:get, cph:servers:list, cph:servers:get,
// cph:servers:create, cph:servers:restart, cph:servers:change, cph:servers:delete, cph:phones:storage and cph:phones:restore; it leaves the others open, and they follow its pattern. Those of iam are named as in IAM where it has them.
const (
	ActionPhonesList           Action = "cph:phones:list"
	ActionPhonesGet            Action = "cph:phones:get"
	ActionPhonesReset          Action = "cph:phones:reset"
	ActionPhonesStop           Action = "cph:phones:stop"
	ActionPhonesRestart        Action = "cph:phones:restart"
	ActionPhonesUpdateProperty Action = "cph:phones:updateProperty"
	ActionPhonesDelete         Action = "cph:phones:delete"
	ActionPhonesCommand        Action = "cph:phones:runCommand"
	ActionPhonesExport         Action = "cph:phones:storage"
	ActionPhonesImport         Action = "cph:phones:restore"
	ActionServersList          Action = "cph:servers:list"
	ActionServersGet           Action = "cph:servers:get"
	ActionServersCreate        Action = "cph:servers:create"
	ActionServersReconcile     Action = "cph:servers:reconcile"
	ActionServersRestart       Action = "cph:servers:restart"
	ActionServersDelete        Action = "cph:servers:delete"
	ActionServersChange        Action = "cph:servers:change"
	ActionJobsList             Action = "cph:jobs:list"
	ActionJobsGet              Action = "cph:jobs:get"
	ActionImagesList           Action = "cph:images:list"
	ActionImagesGet            Action = "ims:images:get" // naming an image in a reset: images belong to the image service
	ActionImagesCreate         Action = "ims:images:create"

	// The CPH API's beyond these. The reference names cph:servers:updateName, cph:servers:changeType, cph:system:listServerTypes,
	// cph:phones:execSyncCommands and those of shared files and apps; the others follow its pattern.
	ActionPhonesUpdateName   Action = "cph:phones:updateName"
	ActionPhonesConnect      Action = "cph:phones:connect"
	ActionPhonesSyncCommand  Action = "cph:phones:execSyncCommands"
	ActionPhonesTraffic      Action = "cph:phones:importTraffic"
	ActionPhonesExpand       Action = "cph:phones:expandVolume"
	ActionServersUpdateName  Action = "cph:servers:updateName"
	ActionServersChangeType  Action = "cph:servers:changeType"
	ActionServersAccess      Action = "cph:servers:updateAccess"
	ActionServersKeypair     Action = "cph:servers:updateKeypair"
	ActionServersAttach      Action = "cph:servers:attachShareFilesystem"
	ActionServersDetach      Action = "cph:servers:detachShareFilesystem"
	ActionShareFilesPush     Action = "cph:servers:pushShareFiles"
	ActionShareFilesDelete   Action = "cph:servers:deleteShareFiles"
	ActionShareFilesList     Action = "cph:servers:getShareFiles"
	ActionShareAppsPush      Action = "cph:servers:pushShareApps"
	ActionShareAppsDelete    Action = "cph:servers:deleteShareApps"
	ActionPhoneModelsList    Action = "cph:system:listPhoneTypes"
	ActionServerModelsList   Action = "cph:system:listServerTypes"
	ActionImagesDelete       Action = "cph:images:delete"
	ActionImagesShare        Action = "cph:images:share"
	ActionImagesListMembers  Action = "cph:images:listMembers"
	ActionImagesAcceptShared Action = "cph:images:updateMember"
	ActionTagsList           Action = "cph:tags:list"
	ActionTagsUpdate         Action = "cph:tags:update"
	ActionBandwidthsList     Action = "cph:bandwidths:list"
	ActionBandwidthsUpdate   Action = "cph:bandwidths:update"
	ActionEncodersList       Action = "cph:encodeServers:list"
	ActionEncodersRestart    Action = "cph:encodeServers:restart"
	ActionEventsList         Action = "cph:scheduledEvents:list"
	ActionEventsUpdate       Action = "cph:scheduledEvents:update"

	ActionUsersList     Action = "iam:users:listUsers"
	ActionUsersGet      Action = "iam:users:getUser"
	ActionUsersCreate   Action = "iam:users:createUser"
	ActionUsersUpdate   Action = "iam:users:updateUser"
	ActionUsersDelete   Action = "iam:users:deleteUser"
	ActionUsersPassword Action = "iam:users:resetPassword"
	ActionUsersGrant    Action = "iam:users:setPolicies"

	ActionKeysList   Action = "iam:credentials:listCredentials"
	ActionKeysCreate Action = "iam:credentials:createCredential"
	ActionKeysUpdate Action = "iam:credentials:updateCredential"
	ActionKeysDelete Action = "iam:credentials:deleteCredential"

	ActionGroupsList   Action = "iam:groups:listGroups"
	ActionGroupsGet    Action = "iam:groups:getGroup"
	ActionGroupsCreate Action = "iam:groups:createGroup"
	ActionGroupsDelete Action = "iam:groups:deleteGroup"
	ActionGroupsAdd    Action = "iam:permissions:addUserToGroup"
	ActionGroupsRemove Action = "iam:permissions:removeUserFromGroup"

	ActionPoliciesList   Action = "iam:roles:listRoles"
	ActionPoliciesGet    Action = "iam:roles:getRole"
	ActionPoliciesCreate Action = "iam:roles:createRole"
	ActionPoliciesUpdate Action = "iam:roles:updateRole"
	ActionPoliciesDelete Action = "iam:roles:deleteRole"
	ActionAttach         Action = "iam:permissions:grantRole"
	ActionDetach         Action = "iam:permissions:revokeRole"

	ActionProjectsList   Action = "iam:projects:listProjects"
	ActionProjectsCreate Action = "iam:projects:createProject"
	ActionProjectsUpdate Action = "iam:projects:updateProject"
	ActionProjectsDelete Action = "iam:projects:deleteProject"

	ActionAccountsList   Action = "lethe:accounts:list"
	ActionAccountsGet    Action = "lethe:accounts:get"
	ActionAccountsCreate Action = "lethe:accounts:create"
	ActionAccountsUpdate Action = "lethe:accounts:update"
	ActionAccountsDelete Action = "lethe:accounts:delete"
	ActionReplicasList   Action = "lethe:replicas:list"

	// Buckets and objects are those of an object store, which is a service of its own in Huawei's cloud too: no policy of CPH's gives them.
	ActionBucketsList   Action = "lethe:buckets:list"
	ActionBucketsCreate Action = "lethe:buckets:create"
	ActionBucketsDelete Action = "lethe:buckets:delete"
	ActionObjectsList   Action = "lethe:objects:list"
	ActionObjectsGet    Action = "lethe:objects:get"
	ActionObjectsPut    Action = "lethe:objects:put"
	ActionObjectsDelete Action = "lethe:objects:delete"

	// ActionAuditList is looking at the account's audit trail. CTS has actions of its own in IAM; lethe has no such service. It is none
	// of CPH's, whose ready-made policies must not show who was given what.
	ActionAuditList Action = "lethe:audit:list"
)

// Scope is what an action is done on, and so which credentials and which grants count for it.
type Scope string

// The scopes.
const (
	// ScopeProject: the credentials must reach into the project. Grants on the account and on this project count.
	ScopeProject Scope = "project"
	// ScopeAccount: the caller's own account. Credentials of any scope do; grants on a project do not count.
	ScopeAccount Scope = "account"
	// ScopeInstallation is as ScopeAccount, for the operator's account alone: no policy gives it to anybody else's user.
	ScopeInstallation Scope = "installation"
)

// When says for which calls an action needs another one too.
type When string

// The cases.
const (
	WhenImageNamed    When = "an image is named"
	WhenPoliciesGiven When = "policies are given"
)

// Dependency is a further action that an action needs.
type Dependency struct {
	Action Action
	When   When
}

// Permission is what there is to know of an action.
type Permission struct {
	Action   Action
	Resource string
	Scope    Scope
	Reads    bool // it changes nothing
	Depends  []Dependency
	// Admin: whoever may do this can, directly or with one further step, get every permission in the account.
	Admin bool
}

// permissions is the one table of actions. The routes of every edge name a line of it, Authorise judges by it, docs/permissions.md
// is made from both.
var permissions = []Permission{
	{Action: ActionPhonesList, Resource: "phone", Scope: ScopeProject, Reads: true},
	{Action: ActionPhonesGet, Resource: "phone", Scope: ScopeProject, Reads: true},
	{Action: ActionPhonesReset, Resource: "phone", Scope: ScopeProject, Depends: []Dependency{{ActionImagesGet, WhenImageNamed}}},
	{Action: ActionPhonesStop, Resource: "phone", Scope: ScopeProject},
	{Action: ActionPhonesRestart, Resource: "phone", Scope: ScopeProject, Depends: []Dependency{{ActionImagesGet, WhenImageNamed}}},
	{Action: ActionPhonesUpdateProperty, Resource: "phone", Scope: ScopeProject},
	{Action: ActionPhonesDelete, Resource: "phone", Scope: ScopeProject},
	{Action: ActionPhonesCommand, Resource: "phone", Scope: ScopeProject},
	{Action: ActionPhonesExport, Resource: "phone", Scope: ScopeProject},
	{Action: ActionPhonesImport, Resource: "phone", Scope: ScopeProject},
	{Action: ActionServersList, Resource: "server", Scope: ScopeProject, Reads: true},
	{Action: ActionServersGet, Resource: "server", Scope: ScopeProject, Reads: true},
	{Action: ActionServersCreate, Resource: "server", Scope: ScopeProject},
	{Action: ActionServersReconcile, Resource: "server", Scope: ScopeProject},
	{Action: ActionServersRestart, Resource: "server", Scope: ScopeProject},
	{Action: ActionServersDelete, Resource: "server", Scope: ScopeProject},
	{Action: ActionServersChange, Resource: "server", Scope: ScopeProject, Depends: []Dependency{{ActionImagesGet, WhenImageNamed}}},
	{Action: ActionJobsList, Resource: "job", Scope: ScopeProject, Reads: true},
	{Action: ActionJobsGet, Resource: "job", Scope: ScopeProject, Reads: true},
	{Action: ActionImagesList, Resource: "image", Scope: ScopeProject, Reads: true},
	{Action: ActionImagesGet, Resource: "image", Scope: ScopeProject, Reads: true},
	{Action: ActionImagesCreate, Resource: "image", Scope: ScopeProject},

	{Action: ActionPhonesUpdateName, Resource: "phone", Scope: ScopeProject},
	{Action: ActionPhonesConnect, Resource: "phone", Scope: ScopeProject},
	{Action: ActionPhonesSyncCommand, Resource: "phone", Scope: ScopeProject},
	{Action: ActionPhonesTraffic, Resource: "phone", Scope: ScopeProject},
	{Action: ActionPhonesExpand, Resource: "phone", Scope: ScopeProject},
	{Action: ActionServersUpdateName, Resource: "server", Scope: ScopeProject},
	{Action: ActionServersChangeType, Resource: "server", Scope: ScopeProject},
	{Action: ActionServersAccess, Resource: "server", Scope: ScopeProject},
	{Action: ActionServersKeypair, Resource: "server", Scope: ScopeProject},
	{Action: ActionServersAttach, Resource: "server", Scope: ScopeProject},
	{Action: ActionServersDetach, Resource: "server", Scope: ScopeProject},
	{Action: ActionShareFilesPush, Resource: "server", Scope: ScopeProject},
	{Action: ActionShareFilesDelete, Resource: "server", Scope: ScopeProject},
	{Action: ActionShareFilesList, Resource: "server", Scope: ScopeProject, Reads: true},
	{Action: ActionShareAppsPush, Resource: "server", Scope: ScopeProject},
	{Action: ActionShareAppsDelete, Resource: "server", Scope: ScopeProject},
	{Action: ActionPhoneModelsList, Resource: "phone model", Scope: ScopeProject, Reads: true},
	{Action: ActionServerModelsList, Resource: "server model", Scope: ScopeProject, Reads: true},
	{Action: ActionImagesDelete, Resource: "image", Scope: ScopeProject},
	{Action: ActionImagesShare, Resource: "image", Scope: ScopeProject},
	{Action: ActionImagesListMembers, Resource: "image", Scope: ScopeProject, Reads: true},
	{Action: ActionImagesAcceptShared, Resource: "image", Scope: ScopeProject},
	{Action: ActionTagsList, Resource: "tag", Scope: ScopeProject, Reads: true},
	{Action: ActionTagsUpdate, Resource: "tag", Scope: ScopeProject},
	{Action: ActionBandwidthsList, Resource: "bandwidth", Scope: ScopeProject, Reads: true},
	{Action: ActionBandwidthsUpdate, Resource: "bandwidth", Scope: ScopeProject},
	{Action: ActionEncodersList, Resource: "encode server", Scope: ScopeProject, Reads: true},
	{Action: ActionEncodersRestart, Resource: "encode server", Scope: ScopeProject},
	{Action: ActionEventsList, Resource: "scheduled event", Scope: ScopeProject, Reads: true},
	{Action: ActionEventsUpdate, Resource: "scheduled event", Scope: ScopeProject},

	{Action: ActionBucketsList, Resource: "bucket", Scope: ScopeProject, Reads: true},
	{Action: ActionBucketsCreate, Resource: "bucket", Scope: ScopeProject},
	{Action: ActionBucketsDelete, Resource: "bucket", Scope: ScopeProject},
	{Action: ActionObjectsList, Resource: "object", Scope: ScopeProject, Reads: true},
	{Action: ActionObjectsGet, Resource: "object", Scope: ScopeProject, Reads: true},
	{Action: ActionObjectsPut, Resource: "object", Scope: ScopeProject},
	{Action: ActionObjectsDelete, Resource: "object", Scope: ScopeProject},

	{Action: ActionUsersList, Resource: "user", Scope: ScopeAccount, Reads: true},
	{Action: ActionUsersGet, Resource: "user", Scope: ScopeAccount, Reads: true},
	{Action: ActionUsersCreate, Resource: "user", Scope: ScopeAccount, Depends: []Dependency{{ActionUsersGrant, WhenPoliciesGiven}}},
	{Action: ActionUsersUpdate, Resource: "user", Scope: ScopeAccount},
	{Action: ActionUsersDelete, Resource: "user", Scope: ScopeAccount},
	{Action: ActionUsersPassword, Resource: "user", Scope: ScopeAccount, Admin: true},
	{Action: ActionUsersGrant, Resource: "user", Scope: ScopeAccount, Admin: true},

	{Action: ActionKeysList, Resource: "access key", Scope: ScopeAccount, Reads: true},
	{Action: ActionKeysCreate, Resource: "access key", Scope: ScopeAccount, Admin: true},
	{Action: ActionKeysUpdate, Resource: "access key", Scope: ScopeAccount},
	{Action: ActionKeysDelete, Resource: "access key", Scope: ScopeAccount},

	{Action: ActionGroupsList, Resource: "group", Scope: ScopeAccount, Reads: true},
	{Action: ActionGroupsGet, Resource: "group", Scope: ScopeAccount, Reads: true},
	{Action: ActionGroupsCreate, Resource: "group", Scope: ScopeAccount},
	{Action: ActionGroupsDelete, Resource: "group", Scope: ScopeAccount, Admin: true}, // a group can carry a denial
	{Action: ActionGroupsAdd, Resource: "group", Scope: ScopeAccount, Admin: true},
	{Action: ActionGroupsRemove, Resource: "group", Scope: ScopeAccount, Admin: true},

	{Action: ActionPoliciesList, Resource: "policy", Scope: ScopeAccount, Reads: true},
	{Action: ActionPoliciesGet, Resource: "policy", Scope: ScopeAccount, Reads: true},
	{Action: ActionPoliciesCreate, Resource: "policy", Scope: ScopeAccount},
	{Action: ActionPoliciesUpdate, Resource: "policy", Scope: ScopeAccount, Admin: true},
	{Action: ActionPoliciesDelete, Resource: "policy", Scope: ScopeAccount},
	{Action: ActionAttach, Resource: "policy", Scope: ScopeAccount, Admin: true},
	{Action: ActionDetach, Resource: "policy", Scope: ScopeAccount, Admin: true},

	{Action: ActionProjectsList, Resource: "project", Scope: ScopeAccount, Reads: true},
	{Action: ActionProjectsCreate, Resource: "project", Scope: ScopeAccount},
	{Action: ActionProjectsUpdate, Resource: "project", Scope: ScopeAccount, Admin: true}, // conditions go by the name
	{Action: ActionProjectsDelete, Resource: "project", Scope: ScopeAccount},

	{Action: ActionAuditList, Resource: "audit trail", Scope: ScopeAccount, Reads: true},

	{Action: ActionAccountsList, Resource: "account", Scope: ScopeInstallation, Reads: true},
	{Action: ActionAccountsGet, Resource: "account", Scope: ScopeInstallation, Reads: true},
	{Action: ActionAccountsCreate, Resource: "account", Scope: ScopeInstallation},
	{Action: ActionAccountsUpdate, Resource: "account", Scope: ScopeInstallation},
	{Action: ActionAccountsDelete, Resource: "account", Scope: ScopeInstallation},
	{Action: ActionReplicasList, Resource: "replica", Scope: ScopeInstallation, Reads: true},
}

var permissionOf = func() map[Action]Permission {
	all := make(map[Action]Permission, len(permissions))
	for _, p := range permissions {
		all[p.Action] = p
	}
	return all
}()

// Permissions gives the table.
func Permissions() []Permission { return permissions }

// PermissionOf gives the table's line of an action.
func PermissionOf(action Action) (Permission, bool) {
	p, ok := permissionOf[action]
	return p, ok
}

// Actions lists every action, for those who write policies.
func Actions() []Action {
	all := make([]Action, len(permissions))
	for i, p := range permissions {
		all[i] = p.Action
	}
	return all
}

// needs gives the action and those that it depends on in these cases.
func needs(action Action, cases ...When) []Action {
	all := []Action{action}
	for _, d := range permissionOf[action].Depends {
		for _, w := range cases {
			if d.When == w {
				all = append(all, d.Action)
			}
		}
	}
	return all
}

// Authorise refuses (Forbidden) a caller whose credentials do not reach where one of the actions is done, or to whom what was
// granted does not allow every one of them. project is "" for a call that is about none. Each use case asks it by itself; an edge
// asks before, to answer 403 without reading a body.
func Authorise(c account.Caller, project phone.ProjectID, actions ...Action) error {
	for _, action := range actions {
		at := string(project)
		switch permissionOf[action].Scope {
		case ScopeProject:
			if !c.In(at) {
				return phone.Errorf(phone.Forbidden, "", "the credentials are not scoped to this project")
			}
		case ScopeAccount:
			at = ""
		case ScopeInstallation:
			if at = ""; !c.Account.Operator {
				return phone.Errorf(phone.Forbidden, "", "only the installation's first account may do this")
			}
		default:
			return phone.Errorf(phone.Forbidden, "", "there is no action %s", action)
		}
		if !c.May(string(action), at) {
			return phone.Errorf(phone.Forbidden, "", "the user has no permission for %s", action)
		}
	}
	return nil
}

// AuthoriseOne is Authorise for a call that needs one of several actions, where the use case finds out which.
func AuthoriseOne(c account.Caller, project phone.ProjectID, actions ...Action) error {
	var refused error
	for _, action := range actions {
		err := Authorise(c, project, action)
		if err == nil {
			return nil
		}
		if refused == nil {
			refused = err
		}
	}
	return refused
}
