package work

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// compare says how a host differs from what the database knows. A busy phone is only counted.
func compare(objects []driver.Object, known map[phone.ID]phone.Hosted) phone.Drift {
	drift := phone.Drift{Objects: len(objects)}
	for _, h := range known {
		if h.Busy {
			drift.Busy++
		}
		if !h.Deleted {
			drift.Phones++
		}
	}
	listed := map[thing]driver.Object{}
	for _, o := range objects {
		if o.Kind == driver.ObjectShare {
			continue // the server's own, for as long as there is one
		}
		at := thing{phone.DriftObject(o.Kind), driver.Ref{Phone: o.Phone, Generation: o.Generation}}
		if _, twice := listed[at]; twice {
			continue // half of it is where the driver puts what it destroys
		}
		listed[at] = o
		if finding, differs := judge(o, known); differs {
			drift.Findings = append(drift.Findings, finding)
		}
	}
	for _, h := range known {
		drift.Findings = append(drift.Findings, absences(h, listed)...)
		if finding, runs := runsAlthoughStopped(h, listed); runs {
			drift.Findings = append(drift.Findings, finding)
		}
	}
	slices.SortFunc(drift.Findings, func(a, b phone.Finding) int {
		return cmp.Or(cmp.Compare(a.Phone, b.Phone), cmp.Compare(a.Generation, b.Generation), cmp.Compare(a.Object, b.Object))
	})
	return drift
}

// thing is one object of one life.
type thing struct {
	object phone.DriftObject
	ref    driver.Ref
}

// settled gives the phones as they are now. The host is listed between before and after, so only of a phone that was the same in
// both is it certain what should have been there: one that changed meanwhile, or is about to, is busy.
func settled(before, after phone.Hosting) map[phone.ID]phone.Hosted {
	earlier := make(map[phone.ID]phone.Hosted, len(before.Phones))
	for _, h := range before.Phones {
		earlier[h.Phone] = h
	}
	known := make(map[phone.ID]phone.Hosted, len(after.Phones))
	for _, h := range after.Phones {
		h.Busy = h.Busy || h.Status.Transitional() || earlier[h.Phone] != h
		known[h.Phone] = h
	}
	return known
}

// judge says what an object is in which nobody sees a present life.
func judge(o driver.Object, known map[phone.ID]phone.Hosted) (phone.Finding, bool) {
	h, exists := known[o.Phone]
	finding := phone.Finding{
		Object: phone.DriftObject(o.Kind), Name: o.Name, Phone: o.Phone, PhoneName: h.Name, Generation: o.Generation,
	}
	if !exists {
		finding.Kind = phone.DriftQuarantined
		finding.Detail = "the database knows no such phone on this server (a restored backup?): it is left alone"
		return finding, true
	}
	switch h.Stand(o.Generation) {
	case phone.StandingQuarantined:
		finding.Kind = phone.DriftQuarantined
		finding.Detail = fmt.Sprintf("the database has handed out no life above %d of this phone (a restored backup?): it is left alone", h.LastGeneration)
	case phone.StandingOrphan:
		finding.Kind = phone.DriftOrphan
		finding.Detail = fmt.Sprintf("life %d of this phone is over: the present one is %d", o.Generation, h.Generation)
		if h.Deleted {
			finding.Detail = "the phone was deleted: something that was begun before came late"
		}
	default:
		return finding, false
	}
	return finding, true
}

// absences says what a running phone lacks on its host.
func absences(h phone.Hosted, listed map[thing]driver.Object) []phone.Finding {
	if h.Busy || h.Status != phone.StatusRunning {
		return nil
	}
	ref := driver.Ref{Phone: h.Phone, Generation: h.Generation}
	about := phone.Finding{Kind: phone.DriftMissing, Phone: h.Phone, PhoneName: h.Name, Generation: h.Generation}
	var found []phone.Finding
	instance, there := listed[thing{phone.DriftInstance, ref}]
	switch {
	case !there:
		about.Object, about.Detail = phone.DriftInstance, "the phone should run, and its instance is not on the host"
		found = append(found, about)
	case !instance.Running:
		dead := about
		dead.Kind, dead.Object, dead.Name, dead.Detail = phone.DriftDead, phone.DriftInstance, instance.Name, "the phone should run, and its instance does not"
		found = append(found, dead)
	}
	if _, there := listed[thing{phone.DriftVolume, ref}]; !there {
		about.Object, about.Detail = phone.DriftVolume, "the phone should run, and its data volume is not on the host"
		found = append(found, about)
	}
	return found
}

// runsAlthoughStopped says whether a stopped phone's instance runs: a start of a worker that had lost its job came late, or somebody started
// it by hand. It is only told: a stop without a job could end the phone that a restart has just been accepted for.
func runsAlthoughStopped(h phone.Hosted, listed map[thing]driver.Object) (phone.Finding, bool) {
	instance := listed[thing{phone.DriftInstance, driver.Ref{Phone: h.Phone, Generation: h.Generation}}]
	return phone.Finding{
		Kind: phone.DriftRunning, Object: phone.DriftInstance, Name: instance.Name, Phone: h.Phone, PhoneName: h.Name, Generation: h.Generation,
		Detail: "the phone was stopped, and its instance runs: restart the phone, and then stop it again if it is not to run",
	}, !h.Busy && h.Status == phone.StatusStopped && instance.Running
}
