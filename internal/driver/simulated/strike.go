package simulated

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// rule is a fault with the key under which the host's folder counts how often it has struck.
type rule struct {
	Fault
	key string
}

// compile gives each fault its key: made from the whole rule, so that all processes have the same one, and from how many
// equal rules stand before it.
func compile(faults []Fault) []rule {
	rules := make([]rule, len(faults))
	equal := map[string]int{}
	for i, fault := range faults {
		text, _ := json.Marshal(fault) // texts and numbers: cannot fail
		sum := sha256.Sum256(text)
		key := hex.EncodeToString(sum[:12])
		rules[i] = rule{fault, fmt.Sprintf("%s-%d", key, equal[key])}
		equal[key]++
	}
	return rules
}

// faultFile is the host's faults.json, as it was last read.
type faultFile struct {
	mu    sync.Mutex
	info  fs.FileInfo
	rules []rule
}

// settled is how old a file's time of change must be before an unchanged time means an unchanged file: file systems do not
// count time finely enough for two writes in a row.
const settled = 100 * time.Millisecond

func (f *faultFile) read(path string, now time.Time) ([]rule, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.info != nil && os.SameFile(f.info, info) && f.info.ModTime().Equal(info.ModTime()) && f.info.Size() == info.Size() {
		return f.rules, nil
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	faults, err := ParseFaults(text)
	if err != nil {
		// It may be half written by an editor, so this is no final error.
		return nil, &phone.Error{Code: phone.Unavailable, Msg: fmt.Sprintf("%s: %v: correct the file or remove it", path, err), Err: err}
	}
	rules := compile(faults)
	if f.info = nil; now.Sub(info.ModTime()) > settled {
		f.info, f.rules = info, rules
	}
	return rules, nil
}

// WriteFaults puts these faults in the place of those in the host's faults.json: every process that drives the host has them
// from its next call on. No faults remove the file.
func (d *Driver) WriteFaults(faults []Fault) error {
	for i, fault := range faults {
		if key, cure := fault.wrong(); key != "" {
			return badConfig(fmt.Sprintf("faults[%d].%s", i, key), cure)
		}
	}
	var err error
	if len(faults) > 0 {
		err = writeJSON(d.path(faultsFile), faults)
	} else if err = os.Remove(d.path(faultsFile)); errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return d.classify(context.Background(), "write the faults", err)
	}
	return nil
}

// rules gives those that are about this call, in their order.
func (d *Driver) rules(op Operation, who subject) ([]rule, error) {
	var hits []rule
	file, err := d.file.read(d.path(faultsFile), d.now())
	if err != nil {
		return nil, err
	}
	for _, all := range [][]rule{file, d.scripted} {
		for _, r := range all {
			if r.hits(op, who) {
				hits = append(hits, r)
			}
		}
	}
	return hits, nil
}

// strikeBefore does what rules do to a call before its work: all slow ones wait, then the first other one decides. ignored means that the
// work is not to be done, and the call to be answered.
func (d *Driver) strikeBefore(ctx context.Context, rules []rule, op Operation) (ignored bool, err error) {
	if err := d.waitFor(ctx, rules, EffectSlow); err != nil {
		return false, err
	}
	for _, r := range rules {
		switch r.Effect {
		case EffectLostAnswer:
			return false, nil // it has its turn after the work
		case EffectIgnored:
			if struck, err := d.take(ctx, r); err != nil || struck {
				return struck, err
			}
		case EffectUnavailable, EffectFail:
			if struck, err := d.take(ctx, r); err != nil || struck {
				return false, errors.Join(err, r.failure(op, struck))
			}
		}
	}
	return false, nil
}

// waitFor waits for as long as the rules with the effect say together.
func (d *Driver) waitFor(ctx context.Context, rules []rule, effect Effect) error {
	for _, r := range rules {
		if r.Effect != effect {
			continue
		}
		struck, err := d.take(ctx, r)
		if err != nil {
			return err
		}
		if struck {
			if err := wait(ctx, time.Duration(r.Duration)); err != nil {
				return err
			}
		}
	}
	return nil
}

// strikeAfter lets the answer of work that was done come late, or loses it, that once for each phone, generation and operation.
func (d *Driver) strikeAfter(ctx context.Context, rules []rule, op Operation, who subject) error {
	if err := d.waitFor(ctx, rules, EffectLate); err != nil {
		return err
	}
	for _, r := range rules {
		if r.Effect != EffectLostAnswer {
			continue
		}
		first, err := d.firstTime(r, op, who)
		if err != nil || !first {
			return err
		}
		if struck, err := d.take(ctx, r); err != nil || struck {
			return errors.Join(err, r.failure(op, struck))
		}
		return nil
	}
	return nil
}

// failure is the error of a rule that struck.
func (r rule) failure(op Operation, struck bool) error {
	said := "by a scripted fault"
	if r.Name != "" {
		said = fmt.Sprintf("by the scripted fault %q", r.Name)
	}
	switch {
	case !struck:
		return nil
	case r.Effect == EffectLostAnswer:
		return phone.Errorf(phone.Unavailable, "", "%s: the simulated host's answer was lost %s", op, said)
	case r.Effect == EffectUnavailable:
		return phone.Errorf(phone.Unavailable, "", "%s: the simulated host does not answer, %s", op, said)
	case op == OpErase || op == OpDiscard:
		return phone.Errorf(phone.Internal, phone.ReasonEraseFailed, "the volumes cannot be removed, %s", said)
	}
	return phone.Errorf(phone.Internal, phone.ReasonHostFailed, "%s failed on the simulated host, %s", op, said)
}

// wait lets time pass, unless ctx ends first.
func wait(ctx context.Context, long time.Duration) error {
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// take counts one strike of a rule and reports whether the rule had one left. The count is the size of a file, so it is the
// same for all processes and a kill cannot leave half of it.
func (d *Driver) take(ctx context.Context, r rule) (bool, error) {
	if r.Times == 0 {
		return true, nil
	}
	file, err := os.OpenFile(d.path(strikesDir, r.key), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return false, err
	}
	defer func() { _ = file.Close() }() // one byte that was written is in the file already
	if err := flock(ctx, file); err != nil {
		return false, err
	}
	info, err := file.Stat()
	if err != nil || info.Size() >= int64(r.Times) {
		return false, err
	}
	_, err = file.Write([]byte{'x'})
	return err == nil, err
}

// firstTime reports whether the rule meets this operation on this subject for the first time, over all processes.
func (d *Driver) firstTime(r rule, op Operation, who subject) (bool, error) {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %d %s", op, who.phone, who.generation, who.image))
	mark := hex.EncodeToString(sum[:])
	dir := d.path(strikesDir, r.key+".met", mark[:2])
	if err := makeBelow(d.path(strikesDir), dir); err != nil {
		return false, err
	}
	file, err := os.OpenFile(dir+string(os.PathSeparator)+mark, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, file.Close()
}
