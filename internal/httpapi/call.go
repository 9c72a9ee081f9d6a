package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/audit"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/strictjson"
)

// call is one request on its way through a handler: who calls, and what was sent.
type call struct {
	*http.Request
	w         http.ResponseWriter
	requestID phone.RequestID
	body      []byte
	// contentHash is the SHA-256 in hex that the body of a streamed call must have; "": any.
	contentHash string
	caller      account.Caller
	query       url.Values
	audited     *audit.Entry
}

// readBody reads at most limit bytes.
func (c *call) readBody(limit int64) error {
	body, err := io.ReadAll(io.LimitReader(c.Body, limit+1))
	if refused := (*phone.Error)(nil); errors.As(err, &refused) {
		return err
	}
	if err != nil {
		return &phone.Error{Code: phone.Invalid, Msg: "the body could not be read to its end", Err: err}
	}
	if int64(len(body)) > limit {
		return phone.Errorf(phone.Invalid, reasonBodyTooLarge, "the body has more than %d bytes", limit)
	}
	c.body = body
	return nil
}

// decode reads the body into v, a pointer to a wire struct; what v does not have is refused.
func (c *call) decode(v any) error {
	return bodyError(strictjson.Unmarshal(c.body, v, strictjson.Options{}))
}

// noDeadlines lets the call take as long as it wants while its caller waits: the context ends when he goes away. A connection
// without deadlines has none to lift.
func (c *call) noDeadlines() {
	connection := http.NewResponseController(c.w)
	_, _ = connection.SetReadDeadline(time.Time{}), connection.SetWriteDeadline(time.Time{})
}

// answer encodes v before the header goes out, so that a failure can still be answered.
func (c *call) answer(status int, v any) error {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	c.w.Header().Set("Content-Type", "application/json")
	c.w.WriteHeader(status)
	_, _ = c.w.Write(body.Bytes()) // the caller is gone: there is nobody left to tell
	return nil
}

// project is the project that the call is about: the one it names, else the token's, else the account's only one. Whether the
// credentials reach into it is the use case's to decide.
func (c *call) project() (phone.ProjectID, error) {
	header, query := c.Header.Get("X-Project-Id"), c.query.Get("project_id")
	switch {
	case header != "" && query != "" && header != query:
		return "", phone.Errorf(phone.Invalid, "", "X-Project-Id and project_id name two projects: name one")
	case header != "":
		return phone.ProjectID(header), nil
	case query != "":
		return phone.ProjectID(query), nil
	case c.caller.Scope != "":
		return phone.ProjectID(c.caller.Scope), nil
	case c.caller.Signed && len(c.caller.Projects) == 1:
		return phone.ProjectID(c.caller.Projects[0].ID), nil
	}
	return "", phone.Errorf(phone.Invalid, "", "no project is named: send X-Project-Id, or use a token that is scoped to a project")
}

// auditProject is the project that the audit trail has of the call: "" where it is about the account, or names none that the caller
// has, so that nobody writes into what others read.
func (c *call) auditProject(route route) string {
	if permission, _ := fleet.PermissionOf(route.action); permission.Scope != fleet.ScopeProject {
		return ""
	}
	named := c.query
	c.query = c.URL.Query()
	project, err := c.project()
	if c.query = named; err != nil || !c.caller.In(string(project)) {
		return ""
	}
	return string(project)
}

// onlyQuery refuses a query parameter that the route does not have, so that a misspelt filter does not choose everything.
func (c *call) onlyQuery(known []string) error {
	query, err := url.ParseQuery(c.URL.RawQuery)
	if err != nil {
		return &phone.Error{Code: phone.Invalid, Msg: "the query is not well formed", Err: err}
	}
	for name, values := range query {
		if name != "project_id" && !slices.Contains(known, name) {
			has := "it has none"
			if len(known) > 0 {
				has = "it has " + strings.Join(known, ", ")
			}
			return &phone.Error{Code: phone.Invalid, Field: name, Msg: fmt.Sprintf("there is no query parameter %q here: %s", name, has)}
		}
		if len(values) > 1 {
			return &phone.Error{Code: phone.Invalid, Field: name, Msg: fmt.Sprintf("the query parameter %q stands twice", name)}
		}
	}
	c.query = query
	return nil
}

// integer reads a whole number between lowest and highest from the query; absent, it is fallback.
func (c *call) integer(name string, fallback, lowest, highest int) (int, error) {
	text := c.query.Get(name)
	if text == "" {
		return fallback, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < lowest || n > highest {
		return 0, &phone.Error{Code: phone.Invalid, Field: name, Msg: fmt.Sprintf("%s must be a whole number from %d to %d", name, lowest, highest)}
	}
	return n, nil
}

// duration reads a time such as 30s or 1m from the query; absent, it is 0.
func (c *call) duration(name string) (time.Duration, error) {
	text := c.query.Get(name)
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, &phone.Error{Code: phone.Invalid, Field: name, Msg: name + " must be a time such as 30s"}
	}
	return d, nil
}

// page reads offset and limit.
func (c *call) page() (offset, limit int, err error) {
	if offset, err = c.integer("offset", 0, 0, 1<<31-1); err != nil {
		return 0, 0, err
	}
	limit, err = c.integer("limit", defaultPage, 1, maxPage)
	return offset, limit, err
}

const (
	defaultPage = 100
	maxPage     = 1000
)
