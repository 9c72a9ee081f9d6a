package iam

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/audit"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// reference names something by its id, its name, or both: then both must be right.
type reference struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

func (r reference) given() bool { return r.ID != "" || r.Name != "" }

// is reports whether what has this id and name is what the reference names.
func (r reference) is(id, name string) bool {
	return r.given() && (r.ID == "" || r.ID == id) && (r.Name == "" || r.Name == name)
}

// String is what an error shows of it.
func (r reference) String() string {
	if r.ID != "" {
		return r.ID
	}
	return r.Name
}

// login is a request for a token.
type login struct {
	user     reference
	domain   reference // the user's account; not needed with the user's id
	password string
	scope    scope
}

// scope is what a token shall be for: a project if one is given, else the account.
type scope struct {
	project       reference
	projectDomain reference
	domain        reference
}

// issue checks the password and makes a token: its text, which is nowhere kept, and the caller it stands for. remote is the
// address the request came from. The error is Unauthenticated for a wrong user or password alike, and NotFound for a scope that
// the user's account does not have. A token is given for each of the account's projects, also to a user who may do nothing there: a
// token says who calls and for what, and every call asks anew what he may.
func (s *Service) issue(ctx context.Context, in login, event audit.Event) (text string, caller account.Caller, err error) {
	identity, err := s.check(ctx, in, event.Source)
	if identity.User.ID != "" { // of nobody there is no account whose trail it could be in: the log has the line
		var entry *audit.Entry
		ctx, entry = s.audit.Begin(ctx, event, account.Caller{Identity: identity})
		defer func() { s.audit.Settle(ctx, entry, err) }()
	}
	if err != nil {
		return "", account.Caller{}, err
	}
	project, err := in.scope.in(identity)
	if err != nil {
		return "", account.Caller{}, err
	}
	text, token := account.NewToken(identity.User, project, s.now(), TokenLifetime)
	if err := s.store.InsertToken(ctx, token); err != nil {
		return "", account.Caller{}, fmt.Errorf("keep a token: %w", err)
	}
	return text, account.Caller{Identity: identity, Scope: project, Token: &token}, nil
}

// CheckPassword fails with Unauthenticated unless the password is the user's. It counts and locks as a login does.
func (s *Service) CheckPassword(ctx context.Context, userID, password string) error {
	_, err := s.check(ctx, login{user: reference{ID: userID}, password: password}, "")
	return err
}

// check finds the user and judges the password. A user who does not exist is judged against a decoy, counted and locked like
// any other, so that neither answer nor time tells who exists.
func (s *Service) check(ctx context.Context, in login, remote string) (account.Identity, error) {
	address := network(remote)
	if s.sprays.locked(address) {
		return account.Identity{}, errSprayed
	}
	identity, known, err := s.find(ctx, in)
	if err != nil {
		return account.Identity{}, err
	}
	hash, who := s.decoyHash, "?"+in.domain.ID+"\x00"+in.domain.Name+"\x00"+in.user.ID+"\x00"+in.user.Name
	if known {
		hash, who = identity.User.PasswordHash, identity.User.ID
	}
	sum := sha256.Sum256([]byte(who + "\x00" + address))
	err = s.logins.try(ctx, hex.EncodeToString(sum[:]), func() (verdict, error) {
		var ok bool
		var unusable error
		sprayed := false
		judge := func() {
			if sprayed = s.sprays.locked(address); !sprayed { // asked again: it may have waited behind many others
				ok, unusable = account.CheckPassword(hash, in.password)
			}
		}
		if err := s.hash(ctx, judge); err != nil {
			return undecided, err
		}
		switch {
		case sprayed:
			return undecided, errSprayed
		case unusable != nil:
			return undecided, fmt.Errorf("check the password of user %s: %w", identity.User.ID, unusable)
		case !ok || !known || identity.User.Disabled:
			if s.sprays.wrong(address) {
				s.log.Warn("an address is locked: too many wrong passwords came from it", "remote", address, "wrong", maxSprayed, "for", lockTime)
			}
			return wrong, errPassword
		}
		return right, nil
	})
	switch {
	case errors.Is(err, errSprayed):
	case errors.Is(err, errPassword):
		err = &phone.Error{Code: phone.Unauthenticated, Msg: "The username or password is wrong.", Err: errPassword}
	case errors.Is(err, errLocked):
		err = &phone.Error{Code: phone.Unauthenticated, Msg: "The account is locked.", Err: errLocked}
	case err != nil && ctx.Err() != nil:
		err = phone.Errorf(phone.Unavailable, "", "the call ended before the password was checked: %w", ctx.Err())
	}
	return identity, err
}

// errSprayed is the answer to an address that has had its tries, whatever the password.
var errSprayed = &phone.Error{
	Code: phone.Unauthenticated, Err: errLocked, Msg: "Too many wrong passwords came from this address: it is locked for up to 15 minutes.",
}

// find gives the user that the request names. Everything that the request says of it must be so: a user's id with another
// account's name is nobody.
func (s *Service) find(ctx context.Context, in login) (account.Identity, bool, error) {
	var identity account.Identity
	var err error
	if in.user.ID != "" {
		identity, err = s.store.UserByID(ctx, in.user.ID)
	} else {
		identity, err = s.store.UserByName(ctx, in.domain.String(), in.user.Name)
	}
	switch {
	case phone.CodeOf(err) == phone.NotFound:
		return account.Identity{}, false, nil
	case err != nil:
		return account.Identity{}, false, fmt.Errorf("look up a user: %w", err)
	case !in.user.is(identity.User.ID, identity.User.Name),
		in.domain.given() && !in.domain.is(identity.Account.ID, identity.Account.Name):
		return account.Identity{}, false, nil
	}
	return identity, true, nil
}

// in gives the id of the project that the scope means within the user's account, "" for the account itself. Another account's
// project is answered like one that does not exist.
func (s scope) in(identity account.Identity) (string, error) {
	missing := func(kind string, r reference) error {
		return phone.Errorf(phone.NotFound, "", "Could not find %s: %s.", kind, r)
	}
	if !s.project.given() {
		if s.domain.given() && !s.domain.is(identity.Account.ID, identity.Account.Name) {
			return "", missing("domain", s.domain)
		}
		return "", nil
	}
	if s.projectDomain.given() && !s.projectDomain.is(identity.Account.ID, identity.Account.Name) {
		return "", missing("project", s.project)
	}
	for _, p := range identity.Projects {
		if s.project.is(p.ID, p.Name) {
			return p.ID, nil
		}
	}
	return "", missing("project", s.project)
}
