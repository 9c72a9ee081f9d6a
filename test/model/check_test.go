package model

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// rows is what the database says, in the reference's words.
type rows struct {
	Phones     map[phone.ID]specPhone
	Jobs       map[phone.JobID]specJob
	Replicas   map[phone.ReplicaID]specReplica
	Deliveries map[phone.Delivery]string
	Requests   map[phone.RequestID]specRequest
	Hosts      map[hostImage]bool
	Keys       int
}

// read reads everything that the reference has, if anything was written since it was read last.
func (w *world) read() (err error) {
	var version int64
	if err := w.db.QueryRow(`PRAGMA data_version`).Scan(&version); err != nil || version == w.version {
		return err
	}
	w.version = version
	r := rows{
		Phones: map[phone.ID]specPhone{}, Jobs: map[phone.JobID]specJob{}, Replicas: map[phone.ReplicaID]specReplica{},
		Deliveries: map[phone.Delivery]string{}, Requests: map[phone.RequestID]specRequest{}, Hosts: map[hostImage]bool{},
	}
	each := func(query string, row func(scan func(...any) error) error) {
		if err != nil {
			return
		}
		found, e := w.query(query)
		if e != nil {
			err = e
			return
		}
		defer found.Close()
		for found.Next() && err == nil {
			err = row(found.Scan)
		}
		err = cmp.Or(err, found.Err())
	}
	each(`SELECT id, project_id, server_id, status, generation, last_generation, image_id, properties, cause <> '', updated_at FROM phones`, func(scan func(...any) error) error {
		var p specPhone
		err := scan(&p.ID, &p.Project, &p.Server, &p.Status, &p.Generation, &p.Last, &p.Image, &p.Properties, &p.HasCause, &p.Updated)
		p.Properties = canonical(propertiesOf(p.Properties))
		r.Phones[p.ID] = p
		return err
	})
	each(`SELECT id, request_id, phone_id, server_id, kind, phase, erase, attempt, coalesce(owner, ''), coalesce(incarnation, 0), coalesce(delivered_at, 0), target,
		prior, prior_status, prior_image, image_id, properties, factory, created_at, coalesce(ended_at, 0), coalesce(failure, '{}'), rollback, rolled_back, begun FROM jobs`, func(scan func(...any) error) error {
		var j specJob
		var failure string
		err := scan(&j.ID, &j.Request, &j.Phone, &j.Server, &j.Kind, &j.Phase, &j.Erase, &j.Attempt, &j.Owner, &j.Incarnation, &j.Delivered, &j.Target, &j.Prior,
			&j.PriorStatus, &j.PriorImage, &j.Image, &j.Properties, &j.Factory, &j.Created, &j.Ended, &failure, &j.Rollback, &j.RolledBack, &j.Begun)
		j.Properties = canonical(propertiesOf(j.Properties))
		var f phone.Failure
		if e := json.Unmarshal([]byte(failure), &f); e != nil {
			return e
		}
		j.Reason = f.Reason
		r.Jobs[j.ID] = j
		return err
	})
	each(`SELECT id, incarnation, expires_at, process FROM replicas`, func(scan func(...any) error) error {
		var id phone.ReplicaID
		var v specReplica
		err := scan(&id, &v.Incarnation, &v.Expires, &v.Process)
		r.Replicas[id] = v
		return err
	})
	each(`SELECT args ->> 'job_id', args ->> 'attempt', CASE state WHEN 'running' THEN attempted_by ->> '$[#-1]' ELSE '' END FROM river_job`, func(scan func(...any) error) error {
		var d phone.Delivery
		var process string
		err := scan(&d.Job, &d.Attempt, &process)
		if _, twice := r.Deliveries[d]; twice {
			w.fail("delivery %s stands twice in the queue", w.nameOf(d))
		}
		r.Deliveries[d] = process
		return err
	})
	each(`SELECT id, project_id, kind, refused, created_at, coalesce(pace, ''), pacing, coalesce(stopped, '') FROM requests`, func(scan func(...any) error) error {
		var id phone.RequestID
		var v specRequest
		var pace, stopped string
		if err := scan(&id, &v.Project, &v.Kind, &v.Refused, &v.Created, &pace, &v.Pacing, &stopped); err != nil {
			return err
		}
		var paceErr, stopErr error
		v.Pace, paceErr = readPace(pace)
		v.Stopped, stopErr = readStop(stopped)
		r.Requests[id] = v
		return cmp.Or(paceErr, stopErr)
	})
	each(`SELECT server_id, image_id FROM host_images`, func(scan func(...any) error) error {
		var h hostImage
		err := scan(&h.server, &h.image)
		r.Hosts[h] = true
		return err
	})
	each(`SELECT count(*) FROM idempotency_keys`, func(scan func(...any) error) error { return scan(&r.Keys) })
	if err != nil {
		return fmt.Errorf("read the database: %w", err)
	}
	before := w.rows
	w.rows = r
	w.checkRows(before)
	return nil
}

// query runs a query that was prepared the first time: parsing it each time would take longer than all else here.
func (w *world) query(text string) (*sql.Rows, error) {
	if w.queries[text] == nil {
		prepared, err := w.db.PrepareContext(context.Background(), text)
		if err != nil {
			return nil, err
		}
		w.queries[text] = prepared
	}
	return w.queries[text].QueryContext(context.Background())
}

// expected is the reference in the form of rows. A start's request has an id that nobody was told.
func (s *spec) expected(of rows) rows {
	r := rows{
		Phones: map[phone.ID]specPhone{}, Jobs: map[phone.JobID]specJob{}, Replicas: map[phone.ReplicaID]specReplica{},
		Deliveries: s.queue, Requests: map[phone.RequestID]specRequest{}, Hosts: s.hosts, Keys: len(s.keys),
	}
	for id, p := range s.phones {
		r.Phones[id] = *p
	}
	named := map[phone.RequestID]phone.RequestID{}
	for id, j := range s.jobs {
		job := *j
		if strings.HasPrefix(string(j.Request), "of ") {
			named[j.Request] = of.Jobs[id].Request
			job.Request = named[j.Request]
		}
		r.Jobs[id] = job
	}
	for id, v := range s.replicas {
		r.Replicas[id] = *v
	}
	for id, v := range s.requests {
		if real, hidden := named[id]; hidden {
			id = real
		}
		r.Requests[id] = *v
	}
	return r
}

// check holds the database and the hosts against the reference and the invariants.
func (w *world) check() error {
	if err := w.read(); err != nil {
		return err
	}
	w.checkHosts()
	if want := w.spec.expected(w.rows); !reflect.DeepEqual(want, w.rows) {
		w.fail("the database differs from the reference (-want +got):\n%s", gocmp.Diff(want, w.rows, gocmp.AllowUnexported(hostImage{})))
	}
	return w.failed()
}

// checkRows is what must be true of the rows whatever the reference says: I1, I2, I3 and I6.
func (w *world) checkRows(before rows) {
	unfinished, slots := map[phone.ID][]specJob{}, map[phone.ServerID]int{}
	targets, makers := map[driver.Ref]phone.JobID{}, map[driver.Ref]bool{}
	for _, j := range w.rows.Jobs {
		ref := driver.Ref{Phone: j.Phone, Generation: j.Target}
		switch p := w.rows.Phones[j.Phone]; {
		case final(j.Phase):
		case !task(j.Kind):
			unfinished[j.Phone] = append(unfinished[j.Phone], j)
		case p.Status != phone.StatusRunning || p.Generation != j.Target:
			w.fail("I1: task %s is unfinished, and its phone is in status %d with generation %d", w.nameOfJob(j.ID), p.Status, p.Generation)
		}
		if inSlot(j.Phase) {
			slots[j.Server]++
		}
		makers[ref] = makers[ref] || j.Phase == phone.PhaseSucceeded && !task(j.Kind)
		if other, given := targets[ref]; given && makes(j.Kind) {
			w.fail("I3: jobs %s and %s both make generation %d of phone %s", w.nameOfJob(other), w.nameOfJob(j.ID), j.Target, w.names[j.Phone])
		}
		if makes(j.Kind) {
			targets[ref] = j.ID
		}
		w.checkPhases(before.Jobs[j.ID], j)
		w.checkGivenBack(before.Jobs[j.ID], j)
	}
	w.checkPaces(before)
	for _, s := range w.servers {
		if most := w.spec.servers[s.ID].slots; slots[s.ID] > most {
			w.fail("%d jobs hold boot slots of %s, which has %d", slots[s.ID], s.Name, most)
		}
	}
	for id, p := range w.rows.Phones {
		if n := len(unfinished[id]); n > 1 || busy(p.Status) != (n == 1) && (n == 0 || unfinished[id][0].Kind != phone.KindUpdate) {
			w.fail("I1: phone %s is in status %d and has %d unfinished jobs", w.names[id], p.Status, n)
		}
		if p.Status == phone.StatusRunning && !makers[driver.Ref{Phone: id, Generation: p.Generation}] {
			w.fail("I6: phone %s runs generation %d, which no job made", w.names[id], p.Generation)
		}
		if was := before.Phones[id]; p.Generation < was.Generation || p.Last < was.Last || p.Generation > p.Last {
			w.fail("I3: the generations of phone %s went from %d (last %d) to %d (last %d)", w.names[id], was.Generation, was.Last, p.Generation, p.Last)
		}
	}
}

// makes reports whether jobs of the kind make a life.
func makes(k phone.Kind) bool { return k == phone.KindCreate || k == phone.KindReset }

// checkPhases: a job only goes on, and its attempts only grow. Bringing an image is the one thing that it returns from.
func (w *world) checkPhases(was, is specJob) {
	order := []phone.Phase{phone.PhaseHeld, phone.PhaseQueued, phone.PhasePreparing, phone.PhaseStopping, phone.PhaseDeleting, phone.PhaseWorking, phone.PhaseRemoving, phone.PhaseCreating, phone.PhaseBooting, phone.PhaseVerifying, phone.PhaseRestoring, phone.PhaseSucceeded, phone.PhaseFailed, phone.PhaseCancelled}
	prepared := was.Phase == phone.PhasePreparing && is.Phase == phone.PhaseQueued
	if was.ID != "" && (slices.Index(order, is.Phase) < slices.Index(order, was.Phase) && !prepared || is.Attempt < was.Attempt || final(was.Phase) && is != was) {
		w.fail("job %s was %s in attempt %d and is %s in attempt %d", w.nameOfJob(is.ID), was.Phase, was.Attempt, is.Phase, is.Attempt)
	}
}

// checkHosts is what must be true of the hosts at any moment: nothing boots without a slot, no volume has another life's data, and what
// is not lethe's is as it was.
func (w *world) checkHosts() {
	for _, endpoint := range sorted(w.machines) {
		m := w.machines[endpoint]
		m.mu.Lock()
		m.pass()
		for _, name := range sorted(m.instances) {
			i := m.instances[name]
			if !i.running || i.booted() || i.excused != "" {
				continue
			}
			j := w.spec.unfinished(i.spec.Phone)
			if j == nil || !inSlot(j.Phase) || j.Target != i.spec.Generation && (j.Phase != phone.PhaseRestoring || j.Prior != i.spec.Generation) {
				w.fail("the instance of %s boots, and no job has a boot slot for it", w.nameOfRef(i.spec.Ref))
			}
		}
		w.checkPorts(m)
		w.checkDeleted(m)
		w.checkRan(m)
		for _, name := range sorted(m.volumes) {
			v := m.volumes[name]
			if mark, marked := v.files[lifeMark]; marked && string(mark) != markOf(v.ref) {
				w.fail("the volume of %s has the data of another life: %s", w.nameOfRef(v.ref), mark)
			}
		}
		m.mu.Unlock()
	}
	for _, p := range w.planted {
		if !p.intact() && p.mustStay(w) {
			w.fail("I4: the %s that was planted as %s was touched", p.kind, w.nameOfRef(p.ref))
		}
	}
}

// checkKept: a job that keeps the life has not touched what its phone was used for.
func (w *world) checkKept(m *machine, j *specJob) {
	was, asked := w.used[j.ID]
	if !keeps(j.Kind) || !asked { // nobody asked for a start
		return
	}
	name := volumeName(driver.Ref{Phone: j.Phone, Generation: j.Target})
	switch is := m.volumes[name]; {
	case is == nil && (was == nil || m.lost[name] != ""):
	case is == nil || is != was || !is.intact():
		w.fail("job %s has succeeded, and the data of its phone is not what it was", w.nameOfJob(j.ID))
	}
}

// checkFinished is what must be true when a job has just succeeded: on the host there is nothing of any older life, and the receipt says
// what it should.
func (w *world) checkFinished(id phone.JobID, receipt phone.Receipt) {
	j := w.spec.jobs[id]
	m := w.machineOf(j.Server)
	m.mu.Lock()
	defer m.mu.Unlock()
	below := j.Target
	if j.Kind == phone.KindDelete { // of its last life too
		below++
	}
	for _, name := range sorted(m.volumes) {
		if v := m.volumes[name]; v.ref.Phone == j.Phone && v.ref.Generation < below && !v.late {
			w.fail("job %s succeeded, and the volume of %s is still there", w.nameOfJob(id), w.nameOfRef(v.ref))
		}
	}
	for _, name := range sorted(m.instances) {
		if i := m.instances[name]; i.spec.Phone == j.Phone && i.spec.Generation < below && i.excused == "" && m.volumes[volumeName(i.spec.Ref)] == nil {
			w.fail("job %s succeeded, and the instance of %s is still there", w.nameOfJob(id), w.nameOfRef(i.spec.Ref))
		}
	}
	if receipt.Phone != j.Phone || receipt.Job != j.ID || receipt.From != j.Prior || receipt.To != j.Target || receipt.Image != j.Image {
		w.fail("job %s has another's receipt: %+v", w.nameOfJob(id), receipt)
	}
	ends := j.Kind == phone.KindReset || j.Kind == phone.KindDelete
	named := j.Prior == 0 || !ends
	for _, v := range receipt.Erased {
		named = named || v.Generation == j.Prior
		if !v.Gone || v.Generation >= below {
			w.fail("job %s has a receipt with generation %d, gone %v", w.nameOfJob(id), v.Generation, v.Gone)
		}
	}
	if ends && (!named || receipt.LookedFor.IsZero()) {
		w.fail("job %s succeeded without a look for the life that it ended: %+v", w.nameOfJob(id), receipt)
	}
	if i := m.instances[instanceName(driver.Ref{Phone: j.Phone, Generation: j.Target})]; j.Kind == phone.KindStop && i != nil && i.running && i.excused == "" {
		w.fail("job %s has stopped its phone, and that runs", w.nameOfJob(id))
	}
	w.checkKept(m, j)
	if read := len(receipt.Properties); j.Kind != phone.KindStop && j.Kind != phone.KindDelete && read != len(propertiesOf(j.Properties)) {
		w.fail("job %s has %d properties, and its receipt %d", w.nameOfJob(id), len(propertiesOf(j.Properties)), len(receipt.Properties))
	}
}
