package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// dueAtOnce is how many due servers are looked up at once: finding them goes through all servers.
const dueAtOnce = 64

// DueServer claims, for ttl by the database's clock, a normal server whose pass is due and that no live pass has, one of those that are
// due longest, and makes it due again after every. It gives false when there is none.
func (s *Store) DueServer(ctx context.Context, pass string, every, ttl time.Duration) (phone.Server, bool, error) {
	for {
		id, err := s.nextDue(ctx, every, ttl)
		if err != nil || id == "" {
			return phone.Server{}, false, err
		}
		claimed, err := s.claimServer(ctx, pass, id, ttl, &every)
		switch {
		case phone.CodeOf(err) == phone.Precondition, err == nil && !claimed: // deleted, or another replica's by now
			continue
		case err != nil:
			return phone.Server{}, false, err
		}
		server, err := readOne(ctx, s, phone.ReasonServerNotFound, scanServer, `SELECT `+serverColumns+` FROM servers WHERE id = ? AND status = ?`, id, phone.ServerNormal)
		if phone.CodeOf(err) != phone.NotFound {
			return server, err == nil, err
		}
		if err := s.ReleaseServer(ctx, pass, id); err != nil { // it is not normal any more
			return phone.Server{}, false, err
		}
	}
}

// nextDue gives one of the servers that were due when they were looked up last, and looks again when there are no more. Where there
// are many their order is random, so that two replicas seldom want the same one. "" means that none is due.
func (s *Store) nextDue(ctx context.Context, every, ttl time.Duration) (phone.ServerID, error) {
	s.dueMu.Lock()
	defer s.dueMu.Unlock()
	if len(s.due) == 0 {
		due, err := readAll(ctx, s, one[phone.ServerID], `SELECT s.id FROM servers s LEFT JOIN server_watches w ON w.server_id = s.id WHERE s.status = ?
			AND `+s.past("coalesce(w.due_at, 0)")+` AND `+s.past("coalesce(w.expires_at, 0)")+` ORDER BY coalesce(w.due_at, 0), s.id LIMIT ?`,
			phone.ServerNormal, ahead(every), ahead(ttl), dueAtOnce)
		if err != nil || len(due) == 0 {
			return "", err
		}
		if len(due) == dueAtOnce {
			rand.Shuffle(len(due), func(i, j int) { due[i], due[j] = due[j], due[i] })
		}
		s.due = due
	}
	id := s.due[0]
	s.due = s.due[1:]
	return id, nil
}

// ClaimServer claims a server for one pass now, due or not. A server that another pass has is Conflict.
func (s *Store) ClaimServer(ctx context.Context, pass string, server phone.ServerID, ttl time.Duration) error {
	claimed, err := s.claimServer(ctx, pass, server, ttl, nil)
	if err == nil && !claimed {
		return phone.Errorf(phone.Conflict, "", "the server is being compared with its host at this moment: try again when that has ended")
	}
	return err
}

// claimServer makes the pass the server's, unless a live one has it; with every only if it is due, and due again after that.
func (s *Store) claimServer(ctx context.Context, pass string, server phone.ServerID, ttl time.Duration, every *time.Duration) (bool, error) {
	again, condition := ``, ``
	args := []any{server, pass, ttl.Microseconds(), int64(0), ahead(ttl)}
	if every != nil {
		again, condition = `, due_at = excluded.due_at`, ` AND `+s.past("server_watches.due_at")
		args[3] = every.Microseconds()
		args = append(args, ahead(*every))
	}
	var claimed bool
	err := s.tx(ctx, func(t *tx) error {
		n, err := t.exec(ctx, `INSERT INTO server_watches (server_id, pass, expires_at, due_at) VALUES (?, ?, `+t.clock+` + ?, `+t.clock+` + ?)
			ON CONFLICT (server_id) DO UPDATE SET pass = excluded.pass, expires_at = excluded.expires_at`+again+`
			WHERE `+t.past("server_watches.expires_at")+condition, args...)
		claimed = n > 0
		return err
	})
	return claimed, err
}

// ahead is the most that a time of this period may lie ahead, as an argument of past. Passes come with jitter, so it is twice that.
func ahead(d time.Duration) int64 { return 2 * d.Microseconds() }

// ReleaseServer ends a pass; one that another pass has taken over since is left alone.
func (s *Store) ReleaseServer(ctx context.Context, pass string, server phone.ServerID) error {
	return s.tx(ctx, func(t *tx) error {
		_, err := t.exec(ctx, `UPDATE server_watches SET expires_at = 0 WHERE server_id = ? AND pass = ?`, server, pass)
		return err
	})
}

// Hosting gives, at one moment, what should be on the server's host: all of its phones, or the named ones among them; and, as Deleted, the
// phones that were deleted from it, as long as their jobs are kept.
func (s *Store) Hosting(ctx context.Context, server phone.ServerID, only ...phone.ID) (phone.Hosting, error) {
	var w where
	w.add("p.server_id = ?", server)
	deleted := where{}
	deleted.add("d.server_id = ? AND d.kind = 'delete' AND d.stage = 'ended' AND d.phase = 'succeeded'", server)
	if len(only) > 0 {
		w.add(s.in("p.id"), list(s.dialect, only))
		deleted.add(s.in("d.phone_id"), list(s.dialect, only))
	}
	var h phone.Hosting
	err := s.view(ctx, func(t *tx) error {
		err := t.row(ctx, `SELECT EXISTS (SELECT 1 FROM jobs WHERE server_id = ? AND stage = 'preparing')`, server).Scan(&h.Preparing)
		if err != nil {
			return err
		}
		phones, err := all(ctx, t, scanHosted, `SELECT p.id, p.name, p.status, p.generation, p.last_generation, p.updated_at,
			EXISTS (SELECT 1 FROM jobs j WHERE j.phone_id = p.id AND j.stage NOT IN ('ended', 'working')) FROM phones p`+w.String()+` ORDER BY p.id`, w.args...)
		if err != nil {
			return err
		}
		gone, err := all(ctx, t, func(row scanner) (phone.Hosted, error) {
			g := phone.Hosted{Deleted: true}
			var at int64
			err := row.Scan(&g.Phone, &g.LastGeneration, &at)
			g.UpdatedAt = timeOf(at)
			return g, err
		}, `SELECT d.phone_id, d.target, d.ended_at FROM jobs d`+deleted.String()+` ORDER BY d.phone_id`, deleted.args...)
		h.Phones = append(phones, gone...)
		return err
	})
	if err != nil {
		return phone.Hosting{}, err
	}
	return h, nil
}

func scanHosted(row scanner) (phone.Hosted, error) {
	var h phone.Hosted
	var updated int64
	err := row.Scan(&h.Phone, &h.Name, &h.Status, &h.Generation, &h.LastGeneration, &updated, &h.Busy)
	h.UpdatedAt = timeOf(updated)
	return h, err
}

// Sightings gives what earlier passes have seen on the server's host.
func (s *Store) Sightings(ctx context.Context, server phone.ServerID) ([]phone.Sighting, error) {
	return readAll(ctx, s, func(row scanner) (phone.Sighting, error) {
		var v phone.Sighting
		var first int64
		err := row.Scan(&v.Object, &v.Phone, &v.Generation, &first, &v.Seen)
		v.FirstSeen = timeOf(first)
		return v, err
	}, `SELECT object, phone_id, generation, first_seen, seen FROM orphans WHERE server_id = ? ORDER BY phone_id, generation, object`, server)
}

// SaveSightings replaces what is remembered of the server's host.
func (s *Store) SaveSightings(ctx context.Context, server phone.ServerID, sightings []phone.Sighting) error {
	type row struct {
		Object     phone.DriftObject `json:"object"`
		Phone      phone.ID          `json:"phone_id"`
		Generation phone.Generation  `json:"generation"`
		First      int64             `json:"first_seen"`
		Seen       int               `json:"seen"`
	}
	rows := make([]row, len(sightings))
	for i, v := range sightings {
		rows[i] = row{Object: v.Object, Phone: v.Phone, Generation: v.Generation, First: micros(v.FirstSeen), Seen: v.Seen}
	}
	return s.tx(ctx, func(t *tx) error {
		if _, err := t.exec(ctx, `DELETE FROM orphans WHERE server_id = ?`, server); err != nil {
			return fmt.Errorf("forget what was seen: %w", err)
		}
		if len(rows) == 0 {
			return nil
		}
		_, err := t.exec(ctx, `INSERT INTO orphans (server_id, object, phone_id, generation, first_seen, seen)
			SELECT ?, v.object, v.phone_id, v.generation, v.first_seen, v.seen FROM `+
			t.records("object text", "phone_id text", "generation bigint", "first_seen bigint", "seen bigint")+` WHERE true`, server, asJSON(rows))
		if err != nil {
			return fmt.Errorf("remember what was seen: %w", err)
		}
		return nil
	})
}
