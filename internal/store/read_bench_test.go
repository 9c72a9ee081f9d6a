package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/store/storetest"
)

// BenchmarkReads reads a phone's detail and pages of 100 phones at growing depth, and beside the deepest a bare query that
// skips as many rows of the same covering index and reads nothing else. It reports p99s, and the ratio of the medians at depth.
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
		b.ReportMetric(millis(percentile(r.took, 99)), r.name+"-p99-ms")
	}
	b.ReportMetric(float64(medians["page-deep"])/float64(medians["bare-deep"]), "deep/bare")
	b.ReportMetric(millis(medians["page-deep"]), "page-deep-p50-ms")
	b.ReportMetric(millis(medians["bare-deep"]), "bare-deep-p50-ms")
	b.ReportMetric(0, "ns/op")
}

// percentile is the nearest rank.
func percentile(all []time.Duration, p int) time.Duration {
	slices.Sort(all)
	return all[max(0, (len(all)*p+99)/100-1)]
}
