package cph_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/lethe-cloud/lethe/internal/cph"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

func (b *bundle) put(path, body string) answer {
	b.t.Helper()
	return b.do("PUT", b.base+path, "owner", body)
}

func (b *bundle) post(path, body string) answer {
	b.t.Helper()
	return b.do("POST", b.base+path, "owner", body)
}

func TestRename(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	second := runningPhone("88888888888888888888888888888888")
	second.Name = "mobile-0002"
	b.store.Put(second)
	phonePath, serverPath := "/phones/"+string(firstID), "/servers/"+string(serverID)
	b.put(phonePath, `{"phone_name":"手机_a-1"}`).is(t, `{"request_id": "ID"}`)
	b.put(phonePath, `{"phone_name":"手机_a-1"}`).is(t, `{"request_id": "ID"}`) // its own
	if got := b.store.AllPhones()[0].Name; got != "手机_a-1" {
		t.Errorf("the phone is called %q", got)
	}
	const invalid = "Parameter: phone_name is invalid."
	for _, name := range []string{`""`, `"a b"`, `"` + strings.Repeat("a", 61) + `"`, `"a/b"`, `7`, `null`} {
		b.put(phonePath, `{"phone_name":`+name+`}`).refused(t, 400, "CPS.0025", invalid)
	}
	b.put(phonePath, `{}`).refused(t, 400, "CPS.0025", invalid)
	b.put(phonePath, `{"phone_name":"mobile-0002"}`).refused(t, 400, "CPS.0026", "Parameter: phone_name is conflicted.")
	b.put("/phones/"+string(theirID), `{"phone_name":"x"}`).refused(t, 404, "CPS.0005", "Phone is not found.")
	b.put("/phones/x", `{"phone_name":"x"}`).refused(t, 404, "CPS.0005", "Phone is not found.")

	b.store.Put(phone.Server{ID: "99999999999999999999999999999999", Name: "taken", Project: project, Status: phone.ServerNormal})
	b.put(serverPath, `{"server_name":"rack-2"}`).is(t, `{"request_id": "ID"}`)
	b.put(serverPath, `{"server_name":"rack 2"}`).refused(t, 400, "CPS.0087", "Parameter: server_name is invalid.")
	b.put(serverPath, `{"server_name":[]}`).refused(t, 400, "CPS.0087", "Parameter: server_name is invalid.")
	b.put(serverPath, `{"server_name":"taken"}`).refused(t, 400, "CPS.0087", "Parameter: server_name is invalid. the name is taken")
	b.put("/servers/"+string(theirID), `{"server_name":"x"}`).refused(t, 404, "CPS.0015", "server_id not found.")
	b.put(serverPath, `nonsense`).refused(t, 400, "APIGW.0201",
		"API request error. The body is not as it must be: a value was expected here (line 1, column 1)")
}

func TestModels(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.get("/phone-models").is(t, `{"request_id": "ID", "phone_models": [{
		"server_model_name": "", "phone_model_name": "lethe.cp.standard", "status": 1, "cpu": 0, "memory": 0, "disk": 0, "resolution": "720x1280",
		"extend_spec": "{}", "spec_code": "lethe.cp.standard", "phone_capacity": 0, "image_label": "", "product_type": 0, "phone_model_version": 0,
		"dpi": 320, "fps": "", "volume_mode": 0, "render_fps": 0, "stream_fps": 0}]}`)
	b.get("/server-models").is(t, `{"request_id": "ID", "server_models": [{
		"server_model_name": "physical.lethe", "server_type": "", "cpu": 0, "memory": 0, "extend_spec": {"cpu": "", "memory": "", "disk": "", "gpu": ""},
		"disk_max_num": 0, "product_type": 0, "free_size": 0}]}`)

	b = newBundle(t, func(c *cph.Config) {
		c.Fleet = fleet.New(fleet.Config{Store: b.store, Models: fleet.Models{
			Phones: []phone.PhoneModel{
				{Name: "small", ServerModel: "arcade", CPUs: 1.5, MemoryMB: 3072, DiskGB: 10, Width: 1080, Height: 1920, FPS: 30, ImageLabel: "cloud_game", Phones: 15},
				{Name: "old", Retired: true},
			},
			Servers: []phone.ServerModel{{Name: "arcade", Type: "EPYC", CPUs: 64, MemoryGB: 512, GPU: "A16", Game: true}},
		}})
	})
	names := func(path, list, key string) string {
		var all []string
		for _, m := range b.get(path).list(t, list) {
			all = append(all, fmt.Sprint(m[key], "=", m["product_type"]))
		}
		return strings.Join(all, " ")
	}
	for path, want := range map[string]string{
		"/phone-models": "small=1 old=0 lethe.cp.standard=0", "/phone-models?status=1": "small=1 lethe.cp.standard=0", "/phone-models?status=0": "old=0",
		"/phone-models?offset=1&limit=1": "old=0", "/phone-models?offset=9": "",
	} {
		if got := names(path, "phone_models", "phone_model_name"); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	for path, want := range map[string]string{
		"/server-models": "arcade=1 physical.lethe=0", "/server-models?product_type=1": "arcade=1", "/server-models?product_type=0": "physical.lethe=0",
	} {
		if got := names(path, "server_models", "server_model_name"); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	offerings := func(query string) string {
		got := b.do("GET", "/v1/"+string(project)+"/server-model-offerings"+query, "owner", "")
		var out struct {
			Count  int
			Models []struct {
				Zone  *string `json:"available_zone"`
				Name  string  `json:"model_name"`
				State string  `json:"sell_status"`
			}
			Page struct {
				Next *string `json:"next_marker"`
			} `json:"page_info"`
		}
		if err := json.Unmarshal([]byte(got.body), &out); err != nil || got.status != 200 || out.Page.Next == nil {
			t.Fatalf("%d %s (%v)", got.status, got.body, err)
		}
		text := fmt.Sprint(out.Count, " ")
		for _, m := range out.Models {
			text += m.Name + *m.Zone + "=" + m.State + " "
		}
		return text + "next " + *out.Page.Next
	}
	for query, want := range map[string]string{
		"": "2 arcade=available physical.lethe=available next ", "?limit=1": "2 arcade=available next arcade",
		"?limit=1&marker=arcade": "2 physical.lethe=available next ", "?marker=physical.lethe": "2 next ",
	} {
		if got := offerings(query); got != want {
			t.Errorf("offerings%s: %q, want %q", query, got, want)
		}
	}
	for _, query := range []string{"?limit=1001", "?limit=0", "?marker=none"} {
		b.do("GET", "/v1/"+string(project)+"/server-model-offerings"+query, "owner", "").refused(t, 400, "CPS.0002", "Parameter: offset or limit is invalid.")
	}
	small := b.get("/phone-models?limit=1").list(t, "phone_models")[0]
	if small["cpu"] != 2.0 || small["extend_spec"] != `{"cpus":1.5}` || small["memory"] != 3072.0 || small["resolution"] != "1080x1920" || small["phone_capacity"] != 15.0 {
		t.Errorf("%v", small)
	}
	b.get("/phone-models?limit=101").refused(t, 400, "CPS.0002", "Parameter: offset or limit is invalid.")
	b.get("/phone-models?status=2").refused(t, 400, "CPS.0010", "Parameter: status is invalid.")
	b.get("/server-models?product_type=2").refused(t, 400, "CPS.0144", "Parameter: product_type is invalid.")
	if got := b.do("GET", base+"/phone-models", "cph:system:listPhoneTypes", "").list(t, "phone_models"); len(got) != 3 || got[0]["product_type"] != 0.0 {
		t.Errorf("without the permission for server models: %v", got)
	}
}

func TestConnection(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	ask := func(ids string) answer {
		return b.post("/phones/batch-connection", `{"phone_ids":`+ids+`,"client_type":"ANDROID"}`)
	}
	got := ask(`["` + string(firstID) + `","` + string(theirID) + `","x"]`)
	errs := got.list(t, "errors")
	if len(errs) != 2 || errs[0]["error_code"] != "CPS.0005" || errs[0]["phone_id"] != string(theirID) || errs[1]["phone_id"] != "x" {
		t.Errorf("%s", got.body)
	}
	infos := got.list(t, "connect_infos")
	if len(infos) != 1 {
		t.Fatalf("%s", got.body)
	}
	access := infos[0]["access_info"].(map[string]any)
	secret, _ := access["ticket"].(string)
	if access["access_ip"] != "192.0.2.7" || access["access_port"] != 20001.0 || access["timestamp"] != "1767323045678" || len(secret) < 32 || access["session_id"] == "" {
		t.Errorf("%v", access)
	}
	if strings.Contains(b.log.String(), secret) {
		t.Error("the ticket is in the log")
	}
	b.with(func(p *phone.Phone) { p.Status = phone.StatusStopped })
	if errs := ask(`["`+string(firstID)+`"]`).list(t, "errors"); errs[0]["error_code"] != "CPS.0141" {
		t.Errorf("a stopped phone: %v", errs)
	}
	quiet := newBundle(t, func(c *cph.Config) { c.Address = nil })
	if errs := quiet.post("/phones/batch-connection", `{"phone_ids":["`+string(firstID)+`"],"client_type":"IOS"}`).list(t, "errors"); errs[0]["error_code"] != "CPS.0022" {
		t.Errorf("a phone without an address: %v", errs)
	}
	ask(`[]`).refused(t, 400, "CPS.0009", "Parameter: phone_id list is empty.")
	ask(`null`).refused(t, 400, "CPS.0009", "Parameter: phone_id list is empty.")
	ask(`"x"`).refused(t, 400, "CPS.0080", "Parameter: phone_ids is invalid.")
	ask(`[null]`).refused(t, 400, "CPS.0080", "Parameter: phone_ids is invalid.")
	ask(`["1","2","3","4","5","6","7","8","9","10","11"]`).refused(t, 400, "CPS.0190", "The number of phones exceeds the limit.")
	b.post("/phones/batch-connection", `{"phone_ids":["x"],"client_type":"LINUX"}`).refused(t, 400, "CPS.0116", "Parameter: type is invalid.")
}

func TestShareImage(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	theirs := func(method, path, body string) answer {
		return b.do(method, "/v1/"+string(other)+"/cloud-phone"+path, "other", body)
	}
	one := `[{"phone_id":"` + string(theirID) + `"}]`
	kinds := func(path string) string {
		var all []string
		for _, i := range theirs("GET", path, "").list(t, "phone_images") {
			all = append(all, fmt.Sprint(i["image_name"], "=", i["is_public"]))
		}
		return strings.Join(all, " ")
	}
	members := "/images/" + string(newImage) + "/members"
	reset := func() answer {
		return theirs("POST", "/phones/batch-reset", `{"image_id":"`+string(newImage)+`","phones":`+one+`}`)
	}
	reset().refused(t, 400, "CPS.0166", "Phone image not found.")
	theirs("PUT", members, `{"status":"accepted"}`).refused(t, 400, "CPS.0166", "Phone image not found.")
	theirs("GET", members, "").refused(t, 400, "CPS.0166", "Phone image not found.")

	b.post(members, `{"member":"`+string(other)+`"}`).is(t, `{"request_id": "ID"}`)
	if list := theirs("GET", "/images?image_type=share", "").list(t, "image_infos"); len(list) != 1 || list[0]["image_type"] != "share" ||
		list[0]["src_project_id"] != string(project) || list[0]["project_id"] != nil {
		t.Errorf("what is shared: %v", list)
	}
	if got := kinds("/phone-images?image_type=share"); got != "" {
		t.Errorf("usable before it was accepted: %s", got)
	}
	reset().refused(t, 400, "CPS.0166", "Phone image not found.")
	theirs("PUT", members, `{"status":"accepted"}`).is(t, `{"request_id": "ID"}`)
	if got := kinds("/phone-images?image_type=share"); got != "AOSP new=2" {
		t.Errorf("usable once accepted: %q", got)
	}
	if jobs := reset().jobs(t); jobs[0]["job_id"] == "" {
		t.Errorf("a reset to an accepted image: %v", jobs)
	}
	theirs("DELETE", "/images/"+string(newImage), "").refused(t, 400, "CPS.0166", "Phone image not found.")
	b.do("DELETE", base+"/images/"+string(newImage), "owner", "").refused(t, 400, "CPS.0030", "Parameter: image_id is invalid. the image is in use")
	theirs("PUT", members, `{"status":"rejected"}`).is(t, `{"request_id": "ID"}`)
	if list := theirs("GET", "/images", "").list(t, "image_infos"); len(list) != 1 || list[0]["image_name"] != "theirs" || list[0]["image_type"] != "private" {
		t.Errorf("after the rejection: %v", list)
	}

	for body, code := range map[string]string{
		`{"member":"` + string(project) + `"}`: "CPS.0046", `{"member":"` + string(firstID) + `"}`: "CPS.0046", `{"member":"x"}`: "CPS.0046", `{}`: "CPS.0046", `{"member":7}`: "CPS.0046",
	} {
		if got := b.post(members, body); got.status != 400 || !strings.Contains(got.body, code) {
			t.Errorf("sharing with %s: %d %s", body, got.status, got.body)
		}
	}
	theirs("PUT", members, `{"status":"pending"}`).refused(t, 400, "CPS.0010", "Parameter: status is invalid.")
	b.post("/images/"+string(oldImage)+"/members", `{"member":"`+string(other)+`"}`).refused(t, 400, "CPS.0166", "Phone image not found.")
	b.post("/images/x/members", `{"member":"`+string(other)+`"}`).refused(t, 400, "CPS.0030", "Parameter: image_id is invalid.")
	if list := b.get(members).list(t, "members"); len(list) != 1 || list[0]["member_id"] != string(other) {
		t.Errorf("members: %v", list)
	}
	b.do("DELETE", base+members+"/"+string(other), "owner", "").is(t, `{"request_id": "ID"}`)
	if got := b.do("DELETE", base+members+"/"+string(other), "owner", ""); got.status != 404 {
		t.Errorf("a member that is none: %d %s", got.status, got.body)
	}
	b.do("DELETE", base+"/images/"+string(gameImage), "owner", "").is(t, `{"request_id": "ID"}`)
	b.do("DELETE", base+"/images/"+string(gameImage), "owner", "").refused(t, 400, "CPS.0166", "Phone image not found.")
	for query, n := range map[string]int{
		"": 1, "?image_type=private": 1, "?image_type=share": 0, "?status=1": 1, "?status=0": 0, "?image_id=" + string(newImage): 1, "?image_name=AOSP%20new": 1, "?image_name=AOSP": 0,
		"?offset=1": 0, "?src_project_id=" + string(other): 0, "?create_since=1767326645": 1, "?create_until=1767326644": 0,
	} {
		if list := b.get("/images"+query).list(t, "image_infos"); len(list) != n {
			t.Errorf("images%s: %v", query, list)
		}
	}
	b.get("/images?image_type=public").refused(t, 400, "CPS.0116", "Parameter: type is invalid.")
	b.get("/images?image_id=x").refused(t, 400, "CPS.0030", "Parameter: image_id is invalid.")
	b.get("/images?limit=0").refused(t, 400, "CPS.0002", "Parameter: offset or limit is invalid.")
}

func TestTags(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	tags := "/v1/" + string(project) + "/cph-server"
	server := tags + "/" + string(serverID) + "/tags"
	change := func(action, list string) int {
		return b.send204(server+"/action", `{"action":"`+action+`","tags":`+list+`}`)
	}
	b.do("GET", server, "owner", "").is(t, `{"request_id": "ID", "tags": []}`)
	if got := change("create", `[{"key":"room","value":"1"},{"key":"team","value":"测试 a"}]`); got != 204 {
		t.Errorf("create: %d", got)
	}
	if got := change("create", `[{"key":"room","value":"2"}]`); got != 204 {
		t.Errorf("again: %d", got)
	}
	b.do("GET", server, "owner", "").is(t, `{"request_id": "ID", "tags": [{"key": "room", "value": "2"}, {"key": "team", "value": "测试 a"}]}`)
	b.do("GET", tags+"/tags", "owner", "").is(t, `{"request_id": "ID", "total_count": 2, "tags": [{"key": "room", "values": ["2"]}, {"key": "team", "values": ["测试 a"]}]}`)
	b.do("GET", tags+"/tags?limit=1&offset=1", "owner", "").is(t, `{"request_id": "ID", "total_count": 2, "tags": [{"key": "team", "values": ["测试 a"]}]}`)
	for body, n := range map[string]int{
		`{"action":"count"}`: 1, `{"action":"count","tags":[{"key":"room","values":["1","2"]}]}`: 1, `{"action":"count","tags":[{"key":"room","values":["1"]}]}`: 0,
		`{"action":"count","tags":[{"key":"room","values":[]}]}`: 1, `{"action":"count","without_any_tag":true}`: 0,
		`{"action":"count","matches":[{"key":"resource_name","value":"server-1"}]}`: 1, `{"action":"count","matches":[{"key":"resource_name","value":"server"}]}`: 0,
	} {
		b.do("POST", tags+"/resource_instances/action", "owner", body).is(t, fmt.Sprintf(`{"request_id": "ID", "total_count": %d}`, n))
	}
	b.do("POST", tags+"/resource_instances/action", "owner", `{"action":"filter","offset":"0","limit":"10"}`).is(t, `{"request_id": "ID", "total_count": 1, "resources": [
		{"resource_id": "`+string(serverID)+`", "resource_name": "server-1", "resource_detail": null, "tags": [{"key": "room", "value": "2"}, {"key": "team", "value": "测试 a"}]}]}`)
	if got := change("delete", `[{"key":"room","value":"1"},{"key":"team"},{"key":"never","value":"x"}]`); got != 204 {
		t.Errorf("delete: %d", got)
	}
	b.do("GET", server, "owner", "").is(t, `{"request_id": "ID", "tags": [{"key": "room", "value": "2"}]}`)

	for body, code := range map[string]string{
		`{"action":"create","tags":[]}`: "APIGW.0201", `{"action":"create","tags":[{"key":"","value":"1"}]}`: "APIGW.0201", `{"action":"create","tags":[{"key":"a"}]}`: "APIGW.0201",
		`{"action":"create","tags":[{"key":"_sys_a","value":"1"}]}`: "APIGW.0201", `{"action":"create","tags":[{"key":"a","value":" 1"}]}`: "APIGW.0201",
		`{"action":"create","tags":[{"key":"a","value":"1"},{"key":"a","value":"2"}]}`: "APIGW.0201", `{"action":"create","tags":"x"}`: "APIGW.0201",
		`{"action":"update","tags":[{"key":"a","value":"1"}]}`: "CPS.0047", `{"action":7}`: "CPS.0047",
	} {
		if got := b.do("POST", server+"/action", "owner", body); got.status != 400 || !strings.Contains(got.body, code) {
			t.Errorf("%s: %d %s", body, got.status, got.body)
		}
	}
	b.do("GET", tags+"/"+string(theirID)+"/tags", "owner", "").refused(t, 404, "CPS.0015", "server_id not found.")
	b.do("POST", tags+"/"+string(theirID)+"/tags/action", "owner", `{"action":"create","tags":[{"key":"a","value":"1"}]}`).refused(t, 404, "CPS.0015", "server_id not found.")
	for _, body := range []string{`{"action":"filter","limit":"0"}`, `{"action":"filter","offset":-1}`, `{"action":"filter","limit":"x"}`} {
		b.do("POST", tags+"/resource_instances/action", "owner", body).refused(t, 400, "CPS.0002", "Parameter: offset or limit is invalid.")
	}
	for _, body := range []string{
		`{"action":"filter","matches":[{"key":"name","value":"x"}]}`, `{"action":"filter","tags":[{"key":"a","values":[]},{"key":"a","values":[]}]}`,
		`{"action":"filter","tags":[{"key":"a","values":["1","1"]}]}`, `{"action":"filter","without_any_tag":true,"tags":[{"key":"a","values":[]}]}`,
	} {
		if got := b.do("POST", tags+"/resource_instances/action", "owner", body); got.status != 400 || !strings.Contains(got.body, "APIGW.0201") {
			t.Errorf("%s: %d %s", body, got.status, got.body)
		}
	}
}

// What cannot be done here is validated as everywhere, and then says so.
func TestAbsent(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.get("/bandwidths").is(t, `{"request_id": "ID", "band_widths": []}`)
	b.get("/encode-servers?type=0&status=5&limit=100").is(t, `{"request_id": "ID", "encode_servers": []}`)
	b.get("/scheduled-events").is(t, `{"request_id": "ID", "count": 0, "scheduled_events": []}`)
	b.get("/access-infos?server_id="+string(serverID)).is(t, `{"request_id": "ID", "server_id": "`+string(serverID)+`", "ports": []}`)
	b.post("/encode-servers/batch-restart", `{"encode_server_ids":["`+string(firstID)+`","x"]}`).is(t, `{"request_id": "ID", "jobs": [
		{"encode_server_id": "`+string(firstID)+`", "error_code": "CPS.0123", "error_msg": "Encode server not found. This installation has none."},
		{"encode_server_id": "x", "error_code": "CPS.0121", "error_msg": "Parameter: Encode server id is invalid."}]}`)
	id := `"` + string(firstID) + `"`
	for _, tt := range []struct {
		method, path, body string
		status             int
		code               string
	}{
		{"GET", "/bandwidths?limit=101", "", 400, "CPS.0002"},
		{"PUT", "/bandwidths/b", `{"band_width_size":0}`, 400, "CPS.0036"},
		{"PUT", "/bandwidths/b", `{"band_width_size":"5"}`, 400, "CPS.0036"},
		{"PUT", "/bandwidths/b", `{"band_width_size":5}`, 400, "CPS.0115"},
		{"GET", "/encode-servers?type=2", "", 400, "CPS.0116"},
		{"GET", "/encode-servers?status=6", "", 400, "CPS.0010"},
		{"GET", "/encode-servers?server_id=x", "", 400, "CPS.0097"},
		{"POST", "/encode-servers/batch-restart", `{"encode_server_ids":[]}`, 400, "CPS.0122"},
		{"POST", "/servers/change-server-model", `{}`, 400, "CPS.0097"},
		{"POST", "/servers/change-server-model", `{"server_id":` + id + `}`, 400, "CPS.0088"},
		{"POST", "/servers/change-server-model", `{"server_id":` + id + `,"server_model_name":"m"}`, 400, "CPS.0027"},
		{"POST", "/servers/change-server-model", `{"server_id":` + id + `,"server_model_name":7}`, 400, "CPS.0089"},
		{"POST", "/servers/change-server-model", `{"server_id":` + id + `,"server_model_name":"m","phone_model_name":"p"}`, 400, "CPS.0062"},
		{"POST", "/phones-traffic", `{"traffic_type":"x","phone_ids":[` + id + `]}`, 400, "CPS.0116"},
		{"POST", "/phones-traffic", `{"traffic_type":"direct","phone_ids":[]}`, 400, "CPS.0009"},
		{"POST", "/phones-traffic", `{"traffic_type":"direct","phone_ids":[` + id + `]}`, 400, "CPS.0123"},
		{"POST", "/phones/expand-volume", `{"phones":[]}`, 400, "CPS.0077"},
		{"POST", "/phones/expand-volume", `{"phones":[{"phone_id":` + id + `,"new_size":0}]}`, 400, "CPS.0077"},
		{"POST", "/phones/expand-volume", `{"phones":[{"phone_id":"x","new_size":1}]}`, 400, "CPS.0077"},
		{"POST", "/phones/expand-volume", `{"phones":[{"phone_id":` + id + `,"new_size":1}]}`, 501, "CPS.0003"},
		{"POST", "/../../servers/attach-share-filesystem", `{}`, 400, "CPS.0116"},
		{"POST", "/../../servers/attach-share-filesystem", `{"type":7}`, 400, "CPS.0116"},
		{"POST", "/../../servers/attach-share-filesystem", `{"type":"sfs_turbo","server_ids":[` + id + `]}`, 400, "APIGW.0201"},
		{"POST", "/../../servers/attach-share-filesystem", `{"type":"sfs_turbo","id":"f"}`, 400, "CPS.0095"},
		{"POST", "/../../servers/attach-share-filesystem", `{"type":"sfs_turbo","id":"f","server_ids":["x"]}`, 400, "CPS.0094"},
		{"POST", "/../../servers/attach-share-filesystem", `{"type":"sfs_turbo","id":"f","server_ids":[` + strings.Repeat(id+",", 20) + id + `]}`, 400, "CPS.0096"},
		{"POST", "/../../servers/attach-share-filesystem", `{"type":"sfs_turbo","id":"f","server_ids":[` + id + `],"path":"a"}`, 400, "CPS.0199"},
		{"POST", "/../../servers/attach-share-filesystem", `{"type":"sfs_turbo","id":"f","server_ids":[` + id + `],"path":"/a"}`, 400, "CPS.0137"},
		{"POST", "/../../servers/detach-share-filesystem", `{"type":"sfs_turbo","id":"f","server_ids":[` + id + `]}`, 400, "CPS.0137"},
		{"GET", "/access-infos", "", 400, "CPS.0097"},
		{"GET", "/access-infos?server_id=" + string(theirID), "", 404, "CPS.0015"},
		{"PUT", "/access-infos", `{"ports":[{}]}`, 400, "CPS.0095"},
		{"PUT", "/access-infos", `{"server_ids":[` + id + `]}`, 400, "CPS.0037"},
		{"PUT", "/access-infos", `{"server_ids":[` + id + `],"ports":[{}]}`, 400, "CPS.0038"},
		{"PUT", "/access-infos", `{"server_ids":[` + id + `],"ports":[{"name":"a","listen_port":65536}]}`, 400, "CPS.0040"},
		{"PUT", "/access-infos", `{"server_ids":[` + id + `],"ports":[{"name":"a","listen_port":1}]}`, 400, "CPS.0093"},
		{"PUT", "/access-infos", `{"server_ids":[` + id + `],"ports":[{"name":"a","listen_port":1,"internet_accessible":"true"}]}`, 501, "CPS.0003"},
		{"DELETE", "/access-infos", `{"server_ids":[` + id + `],"ports":[{"name":"a"}]}`, 400, "CPS.0038"},
		{"PUT", "/scheduled-events/e", `{}`, 404, "APIGW.0201"},
		{"POST", "/scheduled-events/e/authorize", `{}`, 404, "APIGW.0201"},
		{"POST", "/../../../v2.1/" + string(project) + "/cloud-phone/servers", `{"server_name":"a"}`, 400, "CPS.0088"},
		{"POST", "/../../../v2.1/" + string(project) + "/cloud-phone/servers", `{"server_name":"a","server_model_name":"m","count":11}`, 400, "CPS.0024"},
		{"POST", "/../../../v2.1/" + string(project) + "/cloud-phone/servers", `{"server_name":"a","server_model_name":"m","count":1}`, 400, "CPS.0062"},
	} {
		target := base + tt.path
		if _, elsewhere, ok := strings.Cut(tt.path, "/../../.."); ok {
			target = elsewhere
		} else if _, beside, ok := strings.Cut(tt.path, "/../.."); ok {
			target = "/v1/" + string(project) + beside
		}
		if got := b.do(tt.method, target, "owner", tt.body); got.status != tt.status || !strings.Contains(got.body, `"`+tt.code+`"`) {
			t.Errorf("%s %s %s: %d %s, want %d %s", tt.method, tt.path, tt.body, got.status, got.body, tt.status, tt.code)
		}
	}
	if b.store.Calls() != 2 { // the server of access-infos, twice
		t.Errorf("the store was asked %d times", b.store.Calls())
	}
}
