// Package driver is the contract between lethe and the hosts that run phones. A Driver serves one server (one machine or
// namespace); it is stateless and idempotent: the truth is the database and the host, so any number of processes may drive
// the same host, and a call that was made but whose answer was lost is a normal case.
package driver

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// Driver runs phones on one host. Every method is safe for concurrent use, watches ctx while it waits, and returns errors as
// *phone.Error: Unavailable (the host does not answer: retry), NotFound, Conflict, Invalid (final), Unsupported, Internal.
// When ctx ends, the error is Unavailable and wraps ctx.Err(): what the host did of the call is not known.
// It touches only objects that carry this installation's label; all others do not exist for it, whatever their name, except
// that Ensure refuses a name that one of them has.
type Driver interface {
	// Info asks the host who it is. An error means that it does not answer.
	Info(ctx context.Context) (Info, error)

	// Prepare brings the image to the host, if it is not there, and says what it resolved to. Twice is the same as once.
	// An image that cannot be had is NotFound with ReasonImageNotFound.
	Prepare(ctx context.Context, image phone.Image) (phone.ImageIdentity, error)

	// Ensure makes the instance and its fresh, empty volume, not started. Twice with one Spec is one instance. It refuses with
	// ReasonHigherGeneration while an instance or volume of a higher generation of the phone exists, with Conflict and
	// ReasonForeignObject when the name is taken by something that is not ours, with Conflict when the volume belongs to another
	// job, and with NotFound and ReasonImageNotFound when the prepared image is no longer there. A volume that the same job has
	// already made is kept as it is. Properties that the driver's PropertyRules.Check refuses are refused here too, with the
	// same error and before anything is touched.
	Ensure(ctx context.Context, spec Spec) (Instance, error)

	// Remake makes the instance of a life that has a volume anew, not started: from another image, or with other properties of those that
	// take effect at creation. Generation, names, adb port and data stay; spec.Job is the job that asks, not the one whose volume it is.
	// It never makes and never destroys a volume: without the life's own it is NotFound with ReasonVolumeGone, and nothing was touched.
	// An instance that is made of what spec says (Instance.Made) is left alone, whether it runs or not. Any other one that runs is
	// Precondition and goes on: who asks stops it first, and a call that comes late ends nobody's phone. Twice with one Spec is one
	// instance, also where the first call ended between removing the old one and making the new one. ReasonHigherGeneration,
	// ReasonForeignObject, ReasonImageNotFound and refused properties are as in Ensure.
	Remake(ctx context.Context, spec Spec) (Instance, error)

	// Start starts the instance; one that runs already is left alone, an absent one is NotFound. Whether it has booted is
	// Inspect's to say.
	Start(ctx context.Context, ref Ref) error

	// Stop stops the instance at once; instance and volume stay, and what they hold of the host (an adb port) is free for another
	// life of the phone, until Start. One that is stopped or absent is left alone.
	Stop(ctx context.Context, ref Ref) error

	// Remove removes the instance, by force; its volume stays. One that is absent is a success.
	Remove(ctx context.Context, ref Ref) error

	// Erase destroys the volumes of all generations of the phone lower than below, then looks for them on the host. It returns
	// no error only when none is left; else the error has ReasonEraseFailed (or is Unavailable), LookedFor is zero and no
	// volume that is left counts as Gone. A volume that an instance still uses is removed with that instance. None to destroy
	// is a success.
	Erase(ctx context.Context, id phone.ID, below phone.Generation) (Erasure, error)

	// Discard destroys exactly one life, instance and volume, then looks for both: a later life that failed, while the phone goes on
	// with an earlier one. All others stay as they are, running or not. It returns no error only when nothing of the life is left; else
	// the error is as Erase has it. None to destroy is a success.
	Discard(ctx context.Context, ref Ref) error

	// Inspect tells how the instance is. An absent one is NotFound.
	Inspect(ctx context.Context, ref Ref) (Instance, error)

	// Exec runs one command inside the running instance and waits for it; how it ended is in the Result. An absent instance is
	// NotFound, one that does not run is Precondition. When ctx ends, the program may go on inside the phone; what ends it for
	// certain is the command's TimeLimit.
	Exec(ctx context.Context, ref Ref, command Command) (Result, error)

	// List gives every instance and volume that carries this installation's label, of this server, and its shared storage.
	List(ctx context.Context) ([]Object, error)
}

// Creator is implemented by drivers whose hosts do not exist before lethe makes them.
type Creator interface {
	// Create makes the host. It is called once, when the server is added, and never by another method: a host that was lost
	// must not come back empty. One that is there already is left as it is.
	Create(ctx context.Context) error
}

// Measurer is implemented by drivers that can say how much room volumes take. Its name in Info.Capabilities is CapabilitySpace.
type Measurer interface {
	// Space says how many bytes the life's volume takes and how many are free where a new one would lie. It changes nothing. A volume
	// that is not there is NotFound.
	Space(ctx context.Context, ref Ref) (phone.Space, error)
}

// KeySetter is implemented by drivers that can say anew whose adb a phone lets in. Its name in Info.Capabilities is CapabilityADBKeys.
type KeySetter interface {
	// SetADBKeys makes keys the public keys, beside those of the server's template, whose holders the instance's adb lets in: what Ensure and
	// Remake do with Spec.ADBKeys. Who is connected stays so; the next one that connects is asked for one of these keys. Each is a line as
	// in ~/.android/adbkey.pub; one that is none is Invalid, and nothing was changed. An absent instance is NotFound. Twice is the
	// same as once, and the instance may run or not.
	SetADBKeys(ctx context.Context, ref Ref, keys []string) error
}

// The capabilities: of a Measurer, and of a KeySetter.
const (
	CapabilitySpace   = "space"
	CapabilityADBKeys = "adb_keys"
)

// Unpacker is implemented by drivers that can put files into a phone. Its name in Info.Capabilities is CapabilityFiles.
type Unpacker interface {
	// Unpack unpacks a tar in the running instance: its names are below the phone's root directory. What is there is replaced, a folder
	// that is there stays. The archive is read as it comes, and is never in memory as a whole. Whoever gives it has seen to it that no name leads
	// out of the root directory; a driver must not follow one that does, nor a link in the phone that does. A link that is in the place of a folder
	// or a file of the archive is not followed at all: the folder is refused as below, the file takes its place. An archive that the phone
	// cannot hold is Invalid with ReasonFileInvalid, an absent instance NotFound, one that does not run Precondition; an error of the
	// archive's own reader is given as it is, and no room is Precondition with ReasonNoSpace. What was unpacked before an error stays.
	Unpack(ctx context.Context, ref Ref, archive io.Reader) error
}

// CapabilityFiles is the capability of an Unpacker.
const CapabilityFiles = "files"

// Packer is implemented by drivers that can read the files of a phone. Its name in Info.Capabilities is CapabilityExport.
type Packer interface {
	// Pack gives what is at an absolute path in the running instance to each, entry by entry: first the folders above it from the top on, then
	// itself, then all that is below it, a folder before what is in it. Names are as in an archive of the phone's root directory (data/app/,
	// with a slash at the end of a folder's), owner, mode, times and links as they are in the phone; a file's content is what each reads. Sockets and
	// devices may be given, as tar has them, or not. No link is followed: one is given as a link, and what would be behind one is not there. What is not
	// there gives nothing beyond the folders above it that are there; a Sharer's SharePath, and what is below it, is not there either. The first
	// error of each ends it, and is given as it is. A file that becomes shorter while it is read may be Internal with ReasonHostFailed. An absent
	// instance is NotFound, one that does not run Precondition.
	Pack(ctx context.Context, ref Ref, path string, each func(*tar.Header, io.Reader) error) error
}

// CapabilityExport is the capability of a Packer.
const CapabilityExport = "export"

// Sharer is implemented by drivers whose servers can have a shared storage: files that all phones of the server read and none of them writes,
// in a folder of the host that no reset touches. Its name in Info.Capabilities is CapabilityShare, where the server's settings give it one. Two
// calls at once leave what each of them may have left; whoever calls sees to the order. Paths are below the storage's root.
type Sharer interface {
	// SharePath is where the server's phones see the shared storage, or "" when its settings give it none: then PushShared, RemoveShared and
	// ListShared are Precondition with ReasonNoShare. It asks no host.
	SharePath() string

	// PushShared unpacks a tar in the shared storage, which it makes if it is not there: see Unpacker for what is replaced, for links, and for
	// the errors. Whoever gives it has seen to it that there is no symbolic link in it, and that each folder comes before what is in it.
	PushShared(ctx context.Context, archive io.Reader) error

	// RemoveShared removes files, and folders with all that is in them, and says how many of the paths led to something. Nothing to remove is a
	// success. No symbolic link is followed: one is removed itself, and what lies behind one is not there.
	RemoveShared(ctx context.Context, paths []string) (removed int, err error)

	// ListShared gives the files of a folder in the order of their names, limit of them after offset, and how many there are. NotFound with
	// ReasonPathInvalid: it is not there, or is no folder, or is a symbolic link or behind one.
	ListShared(ctx context.Context, folder string, offset, limit int) (phone.ShareListing, error)

	// EraseShare destroys the shared storage, whatever the server's settings are now, and then looks for it on the host. It returns no error
	// only when it is gone; else the error is as Erase has it. nil: there was none. What an instance still uses is not destroyed.
	EraseShare(ctx context.Context) (*phone.ErasedShare, error)
}

// CapabilityShare is the capability of a Sharer whose server has a shared storage.
const CapabilityShare = "share"

// CheckSharePath says why no shared storage can be seen at a path of a phone, or "". Where Android mounts something itself at its start
// it would be covered, or cover what Android needs.
func CheckSharePath(name string) string {
	clean := path.Clean(name)
	first, _, _ := strings.Cut(strings.TrimPrefix(clean, "/"), "/")
	switch {
	case !path.IsAbs(name) || clean != name:
		return "must be an absolute path without . and .. and with single slashes, such as /data/share"
	case len(name) > 255 || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"'\,:`, r) }):
		return "must have at most 255 characters, and none but letters, digits and common signs"
	case clean == "/" || clean == "/data":
		return "must be a folder of its own, such as /data/share: it would hide the phone's"
	case slices.Contains([]string{"acct", "apex", "bin", "config", "d", "dev", "etc", "init", "linkerconfig", "metadata", "mnt", "odm", "proc", "product", "sbin", "sdcard", "storage", "sys", "system", "system_ext", "vendor"}, first):
		return "is where Android has files of its own: choose another, such as /data/share"
	}
	return ""
}

// ErrNoShare is the error of a server whose settings give it no shared storage.
func ErrNoShare() *phone.Error {
	return phone.Errorf(phone.Precondition, phone.ReasonNoShare,
		"the server has no shared storage: an operator gives it one when the server is added, with share_path = \"/data/share\" in its template")
}

// Info is what a host says of itself.
type Info struct {
	Driver       string   `json:"driver"`
	Version      string   `json:"version"`
	Architecture string   `json:"architecture"` // as GOARCH has it
	Capabilities []string `json:"capabilities"` // names of the optional interfaces that work here
}

// Ref names one life of one phone.
type Ref struct {
	Phone      phone.ID
	Generation phone.Generation
}

// Spec is everything that makes an instance what it is.
type Spec struct {
	Ref
	Job        phone.JobID // whose volume it is
	Name       string      // the phone's name, for people
	Project    phone.ProjectID
	Image      phone.Image
	Identity   phone.ImageIdentity // what Prepare said: the instance boots exactly this
	Properties phone.Properties
	ADBPort    int      // fixed host port
	ADBKeys    []string // public keys that adb lets in besides those of the server's template; see KeySetter
}

// Instance is one life as the host sees it.
type Instance struct {
	Ref
	Name     string // the host's name of it
	Running  bool
	Booted   bool
	ExitCode int    // meaningful when it was started and is not Running
	Exited   bool   // was started and has ended
	Log      string // its last lines when it has ended, at most 2 KiB
	Identity phone.ImageIdentity
	// Made is PropertyRules.Made of the Spec that it was made from: whoever wants to know whether it is what a phone should be compares
	// the two. "" when the instance does not say.
	Made    string
	Volume  string // "" when Inspect did not find it
	Address string // host:port at which adb answers, as operators reach it
	// Waiting says, for people, what has not been seen yet while it runs and is not Booted: "the adb port does not answer".
	Waiting string
	// CheckAfter is when it is worth looking again while it boots; 0 means that the driver has no idea.
	CheckAfter time.Duration
}

// Erasure is what Erase did and saw.
type Erasure struct {
	Volumes   []phone.ErasedVolume
	LookedFor time.Time // when the host was searched and had none left
}

// Command is one program to run inside a phone.
type Command struct {
	Args  []string
	Stdin []byte
	// MaxOutput bounds stdout and stderr each, in bytes; 0 means 64 KiB. What is beyond is dropped and Result.Truncated set.
	MaxOutput int
	// TimeLimit is after how long the program and everything that it has started is killed inside the phone, by the phone itself:
	// also when nobody waits any more. 0 means never. What has left the program's process group, as a daemon does, goes on.
	TimeLimit time.Duration
}

// Result is how a command ended.
type Result struct {
	ExitCode  int
	Stdout    []byte
	Stderr    []byte
	Truncated bool
	Expired   bool // the TimeLimit ended it; the outputs are what it had written by then
}

// ObjectKind is what kind of thing on a host an Object is.
type ObjectKind string

// The kinds of objects.
const (
	ObjectInstance ObjectKind = "instance"
	ObjectVolume   ObjectKind = "volume"
	ObjectShare    ObjectKind = "share" // the server's shared storage, which is no phone's
)

// Object is one thing on a host that carries this installation's label.
type Object struct {
	Kind       ObjectKind
	Name       string
	Phone      phone.ID
	Generation phone.Generation
	Job        phone.JobID // of a volume
	Running    bool        // of an instance; Inspect has the last word
}

// Timing says when a property takes effect.
type Timing string

// The timings of a property.
const (
	AtCreation Timing = "creation" // Ensure sets it
	AfterBoot  Timing = "boot"     // setprop after every boot
	Recorded   Timing = "recorded" // this runtime has no such property: lethe only keeps it
)

// PropertyRules is what one kind of driver knows about properties without asking a host. Pure functions.
type PropertyRules struct {
	// Timing says when a key takes effect.
	Timing func(key string) Timing
	// Check says whether the runtime can take these values without cutting or dropping one.
	Check func(phone.Properties) *phone.Error
}

// Made tells apart what instances are made of: the image, and those of the properties that take effect at creation. It says nothing of
// what they were: it is a digest.
func (r PropertyRules) Made(image phone.ImageID, properties phone.Properties) string {
	sum := sha256.New()
	fmt.Fprintf(sum, "%q", image)
	for _, key := range properties.Keys() {
		if r.Timing(key) == AtCreation {
			fmt.Fprintf(sum, " %q %q", key, properties[key])
		}
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}
