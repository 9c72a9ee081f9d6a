package compat

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"strings"
	"testing"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/cph/v1/model"
)

// What the official Terraform provider does besides, read in its code: it sends every key of its schema, also empty ones; it looks at
// the phone and not at the job; it reads JSON types strictly; and it pages until a page is empty.
func TestTerraformHabits(t *testing.T) {
	t.Parallel()
	in, phones, image := fleet(t)
	token := in.token(in.cred.User, in.cred.Password, map[string]any{"project": map[string]any{"name": in.cred.Region}})
	base := "/v1/" + in.cred.ProjectID
	call := func(method, path, body string, want int) map[string]any {
		t.Helper()
		status, text := in.call(token, method, path, body)
		var out map[string]any
		if text != "" {
			if err := json.Unmarshal([]byte(text), &out); err != nil {
				t.Fatalf("%s %s: %v: %s", method, path, err, text)
			}
		}
		if status != want {
			t.Fatalf("%s %s: %d %s, want %d", method, path, status, text, want)
		}
		return out
	}

	t.Run("reset", func(t *testing.T) {
		answer := call("POST", base+"/cloud-phone/phones/batch-reset", fmt.Sprintf(`{"image_id":%q,"phones":[{"phone_id":%q,"property":""}]}`+"\n", image, phones[0]), http.StatusOK)
		job := answer["jobs"].([]any)[0].(map[string]any)
		if job["phone_id"] != phones[0] || job["job_id"] == nil {
			t.Errorf("its element: %v", job)
		}
		seen := call("GET", base+"/cloud-phone/phones/"+phones[0], "", http.StatusOK)["status"]
		if status, ok := seen.(float64); !ok || status != 3 && status != 2 { // 2: it was faster than the second call
			t.Errorf("status %v right after the answer, want the number 3", seen)
		}
		finished(t, in.owner(), answer["request_id"].(string))
		if seen := call("GET", base+"/cloud-phone/phones/"+phones[0], "", http.StatusOK)["status"]; seen != 2.0 {
			t.Errorf("status %v when the job has ended", seen)
		}
		refused := call("POST", base+"/cloud-phone/phones/batch-reset", fmt.Sprintf(`{"phones":[{"phone_id":%q,"property":""}]}`, unknown), http.StatusOK)
		element := refused["jobs"].([]any)[0].(map[string]any)
		if element["phone_id"] != unknown || element["error_code"] != "CPS.0004" || element["error_msg"] == "" || element["job_id"] != nil {
			t.Errorf("a refused element: %v", element)
		}
	})

	for path, list := range map[string]string{
		"/cloud-phone/phones?limit=200": "phones", "/cloud-phone/servers?limit=100": "servers", "/cloud-phone/encode-servers?limit=100": "encode_servers",
		"/cloud-phone/bandwidths?limit=50": "band_widths", "/cloud-phone/phone-models?limit=100": "phone_models", "/cloud-phone/images?limit=100": "image_infos",
	} {
		t.Run("pages of "+list, func(t *testing.T) {
			for offset := 0; ; offset += 200 {
				page, ok := call("GET", fmt.Sprintf("%s%s&offset=%d", base, path, offset), "", http.StatusOK)[list].([]any)
				if !ok {
					t.Fatalf("offset %d: no list", offset)
				}
				if len(page) == 0 {
					break
				}
				if offset > 1000 {
					t.Fatal("no page is empty")
				}
			}
		})
	}

	t.Run("tags", func(t *testing.T) {
		server := call("GET", base+"/cloud-phone/servers", "", http.StatusOK)["servers"].([]any)[0].(map[string]any)["server_id"].(string)
		for _, action := range []string{"create", "delete"} {
			body := `{"action":"` + action + `","tags":[{"key":"team","value":"a"}]}`
			if got := call("POST", base+"/cph-server/"+server+"/tags/action", body, http.StatusNoContent); got != nil {
				t.Errorf("%s: a 204 with a body: %v", action, got)
			}
		}
		if tags := call("GET", base+"/cph-server/"+server+"/tags", "", http.StatusOK)["tags"].([]any); len(tags) != 0 {
			t.Errorf("tags: %v", tags)
		}
	})

	t.Run("lists that are read whole", func(t *testing.T) {
		images := call("GET", base+"/cloud-phone/phone-images", "", http.StatusOK)["phone_images"].([]any)
		models := call("GET", base+"/cloud-phone/phone-models", "", http.StatusOK)["phone_models"].([]any)
		if len(images) != 2 || len(models) != 1 {
			t.Errorf("images %v, models %v", images, models)
		}
		if public, ok := images[0].(map[string]any)["is_public"].(float64); !ok || public != 2 {
			t.Errorf("image %v", images[0])
		}
		if memory, ok := models[0].(map[string]any)["memory"].(float64); !ok || memory != 0 {
			t.Errorf("model %v", models[0])
		}
	})
}

// Operations that the SDK lacks and the reference has, by a plain client.
func TestBeyondTheSDK(t *testing.T) {
	t.Parallel()
	in, _, _ := fleet(t)
	token := in.token(in.cred.User, in.cred.Password, map[string]any{"project": map[string]any{"name": in.cred.Region}})
	base := "/v1/" + in.cred.ProjectID + "/cloud-phone"
	list := answered(in.owner().ListCloudPhoneServers(&model.ListCloudPhoneServersRequest{}))(world{T: t})
	server := *(*list.Servers)[0].ServerId
	for _, tt := range []struct {
		method, path, body string
		status             int
		has                string
	}{
		{"GET", "/access-infos?server_id=" + server, "", 200, `"ports":[]`},
		{"GET", "/access-infos?server_id=x", "", 400, "CPS.0097"},
		{"PUT", "/access-infos", `{"server_ids":["` + server + `"],"ports":[{"name":"app","listen_port":8000,"internet_accessible":"true"}]}`, 501, "CPS.0003"},
		{"PUT", "/access-infos", `{"server_ids":[],"ports":[]}`, 400, "CPS.0095"},
		{"DELETE", "/access-infos", `{"server_ids":["` + server + `"],"ports":[{"name":"app"}]}`, 400, "CPS.0038"},
		{"DELETE", "/access-infos", `{"server_ids":["` + server + `"],"ports":[]}`, 400, "CPS.0037"},
		{"GET", "/../server-model-offerings?limit=1", "", 200, `"models":[{"available_zone":"","model_name":"physical.lethe","sell_status":"available"}],"page_info":{"next_marker":""}`},
		{"GET", "/../server-model-offerings?marker=x", "", 400, "CPS.0002"},
		{"POST", "/../servers/attach-share-filesystem", `{"type":"sfs_turbo","id":"f","server_ids":["` + server + `"]}`, 400, "CPS.0137"},
		{"POST", "/../servers/attach-share-filesystem", `{"type":"nfs","id":"f","server_ids":["` + server + `"]}`, 400, "CPS.0116"},
		{"POST", "/../servers/detach-share-filesystem", `{"type":"sfs_turbo","id":"f","server_ids":["` + server + `"]}`, 400, "CPS.0137"},
		{"POST", "/../servers/detach-share-filesystem", `{"type":"sfs_turbo","id":"f","server_ids":[]}`, 400, "CPS.0095"},
		{"GET", "/scheduled-events", "", 200, `"scheduled_events":[]`},
		{"GET", "/scheduled-events?limit=0", "", 400, "CPS.0002"},
		{"PUT", "/scheduled-events/e", `{}`, 404, "APIGW.0201"},
		{"PUT", "/scheduled-events/e", `[]`, 400, "APIGW.0201"},
		{"POST", "/scheduled-events/e/authorize", `{"authorization_type":"maintenance"}`, 404, "APIGW.0201"},
	} {
		if status, body := in.call(token, tt.method, path.Clean(base+tt.path), tt.body); status != tt.status || !strings.Contains(body, tt.has) {
			t.Errorf("%s %s %s: %d %s, want %d and %s", tt.method, tt.path, tt.body, status, body, tt.status, tt.has)
		}
	}
}
