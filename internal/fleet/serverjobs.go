package fleet

import (
	"context"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// The most servers that one call may name [SDK model_restart_cloud_phone_server_request_body.go, CPH API DeleteCloudPhoneServer].
const (
	MaxRestartServers = 100
	MaxDeleteServers  = 10
)

// ServersCall names the servers of a call about whole servers.
type ServersCall struct {
	Request phone.RequestID // "": a new one
	Project phone.ProjectID
	Servers []string // ids, as the caller wrote them
}

// RestartServers restarts all phones of servers that may be restarted, as RestartPhones does: on return their status is 4, that of each
// accepted server is 13 (starting), and every job is durable. The outcomes are in the order of the servers; an error refuses the whole
// call. A server's job ends when the jobs of its phones have ended, and is a failure when one of them is.
func (s *Service) RestartServers(ctx context.Context, caller account.Caller, in ServersCall) (phone.RequestID, []phone.ServerOutcome, error) {
	if err := Authorise(caller, in.Project, ActionServersRestart); err != nil {
		return "", nil, err
	}
	if err := checkServerList("server_ids", len(in.Servers), MaxRestartServers); err != nil {
		return "", nil, err
	}
	request := s.newRequest(in.Request, in.Project, phone.KindRestart, caller.User.ID)
	outcomes, err := s.store.AcceptServers(ctx, AcceptServers{Request: request, Servers: in.Servers})
	return request.ID, outcomes, err
}

// DeleteServers deletes all phones of servers for good, as DeletePhones does, and then the servers, once their hosts were looked at and
// have nothing of them any more. All of the servers are accepted, with one job for all of them, or none, with the first one's reason.
func (s *Service) DeleteServers(ctx context.Context, caller account.Caller, in ServersCall) (phone.RequestID, phone.JobID, error) {
	if err := Authorise(caller, in.Project, ActionServersDelete); err != nil {
		return "", "", err
	}
	if err := checkServerList("server_ids", len(in.Servers), MaxDeleteServers); err != nil {
		return "", "", err
	}
	request := s.newRequest(in.Request, in.Project, phone.KindDelete, caller.User.ID)
	outcomes, err := s.store.AcceptServers(ctx, AcceptServers{Request: request, Servers: in.Servers, Whole: true})
	if err != nil {
		return "", "", err
	}
	return request.ID, outcomes[0].Job, nil
}

// AbandonServer forgets a server whose host does not answer, with all of its phones: nothing on the host is destroyed, and nobody claims
// that. While the host answers it is refused (Precondition): then the server can be deleted. It says how many phones were forgotten.
func (s *Service) AbandonServer(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ServerID) (int, error) {
	server, err := s.serverFor(ctx, caller, project, id, ActionServersDelete)
	if err != nil {
		return 0, err
	}
	if s.inPool(server) {
		return 0, phone.Errorf(phone.Precondition, phone.ReasonServerBusy,
			"host %s would go back to the pool with its data on it: take it out of the configuration's pool_hosts on every replica first", server.PoolHost)
	}
	gone, err := s.gone(ctx, server)
	if err != nil {
		return 0, err
	}
	if !gone {
		return 0, phone.Errorf(phone.Precondition, phone.ReasonServerBusy,
			"the host of server %s answers: delete the server, so that what its phones have on it is destroyed", server.Name)
	}
	return s.store.AbandonServer(ctx, project, id, phone.Failure{
		Reason: phone.ReasonHostGone, Msg: "The server was abandoned while its host did not answer.",
		Detail: "User " + caller.User.Name + " abandoned it. What the phone has on that host was not destroyed.",
	})
}

// gone reports whether a server's host does not answer. That it could not be asked at all is an error, and says nothing about it.
func (s *Service) gone(ctx context.Context, server phone.Server) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, hostPatience)
	defer cancel()
	host, err := s.hosts.Driver(ctx, server)
	if err == nil {
		_, err = host.Info(ctx)
	}
	if phone.CodeOf(err) == phone.Unavailable {
		return true, nil
	}
	return false, err
}

// serverFor gives a server of which the caller may do something.
func (s *Service) serverFor(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ServerID, action Action) (phone.Server, error) {
	if err := Authorise(caller, project, action); err != nil {
		return phone.Server{}, err
	}
	if !phone.ValidID(id) {
		return phone.Server{}, phone.Errorf(phone.NotFound, phone.ReasonServerNotFound, "the project has no such server")
	}
	return s.store.Server(ctx, project, id)
}

// ChangeServer is a server whose phones are to be made anew.
type ChangeServer struct {
	Request phone.RequestID // "": a new one
	Project phone.ProjectID
	Server  phone.ServerID
	Image   string
	// PhoneModel must be the one that the server has, or "".
	PhoneModel string
	Keypair    string // as PhoneModel
	Property   string // JSON text: what every phone gets, and nothing else; "" for none
}

// ChangeServer makes all phones of a server anew with an image and properties, as a reset with a cleared history does; no data is kept.
// All of the phones are accepted or none is. The server's status is 1 (creating) until the last of them has ended.
func (s *Service) ChangeServer(ctx context.Context, caller account.Caller, in ChangeServer) (phone.RequestID, phone.JobID, error) {
	if err := Authorise(caller, in.Project, needs(ActionServersChange, WhenImageNamed)...); err != nil {
		return "", "", err
	}
	if !phone.ValidID(in.Server) {
		return "", "", errServerID
	}
	if !phone.ValidID(in.Image) {
		return "", "", phone.Errorf(phone.Invalid, phone.ReasonImageInvalid, "image_id is not 32 lower-case hex digits")
	}
	given, refused := phone.ParseProperties(in.Property)
	if refused != nil {
		return "", "", refused
	}
	server, err := s.store.Server(ctx, in.Project, in.Server)
	if err != nil {
		return "", "", err
	}
	if in.PhoneModel != "" && in.PhoneModel != server.PhoneModel {
		return "", "", &phone.Error{
			Code: phone.Invalid, Reason: phone.ReasonModelInvalid, Field: "phone_model_name",
			Msg: "the server's phones are of the model " + server.PhoneModel + ", which a change keeps: delete the server, and add one of the other model",
		}
	}
	if in.Keypair != "" && in.Keypair != server.Keypair {
		return "", "", &phone.Error{
			Code: phone.NotFound, Reason: phone.ReasonNoKeypair, Field: "keypair_name", Msg: "a change keeps the server's key pair: give it another one by servers/open-access",
		}
	}
	request := s.newRequest(in.Request, in.Project, phone.KindReset, caller.User.ID)
	outcomes, err := s.store.AcceptServers(ctx, AcceptServers{
		Request: request, Servers: []string{string(in.Server)}, Whole: true, Image: phone.ImageID(in.Image), Properties: given, Check: s.check,
	})
	if err != nil {
		return "", "", err
	}
	return request.ID, outcomes[0].Job, nil
}

func checkServerList(field string, n, most int) error {
	switch {
	case n == 0:
		return &phone.Error{Code: phone.Invalid, Reason: phone.ReasonServerInvalid, Field: field, Msg: field + " is empty: name at least one server"}
	case n > most:
		return &phone.Error{Code: phone.Exhausted, Reason: phone.ReasonServerInvalid, Field: field, Msg: field + " has too many elements: send several calls"}
	}
	return nil
}

// ServerJob gives one job of servers, of all of those that share it; NotFound with ReasonJobNotFound when the project has none of that id.
func (s *Service) ServerJob(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.JobID) (phone.ServerJob, error) {
	if err := Authorise(caller, project, ActionJobsGet); err != nil {
		return phone.ServerJob{}, err
	}
	if !phone.ValidID(id) {
		return phone.ServerJob{}, errNoJob
	}
	shares, err := s.store.ServerJob(ctx, project, id)
	if err != nil {
		return phone.ServerJob{}, err
	}
	return phone.JoinServerJobs(shares), nil
}
