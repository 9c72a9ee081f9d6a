package model

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/driver/drivertest"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// action is one thing that a seed may do next. A new ability of the fleet gets its own here, and what it must do in the reference.
type action struct {
	name   string
	weight int
	// can says whether it makes sense now; nil is always.
	can func(*world) bool
	do  func(*world)
}

func actions() []action {
	return []action{
		{"let a call go on", 500, func(w *world) bool { return len(w.atGates()) > 0 }, (*world).letOne},
		{"hand a delivery out", 150, func(w *world) bool { return len(w.deliverable()) > 0 }, func(w *world) { w.handOne() }},
		{"let time pass", 110, nil, (*world).letTimePass},

		{"reset", 30, nil, (*world).resetSome},
		{"reset what cannot be", 5, nil, (*world).resetBadly},
		{"stop phones", 8, nil, (*world).stopSome},
		{"restart phones", 10, nil, (*world).restartSome},
		{"update properties", 8, nil, (*world).updateSome},
		{"run a command", 9, nil, (*world).runSome},
		{"uninstall an app", 5, nil, (*world).uninstallSome},
		{"delete phones", 1, func(w *world) bool { return len(w.spec.phones) > 2 }, (*world).deleteSome},
		{"send a call again", 6, func(w *world) bool { return len(w.calls) > 0 }, (*world).sendAgain},
		{"keep the pace of what callers cancelled", 6, func(w *world) bool { return len(w.paced.requests) > 0 }, (*world).keepPace},
		{"cancel", 10, func(w *world) bool { return len(w.spec.requests) > 0 }, (*world).cancelSome},
		{"retry", 8, func(w *world) bool { return len(w.spec.requests) > 0 }, (*world).retrySome},

		{"kill a replica", 6, func(w *world) bool { return len(w.running()) > 0 }, (*world).killOne},
		{"stop a replica", 3, func(w *world) bool { return len(w.running()) > 0 }, (*world).stopOne},
		{"start a replica", 25, func(w *world) bool { return len(w.down()) > 0 }, (*world).startOne},
		{"pause a replica", 5, func(w *world) bool { return len(w.running()) > 0 }, (*world).pauseOne},
		{"let a replica go on", 8, func(w *world) bool { return len(w.pausedOnes()) > 0 }, (*world).goOnOne},
		{"hand a stale delivery out", 4, func(w *world) bool { return len(w.spec.jobs) > 0 }, (*world).handStale},

		{"step the wall clocks", 2, nil, (*world).stepWall},
		{"step the database's clock", 4, nil, (*world).stepDatabase},

		{"take a host away", 2, nil, (*world).takeHostAway},
		{"bring the hosts back", 10, (*world).anyAway, (*world).bringHostsBack},
		{"let a phone die", 5, nil, (*world).letPhoneDie},
		{"lose the images", 1, nil, (*world).loseImages},
		{"fill a host, or empty it", 6, nil, (*world).fillHost},
		{"use a phone", 8, nil, (*world).usePhone},
		{"pin a volume", 2, func(w *world) bool { return w.mood.faults > 0 }, (*world).pinVolume},
		{"plant something", 7, nil, (*world).plantSomething},
		{"take a plant away", 2, func(w *world) bool { return len(w.planted) > 0 }, (*world).takePlantAway},

		{"compare a host", 6, func(w *world) bool { return len(w.running()) > 0 }, (*world).compareHost},
		{"remove old jobs", 2, nil, (*world).pruneJobs},
	}
}

func (w *world) drawAction() action {
	all := slices.DeleteFunc(actions(), func(a action) bool { return a.can != nil && !a.can(w) })
	sum := 0
	for _, a := range all {
		sum += a.weight
	}
	n := w.rng.IntN(sum)
	for _, a := range all {
		if n -= a.weight; n < 0 {
			return a
		}
	}
	panic("no action was drawn")
}

func pick[T any](rng *rand.Rand, from []T) T { return from[rng.IntN(len(from))] }

// letOne lets a call go on: mostly the one that has waited longest, for a seed in which nothing ever gets through is no test.
func (w *world) letOne() {
	open := w.atGates()
	g := open[0]
	if w.rng.IntN(2) == 0 {
		g = pick(w.rng, open)
	}
	w.let(g, w.judge(g))
	w.sayStopped()
}

func (w *world) letTimePass() {
	d := time.Duration(1+w.rng.IntN(300)) * time.Millisecond
	switch n := w.rng.IntN(100); {
	case n < 2:
		d = leaseTTL + time.Duration(w.rng.IntN(20_000))*time.Millisecond
	case n < 25:
		d = time.Duration(500+w.rng.IntN(3000)) * time.Millisecond
	}
	w.tracef("%s pass", d)
	time.Sleep(d)
	w.rest()
	w.sayStopped()
}

// deliverable is every delivery that waits, with every process that could fetch it.
func (w *world) deliverable() (all []handout) {
	var waiting []phone.Delivery // also of jobs that were removed since
	for d, process := range w.spec.queue {
		if process == "" {
			waiting = append(waiting, d)
		}
	}
	slices.SortFunc(waiting, func(a, b phone.Delivery) int {
		return cmp.Or(cmp.Compare(w.spec.numbers[a.Job], w.spec.numbers[b.Job]), cmp.Compare(a.Attempt, b.Attempt))
	})
	for _, l := range w.running() {
		for _, d := range waiting {
			if l.deliverTo != nil && !l.handling[d] {
				all = append(all, handout{l, d})
			}
		}
	}
	return all
}

type handout struct {
	to *life
	phone.Delivery
}

func (w *world) handOne() bool {
	all := w.deliverable()
	if len(all) == 0 {
		return false
	}
	h := pick(w.rng, all)
	w.tracef("%s fetches %s", h.to, w.nameOf(h.Delivery))
	w.fetch(h.to, h.Delivery)
	w.hand(h.to, h.Delivery, false)
	return true
}

// handStale hands out a delivery that is over, or that another process has: whoever gets it must do nothing.
func (w *world) handStale() {
	var open []*life
	for _, l := range w.running() {
		if l.deliverTo != nil {
			open = append(open, l)
		}
	}
	jobs := w.spec.inOrder(func(j *specJob) bool { return j.Attempt > 0 })
	if len(open) == 0 || len(jobs) == 0 {
		return
	}
	l, j := pick(w.rng, open), pick(w.rng, jobs)
	d := phone.Delivery{Job: j.ID, Attempt: 1 + w.rng.IntN(j.Attempt)}
	if d.Attempt == j.Attempt && (j.Owner == "" || j.Owner == l.replica.id) || l.handling[d] {
		return // that one would not be stale
	}
	w.tracef("%s gets %s, which is stale", l, w.nameOf(d))
	w.hand(l, d, true)
}

func (w *world) running() (all []*life) {
	for _, r := range w.replicas {
		if l := r.life; l != nil && !l.paused && !l.stopping {
			all = append(all, l)
		}
	}
	return all
}

func (w *world) lively() *life { return pick(w.rng, w.running()) }

func (w *world) down() (all []*replica) {
	for _, r := range w.replicas {
		if r.life == nil {
			all = append(all, r)
		}
	}
	return all
}

func (w *world) pausedOnes() (all []*life) {
	for _, r := range w.replicas {
		if r.life != nil && r.life.paused {
			all = append(all, r.life)
		}
	}
	return all
}

func (w *world) killOne() {
	l := w.lively()
	w.tracef("%s is killed", l)
	w.kill(l, func(*gate) bool { return w.rng.IntN(5) == 0 })
	w.bury()
}

func (w *world) stopOne() {
	l := w.lively()
	w.tracef("%s is told to stop", l)
	l.stopping = true
	l.stop()
	w.rest()
	w.sayStopped()
}

func (w *world) startOne() {
	r := pick(w.rng, w.down())
	w.tracef("%s starts", r.name)
	if err := w.start(r); err != nil {
		w.fail("start %s: %v", r.name, err)
	}
}

func (w *world) pauseOne() {
	l := w.lively()
	w.tracef("%s is paused", l)
	l.paused = true
}

func (w *world) goOnOne() {
	l := pick(w.rng, w.pausedOnes())
	w.tracef("%s goes on", l)
	l.paused = false
}

// steps of clocks, in seconds.
var clockSteps = []int{-3600, -30, -5, -1, 1, 5, 15, 60, 7200}

func (w *world) stepWall() {
	by := time.Duration(pick(w.rng, clockSteps)) * time.Second
	if w.rng.IntN(10) == 0 {
		by = 25 * time.Hour
	}
	w.tracef("the wall clocks step by %s", by)
	w.wallStep += by
}

func (w *world) stepDatabase() {
	by := time.Duration(pick(w.rng, []int{-20, -5, -1, 1, 5, 15})) * time.Second
	w.tracef("the database's clock steps by %s", by)
	w.databaseStep += by
}

func (w *world) takeHostAway() {
	s := pick(w.rng, w.servers)
	w.tracef("the host of %s is away", s.Name)
	w.machines[s.Endpoint].away = true
}

func (w *world) anyAway() bool {
	for _, m := range w.machines {
		if m.away {
			return true
		}
	}
	return false
}

func (w *world) bringHostsBack() {
	w.tracef("the hosts are back")
	for _, m := range w.machines {
		m.away = false
	}
}

// letPhoneDie ends or removes an instance, with or without its volume, as a host or its operator might.
func (w *world) letPhoneDie() {
	m := w.machines[pick(w.rng, w.servers).Endpoint]
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pass()
	var names []string
	for _, name := range sorted(m.instances) {
		if m.instances[name].running {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return
	}
	i := m.instances[pick(w.rng, names)]
	switch w.rng.IntN(4) {
	case 0:
		m.lose(i.spec.Ref, false)
		w.tracef("the instance of %s is removed by hand", w.nameOfRef(i.spec.Ref))
	case 1:
		m.lose(i.spec.Ref, true)
		w.tracef("the instance and the volume of %s are removed by hand", w.nameOfRef(i.spec.Ref))
	default:
		i.running, i.exited, i.code, i.ended = false, true, 139, "it died"
		w.tracef("the instance of %s dies", w.nameOfRef(i.spec.Ref))
	}
}

func (w *world) loseImages() {
	s := pick(w.rng, w.servers)
	m := w.machines[s.Endpoint]
	w.tracef("the host of %s loses its images", s.Name)
	clear(m.images)
	if w.mood.faults > 0 && w.rng.IntN(2) == 0 {
		m.missing["second"] = !m.missing["second"]
		w.tracef("the second image can be had there: %v", !m.missing["second"])
	}
}

// fillHost leaves no room for a second volume on a host, or makes room again.
func (w *world) fillHost() {
	s := pick(w.rng, w.servers)
	m := w.machines[s.Endpoint]
	m.full = !m.full
	w.tracef("the host of %s is full: %v", s.Name, m.full)
}

// usePhone writes something into a phone, as whoever uses it does.
func (w *world) usePhone() {
	m := w.machines[pick(w.rng, w.servers).Endpoint]
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pass()
	names := slices.DeleteFunc(sorted(m.instances), func(name string) bool {
		i := m.instances[name]
		return !i.booted() || m.volumes[volumeName(i.spec.Ref)] == nil
	})
	if len(names) == 0 {
		return
	}
	i := m.instances[pick(w.rng, names)]
	v := m.volumes[volumeName(i.spec.Ref)]
	v.written++
	v.files[userFile] = []byte(v.userData())
	w.tracef("%s is used for the %d. time", w.nameOfRef(i.spec.Ref), v.written)
	w.putApp(v)
}

// putApp puts the app into a phone, unless somebody is about to uninstall it: then a task could not be held to its word.
func (w *world) putApp(v *volume) {
	uninstalling := w.spec.inOrder(func(j *specJob) bool {
		return j.Phone == v.ref.Phone && j.Kind == phone.KindUninstall && !final(j.Phase)
	})
	if len(uninstalling) == 0 {
		v.files[appFile] = []byte("apk")
	}
}

func (w *world) putApps() {
	for _, p := range w.spec.sortedPhones() {
		m := w.machineOf(p.Server)
		m.mu.Lock()
		if v := m.volumes[volumeName(driver.Ref{Phone: p.ID, Generation: p.Generation})]; v != nil && !v.late {
			w.putApp(v)
		}
		m.mu.Unlock()
	}
}

func (w *world) pinVolume() {
	m := w.machines[pick(w.rng, w.servers).Endpoint]
	if names := sorted(m.volumes); len(names) > 0 {
		name := pick(w.rng, names)
		m.pinned[name] = !m.pinned[name]
		w.tracef("the volume of %s is pinned: %v", w.nameOfRef(m.volumes[name].ref), m.pinned[name])
	}
}

// planted is something on a host that no job of this installation made.
type planted struct {
	machine *machine
	kind    driver.ObjectKind
	ref     driver.Ref
	ours    bool // it has this installation's label
	intact  func() bool
}

// mustStay: nobody touches what is not lethe's, or what is of a phone that the database does not know, or of a life that it has not
// handed out yet.
func (p planted) mustStay(w *world) bool {
	of := w.spec.phones[p.ref.Phone]
	if last, deleted := w.spec.deleted[p.ref.Phone]; p.ours && deleted {
		return p.ref.Generation > last
	}
	return !p.ours || of == nil || p.ref.Generation > of.Last
}

// plantSomething puts an object where the next life of a phone would be, or one of a stranger.
func (w *world) plantSomething() {
	s := pick(w.rng, w.servers)
	m := w.machines[s.Endpoint]
	kind := pick(w.rng, []driver.ObjectKind{driver.ObjectInstance, driver.ObjectVolume})
	p := planted{machine: m, kind: kind, ours: w.rng.IntN(2) == 0}
	owner := drivertest.Owner{}
	if p.ours {
		owner = w.owner(s.ID)
	}
	var of []*specPhone
	for _, candidate := range w.spec.sortedPhones() {
		if candidate.Server == s.ID {
			of = append(of, candidate)
		}
	}
	if len(of) == 0 {
		return
	}
	target := pick(w.rng, of)
	p.ref = driver.Ref{Phone: target.ID, Generation: target.Last + 1 + phone.Generation(w.rng.IntN(4)/3)}
	if w.rng.IntN(3) == 0 {
		p.ref = driver.Ref{Phone: phone.NewID[phone.ID](), Generation: 1}
	}
	if m.instances[instanceName(p.ref)] != nil || m.volumes[volumeName(p.ref)] != nil {
		return
	}
	m.plant(kind, p.ref, owner)
	p.intact = m.intact(kind, p.ref)
	w.planted = append(w.planted, p)
	w.tracef("the %s of %s is planted on the host of %s; it has our label: %v", kind, w.nameOfRef(p.ref), s.Name, p.ours)
}

func (w *world) takePlantAway() {
	n := w.rng.IntN(len(w.planted))
	p := w.planted[n]
	w.planted = slices.Delete(w.planted, n, n+1)
	p.machine.uproot(p.kind, p.ref)
	w.tracef("the plant %s is taken away", w.nameOfRef(p.ref))
}

// drawBoot says how the next start goes. Where boots fail at all, those do often after which an old life has to come back, and seldom those
// that make a first life: without one there is nothing to come back.
func (w *world) drawBoot(ref driver.Ref) boot {
	normal := boot{takes: time.Duration(50+w.rng.IntN(2000)) * time.Millisecond}
	bad := w.mood.boots
	switch j := w.spec.unfinished(ref.Phone); {
	case j == nil || bad == 0:
	case j.Kind == phone.KindCreate:
		bad /= 4
	case j.Rollback && j.Target == ref.Generation:
		bad = max(bad, 0.6)
	}
	if w.calm || w.rng.Float64() >= bad {
		return normal
	}
	switch w.rng.IntN(4) {
	case 0:
		return boot{takes: time.Duration(2+w.rng.IntN(28)) * time.Second}
	case 1:
		return boot{} // never
	case 2:
		return boot{exits: time.Duration(1+w.rng.IntN(3000)) * time.Millisecond, code: 1 + w.rng.IntN(255)}
	}
	return boot{takes: normal.takes, exits: time.Duration(1+w.rng.IntN(5000)) * time.Millisecond, vanishes: w.rng.IntN(2) == 0}
}

func (w *world) compareHost() {
	w.beginPass(w.lively(), pick(w.rng, w.servers), w.rng.IntN(4) == 0)
}

func (w *world) passName() string {
	w.passes++
	return fmt.Sprintf("pass%d", w.passes)
}
