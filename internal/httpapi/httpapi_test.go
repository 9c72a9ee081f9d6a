package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/httpapi"
	"github.com/lethe-cloud/lethe/internal/phone"
)

func id[T ~string](n int) T { return T(fmt.Sprintf("%032x", n)) }

func TestServers(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	image := into[api.Image](t, f.call("POST", "/lethe/v1/images", `{"image_name":"android12","reference":"redroid:12"}`))
	if image.ImageLabel != "cloud_phone" || image.OSName == "" || image.IsPublic != 2 || !phone.ValidID(image.ImageID) {
		t.Errorf("image %+v", image)
	}
	images := into[api.Images](t, f.call("GET", "/lethe/v1/images?image_name=android12", ""))
	if diff := cmp.Diff(api.Images{Images: []api.Image{image}, Count: 1}, images); diff != "" {
		t.Error(diff)
	}

	body := `{"server_name":"edge","driver":"simulated","endpoint":"sim:///tmp/edge","phone_count":3,"image_id":"` + image.ImageID +
		`","max_concurrent_boots":2,"boot_timeout_ms":90000,"port_base":21000,"config":{"boot_time":"2s"}}`
	answer := f.call("POST", "/lethe/v1/servers", body)
	added := into[api.AddedServer](t, answer)
	if added.RequestID != answer.header.Get("X-Request-Id") {
		t.Errorf("the phones' request is %s, the call's %s", added.RequestID, answer.header.Get("X-Request-Id"))
	}
	want := api.Server{
		ServerID: added.ServerID, ServerName: "edge", ProjectID: projectA, Driver: "simulated", Endpoint: "sim:///tmp/edge", Status: 5,
		ServerModelName: added.ServerModelName, PhoneModelName: added.PhoneModelName, ImageLabel: "cloud_phone", PhoneCount: 3,
		MaxConcurrentBoots: 2, BootTimeoutMS: 90000, PortBase: 21000, Config: json.RawMessage(`{"boot_time":"2s"}`),
		CreateTime: clock, UpdateTime: clock,
	}
	if diff := cmp.Diff(want, added.Server); diff != "" {
		t.Error(diff)
	}
	servers := into[api.Servers](t, f.call("GET", "/lethe/v1/servers?server_name=ed&status=5", ""))
	if diff := cmp.Diff(api.Servers{Servers: []api.Server{want}, Count: new(1)}, servers); diff != "" {
		t.Error(diff)
	}
	if none := into[api.Servers](t, f.call("GET", "/lethe/v1/servers?status=2", "")); none.Count == nil || *none.Count != 0 || none.Servers == nil {
		t.Errorf("servers in status 2: %+v", none)
	}

	jobs := f.store.AllJobs()
	jobs[0].Phase = phone.PhaseBooting
	f.store.Put(jobs[0])
	want.Slots = &api.Slots{Total: 2, Held: 1}
	want.Phones = []api.StatusCount{{Status: 1, Count: 3}}
	if diff := cmp.Diff(want, into[api.Server](t, f.call("GET", "/lethe/v1/servers/"+added.ServerID, ""))); diff != "" {
		t.Error(diff)
	}
	if e := refused(t, f.call("POST", "/lethe/v1/servers", body), http.StatusConflict); e.Code != "conflict" || e.Reason != "name_taken" {
		t.Errorf("a second server of that name: %+v", e)
	}
	progress := into[api.Progress](t, f.call("GET", "/lethe/v1/requests/"+added.RequestID, ""))
	wantProgress := api.Progress{
		RequestID: added.RequestID, ProjectID: projectA, Kind: "create", CreateTime: clock, Total: 3,
		Phases: []api.PhaseCount{{Phase: "queued", Count: 2}, {Phase: "booting", Count: 1}},
	}
	if diff := cmp.Diff(wantProgress, progress); diff != "" {
		t.Error(diff)
	}
}

func TestPhones(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for i := range 5 {
		f.store.Put(phone.Phone{
			ID: id[phone.ID](i), Name: fmt.Sprintf("edge-%04d", i), Project: projectA, Server: id[phone.ServerID](i % 2), Image: id[phone.ImageID](7),
			Status: phone.StatusRunning, Generation: 3, LastGeneration: 3, Properties: phone.Properties{"ro.serialno": "SECRET123", "com.cph.mainkeys": "1"},
			ADBPort: 20000 + i, CreatedAt: clock.Add(time.Duration(i) * time.Second),
		})
	}
	f.store.Put(phone.Phone{ID: id[phone.ID](8), Name: "dead", Project: projectB, Status: phone.StatusAbnormal, Cause: "it ended by itself"})
	if dead := into[api.Phone](t, f.call("GET", "/lethe/v1/phones/"+string(id[phone.ID](8))+"?project_id="+projectB, "", "X-Auth-Token", "wide")); dead.Cause != "it ended by itself" || dead.Status != -7 {
		t.Errorf("a phone that died: %+v", dead)
	}
	f.store.Put(
		phone.Phone{ID: id[phone.ID](9), Name: "strange", Project: projectB, Status: phone.StatusRunning},
		phone.Phone{ID: id[phone.ID](4), Name: "edge-0004", Project: projectA, Server: id[phone.ServerID](0), Status: phone.StatusResetting, LastGeneration: 4, CreatedAt: clock.Add(4 * time.Second)},
		phone.Job{ID: id[phone.JobID](1), Phone: id[phone.ID](4), Project: projectA, Kind: phone.KindReset, Phase: phone.PhaseSucceeded},
		phone.Job{ID: id[phone.JobID](2), Phone: id[phone.ID](4), Project: projectA, Kind: phone.KindReset, Phase: phone.PhaseBooting, Target: 4},
	)
	names := func(path string) (names []string) {
		t.Helper()
		list := into[api.Phones](t, f.call("GET", path, ""))
		for _, p := range list.Phones {
			names = append(names, p.PhoneName)
		}
		return append(names, fmt.Sprint(*list.Count))
	}
	lists := map[string][]string{
		"/lethe/v1/phones":                              {"edge-0004", "edge-0003", "edge-0002", "edge-0001", "edge-0000", "5"},
		"/lethe/v1/phones?offset=1&limit=2":             {"edge-0003", "edge-0002", "5"},
		"/lethe/v1/phones?offset=100":                   {"5"},
		"/lethe/v1/phones?phone_name=0003":              {"edge-0003", "1"},
		"/lethe/v1/phones?status=3":                     {"edge-0004", "1"},
		"/lethe/v1/phones?status=-5":                    {"0"},
		"/lethe/v1/phones?server_id=" + id[string](1):   {"edge-0003", "edge-0001", "2"},
		"/lethe/v1/phones?project_id=" + projectA:       {"edge-0004", "edge-0003", "edge-0002", "edge-0001", "edge-0000", "5"},
		"/lethe/v1/phones?status=2&limit=1&offset=1":    {"edge-0002", "4"},
		"/lethe/v1/phones?server_id=" + id[string](123): {"0"},
	}
	for path, want := range lists {
		if diff := cmp.Diff(want, names(path)); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
	}

	answer := f.call("GET", "/lethe/v1/phones/"+id[string](2), "")
	got := into[api.Phone](t, answer)
	want := api.Phone{
		PhoneID: id[string](2), PhoneName: "edge-0002", ServerID: id[string](0), ProjectID: projectA, ImageID: id[string](7), Status: 2,
		Generation: 3, LastGeneration: 3, PropertyKeys: []string{"com.cph.mainkeys", "ro.serialno"}, ADBPort: 20002, CreateTime: clock.Add(2 * time.Second),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if bytes.Contains(answer.body, []byte("SECRET123")) {
		t.Error("a property's value is shown")
	}
	if busy := into[api.Phone](t, f.call("GET", "/lethe/v1/phones/"+id[string](4), "")); busy.Job == nil || busy.Job.JobID != id[string](2) || busy.Job.Phase != "booting" {
		t.Errorf("job at work: %+v", busy.Job)
	}
	if busy := into[api.Phone](t, f.call("GET", "/lethe/v1/phones/"+id[string](4), "", "X-Auth-Token", "user cph:phones:get")); busy.Job != nil {
		t.Errorf("a user who may see no jobs sees %+v", busy.Job)
	}

	other, absent := f.call("GET", "/lethe/v1/phones/"+id[string](9), ""), f.call("GET", "/lethe/v1/phones/"+id[string](99), "")
	a, b := refused(t, other, http.StatusNotFound), refused(t, absent, http.StatusNotFound)
	a.RequestID, b.RequestID = "", ""
	if diff := cmp.Diff(a, b); diff != "" {
		t.Errorf("another project's phone answers otherwise than one that does not exist: %s", diff)
	}
}

func TestExec(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.store.Put(
		phone.Server{ID: id[phone.ServerID](1), Project: projectA, Status: phone.ServerNormal},
		phone.Phone{ID: id[phone.ID](1), Project: projectA, Server: id[phone.ServerID](1), Status: phone.StatusRunning, Generation: 6},
		phone.Phone{ID: id[phone.ID](2), Project: projectA, Server: id[phone.ServerID](1), Status: phone.StatusStopped, Generation: 6},
	)
	path := "/lethe/v1/phones/" + id[string](1) + "/exec"
	tests := map[string]struct {
		body string
		want api.ExecResult
	}{
		"echoes":    {`{"args":["cat"],"stdin":"aGFsbG8="}`, api.ExecResult{Stdout: []byte("hallo"), Stderr: []byte{}}},
		"truncates": {`{"args":["cat"],"stdin":"aGFsbG8=","max_output":2}`, api.ExecResult{Stdout: []byte("ha"), Stderr: []byte{}, Truncated: true}},
		"fails":     {`{"args":["nope"]}`, api.ExecResult{ExitCode: 127, Stdout: []byte{}, Stderr: []byte("nope: not found\n")}},
	}
	for name, tt := range tests {
		if diff := cmp.Diff(tt.want, into[api.ExecResult](t, f.call("POST", path, tt.body))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if len(f.host.ran) != len(tests) || f.host.ran[0].Generation != 6 {
		t.Errorf("ran in %v", f.host.ran)
	}
	for body, field := range map[string]string{`{}`: "args", `{"args":[]}`: "args", `{"args":["a"],"max_output":-1}`: "max_output", `{"args":"a"}`: "args", `{"args":["a"],"tty":true}`: ""} {
		if e := refused(t, f.call("POST", path, body), http.StatusBadRequest); e.Field != field {
			t.Errorf("%s: field %q, want %q: %s", body, e.Field, field, e.Msg)
		}
	}
	stopped := f.call("POST", "/lethe/v1/phones/"+id[string](2)+"/exec", `{"args":["cat"]}`)
	if e := refused(t, stopped, http.StatusConflict); e.Reason != "phone_not_running" {
		t.Errorf("a stopped phone: %+v", e)
	}
	if e := refused(t, f.call("POST", path, `{"args":["cat"]}`, "X-Auth-Token", "user cph:phones:get"), http.StatusForbidden); !strings.Contains(e.Msg, "cph:phones:runCommand") {
		t.Errorf("without the permission: %+v", e)
	}
}

func TestJobs(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	request, phones := id[phone.RequestID](50), []phone.ID{id[phone.ID](1), id[phone.ID](2)}
	f.store.Put(
		phone.Request{ID: request, Project: projectA, Kind: phone.KindReset, Refused: 1, CreatedAt: clock},
		phone.Job{
			ID: id[phone.JobID](1), Request: request, Project: projectA, Phone: phones[0], Server: id[phone.ServerID](1), Kind: phone.KindReset,
			Phase: phone.PhaseSucceeded, Erase: phone.EraseDone, Target: 4, Prior: 3, PriorStatus: phone.StatusStopped, PriorImage: id[phone.ImageID](6),
			Image: id[phone.ImageID](7), Properties: phone.Properties{"ro.serialno": "SECRET123"}, Factory: true, Attempt: 2,
			CreatedAt: clock, StartedAt: clock.Add(time.Second), EndedAt: clock.Add(3 * time.Second),
			PhaseAt: map[phone.Phase]time.Time{phone.PhaseRemoving: clock.Add(time.Second), phone.PhaseQueued: clock, phone.PhaseSucceeded: clock.Add(3 * time.Second)},
			Receipt: &phone.Receipt{
				Phone: phones[0], Job: id[phone.JobID](1), From: 3, To: 4, Image: id[phone.ImageID](7), Identity: phone.ImageIdentity{ID: "sha256:1"},
				Instance: "i-4", Volume: "v-4", Erased: []phone.ErasedVolume{{Name: "v-3", Generation: 3, Files: 10, Bytes: 20, Gone: true}},
				LookedFor: clock.Add(2 * time.Second), Properties: []phone.PropertyReading{{Key: "ro.serialno", Effect: phone.EffectVerified}},
			},
		},
		phone.Job{
			ID: id[phone.JobID](2), Request: request, Project: projectA, Phone: phones[1], Server: id[phone.ServerID](1), Kind: phone.KindReset,
			Phase: phone.PhaseFailed, Erase: phone.ErasePending, Target: 2, Prior: 1, PriorStatus: phone.StatusRunning, Image: id[phone.ImageID](7), Attempt: 1,
			CreatedAt: clock, Failure: &phone.Failure{Reason: phone.ReasonBootTimeout, Msg: "The phone did not boot in 5m0s.", Detail: "Give the server a longer boot timeout."},
		},
	)
	answer := f.call("GET", "/lethe/v1/jobs/"+id[string](1), "")
	want := api.Job{
		JobID: id[string](1), RequestID: string(request), ProjectID: projectA, PhoneID: id[string](1), ServerID: id[string](1), Kind: "reset",
		Status: 2, Phase: "succeeded", Erase: "done", Generation: 4, PriorGeneration: 3, PriorStatus: 8, PriorImageID: id[string](6), ImageID: id[string](7),
		PropertyKeys: []string{"ro.serialno"}, FactoryReset: true, Attempt: 2, CreateTime: clock, BeginTime: clock.Add(time.Second), EndTime: clock.Add(3 * time.Second),
		Phases: []api.PhaseTime{{Phase: "queued", BeginTime: clock}, {Phase: "removing", BeginTime: clock.Add(time.Second)}, {Phase: "succeeded", BeginTime: clock.Add(3 * time.Second)}},
		Receipt: &api.Receipt{
			PhoneID: id[string](1), JobID: id[string](1), FromGeneration: 3, ToGeneration: 4, ImageID: id[string](7), ImageIdentity: api.ImageIdentity{ID: "sha256:1"},
			Instance: "i-4", Volume: "v-4", Erased: []api.ErasedVolume{{Name: "v-3", Generation: 3, Files: 10, Bytes: 20, Gone: true}},
			LookedForAt: clock.Add(2 * time.Second), Properties: []api.PropertyReading{{Key: "ro.serialno", Effect: "verified"}},
		},
	}
	if diff := cmp.Diff(want, into[api.Job](t, answer)); diff != "" {
		t.Error(diff)
	}
	if bytes.Contains(answer.body, []byte("SECRET123")) {
		t.Error("a property's value is shown")
	}
	failed := into[api.Job](t, f.call("GET", "/lethe/v1/jobs/"+id[string](2), ""))
	wantFailure := &api.Failure{Reason: "boot_timeout", Msg: "The phone did not boot in 5m0s.", Detail: "Give the server a longer boot timeout."}
	if diff := cmp.Diff(wantFailure, failed.Failure); diff != "" || failed.Status != -1 || failed.Receipt != nil || !failed.EndTime.IsZero() {
		t.Errorf("failed job %+v: %s", failed, diff)
	}
	for path, want := range map[string][]string{
		"/lethe/v1/jobs":                                    {id[string](2), id[string](1)},
		"/lethe/v1/jobs?order=oldest":                       {id[string](1), id[string](2)},
		"/lethe/v1/jobs?request_id=" + string(request):      {id[string](1), id[string](2)},
		"/lethe/v1/jobs?phone_id=" + id[string](2):          {id[string](2)},
		"/lethe/v1/jobs?server_id=" + id[string](1):         {id[string](2), id[string](1)},
		"/lethe/v1/jobs?server_id=" + id[string](2):         {},
		"/lethe/v1/jobs?request_id=" + id[string](51):       {},
		"/lethe/v1/jobs?order=oldest&offset=1&limit=1":      {id[string](2)},
		"/lethe/v1/jobs?order=newest&offset=2":              {},
		"/lethe/v1/jobs?request_id=" + id[string](50) + "&": {id[string](1), id[string](2)},
	} {
		got := []string{}
		for _, job := range into[api.Jobs](t, f.call("GET", path, "")).Jobs {
			got = append(got, job.JobID)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
	}
	progress := into[api.Progress](t, f.call("GET", "/lethe/v1/requests/"+string(request), ""))
	wantProgress := api.Progress{
		RequestID: string(request), ProjectID: projectA, Kind: "reset", CreateTime: clock, Total: 2, Refused: 1, Erased: 1, Finished: true,
		Phases: []api.PhaseCount{{Phase: "succeeded", Count: 1}, {Phase: "failed", Count: 1}},
	}
	if diff := cmp.Diff(wantProgress, progress); diff != "" {
		t.Error(diff)
	}
}

func TestUsers(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	policy := `{"Version":"1.1","Statement":[{"Effect":"Allow","Action":["cph:phones:reset"]}]}`
	answer := f.call("POST", "/lethe/v1/users", `{"user_name":"ci","policies":[`+policy+`]}`)
	added := into[api.AddedUser](t, answer)
	if added.Password == "" || added.AccessKey == "" || added.SecretKey == "" || answer.header.Get("Cache-Control") != "no-store" {
		t.Errorf("secrets or header missing: %v", answer.header)
	}
	want := api.User{UserID: added.UserID, UserName: "ci", Enabled: true, CreateTime: clock, Policies: []api.Policy{{
		Version: "1.1", Statement: []api.Statement{{Effect: "Allow", Action: []string{"cph:phones:reset"}}},
	}}}
	if diff := cmp.Diff(want, added.User); diff != "" {
		t.Error(diff)
	}
	listed := f.call("GET", "/lethe/v1/users", "")
	if diff := cmp.Diff(api.Users{Users: []api.User{want}, Count: 1}, into[api.Users](t, listed)); diff != "" {
		t.Error(diff)
	}
	for _, secret := range []string{added.Password, added.SecretKey} {
		if bytes.Contains(listed.body, []byte(secret)) || strings.Contains(f.log.String(), secret) {
			t.Error("a secret is shown a second time, or logged")
		}
	}
	set := into[api.UserPolicies](t, f.call("PUT", "/lethe/v1/users/ci/policies", `{"policies":[]}`))
	if diff := cmp.Diff(api.UserPolicies{UserName: "ci", Policies: []api.Policy{}}, set); diff != "" {
		t.Error(diff)
	}
	if e := refused(t, f.call("POST", "/lethe/v1/users", `{"user_name":"ci"}`), http.StatusConflict); e.Reason != "name_taken" {
		t.Errorf("a second user of that name: %+v", e)
	}
	refused(t, f.call("PUT", "/lethe/v1/users/nobody/policies", `{"policies":[]}`), http.StatusNotFound)
	refused(t, f.call("GET", "/lethe/v1/users", "", "X-Auth-Token", "user cph:*"), http.StatusForbidden)
	conditional := strings.Replace(policy, `"Effect"`, `"Condition":{},"Effect"`, 1)
	if e := refused(t, f.call("PUT", "/lethe/v1/users/ci/policies", `{"policies":[`+conditional+`]}`), http.StatusBadRequest); e.Field != "policies" {
		t.Errorf("a condition that nobody would look at: %+v", e)
	}
}

func TestProjectOfACall(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.store.Put(
		phone.Phone{ID: id[phone.ID](1), Name: "a", Project: projectA, Status: phone.StatusRunning},
		phone.Phone{ID: id[phone.ID](2), Name: "b", Project: projectB, Status: phone.StatusRunning},
	)
	tests := map[string]struct {
		token, header, query string
		status               int
		phone                string
	}{
		"the token's":            {"owner", "", "", 200, "a"},
		"the only one":           {"signed", "", "", 200, "a"},
		"none of two":            {"wide", "", "", 400, ""},
		"by header":              {"wide", projectB, "", 200, "b"},
		"by query":               {"wide", "", projectB, 200, "b"},
		"both the same":          {"wide", projectB, projectB, 200, "b"},
		"two different":          {"wide", projectA, projectB, 400, ""},
		"not the token's":        {"owner", projectB, "", 403, ""},
		"not of the account":     {"signed", "", projectB, 403, ""},
		"a token of no project":  {"domain", "", "", 400, ""},
		"which then enters none": {"domain", projectA, "", 403, ""},
	}
	for name, tt := range tests {
		headers := []string{"X-Auth-Token", tt.token}
		if tt.header != "" {
			headers = append(headers, "X-Project-Id", tt.header)
		}
		path := "/lethe/v1/phones"
		if tt.query != "" {
			path += "?project_id=" + tt.query
		}
		answer := f.call("GET", path, "", headers...)
		if tt.status != 200 {
			refused(t, answer, tt.status)
			continue
		}
		if list := into[api.Phones](t, answer); len(list.Phones) != 1 || list.Phones[0].PhoneName != tt.phone {
			t.Errorf("%s: %+v, want phone %s", name, list, tt.phone)
		}
	}
}

func TestEveryRouteAsksWhoIsCalling(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, route := range httpapi.Operations() {
		method, path, _ := strings.Cut(route.Pattern, " ")
		answer := f.call(method, path, "{}", "X-Auth-Token", "nobody")
		if route.Open {
			into[any](t, answer)
			continue
		}
		if e := refused(t, answer, http.StatusUnauthorized); e.Code != "unauthenticated" {
			t.Errorf("%s: %+v", route.Pattern, e)
		}
		if route.Action == "" {
			continue
		}
		if e := f.call(method, path, "{", "X-Auth-Token", "user none:of:these"); e.status != http.StatusForbidden {
			t.Errorf("%s without a permission: %d %s", route.Pattern, e.status, e.body)
		}
	}
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	tests := map[string]struct {
		method, path, body string
		status             int
		field              string
	}{
		"no body":                  {"POST", "/lethe/v1/servers", "", 400, ""},
		"truncated":                {"POST", "/lethe/v1/servers", `{"server_name":"a`, 400, "server_name"},
		"no object":                {"POST", "/lethe/v1/images", `[]`, 400, ""},
		"huge":                     {"POST", "/lethe/v1/images", `{"image_name":"` + strings.Repeat("a", 1<<20) + `"}`, 413, ""},
		"deeply nested":            {"POST", "/lethe/v1/servers", `{"config":` + strings.Repeat(`[`, 100_000), 400, "config" + strings.Repeat("[0]", 31)},
		"wrong type":               {"POST", "/lethe/v1/servers", `{"phone_count":"3"}`, 400, "phone_count"},
		"duplicate key":            {"POST", "/lethe/v1/images", `{"image_name":"a","image_name":"b"}`, 400, ""},
		"duplicate key in config":  {"POST", "/lethe/v1/servers", `{"config":{"a":1,"a":2}}`, 400, "config"},
		"invalid UTF-8":            {"POST", "/lethe/v1/images", "{\"image_name\":\"\xff\"}", 400, ""},
		"unknown field":            {"POST", "/lethe/v1/images", `{"name":"a"}`, 400, ""},
		"too many phones":          {"POST", "/lethe/v1/servers", `{"server_name":"a","driver":"simulated","phone_count":1000000,"image_id":"x"}`, 409, "phone_count"},
		"an endless boot":          {"POST", "/lethe/v1/servers", `{"server_name":"a","driver":"simulated","phone_count":1,"boot_timeout_ms":9223372036854775807}`, 400, "boot_timeout_ms"},
		"an overflowing boot":      {"POST", "/lethe/v1/servers", `{"server_name":"a","driver":"simulated","phone_count":1,"boot_timeout_ms":18446744073711}`, 400, "boot_timeout_ms"},
		"no phones":                {"POST", "/lethe/v1/servers", `{"server_name":"a","driver":"simulated","image_id":"x"}`, 400, "phone_count"},
		"unknown image":            {"POST", "/lethe/v1/servers", `{"server_name":"a","driver":"simulated","phone_count":1,"image_id":"` + id[string](1) + `"}`, 404, "image_id"},
		"bad image":                {"POST", "/lethe/v1/servers", `{"server_name":"a","driver":"simulated","phone_count":1,"image_id":"x"}`, 400, "image_id"},
		"no reference":             {"POST", "/lethe/v1/images", `{"image_name":"a"}`, 400, "reference"},
		"bad user name":            {"POST", "/lethe/v1/users", `{"user_name":"a b"}`, 400, "user_name"},
		"unknown query parameter":  {"GET", "/lethe/v1/phones?name=a", "", 400, "name"},
		"a parameter twice":        {"GET", "/lethe/v1/phones?status=2&status=3", "", 400, "status"},
		"a query that is none":     {"GET", "/lethe/v1/phones?a=%zz", "", 400, ""},
		"limit 0":                  {"GET", "/lethe/v1/phones?limit=0", "", 400, "limit"},
		"limit beyond":             {"GET", "/lethe/v1/jobs?limit=1001", "", 400, "limit"},
		"limit no number":          {"GET", "/lethe/v1/servers?limit=a", "", 400, "limit"},
		"negative offset":          {"GET", "/lethe/v1/phones?offset=-1", "", 400, "offset"},
		"after and offset":         {"GET", "/lethe/v1/phones?after=&offset=0", "", 400, "after"},
		"after that is none":       {"GET", "/lethe/v1/phones?after=abc", "", 400, "after"},
		"after that is no base64":  {"GET", "/lethe/v1/jobs?after=%3D%3D", "", 400, "after"},
		"after, an id":             {"GET", "/lethe/v1/servers?after=" + id[string](1), "", 400, "after"},
		"status no number":         {"GET", "/lethe/v1/phones?status=running", "", 400, "status"},
		"order":                    {"GET", "/lethe/v1/jobs?order=up", "", 400, "order"},
		"malformed request filter": {"GET", "/lethe/v1/jobs?request_id=x", "", 400, ""},
		"malformed server filter":  {"GET", "/lethe/v1/phones?server_id=x", "", 400, ""},
		"malformed phone":          {"GET", "/lethe/v1/phones/x", "", 404, ""},
		"unknown server":           {"GET", "/lethe/v1/servers/" + id[string](1), "", 404, ""},
		"unknown job":              {"GET", "/lethe/v1/jobs/" + id[string](1), "", 404, ""},
		"unknown request":          {"GET", "/lethe/v1/requests/x", "", 404, ""},
		"unknown route":            {"GET", "/lethe/v1/phone", "", 404, ""},
		"unknown method":           {"DELETE", "/lethe/v1/phones", "", 404, ""},
		"method of another route":  {"PATCH", "/lethe/v1/users/ci/policies", "", 404, ""},
	}
	for name, tt := range tests {
		answer := f.call(tt.method, tt.path, tt.body)
		if answer.status != tt.status {
			t.Errorf("%s: status %d, want %d: %s", name, answer.status, tt.status, answer.body)
			continue
		}
		if e := refused(t, answer, tt.status); e.Field != tt.field {
			t.Errorf("%s: field %q, want %q: %s", name, e.Field, tt.field, e.Msg)
		}
	}
	if strings.Contains(f.log.String(), `"status":500`) {
		t.Error("bad input led to an internal error")
	}
}

// Every code has a status, and an internal error shows nothing but the call's id.
func TestErrorTable(t *testing.T) {
	t.Parallel()
	want := map[phone.Code]int{
		phone.Invalid: 400, phone.Unauthenticated: 401, phone.Forbidden: 403, phone.NotFound: 404, phone.Conflict: 409,
		phone.Precondition: 409, phone.Exhausted: 409, phone.Unsupported: 501, phone.Unavailable: 503, phone.Internal: 500,
	}
	for _, code := range phone.Codes() {
		f := newFixture(t)
		f.store.Fail(fmt.Errorf("read: %w", &phone.Error{Code: code, Reason: phone.ReasonPhoneBusy, Msg: "said to all", Err: errors.New("kept secret")}))
		answer := f.call("GET", "/lethe/v1/phones", "")
		e := refused(t, answer, want[code])
		if e.Code != string(code) || (e.Msg == "said to all") == (code == phone.Internal) || bytes.Contains(answer.body, []byte("secret")) {
			t.Errorf("%s: %s", code, answer.body)
		}
	}
	f := newFixture(t)
	f.store.Fail(errors.New("table phones is locked"))
	answer := f.call("GET", "/lethe/v1/phones", "")
	refused(t, answer, http.StatusInternalServerError)
	if bytes.Contains(answer.body, []byte("locked")) || !strings.Contains(f.log.String(), "table phones is locked") {
		t.Errorf("an unknown error belongs into the log and not into %s", answer.body)
	}
}

func TestPanicIsAnInternalError(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.store.Put(
		phone.Server{ID: id[phone.ServerID](1), Project: projectA, Status: phone.ServerNormal},
		phone.Phone{ID: id[phone.ID](1), Project: projectA, Server: id[phone.ServerID](1), Status: phone.StatusRunning, Generation: 1},
	)
	answer := f.call("POST", "/lethe/v1/phones/"+id[string](1)+"/exec", `{"args":["panic"]}`)
	refused(t, answer, http.StatusInternalServerError)
	if bytes.Contains(answer.body, []byte("burns")) || !strings.Contains(f.log.String(), "the host burns") {
		t.Errorf("a panic belongs into the log and not into %s", answer.body)
	}
}

// Replicas belong to no project: the operator's account sees them with any credentials, no other account does.
func TestReplicas(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if none := into[api.Replicas](t, f.call("GET", "/lethe/v1/replicas", "")); none.Count != 0 || none.Replicas == nil {
		t.Errorf("replicas of none: %+v", none)
	}
	f.store.Put(
		phone.Replica{ID: id[phone.ReplicaID](1), StartedAt: clock},
		phone.Replica{ID: id[phone.ReplicaID](2), StartedAt: clock.Add(time.Minute), LeaseExpiresAt: clock.Add(time.Hour), Alive: true, Jobs: 7},
	)
	want := api.Replicas{Count: 2, Replicas: []api.Replica{
		{ReplicaID: id[string](2), StartTime: clock.Add(time.Minute), LeaseExpireTime: clock.Add(time.Hour), Alive: true, Jobs: 7},
		{ReplicaID: id[string](1), StartTime: clock},
	}}
	for _, token := range []string{"owner", "signed", "wide", "domain"} {
		answer := f.call("GET", "/lethe/v1/replicas", "", "X-Auth-Token", token)
		if diff := cmp.Diff(want, into[api.Replicas](t, answer)); diff != "" {
			t.Errorf("%s: %s", token, diff)
		}
		if n := bytes.Count(answer.body, []byte("lease_expire_time")); n != 1 {
			t.Errorf("%d leases in %s", n, answer.body)
		}
	}
	into[api.Replicas](t, f.call("GET", "/lethe/v1/replicas", "", "X-Auth-Token", "user lethe:replicas:list"))
	for _, token := range []string{"user cph:servers:list", "tenant"} {
		if e := refused(t, f.call("GET", "/lethe/v1/replicas", "", "X-Auth-Token", token), http.StatusForbidden); e.Code != "forbidden" {
			t.Errorf("%s: %+v", token, e)
		}
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.api.Ready = func(context.Context) error {
		return phone.Errorf(phone.Unavailable, "", "the database does not answer")
	}
	if got := into[api.Health](t, f.call("GET", "/lethe/v1/healthz", "")); got.Status != "ok" {
		t.Errorf("healthz %+v", got)
	}
	if e := refused(t, f.call("GET", "/lethe/v1/readyz", ""), http.StatusServiceUnavailable); e.Msg != "the database does not answer" {
		t.Errorf("readyz %+v", e)
	}
	if got := into[api.Version](t, f.call("GET", "/lethe/v1/version", "")); got.Version != "v1.2.3" {
		t.Errorf("version %+v", got)
	}
}

// Whatever body a caller sends, the answer is one of the API's, and no internal error.
func FuzzAddServer(f *testing.F) {
	f.Add([]byte(`{"server_name":"edge","driver":"simulated","phone_count":3,"image_id":"` + id[string](1) + `","config":{"boot_time":"2s"}}`))
	f.Add([]byte(`{"phone_count":-1,"boot_timeout_ms":9223372036854775807}`))
	f.Add([]byte(`{"config":[[[[`))
	f.Fuzz(func(t *testing.T, body []byte) {
		fx := newFixture(t)
		fx.store.Put(phone.Image{ID: id[phone.ImageID](1), Project: projectA, Label: "cloud_phone"})
		r := httptest.NewRequest("POST", "/lethe/v1/servers", bytes.NewReader(body))
		r.Header.Set("X-Auth-Token", "owner")
		w := httptest.NewRecorder()
		fx.api.Handler().ServeHTTP(w, r)
		if w.Code >= http.StatusInternalServerError {
			t.Fatalf("status %d: %s\n%s", w.Code, w.Body, fx.log)
		}
	})
}

// What may change something has a name in the audit trail.
func TestEveryChangeIsAudited(t *testing.T) {
	t.Parallel()
	for _, route := range httpapi.Operations() {
		reads := strings.HasPrefix(route.Pattern, "GET ") || route.Pattern == "POST /lethe/v1/tickets/check"
		if reads != (route.Trace == "") {
			t.Errorf("%s is %q in the audit trail", route.Pattern, route.Trace)
		}
	}
}
