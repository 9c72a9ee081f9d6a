package fleet

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// What a new server gets where the caller left it open.
const (
	DefaultConcurrentBoots = 4
	DefaultBootTimeout     = 5 * time.Minute
	DefaultServerModel     = "physical.lethe"
	DefaultPhoneModel      = "lethe.cp.standard"
)

// NewServer is a server as a caller adds it, with its phones.
type NewServer struct {
	Request  phone.RequestID // "": a new one
	Project  phone.ProjectID
	Name     string // by the CPH API's rule, at most 60 characters; unique in the project
	Driver   string
	Endpoint string
	Config   []byte // the driver's own, one JSON object
	Image    phone.ImageID
	// Phones is how many it gets at once, Capacity how many it has room (and ports) for; 0 means as many as Phones.
	Phones   int
	Capacity int
	// PortBase is the host port of the first phone's adb; the others follow. 0 means the first free range of the endpoint.
	PortBase           int
	MaxConcurrentBoots int           // 0 means DefaultConcurrentBoots
	BootTimeout        time.Duration // 0 means the Service's
	Model              string        // "" means the phone model's, else DefaultServerModel
	PhoneModel         string        // "" means DefaultPhoneModel
}

// AddServer makes a server and its phones, named NAME-0001 and so on, each with a fixed adb port, in status 1 and with a create
// job under one request. Its host is asked first, and made where lethe makes hosts: one that does not answer is Unavailable. Names
// that the project has already are Conflict with ReasonNameTaken, ports that are in use Conflict with ReasonPortsTaken.
func (s *Service) AddServer(ctx context.Context, caller account.Caller, in NewServer) (phone.Server, phone.RequestID, error) {
	if err := Authorise(caller, in.Project, ActionServersCreate); err != nil {
		return phone.Server{}, "", err
	}
	if !caller.Account.MayNameHosts() {
		return phone.Server{}, "", phone.Errorf(phone.Forbidden, "", "this account may add no servers: the installation's operator can let it name its own hosts")
	}
	model, modelled := s.models.phone(cmp.Or(in.PhoneModel, DefaultPhoneModel))
	in.fill(s.bootTimeout, model)
	if err := in.check(); err != nil {
		return phone.Server{}, "", err
	}
	image, err := s.image(ctx, in.Project, in.Image)
	if err != nil {
		return phone.Server{}, "", err
	}
	server, err := s.newServer(in, image)
	if err != nil {
		return phone.Server{}, "", err
	}
	if modelled {
		if err := model.CheckServer(server); err != nil {
			return phone.Server{}, "", err
		}
	}
	if err := s.openHost(ctx, server); err != nil {
		return phone.Server{}, "", err
	}
	request := s.newRequest(in.Request, in.Project, phone.KindCreate, caller.User.ID)
	if err := s.addServer(ctx, &server, in.Phones, image, request); err != nil {
		return phone.Server{}, "", err
	}
	return server, request.ID, nil
}

// openHost makes the new server's host, where lethe makes hosts, and sees that it answers: a server that was mistyped is refused
// before its phones exist.
func (s *Service) openHost(ctx context.Context, server phone.Server) error {
	host, err := s.hosts.Driver(ctx, server)
	if err != nil {
		return err
	}
	if creator, ok := host.(driver.Creator); ok {
		if err := creator.Create(ctx); err != nil {
			return fmt.Errorf("make the host of server %s: %w", server.Name, err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, hostPatience)
	defer cancel()
	if _, err := host.Info(ctx); err != nil {
		return fmt.Errorf("ask the host of server %s: %w", server.Name, err)
	}
	return nil
}

// hostPatience is how long a new server's host may take to answer.
const hostPatience = 15 * time.Second

func (in *NewServer) fill(bootTimeout time.Duration, model phone.PhoneModel) {
	if in.Capacity == 0 {
		in.Capacity = in.Phones
	}
	if in.MaxConcurrentBoots == 0 {
		in.MaxConcurrentBoots = DefaultConcurrentBoots
	}
	if in.BootTimeout == 0 {
		in.BootTimeout = bootTimeout
	}
	if in.Model == "" {
		in.Model = cmp.Or(model.ServerModel, DefaultServerModel)
	}
	if in.PhoneModel == "" {
		in.PhoneModel = DefaultPhoneModel
	}
}

func (in *NewServer) check() error {
	if err := checkName("server_name", in.Name); err != nil {
		return err
	}
	if err := checkText("server_model_name", in.Model, 64); err != nil {
		return err
	}
	if err := checkText("phone_model_name", in.PhoneModel, 64); err != nil {
		return err
	}
	bad := func(field, format string, args ...any) error {
		return &phone.Error{Code: phone.Invalid, Field: field, Msg: fmt.Sprintf(format, args...)}
	}
	switch {
	case in.Phones < 1:
		return bad("phone_count", "phone_count must be at least 1")
	case in.Phones > in.Capacity:
		return &phone.Error{
			Code: phone.Exhausted, Field: "phone_count", Msg: fmt.Sprintf("the server has room for %d phones, not for %d", in.Capacity, in.Phones),
		}
	case in.Capacity > maxPort-firstPort+1:
		return &phone.Error{
			Code: phone.Exhausted, Field: "phone_count", Msg: fmt.Sprintf("a server has ports for at most %d phones", maxPort-firstPort+1),
		}
	case in.PortBase != 0 && (in.PortBase < minPort || in.PortBase+in.Capacity-1 > maxPort):
		return bad("port_base", "port_base must leave every phone a port between %d and %d", minPort, maxPort)
	case len([]rune(phoneName(in.Name, in.Phones))) > maxPhoneName:
		return bad("server_name", "server_name is too long for the names of %d phones", in.Phones)
	case in.MaxConcurrentBoots < 1 || in.MaxConcurrentBoots > 10_000:
		return bad("max_concurrent_boots", "max_concurrent_boots must be 1 to 10000")
	case in.BootTimeout < time.Second || in.BootTimeout > 24*time.Hour:
		return bad("boot_timeout_ms", "the boot timeout must be between a second and a day")
	}
	return nil
}

// image gives an image that the project may use.
func (s *Service) image(ctx context.Context, project phone.ProjectID, id phone.ImageID) (phone.Image, error) {
	if !phone.ValidID(id) {
		return phone.Image{}, &phone.Error{
			Code: phone.Invalid, Reason: phone.ReasonImageInvalid, Field: "image_id", Msg: "image_id is not 32 lower-case hex digits",
		}
	}
	images, err := s.store.Images(ctx, ImageFilter{Project: project, ID: id})
	if err != nil {
		return phone.Image{}, err
	}
	if len(images) == 0 {
		return phone.Image{}, &phone.Error{
			Code: phone.NotFound, Reason: phone.ReasonImageNotFound, Field: "image_id", Msg: "the project has no such image",
		}
	}
	return images[0], nil
}

func (s *Service) newServer(in NewServer, image phone.Image) (phone.Server, error) {
	now := s.now()
	server := phone.Server{
		ID: phone.NewID[phone.ServerID](), Name: in.Name, Project: in.Project, Driver: in.Driver, Endpoint: in.Endpoint, Config: in.Config,
		ImageLabel: image.Label, Model: in.Model, PhoneModel: in.PhoneModel, Status: phone.ServerNormal,
		MaxConcurrentBoots: in.MaxConcurrentBoots, BootTimeout: in.BootTimeout, PortBase: in.PortBase, Capacity: in.Capacity,
		CreatedAt: now, UpdatedAt: now,
	}
	if err := s.checkServer(&server); err != nil {
		return phone.Server{}, err
	}
	return server, nil
}

// firstLives gives a new server's phones and their create jobs.
func firstLives(server phone.Server, n int, image phone.Image, request phone.Request) ([]phone.Phone, []phone.Job) {
	phones, jobs := make([]phone.Phone, n), make([]phone.Job, n)
	for i := range n {
		phones[i] = phone.Phone{
			ID: phone.NewID[phone.ID](), Name: phoneName(server.Name, i+1), Project: server.Project, Server: server.ID,
			Model: server.PhoneModel, Image: image.ID, Status: phone.StatusCreating, LastGeneration: 1, Properties: phone.Properties{},
			ADBPort: server.PortBase + i, CreatedAt: request.CreatedAt, UpdatedAt: request.CreatedAt,
		}
		jobs[i] = phone.Job{
			ID: phone.NewID[phone.JobID](), Request: request.ID, Project: server.Project, Phone: phones[i].ID, Server: server.ID,
			Kind: phone.KindCreate, Phase: phone.PhaseQueued, Erase: phone.EraseNone, Target: 1, PriorStatus: phone.StatusCreating,
			PriorImage: image.ID, Image: image.ID, Properties: phone.Properties{}, CreatedAt: request.CreatedAt,
		}
	}
	return phones, jobs
}

var errServerID = phone.Errorf(phone.Invalid, phone.ReasonServerInvalid, "server_id is not 32 lower-case hex digits")

// Servers gives one page of the project's servers that the filter chooses, created last first, and how many it chooses in all.
func (s *Service) Servers(ctx context.Context, caller account.Caller, filter ServerFilter) ([]phone.Server, int, error) {
	if err := checkServers(caller, &filter); err != nil {
		return nil, 0, err
	}
	return s.store.Servers(ctx, filter)
}

// checkServers says whether the caller may have such a list, and fills in its limit.
func checkServers(caller account.Caller, filter *ServerFilter) error {
	if err := Authorise(caller, filter.Project, ActionServersList); err != nil {
		return err
	}
	if err := checkSearch("server_name", filter.Name); err != nil {
		return err
	}
	if err := checkSearch("phone_model_name", filter.PhoneModel); err != nil {
		return err
	}
	if filter.ID != "" && !phone.ValidID(filter.ID) {
		return errServerID
	}
	var err error
	filter.Limit, err = page(filter.Offset, filter.Limit)
	return err
}

// Server gives one server; NotFound with ReasonServerNotFound when the project has none of that id.
func (s *Service) Server(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ServerID) (phone.Server, error) {
	if err := Authorise(caller, project, ActionServersGet); err != nil {
		return phone.Server{}, err
	}
	if !phone.ValidID(id) {
		return phone.Server{}, phone.Errorf(phone.NotFound, phone.ReasonServerNotFound, "the project has no such server")
	}
	return s.store.Server(ctx, project, id)
}
