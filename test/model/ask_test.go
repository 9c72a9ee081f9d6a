package model

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/driver/drivertest"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// What callers ask of the use cases. Each call is one transaction, so it is done between two steps.

// call is one that was accepted under a key.
type call struct {
	key   string
	reset fleet.ResetPhones
}

// Driver of apiHosts gives a host as it is: a new server is asked for once.
func (a apiHosts) Driver(_ context.Context, server phone.Server) (driver.Driver, error) {
	return handle{a.machines[server.Endpoint], drivertest.Owner{}}, nil
}

func (w *world) caller(project phone.ProjectID) account.Caller { return w.callers[project] }

var propertyTexts = []string{
	"", "", `{"ro.product.model":"X1"}`, `{"com.cph.mainkeys":"1"}`, `{"com.cph.mainkeys":"0","sys.prop.writeimsi":"12345"}`,
}

// resetSome resets some phones of a project, whether they can be or not.
func (w *world) resetSome() {
	project := pick(w.rng, w.projects)
	in := fleet.ResetPhones{Project: project, Rollback: w.rng.IntN(2) == 0, Pace: w.drawPace()}
	switch w.rng.IntN(6) {
	case 0, 1:
		in.Image = string(w.imageOf(project, "second"))
	case 2:
		in.Image = string(w.imageOf(project, "first"))
	}
	for _, p := range w.spec.sortedPhones() {
		if p.Project == project && w.rng.IntN(3) > 0 {
			in.Phones = append(in.Phones, fleet.ResetPhone{ID: string(p.ID), Property: pick(w.rng, propertyTexts), Factory: w.rng.IntN(4) == 0})
		}
	}
	w.rng.Shuffle(len(in.Phones), func(i, j int) { in.Phones[i], in.Phones[j] = in.Phones[j], in.Phones[i] })
	if w.rng.IntN(3) == 0 {
		key := fmt.Sprintf("key %d", len(w.calls)+1)
		in.Key = &key
	}
	if len(in.Phones) > 0 {
		w.sendReset(in)
	}
}

// drawPace gives no pace half of the time.
func (w *world) drawPace() *phone.Pace {
	if w.rng.IntN(2) == 0 {
		return nil
	}
	some := func(of ...int) *int {
		if w.rng.IntN(3) == 0 {
			return nil
		}
		n := pick(w.rng, of)
		return &n
	}
	return &phone.Pace{First: some(1, 1, 2, 3, 9), AtOnce: some(1, 2, 3), StopPercent: some(0, 0, 30, 60)}
}

func (w *world) imageOf(project phone.ProjectID, name string) phone.ImageID {
	n := slices.IndexFunc(w.images, func(i phone.Image) bool { return i.Project == project && i.Name == name })
	return w.images[n].ID
}

// resetBadly asks for what is refused: another project's phones, unknown ones, some twice, bad properties, images that do not fit.
func (w *world) resetBadly() {
	project := pick(w.rng, w.projects)
	in := fleet.ResetPhones{Project: project}
	all := w.spec.sortedPhones()
	for range 1 + w.rng.IntN(4) {
		one := fleet.ResetPhone{ID: string(pick(w.rng, all).ID)}
		switch w.rng.IntN(5) {
		case 0:
			one.ID = string(phone.NewID[phone.ID]())
		case 1:
			one.Property = `{"bogus":"1"}`
		case 2:
			one.Property = `no object`
		}
		in.Phones = append(in.Phones, one)
	}
	switch w.rng.IntN(5) {
	case 0:
		in.Image = string(w.imageOf(project, "odd"))
	case 1:
		in.Image = string(pick(w.rng, w.images).ID)
	case 2:
		none := 0
		in.Pace = &phone.Pace{AtOnce: &none}
	}
	w.sendReset(in)
}

// sendReset sends a batch, and holds its answer against the reference's.
func (w *world) sendReset(in fleet.ResetPhones) {
	w.tracef("reset %s", w.nameOfCall(in))
	if in.Key != nil {
		if k := w.spec.keys[*in.Key]; k != nil {
			w.sendUsed(in, k)
			return
		}
	}
	whole, wants := w.spec.reset(in)
	id, got, err := w.fleet.ResetPhones(context.Background(), w.caller(in.Project), in)
	if outcomeOf(err) != whole {
		w.fail("the reset answers %v (%v), and should %v", outcomeOf(err), err, whole)
	}
	if err != nil || whole != done {
		return
	}
	if err := w.spec.begin(id, in.Project, phone.KindReset, paceOf(in.Pace), wants, got); err != nil {
		w.fail("the reset %s: %v", w.nameOfCall(in), err)
		return
	}
	w.sayAccepted(got)
	if in.Key == nil {
		return
	}
	outcomes := make([]outcome, len(got))
	for i, o := range got {
		outcomes[i] = answerOf(o)
	}
	w.spec.keys[*in.Key] = &specKey{what: asked(in), request: id, outcomes: outcomes, expires: w.spec.wall() + fleet.KeyLife.Microseconds()}
	if !slices.ContainsFunc(w.calls, func(c call) bool { return c.key == *in.Key }) {
		w.calls = append(w.calls, call{*in.Key, in})
	}
}

// sendUsed sends a call under a key that stands for one already: it gets that one's answer, or is refused, and changes nothing. A key
// that has expired and was not removed yet stands for the new call.
func (w *world) sendUsed(in fleet.ResetPhones, k *specKey) {
	if k.expires <= w.spec.wall() {
		delete(w.spec.keys, *in.Key)
		w.sendReset(in)
		if w.spec.keys[*in.Key] == nil {
			w.spec.keys[*in.Key] = k // it was refused as a whole, so the key is what it was
		}
		return
	}
	id, got, err := w.fleet.ResetPhones(context.Background(), w.caller(in.Project), in)
	want := done
	if k.what != asked(in) {
		want = outcome{phone.Conflict, phone.ReasonKeyReused}
	}
	if outcomeOf(err) != want {
		w.fail("a call under a used key answers %v (%v), and should %v", outcomeOf(err), err, want)
	}
	if err != nil {
		return
	}
	outcomes := make([]outcome, len(got))
	for i, o := range got {
		outcomes[i] = answerOf(o)
	}
	if id != k.request || !slices.Equal(outcomes, k.outcomes) {
		w.fail("the same call again answers %v, and answered %v", outcomes, k.outcomes)
	}
}

func (w *world) sendAgain() {
	in := pick(w.rng, w.calls).reset
	if w.rng.IntN(4) == 0 {
		in.Phones = append(slices.Clone(in.Phones), fleet.ResetPhone{ID: "another"})
	}
	w.sendReset(in)
}

// asked is what a call asks for.
func asked(in fleet.ResetPhones) string {
	pace := paceOf(in.Pace)
	in.Key, in.Pace = nil, nil
	return fmt.Sprintf("%+v %+v", in, pace)
}

func (w *world) nameOfCall(in fleet.ResetPhones) (text string) {
	for _, p := range in.Phones {
		text += w.names[phone.ID(p.ID)] + " "
	}
	if in.Key != nil {
		text += "(" + *in.Key + ") "
	}
	if pace := paceOf(in.Pace); pace != noPace {
		text += fmt.Sprintf("pace %+v ", pace)
	}
	return text + w.spec.images[phone.ImageID(in.Image)].Name
}

// someRequest draws a request whose id somebody was told.
func (w *world) someRequest() phone.RequestID {
	ids := slices.DeleteFunc(slices.Sorted(maps.Keys(w.spec.requests)), func(id phone.RequestID) bool { return !phone.ValidID(id) })
	if len(ids) == 0 || w.rng.IntN(20) == 0 {
		return phone.NewID[phone.RequestID]()
	}
	return pick(w.rng, ids)
}

func (w *world) cancelSome() {
	project, ctx := pick(w.rng, w.projects), context.Background()
	if jobs := w.spec.inOrder(func(j *specJob) bool { return true }); w.rng.IntN(2) == 0 && len(jobs) > 0 {
		j := pick(w.rng, jobs)
		if held := w.spec.inOrder(mayCancel); len(held) > 0 && w.rng.IntN(2) == 0 {
			j = pick(w.rng, held)
			project = w.spec.requests[j.Request].Project
		}
		w.tracef("cancel %s", w.nameOfJob(j.ID))
		got, err := w.fleet.CancelJob(ctx, w.caller(project), project, j.ID)
		w.checkCancelled(got, err, w.spec.requests[j.Request].Project == project, phone.ReasonJobNotFound, func(other *specJob) bool { return other == j })
		return
	}
	id := w.someRequest()
	if paced := w.spec.inOrder(func(j *specJob) bool { return j.Phase == phone.PhaseHeld }); len(paced) > 0 && w.rng.IntN(2) == 0 {
		id = pick(w.rng, paced).Request
		project = w.spec.requests[id].Project
	}
	r := w.spec.requests[id]
	w.tracef("cancel the request of %s", w.nameOfRequest(id))
	got, err := w.fleet.CancelRequest(ctx, w.caller(project), project, id)
	w.checkCancelled(got, err, r != nil && r.Project == project, phone.ReasonRequestNotFound, func(j *specJob) bool { return j.Request == id })
}

func (w *world) checkCancelled(got phone.Cancellation, err error, known bool, missing phone.Reason, is func(*specJob) bool) {
	if !known {
		if want := (outcome{phone.NotFound, missing}); outcomeOf(err) != want {
			w.fail("I5: cancelling what the project has not answers %v", err)
		}
		return
	}
	want, paced := w.spec.cancel(is)
	if err != nil || got != want {
		w.fail("cancelling answers %+v (%v), and should %+v", got, err, want)
	}
	for _, id := range sorted(paced) {
		w.paced.add(id)
	}
	w.tracef("    %+v", got)
}

func (w *world) nameOfRequest(id phone.RequestID) string {
	jobs := w.spec.inOrder(func(j *specJob) bool { return j.Request == id })
	if len(jobs) == 0 {
		return "no job"
	}
	return w.nameOfJob(jobs[0].ID)
}

func (w *world) retrySome() {
	project := pick(w.rng, w.projects)
	of := w.someRequest()
	w.tracef("retry the request of %s", w.nameOfRequest(of))
	whole, wants := w.spec.retry(of, project)
	id, got, err := w.fleet.RetryRequest(context.Background(), w.caller(project), fleet.RetryRequest{Project: project, Of: of})
	if outcomeOf(err) != whole {
		w.fail("the retry answers %v (%v), and should %v", outcomeOf(err), err, whole)
	}
	if err != nil || whole != done {
		return
	}
	if err := w.spec.begin(id, project, retried(w.spec.requests[of].Kind), w.spec.requests[of].Pace, wants, got); err != nil {
		w.fail("the retry: %v", err)
		return
	}
	w.sayAccepted(got)
}

// retried is the kind of the jobs that do once more what those of a request did not.
func retried(k phone.Kind) phone.Kind {
	if k == phone.KindStop || k == phone.KindRestart || k == phone.KindDelete {
		return k
	}
	return phone.KindReset
}

// stopSome and restartSome ask it of some phones, of which some cannot be, are another project's, or stand twice.
func (w *world) stopSome() {
	project := pick(w.rng, w.projects)
	ids := w.some(project)
	if len(ids) == 0 {
		return
	}
	text := w.namesOf(ids)
	w.tracef("stop %s", text)
	wants := w.spec.power(phone.KindStop, project, ids)
	id, got, err := w.fleet.StopPhones(context.Background(), w.caller(project), fleet.StopPhones{Project: project, Phones: ids})
	if err != nil {
		w.fail("the stop answers %v", err)
		return
	}
	if err := w.spec.begin(id, project, phone.KindStop, noPace, wants, got); err != nil {
		w.fail("the stop of %s: %v", text, err)
		return
	}
	w.sayAccepted(got)
}

func (w *world) restartSome() {
	in := fleet.RestartPhones{Project: pick(w.rng, w.projects)}
	switch w.rng.IntN(8) {
	case 0, 1:
		in.Image = string(w.imageOf(in.Project, "second"))
	case 2:
		in.Image = string(w.imageOf(in.Project, "first"))
	case 3:
		in.Image = string(pick(w.rng, w.images).ID) // one that does not fit, of another Android or of another project among them
	}
	text := ""
	for _, id := range w.some(in.Project) {
		in.Phones = append(in.Phones, fleet.ResetPhone{ID: id, Property: pick(w.rng, propertyTexts)})
		text += w.names[phone.ID(id)] + " "
	}
	if len(in.Phones) == 0 {
		return
	}
	w.tracef("restart %s%s", text, w.spec.images[phone.ImageID(in.Image)].Name)
	whole, wants := w.spec.restart(in)
	id, got, err := w.fleet.RestartPhones(context.Background(), w.caller(in.Project), in)
	if outcomeOf(err) != whole {
		w.fail("the restart answers %v (%v), and should %v", outcomeOf(err), err, whole)
	}
	if err != nil || whole != done {
		return
	}
	if err := w.spec.begin(id, in.Project, phone.KindRestart, noPace, wants, got); err != nil {
		w.fail("the restart of %s: %v", text, err)
		return
	}
	w.sayAccepted(got)
}

// deleteSome deletes a few phones, of which some cannot be, are another project's, or stand twice.
func (w *world) deleteSome() {
	project := pick(w.rng, w.projects)
	var ids []string
	for _, id := range w.some(project) {
		if len(ids) == 0 || w.rng.IntN(4) == 0 {
			ids = append(ids, id)
		}
	}
	text := w.namesOf(ids)
	if len(ids) == 0 {
		return
	}
	w.tracef("delete %s", text)
	wants := w.spec.power(phone.KindDelete, project, ids)
	id, got, err := w.fleet.DeletePhones(context.Background(), w.caller(project), fleet.DeletePhones{Project: project, Phones: ids})
	if err != nil {
		w.fail("the deletion answers %v", err)
		return
	}
	if err := w.spec.begin(id, project, phone.KindDelete, noPace, wants, got); err != nil {
		w.fail("the deletion of %s: %v", text, err)
		return
	}
	w.sayAccepted(got)
}

// runSome runs a command in some phones; every fourth fails. No two requests have the same.
func (w *world) runSome() {
	project := pick(w.rng, w.projects)
	w.doTask(project, w.some(project), phone.KindShell, phone.Task{Command: w.drawCommand()})
}

func (w *world) drawCommand() string {
	if w.rng.IntN(4) == 0 {
		return fmt.Sprintf("false %d", len(w.commands)+1)
	}
	return fmt.Sprintf("note %d", len(w.commands)+1)
}

func (w *world) uninstallSome() {
	project := pick(w.rng, w.projects)
	w.doTask(project, w.some(project), phone.KindUninstall, phone.Task{Package: app})
}

func (w *world) doAll(kind phone.Kind, what phone.Task) {
	for _, project := range w.projects {
		var ids []string
		for _, p := range w.spec.sortedPhones() {
			if p.Project == project {
				ids = append(ids, string(p.ID))
			}
		}
		w.doTask(project, ids, kind, what)
		if what.Command != "" {
			what.Command = w.drawCommand()
		}
	}
}

// doTask asks for a task in phones, of which some take none, are another project's, or stand twice.
func (w *world) doTask(project phone.ProjectID, ids []string, kind phone.Kind, what phone.Task) {
	if len(ids) == 0 {
		return
	}
	text := w.namesOf(ids)
	w.tracef("%s %s%s%s", kind, text, what.Command, what.Package)
	wants := w.spec.power(kind, project, ids)
	id, got, err := w.fleet.RunTask(context.Background(), w.caller(project), fleet.RunTask{Project: project, Kind: kind, Task: what, Phones: ids})
	if err != nil {
		w.fail("the task answers %v", err)
		return
	}
	w.commands[id] = what.Command
	if err := w.spec.begin(id, project, kind, noPace, wants, got); err != nil {
		w.fail("the task in %s: %v", text, err)
		return
	}
	w.sayAccepted(got)
}

func (w *world) namesOf(ids []string) (text string) {
	for _, id := range ids {
		text += w.names[phone.ID(id)] + " "
	}
	return text
}

// some draws phones, of which some can be another project's, unknown, or stand twice.
func (w *world) some(project phone.ProjectID) (ids []string) {
	for _, p := range w.spec.sortedPhones() {
		if p.Project == project && w.rng.IntN(3) == 0 || w.rng.IntN(20) == 0 {
			ids = append(ids, string(p.ID))
		}
	}
	if len(ids) > 0 && w.rng.IntN(8) == 0 {
		ids = append(ids, pick(w.rng, ids), string(phone.NewID[phone.ID]()))
	}
	return ids
}

// updateSome gives some phones other property values, of which some are refused.
func (w *world) updateSome() {
	project := pick(w.rng, w.projects)
	in := fleet.UpdateProperties{Project: project}
	text := ""
	for _, p := range w.spec.sortedPhones() {
		if p.Project == project && w.rng.IntN(2) == 0 || w.rng.IntN(20) == 0 {
			in.Phones = append(in.Phones, fleet.ResetPhone{ID: string(p.ID), Property: pick(w.rng, updateTexts)})
			text += w.names[p.ID] + " "
		}
	}
	if len(in.Phones) == 0 {
		return
	}
	w.tracef("update %s", text)
	wants := w.spec.update(project, in.Phones)
	id, got, err := w.fleet.UpdateProperties(context.Background(), w.caller(project), in)
	if err != nil {
		w.fail("the update answers %v", err)
		return
	}
	if err := w.spec.begin(id, project, phone.KindUpdate, noPace, wants, got); err != nil {
		w.fail("the update of %s: %v", text, err)
		return
	}
	w.sayAccepted(got)
}

var updateTexts = []string{
	`{"com.cph.mainkeys":"1"}`, `{"com.cph.mainkeys":"0","sys.prop.writeimsi":"12345"}`, `{"ro.product.model":"X1"}`, `{"ro.product.model":"X2"}`, "", `{"bogus":"1"}`, `{}`,
}

// sayAccepted notes what volumes jobs that keep the life, or have the rollback policy, have to keep.
func (w *world) sayAccepted(got []phone.Outcome) {
	for _, o := range got {
		j := w.spec.jobs[o.Job]
		if j == nil {
			continue
		}
		w.tracef("    %s, %s, rollback %v", w.nameOfJob(o.Job), j.Phase, j.Rollback)
		if keeps(j.Kind) && !task(j.Kind) {
			w.used[j.ID] = w.machineOf(j.Server).volumes[volumeName(priorOf(j))]
		}
		if j.Rollback {
			w.kept[j.ID] = w.machineOf(j.Server).volumes[volumeName(priorOf(j))]
		}
	}
}

// keepPace does what the process does in which callers cancelled jobs of paced requests.
func (w *world) keepPace() {
	w.tracef("the pace of what was cancelled is kept")
	ctx, cancel := context.WithTimeout(context.Background(), time.Second) // a store that was not woken waits for ever
	defer cancel()
	n, err := w.api.Pace(ctx)
	if want := w.spec.keepPaces(w.paced.take()); err != nil || n != want {
		w.fail("keeping the pace set %d jobs going (%v), and should %d", n, err, want)
	}
}

func (w *world) pruneJobs() {
	before := w.now().Add(-pick(w.rng, []time.Duration{0, 5 * time.Second, time.Minute}))
	w.tracef("remove what ended before %s ago", w.now().Sub(before))
	jobs, err := w.api.PruneJobs(context.Background(), before, phone.Mark{}, 1000)
	if err != nil {
		w.fail("prune: %v", err)
	}
	requests, err := w.api.PruneRequests(context.Background(), before, phone.Mark{}, 1000)
	if err != nil {
		w.fail("prune: %v", err)
	}
	n, m := w.spec.prune(before.UnixMicro())
	if jobs.Jobs != n || jobs.Requests+requests.Requests != m {
		w.fail("%d jobs and %d requests were removed, and should %d and %d", jobs.Jobs, jobs.Requests+requests.Requests, n, m)
	}
}

// beginPass has a replica compare a host with the database; it goes on beside everything else.
func (w *world) beginPass(l *life, s phone.Server, dryRun bool) {
	name := w.passName()
	w.tracef("%s begins %s over %s, dry run: %v", l, name, s.Name, dryRun)
	l.passes++
	ctx := context.WithValue(l.ctx, inPass{}, name)
	l.wg.Go(func() {
		defer w.handOver()
		defer func() { l.passes-- }()
		drift, err := l.engine.Reconcile(ctx, s, dryRun)
		w.tracef("    %s found %d, %s", name, len(drift.Findings), said(err))
	})
	w.rest()
}
