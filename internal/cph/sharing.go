package cph

import (
	"strconv"
	"time"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// customImage is an image that is no public one [SDK model_list_images_view.go].
type customImage struct {
	DomainID      string          `json:"domain_id"`
	Name          string          `json:"image_name"`
	UpdateTime    string          `json:"update_time"`
	CreateTime    string          `json:"create_time"`
	Size          *int64          `json:"image_size"` // null: hosts fetch an image, lethe never sees its bytes
	ProjectID     string          `json:"project_id,omitempty"`
	ID            string          `json:"image_id"`
	Version       string          `json:"image_version"`
	Type          string          `json:"image_type"`
	Status        int             `json:"status"`
	SourceProject phone.ProjectID `json:"src_project_id,omitempty"`
}

type customImageList struct {
	Images    []customImage   `json:"image_infos"`
	Total     int             `json:"total"` // all that match, not the page's
	RequestID phone.RequestID `json:"request_id"`
}

// imageReady is the status of an image that can be used; here no image is ever in another.
const imageReady = 1

// listCustomImages is GET images: the project's own and those shared with it, also while it has not accepted them, for else it could
// not know what there is to accept. The reference does not say whether a name is a part of the name: it is the whole one.
func (h *Handler) listCustomImages(c *call) (any, error) {
	q := c.query()
	kind, err := q.choice("image_type", reasonType, "private", "share")
	if err != nil {
		return nil, err
	}
	status, err := q.choice("status", reasonStatus, "0", "1", "2")
	if err != nil {
		return nil, err
	}
	filter := fleet.CustomImageFilter{
		Project: c.project, Own: kind == "private", Shared: kind == "share", ID: phone.ImageID(q.Get("image_id")),
		Source: phone.ProjectID(q.Get("src_project_id")),
	}
	if filter.Offset, filter.Limit, err = q.page(100); err != nil {
		return nil, err
	}
	if filter.Name, err = q.part("image_name", reasonImageName); err != nil {
		return nil, err
	}
	if filter.CreatedFrom, err = q.moment("create_since"); err != nil {
		return nil, err
	}
	if filter.CreatedTo, err = q.moment("create_until"); err != nil {
		return nil, err
	}
	out := customImageList{Images: []customImage{}, RequestID: c.id}
	if status != "" && status != strconv.Itoa(imageReady) {
		return out, nil
	}
	images, total, err := h.Fleet.CustomImages(c.Context(), c.caller, filter)
	for _, image := range images {
		out.Images = append(out.Images, customImageOut(image))
	}
	out.Total = total
	return out, err
}

func customImageOut(i phone.CustomImage) customImage {
	out := customImage{
		DomainID: i.Account, Name: i.Name, UpdateTime: timeOut(i.CreatedAt), CreateTime: timeOut(i.CreatedAt), ID: string(i.ID), Version: i.OSName,
		Type: "private", Status: imageReady,
	}
	if i.Member == "" {
		out.ProjectID = string(i.Project)
	} else {
		out.Type, out.SourceProject = "share", i.Project
	}
	return out
}

// deleteImage is DELETE images/{image_id}.
func (h *Handler) deleteImage(c *call) (any, error) {
	return done{c.id}, h.Fleet.DeleteImage(c.Context(), c.caller, c.project, c.imageID())
}

func (c *call) imageID() phone.ImageID { return phone.ImageID(c.PathValue("image_id")) }

// imageMember is a project that an image is shared with [SDK model_list_image_members_view.go]; times are milliseconds.
type imageMember struct {
	CreateTime int64           `json:"create_time"`
	UpdateTime int64           `json:"update_time"`
	ImageID    phone.ImageID   `json:"image_id"`
	MemberID   phone.ProjectID `json:"member_id"`
}

type imageMemberList struct {
	RequestID phone.RequestID `json:"request_id"`
	Members   []imageMember   `json:"members"`
}

// listImageMembers is GET images/{image_id}/members.
func (h *Handler) listImageMembers(c *call) (any, error) {
	members, err := h.Fleet.ImageMembers(c.Context(), c.caller, c.project, c.imageID())
	out := imageMemberList{RequestID: c.id, Members: []imageMember{}}
	for _, m := range members {
		out.Members = append(out.Members, imageMember{millis(m.CreatedAt), millis(m.UpdatedAt), m.Image, m.Project})
	}
	return out, err
}

func millis(t time.Time) int64 { return t.UnixMilli() }

// addImageMember is POST images/{image_id}/members.
func (h *Handler) addImageMember(c *call) (any, error) {
	var in struct {
		Member phone.ProjectID `json:"member"`
	}
	if err := c.decode(&in, map[string]phone.Reason{"member": phone.ReasonMemberInvalid}); err != nil {
		return nil, err
	}
	return done{c.id}, h.Fleet.ShareImage(c.Context(), c.caller, c.project, c.imageID(), in.Member)
}

// updateImageMember is PUT images/{image_id}/members: the project that the image was shared with accepts or rejects it.
func (h *Handler) updateImageMember(c *call) (any, error) {
	var in struct {
		Status phone.MemberStatus `json:"status"`
	}
	if err := c.decode(&in, map[string]phone.Reason{"status": phone.ReasonMemberStatus}); err != nil {
		return nil, err
	}
	return done{c.id}, h.Fleet.AnswerShare(c.Context(), c.caller, c.project, c.imageID(), in.Status)
}

// deleteImageMember is DELETE images/{image_id}/members/{member_id}.
func (h *Handler) deleteImageMember(c *call) (any, error) {
	return done{c.id}, h.Fleet.UnshareImage(c.Context(), c.caller, c.project, c.imageID(), phone.ProjectID(c.PathValue("member_id")))
}
