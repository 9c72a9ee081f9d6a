package model

import (
	"slices"
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// What workers write of their jobs.

func (s *spec) claim(d phone.Delivery, replica phone.ReplicaID, incarnation int64) outcome {
	j := s.jobs[d.Job]
	if j == nil || j.Phase == phone.PhaseHeld || j.Phase == phone.PhaseQueued || final(j.Phase) || j.Attempt != d.Attempt || j.Owner != "" && j.Owner != replica {
		return isFenced
	}
	if j.Owner == "" {
		j.Owner, j.Incarnation, j.Delivered = replica, incarnation, 0
		if task(j.Kind) && j.Begun == 0 {
			j.Begun = j.Attempt
		}
	}
	return done
}

// fenced gives the job that a fence is right for, or nil.
func (s *spec) fenced(f phone.Fence) *specJob {
	j := s.jobs[f.Job]
	if j == nil || j.Owner == "" || j.Owner != f.Replica || j.Attempt != f.Attempt {
		return nil
	}
	return j
}

func (s *spec) prepared(f phone.Fence) outcome {
	j := s.fenced(f)
	switch {
	case j == nil:
		return isFenced
	case j.Phase != phone.PhasePreparing:
		return isRefused
	}
	j.Phase, j.Owner, j.Incarnation = phone.PhaseQueued, "", 0
	s.hosts[hostImage{j.Server, j.Image}] = true
	s.admit(j.Server)
	return done
}

func (s *spec) advance(f phone.Fence, to phone.Phase) outcome {
	order := []phone.Phase{phone.PhaseRemoving, phone.PhaseCreating, phone.PhaseBooting, phone.PhaseVerifying}
	j := s.fenced(f)
	switch {
	case j == nil:
		return isFenced
	case j.Phase == to:
		return done
	case !inSlot(j.Phase) || j.Phase == phone.PhaseRestoring || slices.Index(order, to) <= slices.Index(order, j.Phase):
		return isRefused
	}
	j.Phase = to
	if to == phone.PhaseVerifying {
		s.admit(j.Server)
	}
	return done
}

func (s *spec) erased(f phone.Fence) outcome {
	j := s.fenced(f)
	switch {
	case j == nil:
		return isFenced
	case j.Phase != phone.PhaseCreating && j.Phase != phone.PhaseBooting && j.Phase != phone.PhaseVerifying && j.Phase != phone.PhaseDeleting:
		return isRefused
	case j.Rollback && j.Phase != phone.PhaseVerifying: // until then nothing of the old life may be gone
		return isRefused
	}
	j.Erase = phone.EraseDone
	return done
}

func (s *spec) finish(f phone.Fence) outcome {
	j := s.fenced(f)
	switch {
	case j == nil:
		return isFenced
	case j.Phase != phone.PhaseVerifying && j.Phase != phone.PhaseStopping && j.Phase != phone.PhaseDeleting || j.Erase == phone.ErasePending || j.Erase == phone.EraseFailed:
		return isRefused
	}
	s.end(j, phone.PhaseSucceeded, "")
	p := s.phones[j.Phone]
	if j.Kind == phone.KindDelete {
		s.deleted[p.ID] = p.Last
		delete(s.phones, p.ID)
		return done
	}
	if j.Kind == phone.KindUpdate {
		p.Properties, p.Updated = j.Properties, s.wall()
		return done
	}
	p.Status, p.Generation, p.Image, p.Properties = phone.StatusRunning, j.Target, j.Image, j.Properties
	if j.Kind == phone.KindStop {
		p.Status = phone.StatusStopped
	}
	p.HasCause, p.Updated = false, s.wall()
	return done
}

func (s *spec) fail(f phone.Fence, failure phone.Failure) outcome {
	j := s.fenced(f)
	if j == nil {
		return isFenced
	}
	s.end(j, phone.PhaseFailed, failure.Reason)
	p := s.phones[j.Phone]
	if p.Updated = s.wall(); j.Kind != phone.KindUpdate {
		p.Status, p.HasCause = failing[j.Kind], j.Kind == phone.KindStart
	}
	if failure.Reason == phone.ReasonImageNotFound {
		delete(s.hosts, hostImage{j.Server, j.Image})
	}
	s.admit(j.Server)
	return done
}

// restore begins the way back; the first failure stays.
func (s *spec) restore(f phone.Fence, failure phone.Failure) outcome {
	j := s.fenced(f)
	switch {
	case j == nil:
		return isFenced
	case j.Phase == phone.PhaseRestoring:
		return done
	case !j.Rollback || !inSlot(j.Phase):
		return isRefused
	}
	j.Phase, j.Reason = phone.PhaseRestoring, failure.Reason
	return done
}

// rolledBack ends a job whose phone is what it was: of the phone, only the status had changed.
func (s *spec) rolledBack(f phone.Fence, failure phone.Failure) outcome {
	j := s.fenced(f)
	switch {
	case j == nil:
		return isFenced
	case !j.Rollback || j.Phase != phone.PhaseRestoring && j.Phase != phone.PhasePreparing:
		return isRefused
	}
	s.end(j, phone.PhaseFailed, failure.Reason)
	j.RolledBack = true
	p := s.phones[j.Phone]
	p.Status, p.Updated = j.PriorStatus, s.wall()
	if failure.Reason == phone.ReasonImageNotFound {
		delete(s.hosts, hostImage{j.Server, j.Image})
	}
	s.admit(j.Server)
	return done
}

func (s *spec) end(j *specJob, phase phone.Phase, reason phone.Reason) {
	j.Phase, j.Owner, j.Incarnation, j.Delivered, j.Ended, j.Reason = phase, "", 0, 0, s.wall(), reason
}

// Leases.

func (s *spec) register(replica phone.ReplicaID, process string, ttl time.Duration) {
	r := s.replicas[replica]
	if r == nil {
		r = &specReplica{}
		s.replicas[replica] = r
	}
	r.Incarnation++
	r.Expires, r.Process = s.database()+ttl.Microseconds(), process
}

func (s *spec) heartbeat(replica phone.ReplicaID, incarnation int64, ttl time.Duration) outcome {
	r := s.replicas[replica]
	if r == nil || r.Incarnation != incarnation || r.Expires == 0 {
		return isFenced
	}
	r.Expires = s.database() + ttl.Microseconds()
	return done
}

// takeOver ends expired leases and gives what their replicas left new deliveries; also what earlier starts of a replica left.
func (s *spec) takeOver(replica phone.ReplicaID, incarnation int64) {
	alive := map[string]bool{}
	for _, r := range s.replicas {
		if r.Expires <= s.database() {
			r.Expires = 0
		}
		if r.Expires > 0 {
			alive[r.Process] = true
		}
	}
	left := s.inOrder(func(j *specJob) bool {
		return s.abandoned(j) || j.Owner != "" && j.Owner == replica && j.Incarnation != incarnation
	})
	for d, process := range s.queue {
		if process == "" || alive[process] {
			continue
		}
		delete(s.queue, d)
		if j := s.jobs[d.Job]; j != nil && j.Delivered != 0 && j.Attempt == d.Attempt {
			left = append(left, j)
		}
	}
	s.again(left)
}

// recover and sweep give how many jobs they set going.
func (s *spec) recover(replica phone.ReplicaID, incarnation int64) int {
	before := s.attempts()
	s.takeOver(replica, incarnation)
	return s.attempts() - before
}

func (s *spec) attempts() int {
	n := 0
	for _, j := range s.jobs {
		n += j.Attempt
	}
	return n
}

func (s *spec) sweep(unclaimed time.Duration) int {
	before := s.attempts()
	overdue := s.overdue(unclaimed) // what is overdue before the leases are looked at, for then there is a new delivery
	paced := s.outOfPace()
	s.setBack()
	if s.leaseOver() {
		s.takeOver("", 0)
	}
	for _, id := range sorted(s.servers) {
		s.admit(id)
	}
	for _, id := range sorted(s.servers) {
		s.startTasks(map[phone.ServerID]bool{id: true})
	}
	if len(overdue) > 0 {
		s.again(s.overdue(unclaimed))
	}
	for key, k := range s.keys {
		if k.expires <= s.wall() {
			delete(s.keys, key)
		}
	}
	s.keepPaces(paced)
	return s.attempts() - before
}

// setBack dates anew what lies further ahead than two leases: the database's clock was set back since that was written.
func (s *spec) setBack() {
	now, lease := s.database(), leaseTTL.Microseconds()
	for _, r := range s.replicas {
		if r.Expires > now+2*lease {
			r.Expires = now + lease
		}
	}
	for _, j := range s.jobs {
		if j.Delivered > now+2*lease {
			j.Delivered = now
		}
	}
}

// leaseOver reports whether a lease has expired, or a job's owner has none.
func (s *spec) leaseOver() bool {
	for _, r := range s.replicas {
		if r.Expires > 0 && r.Expires <= s.database() {
			return true
		}
	}
	return len(s.inOrder(s.abandoned)) > 0
}

func (s *spec) abandoned(j *specJob) bool {
	if j.Owner == "" {
		return false
	}
	r := s.replicas[j.Owner]
	return r.Incarnation != j.Incarnation || r.Expires == 0
}

func (s *spec) overdue(unclaimed time.Duration) []*specJob {
	return s.inOrder(func(j *specJob) bool {
		fetchedBy, there := s.queue[phone.Delivery{Job: j.ID, Attempt: j.Attempt}]
		waits := there && fetchedBy == ""
		return j.Delivered != 0 && j.Delivered <= s.database()-unclaimed.Microseconds() && !waits
	})
}

func (s *spec) release(replica phone.ReplicaID, incarnation int64) {
	if r := s.replicas[replica]; r != nil && r.Incarnation == incarnation {
		r.Expires = 0
	}
	s.again(s.inOrder(func(j *specJob) bool { return j.Owner == replica && j.Incarnation == incarnation }))
}
