package cph

import (
	"net/http"
	"strings"

	"github.com/lethe-cloud/lethe/internal/audit"
	"github.com/lethe-cloud/lethe/internal/fleet"
)

// State is how far lethe has an operation.
type State string

// The states of an operation. A refused one is routed, authorised and validated like the others; then it says that it cannot be
// done here.
const (
	Done    State = "done"
	Partly  State = "partly"
	Refused State = "refused"
)

// Operation is one operation of the API and how far lethe has it.
type Operation struct {
	Name   string // the official SDK's; of those that it lacks, the reference's
	Method string
	Path   string // as http.ServeMux has it
	Action fleet.Action
	State  State
	Why    string // what is missing, or why it cannot be done; "" when it is done
}

// route is one operation with what it does: a handler gives the body of a 200, or an error for the table. Several operations
// share a method and a path; then the first one's handler tells them apart by the body.
type route struct {
	name    string
	pattern string
	action  fleet.Action
	state   State
	why     string
	handle  func(*call) (any, error)
}

// mounted is a route with the actions of all operations that share its method and path: before the body is read it is enough that the caller may
// do one of them.
type mounted struct {
	route
	actions []fleet.Action
}

// trace is what the audit trail calls what the route does: the operation's name as CTS writes it. "" is of what only reads.
func (rt route) trace() audit.Trace {
	if permission, _ := fleet.PermissionOf(rt.action); permission.Reads {
		return ""
	}
	return audit.Trace(strings.ToLower(rt.name[:1]) + rt.name[1:])
}

// Operations lists the whole API, in the order of the table.
func Operations() []Operation {
	var all []Operation
	for _, rt := range (&Handler{}).table() {
		method, path, _ := strings.Cut(rt.pattern, " ")
		all = append(all, Operation{Name: rt.name, Method: method, Path: path, Action: rt.action, State: rt.state, Why: rt.why})
	}
	return all
}

// table is the whole API.
func (h *Handler) table() []route {
	var all []route
	for _, part := range [][]route{h.phoneRoutes(), h.serverRoutes(), h.imageRoutes(), h.jobRoutes(), h.tagRoutes(), h.sharedRoutes(), h.absentRoutes()} {
		all = append(all, part...)
	}
	return all
}

const (
	base   = "/v1/{project_id}/cloud-phone"
	baseV2 = "/v2/{project_id}/cloud-phone"
)

func (h *Handler) phoneRoutes() []route {
	return []route{
		{"ResetCloudPhone", "POST " + base + "/phones/batch-reset", fleet.ActionPhonesReset, Done, "", h.resetPhones},
		{"StopCloudPhone", "POST " + base + "/phones/batch-stop", fleet.ActionPhonesStop, Done, "", h.stopPhones},
		{"RestartCloudPhone", "POST " + base + "/phones/batch-restart", fleet.ActionPhonesRestart, Done, "", h.restartPhones},
		{"UpdateCloudPhoneProperty", "POST " + base + "/phones/batch-update-property", fleet.ActionPhonesUpdateProperty, Done, "", h.updateProperties},
		{"ListCloudPhones", "GET " + base + "/phones", fleet.ActionPhonesList, Done, "", h.listPhones},
		{"ShowCloudPhoneDetail", "GET " + base + "/phones/{phone_id}", fleet.ActionPhonesGet, Done, "", h.showPhone},
		{"UpdatePhoneName", "PUT " + base + "/phones/{phone_id}", fleet.ActionPhonesUpdateName, Done, "", h.renamePhone},
		{"BatchShowPhoneConnectInfos", "POST " + base + "/phones/batch-connection", fleet.ActionPhonesConnect, Partly,
			"gives the phone's adb, whatever the client type: no screen is streamed", h.connectPhones},
		{"RunSyncCommand", "POST " + base + "/phones/sync-commands", fleet.ActionPhonesSyncCommand, Partly,
			"a job_id names a run in its answer alone: nothing of it is kept, so ShowJob knows none", h.runSyncCommand},
		{"RunShellCommand", "POST " + base + "/phones/commands", fleet.ActionPhonesCommand, Done, "", h.runCommand},
		{"UninstallApk", "POST " + base + "/phones/commands", fleet.ActionPhonesCommand, Partly, "takes the name of one app, and no option", h.runCommand},
		{"PushFile", "POST " + base + "/phones/commands", fleet.ActionPhonesCommand, Partly, "from buckets of this installation", h.runCommand},
		{"InstallApk", "POST " + base + "/phones/commands", fleet.ActionPhonesCommand, Partly, "from buckets of this installation", h.runCommand},
		{"BatchExportCloudPhoneData", "POST " + base + "/phones/batch-storage", fleet.ActionPhonesExport, Partly,
			"into buckets of this installation; owners, modes and times are kept, extended attributes (labels) are not", h.exportData},
		{"BatchImportCloudPhoneData", "POST " + base + "/phones/batch-restore", fleet.ActionPhonesImport, Partly,
			"from buckets of this installation; extended attributes (labels) are not restored", h.importData},
		{"ListCloudPhoneModels", "GET " + base + "/phone-models", fleet.ActionPhoneModelsList, Done, "", h.listPhoneModels},
	}
}

func (h *Handler) serverRoutes() []route {
	return []route{
		{"ListCloudPhoneServers", "GET " + base + "/servers", fleet.ActionServersList, Done, "", h.listServers},
		{"ShowCloudPhoneServerDetail", "GET " + base + "/servers/{server_id}", fleet.ActionServersGet, Done, "", h.showServer},
		{"UpdateServerName", "PUT " + base + "/servers/{server_id}", fleet.ActionServersUpdateName, Done, "", h.renameServer},
		{"CreateNet2CloudPhoneServer", "POST " + baseV2 + "/servers", fleet.ActionServersCreate, Partly,
			"takes hosts of the operator's pool; nothing is paid, zone, network and bandwidth are the host's own and not looked at, key pairs are those that hosts of the pool have, ports and volumes refused", h.createServers},
		{"RestartCloudPhoneServer", "POST " + base + "/servers/batch-restart", fleet.ActionServersRestart, Done, "", h.restartServers},
		{"UpdateKeypair", "PUT " + base + "/servers/open-access", fleet.ActionServersKeypair, Partly,
			"key pairs are those of the operator's configuration; who is connected stays so until the connection ends", h.updateKeypair},
		{"DeleteCloudPhoneServer", "DELETE " + baseV2 + "/servers", fleet.ActionServersDelete, Done, "", h.deleteServers},
		{"ChangeCloudPhoneServer", "POST " + baseV2 + "/servers/{server_id}/change", fleet.ActionServersChange, Partly,
			"image and properties; the phone model stays, zone, network and bandwidth are the host's own and not looked at, the rest is refused", h.changeServer},
		{"ListCloudPhoneServerModels", "GET " + base + "/server-models", fleet.ActionServerModelsList, Done, "", h.listServerModels},
		{"ListCloudPhoneServerModelOfferings", "GET /v1/{project_id}/server-model-offerings", fleet.ActionServerModelsList, Partly,
			"every model of the configuration is available, and in no zone: nothing is sold here", h.listOfferings},
	}
}

func (h *Handler) imageRoutes() []route {
	return []route{
		{"ListCloudPhoneImages", "GET " + base + "/phone-images", fleet.ActionImagesList, Done, "", h.listImages},
		{"ListImages", "GET " + base + "/images", fleet.ActionImagesList, Partly,
			"without image_size: hosts fetch an image, lethe never sees its bytes", h.listCustomImages},
		{"DeleteImage", "DELETE " + base + "/images/{image_id}", fleet.ActionImagesDelete, Done, "", h.deleteImage},
		{"ListImageMembers", "GET " + base + "/images/{image_id}/members", fleet.ActionImagesListMembers, Done, "", h.listImageMembers},
		{"AddImageMember", "POST " + base + "/images/{image_id}/members", fleet.ActionImagesShare, Done, "", h.addImageMember},
		{"UpdateImageMember", "PUT " + base + "/images/{image_id}/members", fleet.ActionImagesAcceptShared, Done, "", h.updateImageMember},
		{"DeleteImageMember", "DELETE " + base + "/images/{image_id}/members/{member_id}", fleet.ActionImagesShare, Done, "", h.deleteImageMember},
	}
}

func (h *Handler) jobRoutes() []route {
	return []route{
		{"ListJobs", "GET " + base + "/jobs", fleet.ActionJobsList, Done, "", h.listJobs},
		{"ShowJob", "GET " + base + "/jobs/{job_id}", fleet.ActionJobsGet, Done, "", h.showJob},
	}
}

// routes gives every pattern its handler.
func (h *Handler) routes() {
	h.unknown = http.HandlerFunc(h.noRoute)
	h.mux.Handle("/", h.unknown)
	actions := map[string][]fleet.Action{}
	for _, rt := range h.table() {
		actions[rt.pattern] = append(actions[rt.pattern], rt.action)
	}
	done := map[string]bool{}
	for _, rt := range h.table() {
		if done[rt.pattern] {
			continue
		}
		done[rt.pattern] = true
		h.mux.Handle(rt.pattern, h.adapt(mounted{rt, actions[rt.pattern]}))
	}
}
