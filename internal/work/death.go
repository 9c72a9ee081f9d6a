package work

import (
	"context"
	"fmt"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// maxDeaths is how many phones one transaction marks, at most.
const maxDeaths = 200

// notice asks the host about the running phones whose instances it listed as ended or not at all, one after the other, and makes
// those abnormal that are so.
func (p *passing) notice(ctx context.Context) error {
	var deaths []phone.Death
	findings := map[phone.ID]*phone.Finding{}
	incomplete := map[phone.ID]bool{} // what has no volume or no instance cannot be started
	for _, f := range p.drift.Findings {
		incomplete[f.Phone] = incomplete[f.Phone] || f.Kind == phone.DriftMissing
	}
	save := func() error {
		died, err := p.engine.Store.Died(ctx, p.server.ID, deaths)
		for _, d := range died {
			f := findings[d.Phone]
			f.Done, f.Detail = "marked abnormal", d.Cause
			if d.Job != "" {
				f.Done = "is started again"
			}
			p.engine.Logger.Warn("a phone has died", "server_id", p.server.ID, "phone_id", d.Phone, "generation", f.Generation, "job_id", d.Job)
		}
		deaths = deaths[:0]
		return err
	}
	for i := range p.drift.Findings {
		f := &p.drift.Findings[i]
		if f.Object != phone.DriftInstance || f.Kind != phone.DriftDead && f.Kind != phone.DriftMissing {
			continue
		}
		death, dead, err := p.ask(ctx, *f)
		if err != nil {
			return err
		}
		if !dead {
			f.Detail = "its instance was not running when the host was listed, and is now"
			continue
		}
		f.Detail = death.Cause
		death.Start = p.engine.RestartDead && !incomplete[f.Phone] && !death.gone
		findings[f.Phone] = f
		if deaths = append(deaths, death.Death); len(deaths) == maxDeaths {
			if err := save(); err != nil {
				return err
			}
		}
	}
	return save()
}

// death is a death, and whether there is nothing left to start.
type death struct {
	phone.Death
	gone bool
}

// ask looks at one instance itself.
func (p *passing) ask(ctx context.Context, f phone.Finding) (death, bool, error) {
	death := death{Death: phone.Death{Phone: f.Phone, Generation: f.Generation, UpdatedAt: p.known[f.Phone].UpdatedAt}}
	instance, err := p.host.Inspect(ctx, refOf(f))
	switch {
	case phone.CodeOf(err) == phone.NotFound:
		death.gone = true
		death.Cause = fmt.Sprintf("the instance of life %d is gone from server %s: restart the phone, or reset it if its volume is gone too", f.Generation, p.server.Name)
	case err != nil:
		return death, false, fmt.Errorf("inspect the instance of phone %s: %w", f.Phone, err)
	case instance.Running:
		return death, false, nil
	case !instance.Exited:
		death.Cause = "the instance was made and does not run"
	default:
		death.Cause = fmt.Sprintf("the instance ended by itself with exit code %d", instance.ExitCode)
		if instance.Log != "" {
			death.Cause += "; its last lines: " + instance.Log
		}
	}
	return death, true, nil
}
