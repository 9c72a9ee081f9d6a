package httpapi_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/phone"
)

func TestCheckTicket(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	p := phone.Phone{
		ID: id[phone.ID](3), Project: projectA, Server: id[phone.ServerID](1), Status: phone.StatusRunning, Generation: 2, LastGeneration: 2,
	}
	f.store.Put(phone.Server{ID: id[phone.ServerID](1), Project: projectA, Status: phone.ServerNormal}, p)
	ticket, secret := phone.NewTicket(p, "somebody", clock)
	if err := f.store.InsertTickets(t.Context(), []phone.Ticket{ticket}); err != nil {
		t.Fatal(err)
	}
	got := into[api.Ticket](t, f.call("POST", "/lethe/v1/tickets/check", `{"ticket":"`+secret+`"}`))
	want := api.Ticket{PhoneID: id[string](3), SessionID: ticket.Session, UserID: "somebody", Generation: 2, ExpireTime: ticket.ExpiresAt}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	refused(t, f.call("POST", "/lethe/v1/tickets/check", `{"ticket":"x"}`), http.StatusNotFound)
	refused(t, f.call("POST", "/lethe/v1/tickets/check", `{"ticket":7}`), http.StatusBadRequest)
	refused(t, f.call("POST", "/lethe/v1/tickets/check", `{"ticket":"`+secret+`"}`, "X-Auth-Token", "user cph:servers:create"), http.StatusForbidden)
	p.Generation, p.LastGeneration = 3, 3
	f.store.Put(p)
	refused(t, f.call("POST", "/lethe/v1/tickets/check", `{"ticket":"`+secret+`"}`), http.StatusNotFound)
}
