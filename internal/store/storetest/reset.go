package storetest

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
)

func testAcceptReset(t *testing.T, f Fixture) {
	image, next := f.Image(t), f.Image(t)
	in := f.Fleet(t, f.Project(0), image.ID, 3, 2)
	f.Clock.Advance(time.Hour)
	reset := f.ResetInput(f.Project(0), in.Phones[2].ID, in.Phones[0].ID, in.Phones[1].ID)
	reset.Items[0].Given = phone.Properties{"com.cph.mainkeys": "1"}
	reset.Items[1].Given = phone.Properties{"com.cph.mainkeys": "0"}
	reset.Items[1].Factory = true
	outcomes, err := f.AcceptReset(t.Context(), reset)
	must(t, "AcceptReset", err)

	var jobs []phone.JobID
	for i, o := range outcomes {
		if o.Err != nil || o.PhoneID != reset.Items[i].PhoneID || !phone.ValidID(o.Job) {
			t.Fatalf("outcome %d is %+v for %s", i, o, reset.Items[i].PhoneID)
		}
		jobs = append(jobs, o.Job)
	}
	want := phone.Job{
		ID: jobs[1], Request: reset.Request.ID, Project: f.Project(0), Phone: in.Phones[0].ID, Server: in.Server.ID, Kind: phone.KindReset, Phase: phone.PhaseRemoving,
		Erase: phone.ErasePending, Target: 2, Prior: 1, PriorStatus: phone.StatusRunning, PriorImage: image.ID, Image: image.ID,
		Properties: phone.Properties{"com.cph.mainkeys": "0"}, Factory: true, Attempt: 1, CreatedAt: f.Clock.Now(), StartedAt: f.Clock.Now(),
		PhaseAt: map[phone.Phase]time.Time{phone.PhaseQueued: f.Clock.Now(), phone.PhaseRemoving: f.Clock.Now()},
	}
	equal(t, "the job with a factory reset", f.job(t, jobs[1]), want)
	want.ID, want.Phone, want.Factory = jobs[0], in.Phones[2].ID, false
	want.Properties = phone.Properties{"com.cph.mainkeys": "1", "ro.com.cph.non_root": "1"}
	equal(t, "the job with kept properties", f.job(t, jobs[0]), want)
	want.ID, want.Phone, want.Phase, want.Attempt, want.StartedAt = jobs[2], in.Phones[1].ID, phone.PhaseQueued, 0, time.Time{}
	want.Properties = in.Phones[1].Properties
	delete(want.PhaseAt, phone.PhaseRemoving)
	equal(t, "the job without a slot", f.job(t, jobs[2]), want)

	wantPhone := in.Phones[0]
	wantPhone.Status, wantPhone.Generation, wantPhone.LastGeneration, wantPhone.UpdatedAt = phone.StatusResetting, 1, 2, f.Clock.Now()
	equal(t, "the phone", f.phone(t, wantPhone.ID), wantPhone)
	equal(t, "deliveries", f.queued(t), map[phone.Delivery]int{{Job: jobs[0], Attempt: 1}: 1, {Job: jobs[1], Attempt: 1}: 1})
	f.scheduled(t)
	f.consistent(t)

	f.Clock.Advance(time.Minute)
	again, err := f.AcceptReset(t.Context(), f.ResetInput(f.Project(0), in.Phones[0].ID))
	must(t, "AcceptReset", err)
	refused(t, "a phone that is being reset", again[0].Err, phone.Precondition, phone.ReasonPhoneBusy)

	other := f.Fleet(t, f.Project(0), image.ID, 1, 1)
	withImage := f.ResetInput(f.Project(0), other.Phones[0].ID)
	withImage.Image = next.ID
	outcomes, err = f.AcceptReset(t.Context(), withImage)
	must(t, "AcceptReset with an image", err)
	j := f.job(t, outcomes[0].Job)
	equal(t, "images of the job", []phone.ImageID{j.Image, j.PriorImage}, []phone.ImageID{next.ID, image.ID})
	equal(t, "phase of a job whose image is not there", j.Phase, phone.PhasePreparing)
}

func testAcceptDecides(t *testing.T, f Fixture) {
	image := f.Image(t)
	in := f.Fleet(t, f.Project(0), image.ID, 13, 20)
	down := f.Fleet(t, f.Project(0), image.ID, 1, 1)
	foreign := f.Fleet(t, f.Project(1), image.ID, 1, 1)
	f.exec(t, `UPDATE servers SET status = 2 WHERE id = $1`, string(down.Server.ID))
	type element struct {
		id     string
		reason phone.Reason
	}
	var elements []element
	for i, status := range phone.Statuses() {
		f.exec(t, `UPDATE phones SET status = $1 WHERE id = $2`, int(status), string(in.Phones[i].ID))
		reason := phone.Reason("")
		switch {
		case status == phone.StatusFrozen:
			reason = phone.ReasonPhoneFrozen
		case status.Transitional():
			reason = phone.ReasonPhoneBusy
		}
		elements = append(elements, element{string(in.Phones[i].ID), reason})
	}
	checked := in.Phones[12]
	elements = append(elements,
		element{string(down.Phones[0].ID), phone.ReasonServerNotReady},
		element{string(foreign.Phones[0].ID), phone.ReasonPhoneInvalid},
		element{phone.NewID[string](), phone.ReasonPhoneInvalid},
		element{"", phone.ReasonPhoneInvalid},
		element{strings.ToUpper(string(in.Phones[1].ID)), phone.ReasonPhoneInvalid},
		element{"' OR 1=1 --", phone.ReasonPhoneInvalid},
		element{string(in.Phones[1].ID), phone.ReasonPhoneDuplicate},
		element{string(checked.ID), phone.ReasonPropertyValue},
	)
	reset := f.ResetInput(f.Project(0))
	for _, e := range elements {
		reset.Items = append(reset.Items, phone.ResetItem{PhoneID: e.id})
	}
	reset.Items[len(elements)-1].Given = phone.Properties{"com.cph.mainkeys": "9"}
	reset.Check = func(driver string, p phone.Properties) *phone.Error {
		if driver != "simulated" {
			t.Errorf("check for driver %q", driver)
		}
		if p["com.cph.mainkeys"] == "9" {
			return phone.Errorf(phone.Invalid, phone.ReasonPropertyValue, "no")
		}
		return nil
	}
	outcomes, err := f.AcceptReset(t.Context(), reset)
	must(t, "AcceptReset", err)
	bad := 0
	for i, o := range outcomes {
		reason := phone.Reason("")
		if o.Err != nil {
			reason = o.Err.Reason
			bad++
		}
		if reason != elements[i].reason || (o.Job == "") != (o.Err != nil) || o.PhoneID != elements[i].id {
			t.Errorf("element %d (%s): %+v, want reason %q", i, elements[i].id, o, elements[i].reason)
		}
	}
	p, err := f.Progress(t.Context(), f.Project(0), reset.Request.ID)
	must(t, "Progress", err)
	wantRequest := reset.Request
	wantRequest.Refused = bad
	equal(t, "the request", p.Request, wantRequest)
	equal(t, "jobs of the request", p.Total, len(elements)-bad)
	equal(t, "foreign phone", f.count(t, `SELECT status FROM phones WHERE id = $1`, string(foreign.Phones[0].ID)), int(phone.StatusRunning))

	nothing := f.ResetInput(f.Project(0), "0")
	outcomes, err = f.AcceptReset(t.Context(), nothing)
	must(t, "AcceptReset of nothing that exists", err)
	refused(t, "its element", outcomes[0].Err, phone.Invalid, phone.ReasonPhoneInvalid)
	p, err = f.Progress(t.Context(), f.Project(0), nothing.Request.ID)
	must(t, "Progress of a request without jobs", err)
	equal(t, "it", p, phone.Progress{Request: phone.Request{
		ID: nothing.Request.ID, Project: f.Project(0), Kind: phone.KindReset, Caller: f.Owner.User.ID, Refused: 1, CreatedAt: f.Clock.Now(),
	}, Finished: true})
}

func testAcceptImage(t *testing.T, f Fixture) {
	image := f.Image(t)
	in := f.Fleet(t, f.Project(0), image.ID, 2, 2)
	add := func(project phone.ProjectID, label string) phone.ImageID {
		i := phone.Image{ID: phone.NewID[phone.ImageID](), Project: project, Label: label, CreatedAt: f.Clock.Now()}
		i.Name = string(i.ID)
		must(t, "AddImage", f.AddImage(t.Context(), i))
		return i.ID
	}
	for _, c := range []struct {
		name   string
		image  phone.ImageID
		code   phone.Code
		reason phone.Reason
	}{
		{"unknown", phone.NewID[phone.ImageID](), phone.NotFound, phone.ReasonImageNotFound},
		{"of another project", add(f.Project(1), "arm"), phone.NotFound, phone.ReasonImageNotFound},
		{"with another label", add(f.Project(0), "x86"), phone.Invalid, phone.ReasonImageLabel},
	} {
		f.unchanged(t, "a reset with an image "+c.name, func() {
			reset := f.ResetInput(f.Project(0), ids(in.Phones)...)
			reset.Image = c.image
			outcomes, err := f.AcceptReset(t.Context(), reset)
			refused(t, "a reset with an image "+c.name, err, c.code, c.reason)
			if outcomes != nil {
				t.Errorf("outcomes beside an error: %v", outcomes)
			}
		})
	}
	reset := f.ResetInput(f.Project(0), ids(in.Phones)...)
	reset.Image = add(f.Project(0), "arm")
	if _, err := f.AcceptReset(t.Context(), reset); err != nil {
		t.Errorf("a reset with the project's own image: %v", err)
	}
}

// testAcceptOverlapping accepts batches that share phones at once: each phone is won exactly once.
func testAcceptOverlapping(t *testing.T, f Fixture) {
	image := f.Image(t)
	var all []phone.ID
	for range 4 {
		all = append(all, ids(f.Fleet(t, f.Project(0), image.ID, 10, 3).Phones)...)
	}
	const callers = 8
	won := make([]map[phone.ID]phone.JobID, callers)
	var group sync.WaitGroup
	for c := range callers {
		group.Go(func() {
			// Each names three quarters of the phones, in another order.
			var batch []phone.ID
			for i := range len(all) * 3 / 4 {
				batch = append(batch, all[(i*(2*c+1)+c*5)%len(all)])
			}
			outcomes, err := f.AcceptReset(t.Context(), f.ResetInput(f.Project(0), batch...))
			if err != nil {
				t.Errorf("AcceptReset: %v", err)
				return
			}
			won[c] = map[phone.ID]phone.JobID{}
			for _, o := range outcomes {
				if o.Err == nil {
					won[c][phone.ID(o.PhoneID)] = o.Job
				} else if o.Err.Reason != phone.ReasonPhoneBusy && o.Err.Reason != phone.ReasonPhoneDuplicate {
					t.Errorf("refused with %v", o.Err)
				}
			}
		})
	}
	group.Wait()
	winners := map[phone.ID]int{}
	for _, w := range won {
		for id := range w {
			winners[id]++
		}
	}
	for _, id := range all {
		if winners[id] != 1 {
			t.Errorf("phone %s was won %d times", id, winners[id])
		}
		if p := f.phone(t, id); p.LastGeneration != 2 || p.Status != phone.StatusResetting {
			t.Errorf("phone %s: %+v", id, p)
		}
	}
	f.consistent(t)
	f.scheduled(t)
}

// testPhoneChangesMeanwhile changes a phone while a reset that has read it waits for its server: the reset decides by what the phone is then.
func testPhoneChangesMeanwhile(t *testing.T, f Fixture) {
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 2, 1)
	other, err := f.DB.BeginTx(t.Context(), nil)
	must(t, "begin", err)
	defer func() { _ = other.Rollback() }()
	change := func(query string) {
		t.Helper()
		_, err := other.ExecContext(t.Context(), query)
		must(t, query, err)
	}
	change(`UPDATE servers SET updated_at = updated_at`)
	reset := f.ResetInput(f.Project(0), ids(in.Phones)...)
	var outcomes []phone.Outcome
	done := make(chan error)
	go func() {
		var err error
		outcomes, err = f.AcceptReset(t.Context(), reset)
		done <- err
	}()
	if f.Postgres() {
		for f.count(t, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	change(`UPDATE phones SET status = 8, properties = '{"persist.sys.locale":"de-DE"}', updated_at = updated_at + 1`)
	must(t, "commit", other.Commit())
	must(t, "AcceptReset", <-done)
	for _, o := range outcomes {
		job := f.job(t, o.Job)
		equal(t, "prior status", job.PriorStatus, phone.StatusStopped)
		equal(t, "properties", job.Properties, phone.Properties{"persist.sys.locale": "de-DE"})
	}
	f.recount(t)
	f.consistent(t)
}
