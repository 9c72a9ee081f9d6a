package cph

import (
	"net/http"

	"github.com/lethe-cloud/lethe/internal/audit"
	"github.com/lethe-cloud/lethe/internal/fleet"
)

// route is one operation of the API. Its handler gives the body of a 200, or an error for the table.
type route struct {
	pattern string
	action  fleet.Action
	trace   audit.Trace // of what changes something
	handle  func(*call) (any, error)
}

// routes is the whole API; operation names are the official SDK's.
func (h *Handler) routes() {
	const base = "/v1/{project_id}/cloud-phone"
	for _, rt := range []route{
		{"POST " + base + "/phones/batch-reset", fleet.ActionPhonesReset, audit.ResetCloudPhone, h.resetPhones}, // ResetCloudPhone
		{"GET " + base + "/phones", fleet.ActionPhonesList, "", h.listPhones},                                   // ListCloudPhones
		{"GET " + base + "/phones/{phone_id}", fleet.ActionPhonesGet, "", h.showPhone},                          // ShowCloudPhoneDetail
		{"GET " + base + "/servers", fleet.ActionServersList, "", h.listServers},                                // ListCloudPhoneServers
		{"GET " + base + "/servers/{server_id}", fleet.ActionServersGet, "", h.showServer},                      // ShowCloudPhoneServerDetail
		{"GET " + base + "/phone-images", fleet.ActionImagesList, "", h.listImages},                             // ListCloudPhoneImages
		{"GET " + base + "/jobs", fleet.ActionJobsList, "", h.listJobs},                                         // ListJobs
		{"GET " + base + "/jobs/{job_id}", fleet.ActionJobsGet, "", h.showJob},                                  // ShowJob
	} {
		h.mux.Handle(rt.pattern, h.adapt(rt))
	}
	h.unknown = http.HandlerFunc(h.noRoute)
	h.mux.Handle("/", h.unknown)
}
