package fleet

import (
	"context"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// actionOf is the action that a job of the kind was accepted under, and that may end it.
func actionOf(kind phone.Kind) Action {
	switch kind {
	case phone.KindCreate:
		return ActionServersCreate
	case phone.KindStop:
		return ActionPhonesStop
	case phone.KindRestart:
		return ActionPhonesRestart
	case phone.KindUpdate:
		return ActionPhonesUpdateProperty
	case phone.KindShell, phone.KindUninstall, phone.KindPush, phone.KindInstall:
		return ActionPhonesCommand
	case phone.KindExport:
		return ActionPhonesExport
	case phone.KindImport:
		return ActionPhonesImport
	case phone.KindDelete:
		return ActionPhonesDelete
	case phone.KindSharePush:
		return ActionShareFilesPush
	case phone.KindShareDelete:
		return ActionShareFilesDelete
	case phone.KindShareList:
		return ActionShareFilesList
	case phone.KindAppPush:
		return ActionShareAppsPush
	case phone.KindAppDelete:
		return ActionShareAppsDelete
	}
	return ActionPhonesReset
}

// authoriseControl refuses a caller who may not control jobs of any kind, before anything is looked up for it.
func authoriseControl(caller account.Caller, project phone.ProjectID) error {
	return AuthoriseOne(caller, project, ActionPhonesReset, ActionPhonesRestart, ActionPhonesStop, ActionPhonesUpdateProperty, ActionPhonesDelete, ActionPhonesCommand,
		ActionPhonesExport, ActionPhonesImport, ActionServersCreate)
}

// CancelRequest cancels the jobs of a request on whose phones nothing has been done yet; the others go on. It needs the action
// that the request was accepted under. Cancelling twice is the same as once. NotFound with ReasonRequestNotFound when the
// project has no such request.
func (s *Service) CancelRequest(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.RequestID) (phone.Cancellation, error) {
	if err := authoriseControl(caller, project); err != nil {
		return phone.Cancellation{}, err
	}
	if !phone.ValidID(id) {
		return phone.Cancellation{}, errNoRequest
	}
	request, err := s.store.Request(ctx, project, id)
	if err != nil {
		return phone.Cancellation{}, err
	}
	return s.cancel(ctx, caller, request.Kind, CancelJobs{Project: project, Request: id})
}

// CancelJob is CancelRequest for one job; NotFound with ReasonJobNotFound.
func (s *Service) CancelJob(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.JobID) (phone.Cancellation, error) {
	if err := authoriseControl(caller, project); err != nil {
		return phone.Cancellation{}, err
	}
	if !phone.ValidID(id) {
		return phone.Cancellation{}, errNoJob
	}
	job, err := s.store.Job(ctx, project, id)
	if err != nil {
		return phone.Cancellation{}, err
	}
	return s.cancel(ctx, caller, job.Kind, CancelJobs{Project: project, Job: id})
}

func (s *Service) cancel(ctx context.Context, caller account.Caller, kind phone.Kind, in CancelJobs) (phone.Cancellation, error) {
	if err := Authorise(caller, in.Project, actionOf(kind)); err != nil {
		return phone.Cancellation{}, err
	}
	in.Failure = phone.Failure{
		Reason: phone.ReasonCancelled, Msg: "The job was cancelled before anything was done to the phone.",
		Detail: "User " + caller.User.Name + " cancelled it. The phone is what it was before, with all its data; call again when it is to be done after all.",
	}
	if kind == phone.KindCreate {
		in.Failure.Detail = "User " + caller.User.Name + " cancelled it. The phone was not made; a reset makes it."
	}
	return s.store.Cancel(ctx, in)
}
