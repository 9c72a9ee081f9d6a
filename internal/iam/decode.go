package iam

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/strictjson"
)

// maxBody is the largest body of any /v3 call, in bytes.
const maxBody = 64 << 10

// bodyTimeout is how long a body may take to arrive.
const bodyTimeout = 30 * time.Second

// maxReference is the longest id or name, in bytes.
const maxReference = 256

// tokenRequest is the body of POST /v3/auth/tokens. Keys that lethe does not know are passed over, as IAM does.
type tokenRequest struct {
	Auth *struct {
		Identity *struct {
			Methods  []string `json:"methods"`
			Password *struct {
				User *struct {
					reference
					Password *string    `json:"password"`
					Domain   *reference `json:"domain"`
				} `json:"user"`
			} `json:"password"`
		} `json:"identity"`
		Scope *struct {
			Project *struct {
				reference
				Domain *reference `json:"domain"`
			} `json:"project"`
			Domain *reference `json:"domain"`
		} `json:"scope"`
	} `json:"auth"`
}

// decodeLogin reads the body of a token request. The error is Invalid and says which field is wrong; it repeats nothing of the
// body, which has a password in it.
func decodeLogin(body []byte) (login, error) {
	var in tokenRequest
	if err := strictjson.Unmarshal(body, &in, strictjson.Options{AllowUnknown: true}); err != nil {
		var wrong *strictjson.Error
		if errors.As(err, &wrong) {
			return login{}, invalid("%s at line %d, column %d", wrong.Kind, wrong.Line, wrong.Col)
		}
		return login{}, invalid("not to be decoded")
	}
	switch {
	case in.Auth == nil:
		return login{}, invalid("auth is missing")
	case in.Auth.Identity == nil:
		return login{}, invalid("auth.identity is missing")
	case !slices.Equal(in.Auth.Identity.Methods, []string{"password"}):
		return login{}, invalid(`auth.identity.methods must be ["password"]`)
	case in.Auth.Identity.Password == nil || in.Auth.Identity.Password.User == nil:
		return login{}, invalid("auth.identity.password.user is missing")
	}
	user := in.Auth.Identity.Password.User
	out := login{user: user.reference, domain: orNone(user.Domain)}
	switch {
	case !user.given():
		return login{}, invalid("auth.identity.password.user needs a name or an id")
	case user.Password == nil:
		return login{}, invalid("auth.identity.password.user.password is missing")
	case user.ID == "" && !out.domain.given():
		return login{}, invalid("auth.identity.password.user.domain needs a name or an id")
	}
	out.password = *user.Password
	if scope := in.Auth.Scope; scope != nil {
		if scope.Project != nil {
			out.scope.project, out.scope.projectDomain = scope.Project.reference, orNone(scope.Project.Domain)
			if !scope.Project.given() {
				return login{}, invalid("auth.scope.project needs a name or an id")
			}
		}
		if out.scope.domain = orNone(scope.Domain); scope.Domain != nil && !scope.Domain.given() {
			return login{}, invalid("auth.scope.domain needs a name or an id")
		}
	}
	for _, r := range []reference{out.user, out.domain, out.scope.project, out.scope.projectDomain, out.scope.domain} {
		if unusable(r.ID) || unusable(r.Name) {
			return login{}, invalid("an id or a name has more than %d bytes or a control character", maxReference)
		}
	}
	return out, nil
}

func orNone(r *reference) reference {
	if r == nil {
		return reference{}
	}
	return *r
}

// unusable reports a text that nothing is named by; a database need not be asked, and PostgreSQL would refuse a NUL.
func unusable(s string) bool {
	return len(s) > maxReference || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

func invalid(format string, args ...any) *phone.Error {
	return phone.Errorf(phone.Invalid, "", "The request body is invalid: "+format, args...)
}
