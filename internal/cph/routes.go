package cph

import (
	"net/http"

	"github.com/lethe-cloud/lethe/internal/fleet"
)

// route is one operation of the API. Its handler gives the body of a 200, or an error for the table.
type route struct {
	pattern string
	action  fleet.Action
	handle  func(*call) (any, error)
}

// table is the whole API; operation names are the official SDK's.
func (h *Handler) table() []route {
	const base = "/v1/{project_id}/cloud-phone"
	return []route{
		{"POST " + base + "/phones/batch-reset", fleet.ActionPhonesReset, h.resetPhones}, // ResetCloudPhone
		{"GET " + base + "/phones", fleet.ActionPhonesList, h.listPhones},                // ListCloudPhones
		{"GET " + base + "/phones/{phone_id}", fleet.ActionPhonesGet, h.showPhone},       // ShowCloudPhoneDetail
		{"GET " + base + "/servers", fleet.ActionServersList, h.listServers},             // ListCloudPhoneServers
		{"GET " + base + "/servers/{server_id}", fleet.ActionServersGet, h.showServer},   // ShowCloudPhoneServerDetail
		{"GET " + base + "/phone-images", fleet.ActionImagesList, h.listImages},          // ListCloudPhoneImages
		{"GET " + base + "/jobs", fleet.ActionJobsList, h.listJobs},                      // ListJobs
		{"GET " + base + "/jobs/{job_id}", fleet.ActionJobsGet, h.showJob},               // ShowJob
	}
}

// Operation is a route as a list of permissions has it.
type Operation struct {
	Pattern string // "GET /v1/{project_id}/cloud-phone/phones"
	Action  fleet.Action
}

// Operations lists every route.
func Operations() []Operation {
	var all []Operation
	for _, rt := range (&Handler{}).table() {
		all = append(all, Operation{Pattern: rt.pattern, Action: rt.action})
	}
	return all
}

func (h *Handler) routes() {
	for _, rt := range h.table() {
		h.mux.Handle(rt.pattern, h.adapt(rt))
	}
	h.unknown = http.HandlerFunc(h.noRoute)
	h.mux.Handle("/", h.unknown)
}
