package phone

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Code is the kind of an error: what the caller can do about it. Edges map it to their own words (an HTTP status, a CPS code,
// an exit code); the domain knows none of those.
type Code string

// The kinds of errors. Anything that is not an *Error counts as Internal.
const (
	Invalid         Code = "invalid"         // the input is wrong: it names the field and the cure
	Unauthenticated Code = "unauthenticated" // nobody knows who is calling
	Forbidden       Code = "forbidden"       // known, but not allowed
	NotFound        Code = "not_found"
	Conflict        Code = "conflict"     // another holder has what was asked for
	Precondition    Code = "precondition" // right input, wrong state
	Exhausted       Code = "exhausted"    // a limit or a capacity is used up
	Unsupported     Code = "unsupported"  // this host or driver cannot do it
	Unavailable     Code = "unavailable"  // a host or a database does not answer: retry
	Internal        Code = "internal"
)

// Codes lists every Code, so that a test can walk them through each edge's table.
func Codes() []Code {
	return []Code{Invalid, Unauthenticated, Forbidden, NotFound, Conflict, Precondition, Exhausted, Unsupported, Unavailable, Internal}
}

// Reason is a stable sub-code of an error that an edge may map.
type Reason string

// Reasons that edges map. An error without one is mapped by its Code alone.
const (
	ReasonPhoneInvalid        Reason = "phone_invalid"        // id malformed, unknown or of another project
	ReasonPhoneNotFound       Reason = "phone_not_found"      //
	ReasonPhoneBusy           Reason = "phone_busy"           // in a transitional status
	ReasonPhoneFrozen         Reason = "phone_frozen"         //
	ReasonPhoneDuplicate      Reason = "phone_duplicate"      // named twice in one request
	ReasonPhonesInvalid       Reason = "phones_invalid"       // the list itself
	ReasonPhonesTooMany       Reason = "phones_too_many"      //
	ReasonServerInvalid       Reason = "server_invalid"       //
	ReasonServerNotFound      Reason = "server_not_found"     //
	ReasonServerNotReady      Reason = "server_not_ready"     //
	ReasonServerBusy          Reason = "server_busy"          // a call about it is at work, or nothing of it can be done now
	ReasonNoHost              Reason = "no_host"              // the pool has none of the model for this account
	ReasonNoKeypair           Reason = "no_keypair"           // unknown, or no host lets its holder in
	ReasonKeypairMissing      Reason = "keypair_missing"      // none is named
	ReasonNoADBKeys           Reason = "no_adb_keys"          // the driver cannot say whose adb a phone lets in
	ReasonHostsTaken          Reason = "hosts_taken"          // too few of them are free
	ReasonServerNotEmpty      Reason = "server_not_empty"     // its host has something that no phone of it accounts for
	ReasonImageInvalid        Reason = "image_invalid"        // malformed id
	ReasonImageNotFound       Reason = "image_not_found"      // also: not visible to the caller, not to be had by the host
	ReasonImageLabel          Reason = "image_label"          // does not fit the server's model
	ReasonImageSystem         Reason = "image_system"         // has another Android than the data that is to be kept
	ReasonPropertyInvalid     Reason = "property_invalid"     // not a JSON object
	ReasonPropertyUnsupported Reason = "property_unsupported" // unknown key, or one that weakens the host or adb
	ReasonPropertyValue       Reason = "property_value"       // bad value of a known key
	ReasonJobNotFound         Reason = "job_not_found"        //
	ReasonRequestNotFound     Reason = "request_not_found"    // no jobs under this request id
	ReasonBootTimeout         Reason = "boot_timeout"         //
	ReasonBootExited          Reason = "boot_exited"          // the instance ended before it had booted
	ReasonHostGone            Reason = "host_gone"            // the host did not answer until the deadline
	ReasonHostFailed          Reason = "host_failed"          // the host answered with an error, again and again
	ReasonEraseFailed         Reason = "erase_failed"         // old data is still there
	ReasonCancelled           Reason = "cancelled"            //
	ReasonFenced              Reason = "fenced"               // another attempt owns the job: stop, touch nothing
	ReasonHigherGeneration    Reason = "higher_generation"    // the host already has a later life of this phone
	ReasonForeignObject       Reason = "foreign_object"       // an object of that name is not ours
	ReasonVerifyFailed        Reason = "verify_failed"        // booted, but not as asked
	ReasonNoSpace             Reason = "no_space"             // the host has no room: for the old volume and a new one, or for files
	ReasonTokenExpired        Reason = "token_expired"        //
	ReasonNameTaken           Reason = "name_taken"           //
	ReasonNameInvalid         Reason = "name_invalid"         // against the rule for names
	ReasonPortsTaken          Reason = "ports_taken"          // another server of the same endpoint has them
	ReasonPageInvalid         Reason = "page_invalid"         // offset or limit
	ReasonPhoneNotRunning     Reason = "phone_not_running"    //
	ReasonPhoneNotRestartable Reason = "phone_not_restartable"
	ReasonInstanceGone        Reason = "instance_gone" // from its host: there is nothing to stop or to start
	ReasonVolumeGone          Reason = "volume_gone"   // from its host: there is no data to make the instance anew for
	ReasonKeyInvalid          Reason = "idempotency_key_invalid"
	ReasonKeyReused           Reason = "idempotency_key_reused" // it stands for another request
	ReasonNothingToRetry      Reason = "nothing_to_retry"       // no phone's latest job is one that failed in the request
	ReasonPaceInvalid         Reason = "pace_invalid"
	ReasonRequestStopped      Reason = "request_stopped"   // too many of its phones failed
	ReasonImageInUse          Reason = "image_in_use"      // a phone or an unfinished job has it
	ReasonMemberInvalid       Reason = "member_invalid"    // no project that an image can be shared with
	ReasonMemberNotFound      Reason = "member_not_found"  // the image is not shared with that project
	ReasonMembersTooMany      Reason = "members_too_many"  //
	ReasonMemberStatus        Reason = "member_status"     // neither accepted nor rejected
	ReasonTagInvalid          Reason = "tag_invalid"       //
	ReasonTagsTooMany         Reason = "tags_too_many"     //
	ReasonPhoneUnreachable    Reason = "phone_unreachable" // it runs, but has no address at which anything answers
	ReasonTicketInvalid       Reason = "ticket_invalid"    // unknown, expired, or of a life that is over
	ReasonModelInvalid        Reason = "model_invalid"     // unknown, or no longer given to new servers
	ReasonKeyForeign          Reason = "key_foreign"       // the key file is another installation's
	ReasonRateExceeded        Reason = "rate_exceeded"     // the caller makes too many calls
	ReasonTaskEnded           Reason = "task_ended"        // another job of the phone ended the task
	ReasonTaskUnknown         Reason = "task_unknown"      // whoever did the task is gone, and it may have been done
	ReasonTaskExpired         Reason = "task_expired"      // its time was over
	ReasonCommandFailed       Reason = "command_failed"    // its program ended with another exit code than 0
	ReasonCommandInvalid      Reason = "command_invalid"   // a task that lethe does not know
	ReasonContentInvalid      Reason = "content_invalid"   // what a task has to do, against its rule
	ReasonNotAPK              Reason = "not_apk"           // a file's name that does not end in .apk
	ReasonObjectNotFound      Reason = "object_not_found"  // or of another project's bucket
	ReasonObjectsGone         Reason = "objects_gone"      // the object store does not answer
	ReasonFileInvalid         Reason = "file_invalid"      // it cannot be unpacked in a phone
	ReasonObjectInvalid       Reason = "object_invalid"    // the name of a bucket or of an object, against its rule
	ReasonObjectTooLarge      Reason = "object_too_large"  //
	ReasonBucketNotFound      Reason = "bucket_not_found"  // or of another project
	ReasonBucketReadOnly      Reason = "bucket_read_only"  //
	ReasonBucketNotEmpty      Reason = "bucket_not_empty"  //
	ReasonNoObjectFolder      Reason = "no_object_folder"  // the installation has no place in which buckets could be made
	ReasonStoreFull           Reason = "store_full"        // the object store has no room
	ReasonIncludeInvalid      Reason = "include_invalid"   // what an export reads, against its rule
	ReasonExcludeInvalid      Reason = "exclude_invalid"   //
	ReasonChecksum            Reason = "checksum_mismatch" // an object is not what was exported
	ReasonNoShare             Reason = "no_share"          // the server has no shared storage
	ReasonBucketInvalid       Reason = "bucket_invalid"
	ReasonObjectPathInvalid   Reason = "object_path_invalid"
	ReasonPackageInvalid      Reason = "package_invalid"    // the name of an app
	ReasonFilePathsInvalid    Reason = "file_paths_invalid" // what is to be deleted from a shared storage
	ReasonPathInvalid         Reason = "path_invalid"       // what is to be listed of a shared storage, or it is no folder there
)

// Reasons lists every Reason, so that a test can walk them through each edge's table.
func Reasons() []Reason {
	return []Reason{
		ReasonPhoneInvalid, ReasonPhoneNotFound, ReasonPhoneBusy, ReasonPhoneFrozen, ReasonPhoneDuplicate, ReasonPhoneNotRunning, ReasonPhoneNotRestartable, ReasonInstanceGone, ReasonVolumeGone,
		ReasonPhonesInvalid, ReasonPhonesTooMany, ReasonServerInvalid, ReasonServerNotFound, ReasonServerNotReady, ReasonServerBusy, ReasonServerNotEmpty, ReasonNoHost, ReasonNoKeypair, ReasonKeypairMissing, ReasonNoADBKeys,
		ReasonHostsTaken,
		ReasonImageInvalid, ReasonImageNotFound, ReasonImageLabel, ReasonImageSystem, ReasonPropertyInvalid, ReasonPropertyUnsupported, ReasonPropertyValue, ReasonJobNotFound,
		ReasonRequestNotFound, ReasonBootTimeout, ReasonBootExited, ReasonHostGone, ReasonHostFailed, ReasonEraseFailed, ReasonCancelled, ReasonFenced,
		ReasonHigherGeneration, ReasonForeignObject, ReasonVerifyFailed, ReasonTokenExpired, ReasonNameTaken, ReasonNameInvalid,
		ReasonNoSpace, ReasonPortsTaken, ReasonPageInvalid, ReasonKeyInvalid, ReasonKeyReused, ReasonNothingToRetry,
		ReasonPaceInvalid, ReasonRequestStopped,
		ReasonImageInUse, ReasonMemberInvalid, ReasonMemberNotFound, ReasonMembersTooMany, ReasonMemberStatus, ReasonTagInvalid,
		ReasonTagsTooMany, ReasonPhoneUnreachable, ReasonTicketInvalid, ReasonModelInvalid,
		ReasonKeyForeign, ReasonRateExceeded, ReasonTaskEnded, ReasonTaskUnknown, ReasonTaskExpired, ReasonCommandFailed, ReasonCommandInvalid, ReasonContentInvalid,
		ReasonNotAPK, ReasonObjectNotFound, ReasonObjectsGone, ReasonFileInvalid, ReasonObjectInvalid, ReasonObjectTooLarge, ReasonBucketNotFound, ReasonBucketReadOnly,
		ReasonBucketNotEmpty, ReasonNoObjectFolder, ReasonStoreFull, ReasonIncludeInvalid, ReasonExcludeInvalid, ReasonChecksum,
		ReasonNoShare, ReasonBucketInvalid, ReasonObjectPathInvalid, ReasonPackageInvalid, ReasonFilePathsInvalid, ReasonPathInvalid,
	}
}

// Error is an error that an edge can show: Msg is safe for the caller, Err is the cause for the log.
type Error struct {
	Code   Code
	Reason Reason
	Field  string // the property key or the field that Msg is about, if any
	Msg    string
	Err    error
	// RetryAfter is when the same call may succeed, of an Exhausted error; 0: nobody knows, or never.
	RetryAfter time.Duration
}

// RetryAfter gives when the same call may succeed in whole seconds, at least 1, if err is Exhausted for a while.
func RetryAfter(err error) (seconds int, ok bool) {
	var e *Error
	if !errors.As(err, &e) || e.Code != Exhausted || e.RetryAfter <= 0 {
		return 0, false
	}
	return int((e.RetryAfter + time.Second - 1) / time.Second), true
}

// Errorf makes an *Error; a %w in the format becomes its cause.
func Errorf(code Code, reason Reason, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Reason: reason, Msg: err.Error(), Err: errors.Unwrap(err)}
}

// Error gives the message and, when it is not already part of it, the cause: the text for logs. What a caller may see is Msg.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Msg
	}
	cause := e.Err.Error()
	switch {
	case e.Msg == "":
		return cause
	case strings.Contains(e.Msg, cause):
		return e.Msg
	}
	return e.Msg + ": " + cause
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf gives the kind of err: Internal when nothing in its chain is an *Error, "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return Internal
}

// ReasonOf gives the stable sub-code of err, or "".
func ReasonOf(err error) Reason {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}
