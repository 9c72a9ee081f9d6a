package phone

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// The kinds of jobs of servers that are about the server's shared storage: files that all of its phones read and none of them writes. Each
// is done on the server's host, and no phone has a job of it. Those of one server are done one after the other.
const (
	KindSharePush   Kind = "share_push"
	KindShareDelete Kind = "share_delete"
	KindShareList   Kind = "share_list"
	KindAppPush     Kind = "app_push"
	KindAppDelete   Kind = "app_delete"
)

// ShareKinds lists the kinds of jobs about shared storages.
func ShareKinds() []Kind {
	return []Kind{KindSharePush, KindShareDelete, KindShareList, KindAppPush, KindAppDelete}
}

// Share reports whether a job of this kind is about a server's shared storage.
func (k Kind) Share() bool { return slices.Contains(ShareKinds(), k) }

// ShareTask is what jobs about shared storages have to do, besides the object and the package of their Task. Its paths are below the root of the
// shared storage and begin with a slash.
type ShareTask struct {
	Paths  []string `json:"paths,omitempty"`  // what a KindShareDelete deletes
	Path   string   `json:"path,omitempty"`   // the folder that a KindShareList lists
	Offset int      `json:"offset,omitempty"` // of its files, by name, so many are passed over
	Limit  int      `json:"limit,omitempty"`  // and at most so many are listed
}

// The limits of calls about shared storages.
const (
	MaxShareServers = 100 // servers of one call [CPH API PushShareApps]
	MaxShareFiles   = 50  // files of one listing [CPH API ListShareFiles]
	MaxSharePaths   = 100 // files of one deletion; the CPH API names no limit
	MaxShareTasks   = 100 // unfinished jobs about one shared storage
	maxSharePath    = 4096
	maxListPath     = 1024 // the CPH API names no limit
	maxPackageName  = 128
	maxObjectKey    = 1024
)

// AppsFolder is the folder of a shared storage that has the shared apps, each in a folder of its package's name. PushedFolders are those that
// other files are pushed into [CPH API PushShareFiles].
const AppsFolder = "apps"

// PushedFolders lists the folders below the root of a shared storage that files are pushed into.
func PushedFolders() []string { return []string{"data", "cache"} }

// AppFolder is the folder of a shared app below the root of the shared storage.
func AppFolder(name string) string { return AppsFolder + "/" + name }

var (
	shareKeyRule = regexp.MustCompile(`^[A-Za-z0-9._+#=-]+(/[A-Za-z0-9._+#=-]+)*$`) // [SDK model_push_share_files_request_body.go]
	deleteRule   = regexp.MustCompile(`^/[A-Za-z0-9./\-_ =]+$`)                     // [SDK model_delete_share_files_request_body.go]
	listRule     = regexp.MustCompile(`^/[A-Za-z0-9.+\-_/=]+$`)                     // [SDK model_list_share_files_request.go]
	packageRule  = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)+$`)  // [SDK model_delete_share_apps_request_body.go]
)

// ShareObject names the tar that is pushed into a shared storage, by its bucket and its path as the CPH API's fields have them. The error is
// Invalid, with ReasonBucketInvalid or ReasonObjectPathInvalid.
func ShareObject(bucket, key string) (Object, *Error) {
	bad := func(reason Reason, field, why string) (Object, *Error) {
		return Object{}, &Error{Code: Invalid, Reason: reason, Field: field, Msg: field + " " + why}
	}
	switch {
	case !ValidBucket(bucket):
		return bad(ReasonBucketInvalid, "bucket_name", "must be 3 to 63 lower-case letters, digits, hyphens and periods")
	case len(key) > maxObjectKey:
		return bad(ReasonObjectPathInvalid, "object_path", fmt.Sprintf("has more than %d bytes", maxObjectKey))
	case !shareKeyRule.MatchString(key):
		return bad(ReasonObjectPathInvalid, "object_path", "must be letters, digits and . - _ + # = between single slashes, and begin with none")
	case dotted(key):
		return bad(ReasonObjectPathInvalid, "object_path", "has . or .. in it")
	case !strings.HasSuffix(key, ".tar"):
		return bad(ReasonObjectPathInvalid, "object_path", "must end in .tar: only tar archives are pushed")
	}
	return Object{Bucket: bucket, Key: key}, nil
}

// dotted reports whether a part of a path is . or ..
func dotted(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if part == "." || part == ".." {
			return true
		}
	}
	return false
}

// CheckPackageName refuses what cannot be the name of a shared app: Invalid with ReasonPackageInvalid.
func CheckPackageName(name string) *Error {
	if len(name) > maxPackageName || !packageRule.MatchString(name) {
		return &Error{
			Code: Invalid, Reason: ReasonPackageInvalid, Field: "package_name",
			Msg: "package_name must be at most 128 letters, digits and _ in two words or more with single periods between them, and begin with a letter, as com.example.app does",
		}
	}
	return nil
}

// CheckSharePaths refuses what cannot be deleted from a shared storage: Invalid with ReasonFilePathsInvalid. Nobody deletes a whole folder that
// files are pushed into by leaving the rest of its path out, and shared apps have a call of their own.
func CheckSharePaths(paths []string) *Error {
	bad := func(format string, args ...any) *Error {
		return &Error{Code: Invalid, Reason: ReasonFilePathsInvalid, Field: "file_paths", Msg: "file_paths" + fmt.Sprintf(format, args...)}
	}
	if len(paths) == 0 {
		return bad(" is empty: name at least one path")
	}
	if len(paths) > MaxSharePaths {
		return bad(" has more than %d elements: send several calls", MaxSharePaths)
	}
	for i, p := range paths {
		folder, rest, _ := strings.Cut(strings.TrimPrefix(path.Clean(p), "/"), "/")
		switch {
		case len(p) > maxSharePath:
			return bad("[%d] has more than %d bytes", i, maxSharePath)
		case !deleteRule.MatchString(p):
			return bad("[%d] must begin with / and have letters, digits, spaces and . / - _ = alone", i)
		case dotted(p):
			return bad("[%d] has . or .. in it", i)
		case !slices.Contains(PushedFolders(), folder) || rest == "":
			return bad("[%d] must lead below /%s", i, strings.Join(PushedFolders(), " or /"))
		}
	}
	return nil
}

// CheckListPath refuses what cannot be listed of a shared storage: Invalid with ReasonPathInvalid.
func CheckListPath(name string) *Error {
	if len(name) > maxListPath || !listRule.MatchString(name) || strings.Contains(name, "//") || strings.Trim(name, "/") == "" || dotted(name) {
		return &Error{
			Code: Invalid, Reason: ReasonPathInvalid, Field: "path",
			Msg: "path must begin with / and go on, have letters, digits and . + - _ / = alone, no // and no part that is . or .., as /data/data",
		}
	}
	return nil
}

// CheckShareName says why a path in an archive cannot be a name in a shared storage, or "". Names are shown to callers, as they are.
func CheckShareName(name string) string {
	switch {
	case !utf8.ValidString(name):
		return "is no UTF-8"
	case strings.ContainsFunc(name, unicode.IsControl):
		return "has a control character in it"
	case strings.HasPrefix(name, "/"):
		return "is absolute: make the archive with names that begin with no slash"
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "has .. in it"
		}
		if len(part) > 255 {
			return "has a part of more than 255 bytes"
		}
	}
	return ""
}

// ShareListing is one page of what a folder of a shared storage has.
type ShareListing struct {
	Path   string      `json:"path"`
	Total  int         `json:"total"`  // files and folders in the folder
	Offset int         `json:"offset"` // so many were passed over
	Files  []ShareFile `json:"files"`  // in the order of their names
}

// ShareFile is one file or folder of a shared storage.
type ShareFile struct {
	Name string `json:"name"`
	// Type is file, folder or link.
	Type       string    `json:"type"`
	Size       int64     `json:"size"` // bytes, of a file
	ModifiedAt time.Time `json:"modified_at"`
}

// ErasedShare is the shared storage of a server, destroyed and then not found.
type ErasedShare struct {
	Name  string `json:"name"` // the host's name of it
	Files int64  `json:"files"`
	Bytes int64  `json:"bytes"`
	// Partial: an attempt to destroy it ended early, and what that destroyed is not counted.
	Partial bool `json:"partial,omitempty"`
}

// ShareErasure is an ErasedShare before its time: while an attempt is under way it is Partial.
type ShareErasure struct {
	ErasedShare
	BegunAt time.Time `json:"begun_at"` // when the first attempt of the deletion began
}

// Begin gives what is saved before an attempt at destroying the storage of this name. e is what is known of those before; nil: there were none.
func (e *ShareErasure) Begin(name string, now time.Time) ShareErasure {
	next := ShareErasure{ErasedShare: ErasedShare{Name: name, Partial: true}, BegunAt: now}
	if e != nil {
		next.Files, next.Bytes = e.Files, e.Bytes
		if e.Partial && !e.BegunAt.IsZero() {
			next.BegunAt = e.BegunAt
		}
	}
	return next
}

// End gives what is saved after an attempt that succeeded: whole says that no other has ended early. erased is nil where the storage was gone.
func (e ShareErasure) End(erased *ErasedShare, whole bool) ShareErasure {
	if erased == nil {
		return e
	}
	e.Files, e.Bytes, e.Partial = e.Files+erased.Files, e.Bytes+erased.Bytes, !whole
	return e
}

// ServerTask is a job about a server's shared storage that a worker has claimed.
type ServerTask struct {
	Job    ServerJob
	Server Server
	Task   Task
	Fence  Fence
	Away   time.Time // when its host did not answer for the first time; zero while that has not happened
}

// ShareEnd is how a job about a shared storage ended: Failure is nil when it succeeded.
type ShareEnd struct {
	Output  string        // in one sentence
	Listing *ShareListing // in place of it, of a KindShareList
	Failure *Failure
}

// DecideShareTask decides, in the order of the ids, on which servers something is done with the shared storage. servers holds the project's own by
// id; waiting is how many such jobs each has unfinished; lacks says why a server has no shared storage. What else is done with a server
// meanwhile is in nobody's way, as long as the server is there and stays. accepted has the places of the accepted ones.
func DecideShareTask(ids []string, servers map[ServerID]Server, waiting map[ServerID]int, lacks map[ServerID]*Error) (accepted []int, outcomes []ServerOutcome) {
	outcomes = make([]ServerOutcome, len(ids))
	seen := make(map[ServerID]bool, len(ids))
	for i, text := range ids {
		id := ServerID(text)
		outcomes[i].ServerID = text
		server, known := servers[id]
		err := refuseShareTask(id, server, known, seen[id], waiting[id])
		if err == nil {
			err = lacks[id]
		}
		if seen[id] = true; err != nil {
			outcomes[i].Err = err
		} else {
			accepted = append(accepted, i)
		}
	}
	return accepted, outcomes
}

func refuseShareTask(id ServerID, server Server, known, seen bool, waiting int) *Error {
	if server.Doing != KindDelete && server.Doing != KindCreate {
		server.Doing = ""
	}
	if err := refuseServer(id, ServerTarget{Server: server}, known, seen); err != nil {
		return err
	}
	if waiting >= MaxShareTasks {
		return Errorf(Precondition, ReasonServerBusy, "the server's shared storage has %d unfinished jobs: wait until one has ended", waiting)
	}
	return nil
}
