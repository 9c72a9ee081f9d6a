package fleet

import (
	"context"
	"fmt"
	"time"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// MaxWait is the longest that one call waits for a request.
const MaxWait = time.Minute

// The pauses between two looks at a request that is waited for: the first, and the longest. A waiter asks the store at most four
// times in its first second and twice in each further one.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = 500 * time.Millisecond
)

// WaitRequest asks for the progress of a request once it has finished or the time is over.
type WaitRequest struct {
	Project phone.ProjectID
	Request phone.RequestID
	Wait    time.Duration   // 0 to MaxWait
	Stop    <-chan struct{} // closed: answer at once, for the process is about to stop; nil: never
}

// WaitRequest is Progress, answered when no job of the request is unfinished or in.Wait is over, whichever comes first. It fails
// with ctx's error when that ends before.
func (s *Service) WaitRequest(ctx context.Context, caller account.Caller, in WaitRequest) (phone.Progress, error) {
	progress, err := s.Progress(ctx, caller, in.Project, in.Request)
	if err != nil {
		return progress, err
	}
	if in.Wait < 0 || in.Wait > MaxWait {
		return phone.Progress{}, &phone.Error{Code: phone.Invalid, Field: "wait", Msg: fmt.Sprintf("wait must be 0s to %s", MaxWait)}
	}
	if progress.Finished || in.Wait == 0 {
		return progress, nil
	}
	if err := s.waitUntilFinished(ctx, in); err != nil {
		return phone.Progress{}, err
	}
	return s.store.Progress(ctx, in.Project, in.Request)
}

func (s *Service) waitUntilFinished(ctx context.Context, in WaitRequest) error {
	over := time.NewTimer(in.Wait)
	defer over.Stop()
	pause := firstPause
	look := time.NewTimer(pause)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-over.C:
			return nil
		case <-in.Stop:
			return nil
		case <-look.C:
		}
		unfinished, err := s.store.Unfinished(ctx, in.Request)
		if err != nil || !unfinished {
			return err
		}
		pause = min(pause*3/2, longestPause)
		look.Reset(pause)
	}
}
