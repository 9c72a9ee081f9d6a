package e2e

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/testenv"
)

// A process that is killed again and again in the middle of one batch loses no job, runs none twice, and leaves nothing behind
// on the host: on both databases, with both drivers.
func TestKillInTheMiddleOfABatch(t *testing.T) {
	t.Parallel()
	databases := map[string]func(*testing.T) string{
		"sqlite":   func(*testing.T) string { return "" },
		"postgres": func(t *testing.T) string { return testenv.Postgres(t) },
	}
	hosts := map[string]func(*testing.T) fleetHost{"simulated": simulatedHost, "docker": dockerHost}
	for _, database := range slices.Sorted(maps.Keys(databases)) {
		for _, kind := range slices.Sorted(maps.Keys(hosts)) {
			t.Run(database+"/"+kind, func(t *testing.T) {
				t.Parallel()
				seed := uint64(time.Now().UnixNano())
				t.Logf("seed %d", seed)
				killInBatch(t, databases[database](t), hosts[kind](t), rand.New(rand.NewPCG(seed, seed)))
			})
		}
	}
}

const (
	crashPhones = 12
	crashKills  = 8
)

func killInBatch(t *testing.T, database string, host fleetHost, random *rand.Rand) {
	p := newProcess(t, database)
	host.addServer(p, crashPhones)
	second := host.secondImage(p)

	type phones struct {
		Phones []struct {
			ID         string `json:"phone_id"`
			Status     int    `json:"status"`
			Generation int64  `json:"generation"`
			Image      string `json:"image_id"`
		} `json:"phones"`
	}
	var before phones
	p.request(http.MethodGet, "/lethe/v1/phones", nil, &before)
	if len(before.Phones) != crashPhones {
		t.Fatalf("%d phones, want %d", len(before.Phones), crashPhones)
	}
	var elements []map[string]any
	for _, one := range before.Phones {
		if one.Status != 2 || one.Generation != 1 {
			t.Fatalf("before the batch: %+v", one)
		}
		elements = append(elements, map[string]any{"phone_id": one.ID, "property": `{"com.cph.mainkeys":"1"}`})
	}
	var accepted struct {
		Request string `json:"request_id"`
		Jobs    []struct {
			Job string `json:"job_id"`
		} `json:"jobs"`
	}
	p.request(http.MethodPost, "/v1/"+p.project+"/cloud-phone/phones/batch-reset", map[string]any{"image_id": second, "phones": elements}, &accepted)
	for _, j := range accepted.Jobs {
		if j.Job == "" {
			t.Fatalf("a phone was refused: %+v", accepted)
		}
	}

	// Each kill comes after a random number of changes that were seen from outside; so it hits every kind of moment, and the
	// batch still gets on.
	kills := 0
	for deadline := time.Now().Add(8 * time.Minute); ; {
		finished := p.watch(accepted.Request, 1+random.IntN(2*crashPhones/3))
		if finished {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the batch has not ended after eight minutes")
		}
		if kills < crashKills {
			kills++
			p.kill()
			restarted := time.Now()
			p.start()
			t.Logf("kill %d: serving again after %s", kills, time.Since(restarted).Round(time.Millisecond))
		}
	}
	if kills == 0 {
		t.Error("the batch ended before the first kill: nothing was tried")
	}

	var jobs struct {
		Jobs []struct {
			Status  int `json:"status"`
			Code    any `json:"error_code"`
			Msg     any `json:"error_msg"`
			Execute any `json:"execute_msg"`
		} `json:"jobs"`
	}
	p.request(http.MethodGet, "/v1/"+p.project+"/cloud-phone/jobs?request_id="+accepted.Request, nil, &jobs)
	if len(jobs.Jobs) != crashPhones {
		t.Errorf("%d jobs, want %d", len(jobs.Jobs), crashPhones)
	}
	for _, j := range jobs.Jobs {
		if j.Status != 2 {
			t.Errorf("a job did not succeed: %+v", j)
		}
	}
	var receipts api.Jobs
	p.request(http.MethodGet, "/lethe/v1/jobs?request_id="+accepted.Request, nil, &receipts)
	for _, j := range receipts.Jobs {
		if j.Receipt == nil || len(j.Receipt.Erased) != 1 || j.Receipt.Erased[0].Generation != 1 || !j.Receipt.Erased[0].Gone || j.Receipt.LookedForAt.IsZero() {
			t.Errorf("job %s has no receipt that its old volume is gone: %+v", j.JobID, j.Receipt)
		}
	}
	var after phones
	p.request(http.MethodGet, "/lethe/v1/phones", nil, &after)
	for _, one := range after.Phones {
		if one.Status != 2 || one.Generation != 2 || one.Image != second {
			t.Errorf("after the batch: %+v", one)
		}
	}
	var want []string
	for _, one := range after.Phones {
		want = append(want, fmt.Sprintf("instance %s 2", one.ID), fmt.Sprintf("volume %s 2", one.ID))
	}
	slices.Sort(want)
	if got := host.objects(p); !slices.Equal(got, want) {
		t.Errorf("on the host:\n%q\nwant each phone's newest generation and nothing else:\n%q", got, want)
	}
}

// watch polls the request until `changes` changes of its phases were seen; it reports whether the request has ended.
func (p *process) watch(request string, changes int) (finished bool) {
	p.t.Helper()
	type progress struct {
		Finished bool `json:"finished"`
		Erased   int  `json:"erased"`
		Phases   []struct {
			Phase string `json:"phase"`
			Count int    `json:"count"`
		} `json:"phases"`
	}
	last := ""
	for deadline := time.Now().Add(4 * time.Minute); ; time.Sleep(2 * time.Millisecond) {
		var now progress
		p.request(http.MethodGet, "/lethe/v1/requests/"+request, nil, &now)
		if now.Finished {
			return true
		}
		if text := fmt.Sprint(now); text != last {
			if last != "" {
				changes--
			}
			last = text
		}
		if changes <= 0 {
			return false
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("nothing moves for four minutes: %s", last)
		}
	}
}
