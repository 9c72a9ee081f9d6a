package fleet

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/audit"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// RunTask is something to be done in several phones, as a job in each.
type RunTask struct {
	Request phone.RequestID // "": a new one
	Project phone.ProjectID
	Kind    phone.Kind // a task
	Task    phone.Task
	Phones  []string // ids, as the caller wrote them
	Servers []string // where Phones is empty: all phones of these
	Key     *string  // as in ResetPhones
}

// RunTask accepts a task: on return its jobs are durable. The phones keep their status. The outcomes are in the order that was asked for, a
// server's phones created last first; servers that are refused come last. A phone that does not run, does not exist or is another
// project's is an outcome with its error.
func (s *Service) RunTask(ctx context.Context, caller account.Caller, in RunTask) (phone.RequestID, []phone.Outcome, error) {
	if err := Authorise(caller, in.Project, actionOf(in.Kind)); err != nil {
		return "", nil, err
	}
	if err := checkTask(in.Kind, in.Task); err != nil {
		return "", nil, err
	}
	if err := checkKey(in.Key); err != nil {
		return "", nil, err
	}
	if err := s.checkObjects(ctx, in); err != nil {
		return "", nil, err
	}
	audit.From(ctx).As(traceOf(in.Kind))
	accept := AcceptTask{}
	accept.Request = s.newRequest(in.Request, in.Project, in.Kind, caller.User.ID)
	accept.Request.Task = &in.Task
	if in.Key != nil {
		k := s.key(*in.Key, []any{in.Kind, in.Project, caller.User.ID, in.Task, in.Phones, in.Servers})
		accept.Key = &k
	}
	ids := in.Phones
	if len(ids) == 0 {
		results, err := s.phonesOfServers(ctx, RunOnPhones{Project: in.Project, Servers: in.Servers})
		if err != nil {
			return "", nil, err
		}
		for _, r := range results {
			if r.PhoneID != "" {
				ids = append(ids, r.PhoneID) // the store decides about its status
				continue
			}
			accept.Refused = append(accept.Refused, phone.Outcome{ServerID: r.ServerID, Err: errorOf(r.Err)})
		}
	}
	if len(ids) > 0 || len(in.Servers) == 0 { // servers may have no phone
		if err := s.checkBatch(len(ids)); err != nil {
			return "", nil, err
		}
	}
	for _, id := range ids {
		accept.Items = append(accept.Items, phone.ResetItem{PhoneID: id})
	}
	return s.store.AcceptTask(ctx, accept)
}

// errorOf gives the *phone.Error in err.
func errorOf(err error) *phone.Error {
	return &phone.Error{Code: phone.CodeOf(err), Reason: phone.ReasonOf(err), Msg: err.Error(), Err: err}
}

// objectPatience is how long an object store may take to say what a call's objects are.
const objectPatience = 20 * time.Second

// checkObjects refuses a task whose objects are not there, or too long.
func (s *Service) checkObjects(ctx context.Context, in RunTask) error {
	most := int64(phone.MaxAPK)
	if in.Kind == phone.KindPush {
		most = phone.MaxPush
	}
	ctx, cancel := context.WithTimeout(ctx, objectPatience)
	defer cancel()
	for _, o := range in.Task.Objects {
		size, err := s.objects.Size(ctx, in.Project, o)
		if err != nil {
			return err
		}
		if size > most {
			return &phone.Error{Code: phone.Invalid, Reason: phone.ReasonContentInvalid, Field: "content", Msg: fmt.Sprintf("the object %s has %d bytes, at most %d are taken", o, size, most)}
		}
	}
	return nil
}

// maxCommand bounds a command, in bytes.
const maxCommand = 1024

// packageName is Android's rule for the name of an app: at least two words of letters, digits and _, each of which begins with a letter.
var packageName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)+$`)

func checkTask(kind phone.Kind, task phone.Task) error {
	invalid := func(field, msg string) error {
		return &phone.Error{Code: phone.Invalid, Reason: phone.ReasonContentInvalid, Field: field, Msg: msg}
	}
	switch kind {
	case phone.KindShell:
		switch command := task.Command; {
		case strings.Trim(command, " ") == "":
			return invalid("content", "the command is empty: write a program's name and its arguments")
		case len(command) > maxCommand:
			return invalid("content", "the command has more than 1024 bytes")
		case command[0] == '-': // the shell would take it for one of its own options
			return invalid("content", "the command begins with -: write a program's name first")
		case strings.ContainsRune(command, 0):
			return invalid("content", "the command has a NUL in it")
		}
	case phone.KindUninstall:
		if len(task.Package) > maxCommand || !packageName.MatchString(task.Package) {
			return invalid("content", "the app's name is none: write one package name, such as com.example.app")
		}
	case phone.KindPush:
		if len(task.Objects) != 1 || !strings.HasSuffix(task.Objects[0].Key, ".tar") {
			return invalid("content", "what is pushed is one object whose name ends in .tar")
		}
	case phone.KindInstall:
		switch n := len(task.Objects); {
		case n == 0:
			return invalid("content", "there is no package to install: name one")
		case n > phone.MaxAPKs:
			return invalid("content", fmt.Sprintf("an app has at most %d packages", phone.MaxAPKs))
		}
		for _, o := range task.Objects {
			if !strings.HasSuffix(o.Key, ".apk") {
				return &phone.Error{Code: phone.Invalid, Reason: phone.ReasonNotAPK, Field: "content", Msg: "the name of the object " + o.String() + " does not end in .apk"}
			}
		}
	default:
		return phone.Errorf(phone.Invalid, phone.ReasonCommandInvalid, "%s is no task", kind)
	}
	return nil
}
