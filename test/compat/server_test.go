package compat

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/cph/v1/model"
)

// ownServer adds a server with phones of its own, which a test may destroy, and gives its id.
func (w world) ownServer(name string, phones int) string {
	w.Helper()
	var added struct {
		ServerID string `json:"server_id"`
	}
	w.in.lethe(&added, "server", "add", "--name", name, "--driver", "simulated", "--phones", fmt.Sprint(phones), "--image", w.image, "--boot-time", "20ms", "--wait")
	w.Cleanup(func() { // other tests count servers
		if _, err := w.client.ShowCloudPhoneServerDetail(&model.ShowCloudPhoneServerDetailRequest{ServerId: added.ServerID}); err == nil {
			w.in.lethe(nil, "server", "delete", added.ServerID, "--yes", "--wait")
		}
	})
	return added.ServerID
}

// serverStatus polls a server until it has a status, as the Terraform provider does; meanwhile it must be in another of these.
func (w world) serverStatus(id string, want int32, meanwhile ...int32) {
	w.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		got := *answered(w.client.ShowCloudPhoneServerDetail(&model.ShowCloudPhoneServerDetailRequest{ServerId: id}))(w).Status
		if got == want {
			return
		}
		known := false
		for _, m := range meanwhile {
			known = known || m == got
		}
		if !known || time.Now().After(deadline) {
			w.Fatalf("server %s is in status %d, want %d, and until then %v", id, got, want, meanwhile)
		}
	}
}

// serverJob waits for the end of a server's job, as ShowJob tells of it.
func (w world) serverJob(id string) *model.ShowJobResponse {
	w.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		job := answered(w.client.ShowJob(&model.ShowJobRequest{JobId: id}))(w)
		if *job.Status != 1 {
			return job
		}
		if time.Now().After(deadline) {
			w.Fatalf("the job has not ended: %s", job)
		}
	}
}

// publicKey is a line as in ~/.android/adbkey.pub, as far as its form goes.
func publicKey(of string) string { return "QAAAA" + strings.Repeat("k", 695) + " " + of + "@host" }

// pool is the configuration of an installation with three hosts that projects may take, and with key pairs.
var pool = `
[[keypairs]]
name = "ops"
public_keys = ["` + publicKey("ops") + `"]
[[keypairs]]
name = "next"
public_keys = ["` + publicKey("next") + `", "` + publicKey("next-2") + `"]
[[keypairs]]
name = "theirs"
public_keys = ["` + publicKey("theirs") + `"]
accounts = ["somebody-else"]
[[pool_hosts]]
name = "pool-1"
driver = "simulated"
server_model = "rack.small"
phones = 2
keypair = "ops"
template = { boot_time = "20ms" }
[[pool_hosts]]
name = "pool-2"
driver = "simulated"
server_model = "rack.small"
phones = 2
template = { boot_time = "20ms" }
[[pool_hosts]]
name = "pool-3"
driver = "simulated"
server_model = "rack.broken"
phones = 1
boot_timeout = "1s"
[pool_hosts.template]
boot_time = "20ms"
faults = [{ operation = "boot", effect = "never" }]
`

// create asks for servers as the SDK requires it, with a network that there is not here.
func create(name, serverModel, image string, count int32, more func(*model.CreateNet2CloudPhoneServerRequestBody)) *model.CreateNet2CloudPhoneServerRequest {
	body := &model.CreateNet2CloudPhoneServerRequestBody{
		ServerName: name, ServerModelName: serverModel, PhoneModelName: "lethe.cp.standard", ImageId: image, Count: count,
		ExtendParam: &model.CreateNet2CloudPhoneServerRequestBodyExtendParam{PeriodType: 2, PeriodNum: 1}, TenantVpcId: "3f8c3b5c-9f2c-4c2c-8c8c-0123456789ab",
		Nics: []model.Nic{{SubnetId: "3f8c3b5c-9f2c-4c2c-8c8c-0123456789ac"}}, PublicIp: &model.CreateNet2CloudPhoneServerRequestBodyPublicIp{},
		BandWidth: &model.CreateNet2CloudPhoneServerRequestBodyBandWidth{},
	}
	if more != nil {
		more(body)
	}
	return &model.CreateNet2CloudPhoneServerRequest{Body: body}
}

// give deletes servers and waits until their hosts are back in the pool.
func (w world) give(ids ...string) {
	w.Helper()
	if job := w.serverJob(*answered(w.client.DeleteCloudPhoneServer(deleteServers(ids...)))(w).JobId); *job.Status != 2 {
		w.Fatalf("the deletion: %s", job)
	}
}

func restartServers(ids ...string) *model.RestartCloudPhoneServerRequest {
	return &model.RestartCloudPhoneServerRequest{Body: &model.RestartCloudPhoneServerRequestBody{ServerIds: ids}}
}

func keypairs(servers ...model.ServerKeypair) *model.UpdateKeypairRequest {
	return &model.UpdateKeypairRequest{Body: &model.UpdateKeypairRequestBody{Servers: servers}}
}

// adbKeys holds all phones of a server to the file that adbd reads.
func (w world) adbKeys(server, want string) {
	w.Helper()
	for _, p := range *answered(w.client.ListCloudPhones(&model.ListCloudPhonesRequest{ServerId: &server}))(w).Phones {
		cat := exec.Command(binary, "phone", "exec", "--credentials", filepath.Join(w.in.dir, "credentials.json"), *p.PhoneId, "--", "cat", "/adb_keys")
		if got, err := cat.Output(); err != nil || string(got) != want {
			w.Errorf("a phone lets in %q (%v), want %q", got, err, want)
		}
	}
}

func deleteServers(ids ...string) *model.DeleteCloudPhoneServerRequest {
	return &model.DeleteCloudPhoneServerRequest{Body: &model.DeleteCloudPhoneServerRequestBody{ServerIds: ids}}
}

// change is a change of a server with the fields that the SDK requires and lethe does not look at.
func change(id, phoneModel, image string, more func(*model.ChangeCloudPhoneServerRequestBody)) *model.ChangeCloudPhoneServerRequest {
	body := &model.ChangeCloudPhoneServerRequestBody{
		PhoneModelName: phoneModel, ImageId: image, TenantVpcId: "3f8c3b5c-9f2c-4c2c-8c8c-0123456789ab", Nics: []model.Nic{},
		PublicIp: &model.ChangeCloudPhoneServerRequestBodyPublicIp{}, BandWidth: &model.ChangeCloudPhoneServerRequestBodyBandWidth{},
	}
	if more != nil {
		more(body)
	}
	return &model.ChangeCloudPhoneServerRequest{ServerId: id, Body: body}
}

var serverJudgements = map[string]judgement{
	"CreateNet2CloudPhoneServer": {
		func(w world) {
			keys, property := "ops", `{"com.cph.mainkeys":"1"}`
			answer := answered(w.client.CreateNet2CloudPhoneServer(create("shop", "rack.small", w.image, 1, func(b *model.CreateNet2CloudPhoneServerRequestBody) {
				b.KeypairName, b.Property = &keys, &property
			})))(w)
			if len(*answer.ServerIds) != 1 || *answer.OrderId == "" {
				w.Fatalf("the answer: %s", answer)
			}
			id := (*answer.ServerIds)[0]
			w.serverStatus(id, 5, 1)
			server := answered(w.client.ShowCloudPhoneServerDetail(&model.ShowCloudPhoneServerDetailRequest{ServerId: id}))(w)
			if *server.ServerName != "shop" || *server.ServerModelName != "rack.small" || *server.KeypairName != "ops" {
				w.Errorf("the server: %s", server)
			}
			phones := *answered(w.client.ListCloudPhones(&model.ListCloudPhonesRequest{ServerId: &id}))(w).Phones
			for _, p := range phones {
				detail := answered(w.client.ShowCloudPhoneDetail(&model.ShowCloudPhoneDetailRequest{PhoneId: *p.PhoneId}))(w)
				if *detail.Status != 2 || *detail.ImageId != w.image || *detail.Property != property {
					w.Errorf("a phone: %s", detail)
				}
			}
			if jobs := *answered(w.client.ListJobs(&model.ListJobsRequest{RequestId: answer.RequestId}))(w).Jobs; len(jobs) != 1 || *jobs[0].Status != 2 || *jobs[0].ServerId != id {
				w.Errorf("the request's jobs: %v", jobs)
			}
			refused(w.client.CreateNet2CloudPhoneServer(create("more", "rack.small", w.image, 2, nil)))(w, 400, "CPS.0066")
			w.give(id)
			both := answered(w.client.CreateNet2CloudPhoneServer(create("shop", "rack.small", w.image, 2, nil)))(w)
			for _, id := range *both.ServerIds {
				w.serverStatus(id, 5, 1)
			}
			w.give(*both.ServerIds...)

			broken := (*answered(w.client.CreateNet2CloudPhoneServer(create("broken", "rack.broken", w.image, 1, nil)))(w).ServerIds)[0]
			w.serverStatus(broken, 2, 1)
			w.give(broken)
		},
		func(w world) {
			refused(w.client.CreateNet2CloudPhoneServer(create("a", "rack.huge", w.image, 1, nil)))(w, 400, "CPS.0136")
			refused(w.client.CreateNet2CloudPhoneServer(create("a", "", w.image, 1, nil)))(w, 400, "CPS.0088")
			refused(w.client.CreateNet2CloudPhoneServer(create("a b", "rack.small", w.image, 1, nil)))(w, 400, "CPS.0087")
			refused(w.client.CreateNet2CloudPhoneServer(create("rack-1", "rack.small", w.image, 1, nil)))(w, 400, "CPS.0087") // there is one
			refused(w.client.CreateNet2CloudPhoneServer(create("a", "rack.small", unknown, 1, nil)))(w, 400, "CPS.0166")
			refused(w.client.CreateNet2CloudPhoneServer(create("a", "rack.small", w.image, 11, nil)))(w, 400, "CPS.0024")
			keys := "other"
			refused(w.client.CreateNet2CloudPhoneServer(create("a", "rack.small", w.image, 1, func(b *model.CreateNet2CloudPhoneServerRequestBody) { b.KeypairName = &keys })))(w, 400, "CPS.0067")
			refused(w.client.CreateNet2CloudPhoneServer(create("a", "rack.small", w.image, 1, func(b *model.CreateNet2CloudPhoneServerRequestBody) { b.PhoneModelName = "none" })))(w, 400, "CPS.0157")
			refused(w.client.CreateNet2CloudPhoneServer(create("a", "rack.small", w.image, 1, func(b *model.CreateNet2CloudPhoneServerRequestBody) {
				b.Ports = &[]model.Port{{Name: "a", ListenPort: 1}}
			})))(w, 400, "CPS.0037")
		},
	},
	"RestartCloudPhoneServer": {
		func(w world) {
			id := w.ownServer("restarted", 2)
			answer := answered(w.client.RestartCloudPhoneServer(restartServers(id)))(w)
			if len(*answer.Jobs) != 1 || *(*answer.Jobs)[0].ServerId != id || (*answer.Jobs)[0].JobId == nil {
				w.Fatalf("the answer: %s", answer)
			}
			w.serverStatus(id, 5, 13)
			job := w.serverJob(*(*answer.Jobs)[0].JobId)
			if *job.Status != 2 || *job.ServerId != id || job.PhoneId != nil || job.EndTime == nil {
				w.Errorf("the job: %s", job)
			}
			listed := *answered(w.client.ListJobs(&model.ListJobsRequest{RequestId: answer.RequestId}))(w).Jobs
			if len(listed) != 1 || *listed[0].JobId != *job.JobId || *listed[0].ServerId != id || listed[0].PhoneId != nil || *listed[0].Status != 2 {
				w.Errorf("the request's jobs: %v", listed)
			}
		},
		func(w world) {
			w.elements(answered(w.client.RestartCloudPhoneServer(restartServers(unknown, "no-id")))(w), "CPS.0159", "CPS.0097")
			refused(w.client.RestartCloudPhoneServer(restartServers()))(w, 400, "CPS.0095")
			refused(w.client.RestartCloudPhoneServer(restartServers(make([]string, 101)...)))(w, 400, "CPS.0096")
			token := w.in.token(w.in.cred.User, w.in.cred.Password, map[string]any{"project": map[string]any{"name": w.in.cred.Region}})
			if status, body := w.in.call(token, "POST", "/v1/"+w.in.cred.ProjectID+"/cloud-phone/servers/batch-restart", `{"server_ids":"all"}`); status != 400 {
				w.Errorf("server_ids that are no list: %d %s", status, body)
			}
		},
	},
	"UpdateKeypair": {
		func(w world) {
			id := w.ownServer("keys", 2)
			for _, tt := range []struct {
				keypair string
				keys    []string
			}{{"ops", []string{"ops"}}, {"next", []string{"next", "next-2"}}, {"next", []string{"next", "next-2"}}} {
				answer := answered(w.client.UpdateKeypair(keypairs(model.ServerKeypair{ServerId: id, KeypairName: tt.keypair})))(w)
				if len(*answer.Jobs) != 1 || *(*answer.Jobs)[0].ServerId != id {
					w.Fatalf("the answer: %s", answer)
				}
				server := answered(w.client.ShowCloudPhoneServerDetail(&model.ShowCloudPhoneServerDetailRequest{ServerId: id}))(w)
				if *server.Status != 5 || *server.KeypairName != tt.keypair {
					w.Errorf("the server meanwhile: %s", server)
				}
				if job := w.serverJob(*(*answer.Jobs)[0].JobId); *job.Status != 2 || *job.ServerId != id {
					w.Errorf("the job: %s", job)
				}
				var want string
				for _, key := range tt.keys {
					want += publicKey(key) + "\n"
				}
				w.adbKeys(id, want)
			}
			phones := *answered(w.client.ListCloudPhones(&model.ListCloudPhonesRequest{ServerId: &id}))(w).Phones
			finished(w.T, w.client, *answered(w.client.ResetCloudPhone(reset(nil, model.PhoneProperty{PhoneId: *phones[0].PhoneId})))(w).RequestId)
			w.adbKeys(id, publicKey("next")+"\n"+publicKey("next-2")+"\n")
		},
		func(w world) {
			w.elements(answered(w.client.UpdateKeypair(keypairs(
				model.ServerKeypair{ServerId: unknown, KeypairName: "ops"}, model.ServerKeypair{ServerId: "no-id", KeypairName: "ops"},
				model.ServerKeypair{ServerId: w.server}, model.ServerKeypair{ServerId: w.server, KeypairName: "none"},
			)))(w), "CPS.0097", "CPS.0097", "CPS.0068", "CPS.0097")
			for keypair, code := range map[string]string{"": "CPS.0068", "none": "CPS.0067", "theirs": "CPS.0067"} {
				w.elements(answered(w.client.UpdateKeypair(keypairs(model.ServerKeypair{ServerId: w.server, KeypairName: keypair})))(w), code)
			}
			id := w.ownServer("keys-busy", 1)
			answered(w.client.RestartCloudPhoneServer(restartServers(id)))(w)
			w.elements(answered(w.client.UpdateKeypair(keypairs(model.ServerKeypair{ServerId: id, KeypairName: "ops"})))(w), "CPS.0098")
			w.serverStatus(id, 5, 13)
			refused(w.client.UpdateKeypair(keypairs()))(w, 400, "CPS.0095")
			refused(w.client.UpdateKeypair(keypairs(make([]model.ServerKeypair, 101)...)))(w, 400, "CPS.0096")
			token := w.in.token(w.in.cred.User, w.in.cred.Password, map[string]any{"project": map[string]any{"name": w.in.cred.Region}})
			for _, body := range []string{`{"servers":"all"}`, `{"servers":[null]}`, `{"servers":[{"server_id":1}]}`} {
				if status, text := w.in.call(token, "PUT", "/v1/"+w.in.cred.ProjectID+"/cloud-phone/servers/open-access", body); status != 400 || !strings.Contains(text, "CPS.0094") {
					w.Errorf("%s: %d %s", body, status, text)
				}
			}
		},
	},
	"DeleteCloudPhoneServer": {
		func(w world) {
			one, two := w.ownServer("deleted-1", 2), w.ownServer("deleted-2", 1)
			answer := answered(w.client.DeleteCloudPhoneServer(deleteServers(one, two)))(w)
			job := w.serverJob(*answer.JobId)
			if *job.Status != 2 || job.PhoneId != nil || job.ServerId != nil {
				w.Errorf("the one job of both: %s", job)
			}
			for _, id := range []string{one, two} {
				refused(w.client.ShowCloudPhoneServerDetail(&model.ShowCloudPhoneServerDetailRequest{ServerId: id}))(w, 404, "CPS.0015")
			}
			w.ownServer("deleted-1", 1) // its name is free
		},
		func(w world) {
			refused(w.client.DeleteCloudPhoneServer(deleteServers(unknown)))(w, 404, "CPS.0015")
			refused(w.client.DeleteCloudPhoneServer(deleteServers(w.server, "no-id")))(w, 400, "CPS.0097")
			refused(w.client.DeleteCloudPhoneServer(deleteServers()))(w, 400, "CPS.0095")
			refused(w.client.DeleteCloudPhoneServer(deleteServers(make([]string, 11)...)))(w, 400, "CPS.0096")
		},
	},
	"ChangeCloudPhoneServer": {
		func(w world) {
			id, property := w.ownServer("changed", 2), `{"com.cph.mainkeys":"1"}`
			answer := answered(w.client.ChangeCloudPhoneServer(change(id, "lethe.cp.standard", w.image, func(b *model.ChangeCloudPhoneServerRequestBody) { b.Property = &property })))(w)
			if *answer.ServerId != id {
				w.Errorf("the answer: %s", answer)
			}
			w.serverStatus(id, 5, 1)
			if job := w.serverJob(*answer.JobId); *job.Status != 2 || *job.ServerId != id {
				w.Errorf("the job: %s", job)
			}
			phones := *answered(w.client.ListCloudPhones(&model.ListCloudPhonesRequest{ServerId: &id}))(w).Phones
			for _, p := range phones {
				detail := answered(w.client.ShowCloudPhoneDetail(&model.ShowCloudPhoneDetailRequest{PhoneId: *p.PhoneId}))(w)
				if *detail.Status != 2 || *detail.ImageId != w.image || *detail.Property != property {
					w.Errorf("a phone: %s", detail)
				}
			}
			if len(phones) != 2 {
				w.Errorf("%d phones", len(phones))
			}
		},
		func(w world) {
			refused(w.client.ChangeCloudPhoneServer(change(unknown, "lethe.cp.standard", w.image, nil)))(w, 404, "CPS.0015")
			refused(w.client.ChangeCloudPhoneServer(change(w.server, "", w.image, nil)))(w, 400, "CPS.0027")
			refused(w.client.ChangeCloudPhoneServer(change(w.server, "another.model", w.image, nil)))(w, 400, "CPS.0157")
			refused(w.client.ChangeCloudPhoneServer(change(w.server, "lethe.cp.standard", unknown, nil)))(w, 400, "CPS.0166")
			refused(w.client.ChangeCloudPhoneServer(change(w.server, "lethe.cp.standard", "no-id", nil)))(w, 400, "CPS.0030")
			refused(w.client.ChangeCloudPhoneServer(change(w.server, "lethe.cp.standard", "", nil)))(w, 400, "CPS.0029")
			keys, property := "my-key", `{"no.such.key":1}`
			refused(w.client.ChangeCloudPhoneServer(change(w.server, "lethe.cp.standard", w.image, func(b *model.ChangeCloudPhoneServerRequestBody) { b.KeypairName = &keys })))(w, 400, "CPS.0067")
			refused(w.client.ChangeCloudPhoneServer(change(w.server, "lethe.cp.standard", w.image, func(b *model.ChangeCloudPhoneServerRequestBody) { b.Property = &property })))(w, 400, "CPS.0163")
			refused(w.client.ChangeCloudPhoneServer(change(w.server, "lethe.cp.standard", w.image, func(b *model.ChangeCloudPhoneServerRequestBody) {
				b.PhoneDataVolume = &model.ChangeCloudPhoneServerRequestBodyPhoneDataVolume{VolumeType: "SSD", Size: 10}
			})))(w, 501, "CPS.0003")
		},
	},
}

// The Terraform provider restarts servers and looks at the server, not at the job: it must not be normal before all its phones are.
func TestTerraformRestartsServers(t *testing.T) {
	t.Parallel()
	in, phones, image := fleet(t)
	w := world{T: t, in: in, client: in.owner(), phones: phones, image: image}
	id := w.ownServer("terraform", 3)
	token := in.token(in.cred.User, in.cred.Password, map[string]any{"project": map[string]any{"name": in.cred.Region}})
	base := "/v1/" + in.cred.ProjectID + "/cloud-phone/"
	status, _ := in.call(token, "POST", base+"servers/batch-restart", `{"server_ids":["`+id+`"]}`+"\n")
	if status != http.StatusOK {
		t.Fatalf("batch-restart: %d", status)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		_, text := in.call(token, "GET", base+"servers/"+id, "")
		var server map[string]any
		if err := json.Unmarshal([]byte(text), &server); err != nil {
			t.Fatal(err)
		}
		if server["status"] == 5.0 {
			break
		}
		if server["status"] != 13.0 || time.Now().After(deadline) {
			t.Fatalf("the server meanwhile: %v", server["status"])
		}
	}
	for _, p := range *answered(w.client.ListCloudPhones(&model.ListCloudPhonesRequest{ServerId: &id}))(w).Phones {
		if *p.Status != 2 {
			t.Errorf("the server is normal, and a phone of it is in status %d", *p.Status)
		}
	}
}
