package cph_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/cph"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

func diffJSON(t *testing.T, want string, got any) string {
	t.Helper()
	var wanted any
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Fatal(err)
	}
	return cmp.Diff(wanted, got)
}

// The example request of the API page "Resetting Cloud Phones", as it stands there, where its first phone and its image exist and its
// second phone does not, gets the page's example answer. The ids are not the page's: its answer names another phone than its request.
func TestResetPageExample(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	jobID := b.pageExample()
	job := b.store.AllJobs()[0]
	want := phone.Properties{"sys.prop.writephonenum": "13666666666", "sys.prop.writeimsi": "460021624617113", "sys.prop.writewifissid": "test_wifi"}
	if diff := cmp.Diff(want, job.Properties); diff != "" || job.Image != newImage || job.ID != jobID {
		t.Errorf("job %+v: %s", job, diff)
	}
}

// pageExample sends the page's example request, compares the answer and gives the job's id. By then the phone is resetting.
func (b *bundle) pageExample() phone.JobID {
	b.t.Helper()
	request, err := os.ReadFile("testdata/reset_request.json")
	if err != nil {
		b.t.Fatal(err)
	}
	response, err := os.ReadFile("testdata/reset_response.json")
	if err != nil {
		b.t.Fatal(err)
	}
	got := b.reset(string(request))
	jobs := got.jobs(b.t)
	if len(jobs) != 2 || jobs[0]["phone_id"] != string(firstID) || !phone.ValidID(phone.JobID(jobs[0]["job_id"])) {
		b.t.Fatalf("jobs %v", jobs)
	}
	ids := strings.NewReplacer(
		got.header.Get("X-Request-Id"), "6837531fd3f54550927b930180a706bf", jobs[0]["job_id"], "1564567b8bab40f34711234cb80d0123",
		string(firstID), "1234567b8bab40ffb711234cb80d0234",
	)
	var same any
	if err := json.Unmarshal([]byte(ids.Replace(got.body)), &same); err != nil {
		b.t.Fatal(err)
	}
	if diff := diffJSON(b.t, string(response), same); diff != "" || got.status != 200 {
		b.t.Errorf("status %d, %s", got.status, diff)
	}
	var detail struct{ Status int }
	if err := json.Unmarshal([]byte(b.get("/phones/"+string(firstID)).body), &detail); err != nil || detail.Status != 3 {
		b.t.Errorf("status %d after the answer, error %v", detail.Status, err)
	}
	return phone.JobID(jobs[0]["job_id"])
}

// What refuses one element, and leaves the others alone.
func TestResetElements(t *testing.T) {
	t.Parallel()
	status := func(s phone.Status) func(*bundle) {
		return func(b *bundle) { b.with(func(p *phone.Phone) { p.Status = s }) }
	}
	property := func(text string) string {
		quoted, _ := json.Marshal(text)
		return fmt.Sprintf(`{"phone_id":"%s","property":%s}`, firstID, quoted)
	}
	plain := fmt.Sprintf(`{"phone_id":"%s"}`, firstID)
	const invalidID = "Parameter: phone_id is invalid."
	tests := map[string]struct {
		arrange func(*bundle)
		element string
		code    string // "" when it is accepted
		msg     string
	}{
		"running":                 {element: plain},
		"stopped":                 {arrange: status(phone.StatusStopped), element: plain},
		"reset failed":            {arrange: status(phone.StatusResetFailed), element: plain},
		"restart failed":          {arrange: status(phone.StatusRestartFailed), element: plain},
		"abnormal":                {arrange: status(phone.StatusAbnormal), element: plain},
		"creation failed":         {arrange: status(phone.StatusCreateFailed), element: plain},
		"stop failed":             {arrange: status(phone.StatusStopFailed), element: plain},
		"creating":                {status(phone.StatusCreating), plain, "CPS.0042", "System busy."},
		"resetting":               {status(phone.StatusResetting), plain, "CPS.0042", "System busy."},
		"restarting":              {status(phone.StatusRestarting), plain, "CPS.0042", "System busy."},
		"stopping":                {status(phone.StatusStopping), plain, "CPS.0042", "System busy."},
		"frozen":                  {status(phone.StatusFrozen), plain, "CPS.0053", "No permission to request resources. Phone is freezed."},
		"unknown phone":           {nil, `{"phone_id":"1678567b8bab40f93711234cb80d0764"}`, "CPS.0004", invalidID},
		"another project's phone": {nil, `{"phone_id":"66666666666666666666666666666666"}`, "CPS.0004", invalidID},
		"malformed id":            {nil, `{"phone_id":"mobile-0001"}`, "CPS.0004", invalidID},
		"upper case id":           {nil, `{"phone_id":"A7F3A1C5258347D6B6F1DEF79E11F2BC"}`, "CPS.0004", invalidID},
		"empty id":                {nil, `{"phone_id":""}`, "CPS.0004", invalidID},
		"id with a NUL":           {nil, `{"phone_id":"\u0000"}`, "CPS.0004", invalidID},
		"server not normal": {func(b *bundle) {
			b.store.Put(phone.Server{ID: serverID, Project: project, Status: phone.ServerAbnormal})
		}, plain, "CPS.0099", "Parameter: server is not ready."},
		"no property":                  {element: property("")},
		"null property":                {element: fmt.Sprintf(`{"phone_id":"%s","property":null}`, firstID)},
		"empty property":               {element: property("{}")},
		"strings and numbers":          {element: property(`{"com.cph.mainkeys":0,"ro.install.auto":"1"}`)},
		"deprecated keys":              {element: property(`{"ro.product.manufacturer":"Huawei","ro.com.cph.sfs_enable":"0","qemu.hw.mainkeys":1}`)},
		"property is no JSON":          {nil, property(`com.cph.mainkeys=1`), "CPS.0078", "Parameter: Property is invalid."},
		"property is a list":           {nil, property(`[]`), "CPS.0078", "Parameter: Property is invalid."},
		"property with trailing comma": {nil, property(`{"com.cph.mainkeys":"1",}`), "CPS.0078", "Parameter: Property is invalid."},
		"property is a number":         {nil, fmt.Sprintf(`{"phone_id":"%s","property":5}`, firstID), "CPS.0078", "Parameter: Property is invalid."},
		"property is a bare object":    {nil, fmt.Sprintf(`{"phone_id":"%s","property":{"com.cph.mainkeys":1}}`, firstID), "CPS.0078", "Parameter: Property is invalid."},
		"unknown key":                  {nil, property(`{"no.such.key":1}`), "CPS.0163", "Parameter: property no.such.key not supported."},
		"key that weakens adb":         {nil, property(`{"ro.adb.secure":"0"}`), "CPS.0163", "Parameter: property ro.adb.secure not supported."},
		"bad value":                    {nil, property(`{"com.cph.mainkeys":"2"}`), "CPS.0164", "Parameter: Invalid property com.cph.mainkeys."},
		"value is a boolean":           {nil, property(`{"com.cph.mainkeys":true}`), "CPS.0164", "Parameter: Invalid property com.cph.mainkeys."},
		"long unknown key":             {nil, property(`{"` + strings.Repeat("键", 1000) + `":1}`), "CPS.0163", "Parameter: property " + strings.Repeat("键", 42) + " not supported."},
		"key that looks like a place":  {nil, property(`{"{1}":1}`), "CPS.0163", "Parameter: property {1} not supported."},
		"factory_reset_enabled null":   {element: fmt.Sprintf(`{"phone_id":"%s","factory_reset_enabled":null}`, firstID)},
		"unknown field":                {element: fmt.Sprintf(`{"phone_id":"%s","keep_apps":{"all":[true]}}`, firstID)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t)
			if tt.arrange != nil {
				tt.arrange(b)
			}
			before := b.store.AllPhones()[0]
			jobs := b.reset(`{"phones":[` + tt.element + `]}`).jobs(t)
			var sent struct {
				PhoneID string `json:"phone_id"`
			}
			if err := json.Unmarshal([]byte(tt.element), &sent); err != nil {
				t.Fatal(err)
			}
			want := map[string]string{"phone_id": sent.PhoneID, "error_code": tt.code, "error_msg": tt.msg}
			after := b.store.AllPhones()[0]
			if tt.code == "" {
				want = map[string]string{"phone_id": sent.PhoneID, "job_id": jobs[0]["job_id"]}
				if !phone.ValidID(phone.JobID(jobs[0]["job_id"])) || after.Status != phone.StatusResetting || after.LastGeneration != before.LastGeneration+1 {
					t.Errorf("job %q, phone %+v", jobs[0]["job_id"], after)
				}
			} else if diff := cmp.Diff(before, after); diff != "" || len(b.store.AllJobs()) != 0 {
				t.Errorf("a refused phone was changed: %s", diff)
			}
			if diff := cmp.Diff([]map[string]string{want}, jobs); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// One element per element, in the request's order; of a phone that is named twice the first counts.
func TestResetOrder(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	const second phone.ID = "99999999999999999999999999999999"
	b.store.Put(runningPhone(second))
	jobs := b.reset(fmt.Sprintf(`{"phones":[{"phone_id":"%s"},{"phone_id":"x"},{"phone_id":"%s"},{"phone_id":"%s"}]}`, second, firstID, second)).jobs(t)
	var got []string
	for _, job := range jobs {
		got = append(got, job["phone_id"]+" "+job["error_code"]+" "+job["error_msg"])
	}
	want := []string{
		string(second) + "  ", "x CPS.0004 Parameter: phone_id is invalid.", string(firstID) + "  ", string(second) + " CPS.0023 Duplicate apply the phone.",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Which properties and which image the next life has.
func TestResetKeepsOrClears(t *testing.T) {
	t.Parallel()
	kept := phone.Properties{"com.cph.mainkeys": "1", "ro.install.auto": "1"}
	tests := map[string]struct {
		body    string
		want    phone.Properties
		image   phone.ImageID
		factory bool
	}{
		"nothing given":      {`{"phones":[{"phone_id":"ID"}]}`, kept, oldImage, false},
		"empty image":        {`{"image_id":"","phones":[{"phone_id":"ID"}]}`, kept, oldImage, false},
		"null image":         {`{"image_id":null,"phones":[{"phone_id":"ID"}]}`, kept, oldImage, false},
		"another image":      {`{"image_id":"` + string(newImage) + `","phones":[{"phone_id":"ID"}]}`, kept, newImage, false},
		"a public image":     {`{"image_id":"` + string(oldImage) + `","phones":[{"phone_id":"ID"}]}`, kept, oldImage, false},
		"given over kept":    {`{"phones":[{"phone_id":"ID","property":"{\"com.cph.mainkeys\":0}"}]}`, phone.Properties{"com.cph.mainkeys": "0", "ro.install.auto": "1"}, oldImage, false},
		"factory":            {`{"phones":[{"phone_id":"ID","factory_reset_enabled":true}]}`, phone.Properties{}, oldImage, true},
		"factory, and given": {`{"phones":[{"phone_id":"ID","factory_reset_enabled":true,"property":"{\"com.cph.mainkeys\":0}"}]}`, phone.Properties{"com.cph.mainkeys": "0"}, oldImage, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t).with(func(p *phone.Phone) { p.Properties = kept })
			b.reset(strings.ReplaceAll(tt.body, `"ID"`, `"`+string(firstID)+`"`)).jobs(t)
			jobs := b.store.AllJobs()
			if len(jobs) != 1 || jobs[0].Image != tt.image || jobs[0].Factory != tt.factory {
				t.Fatalf("jobs %+v", jobs)
			}
			if diff := cmp.Diff(tt.want, jobs[0].Properties); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What refuses the whole request, and changes nothing.
func TestResetWhole(t *testing.T) {
	t.Parallel()
	one := `[{"phone_id":"` + string(firstID) + `"}]`
	deep := func(n int) string {
		return `{"phones":` + one + `,"x":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`
	}
	const list = "Parameter: phones list is invalid. "
	tests := map[string]struct {
		body   string
		status int
		code   string
		msg    string
	}{
		"empty body":                {``, 400, "CPS.0077", list + "the body is empty (line 1, column 1)"},
		"no JSON":                   {`phones=a`, 400, "CPS.0077", list + "a value was expected here (line 1, column 1)"},
		"a list":                    {one, 400, "CPS.0077", list + "the body must be an object, not a list (line 1, column 1)"},
		"null":                      {`null`, 400, "CPS.0077", list + "phones is missing"},
		"truncated":                 {`{"phones":[{"phone_id":"a7f3`, 400, "CPS.0077", list + "phones[0].phone_id: the body ends within a string (line 1, column 29)"},
		"trailing garbage":          {`{"phones":` + one + `}{}`, 400, "CPS.0077", list + "something follows the end of the value (line 1, column 61)"},
		"key twice":                 {`{"phones":` + one + `,"phones":[]}`, 400, "CPS.0077", list + `the key "phones" stands twice (line 1, column 61)`},
		"phone_id twice":            {`{"phones":[{"phone_id":"a","phone_id":"b"}]}`, 400, "CPS.0077", list + `phones[0]: the key "phone_id" stands twice (line 1, column 28)`},
		"key twice by escape":       {`{"image_id":"","image\u005fid":"a","phones":` + one + `}`, 400, "CPS.0077", list + `the key "image_id" stands twice (line 1, column 16)`},
		"key in another case":       {`{"Phones":` + one + `}`, 400, "CPS.0077", list + `there is no field "Phones": write "phones" (line 1, column 2)`},
		"element key's case":        {`{"phones":[{"phone_ID":"a"}]}`, 400, "CPS.0077", list + `phones[0] there is no field "phone_ID": write "phone_id"`},
		"invalid UTF-8":             {"{\"phones\":[{\"phone_id\":\"\xff\"}]}", 400, "CPS.0077", list + "not valid UTF-8 (line 1, column 25)"},
		"half a character":          {`{"phones":[{"phone_id":"\ud800"}]}`, 400, "CPS.0077", ""},
		"nested 33 deep":            {deep(32), 400, "CPS.0077", ""},
		"nested very deep":          {strings.Repeat(`{"a":`, 200_000), 400, "CPS.0077", ""},
		"no phones":                 {`{}`, 400, "CPS.0077", list + "phones is missing"},
		"phones null":               {`{"phones":null}`, 400, "CPS.0077", list + "phones is missing"},
		"phones empty":              {`{"phones":[]}`, 400, "CPS.0077", list + "phones is empty: name at least one phone"},
		"phones an object":          {`{"phones":{"phone_id":"a"}}`, 400, "CPS.0077", list + "phones must be a list"},
		"phones a string":           {`{"phones":"[]"}`, 400, "CPS.0077", list + "phones must be a list"},
		"element null":              {`{"phones":[{"phone_id":"a"},null]}`, 400, "CPS.0077", list + "phones[1] must be an object, not null"},
		"element a string":          {`{"phones":[{"phone_id":"a"},"b"]}`, 400, "CPS.0077", list + "phones[1] must be an object, not a string"},
		"phone_id missing":          {`{"phones":[{"phone_id":"a"},{}]}`, 400, "CPS.0077", list + "phones[1].phone_id is missing"},
		"phone_id null":             {`{"phones":[{"phone_id":null}]}`, 400, "CPS.0077", list + "phones[0].phone_id is missing"},
		"phone_id a number":         {`{"phones":[{"phone_id":"a"},{"phone_id":"b"},{"phone_id":"c"},{"phone_id":4}]}`, 400, "CPS.0077", list + "phones[3].phone_id must be a string, not a number"},
		"factory a string":          {`{"phones":[{"phone_id":"a","factory_reset_enabled":"true"}]}`, 400, "CPS.0077", list + "phones[0].factory_reset_enabled must be true or false, not a string"},
		"factory a number":          {`{"phones":[{"phone_id":"a","factory_reset_enabled":1}]}`, 400, "CPS.0077", list + "phones[0].factory_reset_enabled must be true or false, not a number"},
		"six, where five may be":    {`{"phones":[` + strings.Repeat(`{"phone_id":"a"},`, 5) + `{"phone_id":"a"}]}`, 400, "CPS.0190", "The number of phones exceeds the limit."},
		"millions of nothing":       {`{"phones":[` + strings.Repeat(`{},`, 1_000_000) + `{}]}`, 400, "CPS.0190", "The number of phones exceeds the limit."},
		"image malformed":           {`{"image_id":"latest","phones":` + one + `}`, 400, "CPS.0030", "Parameter: image_id is invalid."},
		"image a number":            {`{"image_id":7,"phones":` + one + `}`, 400, "CPS.0030", "Parameter: image_id is invalid."},
		"image an object":           {`{"image_id":{},"phones":` + one + `}`, 400, "CPS.0030", "Parameter: image_id is invalid."},
		"image not found":           {`{"image_id":"ffffffffffffffffffffffffffffffff","phones":` + one + `}`, 400, "CPS.0166", "Phone image not found."},
		"image not visible":         {`{"image_id":"` + string(theirs) + `","phones":` + one + `}`, 400, "CPS.0166", "Phone image not found."},
		"image of another label":    {`{"image_id":"` + string(gameImage) + `","phones":` + one + `}`, 400, "CPS.0142", "Parameter: image_label is invalid."},
		"the list before the image": {`{"image_id":"latest","phones":[7]}`, 400, "CPS.0077", list + "phones[0] must be an object, not a number"},
		"the image before elements": {`{"image_id":"latest","phones":[{"phone_id":"x"}]}`, 400, "CPS.0030", "Parameter: image_id is invalid."},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t)
			before := b.store.AllPhones()
			got := b.reset(tt.body)
			if tt.msg == "" { // a sentence that is strictjson's to choose
				tt.msg = errorMsg(t, got)
				if !strings.HasPrefix(tt.msg, list) || len(tt.msg) == len(list) {
					t.Errorf("says %q", tt.msg)
				}
			}
			got.refused(t, tt.status, tt.code, tt.msg)
			if diff := cmp.Diff(before, b.store.AllPhones()); diff != "" || len(b.store.AllJobs()) != 0 {
				t.Errorf("a refused request changed something: %s", diff)
			}
		})
	}
}

func errorMsg(t *testing.T, a answer) string {
	t.Helper()
	var got struct {
		Msg string `json:"error_msg"`
	}
	if err := json.Unmarshal([]byte(a.body), &got); err != nil {
		t.Fatal(err)
	}
	return got.Msg
}

// Bodies that look odd and are right.
func TestResetTolerates(t *testing.T) {
	t.Parallel()
	one := `{"phones":[{"phone_id":"` + string(firstID) + `"}]}`
	for name, tt := range map[string]struct{ body, contentType string }{
		"line feed at the end":     {one + "\n", "application/json"},
		"white space":              {" \r\n\t" + one + "\t ", "application/json"},
		"no content type":          {one, ""},
		"another content type":     {one, "text/plain; charset=latin1"},
		"unknown fields":           {`{"phones":[{"phone_id":"` + string(firstID) + `","new":1}],"newer":{"a":[1,{"b":null}]}}`, "application/json"},
		"exactly as deep as taken": {`{"phones":[{"phone_id":"` + string(firstID) + `"}],"x":` + strings.Repeat("[", 31) + strings.Repeat("]", 31) + `}`, "application/json"},
		"as many as taken":         {`{"phones":[{"phone_id":"` + string(firstID) + `"}` + strings.Repeat(`,{"phone_id":"x,[\"{"}`, 4) + `]}`, "application/json"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t)
			r := newRequest("POST", base+"/phones/batch-reset", tt.body)
			r.Header.Set("X-Auth-Token", "owner")
			if tt.contentType != "" {
				r.Header.Set("Content-Type", tt.contentType)
			}
			if jobs := b.send(r).jobs(t); jobs[0]["job_id"] == "" {
				t.Errorf("jobs %v", jobs)
			}
		})
	}
}

// Terraform looks for phone_id on a refused element too, whatever it was; what cannot be an id is not repeated at any length.
func TestResetRepeatsPhoneID(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä", 500_000)
	jobs := newBundle(t).reset(`{"phones":[{"phone_id":"` + long + `"}]}`).jobs(t)
	if got := jobs[0]["phone_id"]; got != strings.Repeat("ä", 128) || jobs[0]["error_code"] != "CPS.0004" {
		t.Errorf("%d bytes of %q", len(got), jobs[0]["error_code"])
	}
}

// The limit on phones is the use cases', whatever it is set to.
func TestResetLimitIsConfigurable(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	limit := func(c *cph.Config) { c.Fleet = fleet.New(fleet.Config{Store: b.store, MaxBatch: 1}) }
	newBundle(t, limit).reset(`{"phones":[{"phone_id":"a"},{"phone_id":"b"}]}`).refused(t, 400, "CPS.0190", "The number of phones exceeds the limit.")
	newBundle(t, limit).reset(`{"phones":[{"phone_id":"a"}]}`).jobs(t)
}

// A call that is sent again under its key is answered as the first time, however its JSON is written; another call is refused.
func TestResetIdempotencyKey(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	send := func(body string, keys ...string) answer {
		r := httptest.NewRequest(http.MethodPost, base+"/phones/batch-reset", strings.NewReader(body))
		r.Header.Set("X-Auth-Token", "owner")
		for _, key := range keys {
			r.Header.Add("Idempotency-Key", key)
		}
		return b.send(r)
	}
	body := `{"phones":[{"phone_id":"` + string(firstID) + `","property":"{\"com.cph.mainkeys\":\"1\",\"ro.product.model\":\"SECRET123\"}"},{"phone_id":"` + string(unknownID) + `","property":7}]}`
	first := send(body, "key 1")
	if jobs := first.jobs(t); first.status != 200 || len(jobs) != 2 || jobs[0]["job_id"] == "" {
		t.Fatalf("status %d: %s", first.status, first.body)
	}
	for _, same := range []string{
		body,
		`{"image_id":"","new":1,"phones":[{"property":"{\"ro.product.model\":\"SECRET123\", \"com.cph.mainkeys\":1}","phone_id":"` + string(firstID) +
			`","factory_reset_enabled":false},{"property":7,"phone_id":"` + string(unknownID) + `"}]}`,
	} {
		again := send(same, "key 1")
		if diff := cmp.Diff(first.body, again.body); diff != "" || again.header.Get("X-Request-Id") != first.header.Get("X-Request-Id") {
			t.Errorf("%s is answered otherwise the second time: %s", same, diff)
		}
	}
	for name, other := range map[string]string{
		"another value":    strings.Replace(body, "SECRET123", "SECRET124", 1),
		"another phone":    strings.Replace(body, string(unknownID), string(theirID), 1),
		"another bad text": strings.Replace(body, ":7}", ":8}", 1),
		"a factory reset":  strings.Replace(body, ":7}", `:7,"factory_reset_enabled":true}`, 1),
		"an image":         strings.Replace(body, "{", `{"image_id":"`+string(newImage)+`",`, 1),
	} {
		got := send(other, "key 1")
		if got.status != 400 || !strings.Contains(got.body, `"APIGW.0201"`) || !strings.Contains(got.body, "this Idempotency-Key was used for another request") {
			t.Errorf("%s under the key: status %d, %s", name, got.status, got.body)
		}
	}
	if n := len(b.store.AllJobs()); n != 1 {
		t.Errorf("%d jobs", n)
	}
	for name, keys := range map[string][]string{
		"empty": {""}, "too long": {strings.Repeat("k", 129)}, "not ASCII": {"schlüssel"}, "a tab": {"a\tb"}, "two": {"a", "b"}, "the same twice": {"a", "a"},
	} {
		got := send(body, keys...)
		if got.status != 400 || !strings.Contains(got.body, "Idempotency-Key must be 1 to 128 printable ASCII characters") {
			t.Errorf("%s: status %d, %s", name, got.status, got.body)
		}
	}
	if longest := send(body, strings.Repeat("~", 128)); longest.status != 200 || longest.jobs(t)[0]["error_code"] != "CPS.0042" {
		t.Errorf("the longest key: status %d, %s", longest.status, longest.body)
	}
	if strings.Contains(b.log.String(), "SECRET") {
		t.Error("a property's value is logged")
	}
}
