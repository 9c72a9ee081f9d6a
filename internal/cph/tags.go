package cph

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// tagBase is where tags live: of all types of resources only servers have any, so the type stands in the path as it is.
const tagBase = "/v1/{project_id}/cph-server"

func (h *Handler) tagRoutes() []route {
	return []route{
		{"ListProjectTags", "GET " + tagBase + "/tags", fleet.ActionTagsList, Done, "", h.listProjectTags},
		{"ListResourceTags", "GET " + tagBase + "/{resource_id}/tags", fleet.ActionTagsList, Done, "", h.listServerTags},
		{"BatchCreateTags", "POST " + tagBase + "/{resource_id}/tags/action", fleet.ActionTagsUpdate, Done, "", h.changeTags},
		{"BatchDeleteTags", "POST " + tagBase + "/{resource_id}/tags/action", fleet.ActionTagsUpdate, Done, "", h.changeTags},
		{"ListResourceInstances", "POST " + tagBase + "/resource_instances/action", fleet.ActionTagsList, Done, "", h.listTagged},
	}
}

// tag is a key and its value [SDK model_tag.go].
type tag struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// tagValues is a key and all its values [SDK model_tags.go].
type tagValues struct {
	Key    string   `json:"key"`
	Values []string `json:"values"`
}

type tagList struct {
	RequestID phone.RequestID `json:"request_id"`
	Tags      []tag           `json:"tags"`
}

func (c *call) taggedServer() phone.ServerID { return phone.ServerID(c.PathValue("resource_id")) }

// listServerTags is GET {resource_id}/tags.
func (h *Handler) listServerTags(c *call) (any, error) {
	tags, err := h.Fleet.ServerTags(c.Context(), c.caller, c.project, c.taggedServer())
	return tagList{c.id, tagsOut(tags)}, err
}

func tagsOut(tags []phone.Tag) []tag {
	out := make([]tag, len(tags))
	for i, t := range tags {
		out[i] = tag(t)
	}
	return out
}

// changeTags is POST {resource_id}/tags/action, with the action create or delete; done is 204, as the Terraform provider wants it.
func (h *Handler) changeTags(c *call) (any, error) {
	var in struct {
		Action string `json:"action"`
		Tags   []tag  `json:"tags"`
	}
	if err := c.decode(&in, map[string]phone.Reason{"action": reasonAction, "tags": phone.ReasonTagInvalid}); err != nil {
		return nil, err
	}
	change := h.Fleet.AddTags
	switch in.Action {
	case "create":
	case "delete":
		change = h.Fleet.RemoveTags
		c.audited.As("batchDeleteTags")
	default:
		return nil, errQuery(reasonAction, "action", "must be create or delete")
	}
	tags := make([]phone.Tag, len(in.Tags))
	for i, t := range in.Tags {
		tags[i] = phone.Tag(t)
	}
	return noContent{}, change(c.Context(), c.caller, c.project, c.taggedServer(), tags)
}

type projectTagList struct {
	RequestID phone.RequestID `json:"request_id"`
	Tags      []tagValues     `json:"tags"`
	Total     int             `json:"total_count"` // of keys, not the page's
}

// listProjectTags is GET tags.
func (h *Handler) listProjectTags(c *call) (any, error) {
	offset, limit, err := c.query().page(100)
	if err != nil {
		return nil, err
	}
	tags, total, err := h.Fleet.ProjectTags(c.Context(), c.caller, c.project, offset, limit)
	out := projectTagList{RequestID: c.id, Tags: []tagValues{}, Total: total}
	for _, t := range tags {
		out.Tags = append(out.Tags, tagValues(t))
	}
	return out, err
}

// taggedServer is a server with its tags [SDK model_resource.go].
type taggedServer struct {
	ID     phone.ServerID `json:"resource_id"`
	Detail *string        `json:"resource_detail"` // null: GET servers/{server_id} has it
	Name   string         `json:"resource_name"`
	Tags   []tag          `json:"tags"`
}

type taggedServerList struct {
	RequestID phone.RequestID `json:"request_id"`
	Servers   []taggedServer  `json:"resources"`
	Total     int             `json:"total_count"`
}

type taggedServerCount struct {
	RequestID phone.RequestID `json:"request_id"`
	Total     int             `json:"total_count"`
}

// maxTagged is the largest page of servers by tags [SDK model_list_resource_instances_request_body.go].
const maxTagged = 1000

// taggedQuery chooses servers by their tags.
type taggedQuery struct {
	Action  string          `json:"action"`
	Offset  json.RawMessage `json:"offset"` // a number, or one in quotes
	Limit   json.RawMessage `json:"limit"`
	Without bool            `json:"without_any_tag"`
	Tags    []tagValues     `json:"tags"`
	Matches []tag           `json:"matches"`
}

// listTagged is POST resource_instances/action, with the action filter or count.
func (h *Handler) listTagged(c *call) (any, error) {
	var in taggedQuery
	err := c.decode(&in, map[string]phone.Reason{
		"action": reasonAction, "tags": phone.ReasonTagInvalid, "matches": phone.ReasonTagInvalid, "without_any_tag": phone.ReasonTagInvalid,
	})
	if err != nil {
		return nil, err
	}
	filter := fleet.TagFilter{Project: c.project, Untagged: in.Without, Limit: 1}
	for _, t := range in.Tags {
		filter.Tags = append(filter.Tags, phone.TagValues(t))
	}
	for _, m := range in.Matches {
		if m.Key != "resource_name" || m.Value == "" || len(in.Matches) > 1 {
			return nil, errQuery(phone.ReasonTagInvalid, "matches", "may have one element: the key resource_name with a value")
		}
		filter.Name = m.Value
	}
	switch in.Action {
	case "count":
		_, total, err := h.Fleet.TaggedServers(c.Context(), c.caller, filter)
		return taggedServerCount{c.id, total}, err
	case "filter":
	default:
		return nil, errQuery(reasonAction, "action", "must be filter or count")
	}
	if filter.Offset, err = in.number("offset", in.Offset, 0, 0, 1<<31-1); err != nil {
		return nil, err
	}
	if filter.Limit, err = in.number("limit", in.Limit, maxTagged, 1, maxTagged); err != nil {
		return nil, err
	}
	servers, total, err := h.Fleet.TaggedServers(c.Context(), c.caller, filter)
	out := taggedServerList{RequestID: c.id, Servers: []taggedServer{}, Total: total}
	for _, s := range servers {
		out.Servers = append(out.Servers, taggedServer{ID: s.ID, Name: s.Name, Tags: tagsOut(s.Tags)})
	}
	return out, err
}

func (taggedQuery) number(name string, raw json.RawMessage, absent, min, max int) (int, error) {
	text := string(bytes.Trim(raw, `"`))
	if text == "" || text == "null" {
		return absent, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < min || n > max {
		return 0, errQuery(phone.ReasonPageInvalid, name, "must be a whole number from %d to %d", min, max)
	}
	return n, nil
}
