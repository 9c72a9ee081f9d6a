package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/store/storetest"
)

// BenchmarkReads reads a phone's detail and pages of 100 phones at growing depth, by offset and from place to place, and beside the
// deepest by offset a bare query that skips as many rows of the same covering index and reads nothing else. It reports p99s, the
// ratio of the medians at depth, and how long it takes to search all phones for a part of a name or a status that none has.
func BenchmarkReads(b *testing.B) {
	b.Run(fmt.Sprintf("phones=%d", *benchFleet), func(b *testing.B) { onBoth(b, benchmarkReads) })
}

func benchmarkReads(b *testing.B, f storetest.Fixture) {
	n := *benchFleet
	fill(b, f, n)
	deep := n * 9 / 10
	bare, err := f.DB.Prepare(`SELECT id FROM phones WHERE project_id = $1 ORDER BY created_at DESC, id LIMIT 100 OFFSET ` + fmt.Sprint(deep))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = bare.Close() })
	page := func(offset int) func() error {
		return func() error {
			phones, total, err := f.Phones(b.Context(), fleet.PhoneFilter{Project: f.Project(0), Offset: offset, Limit: 100})
			if err == nil && (len(phones) != 100 || total != n) {
				err = fmt.Errorf("%d phones of %d", len(phones), total)
			}
			return err
		}
	}
	after := func(place fleet.Place, filter fleet.PhoneFilter, want int) func() error {
		filter.Project, filter.Limit = f.Project(0), 100
		return func() error {
			phones, next, err := f.PhonesAfter(b.Context(), filter, place)
			if err == nil && (len(phones) != want || next == nil && want == 100 && filter.Server == "") {
				err = fmt.Errorf("%d phones, next %v", len(phones), next)
			}
			return err
		}
	}
	at := func(offset int) fleet.Place {
		phones, _, err := f.Phones(b.Context(), fleet.PhoneFilter{Project: f.Project(0), Offset: offset, Limit: 1})
		if err != nil {
			b.Fatal(err)
		}
		return fleet.PlaceOfPhone(phones[0])
	}
	running, failed := phone.StatusRunning, phone.StatusResetFailed
	next := 0
	reads := []struct {
		name  string
		do    func() error
		every int // it is slow and so done only every so many rounds
		took  []time.Duration
	}{
		{"detail", func() error {
			next = (next + 7919) % n
			_, err := f.Phone(b.Context(), f.Project(0), storetest.FilledPhone(next))
			return err
		}, 1, nil},
		{"page-at-0", page(0), 1, nil},
		{"page-at-10000", page(10_000), 1, nil},
		{"page-deep", page(deep), 10, nil},
		{"after-0", after(fleet.Place{}, fleet.PhoneFilter{}, 100), 1, nil},
		{"after-half", after(at(n/2), fleet.PhoneFilter{}, 100), 1, nil},
		{"after-deep", after(at(deep), fleet.PhoneFilter{}, 100), 1, nil},
		{"after-of-server", after(fleet.Place{}, fleet.PhoneFilter{Server: storetest.FilledServer(n / phonesEach / 2)}, phonesEach), 1, nil},
		{"after-running", after(at(deep), fleet.PhoneFilter{Status: &running}, 100), 1, nil},
		{"after-failed", after(at(n/2), fleet.PhoneFilter{Status: &failed}, 0), 1, nil},
		{"after-named", after(at(n/2), fleet.PhoneFilter{Name: "filled-"}, 100), 1, nil},
		{"after-unnamed", after(at(n/2), fleet.PhoneFilter{Name: "-nobody"}, 0), 1, nil},
		{"bare-deep", func() error {
			rows, err := bare.Query(f.Project(0))
			if err != nil {
				return err
			}
			defer func() { _ = rows.Close() }()
			for rows.Next() {
				var id string
				if err := rows.Scan(&id); err != nil {
					return err
				}
			}
			return rows.Err()
		}, 10, nil},
	}
	const rounds = 300
	b.ResetTimer()
	for b.Loop() {
		for round := range rounds {
			for i := range reads {
				r := &reads[i]
				if round%r.every != 0 {
					continue
				}
				r.took = append(r.took, measure(func() {
					if err := r.do(); err != nil {
						b.Fatal(r.name, err)
					}
				}))
			}
		}
	}
	medians := map[string]time.Duration{}
	for _, r := range reads {
		medians[r.name] = median(r.took)
		b.ReportMetric(millis(medians[r.name]), r.name+"-p50-ms")
		b.ReportMetric(millis(percentile(r.took, 99)), r.name+"-p99-ms")
	}
	for name, filter := range map[string]fleet.PhoneFilter{"search-name": {Name: "-nobody"}, "search-failed": {Status: &failed}} {
		b.ReportMetric(millis(measure(func() { searchAll(b, f, filter) })), name+"-ms")
	}
	b.ReportMetric(float64(medians["page-deep"])/float64(medians["bare-deep"]), "deep/bare")
	b.ReportMetric(0, "ns/op")
}

// searchAll goes from place to place through the whole list.
func searchAll(b *testing.B, f storetest.Fixture, filter fleet.PhoneFilter) {
	filter.Project, filter.Limit = f.Project(0), 100
	for place := (fleet.Place{}); ; {
		_, next, err := f.PhonesAfter(b.Context(), filter, place)
		if err != nil {
			b.Fatal(err)
		}
		if next == nil {
			return
		}
		place = *next
	}
}

// percentile is the nearest rank.
func percentile(all []time.Duration, p int) time.Duration {
	slices.Sort(all)
	return all[max(0, (len(all)*p+99)/100-1)]
}
