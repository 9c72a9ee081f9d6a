package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/lethe-cloud/lethe/api"
)

// Version asks what is serving.
func (c *Client) Version(ctx context.Context) (api.Version, error) {
	var out api.Version
	return out, c.get(ctx, api.Prefix+"/version", nil, &out)
}

// AddServer makes a server and its phones. WaitRequest follows the jobs that create them.
func (c *Client) AddServer(ctx context.Context, in api.AddServer) (api.AddedServer, error) {
	var out api.AddedServer
	return out, c.call(ctx, http.MethodPost, api.Prefix+"/servers", nil, in, &out)
}

// Server gives one server with its slots and its phones by status.
func (c *Client) Server(ctx context.Context, id string) (api.Server, error) {
	var out api.Server
	return out, c.get(ctx, api.Prefix+"/servers/"+url.PathEscape(id), nil, &out)
}

// Drift tells how a server's host differs from the database. It waits for the host until ctx ends.
func (c *Client) Drift(ctx context.Context, id string) (api.Drift, error) {
	var out api.Drift
	return out, c.send(ctx, http.MethodGet, api.Prefix+"/servers/"+url.PathEscape(id)+"/drift", nil, nil, &out)
}

// Reconcile puts a server's host in order, or says what would be done. It waits for the host until ctx ends.
func (c *Client) Reconcile(ctx context.Context, id string, in api.Reconcile) (api.Drift, error) {
	var out api.Drift
	return out, c.send(ctx, http.MethodPost, api.Prefix+"/servers/"+url.PathEscape(id)+"/reconcile", nil, in, &out)
}

// AddImage registers an image.
func (c *Client) AddImage(ctx context.Context, in api.AddImage) (api.Image, error) {
	var out api.Image
	return out, c.call(ctx, http.MethodPost, api.Prefix+"/images", nil, in, &out)
}

// Images gives every image that the project may use, or those of one name; newest first.
func (c *Client) Images(ctx context.Context, name string) ([]api.Image, error) {
	var out api.Images
	return out.Images, c.get(ctx, api.Prefix+"/images", query("image_name", name), &out)
}

// DeleteImage removes an image of the project that nothing uses.
func (c *Client) DeleteImage(ctx context.Context, id string) error {
	return c.remove(ctx, below("images", id))
}

// SharedImages gives the images that other projects have shared with this one and that it has not rejected, newest first.
func (c *Client) SharedImages(ctx context.Context) ([]api.SharedImage, error) {
	const size = 1000 // the most that one page has
	var all []api.SharedImage
	for {
		var out api.SharedImages
		if err := c.get(ctx, below("images", "shared"), withPage(url.Values{}, len(all), size), &out); err != nil {
			return all, err
		}
		if all = append(all, out.Images...); len(out.Images) < size {
			return all, nil
		}
	}
}

// ImageMembers gives the projects that an image of this one is shared with; of another project's image, this project alone.
func (c *Client) ImageMembers(ctx context.Context, id string) ([]api.ImageMember, error) {
	var out api.ImageMembers
	return out.Members, c.get(ctx, below("images", id, "members"), nil, &out)
}

// ShareImage offers an image to another project, which may use it once it has accepted. UnshareImage ends that; a member may do so for itself.
func (c *Client) ShareImage(ctx context.Context, id, project string) error {
	return c.put(ctx, below("images", id, "members", project), nil, &api.Done{})
}

// UnshareImage is described at ShareImage.
func (c *Client) UnshareImage(ctx context.Context, id, project string) error {
	return c.remove(ctx, below("images", id, "members", project))
}

// AnswerImage accepts or rejects an image that was shared with this project.
func (c *Client) AnswerImage(ctx context.Context, id string, in api.AnswerImage) error {
	return c.put(ctx, below("images", id, "members"), in, &api.Done{})
}

// ServerTags gives a server's tags by key.
func (c *Client) ServerTags(ctx context.Context, id string) ([]api.Tag, error) {
	var out api.Tags
	return out.Tags, c.get(ctx, below("servers", id, "tags"), nil, &out)
}

// SetServerTags gives a server more tags; a key that it has gets the new value.
func (c *Client) SetServerTags(ctx context.Context, id string, tags ...api.Tag) error {
	return c.put(ctx, below("servers", id, "tags"), api.Tags{Tags: tags}, &api.Done{})
}

// DeleteServerTag takes the tag of a key from a server; what it does not have is no error.
func (c *Client) DeleteServerTag(ctx context.Context, id, key string) error {
	return c.remove(ctx, below("servers", id, "tags", key))
}

// RenamePhone gives a phone another name.
func (c *Client) RenamePhone(ctx context.Context, id, to string) error {
	return c.put(ctx, below("phones", id), api.RenamePhone{PhoneName: to}, &api.Done{})
}

// RenameServer gives a server another name.
func (c *Client) RenameServer(ctx context.Context, id, to string) error {
	return c.put(ctx, below("servers", id), api.RenameServer{ServerName: to}, &api.Done{})
}

// Phone gives one phone and the job at work on it.
func (c *Client) Phone(ctx context.Context, id string) (api.Phone, error) {
	var out api.Phone
	return out, c.get(ctx, api.Prefix+"/phones/"+url.PathEscape(id), nil, &out)
}

// BatchReset resets phones through the native API: ResetPhones in its words, with its error codes. key is as Reset.IdempotencyKey.
func (c *Client) BatchReset(ctx context.Context, in api.ResetPhones, key string) (api.Accepted, error) {
	var out api.Accepted
	return out, c.callOnce(ctx, key, api.Prefix+"/phones/batch-reset", in, &out)
}

// Exec runs one program inside a phone and waits for it until ctx ends.
func (c *Client) Exec(ctx context.Context, id string, in api.Exec) (api.ExecResult, error) {
	var out api.ExecResult
	return out, c.send(ctx, http.MethodPost, api.Prefix+"/phones/"+url.PathEscape(id)+"/exec", nil, in, &out)
}

// CheckTicket tells for which phone a ticket is good.
func (c *Client) CheckTicket(ctx context.Context, in api.CheckTicket) (api.Ticket, error) {
	var out api.Ticket
	return out, c.call(ctx, http.MethodPost, api.Prefix+"/tickets/check", nil, in, &out)
}

// BatchRestart restarts phones through the native API: RestartPhones in its words, with its error codes. key is as Reset.IdempotencyKey.
func (c *Client) BatchRestart(ctx context.Context, in api.RestartPhones, key string) (api.Accepted, error) {
	var out api.Accepted
	return out, c.callOnce(ctx, key, api.Prefix+"/phones/batch-restart", in, &out)
}

// Job gives one job with its phases, and its receipt or its failure.
func (c *Client) Job(ctx context.Context, id string) (api.Job, error) {
	var out api.Job
	return out, c.get(ctx, api.Prefix+"/jobs/"+url.PathEscape(id), nil, &out)
}

// Request tells how far an accepted request is.
func (c *Client) Request(ctx context.Context, id string) (api.Progress, error) {
	return c.requestWithin(ctx, id, 0)
}

// requestWithin is Request, answered when the request has finished or the wait is over.
func (c *Client) requestWithin(ctx context.Context, id string, wait time.Duration) (api.Progress, error) {
	var within url.Values
	if wait > 0 {
		within = query("wait", wait.String())
	}
	var out api.Progress
	return out, c.get(ctx, api.Prefix+"/requests/"+url.PathEscape(id), within, &out)
}

// CancelJob cancels a job on whose phone nothing has been done yet.
func (c *Client) CancelJob(ctx context.Context, id string) (api.Cancelled, error) {
	var out api.Cancelled
	return out, c.call(ctx, http.MethodPost, api.Prefix+"/jobs/"+url.PathEscape(id)+"/cancel", nil, nil, &out)
}

// CancelRequest cancels those jobs of a request on whose phones nothing has been done yet.
func (c *Client) CancelRequest(ctx context.Context, id string) (api.Cancelled, error) {
	var out api.Cancelled
	return out, c.call(ctx, http.MethodPost, api.Prefix+"/requests/"+url.PathEscape(id)+"/cancel", nil, nil, &out)
}

// RetryRequest resets the phones whose latest job is a failed or cancelled one of the request, in a new request. key is as
// Reset.IdempotencyKey.
func (c *Client) RetryRequest(ctx context.Context, id, key string) (api.Accepted, error) {
	var out api.Accepted
	return out, c.callOnce(ctx, key, api.Prefix+"/requests/"+url.PathEscape(id)+"/retry", nil, &out)
}

// Replicas gives the serving processes of the installation, the latest start first.
func (c *Client) Replicas(ctx context.Context) ([]api.Replica, error) {
	var out api.Replicas
	return out.Replicas, c.get(ctx, api.Prefix+"/replicas", nil, &out)
}

// query makes the query of the pairs whose value is not "".
func query(pairs ...string) url.Values {
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			values.Set(pairs[i], pairs[i+1])
		}
	}
	return values
}

func withPage(values url.Values, offset, limit int) url.Values {
	values.Set("offset", strconv.Itoa(offset))
	values.Set("limit", strconv.Itoa(limit))
	return values
}

// DeletePhones destroys at most MaxBatch phones for good. key makes the call repeatable, as Reset.IdempotencyKey does; "" does not.
func (c *Client) DeletePhones(ctx context.Context, phones []string, key string) (Accepted, error) {
	var answer api.Accepted
	err := c.callOnce(ctx, key, api.Prefix+"/phones/batch-delete", api.DeletePhones{PhoneIDs: phones}, &answer)
	return acceptedNative(answer), err
}

// RestartServer restarts all phones of a server that may be restarted. WaitRequest follows it.
func (c *Client) RestartServer(ctx context.Context, id string) (api.AcceptedServer, error) {
	var out api.AcceptedServer
	return out, c.call(ctx, http.MethodPost, api.Prefix+"/servers/"+url.PathEscape(id)+"/restart", nil, nil, &out)
}

// PushSharedFiles unpacks a tar archive of a bucket in a server's shared storage, and PushSharedApp in the folder of an app there. WaitRequest
// follows them, and what else is done with the shared storage.
func (c *Client) PushSharedFiles(ctx context.Context, id string, in api.PushShared) (api.AcceptedServer, error) {
	var out api.AcceptedServer
	return out, c.call(ctx, http.MethodPost, api.Prefix+"/servers/"+url.PathEscape(id)+"/shared-files", nil, in, &out)
}

// PushSharedApp is PushSharedFiles for an app, whose package's name is given.
func (c *Client) PushSharedApp(ctx context.Context, id, app string, in api.PushShared) (api.AcceptedServer, error) {
	var out api.AcceptedServer
	return out, c.call(ctx, http.MethodPut, api.Prefix+"/servers/"+url.PathEscape(id)+"/shared-apps/"+url.PathEscape(app), nil, in, &out)
}

// DeleteSharedFiles deletes files and folders of a server's shared storage.
func (c *Client) DeleteSharedFiles(ctx context.Context, id string, paths []string) (api.AcceptedServer, error) {
	var out api.AcceptedServer
	return out, c.call(ctx, http.MethodPost, api.Prefix+"/servers/"+url.PathEscape(id)+"/shared-files/delete", nil, api.DeleteSharedFiles{FilePaths: paths}, &out)
}

// DeleteSharedApp deletes the folder of an app.
func (c *Client) DeleteSharedApp(ctx context.Context, id, app string) (api.AcceptedServer, error) {
	var out api.AcceptedServer
	return out, c.call(ctx, http.MethodDelete, api.Prefix+"/servers/"+url.PathEscape(id)+"/shared-apps/"+url.PathEscape(app), nil, nil, &out)
}

// ListSharedFiles lists a folder of a server's shared storage, at most 50 files after offset: the request has the list when it has finished.
func (c *Client) ListSharedFiles(ctx context.Context, id, folder string, offset int) (api.AcceptedServer, error) {
	var out api.AcceptedServer
	query := url.Values{"path": {folder}, "offset": {strconv.Itoa(offset)}}
	return out, c.call(ctx, http.MethodGet, api.Prefix+"/servers/"+url.PathEscape(id)+"/shared-files", query, nil, &out)
}

// DeleteServer destroys all phones of a server for good, and then removes the server. WaitRequest follows it.
func (c *Client) DeleteServer(ctx context.Context, id string) (api.AcceptedServer, error) {
	var out api.AcceptedServer
	return out, c.call(ctx, http.MethodDelete, api.Prefix+"/servers/"+url.PathEscape(id), nil, nil, &out)
}

// AbandonServer forgets a server whose host does not answer, with its phones. Nothing on the host is destroyed.
func (c *Client) AbandonServer(ctx context.Context, id string) (api.AbandonedServer, error) {
	var out api.AbandonedServer
	return out, c.send(ctx, http.MethodPost, api.Prefix+"/servers/"+url.PathEscape(id)+"/abandon", nil, nil, &out)
}

// ChangeServer makes all phones of a server anew with another image; no data is kept. WaitRequest follows it.
func (c *Client) ChangeServer(ctx context.Context, id string, in api.ChangeServer) (api.AcceptedServer, error) {
	var out api.AcceptedServer
	return out, c.call(ctx, http.MethodPost, below("servers", id, "change"), nil, in, &out)
}

// PoolHosts gives the hosts of the installation's pool that the account may take, and says which of them are free.
func (c *Client) PoolHosts(ctx context.Context) ([]api.PoolHost, error) {
	var out api.PoolHosts
	return out.Hosts, c.get(ctx, below("pool"), nil, &out)
}

// CreateServers takes hosts of the pool as servers, all of them or none. WaitRequest follows the jobs that create their phones.
func (c *Client) CreateServers(ctx context.Context, in api.CreateServers) (api.CreatedServers, error) {
	var out api.CreatedServers
	return out, c.call(ctx, http.MethodPost, below("pool", "servers"), nil, in, &out)
}
