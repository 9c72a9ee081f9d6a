package model

import (
	"context"
	"fmt"
	"strings"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Names for traces, and what of the database belongs to no transaction of the store.

func (w *world) nameOfJob(id phone.JobID) string {
	n, known := w.spec.numbers[id]
	if !known {
		return "job?"
	}
	name := fmt.Sprintf("job%d", n)
	if j := w.spec.jobs[id]; j != nil {
		name += "(" + w.names[j.Phone] + ")"
	}
	return name
}

func (w *world) nameOf(d phone.Delivery) string {
	return fmt.Sprintf("%s.%d", w.nameOfJob(d.Job), d.Attempt)
}

func (w *world) nameOfRef(ref driver.Ref) string {
	if ref.Phone == "" {
		return ""
	}
	name, known := w.names[ref.Phone]
	if !known {
		name = "stranger"
	}
	return fmt.Sprintf("%s#%d", name, ref.Generation)
}

func (w *world) nameOfServer(id phone.ServerID) string {
	for _, s := range w.servers {
		if s.ID == id {
			return s.Name
		}
	}
	return "server?"
}

func (w *world) machineOf(id phone.ServerID) *machine {
	return w.machines["memory:"+w.nameOfServer(id)]
}

// registered reads what a registration wrote.
func (w *world) registered(id phone.ReplicaID) (process string, incarnation int64, err error) {
	err = w.db.QueryRowContext(context.Background(), `SELECT process, incarnation FROM replicas WHERE id = ?`, id).Scan(&process, &incarnation)
	return process, incarnation, err
}

// fetch marks a delivery as River's worker does that fetched it.
func (w *world) fetch(l *life, d phone.Delivery) {
	w.spec.queue[d] = l.process
	w.move(`UPDATE river_job SET state = 'running', attempted_by = jsonb_array(?) WHERE args ->> 'job_id' = ? AND args ->> 'attempt' = ?`, l.process, d.Job, d.Attempt)
}

// complete takes a delivery out of the table that was worked, or puts it back when it was interrupted.
func (w *world) complete(d phone.Delivery, interrupted bool) {
	if _, there := w.spec.queue[d]; !there {
		return // it was taken back from a process that was held for dead
	}
	if interrupted {
		w.spec.queue[d] = ""
		w.move(`UPDATE river_job SET state = 'available' WHERE args ->> 'job_id' = ? AND args ->> 'attempt' = ?`, d.Job, d.Attempt)
		return
	}
	delete(w.spec.queue, d)
	w.move(`DELETE FROM river_job WHERE args ->> 'job_id' = ? AND args ->> 'attempt' = ?`, d.Job, d.Attempt)
}

func (w *world) move(query string, args ...any) {
	if _, err := w.db.ExecContext(context.Background(), query, args...); err != nil {
		w.fail("move a delivery: %v", err)
	}
	w.version = 0 // data_version does not count this connection's own writes
}

// lastLines is the end of a trace.
func lastLines(trace []string, n int) string {
	return strings.Join(trace[max(0, len(trace)-n):], "\n")
}
