package compat

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/cph/v1/model"

	"github.com/lethe-cloud/lethe/internal/testenv"
)

func pushShared(object string, servers ...string) *model.PushShareFilesRequest {
	return &model.PushShareFilesRequest{Body: &model.PushShareFilesRequestBody{BucketName: "apps", ObjectPath: object, ServerIds: servers}}
}

func deleteShared(paths []string, servers ...string) *model.DeleteShareFilesRequest {
	return &model.DeleteShareFilesRequest{Body: &model.DeleteShareFilesRequestBody{FilePaths: paths, ServerIds: servers}}
}

func listShared(path string, offset, limit *int32, servers ...string) *model.ListShareFilesRequest {
	return &model.ListShareFilesRequest{Path: path, Offset: offset, Limit: limit, ServerIds: strings.Join(servers, ",")}
}

func pushApp(name, object string, install *int32, servers ...string) *model.PushShareAppsRequest {
	return &model.PushShareAppsRequest{Body: &model.PushShareAppsRequestBody{PackageName: name, PreInstallApp: install, BucketName: "apps", ObjectPath: object, ServerIds: servers}}
}

func deleteApp(name string, servers ...string) *model.DeleteShareAppsRequest {
	return &model.DeleteShareAppsRequest{Body: &model.DeleteShareAppsRequestBody{PackageName: name, ServerIds: servers}}
}

var one, fifty, fiftyOne = int32(1), int32(50), int32(51)

// inBucket makes a bucket with one object and gives the object's address.
func (w world) inBucket(bucket, key string, content []byte) string {
	w.Helper()
	file := filepath.Join(w.TempDir(), "object")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		w.Fatal(err)
	}
	w.in.lethe(nil, "bucket", "create", bucket)
	address := "obs://" + bucket + "/" + key
	w.in.lethe(nil, "object", "put", file, address)
	return address
}

var sharedJudgements = map[string]judgement{
	"PushShareFiles": {
		func(w world) {
			id := w.sharingServer("sharing-push")
			w.inBucket("shared-files", "a/files.tar", tarOf(w.T, map[string][]byte{"data/one": []byte("first")}))
			request := pushShared("a/files.tar", id)
			request.Body.BucketName = "shared-files"
			answer := answered(w.client.PushShareFiles(request))(w)
			w.elements(answer, "")
			if job := w.serverJob(*(*answer.Jobs)[0].JobId); *job.Status != 2 || !strings.Contains(*job.ExecuteMsg, "unpacked 1 files") || *job.ServerId != id {
				w.Errorf("the job: %s", job)
			}
		},
		func(w world) {
			refused(w.client.PushShareFiles(pushShared("a.tar", w.server)))(w, 400, "CPS.0104") // there is no bucket apps
			refused(w.client.PushShareFiles(pushShared("a.zip", w.server)))(w, 400, "CPS.0135")
			refused(w.client.PushShareFiles(pushShared("../a.tar", w.server)))(w, 400, "CPS.0135")
			bad := pushShared("a.tar", w.server)
			bad.Body.BucketName = "A"
			refused(w.client.PushShareFiles(bad))(w, 400, "CPS.0134")
			refused(w.client.PushShareFiles(pushShared("a.tar")))(w, 400, "CPS.0095")
			refused(w.client.PushShareFiles(pushShared("a.tar", make([]string, 101)...)))(w, 400, "CPS.0096")
		},
	},
	"DeleteShareFiles": {
		func(w world) {
			id := w.sharingServer("sharing-delete")
			answer := answered(w.client.DeleteShareFiles(deleteShared([]string{"/data/app", "/data/data/test.apk"}, id)))(w)
			w.elements(answer, "")
			if job := w.serverJob(*(*answer.Jobs)[0].JobId); *job.Status != 2 || !strings.Contains(*job.ExecuteMsg, "0 of 2") || *job.ServerId != id {
				w.Errorf("the job: %s", job)
			}
		},
		func(w world) {
			answer := answered(w.client.DeleteShareFiles(deleteShared([]string{"/data/app"}, w.server, unknown, "no-id")))(w)
			w.elements(answer, "CPS.0137", "CPS.0156", "CPS.0097")
			if msg := *(*answer.Jobs)[0].ErrorMsg; !strings.Contains(msg, "share_path") {
				w.Errorf("a server without a shared storage says %q", msg)
			}
			for _, path := range []string{"/data", "data/app", "/apps/com.example.app", "/data/../etc", "/system/app", ""} {
				refused(w.client.DeleteShareFiles(deleteShared([]string{path}, w.server)))(w, 400, "CPS.0155")
			}
			refused(w.client.DeleteShareFiles(deleteShared([]string{}, w.server)))(w, 400, "CPS.0155")
			refused(w.client.DeleteShareFiles(deleteShared([]string{"/data/app"})))(w, 400, "CPS.0095")
		},
	},
	"ListShareFiles": {
		func(w world) {
			id := w.sharingServer("sharing-list")
			answer := answered(w.client.ListShareFiles(listShared("/data/data", nil, nil, id)))(w)
			w.elements(answer, "")
			if job := w.serverJob(*(*answer.Jobs)[0].JobId); *job.Status != -1 || *job.ErrorCode != "CPS.0199" {
				w.Errorf("the job of a folder that is not there: %s", job)
			}
		},
		func(w world) {
			w.elements(answered(w.client.ListShareFiles(listShared("/data/data", nil, nil, w.server, unknown)))(w), "CPS.0137", "CPS.0156")
			for _, path := range []string{"/", "data", "/data/../x", "/data//x", ""} {
				refused(w.client.ListShareFiles(listShared(path, nil, nil, w.server)))(w, 400, "CPS.0199")
			}
			refused(w.client.ListShareFiles(listShared("/data", nil, &fiftyOne, w.server)))(w, 400, "CPS.0002")
			refused(w.client.ListShareFiles(listShared("/data", nil, &fifty)))(w, 400, "CPS.0095")
		},
	},
	"PushShareApps": {
		func(w world) {
			id := w.sharingServer("sharing-apps-push")
			w.inBucket("shared-apps", "app.tar", tarOf(w.T, map[string][]byte{"base.apk": apkOf(w.T, "com.example.app")}))
			request := pushApp("com.example.app", "app.tar", nil, id)
			request.Body.BucketName = "shared-apps"
			answer := answered(w.client.PushShareApps(request))(w)
			if job := w.serverJob(*(*answer.Jobs)[0].JobId); *job.Status != 2 || !strings.Contains(*job.ExecuteMsg, "apps/com.example.app") {
				w.Errorf("the job: %s", job)
			}
		},
		func(w world) {
			refused(w.client.PushShareApps(pushApp("com.example.app", "a.tar", nil, w.server)))(w, 400, "CPS.0104")
			refused(w.client.PushShareApps(pushApp("com.example.app", "a.tar", &one, w.server)))(w, 501, "CPS.0003")
			refused(w.client.PushShareApps(pushApp("app", "a.tar", nil, w.server)))(w, 400, "CPS.0173")
			refused(w.client.PushShareApps(pushApp("com.example.app", "a.apk", nil, w.server)))(w, 400, "CPS.0135")
			refused(w.client.PushShareApps(pushApp("com.example.app", "a.tar", nil)))(w, 400, "CPS.0095")
		},
	},
	"DeleteShareApps": {
		func(w world) {
			id := w.sharingServer("sharing-apps")
			answer := answered(w.client.DeleteShareApps(deleteApp("com.example.absent", id)))(w)
			if job := w.serverJob(*(*answer.Jobs)[0].JobId); *job.Status != 2 {
				w.Errorf("the job of an app that is not there: %s", job)
			}
		},
		func(w world) {
			w.elements(answered(w.client.DeleteShareApps(deleteApp("com.example.app", w.server, unknown, "no-id")))(w), "CPS.0137", "CPS.0156", "CPS.0097")
			refused(w.client.DeleteShareApps(deleteApp("com.example/../app", w.server)))(w, 400, "CPS.0173")
			refused(w.client.DeleteShareApps(deleteApp("com.example.app")))(w, 400, "CPS.0095")
		},
	},
}

// sharingServer adds a server with a phone whose template gives it a shared storage.
func (w world) sharingServer(name string) string {
	w.Helper()
	template := filepath.Join(w.TempDir(), "template.toml")
	if err := os.WriteFile(template, []byte("share_path = \"/data/share\"\nboot_time = \"20ms\"\n"), 0o600); err != nil {
		w.Fatal(err)
	}
	var added struct {
		ServerID string `json:"server_id"`
	}
	w.in.lethe(&added, "server", "add", "--name", name, "--driver", "simulated", "--phones", "1", "--image", w.image, "--template", template, "--wait")
	w.Cleanup(func() { w.in.lethe(nil, "server", "delete", added.ServerID, "--yes", "--wait") }) // other tests count servers
	return added.ServerID
}

// withBucket serves an installation with a bucket apps, which has these files and a tar each of them.
func withBucket(t *testing.T) (*installation, func(name string, content []byte)) {
	t.Helper()
	dir, bucket := t.TempDir(), t.TempDir()
	in, stop := serveIn(t, dir)
	stop()
	in, _ = serveIn(t, dir, fmt.Sprintf("[[buckets]]\nname = \"apps\"\nurl = \"file://%s\"\nproject = %q\n", bucket, in.cred.ProjectID))
	return in, func(name string, content []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(bucket, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func tarOf(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, content := range files {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(content)), Mode: 0o600}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func apkOf(t *testing.T, name string) []byte {
	t.Helper()
	var b bytes.Buffer
	apk := zip.NewWriter(&b)
	manifest, err := apk.Create("AndroidManifest.xml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(manifest, "<manifest package=%q/>", name); err != nil {
		t.Fatal(err)
	}
	if err := apk.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// shared takes the shared storage of a server through its life, by the SDK, and looks at it in a phone of the server.
func (w world) shared(server, phone string, put func(name string, content []byte)) {
	w.Helper()
	const at = "/data/share"
	job := func(id *string, status int32, says string) *model.ShowJobResponse {
		w.Helper()
		done := w.serverJob(*id)
		if *done.Status != status || !strings.Contains(*done.ExecuteMsg, says) {
			w.Errorf("the job: %s, want %d and %q", done, status, says)
		}
		return done
	}
	list := func(path string, offset int32, want ...string) {
		w.Helper()
		answer := answered(w.client.ListShareFiles(listShared(path, &offset, &fifty, server)))(w)
		done := w.serverJob(*(*answer.Jobs)[0].JobId)
		var got struct {
			Total int      `json:"total"`
			Files []string `json:"files"`
			Next  int      `json:"next"`
		}
		if err := json.Unmarshal([]byte(*done.ExecuteMsg), &got); *done.Status != 2 || err != nil || fmt.Sprint(got.Files) != fmt.Sprint(want) || got.Next != 0 {
			w.Errorf("%s has %s, %v; want %q", path, done, err, want)
		}
	}
	put("files.tar", tarOf(w.T, map[string][]byte{"data/one": []byte("first"), "cache/deep/two": []byte("second")}))
	pushed := answered(w.client.PushShareFiles(pushShared("files.tar", server, unknown)))(w)
	w.elements(pushed, "", "CPS.0156")
	job((*pushed.Jobs)[0].JobId, 2, "unpacked 2 files")
	w.prints(phone, "cat "+at+"/data/one", "first")
	w.prints(phone, "cat "+at+"/cache/deep/two", "second")
	if got := (*answered(runSync(w.client, "rm "+at+"/data/one", phone))(w).Jobs)[0]; *got.Status != -1 {
		w.Errorf("a phone could remove a shared file: %s", got)
	}
	list("/cache", 0, "deep/")
	list("/data", 0, "one")
	list("/data", 1)

	w.transfersBeside(phone, at, put)

	wiped := answered(w.client.ResetCloudPhone(reset(nil, model.PhoneProperty{PhoneId: phone})))(w)
	w.one(wiped.RequestId, wiped.Jobs, phone)
	w.prints(phone, "cat "+at+"/data/one", "first") // what is shared is no phone's

	put("app.tar", tarOf(w.T, map[string][]byte{"base.apk": apkOf(w.T, "com.example.app"), "extra/note": []byte("old")}))
	app := answered(w.client.PushShareApps(pushApp("com.example.app", "app.tar", nil, server)))(w)
	job((*app.Jobs)[0].JobId, 2, at+"/apps/com.example.app")
	w.prints(phone, "pm install "+at+"/apps/com.example.app/base.apk", "Success")
	put("app.tar", tarOf(w.T, map[string][]byte{"base.apk": apkOf(w.T, "com.example.app")}))
	app = answered(w.client.PushShareApps(pushApp("com.example.app", "app.tar", nil, server)))(w)
	job((*app.Jobs)[0].JobId, 2, "unpacked 1 files")
	list("/apps/com.example.app", 0, "base.apk") // the app takes the place of what was there
	removed := answered(w.client.DeleteShareApps(deleteApp("com.example.app", server)))(w)
	job((*removed.Jobs)[0].JobId, 2, "1 of 1")
	list("/apps", 0)
	w.prints(phone, "pm path com.example.app", "package:/data/app/com.example.app/base.apk")

	for name, files := range map[string]map[string][]byte{
		"elsewhere.tar": {"data/good": []byte("x"), "system/bad": []byte("x")}, "up.tar": {"data/good": []byte("x"), "data/../../bad": []byte("x")},
		"absolute.tar": {"/data/good": []byte("x")}, "none.tar": {},
	} {
		put(name, tarOf(w.T, files))
		bad := answered(w.client.PushShareFiles(pushShared(name, server)))(w)
		if done := job((*bad.Jobs)[0].JobId, -1, "archive"); *done.ErrorCode != "CPS.0118" {
			w.Errorf("%s: %s", name, done)
		}
	}
	list("/data", 0, "one") // nothing of them is there
	deleted := answered(w.client.DeleteShareFiles(deleteShared([]string{"/data/one", "/cache/deep", "/data/none"}, server)))(w)
	job((*deleted.Jobs)[0].JobId, 2, "2 of 3")
	list("/cache", 0)
	many := map[string][]byte{}
	for i := range 60 {
		many[fmt.Sprintf("data/%s-%02d", strings.Repeat("n", 60), i)] = []byte("x")
	}
	put("many.tar", tarOf(w.T, many))
	pushed = answered(w.client.PushShareFiles(pushShared("many.tar", server)))(w)
	job((*pushed.Jobs)[0].JobId, 2, "unpacked 60")
	w.pages(server)
}

// transfersBeside exports and imports the data of a phone that sees a shared storage, which is no part of it.
func (w world) transfersBeside(phone, at string, put func(string, []byte)) {
	w.Helper()
	w.prints(phone, "tee /data/own", "")
	exported := answered(w.client.BatchExportCloudPhoneData(export(storage(phone, "apps", "phone.tar", "/data"))))(w)
	if job := w.ended(exported.RequestId)[0]; *job.Status != 2 {
		w.Errorf("the export: %s", job)
	}
	w.prints(phone, "rm /data/own", "")
	imported := func(object string, left bool) {
		w.Helper()
		answer := answered(w.client.BatchImportCloudPhoneData(restore(model.RestoreInfo{PhoneId: phone, BucketName: "apps", ObjectPath: object})))(w)
		if job := w.ended(answer.RequestId)[0]; *job.Status != 2 || strings.Contains(*job.ExecuteMsg, "left out 1 that lie in "+at) != left || !left && strings.Contains(*job.ExecuteMsg, "left out") {
			w.Errorf("the import of %s: %s", object, job)
		}
	}
	imported("phone.tar", false)
	w.prints(phone, "cat /data/own", "")
	put("other.tar", tarOf(w.T, map[string][]byte{"data/other": []byte("came"), at[1:] + "/data/one": []byte("the phone's")}))
	imported("other.tar", true)
	w.prints(phone, "cat /data/other", "came")
	w.prints(phone, "cat "+at+"/data/one", "first")
}

// pages reads a folder whose list is longer than a job says at once: whole JSON each time, and where to go on.
func (w world) pages(server string) {
	w.Helper()
	seen := map[string]bool{}
	for offset, calls := int32(0), 0; ; calls++ {
		answer := answered(w.client.ListShareFiles(listShared("/data", &offset, nil, server)))(w)
		done := w.serverJob(*(*answer.Jobs)[0].JobId)
		var got struct {
			Total int      `json:"total"`
			Files []string `json:"files"`
			Next  int32    `json:"next"`
		}
		if err := json.Unmarshal([]byte(*done.ExecuteMsg), &got); err != nil || got.Total != 60 || len(got.Files) == 0 || len(*done.ExecuteMsg) > 1024 {
			w.Fatalf("%s: %v", done, err)
		}
		for _, name := range got.Files {
			seen[name] = true
		}
		if offset = got.Next; offset == 0 || calls > 60 {
			break
		}
	}
	if len(seen) != 60 {
		w.Errorf("%d files were listed, want 60", len(seen))
	}
	var files []struct {
		Name string `json:"name"`
		Size int64  `json:"size"`
	}
	w.in.lethe(&files, "server", "files", "list", server, "/data")
	if len(files) != 60 || files[0].Size != 1 {
		w.Errorf("the command line lists %d files, the first %+v", len(files), files[0])
	}
}

func TestShared(t *testing.T) {
	t.Parallel()
	in, put := withBucket(t)
	template := filepath.Join(t.TempDir(), "template.toml")
	if err := os.WriteFile(template, []byte("share_path = \"/data/share\"\nboot_time = \"20ms\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := world{T: t, in: in, client: in.owner(), image: in.image("first")}
	in.lethe(nil, "server", "add", "--name", "rack", "--driver", "simulated", "--phones", "1", "--image", "first", "--template", template, "--wait")
	p := (*answered(w.client.ListCloudPhones(&model.ListCloudPhonesRequest{}))(w).Phones)[0]
	w.shared(*p.ServerId, *p.PhoneId, put)

	// With the command line, and to the end of the server.
	put("cli.tar", tarOf(t, map[string][]byte{"data/cli": []byte("by the command line")}))
	in.lethe(nil, "server", "files", "push", "rack", "obs://apps/cli.tar", "--wait")
	w.prints(*p.PhoneId, "cat /data/share/data/cli", "by the command line")
	in.lethe(nil, "server", "files", "delete", "rack", "/data/cli", "--wait")
	put("app.tar", tarOf(t, map[string][]byte{"a.apk": []byte("x")}))
	in.lethe(nil, "server", "apps", "push", "rack", "com.example.cli", "obs://apps/app.tar", "--wait")
	in.lethe(nil, "server", "apps", "delete", "rack", "com.example.cli", "--wait")
	in.letheRefuses("CPS.0199", "server", "files", "list", "rack", "/apps/com.example.cli")
	in.lethe(nil, "server", "delete", "rack", "--yes", "--wait")
	if left, err := filepath.Glob(filepath.Join(in.dir, "hosts", "*", "shares", "*")); err != nil || len(left) > 0 {
		t.Errorf("the deleted server has left %q, %v", left, err)
	}
}

// The same on containers.
func TestDockerShared(t *testing.T) {
	t.Parallel()
	endpoint, reference := testenv.Docker(t), testenv.SimphoneImage(t)
	template := filepath.Join(t.TempDir(), "template.toml")
	if err := os.WriteFile(template, []byte(containers+"share_path = \"/data/share\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := "" // cleaned up after lethe has ended
	t.Cleanup(func() { sweepDocker(t, endpoint, server) })
	in, put := withBucket(t)
	in.lethe(nil, "image", "add", "--name", "first", "--reference", reference)
	in.lethe(nil, "server", "add", "--name", "rack", "--driver", "docker", "--endpoint", endpoint, "--phones", "1", "--image", "first",
		"--template", template, "--port-base", strconv.Itoa(testenv.Port(t)), "--wait")
	w := world{T: t, in: in, client: in.owner()}
	p := (*answered(w.client.ListCloudPhones(&model.ListCloudPhonesRequest{}))(w).Phones)[0]
	server = *p.ServerId
	w.shared(server, *p.PhoneId, put)
	in.lethe(nil, "server", "delete", "rack", "--yes", "--wait")
	if job := answered(w.client.ListCloudPhoneServers(&model.ListCloudPhoneServersRequest{}))(w); len(*job.Servers) != 0 {
		t.Errorf("the server is still there: %s", job)
	}
}

// What the Terraform provider's huaweicloud_cph_share_app does, read in its code: pre_install_app is sent as 0 when it is not set; the first
// element's job is asked for until its status is another number than 1; and at the end the job of the push is asked for once more.
func TestTerraformShareApp(t *testing.T) {
	t.Parallel()
	in, put := withBucket(t)
	w := world{T: t, in: in, client: in.owner(), image: in.image("first")}
	server := w.sharingServer("rack")
	put("app.tar", tarOf(t, map[string][]byte{"a.apk": []byte("x")}))
	token := in.token(in.cred.User, in.cred.Password, map[string]any{"project": map[string]any{"name": in.cred.Region}})
	base := "/v1/" + in.cred.ProjectID + "/cloud-phone"
	call := func(method, path, body string) map[string]any {
		t.Helper()
		status, text := in.call(token, method, base+path, body)
		var out map[string]any
		if err := json.Unmarshal([]byte(text), &out); err != nil || status != http.StatusOK {
			t.Fatalf("%s %s: %d %s", method, path, status, text)
		}
		return out
	}
	jobOf := func(answer map[string]any) string {
		t.Helper()
		id, _ := answer["jobs"].([]any)[0].(map[string]any)["job_id"].(string)
		if id == "" {
			t.Fatalf("no job: %v", answer)
		}
		return id
	}
	await := func(id string) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
			job := call("GET", "/jobs/"+id, "")
			switch status, _ := job["status"].(float64); {
			case status == 2:
				return
			case status != 1 || time.Now().After(deadline):
				t.Fatalf("the job: %v", job)
			}
		}
	}
	pushed := jobOf(call("POST", "/phones/share-apps", fmt.Sprintf(`{"bucket_name":"apps","object_path":"app.tar","package_name":"com.example.app","pre_install_app":0,"server_ids":[%q]}`, server)))
	await(pushed)
	await(jobOf(call("DELETE", "/phones/share-apps", fmt.Sprintf(`{"package_name":"com.example.app","server_ids":[%q]}`, server))))
	await(pushed)
}
