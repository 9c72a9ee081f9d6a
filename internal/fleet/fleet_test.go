package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/fleet/fleettest"
	"github.com/lethe-cloud/lethe/internal/phone"
)

const (
	project    phone.ProjectID = "11111111111111111111111111111111"
	other      phone.ProjectID = "22222222222222222222222222222222"
	serverID   phone.ServerID  = "33333333333333333333333333333333"
	imageID    phone.ImageID   = "44444444444444444444444444444444"
	firstID    phone.ID        = "a7f3a1c5258347d6b6f1def79e11f2bc"
	secondID   phone.ID        = "1678567b8bab40f93711234cb80d0764"
	theirImage phone.ImageID   = "77777777777777777777777777777777"
	freeImage  phone.ImageID   = "99999999999999999999999999999999"
	nobody     phone.ID        = "ffffffffffffffffffffffffffffffff"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// bundle is a service over a store in memory: one server with two phones, one image; another project with a phone of its own.
type bundle struct {
	*fleet.Service
	store      *fleettest.Store
	hosts      *oneHost
	reconciler *fleettest.Reconciler
}

func newBundle(t *testing.T, change ...func(*fleet.Config)) bundle {
	t.Helper()
	b := bundle{store: &fleettest.Store{}, hosts: &oneHost{}, reconciler: &fleettest.Reconciler{}}
	config := fleet.Config{Store: b.store, Hosts: b.hosts, Reconciler: b.reconciler, Objects: someObjects(b.store), Now: func() time.Time { return now }}
	for _, f := range change {
		f(&config)
	}
	b.Service = fleet.New(config)
	b.store.Put(
		phone.Server{
			ID: serverID, Name: "rack", Project: project, Driver: "simulated", Endpoint: "sim://rack", ImageLabel: "cloud_phone",
			Status: phone.ServerNormal, PortBase: 20000, Capacity: 10, CreatedAt: now,
		},
		phone.Image{ID: imageID, Name: "aosp", Project: project, Label: "cloud_phone", OSName: "AOSP11.0", Reference: "example/aosp:11"},
		phone.Phone{ID: firstID, Name: "rack-0001", Project: project, Server: serverID, Image: imageID, Status: phone.StatusRunning, Generation: 3, LastGeneration: 3, ADBPort: 20000},
		phone.Phone{ID: secondID, Name: "rack-0002", Project: project, Server: serverID, Image: imageID, Status: phone.StatusStopped, Generation: 1, LastGeneration: 1, ADBPort: 20001},
		phone.Server{ID: "55555555555555555555555555555555", Name: "theirs", Project: other, Endpoint: "sim://theirs", Status: phone.ServerNormal, PortBase: 20000, Capacity: 1},
		phone.Phone{ID: "66666666666666666666666666666666", Name: "theirs-0001", Project: other, Server: "55555555555555555555555555555555", Status: phone.StatusRunning},
		phone.Image{ID: "77777777777777777777777777777777", Name: "theirs", Project: other, Label: "cloud_phone"},
		phone.ImageMember{Image: theirImage, Project: project, Status: phone.MemberPending},
		phone.Image{ID: freeImage, Name: "free", Project: project, Label: "cloud_phone"},
		phone.Bucket{ID: bucketID, Name: "ours", Project: project, CreatedAt: now},
	)
	return b
}

// owner may do all in the project; a user may do what the actions say.
func owner() account.Caller { return caller(account.User{ID: "owner", Owner: true}) }

func user(actions ...fleet.Action) account.Caller {
	statement := account.Statement{Effect: "Allow"}
	for _, a := range actions {
		statement.Action = append(statement.Action, string(a))
	}
	return caller(account.User{ID: "user", Policies: []account.Policy{{Version: "1.1", Statement: []account.Statement{statement}}}})
}

func caller(u account.User) account.Caller {
	return account.Caller{Identity: account.Identity{User: u, Account: account.Account{OwnHosts: true}}, Scope: string(project)}
}

// oneHost is the host of every server: it runs commands and remembers the last, and whether it was made.
type oneHost struct {
	err    error // of every call, while it is not nil
	silent error // of Info alone
	made   int
	ref    driver.Ref
	args   []string
	bare   bool // it has no shared storage
}

func (h *oneHost) Driver(context.Context, phone.Server) (driver.Driver, error) {
	return runner{host: h}, h.err
}

// sharer is embedded for what no use case calls.
type sharer struct{ driver.Sharer }

// runner can be made, say who it is, and run commands.
type runner struct {
	driver.Driver
	sharer
	host *oneHost
}

func (r runner) SharePath() string {
	if r.host.bare {
		return ""
	}
	return "/data/share"
}

func (r runner) Create(context.Context) error {
	r.host.made++
	return nil
}

func (r runner) Info(context.Context) (driver.Info, error) { return driver.Info{}, r.host.silent }

func (r runner) Exec(_ context.Context, ref driver.Ref, command driver.Command) (driver.Result, error) {
	r.host.ref, r.host.args = ref, command.Args
	return driver.Result{ExitCode: 3, Stdout: []byte("out")}, nil
}

// useCases calls each use case with input that is right in itself.
const bucketID = "99999999999999999999999999999999"

// someObjects are the buckets of the store's projects, of which the first has objects, and two of the configuration.
func someObjects(store *fleettest.Store) *fleettest.Objects {
	files := &fleettest.Objects{Store: store, Fixed: []phone.Bucket{{Name: "registered", Project: project, ReadOnly: true}, {Name: "theirs", Project: other}, {Name: "apps", Project: project}}}
	files.Fill(bucketID, map[string]string{"kept": "kept", "gone": "gone", "gone.sha256": "sum"})
	files.Fill("apps", map[string]string{"a.tar": "an app"})
	return files
}

func useCases(b bundle, c account.Caller) map[fleet.Action]func(context.Context) error {
	share := func(kind phone.Kind, task phone.Task) func(context.Context) error {
		return func(ctx context.Context) error {
			_, outcomes, err := b.RunShareTask(ctx, c, fleet.ShareCall{Project: project, Kind: kind, Task: task, Servers: []string{string(serverID)}})
			if err == nil && outcomes[0].Err != nil {
				return outcomes[0].Err
			}
			return err
		}
	}
	tarball := []phone.Object{{Bucket: "apps", Key: "a.tar"}}
	return map[fleet.Action]func(context.Context) error{
		fleet.ActionShareFilesPush:   share(phone.KindSharePush, phone.Task{Objects: tarball}),
		fleet.ActionShareFilesDelete: share(phone.KindShareDelete, phone.Task{Share: &phone.ShareTask{Paths: []string{"/data/a"}}}),
		fleet.ActionShareFilesList:   share(phone.KindShareList, phone.Task{Share: &phone.ShareTask{Path: "/data", Limit: 50}}),
		fleet.ActionShareAppsPush:    share(phone.KindAppPush, phone.Task{Package: "com.example.app", Objects: tarball}),
		fleet.ActionShareAppsDelete:  share(phone.KindAppDelete, phone.Task{Package: "com.example.app"}),
		fleet.ActionPhonesList: func(ctx context.Context) error {
			_, _, err := b.Phones(ctx, c, fleet.PhoneFilter{Project: project})
			_, _, afterErr := b.PhonesAfter(ctx, c, fleet.PhoneFilter{Project: project}, fleet.Place{})
			return errors.Join(err, afterErr)
		},
		fleet.ActionPhonesGet: func(ctx context.Context) error {
			_, err := b.Phone(ctx, c, project, firstID)
			return err
		},
		fleet.ActionPhonesReset: func(ctx context.Context) error {
			_, _, err := b.ResetPhones(ctx, c, fleet.ResetPhones{Project: project, Phones: []fleet.ResetPhone{{ID: string(firstID)}}})
			return err
		},
		fleet.ActionPhonesCommand: func(ctx context.Context) error {
			_, err := b.Exec(ctx, c, project, firstID, driver.Command{Args: []string{"id"}})
			return err
		},
		fleet.ActionServersList: func(ctx context.Context) error {
			_, _, err := b.Servers(ctx, c, fleet.ServerFilter{Project: project})
			_, _, afterErr := b.ServersAfter(ctx, c, fleet.ServerFilter{Project: project}, fleet.Place{})
			return errors.Join(err, afterErr)
		},
		fleet.ActionServersGet: func(ctx context.Context) error {
			_, err := b.Server(ctx, c, project, serverID)
			_, driftErr := b.Drift(ctx, c, project, serverID)
			return errors.Join(err, driftErr)
		},
		fleet.ActionServersCreate: func(ctx context.Context) error {
			_, _, err := b.AddServer(ctx, c, newServer())
			return err
		},
		fleet.ActionServersReconcile: func(ctx context.Context) error {
			_, err := b.ReconcileServer(ctx, c, project, serverID, false)
			return err
		},
		fleet.ActionJobsList: func(ctx context.Context) error {
			_, err := b.Jobs(ctx, c, fleet.JobFilter{Project: project})
			_, _, afterErr := b.JobsAfter(ctx, c, fleet.JobFilter{Project: project}, fleet.Place{})
			return errors.Join(err, afterErr)
		},
		fleet.ActionJobsGet: func(ctx context.Context) error {
			_, err := b.Job(ctx, c, project, "88888888888888888888888888888888")
			return err
		},
		fleet.ActionImagesList: func(ctx context.Context) error {
			_, err := b.Images(ctx, c, fleet.ImageFilter{Project: project})
			return err
		},
		fleet.ActionImagesGet: func(ctx context.Context) error {
			_, _, err := b.ResetPhones(ctx, c, fleet.ResetPhones{Project: project, Image: string(imageID), Phones: []fleet.ResetPhone{{ID: string(secondID)}}})
			return err
		},
		fleet.ActionPhonesUpdateProperty: func(ctx context.Context) error {
			_, _, err := b.UpdateProperties(ctx, c, fleet.UpdateProperties{Project: project, Phones: []fleet.ResetPhone{{ID: string(firstID), Property: "{}"}}})
			return err
		},
		fleet.ActionPhonesStop: func(ctx context.Context) error {
			_, _, err := b.StopPhones(ctx, c, fleet.StopPhones{Project: project, Phones: []string{string(firstID)}})
			return err
		},
		fleet.ActionPhonesRestart: func(ctx context.Context) error {
			_, _, err := b.RestartPhones(ctx, c, fleet.RestartPhones{Project: project, Phones: []fleet.ResetPhone{{ID: string(firstID)}}})
			return err
		},
		fleet.ActionPhonesDelete: func(ctx context.Context) error {
			_, _, err := b.DeletePhones(ctx, c, fleet.DeletePhones{Project: project, Phones: []string{string(firstID)}})
			return err
		},
		fleet.ActionServersKeypair: func(ctx context.Context) error {
			_, _, err := b.UpdateKeypair(ctx, c, fleet.UpdateKeypair{Project: project, Servers: []fleet.ServerKeypair{{Server: string(serverID), Keypair: "ops"}}})
			return err
		},
		fleet.ActionServersRestart: func(ctx context.Context) error {
			_, _, err := b.RestartServers(ctx, c, fleet.ServersCall{Project: project, Servers: []string{string(serverID)}})
			return err
		},
		fleet.ActionServersDelete: func(ctx context.Context) error {
			_, _, err := b.DeleteServers(ctx, c, fleet.ServersCall{Project: project, Servers: []string{string(serverID)}})
			_, abandonErr := b.AbandonServer(ctx, c, project, serverID)
			if phone.ReasonOf(abandonErr) == phone.ReasonServerBusy { // its host answers
				abandonErr = nil
			}
			return errors.Join(err, abandonErr)
		},
		fleet.ActionServersChange: func(ctx context.Context) error {
			_, _, err := b.ChangeServer(ctx, c, fleet.ChangeServer{Project: project, Server: serverID, Image: string(imageID)})
			return err
		},
		fleet.ActionImagesCreate: func(ctx context.Context) error {
			_, err := b.AddImage(ctx, c, fleet.NewImage{Project: project, Name: "new", Reference: "example/new:1"})
			return err
		},
		fleet.ActionPhonesUpdateName:  func(ctx context.Context) error { return b.RenamePhone(ctx, c, project, firstID, "new") },
		fleet.ActionServersUpdateName: func(ctx context.Context) error { return b.RenameServer(ctx, c, project, serverID, "new") },
		fleet.ActionPhonesSyncCommand: func(ctx context.Context) error {
			results, err := b.RunOnPhones(ctx, c, fleet.RunOnPhones{
				Project: project, Phones: []string{string(firstID)}, Command: driver.Command{Args: []string{"id"}}, Within: time.Minute, AtOnce: 1,
			})
			if err != nil {
				return err
			}
			return results[0].Err
		},
		fleet.ActionPhonesConnect: func(ctx context.Context) error {
			at, err := b.Connect(ctx, c, project, []string{string(firstID)}, func(phone.Server) string { return "192.0.2.7" })
			if err != nil {
				return err
			}
			_, err = b.CheckTicket(ctx, c, project, at[0].Ticket)
			return err
		},
		fleet.ActionPhoneModelsList: func(ctx context.Context) error {
			_, err := b.PhoneModels(ctx, c, project)
			return err
		},
		fleet.ActionServerModelsList: func(ctx context.Context) error {
			_, err := b.ServerModels(ctx, c, project)
			_, poolErr := b.PoolHosts(ctx, c, project)
			return errors.Join(err, poolErr)
		},
		fleet.ActionImagesDelete: func(ctx context.Context) error { return b.DeleteImage(ctx, c, project, freeImage) },
		fleet.ActionImagesShare: func(ctx context.Context) error {
			if err := b.ShareImage(ctx, c, project, imageID, other); err != nil {
				return err
			}
			return b.UnshareImage(ctx, c, project, imageID, other)
		},
		fleet.ActionImagesListMembers: func(ctx context.Context) error {
			_, err := b.ImageMembers(ctx, c, project, imageID)
			return err
		},
		fleet.ActionImagesAcceptShared: func(ctx context.Context) error {
			return b.AnswerShare(ctx, c, project, theirImage, phone.MemberAccepted)
		},
		fleet.ActionTagsUpdate: func(ctx context.Context) error {
			tags := []phone.Tag{{Key: "room", Value: "1"}}
			if err := b.AddTags(ctx, c, project, serverID, tags); err != nil {
				return err
			}
			return b.RemoveTags(ctx, c, project, serverID, tags)
		},
		fleet.ActionPhonesExport: func(ctx context.Context) error {
			_, _, err := b.TransferData(ctx, c, fleet.TransferData{
				Project: project, Kind: phone.KindExport, Phones: []fleet.PhoneData{{Phone: string(firstID), Bucket: "ours", Key: "a", Include: []string{"/data"}}},
			})
			return err
		},
		fleet.ActionPhonesImport: func(ctx context.Context) error {
			_, _, err := b.TransferData(ctx, c, fleet.TransferData{
				Project: project, Kind: phone.KindImport, Phones: []fleet.PhoneData{{Phone: string(firstID), Bucket: "ours", Key: "kept"}},
			})
			return err
		},
		fleet.ActionBucketsCreate: func(ctx context.Context) error {
			_, err := b.CreateBucket(ctx, c, project, "new-"+phone.NewID[string]())
			return err
		},
		fleet.ActionBucketsList: func(ctx context.Context) error {
			_, err := b.Buckets(ctx, c, project)
			return err
		},
		fleet.ActionBucketsDelete: func(ctx context.Context) error {
			err := b.DeleteBucket(ctx, c, project, "ours")
			if phone.ReasonOf(err) == phone.ReasonBucketNotEmpty { // allowed, and refused for its objects
				return nil
			}
			return err
		},
		fleet.ActionObjectsList: func(ctx context.Context) error {
			_, _, err := b.ListObjects(ctx, c, fleet.ObjectFilter{Project: project, Bucket: "ours"})
			return err
		},
		fleet.ActionObjectsGet: func(ctx context.Context) error {
			content, _, err := b.OpenObject(ctx, c, project, "ours", "kept")
			if err != nil {
				return err
			}
			return content.Close()
		},
		fleet.ActionObjectsPut: func(ctx context.Context) error {
			_, err := b.PutObject(ctx, c, project, "ours", "new", func(w io.Writer) error {
				_, err := w.Write([]byte("new"))
				return err
			})
			return err
		},
		fleet.ActionObjectsDelete: func(ctx context.Context) error { return b.DeleteObject(ctx, c, project, "ours", "gone") },
		fleet.ActionTagsList: func(ctx context.Context) error {
			_, tagsErr := b.ServerTags(ctx, c, project, serverID)
			_, _, projectErr := b.ProjectTags(ctx, c, project, 0, 10)
			_, _, serversErr := b.TaggedServers(ctx, c, fleet.TagFilter{Project: project})
			return errors.Join(tagsErr, projectErr, serversErr)
		},
	}
}

// Every action is listed once, and every one on a project is one of a use case that is tested below.
func TestActions(t *testing.T) {
	t.Parallel()
	want := map[fleet.Action]bool{}
	for _, action := range []fleet.Action{ // of what the CPH API refuses by itself: tested there
		fleet.ActionPhonesTraffic, fleet.ActionPhonesExpand, fleet.ActionServersChangeType, fleet.ActionServersAccess, fleet.ActionBandwidthsList,
		fleet.ActionBandwidthsUpdate, fleet.ActionEncodersList, fleet.ActionEncodersRestart, fleet.ActionEventsList, fleet.ActionEventsUpdate,
		fleet.ActionServersAttach, fleet.ActionServersDetach,
	} {
		want[action] = true
	}
	for action := range useCases(newBundle(t), owner()) {
		want[action] = true
	}
	seen := map[fleet.Action]bool{}
	for _, p := range fleet.Permissions() {
		if seen[p.Action] {
			t.Errorf("%s is listed twice", p.Action)
		}
		seen[p.Action] = true
		if p.Scope == fleet.ScopeProject && !want[p.Action] {
			t.Errorf("%s is tested nowhere", p.Action)
		}
		delete(want, p.Action)
	}
	if len(want) != 0 {
		t.Errorf("not listed: %v", want)
	}
}

// Every use case is refused to a user without its action, to the owner of another project, and allowed with exactly its action.
func TestAuthorisation(t *testing.T) {
	t.Parallel()
	if err := fleet.Authorise(owner(), project, "cph:phones:fly"); phone.CodeOf(err) != phone.Forbidden {
		t.Errorf("an action that does not exist: %v", err)
	}
	for action := range useCases(newBundle(t), owner()) {
		t.Run(string(action), func(t *testing.T) {
			t.Parallel()
			b := newBundle(t)
			b.store.Put(phone.Job{ID: "88888888888888888888888888888888", Project: project})
			var without []fleet.Action
			for _, a := range fleet.Actions() {
				if a != action {
					without = append(without, a)
				}
			}
			need := []fleet.Action{action}
			switch action {
			case fleet.ActionImagesGet:
				need = append(need, fleet.ActionPhonesReset)
			case fleet.ActionServersChange:
				need = append(need, fleet.ActionImagesGet)
			}
			stranger := owner()
			stranger.Scope = string(other)
			domainScoped := owner()
			domainScoped.Scope = ""
			for name, refused := range map[string]account.Caller{"without it": user(without...), "another project": stranger, "no project": domainScoped} {
				if err := useCases(b, refused)[action](t.Context()); phone.CodeOf(err) != phone.Forbidden {
					t.Errorf("%s: %v, want Forbidden", name, err)
				}
			}
			if b.store.Calls() != 0 {
				t.Error("the store was asked for a caller who may not")
			}
			for name, allowed := range map[string]account.Caller{"with it": user(need...), "owner": owner()} {
				switch action {
				case fleet.ActionServersCreate, fleet.ActionPhonesReset, fleet.ActionImagesGet, fleet.ActionImagesDelete, fleet.ActionServersDelete, fleet.ActionServersChange, fleet.ActionObjectsDelete:
					b = newBundle(t)
				}
				if err := useCases(b, allowed)[action](t.Context()); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

// A database that does not answer is passed on as what it is, and whatever fails without a code stays without one.
func TestStoreErrorsArePassedOn(t *testing.T) {
	t.Parallel()
	for action := range useCases(newBundle(t), owner()) {
		if action == fleet.ActionPhoneModelsList || action == fleet.ActionServerModelsList { // the configuration has them
			continue
		}
		b := newBundle(t)
		b.store.Fail(phone.Errorf(phone.Unavailable, "", "the database does not answer"))
		if err := useCases(b, owner())[action](t.Context()); phone.CodeOf(err) != phone.Unavailable {
			t.Errorf("%s: %v, want Unavailable", action, err)
		}
	}
}

// same gives the error of a list; read from place to place it must be the same.
func same(t *testing.T, err, afterErr error) error {
	t.Helper()
	if fmt.Sprint(err) != fmt.Sprint(afterErr) {
		t.Errorf("by offset: %v; from place to place: %v", err, afterErr)
	}
	return err
}

// Pages have bounds, ids have a form, and names have no control characters, before the store is asked.
func TestInputIsChecked(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	ctx, c := t.Context(), owner()
	phones := func(f fleet.PhoneFilter) error {
		f.Project = project
		_, _, err := b.Phones(ctx, c, f)
		_, _, afterErr := b.PhonesAfter(ctx, c, f, fleet.Place{})
		return same(t, err, afterErr)
	}
	servers := func(f fleet.ServerFilter) error {
		f.Project = project
		_, _, err := b.Servers(ctx, c, f)
		_, _, afterErr := b.ServersAfter(ctx, c, f, fleet.Place{})
		return same(t, err, afterErr)
	}
	jobs := func(f fleet.JobFilter) error {
		f.Project = project
		_, err := b.Jobs(ctx, c, f)
		_, _, afterErr := b.JobsAfter(ctx, c, f, fleet.Place{})
		return same(t, err, afterErr)
	}
	images := func(f fleet.ImageFilter) error {
		f.Project = project
		_, err := b.Images(ctx, c, f)
		return err
	}
	_, _, requestErr := b.RequestJobs(ctx, c, project, nil, -1, 10)
	tests := map[string]struct {
		err    error
		reason phone.Reason
	}{
		"negative offset":      {phones(fleet.PhoneFilter{Offset: -1}), phone.ReasonPageInvalid},
		"negative limit":       {servers(fleet.ServerFilter{Limit: -1}), phone.ReasonPageInvalid},
		"limit too high":       {jobs(fleet.JobFilter{Limit: 1001}), phone.ReasonPageInvalid},
		"request page":         {requestErr, phone.ReasonPageInvalid},
		"phone name, NUL":      {phones(fleet.PhoneFilter{Name: "a\x00"}), phone.ReasonNameInvalid},
		"phone name, UTF-8":    {phones(fleet.PhoneFilter{Name: "\xff"}), phone.ReasonNameInvalid},
		"server name, NUL":     {servers(fleet.ServerFilter{Name: "\x00"}), phone.ReasonNameInvalid},
		"phone model, NUL":     {servers(fleet.ServerFilter{PhoneModel: "\x00"}), phone.ReasonNameInvalid},
		"image name, NUL":      {images(fleet.ImageFilter{Name: "\x00"}), phone.ReasonNameInvalid},
		"server of phones":     {phones(fleet.PhoneFilter{Server: "x"}), phone.ReasonServerInvalid},
		"server id":            {servers(fleet.ServerFilter{ID: "x\x00"}), phone.ReasonServerInvalid},
		"server of jobs":       {jobs(fleet.JobFilter{Server: "x"}), phone.ReasonServerInvalid},
		"phone of jobs":        {jobs(fleet.JobFilter{Phone: "x"}), phone.ReasonPhoneInvalid},
		"request of jobs":      {jobs(fleet.JobFilter{Requests: []phone.RequestID{"x"}}), phone.ReasonRequestNotFound},
		"image id":             {images(fleet.ImageFilter{ID: "x"}), phone.ReasonImageInvalid},
		"name of a phone":      {b.RenamePhone(ctx, c, project, firstID, "a b"), phone.ReasonNameInvalid},
		"name of a server":     {b.RenameServer(ctx, c, project, serverID, ""), phone.ReasonNameInvalid},
		"image to delete":      {b.DeleteImage(ctx, c, project, "x"), phone.ReasonImageInvalid},
		"image to share":       {b.ShareImage(ctx, c, project, "x", other), phone.ReasonImageInvalid},
		"answer of a member":   {b.AnswerShare(ctx, c, project, imageID, phone.MemberPending), phone.ReasonMemberStatus},
		"tags":                 {b.AddTags(ctx, c, project, serverID, nil), phone.ReasonTagInvalid},
		"longer than any name": {phones(fleet.PhoneFilter{Name: strings.Repeat("a", 300)}), phone.ReasonNameInvalid},
	}
	for name, tt := range tests {
		if phone.CodeOf(tt.err) != phone.Invalid || phone.ReasonOf(tt.err) != tt.reason {
			t.Errorf("%s: %v, want Invalid with reason %q", name, tt.err, tt.reason)
		}
	}
	if b.store.Calls() != 0 {
		t.Error("the store was asked for something that cannot be")
	}
}

// What is malformed and what belongs to another project answer alike: not found.
func TestNotFound(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.store.Put(
		phone.Job{ID: "99999999999999999999999999999999", Project: other, Request: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
		phone.Request{ID: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", Project: other},
	)
	ctx, c := t.Context(), owner()
	for _, id := range []string{"", "nonsense", "a\x00", string(nobody), "66666666666666666666666666666666", "55555555555555555555555555555555", "99999999999999999999999999999999", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"} {
		_, phoneErr := b.Phone(ctx, c, project, phone.ID(id))
		_, _, onServerErr := b.PhoneOnServer(ctx, c, project, phone.ID(id))
		_, execErr := b.Exec(ctx, c, project, phone.ID(id), driver.Command{Args: []string{"id"}})
		_, serverErr := b.Server(ctx, c, project, phone.ServerID(id))
		_, useErr := b.ServerUse(ctx, c, project, phone.ServerID(id))
		_, jobErr := b.Job(ctx, c, project, phone.JobID(id))
		_, progressErr := b.Progress(ctx, c, project, phone.RequestID(id))
		_, _, requestErr := b.RequestJobs(ctx, c, project, []phone.RequestID{phone.RequestID(id)}, 0, 10)
		for name, got := range map[string]struct {
			err    error
			reason phone.Reason
		}{
			"phone": {phoneErr, phone.ReasonPhoneNotFound}, "phone on its server": {onServerErr, phone.ReasonPhoneNotFound},
			"command": {execErr, phone.ReasonPhoneNotFound}, "server": {serverErr, phone.ReasonServerNotFound},
			"use": {useErr, phone.ReasonServerNotFound}, "job": {jobErr, phone.ReasonJobNotFound},
			"progress": {progressErr, phone.ReasonRequestNotFound}, "jobs of a request": {requestErr, phone.ReasonRequestNotFound},
		} {
			if phone.CodeOf(got.err) != phone.NotFound || phone.ReasonOf(got.err) != got.reason {
				t.Errorf("%s %q: %v, want NotFound with reason %q", name, id, got.err, got.reason)
			}
		}
	}
}
