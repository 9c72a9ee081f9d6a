// Package drivertest is the one conformance suite that every driver passes. A driver lends it a Harness and calls Run; the
// suite then holds the driver to the contract of package driver, on a real host of its kind.
//
// The suite may share its host with other things: every subtest acts for an Owner of its own and on phones of its own, and
// leaves the host without any object of that owner. The programs it runs inside phones are `getprop [KEY]`,
// `setprop KEY VALUE`, `pm path android`, `tee PATH`, `cat PATH` and `ls PATH`, on paths directly below /data, and `cat /adb_keys`.
package drivertest

import (
	"slices"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Owner says in whose name a driver acts; the objects that it makes on the host carry both.
type Owner struct {
	Installation string // 32 lower-case hex digits
	Server       phone.ServerID
}

// Harness is what a driver lends the suite. All of it is needed, except Phones and Share; Run fails the test when something is missing.
// What a function needs to undo it registers with t.Cleanup, and it reports its own failures with t.Fatal.
type Harness struct {
	// Open gives a handle on the suite's host. All calls during one Run give the same host; two calls for one owner give two
	// independent handles, as two replicas of lethe would have.
	Open func(t *testing.T, owner Owner) driver.Driver

	// Rules are the driver's property rules.
	Rules driver.PropertyRules

	// Image boots on the host, and Other is another image that does; MissingImage cannot be had there.
	Image        phone.Image
	Other        phone.Image
	MissingImage phone.Image

	// BootTimeout bounds one boot of Image, from Start to Booted. The suite polls, so a generous bound costs nothing.
	BootTimeout time.Duration

	// Port gives an adb host port that nothing on the host uses, another one with each call.
	Port func(t *testing.T) int

	// Phones is how many phones the suite runs beside each other where it tests many; 0 means 8.
	Phones int

	// Plant makes an instance or a volume that is not lethe's (it carries no label of ours), under the very name that Ensure
	// would give to that object of spec. The function that it returns fails the test when the object is gone or was changed.
	// Plant's cleanup removes the object.
	Plant func(t *testing.T, kind driver.ObjectKind, spec driver.Spec) (intact func(t *testing.T))

	// Share is Open for a server whose settings give it a shared storage; nil where the driver has none. Open gives one without.
	Share func(t *testing.T, owner Owner) driver.Driver

	// LostAnswers are the points at which an answer of the host can get lost after the host did the work. There must be at
	// least one for OpEnsure.
	LostAnswers []LostAnswer

	// Pin makes the volume impossible to remove, by Erase and Discard, until release is called (at the latest in t.Cleanup): Docker refuses to remove
	// a volume that a container which is not ours uses, a simulated host can be told to. The instance need not exist any more.
	Pin func(t *testing.T, owner Owner, instance driver.Instance) (release func())

	// Unavailable gives a handle on a host that does not answer: nobody listens there, or its folder is gone. The error must
	// come by itself, without ctx ending.
	Unavailable func(t *testing.T, owner Owner) driver.Driver

	// Hanging gives a handle on a host that takes every call and does not answer within the life of the test.
	Hanging func(t *testing.T, owner Owner) driver.Driver
}

// Operation is a method of a driver that changes a host.
type Operation string

// The operations whose answer the suite can be asked to lose.
const (
	OpPrepare Operation = "prepare"
	OpEnsure  Operation = "ensure"
	OpRemake  Operation = "remake"
	OpStart   Operation = "start"
	OpStop    Operation = "stop"
	OpRemove  Operation = "remove"
	OpErase   Operation = "erase"
	OpDiscard Operation = "discard"
)

// LostAnswer is one point at which the host does the work and its answer never arrives.
type LostAnswer struct {
	Name      string // "volume created", "container created": the subtest's name
	Operation Operation
	// Open gives a handle on the suite's host that loses the answer once, at the next Operation on ref's phone (or, for
	// OpPrepare, at the next Prepare). lost reports whether that has happened. The operation may then fail with Unavailable, or
	// succeed because the driver looked again by itself.
	Open func(t *testing.T, owner Owner, ref driver.Ref) (d driver.Driver, lost func() bool)
}

// Run runs the whole suite as parallel subtests of t.
func Run(t *testing.T, h Harness) {
	t.Helper()
	if missing := h.missing(); missing != "" {
		t.Fatalf("the harness has no %s", missing)
	}
	if h.Phones == 0 {
		h.Phones = 8
	}
	for _, test := range []struct {
		name string
		run  func(t *testing.T, h *Harness)
	}{
		{"info", testInfo},
		{"prepare", testPrepare},
		{"rules", testRules},
		{"ensure", testEnsure},
		{"remake", testRemake},
		{"volume", testVolume},
		{"foreign", testForeign},
		{"life", testLife},
		{"exec", testExec},
		{"unpack", testUnpack},
		{"pack", testPack},
		{"share", testShare},
		{"properties", testProperties},
		{"erase", testErase},
		{"discard", testDiscard},
		{"space", testSpace},
		{"adb keys", testADBKeys},
		{"list", testList},
		{"lost", testLostAnswers},
		{"ctx", testContext},
		{"unavailable", testUnavailable},
		{"concurrent", testConcurrent},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, &h)
		})
	}
}

// missing names the first needed field that is not there.
func (h *Harness) missing() string {
	losesEnsure := slices.ContainsFunc(h.LostAnswers, func(l LostAnswer) bool { return l.Operation == OpEnsure })
	for _, field := range []struct {
		name  string
		there bool
	}{
		{"Open", h.Open != nil},
		{"Rules", h.Rules.Timing != nil && h.Rules.Check != nil},
		{"Image", h.Image.Reference != ""},
		{"Other", h.Other.Reference != "" && h.Other.ID != h.Image.ID},
		{"MissingImage", h.MissingImage.Reference != ""},
		{"BootTimeout", h.BootTimeout > 0},
		{"Port", h.Port != nil},
		{"Plant", h.Plant != nil},
		{"LostAnswers for OpEnsure", losesEnsure},
		{"Pin", h.Pin != nil},
		{"Unavailable", h.Unavailable != nil},
		{"Hanging", h.Hanging != nil},
	} {
		if !field.there {
			return field.name
		}
	}
	return ""
}
