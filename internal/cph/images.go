package cph

import (
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// phoneImage is what a phone boots [SDK model_phone_image.go].
type phoneImage struct {
	Name           string `json:"image_name"`
	OSType         string `json:"os_type"`
	Public         int    `json:"is_public"`
	OSName         string `json:"os_name"`
	Label          string `json:"image_label"`
	ID             string `json:"image_id"`
	SupportEncrypt bool   `json:"is_support_encrypt"`
}

// The values of is_public.
const (
	imagePublic  = 1
	imagePrivate = 2
)

type imageList struct {
	RequestID phone.RequestID `json:"request_id"`
	Images    []phoneImage    `json:"phone_images"`
}

// listImages is GET phone-images: what the project can use at this moment, so of the shared images those that it has accepted.
func (h *Handler) listImages(c *call) (any, error) {
	kind, err := c.query().choice("image_type", reasonType, "all", "public", "private", "share")
	if err != nil {
		return nil, err
	}
	images, err := h.Fleet.Images(c.Context(), c.caller, fleet.ImageFilter{Project: c.project})
	out := imageList{RequestID: c.id, Images: []phoneImage{}}
	for _, image := range images {
		if kind == "" || kind == "all" || kind == imageKind(image, c.project) {
			out.Images = append(out.Images, imageOut(image))
		}
	}
	return out, err
}

// imageKind tells what an image is to a project that may use it.
func imageKind(image phone.Image, project phone.ProjectID) string {
	switch image.Project {
	case "":
		return "public"
	case project:
		return "private"
	}
	return "share"
}

func imageOut(image phone.Image) phoneImage {
	out := phoneImage{
		Name: image.Name, OSType: "aosp", Public: imagePrivate, OSName: image.OSName, Label: image.Label, ID: string(image.ID),
	}
	if image.Project == "" {
		out.Public = imagePublic
	}
	return out
}
