package api

import (
	"encoding/json"
	"time"
)

// AddServer asks for a server and its phones, each created by a job of its own.
type AddServer struct {
	// At most 60 letters, digits, - or _; unique in the project.
	ServerName string `json:"server_name"`
	// simulated or docker.
	Driver string `json:"driver"`
	// unix:///PATH or tcp://HOST:PORT for docker; simulated servers need none.
	Endpoint string `json:"endpoint,omitempty"`
	// How many phones the server gets.
	PhoneCount int `json:"phone_count"`
	// The image that its phones boot first.
	ImageID string `json:"image_id"`
	// Boot slots: how many of its phones may boot at once; 0 takes the server's default.
	MaxConcurrentBoots int `json:"max_concurrent_boots,omitempty"`
	// How long one boot may take before its job fails; 0 takes the server's default.
	BootTimeoutMS int64 `json:"boot_timeout_ms,omitempty"`
	// The first adb port on the host; phone number n gets port_base + n. 0 takes the server's default.
	PortBase int `json:"port_base,omitempty"`
	// The server model's name, for clients that show it.
	ServerModelName string `json:"server_model_name,omitempty"`
	// The phone model's name, for clients that show it.
	PhoneModelName string `json:"phone_model_name,omitempty"`
	// The driver's own settings: a docker server's template, a simulated server's boot time and faults.
	Config json.RawMessage `json:"config,omitempty"`
}

// Server is one machine, or one namespace of a machine, that runs phones.
type Server struct {
	ServerID   string `json:"server_id"`
	ServerName string `json:"server_name"`
	ProjectID  string `json:"project_id"`
	// simulated or docker.
	Driver   string `json:"driver"`
	Endpoint string `json:"endpoint"`
	// 5 normal, 2 abnormal (its creation failed); while a call about the whole server is at work 13 starting, 1 creating (its phones are made,
	// or made anew) or 11 stopping (it is being deleted).
	Status          int    `json:"status"`
	ServerModelName string `json:"server_model_name"`
	PhoneModelName  string `json:"phone_model_name"`
	// Images with another label do not fit this server.
	ImageLabel string `json:"image_label"`
	// How many phones it has room for.
	PhoneCount         int             `json:"phone_count"`
	MaxConcurrentBoots int             `json:"max_concurrent_boots"`
	BootTimeoutMS      int64           `json:"boot_timeout_ms"`
	PortBase           int             `json:"port_base"`
	Config             json.RawMessage `json:"config,omitempty"`
	// The host of the installation's pool that it is on.
	PoolHost   string    `json:"pool_host,omitempty"`
	Keypair    string    `json:"keypair,omitempty"`
	CreateTime time.Time `json:"create_time"`
	UpdateTime time.Time `json:"update_time,omitzero"`
	// Boot slots; in the answer for one server only.
	Slots *Slots `json:"slots,omitempty"`
	// How many phones stand in each status; in the answer for one server only.
	Phones []StatusCount `json:"phones,omitempty"`
}

// Slots is the use of a server's boot slots.
type Slots struct {
	Total int `json:"total"`
	// Jobs between removing and the end of booting.
	Held int `json:"held"`
}

// StatusCount is how many phones stand in one status.
type StatusCount struct {
	Status int `json:"status"`
	Count  int `json:"count"`
}

// AddedServer is a new server and the request that creates its phones.
type AddedServer struct {
	Server
	// Its jobs create the phones: requests/{request_id} tells their progress.
	RequestID string `json:"request_id"`
}

// Servers is a list of servers.
type Servers struct {
	Servers []Server `json:"servers"`
	// How many match in all; absent where after was given.
	Count *int `json:"count,omitempty"`
	// What to give as after to get the next page; absent at the end, and where offset was given. A page may hold fewer than limit,
	// even none, and have a next one.
	Next string `json:"next,omitempty"`
}

// ChangeServer makes all phones of a server anew; no data is kept.
type ChangeServer struct {
	// The image that they boot from now on. Needs the action ims:images:get too.
	ImageID string `json:"image_id"`
	// The properties that every phone has from now on, and no others: a JSON object as text, as in the CPH API.
	Property string `json:"property,omitempty"`
}

// RenameServer gives a server another name; its phones keep theirs.
type RenameServer struct {
	// 1 to 60 letters, digits, Chinese characters, - or _; unique in the project.
	ServerName string `json:"server_name"`
}

// PushShared names the tar archive that is unpacked in a server's shared storage.
type PushShared struct {
	// A bucket that the operator has registered for the project.
	BucketName string `json:"bucket_name"`
	// The object's path in it, which ends in .tar.
	ObjectPath string `json:"object_path"`
}

// DeleteSharedFiles names what is deleted from a server's shared storage.
type DeleteSharedFiles struct {
	// Files and folders below /data and /cache, as from the storage's root.
	FilePaths []string `json:"file_paths"`
}
