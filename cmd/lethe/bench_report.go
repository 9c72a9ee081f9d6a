package main

import (
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"time"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// measurement is what was seen, before any arithmetic over all of it. Of each job only its times are kept.
type measurement struct {
	phones  map[string]int // by server id
	slots   map[string]int // by server id
	batch   int
	alone   []time.Duration // how long resets held their slot while nothing else ran
	accepts []time.Duration

	rounds    int // each a reset of all phones
	failed    int
	makespans time.Duration // of all rounds together
	// Of the resets that succeeded: from the slot to the end, from the call to the end, and by phase.
	resets, totals []time.Duration
	phases         map[phone.Phase][]time.Duration
}

// benchReport is what --json prints. Times are milliseconds.
type benchReport struct {
	Phones    int `json:"phones"`
	Servers   int `json:"servers"`
	BootSlots int `json:"boot_slots"`
	Rounds    int `json:"rounds"`
	Batch     int `json:"phones_per_call"`
	Resets    int `json:"resets"`
	Failed    int `json:"failed"`
	// Accept is the round trip of one batch-reset call.
	Accept percentiles `json:"accept_ms"`
	// Boot is the phase booting; Reset is from the boot slot to the end of the job; Total is from the call.
	Boot  percentiles `json:"boot_ms"`
	Reset percentiles `json:"reset_ms"`
	Total percentiles `json:"total_ms"`
	// Phases are in the order in which a job goes through them; phases that no job was in are left out.
	Phases []phasePercentiles `json:"phases"`
	// Slot is T: how long one phone holds a boot slot when nothing else runs, the median of a few.
	Slot float64 `json:"slot_ms"`
	// Makespan is from the first call to the last finished job, Ideal the longest ceil(phones / boot slots) x T of all servers;
	// both are means over the rounds.
	Makespan        float64 `json:"makespan_ms"`
	Ideal           float64 `json:"ideal_ms"`
	MakespanToIdeal float64 `json:"makespan_to_ideal"`
	ResetsPerSecond float64 `json:"resets_per_second"`
	// Temporary is what is known of a temporary installation only.
	Temporary *temporaryFigures `json:"temporary,omitempty"`
}

// temporaryFigures are of an installation that lives in this process.
type temporaryFigures struct {
	// Creating is from the first call that added a server to the last phone that ran.
	Creating float64 `json:"creating_ms"`
	// DatabaseBefore and DatabaseAfter are bytes: when all phones had been created, and when all resets had ended.
	DatabaseBefore int64 `json:"database_bytes_before"`
	DatabaseAfter  int64 `json:"database_bytes_after"`
	// PeakMemory is the most that this process held resident, the server and the measurement together, in bytes; 0 when the system does
	// not say.
	PeakMemory int64 `json:"peak_memory_bytes,omitempty"`
}

// percentiles of some durations, in milliseconds.
type percentiles struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	N   int     `json:"n"`
}

type phasePercentiles struct {
	Phase string `json:"phase"`
	percentiles
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// percentile is the nearest rank: the smallest value that p percent of all are not above. It sorts its argument; of none it is 0.
func percentile(all []time.Duration, p int) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[max(0, (len(all)*p+99)/100-1)]
}

func percentilesOf(all []time.Duration) percentiles {
	return percentiles{P50: millis(percentile(all, 50)), P99: millis(percentile(all, 99)), N: len(all)}
}

// probe takes in jobs that ran while nothing else did.
func (m *measurement) probe(jobs iter.Seq2[api.Job, error]) error {
	for j, err := range jobs {
		if err != nil {
			return err
		}
		if d, ok := held(j); ok && succeeded(j) {
			m.alone = append(m.alone, d)
		}
	}
	return nil
}

// round takes in the jobs of one reset of all phones, says how many they are, and passes those that did not succeed on. Only jobs that
// succeeded count in the times, but for the makespan: from the first accepted job to the last that ended, by the installation's clock.
func (m *measurement) round(jobs iter.Seq2[api.Job, error], failed func(api.Job)) (n int, err error) {
	if m.phases == nil {
		m.phases = map[phone.Phase][]time.Duration{}
	}
	var first, last time.Time
	for j, err := range jobs {
		if err != nil {
			return n, err
		}
		n++
		if first.IsZero() || j.CreateTime.Before(first) {
			first = j.CreateTime
		}
		if j.EndTime.After(last) {
			last = j.EndTime
		}
		if !succeeded(j) {
			m.failed++
			failed(j)
			continue
		}
		m.totals = append(m.totals, j.EndTime.Sub(j.CreateTime))
		m.resets = append(m.resets, j.EndTime.Sub(j.BeginTime))
		for phase, d := range phaseTimes(j) {
			m.phases[phase] = append(m.phases[phase], d)
		}
	}
	m.rounds++
	m.makespans += last.Sub(first)
	return n, nil
}

// report does the arithmetic.
func (m measurement) report() benchReport {
	r := benchReport{
		Servers: len(m.phones), Rounds: m.rounds, Batch: m.batch, Resets: len(m.totals), Failed: m.failed, Accept: percentilesOf(m.accepts),
		Boot: percentilesOf(m.phases[phone.PhaseBooting]), Reset: percentilesOf(m.resets), Total: percentilesOf(m.totals),
	}
	for server, n := range m.phones {
		r.Phones += n
		r.BootSlots += m.slots[server]
	}
	for _, phase := range phone.Phases() {
		if len(m.phases[phase]) > 0 {
			r.Phases = append(r.Phases, phasePercentiles{string(phase), percentilesOf(m.phases[phase])})
		}
	}
	slot := percentile(m.alone, 50)
	r.Slot = millis(slot)
	r.Makespan = millis(m.makespans / time.Duration(max(1, m.rounds)))
	r.Ideal = millis(m.ideal(slot))
	if r.Ideal > 0 {
		r.MakespanToIdeal = r.Makespan / r.Ideal
	}
	if m.makespans > 0 {
		r.ResetsPerSecond = float64(r.Resets) / m.makespans.Seconds()
	}
	return r
}

// held is how long a job held its boot slot: from its first phase in it to the end of booting. Unknown when it never got there.
func held(j api.Job) (time.Duration, bool) {
	var from, to time.Time
	for _, p := range j.Phases {
		switch phase := phone.Phase(p.Phase); {
		case phase.HoldsSlot() && from.IsZero():
			from = p.BeginTime
		case phase == phone.PhaseVerifying:
			to = p.BeginTime
		}
	}
	return to.Sub(from), !from.IsZero() && !to.IsZero()
}

func succeeded(j api.Job) bool { return j.Phase == string(phone.PhaseSucceeded) }

// ideal is how long a fleet takes at least whose slots are never idle, when each phone holds one for slot.
func (m measurement) ideal(slot time.Duration) time.Duration {
	var longest int
	for server, n := range m.phones {
		if slots := m.slots[server]; slots > 0 {
			longest = max(longest, (n+slots-1)/slots)
		}
	}
	return time.Duration(longest) * slot
}

// phaseTimes is how long a job was in each phase that it reached before its end; queued is from its acceptance on.
func phaseTimes(j api.Job) map[phone.Phase]time.Duration {
	times := map[phone.Phase]time.Duration{}
	begin, phase := j.CreateTime, phone.PhaseQueued
	for _, next := range j.Phases {
		if phone.Phase(next.Phase) == phone.PhaseQueued {
			continue
		}
		times[phase] += next.BeginTime.Sub(begin)
		begin, phase = next.BeginTime, phone.Phase(next.Phase)
	}
	if !phase.Final() {
		times[phase] += j.EndTime.Sub(begin)
	}
	return times
}

func (r benchReport) writeTable(w io.Writer) error {
	line := func(name string, p percentiles) []string {
		return []string{name, ms(p.P50), ms(p.P99), strconv.Itoa(p.N)}
	}
	times := table{header: []string{"TIME", "P50 MS", "P99 MS", "OF"}}
	times.rows = append(times.rows, line(fmt.Sprintf("accept a call of %d phones", r.Batch), r.Accept))
	for _, p := range r.Phases {
		times.rows = append(times.rows, line("phase "+p.Phase, p.percentiles))
	}
	times.rows = append(times.rows, line("reset, from its boot slot on", r.Reset), line("reset, from the call on", r.Total))
	if err := times.write(w); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, `
fleet     %d phones, %d servers, %d boot slots
resets    %d in %d rounds, %d failed
rate      %.1f resets per second
slot      T = %s ms: how long one phone holds a boot slot when nothing else runs
makespan  %s ms, the ideal is %s ms: %.3f
`, r.Phones, r.Servers, r.BootSlots, r.Resets, r.Rounds, r.Failed, r.ResetsPerSecond, ms(r.Slot), ms(r.Makespan), ms(r.Ideal), r.MakespanToIdeal)
	if err != nil || r.Temporary == nil {
		return err
	}
	f := r.Temporary
	memory := "unknown"
	if f.PeakMemory > 0 {
		memory = fmt.Sprintf("at most %.0f MB, server and measurement in one process", float64(f.PeakMemory)/1e6)
	}
	_, err = fmt.Fprintf(w, `created   %d phones in %s ms
database  %.1f MB with all phones, %.1f MB after all resets
memory    %s
`, r.Phones, ms(f.Creating), float64(f.DatabaseBefore)/1e6, float64(f.DatabaseAfter)/1e6, memory)
	return err
}

func ms(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }
