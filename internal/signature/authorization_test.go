package signature

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

const zeros = "0000000000000000000000000000000000000000000000000000000000000000"

func TestParseAuthorization(t *testing.T) {
	t.Parallel()
	want := Authorization{AccessKey: "AK_1-x", SignedHeaders: []string{"host", "x-sdk-date"}}
	want.Signature[31] = 0xab
	sign := zeros[:62] + "ab"
	for _, value := range []string{
		"SDK-HMAC-SHA256 Access=AK_1-x, SignedHeaders=host;x-sdk-date, Signature=" + sign,
		"SDK-HMAC-SHA256 Access=AK_1-x,SignedHeaders=host;x-sdk-date,Signature=" + sign,
		"SDK-HMAC-SHA256  Signature=" + sign + " ,\tSignedHeaders=host;x-sdk-date , Access=AK_1-x ",
		"SDK-HMAC-SHA256 Access=AK_1-x, SignedHeaders=host;x-sdk-date, Signature=" + strings.ToUpper(sign),
	} {
		got, err := ParseAuthorization(value)
		if err != nil {
			t.Errorf("ParseAuthorization(%q): %v", value, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("ParseAuthorization(%q) (-want +got):\n%s", value, diff)
		}
	}
}

func TestParseAuthorizationRefuses(t *testing.T) {
	t.Parallel()
	const access, headers, sign = "Access=AK", "SignedHeaders=x-sdk-date", "Signature=" + zeros
	of := func(fields ...string) string { return Algorithm + " " + strings.Join(fields, ", ") }
	many := make([]string, maxSignedHeaders+1)
	for i := range many {
		many[i] = fmt.Sprintf("h%d", i)
	}
	tests := map[string]error{
		"":                    ErrScheme,
		"Basic dTpw":          ErrScheme,
		"SDK-HMAC-SHA256":     ErrSyntax,
		"SDK-HMAC-SHA256 ":    ErrSyntax,
		"SDK-HMAC-SHA256,a,b": ErrScheme,
		"sdk-hmac-sha256 " + access + ", " + headers + ", " + sign: ErrScheme,
		"SDK-HMAC-SM3 " + access + ", " + headers + ", " + sign:    ErrScheme,
		of(access, headers):                                        ErrSyntax,
		of(access, headers, sign, "Extra=1"):                       ErrSyntax,
		of(access, headers, "Extra=1"):                             ErrSyntax,
		of(access, access, sign):                                   ErrSyntax,
		of(access, headers, headers):                               ErrSyntax,
		of(access, headers, sign) + ",":                            ErrSyntax,
		of("access=AK", headers, sign):                             ErrSyntax,
		of("Access=", headers, sign):                               ErrSyntax,
		of("Access", headers, sign):                                ErrSyntax,
		of("Access=A K", headers, sign):                            ErrSyntax,
		of("Access=A=K", headers, sign):                            ErrSyntax,
		of("Access=A\x00", headers, sign):                          ErrSyntax,
		of("Access="+strings.Repeat("A", 129), headers, sign):      ErrSyntax,
		of(access, "SignedHeaders=", sign):                         ErrSyntax,
		of(access, "SignedHeaders=x-sdk-date;", sign):              ErrSyntax,
		of(access, "SignedHeaders=;x-sdk-date", sign):              ErrSyntax,
		of(access, "SignedHeaders=X-Sdk-Date", sign):               ErrSyntax,
		of(access, "SignedHeaders=x-sdk-date;x-sdk-date", sign):    ErrSyntax,
		of(access, "SignedHeaders=x sdk", sign):                    ErrSyntax,
		of(access, "SignedHeaders="+strings.Join(many, ";"), sign): ErrSyntax,
		of(access, headers, "Signature="):                          ErrSyntax,
		of(access, headers, "Signature="+zeros[2:]):                ErrSyntax,
		of(access, headers, sign+"00"):                             ErrSyntax,
		of(access, headers, "Signature=zz"+zeros[2:]):              ErrSyntax,
	}
	for value, want := range tests {
		if got, err := ParseAuthorization(value); !errors.Is(err, want) {
			t.Errorf("ParseAuthorization(%q) = %v, %v, want %v", value, got, err, want)
		}
	}
}

// FuzzParseAuthorization holds the parser to its word: what it accepts, written plainly, reads the same again.
func FuzzParseAuthorization(f *testing.F) {
	for _, v := range vectors {
		f.Add(v.authorization)
	}
	f.Add("SDK-HMAC-SHA256 Access=,SignedHeaders=;,Signature=")
	f.Add("SDK-HMAC-SHA256 Access=A, Access=B, Signature=" + zeros)
	f.Fuzz(func(t *testing.T, value string) {
		got, err := ParseAuthorization(value)
		if err != nil {
			if !errors.Is(err, ErrScheme) && !errors.Is(err, ErrSyntax) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		plain := Algorithm + " Access=" + got.AccessKey + ", SignedHeaders=" + strings.Join(got.SignedHeaders, ";") +
			", Signature=" + hex.EncodeToString(got.Signature[:])
		again, err := ParseAuthorization(plain)
		if err != nil || !cmp.Equal(got, again) {
			t.Fatalf("%q was read as %v, but %q as %v, %v", value, got, plain, again, err)
		}
	})
}

// FuzzRead gives the verifier anything: it must not panic, and nothing may verify with a key that nobody signed with.
func FuzzRead(f *testing.F) {
	for _, v := range vectors {
		f.Add(v.method, strings.TrimPrefix(v.url, "https://cph.example.com"), v.authorization, v.date, "", v.body)
	}
	f.Add("GET", "/a%2Fb?x;y", "SDK-HMAC-SHA256 Access=A, SignedHeaders=x-sdk-date, Signature="+zeros, "20260102T030405Z", "UNSIGNED-PAYLOAD", "")
	f.Fuzz(func(t *testing.T, method, target, authorization, date, contentHash, body string) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return
		}
		r := &http.Request{Method: method, URL: u, Host: "h", Header: http.Header{
			"Authorization": {authorization}, "X-Sdk-Date": {date}, "User-Agent": {"ua-test"}, "X-Project-Id": {"p123"},
		}}
		if contentHash != "" {
			r.Header.Set("X-Sdk-Content-Sha256", contentHash)
		}
		claim, err := Read(r, []byte(body), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
		if err != nil {
			kinds := []error{ErrScheme, ErrSyntax, ErrDate, ErrSkew, ErrHeader, ErrBodyHash, ErrUnsigned, ErrTarget}
			if !slices.ContainsFunc(kinds, func(kind error) bool { return errors.Is(err, kind) }) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		if claim.Verify("a key that nobody has") || claim.Verify("") {
			t.Fatalf("%s %q verifies with a key that did not sign it", method, target)
		}
	})
}

// FuzzRoundTrip signs a request, sends it over the wire and reads it as a server: the right key must verify it, a wrong one and
// a changed body must not.
func FuzzRoundTrip(f *testing.F) {
	f.Add("/v1/p123/cloud-phone/jobs", "request_id", "r 1/2", "ua-test", []byte(nil))
	f.Add("/a%/ /;ä//", "=&;", "+ %", " x ", []byte(`{"a":1}`+"\n"))
	f.Fuzz(func(t *testing.T, path, key, value, header string, body []byte) {
		if strings.ContainsFunc(header, unicode.IsControl) {
			return // no client sends such a value
		}
		u := &url.URL{Scheme: "http", Host: "h", Path: "/" + path, RawQuery: url.Values{key: {value, "", value}}.Encode()}
		r, err := http.NewRequest("POST", u.String(), bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Any", header)
		now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		Sign(r, body, testKey, now)
		got := overTheWire(t, r)
		claim, err := Read(got, body, now)
		if err != nil {
			t.Fatal(err)
		}
		if !claim.Verify(testKey.Secret) {
			t.Fatalf("%s does not verify", u)
		}
		if claim.Verify(testKey.Secret + "x") {
			t.Fatalf("%s verifies with another key", u)
		}
		if changed, err := Read(got, append(bytes.Clone(body), 'x'), now); err == nil && changed.Verify(testKey.Secret) {
			t.Fatalf("%s verifies with another body", u)
		}
	})
}
