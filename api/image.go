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
