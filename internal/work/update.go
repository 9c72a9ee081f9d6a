package work

import (
	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// updateAndFinish is the whole of an update: in a phone that runs the values are set and everything is read back. One that did not run
// when the job was accepted gets them when it runs next, and nothing starts it meanwhile, for it has this job. Either is given the adb keys
// of its server, which may be what the update is for.
func (t *task) updateAndFinish() error {
	if err := t.setKeys(); err != nil {
		return err
	}
	if t.Job.PriorStatus == phone.StatusRunning {
		return t.verifyAndFinish(&erasing{})
	}
	rules := t.engine.Hosts.Rules(t.Server.Driver)
	var readings []phone.PropertyReading
	for _, key := range t.Job.Properties.Keys() {
		reading := phone.PropertyReading{Key: key, Effect: phone.EffectPending}
		if rules.Timing(key) == driver.Recorded {
			reading.Effect = phone.EffectRecorded
		}
		readings = append(readings, reading)
	}
	return t.finish(driver.Instance{Ref: t.ref(), Identity: t.Identity}, readings, &erasing{})
}
