package faults

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lethe-cloud/lethe/internal/testenv"
)

// wantFailed fails the test unless the last job of each phone named here has failed with that code, and says to its caller why
// and what to do; every other phone of the server has to run.
func (in *installation) wantFailed(server string, codes map[string]string) {
	in.t.Helper()
	for _, p := range in.phones(`server_id = $1`, server) {
		last := in.jobs(`phone_id = $1 AND seq = (SELECT max(seq) FROM jobs WHERE phone_id = $1)`, p.id)[0]
		var told struct {
			Status  int    `json:"status"`
			Code    string `json:"error_code"`
			Msg     string `json:"error_msg"`
			Execute string `json:"execute_msg"`
		}
		in.call(in.live()[0], http.MethodGet, "/v1/"+in.project+"/cloud-phone/jobs/"+last.id, nil, &told)
		code, fails := codes[p.name]
		switch {
		case !fails:
			if told.Status != 2 || p.status != 2 {
				in.t.Errorf("phone %s is in status %d and its job in %d %s %q: it had no fault", p.name, p.status, told.Status, told.Code, told.Execute)
			}
		case told.Status != -1 || told.Code != code || told.Msg == "" || !strings.Contains(told.Execute, "reset the phone again"):
			in.t.Errorf("phone %s: status %d, code %q, msg %q, execute_msg %q; want -1, %s, why, and what to do", p.name, told.Status, told.Code, told.Msg, told.Execute, code)
		default:
			in.t.Logf("phone %s: %s %s | %s", p.name, told.Code, told.Msg, told.Execute)
		}
	}
}

// faults writes the host's script of faults; "" removes it.
func (h *folderHost) faults(t testing.TB, script string) {
	t.Helper()
	path := filepath.Join(h.dir, "faults.json")
	if script == "" {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		return
	}
	if err := os.WriteFile(path+".new", []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// away takes the host's folder away, or brings it back.
func (h *folderHost) away(t testing.TB, gone bool) {
	t.Helper()
	from, to := h.dir, h.dir+".away"
	if !gone {
		from, to = to, from
	}
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// named gives those of the phones whose names are among these.
func named(phones []phoneRow, names map[string]string) []phoneRow {
	var some []phoneRow
	for _, p := range phones {
		if _, ok := names[p.name]; ok {
			some = append(some, p)
		}
	}
	return some
}

// A phone that exits, hangs or vanishes while it boots, or whose old volume cannot be removed, fails by itself: it says why and
// what to do, its neighbours run, and when the cause is gone it is reset like any other.
func TestPhonesThatFail(t *testing.T) {
	t.Parallel()
	in := install(t, config{database: testenv.Postgres(t), flags: []string{"--boot-timeout", "6s"}})
	image, missing := in.addImage("first", "first"), in.addImage("ghost", "ghost")
	h := in.addSimulated("rack", image, 10, 3, `{"boot_time":"30ms","missing_images":["ghost"]}`)
	bad := map[string]string{"rack-0001": "CPS.0003", "rack-0002": "CPS.0054", "rack-0003": "CPS.0003", "rack-0004": "CPS.0003"}
	phones := in.phones(`server_id = $1`, h.id)
	h.mark(t, phones)
	// The third by its id: a simulated host knows a phone's name only while it has an instance, which an erasure need not find.
	h.faults(t, `[
		{"phone":"rack-0001","operation":"boot","effect":"exit","exit_code":77},
		{"phone":"rack-0002","operation":"boot","effect":"never"},
		{"phone":"`+phones[2].id+`","operation":"erase","effect":"fail"},
		{"phone":"rack-0004","operation":"boot","effect":"vanish"}]`)
	in.reset(in.replicas[0], "", phones)
	in.settle()
	in.wantFailed(h.id, bad)
	h.faults(t, "")
	in.reset(in.replicas[1], "", named(phones, bad))
	in.settle()
	in.wantFailed(h.id, nil)

	// An image that the host cannot get fails those who want it, and nobody else.
	bad = map[string]string{"rack-0005": "CPS.0166", "rack-0006": "CPS.0166"}
	phones = in.phones(`server_id = $1`, h.id)
	h.mark(t, phones)
	wanting := named(phones, bad)
	var others []phoneRow
	for _, p := range phones {
		if _, ok := bad[p.name]; !ok {
			others = append(others, p)
		}
	}
	in.reset(in.replicas[2], missing, wanting)
	in.reset(in.replicas[0], image, others)
	in.settle()
	in.wantFailed(h.id, bad)
	in.reset(in.replicas[1], image, wanting)
	in.settle()
	in.wantFailed(h.id, nil)
	in.check()
}

// A host that disappears in the middle of a batch and comes back: its jobs wait and go on; another host's never notice.
func TestHostThatComesBack(t *testing.T) {
	t.Parallel()
	in := install(t, config{database: testenv.Postgres(t)})
	random := newRandom(t)
	image := in.addImage("first", "first")
	h := in.addSimulated("rack", image, 8, 3, `{"boot_time":"60ms"}`)
	neighbour := in.addSimulated("shelf", image, 8, 3, `{"boot_time":"30ms"}`)
	for range rounds(t, 2) {
		phones := in.phones(`server_id = $1`, h.id)
		h.mark(t, phones)
		in.reset(in.replicas[0], "", phones)
		in.awaitChanges(1 + random.IntN(10))
		h.away(t, true)
		in.resetAll(in.replicas[1], neighbour)
		eventually(t, "a neighbour's jobs end while a host is away", func() bool {
			return in.count(`SELECT count(*) FROM jobs WHERE ended_at IS NULL AND server_id = $1`, neighbour.id) == 0
		})
		h.away(t, false)
		in.settle()
		in.wantFailed(h.id, nil)
		in.wantFailed(neighbour.id, nil)
	}
	in.check()
}

// A host that stays away for longer than the operator waits: its jobs fail and say so, and when it is back they are reset again.
func TestHostThatStaysAway(t *testing.T) {
	t.Parallel()
	in := install(t, config{database: testenv.Postgres(t), flags: []string{"--host-deadline", "1s"}})
	image := in.addImage("first", "first")
	h := in.addSimulated("rack", image, 6, 3, `{"boot_time":"30ms"}`)
	neighbour := in.addSimulated("shelf", image, 6, 3, `{"boot_time":"30ms"}`)
	phones := in.phones(`server_id = $1`, h.id)
	h.mark(t, phones)
	h.away(t, true)
	in.reset(in.replicas[0], "", phones)
	in.resetAll(in.replicas[1], neighbour)
	in.settle()
	gone := map[string]string{}
	for _, p := range phones {
		gone[p.name] = "CPS.0099"
	}
	in.wantFailed(h.id, gone)
	in.wantFailed(neighbour.id, nil)
	h.away(t, false)
	in.resetAll(in.replicas[2], h)
	in.settle()
	in.wantFailed(h.id, nil)
	in.check()
}

// resetAll resets every phone of a host, each with data in it that must not be there afterwards.
func (in *installation) resetAll(r *replica, h host) {
	in.t.Helper()
	phones := in.phones(`server_id = $1`, h.server())
	h.mark(in.t, phones)
	in.reset(r, "", phones)
}
