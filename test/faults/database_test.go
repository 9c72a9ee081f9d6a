package faults

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/testenv"
)

// notReady waits until the replica says that it is not ready, and why.
func (in *installation) notReady(r *replica) string {
	in.t.Helper()
	var said api.Error
	eventually(in.t, "a replica is not ready", func() bool {
		got, err := in.send(r, http.MethodGet, "/readyz", "", nil)
		if err != nil || got.status == http.StatusOK {
			return false
		}
		if got.status != http.StatusServiceUnavailable || json.Unmarshal(got.body, &said) != nil || said.Msg == "" {
			in.t.Fatalf("readyz answers %d %s", got.status, got.body)
		}
		return true
	})
	return said.Msg
}

// PostgreSQL that crashes in the middle of a batch, and comes back at once or only after every lease has run out: no process ends,
// every replica says that it is not ready and then that it is, and the batch goes on where it was.
func TestDatabaseCrashes(t *testing.T) {
	t.Parallel()
	server := newPostgres(t)
	in := install(t, config{database: server.url})
	random := newRandom(t)
	image := in.addImage("first", "first")
	h := in.addSimulated("rack", image, 12, 4, `{"boot_time":"60ms","boot_spread":0.5,"faults":[{"operation":"erase","effect":"slow","duration":"20ms"}]}`)
	crash := func(away time.Duration) {
		t.Helper()
		in.resetAll(in.replicas[random.IntN(len(in.replicas))], h)
		in.awaitChanges(1 + random.IntN(15))
		server.crash()
		for _, r := range in.replicas {
			said := in.notReady(r)
			if !strings.Contains(said, "database") && !strings.Contains(said, "lease") {
				t.Errorf("a replica without its database says %q", said)
			}
		}
		if _, err := in.tryReset(in.replicas[0], "", in.lost(h)); err == nil {
			t.Error("a reset was accepted without a database")
		}
		time.Sleep(away) // how long the database is away is what this is about, and nothing is waited for
		server.start()
		back := time.Now()
		for _, r := range in.replicas {
			in.ready(r)
		}
		t.Logf("all replicas were ready %s after the database", time.Since(back).Round(time.Millisecond))
		in.settle()
		t.Logf("the batch had ended after %s", time.Since(back).Round(time.Millisecond))
	}
	for range rounds(t, 2) {
		crash(time.Duration(random.IntN(1500)) * time.Millisecond)
	}
	crash(12 * time.Second) // longer than a lease
	in.wantFailed(h.id, nil)
	in.check()
}

// lost gives a phone for a call of which nothing is expected: the database cannot be asked.
func (in *installation) lost(host) []phoneRow {
	for _, id := range in.accepted {
		return []phoneRow{{id: id}}
	}
	return nil
}

// resetThroughFaults is resetAll where a call may meet a connection that was cut: it is refused, or accepted without an answer.
// Then it is made again, as a client would, when the phones are free.
func (in *installation) resetThroughFaults(r *replica, h host) {
	in.t.Helper()
	eventually(in.t, "a reset is accepted", func() bool {
		in.settle()
		phones := in.phones(`server_id = $1`, h.server())
		h.mark(in.t, phones)
		_, err := in.tryReset(r, "", phones)
		if err != nil {
			in.t.Logf("not accepted: %v", err)
		}
		return err == nil
	})
}

// gated gives, for a database, a gate in front of it and the URL that leads through it.
func gated(t testing.TB, database string) (*gate, string) {
	t.Helper()
	c, err := pgx.ParseConfig(database)
	if err != nil {
		t.Fatal(err)
	}
	network, address := pgconn.NetworkAddress(c.Host, c.Port)
	g := newGate(t, "tcp", "127.0.0.1:0", network, address)
	through := url.URL{Scheme: "postgres", User: url.User(c.User), Host: g.address(), Path: "/" + c.Database, RawQuery: "sslmode=disable"}
	if c.Password != "" {
		through.User = url.UserPassword(c.User, c.Password)
	}
	return g, through.String()
}

// Connections to the database that are slow, are cut at random moments, and at last let nothing through for one replica until
// its lease has run out: that one stops by itself, the others go on with its jobs, and when it can speak again it works again.
func TestDatabaseConnections(t *testing.T) {
	t.Parallel()
	database := testenv.Postgres(t)
	var gates []*gate
	var urls []string
	for range 3 {
		g, through := gated(t, database)
		gates, urls = append(gates, g), append(urls, through)
	}
	in := install(t, config{database: database, serve: urls})
	random := newRandom(t)
	image := in.addImage("first", "first")
	h := in.addSimulated("rack", image, 12, 6, `{"boot_time":"50ms","boot_spread":0.5}`)
	for range rounds(t, 3) {
		for _, g := range gates {
			g.slow(time.Duration(random.IntN(4)) * time.Millisecond)
			g.rough(time.Duration(random.IntN(4))*time.Millisecond, 256<<random.IntN(5))
		}
		in.resetThroughFaults(in.replicas[random.IntN(len(in.replicas))], h)
		for range 4 {
			in.awaitChanges(1 + random.IntN(6))
			g := gates[random.IntN(len(gates))]
			g.refuse(true)
			if random.IntN(2) == 0 {
				g.cut()
			} else {
				g.reset()
			}
			time.Sleep(time.Duration(random.IntN(400)) * time.Millisecond) // for how long the database is out of its reach
			g.refuse(false)
		}
		healed := time.Now()
		in.settle()
		t.Logf("a batch whose connections were cut had ended %s after the last cut", time.Since(healed).Round(time.Millisecond))
	}
	for _, g := range gates {
		g.slow(0)
		g.rough(0, 0)
	}

	// One replica in the dark.
	in.exec(`UPDATE servers SET config = '{"boot_time":"800ms"}' WHERE id = $1`, h.id)
	in.resetThroughFaults(in.replicas[0], h)
	lone := in.awaitOwner(1)
	var g *gate
	for i, r := range in.replicas {
		if r == lone {
			g = gates[i]
		}
	}
	g.hang(true)
	dark := time.Now()
	owned := in.owns(lone)
	in.notReady(lone)
	t.Logf("a replica that reached its database no more said so after %s", time.Since(dark).Round(time.Millisecond))
	eventually(t, "its jobs are taken over", func() bool { return in.owns(lone) == 0 })
	t.Logf("its %d jobs were taken over after %s", owned, time.Since(dark).Round(time.Millisecond))
	in.settle()
	before := h.tree(t)
	g.hang(false)
	light := time.Now()
	in.ready(lone)
	t.Logf("it was ready again %s after it could reach the database", time.Since(light).Round(time.Millisecond))
	for path, was := range before {
		if now := h.tree(t)[path]; now != was {
			t.Errorf("I3: a replica that came back from the dark changed %s", path)
		}
	}
	in.resetAll(lone, h)
	in.check()
}
