package compat

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/sdkerr"
	cph "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/cph/v1"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/cph/v1/model"
)

// fleet serves an installation with six simulated phones and a second image.
func fleet(t *testing.T) (in *installation, phones []string, image string) {
	in = serve(t, pool)
	phones, image = in.phones(t)
	return in, phones, image
}

// phones gives the installation a server of six phones and two images.
func (in *installation) phones(t *testing.T) (phones []string, image string) {
	t.Helper()
	in.image("first")
	image = in.image("second")
	in.lethe(nil, "server", "add", "--name", "rack-1", "--driver", "simulated", "--phones", "6", "--image", "first",
		"--concurrent-boots", "3", "--boot-time", "50ms", "--wait")
	list, err := in.owner().ListCloudPhones(&model.ListCloudPhonesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range *list.Phones {
		phones = append(phones, *p.PhoneId)
	}
	if len(phones) != 6 || *list.Count != 6 {
		t.Fatalf("%d phones, count %d, want 6", len(phones), *list.Count)
	}
	return phones, image
}

func reset(image *string, phones ...model.PhoneProperty) *model.ResetCloudPhoneRequest {
	return &model.ResetCloudPhoneRequest{Body: &model.ResetCloudPhoneRequestBody{ImageId: image, Phones: phones}}
}

// finished polls the request's jobs until none is running, as users of the SDK do.
func finished(t *testing.T, c *cph.CphClient, request string) map[string]model.Job {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		answer, err := c.ListJobs(&model.ListJobsRequest{RequestId: &request})
		if err != nil {
			t.Fatal(err)
		}
		jobs, running := map[string]model.Job{}, 0
		for _, j := range *answer.Jobs {
			jobs[*j.JobId] = j
			if *j.Status == 1 {
				running++
			}
		}
		if running == 0 {
			return jobs
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d jobs still running after a minute", running)
		}
	}
}

func TestResetWithImageAndProperties(t *testing.T) {
	t.Parallel()
	in, phones, image := fleet(t)
	for name, client := range map[string]*cph.CphClient{
		"signed":      in.owner(),
		"token":       in.client(&tokenCredential{in.cred.ProjectID, in.token(in.cred.User, in.cred.Password, map[string]any{"project": map[string]any{"name": in.cred.Region}})}),
		"discovering": in.discovering(),
	} {
		t.Run(name, func(t *testing.T) {
			first, second := `{"com.cph.mainkeys":"1","ro.product.manufacturer":"`+name+`"}`, `{"com.cph.mainkeys":0}`
			malformed, unknown := "no-id", "0123456789abcdef0123456789abcdef"
			answer, err := client.ResetCloudPhone(reset(&image,
				model.PhoneProperty{PhoneId: phones[0], Property: &first},
				model.PhoneProperty{PhoneId: malformed},
				model.PhoneProperty{PhoneId: phones[1], Property: &second},
				model.PhoneProperty{PhoneId: unknown},
				model.PhoneProperty{PhoneId: phones[0]},
			))
			if err != nil {
				t.Fatal(err)
			}
			if answer.HttpStatusCode != http.StatusOK {
				t.Errorf("status %d, want 200", answer.HttpStatusCode)
			}
			jobs := *answer.Jobs
			type element struct{ phone, code, msg string }
			var got []element
			for _, j := range jobs {
				e := element{phone: *j.PhoneId}
				if j.ErrorCode != nil {
					e.code, e.msg = *j.ErrorCode, *j.ErrorMsg
				}
				if (j.JobId == nil) != (j.ErrorCode != nil) {
					t.Errorf("phone %s has a job and an error, or neither", e.phone)
				}
				got = append(got, e)
			}
			want := []element{
				{phone: phones[0]},
				{malformed, "CPS.0004", "Parameter: phone_id is invalid."},
				{phone: phones[1]},
				{unknown, "CPS.0004", "Parameter: phone_id is invalid."},
				{phones[0], "CPS.0023", "Duplicate apply the phone."},
			}
			if !slices.Equal(got, want) {
				t.Fatalf("elements\n%+v, want\n%+v", got, want)
			}

			done := finished(t, client, *answer.RequestId)
			if len(done) != 2 {
				t.Errorf("%d jobs under the request, want 2", len(done))
			}
			for id, j := range done {
				if *j.Status != 2 || *j.BeginTime == "" || *j.EndTime == "" {
					t.Errorf("job %s: %s", id, j)
				}
				show, err := client.ShowJob(&model.ShowJobRequest{JobId: id})
				if err != nil {
					t.Fatal(err)
				}
				if *show.Status != 2 || *show.PhoneId != *j.PhoneId || *show.RequestId == "" {
					t.Errorf("ShowJob: %s", show)
				}
			}
			detail, err := client.ShowCloudPhoneDetail(&model.ShowCloudPhoneDetailRequest{PhoneId: phones[0]})
			if err != nil {
				t.Fatal(err)
			}
			if *detail.Status != 2 || *detail.ImageId != image || *detail.VncEnable == "" || detail.AccessInfos == nil {
				t.Errorf("detail after the reset: %s", detail)
			}
			var given, shown map[string]string
			if err := json.Unmarshal([]byte(first), &given); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(*detail.Property), &shown); err != nil {
				t.Fatal(err)
			}
			if !maps.Equal(given, shown) {
				t.Errorf("property %v, want %v", shown, given)
			}
		})
	}
}

// A reset phone is in 3 when the answer is on the wire, and a second reset of it is refused for that phone alone.
func TestStatusBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	in, phones, _ := fleet(t)
	client := in.owner()
	answer, err := client.ResetCloudPhone(reset(nil, model.PhoneProperty{PhoneId: phones[2]}))
	if err != nil {
		t.Fatal(err)
	}
	again, err := client.ResetCloudPhone(reset(nil, model.PhoneProperty{PhoneId: phones[2]}, model.PhoneProperty{PhoneId: phones[3]}))
	if err != nil {
		t.Fatal(err)
	}
	detail, err := client.ShowCloudPhoneDetail(&model.ShowCloudPhoneDetailRequest{PhoneId: phones[2]})
	if err != nil {
		t.Fatal(err)
	}
	jobs := *again.Jobs
	if *detail.Status == 3 { // it cannot have finished before the second call either
		if jobs[0].ErrorCode == nil || *jobs[0].ErrorCode != "CPS.0042" || *jobs[0].ErrorMsg != "System busy." {
			t.Errorf("second reset of a resetting phone: %s", jobs[0])
		}
	}
	if jobs[1].JobId == nil {
		t.Errorf("its neighbour was refused: %s", jobs[1])
	}
	finished(t, client, *answer.RequestId)
	finished(t, client, *again.RequestId)
}

func TestReads(t *testing.T) {
	t.Parallel()
	in, phones, image := fleet(t)
	client := in.owner()
	images, err := client.ListCloudPhoneImages(&model.ListCloudPhoneImagesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(*images.PhoneImages, func(i model.PhoneImage) bool { return *i.ImageId == image && *i.ImageName == "second" }) {
		t.Errorf("the image is not listed: %s", images)
	}
	servers, err := client.ListCloudPhoneServers(&model.ListCloudPhoneServersRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if len(*servers.Servers) != 1 || *servers.Count != 1 || *(*servers.Servers)[0].ServerName != "rack-1" {
		t.Fatalf("servers: %s", servers)
	}
	id := *(*servers.Servers)[0].ServerId
	server, err := client.ShowCloudPhoneServerDetail(&model.ShowCloudPhoneServerDetailRequest{ServerId: id})
	if err != nil {
		t.Fatal(err)
	}
	if *server.ServerId != id || *server.Status != 5 {
		t.Errorf("server detail: %s", server)
	}
	limit, offset, past := int32(4), int32(4), int32(600)
	page, err := client.ListCloudPhones(&model.ListCloudPhonesRequest{Limit: &limit, Offset: &offset, ServerId: &id})
	if err != nil {
		t.Fatal(err)
	}
	if len(*page.Phones) != 2 || *page.Count != 6 || *(*page.Phones)[0].PhoneId != phones[4] {
		t.Errorf("second page: %s", page)
	}
	page, err = client.ListCloudPhones(&model.ListCloudPhonesRequest{Offset: &past})
	if err != nil {
		t.Fatal(err)
	}
	if page.Phones == nil || len(*page.Phones) != 0 {
		t.Errorf("past the end: %s", page)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	in, phones, image := fleet(t)
	var nobody, operator struct {
		AccessKey string `json:"access_key"`
		SecretKey string `json:"secret_key"`
		Password  string `json:"password"`
	}
	in.lethe(&nobody, "user", "add", "nobody")
	policy := filepath.Join(t.TempDir(), "policy.json")
	if err := os.WriteFile(policy, []byte(`{"Version":"1.1","Statement":[{"Effect":"Allow","Action":["cph:phones:reset"]}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	in.lethe(&operator, "user", "add", "operator", "--policy", policy)

	missing, malformed := "ffffffffffffffffffffffffffffffff", "first"
	one := model.PhoneProperty{PhoneId: phones[0]}
	domainToken := in.token(in.cred.User, in.cred.Password, map[string]any{"domain": map[string]any{"name": in.cred.Account}})
	for name, c := range map[string]struct {
		client *cph.CphClient
		ask    *model.ResetCloudPhoneRequest
		status int
		code   string
	}{
		"unknown access key":        {in.client(in.signed("NOSUCHKEY00000000000", "x")), reset(nil, one), 401, "APIGW.0301"},
		"wrong secret key":          {in.client(in.signed(in.cred.AccessKey, "wrong")), reset(nil, one), 401, "APIGW.0301"},
		"wrong token":               {in.client(&tokenCredential{in.cred.ProjectID, "nonsense"}), reset(nil, one), 401, "APIGW.0301"},
		"token of the account":      {in.client(&tokenCredential{in.cred.ProjectID, domainToken}), reset(nil, one), 403, "CPS.0001"},
		"another project":           {in.client(&tokenCredential{missing, in.token(in.cred.User, in.cred.Password, map[string]any{"project": map[string]any{"id": in.cred.ProjectID}})}), reset(nil, one), 403, "CPS.0001"},
		"no permission":             {in.client(in.signed(nobody.AccessKey, nobody.SecretKey)), reset(nil, one), 403, "CPS.0001"},
		"no permission for images":  {in.client(in.signed(operator.AccessKey, operator.SecretKey)), reset(&image, one), 403, "CPS.0001"},
		"no phones":                 {in.owner(), reset(nil), 400, "CPS.0077"},
		"malformed image":           {in.owner(), reset(&malformed, one), 400, "CPS.0030"},
		"image that does not exist": {in.owner(), reset(&missing, one), 400, "CPS.0166"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.client.ResetCloudPhone(c.ask)
			var refused *sdkerr.ServiceResponseError
			if !errors.As(err, &refused) {
				t.Fatalf("error %v, want an answer", err)
			}
			if refused.StatusCode != c.status || refused.ErrorCode != c.code || refused.RequestId == "" || refused.ErrorMessage == "" {
				t.Errorf("%d %s %q (request %q), want %d %s", refused.StatusCode, refused.ErrorCode, refused.ErrorMessage, refused.RequestId, c.status, c.code)
			}
		})
	}

	answer, err := in.client(in.signed(operator.AccessKey, operator.SecretKey)).ResetCloudPhone(reset(nil, one))
	if err != nil {
		t.Fatalf("the operator may reset: %v", err)
	}
	if jobs := finished(t, in.owner(), *answer.RequestId); len(jobs) != 1 {
		t.Errorf("%d jobs, want 1", len(jobs))
	}
	_, err = in.owner().ShowCloudPhoneDetail(&model.ShowCloudPhoneDetailRequest{PhoneId: missing})
	var refused *sdkerr.ServiceResponseError
	if !errors.As(err, &refused) || refused.StatusCode != 404 || refused.ErrorCode != "CPS.0005" {
		t.Errorf("detail of an unknown phone: %v", err)
	}
}
