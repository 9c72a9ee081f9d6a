package signature

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// canonicalPath decodes and encodes each part of the path as it was sent: "%2F" within a part stays one, and every client's
// way to encode the rest comes out alike. A slash ends it always.
func canonicalPath(escaped string) (string, error) {
	parts := strings.Split(escaped, "/")
	for i, part := range parts {
		decoded, err := url.PathUnescape(part)
		if err != nil {
			return "", fmt.Errorf("%w: the path has a wrong percent encoding", ErrTarget)
		}
		parts[i] = escape(decoded)
	}
	path := strings.Join(parts, "/")
	if !strings.HasSuffix(path, "/") {
		path += "/"
	}
	return path, nil
}

// canonicalQuery sorts keys and each key's values before it encodes them. With the error it gives what could be read.
func canonicalQuery(raw string) (string, error) {
	values, err := url.ParseQuery(raw)
	keys := make([]string, 0, len(values))
	for key := range values {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	var pairs []string
	for _, key := range keys {
		for _, value := range slices.Sorted(slices.Values(values[key])) {
			pairs = append(pairs, escape(key)+"="+escape(value))
		}
	}
	if err != nil {
		err = fmt.Errorf("%w: the query has a wrong percent encoding or a semicolon", ErrTarget)
	}
	return strings.Join(pairs, "&"), err
}

// canonicalHeaders gives one line for each value of each header, in the list's order. With the error, which names the first
// header that the request does not have, it gives what it found.
func canonicalHeaders(r *http.Request, names []string) (string, error) {
	var b strings.Builder
	var missing error
	for _, name := range names {
		values := r.Header.Values(name)
		if name == hostName {
			values = []string{r.Host}
		}
		if len(values) == 0 && missing == nil {
			missing = fmt.Errorf("%w: SignedHeaders names %s, which the request does not have", ErrHeader, name)
		}
		trimmed := make([]string, len(values)) // trimmed before they are sorted, since the wire trims them too
		for i, value := range values {
			trimmed[i] = strings.TrimSpace(value)
		}
		slices.Sort(trimmed)
		for _, value := range trimmed {
			b.WriteString(name + ":" + value + "\n")
		}
	}
	return b.String(), missing
}

// escape percent-encodes every byte but RFC 3986's unreserved ones; url.QueryEscape would make a space a plus.
func escape(s string) string {
	const upperHex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; unreserved(c) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', upperHex[c>>4], upperHex[c&15]})
		}
	}
	return b.String()
}

func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-_.~", c) >= 0
}

// isToken reports whether a name in lower case can be a header's (RFC 9110, token).
func isToken(lower string) bool {
	return lower != "" && !strings.ContainsFunc(lower, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}
