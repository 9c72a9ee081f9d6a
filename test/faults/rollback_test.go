package faults

import (
	"fmt"
	"net"
	"strconv"
	"testing"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/adb"
	"github.com/lethe-cloud/lethe/internal/simphone"
	"github.com/lethe-cloud/lethe/internal/testenv"
)

// Batches with the rollback policy in which some phones' new lives never boot, end or vanish, while replicas are killed at random
// moments, also while the old lives come back: each of those phones ends as it was, with its data, and all others in a new life.
func TestRollbackAndKills(t *testing.T) {
	t.Parallel()
	in := install(t, config{database: testenv.Postgres(t)})
	random := newRandom(t)
	images := []string{in.addImage("first", "first"), in.addImage("second", "second")}
	// The first lives boot; of some phones no later one ever does, and what is discarded goes slowly enough to be cut off.
	later := "2"
	for g := 3; g < 100; g++ {
		later += "," + strconv.Itoa(g)
	}
	fault := func(phone, effect string) string {
		return fmt.Sprintf(`{"phone":%q,"operation":"boot","effect":%q,"generations":[%s]}`, phone, effect, later)
	}
	server, h := in.simulated("rack", images[0], 12, 4, `{"boot_time":"40ms","boot_spread":0.5,"faults":[`+
		fault("rack-0001", "never")+`,`+fault("rack-0002", "exit")+`,`+fault("rack-0003", "exit")+`,`+fault("rack-0004", "vanish")+
		`,{"operation":"discard","effect":"slow","duration":"50ms"}]}`)
	server.BootTimeoutMS = 6000
	h.id = in.addServer(server)
	h.plant(t, in.phones(`server_id = $1`, h.id))
	in.hosts = append(in.hosts, h)

	left, restoring := rounds(t, 6), 0
	for batch := 1; left > 0 || restoring == 0; batch++ {
		phones := in.phones(`server_id = $1`, h.id)
		h.mark(t, phones)
		r := in.live()[random.IntN(len(in.live()))]
		in.ready(r)
		in.resetKeeping(r, images[batch%2], phones)
		for (left > 0 || restoring == 0) && in.unfinished() > 0 {
			if left%2 == 0 { // half of the kills find a phone on its way back
				eventually(t, "a phone is on its way back, or all have ended", func() bool {
					return in.count(`SELECT count(*) FROM jobs WHERE phase = 'restoring'`) > 0 || in.unfinished() == 0
				})
			} else {
				in.awaitChanges(1 + random.IntN(12))
			}
			restoring += in.count(`SELECT count(*) FROM jobs WHERE phase = 'restoring'`)
			in.killAndRestart(random)
			left--
		}
		in.settle()
		for _, p := range in.phones(`server_id = $1`, h.id) {
			want := p.name == "rack-0001" || p.name == "rack-0002" || p.name == "rack-0003" || p.name == "rack-0004"
			jobs := in.jobs(`phone_id = $1`, p.id)
			if j := jobs[len(jobs)-1]; j.rolledBack != want || p.status != 2 || want && p.generation != 1 {
				t.Errorf("phone %s is in status %d with generation %d after %s, rolled back %v: %s", p.name, p.status, p.generation, j, j.rolledBack, j.failure)
			}
		}
	}
	in.check()
}

// On Docker: the new containers of one server end while they boot, and those of another never boot.
// All phones run their old containers again, on their old volumes and adb ports; when the cause is gone they are reset.
func TestDockerRollback(t *testing.T) {
	t.Parallel()
	endpoint, reference := testenv.Docker(t), testenv.SimphoneImage(t)
	var in *installation
	purge(t, endpoint, &in)
	in = install(t, config{database: testenv.Postgres(t)})
	image := in.addImage("first", reference)
	d := newDaemon(t, endpoint)
	add := func(name string, phones int) *daemonHost {
		return in.addDocker(d, endpoint, api.AddServer{ServerName: name, PhoneCount: phones, ImageID: image, MaxConcurrentBoots: 2, Config: template()})
	}
	exits, hangs := add("exits", 2), add("hangs", 1)
	// From now on each server's new containers are as this says; the old ones are what they are, and boot within this time on a slow machine too.
	in.exec(`UPDATE servers SET config = $1 WHERE id = $2`, string(template(simphone.ArgExitCode+"=7")), exits.id)
	in.exec(`UPDATE servers SET config = $1, boot_timeout = 30000000 WHERE id = $2`, string(template(simphone.ArgHang+"="+simphone.HangBoot)), hangs.id)
	for i, h := range []*daemonHost{exits, hangs} {
		phones := in.phones(`server_id = $1`, h.id)
		h.mark(t, phones)
		in.resetKeeping(in.replicas[i], image, phones)
	}
	eventually(t, "a phone is on its way back", func() bool { return in.count(`SELECT count(*) FROM jobs WHERE phase = 'restoring'`) > 0 })
	in.killAndRestart(newRandom(t))
	in.settle()
	in.wantFailed(exits.id, map[string]string{"exits-0001": "CPS.0003", "exits-0002": "CPS.0003"})
	in.wantFailed(hangs.id, map[string]string{"hangs-0001": "CPS.0054"})
	for _, h := range []*daemonHost{exits, hangs} {
		objects := h.objects(t, in)
		for _, p := range in.phones(`server_id = $1`, h.id) {
			in.checkPhoneOnHost(p, jobRow{rolledBack: true}, objects)
			if p.status != 2 || p.generation != 1 {
				t.Errorf("phone %s is in status %d with generation %d", p.name, p.status, p.generation)
			}
			var port int
			in.row(`SELECT adb_port FROM phones WHERE id = $1`, []any{p.id}, &port)
			if err := adb.Probe(t.Context(), net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), patience); err != nil {
				t.Errorf("phone %s: its adb: %v", p.name, err)
			}
		}
	}

	in.exec(`UPDATE servers SET config = $1, boot_timeout = 300000000 WHERE id IN ($2, $3)`, string(template()), exits.id, hangs.id)
	for i, h := range []*daemonHost{exits, hangs} {
		in.resetKeeping(in.replicas[i], image, in.phones(`server_id = $1`, h.id))
	}
	in.settle()
	in.wantFailed(exits.id, nil)
	in.wantFailed(hangs.id, nil)
	in.check()
}
