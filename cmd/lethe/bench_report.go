package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// measurement is what was seen, before any arithmetic.
type measurement struct {
	phones  map[string]int // by server id
	slots   map[string]int // by server id
	batch   int
	alone   []api.Job // of resets while nothing else ran
	accepts []time.Duration
	rounds  [][]api.Job // each a reset of all phones
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

// report does the arithmetic. Only jobs that succeeded count in the times.
func (m measurement) report() benchReport {
	r := benchReport{Servers: len(m.phones), Rounds: len(m.rounds), Batch: m.batch, Accept: percentilesOf(m.accepts)}
	for server, n := range m.phones {
		r.Phones += n
		r.BootSlots += m.slots[server]
	}
	var alone, resets, totals []time.Duration
	for _, j := range m.alone {
		if d, ok := held(j); ok && succeeded(j) {
			alone = append(alone, d)
		}
	}
	phases := map[phone.Phase][]time.Duration{}
	var makespans time.Duration
	for _, jobs := range m.rounds {
		makespans += makespan(jobs)
		for _, j := range jobs {
			if !succeeded(j) {
				r.Failed++
				continue
			}
			r.Resets++
			totals = append(totals, j.EndTime.Sub(j.CreateTime))
			resets = append(resets, j.EndTime.Sub(j.BeginTime))
			for phase, d := range phaseTimes(j) {
				phases[phase] = append(phases[phase], d)
			}
		}
	}
	r.Boot, r.Reset, r.Total = percentilesOf(phases[phone.PhaseBooting]), percentilesOf(resets), percentilesOf(totals)
	for _, phase := range phone.Phases() {
		if len(phases[phase]) > 0 {
			r.Phases = append(r.Phases, phasePercentiles{string(phase), percentilesOf(phases[phase])})
		}
	}
	slot := percentile(alone, 50)
	r.Slot = millis(slot)
	r.Makespan = millis(makespans / time.Duration(max(1, len(m.rounds))))
	r.Ideal = millis(m.ideal(slot))
	if r.Ideal > 0 {
		r.MakespanToIdeal = r.Makespan / r.Ideal
	}
	if makespans > 0 {
		r.ResetsPerSecond = float64(r.Resets) / makespans.Seconds()
	}
	return r
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

// makespan is from the first accepted job to the last that ended, by the installation's clock.
func makespan(jobs []api.Job) time.Duration {
	if len(jobs) == 0 {
		return 0
	}
	first, last := jobs[0].CreateTime, jobs[0].EndTime
	for _, j := range jobs[1:] {
		if j.CreateTime.Before(first) {
			first = j.CreateTime
		}
		if j.EndTime.After(last) {
			last = j.EndTime
		}
	}
	return last.Sub(first)
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
	return err
}

func ms(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }
