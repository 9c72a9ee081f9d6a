package fleet

import (
	"context"
	"fmt"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/audit"
	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// ShareCall is something to be done with the shared storages of servers, as a job of each.
type ShareCall struct {
	Request phone.RequestID // "": a new one
	Project phone.ProjectID
	Kind    phone.Kind // one of phone.ShareKinds
	Task    phone.Task
	Servers []string // ids, as the caller wrote them
}

// RunShareTask accepts what is to be done with shared storages: on return its jobs are durable. Neither the servers nor their phones change their
// status. The jobs of one server are done one after the other, in the order of their acceptance. The outcomes are in the order of the servers;
// an error refuses the whole call.
func (s *Service) RunShareTask(ctx context.Context, caller account.Caller, in ShareCall) (phone.RequestID, []phone.ServerOutcome, error) {
	if err := Authorise(caller, in.Project, actionOf(in.Kind)); err != nil {
		return "", nil, err
	}
	if err := checkServerList("server_ids", len(in.Servers), phone.MaxShareServers); err != nil {
		return "", nil, err
	}
	if err := checkShareTask(in.Kind, in.Task); err != nil {
		return "", nil, err
	}
	if err := s.checkShareObjects(ctx, in); err != nil {
		return "", nil, err
	}
	if in.Kind != phone.KindShareList { // it only reads
		audit.From(ctx).As(traceOf(in.Kind))
	}
	lacks, err := s.withoutShare(ctx, in.Project, in.Servers)
	if err != nil {
		return "", nil, err
	}
	accept := AcceptShare{Request: s.newRequest(in.Request, in.Project, in.Kind, caller.User.ID), Servers: in.Servers, Lacks: lacks}
	accept.Request.Task = &in.Task
	outcomes, err := s.store.AcceptShare(ctx, accept)
	return accept.Request.ID, outcomes, err
}

func checkShareTask(kind phone.Kind, task phone.Task) error {
	share := phone.ShareTask{}
	if task.Share != nil {
		share = *task.Share
	}
	var refused *phone.Error
	switch kind {
	case phone.KindSharePush:
		refused = checkShareTar(task)
	case phone.KindAppPush:
		if refused = phone.CheckPackageName(task.Package); refused == nil {
			refused = checkShareTar(task)
		}
	case phone.KindAppDelete:
		refused = phone.CheckPackageName(task.Package)
	case phone.KindShareDelete:
		refused = phone.CheckSharePaths(share.Paths)
	case phone.KindShareList:
		refused = phone.CheckListPath(share.Path)
		if refused == nil && (share.Offset < 0 || share.Limit < 1 || share.Limit > phone.MaxShareFiles) {
			refused = &phone.Error{Code: phone.Invalid, Reason: phone.ReasonPageInvalid, Field: "limit", Msg: fmt.Sprintf("limit must be 1 to %d, and offset 0 or more", phone.MaxShareFiles)}
		}
	default:
		refused = phone.Errorf(phone.Invalid, "", "%s is nothing that is done with a shared storage", kind)
	}
	if refused != nil {
		return refused
	}
	return nil
}

// checkShareTar refuses a task without exactly one object that can be pushed.
func checkShareTar(task phone.Task) *phone.Error {
	if len(task.Objects) != 1 {
		return &phone.Error{Code: phone.Invalid, Reason: phone.ReasonObjectPathInvalid, Field: "object_path", Msg: "object_path is missing: name one tar archive"}
	}
	_, err := phone.ShareObject(task.Objects[0].Bucket, task.Objects[0].Key)
	return err
}

// checkShareObjects refuses an archive that is not there, or too long.
func (s *Service) checkShareObjects(ctx context.Context, in ShareCall) error {
	ctx, cancel := context.WithTimeout(ctx, objectPatience)
	defer cancel()
	for _, o := range in.Task.Objects {
		if s.objects == nil {
			return phone.Errorf(phone.NotFound, phone.ReasonObjectNotFound, "the installation has no bucket: its operator registers them in the configuration file")
		}
		size, err := s.objects.Size(ctx, in.Project, o)
		if err != nil {
			return err
		}
		if size > phone.MaxPush {
			return &phone.Error{Code: phone.Invalid, Reason: phone.ReasonObjectPathInvalid, Field: "object_path", Msg: fmt.Sprintf("the object %s has %d bytes, at most %d are taken", o, size, int64(phone.MaxPush))}
		}
	}
	return nil
}

// withoutShare says why servers of the project have no shared storage. It asks no host: their settings say it, which never change.
func (s *Service) withoutShare(ctx context.Context, project phone.ProjectID, servers []string) (map[phone.ServerID]*phone.Error, error) {
	lacks, seen := map[phone.ServerID]*phone.Error{}, map[phone.ServerID]bool{}
	for _, text := range servers {
		id := phone.ServerID(text)
		if !phone.ValidID(id) || seen[id] {
			continue // refused by the decision
		}
		seen[id] = true
		server, err := s.store.Server(ctx, project, id)
		if phone.CodeOf(err) == phone.NotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		path, err := s.sharePath(ctx, server)
		if err != nil {
			lacks[id] = errorOf(err)
		} else if path == "" {
			lacks[id] = driver.ErrNoShare()
		}
	}
	return lacks, nil
}

// sharePath is where a server's phones see its shared storage; "" when it has none.
func (s *Service) sharePath(ctx context.Context, server phone.Server) (string, error) {
	host, err := s.hosts.Driver(ctx, server)
	if err != nil {
		return "", err
	}
	if sharer, can := host.(driver.Sharer); can {
		return sharer.SharePath(), nil
	}
	return "", nil
}
