package fleet_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

func TestResetPhones(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	const request phone.RequestID = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	id, outcomes, err := b.ResetPhones(t.Context(), owner(), fleet.ResetPhones{
		Request: request, Project: project, Image: string(imageID),
		Phones: []fleet.ResetPhone{
			{ID: string(secondID), Property: `{"com.cph.mainkeys":1}`, Factory: true},
			{ID: string(nobody)},
			{ID: string(firstID), Property: `{"no.such.key":1}`},
			{ID: string(firstID), Err: phone.Errorf(phone.Invalid, phone.ReasonPropertyInvalid, "property must be a string")},
		},
	})
	if err != nil || id != request {
		t.Fatalf("request %q, error %v", id, err)
	}
	var reasons []phone.Reason
	for _, o := range outcomes {
		reasons = append(reasons, reasonOf(o.Err))
	}
	want := []phone.Reason{"", phone.ReasonPhoneInvalid, phone.ReasonPropertyUnsupported, phone.ReasonPhoneDuplicate}
	if diff := cmp.Diff(want, reasons); diff != "" {
		t.Error(diff)
	}
	jobs := b.store.AllJobs()
	if len(jobs) != 1 || jobs[0].ID != outcomes[0].Job || jobs[0].Request != request || !jobs[0].Factory || !jobs[0].CreatedAt.Equal(now) || jobs[0].Properties["com.cph.mainkeys"] != "1" {
		t.Errorf("jobs %+v", jobs)
	}
	p, err := b.Phone(t.Context(), owner(), project, secondID)
	if err != nil || p.Status != phone.StatusResetting || p.LastGeneration != 2 {
		t.Errorf("phone %+v, error %v", p, err)
	}
	progress, err := b.Progress(t.Context(), owner(), project, request)
	if err != nil || progress.Total != 1 || progress.Request.Refused != 3 || progress.Request.Caller != "owner" || progress.Finished {
		t.Errorf("progress %+v, error %v", progress, err)
	}
}

func reasonOf(err *phone.Error) phone.Reason {
	if err == nil {
		return ""
	}
	return err.Reason
}

func TestResetPhonesRefusesTheWhole(t *testing.T) {
	t.Parallel()
	one := []fleet.ResetPhone{{ID: string(firstID)}}
	tests := map[string]struct {
		in     fleet.ResetPhones
		code   phone.Code
		reason phone.Reason
	}{
		"no phones":                  {fleet.ResetPhones{}, phone.Invalid, phone.ReasonPhonesInvalid},
		"too many":                   {fleet.ResetPhones{Phones: make([]fleet.ResetPhone, 4)}, phone.Exhausted, phone.ReasonPhonesTooMany},
		"image malformed":            {fleet.ResetPhones{Image: "latest", Phones: one}, phone.Invalid, phone.ReasonImageInvalid},
		"image unknown":              {fleet.ResetPhones{Image: string(nobody), Phones: one}, phone.NotFound, phone.ReasonImageNotFound},
		"image of another project":   {fleet.ResetPhones{Image: "77777777777777777777777777777777", Phones: one}, phone.NotFound, phone.ReasonImageNotFound},
		"image label does not match": {fleet.ResetPhones{Image: "cccccccccccccccccccccccccccccccc", Phones: one}, phone.Invalid, phone.ReasonImageLabel},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t, func(c *fleet.Config) { c.MaxBatch = 3 })
			b.store.Put(phone.Image{ID: "cccccccccccccccccccccccccccccccc", Project: project, Label: "cloud_game"})
			tt.in.Project = project
			before := b.store.AllPhones()
			_, outcomes, err := b.ResetPhones(t.Context(), owner(), tt.in)
			if phone.CodeOf(err) != tt.code || phone.ReasonOf(err) != tt.reason || outcomes != nil {
				t.Errorf("outcomes %v, error %v; want %q, %q", outcomes, err, tt.code, tt.reason)
			}
			if diff := cmp.Diff(before, b.store.AllPhones()); diff != "" || len(b.store.AllJobs()) != 0 {
				t.Errorf("a refused request changed something: %s", diff)
			}
		})
	}
}

// The driver's rule sees the properties that the phone will have, not only those that were given.
func TestResetPhonesAsksTheDriversRule(t *testing.T) {
	t.Parallel()
	b := newBundle(t, func(c *fleet.Config) {
		c.Check = func(driver string, p phone.Properties) *phone.Error {
			if driver == "simulated" && len(p) == 2 {
				return &phone.Error{Code: phone.Invalid, Reason: phone.ReasonPropertyValue, Field: "ro.install.auto"}
			}
			return nil
		}
	})
	b.store.Put(phone.Phone{ID: firstID, Project: project, Server: serverID, Status: phone.StatusRunning, Properties: phone.Properties{"com.cph.mainkeys": "1"}})
	reset := func(factory bool) phone.Reason {
		_, outcomes, err := b.ResetPhones(t.Context(), owner(), fleet.ResetPhones{
			Project: project, Phones: []fleet.ResetPhone{{ID: string(firstID), Property: `{"ro.install.auto":"1"}`, Factory: factory}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return reasonOf(outcomes[0].Err)
	}
	if got := reset(false); got != phone.ReasonPropertyValue {
		t.Errorf("kept and given together: reason %q", got)
	}
	if got := reset(true); got != "" {
		t.Errorf("given alone: reason %q", got)
	}
}
