package api

import "time"

// AddImage registers an image; nothing is fetched until a server needs it.
type AddImage struct {
	ImageName string `json:"image_name"`
	// What a host resolves: an OCI reference, such as redroid/redroid:12.0.0_64only-latest.
	Reference string `json:"reference"`
	// Must equal the server's image_label; empty takes the installation's default.
	ImageLabel string `json:"image_label,omitempty"`
	// Such as AOSP12.0.
	OSName string `json:"os_name,omitempty"`
}

// Image is what a phone boots.
type Image struct {
	ImageID    string `json:"image_id"`
	ImageName  string `json:"image_name"`
	ImageLabel string `json:"image_label"`
	OSName     string `json:"os_name"`
	// 1 public, 2 private to the project.
	IsPublic   int       `json:"is_public"`
	Reference  string    `json:"reference"`
	CreateTime time.Time `json:"create_time"`
}

// Images is a list of images.
type Images struct {
	Images []Image `json:"images"`
	Count  int     `json:"count"`
}

// AnswerImage answers an image that another project has shared with this one.
type AnswerImage struct {
	// accepted or rejected. Rejecting takes back what was accepted; phones that boot the image keep it.
	Status string `json:"status"`
}

// ImageMember is a project that an image is shared with; it can be of another account.
type ImageMember struct {
	ProjectID string `json:"project_id"`
	// pending, accepted or rejected.
	Status     string    `json:"status"`
	CreateTime time.Time `json:"create_time"`
	UpdateTime time.Time `json:"update_time"`
}

// ImageMembers is a list of members.
type ImageMembers struct {
	Members []ImageMember `json:"members"`
}

// SharedImage is an image of another project that is shared with this one.
type SharedImage struct {
	ImageID    string `json:"image_id"`
	ImageName  string `json:"image_name"`
	ImageLabel string `json:"image_label"`
	OSName     string `json:"os_name"`
	// Whose image it is.
	SourceProjectID string `json:"src_project_id"`
	// pending or accepted: only what is accepted can be used. What was rejected is not listed.
	Status string `json:"status"`
}

// SharedImages is a list of images that others have shared.
type SharedImages struct {
	Images []SharedImage `json:"images"`
	// How many there are in all.
	Count int `json:"count"`
}
