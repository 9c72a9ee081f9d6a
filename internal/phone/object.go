package phone

import (
	"fmt"
	"regexp"
	"strings"
)

// Object names a file in a bucket of the installation's object stores.
type Object struct {
	Bucket string `json:"bucket"`
	Key    string `json:"key"`
}

// String is the object as the CPH API writes it.
func (o Object) String() string { return objectScheme + o.Bucket + "/" + o.Key }

const (
	objectScheme = "obs://"
	maxObject    = 1024 // bytes of an object's name with its bucket [CPH API]
)

var (
	bucketRule = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)     // as OBS and S3 have it
	keyRule    = regexp.MustCompile(`^[A-Za-z0-9_.:-]+(/[A-Za-z0-9_.:-]+)*$`) // [CPH API model_push_file_request_body.go]
)

// ValidBucket reports whether name is one that a bucket may have: 3 to 63 lower-case letters, digits, - and .
func ValidBucket(name string) bool { return bucketRule.MatchString(name) }

// ParseObject reads obs://BUCKET/PATH: the path has letters, digits and _ . : - between its slashes, and no part of it is . or ..
func ParseObject(text string) (Object, *Error) {
	bad := func(why string) (Object, *Error) {
		return Object{}, &Error{Code: Invalid, Reason: ReasonContentInvalid, Field: "content", Msg: fmt.Sprintf("the object %s: write obs://BUCKET/PATH", why)}
	}
	if len(text) > maxObject {
		return bad("has a name of more than 1024 bytes")
	}
	rest, ok := strings.CutPrefix(text, objectScheme)
	bucket, key, named := strings.Cut(rest, "/")
	switch {
	case !ok || !named:
		return bad("does not begin with obs:// and a bucket")
	case !ValidBucket(bucket):
		return bad("names no bucket")
	case !keyRule.MatchString(key):
		return bad("has an empty part or a character that is not taken in its path")
	}
	for part := range strings.SplitSeq(key, "/") {
		if part == "." || part == ".." {
			return bad("has . or .. in its path")
		}
	}
	return Object{Bucket: bucket, Key: key}, nil
}

// The limits of what is sent into phones [CPH API, PushFile and InstallApk].
const (
	MaxPush = 6 << 30 // bytes of a tar
	MaxAPK  = 2 << 30 // bytes of a package
	MaxAPKs = 50      // packages of one app
)
