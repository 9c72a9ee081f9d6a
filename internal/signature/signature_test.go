package signature

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var testKey = Key{ID: "AKTEST", Secret: "SKTEST"}

func at(t *testing.T, date string) time.Time {
	t.Helper()
	moment, err := time.Parse(dateFormat, date)
	if err != nil {
		t.Fatal(err)
	}
	return moment
}

// vector is a signature that the official Go SDK's signer made, checked by an independent computation.
type vector struct {
	name, method, url, body, date, authorization string
	headers                                      map[string]string
}

var vectors = []vector{
	{
		name: "post with a body", method: "POST", url: "https://cph.example.com/v1/p123/cloud-phone/phones/batch-reset",
		body:    `{"phones":[{"phone_id":"a","property":"{\"com.cph.mainkeys\":1}"},{"phone_id":"b"}]}` + "\n",
		date:    "20260102T030405Z",
		headers: map[string]string{"User-Agent": "ua-test", "X-Project-Id": "p123", "Content-Type": "application/json"},
		authorization: "SDK-HMAC-SHA256 Access=AKTEST, SignedHeaders=user-agent;x-project-id;x-sdk-date, " +
			"Signature=447007fb7e43cb479eba777342ce88aa6561988872b9189ae9102c0cc44b87f7",
	},
	{
		name: "get with an encoded query", method: "GET", url: "https://cph.example.com/v1/p123/cloud-phone/jobs?request_id=r%201%2F2",
		date: "20260102T030405Z",
		authorization: "SDK-HMAC-SHA256 Access=AKTEST, SignedHeaders=x-sdk-date, " +
			"Signature=e1d60715cf63f2c5b6456acac332280015081dc2ab607577c180596a7cc1d3c4",
	},
}

func (v vector) request(t *testing.T) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), v.method, v.url, strings.NewReader(v.body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range v.headers {
		r.Header.Set(name, value)
	}
	return r
}

func TestVectorsSign(t *testing.T) {
	t.Parallel()
	for _, v := range vectors {
		r := v.request(t)
		Sign(r, []byte(v.body), testKey, at(t, v.date))
		if diff := cmp.Diff(v.authorization, r.Header.Get("Authorization")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", v.name, diff)
		}
		if got := r.Header.Get("X-Sdk-Date"); got != v.date {
			t.Errorf("%s: X-Sdk-Date is %q, want %q", v.name, got, v.date)
		}
	}
}

func TestVectorsVerify(t *testing.T) {
	t.Parallel()
	for _, v := range vectors {
		r := v.request(t)
		r.Header.Set("Authorization", v.authorization)
		r.Header.Set("X-Sdk-Date", v.date)
		r = overTheWire(t, r)
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		claim, err := Read(r, body, at(t, v.date))
		if err != nil {
			t.Errorf("%s: %v", v.name, err)
			continue
		}
		if claim.AccessKey != "AKTEST" || !claim.Date.Equal(at(t, v.date)) {
			t.Errorf("%s: the claim is of %q at %s", v.name, claim.AccessKey, claim.Date)
		}
		if !claim.Verify("SKTEST") {
			t.Errorf("%s: the right key does not verify it", v.name)
		}
		for _, wrong := range []string{"", "SKTES", "sktest", "SKTEST ", "AKTEST"} {
			if claim.Verify(wrong) {
				t.Errorf("%s: the wrong key %q verifies it", v.name, wrong)
			}
		}
	}
}

// overTheWire writes the request as a client does and reads it as a server does.
func overTheWire(t *testing.T, r *http.Request) *http.Request {
	t.Helper()
	var wire bytes.Buffer
	if err := r.Write(&wire); err != nil {
		t.Fatal(err)
	}
	got, err := http.ReadRequest(bufio.NewReader(&wire))
	if err != nil {
		t.Fatalf("%v in %q", err, wire.String())
	}
	return got
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
	tests := []struct {
		name, method, url, body string
		headers                 http.Header
	}{
		{name: "no path", method: "GET", url: "http://h"},
		{name: "root", method: "GET", url: "http://h/"},
		{name: "trailing slash", method: "GET", url: "http://h/v1/x/"},
		{name: "doubled slashes", method: "GET", url: "http://h//v1///x"},
		{name: "an encoded slash", method: "GET", url: "http://h/v1/a%2Fb/c"},
		{name: "everything encoded", method: "GET", url: "http://h/%76%31/%41"},
		{name: "lower-case hex", method: "GET", url: "http://h/v1/a%e2%82%acb"},
		{name: "unencoded beyond ASCII", method: "GET", url: "http://h/v1/ä"},
		{name: "a plus in the path", method: "GET", url: "http://h/v1/a+b"},
		{name: "sub-delimiters", method: "GET", url: "http://h/v1/a;b=c,d!$&'()*~@:"},
		{name: "a percent sign", method: "GET", url: "http://h/v1/100%25"},
		{name: "query unsorted", method: "GET", url: "http://h/?b=2&a=3&b=1&a="},
		{name: "query without values", method: "GET", url: "http://h/?nocatalog&a"},
		{name: "query of a plus and spaces", method: "GET", url: "http://h/?a=1+2&b=1%2B2&c=%20&a%20b=1"},
		{name: "query with an equals sign", method: "GET", url: "http://h/?a=b=c"},
		{name: "empty pairs", method: "GET", url: "http://h/?&&a=1&"},
		{name: "body", method: "PUT", url: "http://h/x", body: `{"a":1}` + "\n"},
		{name: "its hash named", method: "PUT", url: "http://h/x", body: "x", headers: http.Header{"X-Sdk-Content-Sha256": {hashOf([]byte("x"))}}},
		{name: "unsigned, but empty", method: "GET", url: "http://h/x", headers: http.Header{"X-Sdk-Content-Sha256": {"UNSIGNED-PAYLOAD"}}},
		{name: "several values", method: "GET", url: "http://h/x", headers: http.Header{"X-Many": {"b", "a", " c "}}},
		{name: "an empty value", method: "GET", url: "http://h/x", headers: http.Header{"X-Empty": {""}, "User-Agent": {""}}},
		{name: "spaces around", method: "GET", url: "http://h/x", headers: http.Header{"X-Spaces": {"  a  b  "}}},
		{name: "headers that are left out", method: "POST", url: "http://h/x", body: "b", headers: http.Header{
			"Content-Type": {"application/json"}, "Connection": {"close"}, "X_under": {"1"}, "Proxy-Authorization": {"p"},
			"Accept-Encoding": {"gzip"}, "Authorization": {"Bearer before"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v := vector{method: tt.method, url: tt.url, body: tt.body}
			r := v.request(t)
			if tt.headers != nil {
				r.Header = tt.headers.Clone()
			}
			Sign(r, []byte(tt.body), testKey, now)
			got := overTheWire(t, r)
			claim, err := Read(got, []byte(tt.body), now)
			if err != nil {
				t.Fatal(err)
			}
			if !claim.Verify(testKey.Secret) {
				t.Error("what was signed does not verify")
			}
			if claim.Verify("another") {
				t.Error("another key verifies it")
			}
		})
	}
}

// TestTamper changes one thing of a signed request after another: none may verify.
func TestTamper(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
	const body = `{"phones":[]}`
	tests := []struct {
		name   string
		change func(*http.Request) string // gives the body
	}{
		{"method", func(r *http.Request) string { r.Method = "PUT"; return body }},
		{"path", func(r *http.Request) string { r.URL.Path = "/v1/q/x"; return body }},
		{"path's case", func(r *http.Request) string { r.URL.Path = "/v1/P/x"; return body }},
		{"an encoded slash decoded", func(r *http.Request) string { r.URL.RawPath = "/v1%2Fp/x"; r.URL.Path = "/v1/p/x"; return body }},
		{"query value", func(r *http.Request) string { r.URL.RawQuery = "a=2"; return body }},
		{"query key", func(r *http.Request) string { r.URL.RawQuery = "b=1"; return body }},
		{"query added to", func(r *http.Request) string { r.URL.RawQuery += "&a=1"; return body }},
		{"query dropped", func(r *http.Request) string { r.URL.RawQuery = ""; return body }},
		{"body", func(*http.Request) string { return body + " " }},
		{"body dropped", func(*http.Request) string { return "" }},
		{"signed header", func(r *http.Request) string { r.Header.Set("X-Project-Id", "q"); return body }},
		{"signed header added to", func(r *http.Request) string { r.Header.Add("X-Project-Id", "q"); return body }},
		{"date", func(r *http.Request) string { r.Header.Set("X-Sdk-Date", "20260506T070810Z"); return body }},
		{"signature", func(r *http.Request) string { replaceInAuthorization(r, "Signature=", "Signature=0"); return body }},
		{"list shortened", func(r *http.Request) string { replaceInAuthorization(r, "x-project-id;", ""); return body }},
		{"list turned round", func(r *http.Request) string {
			replaceInAuthorization(r, "x-project-id;x-sdk-date", "x-sdk-date;x-project-id")
			return body
		}},
		{"list added to", func(r *http.Request) string {
			replaceInAuthorization(r, "x-project-id;", "host;x-project-id;")
			return body
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v := vector{method: "POST", url: "http://h/v1/p/x?a=1", body: body, headers: map[string]string{"X-Project-Id": "p"}}
			r := v.request(t)
			Sign(r, []byte(body), testKey, now)
			before, err := Read(r, []byte(body), now)
			if err != nil || !before.Verify(testKey.Secret) {
				t.Fatalf("before the change it must verify: %v", err)
			}
			changed := tt.change(r)
			claim, err := Read(r, []byte(changed), now)
			if err == nil && claim.Verify(testKey.Secret) {
				t.Error("it verifies after the change")
			}
		})
	}
}

func replaceInAuthorization(r *http.Request, old, replacement string) {
	value := r.Header.Get("Authorization")
	changed := strings.Replace(value, old, replacement, 1)
	if old == "Signature=" { // keep the length
		changed = changed[:len(value)]
	}
	r.Header.Set("Authorization", changed)
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
	const body = `{"a":1}`
	tests := []struct {
		name   string
		change func(*http.Request)
		want   error
	}{
		{"no authorization", func(r *http.Request) { r.Header.Del("Authorization") }, ErrSyntax},
		{"two authorizations", func(r *http.Request) { r.Header.Add("Authorization", r.Header.Get("Authorization")) }, ErrSyntax},
		{"another scheme", func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, ErrScheme},
		{"no date", func(r *http.Request) { r.Header.Del("X-Sdk-Date") }, ErrDate},
		{"two dates", func(r *http.Request) { r.Header.Add("X-Sdk-Date", r.Header.Get("X-Sdk-Date")) }, ErrDate},
		{"another date format", func(r *http.Request) { r.Header.Set("X-Sdk-Date", now.Format(time.RFC3339)) }, ErrDate},
		{"a date with a fraction", func(r *http.Request) { r.Header.Set("X-Sdk-Date", "20260506T070809.5Z") }, ErrDate},
		{"an impossible date", func(r *http.Request) { r.Header.Set("X-Sdk-Date", "20260230T070809Z") }, ErrDate},
		{"unsigned date", func(r *http.Request) { replaceInAuthorization(r, ";x-sdk-date", "") }, ErrHeader},
		{"a signed header is gone", func(r *http.Request) { r.Header.Del("X-Project-Id") }, ErrHeader},
		{"too old", func(r *http.Request) { r.Header.Set("X-Sdk-Date", "20260506T065308Z") }, ErrSkew},
		{"too new", func(r *http.Request) { r.Header.Set("X-Sdk-Date", "20260506T072310Z") }, ErrSkew},
		{"another body's hash", func(r *http.Request) { r.Header.Set("X-Sdk-Content-Sha256", hashOf(nil)) }, ErrBodyHash},
		{"hash in capitals", func(r *http.Request) {
			r.Header.Set("X-Sdk-Content-Sha256", strings.ToUpper(hashOf([]byte(body))))
		}, ErrBodyHash},
		{"an empty hash", func(r *http.Request) { r.Header.Set("X-Sdk-Content-Sha256", "") }, ErrBodyHash},
		{"two hashes", func(r *http.Request) {
			r.Header["X-Sdk-Content-Sha256"] = []string{hashOf([]byte(body)), "UNSIGNED-PAYLOAD"}
		}, ErrBodyHash},
		{"unsigned JSON", func(r *http.Request) { r.Header.Set("X-Sdk-Content-Sha256", "UNSIGNED-PAYLOAD") }, ErrUnsigned},
		{"unsigned under another type", func(r *http.Request) {
			r.Header.Set("X-Sdk-Content-Sha256", "UNSIGNED-PAYLOAD")
			r.Header.Set("Content-Type", "text/plain")
		}, ErrUnsigned},
		{"a wrong query", func(r *http.Request) { r.URL.RawQuery = "a=%zz" }, ErrTarget},
		{"a semicolon in the query", func(r *http.Request) { r.URL.RawQuery = "a=1;b=2" }, ErrTarget},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v := vector{method: "POST", url: "http://h/v1/p/x?a=1", body: body,
				headers: map[string]string{"X-Project-Id": "p", "Content-Type": "application/json"}}
			r := v.request(t)
			Sign(r, []byte(body), testKey, now)
			tt.change(r)
			if _, err := Read(r, []byte(body), now); !errors.Is(err, tt.want) {
				t.Errorf("Read = %v, want %v", err, tt.want)
			}
		})
	}
	t.Run("unsigned and empty, but JSON", func(t *testing.T) {
		t.Parallel()
		v := vector{method: "GET", url: "http://h/x", headers: map[string]string{
			"Content-Type": "Application/JSON; charset=utf8", "X-Sdk-Content-Sha256": "UNSIGNED-PAYLOAD",
		}}
		r := v.request(t)
		Sign(r, nil, testKey, now)
		if _, err := Read(r, nil, now); !errors.Is(err, ErrUnsigned) {
			t.Errorf("Read = %v, want %v", err, ErrUnsigned)
		}
	})
}

func TestSkew(t *testing.T) {
	t.Parallel()
	signed := time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
	for _, off := range []time.Duration{0, -MaxSkew, MaxSkew, time.Minute, -time.Minute} {
		r := httptest.NewRequest("GET", "http://h/x", nil)
		Sign(r, nil, testKey, signed.In(time.FixedZone("elsewhere", 3600)))
		claim, err := Read(r, nil, signed.Add(off))
		if err != nil || !claim.Verify(testKey.Secret) {
			t.Errorf("%s off: %v, want it to verify", off, err)
		}
	}
	for _, off := range []time.Duration{-MaxSkew - time.Nanosecond, MaxSkew + time.Nanosecond, 24 * time.Hour} {
		r := httptest.NewRequest("GET", "http://h/x", nil)
		Sign(r, nil, testKey, signed)
		if _, err := Read(r, nil, signed.Add(off)); !errors.Is(err, ErrSkew) {
			t.Errorf("%s off: %v, want %v", off, err, ErrSkew)
		}
	}
}

// TestCanonical holds each part against what the signing guide's rules make of it: signer and verifier share this code, so a
// mistake in it would go unseen between the two.
func TestCanonical(t *testing.T) {
	t.Parallel()
	for escaped, want := range map[string]string{
		"": "/", "/": "/", "/a": "/a/", "/a/": "/a/", "//a//b": "//a//b/", "/a%2fb": "/a%2Fb/", "/a b": "/a%20b/", "/%61": "/a/",
		"/a+b": "/a%2Bb/", "/~-_.": "/~-_./", "/%E4%bd%a0": "/%E4%BD%A0/", "*": "%2A/",
	} {
		if got, err := canonicalPath(escaped); got != want || err != nil {
			t.Errorf("canonicalPath(%q) = %q, %v, want %q", escaped, got, err, want)
		}
	}
	for raw, want := range map[string]string{
		"": "", "b=2&a=1": "a=1&b=2", "a=2&a=1&a=": "a=&a=1&a=2", "a": "a=", "a=1+2&b=%2b": "a=1%202&b=%2B", "B=1&a=2": "B=1&a=2",
		"a-b=1&a=2": "a=2&a-b=1", // keys are sorted before they are encoded and before "=" follows them
		"%20=1":     "%20=1", "a=/?:@": "a=%2F%3F%3A%40", "a=b=c": "a=b%3Dc",
	} {
		if got, err := canonicalQuery(raw); got != want || err != nil {
			t.Errorf("canonicalQuery(%q) = %q, %v, want %q", raw, got, err, want)
		}
	}
	r := httptest.NewRequest("GET", "http://phones.example/", nil)
	r.Header = http.Header{"X-Many": {"b", " a", "c "}, "X-Empty": {""}, "X-One": {" a  b "}}
	got, err := canonicalHeaders(r, []string{"x-one", "host", "x-many", "x-empty"})
	want := "x-one:a  b\nhost:phones.example\nx-many:a\nx-many:b\nx-many:c\nx-empty:\n"
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("canonicalHeaders: %v (-want +got):\n%s", err, diff)
	}
}

// TestSignedHost shows what the SDKs of other languages do: they sign Host.
func TestSignedHost(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
	date := now.Format(dateFormat)
	names := []string{"host", "x-sdk-date"}
	toSign := stringToSign(date, "GET", "/x/", "", "host:phones.example:8774\nx-sdk-date:"+date+"\n", names, hashOf(nil))
	r := httptest.NewRequest("GET", "http://phones.example:8774/x", nil)
	r.Header.Set("X-Sdk-Date", date)
	r.Header.Set("Authorization", fmt.Sprintf("SDK-HMAC-SHA256 Access=AK, SignedHeaders=host;x-sdk-date, Signature=%x", sum("SK", toSign)))
	claim, err := Read(r, nil, now)
	if err != nil || !claim.Verify("SK") {
		t.Errorf("a signature over Host: %v, want it to verify", err)
	}
	r.Host = "other.example"
	if claim, err := Read(r, nil, now); err == nil && claim.Verify("SK") {
		t.Error("it verifies under another Host")
	}
}

func TestEmptyClaim(t *testing.T) {
	t.Parallel()
	if (Claim{}).Verify("") || (Claim{}).Verify("SK") {
		t.Error("a claim that was never read verifies")
	}
	empty := Claim{stringToSign: "x"}
	copy(empty.Signature[:], sum("", "x"))
	if empty.Verify("") {
		t.Error("an empty secret verifies")
	}
}

func TestKeyStaysOutOfLogs(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "key", testKey)
	_, _ = fmt.Fprintf(&out, "%v %s %+v", testKey, testKey, testKey)
	if strings.Contains(out.String(), "SKTEST") || !strings.Contains(out.String(), "AKTEST") {
		t.Errorf("written: %s", out.String())
	}
}

// A request whose body comes later is signed with the body's hash, which it must name.
func TestReadHead(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
	hash := hashOf([]byte("the body"))
	for _, c := range []struct {
		hashes []string
		want   error
	}{
		{[]string{hash}, nil}, {nil, ErrBodyHash}, {[]string{hash, hash}, ErrBodyHash}, {[]string{"UNSIGNED-PAYLOAD"}, ErrUnsigned}, {[]string{strings.ToUpper(hash)}, ErrUnsigned},
		{[]string{hash[2:]}, ErrUnsigned}, {[]string{""}, ErrUnsigned},
	} {
		r := httptest.NewRequest("PUT", "http://h/x?key=a", nil)
		if c.hashes != nil {
			r.Header[HeaderContentHash] = c.hashes
		}
		Sign(r, nil, testKey, now)
		claim, err := ReadHead(r, now)
		if !errors.Is(err, c.want) || err == nil && (claim.ContentHash != hash || !claim.Verify(testKey.Secret)) {
			t.Errorf("%q: %v, of the body %s", c.hashes, err, claim.ContentHash)
		}
		if err == nil { // the hash is what was signed
			r.Header.Set(HeaderContentHash, hashOf([]byte("another")))
			if claim, err := ReadHead(r, now); err != nil || claim.Verify(testKey.Secret) {
				t.Errorf("with another hash: %v", err)
			}
		}
	}
}
