package storetest

import (
	"sync"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// own adds an image of a project.
func (f Fixture) own(t testing.TB, project phone.ProjectID, name string) phone.Image {
	t.Helper()
	image := phone.Image{ID: phone.NewID[phone.ImageID](), Name: name, Project: project, Label: "arm", OSName: "AOSP11.0", Reference: "own:" + name, CreatedAt: f.Clock.Now()}
	must(t, "AddImage", f.AddImage(t.Context(), image))
	return image
}

// testShare shares an image with a project of another account, which accepts, uses and rejects it.
func testShare(t *testing.T, f Fixture) {
	ctx := t.Context()
	owner := f.Project(0)
	stranger := phone.NewID[phone.ProjectID]()
	foreign := account.Account{ID: phone.NewID[string](), Name: "foreign"}
	f.exec(t, `INSERT INTO accounts (id, name, created_at) VALUES ($1, $2, 0)`, foreign.ID, foreign.Name)
	f.exec(t, `INSERT INTO projects (id, account_id, name, created_at) VALUES ($1, $2, 'local-1', 0)`, string(stranger), foreign.ID)
	image := f.own(t, owner, "mine")
	f.Clock.Advance(time.Minute)
	theirs := f.own(t, stranger, "theirs")
	in := f.Fleet(t, stranger, theirs.ID, 1, 1)

	custom := func(what string, filter fleet.CustomImageFilter, want ...phone.CustomImage) {
		t.Helper()
		filter.Project = stranger
		got, total, err := f.CustomImages(ctx, filter)
		must(t, what, err)
		equal(t, what, got, want)
		equal(t, what+": how many", total, len(want))
	}
	usable := func(what string, want ...phone.ImageID) {
		t.Helper()
		images, err := f.Images(ctx, fleet.ImageFilter{Project: stranger})
		must(t, what, err)
		var got []phone.ImageID
		for _, i := range images {
			got = append(got, i.ID)
		}
		equal(t, what, got, want)
	}
	reset := func() error {
		r := f.ResetInput(stranger, in.Phones[0].ID)
		r.Image = image.ID
		_, err := f.AcceptReset(ctx, r)
		return err
	}
	own := phone.CustomImage{Image: theirs, Account: foreign.ID}
	shared := func(status phone.MemberStatus) phone.CustomImage {
		return phone.CustomImage{Image: image, Account: f.Owner.Account.ID, Member: status}
	}

	custom("before", fleet.CustomImageFilter{}, own)
	refused(t, "an answer before", f.AnswerShare(ctx, stranger, image.ID, phone.MemberAccepted), phone.NotFound, phone.ReasonImageNotFound)
	_, err := f.ImageMembers(ctx, stranger, image.ID)
	refused(t, "members, to a stranger", err, phone.NotFound, phone.ReasonImageNotFound)
	refused(t, "sharing what is another's", f.ShareImage(ctx, stranger, image.ID, f.Project(1)), phone.NotFound, phone.ReasonImageNotFound)
	refused(t, "sharing with itself", f.ShareImage(ctx, owner, image.ID, owner), phone.Invalid, phone.ReasonMemberInvalid)
	refused(t, "sharing with nobody", f.ShareImage(ctx, owner, image.ID, "x"), phone.Invalid, phone.ReasonMemberInvalid)
	refused(t, "sharing a public image", f.ShareImage(ctx, owner, f.Image(t).ID, stranger), phone.NotFound, phone.ReasonImageNotFound)
	f.exec(t, `DELETE FROM images WHERE project_id = ''`)

	f.Clock.Advance(time.Minute)
	must(t, "ShareImage", f.ShareImage(ctx, owner, image.ID, stranger))
	member := phone.ImageMember{Image: image.ID, Project: stranger, Status: phone.MemberPending, CreatedAt: f.Clock.Now(), UpdatedAt: f.Clock.Now()}
	f.Clock.Advance(time.Minute)
	must(t, "ShareImage again", f.ShareImage(ctx, owner, image.ID, stranger))
	for _, project := range []phone.ProjectID{owner, stranger} {
		members, err := f.ImageMembers(ctx, project, image.ID)
		must(t, "ImageMembers", err)
		equal(t, "members", members, []phone.ImageMember{member})
	}
	custom("pending", fleet.CustomImageFilter{}, own, shared(phone.MemberPending))
	custom("pending, shared alone", fleet.CustomImageFilter{Shared: true}, shared(phone.MemberPending))
	custom("pending, own alone", fleet.CustomImageFilter{Own: true}, own)
	usable("usable while pending", theirs.ID)
	refused(t, "a reset to a pending image", reset(), phone.NotFound, phone.ReasonImageNotFound)

	must(t, "AnswerShare", f.AnswerShare(ctx, stranger, image.ID, phone.MemberAccepted))
	custom("accepted", fleet.CustomImageFilter{Source: owner}, shared(phone.MemberAccepted))
	custom("a page", fleet.CustomImageFilter{Name: "mine", ID: image.ID, CreatedFrom: image.CreatedAt, CreatedTo: image.CreatedAt, Limit: 1}, shared(phone.MemberAccepted))
	custom("another time", fleet.CustomImageFilter{CreatedFrom: f.Clock.Now()})
	usable("usable once accepted", theirs.ID, image.ID)
	must(t, "a reset to an accepted image", reset())
	refused(t, "deleting what another's job needs", f.DeleteImage(ctx, owner, image.ID), phone.Precondition, phone.ReasonImageInUse)

	must(t, "AnswerShare", f.AnswerShare(ctx, stranger, image.ID, phone.MemberRejected))
	custom("rejected", fleet.CustomImageFilter{}, own)
	usable("usable once rejected", theirs.ID)
	must(t, "ShareImage once rejected", f.ShareImage(ctx, owner, image.ID, stranger))
	custom("offered anew", fleet.CustomImageFilter{Shared: true}, shared(phone.MemberPending))

	refused(t, "unsharing what is another's", f.UnshareImage(ctx, f.Project(1), image.ID, stranger), phone.NotFound, phone.ReasonImageNotFound)
	must(t, "UnshareImage as the member", f.UnshareImage(ctx, stranger, image.ID, stranger))
	refused(t, "UnshareImage again", f.UnshareImage(ctx, stranger, image.ID, stranger), phone.NotFound, phone.ReasonImageNotFound)
	refused(t, "unsharing with nobody", f.UnshareImage(ctx, owner, image.ID, stranger), phone.NotFound, phone.ReasonMemberNotFound)
	must(t, "ShareImage", f.ShareImage(ctx, owner, image.ID, stranger))
	must(t, "UnshareImage", f.UnshareImage(ctx, owner, image.ID, stranger))
	f.consistent(t)
}

// testDeleteLender deletes a project whose image phones of another project have: not before they have another one.
func testDeleteLender(t *testing.T, f Fixture) {
	ctx, borrower := t.Context(), f.Project(0)
	lender := account.Project{ID: phone.NewID[string](), Account: f.Owner.Account.ID, Name: "lender", CreatedAt: f.Clock.Now()}
	must(t, "AddProject", f.AddProject(ctx, lender))
	image := f.own(t, phone.ProjectID(lender.ID), "lent")
	must(t, "ShareImage", f.ShareImage(ctx, image.Project, image.ID, borrower))
	must(t, "AnswerShare", f.AnswerShare(ctx, borrower, image.ID, phone.MemberAccepted))
	f.Fleet(t, borrower, image.ID, 1, 1)
	equal(t, "hosts that resolved the image", f.count(t, `SELECT count(*) FROM host_images`), 1)
	refused(t, "delete a project whose image another has", f.DeleteProject(ctx, lender.Account, "lender"), phone.Precondition, phone.ReasonImageInUse)
	f.exec(t, `UPDATE phones SET image_id = $1 WHERE image_id = $2`, string(f.Image(t).ID), string(image.ID))
	must(t, "DeleteProject", f.DeleteProject(ctx, lender.Account, "lender"))
	for _, table := range []string{"image_members", "host_images"} {
		equal(t, "rows of "+table, f.count(t, `SELECT count(*) FROM `+table), 0)
	}
	equal(t, "images of the project", f.count(t, `SELECT count(*) FROM images WHERE project_id = $1`, lender.ID), 0)
}

// testShareLimit shares with as many projects as may be, at once: none goes over the limit.
func testShareLimit(t *testing.T, f Fixture) {
	image := f.own(t, f.Project(0), "mine")
	errs := make([]error, phone.MaxImageMembers+3)
	var group sync.WaitGroup
	for i := range errs {
		project := phone.NewID[phone.ProjectID]()
		f.exec(t, `INSERT INTO projects (id, account_id, name, created_at) VALUES ($1, $2, $3, 0)`, string(project), f.Owner.Account.ID, string(project))
		group.Go(func() { errs[i] = f.ShareImage(t.Context(), f.Project(0), image.ID, project) })
	}
	group.Wait()
	over := 0
	for _, err := range errs {
		if err != nil {
			over++
			refused(t, "one too many", err, phone.Exhausted, phone.ReasonMembersTooMany)
		}
	}
	equal(t, "refused", over, 3)
}

// testDeleteImage deletes what nothing uses, and nothing else.
func testDeleteImage(t *testing.T, f Fixture) {
	ctx := t.Context()
	image, next, spare := f.own(t, f.Project(0), "present"), f.own(t, f.Project(0), "next"), f.own(t, f.Project(0), "spare")
	in := f.Fleet(t, f.Project(0), image.ID, 2, 1)
	f.exec(t, `INSERT INTO host_images (server_id, image_id, identity_id, identity_digest, prepared_at) VALUES ($1, $2, 'sha256:1', '', 0)`, string(in.Server.ID), string(next.ID))
	f.exec(t, `INSERT INTO host_images (server_id, image_id, identity_id, identity_digest, prepared_at) VALUES ($1, $2, 'sha256:1', '', 0)`, string(in.Server.ID), string(spare.ID))
	must(t, "Register", f.Register(ctx, "r1", time.Minute))
	reset := f.ResetInput(f.Project(0), in.Phones[0].ID)
	reset.Image = next.ID
	outcomes, err := f.AcceptReset(ctx, reset)
	must(t, "AcceptReset", err)
	for what, id := range map[string]phone.ImageID{"of a phone": image.ID, "of a job": next.ID} {
		refused(t, "an image "+what, f.DeleteImage(ctx, f.Project(0), id), phone.Precondition, phone.ReasonImageInUse)
	}
	refused(t, "another's", f.DeleteImage(ctx, f.Project(1), spare.ID), phone.NotFound, phone.ReasonImageNotFound)
	refused(t, "a public one", f.DeleteImage(ctx, f.Project(0), f.Image(t).ID), phone.NotFound, phone.ReasonImageNotFound)
	must(t, "DeleteImage", f.DeleteImage(ctx, f.Project(0), spare.ID))
	refused(t, "again", f.DeleteImage(ctx, f.Project(0), spare.ID), phone.NotFound, phone.ReasonImageNotFound)

	must(t, "Fail", f.Fail(ctx, f.claim(t, outcomes[0].Job, "r1").Fence, phone.Failure{Reason: phone.ReasonBootTimeout}))
	must(t, "DeleteImage of a failed job", f.DeleteImage(ctx, f.Project(0), next.ID))
	_, retried, err := f.Retry(ctx, f.retryInput(reset.Request.ID))
	must(t, "Retry", err)
	if len(retried) != 1 || retried[0].Job != "" || phone.ReasonOf(retried[0].Err) != phone.ReasonImageNotFound {
		t.Errorf("a retry whose image was deleted: %+v", retried)
	}
	f.consistent(t)
}

// testDeleteImageAtOnce deletes an image while resets to it are accepted: either the one or the others, never both.
func testDeleteImageAtOnce(t *testing.T, f Fixture) {
	ctx := t.Context()
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 8, 1)
	for i, p := range in.Phones {
		image := f.own(t, f.Project(0), string(p.ID))
		reset := f.ResetInput(f.Project(0), p.ID)
		reset.Image = image.ID
		var accepted, deleted error
		var group sync.WaitGroup
		group.Go(func() { _, accepted = f.AcceptReset(ctx, reset) })
		group.Go(func() { deleted = f.DeleteImage(ctx, f.Project(0), image.ID) })
		group.Wait()
		if (accepted == nil) == (deleted == nil) {
			t.Errorf("phone %d: accepted %v, deleted %v", i, accepted, deleted)
		}
	}
	f.consistent(t)
}
