package simulated

import (
	"path"
	"slices"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// Fault is one rule of a script: what goes wrong, at which operation, on which phones, how often.
type Fault struct {
	// Name is for people. A rule that is changed is a new rule and counts anew; giving it another name does that too.
	Name string `json:"name,omitempty"`
	// Phone is the id or the name of a phone, or a pattern of them as path.Match has it; "" and "*" are all phones. The name is
	// known while the phone has an instance on the host.
	Phone string `json:"phone,omitempty"`
	// Operation is where it strikes.
	Operation Operation `json:"operation"`
	// Effect is what happens.
	Effect Effect `json:"effect"`
	// Duration is, for slow and late, what is added; for exit and vanish, how long after the start it happens (half the boot time
	// when left out).
	Duration Duration `json:"duration,omitzero"`
	// Factor multiplies the boot time of a slow boot.
	Factor float64 `json:"factor,omitempty"`
	// ExitCode is what an exit during boot gives; 129 when left out, as redroid has without binder.
	ExitCode *int `json:"exit_code,omitempty"`
	// Times is how often the rule strikes in all, over all phones and processes; 0 is every time.
	Times int `json:"times,omitempty"`
	// Generations are the lives that it strikes; none is all. An erasure is about every generation that it destroys.
	Generations []phone.Generation `json:"generations,omitempty"`
}

// Operation is where a fault can strike.
type Operation string

// The operations: the methods of a driver, what Start sets going, and all methods together.
const (
	OpInfo    Operation = "info"
	OpPrepare Operation = "prepare"
	OpEnsure  Operation = "ensure"
	OpRemake  Operation = "remake"
	OpStart   Operation = "start"
	OpBoot    Operation = "boot" // decided when the instance starts
	OpStop    Operation = "stop"
	OpRemove  Operation = "remove"
	OpErase   Operation = "erase"
	OpDiscard Operation = "discard"
	OpSpace   Operation = "space"
	OpADBKeys Operation = "adb_keys"
	OpShare   Operation = "share" // whatever is done with the server's shared storage
	OpInspect Operation = "inspect"
	OpExec    Operation = "exec"
	OpList    Operation = "list"
	OpAll     Operation = "*" // every method
)

// Effect is what a fault does.
type Effect string

// The effects. Of several rules that fit one call, all slow ones add up and the first other one decides.
const (
	EffectSlow        Effect = "slow"        // it takes longer
	EffectNever       Effect = "never"       // the phone runs and never boots
	EffectExit        Effect = "exit"        // the phone ends while it boots
	EffectVanish      Effect = "vanish"      // the instance is no longer there some time after the start
	EffectLostAnswer  Effect = "lost-answer" // the work is done and then Unavailable, once per phone, generation and operation
	EffectLate        Effect = "late"        // the work is done and then its answer takes longer
	EffectIgnored     Effect = "ignored"     // a command that writes is answered as done, and nothing is done
	EffectUnavailable Effect = "unavailable" // nothing is done: the host does not answer
	EffectFail        Effect = "fail"        // nothing is done: Internal, and for erase a volume that cannot be removed
)

// Effects lists all effects.
func Effects() []Effect {
	return []Effect{EffectSlow, EffectNever, EffectExit, EffectVanish, EffectLostAnswer, EffectLate, EffectIgnored, EffectUnavailable, EffectFail}
}

// operations says where an effect can strike, and whether there is such an effect.
func (e Effect) operations() ([]Operation, bool) {
	methods := []Operation{OpAll, OpInfo, OpPrepare, OpEnsure, OpRemake, OpStart, OpStop, OpRemove, OpErase, OpDiscard, OpSpace, OpADBKeys, OpShare, OpInspect, OpExec, OpList}
	switch e {
	case EffectSlow:
		return append(methods, OpBoot), true
	case EffectNever, EffectExit:
		return []Operation{OpBoot}, true
	case EffectVanish:
		return []Operation{OpStart, OpBoot}, true
	case EffectIgnored:
		return []Operation{OpExec}, true
	case EffectLostAnswer, EffectLate: // only of what changes the host: another answer that is lost is the same as unavailable, and a late one as slow
		return []Operation{OpPrepare, OpEnsure, OpRemake, OpStart, OpStop, OpRemove, OpErase, OpDiscard, OpADBKeys, OpShare, OpExec}, true
	case EffectUnavailable, EffectFail:
		return methods, true
	}
	return nil, false
}

// subject is what a call is about, as far as rules ask for it.
type subject struct {
	phone phone.ID
	// generation is the life in question; for an erasure it is the first one that stays.
	generation phone.Generation
	names      func() []string // the phone's names, where reading them is worth it
	image      string
	writes     bool // a command changes the phone
}

// hits reports whether the rule is about this operation on this subject.
func (f Fault) hits(op Operation, who subject) bool {
	if f.Operation != op && (f.Operation != OpAll || op == OpBoot) {
		return false
	}
	if f.Effect == EffectIgnored && !who.writes {
		return false
	}
	about := func(g phone.Generation) bool { return g == who.generation }
	if op == OpErase {
		about = func(g phone.Generation) bool { return g < who.generation }
	}
	if len(f.Generations) > 0 && !slices.ContainsFunc(f.Generations, about) {
		return false
	}
	if f.Phone == "" || f.Phone == "*" {
		return true
	}
	if who.phone == "" {
		return false
	}
	if matches(f.Phone, string(who.phone)) {
		return true
	}
	return who.names != nil && slices.ContainsFunc(who.names(), func(name string) bool { return matches(f.Phone, name) })
}

func matches(pattern, s string) bool {
	ok, _ := path.Match(pattern, s) // a malformed pattern was refused when the rule was read
	return ok
}
