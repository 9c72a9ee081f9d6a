package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

func (f Fixture) bucket(project phone.ProjectID, name string) phone.Bucket {
	return phone.Bucket{ID: phone.NewID[string](), Name: name, Project: project, CreatedAt: f.Clock.Now()}
}

// testBuckets makes buckets, lists a project's own and forgets them. A name is one bucket's, whosever it is.
func testBuckets(t *testing.T, f Fixture) {
	ctx := t.Context()
	first, second, theirs := f.bucket(f.Project(0), "b-two"), f.bucket(f.Project(0), "a.one"), f.bucket(f.Project(1), "theirs")
	for _, b := range []phone.Bucket{first, second, theirs} {
		must(t, "AddBucket", f.AddBucket(ctx, b))
	}
	refused(t, "a name that is another's", f.AddBucket(ctx, f.bucket(f.Project(0), "theirs")), phone.Conflict, phone.ReasonNameTaken)
	own, err := f.Buckets(ctx, f.Project(0))
	must(t, "Buckets", err)
	equal(t, "the project's buckets", own, []phone.Bucket{second, first})
	got, err := f.Bucket(ctx, "theirs")
	must(t, "Bucket", err)
	equal(t, "a bucket", got, theirs)
	_, err = f.Bucket(ctx, "absent")
	refused(t, "an absent bucket", err, phone.NotFound, phone.ReasonBucketNotFound)
	nobody := phone.NewID[phone.ProjectID]()
	unknown, err := f.UnknownProjects(ctx, []phone.ProjectID{f.Project(0), nobody, f.Project(1)})
	must(t, "UnknownProjects", err)
	equal(t, "no projects", unknown, []phone.ProjectID{nobody})
	account, name := f.Owner.Account.ID, f.Owner.Projects[1].Name
	refused(t, "a project with a bucket", f.DeleteProject(ctx, account, name), phone.Precondition, "")
	must(t, "DeleteBucket", f.DeleteBucket(ctx, theirs.ID))
	must(t, "DeleteProject", f.DeleteProject(ctx, account, name))
	refused(t, "deleted twice", f.DeleteBucket(ctx, theirs.ID), phone.NotFound, phone.ReasonBucketNotFound)
	must(t, "AddBucket of a name that is free again", f.AddBucket(ctx, f.bucket(f.Project(0), "theirs")))
	if err := f.AddBucket(ctx, f.bucket(f.Project(1), "late")); err == nil {
		t.Error("a project that is gone has a bucket")
	}
}

// testBucketLimit makes buckets at once: a project gets as many as it may have, and no more.
func testBucketLimit(t *testing.T, f Fixture) {
	for i := range phone.MaxBuckets - 1 {
		must(t, "AddBucket", f.AddBucket(t.Context(), f.bucket(f.Project(0), fmt.Sprintf("bucket-%d", i))))
	}
	errs := make([]error, 4)
	var group sync.WaitGroup
	for i := range errs {
		b := f.bucket(f.Project(0), fmt.Sprintf("last-%d", i))
		group.Go(func() { errs[i] = f.AddBucket(t.Context(), b) })
	}
	group.Wait()
	made := 0
	for _, err := range errs {
		if err == nil {
			made++
			continue
		}
		refused(t, "one too many", err, phone.Exhausted, "")
	}
	equal(t, "buckets that were made at once", made, 1)
}

// testTaskOfItsOwn: each phone of a request may have a task of its own.
func testTaskOfItsOwn(t *testing.T, f Fixture) {
	ctx := t.Context()
	must(t, "Register", f.Register(ctx, "r1", time.Hour))
	in := f.Fleet(t, f.Project(0), f.Image(t).ID, 3, 3)
	asked := fleet.AcceptTask{AcceptPower: f.powerInput(phone.KindExport, in.Phones[0].ID, phone.NewID[phone.ID](), in.Phones[2].ID)}
	asked.Items[2].Err = phone.Errorf(phone.NotFound, phone.ReasonBucketNotFound, "there is no such bucket")
	asked.Items = append(asked.Items, phone.ResetItem{PhoneID: string(in.Phones[1].ID)})
	for i := range asked.Items {
		asked.Tasks = append(asked.Tasks, phone.Task{Objects: []phone.Object{{Bucket: "b", Key: fmt.Sprint(i)}}, Include: []string{"/data"}})
	}
	_, outcomes, err := f.AcceptTask(ctx, asked)
	must(t, "AcceptTask", err)
	var reasons []phone.Reason
	for _, o := range outcomes {
		reasons = append(reasons, reasonOf(o))
	}
	equal(t, "what is decided", reasons, []phone.Reason{"", phone.ReasonPhoneNotFound, phone.ReasonBucketNotFound, ""})
	// Another export to an object is refused as long as that one has not ended.
	again := func() phone.Outcome {
		second := fleet.AcceptTask{AcceptPower: f.powerInput(phone.KindExport, in.Phones[2].ID), Tasks: asked.Tasks[:1]}
		_, outcomes, err := f.AcceptTask(ctx, second)
		must(t, "AcceptTask", err)
		return outcomes[0]
	}
	equal(t, "a second export to an object", reasonOf(again()), phone.ReasonObjectInvalid)
	for _, i := range []int{0, 3} {
		a := f.claim(t, outcomes[i].Job, "r1")
		equal(t, "the task", a.Task, asked.Tasks[i])
		must(t, "EndTask", f.EndTask(ctx, a.Fence, phone.TaskEnd{}))
	}
	equal(t, "an export after the first", reasonOf(again()), phone.Reason(""))
	// One object is written once, and not for an element that is refused.
	same := fleet.AcceptTask{AcceptPower: f.powerInput(phone.KindExport, phone.NewID[phone.ID](), in.Phones[1].ID, in.Phones[2].ID)}
	for range same.Items {
		same.Tasks = append(same.Tasks, phone.Task{Objects: []phone.Object{{Bucket: "b", Key: "same"}}, Include: []string{"/data"}})
	}
	request, outcomes, err := f.AcceptTask(ctx, same)
	must(t, "AcceptTask to one object", err)
	equal(t, "a phone that is not there", reasonOf(outcomes[0]), phone.ReasonPhoneNotFound)
	equal(t, "the first that is", reasonOf(outcomes[1]), "")
	equal(t, "another", reasonOf(outcomes[2]), phone.ReasonObjectInvalid)
	stored, err := f.Request(ctx, f.Project(0), request)
	must(t, "Request", err)
	equal(t, "refused", stored.Refused, 2)
	f.consistent(t)
}
