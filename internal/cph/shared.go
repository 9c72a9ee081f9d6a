package cph

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// sharedRoutes are about the shared storages of servers. Pushing and deleting files share a method and a path; the body tells them apart.
func (h *Handler) sharedRoutes() []route {
	const (
		files = "on servers whose template has a share_path, where phones see the storage's root, and not as their own /data and /cache"
		apps  = "on servers whose template has a share_path; the app lies in its folder apps, and is installed by whoever wants it: preinstalling is refused"
	)
	return []route{
		{"PushShareFiles", "POST " + base + "/phones/share-files", fleet.ActionShareFilesPush, Partly, files + "; from buckets of this installation", h.shareFiles},
		{"DeleteShareFiles", "POST " + base + "/phones/share-files", fleet.ActionShareFilesDelete, Partly, files, h.shareFiles},
		{"ListShareFiles", "GET " + base + "/servers/share-files", fleet.ActionShareFilesList, Partly, files + "; the reference does not say how a job gives the list: here it is JSON in execute_msg", h.listShareFiles},
		{"PushShareApps", "POST " + base + "/phones/share-apps", fleet.ActionShareAppsPush, Partly, apps + "; from buckets of this installation", h.pushShareApp},
		{"DeleteShareApps", "DELETE " + base + "/phones/share-apps", fleet.ActionShareAppsDelete, Partly, "on servers whose template has a share_path; apps that phones have installed stay there", h.deleteShareApp},
	}
}

// shareServers reads the list of servers of these calls.
func shareServers(list json.RawMessage) ([]string, error) {
	return ids("server_ids", list, phone.MaxShareServers, reasonServerIDs, reasonNoServerIDs, reasonTooManyServers)
}

// shareLine is lineOf with the code that the reference has for an unknown server of these calls.
func shareLine(err *phone.Error) line {
	if err.Reason == phone.ReasonServerNotFound {
		return byReason[reasonShareServer]
	}
	return lineOf(err)
}

// shareTask lets the use case do it, and answers with the servers' jobs. As in every batch, each element is refused by itself.
func (h *Handler) shareTask(c *call, kind phone.Kind, servers []string, task phone.Task) (any, error) {
	id, outcomes, err := h.Fleet.RunShareTask(c.Context(), c.caller, fleet.ShareCall{Request: c.id, Project: c.project, Kind: kind, Task: task, Servers: servers})
	if err != nil {
		return nil, err
	}
	return c.acceptedServers(id, outcomes, shareLine), nil
}

// shareFiles is POST phones/share-files: with file_paths it deletes, with a bucket or an object it pushes [SDK
// model_push_share_files_request_body.go, model_delete_share_files_request_body.go].
func (h *Handler) shareFiles(c *call) (any, error) {
	var in struct {
		Bucket  *string         `json:"bucket_name"`
		Object  *string         `json:"object_path"`
		Paths   json.RawMessage `json:"file_paths"`
		Servers json.RawMessage `json:"server_ids"`
	}
	err := c.decode(&in, map[string]phone.Reason{"bucket_name": phone.ReasonBucketInvalid, "object_path": phone.ReasonObjectPathInvalid})
	if err != nil {
		return nil, err
	}
	pushes, deletes := in.Bucket != nil || in.Object != nil, in.Paths != nil && string(in.Paths) != "null"
	if pushes == deletes {
		return nil, errQuery(reasonBody, "file_paths", "and bucket_name with object_path are two calls, to delete and to push: give those of one")
	}
	servers, err := shareServers(in.Servers)
	if err != nil {
		return nil, err
	}
	if pushes {
		object, refused := phone.ShareObject(valueOf(in.Bucket), valueOf(in.Object))
		if refused != nil {
			return nil, refused
		}
		return h.shareTask(c, phone.KindSharePush, servers, phone.Task{Objects: []phone.Object{object}})
	}
	paths, err := ids("file_paths", in.Paths, phone.MaxSharePaths, phone.ReasonFilePathsInvalid, phone.ReasonFilePathsInvalid, phone.ReasonFilePathsInvalid)
	if err != nil {
		return nil, err
	}
	return h.shareTask(c, phone.KindShareDelete, servers, phone.Task{Share: &phone.ShareTask{Paths: paths}})
}

func valueOf(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// pushShareApp is POST phones/share-apps [SDK model_push_share_apps_request_body.go].
func (h *Handler) pushShareApp(c *call) (any, error) {
	var in struct {
		Package string          `json:"package_name"`
		Install *int32          `json:"pre_install_app"`
		Bucket  string          `json:"bucket_name"`
		Object  string          `json:"object_path"`
		Servers json.RawMessage `json:"server_ids"`
	}
	err := c.decode(&in, map[string]phone.Reason{
		"package_name": phone.ReasonPackageInvalid, "bucket_name": phone.ReasonBucketInvalid, "object_path": phone.ReasonObjectPathInvalid,
	})
	if err != nil {
		return nil, err
	}
	if refused := phone.CheckPackageName(in.Package); refused != nil {
		return nil, refused
	}
	object, refused := phone.ShareObject(in.Bucket, in.Object)
	if refused != nil {
		return nil, refused
	}
	servers, err := shareServers(in.Servers)
	switch {
	case err != nil:
		return nil, err
	case in.Install == nil || *in.Install == 0:
	case *in.Install == 1:
		return nil, refuse(phone.Unsupported, reasonNotHere, "pre_install_app",
			"Nothing installs an app in every phone after each of its resets: leave pre_install_app out, and install the app where it is wanted, by commands in the phones.")
	default:
		return nil, errQuery(reasonBody, "pre_install_app", "must be 0 or 1")
	}
	return h.shareTask(c, phone.KindAppPush, servers, phone.Task{Package: in.Package, Objects: []phone.Object{object}})
}

// deleteShareApp is DELETE phones/share-apps [SDK model_delete_share_apps_request_body.go].
func (h *Handler) deleteShareApp(c *call) (any, error) {
	var in struct {
		Package string          `json:"package_name"`
		Servers json.RawMessage `json:"server_ids"`
	}
	if err := c.decode(&in, map[string]phone.Reason{"package_name": phone.ReasonPackageInvalid}); err != nil {
		return nil, err
	}
	if refused := phone.CheckPackageName(in.Package); refused != nil {
		return nil, refused
	}
	servers, err := shareServers(in.Servers)
	if err != nil {
		return nil, err
	}
	return h.shareTask(c, phone.KindAppDelete, servers, phone.Task{Package: in.Package})
}

// listShareFiles is GET servers/share-files [SDK model_list_share_files_request.go].
func (h *Handler) listShareFiles(c *call) (any, error) {
	q := c.query()
	offset, err := q.number("offset", 0, 0, 1<<31-1)
	if err != nil {
		return nil, err
	}
	limit, err := q.number("limit", phone.MaxShareFiles, 1, phone.MaxShareFiles)
	if err != nil {
		return nil, err
	}
	if refused := phone.CheckListPath(q.Get("path")); refused != nil {
		return nil, refused
	}
	var servers []string
	for id := range strings.SplitSeq(q.Get("server_ids"), ",") {
		if id = strings.TrimSpace(id); id != "" {
			servers = append(servers, id)
		}
		if len(servers) > phone.MaxShareServers {
			return nil, &phone.Error{Code: phone.Exhausted, Reason: reasonTooManyServers, Field: "server_ids", Msg: "server_ids has too many elements: send several calls"}
		}
	}
	if len(servers) == 0 {
		return nil, errQuery(reasonNoServerIDs, "server_ids", "is missing: name servers, with commas between them")
	}
	return h.shareTask(c, phone.KindShareList, servers, phone.Task{Share: &phone.ShareTask{Path: q.Get("path"), Offset: offset, Limit: limit}})
}

// listing is what a job that lists a folder says in execute_msg: the reference has no word for it. A folder's name ends in a slash.
type listing struct {
	Total int      `json:"total"` // in the folder
	Files []string `json:"files"`
	// Next is the offset of the next page, where the folder has more.
	Next int `json:"next,omitempty"`
}

// listingOut writes as much of a listing as execute_msg takes, as whole JSON: where that is less than was asked for, next goes on from there.
func listingOut(l phone.ShareListing) string {
	out := listing{Total: l.Total, Files: []string{}}
	text := encodeListing(out, l)
	for _, f := range l.Files {
		name := f.Name
		if f.Type == "folder" {
			name += "/"
		}
		longer := out
		longer.Files = append(out.Files[:len(out.Files):len(out.Files)], name)
		next := encodeListing(longer, l)
		if len(next) > maxExecuteMsg {
			break
		}
		out, text = longer, next
	}
	return text
}

func encodeListing(out listing, l phone.ShareListing) string {
	if at := l.Offset + len(out.Files); at < l.Total && (len(l.Files) > 0 || len(out.Files) > 0) {
		out.Next = at
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(out) // numbers and texts always encode
	return strings.TrimSuffix(b.String(), "\n")
}
