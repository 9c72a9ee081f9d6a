package cph

import (
	"strconv"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// serverItem is a server in a list, and the common part of its detail [SDK model_server.go]. The fields of a rented network are
// empty: lethe rents none.
type serverItem struct {
	Name                string          `json:"server_name"`
	AvailabilityZone    string          `json:"availability_zone"`
	ID                  string          `json:"server_id"`
	Model               string          `json:"server_model_name"`
	PhoneModel          string          `json:"phone_model_name"`
	Keypair             string          `json:"keypair_name"`
	Status              int             `json:"status"`
	VPC                 string          `json:"vpc_id"`
	CIDR                string          `json:"cidr"`
	VPCCIDR             string          `json:"vpc_cidr"`
	Subnet              string          `json:"subnet_id"`
	SubnetCIDR          string          `json:"subnet_cidr"`
	Addresses           []serverAddress `json:"addresses"`
	ResourceProject     string          `json:"resource_project_id"`
	Metadata            orderMetadata   `json:"metadata"`
	NetworkVersion      string          `json:"network_version"`
	EnterpriseProjectID string          `json:"enterprise_project_id"`
	CreateTime          string          `json:"create_time"`
	UpdateTime          string          `json:"update_time"`
}

// serverAddress is an address of a server; the expired names hold the same as the new ones.
type serverAddress struct {
	IntranetIP string `json:"intranet_ip"`
	AccessIP   string `json:"access_ip"`
	ServerIP   string `json:"server_ip"`
	PublicIP   string `json:"public_ip"`
}

type serverList struct {
	RequestID phone.RequestID `json:"request_id"`
	Count     int             `json:"count"` // all that match, not the page's
	Servers   []serverItem    `json:"servers"`
}

// serverDetail is one server [SDK model_show_cloud_phone_server_detail_response.go].
type serverDetail struct {
	RequestID phone.RequestID `json:"request_id"`
	serverItem
	BandWidths     []struct{} `json:"band_widths"`
	Volumes        []struct{} `json:"volumes"`
	ShareVolume    *struct{}  `json:"share_volume_info"`
	SecurityGroups []string   `json:"security_groups"`
}

// networkVersion is "v1": a network that the system defines, not the tenant.
const networkVersion = "v1"

// listServers is GET servers.
func (h *Handler) listServers(c *call) (any, error) {
	q := c.query()
	filter := fleet.ServerFilter{Project: c.project, ID: phone.ServerID(q.Get("server_id"))}
	var err error
	if filter.Offset, filter.Limit, err = q.page(100); err != nil {
		return nil, err
	}
	if filter.Status, err = q.serverStatus(); err != nil {
		return nil, err
	}
	if err = q.serverFilter(&filter); err != nil {
		return nil, err
	}
	version, err := q.choice("network_version", reasonNetworkVersion, networkVersion, "v2")
	if err != nil {
		return nil, err
	}
	out := serverList{RequestID: c.id, Servers: []serverItem{}}
	if version == "v2" {
		return out, nil
	}
	servers, count, err := h.Fleet.Servers(c.Context(), c.caller, filter)
	for _, s := range servers {
		out.Servers = append(out.Servers, serverOut(s, h.Address(s)))
	}
	out.Count = count
	return out, err
}

func (q query) serverFilter(f *fleet.ServerFilter) (err error) {
	if f.Name, err = q.part("server_name", reasonServerName); err != nil {
		return err
	}
	if f.PhoneModel, err = q.part("phone_model_name", reasonPhoneModel); err != nil {
		return err
	}
	if f.CreatedFrom, err = q.moment("create_since"); err != nil {
		return err
	}
	f.CreatedTo, err = q.moment("create_until")
	return err
}

// serverStatus reads the status to look for: one that the reference has, also those that no server here is ever in.
func (q query) serverStatus() (*phone.ServerStatus, error) {
	value := q.Get("status")
	if value == "" {
		return nil, nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 || n > 13 || n == 6 || n == 7 || n == 9 {
		return nil, errQuery(reasonStatus, "status", "is not the status of a server")
	}
	status := phone.ServerStatus(n)
	return &status, nil
}

// showServer is GET servers/{server_id}.
func (h *Handler) showServer(c *call) (any, error) {
	s, err := h.Fleet.Server(c.Context(), c.caller, c.project, phone.ServerID(c.PathValue("server_id")))
	if err != nil {
		return nil, err
	}
	return serverDetail{
		RequestID: c.id, serverItem: serverOut(s, h.Address(s)), BandWidths: []struct{}{}, Volumes: []struct{}{}, SecurityGroups: []string{},
	}, nil
}

func serverOut(s phone.Server, host string) serverItem {
	out := serverItem{
		Name: s.Name, ID: string(s.ID), Model: s.Model, PhoneModel: s.PhoneModel, Keypair: s.Keypair, Status: int(s.Shown()), Addresses: []serverAddress{},
		NetworkVersion: networkVersion, CreateTime: timeOut(s.CreatedAt), UpdateTime: timeOut(s.UpdatedAt),
	}
	if host != "" {
		out.Addresses = append(out.Addresses, serverAddress{IntranetIP: host, AccessIP: host, ServerIP: host, PublicIP: host})
	}
	return out
}
