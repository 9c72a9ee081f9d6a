// Package audit is the domain of the audit trail: who did what to which phone, from where, with which result. An event is a fact
// that is written once and never changed. It has the keys of properties and never a value, and no secret of any kind.
package audit

import (
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/lethe-cloud/lethe/internal/account"
)

// Trace names what was done.
type Trace string

// The traces. The CPH's user guide ("Key Operations Supported by CTS") has the names resetCloudPhone, restartCloudPhone and
// updatePhoneName; the others follow their pattern.
const (
	ResetCloudPhone   Trace = "resetCloudPhone"
	RestartCloudPhone Trace = "restartCloudPhone"
	StopCloudPhone    Trace = "stopCloudPhone"
	DeleteCloudPhone  Trace = "deleteCloudPhone"
	UpdatePhoneName   Trace = "updatePhoneName"
	RunCommand        Trace = "runCommand"
	RunShellCommand   Trace = "runShellCommand"
	PushFile          Trace = "pushFile"
	InstallApk        Trace = "installApk"
	UninstallApk      Trace = "uninstallApk"
	ExportData        Trace = "batchExportCloudPhoneData"
	ImportData        Trace = "batchImportCloudPhoneData"
	CreateBucket      Trace = "createBucket"
	DeleteBucket      Trace = "deleteBucket"
	PutObject         Trace = "putObject"
	DeleteObject      Trace = "deleteObject"
	PushShareFiles    Trace = "pushShareFiles"
	DeleteShareFiles  Trace = "deleteShareFiles"
	PushShareApps     Trace = "pushShareApps"
	DeleteShareApps   Trace = "deleteShareApps"
	UpdateServerName  Trace = "updateServerName"
	DeleteImage       Trace = "deleteImage"
	AddImageMember    Trace = "addImageMember"
	UpdateImageMember Trace = "updateImageMember"
	DeleteImageMember Trace = "deleteImageMember"
	CreateTags        Trace = "batchCreateTags"
	DeleteTags        Trace = "batchDeleteTags"
	CreateServer      Trace = "createCloudPhoneServer"
	ChangeServer      Trace = "changeCloudPhoneServer"
	RestartServer     Trace = "restartCloudPhoneServer"
	DeleteServer      Trace = "deleteCloudPhoneServer"
	AbandonServer     Trace = "abandonCloudPhoneServer"
	ReconcileServer   Trace = "reconcileCloudPhoneServer"
	CreateImage       Trace = "createImage"
	CancelJob         Trace = "cancelJob"
	CancelRequest     Trace = "cancelRequest"
	CreateAccount     Trace = "createAccount"
	UpdateAccount     Trace = "updateAccount"
	DeleteAccount     Trace = "deleteAccount"
	CreateProject     Trace = "createProject"
	UpdateProject     Trace = "updateProject"
	DeleteProject     Trace = "deleteProject"
	CreateUser        Trace = "createUser"
	UpdateUser        Trace = "updateUser"
	DeleteUser        Trace = "deleteUser"
	SetUserPolicies   Trace = "setUserPolicies"
	ResetPassword     Trace = "resetPassword"
	ChangePassword    Trace = "changePassword"
	CreateKey         Trace = "createAccessKey"
	UpdateKey         Trace = "updateAccessKey"
	DeleteKey         Trace = "deleteAccessKey"
	CreateGroup       Trace = "createGroup"
	DeleteGroup       Trace = "deleteGroup"
	AddToGroup        Trace = "addUserToGroup"
	RemoveFromGroup   Trace = "removeUserFromGroup"
	CreatePolicy      Trace = "createPolicy"
	UpdatePolicy      Trace = "updatePolicy"
	DeletePolicy      Trace = "deletePolicy"
	GrantPolicy       Trace = "grantPolicy"
	RevokePolicy      Trace = "revokePolicy"
	Login             Trace = "login"
	// AccessDenied is a call that changes nothing and was refused for lack of permission; every other refused call has its own name.
	AccessDenied Trace = "accessDenied"
)

// Result is how the call ended.
type Result string

// The results of a call.
const (
	Accepted Result = "accepted" // done, or durable and under way
	Refused  Result = "refused"  // the caller's fault: nothing was changed
	Failed   Result = "failed"   // ours: what was done of it is not known
)

// Event is one call.
type Event struct {
	Seq       int64 // given by the store
	At        time.Time
	Account   string
	Project   string // "" for what belongs to the account
	User      string
	UserName  string
	AccessKey string // id of the key that signed the call, "" when it came with a token or a password
	Source    string // the address that the call came from
	Agent     string // what the client calls itself: at most MaxAgent bytes, and not to be believed
	Trace     Trace
	Route     string // the pattern of the call's route
	Target    string // id or name of the one thing that it is about, if it is one
	Request   string // the call's id, which is the accepted request's
	Result    Result
	Code      string // why it was refused or failed
	Reason    string
	Changes   []Change
}

// Change is what a call did to phones that it did the same to.
type Change struct {
	Phones []string `json:"phones,omitempty"`
	// Rest stands for all phones of the request that no other change names, in a kept event: the store knows them from the jobs.
	Rest     bool     `json:"rest,omitempty"`
	Count    int      `json:"count,omitempty"` // how many phones Rest stands for
	OldImage string   `json:"old_image,omitempty"`
	NewImage string   `json:"new_image,omitempty"`
	OldKeys  []string `json:"old_keys,omitempty"` // keys of the properties before
	NewKeys  []string `json:"new_keys,omitempty"`
	// Refused is the reason why nothing was done to these phones; "" when it was accepted.
	Refused string `json:"refused,omitempty"`
	// Result is what became of it, as the store knows it when it is asked; it is not kept with the event.
	Result string `json:"-"`
}

// The limits of what an event keeps of a text that somebody else made up.
const (
	MaxAgent  = 256
	maxTarget = 128
)

// By says who made the call.
func (e Event) By(c account.Caller) Event {
	e.Account, e.User, e.UserName, e.AccessKey = c.Account.ID, c.User.ID, c.User.Name, c.AccessKey
	return e
}

// bounded makes the event's foreign texts fit to be kept.
func (e Event) bounded() Event {
	e.Agent, e.Target, e.Source, e.Project = printable(e.Agent, MaxAgent), printable(e.Target, maxTarget), printable(e.Source, maxTarget), printable(e.Project, maxTarget)
	return e
}

// Target is what a call's path is about: the values of the pattern's names, but for the project's, with a slash between them.
func Target(pattern string, value func(name string) string) string {
	var parts []string
	for _, part := range strings.Split(pattern, "/") {
		name, isName := strings.CutPrefix(part, "{")
		if name = strings.TrimSuffix(name, "}"); isName && name != "project_id" {
			parts = append(parts, value(name))
		}
	}
	return strings.Join(parts, "/")
}

// printable cuts a text between two characters and takes control characters and what is no UTF-8 out of it: it will be read in
// terminals.
func printable(text string, max int) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == utf8.RuneError || r >= 0x200e && r <= 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return -1
		}
		return r
	}, text)
	if len(text) > max {
		text = strings.ToValidUTF8(text[:max], "")
	}
	return text
}

// Group puts the phones together that the same was done to; their order within a group is that of the arguments.
func Group(changes []Change) []Change {
	at := map[string]int{}
	var grouped []Change
	for _, c := range changes {
		key := strings.Join([]string{c.OldImage, c.NewImage, strings.Join(c.OldKeys, ","), strings.Join(c.NewKeys, ","), c.Refused, c.Result}, "\x00")
		i, ok := at[key]
		if !ok {
			i = len(grouped)
			at[key] = i
			first := c
			first.Phones = nil
			grouped = append(grouped, first)
		}
		grouped[i].Phones = append(grouped[i].Phones, c.Phones...)
	}
	return grouped
}

// Compact leaves the phones of the biggest accepted change out, where that saves much: most batches do the same to all of their
// phones, and the jobs name them already.
func (e Event) Compact() Event {
	biggest := -1
	for i, c := range e.Changes {
		if c.Refused == "" && len(c.Phones) >= compactFrom && (biggest < 0 || len(c.Phones) > len(e.Changes[biggest].Phones)) {
			biggest = i
		}
	}
	if biggest >= 0 {
		e.Changes = slices.Clone(e.Changes)
		c := &e.Changes[biggest]
		c.Phones, c.Rest, c.Count = nil, true, len(c.Phones)
	}
	return e
}

// compactFrom is how many phones a change must have to be kept without them.
const compactFrom = 20

// whole fills in what Compact left out: of the phones that are known of the request those that no change names.
func (e Event) whole(known map[string]string) Event {
	at := slices.IndexFunc(e.Changes, func(c Change) bool { return c.Rest })
	if at < 0 {
		return e
	}
	named := map[string]bool{}
	for _, c := range e.Changes {
		for _, id := range c.Phones { // one that was named twice in the call was accepted and refused
			named[id] = named[id] || c.Refused == "" || known[id] == c.Refused
		}
	}
	var rest []string
	for id := range known {
		if !named[id] {
			rest = append(rest, id)
		}
	}
	slices.Sort(rest)
	e.Changes = slices.Clone(e.Changes)
	e.Changes[at].Phones, e.Changes[at].Rest, e.Changes[at].Count = rest, false, 0
	return e
}

// WithResults names every phone of a compact event and splits the changes by what became of each; results has all phones of the
// request. A phone that it says nothing of keeps no result.
func (e Event) WithResults(results map[string]string) Event {
	e = e.whole(results)
	var split []Change
	for _, c := range e.Changes {
		if c.Refused != "" {
			split = append(split, c)
			continue
		}
		by := map[string][]string{}
		for _, id := range c.Phones {
			by[results[id]] = append(by[results[id]], id)
		}
		for _, result := range slices.Sorted(maps.Keys(by)) {
			part := c
			part.Phones, part.Result = by[result], result
			split = append(split, part)
		}
	}
	e.Changes = split
	return e
}

// Only keeps of the changes what was done to one phone.
func (e Event) Only(id string) Event {
	var kept []Change
	for _, c := range e.Changes {
		if slices.Contains(c.Phones, id) {
			c.Phones = []string{id}
			kept = append(kept, c)
		}
	}
	e.Changes = kept
	return e
}
