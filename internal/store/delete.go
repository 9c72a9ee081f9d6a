package store

import (
	"context"
	"fmt"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// deletePhones removes the phones of deletions that have ended, with their tickets. Name, port and id are free from then on. What still
// works inside such a phone has nothing to work in: it fails. Jobs stay, as the record of what became of the phone.
func (t *tx) deletePhones(ctx context.Context, jobs []phone.JobID) error {
	if len(jobs) == 0 {
		return nil
	}
	gone := phone.Failure{
		Reason: phone.ReasonInstanceGone, Msg: "The phone was deleted.", Detail: "There is nothing left in which it could be done.",
	}
	_, err := t.exec(ctx, `UPDATE jobs SET phase = 'failed', owner = NULL, incarnation = NULL, delivered_at = NULL, ended_at = ?, failure = ?
		WHERE phone_id IN (SELECT d.phone_id FROM jobs d WHERE `+t.in("d.id")+`) AND stage = 'working'`, t.at, asJSON(gone), list(t.dialect, jobs))
	if err != nil {
		return fmt.Errorf("end what works in deleted phones: %w", err)
	}
	n, err := t.exec(ctx, `DELETE FROM phones WHERE id IN (SELECT phone_id FROM jobs WHERE `+t.in("id")+`)`, list(t.dialect, jobs))
	if err != nil {
		return fmt.Errorf("delete phones: %w", err)
	}
	return expect(n, len(jobs), "phones")
}
