package compat

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/cph/v1/model"

	"github.com/lethe-cloud/lethe/internal/testenv"
)

// containers is the template of a server whose phones are containers of the test phone.
const containers = `privileges = "none"
network = "bridge"
init_args = ["androidboot.simphone_boot_ms=50", "androidboot.simphone_files=8"]
`

// What touches phones, once through the SDK on containers: the real binary, a real Docker daemon, and the test phone in place of redroid.
func TestDockerPhones(t *testing.T) {
	t.Parallel()
	endpoint, reference := testenv.Docker(t), testenv.SimphoneImage(t)
	template := filepath.Join(t.TempDir(), "template.toml")
	if err := os.WriteFile(template, []byte(containers), 0o600); err != nil {
		t.Fatal(err)
	}
	server := "" // cleaned up after lethe has ended
	t.Cleanup(func() { sweepDocker(t, endpoint, server) })
	in := serve(t)
	in.lethe(nil, "image", "add", "--name", "first", "--reference", reference)
	var patched struct {
		ID string `json:"image_id"`
	}
	in.lethe(&patched, "image", "add", "--name", "patched", "--reference", reference)
	in.lethe(nil, "server", "add", "--name", "rack", "--driver", "docker", "--endpoint", endpoint, "--phones", "6", "--image", "first",
		"--template", template, "--port-base", strconv.Itoa(testenv.Port(t)), "--wait")
	w := world{T: t, in: in, client: in.owner(), image: patched.ID}
	for _, p := range *answered(w.client.ListCloudPhones(&model.ListCloudPhonesRequest{}))(w).Phones {
		w.phones, server = append(w.phones, *p.PhoneId), *p.ServerId
	}
	w.server = server
	id := w.phones[0]

	w.prints(id, "tee /data/kept", "")
	backup := w.backedUp(id, "/data/kept")
	stopped := answered(w.client.StopCloudPhone(stop(id)))(w)
	w.one(stopped.RequestId, stopped.Jobs, id)
	w.status(id, 8)
	property := `{"ro.product.model":"X9","com.cph.mainkeys":1}`
	restarted := answered(w.client.RestartCloudPhone(restart(&patched.ID, model.PhoneProperty{PhoneId: id, Property: &property})))(w)
	w.one(restarted.RequestId, restarted.Jobs, id)
	w.status(id, 2)
	w.prints(id, "getprop ro.product.model", "X9")
	w.prints(id, "getprop com.cph.mainkeys", "1")
	w.prints(id, "cat /data/kept", "")

	updated := answered(w.client.UpdateCloudPhoneProperty(setProperty(id, `{"ro.product.model":"Y9","com.cph.mainkeys":0}`)))(w)
	w.one(updated.RequestId, updated.Jobs, id)
	w.prints(id, "getprop ro.product.model", "X9") // until its next start
	w.prints(id, "getprop com.cph.mainkeys", "0")
	restarted = answered(w.client.RestartCloudPhone(restart(nil, model.PhoneProperty{PhoneId: id})))(w)
	w.one(restarted.RequestId, restarted.Jobs, id)
	w.prints(id, "getprop ro.product.model", "Y9")
	w.prints(id, "cat /data/kept", "")

	connected := answered(w.client.BatchShowPhoneConnectInfos(&model.BatchShowPhoneConnectInfosRequest{
		Body: &model.ConnectionRequestBody{PhoneIds: []string{id}, ClientType: model.GetConnectionRequestBodyClientTypeEnum().ANDROID},
	}))(w)
	detail := answered(w.client.ShowCloudPhoneDetail(&model.ShowCloudPhoneDetailRequest{PhoneId: id}))(w)
	if len(*connected.ConnectInfos) != 1 || len(*detail.AccessInfos) != 1 {
		t.Fatalf("how to connect: %s; %s", connected, detail.AccessInfos)
	}
	at := (*detail.AccessInfos)[0]
	conn, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(*at.AccessPort))), 10*time.Second)
	if err != nil {
		t.Errorf("nothing answers where the phone is said to be (%s): %v", at, err)
	} else if err := conn.Close(); err != nil {
		t.Error(err)
	}

	wiped := answered(w.client.ResetCloudPhone(reset(nil, model.PhoneProperty{PhoneId: id})))(w)
	w.one(wiped.RequestId, wiped.Jobs, id)
	w.status(id, 2)
	w.prints(id, "getprop ro.product.model", "Y9")
	ran := answered(runSync(w.client, "getprop sys.boot_completed", id))(w)
	if job := (*ran.Jobs)[0]; *job.Status != 2 || *job.ExecuteMsg != "1" {
		t.Errorf("the command: %s", job)
	}
	gone := answered(runSync(w.client, "cat /data/kept", id))(w)
	if job := (*gone.Jobs)[0]; *job.Status != -1 || *job.ErrorCode != "CPS.0191" {
		t.Errorf("after the reset: %s", job)
	}
	w.restored(backup) // what was exported before the reset, into the life after it
	w.prints(id, "cat /data/kept", "")

	said := func(request *string, says string) {
		t.Helper()
		if job := w.ended(request)[0]; *job.Status != 2 || !strings.Contains(*job.ExecuteMsg, says) {
			t.Errorf("the job: %s; want %q", job, says)
		}
	}
	said(answered(w.client.RunShellCommand(shell("getprop sys.boot_completed", id)))(w).RequestId, "1")
	object := w.inBucket("docker-files", "data.tar", tarOf(t, map[string][]byte{"data/local/tmp/pushed": []byte("text")}))
	said(answered(w.client.PushFile(push(object, id)))(w).RequestId, "unpacked 1")
	w.prints(id, "cat /data/local/tmp/pushed", "text")
	object = w.inBucket("docker-apps", "app.apk", apkOf(t, "com.example.contained"))
	said(answered(w.client.InstallApk(install("install", object, id)))(w).RequestId, "Success")
	said(answered(w.client.UninstallApk(uninstall("com.example.contained", id)))(w).RequestId, "Success")

	for _, name := range []string{
		"ResetCloudPhone", "StopCloudPhone", "RestartCloudPhone", "UpdateCloudPhoneProperty", "BatchShowPhoneConnectInfos", "RunSyncCommand", "RunShellCommand",
		"PushFile", "InstallApk", "UninstallApk", "BatchExportCloudPhoneData", "BatchImportCloudPhoneData", "RestartCloudPhoneServer", "DeleteCloudPhoneServer",
	} {
		t.Run(name, func(t *testing.T) {
			w := w
			w.T = t
			judgements[name].wrong(w)
		})
	}
	for _, id := range w.phones {
		w.status(id, 2) // nothing of that has touched a phone
	}

	again := answered(w.client.RestartCloudPhoneServer(restartServers(server)))(w)
	w.elements(again, "")
	if job := w.serverJob(*(*again.Jobs)[0].JobId); *job.Status != 2 {
		t.Errorf("the restart of the server: %s", job)
	}
	w.prints(id, "cat /data/kept", "")
	if job := w.serverJob(*answered(w.client.DeleteCloudPhoneServer(deleteServers(server)))(w).JobId); *job.Status != 2 {
		t.Errorf("the deletion of the server: %s", job)
	}
}

// A server of containers through the SDK: taken from the pool with its phones, given other keys, made anew with another image, restarted and given back.
func TestDockerServers(t *testing.T) {
	t.Parallel()
	endpoint, reference := testenv.Docker(t), testenv.SimphoneImage(t)
	server := "" // cleaned up after lethe has ended
	t.Cleanup(func() { sweepDocker(t, endpoint, server) })
	in := serve(t, fmt.Sprintf(`
[[keypairs]]
name = "ops"
public_keys = [%q]
[[keypairs]]
name = "next"
public_keys = [%q]
[[pool_hosts]]
name = "dock-1"
driver = "docker"
endpoint = %q
server_model = "dock.small"
phones = 2
keypair = "ops"
port_base = %d
[pool_hosts.template]
%s`, publicKey("ops"), publicKey("next"), endpoint, testenv.Port(t), containers))
	images := map[string]string{}
	for _, name := range []string{"first", "second"} {
		var image struct {
			ID string `json:"image_id"`
		}
		in.lethe(&image, "image", "add", "--name", name, "--reference", reference)
		images[name] = image.ID
	}
	w := world{T: t, in: in, client: in.owner()}
	refused(w.client.CreateNet2CloudPhoneServer(create("shop", "dock.huge", images["first"], 1, nil)))(w, 400, "CPS.0136")
	server = (*answered(w.client.CreateNet2CloudPhoneServer(create("shop", "dock.small", images["first"], 1, nil)))(w).ServerIds)[0]
	w.serverStatus(server, 5, 1)
	w.adbKeys(server, publicKey("ops")+"\n")
	phones := *answered(w.client.ListCloudPhones(&model.ListCloudPhonesRequest{ServerId: &server}))(w).Phones
	if len(phones) != 2 {
		t.Fatalf("%d phones", len(phones))
	}
	id := *phones[0].PhoneId
	w.prints(id, "tee /data/kept", "")

	w.elements(answered(w.client.UpdateKeypair(keypairs(model.ServerKeypair{ServerId: server, KeypairName: "none"})))(w), "CPS.0067")
	keyed := answered(w.client.UpdateKeypair(keypairs(model.ServerKeypair{ServerId: server, KeypairName: "next"})))(w)
	ends := func(job *string) {
		t.Helper()
		if ended := w.serverJob(*job); *ended.Status != 2 {
			t.Errorf("the job: %s", ended)
		}
	}
	ends((*keyed.Jobs)[0].JobId)
	w.adbKeys(server, publicKey("next")+"\n")
	restarted := answered(w.client.RestartCloudPhoneServer(restartServers(server)))(w)
	ends((*restarted.Jobs)[0].JobId)
	w.adbKeys(server, publicKey("next")+"\n")
	w.prints(id, "cat /data/kept", "")

	refused(w.client.ChangeCloudPhoneServer(change(server, "lethe.cp.standard", unknown, nil)))(w, 400, "CPS.0166")
	property := `{"ro.product.model":"X9"}`
	ends(answered(w.client.ChangeCloudPhoneServer(change(server, "lethe.cp.standard", images["second"], func(b *model.ChangeCloudPhoneServerRequestBody) {
		b.Property = &property
	})))(w).JobId)
	w.serverStatus(server, 5)
	w.adbKeys(server, publicKey("next")+"\n")
	w.prints(id, "getprop ro.product.model", "X9")
	if code, _ := w.exec(id, "cat /data/kept"); code == 0 {
		t.Error("a change of the server has kept a phone's data")
	}
	if detail := answered(w.client.ShowCloudPhoneDetail(&model.ShowCloudPhoneDetailRequest{PhoneId: id}))(w); *detail.ImageId != images["second"] {
		t.Errorf("after the change: %s", detail)
	}
	w.give(server)
	refused(w.client.ShowCloudPhoneServerDetail(&model.ShowCloudPhoneServerDetailRequest{ServerId: server}))(w, 404, "CPS.0015")
}

// sweepDocker removes what the server has left on the daemon, containers before volumes.
func sweepDocker(t *testing.T, endpoint, server string) {
	socket, unix := strings.CutPrefix(endpoint, "unix://")
	if !unix || server == "" {
		t.Logf("nothing to sweep of server %q at %s", server, endpoint)
		return
	}
	daemon := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	ask := func(method, path string, out any) {
		req, err := http.NewRequestWithContext(context.Background(), method, "http://docker"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := daemon.Do(req)
		if err != nil {
			t.Error(err)
			return
		}
		defer res.Body.Close()
		if res.StatusCode >= 400 {
			t.Errorf("%s %s: %s", method, path, res.Status)
		} else if out != nil {
			if err := json.NewDecoder(res.Body).Decode(out); err != nil {
				t.Error(err)
			}
		}
	}
	filter := url.QueryEscape(`{"label":["cloud.lethe.server=` + server + `"]}`)
	var containers []struct{ ID string }
	ask(http.MethodGet, "/containers/json?all=1&filters="+filter, &containers)
	for _, c := range containers {
		ask(http.MethodDelete, "/containers/"+c.ID+"?force=1&v=1", nil)
	}
	var volumes struct{ Volumes []struct{ Name string } }
	ask(http.MethodGet, "/volumes?filters="+filter, &volumes)
	for _, v := range volumes.Volumes {
		ask(http.MethodDelete, "/volumes/"+v.Name, nil)
	}
}
