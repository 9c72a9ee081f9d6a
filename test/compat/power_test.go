package compat

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/cph/v1/model"
)

// status polls a phone until it has a status, as the Terraform provider does, and fails when it gets another settled one.
func (w world) status(id string, want int32) {
	w.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		detail := answered(w.client.ShowCloudPhoneDetail(&model.ShowCloudPhoneDetailRequest{PhoneId: id}))(w)
		switch got := *detail.Status; {
		case got == want:
			return
		case got != 1 && got != 3 && got != 4 && got != 7 || time.Now().After(deadline):
			w.Fatalf("phone %s is in status %d, want %d", id, got, want)
		}
	}
}

// one gives a batch's one job, which must have been accepted.
func (w world) one(request *string, jobs *[]model.PhoneJob, id string) {
	w.Helper()
	if request == nil || jobs == nil || len(*jobs) != 1 || *(*jobs)[0].PhoneId != id || (*jobs)[0].JobId == nil || (*jobs)[0].ErrorCode != nil {
		w.Fatalf("not one accepted job of phone %s: %v", id, jobs)
	}
	for _, j := range finished(w.T, w.client, *request) {
		if *j.Status != 2 || *j.ErrorCode != "" {
			w.Errorf("the job: %s", j)
		}
	}
}

// prints runs a command in the phone, which must succeed and print that line and no more. The native API is asked, which takes as many
// commands as one likes.
func (w world) prints(id, command, want string) {
	w.Helper()
	code, out := w.exec(id, command)
	if code != 0 || out != want {
		w.Errorf("%s in phone %s ends with %d and prints %q, want %q", command, id, code, out, want)
	}
}

func (w world) exec(id, command string) (code int, out string) {
	w.Helper()
	var result struct {
		ExitCode int    `json:"exit_code"`
		Stdout   []byte `json:"stdout"`
	}
	args, err := json.Marshal(map[string]any{"args": strings.Fields(command)})
	if err != nil {
		w.Fatal(err)
	}
	status, body := w.in.call(w.in.token(w.in.cred.User, w.in.cred.Password, map[string]any{"project": map[string]any{"name": w.in.cred.Region}}),
		"POST", "/lethe/v1/phones/"+id+"/exec", string(args))
	if err := json.Unmarshal([]byte(body), &result); status != 200 || err != nil {
		w.Fatalf("%s in phone %s: %d %s", command, id, status, body)
	}
	return result.ExitCode, strings.TrimSuffix(string(result.Stdout), "\n")
}

// elements holds the codes of a batch's elements, "" for one that was accepted.
func (w world) elements(answer any, codes ...string) {
	w.Helper()
	text, err := json.Marshal(answer)
	var got struct {
		Jobs []struct {
			Job  string `json:"job_id"`
			Code string `json:"error_code"`
			Msg  string `json:"error_msg"`
		} `json:"jobs"`
	}
	if err != nil || json.Unmarshal(text, &got) != nil || len(got.Jobs) != len(codes) {
		w.Fatalf("%s (%v), want %d elements", text, err, len(codes))
	}
	for i, code := range codes {
		if j := got.Jobs[i]; j.Code != code || (j.Job == "") != (code != "") || (j.Msg == "") != (code == "") {
			w.Errorf("element %d is %+v, want %q", i, j, code)
		}
	}
}

func stop(phones ...string) *model.StopCloudPhoneRequest {
	return &model.StopCloudPhoneRequest{Body: &model.StopCloudPhoneRequestBody{PhoneIds: phones}}
}

func restart(image *string, phones ...model.PhoneProperty) *model.RestartCloudPhoneRequest {
	return &model.RestartCloudPhoneRequest{Body: &model.RestartCloudPhoneRequestBody{ImageId: image, Phones: phones}}
}

func setProperty(id, property string) *model.UpdateCloudPhonePropertyRequest {
	return &model.UpdateCloudPhonePropertyRequest{Body: &model.UpdateCloudPhonePropertyRequestBody{
		Phones: []model.PropertyToUpdate{{PhoneId: id, Property: property}},
	}}
}

var powerJudgements = map[string]judgement{
	"StopCloudPhone": {
		func(w world) {
			id := w.phones[2]
			stopped := answered(w.client.StopCloudPhone(stop(id)))(w)
			w.one(stopped.RequestId, stopped.Jobs, id)
			w.status(id, 8)
			w.elements(answered(w.client.StopCloudPhone(stop(id)))(w), "CPS.0141")
			again := answered(w.client.ResetCloudPhone(reset(nil, model.PhoneProperty{PhoneId: id})))(w) // from 8 to 2
			w.one(again.RequestId, again.Jobs, id)
			w.status(id, 2)
		},
		func(w world) {
			w.elements(answered(w.client.StopCloudPhone(stop(unknown, "no-id")))(w), "CPS.0004", "CPS.0004")
			refused(w.client.StopCloudPhone(stop()))(w, 400, "CPS.0009")
			if status, body := w.in.call(w.in.token(w.in.cred.User, w.in.cred.Password, map[string]any{"project": map[string]any{"name": w.in.cred.Region}}),
				"POST", "/v1/"+w.in.cred.ProjectID+"/cloud-phone/phones/batch-stop", `{"phone_ids":"all"}`); status != 400 {
				w.Errorf("phone_ids that are no list: %d %s", status, body)
			}
		},
	},
	"UpdateCloudPhoneProperty": {
		func(w world) {
			id, property := w.phones[4], `{"com.cph.mainkeys":1,"disable.status.bar":"1"}`
			updated := answered(w.client.UpdateCloudPhoneProperty(setProperty(id, property)))(w)
			w.one(updated.RequestId, updated.Jobs, id)
			// As the Terraform provider does it: the job, by its id.
			if job := answered(w.client.ShowJob(&model.ShowJobRequest{JobId: *(*updated.Jobs)[0].JobId}))(w); *job.Status != 2 {
				w.Errorf("the job: %s", job)
			}
			detail := answered(w.client.ShowCloudPhoneDetail(&model.ShowCloudPhoneDetailRequest{PhoneId: id}))(w)
			var has map[string]any
			if err := json.Unmarshal([]byte(*detail.Property), &has); err != nil || fmt.Sprint(has["com.cph.mainkeys"]) != "1" || fmt.Sprint(has["disable.status.bar"]) != "1" || *detail.Status != 2 {
				w.Errorf("afterwards: %s", detail)
			}
			// Keys that the provider's own tests send; they take effect with the phone's next start.
			made := answered(w.client.UpdateCloudPhoneProperty(setProperty(id, `{"ro.horizontal.screen":"1","ro.product.manufacturer":"Lethe"}`)))(w)
			w.one(made.RequestId, made.Jobs, id)
			w.prints(id, "getprop ro.product.manufacturer", "lethe")
			restarted := answered(w.client.RestartCloudPhone(restart(nil, model.PhoneProperty{PhoneId: id})))(w)
			w.one(restarted.RequestId, restarted.Jobs, id)
			w.prints(id, "getprop ro.product.manufacturer", "Lethe")
		},
		func(w world) {
			w.elements(answered(w.client.UpdateCloudPhoneProperty(setProperty(unknown, `{"com.cph.mainkeys":1}`)))(w), "CPS.0004")
			w.elements(answered(w.client.UpdateCloudPhoneProperty(setProperty(w.phones[4], `{"no.such.key":1}`)))(w), "CPS.0163")
			w.elements(answered(w.client.UpdateCloudPhoneProperty(setProperty(w.phones[4], `{"com.cph.mainkeys":7}`)))(w), "CPS.0164")
			w.elements(answered(w.client.UpdateCloudPhoneProperty(setProperty(w.phones[4], "")))(w), "CPS.0078")
			refused(w.client.UpdateCloudPhoneProperty(&model.UpdateCloudPhonePropertyRequest{Body: &model.UpdateCloudPhonePropertyRequestBody{}}))(w, 400, "CPS.0077")
		},
	},
	"RestartCloudPhone": {
		func(w world) {
			id := w.phones[3]
			for _, from := range []int32{2, 8} {
				if from == 8 {
					stopped := answered(w.client.StopCloudPhone(stop(id)))(w)
					w.one(stopped.RequestId, stopped.Jobs, id)
				}
				restarted := answered(w.client.RestartCloudPhone(restart(nil, model.PhoneProperty{PhoneId: id})))(w)
				w.one(restarted.RequestId, restarted.Jobs, id)
				w.status(id, 2)
			}
			w.prints(id, "tee /data/kept", "")
			property := `{"ro.product.model":"X9","com.cph.mainkeys":1}`
			restarted := answered(w.client.RestartCloudPhone(restart(&w.image, model.PhoneProperty{PhoneId: id, Property: &property})))(w)
			w.one(restarted.RequestId, restarted.Jobs, id)
			detail := answered(w.client.ShowCloudPhoneDetail(&model.ShowCloudPhoneDetailRequest{PhoneId: id}))(w)
			if *detail.ImageId != w.image || *detail.Status != 2 {
				w.Errorf("afterwards: %s", detail)
			}
			w.prints(id, "getprop ro.product.model", "X9")
			w.prints(id, "cat /data/kept", "")
		},
		func(w world) {
			w.elements(answered(w.client.RestartCloudPhone(restart(nil, model.PhoneProperty{PhoneId: unknown}, model.PhoneProperty{PhoneId: "no-id"})))(w), "CPS.0004", "CPS.0004")
			refused(w.client.RestartCloudPhone(restart(nil)))(w, 400, "CPS.0077")
			refused(w.client.RestartCloudPhone(restart(ptr("x"), model.PhoneProperty{PhoneId: w.phones[3]})))(w, 400, "CPS.0030")
			refused(w.client.RestartCloudPhone(restart(ptr(unknown), model.PhoneProperty{PhoneId: w.phones[3]})))(w, 400, "CPS.0166")
			w.elements(answered(w.client.RestartCloudPhone(restart(nil, model.PhoneProperty{PhoneId: w.phones[3], Property: ptr(`{"com.cph.mainkeys":7}`)})))(w), "CPS.0164")
		},
	},
}

// A restarted phone has its data; a phone in transition refuses every other job.
func TestRestartKeepsTheLife(t *testing.T) {
	t.Parallel()
	in, phones, _ := fleet(t)
	w := world{T: t, in: in, client: in.owner(), phones: phones}
	before := answered(w.client.ShowCloudPhoneDetail(&model.ShowCloudPhoneDetailRequest{PhoneId: phones[0]}))(w)
	stopped := answered(w.client.StopCloudPhone(stop(phones...)))(w)
	for _, j := range finished(t, w.client, *stopped.RequestId) {
		if *j.Status != 2 {
			t.Errorf("the stop: %s", j)
		}
	}
	for _, id := range phones {
		w.status(id, 8)
	}
	restarted := answered(w.client.RestartCloudPhone(restart(nil, model.PhoneProperty{PhoneId: phones[0]}, model.PhoneProperty{PhoneId: phones[0]})))(w)
	w.elements(restarted, "", "CPS.0023")
	finished(t, w.client, *restarted.RequestId)
	w.status(phones[0], 2)
	after := answered(w.client.ShowCloudPhoneDetail(&model.ShowCloudPhoneDetailRequest{PhoneId: phones[0]}))(w)
	if *after.ImageId != *before.ImageId || *after.PhoneName != *before.PhoneName || *after.Property != *before.Property {
		t.Errorf("before %s, after %s", before, after)
	}
}
