package phone

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"time"
)

// TicketLife is how long a ticket is good.
const TicketLife = 10 * time.Minute

// Ticket proves for a while that its bearer was allowed to connect to a phone. It belongs to the phone's life of that moment: it
// does not open what a reset has made since. Only its hash is kept.
type Ticket struct {
	Hash       [32]byte
	Session    string
	Phone      ID
	Generation Generation
	Project    ProjectID
	User       string
	ExpiresAt  time.Time
}

// NewTicket makes a ticket and gives its secret, which is nowhere kept.
func NewTicket(p Phone, user string, now time.Time) (Ticket, string) {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	secret := base64.RawURLEncoding.EncodeToString(b[:])
	return Ticket{
		Hash: TicketHash(secret), Session: NewID[string](), Phone: p.ID, Generation: p.Generation, Project: p.Project, User: user,
		ExpiresAt: now.Add(TicketLife),
	}, secret
}

// TicketHash is what is kept of a ticket's secret.
func TicketHash(secret string) [32]byte { return sha256.Sum256([]byte(secret)) }
