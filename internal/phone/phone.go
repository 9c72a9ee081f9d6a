// Package phone is the domain: phones, servers, images, jobs, their states, and every decision about them that needs nothing
// but facts. It imports nothing of ours and does no input or output.
package phone

import "time"

// Generation counts a phone's lives from 1: one instance, one data volume, one image, one set of properties. It only grows.
type Generation int64

// Phone is one cloud phone. Its id, name, server and adb port never change; a reset gives it a new generation.
type Phone struct {
	ID      ID
	Name    string // at most 65 characters
	Project ProjectID
	Server  ServerID
	Model   string // phone model name
	Image   ImageID
	Status  Status
	// Generation is the life that runs (0: none yet). LastGeneration is the highest ever handed out to a job.
	Generation     Generation
	LastGeneration Generation
	Properties     Properties // configured, effective after the job that set them
	ADBPort        int        // host port, fixed for the phone's existence
	CreatedAt      time.Time
	Cause          string // why it is abnormal, or was when the job at work was accepted; else ""
	UpdatedAt      time.Time
}

// Server is one machine, or one namespace of a machine, that runs phones.
type Server struct {
	ID       ServerID
	Name     string
	Project  ProjectID
	Driver   string // "simulated" or "docker"
	Endpoint string // sim://DIR, unix:///PATH, tcp://HOST:PORT
	// Config is the driver's own: its template and, for simulated servers, its faults, as one JSON object.
	Config     []byte
	ImageLabel string // images with another label do not fit
	Model      string // server model name
	PhoneModel string // phone model name of its phones
	Status     ServerStatus
	// Doing is what an unfinished call about the whole server does with it, "" when there is none; see Shown.
	Doing Kind
	// PoolHost is the host of the installation's pool that it is on, "" of one that was added by itself.
	PoolHost string
	// Keypair is the name of the key pair whose holder its phones let in, beside those whom its settings let in; "" for nobody else.
	Keypair string
	// MaxConcurrentBoots is the number of boot slots: how many phones may be between removing and booted at once.
	MaxConcurrentBoots int
	BootTimeout        time.Duration
	PortBase           int // first adb host port
	Capacity           int // phones
	CreatedAt          time.Time
	UpdatedAt          time.Time
}

// DoingFailed is what a server is left with whose creation failed: it shows as abnormal until another call about it succeeds, or it is
// deleted. Its phones take work like others, for a reset is their cure.
const DoingFailed Kind = "failed"

// Shown is the status that callers see. While a call about the whole server is at work it is what that does, and never normal: clients
// wait for that. Other adb keys leave it as it is, for the phones run meanwhile. Status alone says whether the server may have work.
func (s Server) Shown() ServerStatus {
	switch s.Doing {
	case KindCreate, KindReset:
		return ServerCreating
	case KindRestart:
		return ServerStarting
	case KindDelete:
		return ServerStopping
	case DoingFailed:
		return ServerAbnormal
	}
	return s.Status
}

// ServerUse is how much of a server is in use at one moment.
type ServerUse struct {
	SlotsHeld int // boot slots that jobs hold; at most MaxConcurrentBoots
	Phones    map[Status]int
}

// Image is what a phone boots.
type Image struct {
	ID        ImageID
	Name      string
	Project   ProjectID // "" for a public image of the installation
	Label     string    // must equal the server's ImageLabel
	OSName    string    // "AOSP11.0"
	Reference string    // what the host resolves: an OCI reference
	CreatedAt time.Time
}

// ImageIdentity is what a host resolved an image to: the pin that every phone of that host then boots.
type ImageIdentity struct {
	ID     string `json:"id"`               // the host's content address, "sha256:..." on Docker
	Digest string `json:"digest,omitempty"` // the repository digest when there is one
}
