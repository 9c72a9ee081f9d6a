package phone

// Settable says whether a driver of this kind can set the property in a phone that exists. What it can set only when it makes an
// instance cannot be. It is a pure function.
type Settable func(driver, key string) bool

// DecideUpdate decides, in the order of the elements, which phones get other property values: those that have a life, whether it runs or
// not, and no job at work. targets and check are as in DecideReset. A value that the phone has already is nothing to set.
func DecideUpdate(items []ResetItem, targets map[ID]ResetTarget, settable Settable, check PropertyCheck) ([]Accepted, []Outcome) {
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
		present := target.Phone.Properties
		for _, key := range item.Given.Keys() {
			if value, has := present[key]; !settable(target.Driver, key) && (!has || value != item.Given[key]) {
				return nil, &Error{
					Code: Invalid, Reason: ReasonPropertyUnsupported, Field: key,
					Msg: "the property is set when the phone's instance is made: give it to a reset",
				}
			}
		}
		merged := present.Merge(item.Given, false)
		return merged, check(target.Driver, merged)
	})
}
