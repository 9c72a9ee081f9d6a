package phone_test

import (
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// serverWith is a server with a phone in each of the statuses.
func serverWith(statuses ...phone.Status) phone.ServerTarget {
	t := phone.ServerTarget{Server: phone.Server{ID: phone.NewID[phone.ServerID](), Status: phone.ServerNormal, ImageLabel: "arm"}}
	for _, s := range statuses {
		t.Phones = append(t.Phones, phone.ResetTarget{Phone: phone.Phone{ID: phone.NewID[phone.ID](), Status: s, Generation: 2, LastGeneration: 3}, ServerStatus: phone.ServerNormal})
	}
	return t
}

// Which servers a call is accepted for, by what is the matter with the server itself.
func TestDecideServers(t *testing.T) {
	t.Parallel()
	normal, busy, abnormal := serverWith(phone.StatusRunning), serverWith(phone.StatusRunning), serverWith(phone.StatusRunning)
	busy.Server.Doing = phone.KindRestart
	abnormal.Server.Status = phone.ServerAbnormal
	targets := map[phone.ServerID]phone.ServerTarget{normal.Server.ID: normal, busy.Server.ID: busy, abnormal.Server.ID: abnormal}
	ids := []string{"x", string(phone.NewID[phone.ServerID]()), string(normal.Server.ID), string(normal.Server.ID), string(busy.Server.ID), string(abnormal.Server.ID)}
	want := []phone.Reason{phone.ReasonServerInvalid, phone.ReasonServerNotFound, "", phone.ReasonServerInvalid, phone.ReasonServerBusy, phone.ReasonServerNotReady}
	accepted, outcomes := phone.DecideServers(ids, targets, phone.RestartServer)
	for i, o := range outcomes {
		got := phone.Reason("")
		if o.Err != nil {
			got = o.Err.Reason
		}
		if got != want[i] || o.ServerID != ids[i] {
			t.Errorf("element %d: %v, want %q", i, o, want[i])
		}
	}
	if len(accepted) != 1 || accepted[0].Index != 2 || len(accepted[0].Phones) != 1 {
		t.Errorf("accepted: %+v", accepted)
	}
}

// What is done to a server's phones, by their statuses: a restart takes those that it can, a deletion and a change all or none.
func TestServerPhones(t *testing.T) {
	t.Parallel()
	image := phone.Image{ID: phone.NewID[phone.ImageID](), Label: "arm"}
	fits := func(string, phone.Properties) *phone.Error { return nil }
	for _, tt := range []struct {
		name     string
		statuses []phone.Status
		restart  int // how many are accepted; -1: the server is refused
		whole    int
	}{
		{"none", nil, 0, 0},
		{"running and stopped", []phone.Status{2, 8, -6, -7, -9}, 5, 5},
		{"a life that is gone", []phone.Status{2, -5, -8}, 1, 3},
		{"only lives that are gone", []phone.Status{-5, -8}, -1, 2},
		{"one at work", []phone.Status{2, 3}, 1, -1},
		{"one frozen", []phone.Status{2, 6}, 1, -1},
	} {
		target := serverWith(tt.statuses...)
		for what, decide := range map[string]func(phone.ServerTarget) ([]phone.Accepted, *phone.Error){
			"restart": phone.RestartServer, "delete": phone.DeleteServer, "change": phone.ChangeServer(image, phone.Properties{"a": "b"}, fits),
		} {
			want := tt.whole
			if what == "restart" {
				want = tt.restart
			}
			accepted, err := decide(target)
			if got := len(accepted); err == nil && got != want || err != nil && (want != -1 || err.Reason != phone.ReasonServerBusy) {
				t.Errorf("%s, %s: %d accepted, %v; want %d", tt.name, what, got, err, want)
			}
			for _, a := range accepted {
				if target := map[string]phone.Generation{"restart": 2, "delete": 3, "change": 4}[what]; a.Target != target {
					t.Errorf("%s, %s: the target is %d, want %d", tt.name, what, a.Target, target)
				}
			}
		}
	}
	updating := serverWith(phone.StatusRunning)
	updating.Phones[0].Busy = true
	if _, err := phone.DeleteServer(updating); err == nil {
		t.Error("a phone whose properties are updated is deleted with its server")
	}
	other := image
	other.Label = "x86"
	if _, err := phone.ChangeServer(other, nil, fits)(serverWith(phone.StatusRunning)); err == nil || err.Reason != phone.ReasonImageLabel {
		t.Errorf("an image that does not fit: %v", err)
	}
}

// A server shows what is being done with it, and is never normal meanwhile, but while its phones are given other adb keys.
func TestServerShown(t *testing.T) {
	t.Parallel()
	for doing, want := range map[phone.Kind]phone.ServerStatus{
		"": phone.ServerNormal, phone.KindUpdate: phone.ServerNormal, phone.KindRestart: phone.ServerStarting, phone.KindDelete: phone.ServerStopping, phone.KindReset: phone.ServerCreating, phone.KindCreate: phone.ServerCreating,
	} {
		s := phone.Server{Status: phone.ServerNormal, Doing: doing}
		if got := s.Shown(); got != want || got.String() == "unknown" {
			t.Errorf("while %q: %d %s, want %d", doing, got, got, want)
		}
	}
}

// One job of several servers runs as long as one does, and has failed when one has.
func TestJoinServerJobs(t *testing.T) {
	t.Parallel()
	at := time.Unix(100, 0)
	done, later, failed, running := phone.ServerJob{Server: "a", EndedAt: at}, phone.ServerJob{Server: "b", EndedAt: at.Add(time.Second)},
		phone.ServerJob{Server: "c", EndedAt: at, Failure: &phone.Failure{Msg: "x"}}, phone.ServerJob{Server: "d"}
	for name, tt := range map[string]struct {
		shares []phone.ServerJob
		want   phone.JobStatus
		ended  time.Time
	}{
		"one":                 {[]phone.ServerJob{done}, phone.JobSuccess, at},
		"both":                {[]phone.ServerJob{done, later}, phone.JobSuccess, at.Add(time.Second)},
		"one failed":          {[]phone.ServerJob{failed, later}, phone.JobFailed, at.Add(time.Second)},
		"the other failed":    {[]phone.ServerJob{done, failed}, phone.JobFailed, at},
		"one runs":            {[]phone.ServerJob{running, done}, phone.JobRunning, time.Time{}},
		"failed and one runs": {[]phone.ServerJob{failed, running}, phone.JobRunning, time.Time{}},
	} {
		joined := phone.JoinServerJobs(tt.shares)
		if joined.Status() != tt.want || !joined.EndedAt.Equal(tt.ended) || (joined.Server == "") != (len(tt.shares) > 1) {
			t.Errorf("%s: %+v is %d, want %d", name, joined, joined.Status(), tt.want)
		}
	}
}

// Attempts at destroying a shared storage add up, and one that has ended early is not forgotten.
func TestShareErasure(t *testing.T) {
	t.Parallel()
	begun := time.Unix(1, 0)
	later := begun.Add(time.Minute)
	erased := func(files int64, partial bool) phone.ErasedShare {
		return phone.ErasedShare{Name: "share", Files: files, Bytes: 10 * files, Partial: partial}
	}
	once := (*phone.ShareErasure)(nil).Begin("share", begun)
	done := erased(2, false)
	whole := once.End(&done, true)
	again := whole.Begin("share", later)
	broken := once.Begin("share", later)
	earlier := phone.ShareErasure{ErasedShare: erased(2, true)}
	for what, c := range map[string]struct{ got, want phone.ShareErasure }{
		"before the first":         {once, phone.ShareErasure{ErasedShare: erased(0, true), BegunAt: begun}},
		"after it":                 {whole, phone.ShareErasure{ErasedShare: erased(2, false), BegunAt: begun}},
		"one that is there again":  {again.End(&done, true), phone.ShareErasure{ErasedShare: erased(4, false), BegunAt: later}},
		"after one that was ended": {broken.End(&done, false), phone.ShareErasure{ErasedShare: erased(2, true), BegunAt: begun}},
		"when it is gone":          {broken.End(nil, false), phone.ShareErasure{ErasedShare: erased(0, true), BegunAt: begun}},
		"of an earlier deletion":   {earlier.Begin("share", later), phone.ShareErasure{ErasedShare: erased(2, true), BegunAt: later}},
	} {
		if c.got != c.want {
			t.Errorf("%s: %+v, want %+v", what, c.got, c.want)
		}
	}
}
