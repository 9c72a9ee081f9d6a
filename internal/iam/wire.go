package iam

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"

	"github.com/lethe-cloud/lethe/internal/account"
)

// The answers' bodies, field by field as the IAM API reference has them.

type tokenOut struct {
	Token tokenBody `json:"token"`
}

type tokenBody struct {
	Catalog   []serviceOut `json:"catalog"`
	Domain    *namedOut    `json:"domain,omitempty"`
	ExpiresAt string       `json:"expires_at"`
	IssuedAt  string       `json:"issued_at"`
	Methods   []string     `json:"methods"`
	Project   *inDomainOut `json:"project,omitempty"`
	Roles     []namedOut   `json:"roles"`
	User      userOut      `json:"user"`
}

type namedOut struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type inDomainOut struct {
	Domain namedOut `json:"domain"`
	namedOut
}

type userOut struct {
	inDomainOut
	PasswordExpiresAt string `json:"password_expires_at"` // "": never
}

type serviceOut struct {
	Endpoints []endpointOut `json:"endpoints"`
	ID        string        `json:"id"`
	Name      string        `json:"name"`
	Type      string        `json:"type"`
}

type endpointOut struct {
	ID        string `json:"id"`
	Interface string `json:"interface"`
	Region    string `json:"region"`
	RegionID  string `json:"region_id"`
	URL       string `json:"url"`
}

type projectsOut struct {
	Projects []projectOut `json:"projects"`
	Links    linksOut     `json:"links"`
}

type projectOut struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Description string   `json:"description"`
	DomainID    string   `json:"domain_id"`
	ParentID    string   `json:"parent_id"`
	IsDomain    bool     `json:"is_domain"`
	Enabled     bool     `json:"enabled"`
	Links       linksOut `json:"links"`
}

type domainsOut struct {
	Domains []domainOut `json:"domains"`
	Links   linksOut    `json:"links"`
}

type domainOut struct {
	ID          string  `json:"id"`
	Name        string  `json:"name"`
	Description string  `json:"description"`
	Enabled     bool    `json:"enabled"`
	Links       selfOut `json:"links"`
}

type linksOut struct {
	Self     string  `json:"self"`
	Previous *string `json:"previous"`
	Next     *string `json:"next"`
}

type selfOut struct {
	Self string `json:"self"`
}

// tokenOut says what a token stands for. With the query parameter nocatalog, whatever its value, the catalog is empty.
func (s *Service) tokenOut(r *http.Request, caller account.Caller) tokenOut {
	domain := namedOut{ID: caller.Account.ID, Name: caller.Account.Name}
	body := tokenBody{
		Catalog:   []serviceOut{},
		ExpiresAt: formatTime(caller.Token.ExpiresAt), IssuedAt: formatTime(caller.Token.IssuedAt),
		Methods: []string{"password"},
		Roles:   roles(caller),
		User:    userOut{inDomainOut: inDomainOut{Domain: domain, namedOut: namedOut{ID: caller.User.ID, Name: caller.User.Name}}},
	}
	base := s.base(r)
	services := []serviceOut{service("iam", "*", base+"/v3")}
	body.Domain = &domain
	for _, p := range caller.Projects {
		if p.ID == caller.Scope {
			body.Project = &inDomainOut{Domain: domain, namedOut: namedOut{ID: p.ID, Name: p.Name}}
			body.Domain = nil
			services = append(services, service("cph", p.Name, base+"/v1/"+p.ID))
		}
	}
	if !r.URL.Query().Has("nocatalog") {
		body.Catalog = services
	}
	return tokenOut{Token: body}
}

// roles names what the user may do with the token: the account's role as in IAM, or the policies that have a name and count in the
// token's scope, each once. Every role has the id 0, as in the examples of the IAM API reference.
func roles(caller account.Caller) []namedOut {
	if caller.User.Owner {
		return []namedOut{{ID: "0", Name: "te_admin"}}
	}
	out := []namedOut{}
	for _, p := range caller.Policies(caller.Scope) {
		if role := (namedOut{ID: "0", Name: p.Name}); p.Name != "" && !slices.Contains(out, role) {
			out = append(out, role)
		}
	}
	return out
}

// service gives a catalog entry; its ids follow from what it says, so that they are the same in every answer.
func service(name, region, url string) serviceOut {
	id := func(parts ...string) string {
		sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
		return hex.EncodeToString(sum[:16])
	}
	return serviceOut{
		ID: id("service", name), Name: name, Type: name,
		Endpoints: []endpointOut{{ID: id("endpoint", name, region, url), Interface: "public", Region: region, RegionID: region, URL: url}},
	}
}

func projectWire(base string, p account.Project) projectOut {
	return projectOut{
		ID: p.ID, Name: p.Name, DomainID: p.Account, ParentID: p.Account, Enabled: true, Links: linksOut{Self: base + "/v3/projects/" + p.ID},
	}
}

// base gives where the client reaches this installation.
func (s *Service) base(r *http.Request) string {
	switch {
	case s.baseURL != "":
		return strings.TrimSuffix(s.baseURL, "/")
	case r.TLS != nil:
		return "https://" + r.Host
	}
	return "http://" + r.Host
}
