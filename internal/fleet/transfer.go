package fleet

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/audit"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// PhoneData is what a call says of the data of one phone.
type PhoneData struct {
	Phone  string // id, as the caller wrote it
	Bucket string
	Key    string
	// Include and Exclude are of an export: phone.ValidDataPath.
	Include []string
	Exclude []string
}

// TransferData asks for the data of phones to be exported into objects, or imported from them.
type TransferData struct {
	Request phone.RequestID // "": a new one
	Project phone.ProjectID
	Kind    phone.Kind // KindExport or KindImport
	Phones  []PhoneData
	Key     *string // as in ResetPhones
}

// TransferData accepts exports or imports, one job for each phone: on return the jobs are durable. The phones must run, and keep their status. A phone
// that does not run, does not exist or is another project's is an outcome with its error; so is one whose bucket or object is not there, and one
// that would be exported to the object of an accepted one (Conflict with ReasonObjectInvalid). Names and paths that break their rules refuse the call
// (Invalid with ReasonObjectInvalid, ReasonIncludeInvalid or ReasonExcludeInvalid).
func (s *Service) TransferData(ctx context.Context, caller account.Caller, in TransferData) (phone.RequestID, []phone.Outcome, error) {
	if err := Authorise(caller, in.Project, actionOf(in.Kind)); err != nil {
		return "", nil, err
	}
	if err := checkKey(in.Key); err != nil {
		return "", nil, err
	}
	if err := s.checkBatch(len(in.Phones)); err != nil {
		return "", nil, err
	}
	accept := AcceptTask{}
	accept.Request = s.newRequest(in.Request, in.Project, in.Kind, caller.User.ID)
	for i, p := range in.Phones {
		task, err := p.task(in.Kind)
		if err != nil {
			wrong := *err
			wrong.Msg = fmt.Sprintf("element %d: %s", i, err.Msg)
			return "", nil, &wrong
		}
		accept.Tasks = append(accept.Tasks, task)
		accept.Items = append(accept.Items, phone.ResetItem{PhoneID: p.Phone})
	}
	audit.From(ctx).As(traceOf(in.Kind))
	if len(in.Phones) == 1 {
		audit.From(ctx).About(in.Phones[0].Bucket + "/" + in.Phones[0].Key)
	}
	if in.Key != nil {
		k := s.key(*in.Key, []any{in.Kind, in.Project, caller.User.ID, in.Phones})
		accept.Key = &k
	}
	if err := s.lookAtObjects(ctx, in, accept); err != nil {
		return "", nil, err
	}
	return s.store.AcceptTask(ctx, accept)
}

// task checks what is said of one phone.
func (p PhoneData) task(kind phone.Kind) (phone.Task, *phone.Error) {
	object, err := phone.NewObject(p.Bucket, p.Key)
	if err != nil {
		if err.Field == "key" {
			err.Field = "object_path"
		}
		return phone.Task{}, err
	}
	task := phone.Task{Objects: []phone.Object{object}}
	if kind == phone.KindImport {
		return task, nil
	}
	if err := object.CheckExport(); err != nil {
		return task, err
	}
	if len(p.Include) == 0 {
		return task, &phone.Error{Code: phone.Invalid, Reason: phone.ReasonIncludeInvalid, Field: "include_files", Msg: "include_files is empty: write /data for all that a phone has"}
	}
	for _, list := range []struct {
		field  string
		reason phone.Reason
		paths  []string
	}{{"include_files", phone.ReasonIncludeInvalid, p.Include}, {"exclude_files", phone.ReasonExcludeInvalid, p.Exclude}} {
		wrong := func(msg string) (phone.Task, *phone.Error) {
			return task, &phone.Error{Code: phone.Invalid, Reason: list.reason, Field: list.field, Msg: list.field + " " + msg}
		}
		if len(list.paths) > phone.MaxDataPaths {
			return wrong(fmt.Sprintf("has more than %d paths", phone.MaxDataPaths))
		}
		for n, path := range list.paths {
			if !phone.ValidDataPath(path) {
				return wrong(fmt.Sprintf("[%d] is no path of /data or /cache: write letters, digits and . / - _ + # ~ =, at most 4096 bytes, and a * at its end only", n))
			}
		}
	}
	task.Include, task.Exclude = p.Include, p.Exclude
	return task, nil
}

// lookedAtOnce is how many objects are looked at side by side.
const lookedAtOnce = 8

// lookAtObjects refuses the items whose objects an import cannot read, or whose buckets an export cannot write to.
func (s *Service) lookAtObjects(ctx context.Context, in TransferData, accept AcceptTask) error {
	ctx, cancel := context.WithTimeout(ctx, objectPatience)
	defer cancel()
	look := func(ctx context.Context, o phone.Object) error {
		size, err := s.objects.Size(ctx, in.Project, o)
		if err == nil && size > phone.MaxObject {
			err = phone.Errorf(phone.Invalid, phone.ReasonObjectTooLarge, "the object %s has %d bytes, at most %d are taken", o, size, int64(phone.MaxObject))
		}
		return err
	}
	if in.Kind == phone.KindExport {
		look = func(ctx context.Context, o phone.Object) error {
			bucket, err := s.objects.Bucket(ctx, in.Project, o.Bucket)
			if err == nil && bucket.ReadOnly {
				err = phone.Errorf(phone.Forbidden, phone.ReasonBucketReadOnly, "the bucket %s is only read from", o.Bucket)
			}
			return err
		}
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(lookedAtOnce)
	var mu sync.Mutex
	found := map[phone.Object]*phone.Error{}
	once := map[phone.Object]bool{}
	for _, task := range accept.Tasks {
		o := task.Objects[0]
		if once[o] {
			continue
		}
		once[o] = true
		group.Go(func() error {
			err := look(groupCtx, o)
			switch phone.CodeOf(err) {
			case "":
			case phone.Unavailable, phone.Internal:
				return err
			default:
				mu.Lock()
				found[o] = errorOf(err)
				mu.Unlock()
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i, task := range accept.Tasks {
		accept.Items[i].Err = found[task.Objects[0]]
	}
	return nil
}
