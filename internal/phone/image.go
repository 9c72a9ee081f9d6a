package phone

import "time"

// MaxImageMembers is how many projects one image may be shared with [CPH API reference].
const MaxImageMembers = 10

// MemberStatus says what a project has made of an image that was shared with it.
type MemberStatus string

// The statuses of a member. Only an accepted image can be used.
const (
	MemberPending  MemberStatus = "pending"
	MemberAccepted MemberStatus = "accepted"
	MemberRejected MemberStatus = "rejected"
)

// ImageMember is a project with which an image is shared. It can be of another account.
type ImageMember struct {
	Image     ImageID
	Project   ProjectID
	Status    MemberStatus
	CreatedAt time.Time
	UpdatedAt time.Time
}

// CustomImage is an image that is no public one, as a project sees it: its own, or one that was shared with it.
type CustomImage struct {
	Image
	Account string       // whose project the image belongs to
	Member  MemberStatus // "" for the project's own
}

// DecideShare decides about sharing an image with one more project: what the member is then. members are those that the image
// has; known says whether there is such a project. Sharing again changes nothing, except that a rejected image is offered anew.
func DecideShare(image Image, members []ImageMember, with ProjectID, known bool, now time.Time) (ImageMember, *Error) {
	if !known || with == image.Project {
		return ImageMember{}, &Error{
			Code: Invalid, Reason: ReasonMemberInvalid, Field: "member", Msg: "member must be the id of another project of this installation",
		}
	}
	for _, m := range members {
		if m.Project == with {
			if m.Status == MemberRejected {
				m.Status, m.UpdatedAt = MemberPending, now
			}
			return m, nil
		}
	}
	if len(members) >= MaxImageMembers {
		return ImageMember{}, Errorf(Exhausted, ReasonMembersTooMany, "the image is shared with %d projects already, which is the most", len(members))
	}
	return ImageMember{Image: image.ID, Project: with, Status: MemberPending, CreatedAt: now, UpdatedAt: now}, nil
}
