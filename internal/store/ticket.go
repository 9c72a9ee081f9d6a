package store

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// PhonesOnServers gives those of the project's phones that the ids name, with their servers, in no order.
func (s *Store) PhonesOnServers(ctx context.Context, project phone.ProjectID, ids []phone.ID) ([]fleet.PhoneOnServer, error) {
	return readAll(ctx, s, func(row scanner) (fleet.PhoneOnServer, error) {
		var p phoneRow
		var r serverRow
		if err := row.Scan(append(p.into(), r.into()...)...); err != nil {
			return fleet.PhoneOnServer{}, err
		}
		found, err := p.phone()
		return fleet.PhoneOnServer{Phone: found, Server: r.server()}, err
	}, `SELECT `+columns("p", phoneColumns)+`, `+columns("s", serverColumns)+` FROM phones p JOIN servers s ON s.id = p.server_id
		WHERE `+s.in("p.id")+` AND p.project_id || '' = ?`, list(s.dialect, ids), project)
}

// InsertTickets keeps new tickets, and forgets those whose time is over.
func (s *Store) InsertTickets(ctx context.Context, tickets []phone.Ticket) error {
	return s.tx(ctx, func(t *tx) error {
		if _, err := t.exec(ctx, `DELETE FROM tickets WHERE hash IN (SELECT hash FROM tickets WHERE expires_at <= ?`+t.skipLocked+`)`, t.at); err != nil {
			return err
		}
		rows := make([]ticketInsert, len(tickets))
		for i, k := range tickets {
			rows[i] = ticketInsert{hex.EncodeToString(k.Hash[:]), k.Session, k.Phone, k.Generation, k.Project, k.User, micros(k.ExpiresAt)}
		}
		_, err := t.exec(ctx, `INSERT INTO tickets (hash, session, phone_id, generation, project_id, user_id, expires_at)
			SELECT v.hash, v.session, v.phone_id, v.generation, v.project_id, v.user_id, v.expires_at FROM `+
			t.records("hash text", "session text", "phone_id text", "generation bigint", "project_id text", "user_id text", "expires_at bigint")+` WHERE true`, asJSON(rows))
		return err
	})
}

// ticketInsert is a ticket's row.
type ticketInsert struct {
	Hash       string           `json:"hash"`
	Session    string           `json:"session"`
	Phone      phone.ID         `json:"phone_id"`
	Generation phone.Generation `json:"generation"`
	Project    phone.ProjectID  `json:"project_id"`
	User       string           `json:"user_id"`
	Expires    int64            `json:"expires_at"`
}

// Ticket gives a ticket of the project that is good at this moment, or NotFound with ReasonTicketInvalid.
func (s *Store) Ticket(ctx context.Context, project phone.ProjectID, hash [32]byte) (phone.Ticket, error) {
	ticket := phone.Ticket{Hash: hash}
	err := s.once(ctx, func(t *tx) error {
		var expires int64
		err := t.row(ctx, `SELECT k.session, k.phone_id, k.generation, k.project_id, k.user_id, k.expires_at FROM tickets k JOIN phones p ON p.id = k.phone_id
			WHERE k.hash = ? AND k.project_id = ? AND k.expires_at > ? AND p.generation = k.generation AND p.status = ?`,
			hex.EncodeToString(hash[:]), project, micros(s.now()), phone.StatusRunning).
			Scan(&ticket.Session, &ticket.Phone, &ticket.Generation, &ticket.Project, &ticket.User, &expires)
		if errors.Is(err, sql.ErrNoRows) {
			return &phone.Error{
				Code: phone.NotFound, Reason: phone.ReasonTicketInvalid, Field: "ticket",
				Msg: "the ticket is unknown, its time is over, or its phone does not run in the life that it is for: ask for a new one", Err: err,
			}
		}
		ticket.ExpiresAt = timeOf(expires)
		return err
	})
	return ticket, err
}
