package httpapi

import (
	"net/http"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/audit"
)

// route is one operation of the native API.
type route struct {
	pattern  string // as http.ServeMux has it
	query    []string
	anyQuery bool
	keyed    bool  // takes an Idempotency-Key
	open     bool  // nobody is asked who is calling
	quiet    bool  // asked all the time: logged at debug
	maxBody  int64 // 0: maxBody
	// trace names what the call does in the audit trail: every route has one that may change something.
	trace     audit.Trace
	ofAccount bool // what it does belongs to the account and to no project
	handle    func(*call) error
}

func (a *API) routes() []route {
	page := []string{"offset", "limit"}
	return []route{
		{pattern: "GET " + api.Prefix + "/healthz", open: true, quiet: true, handle: a.healthz},
		{pattern: "GET " + api.Prefix + "/readyz", open: true, quiet: true, handle: a.readyz},
		{pattern: "GET " + api.Prefix + "/version", open: true, handle: a.version},

		{pattern: "POST " + api.Prefix + "/servers", trace: audit.CreateServer, handle: a.addServer},
		{pattern: "GET " + api.Prefix + "/servers", query: append(page, "server_name", "status"), handle: a.servers},
		{pattern: "GET " + api.Prefix + "/servers/{server_id}", handle: a.server},
		{pattern: "GET " + api.Prefix + "/servers/{server_id}/drift", handle: a.drift},
		{pattern: "POST " + api.Prefix + "/servers/{server_id}/reconcile", trace: audit.ReconcileServer, handle: a.reconcile},

		{pattern: "POST " + api.Prefix + "/images", trace: audit.CreateImage, handle: a.addImage},
		{pattern: "GET " + api.Prefix + "/images", query: []string{"image_name"}, handle: a.images},

		{pattern: "GET " + api.Prefix + "/phones", query: append(page, "phone_name", "server_id", "status"), handle: a.phones},
		{pattern: "GET " + api.Prefix + "/phones/{phone_id}", handle: a.phone},
		{pattern: "POST " + api.Prefix + "/phones/{phone_id}/exec", trace: audit.RunCommand, maxBody: 12 << 20, handle: a.exec},

		{pattern: "GET " + api.Prefix + "/jobs", query: append(page, "request_id", "phone_id", "server_id", "order"), handle: a.jobs},
		{pattern: "GET " + api.Prefix + "/jobs/{job_id}", handle: a.job},
		{pattern: "POST " + api.Prefix + "/jobs/{job_id}/cancel", trace: audit.CancelJob, handle: a.cancelJob},
		{pattern: "GET " + api.Prefix + "/requests/{request_id}", query: []string{"wait"}, handle: a.progress},
		{pattern: "POST " + api.Prefix + "/requests/{request_id}/cancel", trace: audit.CancelRequest, handle: a.cancelRequest},
		{pattern: "POST " + api.Prefix + "/requests/{request_id}/retry", trace: audit.ResetCloudPhone, keyed: true, handle: a.retryRequest},

		{pattern: "GET " + api.Prefix + "/replicas", handle: a.replicas},

		{
			pattern: "GET " + api.Prefix + "/audit", query: []string{"user_name", "phone_id", "trace", "result", "from", "to", "order", "mark", "limit"},
			ofAccount: true, handle: a.auditEvents,
		},

		{pattern: "POST " + api.Prefix + "/users", trace: audit.CreateUser, ofAccount: true, handle: a.addUser},
		{pattern: "GET " + api.Prefix + "/users", ofAccount: true, handle: a.users},
		{pattern: "PUT " + api.Prefix + "/users/{user_name}/policies", trace: audit.SetUserPolicies, ofAccount: true, handle: a.setPolicies},
	}
}

// Operation is a route as the API's description has it.
type Operation struct {
	Pattern string   // "GET /lethe/v1/phones/{phone_id}"
	Query   []string // besides project_id
	Keyed   bool     // takes an Idempotency-Key
	Open    bool     // needs no credentials
	Trace   string   // what it is called in the audit trail
}

// Operations lists every route, so that a test can hold the description against it.
func Operations() []Operation {
	var all []Operation
	for _, route := range (&API{}).routes() {
		all = append(all, Operation{Pattern: route.pattern, Query: route.query, Keyed: route.keyed, Open: route.open, Trace: string(route.trace)})
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
