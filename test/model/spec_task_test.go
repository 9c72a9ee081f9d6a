package model

import "github.com/lethe-cloud/lethe/internal/phone"

// Tasks: so many of a server are at work at once, the oldest first, and what would end their phone's life ends them.

// mostTasks is how many of a server's tasks may be at work at once.
const mostTasks = 2

// startTasks sets going those whose turn it is on the servers.
func (s *spec) startTasks(servers map[phone.ServerID]bool) {
	for _, server := range sorted(servers) {
		on := func(is func(*specJob) bool) []*specJob {
			return s.inOrder(func(j *specJob) bool { return j.Server == server && j.Phase == phone.PhaseWorking && is(j) })
		}
		free := mostTasks - len(on(func(j *specJob) bool { return j.Attempt > 0 }))
		waiting := on(func(j *specJob) bool { return j.Attempt == 0 })
		for _, j := range waiting[:min(max(free, 0), len(waiting))] {
			s.deliver(j, phone.PhaseWorking)
		}
	}
}

// endTasks ends a phone's tasks, and notes where others may have their turn now.
func (s *spec) endTasks(id phone.ID, turns map[phone.ServerID]bool) {
	for _, j := range s.inOrder(func(j *specJob) bool { return j.Phone == id && j.Phase == phone.PhaseWorking }) {
		s.end(j, phone.PhaseFailed, phone.ReasonTaskEnded)
		turns[j.Server] = true
	}
}

func (s *spec) endTask(f phone.Fence, end phone.TaskEnd) outcome {
	j := s.fenced(f)
	switch {
	case j == nil:
		return isFenced
	case !task(j.Kind):
		return isRefused
	case end.Failure == nil:
		s.end(j, phone.PhaseSucceeded, "")
	default:
		s.end(j, phone.PhaseFailed, end.Failure.Reason)
	}
	s.startTasks(map[phone.ServerID]bool{j.Server: true})
	return done
}
