package work

import (
	"errors"
	"strings"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// cures says, by reason, what an operator can do about a failed job. A reason without one gets the last line.
var cures = map[phone.Reason]string{
	phone.ReasonBootTimeout:      "look at the instance's log on the server, give the server a longer boot timeout, or choose another image; then reset the phone again",
	phone.ReasonBootExited:       "the last lines of its log, where it left any, say why it ended; check the image's architecture and the server's kernel (binder, memfd), then reset the phone again",
	phone.ReasonInstanceGone:     "the instance is not on the server any more: a restart makes it anew, if the phone's volume is there",
	phone.ReasonVolumeGone:       "the phone's data is not on the server any more: a reset makes the phone anew, without it",
	phone.ReasonHostGone:         "bring the server back, then reset the phone again",
	phone.ReasonHostFailed:       "the cause has the host's own words: mend it there, then reset the phone again",
	phone.ReasonImageNotFound:    "check the image's reference and that the server can pull or has loaded it, then reset the phone again",
	phone.ReasonEraseFailed:      "old data may still be on the server: free the volume that the cause names, then reset the phone again",
	phone.ReasonVerifyFailed:     "choose an image or properties that agree, then reset the phone again",
	phone.ReasonNoSpace:          "free space on the server, or reset the phone without the rollback policy, which needs room for one volume only",
	phone.ReasonHigherGeneration: "the server holds a later life of this phone than the database knows (a restored backup?): nothing was touched; settle which is right first",
	phone.ReasonPhoneNotRunning:  "the phone does not run any more: start it, then reset the phone again",
	phone.ReasonTaskUnknown:      "it may have been done, in part or as a whole: look into the phone, and call again if it was not",
	phone.ReasonTaskExpired:      "what it ran was ended inside the phone: give it less to do, or give the installation a longer task_timeout",
	phone.ReasonObjectNotFound:   "the object was there when the call was accepted: put it back into its bucket, then reset the phone again",
	phone.ReasonObjectsGone:      "bring the object store back, then reset the phone again",
	phone.ReasonFileInvalid:      "put an archive into the bucket that the phone can hold, then reset the phone again",
	phone.ReasonBucketNotFound:   "the bucket was there when the call was accepted: make it again, then reset the phone again",
	phone.ReasonBucketReadOnly:   "choose a bucket that may be written to, then reset the phone again",
	phone.ReasonStoreFull:        "delete objects or give the object store more room, then reset the phone again",
	phone.ReasonObjectTooLarge:   "export less of the phone at once: name fewer paths, then reset the phone again",
	phone.ReasonObjectInvalid:    "choose another name for the object, then reset the phone again",
	phone.ReasonChecksum:         "the object or its checksum was changed or damaged: put back what was exported, or delete the checksum if the object is right, then reset the phone again",
	phone.ReasonCommandFailed:    "what its program said stands in the job's output",
	phone.ReasonNoKeypair:        "give the configuration of every replica a [[keypairs]] table of that name, or the server another key pair, then reset the phone again",
	phone.ReasonNoADBKeys:        "only servers whose driver announces adb_keys can have a key pair: delete the server, and add it with another driver",
	phone.ReasonForeignObject:    "something that is not lethe's has the name on the server: remove or rename it there, then reset the phone again",
}

// again is what the cures end with, and what it is for jobs that keep the life: a reset would destroy its data.
const again = "reset the phone again"

var againOf = map[phone.Kind]string{
	phone.KindStart:     "restart the phone",
	phone.KindRestart:   "restart the phone again",
	phone.KindStop:      "stop the phone again",
	phone.KindDelete:    "delete the phone again",
	phone.KindShell:     "call again; what the command did before stays in the phone",
	phone.KindUninstall: "call again",
	phone.KindPush:      "call again; what was unpacked before this stays in the phone",
	phone.KindInstall:   "call again",
	phone.KindExport:    "call again",
	phone.KindImport:    "call again; what was imported before this stays in the phone",
	// What was done of it before stays; doing all of it again is the same as once.
	phone.KindSharePush:   "call again",
	phone.KindShareDelete: "call again",
	phone.KindShareList:   "call again",
	phone.KindAppPush:     "call again",
	phone.KindAppDelete:   "call again",
	phone.KindUpdate:      "update the phone's properties again; values that were set before this failed may stay until its next boot",
}

// taskNoSpace is the cure where a task has filled the host: no life is made in it.
const taskNoSpace = "free space on the server, then " + again

// failure is failureOf with the cure for the job's kind.
func (t *task) failure(err error) phone.Failure {
	failure := failureOf(err)
	if t.Job.Kind.Task() && failure.Reason == phone.ReasonNoSpace {
		failure.Detail = taskNoSpace
	}
	if other, is := againOf[t.Job.Kind]; is {
		failure.Detail = strings.Replace(failure.Detail, again, other, 1)
	}
	if failure.Reason == phone.ReasonHostGone && (t.Job.Kind.Task() || t.Job.Kind == phone.KindUpdate) {
		failure.Detail += transferring
	}
	return failure
}

// transferring is of jobs that may run beside a transfer of their phone.
const transferring = "; if the server answers otherwise, an export, import or push of this phone may have kept it from everything else of the phone: wait for its end first"

const otherCure = "see the server's log for this job, then reset the phone again"

// lastLines are the end of an instance's log: particulars for the caller, too long for the sentence that names the cause.
type lastLines string

func (l lastLines) Error() string { return "its last lines: " + string(l) }

// failureOf puts an error into the words a caller sees: the cause in one sentence, and the cure with the particulars.
func failureOf(err error) phone.Failure {
	var e *phone.Error
	if !errors.As(err, &e) || e.Code == phone.Internal && e.Reason == "" {
		return phone.Failure{Msg: "internal error", Detail: otherCure}
	}
	detail, known := cures[e.Reason]
	if !known {
		detail = otherCure
	}
	var log lastLines
	if errors.As(err, &log) {
		detail += "; " + log.Error()
	}
	return phone.Failure{Reason: e.Reason, Msg: e.Msg, Detail: detail}
}
