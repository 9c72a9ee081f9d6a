package httpapi

import (
	"context"
	"io"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Fleet is what the native API asks of the fleet; fleet.Service is one. Every method authorises its caller by itself.
type Fleet interface {
	AddServer(ctx context.Context, caller account.Caller, in fleet.NewServer) (phone.Server, phone.RequestID, error)
	Servers(ctx context.Context, caller account.Caller, filter fleet.ServerFilter) ([]phone.Server, int, error)
	ServersAfter(ctx context.Context, caller account.Caller, filter fleet.ServerFilter, after fleet.Place) ([]phone.Server, *fleet.Place, error)
	Server(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ServerID) (phone.Server, error)
	Drift(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ServerID) (phone.Drift, error)
	ReconcileServer(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ServerID, dryRun bool) (phone.Drift, error)
	ServerUse(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ServerID) (phone.ServerUse, error)

	RenamePhone(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ID, name string) error
	RenameServer(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ServerID, name string) error

	AddImage(ctx context.Context, caller account.Caller, in fleet.NewImage) (phone.Image, error)
	Images(ctx context.Context, caller account.Caller, filter fleet.ImageFilter) ([]phone.Image, error)
	DeleteImage(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ImageID) error
	CustomImages(ctx context.Context, caller account.Caller, filter fleet.CustomImageFilter) ([]phone.CustomImage, int, error)
	ImageMembers(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ImageID) ([]phone.ImageMember, error)
	ShareImage(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ImageID, with phone.ProjectID) error
	AnswerShare(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ImageID, status phone.MemberStatus) error
	UnshareImage(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ImageID, member phone.ProjectID) error

	CreateBucket(ctx context.Context, caller account.Caller, project phone.ProjectID, name string) (phone.Bucket, error)
	Buckets(ctx context.Context, caller account.Caller, project phone.ProjectID) ([]phone.Bucket, error)
	DeleteBucket(ctx context.Context, caller account.Caller, project phone.ProjectID, name string) error
	ListObjects(ctx context.Context, caller account.Caller, f fleet.ObjectFilter) ([]phone.ObjectInfo, string, error)
	SizeOfObject(ctx context.Context, caller account.Caller, project phone.ProjectID, bucket, key string) (int64, error)
	OpenObject(ctx context.Context, caller account.Caller, project phone.ProjectID, bucket, key string) (io.ReadCloser, int64, error)
	PutObject(ctx context.Context, caller account.Caller, project phone.ProjectID, bucket, key string, write func(io.Writer) error) (int64, error)
	DeleteObject(ctx context.Context, caller account.Caller, project phone.ProjectID, bucket, key string) error

	ServerTags(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ServerID) ([]phone.Tag, error)
	AddTags(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ServerID, tags []phone.Tag) error
	RemoveTags(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ServerID, tags []phone.Tag) error

	Phones(ctx context.Context, caller account.Caller, filter fleet.PhoneFilter) ([]phone.Phone, int, error)
	PhonesAfter(ctx context.Context, caller account.Caller, filter fleet.PhoneFilter, after fleet.Place) ([]phone.Phone, *fleet.Place, error)
	Phone(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ID) (phone.Phone, error)
	Exec(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ID, command fleet.Command) (fleet.CommandResult, error)

	// MaxBatch is how many phones ResetPhones takes at most.
	MaxBatch() int
	ResetPhones(ctx context.Context, caller account.Caller, in fleet.ResetPhones) (phone.RequestID, []phone.Outcome, error)
	RestartPhones(ctx context.Context, caller account.Caller, in fleet.RestartPhones) (phone.RequestID, []phone.Outcome, error)
	DeletePhones(ctx context.Context, caller account.Caller, in fleet.DeletePhones) (phone.RequestID, []phone.Outcome, error)
	RestartServers(ctx context.Context, caller account.Caller, in fleet.ServersCall) (phone.RequestID, []phone.ServerOutcome, error)
	RunShareTask(ctx context.Context, caller account.Caller, in fleet.ShareCall) (phone.RequestID, []phone.ServerOutcome, error)
	DeleteServers(ctx context.Context, caller account.Caller, in fleet.ServersCall) (phone.RequestID, phone.JobID, error)
	ChangeServer(ctx context.Context, caller account.Caller, in fleet.ChangeServer) (phone.RequestID, phone.JobID, error)
	PoolHosts(ctx context.Context, caller account.Caller, project phone.ProjectID) ([]fleet.PoolHost, error)
	CreateServers(ctx context.Context, caller account.Caller, in fleet.CreateServers) (phone.RequestID, []phone.ServerID, error)
	AbandonServer(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.ServerID) (int, error)
	CheckTicket(ctx context.Context, caller account.Caller, project phone.ProjectID, secret string) (phone.Ticket, error)

	Jobs(ctx context.Context, caller account.Caller, filter fleet.JobFilter) ([]phone.Job, error)
	JobsAfter(ctx context.Context, caller account.Caller, filter fleet.JobFilter, after fleet.Place) ([]phone.Job, *fleet.Place, error)
	Job(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.JobID) (phone.Job, error)
	Progress(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.RequestID) (phone.Progress, error)

	Replicas(ctx context.Context, caller account.Caller) ([]phone.Replica, error)
	WaitRequest(ctx context.Context, caller account.Caller, in fleet.WaitRequest) (phone.Progress, error)
	RetryRequest(ctx context.Context, caller account.Caller, in fleet.RetryRequest) (phone.RequestID, []phone.Outcome, error)
	CancelJob(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.JobID) (phone.Cancellation, error)
	CancelRequest(ctx context.Context, caller account.Caller, project phone.ProjectID, id phone.RequestID) (phone.Cancellation, error)
}

// Access is what the native API asks about who may do what; fleet.Access is one. Every method authorises its caller by itself.
type Access interface {
	AddAccount(ctx context.Context, caller account.Caller, in fleet.NewAccount) (fleet.AddedAccount, error)
	Accounts(ctx context.Context, caller account.Caller) ([]account.Account, error)
	Account(ctx context.Context, caller account.Caller, name string) (account.Account, []account.Project, error)
	SetOwnHosts(ctx context.Context, caller account.Caller, name string, may bool) error
	DeleteAccount(ctx context.Context, caller account.Caller, name string) error

	AddProject(ctx context.Context, caller account.Caller, name string) (account.Project, error)
	Projects(ctx context.Context, caller account.Caller) ([]account.Project, error)
	RenameProject(ctx context.Context, caller account.Caller, name, to string) error
	DeleteProject(ctx context.Context, caller account.Caller, name string) error

	AddUser(ctx context.Context, caller account.Caller, in fleet.NewUser) (fleet.AddedUser, error)
	Users(ctx context.Context, caller account.Caller) ([]account.User, error)
	User(ctx context.Context, caller account.Caller, name string) (fleet.UserDetail, error)
	SetPolicies(ctx context.Context, caller account.Caller, name string, policies []account.Policy) error
	SetUserDisabled(ctx context.Context, caller account.Caller, name string, disabled bool) error
	DeleteUser(ctx context.Context, caller account.Caller, name string) error
	ResetPassword(ctx context.Context, caller account.Caller, name, password string) (string, error)
	ChangePassword(ctx context.Context, caller account.Caller, original, password string) error

	AddKey(ctx context.Context, caller account.Caller, user string) (account.AccessKey, error)
	Keys(ctx context.Context, caller account.Caller, user string) ([]account.AccessKey, error)
	SetKeyDisabled(ctx context.Context, caller account.Caller, user, id string, disabled bool) error
	DeleteKey(ctx context.Context, caller account.Caller, user, id string) error

	AddGroup(ctx context.Context, caller account.Caller, name string) (account.Group, error)
	Groups(ctx context.Context, caller account.Caller) ([]account.Group, error)
	Group(ctx context.Context, caller account.Caller, name string) (fleet.GroupDetail, error)
	DeleteGroup(ctx context.Context, caller account.Caller, name string) error
	AddMember(ctx context.Context, caller account.Caller, group, user string) error
	RemoveMember(ctx context.Context, caller account.Caller, group, user string) error

	AddPolicy(ctx context.Context, caller account.Caller, policy account.Policy) (account.NamedPolicy, error)
	Policies(ctx context.Context, caller account.Caller) ([]account.NamedPolicy, error)
	Policy(ctx context.Context, caller account.Caller, name string) (account.NamedPolicy, error)
	ReplacePolicy(ctx context.Context, caller account.Caller, name string, policy account.Policy) (account.NamedPolicy, error)
	DeletePolicy(ctx context.Context, caller account.Caller, name string) error
	Attach(ctx context.Context, caller account.Caller, in account.Attachment) error
	Detach(ctx context.Context, caller account.Caller, in account.Attachment) error
}
