package phone

// DecideStop decides, in the order of the elements, which phones are stopped. targets is as in DecideReset.
func DecideStop(items []ResetItem, targets map[ID]ResetTarget) ([]Accepted, []Outcome) {
	return decideKeeping(items, targets, func(s Status) *Error {
		switch {
		case s.Transitional():
			return busy(s)
		case !s.Stoppable():
			return Errorf(Precondition, ReasonPhoneNotRunning, "the phone is %s: only one that runs can be stopped", s)
		}
		return nil
	}, asItIs)
}

// DecideRestart decides, in the order of the elements, which phones are started again, after a stop where they run: as what they are, or
// with other properties, or on another image (nil: none was named) of the Android that they have, for that is what their data is of. targets,
// check and the error are as in DecideReset.
func DecideRestart(items []ResetItem, targets map[ID]ResetTarget, image *Image, check PropertyCheck) ([]Accepted, []Outcome, error) {
	accepted, outcomes := decideKeeping(items, targets, restartable, func(item ResetItem, target ResetTarget) (Properties, *Error) {
		if image != nil && image.OSName != target.System {
			return nil, Errorf(Precondition, ReasonImageSystem,
				"the image has %s and the phone's present one %s, and data is not kept from one to the other: reset the phone", image.OSName, target.System)
		}
		if len(item.Given) == 0 {
			return target.Phone.Properties, nil
		}
		merged := target.Phone.Properties.Merge(item.Given, false)
		return merged, check(target.Driver, merged)
	})
	for i := range accepted {
		if image == nil {
			break
		}
		if err := image.fits(targets[accepted[i].Phone.ID]); err != nil {
			return nil, nil, err
		}
		accepted[i].Image = image.ID
	}
	return accepted, outcomes, nil
}

func restartable(s Status) *Error {
	switch {
	case s.Transitional():
		return busy(s)
	case !s.Restartable():
		return Errorf(Precondition, ReasonPhoneNotRestartable, "the phone is %s: it has no life that can be started; reset it", s)
	}
	return nil
}

// DecideDelete decides, in the order of the elements, which phones are destroyed for good: of each every life that was ever begun.
func DecideDelete(items []ResetItem, targets map[ID]ResetTarget) ([]Accepted, []Outcome) {
	accepted, outcomes := decideKeeping(items, targets, func(s Status) *Error {
		if !s.Deletable() {
			return busy(s)
		}
		return nil
	}, asItIs)
	for i := range accepted {
		accepted[i].Target = accepted[i].Phone.LastGeneration
	}
	return accepted, outcomes
}

// asItIs are the properties of a phone that gets none.
func asItIs(_ ResetItem, target ResetTarget) (Properties, *Error) {
	return target.Phone.Properties, nil
}

// decideKeeping accepts elements whose phones go on with the life and the image that they have; properties gives the set that a phone
// has then, or refuses the element.
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
