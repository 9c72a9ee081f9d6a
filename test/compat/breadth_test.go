package compat

import (
	"slices"
	"testing"

	sdk "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/cph/v1"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/cph/v1/model"
)

// resourceType makes one of the SDK's types for the only kind of resource that has tags.
func resourceType[T any, P interface {
	*T
	UnmarshalJSON([]byte) error
}](w world) T {
	var out T
	if err := P(&out).UnmarshalJSON([]byte(`"cph-server"`)); err != nil {
		w.Fatal(err)
	}
	return out
}

var nameJudgements = map[string]judgement{
	"UpdatePhoneName": {
		func(w world) {
			answered(w.client.UpdatePhoneName(&model.UpdatePhoneNameRequest{PhoneId: w.phones[4], Body: &model.UpdatePhoneNameRequestBody{PhoneName: "手机_1"}}))(w)
			detail := answered(w.client.ShowCloudPhoneDetail(&model.ShowCloudPhoneDetailRequest{PhoneId: w.phones[4]}))(w)
			if *detail.PhoneName != "手机_1" {
				w.Errorf("it is called %s", *detail.PhoneName)
			}
		},
		func(w world) {
			rename := func(id, name string) (*model.UpdatePhoneNameResponse, error) {
				return w.client.UpdatePhoneName(&model.UpdatePhoneNameRequest{PhoneId: id, Body: &model.UpdatePhoneNameRequestBody{PhoneName: name}})
			}
			refused(rename(w.phones[4], "a name"))(w, 400, "CPS.0025")
			other := answered(w.client.ShowCloudPhoneDetail(&model.ShowCloudPhoneDetailRequest{PhoneId: w.phones[5]}))(w)
			refused(rename(w.phones[4], *other.PhoneName))(w, 400, "CPS.0026")
			refused(rename(unknown, "a"))(w, 404, "CPS.0005")
		},
	},
	"UpdateServerName": {
		func(w world) {
			answered(w.client.UpdateServerName(&model.UpdateServerNameRequest{ServerId: w.server, Body: &model.UpdateServerNameRequestBody{ServerName: "rack-A"}}))(w)
			server := answered(w.client.ShowCloudPhoneServerDetail(&model.ShowCloudPhoneServerDetailRequest{ServerId: w.server}))(w)
			if *server.ServerName != "rack-A" {
				w.Errorf("it is called %s", *server.ServerName)
			}
		},
		func(w world) {
			refused(w.client.UpdateServerName(&model.UpdateServerNameRequest{ServerId: w.server, Body: &model.UpdateServerNameRequestBody{}}))(w, 400, "CPS.0087")
			refused(w.client.UpdateServerName(&model.UpdateServerNameRequest{ServerId: unknown, Body: &model.UpdateServerNameRequestBody{ServerName: "a"}}))(w, 404, "CPS.0015")
		},
	},
}

var modelJudgements = map[string]judgement{
	"ListCloudPhoneModels": {
		func(w world) {
			models := answered(w.client.ListCloudPhoneModels(&model.ListCloudPhoneModelsRequest{Status: ptr(int32(1))}))(w)
			fits := func(m model.PhoneModel) bool {
				return *m.PhoneModelName == "lethe.cp.standard" && *m.Resolution == "720x1280"
			}
			if !slices.ContainsFunc(*models.PhoneModels, fits) {
				w.Errorf("models: %s", models)
			}
		},
		func(w world) {
			refused(w.client.ListCloudPhoneModels(&model.ListCloudPhoneModelsRequest{Status: ptr(int32(2))}))(w, 400, "CPS.0010")
		},
	},
	"ListCloudPhoneServerModels": {
		func(w world) {
			models := answered(w.client.ListCloudPhoneServerModels(&model.ListCloudPhoneServerModelsRequest{}))(w)
			if len(*models.ServerModels) != 1 || *(*models.ServerModels)[0].ServerModelName != "physical.lethe" {
				w.Errorf("models: %s", models)
			}
		},
		func(w world) {
			refused(w.client.ListCloudPhoneServerModels(&model.ListCloudPhoneServerModelsRequest{ProductType: ptr(int32(2))}))(w, 400, "CPS.0144")
		},
	},
}

var imageJudgements = map[string]judgement{
	"ListImages": {
		func(w world) {
			images := answered(w.client.ListImages(&model.ListImagesRequest{ImageType: ptr("private"), ImageName: ptr("second"), Limit: ptr(int32(1))}))(w)
			if len(*images.ImageInfos) != 1 || *images.Total != 1 || *(*images.ImageInfos)[0].ImageId != w.image || *(*images.ImageInfos)[0].Status != 1 {
				w.Errorf("images: %s", images)
			}
		},
		func(w world) {
			refused(w.client.ListImages(&model.ListImagesRequest{ImageId: ptr("no-id")}))(w, 400, "CPS.0030")
			refused(w.client.ListImages(&model.ListImagesRequest{Limit: ptr(int32(101))}))(w, 400, "CPS.0002")
		},
	},
	"DeleteImage": {
		func(w world) {
			id := w.in.image("third")
			answered(w.client.DeleteImage(&model.DeleteImageRequest{ImageId: id}))(w)
			refused(w.client.DeleteImage(&model.DeleteImageRequest{ImageId: id}))(w, 400, "CPS.0166")
		},
		func(w world) {
			detail := answered(w.client.ShowCloudPhoneDetail(&model.ShowCloudPhoneDetailRequest{PhoneId: w.phones[5]}))(w)
			refused(w.client.DeleteImage(&model.DeleteImageRequest{ImageId: *detail.ImageId}))(w, 400, "CPS.0030") // in use
			refused(w.client.DeleteImage(&model.DeleteImageRequest{ImageId: unknown}))(w, 400, "CPS.0166")
		},
	},
	"ListImageMembers": {
		func(w world) {
			members := answered(w.client.ListImageMembers(&model.ListImageMembersRequest{ImageId: w.image}))(w)
			if members.Members == nil || len(*members.Members) != 0 {
				w.Errorf("members: %s", members)
			}
		},
		func(w world) {
			refused(w.client.ListImageMembers(&model.ListImageMembersRequest{ImageId: unknown}))(w, 400, "CPS.0166")
		},
	},
	"AddImageMember": {
		func(w world) {
			share := lend(w, "added")
			members := answered(w.client.ListImageMembers(&model.ListImageMembersRequest{ImageId: share.image}))(w)
			if len(*members.Members) != 1 || *(*members.Members)[0].MemberId != share.project {
				w.Errorf("members: %s", members)
			}
			if offered := share.usable(w); offered != 0 {
				w.Errorf("%d images are usable before one was accepted", offered)
			}
		},
		func(w world) {
			add := func(image, member string) (*model.AddImageMemberResponse, error) {
				return w.client.AddImageMember(&model.AddImageMemberRequest{ImageId: image, Body: &model.AddImageMemberRequestBody{Member: &member}})
			}
			refused(add(w.image, unknown))(w, 400, "CPS.0046")
			refused(add(w.image, w.in.cred.ProjectID))(w, 400, "CPS.0046")
			refused(add(unknown, unknown))(w, 400, "CPS.0166")
		},
	},
	"UpdateImageMember": {
		func(w world) {
			share := lend(w, "accepted")
			share.accept(w)
			if usable := share.usable(w); usable != 1 {
				w.Errorf("%d images are usable once one was accepted", usable)
			}
		},
		func(w world) {
			accepted := model.GetUpdateImageMemberRequestBodyStatusEnum().ACCEPTED
			refused(w.client.UpdateImageMember(&model.UpdateImageMemberRequest{ImageId: w.image, Body: &model.UpdateImageMemberRequestBody{Status: accepted}}))(w, 400, "CPS.0166")
			refused(w.client.UpdateImageMember(&model.UpdateImageMemberRequest{ImageId: w.image, Body: &model.UpdateImageMemberRequestBody{}}))(w, 400, "CPS.0010")
		},
	},
	"DeleteImageMember": {
		func(w world) {
			share := lend(w, "taken-back")
			share.accept(w)
			answered(w.client.DeleteImageMember(&model.DeleteImageMemberRequest{ImageId: share.image, MemberId: share.project}))(w)
			if usable := share.usable(w); usable != 0 {
				w.Errorf("%d images are usable once it was taken back", usable)
			}
		},
		func(w world) {
			refused(w.client.DeleteImageMember(&model.DeleteImageMemberRequest{ImageId: w.image, MemberId: unknown}))(w, 404, "CPS.0046")
			refused(w.client.DeleteImageMember(&model.DeleteImageMemberRequest{ImageId: unknown, MemberId: unknown}))(w, 400, "CPS.0166")
		},
	},
}

// share is an image that another project was offered.
type share struct {
	image, project string
	client         *sdk.CphClient // the other project's
}

// lend shares a new image with a new project.
func lend(w world, name string) share {
	s := share{image: w.in.image(name)}
	s.project, s.client = w.in.project(name)
	answered(w.client.AddImageMember(&model.AddImageMemberRequest{ImageId: s.image, Body: &model.AddImageMemberRequestBody{Member: &s.project}}))(w)
	return s
}

func (s share) accept(w world) {
	accepted := model.GetUpdateImageMemberRequestBodyStatusEnum().ACCEPTED
	answered(s.client.UpdateImageMember(&model.UpdateImageMemberRequest{ImageId: s.image, Body: &model.UpdateImageMemberRequestBody{Status: accepted}}))(w)
}

// usable says how many images the other project may reset phones to.
func (s share) usable(w world) int {
	images := answered(s.client.ListCloudPhoneImages(&model.ListCloudPhoneImagesRequest{}))(w)
	return len(*images.PhoneImages)
}

var tagJudgements = map[string]judgement{
	"BatchCreateTags": {
		func(w world) {
			w.tag("room", "1")
			if tags := w.tags(); !slices.Contains(tags, model.Tag{Key: "room", Value: "1"}) {
				w.Errorf("tags: %v", tags)
			}
		},
		func(w world) {
			kind := resourceType[model.BatchCreateTagsRequestResourceType](w)
			create := func(id, action string, tags ...model.Tag) (*model.BatchCreateTagsResponse, error) {
				return w.client.BatchCreateTags(&model.BatchCreateTagsRequest{ResourceType: kind, ResourceId: id, Body: &model.BatchCreateTagsRequestBody{Action: action, Tags: tags}})
			}
			refused(create(w.server, "create", model.Tag{Key: "_sys_a", Value: "1"}))(w, 400, "APIGW.0201")
			refused(create(w.server, "update", model.Tag{Key: "a", Value: "1"}))(w, 400, "CPS.0047")
			refused(create(unknown, "create", model.Tag{Key: "a", Value: "1"}))(w, 404, "CPS.0015")
		},
	},
	"BatchDeleteTags": {
		func(w world) {
			w.tag("gone", "1")
			answer := answered(w.client.BatchDeleteTags(w.untag(w.server, "gone", "1")))(w)
			if tags := w.tags(); answer.HttpStatusCode != 204 || slices.ContainsFunc(tags, func(t model.Tag) bool { return t.Key == "gone" }) {
				w.Errorf("status %d, tags %v", answer.HttpStatusCode, tags)
			}
		},
		func(w world) {
			refused(w.client.BatchDeleteTags(w.untag(w.server, "", "")))(w, 400, "APIGW.0201")
			refused(w.client.BatchDeleteTags(w.untag(unknown, "a", "1")))(w, 404, "CPS.0015")
		},
	},
	"ListResourceTags": {
		func(w world) {
			w.tag("list", "1")
			if tags := w.tags(); !slices.Contains(tags, model.Tag{Key: "list", Value: "1"}) {
				w.Errorf("tags: %v", tags)
			}
		},
		func(w world) {
			kind := resourceType[model.ListResourceTagsRequestResourceType](w)
			refused(w.client.ListResourceTags(&model.ListResourceTagsRequest{ResourceType: kind, ResourceId: unknown}))(w, 404, "CPS.0015")
		},
	},
	"ListProjectTags": {
		func(w world) {
			w.tag("project", "1")
			kind := resourceType[model.ListProjectTagsRequestResourceType](w)
			tags := answered(w.client.ListProjectTags(&model.ListProjectTagsRequest{ResourceType: kind}))(w)
			found := slices.ContainsFunc(*tags.Tags, func(t model.Tags) bool { return t.Key == "project" && slices.Equal(t.Values, []string{"1"}) })
			if !found || int(*tags.TotalCount) != len(*tags.Tags) {
				w.Errorf("tags: %s", tags)
			}
		},
		func(w world) {
			kind := resourceType[model.ListProjectTagsRequestResourceType](w)
			refused(w.client.ListProjectTags(&model.ListProjectTagsRequest{ResourceType: kind, Limit: ptr(int32(101))}))(w, 400, "CPS.0002")
		},
	},
	"ListResourceInstances": {
		func(w world) {
			w.tag("find", "me")
			actions := model.GetListResourceInstancesRequestBodyActionEnum()
			find := func(body model.ListResourceInstancesRequestBody) *model.ListResourceInstancesResponse {
				kind := resourceType[model.ListResourceInstancesRequestResourceType](w)
				return answered(w.client.ListResourceInstances(&model.ListResourceInstancesRequest{ResourceType: kind, Body: &body}))(w)
			}
			tags := []model.Tags{{Key: "find", Values: []string{"me", "you"}}}
			found := find(model.ListResourceInstancesRequestBody{Action: actions.FILTER, Tags: &tags, Limit: ptr("10"), Offset: ptr("0")})
			if len(*found.Resources) != 1 || *(*found.Resources)[0].ResourceId != w.server || *found.TotalCount != 1 {
				w.Errorf("found: %s", found)
			}
			if count := find(model.ListResourceInstancesRequestBody{Action: actions.COUNT, WithoutAnyTag: ptr(true)}); *count.TotalCount != 0 {
				w.Errorf("without tags: %s", count)
			}
		},
		func(w world) {
			kind := resourceType[model.ListResourceInstancesRequestResourceType](w)
			body := &model.ListResourceInstancesRequestBody{Action: model.GetListResourceInstancesRequestBodyActionEnum().FILTER, Limit: ptr("0")}
			refused(w.client.ListResourceInstances(&model.ListResourceInstancesRequest{ResourceType: kind, Body: body}))(w, 400, "CPS.0002")
			refused(w.client.ListResourceInstances(&model.ListResourceInstancesRequest{ResourceType: kind, Body: &model.ListResourceInstancesRequestBody{}}))(w, 400, "CPS.0047")
		},
	},
}

func (w world) tag(key, value string) {
	w.Helper()
	kind := resourceType[model.BatchCreateTagsRequestResourceType](w)
	body := &model.BatchCreateTagsRequestBody{Action: "create", Tags: []model.Tag{{Key: key, Value: value}}}
	if answer := answered(w.client.BatchCreateTags(&model.BatchCreateTagsRequest{ResourceType: kind, ResourceId: w.server, Body: body}))(w); answer.HttpStatusCode != 204 {
		w.Errorf("status %d, want 204", answer.HttpStatusCode)
	}
}

func (w world) untag(id, key, value string) *model.BatchDeleteTagsRequest {
	return &model.BatchDeleteTagsRequest{
		ResourceType: resourceType[model.BatchDeleteTagsRequestResourceType](w), ResourceId: id,
		Body: &model.BatchDeleteTagsRequestBody{Action: "delete", Tags: []model.Tag{{Key: key, Value: value}}},
	}
}

func (w world) tags() []model.Tag {
	w.Helper()
	kind := resourceType[model.ListResourceTagsRequestResourceType](w)
	return *answered(w.client.ListResourceTags(&model.ListResourceTagsRequest{ResourceType: kind, ResourceId: w.server}))(w).Tags
}

var connectionJudgements = map[string]judgement{
	// A simulated phone has no adb: the answer says so, and gives no ticket to nowhere.
	"BatchShowPhoneConnectInfos": {
		func(w world) {
			android := model.GetConnectionRequestBodyClientTypeEnum().ANDROID
			answer := answered(w.client.BatchShowPhoneConnectInfos(&model.BatchShowPhoneConnectInfosRequest{
				Body: &model.ConnectionRequestBody{PhoneIds: []string{w.phones[5], unknown}, ClientType: android},
			}))(w)
			codes := map[string]string{}
			for _, e := range *answer.Errors {
				codes[*e.PhoneId] = *e.ErrorCode
			}
			if len(*answer.ConnectInfos) != 0 || len(codes) != 2 || codes[w.phones[5]] != "CPS.0022" || codes[unknown] != "CPS.0005" {
				w.Errorf("answer: %s", answer)
			}
		},
		func(w world) {
			ask := func(ids []string, client model.ConnectionRequestBodyClientType) (*model.BatchShowPhoneConnectInfosResponse, error) {
				return w.client.BatchShowPhoneConnectInfos(&model.BatchShowPhoneConnectInfosRequest{Body: &model.ConnectionRequestBody{PhoneIds: ids, ClientType: client}})
			}
			android := model.GetConnectionRequestBodyClientTypeEnum().ANDROID
			refused(ask([]string{}, android))(w, 400, "CPS.0009")
			refused(ask(slices.Repeat([]string{unknown}, 11), android))(w, 400, "CPS.0190")
			refused(ask([]string{unknown}, model.ConnectionRequestBodyClientType{}))(w, 400, "CPS.0116")
		},
	},
}

var commandJudgements = map[string]judgement{
	"RunSyncCommand": {
		func(w world) {
			answer := answered(runSync(w.client, "getprop sys.boot_completed", w.phones[5], unknown))(w)
			jobs := *answer.Jobs
			if len(jobs) != 2 || *jobs[0].Status != 2 || *jobs[0].ExecuteMsg != "1" || *jobs[0].PhoneId != w.phones[5] || *jobs[0].JobId == "" {
				w.Errorf("answer: %s", answer)
			}
			if *jobs[1].Status != -1 || *jobs[1].ErrorCode != "CPS.0005" || *jobs[1].PhoneId != unknown {
				w.Errorf("answer: %s", answer)
			}
			slow := answered(runSync(w.client, "sleep 600", w.phones[5]))(w)
			if job := (*slow.Jobs)[0]; *job.Status != -1 || *job.ErrorCode != "CPS.0054" {
				w.Errorf("answer: %s", slow)
			}
			failed := answered(runSync(w.client, "ls /nowhere", w.phones[5]))(w)
			if job := (*failed.Jobs)[0]; *job.Status != -1 || *job.ErrorCode != "CPS.0191" || *job.ExecuteMsg != "ls: /nowhere: No such file or directory" {
				w.Errorf("answer: %s", failed)
			}
		},
		func(w world) {
			refused(runSync(w.client, "reboot; ls", w.phones[5]))(w, 400, "CPS.0118")
			refused(runSync(w.client, "ls"))(w, 400, "CPS.0009")
			refused(runSync(w.client, "ls", slices.Repeat([]string{unknown}, 16)...))(w, 400, "CPS.0190")
			body := &model.RunSyncCommandRequestBody{Command: "install", Content: "ls", PhoneIds: &w.phones}
			refused(w.client.RunSyncCommand(&model.RunSyncCommandRequest{Body: body}))(w, 400, "CPS.0117")
		},
	},
}

func runSync(client *sdk.CphClient, content string, phones ...string) (*model.RunSyncCommandResponse, error) {
	return client.RunSyncCommand(&model.RunSyncCommandRequest{Body: &model.RunSyncCommandRequestBody{Command: "shell", Content: content, PhoneIds: &phones}})
}

// absentJudgements are of what cannot be done: right input is answered with the emptiness that there is, or refused with a reason.
var absentJudgements = map[string]judgement{
	"ShowBandwidthDetail": {
		func(w world) {
			answer := answered(w.client.ShowBandwidthDetail(&model.ShowBandwidthDetailRequest{Limit: ptr(int32(50))}))(w)
			if answer.BandWidths == nil || len(*answer.BandWidths) != 0 {
				w.Errorf("answer: %s", answer)
			}
		},
		func(w world) {
			refused(w.client.ShowBandwidthDetail(&model.ShowBandwidthDetailRequest{Limit: ptr(int32(0))}))(w, 400, "CPS.0002")
		},
	},
	"UpdateBandwidth": {
		func(w world) {
			refused(w.client.UpdateBandwidth(&model.UpdateBandwidthRequest{BandWidthId: "b", Body: &model.UpdateBandwidthRequestBody{BandWidthSize: 100}}))(w, 400, "CPS.0115")
		},
		func(w world) {
			refused(w.client.UpdateBandwidth(&model.UpdateBandwidthRequest{BandWidthId: "b", Body: &model.UpdateBandwidthRequestBody{}}))(w, 400, "CPS.0036")
		},
	},
	"ListEncodeServers": {
		func(w world) {
			answer := answered(w.client.ListEncodeServers(&model.ListEncodeServersRequest{Type: ptr(int32(0)), Status: ptr(int32(1))}))(w)
			if answer.EncodeServers == nil || len(*answer.EncodeServers) != 0 {
				w.Errorf("answer: %s", answer)
			}
		},
		func(w world) {
			refused(w.client.ListEncodeServers(&model.ListEncodeServersRequest{Type: ptr(int32(2))}))(w, 400, "CPS.0116")
		},
	},
	"RestartEncodeServer": {
		func(w world) {
			answer := answered(w.client.RestartEncodeServer(&model.RestartEncodeServerRequest{Body: &model.RestartEncodeServerRequestBody{EncodeServerIds: []string{unknown, "x"}}}))(w)
			jobs := *answer.Jobs
			if len(jobs) != 2 || jobs[0].JobId != nil || *jobs[0].ErrorCode != "CPS.0123" || *jobs[0].EncodeServerId != unknown || *jobs[1].ErrorCode != "CPS.0121" {
				w.Errorf("answer: %s", answer)
			}
		},
		func(w world) {
			refused(w.client.RestartEncodeServer(&model.RestartEncodeServerRequest{Body: &model.RestartEncodeServerRequestBody{EncodeServerIds: []string{}}}))(w, 400, "CPS.0122")
		},
	},
	"ChangeCloudPhoneServerModel": {
		func(w world) {
			body := &model.ChangeCloudPhoneServerModelRequestBody{ServerId: w.server, ServerModelName: "m", PhoneModelName: "p"}
			refused(w.client.ChangeCloudPhoneServerModel(&model.ChangeCloudPhoneServerModelRequest{Body: body}))(w, 400, "CPS.0062")
		},
		func(w world) {
			body := &model.ChangeCloudPhoneServerModelRequestBody{ServerId: "x"}
			refused(w.client.ChangeCloudPhoneServerModel(&model.ChangeCloudPhoneServerModelRequest{Body: body}))(w, 400, "CPS.0097")
		},
	},
	"CreateCloudPhoneSingleServer": {
		func(w world) {
			body := &model.CreateCloudPhoneSingleServerRequestBody{ServerName: "a", ServerModelName: "m", Count: 1}
			refused(w.client.CreateCloudPhoneSingleServer(&model.CreateCloudPhoneSingleServerRequest{Body: body}))(w, 400, "CPS.0062")
		},
		func(w world) {
			body := &model.CreateCloudPhoneSingleServerRequestBody{ServerName: "a", ServerModelName: "m", Count: 11}
			refused(w.client.CreateCloudPhoneSingleServer(&model.CreateCloudPhoneSingleServerRequest{Body: body}))(w, 400, "CPS.0024")
		},
	},
	"ImportTraffic": {
		func(w world) {
			body := &model.ImportTrafficRequestBody{TrafficType: "routing", PhoneIds: w.phones}
			refused(w.client.ImportTraffic(&model.ImportTrafficRequest{Body: body}))(w, 400, "CPS.0123")
		},
		func(w world) {
			body := &model.ImportTrafficRequestBody{TrafficType: "sideways", PhoneIds: w.phones}
			refused(w.client.ImportTraffic(&model.ImportTrafficRequest{Body: body}))(w, 400, "CPS.0116")
		},
	},
	"ExpandPhoneDataVolumeSize": {
		func(w world) {
			body := &model.ExpandPhoneDataVolumeSizeRequestBody{Phones: []model.PhoneDataVolumeSize{{PhoneId: w.phones[0], NewSize: 20}}}
			refused(w.client.ExpandPhoneDataVolumeSize(&model.ExpandPhoneDataVolumeSizeRequest{Body: body}))(w, 501, "CPS.0003")
		},
		func(w world) {
			body := &model.ExpandPhoneDataVolumeSizeRequestBody{}
			refused(w.client.ExpandPhoneDataVolumeSize(&model.ExpandPhoneDataVolumeSizeRequest{Body: body}))(w, 400, "CPS.0077")
		},
	},
}

// TestModelsOfTheConfiguration starts the real binary with models of its own: they are listed, and new servers are held to them.
func TestModelsOfTheConfiguration(t *testing.T) {
	t.Parallel()
	in := serve(t, `
[[phone_models]]
name = "lethe.cp.small"
server_model = "rack.small"
image_label = "cloud_phone"
cpus = 2.0
memory = "3g"
phones = 2

[[phone_models]]
name = "lethe.cp.old"
retired = true

[[server_models]]
name = "rack.small"
cpus = 32
memory = 128
`)
	client := in.owner()
	w := world{T: t, in: in, client: client}
	models := answered(client.ListCloudPhoneModels(&model.ListCloudPhoneModelsRequest{Limit: ptr(int32(1))}))(w)
	small := (*models.PhoneModels)[0]
	if *small.PhoneModelName != "lethe.cp.small" || *small.Cpu != 2 || *small.Memory != 3072 || *small.ServerModelName != "rack.small" || *small.PhoneCapacity != 2 {
		t.Errorf("models: %s", models)
	}
	servers := answered(client.ListCloudPhoneServerModels(&model.ListCloudPhoneServerModelsRequest{}))(w)
	if first := (*servers.ServerModels)[0]; *first.ServerModelName != "rack.small" || *first.Cpu != 32 || *first.Memory != 128 {
		t.Errorf("server models: %s", servers)
	}
	in.image("first")
	add := []string{"server", "add", "--name", "rack-1", "--driver", "simulated", "--image", "first", "--boot-time", "1ms", "--phone-model"}
	for words, args := range map[string][]string{
		"at most 2 phones":      {"lethe.cp.small", "--phones", "3"},
		"do not get any more":   {"lethe.cp.old", "--phones", "1"},
		"there is no phone mod": {"lethe.cp.none", "--phones", "1"},
	} {
		in.letheRefuses(words, append(slices.Clone(add), args...)...)
	}
	in.lethe(nil, append(slices.Clone(add), "lethe.cp.small", "--phones", "2", "--wait")...)
	list := answered(client.ListCloudPhoneServers(&model.ListCloudPhoneServersRequest{}))(w)
	if server := (*list.Servers)[0]; *server.ServerModelName != "rack.small" || *server.PhoneModelName != "lethe.cp.small" {
		t.Errorf("servers: %s", list)
	}
}
