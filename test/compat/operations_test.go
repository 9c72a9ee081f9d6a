package compat

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/sdkerr"
	sdk "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/cph/v1"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/cph/v1/model"
)

// unknown is an id that nothing has.
const unknown = "0123456789abcdef0123456789abcdef"

// world is what the operations are called on: a serving binary with a server of six running phones and two images.
type world struct {
	*testing.T
	in     *installation
	client *sdk.CphClient
	phones []string
	server string
	image  string // that no phone uses
}

// judgement calls one operation through the official SDK against the real binary, with right input and with wrong.
type judgement struct {
	right, wrong func(world)
}

// judgements has every operation of the SDK that lethe answers; TestCoverage sees that none is missing.
var judgements = merge(readJudgements, resetJudgements, nameJudgements, modelJudgements, imageJudgements, tagJudgements,
	connectionJudgements, commandJudgements, absentJudgements, powerJudgements, taskJudgements, transferJudgements, serverJudgements, sharedJudgements)

func merge(parts ...map[string]judgement) map[string]judgement {
	all := map[string]judgement{}
	for _, part := range parts {
		for name, j := range part {
			all[name] = j
		}
	}
	return all
}

func TestOperations(t *testing.T) {
	t.Parallel()
	in, phones, image := fleet(t)
	w := world{T: t, in: in, client: in.owner(), phones: phones, image: image}
	servers := answered(w.client.ListCloudPhoneServers(&model.ListCloudPhoneServersRequest{}))(w)
	w.server = *(*servers.Servers)[0].ServerId
	names := make([]string, 0, len(judgements))
	for name := range judgements {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			w := w
			w.T = t
			judgements[name].right(w)
			judgements[name].wrong(w)
		})
	}
}

// answered gives a call's answer, which must be one.
func answered[T any](answer T, err error) func(world) T {
	return func(w world) T {
		w.Helper()
		if err != nil {
			w.Fatal(err)
		}
		return answer
	}
}

// refused sees that a call was refused like this.
func refused[T any](answer T, err error) func(w world, status int, code string) {
	return func(w world, status int, code string) {
		w.Helper()
		var refused *sdkerr.ServiceResponseError
		if !errors.As(err, &refused) {
			w.Errorf("answered %v (error %v), want %d %s", answer, err, status, code)
			return
		}
		if refused.StatusCode != status || refused.ErrorCode != code || refused.RequestId == "" || refused.ErrorMessage == "" {
			w.Errorf("%d %s %q (request %q), want %d %s", refused.StatusCode, refused.ErrorCode, refused.ErrorMessage, refused.RequestId, status, code)
		}
	}
}

// call sends a request as a plain HTTP client and gives the answer.
func (in *installation) call(token, method, path, body string) (int, string) {
	in.t.Helper()
	req, err := http.NewRequestWithContext(in.t.Context(), method, in.cred.Endpoint+path, strings.NewReader(body))
	if err != nil {
		in.t.Fatal(err)
	}
	req.Header.Set("X-Auth-Token", token)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		in.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		in.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

func ptr[T any](v T) *T { return &v }

var readJudgements = map[string]judgement{
	"ListCloudPhones": {
		func(w world) {
			page := answered(w.client.ListCloudPhones(&model.ListCloudPhonesRequest{Limit: ptr(int32(4)), Offset: ptr(int32(4)), ServerId: &w.server}))(w)
			if len(*page.Phones) != 2 || *page.Count != 6 || *(*page.Phones)[0].PhoneId != w.phones[4] {
				w.Errorf("second page: %s", page)
			}
		},
		func(w world) {
			refused(w.client.ListCloudPhones(&model.ListCloudPhonesRequest{Limit: ptr(int32(201))}))(w, 400, "CPS.0002")
			refused(w.client.ListCloudPhones(&model.ListCloudPhonesRequest{Status: ptr(int32(99))}))(w, 400, "CPS.0010")
		},
	},
	"ShowCloudPhoneDetail": {
		func(w world) {
			detail := answered(w.client.ShowCloudPhoneDetail(&model.ShowCloudPhoneDetailRequest{PhoneId: w.phones[5]}))(w)
			if *detail.PhoneId != w.phones[5] || *detail.Status != 2 || *detail.ServerId != w.server {
				w.Errorf("detail: %s", detail)
			}
		},
		func(w world) {
			refused(w.client.ShowCloudPhoneDetail(&model.ShowCloudPhoneDetailRequest{PhoneId: unknown}))(w, 404, "CPS.0005")
		},
	},
	"ListCloudPhoneServers": {
		func(w world) {
			servers := answered(w.client.ListCloudPhoneServers(&model.ListCloudPhoneServersRequest{ServerId: &w.server}))(w)
			if len(*servers.Servers) != 1 || *servers.Count != 1 {
				w.Errorf("servers: %s", servers)
			}
		},
		func(w world) {
			refused(w.client.ListCloudPhoneServers(&model.ListCloudPhoneServersRequest{ServerId: ptr("no-id")}))(w, 400, "CPS.0097")
		},
	},
	"ShowCloudPhoneServerDetail": {
		func(w world) {
			server := answered(w.client.ShowCloudPhoneServerDetail(&model.ShowCloudPhoneServerDetailRequest{ServerId: w.server}))(w)
			if *server.ServerId != w.server || *server.Status != 5 {
				w.Errorf("server: %s", server)
			}
		},
		func(w world) {
			refused(w.client.ShowCloudPhoneServerDetail(&model.ShowCloudPhoneServerDetailRequest{ServerId: unknown}))(w, 404, "CPS.0015")
		},
	},
	"ListCloudPhoneImages": {
		func(w world) {
			images := answered(w.client.ListCloudPhoneImages(&model.ListCloudPhoneImagesRequest{ImageType: ptr("private")}))(w)
			if !slices.ContainsFunc(*images.PhoneImages, func(i model.PhoneImage) bool { return *i.ImageId == w.image && *i.IsPublic == 2 }) {
				w.Errorf("images: %s", images)
			}
		},
		func(w world) {
			refused(w.client.ListCloudPhoneImages(&model.ListCloudPhoneImagesRequest{ImageType: ptr("mine")}))(w, 400, "CPS.0116")
		},
	},
}

var resetJudgements = map[string]judgement{
	"ResetCloudPhone": {
		func(w world) {
			answer := answered(w.client.ResetCloudPhone(reset(nil, model.PhoneProperty{PhoneId: w.phones[0]})))(w)
			for id, job := range finished(w.T, w.client, *answer.RequestId) {
				if *job.Status != 2 || *job.PhoneId != w.phones[0] {
					w.Errorf("job %s: %s", id, job)
				}
			}
		},
		func(w world) {
			refused(w.client.ResetCloudPhone(reset(nil)))(w, 400, "CPS.0077")
			refused(w.client.ResetCloudPhone(reset(ptr(unknown), model.PhoneProperty{PhoneId: w.phones[0]})))(w, 400, "CPS.0166")
		},
	},
	"ListJobs": {
		func(w world) {
			answer := answered(w.client.ResetCloudPhone(reset(nil, model.PhoneProperty{PhoneId: w.phones[1]}, model.PhoneProperty{PhoneId: w.phones[2]})))(w)
			if jobs := finished(w.T, w.client, *answer.RequestId); len(jobs) != 2 {
				w.Errorf("jobs: %v", jobs)
			}
		},
		func(w world) {
			refused(w.client.ListJobs(&model.ListJobsRequest{}))(w, 400, "CPS.0049")
			refused(w.client.ListJobs(&model.ListJobsRequest{RequestId: ptr(unknown)}))(w, 400, "CPS.0050")
		},
	},
	"ShowJob": {
		func(w world) {
			answer := answered(w.client.ResetCloudPhone(reset(nil, model.PhoneProperty{PhoneId: w.phones[3]})))(w)
			id := *(*answer.Jobs)[0].JobId
			job := answered(w.client.ShowJob(&model.ShowJobRequest{JobId: id}))(w)
			if *job.JobId != id || *job.PhoneId != w.phones[3] {
				w.Errorf("job: %s", job)
			}
			finished(w.T, w.client, *answer.RequestId)
		},
		func(w world) {
			refused(w.client.ShowJob(&model.ShowJobRequest{JobId: unknown}))(w, 404, "CPS.0011")
		},
	},
}
