package phone

// DecideRetry decides, in the order of the jobs, for which of their phones what a request of this kind asked for is done once more. A
// reset or a restart is to the image that the job was to boot and exactly the properties that it was to set, a reset under the same rollback
// policy. jobs are failed or cancelled ones, each its phone's latest, targets has the phones of all of them, and images those of their images that the
// project may still use. A phone keeps the image that it has.
func DecideRetry(kind Kind, jobs []Job, targets map[ID]ResetTarget, images map[ImageID]bool, check PropertyCheck) ([]Accepted, []Outcome) {
	switch kind.Retried() {
	case KindStop:
		return DecideStop(itemsOf(jobs), targets)
	case KindRestart:
		return retryRestarts(jobs, targets, images, check)
	case KindDelete:
		return DecideDelete(itemsOf(jobs), targets)
	}
	var accepted []Accepted
	outcomes := make([]Outcome, len(jobs))
	for i, j := range jobs {
		outcomes[i].PhoneID = string(j.Phone)
		target, known := targets[j.Phone]
		err := refuseReset(ResetItem{PhoneID: string(j.Phone)}, target, known, false)
		if err == nil && !images[j.Image] && j.Image != target.Phone.Image {
			err = Errorf(NotFound, ReasonImageNotFound, "the image of the failed job is not there for the project any more: reset the phone to another one")
		}
		if err == nil {
			err = check(target.Driver, j.Properties)
		}
		if err != nil {
			outcomes[i].Err = err
			continue
		}
		accepted = append(accepted, Accepted{
			Index: i, Phone: target.Phone, Target: target.Phone.LastGeneration + 1, Image: j.Image, Properties: j.Properties, Factory: j.Factory, Rollback: j.Rollback,
		})
	}
	return accepted, outcomes
}

func retryRestarts(jobs []Job, targets map[ID]ResetTarget, images map[ImageID]bool, check PropertyCheck) ([]Accepted, []Outcome) {
	of := make(map[ID]Job, len(jobs))
	for _, j := range jobs {
		of[j.Phone] = j
	}
	accepted, outcomes := decideKeeping(itemsOf(jobs), targets, restartable, func(_ ResetItem, target ResetTarget) (Properties, *Error) {
		j := of[target.Phone.ID]
		if !images[j.Image] && j.Image != target.Phone.Image {
			return nil, Errorf(NotFound, ReasonImageNotFound, "the image of the failed job is not there for the project any more: restart the phone without naming it")
		}
		return j.Properties, check(target.Driver, j.Properties)
	})
	for i := range accepted {
		accepted[i].Image = of[accepted[i].Phone.ID].Image
	}
	return accepted, outcomes
}

func itemsOf(jobs []Job) []ResetItem {
	items := make([]ResetItem, len(jobs))
	for i, j := range jobs {
		items[i].PhoneID = string(j.Phone)
	}
	return items
}
