package fleet

import (
	"context"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/audit"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// RetryRequest asks for what failed in a request to be done once more.
type RetryRequest struct {
	Request phone.RequestID // "": a new one
	Project phone.ProjectID
	Of      phone.RequestID
	Key     *string // as in ResetPhones
}

// RetryRequest does once more, in a request of its own with the same pace, what the request asked for, to the phones whose latest job is
// a failed or cancelled one of it: a reset to that job's image and exactly its properties, a stop, a restart or a deletion as it was. Phones that
// anything else was asked of since, or that are at work, are not touched. A phone that was never made is made by a reset. It needs the
// action that the request was accepted under (cph:phones:reset for a creation). The answer is as that of ResetPhones, with an element for each such phone; Precondition with
// ReasonNothingToRetry when there is none.
func (s *Service) RetryRequest(ctx context.Context, caller account.Caller, in RetryRequest) (phone.RequestID, []phone.Outcome, error) {
	if err := AuthoriseOne(caller, in.Project, ActionPhonesReset, ActionPhonesRestart, ActionPhonesStop, ActionPhonesDelete); err != nil {
		return "", nil, err
	}
	if !phone.ValidID(in.Of) {
		return "", nil, errNoRequest
	}
	if err := checkKey(in.Key); err != nil {
		return "", nil, err
	}
	failed, err := s.store.Request(ctx, in.Project, in.Of)
	if err != nil {
		return "", nil, err
	}
	if !failed.Kind.Retryable() {
		return "", nil, phone.Errorf(phone.Precondition, phone.ReasonNothingToRetry, "a request of the kind %s is not retried: what it was to do may be wrong by now; call again", failed.Kind)
	}
	kind := failed.Kind.Retried()
	if err := Authorise(caller, in.Project, actionOf(kind)); err != nil {
		return "", nil, err
	}
	audit.From(ctx).As(traceOf(kind))
	retry := RetryJobs{Request: s.newRequest(in.Request, in.Project, kind, caller.User.ID), Of: in.Of, Check: s.check}
	if in.Key != nil {
		key := s.key(*in.Key, []any{"retry", in.Project, caller.User.ID, in.Of})
		retry.Key = &key
	}
	return s.store.Retry(ctx, retry)
}

// traceOf is what the audit trail calls the acceptance of jobs of a kind.
func traceOf(kind phone.Kind) audit.Trace {
	switch kind {
	case phone.KindStop:
		return audit.StopCloudPhone
	case phone.KindRestart:
		return audit.RestartCloudPhone
	case phone.KindShell:
		return audit.RunShellCommand
	case phone.KindUninstall:
		return audit.UninstallApk
	case phone.KindDelete:
		return audit.DeleteCloudPhone
	case phone.KindPush:
		return audit.PushFile
	case phone.KindInstall:
		return audit.InstallApk
	case phone.KindExport:
		return audit.ExportData
	case phone.KindImport:
		return audit.ImportData
	case phone.KindSharePush:
		return audit.PushShareFiles
	case phone.KindShareDelete:
		return audit.DeleteShareFiles
	case phone.KindAppPush:
		return audit.PushShareApps
	case phone.KindAppDelete:
		return audit.DeleteShareApps
	}
	return audit.ResetCloudPhone
}
