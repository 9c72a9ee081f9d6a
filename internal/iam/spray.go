package iam

import (
	"sync"
	"time"
)

// maxSprayed is how many wrong passwords, of whatever users, may come from one address within lockTime: more are not one person's
// mistakes but a list of users being gone through with a few passwords each, which no count by user notices.
const maxSprayed = 100

// spray counts wrong passwords by address alone, in memory. An address's count begins anew lockTime after its first failure,
// whatever came since, and a right password does not clear it: who goes through a list may own one of the users.
type spray struct {
	now  func() time.Time
	most int

	mu        sync.Mutex
	addresses map[string]*sprayed
}

type sprayed struct {
	failures int
	since    time.Time
}

func newSpray(now func() time.Time) *spray {
	return &spray{now: now, most: maxTracked, addresses: map[string]*sprayed{}}
}

// locked reports whether the address has had its tries. "" is nobody's address and is never locked: of whoever is known by a token
// already, only the tries at his own password count.
func (s *spray) locked(address string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.addresses[address]
	return a != nil && !s.over(a) && a.failures >= maxSprayed
}

// wrong counts a wrong password; it reports whether this one locks the address.
func (s *spray) wrong(address string) (locks bool) {
	if address == "" {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.addresses[address]
	if a == nil || s.over(a) {
		s.makeRoom()
		a = &sprayed{since: s.now()}
		s.addresses[address] = a
	}
	a.failures++
	return a.failures == maxSprayed
}

func (s *spray) over(a *sprayed) bool { return s.now().Sub(a.since) >= lockTime }

// makeRoom keeps the memory bounded: it forgets what is over, and if that is nothing, the address with the fewest failures.
func (s *spray) makeRoom() {
	if len(s.addresses) < s.most {
		return
	}
	fewest := ""
	for address, a := range s.addresses {
		switch {
		case s.over(a):
			delete(s.addresses, address)
		case fewest == "" || a.failures < s.addresses[fewest].failures:
			fewest = address
		}
	}
	if len(s.addresses) >= s.most {
		delete(s.addresses, fewest)
	}
}
