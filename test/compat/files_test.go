package compat

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/cph/v1/model"
)

func push(content string, phones ...string) *model.PushFileRequest {
	return &model.PushFileRequest{Body: &model.PushFileRequestBody{Command: "push", Content: content, PhoneIds: &phones}}
}

func install(command, content string, phones ...string) *model.InstallApkRequest {
	return &model.InstallApkRequest{Body: &model.InstallApkRequestBody{Command: command, Content: content, PhoneIds: &phones}}
}

// Files come from a bucket that the operator has registered for the project: into a phone as they are, and as apps; and for no other project.
func TestFiles(t *testing.T) {
	t.Parallel()
	dir, bucket := t.TempDir(), t.TempDir()
	in, stop := serveIn(t, dir)
	stop()
	var archive, app bytes.Buffer
	files := tar.NewWriter(&archive)
	if err := files.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "data/local/tmp/pushed", Size: 4, Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	if _, err := files.Write([]byte("text")); err != nil {
		t.Fatal(err)
	}
	apk := zip.NewWriter(&app)
	manifest, err := apk.Create("AndroidManifest.xml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := manifest.Write([]byte(`<manifest package="com.example.app"/>`)); err != nil {
		t.Fatal(err)
	}
	if err := apk.Close(); err != nil {
		t.Fatal(err)
	}
	if err := files.Close(); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"a.tar": archive.Bytes(), "app.apk": app.Bytes()} {
		if err := os.WriteFile(filepath.Join(bucket, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config := fmt.Sprintf("[[buckets]]\nname = \"apps\"\nurl = \"file://%s\"\nproject = %q\nread_only = true\n[[buckets]]\nname = \"others\"\nurl = \"file://%s\"\nproject = %q\nread_only = true\n", bucket, in.cred.ProjectID, bucket, unknown)
	in, _ = serveIn(t, dir, config)
	phones, _ := in.phones(t)
	w := world{T: t, in: in, client: in.owner(), phones: phones}
	id := phones[0]
	said := func(request *string, status int32, says string) {
		t.Helper()
		for _, job := range w.ended(request) {
			if *job.Status != status || !strings.Contains(*job.ExecuteMsg, says) {
				t.Errorf("the job: %s", job)
			}
		}
	}
	pushed := answered(w.client.PushFile(push("obs://apps/a.tar", id, unknown)))(w)
	w.elements(pushed, "", "CPS.0005")
	said(pushed.RequestId, 2, "unpacked 1")
	said(answered(w.client.RunShellCommand(shell("cat /data/local/tmp/pushed", id)))(w).RequestId, 2, "text")
	said(answered(w.client.InstallApk(install("install", "obs://apps/app.apk", id)))(w).RequestId, 2, "Success")
	said(answered(w.client.RunShellCommand(shell("pm path com.example.app", id)))(w).RequestId, 2, "package:/data/app/com.example.app/base.apk")
	said(answered(w.client.InstallApk(install("install-multiple", "obs://apps/app.apk obs://apps/app.apk", id)))(w).RequestId, 2, "Success")
	said(answered(w.client.UninstallApk(uninstall("com.example.app", id)))(w).RequestId, 2, "Success")
	said(answered(w.client.RunShellCommand(shell("pm path com.example.app", id)))(w).RequestId, -1, "")
	for _, object := range []string{"obs://apps/absent.tar", "obs://others/a.tar"} {
		refused(w.client.PushFile(push(object, id)))(w, 400, "CPS.0104")
	}
}
