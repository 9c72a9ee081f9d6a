package phone

// DecideStop decides, in the order of the elements, which phones are stopped. targets is as in DecideReset.
func DecideStop(items []ResetItem, targets map[ID]ResetTarget) ([]Accepted, []Outcome) {
	return decidePower(items, targets, func(s Status) *Error {
		switch {
		case s.Transitional():
			return busy(s)
		case !s.Stoppable():
			return Errorf(Precondition, ReasonPhoneNotRunning, "the phone is %s: only one that runs can be stopped", s)
		}
		return nil
	})
}

// DecideRestart decides, in the order of the elements, which phones are started again, after a stop where they run.
func DecideRestart(items []ResetItem, targets map[ID]ResetTarget) ([]Accepted, []Outcome) {
	return decidePower(items, targets, func(s Status) *Error {
		switch {
		case s.Transitional():
			return busy(s)
		case !s.Restartable():
			return Errorf(Precondition, ReasonPhoneNotRestartable, "the phone is %s: it has no life that can be started; reset it", s)
		}
		return nil
	})
}

// DecideDelete decides, in the order of the elements, which phones are destroyed for good: of each every life that was ever begun.
func DecideDelete(items []ResetItem, targets map[ID]ResetTarget) ([]Accepted, []Outcome) {
	accepted, outcomes := decidePower(items, targets, func(s Status) *Error {
		if !s.Deletable() {
			return busy(s)
		}
		return nil
	})
	for i := range accepted {
		accepted[i].Target = accepted[i].Phone.LastGeneration
	}
	return accepted, outcomes
}

func decidePower(items []ResetItem, targets map[ID]ResetTarget, state func(Status) *Error) ([]Accepted, []Outcome) {
	return decideKeeping(items, targets, state, func(_ ResetItem, target ResetTarget) (Properties, *Error) { return target.Phone.Properties, nil })
}

// decideKeeping accepts elements whose phones go on with the life and the image that they have; properties gives the set that a phone
// has then, or refuses it.
func decideKeeping(items []ResetItem, targets map[ID]ResetTarget, state func(Status) *Error, properties func(ResetItem, ResetTarget) (Properties, *Error)) ([]Accepted, []Outcome) {
	var accepted []Accepted
	outcomes := make([]Outcome, len(items))
	seen := make(map[ID]bool, len(items))
	for i, item := range items {
		outcomes[i].PhoneID = item.PhoneID
		target, known := targets[ID(item.PhoneID)]
		var next Properties
		err := refuse(item, target, known, seen[ID(item.PhoneID)], state)
		if err == nil {
			next, err = properties(item, target)
		}
		if err != nil {
			outcomes[i].Err = err
		} else {
			p := target.Phone
			accepted = append(accepted, Accepted{Index: i, Phone: p, Target: p.Generation, Image: p.Image, Properties: next})
		}
		if known {
			seen[ID(item.PhoneID)] = true
		}
	}
	return accepted, outcomes
}
