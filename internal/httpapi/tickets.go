package httpapi

import (
	"net/http"

	"github.com/lethe-cloud/lethe/api"
)

// checkTicket is for gateways in front of phones: they ask it before they let a bearer through.
func (a *API) checkTicket(c *call) error {
	var in api.CheckTicket
	if err := c.decode(&in); err != nil {
		return err
	}
	project, err := c.project()
	if err != nil {
		return err
	}
	t, err := a.Fleet.CheckTicket(c.Context(), c.caller, project, in.Ticket)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, api.Ticket{
		PhoneID: string(t.Phone), SessionID: t.Session, UserID: t.User, Generation: int64(t.Generation), ExpireTime: t.ExpiresAt,
	})
}
