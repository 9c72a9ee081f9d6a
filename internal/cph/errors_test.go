package cph

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/lethe-cloud/lethe/internal/phone"
)

var (
	wireCode   = regexp.MustCompile(`^(CPS|APIGW)\.[0-9]{4}$`)
	wireStatus = map[int]bool{400: true, 401: true, 403: true, 404: true, 413: true, 429: true, 500: true, 501: true, 503: true}
)

// Every code and every reason of the domain has a line: a new one is decided on here before it is answered with.
func TestTableIsWhole(t *testing.T) {
	t.Parallel()
	for _, code := range phone.Codes() {
		if _, ok := byCode[code]; !ok {
			t.Errorf("code %q has no line", code)
		}
		for _, reason := range append(phone.Reasons(), "", "of tomorrow") {
			l := lineOf(&phone.Error{Code: code, Reason: reason, Msg: "what is wrong"})
			if !wireStatus[l.status] || !wireCode.MatchString(l.code) || l.text == "" {
				t.Errorf("code %q, reason %q: %+v", code, reason, l)
			}
			if ours := code == phone.Internal || code == phone.Unavailable; ours && l.status < 500 {
				t.Errorf("code %q, reason %q: a failure of ours is answered with %d", code, reason, l.status)
			}
		}
	}
	for _, reason := range phone.Reasons() {
		if _, ok := byReason[reason]; !ok {
			t.Errorf("reason %q has no line", reason)
		}
	}
}

// What is ours to know never reaches the caller, and every sentence is whole, whatever the domain has to say.
func TestSentences(t *testing.T) {
	t.Parallel()
	lines := []line{internal}
	for _, l := range byReason {
		lines = append(lines, l)
	}
	for _, l := range byCode {
		lines = append(lines, l)
	}
	for _, l := range lines {
		for _, err := range []error{nil, errors.New("secret"), &phone.Error{Err: errors.New("secret")}, &phone.Error{Field: "key", Msg: "message", Err: errors.New("secret")}} {
			got := l.sentence(err)
			if got == "" || strings.Contains(got, "secret") || strings.ContainsAny(got, "{}") || strings.TrimSpace(got) != got {
				t.Errorf("%s says %q of %v", l.code, got, err)
			}
		}
	}
	if got := byCode[phone.Internal].sentence(&phone.Error{Code: phone.Internal, Msg: "secret"}); got != "Service internal error." {
		t.Errorf("internal errors say %q", got)
	}
}

// A failed job's code is found by its reason alone; what has none of its own is an internal error.
func TestFailureCodes(t *testing.T) {
	t.Parallel()
	want := map[phone.Reason]string{
		phone.ReasonBootTimeout: "CPS.0054", phone.ReasonHostGone: "CPS.0099", phone.ReasonImageNotFound: "CPS.0166",
		phone.ReasonEraseFailed: "CPS.0003", phone.ReasonCancelled: "CPS.0042", phone.ReasonBootExited: "CPS.0003",
		phone.ReasonVerifyFailed: "CPS.0003", phone.ReasonNoSpace: "CPS.0003", phone.ReasonForeignObject: "CPS.0003", phone.ReasonHigherGeneration: "CPS.0003",
		phone.ReasonFenced: "CPS.0003", "": "CPS.0003", "of tomorrow": "CPS.0003",
	}
	for reason, code := range want {
		if got := lineOfFailure(reason).code; got != code {
			t.Errorf("a job that failed with %q has code %s, want %s", reason, got, code)
		}
	}
	for _, reason := range phone.Reasons() {
		if got := lineOfFailure(reason); !wireCode.MatchString(got.code) {
			t.Errorf("a job that failed with %q has code %q", reason, got.code)
		}
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		max  int
		want string
	}{{"abc", 3, "abc"}, {"abcd", 3, "abc"}, {"aä", 2, "a"}, {"aää", 3, "aä"}, {"图图", 5, "图"}, {"", 0, ""}} {
		if got := cut(tt.text, tt.max); got != tt.want {
			t.Errorf("cut(%q, %d) = %q, want %q", tt.text, tt.max, got, tt.want)
		}
	}
}
