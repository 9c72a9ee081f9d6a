package cph_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/internal/cph"
	"github.com/lethe-cloud/lethe/internal/phone"
)

const phoneGolden = `
	"phone_name": "mobile-0001", "server_id": "88b8449b896f3a4f0ad57222dd919090", "phone_id": "a7f3a1c5258347d6b6f1def79e11f2bc",
	"phone_model_name": "rx1.cp.c60.d10.e1v1", "image_id": "20032420200401a60b0003a99684b8ea", "image_version": "", "vnc_enable": "false",
	"status": 2, "type": 0, "imei": "", "traffic_type": "direct", "volume_mode": 0, "availability_zone": "", "has_encrypt": false,
	"metadata": {"order_id": "", "product_id": ""}, "create_time": "2026-01-02T03:04:05Z", "update_time": "2026-01-02T04:04:05Z"`

const phonesGolden = `{"request_id": "ID", "count": 1, "phones": [{` + phoneGolden + `}]}`

func TestListPhones(t *testing.T) {
	t.Parallel()
	newBundle(t).get("/phones").is(t, phonesGolden)
}

func TestShowPhone(t *testing.T) {
	t.Parallel()
	b := newBundle(t).with(func(p *phone.Phone) {
		p.Properties = phone.Properties{"com.cph.mainkeys": "1", "com.cph.cg.heartbeat_url": "http://a/b,c"}
	})
	b.get("/phones/"+string(firstID)).is(t, `{"request_id": "ID",`+phoneGolden+`,
		"access_infos": [{
			"type": "adb", "device_ip": "", "phone_ip": "", "listen_port": 5555, "access_ip": "192.0.2.7", "public_ip": "192.0.2.7",
			"intranet_ip": "192.0.2.7", "server_ip": "192.0.2.7", "access_port": 20001, "phone_ipv6": "", "server_ipv6": ""
		}],
		"property": "{\"com.cph.cg.heartbeat_url\":\"http://a/b,c\",\"com.cph.mainkeys\":\"1\"}", "phone_data_volume": null}`)
}

func TestShowPhoneWithout(t *testing.T) {
	t.Parallel()
	b := newBundle(t, func(c *cph.Config) { c.Address = nil }).with(func(p *phone.Phone) { p.ADBPort = 0 })
	var got struct {
		Property string            `json:"property"`
		Access   []json.RawMessage `json:"access_infos"`
	}
	if err := json.Unmarshal([]byte(b.get("/phones/"+string(firstID)).body), &got); err != nil || got.Property != "{}" || got.Access == nil || len(got.Access) != 0 {
		t.Errorf("%+v, error %v", got, err)
	}
}

// The reference allows a property text 2,048 bytes: it is cut between two properties, never within one.
func TestShowPhoneLongProperty(t *testing.T) {
	t.Parallel()
	given := phone.Properties{}
	for i := range 9 {
		given[fmt.Sprintf("key.%d", i)] = strings.Repeat("<", 256)
	}
	given["key.9"] = "short"
	b := newBundle(t).with(func(p *phone.Phone) { p.Properties = given })
	var got struct {
		Property string `json:"property"`
	}
	if err := json.Unmarshal([]byte(b.get("/phones/"+string(firstID)).body), &got); err != nil || len(got.Property) > 2048 {
		t.Fatalf("%d bytes, error %v", len(got.Property), err)
	}
	var properties phone.Properties
	if err := json.Unmarshal([]byte(got.Property), &properties); err != nil {
		t.Fatal(err)
	}
	want := phone.Properties{}
	for _, i := range []int{0, 1, 2, 3, 4, 5, 6, 9} {
		key := fmt.Sprintf("key.%d", i)
		want[key] = given[key]
	}
	if diff := cmp.Diff(map[string]string(want), map[string]string(properties)); diff != "" {
		t.Error(diff)
	}
}

// Every status goes out as a number of the reference, and can be asked for.
func TestPhoneStatus(t *testing.T) {
	t.Parallel()
	for _, status := range phone.Statuses() {
		b := newBundle(t).with(func(p *phone.Phone) { p.Status = status })
		for _, asked := range phone.Statuses() {
			want := 0
			if asked == status {
				want = 1
			}
			b.get(fmt.Sprintf("/phones?status=%d", asked)).countIs(t, want)
		}
		if status == phone.StatusCreating {
			b.get("/phones?status=0").countIs(t, 1)
		}
	}
}

// countIs checks how many match, whatever the page.
func (a answer) countIs(t *testing.T, want int) {
	t.Helper()
	var got struct {
		Count *int `json:"count"`
	}
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != 200 || got.Count == nil || *got.Count != want {
		t.Errorf("%d %s (%v), want a count of %d", a.status, a.body, err, want)
	}
}

func TestListPhonesFilters(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	for i := range 250 {
		p := runningPhone(phone.ID(fmt.Sprintf("%032x", i)))
		p.Name, p.CreatedAt = fmt.Sprintf("more-%04d", i), now.Add(-time.Duration(i+1)*time.Second)
		b.store.Put(p)
	}
	for query, tt := range map[string]struct {
		first string
		n     int
		count int
	}{
		"":                                {"mobile-0001", 100, 251},
		"?limit=200":                      {"mobile-0001", 200, 251},
		"?limit=200&offset=200":           {"more-0199", 51, 251},
		"?offset=251":                     {"", 0, 251},
		"?offset=2147483647":              {"", 0, 251},
		"?limit=1&offset=1":               {"more-0000", 1, 251},
		"?limit=&offset=&status=&type=":   {"mobile-0001", 100, 251},
		"?phone_name=ore-0":               {"more-0000", 100, 250},
		"?phone_name=%25":                 {"", 0, 0},
		"?phone_name=nothing":             {"", 0, 0},
		"?server_id=" + string(serverID):  {"mobile-0001", 100, 251},
		"?server_id=" + string(knownJob):  {"", 0, 0},
		"?type=0":                         {"mobile-0001", 100, 251},
		"?type=1":                         {"", 0, 0},
		"?status=2&phone_name=more-00010": {"", 0, 0},
		"?unknown=x&limit=1":              {"mobile-0001", 1, 251},
	} {
		got := b.get("/phones" + query)
		got.countIs(t, tt.count)
		var list struct {
			Phones []struct {
				Name string `json:"phone_name"`
			} `json:"phones"`
		}
		if err := json.Unmarshal([]byte(got.body), &list); err != nil || list.Phones == nil || len(list.Phones) != tt.n || tt.n > 0 && list.Phones[0].Name != tt.first {
			t.Errorf("%s: %d phones, error %v; want %d from %s", query, len(list.Phones), err, tt.n, tt.first)
		}
	}
}

func TestBadQueries(t *testing.T) {
	t.Parallel()
	const page = "Parameter: offset or limit is invalid."
	b := newBundle(t)
	for path, want := range map[string]struct {
		code string
		msg  string
	}{
		"/phones?offset=-1":                      {"CPS.0002", page},
		"/phones?offset=a":                       {"CPS.0002", page},
		"/phones?offset=2147483648":              {"CPS.0002", page},
		"/phones?offset=1e3":                     {"CPS.0002", page},
		"/phones?limit=0":                        {"CPS.0002", page},
		"/phones?limit=201":                      {"CPS.0002", page},
		"/phones?limit=99999999999999999":        {"CPS.0002", page},
		"/phones?status=5":                       {"CPS.0010", "Parameter: status is invalid."},
		"/phones?status=running":                 {"CPS.0010", "Parameter: status is invalid."},
		"/phones?type=2":                         {"CPS.0116", "Parameter: type is invalid."},
		"/phones?phone_name=%00":                 {"CPS.0025", "Parameter: phone_name is invalid."},
		"/phones?phone_name=%ff":                 {"CPS.0025", "Parameter: phone_name is invalid."},
		"/phones?server_id=x":                    {"CPS.0097", "Parameter: server_id is invalid."},
		"/phones?server_id=%00":                  {"CPS.0097", "Parameter: server_id is invalid."},
		"/servers?limit=101":                     {"CPS.0002", page},
		"/servers?offset=-1":                     {"CPS.0002", page},
		"/servers?status=6":                      {"CPS.0010", "Parameter: status is invalid."},
		"/servers?status=x":                      {"CPS.0010", "Parameter: status is invalid."},
		"/servers?server_id=x":                   {"CPS.0097", "Parameter: server_id is invalid."},
		"/servers?server_name=%00":               {"CPS.0087", "Parameter: server_name is invalid."},
		"/servers?phone_model_name=%ff":          {"CPS.0028", "Parameter: phone_model_name is invalid."},
		"/servers?network_version=v3":            {"CPS.0240", "Parameter: network_version is invalid."},
		"/servers?create_since=yesterday":        {"CPS.0174", "Parameter: time is invalid."},
		"/servers?create_until=-1":               {"CPS.0174", "Parameter: time is invalid."},
		"/servers?create_until=9999999999999999": {"CPS.0174", "Parameter: time is invalid."},
		"/phone-images?image_type=gold":          {"CPS.0116", "Parameter: type is invalid."},
		"/jobs":                                  {"CPS.0049", "Parameter: request_id is empty."},
		"/jobs?request_id=":                      {"CPS.0049", "Parameter: request_id is empty."},
		"/jobs?request_ids=,,":                   {"CPS.0049", "Parameter: request_id is empty."},
		"/jobs?request_id=" + string(knownRequest) + "&limit=101":          {"CPS.0002", page},
		"/jobs?request_id=" + string(knownRequest) + "&limit=0":            {"CPS.0002", page},
		"/jobs?request_id=" + string(knownRequest) + "&offset=x":           {"CPS.0002", page},
		"/jobs?request_id=" + string(knownRequest):                         {"CPS.0050", "Jobs related to this requestId is not found."},
		"/jobs?request_id=nonsense":                                        {"CPS.0050", "Jobs related to this requestId is not found."},
		"/jobs?request_ids=%00," + string(knownRequest):                    {"CPS.0050", "Jobs related to this requestId is not found."},
		"/jobs?request_ids=" + strings.Join(manyIDs(21), ","):              {"CPS.0161", "Parameter: the number of request IDs has exceeded the limit."},
		"/jobs?request_id=a&request_ids=" + strings.Join(manyIDs(20), ","): {"CPS.0050", "Jobs related to this requestId is not found."},
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			b.get(path).refused(t, 400, want.code, want.msg)
		})
	}
}

func manyIDs(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("%032x", i)
	}
	return ids
}

// What is malformed, unknown, or another project's answers alike.
func TestNotFound(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.store.Put(phone.Job{ID: "99999999999999999999999999999999", Project: other})
	for _, id := range []string{"nonsense", "%00", "%ff", "A7F3A1C5258347D6B6F1DEF79E11F2BC", string(unknownID), string(theirID), "77777777777777777777777777777777", "99999999999999999999999999999999"} {
		b.get("/phones/"+id).refused(t, 404, "CPS.0005", "Phone is not found.")
		b.get("/servers/"+id).refused(t, 404, "CPS.0015", "server_id not found.")
		b.get("/jobs/"+id).refused(t, 404, "CPS.0011", "Job not found.")
	}
}

const serverGolden = `
	"server_name": "server-1", "availability_zone": "", "server_id": "88b8449b896f3a4f0ad57222dd919090", "server_model_name": "physical.rx1.xlarge",
	"phone_model_name": "rx1.cp.c60.d10.e1v1", "keypair_name": "", "status": 5, "vpc_id": "", "cidr": "", "vpc_cidr": "", "subnet_id": "",
	"subnet_cidr": "", "resource_project_id": "", "metadata": {"order_id": "", "product_id": ""}, "network_version": "v1",
	"addresses": [{"intranet_ip": "192.0.2.7", "access_ip": "192.0.2.7", "server_ip": "192.0.2.7", "public_ip": "192.0.2.7"}],
	"enterprise_project_id": "", "create_time": "2026-01-02T03:04:05Z", "update_time": "2026-01-02T04:04:05Z"`

func TestServers(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.get("/servers").is(t, `{"request_id": "ID", "count": 1, "servers": [{`+serverGolden+`}]}`)
	b.get("/servers/"+string(serverID)).is(t, `{"request_id": "ID",`+serverGolden+`, "band_widths": [], "volumes": [], "share_volume_info": null, "security_groups": []}`)
	for query, want := range map[string]int{
		"?offset=0&limit=100": 1, "?offset=1": 1, "?server_name=rver": 1, "?server_name=x": 0, "?server_id=" + string(serverID): 1,
		"?server_id=" + string(knownJob): 0, "?status=5": 1, "?status=2": 0, "?status=13": 0, "?network_version=v1": 1, "?network_version=V1": 1,
		"?network_version=v2": 0, "?phone_model_name=rx1.cp.c60.d10.e1v1": 1, "?phone_model_name=rx1": 0,
		fmt.Sprintf("?create_since=%d", now.Unix()): 1, fmt.Sprintf("?create_since=%d", now.Unix()+1): 0,
		fmt.Sprintf("?create_since=%d&create_until=%d", now.UnixMilli(), now.UnixMilli()): 1, fmt.Sprintf("?create_until=%d", now.UnixMilli()-1): 0,
	} {
		b.get("/servers"+query).countIs(t, want)
	}
}

func TestImages(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	image := func(name, os, label, id string, public int) string {
		return fmt.Sprintf(`{"image_name": %q, "os_type": "aosp", "is_public": %d, "os_name": %q, "image_label": %q, "image_id": %q, "is_support_encrypt": false}`, name, public, os, label, id)
	}
	fresh, old, game := image("AOSP new", "AOSP11.0", "cloud_phone", string(newImage), 2), image("AOSP", "AOSP7.1.1", "cloud_phone", string(oldImage), 1), image("game", "AOSP11.0", "cloud_game", string(gameImage), 2)
	for query, want := range map[string][]string{
		"": {fresh, old, game}, "?image_type=all": {fresh, old, game}, "?image_type=": {fresh, old, game},
		"?image_type=public": {old}, "?image_type=private": {fresh, game}, "?image_type=share": {},
	} {
		b.get("/phone-images"+query).is(t, `{"request_id": "ID", "phone_images": [`+strings.Join(want, ",")+`]}`)
	}
}

func TestJobs(t *testing.T) {
	t.Parallel()
	began, ended := now, now.Add(36*time.Second)
	long := strings.Repeat("图", 500) // 1,500 bytes
	failed := func(reason phone.Reason, msg, detail string) phone.Job {
		return phone.Job{Phase: phone.PhaseFailed, EndedAt: ended, Failure: &phone.Failure{Reason: reason, Msg: msg, Detail: detail}}
	}
	tests := map[string]struct {
		job               phone.Job
		status            int
		end               string // JSON
		code, msg, detail string
	}{
		"queued":          {phone.Job{Phase: phone.PhaseQueued}, 1, `null`, "", "", ""},
		"preparing":       {phone.Job{Phase: phone.PhasePreparing, StartedAt: began.Add(time.Second)}, 1, `null`, "", "", ""},
		"removing":        {phone.Job{Phase: phone.PhaseRemoving}, 1, `null`, "", "", ""},
		"creating":        {phone.Job{Phase: phone.PhaseCreating}, 1, `null`, "", "", ""},
		"booting":         {phone.Job{Phase: phone.PhaseBooting}, 1, `null`, "", "", ""},
		"verifying":       {phone.Job{Phase: phone.PhaseVerifying}, 1, `null`, "", "", ""},
		"succeeded":       {phone.Job{Phase: phone.PhaseSucceeded, EndedAt: ended}, 2, `"2026-01-02T03:04:41Z"`, "", "", ""},
		"boot timeout":    {failed(phone.ReasonBootTimeout, "did not boot", "wait longer"), -1, `"2026-01-02T03:04:41Z"`, "CPS.0054", "did not boot", "wait longer"},
		"boot exited":     {failed(phone.ReasonBootExited, "ended", "look"), -1, `"2026-01-02T03:04:41Z"`, "CPS.0003", "ended", "look"},
		"host gone":       {failed(phone.ReasonHostGone, "gone", "bring it back"), -1, `"2026-01-02T03:04:41Z"`, "CPS.0099", "gone", "bring it back"},
		"no image":        {failed(phone.ReasonImageNotFound, "no image", "push it"), -1, `"2026-01-02T03:04:41Z"`, "CPS.0166", "no image", "push it"},
		"erase failed":    {failed(phone.ReasonEraseFailed, "still there", "free it"), -1, `"2026-01-02T03:04:41Z"`, "CPS.0003", "still there", "free it"},
		"internal":        {failed("", "internal error", "see the log"), -1, `"2026-01-02T03:04:41Z"`, "CPS.0003", "internal error", "see the log"},
		"long detail":     {failed(phone.ReasonHostGone, "gone", long), -1, `"2026-01-02T03:04:41Z"`, "CPS.0099", "gone", long[:1023]},
		"cancelled":       {phone.Job{Phase: phone.PhaseCancelled, EndedAt: ended}, -1, `"2026-01-02T03:04:41Z"`, "CPS.0042", "System busy.", ""},
		"nothing is said": {phone.Job{Phase: phone.PhaseFailed, EndedAt: ended}, -1, `"2026-01-02T03:04:41Z"`, "CPS.0003", "Service internal error.", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.job.CreatedAt = began
			b := newBundle(t).withJob(tt.job)
			common := fmt.Sprintf(`"phone_id": %q, "server_id": %q, "job_id": %q, "begin_time": "2026-01-02T03:04:05Z", "end_time": %s, "status": %d`, firstID, serverID, knownJob, tt.end, tt.status)
			b.get("/jobs?request_id="+string(knownRequest)).is(t, fmt.Sprintf(
				`{"request_id": "ID", "jobs": [{%s, "node_id": %q, "error_code": %q, "error_msg": %q, "execute_msg": %q}]}`, common, serverID, tt.code, tt.msg, tt.detail))
			errorFields := fmt.Sprintf(`"error_code": %q, "error_msg": %q, "execute_msg": %q`, tt.code, tt.msg, tt.detail)
			if tt.code == "" {
				errorFields = `"error_code": null, "error_msg": null, "execute_msg": null`
			}
			b.get("/jobs/"+string(knownJob)).is(t, fmt.Sprintf(`{"request_id": "ID", %s, %s}`, common, errorFields))
		})
	}
}

// A batch's jobs are found by its request_id; refused phones have none. request_ids wins over request_id.
func TestListJobsOfRequests(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	const second phone.ID = "99999999999999999999999999999999"
	b.store.Put(runningPhone(second))
	first := b.reset(fmt.Sprintf(`{"phones":[{"phone_id":"%s"},{"phone_id":"x"}]}`, firstID)).header.Get("X-Request-Id")
	next := b.reset(fmt.Sprintf(`{"phones":[{"phone_id":"%s"}]}`, second)).header.Get("X-Request-Id")
	refused := b.reset(`{"phones":[{"phone_id":"x"}]}`).header.Get("X-Request-Id")
	for query, want := range map[string][]string{
		"request_id=" + first:                                       {string(firstID)},
		"request_ids=" + next + "," + first + "," + next:            {string(firstID), string(second)},
		"request_ids=" + next + "&request_id=" + first:              {string(second)},
		"request_ids=&request_id=" + first:                          {string(firstID)},
		"request_ids=%20" + next + "%20,,unknown":                   {string(second)},
		"request_ids=" + next + "," + first + "&limit=1":            {string(firstID)},
		"request_ids=" + next + "," + first + "&limit=1&offset=1":   {string(second)},
		"request_ids=" + next + "," + first + "&limit=100&offset=2": {},
		"request_id=" + refused:                                     {},
	} {
		if diff := cmp.Diff(want, b.get("/jobs?"+query).phoneIDs(t)); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
	}
}

// phoneIDs gives the phones of a list of jobs, which is there even when it is empty.
func (a answer) phoneIDs(t *testing.T) []string {
	t.Helper()
	var got struct {
		Jobs []struct {
			PhoneID string `json:"phone_id"`
		} `json:"jobs"`
	}
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != 200 || got.Jobs == nil {
		t.Fatalf("%d %s (%v)", a.status, a.body, err)
	}
	ids := make([]string, len(got.Jobs))
	for i, job := range got.Jobs {
		ids[i] = job.PhoneID
	}
	return ids
}
