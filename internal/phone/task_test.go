package phone_test

import (
	"strings"
	"testing"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// Which phones take a task, by their status, their other jobs and their server.
func TestDecideTask(t *testing.T) {
	t.Parallel()
	for _, status := range phone.Statuses() {
		want := phone.ReasonPhoneNotRunning
		switch status {
		case phone.StatusRunning:
			want = ""
		case phone.StatusFrozen:
			want = phone.ReasonPhoneFrozen
		}
		target := phone.ResetTarget{Phone: phone.Phone{ID: "p", Status: status, Generation: 3, LastGeneration: 5}, ServerStatus: phone.ServerNormal}
		accepted, outcomes := phone.DecideTask([]phone.ResetItem{{PhoneID: "p"}}, map[phone.ID]phone.ResetTarget{"p": target})
		if phone.ReasonOf(refusalOf(outcomes[0])) != want || (len(accepted) == 1) != (want == "") || len(accepted) == 1 && accepted[0].Target != 3 {
			t.Errorf("in a phone that is %s: %v %+v", status, outcomes[0].Err, accepted)
		}
	}
	running := phone.ResetTarget{Phone: phone.Phone{ID: "p", Status: phone.StatusRunning}, ServerStatus: phone.ServerNormal}
	for want, change := range map[phone.Reason]func(*phone.ResetTarget){
		"":                         func(r *phone.ResetTarget) { r.Busy, r.Tasks = true, phone.MaxTasks-1 }, // an update
		phone.ReasonPhoneBusy:      func(r *phone.ResetTarget) { r.Tasks = phone.MaxTasks },
		phone.ReasonServerNotReady: func(r *phone.ResetTarget) { r.ServerStatus = phone.ServerAbnormal },
	} {
		target := running
		change(&target)
		_, outcomes := phone.DecideTask([]phone.ResetItem{{PhoneID: "p"}}, map[phone.ID]phone.ResetTarget{"p": target})
		if got := phone.ReasonOf(refusalOf(outcomes[0])); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	_, outcomes := phone.DecideTask([]phone.ResetItem{{PhoneID: "p"}, {PhoneID: "p"}, {PhoneID: "q"}}, map[phone.ID]phone.ResetTarget{"p": running})
	if outcomes[0].Err != nil || phone.ReasonOf(outcomes[1].Err) != phone.ReasonPhoneDuplicate || phone.ReasonOf(outcomes[2].Err) != phone.ReasonPhoneNotFound {
		t.Errorf("%v", outcomes)
	}
}

func refusalOf(o phone.Outcome) error {
	if o.Err == nil {
		return nil
	}
	return o.Err
}

func TestEndedByAnother(t *testing.T) {
	t.Parallel()
	for kind, says := range map[phone.Kind]string{phone.KindReset: "A reset of the phone", phone.KindStop: "A stop of", phone.KindRestart: "A restart of", phone.KindStart: "died by itself", "other": "Another job of"} {
		for _, begun := range []bool{false, true} {
			f := phone.EndedByAnother(kind, begun)
			if f.Reason != phone.ReasonTaskEnded || !strings.Contains(f.Msg, says) || strings.Contains(f.Detail, "may have been done") != begun {
				t.Errorf("by a %s, begun %t: %+v", kind, begun, f)
			}
		}
	}
}

// A task is no lifecycle job: it keeps everything, and nothing does it again by itself.
func TestTaskKinds(t *testing.T) {
	t.Parallel()
	for _, kind := range phone.Kinds() {
		if kind.Task() && (!kind.KeepsLife() || !kind.KeepsStatus() || kind.AtOnce() != phone.PhaseWorking || kind.Retryable()) {
			t.Errorf("a %s is no task as others are", kind)
		}
	}
	if phone.KindStart.Retryable() || phone.KindUpdate.Retryable() || !phone.KindCreate.Retryable() || !phone.KindStop.Retryable() {
		t.Error("what is retried")
	}
}
