package api

import "time"

// CheckTicket asks whether a ticket is good. Tickets come from the CPH API's phones/batch-connection.
type CheckTicket struct {
	Ticket string `json:"ticket"`
}

// Ticket is a ticket that is good: its bearer may connect to the phone's present life until then.
type Ticket struct {
	PhoneID   string `json:"phone_id"`
	SessionID string `json:"session_id"`
	// Who was given it.
	UserID string `json:"user_id"`
	// The life of the phone that it is for; a reset ends it.
	Generation int64     `json:"generation"`
	ExpireTime time.Time `json:"expire_time"`
}
