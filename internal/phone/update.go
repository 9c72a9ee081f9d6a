package phone

// DecideUpdate decides, in the order of the elements, which phones get other property values: those that have a life, whether it runs or
// not, and no job at work. targets and check are as in DecideReset. What takes effect at creation waits for the phone's next boot.
func DecideUpdate(items []ResetItem, targets map[ID]ResetTarget, check PropertyCheck) ([]Accepted, []Outcome) {
	state := func(s Status) *Error {
		if s.Transitional() {
			return busy(s)
		}
		return nil
	}
	return decideKeeping(items, targets, state, func(item ResetItem, target ResetTarget) (Properties, *Error) {
		if target.Phone.Generation == 0 {
			return nil, Errorf(Precondition, ReasonPhoneNotRunning, "the phone is %s and has no life yet: a reset makes it, and takes properties", target.Phone.Status)
		}
		merged := target.Phone.Properties.Merge(item.Given, false)
		return merged, check(target.Driver, merged)
	})
}
