package store

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// Each type of row has one list of columns and one function that scans them, in the same order.
const (
	phoneColumns     = "id, name, project_id, server_id, model, image_id, status, generation, last_generation, properties, adb_port, cause, created_at, updated_at"
	serverColumns    = "id, name, project_id, driver, endpoint, config, image_label, model, phone_model, status, max_concurrent_boots, boot_timeout, port_base, capacity, created_at, updated_at, doing, pool_host, keypair"
	serverJobColumns = "id, request_id, project_id, server_id, kind, phones, emptied_at, failure, receipt, created_at, ended_at, output"
	imageColumns     = "id, name, project_id, label, os_name, reference, created_at"
	requestColumns   = "id, project_id, kind, caller, refused, pace, stopped, created_at"
	jobColumns       = "id, request_id, project_id, phone_id, server_id, kind, phase, erase, target, prior, prior_status, prior_image, image_id, properties, factory, rollback, rolled_back, " +
		"attempt, owner, failure, receipt, paced, created_at, queued_at, started_at, preparing_at, stopping_at, deleting_at, working_at, removing_at, creating_at, booting_at, verifying_at, restoring_at, ended_at, begun, output"
)

// columns qualifies a list of columns with a table's alias.
func columns(alias, list string) string {
	return alias + "." + strings.ReplaceAll(list, ", ", ", "+alias+".")
}

// phoneRow collects a phone's columns.
type phoneRow struct {
	p                phone.Phone
	properties       string
	created, updated int64
}

func (r *phoneRow) into() []any {
	p := &r.p
	return []any{&p.ID, &p.Name, &p.Project, &p.Server, &p.Model, &p.Image, &p.Status, &p.Generation, &p.LastGeneration, &r.properties, &p.ADBPort, &p.Cause, &r.created, &r.updated}
}

func (r *phoneRow) phone() (phone.Phone, error) {
	r.p.CreatedAt, r.p.UpdatedAt = timeOf(r.created), timeOf(r.updated)
	if r.p.Status == phone.StatusResetting {
		r.p.Cause = "" // kept in the row for a job that gives the phone back as it was
	}
	err := fromJSON(r.properties, &r.p.Properties)
	return r.p, err
}

func scanPhone(row scanner) (phone.Phone, error) {
	var r phoneRow
	if err := row.Scan(r.into()...); err != nil {
		return phone.Phone{}, err
	}
	return r.phone()
}

// serverRow collects a server's columns.
type serverRow struct {
	s                         phone.Server
	config                    string
	timeout, created, updated int64
}

func (r *serverRow) into() []any {
	s := &r.s
	return []any{&s.ID, &s.Name, &s.Project, &s.Driver, &s.Endpoint, &r.config, &s.ImageLabel, &s.Model, &s.PhoneModel, &s.Status, &s.MaxConcurrentBoots, &r.timeout, &s.PortBase, &s.Capacity, &r.created, &r.updated, &s.Doing, &s.PoolHost, &s.Keypair}
}

func (r *serverRow) server() phone.Server {
	if r.config != "" {
		r.s.Config = []byte(r.config)
	}
	r.s.BootTimeout = time.Duration(r.timeout) * time.Microsecond
	r.s.CreatedAt, r.s.UpdatedAt = timeOf(r.created), timeOf(r.updated)
	return r.s
}

func scanServer(row scanner) (phone.Server, error) {
	var r serverRow
	err := row.Scan(r.into()...)
	return r.server(), err
}

// imageRow collects an image's columns.
type imageRow struct {
	i       phone.Image
	created int64
}

func (r *imageRow) into() []any {
	i := &r.i
	return []any{&i.ID, &i.Name, &i.Project, &i.Label, &i.OSName, &i.Reference, &r.created}
}

func (r *imageRow) image() phone.Image {
	r.i.CreatedAt = timeOf(r.created)
	return r.i
}

func scanImage(row scanner) (phone.Image, error) {
	var r imageRow
	err := row.Scan(r.into()...)
	return r.image(), err
}

func scanRequest(row scanner) (phone.Request, error) {
	var r phone.Request
	var pace, stopped *string
	var created int64
	if err := row.Scan(&r.ID, &r.Project, &r.Kind, &r.Caller, &r.Refused, &pace, &stopped, &created); err != nil {
		return r, err
	}
	r.CreatedAt = timeOf(created)
	if pace != nil {
		if err := fromJSON(*pace, &r.Pace); err != nil {
			return r, err
		}
	}
	if stopped == nil {
		return r, nil
	}
	return r, fromJSON(*stopped, &r.Stopped)
}

// jobRow collects a job's columns.
type jobRow struct {
	j                       phone.Job
	properties              string
	owner, failure, receipt *string
	paced                   bool
	created                 int64
	queued, started, ended  *int64
	preparing, removing     *int64
	stopping, deleting      *int64
	working                 *int64
	creating, booting       *int64
	verifying, restoring    *int64
}

func (r *jobRow) into() []any {
	j := &r.j
	return []any{
		&j.ID, &j.Request, &j.Project, &j.Phone, &j.Server, &j.Kind, &j.Phase, &j.Erase, &j.Target, &j.Prior, &j.PriorStatus, &j.PriorImage, &j.Image, &r.properties, &j.Factory, &j.Rollback, &j.RolledBack,
		&j.Attempt, &r.owner, &r.failure, &r.receipt, &r.paced, &r.created, &r.queued, &r.started, &r.preparing, &r.stopping, &r.deleting, &r.working, &r.removing, &r.creating, &r.booting, &r.verifying, &r.restoring, &r.ended, &j.Begun, &j.Output,
	}
}

// accepted is the beginning of the first phases: of a job that the pace of its request holds, or held, being let go is one.
func (r *jobRow) accepted() map[phone.Phase]time.Time {
	switch created := timeOf(r.created); {
	case !r.paced || r.queued != nil && *r.queued == r.created:
		return map[phone.Phase]time.Time{phone.PhaseQueued: created}
	case r.queued == nil:
		return map[phone.Phase]time.Time{phone.PhaseHeld: created}
	default:
		return map[phone.Phase]time.Time{phone.PhaseHeld: created, phone.PhaseQueued: timeOf(*r.queued)}
	}
}

func (r *jobRow) job() (phone.Job, error) {
	j := &r.j
	j.CreatedAt = timeOf(r.created)
	j.PhaseAt = r.accepted()
	for phase, at := range map[phone.Phase]*int64{
		phone.PhasePreparing: r.preparing, phone.PhaseStopping: r.stopping, phone.PhaseDeleting: r.deleting, phone.PhaseWorking: r.working, phone.PhaseRemoving: r.removing, phone.PhaseCreating: r.creating,
		phone.PhaseBooting: r.booting, phone.PhaseVerifying: r.verifying, phone.PhaseRestoring: r.restoring,
	} {
		if at != nil {
			j.PhaseAt[phase] = timeOf(*at)
		}
	}
	if r.started != nil {
		j.StartedAt = timeOf(*r.started)
	}
	if r.ended != nil {
		j.EndedAt = timeOf(*r.ended)
		j.PhaseAt[j.Phase] = j.EndedAt
	}
	if r.owner != nil {
		j.Owner = phone.ReplicaID(*r.owner)
	}
	if r.failure != nil {
		if err := fromJSON(*r.failure, &j.Failure); err != nil {
			return *j, err
		}
	}
	if r.receipt != nil {
		if err := fromJSON(*r.receipt, &j.Receipt); err != nil {
			return *j, err
		}
	}
	err := fromJSON(r.properties, &j.Properties)
	return *j, err
}

func scanJob(row scanner) (phone.Job, error) {
	var r jobRow
	if err := row.Scan(r.into()...); err != nil {
		return phone.Job{}, err
	}
	return r.job()
}

// serverJobRow collects the columns of a server's job.
type serverJobRow struct {
	j                phone.ServerJob
	emptied, ended   *int64
	failure, receipt *string
	created          int64
	output           string
}

func (r *serverJobRow) into() []any {
	j := &r.j
	return []any{&j.ID, &j.Request, &j.Project, &j.Server, &j.Kind, &j.Phones, &r.emptied, &r.failure, &r.receipt, &r.created, &r.ended, &r.output}
}

func (r *serverJobRow) job() (phone.ServerJob, error) {
	j := r.j
	j.CreatedAt = timeOf(r.created)
	if r.emptied != nil {
		j.EmptiedAt = timeOf(*r.emptied)
	}
	if r.ended != nil {
		j.EndedAt = timeOf(*r.ended)
	}
	if j.Kind == phone.KindShareList && r.output != "" {
		if err := fromJSON(r.output, &j.Listing); err != nil {
			return j, err
		}
	} else {
		j.Output = r.output
	}
	if r.failure != nil {
		if err := fromJSON(*r.failure, &j.Failure); err != nil {
			return j, err
		}
	}
	if r.receipt == nil {
		return j, nil
	}
	return j, fromJSON(*r.receipt, &j.Receipt)
}

// scanServerJob reads a row of server_jobs.
func scanServerJob(row scanner) (phone.ServerJob, error) {
	var r serverJobRow
	if err := row.Scan(r.into()...); err != nil {
		return phone.ServerJob{}, err
	}
	return r.job()
}

func scanAssignment(row scanner) (phone.Assignment, error) {
	var (
		a      phone.Assignment
		j      jobRow
		p      phoneRow
		s      serverRow
		i      imageRow
		erased *string
		task   string
	)
	into := append(append(append(append(j.into(), p.into()...), s.into()...), i.into()...), &a.Identity.ID, &a.Identity.Digest, &erased, &task)
	err := row.Scan(into...)
	if err != nil {
		return a, err
	}
	if a.Job, err = j.job(); err != nil {
		return a, err
	}
	if a.Phone, err = p.phone(); err != nil {
		return a, err
	}
	a.Server, a.Image = s.server(), i.image()
	if task != "" {
		if err := fromJSON(task, &a.Task); err != nil {
			return a, err
		}
	}
	if erased != nil {
		var e erasure
		if err := fromJSON(*erased, &e); err != nil {
			return a, err
		}
		a.Job.Receipt = &phone.Receipt{Erased: e.Volumes, LookedFor: e.LookedFor}
	}
	return a, nil
}

// fromJSON reads a column that this package wrote. The error never holds the text: it may have property values in it.
func fromJSON(text string, into any) error {
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return fmt.Errorf("a JSON column holds no %T: %w", into, err)
	}
	return nil
}
