package fleet_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

func fieldOf(err error) string {
	var e *phone.Error
	if !errors.As(err, &e) {
		return ""
	}
	return e.Field
}

func TestRequestJobs(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	reset := func(id phone.ID) phone.RequestID {
		request, _, err := b.ResetPhones(t.Context(), owner(), fleet.ResetPhones{Project: project, Phones: []fleet.ResetPhone{{ID: string(id)}}})
		if err != nil {
			t.Fatal(err)
		}
		return request
	}
	first, second, refused := reset(firstID), reset(secondID), reset(nobody)
	const unknown phone.RequestID = "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"
	for name, tt := range map[string]struct {
		ids           []phone.RequestID
		offset, limit int
		want          []phone.ID
	}{
		"one":                       {[]phone.RequestID{first}, 0, 10, []phone.ID{firstID}},
		"several, by acceptance":    {[]phone.RequestID{second, first}, 0, 10, []phone.ID{firstID, secondID}},
		"a page":                    {[]phone.RequestID{second, first}, 1, 1, []phone.ID{secondID}},
		"past the end":              {[]phone.RequestID{first}, 5, 10, nil},
		"all refused":               {[]phone.RequestID{refused}, 0, 10, nil},
		"some unknown or malformed": {[]phone.RequestID{unknown, "nonsense", "a\x00", second}, 0, 10, []phone.ID{secondID}},
	} {
		_, jobs, err := b.RequestJobs(t.Context(), owner(), project, tt.ids, tt.offset, tt.limit)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var got []phone.ID
		for _, job := range jobs {
			got = append(got, job.Phone)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestJobsNewestFirst(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	_, _, err := b.ResetPhones(t.Context(), owner(), fleet.ResetPhones{Project: project, Phones: []fleet.ResetPhone{{ID: string(firstID)}, {ID: string(secondID)}}})
	if err != nil {
		t.Fatal(err)
	}
	jobs, err := b.Jobs(t.Context(), owner(), fleet.JobFilter{Project: project, Newest: true})
	if err != nil || len(jobs) != 2 || jobs[0].Phone != secondID {
		t.Errorf("jobs %+v, error %v", jobs, err)
	}
}

func TestExec(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	result, err := b.Exec(t.Context(), owner(), project, firstID, driver.Command{Args: []string{"getprop", "a"}})
	if err != nil || result.ExitCode != 3 || string(result.Stdout) != "out" {
		t.Errorf("result %+v, error %v", result, err)
	}
	if diff := cmp.Diff(driver.Ref{Phone: firstID, Generation: 3}, b.hosts.ref) + cmp.Diff([]string{"getprop", "a"}, b.hosts.args); diff != "" {
		t.Error(diff)
	}
}

func TestExecRefuses(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	exec := func(id phone.ID, command driver.Command) error {
		_, err := b.Exec(t.Context(), owner(), project, id, command)
		return err
	}
	id := driver.Command{Args: []string{"id"}}
	for name, tt := range map[string]struct {
		err    error
		code   phone.Code
		reason phone.Reason
	}{
		"nothing to run":  {exec(firstID, driver.Command{}), phone.Invalid, ""},
		"an empty word":   {exec(firstID, driver.Command{Args: []string{""}}), phone.Invalid, ""},
		"too much output": {exec(firstID, driver.Command{Args: []string{"id"}, MaxOutput: 2 << 20}), phone.Invalid, ""},
		"not running":     {exec(secondID, id), phone.Precondition, phone.ReasonPhoneNotRunning},
	} {
		if phone.CodeOf(tt.err) != tt.code || phone.ReasonOf(tt.err) != tt.reason {
			t.Errorf("%s: %v, want %s, %q", name, tt.err, tt.code, tt.reason)
		}
	}
	b.hosts.err = phone.Errorf(phone.Unavailable, phone.ReasonHostGone, "the host does not answer")
	if err := exec(firstID, id); phone.CodeOf(err) != phone.Unavailable || b.hosts.args != nil {
		t.Errorf("a host that does not answer: %v, and it ran %v", err, b.hosts.args)
	}
}

func TestAddImage(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	got, err := b.AddImage(t.Context(), owner(), fleet.NewImage{Project: project, Name: "new", Reference: "example/new:1"})
	want := phone.Image{
		ID: got.ID, Name: "new", Project: project, Label: fleet.DefaultImageLabel, OSName: "AOSP", Reference: "example/new:1", CreatedAt: now,
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" || !phone.ValidID(got.ID) {
		t.Errorf("error %v, %s", err, diff)
	}
	images, err := b.Images(t.Context(), owner(), fleet.ImageFilter{Project: project, Name: "new"})
	if err != nil || len(images) != 1 || images[0].ID != got.ID {
		t.Errorf("images %+v, error %v", images, err)
	}
	for name, in := range map[string]fleet.NewImage{
		"image_name":  {Reference: "r"},
		"reference":   {Name: "a"},
		"image_label": {Name: "a", Reference: "r", Label: "a\nb"},
		"os_name":     {Name: "a", Reference: "r", OSName: "an operating system with far too long a name"},
	} {
		in.Project = project
		if _, err := b.AddImage(t.Context(), owner(), in); phone.CodeOf(err) != phone.Invalid || fieldOf(err) != name {
			t.Errorf("%+v: %v (%s), want Invalid about %s", in, err, fieldOf(err), name)
		}
	}
	if _, err := b.AddImage(t.Context(), owner(), fleet.NewImage{Project: project, Name: "a", Reference: "two words"}); phone.ReasonOf(err) != phone.ReasonImageInvalid {
		t.Errorf("white space in a reference: %v", err)
	}
}
