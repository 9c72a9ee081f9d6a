package main

import (
	"github.com/lethe-cloud/lethe/internal/fleet"
)

// operation is one call of one route.
type operation struct {
	pattern string
	action  fleet.Action
	or      []fleet.Action // others that will do
	sample
}

// sample is how a route is called: what changes something for good names what is not there, so that it can be called again.
type sample struct {
	query, body string
	missing     bool           // what the path names
	owner       int            // the owner's answer; 0 means 200
	also        []fleet.Action // what this call needs besides
	of          fleet.Action   // the one that it asks, where a route asks several; "": the route's only one
}

// samples has one line for each route at least, and a further one for each case in which an action depends on another.
var samples = map[string][]sample{
	"POST /v1/{project_id}/cloud-phone/phones/batch-reset": {
		{body: `{"phones":[{"phone_id":"PHONE"}]}`},
		{body: `{"image_id":"IMAGE","phones":[{"phone_id":"PHONE"}]}`, also: []fleet.Action{fleet.ActionImagesGet}},
	},
	"POST /v1/{project_id}/cloud-phone/phones/batch-stop":            {{body: `{"phone_ids":["PHONE"]}`}},
	"POST /v1/{project_id}/cloud-phone/phones/batch-update-property": {{body: `{"phones":[{"phone_id":"PHONE","property":"{}"}]}`}},
	"POST /v1/{project_id}/cloud-phone/phones/batch-restart": {
		{body: `{"phones":[{"phone_id":"PHONE"}]}`},
		{body: `{"image_id":"IMAGE","phones":[{"phone_id":"PHONE"}]}`, also: []fleet.Action{fleet.ActionImagesGet}},
	},
	"GET /v1/{project_id}/cloud-phone/phones":              {{}},
	"GET /v1/{project_id}/cloud-phone/phones/{phone_id}":   {{}},
	"GET /v1/{project_id}/cloud-phone/servers":             {{}},
	"GET /v1/{project_id}/cloud-phone/servers/{server_id}": {{}},
	"GET /v1/{project_id}/cloud-phone/phone-images":        {{}},
	"GET /v1/{project_id}/cloud-phone/jobs":                {{query: "request_id=REQUEST"}},
	"GET /v1/{project_id}/cloud-phone/jobs/{job_id}":       {{}},

	"POST /v1/{project_id}/cloud-phone/phones/batch-storage":    {{body: `{"storage_infos":[{"phone_id":"PHONE","include_files":["/data"],"bucket_name":"ours","object_path":"a"}]}`}},
	"POST /v1/{project_id}/cloud-phone/phones/batch-restore":    {{body: `{"restore_infos":[{"phone_id":"PHONE","bucket_name":"ours","object_path":"a"}]}`}},
	"PUT /v1/{project_id}/cloud-phone/phones/{phone_id}":        {{body: `{"phone_name":"front"}`}},
	"POST /v1/{project_id}/cloud-phone/phones/batch-connection": {{body: `{"phone_ids":["PHONE"],"client_type":"ANDROID"}`}},
	"POST /v1/{project_id}/cloud-phone/phones/sync-commands":    {{body: `{"command":"shell","content":"id","phone_ids":["PHONE"]}`}},
	"POST /v1/{project_id}/cloud-phone/phones/commands":         {{body: `{"command":"shell","content":"id","phone_ids":["PHONE"]}`}},
	"GET /v1/{project_id}/cloud-phone/phone-models":             {{}},
	"PUT /v1/{project_id}/cloud-phone/servers/{server_id}":      {{body: `{"server_name":"edge"}`}}, // its own name
	"POST /v1/{project_id}/cloud-phone/servers/batch-restart":   {{body: `{"server_ids":["SERVER"]}`}},
	"PUT /v1/{project_id}/cloud-phone/servers/open-access":      {{body: `{"servers":[{"server_id":"0123456789abcdef0123456789abcdef","keypair_name":"ops"}]}`}},
	"POST /v1/{project_id}/cloud-phone/phones/share-files": {
		{of: fleet.ActionShareFilesPush, body: `{"bucket_name":"none","object_path":"a.tar","server_ids":["SERVER"]}`, owner: 400}, // there is no bucket
		{of: fleet.ActionShareFilesDelete, body: `{"file_paths":["/data/a"],"server_ids":["SERVER"]}`},
	},
	"GET /v1/{project_id}/cloud-phone/servers/share-files":                      {{query: "path=/data&server_ids=SERVER"}},
	"POST /v1/{project_id}/cloud-phone/phones/share-apps":                       {{body: `{"package_name":"com.example.app","bucket_name":"none","object_path":"a.tar","server_ids":["SERVER"]}`, owner: 400}},
	"DELETE /v1/{project_id}/cloud-phone/phones/share-apps":                     {{body: `{"package_name":"com.example.app","server_ids":["SERVER"]}`}},
	"POST /v2/{project_id}/cloud-phone/servers":                                 {{body: `{"server_name":"a","server_model_name":"no.host","phone_model_name":"lethe.cp.standard","image_id":"IMAGE","count":1}`, owner: 400}},
	"DELETE /v2/{project_id}/cloud-phone/servers":                               {{body: `{"server_ids":["0123456789abcdef0123456789abcdef"]}`, owner: 404}},
	"POST /v2/{project_id}/cloud-phone/servers/{server_id}/change":              {{body: `{"phone_model_name":"lethe.cp.standard","image_id":"IMAGE"}`, also: []fleet.Action{fleet.ActionImagesGet}, missing: true, owner: 404}},
	"GET /v1/{project_id}/cloud-phone/server-models":                            {{}},
	"GET /v1/{project_id}/cloud-phone/images":                                   {{}},
	"DELETE /v1/{project_id}/cloud-phone/images/{image_id}":                     {{missing: true, owner: 400}},
	"GET /v1/{project_id}/cloud-phone/images/{image_id}/members":                {{}},
	"POST /v1/{project_id}/cloud-phone/images/{image_id}/members":               {{body: `{"member":"MEMBER"}`}},
	"PUT /v1/{project_id}/cloud-phone/images/{image_id}/members":                {{body: `{"status":"accepted"}`, missing: true, owner: 400}},
	"DELETE /v1/{project_id}/cloud-phone/images/{image_id}/members/{member_id}": {{missing: true, owner: 400}},
	"GET /v1/{project_id}/cph-server/tags":                                      {{}},
	"GET /v1/{project_id}/cph-server/{resource_id}/tags":                        {{}},
	"POST /v1/{project_id}/cph-server/{resource_id}/tags/action": {
		{body: `{"action":"create","tags":[{"key":"room","value":"1"}]}`, owner: 204},
		{body: `{"action":"delete","tags":[{"key":"room"}]}`, owner: 204},
	},
	"POST /v1/{project_id}/cph-server/resource_instances/action": {{body: `{"action":"filter"}`}},

	// What the CPH API refuses by itself: whoever may do it is refused for its own reason.
	"GET /v1/{project_id}/cloud-phone/bandwidths":                             {{}},
	"PUT /v1/{project_id}/cloud-phone/bandwidths/{band_width_id}":             {{body: `{"band_width_size":5}`, owner: 400}},
	"GET /v1/{project_id}/cloud-phone/encode-servers":                         {{}},
	"POST /v1/{project_id}/cloud-phone/encode-servers/batch-restart":          {{body: `{"encode_server_ids":["PHONE"]}`}},
	"POST /v1/{project_id}/cloud-phone/servers/change-server-model":           {{body: `{"server_id":"SERVER","server_model_name":"m","phone_model_name":"p"}`, owner: 400}},
	"POST /v2.1/{project_id}/cloud-phone/servers":                             {{body: `{"server_name":"a","server_model_name":"m","count":1}`, owner: 400}},
	"POST /v1/{project_id}/cloud-phone/phones-traffic":                        {{body: `{"traffic_type":"direct","phone_ids":["PHONE"]}`, owner: 400}},
	"POST /v1/{project_id}/cloud-phone/phones/expand-volume":                  {{body: `{"phones":[{"phone_id":"PHONE","new_size":1}]}`, owner: 501}},
	"GET /v1/{project_id}/server-model-offerings":                             {{}},
	"POST /v1/{project_id}/servers/attach-share-filesystem":                   {{body: `{"type":"sfs_turbo","id":"x","server_ids":["SERVER"]}`, owner: 400}},
	"POST /v1/{project_id}/servers/detach-share-filesystem":                   {{body: `{"type":"sfs_turbo","id":"x","server_ids":["SERVER"]}`, owner: 400}},
	"GET /v1/{project_id}/cloud-phone/access-infos":                           {{query: "server_id=SERVER"}},
	"PUT /v1/{project_id}/cloud-phone/access-infos":                           {{body: `{"server_ids":["SERVER"],"ports":[{"name":"a","listen_port":1,"internet_accessible":"true"}]}`, owner: 501}},
	"DELETE /v1/{project_id}/cloud-phone/access-infos":                        {{body: `{"server_ids":["SERVER"],"ports":[{"name":"a","listen_port":1}]}`, owner: 400}},
	"GET /v1/{project_id}/cloud-phone/scheduled-events":                       {{}},
	"POST /v1/{project_id}/cloud-phone/scheduled-events/{event_id}/authorize": {{body: `{}`, owner: 404}},
	"PUT /v1/{project_id}/cloud-phone/scheduled-events/{event_id}":            {{body: `{}`, owner: 404}},

	"POST /lethe/v1/servers":                                 {{body: `{"server_name":"s-NEW","driver":"simulated","phone_count":1,"image_id":"IMAGE"}`}},
	"GET /lethe/v1/servers":                                  {{}},
	"GET /lethe/v1/servers/{server_id}":                      {{}},
	"PUT /lethe/v1/servers/{server_id}":                      {{body: `{"server_name":"edge"}`}}, // its own name
	"GET /lethe/v1/servers/{server_id}/drift":                {{}},
	"POST /lethe/v1/servers/{server_id}/reconcile":           {{body: `{"apply":false}`}},
	"POST /lethe/v1/servers/{server_id}/restart":             {{missing: true, owner: 404}},
	"DELETE /lethe/v1/servers/{server_id}":                   {{missing: true, owner: 404}},
	"POST /lethe/v1/servers/{server_id}/abandon":             {{missing: true, owner: 404}},
	"POST /lethe/v1/servers/{server_id}/change":              {{body: `{"image_id":"IMAGE"}`, also: []fleet.Action{fleet.ActionImagesGet}, missing: true, owner: 404}},
	"GET /lethe/v1/pool":                                     {{}},
	"POST /lethe/v1/pool/servers":                            {{body: `{"server_name":"a","server_model_name":"no.host","image_id":"IMAGE"}`, owner: 404}},
	"POST /lethe/v1/phones/batch-delete":                     {{body: `{"phone_ids":["0123456789abcdef0123456789abcdef"]}`}},
	"POST /lethe/v1/images":                                  {{body: `{"image_name":"i-NEW","reference":"r"}`}},
	"GET /lethe/v1/images":                                   {{}},
	"DELETE /lethe/v1/images/{image_id}":                     {{missing: true, owner: 404}},
	"PUT /lethe/v1/phones/{phone_id}":                        {{body: `{"phone_name":"front"}`}},
	"GET /lethe/v1/phones":                                   {{}},
	"GET /lethe/v1/phones/{phone_id}":                        {{}},
	"GET /lethe/v1/images/shared":                            {{}},
	"PUT /lethe/v1/images/{image_id}/members":                {{body: `{"status":"accepted"}`, missing: true, owner: 404}},
	"GET /lethe/v1/images/{image_id}/members":                {{}},
	"PUT /lethe/v1/images/{image_id}/members/{member_id}":    {{missing: true, owner: 404}},
	"DELETE /lethe/v1/images/{image_id}/members/{member_id}": {{missing: true, owner: 404}},
	"GET /lethe/v1/servers/{server_id}/tags":                 {{}},
	"PUT /lethe/v1/servers/{server_id}/tags":                 {{body: `{"tags":[{"key":"team","value":"a"}]}`}},
	"DELETE /lethe/v1/servers/{server_id}/tags/{tag_key}":    {{}},
	"POST /lethe/v1/phones/batch-reset": {
		{body: `{"phones":[{"phone_id":"PHONE"}]}`},
		{body: `{"image_id":"IMAGE","phones":[{"phone_id":"PHONE"}]}`, also: []fleet.Action{fleet.ActionImagesGet}},
	},
	"POST /lethe/v1/servers/{server_id}/shared-files":                 {{body: `{"bucket_name":"none","object_path":"a.tar"}`, owner: 404}},
	"GET /lethe/v1/servers/{server_id}/shared-files":                  {{query: "path=/data", missing: true, owner: 404}},
	"POST /lethe/v1/servers/{server_id}/shared-files/delete":          {{body: `{"file_paths":["/data/a"]}`, missing: true, owner: 404}},
	"PUT /lethe/v1/servers/{server_id}/shared-apps/{package_name}":    {{body: `{"bucket_name":"none","object_path":"a.tar"}`, owner: 404}},
	"DELETE /lethe/v1/servers/{server_id}/shared-apps/{package_name}": {{missing: true, owner: 404}},
	"POST /lethe/v1/phones/batch-restart": {
		{body: `{"phones":[{"phone_id":"PHONE"}]}`},
		{body: `{"image_id":"IMAGE","phones":[{"phone_id":"PHONE"}]}`, also: []fleet.Action{fleet.ActionImagesGet}},
	},
	"POST /lethe/v1/tickets/check":                  {{body: `{"ticket":"x"}`, owner: 404}},
	"POST /lethe/v1/phones/{phone_id}/exec":         {{body: `{"args":["id"]}`, owner: 409}},
	"GET /lethe/v1/jobs":                            {{}},
	"GET /lethe/v1/jobs/{job_id}":                   {{}},
	"POST /lethe/v1/jobs/{job_id}/cancel":           {{missing: true, owner: 404}},
	"GET /lethe/v1/requests/{request_id}":           {{}},
	"POST /lethe/v1/requests/{request_id}/cancel":   {{missing: true, owner: 404}},
	"POST /lethe/v1/requests/{request_id}/retry":    {{missing: true, owner: 404}},
	"POST /lethe/v1/buckets":                        {{body: `{"bucket_name":"bucket-NEW"}`}},
	"GET /lethe/v1/buckets":                         {{}},
	"DELETE /lethe/v1/buckets/{bucket_name}":        {{missing: true, owner: 404}},
	"GET /lethe/v1/buckets/{bucket_name}/objects":   {{}},
	"GET /lethe/v1/buckets/{bucket_name}/object":    {{query: "key=kept"}},
	"PUT /lethe/v1/buckets/{bucket_name}/object":    {{query: "key=new", body: "content"}},
	"DELETE /lethe/v1/buckets/{bucket_name}/object": {{query: "key=absent", owner: 404}},
	"GET /lethe/v1/replicas":                        {{}},
	"GET /lethe/v1/audit":                           {{}},

	"POST /lethe/v1/accounts":                  {{body: `{"account_name":"a-NEW"}`}},
	"GET /lethe/v1/accounts":                   {{}},
	"GET /lethe/v1/accounts/{account_name}":    {{}},
	"PUT /lethe/v1/accounts/{account_name}":    {{body: `{"own_hosts":false}`}},
	"DELETE /lethe/v1/accounts/{account_name}": {{missing: true, owner: 404}},
	"POST /lethe/v1/projects":                  {{body: `{"project_name":"p-NEW"}`}},
	"GET /lethe/v1/projects":                   {{}},
	"PUT /lethe/v1/projects/{project_name}":    {{body: `{"project_name":"local-2"}`}}, // its own name
	"DELETE /lethe/v1/projects/{project_name}": {{missing: true, owner: 404}},

	"POST /lethe/v1/users": {
		{body: `{"user_name":"u-NEW"}`},
		{body: `{"user_name":"u-NEW","policies":[` + emptyHanded + `]}`, also: []fleet.Action{fleet.ActionUsersGrant}},
	},
	"GET /lethe/v1/users":                                  {{}},
	"GET /lethe/v1/users/{user_name}":                      {{}},
	"PUT /lethe/v1/users/{user_name}":                      {{body: `{"enabled":true}`}},
	"DELETE /lethe/v1/users/{user_name}":                   {{missing: true, owner: 404}},
	"PUT /lethe/v1/users/{user_name}/policies":             {{body: `{"policies":[]}`}},
	"PUT /lethe/v1/users/{user_name}/password":             {{body: `{}`}},
	"PUT /lethe/v1/password":                               {{body: `{"original_password":"x","password":"short"}`, owner: 400}},
	"POST /lethe/v1/users/{user_name}/keys":                {{missing: true, owner: 404}},
	"GET /lethe/v1/users/{user_name}/keys":                 {{}},
	"PUT /lethe/v1/users/{user_name}/keys/{access_key}":    {{body: `{"enabled":true}`}},
	"DELETE /lethe/v1/users/{user_name}/keys/{access_key}": {{missing: true, owner: 404}},

	"POST /lethe/v1/groups":                                     {{body: `{"group_name":"g-NEW"}`}},
	"GET /lethe/v1/groups":                                      {{}},
	"GET /lethe/v1/groups/{group_name}":                         {{}},
	"DELETE /lethe/v1/groups/{group_name}":                      {{missing: true, owner: 404}},
	"PUT /lethe/v1/groups/{group_name}/users/{user_name}":       {{}},
	"DELETE /lethe/v1/groups/{group_name}/users/{user_name}":    {{}},
	"POST /lethe/v1/policies":                                   {{body: `{"policy_name":"p-NEW","policy":` + emptyHanded + `}`}},
	"GET /lethe/v1/policies":                                    {{}},
	"GET /lethe/v1/policies/{policy_name}":                      {{}},
	"PUT /lethe/v1/policies/{policy_name}":                      {{body: `{"policy":` + emptyHanded + `}`}},
	"DELETE /lethe/v1/policies/{policy_name}":                   {{missing: true, owner: 404}},
	"PUT /lethe/v1/users/{user_name}/grants/{policy_name}":      {{}},
	"DELETE /lethe/v1/users/{user_name}/grants/{policy_name}":   {{missing: true, owner: 404}},
	"PUT /lethe/v1/groups/{group_name}/grants/{policy_name}":    {{query: "project_name=local-2"}},
	"DELETE /lethe/v1/groups/{group_name}/grants/{policy_name}": {{missing: true, owner: 404}},
}
