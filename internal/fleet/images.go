package fleet

import (
	"context"
	"strings"
	"unicode"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// DefaultImageLabel is the label of images and servers that name none: the CPH API's for a plain cloud phone server.
const DefaultImageLabel = "cloud_phone"

// NewImage is an image as a caller adds it.
type NewImage struct {
	Project   phone.ProjectID
	Name      string // at most 128 bytes
	Label     string // at most 64 bytes; "" means DefaultImageLabel
	OSName    string // at most 36 bytes; "" means "AOSP"
	Reference string // what a host resolves, at most 512 bytes, no white space
}

// AddImage registers an image for the project; nothing is fetched until a server needs it.
func (s *Service) AddImage(ctx context.Context, caller account.Caller, in NewImage) (phone.Image, error) {
	if err := Authorise(caller, in.Project, ActionImagesCreate); err != nil {
		return phone.Image{}, err
	}
	if in.Label == "" {
		in.Label = DefaultImageLabel
	}
	if in.OSName == "" {
		in.OSName = "AOSP"
	}
	if err := in.check(); err != nil {
		return phone.Image{}, err
	}
	image := phone.Image{
		ID: phone.NewID[phone.ImageID](), Name: in.Name, Project: in.Project, Label: in.Label, OSName: in.OSName,
		Reference: in.Reference, CreatedAt: s.now(),
	}
	if err := s.store.AddImage(ctx, image); err != nil {
		return phone.Image{}, err
	}
	return image, nil
}

func (in NewImage) check() error {
	for _, text := range []struct {
		field, value string
		max          int
	}{
		{"image_name", in.Name, 128},
		{"image_label", in.Label, 64},
		{"os_name", in.OSName, 36},
		{"reference", in.Reference, 512},
	} {
		if err := checkText(text.field, text.value, text.max); err != nil {
			return err
		}
	}
	if strings.ContainsFunc(in.Reference, unicode.IsSpace) {
		return &phone.Error{Code: phone.Invalid, Reason: phone.ReasonImageInvalid, Field: "reference", Msg: "reference has white space in it"}
	}
	return nil
}

// Images gives the images that the project may use: its own and the public ones, newest first.
func (s *Service) Images(ctx context.Context, caller account.Caller, filter ImageFilter) ([]phone.Image, error) {
	if err := Authorise(caller, filter.Project, ActionImagesList); err != nil {
		return nil, err
	}
	if err := checkSearch("image_name", filter.Name); err != nil {
		return nil, err
	}
	if filter.ID != "" && !phone.ValidID(filter.ID) {
		return nil, phone.Errorf(phone.Invalid, phone.ReasonImageInvalid, "image_id is not 32 lower-case hex digits")
	}
	return s.store.Images(ctx, filter)
}
