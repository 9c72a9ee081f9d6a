package model

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// What callers ask.

// newRequest notes a request that will be accepted.
func (s *spec) newRequest(id phone.RequestID, project phone.ProjectID, kind phone.Kind) *specRequest {
	s.requests[id] = &specRequest{Project: project, Kind: kind, Created: s.wall(), Pace: noPace}
	return s.requests[id]
}

// want is what an element of a batch leads to.
type want struct {
	outcome
	phone      *specPhone
	image      phone.ImageID
	properties string
	factory    bool
	rollback   bool
}

// reset says what a batch answers, before it is sent: for the whole, and for each element.
func (s *spec) reset(in fleet.ResetPhones) (outcome, []want) {
	if paceOf(in.Pace).AtOnce == 0 {
		return outcome{phone.Invalid, phone.ReasonPaceInvalid}, nil
	}
	image, named := s.images[phone.ImageID(in.Image)]
	if in.Image != "" && (!named || image.Project != in.Project) {
		return outcome{phone.NotFound, phone.ReasonImageNotFound}, nil
	}
	wants, seen := make([]want, len(in.Phones)), map[phone.ID]bool{}
	for i, asked := range in.Phones {
		p := s.phones[phone.ID(asked.ID)]
		w := &wants[i]
		given, bad := given(asked.Property)
		switch {
		case p == nil || p.Project != in.Project:
			w.outcome = outcome{phone.Invalid, phone.ReasonPhoneInvalid}
			continue
		case seen[p.ID]:
			w.outcome = outcome{phone.Conflict, phone.ReasonPhoneDuplicate}
			continue
		case bad != done:
			w.outcome = bad
		case s.taken(p):
			w.outcome = outcome{phone.Precondition, phone.ReasonPhoneBusy}
		}
		seen[p.ID] = true
		if w.outcome != done {
			continue
		}
		if named && image.Label != s.servers[p.Server].label {
			return outcome{phone.Invalid, phone.ReasonImageLabel}, nil
		}
		merged := propertiesOf(p.Properties)
		if asked.Factory {
			clear(merged)
		}
		maps.Copy(merged, given)
		w.phone, w.image, w.properties, w.factory, w.rollback = p, p.Image, canonical(merged), asked.Factory, in.Rollback
		if named {
			w.image = image.ID
		}
	}
	return done, wants
}

// given reads a property text; those that the model sends are objects of strings, with keys that are known or "bogus".
func given(text string) (map[string]string, outcome) {
	if text == "" {
		return nil, done
	}
	properties := map[string]string{}
	if err := json.Unmarshal([]byte(text), &properties); err != nil {
		return nil, outcome{phone.Invalid, phone.ReasonPropertyInvalid}
	}
	if _, unknown := properties["bogus"]; unknown {
		return nil, outcome{phone.Invalid, phone.ReasonPropertyUnsupported}
	}
	return properties, done
}

// retry says what retrying a request answers.
func (s *spec) retry(of phone.RequestID, project phone.ProjectID) (outcome, []want) {
	if r := s.requests[of]; r == nil || r.Project != project {
		return outcome{phone.NotFound, phone.ReasonRequestNotFound}, nil
	}
	var wants []want
	kind := s.requests[of].Kind
	for _, j := range s.inOrder(func(j *specJob) bool {
		return j.Request == of && s.phones[j.Phone] != nil && j.Kind != phone.KindStart && j.Kind != phone.KindUpdate && !task(j.Kind) && (j.Phase == phone.PhaseFailed || j.Phase == phone.PhaseCancelled)
	}) {
		later := s.inOrder(func(l *specJob) bool {
			return l.Phone == j.Phone && s.numbers[l.ID] > s.numbers[j.ID] && l.Kind != phone.KindStart && !task(l.Kind)
		})
		if len(later) > 0 {
			continue
		}
		w := want{phone: s.phones[j.Phone], image: j.Image, properties: j.Properties, factory: j.Factory, rollback: j.Rollback}
		if kind == phone.KindStop || kind == phone.KindDelete {
			w = s.onPower(kind, w.phone)
		} else if kind == phone.KindRestart {
			if may := s.onPower(kind, w.phone); may.outcome != done {
				w = may
			}
		} else if s.taken(w.phone) {
			w = want{outcome: outcome{phone.Precondition, phone.ReasonPhoneBusy}}
		}
		wants = append(wants, w)
	}
	if len(wants) == 0 {
		return outcome{phone.Precondition, phone.ReasonNothingToRetry}, nil
	}
	return done, wants
}

// power says what a batch of stops, deletions or tasks answers.
func (s *spec) power(kind phone.Kind, project phone.ProjectID, ids []string) []want {
	wants, seen := make([]want, len(ids)), map[string]bool{}
	for i, id := range ids {
		switch p := s.phones[phone.ID(id)]; {
		case p == nil || p.Project != project:
			wants[i].outcome = outcome{phone.Invalid, phone.ReasonPhoneInvalid}
			if task(kind) {
				wants[i].outcome = outcome{phone.NotFound, phone.ReasonPhoneNotFound}
			}
		case seen[id]:
			wants[i].outcome = outcome{phone.Conflict, phone.ReasonPhoneDuplicate}
		default:
			wants[i], seen[id] = s.onPower(kind, p), true
		}
	}
	return wants
}

// restart says what a batch of restarts answers: phones keep their data, so their Android stays what it is.
func (s *spec) restart(in fleet.RestartPhones) (outcome, []want) {
	image, named := s.images[phone.ImageID(in.Image)]
	if in.Image != "" && (!named || image.Project != in.Project) {
		return outcome{phone.NotFound, phone.ReasonImageNotFound}, nil
	}
	whole := done
	wants, seen := make([]want, len(in.Phones)), map[string]bool{}
	for i, asked := range in.Phones {
		p := s.phones[phone.ID(asked.ID)]
		given, bad := given(asked.Property)
		switch {
		case p == nil || p.Project != in.Project:
			wants[i].outcome = outcome{phone.Invalid, phone.ReasonPhoneInvalid}
			continue
		case seen[asked.ID]:
			wants[i].outcome = outcome{phone.Conflict, phone.ReasonPhoneDuplicate}
			continue
		case bad != done:
			wants[i].outcome = bad
		default:
			wants[i] = s.onPower(phone.KindRestart, p)
		}
		seen[asked.ID] = true
		if wants[i].outcome != done {
			continue
		}
		if named && image.OSName != s.images[p.Image].OSName {
			wants[i] = want{outcome: outcome{phone.Precondition, phone.ReasonImageSystem}}
			continue
		}
		if named && image.Label != s.servers[p.Server].label {
			whole = outcome{phone.Invalid, phone.ReasonImageLabel}
		}
		merged := propertiesOf(p.Properties)
		maps.Copy(merged, given)
		if wants[i].properties = canonical(merged); named {
			wants[i].image = image.ID
		}
	}
	return whole, wants
}

// update says what a batch of property updates answers: whatever has a life takes them.
func (s *spec) update(project phone.ProjectID, phones []fleet.ResetPhone) []want {
	wants, seen := make([]want, len(phones)), map[string]bool{}
	for i, asked := range phones {
		p := s.phones[phone.ID(asked.ID)]
		switch {
		case p == nil || p.Project != project:
			wants[i].outcome = outcome{phone.Invalid, phone.ReasonPhoneInvalid}
			continue
		case seen[asked.ID]:
			wants[i].outcome = outcome{phone.Conflict, phone.ReasonPhoneDuplicate}
			continue
		}
		seen[asked.ID] = true
		given, bad := given(asked.Property)
		merged := propertiesOf(p.Properties)
		switch {
		case bad != done:
			wants[i].outcome = bad
		case asked.Property == "":
			wants[i].outcome = outcome{phone.Invalid, phone.ReasonPropertyInvalid}
		case s.taken(p):
			wants[i].outcome = outcome{phone.Precondition, phone.ReasonPhoneBusy}
		case p.Generation == 0:
			wants[i].outcome = outcome{phone.Precondition, phone.ReasonPhoneNotRunning}
		default:
			maps.Copy(merged, given)
			wants[i] = want{phone: p, image: p.Image, properties: canonical(merged)}
		}
	}
	return wants
}

// onPower is it for one phone: what runs, or may, can be stopped; that and what is stopped can be restarted; whatever nothing is at work on can
// be deleted. Tasks are done in what runs, also beside an update.
func (s *spec) onPower(kind phone.Kind, p *specPhone) want {
	switch {
	case task(kind) && p.Status != phone.StatusRunning:
		return want{outcome: outcome{phone.Precondition, phone.ReasonPhoneNotRunning}}
	case task(kind):
		return want{phone: p, image: p.Image, properties: p.Properties}
	case busy(p.Status):
		return want{outcome: outcome{phone.Precondition, phone.ReasonPhoneBusy}}
	case kind == phone.KindDelete:
	case p.Status == phone.StatusRunning, p.Status == phone.StatusAbnormal, p.Status == phone.StatusStopFailed, p.Status == phone.StatusRestartFailed:
	case kind == phone.KindStop:
		return want{outcome: outcome{phone.Precondition, phone.ReasonPhoneNotRunning}}
	case p.Status != phone.StatusStopped:
		return want{outcome: outcome{phone.Precondition, phone.ReasonPhoneNotRestartable}}
	}
	if s.taken(p) { // by an update: what its status refuses is refused before that
		return want{outcome: outcome{phone.Precondition, phone.ReasonPhoneBusy}}
	}
	return want{phone: p, image: p.Image, properties: p.Properties}
}

// begin does what was accepted, with the ids of the jobs, and gives what differs between wants and the answer.
func (s *spec) begin(id phone.RequestID, project phone.ProjectID, kind phone.Kind, pace specPace, wants []want, got []phone.Outcome) error {
	if len(got) != len(wants) {
		return fmt.Errorf("%d outcomes for %d elements", len(got), len(wants))
	}
	request := s.newRequest(id, project, kind)
	request.Pace = pace
	servers, turns := map[phone.ServerID]bool{}, map[phone.ServerID]bool{}
	for i, w := range wants {
		if answered := answerOf(got[i]); answered != w.outcome {
			return fmt.Errorf("element %d: it answers %v, and should %v", i, answered, w.outcome)
		}
		if w.outcome != done {
			request.Refused++
			continue
		}
		j := s.accepted(got[i].Job, id, w.phone, kind, w.image, w.properties, w.factory)
		if j.Rollback = w.rollback; pace != noPace {
			j.Phase = phone.PhaseHeld
		}
		if task(kind) {
			turns[j.Server] = true
			continue
		}
		if kind != phone.KindUpdate {
			s.endTasks(j.Phone, turns)
		}
		if at := map[phone.Kind]phone.Phase{phone.KindStop: phone.PhaseStopping, phone.KindUpdate: phone.PhaseVerifying, phone.KindDelete: phone.PhaseDeleting}[kind]; at != "" {
			s.deliver(j, at) // it needs no slot
			continue
		}
		servers[w.phone.Server] = true
	}
	s.startTasks(turns)
	if pace != noPace {
		s.letGo(id)
		request.Pacing = len(servers) > 0 && !s.tallyOf(id).over(pace)
	}
	for _, server := range sorted(servers) {
		s.admit(server)
	}
	return nil
}

func answerOf(o phone.Outcome) outcome {
	if o.Err == nil {
		return done
	}
	return outcome{o.Err.Code, o.Err.Reason}
}

// cancel does it, and gives what it answers, and the paced requests that have more room now.
func (s *spec) cancel(is func(*specJob) bool) (c phone.Cancellation, paced map[phone.RequestID]bool) {
	var cancelled []*specJob
	paced = map[phone.RequestID]bool{}
	for _, j := range s.inOrder(is) {
		switch {
		case final(j.Phase):
			c.Ended++
		case mayCancel(j):
			c.Cancelled++
			cancelled = append(cancelled, j)
			if s.requests[j.Request].Pace != noPace {
				paced[j.Request] = true
			}
		default:
			c.Finishing++
		}
	}
	s.giveBack(cancelled, phone.ReasonCancelled)
	return c, paced
}

// died marks phones that were found dead, and begins the jobs that start them again.
func (s *spec) died(server phone.ServerID, deaths []phone.Death, got []phone.Died) error {
	of := map[phone.ID]phone.Died{}
	for _, d := range got {
		of[d.Phone] = d
	}
	var request phone.RequestID
	turns := map[phone.ServerID]bool{}
	for _, d := range deaths {
		p := s.phones[d.Phone]
		died, marked := of[d.Phone]
		now := p != nil && p.Server == server && p.Status == phone.StatusRunning && p.Generation == d.Generation && p.Updated == d.UpdatedAt.UnixMicro() && s.unfinished(p.ID) == nil
		if marked != now {
			return fmt.Errorf("phone %s is marked: %v, and should be: %v", d.Phone, marked, now)
		}
		if !now {
			continue
		}
		starts := s.inOrder(func(j *specJob) bool {
			return j.Phone == p.ID && j.Kind == phone.KindStart && j.Created > s.wall()-time.Hour.Microseconds()
		})
		p.Status, p.HasCause, p.Updated = phone.StatusAbnormal, true, s.wall()
		s.endTasks(p.ID, turns)
		if started := died.Job != ""; started != (d.Start && len(starts) < 3) {
			return fmt.Errorf("phone %s is started again: %v, after %d starts", p.ID, started, len(starts))
		}
		if died.Job == "" {
			continue
		}
		if request == "" {
			request = "of " + phone.RequestID(died.Job) // nobody is told the id of such a request: it is compared without it
			s.newRequest(request, p.Project, phone.KindStart)
		}
		s.accepted(died.Job, request, p, phone.KindStart, p.Image, p.Properties, false)
	}
	s.startTasks(turns)
	s.admit(server)
	return nil
}

// prune removes what is history, and gives how many jobs and requests that is.
func (s *spec) prune(before int64) (jobs, requests int) {
	var gone []*specJob
	for _, j := range s.inOrder(func(j *specJob) bool { return final(j.Phase) && j.Ended < before }) {
		if task(j.Kind) {
			gone = append(gone, j)
			continue
		}
		later := s.inOrder(func(n *specJob) bool {
			return n.Phone == j.Phone && n.Target >= j.Target && s.numbers[n.ID] > s.numbers[j.ID] && final(n.Phase) && !task(n.Kind)
		})
		if s.tallyOf(j.Request).held > 0 {
			continue // its pace is decided by what has ended
		}
		if s.phones[j.Phone] == nil { // of a phone that was deleted everything is history
			gone = append(gone, j)
			continue
		}
		if len(later) > 0 && (keeps(j.Kind) || s.phones[j.Phone].Generation != j.Target) {
			gone = append(gone, j)
		}
	}
	for _, j := range gone {
		delete(s.jobs, j.ID)
	}
	for id, r := range s.requests {
		of := s.inOrder(func(j *specJob) bool { return j.Request == id })
		lost := false
		for _, j := range gone {
			lost = lost || j.Request == id
		}
		if len(of) == 0 && (lost || r.Created < before) {
			delete(s.requests, id)
			requests++
		}
	}
	return len(gone), requests
}

func (s *spec) claimServer(pass string, server phone.ServerID, ttl time.Duration) outcome {
	if e := s.watches[server].expires; e > s.database() && e <= s.database()+2*ttl.Microseconds() {
		return outcome{Code: phone.Conflict}
	}
	s.watches[server] = specWatch{pass, s.database() + ttl.Microseconds()}
	return done
}

func (s *spec) releaseServer(pass string, server phone.ServerID) {
	if s.watches[server].pass == pass {
		s.watches[server] = specWatch{pass, 0}
	}
}
