package faults

import (
	"net/http"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/testenv"
)

// daemonCalls are the calls of the Docker API that change something on the way of a reset.
var daemonCalls = []string{
	`^POST /containers/create$`, `^POST /volumes/create$`, `^POST /containers/[^/]+/start$`, `^DELETE /containers/[^/]+$`, `^DELETE /volumes/[^/]+$`,
}

// A Docker daemon that answers 500, before it did anything or after it did everything ("created, but the call failed"), that hangs up on
// what it did, or that is slow, at each call that changes something: nothing fails and nothing is there twice. One that answers 500
// to everything of a kind fails the phones that need it, which say so, and not the phones of another host.
func TestDockerDaemonErrors(t *testing.T) {
	t.Parallel()
	endpoint, reference := testenv.Docker(t), testenv.SimphoneImage(t)
	var in *installation
	purge(t, endpoint, &in)
	in = install(t, config{database: embedded})
	image := in.addImage("first", reference)
	network, address := endpointParts(t, endpoint)
	socket := filepath.Join(in.root, "daemon.sock")
	m := newMeddler(t, socket, network, address)
	h := in.addDocker(newDaemon(t, endpoint), "unix://"+socket, api.AddServer{
		ServerName: "rack", PhoneCount: 2, ImageID: image, MaxConcurrentBoots: 2, Config: template(),
	})
	in.wantFailed(h.id, nil)
	neighbour := in.addSimulated("shelf", image, 4, 2, `{"boot_time":"30ms"}`)

	for range max(1, rounds(t, 1)/20) {
		for _, does := range []meddles{refuses, lies, hangsUp, dawdles} {
			var rules []*meddling
			for _, call := range daemonCalls {
				rules = append(rules, &meddling{call: regexp.MustCompile(call), does: does, times: 1})
			}
			m.meddle(rules...)
			in.resetAll(in.replicas[0], h)
			in.settle()
			in.wantFailed(h.id, nil)
			for i, r := range rules {
				if m.struck(r) != 1 {
					t.Errorf("effect %d met no call %s: this has shown nothing of it", does, daemonCalls[i])
				}
			}
		}
	}

	// For good.
	m.meddle(&meddling{call: regexp.MustCompile(`^POST /containers/create$`), does: refuses, times: -1})
	in.resetAll(in.replicas[0], h)
	in.resetAll(in.replicas[0], neighbour)
	in.settle()
	in.wantFailed(h.id, map[string]string{"rack-0001": "CPS.0003", "rack-0002": "CPS.0003"})
	in.wantFailed(neighbour.id, nil)
	for _, j := range in.jobs(`phase = 'failed'`) {
		var told struct {
			Msg string `json:"error_msg"`
		}
		in.call(in.replicas[0], http.MethodGet, "/v1/"+in.project+"/cloud-phone/jobs/"+j.id, nil, &told)
		if !regexp.MustCompile(`the daemon has a bad day`).MatchString(told.Msg) {
			t.Errorf("%s says %q, and not what its host said", j, told.Msg)
		}
	}
	m.meddle()
	in.resetAll(in.replicas[0], h)
	in.settle()
	in.wantFailed(h.id, nil)
	in.check()
}
