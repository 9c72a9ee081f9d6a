package iam

import (
	"fmt"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// burstSeconds is how many seconds' worth of calls a user who was quiet may make at once.
const burstSeconds = 5

// maxBuckets is how many users' buckets are kept before the full ones are forgotten: a full bucket says nothing that a new one
// does not.
const maxBuckets = 10_000

// rates bounds how many calls each user may make in a second, in this process: each replica counts for itself.
type rates struct {
	now func() time.Time
	per rate.Limit // 0: without bounds

	mu      sync.Mutex
	buckets map[string]*rate.Limiter
	most    int
}

func newRates(perSecond int, now func() time.Time) *rates {
	return &rates{now: now, per: rate.Limit(perSecond), most: maxBuckets, buckets: map[string]*rate.Limiter{}}
}

// take counts one call of the user, or refuses it: Exhausted, with the time after which there is room for one again.
func (r *rates) take(user string) error {
	if r.per <= 0 {
		return nil
	}
	now := r.now()
	bucket := r.bucket(user, now)
	if bucket.AllowN(now, 1) {
		return nil
	}
	missing := 1 - bucket.TokensAt(now)
	return &phone.Error{
		Code: phone.Exhausted, Reason: phone.ReasonRateExceeded, RetryAfter: time.Duration(math.Max(missing, 0) / float64(r.per) * float64(time.Second)),
		Msg: fmt.Sprintf("this user makes more than %d calls a second: wait, or raise rate_limit", int(r.per)),
	}
}

func (r *rates) bucket(user string, now time.Time) *rate.Limiter {
	r.mu.Lock()
	defer r.mu.Unlock()
	if b := r.buckets[user]; b != nil {
		return b
	}
	if len(r.buckets) >= r.most {
		for id, b := range r.buckets {
			if b.TokensAt(now) >= float64(b.Burst()) {
				delete(r.buckets, id)
			}
		}
	}
	b := rate.NewLimiter(r.per, int(r.per)*burstSeconds)
	r.buckets[user] = b
	return b
}
