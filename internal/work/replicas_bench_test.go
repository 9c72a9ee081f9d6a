package work_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/store"
	"github.com/lethe-cloud/lethe/internal/store/storetest"
	"github.com/lethe-cloud/lethe/internal/testenv"
	"github.com/lethe-cloud/lethe/internal/work"
)

// replicaDatabase names the database of a process that is a replica of BenchmarkReplicas and nothing else.
const replicaDatabase = "LETHE_BENCH_REPLICA_DATABASE"

func TestMain(m *testing.M) {
	if url := os.Getenv(replicaDatabase); url != "" {
		if err := benchReplica(url); err != nil {
			fmt.Fprintln(os.Stderr, "replica:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// benchReplica opens the database, says so, works from the first line on stdin on, and ends with stdin.
func benchReplica(url string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s, err := store.Open(ctx, store.Config{URL: url})
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	fmt.Println("open")
	in := bufio.NewReader(os.Stdin)
	if _, err := in.ReadString('\n'); err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, in)
		cancel()
	}()
	return work.New(work.Config{
		Store: s, Queue: s, Hosts: freeHost{}, Replica: phone.NewID[phone.ReplicaID](), Logger: slog.New(slog.DiscardHandler),
	}).Run(ctx)
}

// BenchmarkReplicas works the same number of accepted resets with one, two and four processes on one PostgreSQL, whose hosts cost
// nothing: what a further replica brings where the database is the limit, and what it costs.
func BenchmarkReplicas(b *testing.B) {
	f := storetest.Open(b, testenv.Postgres(b))
	fleet := newBenchFleet(b, f, f.Image(b).ID, *benchJobs/benchServers, 10)
	sizes := []int{1, 2, 4}
	rates := map[int][]float64{}
	for b.Loop() {
		for range *benchRounds {
			for _, n := range sizes {
				b.StopTimer()
				replicas := startReplicas(b, f.URL, n)
				fleet.accept(b)
				b.StartTimer()
				rates[n] = append(rates[n], rate(func() {
					for _, r := range replicas {
						r.begin(b)
					}
					untilFinished(b, f)
				}))
				b.StopTimer()
				for _, r := range replicas {
					r.end(b)
				}
				b.StartTimer()
			}
		}
	}
	one := middle(rates[1])
	for _, n := range sizes {
		b.ReportMetric(middle(rates[n]), fmt.Sprintf("jobs/s-with-%d", n))
		if n > 1 {
			b.ReportMetric(middle(rates[n])/one, fmt.Sprintf("%d/1", n))
		}
	}
	b.ReportMetric(0, "ns/op")
}

// replicaProcess is one process that works.
type replicaProcess struct {
	cmd *exec.Cmd
	in  io.WriteCloser
}

// startReplicas gives processes that have opened the database and wait.
func startReplicas(b *testing.B, url string, n int) []replicaProcess {
	b.Helper()
	var all []replicaProcess
	for range n {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), replicaDatabase+"="+url)
		cmd.Stderr = os.Stderr
		in, err := cmd.StdinPipe()
		if err != nil {
			b.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = cmd.Process.Kill() }) // it has ended long before, unless the benchmark failed
		if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "open\n" {
			b.Fatalf("a replica said %q, %v", line, err)
		}
		all = append(all, replicaProcess{cmd: cmd, in: in})
	}
	return all
}

func (r replicaProcess) begin(b *testing.B) {
	b.Helper()
	if _, err := io.WriteString(r.in, "work\n"); err != nil {
		b.Fatal(err)
	}
}

func (r replicaProcess) end(b *testing.B) {
	b.Helper()
	if err := r.in.Close(); err != nil {
		b.Fatal(err)
	}
	if err := r.cmd.Wait(); err != nil {
		b.Fatal("a replica: ", err)
	}
}

// untilFinished waits until no job is unfinished, and sees that none has failed.
func untilFinished(b *testing.B, f storetest.Fixture) {
	b.Helper()
	count := func(query string) (n int) {
		if err := f.DB.QueryRow(query).Scan(&n); err != nil {
			b.Fatal(err)
		}
		return n
	}
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if count(`SELECT count(*) FROM (SELECT 1 FROM jobs WHERE stage <> 'ended' LIMIT 1) AS unfinished`) == 0 {
			break
		}
		if time.Now().After(deadline) {
			b.Fatal("not all jobs are finished after 3 minutes")
		}
	}
	if n := count(`SELECT count(*) FROM jobs WHERE phase IN ('failed', 'cancelled')`); n > 0 {
		b.Fatalf("%d jobs failed", n)
	}
}
