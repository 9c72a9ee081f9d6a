package model

import "github.com/lethe-cloud/lethe/internal/phone"

// checkPaces is what must be true of paced requests in every state, whatever the reference says.
func (w *world) checkPaces(before rows) {
	tallies, letGo := map[phone.RequestID]*tally{}, map[phone.RequestID]int{}
	for id, j := range w.rows.Jobs {
		if w.rows.Requests[j.Request].Pace == noPace {
			if j.Phase == phone.PhaseHeld {
				w.fail("pace: %s is held, and its request has none", w.nameOfJob(id))
			}
			continue
		}
		t := tallies[j.Request]
		if t == nil {
			t = &tally{}
			tallies[j.Request] = t
		}
		t.add(j.Phase)
		if was, there := before.Jobs[id]; j.Phase != phone.PhaseHeld && j.Phase != phone.PhaseCancelled && (!there || was.Phase == phone.PhaseHeld) {
			letGo[j.Request]++
		}
	}
	for _, id := range sorted(tallies) {
		r, t := w.rows.Requests[id], *tallies[id]
		if r.Pace.AtOnce >= 0 && t.open > r.Pace.AtOnce {
			w.fail("pace: %d jobs of the request of %s are unfinished, and at once may be %d", t.open, w.nameOfRequest(id), r.Pace.AtOnce)
		}
		if letGo[id] > 0 && t.ended < r.Pace.First && t.ended+t.open > r.Pace.First {
			w.fail("pace: %d jobs of the request of %s were let go before the first %d had ended", t.ended+t.open, w.nameOfRequest(id), r.Pace.First)
		}
		if of, stops := t.tooMany(r.Pace); stops && letGo[id] > 0 {
			w.fail("pace: jobs of the request of %s were let go when %d of %d had failed", w.nameOfRequest(id), t.failed, of)
		}
		if r.Stopped != before.Requests[id].Stopped && (t.held > 0 || t.untouched > 0) {
			w.fail("pace: the request of %s was stopped, and %d jobs that have touched no phone are left", w.nameOfRequest(id), t.held+t.untouched)
		}
	}
}
