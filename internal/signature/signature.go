// Package signature signs HTTP requests with SDK-HMAC-SHA256 and checks such signatures, as the Huawei Cloud SDKs and API
// gateway do (API Request Signing Guide; the SDKs' own signers where the guide is silent). It knows no users and no storage.
//
// What is signed is the method, the path, the query, the headers that SignedHeaders names, and the body's hash. The verifier
// goes by that list, since clients differ in it: the Go SDK signs its own headers without Content-Type and Host, Terraform's
// client signs every header that was set so far.
package signature

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Algorithm is the Authorization header's first word.
const Algorithm = "SDK-HMAC-SHA256"

// The headers that a signature uses.
const (
	HeaderDate          = "X-Sdk-Date"
	HeaderContentHash   = "X-Sdk-Content-Sha256"
	headerAuthorization = "Authorization"

	// UnsignedPayload is what SDKs send as X-Sdk-Content-Sha256 when they leave the body out of the signature.
	UnsignedPayload = "UNSIGNED-PAYLOAD"

	dateFormat = "20060102T150405Z"
	dateName   = "x-sdk-date"
	hostName   = "host"
)

// Key is an access key.
type Key struct {
	ID     string // AK
	Secret string // SK
}

// LogValue keeps the secret out of logs.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.ID) }

// String keeps the secret out of messages.
func (k Key) String() string { return k.ID }

// Sign sets X-Sdk-Date and Authorization on a request that is otherwise complete: nothing of it may change afterwards. body is
// what will be sent, to the byte. Signed are the headers that are set, except those which the transport or a proxy may rewrite;
// Host is none of them, as with the SDKs, so that a proxy before the server may change it.
func Sign(r *http.Request, body []byte, key Key, now time.Time) {
	r.Header.Del(headerAuthorization)
	r.Header.Set(HeaderDate, now.UTC().Format(dateFormat))
	var names []string
	for name, values := range r.Header {
		if lower := strings.ToLower(name); signable(lower, values) {
			names = append(names, lower)
		}
	}
	slices.Sort(names)
	query, _ := canonicalQuery(r.URL.RawQuery) // a pair that does not parse is left out: the verifier refuses such a query
	path, _ := canonicalPath(r.URL.EscapedPath())
	headers, _ := canonicalHeaders(r, names)
	hash := r.Header.Get(HeaderContentHash)
	if hash == "" {
		hash = hashOf(body)
	}
	mac := sum(key.Secret, stringToSign(r.Header.Get(HeaderDate), method(r), path, query, headers, names, hash))
	r.Header.Set(headerAuthorization, Algorithm+" Access="+key.ID+", SignedHeaders="+strings.Join(names, ";")+", Signature="+hex.EncodeToString(mac))
}

// signable reports whether a header that is set can be counted on to arrive as it is: Go's transport drops an empty User-Agent,
// proxies drop names with an underscore, and the rest belong to one connection only.
func signable(lower string, values []string) bool {
	switch lower {
	case "accept-encoding", "connection", "content-length", "content-type", hostName, "keep-alive", "te", "trailer", "transfer-encoding", "upgrade":
		return false
	case "user-agent":
		return len(values) > 0 && strings.TrimSpace(values[0]) != ""
	}
	return len(values) > 0 && !strings.HasPrefix(lower, "proxy-") && !strings.Contains(lower, "_") && isToken(lower)
}

func method(r *http.Request) string {
	if r.Method == "" {
		return http.MethodGet // what http.Client sends then
	}
	return r.Method
}

func stringToSign(date, method, path, query, headers string, names []string, hash string) string {
	canonical := strings.Join([]string{method, path, query, headers, strings.Join(names, ";"), hash}, "\n")
	return Algorithm + "\n" + date + "\n" + hashOf([]byte(canonical))
}

func hashOf(data []byte) string {
	h := sha256.Sum256(data)
	return hex.EncodeToString(h[:])
}

func sum(secret, text string) []byte {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(text))
	return h.Sum(nil)
}
