package work

import (
	"context"
	"math/rand/v2"
	"time"
)

// pruneAudit removes events of the audit trail that are older than their retention, again and again until ctx ends, in steps and
// with pauses like those of old jobs.
func (e *Engine) pruneAudit(ctx context.Context) error {
	if e.AuditRetention <= 0 {
		return nil
	}
	wait := time.Duration(rand.Int64N(int64(min(e.PruneEvery, time.Minute))))
	for pause(ctx, wait) {
		removed, err := e.pruneAuditOnce(ctx)
		if err != nil && ctx.Err() == nil {
			e.Logger.Warn("old events of the audit trail could not be removed: trying again later", "err", err)
		}
		if removed > 0 {
			e.Logger.Info("old events of the audit trail removed", "events", removed)
		}
		wait = e.PruneEvery
	}
	return ctx.Err()
}

func (e *Engine) pruneAuditOnce(ctx context.Context) (int, error) {
	before, removed := e.Now().Add(-e.AuditRetention), 0
	for {
		began := time.Now()
		n, err := e.Store.PruneAudit(ctx, before, pruneStep)
		removed += n
		if err != nil || n < pruneStep || !pause(ctx, max(pruneWait, pruneRest*time.Since(began))) {
			return removed, err
		}
	}
}
