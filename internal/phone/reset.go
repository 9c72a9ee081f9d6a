package phone

import "maps"

// ResetItem is one element of a batch reset, as far as it could be read without knowing the phone.
type ResetItem struct {
	PhoneID string // as the caller wrote it
	Given   Properties
	Factory bool   // clear the property history first
	Err     *Error // already refused: a property that is no JSON object, an unknown key, a bad value
}

// ResetTarget is what is known of a phone when its reset is decided.
type ResetTarget struct {
	Phone        Phone
	ServerStatus ServerStatus
	ServerLabel  string
	Driver       string
	System       string // the OSName of its present image; filled in where an image is named that must have the same
	Busy         bool   // it has an unfinished job
}

// PropertyCheck says whether a driver of this kind can give a phone these properties without cutting or dropping a value: nil,
// or an error with ReasonPropertyValue that names the key. It is a pure function.
type PropertyCheck func(driver string, properties Properties) *Error

// Accepted is a reset that may begin: the job's facts besides its ids.
type Accepted struct {
	Index      int // in the request
	Phone      Phone
	Target     Generation
	Image      ImageID
	Properties Properties
	Factory    bool
	Rollback   bool
}

// DecideReset decides each element of a batch in the request's order. targets holds the caller's own phones by id: a phone of
// another project is not in it and so answers exactly like one that does not exist. image is nil when none was named. check sees
// each phone's merged properties. The error is one that refuses the whole request: an image whose label does not fit the server
// of a phone that would be accepted.
func DecideReset(items []ResetItem, targets map[ID]ResetTarget, image *Image, check PropertyCheck) ([]Accepted, []Outcome, error) {
	var accepted []Accepted
	outcomes := make([]Outcome, len(items))
	seen := make(map[ID]bool, len(items))
	for i, item := range items {
		outcomes[i].PhoneID = item.PhoneID
		target, known := targets[ID(item.PhoneID)]
		merged := target.Phone.Properties.Merge(item.Given, item.Factory)
		err := refuseReset(item, target, known, seen[ID(item.PhoneID)])
		if err == nil {
			err = check(target.Driver, merged)
		}
		if err != nil {
			outcomes[i].Err = err
		} else {
			next := Accepted{
				Index: i, Phone: target.Phone, Target: target.Phone.LastGeneration + 1, Image: target.Phone.Image,
				Properties: merged, Factory: item.Factory,
			}
			if image != nil {
				if err := image.fits(target); err != nil {
					return nil, nil, err
				}
				next.Image = image.ID
			}
			accepted = append(accepted, next)
		}
		if known {
			seen[ID(item.PhoneID)] = true
		}
	}
	return accepted, outcomes, nil
}

// fits refuses the image for a phone whose server takes images with another label.
func (i *Image) fits(target ResetTarget) error {
	if i.Label == target.ServerLabel {
		return nil
	}
	return Errorf(Invalid, ReasonImageLabel,
		"image %s has label %q, but phone %s runs on a server for %q: choose an image with that label", i.ID, i.Label, target.Phone.ID, target.ServerLabel)
}

func refuseReset(item ResetItem, target ResetTarget, known, seen bool) *Error {
	return refuse(item, target, known, seen, func(s Status) *Error {
		if s.Resettable() {
			return nil
		}
		return busy(s)
	})
}

func busy(s Status) *Error {
	return Errorf(Precondition, ReasonPhoneBusy, "the phone is %s: wait until that ends", s)
}

// refuse says why an element cannot be accepted; state judges the phone's status, of a phone that is not frozen.
func refuse(item ResetItem, target ResetTarget, known, seen bool, state func(Status) *Error) *Error {
	switch {
	case !known:
		return Errorf(Invalid, ReasonPhoneInvalid, "phone_id is not the id of a phone of this project")
	case seen:
		return Errorf(Conflict, ReasonPhoneDuplicate, "the phone is named twice: the first element counts")
	case item.Err != nil:
		return item.Err
	case target.Phone.Status == StatusFrozen:
		return Errorf(Precondition, ReasonPhoneFrozen, "the phone is frozen")
	}
	if err := state(target.Phone.Status); err != nil {
		return err
	}
	if target.Busy {
		return Errorf(Precondition, ReasonPhoneBusy, "the phone's properties are being updated: wait until that ends")
	}
	if target.ServerStatus != ServerNormal {
		return Errorf(Precondition, ReasonServerNotReady, "the phone's server is %s", target.ServerStatus)
	}
	return nil
}

// Merge gives the properties of the next life: the given ones over the kept ones, or over none after a factory reset.
func (p Properties) Merge(given Properties, factory bool) Properties {
	next := Properties{}
	if !factory {
		maps.Copy(next, p)
	}
	maps.Copy(next, given)
	return next
}
