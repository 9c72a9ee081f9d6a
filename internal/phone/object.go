package phone

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Object names a file in a bucket of the installation's object stores.
type Object struct {
	Bucket string `json:"bucket"`
	Key    string `json:"key"`
}

// String is the object as the CPH API writes it.
func (o Object) String() string { return objectScheme + o.Bucket + "/" + o.Key }

// ObjectInfo is an object in a list of its bucket.
type ObjectInfo struct {
	Key       string
	Size      int64 // bytes
	UpdatedAt time.Time
}

// Bucket is a place for objects, which belongs to one project. Its name is the installation's.
type Bucket struct {
	ID        string // "" of one that stands in the configuration
	Name      string
	Project   ProjectID
	ReadOnly  bool
	CreatedAt time.Time // zero of one that stands in the configuration
}

const (
	objectScheme = "obs://"
	maxObject    = 1024 // bytes of an object's name with its bucket [CPH API], and of its name alone [OBS, S3]
	maxKeyPart   = 255  // bytes of one part of it: more than that no file system takes
)

var (
	bucketRule = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`) // as OBS and S3 have it
	// keyRule is what PushFile takes and what BatchExportCloudPhoneData does [CPH API model_push_file_request_body.go, model_storage_info.go].
	keyRule = regexp.MustCompile(`^[A-Za-z0-9_.:+#=-]+$`)
)

// ValidBucket reports whether name is one that a bucket may have: 3 to 63 lower-case letters, digits, - and .
func ValidBucket(name string) bool { return bucketRule.MatchString(name) }

// CheckKey says what is wrong with an object's name: it has parts with slashes between them, each of letters, digits and _ . : + # = -, and none is
// . or .. or empty. So it never leads out of a folder.
func CheckKey(key string) *Error {
	bad := func(why string) *Error {
		return &Error{Code: Invalid, Reason: ReasonObjectInvalid, Field: "key", Msg: "the object's name " + why}
	}
	switch {
	case key == "":
		return bad("is empty")
	case len(key) > maxObject:
		return bad("has more than 1024 bytes")
	case key[0] == '/':
		return bad("begins with /: leave that out")
	}
	for part := range strings.SplitSeq(key, "/") {
		switch {
		case part == "":
			return bad("has an empty part: write one slash between two parts, and none at the end")
		case part == "." || part == "..":
			return bad("has . or .. in it")
		case len(part) > maxKeyPart:
			return bad("has a part of more than 255 bytes")
		case !keyRule.MatchString(part):
			return bad("has a character that is not taken: write letters, digits and _ . : + # = -")
		}
	}
	return nil
}

// NewObject names an object by its bucket and key, which it checks.
func NewObject(bucket, key string) (Object, *Error) {
	if !ValidBucket(bucket) {
		return Object{}, &Error{
			Code: Invalid, Reason: ReasonObjectInvalid, Field: "bucket_name", Msg: "a bucket's name has 3 to 63 lower-case letters, digits, - and ., and begins and ends with a letter or a digit",
		}
	}
	if err := CheckKey(key); err != nil {
		return Object{}, err
	}
	return Object{Bucket: bucket, Key: key}, nil
}

// ParseObject reads obs://BUCKET/PATH, where the path is as CheckKey has it.
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
	case CheckKey(key) != nil:
		return bad("has an empty part, . or .. or a character that is not taken in its path")
	}
	return Object{Bucket: bucket, Key: key}, nil
}

// ChecksumSuffix ends the name of the object that has the checksum of another one.
const ChecksumSuffix = ".sha256"

// Checksum is the object that has this one's checksum.
func (o Object) Checksum() Object { return Object{Bucket: o.Bucket, Key: o.Key + ChecksumSuffix} }

// CheckExport says why an object cannot be what an export writes: its checksum must have a name too.
func (o Object) CheckExport() *Error {
	if strings.HasSuffix(o.Key, ChecksumSuffix) {
		return &Error{Code: Invalid, Reason: ReasonObjectInvalid, Field: "object_path", Msg: "the object's name ends in .sha256, as those of checksums do: choose another"}
	}
	if CheckKey(o.Checksum().Key) != nil {
		return &Error{
			Code: Invalid, Reason: ReasonObjectInvalid, Field: "object_path", Msg: "the object's name is too long: with the 7 bytes of .sha256 it has at most 1024, and its last part 255",
		}
	}
	return nil
}

// The limits of what is sent into phones [CPH API, PushFile and InstallApk].
const (
	MaxPush = 6 << 30 // bytes of a tar
	MaxAPK  = 2 << 30 // bytes of a package
	MaxAPKs = 50      // packages of one app
)

// The limits of buckets and of what is exported to them, which the CPH API does not name.
const (
	MaxObject    = 64 << 30 // bytes of an object
	MaxBuckets   = 100      // of one project, besides those of the configuration
	MaxDataPaths = 1000     // that an export includes, and as many that it excludes
	maxDataPath  = 4096     // bytes of each [CPH API model_storage_info.go]
)

// dataPathRule is of the path without its last *.
var dataPathRule = regexp.MustCompile(`^/(data|cache)(/[A-Za-z0-9._+#~=-]+)*$`)

// ValidDataPath reports whether a path is one that an export can include or exclude: absolute, /data or /cache or below them, of letters, digits
// and . _ + # ~ = -, without . or .. among its parts, and with at most one *, which is its last character. It stands for itself and all that is below
// it; with a * for everything in its folder that begins so.
func ValidDataPath(text string) bool {
	if len(text) > maxDataPath {
		return false
	}
	plain := DataPath(text)
	if strings.HasSuffix(text, "/*") {
		plain = strings.TrimSuffix(text, "/*")
	}
	for part := range strings.SplitSeq(plain, "/") {
		if part == "." || part == ".." {
			return false
		}
	}
	return dataPathRule.MatchString(plain) && (!strings.HasSuffix(text, "*") || strings.Count(text, "/") > 1)
}

// DataPath is a path without the slash or the * at its end.
func DataPath(text string) string {
	if starless, starred := strings.CutSuffix(text, "*"); starred {
		return starless
	}
	if len(text) > 1 {
		return strings.TrimSuffix(text, "/")
	}
	return text
}

// UnderDataPath reports whether name, absolute and clean, is what the path stands for, or below it.
func UnderDataPath(text, name string) bool {
	plain := DataPath(text)
	if strings.HasSuffix(text, "*") {
		return strings.HasPrefix(name, plain)
	}
	return name == plain || strings.HasPrefix(name, plain+"/")
}
