package api

import "time"

// AddBucket makes a bucket of the project.
type AddBucket struct {
	// 3 to 63 lower-case letters, digits, - and ., unique in the installation.
	BucketName string `json:"bucket_name"`
}

// Bucket is a place for objects, which belongs to one project. Commands of the CPH API name what is in it as obs://BUCKET/PATH.
type Bucket struct {
	BucketName string `json:"bucket_name"`
	// Its objects can be read only.
	ReadOnly bool `json:"read_only"`
	// Whether it stands in the operator's configuration. Such a one can be neither made nor deleted here.
	Registered bool `json:"registered"`
	// Absent of a registered one.
	CreateTime *time.Time `json:"create_time,omitempty"`
}

// Buckets is a list of buckets by name.
type Buckets struct {
	Buckets []Bucket `json:"buckets"`
}

// Object is a file in a bucket.
type Object struct {
	Key        string    `json:"key"`
	Size       int64     `json:"size"`
	UpdateTime time.Time `json:"update_time"`
}

// Objects is a list of objects by key.
type Objects struct {
	Objects []Object `json:"objects"`
	// Where the next page begins: the mark to ask it with. Absent on the last page; a page before it may be short, or empty.
	Next string `json:"next,omitempty"`
}

// StoredObject is an object that was just written.
type StoredObject struct {
	Key  string `json:"key"`
	Size int64  `json:"size"`
	// Of its content, in hex.
	SHA256 string `json:"sha256"`
}
