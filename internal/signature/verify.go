package signature

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// MaxSkew is how far X-Sdk-Date may be from the server's clock, either way (API Gateway FAQ: 15 minutes).
const MaxSkew = 15 * time.Minute

// What can be wrong with a signed request before any key is looked up. None depends on the key, and the texts are safe to show.
var (
	ErrScheme   = errors.New("the Authorization header does not begin with " + Algorithm)
	ErrSyntax   = errors.New("the Authorization header is malformed")
	ErrDate     = errors.New("X-Sdk-Date is missing or malformed")
	ErrSkew     = errors.New("the signature has expired or is not yet valid")
	ErrHeader   = errors.New("a header that must be signed is not there")
	ErrBodyHash = errors.New("X-Sdk-Content-Sha256 is not the hash of the body")
	ErrUnsigned = errors.New("the body is not signed")
	ErrTarget   = errors.New("the request's target cannot be read")
)

const (
	maxSignedHeaders = 128
	maxAccessKey     = 128
)

// Authorization is an Authorization header taken apart.
type Authorization struct {
	AccessKey     string
	SignedHeaders []string // lower case, each once, in the header's order
	Signature     [32]byte
}

// ParseAuthorization reads "SDK-HMAC-SHA256 Access=AK, SignedHeaders=a;b, Signature=hex". The three may come in any order, each
// must be there once, and nothing else. The error is ErrScheme or ErrSyntax.
func ParseAuthorization(value string) (Authorization, error) {
	scheme, rest, _ := strings.Cut(value, " ")
	if scheme != Algorithm {
		return Authorization{}, ErrScheme
	}
	var a Authorization
	fields := strings.Split(rest, ",")
	if len(fields) != 3 {
		return Authorization{}, fmt.Errorf("%w: it must have Access, SignedHeaders and Signature", ErrSyntax)
	}
	seen := map[string]bool{}
	for _, field := range fields {
		name, value, _ := strings.Cut(strings.Trim(field, " \t"), "=")
		if seen[name] {
			return Authorization{}, fmt.Errorf("%w: it must have each of Access, SignedHeaders and Signature once", ErrSyntax)
		}
		seen[name] = true
		var ok bool
		switch name {
		case "Access":
			a.AccessKey, ok = value, validAccessKey(value)
		case "SignedHeaders":
			a.SignedHeaders, ok = signedHeaders(value)
		case "Signature":
			ok = decodeSignature(&a.Signature, value)
		default:
			name = "an unknown field" // not repeated: it could be anything, a secret key in the wrong place too
		}
		if !ok {
			return Authorization{}, fmt.Errorf("%w: %s cannot be read", ErrSyntax, name)
		}
	}
	return a, nil
}

func validAccessKey(id string) bool {
	return id != "" && len(id) <= maxAccessKey && !strings.ContainsFunc(id, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
}

func signedHeaders(value string) ([]string, bool) {
	names := strings.Split(value, ";")
	if len(names) > maxSignedHeaders {
		return nil, false
	}
	for i, name := range names {
		if !isToken(name) || slices.Contains(names[:i], name) {
			return nil, false
		}
	}
	return names, true
}

func decodeSignature(to *[32]byte, value string) bool {
	if len(value) != hex.EncodedLen(len(to)) {
		return false
	}
	_, err := hex.Decode(to[:], []byte(value))
	return err == nil
}

// Claim is what a request says of itself: who signed it, when, and over what. Whether that is true, Verify says.
type Claim struct {
	Authorization
	Date         time.Time
	ContentHash  string // SHA-256 of the body in hex that was signed, or UnsignedPayload
	stringToSign string
}

// Read takes a request as it arrived (its URL, headers and Host unchanged) with its whole body, and checks everything that can
// be checked without the key: X-Sdk-Date is signed and within MaxSkew of now, each signed header is there, and the body is what
// was hashed. The error is one of this package's.
func Read(r *http.Request, body []byte, now time.Time) (Claim, error) {
	return read(r, now, func() (string, error) { return contentHash(r, body) })
}

// ReadHead is Read for a request whose body comes later and is too big to be held: X-Sdk-Content-Sha256 must name its hash, which is signed with
// everything else. Whoever reads the body compares it with the claim's.
func ReadHead(r *http.Request, now time.Time) (Claim, error) {
	return read(r, now, func() (string, error) {
		named, err := one(r, HeaderContentHash, ErrBodyHash)
		if err != nil {
			return "", err
		}
		if decoded, err := hex.DecodeString(named); err != nil || len(decoded) != sha256.Size || strings.ToLower(named) != named {
			return "", fmt.Errorf("%w: send the body's SHA-256 in lower-case hex", ErrUnsigned)
		}
		return named, nil
	})
}

func read(r *http.Request, now time.Time, contentHash func() (string, error)) (Claim, error) {
	authorization, err := one(r, headerAuthorization, ErrSyntax)
	if err != nil {
		return Claim{}, err
	}
	a, err := ParseAuthorization(authorization)
	if err != nil {
		return Claim{}, err
	}
	date, err := one(r, HeaderDate, ErrDate)
	if err != nil {
		return Claim{}, err
	}
	at, err := time.Parse(dateFormat, date)
	if err != nil || at.Format(dateFormat) != date { // time.Parse would take a fraction of a second that the format lacks
		return Claim{}, fmt.Errorf("%w: it must be UTC like %s", ErrDate, dateFormat)
	}
	if !slices.Contains(a.SignedHeaders, dateName) {
		return Claim{}, fmt.Errorf("%w: SignedHeaders must name %s", ErrHeader, dateName)
	}
	if skew := now.Sub(at); skew > MaxSkew || skew < -MaxSkew {
		return Claim{}, fmt.Errorf("%w: X-Sdk-Date is %s, the server's time is %s, and they may differ by 15 minutes at most: set the clock",
			ErrSkew, date, now.UTC().Format(dateFormat))
	}
	hash, err := contentHash()
	if err != nil {
		return Claim{}, err
	}
	path, err := canonicalPath(r.URL.EscapedPath())
	if err != nil {
		return Claim{}, err
	}
	query, err := canonicalQuery(r.URL.RawQuery)
	if err != nil {
		return Claim{}, err
	}
	headers, err := canonicalHeaders(r, a.SignedHeaders)
	if err != nil {
		return Claim{}, err
	}
	return Claim{
		Authorization: a, Date: at, ContentHash: hash,
		stringToSign: stringToSign(date, method(r), path, query, headers, a.SignedHeaders, hash),
	}, nil
}

// Verify reports whether the claim was signed with this secret key, comparing in constant time. An empty secret signs nothing.
func (c Claim) Verify(secret string) bool {
	return hmac.Equal(sum(secret, c.stringToSign), c.Signature[:]) && secret != "" && c.stringToSign != ""
}

// contentHash gives the hash that was signed. A client that names one must name the body's own. UNSIGNED-PAYLOAD is taken only
// where it leaves nothing unsigned, for a request without a body that does not call itself JSON: everything lethe takes in a body
// is JSON, whatever Content-Type says, and an unsigned one could be exchanged on its way.
func contentHash(r *http.Request, body []byte) (string, error) {
	hash := hashOf(body)
	if _, given := r.Header[HeaderContentHash]; !given {
		return hash, nil
	}
	named, err := one(r, HeaderContentHash, ErrBodyHash)
	switch {
	case err != nil:
		return "", err
	case named == UnsignedPayload && (len(body) > 0 || strings.Contains(strings.ToLower(r.Header.Get("Content-Type")), "json")):
		return "", fmt.Errorf("%w: %s is not taken, send the body's SHA-256 in hex or leave %s out", ErrUnsigned, UnsignedPayload, HeaderContentHash)
	case named != hash && named != UnsignedPayload:
		return "", ErrBodyHash
	}
	return named, nil
}

// one gives a header's only value: of two, nobody could say which one was meant, and a proxy may choose the other.
func one(r *http.Request, name string, wrong error) (string, error) {
	values := r.Header.Values(name)
	if len(values) != 1 {
		return "", fmt.Errorf("%w: %s must be there once, not %d times", wrong, name, len(values))
	}
	return values[0], nil
}
