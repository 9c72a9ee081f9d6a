package phone

import "slices"

// Keypair is whose adb the phones of a server let in, under the name by which clients know it. The private keys are their holders' own.
type Keypair struct {
	Name       string
	PublicKeys []string // lines as in ~/.android/adbkey.pub
	Accounts   []string // names or ids of those who may use it; none: all
}

// KeypairChoice is the key pair that a caller names for a server, and why it cannot be had.
type KeypairChoice struct {
	Name string
	Err  *Error
}

// ChooseKeypair looks for the named key pair among those that an account may use. Err has ReasonKeypairMissing when none is named, or is
// NotFound with ReasonNoKeypair: one of other accounts answers like one that does not exist.
func ChooseKeypair(all []Keypair, name, accountID, accountName string) KeypairChoice {
	choice := KeypairChoice{Name: name}
	usable := func(k Keypair) bool {
		return k.Name == name && (len(k.Accounts) == 0 || slices.Contains(k.Accounts, accountID) || slices.Contains(k.Accounts, accountName))
	}
	switch {
	case name == "":
		choice.Err = &Error{Code: Invalid, Reason: ReasonKeypairMissing, Field: "keypair_name", Msg: "keypair_name is empty: name one of the installation's key pairs"}
	case !slices.ContainsFunc(all, usable):
		choice.Err = &Error{Code: NotFound, Reason: ReasonNoKeypair, Field: "keypair_name", Msg: "the installation has no such key pair for this account"}
	}
	return choice
}

// UpdateKeypair accepts a server all of whose phones can be given other adb keys at this moment: work that has begun may make a phone with the
// keys of before. The phones that have a life get a job; what has none gets the keys when it is made. check says why a kind of driver
// cannot do it, or nil.
func UpdateKeypair(choices map[ServerID]KeypairChoice, check func(driver string) *Error) func(ServerTarget) ([]Accepted, *Error) {
	return func(t ServerTarget) ([]Accepted, *Error) {
		if choice := choices[t.Server.ID]; choice.Err != nil {
			return nil, choice.Err
		}
		if err := check(t.Server.Driver); err != nil {
			return nil, err
		}
		all, err := everyPhone(t, "given other adb keys")
		if err != nil {
			return nil, err
		}
		var accepted []Accepted
		for _, a := range all {
			if p := a.Phone; p.Generation > 0 {
				accepted = append(accepted, Accepted{Phone: p, Target: p.Generation, Image: p.Image, Properties: p.Properties})
			}
		}
		return accepted, nil
	}
}
