package httpapi

import (
	"net/http"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/audit"
	"github.com/lethe-cloud/lethe/internal/fleet"
)

// route is one operation of the native API.
type route struct {
	pattern string // as http.ServeMux has it
	// action is what the caller must be allowed to do, as the table of package fleet has it; or are others that will do, for a call on
	// what was accepted under one of them. self is a call of everybody about himself.
	action   fleet.Action
	or       []fleet.Action
	self     bool
	query    []string
	anyQuery bool
	keyed    bool  // takes an Idempotency-Key
	open     bool  // nobody is asked who is calling
	quiet    bool  // asked all the time: logged at debug
	maxBody  int64 // 0: maxBody
	stream   bool  // the handler reads the body
	// trace names what the call does in the audit trail: every route has one that may change something.
	trace  audit.Trace
	handle func(*call) error
}

func (a *API) routes() []route {
	const (
		user   = api.Prefix + "/users/{user_name}"
		group  = api.Prefix + "/groups/{group_name}"
		bucket = api.Prefix + "/buckets/{bucket_name}"
	)
	page := []string{"after", "offset", "limit"}
	inProject := []string{"project_name"}
	return []route{
		{pattern: "GET " + api.Prefix + "/healthz", open: true, quiet: true, handle: a.healthz},
		{pattern: "GET " + api.Prefix + "/readyz", open: true, quiet: true, handle: a.readyz},
		{pattern: "GET " + api.Prefix + "/version", open: true, handle: a.version},

		{pattern: "POST " + api.Prefix + "/servers", action: fleet.ActionServersCreate, trace: audit.CreateServer, handle: a.addServer},
		{pattern: "GET " + api.Prefix + "/servers", query: append(page, "server_name", "status"), action: fleet.ActionServersList, handle: a.servers},
		{pattern: "GET " + api.Prefix + "/servers/{server_id}", action: fleet.ActionServersGet, handle: a.server},
		{pattern: "PUT " + api.Prefix + "/servers/{server_id}", action: fleet.ActionServersUpdateName, trace: audit.UpdateServerName, handle: a.renameServer},
		{pattern: "GET " + api.Prefix + "/servers/{server_id}/drift", action: fleet.ActionServersGet, handle: a.drift},
		{pattern: "POST " + api.Prefix + "/servers/{server_id}/reconcile", action: fleet.ActionServersReconcile, trace: audit.ReconcileServer, handle: a.reconcile},

		{pattern: "POST " + api.Prefix + "/servers/{server_id}/restart", action: fleet.ActionServersRestart, trace: audit.RestartServer, handle: a.restartServer},
		{pattern: "DELETE " + api.Prefix + "/servers/{server_id}", action: fleet.ActionServersDelete, trace: audit.DeleteServer, handle: a.deleteServer},
		{pattern: "POST " + api.Prefix + "/servers/{server_id}/abandon", action: fleet.ActionServersDelete, trace: audit.AbandonServer, handle: a.abandonServer},
		{pattern: "POST " + api.Prefix + "/servers/{server_id}/change", action: fleet.ActionServersChange, trace: audit.ChangeServer, handle: a.changeServer},

		{pattern: "GET " + api.Prefix + "/pool", action: fleet.ActionServerModelsList, handle: a.poolHosts},
		{pattern: "POST " + api.Prefix + "/pool/servers", action: fleet.ActionServersCreate, trace: audit.CreateServer, handle: a.createServers},

		{pattern: "POST " + api.Prefix + "/servers/{server_id}/shared-files", action: fleet.ActionShareFilesPush, trace: audit.PushShareFiles, handle: a.pushSharedFiles},
		{pattern: "GET " + api.Prefix + "/servers/{server_id}/shared-files", query: []string{"path", "offset", "limit"}, action: fleet.ActionShareFilesList, handle: a.listSharedFiles},
		{pattern: "POST " + api.Prefix + "/servers/{server_id}/shared-files/delete", action: fleet.ActionShareFilesDelete, trace: audit.DeleteShareFiles, handle: a.deleteSharedFiles},
		{pattern: "PUT " + api.Prefix + "/servers/{server_id}/shared-apps/{package_name}", action: fleet.ActionShareAppsPush, trace: audit.PushShareApps, handle: a.pushSharedApp},
		{pattern: "DELETE " + api.Prefix + "/servers/{server_id}/shared-apps/{package_name}", action: fleet.ActionShareAppsDelete, trace: audit.DeleteShareApps, handle: a.deleteSharedApp},
		{pattern: "GET " + api.Prefix + "/servers/{server_id}/tags", action: fleet.ActionTagsList, handle: a.serverTags},
		{pattern: "PUT " + api.Prefix + "/servers/{server_id}/tags", action: fleet.ActionTagsUpdate, trace: audit.CreateTags, handle: a.setServerTags},
		{pattern: "DELETE " + api.Prefix + "/servers/{server_id}/tags/{tag_key}", action: fleet.ActionTagsUpdate, trace: audit.DeleteTags, handle: a.deleteServerTag},

		{pattern: "POST " + api.Prefix + "/images", action: fleet.ActionImagesCreate, trace: audit.CreateImage, handle: a.addImage},
		{pattern: "GET " + api.Prefix + "/images", query: []string{"image_name"}, action: fleet.ActionImagesList, handle: a.images},
		{pattern: "DELETE " + api.Prefix + "/images/{image_id}", action: fleet.ActionImagesDelete, trace: audit.DeleteImage, handle: a.deleteImage},

		{pattern: "GET " + api.Prefix + "/images/shared", query: []string{"offset", "limit"}, action: fleet.ActionImagesList, handle: a.sharedImages},
		{pattern: "PUT " + api.Prefix + "/images/{image_id}/members", action: fleet.ActionImagesAcceptShared, trace: audit.UpdateImageMember, handle: a.answerImage},
		{pattern: "GET " + api.Prefix + "/images/{image_id}/members", action: fleet.ActionImagesListMembers, handle: a.imageMembers},
		{pattern: "PUT " + api.Prefix + "/images/{image_id}/members/{member_id}", action: fleet.ActionImagesShare, trace: audit.AddImageMember, handle: a.shareImage},
		{pattern: "DELETE " + api.Prefix + "/images/{image_id}/members/{member_id}", action: fleet.ActionImagesShare, trace: audit.DeleteImageMember, handle: a.unshareImage},

		{pattern: "POST " + api.Prefix + "/buckets", action: fleet.ActionBucketsCreate, trace: audit.CreateBucket, handle: a.addBucket},
		{pattern: "GET " + api.Prefix + "/buckets", action: fleet.ActionBucketsList, handle: a.buckets},
		{pattern: "DELETE " + bucket, action: fleet.ActionBucketsDelete, trace: audit.DeleteBucket, handle: a.deleteBucket},
		{pattern: "GET " + bucket + "/objects", query: []string{"prefix", "mark", "limit"}, action: fleet.ActionObjectsList, handle: a.objects},
		{pattern: "GET " + bucket + "/object", query: []string{"key"}, action: fleet.ActionObjectsGet, handle: a.getObject},
		{pattern: "PUT " + bucket + "/object", query: []string{"key"}, stream: true, action: fleet.ActionObjectsPut, trace: audit.PutObject, handle: a.putObject},
		{pattern: "DELETE " + bucket + "/object", query: []string{"key"}, action: fleet.ActionObjectsDelete, trace: audit.DeleteObject, handle: a.deleteObject},

		{pattern: "GET " + api.Prefix + "/phones", query: append(page, "phone_name", "server_id", "status"), action: fleet.ActionPhonesList, handle: a.phones},
		{pattern: "GET " + api.Prefix + "/phones/{phone_id}", action: fleet.ActionPhonesGet, handle: a.phone},
		{pattern: "PUT " + api.Prefix + "/phones/{phone_id}", action: fleet.ActionPhonesUpdateName, trace: audit.UpdatePhoneName, handle: a.renamePhone},
		{pattern: "POST " + api.Prefix + "/phones/batch-reset", keyed: true, maxBody: 12 << 20, action: fleet.ActionPhonesReset, trace: audit.ResetCloudPhone, handle: a.resetPhones},
		{pattern: "POST " + api.Prefix + "/phones/batch-restart", keyed: true, maxBody: 12 << 20, action: fleet.ActionPhonesRestart, trace: audit.RestartCloudPhone, handle: a.restartPhones},
		{pattern: "POST " + api.Prefix + "/phones/batch-delete", keyed: true, maxBody: 12 << 20, action: fleet.ActionPhonesDelete, trace: audit.DeleteCloudPhone, handle: a.deletePhones},
		{pattern: "POST " + api.Prefix + "/phones/{phone_id}/exec", maxBody: 12 << 20, action: fleet.ActionPhonesCommand, trace: audit.RunCommand, handle: a.exec},

		{pattern: "POST " + api.Prefix + "/tickets/check", action: fleet.ActionPhonesConnect, handle: a.checkTicket},

		{pattern: "GET " + api.Prefix + "/jobs", query: append(page, "request_id", "phone_id", "server_id", "order"), action: fleet.ActionJobsList, handle: a.jobs},
		{pattern: "GET " + api.Prefix + "/jobs/{job_id}", action: fleet.ActionJobsGet, handle: a.job},
		{pattern: "POST " + api.Prefix + "/jobs/{job_id}/cancel", action: fleet.ActionPhonesReset, or: append(power(), fleet.ActionPhonesUpdateProperty, fleet.ActionPhonesCommand, fleet.ActionPhonesExport, fleet.ActionPhonesImport, fleet.ActionServersCreate), trace: audit.CancelJob, handle: a.cancelJob},
		{pattern: "GET " + api.Prefix + "/requests/{request_id}", query: []string{"wait"}, action: fleet.ActionJobsList, handle: a.progress},
		{pattern: "POST " + api.Prefix + "/requests/{request_id}/cancel", action: fleet.ActionPhonesReset, or: append(power(), fleet.ActionPhonesUpdateProperty, fleet.ActionPhonesCommand, fleet.ActionPhonesExport, fleet.ActionPhonesImport, fleet.ActionServersCreate), trace: audit.CancelRequest, handle: a.cancelRequest},
		{pattern: "POST " + api.Prefix + "/requests/{request_id}/retry", keyed: true, action: fleet.ActionPhonesReset, or: power(), trace: audit.ResetCloudPhone, handle: a.retryRequest},

		{pattern: "GET " + api.Prefix + "/replicas", action: fleet.ActionReplicasList, handle: a.replicas},
		{
			pattern: "GET " + api.Prefix + "/audit", query: []string{"user_name", "phone_id", "trace", "result", "from", "to", "order", "mark", "limit"},
			action: fleet.ActionAuditList, handle: a.auditEvents,
		},

		{pattern: "POST " + api.Prefix + "/accounts", action: fleet.ActionAccountsCreate, trace: audit.CreateAccount, handle: a.addAccount},
		{pattern: "GET " + api.Prefix + "/accounts", action: fleet.ActionAccountsList, handle: a.accounts},
		{pattern: "GET " + api.Prefix + "/accounts/{account_name}", action: fleet.ActionAccountsGet, handle: a.account},
		{pattern: "PUT " + api.Prefix + "/accounts/{account_name}", action: fleet.ActionAccountsUpdate, trace: audit.UpdateAccount, handle: a.setAccount},
		{pattern: "DELETE " + api.Prefix + "/accounts/{account_name}", action: fleet.ActionAccountsDelete, trace: audit.DeleteAccount, handle: a.deleteAccount},

		{pattern: "POST " + api.Prefix + "/projects", action: fleet.ActionProjectsCreate, trace: audit.CreateProject, handle: a.addProject},
		{pattern: "GET " + api.Prefix + "/projects", action: fleet.ActionProjectsList, handle: a.projects},
		{pattern: "PUT " + api.Prefix + "/projects/{project_name}", action: fleet.ActionProjectsUpdate, trace: audit.UpdateProject, handle: a.renameProject},
		{pattern: "DELETE " + api.Prefix + "/projects/{project_name}", action: fleet.ActionProjectsDelete, trace: audit.DeleteProject, handle: a.deleteProject},

		{pattern: "POST " + api.Prefix + "/users", action: fleet.ActionUsersCreate, trace: audit.CreateUser, handle: a.addUser},
		{pattern: "GET " + api.Prefix + "/users", action: fleet.ActionUsersList, handle: a.users},
		{pattern: "GET " + user, action: fleet.ActionUsersGet, handle: a.user},
		{pattern: "PUT " + user, action: fleet.ActionUsersUpdate, trace: audit.UpdateUser, handle: a.setUser},
		{pattern: "DELETE " + user, action: fleet.ActionUsersDelete, trace: audit.DeleteUser, handle: a.deleteUser},
		{pattern: "PUT " + user + "/policies", action: fleet.ActionUsersGrant, trace: audit.SetUserPolicies, handle: a.setPolicies},
		{pattern: "PUT " + user + "/password", action: fleet.ActionUsersPassword, trace: audit.ResetPassword, handle: a.resetPassword},
		{pattern: "PUT " + api.Prefix + "/password", self: true, trace: audit.ChangePassword, handle: a.changePassword},
		{pattern: "POST " + user + "/keys", action: fleet.ActionKeysCreate, trace: audit.CreateKey, handle: a.addKey},
		{pattern: "GET " + user + "/keys", action: fleet.ActionKeysList, handle: a.keys},
		{pattern: "PUT " + user + "/keys/{access_key}", action: fleet.ActionKeysUpdate, trace: audit.UpdateKey, handle: a.setKey},
		{pattern: "DELETE " + user + "/keys/{access_key}", action: fleet.ActionKeysDelete, trace: audit.DeleteKey, handle: a.deleteKey},

		{pattern: "POST " + api.Prefix + "/groups", action: fleet.ActionGroupsCreate, trace: audit.CreateGroup, handle: a.addGroup},
		{pattern: "GET " + api.Prefix + "/groups", action: fleet.ActionGroupsList, handle: a.groups},
		{pattern: "GET " + group, action: fleet.ActionGroupsGet, handle: a.group},
		{pattern: "DELETE " + group, action: fleet.ActionGroupsDelete, trace: audit.DeleteGroup, handle: a.deleteGroup},
		{pattern: "PUT " + group + "/users/{user_name}", action: fleet.ActionGroupsAdd, trace: audit.AddToGroup, handle: a.addMember},
		{pattern: "DELETE " + group + "/users/{user_name}", action: fleet.ActionGroupsRemove, trace: audit.RemoveFromGroup, handle: a.removeMember},

		{pattern: "POST " + api.Prefix + "/policies", action: fleet.ActionPoliciesCreate, trace: audit.CreatePolicy, handle: a.addPolicy},
		{pattern: "GET " + api.Prefix + "/policies", action: fleet.ActionPoliciesList, handle: a.policies},
		{pattern: "GET " + api.Prefix + "/policies/{policy_name}", action: fleet.ActionPoliciesGet, handle: a.policy},
		{pattern: "PUT " + api.Prefix + "/policies/{policy_name}", action: fleet.ActionPoliciesUpdate, trace: audit.UpdatePolicy, handle: a.setPolicy},
		{pattern: "DELETE " + api.Prefix + "/policies/{policy_name}", action: fleet.ActionPoliciesDelete, trace: audit.DeletePolicy, handle: a.deletePolicy},
		{pattern: "PUT " + user + "/grants/{policy_name}", query: inProject, action: fleet.ActionAttach, trace: audit.GrantPolicy, handle: a.attach},
		{pattern: "DELETE " + user + "/grants/{policy_name}", query: inProject, action: fleet.ActionDetach, trace: audit.RevokePolicy, handle: a.detach},
		{pattern: "PUT " + group + "/grants/{policy_name}", query: inProject, action: fleet.ActionAttach, trace: audit.GrantPolicy, handle: a.attach},
		{pattern: "DELETE " + group + "/grants/{policy_name}", query: inProject, action: fleet.ActionDetach, trace: audit.RevokePolicy, handle: a.detach},
	}
}

// power are the actions besides a reset that jobs of phones are accepted under.
func power() []fleet.Action {
	return []fleet.Action{fleet.ActionPhonesRestart, fleet.ActionPhonesStop, fleet.ActionPhonesDelete}
}

// Operation is a route as the API's description has it.
type Operation struct {
	Pattern string         // "GET /lethe/v1/phones/{phone_id}"
	Action  fleet.Action   // "" when none is needed
	Or      []fleet.Action // others that will do
	Query   []string       // besides project_id
	Keyed   bool           // takes an Idempotency-Key
	Open    bool           // needs no credentials
	Trace   string         // what it is called in the audit trail
}

// Operations lists every route, so that a test can hold the description against it.
func Operations() []Operation {
	var all []Operation
	for _, route := range (&API{}).routes() {
		all = append(all, Operation{
			Pattern: route.pattern, Action: route.action, Or: route.or, Query: route.query, Keyed: route.keyed, Open: route.open, Trace: string(route.trace),
		})
	}
	return all
}

func (a *API) healthz(c *call) error { return c.answer(http.StatusOK, api.Health{Status: "ok"}) }

func (a *API) readyz(c *call) error {
	if err := a.Ready(c.Context()); err != nil {
		return err
	}
	return c.answer(http.StatusOK, api.Health{Status: "ok"})
}

func (a *API) version(c *call) error { return c.answer(http.StatusOK, a.Version) }
