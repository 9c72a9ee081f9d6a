package compat

import (
	"maps"
	"slices"
	"strings"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/cph/v1/model"
)

func shell(content string, phones ...string) *model.RunShellCommandRequest {
	return &model.RunShellCommandRequest{Body: &model.RunShellCommandRequestBody{Command: "shell", Content: content, PhoneIds: &phones}}
}

func uninstall(content string, phones ...string) *model.UninstallApkRequest {
	return &model.UninstallApkRequest{Body: &model.UninstallApkRequestBody{Command: "uninstall", Content: content, PhoneIds: &phones}}
}

// ended waits for the jobs of a request and gives them.
func (w world) ended(request *string) []model.Job {
	w.Helper()
	if request == nil {
		w.Fatal("no request")
	}
	return slices.Collect(maps.Values(finished(w.T, w.client, *request)))
}

var taskJudgements = map[string]judgement{
	"RunShellCommand": {
		func(w world) {
			id := w.phones[5]
			answer := answered(w.client.RunShellCommand(shell("getprop sys.boot_completed", id, unknown)))(w)
			w.elements(answer, "", "CPS.0005")
			// As the Terraform provider does it: the jobs of the request, any of which that is 1 is waited for.
			jobs := w.ended(answer.RequestId)
			if len(jobs) != 1 || *jobs[0].Status != 2 || *jobs[0].ExecuteMsg != "1" || *jobs[0].ErrorCode != "" || *jobs[0].PhoneId != id {
				w.Errorf("the jobs: %v", jobs)
			}
			if job := answered(w.client.ShowJob(&model.ShowJobRequest{JobId: *(*answer.Jobs)[0].JobId}))(w); *job.Status != 2 || job.ExecuteMsg == nil || *job.ExecuteMsg != "1" || job.ErrorCode != nil {
				w.Errorf("the job: %s", job)
			}
			failed := answered(w.client.RunShellCommand(shell("ls /nowhere", id)))(w)
			if job := w.ended(failed.RequestId)[0]; *job.Status != -1 || *job.ErrorCode != "CPS.0191" || *job.ExecuteMsg != "ls: /nowhere: No such file or directory" || !strings.Contains(*job.ErrorMsg, "exit code 1") {
				w.Errorf("the job of a command that failed: %s", job)
			}
			servers := []string{unknown, w.server}
			all := answered(w.client.RunShellCommand(&model.RunShellCommandRequest{Body: &model.RunShellCommandRequestBody{Command: "shell", Content: "ls /data", ServerIds: &servers}}))(w)
			if jobs := w.ended(all.RequestId); len(jobs) == 0 || len(*all.Jobs) != 7 || *(*all.Jobs)[6].ErrorCode != "CPS.0097" {
				w.Errorf("by servers: %s, %d jobs", all, len(jobs))
			}
			w.status(id, 2)
		},
		func(w world) {
			refused(w.client.RunShellCommand(shell("reboot; ls", w.phones[5])))(w, 400, "CPS.0118")
			refused(w.client.RunShellCommand(shell("ls")))(w, 400, "CPS.0009")
			wrong := shell("ls", w.phones[5])
			wrong.Body.Command = "reboot"
			refused(w.client.RunShellCommand(wrong))(w, 400, "CPS.0117")
			w.elements(answered(w.client.RunShellCommand(shell("ls", unknown, "no-id")))(w), "CPS.0005", "CPS.0005")
		},
	},
	"PushFile": {
		func(w world) {
			id := w.phones[5]
			object := w.inBucket("pushed-files", "data.tar", tarOf(w.T, map[string][]byte{"data/local/tmp/pushed": []byte("text")}))
			answer := answered(w.client.PushFile(push(object, id, unknown)))(w)
			w.elements(answer, "", "CPS.0005")
			if job := w.ended(answer.RequestId)[0]; *job.Status != 2 || !strings.Contains(*job.ExecuteMsg, "unpacked 1") {
				w.Errorf("the job: %s", job)
			}
			w.prints(id, "cat /data/local/tmp/pushed", "text")
		},
		func(w world) {
			refused(w.client.PushFile(&model.PushFileRequest{Body: &model.PushFileRequestBody{Command: "push", Content: "obs://bucket/data.tar", PhoneIds: &w.phones}}))(w, 400, "CPS.0104")
			refused(w.client.PushFile(push("obs://bucket/../data.tar", w.phones[5])))(w, 400, "CPS.0118")
		},
	},
	"InstallApk": {
		func(w world) {
			id := w.phones[5]
			object := w.inBucket("installed-apps", "app.apk", apkOf(w.T, "com.example.judged"))
			answer := answered(w.client.InstallApk(install("install", object, id)))(w)
			w.elements(answer, "")
			if job := w.ended(answer.RequestId)[0]; *job.Status != 2 || !strings.Contains(*job.ExecuteMsg, "Success") {
				w.Errorf("the job: %s", job)
			}
			w.prints(id, "pm path com.example.judged", "package:/data/app/com.example.judged/base.apk")
		},
		func(w world) {
			refused(w.client.InstallApk(&model.InstallApkRequest{Body: &model.InstallApkRequestBody{Command: "install", Content: "obs://bucket/app.apk", PhoneIds: &w.phones}}))(w, 400, "CPS.0104")
			refused(w.client.InstallApk(install("install", "obs://bucket/a.apk obs://bucket/b.apk", w.phones[5])))(w, 400, "CPS.0118")
			refused(w.client.InstallApk(install("install", "obs://bucket/app.zip", w.phones[5])))(w, 400, "CPS.0119")
		},
	},
	"UninstallApk": {
		func(w world) {
			id := w.phones[5]
			answer := answered(w.client.UninstallApk(uninstall("com.example.absent", id)))(w)
			w.elements(answer, "")
			if job := w.ended(answer.RequestId)[0]; *job.Status != -1 || *job.ErrorCode != "CPS.0191" || !strings.Contains(*job.ExecuteMsg, "DELETE_FAILED") {
				w.Errorf("the job of an app that is not there: %s", job)
			}
		},
		func(w world) {
			refused(w.client.UninstallApk(uninstall("-k com.example.app", w.phones[5])))(w, 400, "CPS.0118")
			w.elements(answered(w.client.UninstallApk(uninstall("com.example.app", unknown)))(w), "CPS.0005")
		},
	},
}
