package phone

// MayTurnBack reports whether the job may still leave its phone with the old life: it keeps that until the new one is verified. From
// then on the old life is destroyed, and there is only the way forward.
func (j Job) MayTurnBack() bool {
	return j.Rollback && (j.Phase == PhasePreparing || j.Phase.HoldsSlot())
}

// BringsBack reports whether turning back starts the old life again: it ran when the job was accepted. Any other stays stopped.
func (j Job) BringsBack() bool { return j.PriorStatus == StatusRunning }

// FirstInSlot reports whether no earlier attempt can have worked in the boot slot that the job holds: each admission and each repeated
// delivery counts one, and a job that brought its image was admitted once for that. A job that was delivered again while it brought it is
// taken for one that was worked on.
func (j Job) FirstInSlot() bool {
	first := 1
	if !j.PhaseAt[PhasePreparing].IsZero() {
		first = 2
	}
	return j.Phase.HoldsSlot() && j.Attempt <= first
}

// Space is how much room a phone's data takes and how much is left, in bytes.
type Space struct {
	Used int64 // by the life's volume
	Free int64 // where a new volume would lie
}

// spaceMargin is what a new life needs besides as much as the old one has: what an instance writes outside its volume, and what
// others write while it boots.
const spaceMargin = 64 << 20

// Needed is how much must be free for a new volume beside the old one: as much as that has, a tenth more, and a margin.
func (s Space) Needed() int64 { return s.Used + s.Used/10 + spaceMargin }

// HoldsBoth reports whether a new volume fits beside the old one.
func (s Space) HoldsBoth() bool { return s.Free >= s.Needed() }
