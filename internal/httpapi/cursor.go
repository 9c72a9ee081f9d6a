package httpapi

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// A cursor is a place of one list, written so that nobody takes it for anything else: in front of the place stands a hash of it and
// of what the list was asked for. It keeps a cursor from being mistyped, shortened or given to another list; it guards no secret,
// for whoever makes up a cursor of his own sees nothing that the list would not show him.

const (
	cursorHash  = 8 // bytes
	cursorOrder = 8 // bytes; the place's id follows
)

// cursorPage is where a page of a list begins, as its caller asked.
type cursorPage struct {
	list    []byte // the route, the project and the filters
	byPlace bool   // the list is followed from place to place: by after, or from the beginning on
	counted bool   // the answer says how many there are in all
	after   fleet.Place
}

// cursorPage reads after. Without it a list begins at its beginning, and with it goes on; offset has nothing to do with either.
func (c *call) cursorPage(project phone.ProjectID) (cursorPage, error) {
	page := cursorPage{byPlace: !c.query.Has("offset"), counted: !c.query.Has("after")}
	asked := make(map[string][]string, len(c.query))
	for name, values := range c.query {
		if name != "after" && name != "limit" && name != "offset" && name != "project_id" {
			asked[name] = values
		}
	}
	list, err := json.Marshal([]any{c.URL.Path, project, asked}) // the keys of a map come in order
	if err != nil {
		return page, fmt.Errorf("name the list: %w", err)
	}
	page.list = list
	if page.counted {
		return page, nil
	}
	if !page.byPlace {
		return page, &phone.Error{Code: phone.Invalid, Reason: phone.ReasonPageInvalid, Field: "after", Msg: "after and offset are two ways through a list: give one of them"}
	}
	text := c.query.Get("after")
	if text == "" {
		return page, nil
	}
	var ok bool
	if page.after, ok = page.place(text); !ok {
		return page, &phone.Error{
			Code: phone.Invalid, Reason: phone.ReasonPageInvalid, Field: "after",
			Msg: "after is no cursor of this list: give the next of the page before, with the same project and filters, or begin again without it",
		}
	}
	return page, nil
}

// cursor writes the place where the next page begins; "" when there is none.
func (p cursorPage) cursor(next *fleet.Place) string {
	if next == nil {
		return ""
	}
	id, err := hex.DecodeString(next.ID)
	if err != nil {
		panic("httpapi: a place's id is not hexadecimal: " + next.ID)
	}
	place := append(binary.BigEndian.AppendUint64(nil, uint64(next.Order)), id...)
	return base64.RawURLEncoding.EncodeToString(append(p.hash(place), place...))
}

// place reads a cursor of this very list.
func (p cursorPage) place(cursor string) (fleet.Place, bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(raw) < cursorHash+cursorOrder {
		return fleet.Place{}, false
	}
	place := raw[cursorHash:]
	if string(p.hash(place)) != string(raw[:cursorHash]) {
		return fleet.Place{}, false
	}
	return fleet.Place{Order: int64(binary.BigEndian.Uint64(place)), ID: hex.EncodeToString(place[cursorOrder:])}, true
}

func (p cursorPage) hash(place []byte) []byte {
	sum := sha256.Sum256(append(place[:len(place):len(place)], p.list...))
	return sum[:cursorHash]
}

// readList reads a page of a list that can be counted, the way its caller goes through it.
func readList[T any](page cursorPage, byOffset func() ([]T, int, error), after func(fleet.Place) ([]T, *fleet.Place, error),
	place func(T) fleet.Place) (found []T, count *int, next *fleet.Place, err error) {
	if !page.counted {
		found, next, err = after(page.after)
		return found, nil, next, err
	}
	found, n, err := byOffset()
	if err == nil && page.byPlace && len(found) > 0 && len(found) < n {
		last := place(found[len(found)-1])
		next = &last
	}
	return found, &n, next, err
}
