package cph

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// phoneItem is a phone in a list, and the common part of its detail [SDK model_phone.go]. What lethe has no notion of is an empty
// string: clients read these fields as strings.
type phoneItem struct {
	Name             string        `json:"phone_name"`
	ServerID         string        `json:"server_id"`
	ID               string        `json:"phone_id"`
	Model            string        `json:"phone_model_name"`
	ImageID          string        `json:"image_id"`
	ImageVersion     string        `json:"image_version"`
	VNC              string        `json:"vnc_enable"` // "true" or "false"
	Status           int           `json:"status"`
	Type             int           `json:"type"` // 0: no phone here is a trial
	IMEI             string        `json:"imei"`
	TrafficType      string        `json:"traffic_type"`
	VolumeMode       int           `json:"volume_mode"` // 0: phones share the server's disk
	AvailabilityZone string        `json:"availability_zone"`
	Metadata         orderMetadata `json:"metadata"`
	Encrypted        bool          `json:"has_encrypt"`
	CreateTime       string        `json:"create_time"`
	UpdateTime       string        `json:"update_time"`
}

// orderMetadata names the order of a phone or server; nothing is bought here.
type orderMetadata struct {
	OrderID   string `json:"order_id"`
	ProductID string `json:"product_id"`
}

type phoneList struct {
	RequestID phone.RequestID `json:"request_id"`
	Count     int             `json:"count"` // all that match, not the page's
	Phones    []phoneItem     `json:"phones"`
}

// phoneDetail is one phone [SDK model_show_cloud_phone_detail_response.go].
type phoneDetail struct {
	RequestID phone.RequestID `json:"request_id"`
	phoneItem
	AccessInfos []accessInfo `json:"access_infos"`
	Property    string       `json:"property"`
	DataVolume  *struct{}    `json:"phone_data_volume"` // null: a phone's volume has no size of its own here
}

// accessInfo says where a port of a phone is reached. The names that the reference calls expired hold the same as the new ones.
type accessInfo struct {
	Type       string `json:"type"`
	DeviceIP   string `json:"device_ip"`
	PhoneIP    string `json:"phone_ip"`
	ListenPort int    `json:"listen_port"`
	AccessIP   string `json:"access_ip"`
	PublicIP   string `json:"public_ip"`
	IntranetIP string `json:"intranet_ip"`
	ServerIP   string `json:"server_ip"`
	AccessPort int    `json:"access_port"`
	PhoneIPv6  string `json:"phone_ipv6"`
	ServerIPv6 string `json:"server_ipv6"`
}

// listPhones is GET phones.
func (h *Handler) listPhones(c *call) (any, error) {
	q := c.query()
	filter := fleet.PhoneFilter{Project: c.project, Server: phone.ServerID(q.Get("server_id"))}
	var err error
	if filter.Offset, filter.Limit, err = q.page(200); err != nil {
		return nil, err
	}
	if filter.Name, err = q.part("phone_name", reasonPhoneName); err != nil {
		return nil, err
	}
	if filter.Status, err = q.phoneStatus(); err != nil {
		return nil, err
	}
	kind, err := q.choice("type", reasonType, "0", "1")
	if err != nil {
		return nil, err
	}
	out := phoneList{RequestID: c.id, Phones: []phoneItem{}}
	if kind == "1" {
		return out, nil // trial phones: there are none
	}
	phones, count, err := h.Fleet.Phones(c.Context(), c.caller, filter)
	for _, p := range phones {
		out.Phones = append(out.Phones, phoneOut(p))
	}
	out.Count = count
	return out, err
}

// phoneStatus reads the status to look for; 0 is what the reference of 2021 has for creating besides 1.
func (q query) phoneStatus() (*phone.Status, error) {
	value := q.Get("status")
	if value == "" {
		return nil, nil
	}
	n, err := strconv.Atoi(value)
	status := phone.Status(n)
	if n == 0 && err == nil {
		status = phone.StatusCreating
	}
	if err != nil || !status.Valid() {
		return nil, errQuery(reasonStatus, "status", "is not the status of a phone")
	}
	return &status, nil
}

// showPhone is GET phones/{phone_id}.
func (h *Handler) showPhone(c *call) (any, error) {
	p, server, err := h.Fleet.PhoneOnServer(c.Context(), c.caller, c.project, phone.ID(c.PathValue("phone_id")))
	if err != nil {
		return nil, err
	}
	return phoneDetail{
		RequestID: c.id, phoneItem: phoneOut(p), AccessInfos: accessOut(p, h.Address(server)), Property: propertyOut(p.Properties),
	}, nil
}

func phoneOut(p phone.Phone) phoneItem {
	return phoneItem{
		Name: p.Name, ServerID: string(p.Server), ID: string(p.ID), Model: p.Model, ImageID: string(p.Image), VNC: "false",
		Status: int(p.Status), TrafficType: "direct", CreateTime: timeOut(p.CreatedAt), UpdateTime: timeOut(p.UpdatedAt),
	}
}

// adbPort is the port that a phone's adb listens on inside.
const adbPort = 5555

func accessOut(p phone.Phone, host string) []accessInfo {
	if p.ADBPort == 0 || host == "" { // nothing answers anywhere
		return []accessInfo{}
	}
	return []accessInfo{{
		Type: "adb", ListenPort: adbPort, AccessIP: host, PublicIP: host, IntranetIP: host, ServerIP: host, AccessPort: p.ADBPort,
	}}
}

// maxProperty is the most that a detail's property may have [SDK model_show_cloud_phone_detail_response.go].
const maxProperty = 2048

// propertyOut gives the properties as a JSON object in a string. When it would be longer than the reference allows, properties are
// left out, in the order of their keys each that does not fit any more: half an object would be none. The native API names
// them all.
func propertyOut(properties phone.Properties) string {
	var b bytes.Buffer
	b.WriteByte('{')
	for _, key := range properties.Keys() {
		pair := quoted(key) + ":" + quoted(properties[key])
		if b.Len() > 1 {
			pair = "," + pair
		}
		if b.Len()+len(pair)+len("}") <= maxProperty {
			b.WriteString(pair)
		}
	}
	b.WriteByte('}')
	return b.String()
}

// quoted gives a JSON string with < > & as they are: the text is JSON within JSON, not HTML.
func quoted(s string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always encodes
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}

// timeOut gives a time as YYYY-MM-DDTHH:MM:SSZ.
func timeOut(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
