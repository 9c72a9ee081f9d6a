package compat

import (
	"errors"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/sdkerr"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/cph/v1/model"
)

// A user who makes too many calls gets the SDK's error with status, code and request id, and is served again after the time that the
// answer says. The SDK shows no header; a client of the Terraform provider's kind, which goes by the status alone and waits longer
// than it must, is served too.
func TestTooManyCalls(t *testing.T) {
	t.Parallel()
	in := serve(t, "rate_limit = 1\n") // a second, and five at once
	token := in.token(in.cred.User, in.cred.Password, map[string]any{"project": map[string]any{"name": in.cred.Region}})
	client := in.owner()
	list := func() error {
		_, err := client.ListCloudPhones(&model.ListCloudPhonesRequest{})
		return err
	}
	exhaust := func() error {
		for range 100 {
			if err := list(); err != nil {
				return err
			}
		}
		t.Fatal("a hundred calls in a row were served")
		return nil
	}
	for range 10 {
		var refused *sdkerr.ServiceResponseError
		if err := exhaust(); !errors.As(err, &refused) || refused.StatusCode != http.StatusTooManyRequests || refused.ErrorCode != "APIGW.0308" ||
			refused.ErrorMessage != "The throttling threshold has been reached." || len(refused.RequestId) != 32 {
			t.Fatalf("the SDK says %v", err)
		}
		wait, again := in.retryAfter(token)
		if again { // a second had passed between the two calls
			continue
		}
		time.Sleep(wait) // what the answer says is what the test is about
		if err := list(); err != nil {
			t.Fatalf("after %s: %v", wait, err)
		}
		return
	}
	t.Fatal("the limit was never met twice in a row")
}

// retryAfter makes a call that must be refused and gives the time that it is told to wait; served is true when it was not refused.
func (in *installation) retryAfter(token string) (wait time.Duration, served bool) {
	in.t.Helper()
	req, err := http.NewRequestWithContext(in.t.Context(), http.MethodGet, in.cred.Endpoint+"/v1/"+in.cred.ProjectID+"/cloud-phone/phones", nil)
	if err != nil {
		in.t.Fatal(err)
	}
	req.Header.Set("X-Auth-Token", token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		in.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusOK {
		return 0, true
	}
	seconds, err := strconv.Atoi(res.Header.Get("Retry-After"))
	if err != nil || res.StatusCode != http.StatusTooManyRequests || seconds < 1 || seconds > 2 {
		in.t.Fatalf("%s, Retry-After %q", res.Status, res.Header.Get("Retry-After"))
	}
	return time.Duration(seconds) * time.Second, false
}
