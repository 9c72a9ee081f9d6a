package work

import (
	"context"
	"errors"
	"fmt"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// act removes the orphans that are due, one after the other. It ends where the host stops answering, or a job begins to bring
// an image.
func (p *passing) act(ctx context.Context) error {
	waiting := map[phone.ID]bool{} // phones of which something as old or older is not due: it would go with the volume
	for i := range p.drift.Findings {
		f := &p.drift.Findings[i]
		if f.Kind != phone.DriftOrphan {
			continue
		}
		if !p.due(*f) {
			waiting[f.Phone] = true
			continue
		}
		if f.Object == phone.DriftVolume && waiting[f.Phone] {
			f.Detail += "; it waits for what is as old or older and not due yet"
			continue
		}
		if err := p.remove(ctx, f); err != nil {
			if errors.Is(err, errHeld) {
				p.drift.Held = heldByImage
				return nil
			}
			return err
		}
	}
	return nil
}

func (p *passing) due(f phone.Finding) bool {
	return f.Seen >= sightingsNeeded && p.drift.LookedAt.Sub(f.FirstSeen) >= p.engine.ReconcileGrace
}

var errHeld = errors.New("the server has other things to do")

// remove removes one orphan, if the database, asked once more, still calls it that. A job that begins after the question does no
// harm and takes none: what is removed is named by a life that no job will ever make again, and every reset destroys the volumes
// of such lives anyway.
func (p *passing) remove(ctx context.Context, f *phone.Finding) error {
	log := p.engine.Logger.With("server_id", p.server.ID, "phone_id", f.Phone, "generation", f.Generation, "object", f.Object, "name", f.Name)
	hosting, err := p.engine.Store.Hosting(ctx, p.server.ID, f.Phone)
	if err != nil {
		return err
	}
	if hosting.Preparing {
		return errHeld
	}
	if len(hosting.Phones) != 1 || hosting.Phones[0].Stand(f.Generation) != phone.StandingOrphan {
		f.Detail = "a job has begun on this phone since the host was looked at: it is left to that"
		return nil
	}
	if f.Object == phone.DriftInstance {
		err = p.host.Remove(ctx, refOf(*f))
	} else {
		err = p.host.Discard(ctx, refOf(*f))
	}
	switch {
	case err == nil:
		log.Info("orphan removed")
		f.Done = "removed"
		return nil
	case ctx.Err() != nil, phone.CodeOf(err) == phone.Unavailable:
		return fmt.Errorf("remove %s %s: %w", f.Object, f.Name, err)
	}
	log.Warn("an orphan could not be removed", "err", err)
	f.Detail += fmt.Sprintf("; it could not be removed: %s", failureOf(err).Msg)
	return nil
}
