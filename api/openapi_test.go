package api_test

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/httpapi"
)

var update = flag.Bool("update", false, "write openapi.yaml anew")

// operation is what the description says of a route beyond what the route itself knows.
type operation struct {
	id       string
	summary  string
	request  any
	response any
}

// binary is a body that is no JSON.
type binary struct{}

var operations = map[string]operation{
	"GET /lethe/v1/healthz": {"healthz", "Whether the process is alive", nil, api.Health{}},
	"GET /lethe/v1/readyz":  {"readyz", "Whether this replica serves and works: 503 when the database does not answer, its lease is over or no work reaches it", nil, api.Health{}},
	"GET /lethe/v1/version": {"version", "What is serving", nil, api.Version{}},

	"POST /lethe/v1/servers":                       {"addServer", "Add a server and create its phones. Action cph:servers:create", api.AddServer{}, api.AddedServer{}},
	"GET /lethe/v1/servers":                        {"listServers", "The project's servers, created last first. Action cph:servers:list", nil, api.Servers{}},
	"GET /lethe/v1/servers/{server_id}":            {"showServer", "One server, with its slots and its phones by status. Action cph:servers:get", nil, api.Server{}},
	"PUT /lethe/v1/servers/{server_id}":            {"renameServer", "Give a server another name; its phones keep theirs. Action cph:servers:updateName", api.RenameServer{}, api.Done{}},
	"GET /lethe/v1/servers/{server_id}/drift":      {"showDrift", "How a server's host differs from the database; nothing is changed. Action cph:servers:get", nil, api.Drift{}},
	"POST /lethe/v1/servers/{server_id}/reconcile": {"reconcileServer", "Put a server's host in order now, as far as that is due. Action cph:servers:reconcile", api.Reconcile{}, api.Drift{}},

	"POST /lethe/v1/servers/{server_id}/restart": {"restartServer", "Restart all phones of a server that may be restarted; they keep their data. Action cph:servers:restart", nil, api.AcceptedServer{}},
	"DELETE /lethe/v1/servers/{server_id}":       {"deleteServer", "Destroy all phones of a server for good, and then remove the server, once its host has nothing of it any more. Action cph:servers:delete", nil, api.AcceptedServer{}},
	"POST /lethe/v1/servers/{server_id}/abandon": {"abandonServer", "Forget a server whose host does not answer, with its phones; nothing on the host is destroyed, and it is refused while the host answers. Action cph:servers:delete", nil, api.AbandonedServer{}},

	"POST /lethe/v1/servers/{server_id}/change": {"changeServer", "Make all phones of a server anew with another image; no data is kept. All of them are accepted or none. Actions cph:servers:change and ims:images:get", api.ChangeServer{}, api.AcceptedServer{}},

	"GET /lethe/v1/pool":                                              {"listPool", "The hosts of the installation's pool that the account may take, and which of them are free; to the operator's account all of them. Action cph:system:listServerTypes", nil, api.PoolHosts{}},
	"POST /lethe/v1/pool/servers":                                     {"createServers", "Take hosts of the pool as servers, and create their phones: all of the servers or none. Action cph:servers:create", api.CreateServers{}, api.CreatedServers{}},
	"POST /lethe/v1/servers/{server_id}/shared-files":                 {"pushSharedFiles", "Unpack a tar archive in a server's shared storage, which its phones read; its names begin with data/ or cache/. Action cph:servers:pushShareFiles", api.PushShared{}, api.AcceptedServer{}},
	"GET /lethe/v1/servers/{server_id}/shared-files":                  {"listSharedFiles", "List a folder of a server's shared storage, as a job: the request's progress has the list when it has finished. Action cph:servers:getShareFiles", nil, api.AcceptedServer{}},
	"POST /lethe/v1/servers/{server_id}/shared-files/delete":          {"deleteSharedFiles", "Delete files and folders of a server's shared storage; what is not there is no error. Action cph:servers:deleteShareFiles", api.DeleteSharedFiles{}, api.AcceptedServer{}},
	"PUT /lethe/v1/servers/{server_id}/shared-apps/{package_name}":    {"pushSharedApp", "Unpack a tar archive in the folder apps/{package_name} of a server's shared storage, in place of what is there. Action cph:servers:pushShareApps", api.PushShared{}, api.AcceptedServer{}},
	"DELETE /lethe/v1/servers/{server_id}/shared-apps/{package_name}": {"deleteSharedApp", "Delete the folder apps/{package_name} of a server's shared storage; phones keep what they have installed. Action cph:servers:deleteShareApps", nil, api.AcceptedServer{}},

	"POST /lethe/v1/images": {"addImage", "Register an image. Action ims:images:create", api.AddImage{}, api.Image{}},
	"GET /lethe/v1/images":  {"listImages", "The images that the project may use, newest first. Action cph:images:list", nil, api.Images{}},

	"DELETE /lethe/v1/images/{image_id}": {"deleteImage", "Delete an image of the project; refused while a phone or an unfinished job has it. Action cph:images:delete", nil, api.Done{}},

	"POST /lethe/v1/buckets":                        {"addBucket", "Make an empty bucket of the project, in the installation's folder for buckets", api.AddBucket{}, api.Bucket{}},
	"GET /lethe/v1/buckets":                         {"listBuckets", "The project's buckets by name, those that the operator has registered for it too", nil, api.Buckets{}},
	"DELETE /lethe/v1/buckets/{bucket_name}":        {"deleteBucket", "Delete a bucket that has no object", nil, api.Done{}},
	"GET /lethe/v1/buckets/{bucket_name}/objects":   {"listObjects", "A bucket's objects by key", nil, api.Objects{}},
	"GET /lethe/v1/buckets/{bucket_name}/object":    {"getObject", "Read an object, as it is", nil, binary{}},
	"PUT /lethe/v1/buckets/{bucket_name}/object":    {"putObject", "Write an object, in place of one of that key: as a whole, or not at all. With a signature X-Sdk-Content-Sha256 must name the body's SHA-256", binary{}, api.StoredObject{}},
	"DELETE /lethe/v1/buckets/{bucket_name}/object": {"deleteObject", "Delete an object, and the checksum beside it", nil, api.Done{}},

	"PUT /lethe/v1/phones/{phone_id}":                        {"renamePhone", "Give a phone another name; the phone itself is told with its next life. Action cph:phones:updateName", api.RenamePhone{}, api.Done{}},
	"GET /lethe/v1/phones":                                   {"listPhones", "The project's phones, created last first. Action cph:phones:list", nil, api.Phones{}},
	"GET /lethe/v1/phones/{phone_id}":                        {"showPhone", "One phone, and the job at work on it. Action cph:phones:get", nil, api.Phone{}},
	"POST /lethe/v1/phones/batch-restart":                    {"restartPhones", "Start phones again, after a stop where they run, each as a job of one request; they keep their data. Actions cph:phones:restart and, with image_id, ims:images:get", api.RestartPhones{}, api.Accepted{}},
	"POST /lethe/v1/phones/batch-reset":                      {"resetPhones", "Reset phones, each as a job of one request: phones that are refused do not stop the others. Actions cph:phones:reset and, with image_id, ims:images:get", api.ResetPhones{}, api.Accepted{}},
	"POST /lethe/v1/phones/batch-delete":                     {"deletePhones", "Destroy phones for good, each as a job of one request: phones that are refused do not stop the others. Action cph:phones:delete", api.DeletePhones{}, api.Accepted{}},
	"POST /lethe/v1/phones/{phone_id}/exec":                  {"execPhone", "Run a program in a running phone, and wait for it. Action cph:phones:runCommand", api.Exec{}, api.ExecResult{}},
	"GET /lethe/v1/images/shared":                            {"listSharedImages", "The images that other projects have shared with this one and that it has not rejected, newest first", nil, api.SharedImages{}},
	"PUT /lethe/v1/images/{image_id}/members":                {"answerImage", "Accept or reject an image that another project has shared with this one", api.AnswerImage{}, api.Done{}},
	"GET /lethe/v1/images/{image_id}/members":                {"listImageMembers", "The projects that the image is shared with; to one of them, itself alone", nil, api.ImageMembers{}},
	"PUT /lethe/v1/images/{image_id}/members/{member_id}":    {"shareImage", "Offer the image to another project, of any account, which may use it once it has accepted", nil, api.Done{}},
	"DELETE /lethe/v1/images/{image_id}/members/{member_id}": {"unshareImage", "End the sharing of an image with a project, as the image's project or as that member; phones that boot it keep it", nil, api.Done{}},
	"GET /lethe/v1/servers/{server_id}/tags":                 {"listServerTags", "A server's tags by key", nil, api.Tags{}},
	"PUT /lethe/v1/servers/{server_id}/tags":                 {"setServerTags", "Give a server tags; a key that it has gets the new value, the others stay", api.Tags{}, api.Done{}},
	"DELETE /lethe/v1/servers/{server_id}/tags/{tag_key}":    {"deleteServerTag", "Take the tag of a key from a server; what it does not have is no error", nil, api.Done{}},

	"POST /lethe/v1/tickets/check": {"checkTicket", "Whether a ticket of the CPH API's batch-connection is good, and for which phone: 404 when it is not. Action cph:phones:connect", api.CheckTicket{}, api.Ticket{}},

	"GET /lethe/v1/jobs":                          {"listJobs", "The project's jobs, newest first; those of one request in the order of the call. Action cph:jobs:list", nil, api.Jobs{}},
	"GET /lethe/v1/jobs/{job_id}":                 {"showJob", "One job, with its phases, and its receipt or its failure. Action cph:jobs:get", nil, api.Job{}},
	"GET /lethe/v1/requests/{request_id}":         {"showRequest", "How far an accepted request is: at once or, with wait, when it has finished or the time is over. Action cph:jobs:list", nil, api.Progress{}},
	"POST /lethe/v1/jobs/{job_id}/cancel":         {"cancelJob", "Cancel a job that is held, queued or preparing, or a task whose turn has not come. The action of its kind: cph:phones:reset, cph:phones:restart, cph:phones:stop, cph:phones:delete, cph:phones:updateProperty, cph:phones:runCommand, cph:phones:storage, cph:phones:restore or cph:servers:create", nil, api.Cancelled{}},
	"POST /lethe/v1/requests/{request_id}/cancel": {"cancelRequest", "Cancel the jobs of a request that are held, queued or preparing; the others go on. The action of its kind: cph:phones:reset, cph:phones:restart, cph:phones:stop, cph:phones:delete, cph:phones:updateProperty, cph:phones:runCommand, cph:phones:storage, cph:phones:restore or cph:servers:create", nil, api.Cancelled{}},
	"POST /lethe/v1/requests/{request_id}/retry":  {"retryRequest", "Do once more what this request asked for, to the phones whose latest job is a failed or cancelled one of it: a reset to the same image and exactly the same properties, a stop, a restart, a deletion; in a new request with the same pace. The action of its kind: cph:phones:reset, cph:phones:restart, cph:phones:stop or cph:phones:delete", nil, api.Accepted{}},

	"GET /lethe/v1/replicas": {"listReplicas", "The serving processes of the installation, the latest start first. For the operator's account only", nil, api.Replicas{}},

	"GET /lethe/v1/audit": {"listAuditEvents", "Who did what to which phone: the account's audit trail, newest first. Action lethe:audit:list", nil, api.AuditEvents{}},

	"POST /lethe/v1/accounts":                  {"addAccount", "Add an account with a project and an owner; the secrets are in this answer only", api.AddAccount{}, api.AddedAccount{}},
	"GET /lethe/v1/accounts":                   {"listAccounts", "The installation's accounts", nil, api.Accounts{}},
	"GET /lethe/v1/accounts/{account_name}":    {"showAccount", "One account, with its projects", nil, api.AccountDetail{}},
	"PUT /lethe/v1/accounts/{account_name}":    {"setAccount", "Let an account add servers on hosts that it names, or not", api.SetAccount{}, api.Done{}},
	"DELETE /lethe/v1/accounts/{account_name}": {"deleteAccount", "Delete an account with its users, projects and policies; refused while it has a server or a phone", nil, api.Done{}},

	"POST /lethe/v1/projects":                  {"addProject", "Add a project of the account", api.AddProject{}, api.Project{}},
	"GET /lethe/v1/projects":                   {"listProjects", "The account's projects", nil, api.Projects{}},
	"PUT /lethe/v1/projects/{project_name}":    {"renameProject", "Give a project another name; the tokens of the account's users die at once", api.RenameProject{}, api.Done{}},
	"DELETE /lethe/v1/projects/{project_name}": {"deleteProject", "Delete a project; refused while it has a server or a phone", nil, api.Done{}},

	"POST /lethe/v1/users":                                 {"addUser", "Add a user of the account; its secrets are in this answer only", api.AddUser{}, api.AddedUser{}},
	"GET /lethe/v1/users":                                  {"listUsers", "The account's users", nil, api.Users{}},
	"GET /lethe/v1/users/{user_name}":                      {"showUser", "One user, with its groups and its grants", nil, api.UserDetail{}},
	"PUT /lethe/v1/users/{user_name}":                      {"setUser", "Disable a user, or enable it; its tokens die at once", api.SetEnabled{}, api.Done{}},
	"DELETE /lethe/v1/users/{user_name}":                   {"deleteUser", "Delete a user; its tokens and access keys die at once", nil, api.Done{}},
	"PUT /lethe/v1/users/{user_name}/policies":             {"setPolicies", "Replace a user's own policies; its tokens die at once", api.SetPolicies{}, api.UserPolicies{}},
	"PUT /lethe/v1/users/{user_name}/password":             {"resetPassword", "Give a user a new password, which is in this answer only; its tokens die at once", api.ResetPassword{}, api.Password{}},
	"PUT /lethe/v1/password":                               {"changePassword", "Give oneself a new password; one's tokens die at once", api.ChangePassword{}, api.Done{}},
	"POST /lethe/v1/users/{user_name}/keys":                {"addKey", "Add an access key, at most two for a user; its secret is in this answer only", nil, api.AddedKey{}},
	"GET /lethe/v1/users/{user_name}/keys":                 {"listKeys", "A user's access keys, without their secrets", nil, api.AccessKeys{}},
	"PUT /lethe/v1/users/{user_name}/keys/{access_key}":    {"setKey", "Disable an access key, or enable it; the user's tokens die at once", api.SetEnabled{}, api.Done{}},
	"DELETE /lethe/v1/users/{user_name}/keys/{access_key}": {"deleteKey", "Delete an access key; the user's tokens die at once", nil, api.Done{}},

	"POST /lethe/v1/groups":                                  {"addGroup", "Add a group of the account", api.AddGroup{}, api.Group{}},
	"GET /lethe/v1/groups":                                   {"listGroups", "The account's groups", nil, api.Groups{}},
	"GET /lethe/v1/groups/{group_name}":                      {"showGroup", "One group, with its users and its grants", nil, api.GroupDetail{}},
	"DELETE /lethe/v1/groups/{group_name}":                   {"deleteGroup", "Delete a group; its users lose what it gave them, and their tokens die at once", nil, api.Done{}},
	"PUT /lethe/v1/groups/{group_name}/users/{user_name}":    {"addToGroup", "Put a user into a group; its tokens die at once", nil, api.Done{}},
	"DELETE /lethe/v1/groups/{group_name}/users/{user_name}": {"removeFromGroup", "Take a user out of a group; its tokens die at once", nil, api.Done{}},

	"POST /lethe/v1/policies":                                   {"addPolicy", "Add a policy of the account", api.AddPolicy{}, api.NamedPolicy{}},
	"GET /lethe/v1/policies":                                    {"listPolicies", "The system policies and the account's", nil, api.NamedPolicies{}},
	"GET /lethe/v1/policies/{policy_name}":                      {"showPolicy", "One policy", nil, api.NamedPolicy{}},
	"PUT /lethe/v1/policies/{policy_name}":                      {"setPolicy", "Replace what a policy of the account says, for everybody who has it; their tokens die at once", api.SetPolicy{}, api.NamedPolicy{}},
	"DELETE /lethe/v1/policies/{policy_name}":                   {"deletePolicy", "Delete a policy of the account; refused while it is attached", nil, api.Done{}},
	"PUT /lethe/v1/users/{user_name}/grants/{policy_name}":      {"attachToUser", "Attach a policy to a user; its tokens die at once", nil, api.Grant{}},
	"DELETE /lethe/v1/users/{user_name}/grants/{policy_name}":   {"detachFromUser", "Take back a policy that was attached to a user; its tokens die at once", nil, api.Done{}},
	"PUT /lethe/v1/groups/{group_name}/grants/{policy_name}":    {"attachToGroup", "Attach a policy to a group; its users' tokens die at once", nil, api.Grant{}},
	"DELETE /lethe/v1/groups/{group_name}/grants/{policy_name}": {"detachFromGroup", "Take back a policy that was attached to a group; its users' tokens die at once", nil, api.Done{}},
}

var queries = map[string]struct {
	kind, says string
}{
	"after":        {"string", "The next of the page before, asked for with the same filters; empty: the first page. Not together with offset."},
	"offset":       {"integer", "How many to leave out; past the end the list is empty."},
	"limit":        {"integer", "How many at most, 1 to 1000; 100 when absent."},
	"server_name":  {"string", "Only those with this part in their name."},
	"phone_name":   {"string", "Only those with this part in their name."},
	"image_name":   {"string", "Only those of this whole name."},
	"status":       {"integer", "Only those in this status."},
	"request_id":   {"string", "Only those of this request."},
	"phone_id":     {"string", "Only those of this phone."},
	"server_id":    {"string", "Only those of this server."},
	"prefix":       {"string", "Only those whose keys begin so."},
	"key":          {"string", "The object's key: parts with / between them, of letters, digits and _ . : + # = -."},
	"project_name": {"string", "The one project in which the policy counts; absent: the whole account."},
	"order":        {"string", "newest or oldest."},
	"path":         {"string", "The folder to list, as from the root of the shared storage: /data, /cache or /apps, or one below."},
	"wait":         {"string", "How long to wait for the end of the request, such as 30s; at most 60s. The answer may come early while the server stops."},
	"user_name":    {"string", "Only what this user did."},
	"trace":        {"string", "Only calls of this name, such as resetCloudPhone or login."},
	"result":       {"string", "accepted, refused or failed."},
	"from":         {"string", "Only from this time on, such as 2026-01-02T15:04:05Z."},
	"to":           {"string", "Only before this time."},
	"mark":         {"string", "Where the page begins: what an earlier one gave as next."},
}

// The description is made from the structs, their comments and the routes: it cannot say anything else.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	want := describe(t)
	if *update {
		if err := os.WriteFile("openapi.yaml", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("openapi.yaml is not what the code serves; go test ./api -run TestOpenAPI -update writes it anew:\n%s", diff)
	}
}

// Every operation of the table is a route, and the other way round.
func TestOperationsAreRoutes(t *testing.T) {
	t.Parallel()
	routes := map[string]bool{}
	for _, route := range httpapi.Operations() {
		routes[route.Pattern] = true
		if _, ok := operations[route.Pattern]; !ok {
			t.Errorf("the route %s is not described", route.Pattern)
		}
	}
	for pattern := range operations {
		if !routes[pattern] {
			t.Errorf("%s is described and no route", pattern)
		}
	}
}

func describe(t *testing.T) string {
	t.Helper()
	schemas := newSchemas(t)
	paths := object{}
	for _, route := range httpapi.Operations() {
		method, path, _ := strings.Cut(route.Pattern, " ")
		at := slices.IndexFunc(paths, func(p pair) bool { return p.key == path })
		if at < 0 {
			paths, at = append(paths, pair{path, object{}}), len(paths)
		}
		paths[at].value = append(paths[at].value.(object), pair{strings.ToLower(method), describeRoute(t, schemas, route)})
	}
	schemas.add(reflect.TypeFor[api.Error]())
	document := object{
		{"openapi", "3.1.0"},
		{"info", object{
			{"title", "lethe native API"}, {"version", "1"},
			{"description", schemas.packageDoc},
			{"license", object{{"name", "Apache-2.0"}, {"identifier", "Apache-2.0"}}},
		}},
		{"security", list{object{{"token", list{}}}, object{{"signature", list{}}}}},
		{"paths", paths},
		{"components", object{
			{"securitySchemes", object{
				{"token", object{{"type", "apiKey"}, {"in", "header"}, {"name", "X-Auth-Token"}, {"description", "From POST /v3/auth/tokens."}}},
				{"signature", object{{"type", "apiKey"}, {"in", "header"}, {"name", "Authorization"}, {"description", "SDK-HMAC-SHA256, with X-Sdk-Date."}}},
			}},
			{"schemas", schemas.all()},
		}},
	}
	var b strings.Builder
	b.WriteString("# Made from the structs of this package and the routes: go test ./api -run TestOpenAPI -update\n")
	document.write(&b, 0)
	return b.String()
}

func describeRoute(t *testing.T, schemas *schemas, route httpapi.Operation) object {
	t.Helper()
	op := operations[route.Pattern]
	out := object{{"operationId", op.id}, {"summary", withAction(t, op.summary, route)}}
	if route.Open {
		out = append(out, pair{"security", list{}})
	}
	if parameters := describeParameters(t, route); len(parameters) > 0 {
		out = append(out, pair{"parameters", parameters})
	}
	if op.request != nil {
		out = append(out, pair{"requestBody", object{{"required", true}, {"content", content(schemas, op.request)}}})
	}
	return append(out, pair{"responses", object{
		{"200", object{{"description", http.StatusText(http.StatusOK)}, {"headers", requestIDHeader}, {"content", content(schemas, op.response)}}},
		{"default", object{{"description", "Refused or failed"}, {"headers", requestIDHeader}, {"content", content(schemas, api.Error{})}}},
	}})
}

// withAction says which action a route needs, unless its summary says so in words of its own.
func withAction(t *testing.T, summary string, route httpapi.Operation) string {
	t.Helper()
	switch {
	case route.Action == "":
		return summary
	case strings.Contains(summary, string(route.Action)):
		return summary
	case strings.Contains(summary, "ction "):
		t.Errorf("%s is described with another action than %s, which it needs", route.Pattern, route.Action)
	}
	return summary + ". Action " + string(route.Action)
}

var requestIDHeader = object{{"X-Request-Id", object{{"schema", object{{"type", "string"}}}}}}

func content(schemas *schemas, v any) object {
	if v == (binary{}) {
		return object{{"application/octet-stream", object{{"schema", object{{"type", "string"}, {"format", "binary"}}}}}}
	}
	return object{{"application/json", object{{"schema", schemas.schema(reflect.TypeOf(v))}}}}
}

func describeParameters(t *testing.T, route httpapi.Operation) list {
	t.Helper()
	var out list
	for _, part := range strings.Split(route.Pattern, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			out = append(out, object{
				{"name", strings.TrimSuffix(name, "}")}, {"in", "path"}, {"required", true}, {"schema", object{{"type", "string"}}},
			})
		}
	}
	for _, name := range route.Query {
		q, ok := queries[name]
		if !ok {
			t.Errorf("the query parameter %s of %s is not described", name, route.Pattern)
		}
		out = append(out, object{{"name", name}, {"in", "query"}, {"schema", object{{"type", q.kind}}}, {"description", q.says}})
	}
	if route.Keyed {
		out = append(out, object{
			{"name", "Idempotency-Key"}, {"in", "header"}, {"schema", object{{"type", "string"}, {"minLength", 1}, {"maxLength", 128}}},
			{"description", "Makes the call repeatable for 24 hours: the same key with the same call is answered as the first time; with another call it is refused."},
		})
	}
	if permission, _ := fleet.PermissionOf(route.Action); permission.Scope == fleet.ScopeProject {
		out = append(out,
			object{{"name", "X-Project-Id"}, {"in", "header"}, {"schema", object{{"type", "string"}}}, {"description", "The project; default: the token's, or the account's only one."}},
			object{{"name", "project_id"}, {"in", "query"}, {"schema", object{{"type", "string"}}}, {"description", "The same, for clients that cannot set a header."}},
		)
	}
	return out
}

// object and list are YAML's, in a fixed order.
type (
	pair struct {
		key   string
		value any
	}
	object []pair
	list   []any
)

func (o object) write(b *strings.Builder, depth int) {
	for _, p := range o {
		fmt.Fprintf(b, "%s%s:", strings.Repeat("  ", depth), key(p.key))
		writeValue(b, p.value, depth+1)
	}
}

func writeValue(b *strings.Builder, value any, depth int) {
	switch v := value.(type) {
	case object:
		if len(v) == 0 {
			b.WriteString(" {}\n")
			return
		}
		b.WriteByte('\n')
		v.write(b, depth)
	case list:
		if len(v) == 0 {
			b.WriteString(" []\n")
			return
		}
		b.WriteByte('\n')
		for _, element := range v {
			b.WriteString(strings.Repeat("  ", depth) + "-")
			if o, ok := element.(object); ok {
				var inner strings.Builder
				o.write(&inner, depth+1)
				b.WriteString(" " + strings.TrimLeft(inner.String(), " "))
				continue
			}
			writeValue(b, element, depth+1)
		}
	case string:
		fmt.Fprintf(b, " %q\n", v)
	default:
		fmt.Fprintf(b, " %v\n", v)
	}
}

// key quotes what YAML would not read as a text.
func key(k string) string {
	if strings.Trim(k, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-") != "" || k == "" {
		return fmt.Sprintf("%q", k)
	}
	return k
}
