package cph

import (
	"encoding/json"
	"slices"
	"strconv"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// connection is where one phone is reached, and a ticket that proves for a while that its bearer may [SDK model_connect_info.go].
type connection struct {
	PhoneID string           `json:"phone_id"`
	Access  connectionAccess `json:"access_info"`
}

// connectionAccess says where the phone's adb answers [SDK model_connect_info_access_info.go].
type connectionAccess struct {
	AccessIP   string `json:"access_ip"`
	IntranetIP string `json:"intranet_ip"`
	AccessIPv6 string `json:"access_ipv6"`
	AccessPort int    `json:"access_port"`
	SessionID  string `json:"session_id"`
	Timestamp  string `json:"timestamp"` // milliseconds
	Ticket     string `json:"ticket"`
}

// phoneError is a phone that a call had to leave out.
type phoneError struct {
	PhoneID string `json:"phone_id"`
	Code    string `json:"error_code"`
	Msg     string `json:"error_msg"`
}

type connectionList struct {
	RequestID   phone.RequestID `json:"request_id"`
	Connections []connection    `json:"connect_infos"`
	Errors      []phoneError    `json:"errors"`
}

// maxConnections is how many phones one call may ask for [SDK model_connection_request_body.go].
const maxConnections = 10

// clientTypes are the SDKs for which the cloud streams a phone's screen. lethe streams none: what it gives is the phone's adb, whatever
// the type.
var clientTypes = []string{"ANDROID", "WINDOWS", "H5_MOBILE", "H5_PC", "IOS"}

// connectPhones is POST phones/batch-connection.
func (h *Handler) connectPhones(c *call) (any, error) {
	var in struct {
		PhoneIDs json.RawMessage `json:"phone_ids"`
		Client   string          `json:"client_type"`
	}
	if err := c.decode(&in, map[string]phone.Reason{"client_type": reasonType}); err != nil {
		return nil, err
	}
	phones, err := ids("phone_ids", in.PhoneIDs, maxConnections, reasonPhoneIDs, reasonNoPhoneIDs, phone.ReasonPhonesTooMany)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(clientTypes, in.Client) {
		return nil, errQuery(reasonType, "client_type", "must be one of %v", clientTypes)
	}
	connections, err := h.Fleet.Connect(c.Context(), c.caller, c.project, phones, h.Address)
	if err != nil {
		return nil, err
	}
	out := connectionList{RequestID: c.id, Connections: []connection{}, Errors: []phoneError{}}
	for _, at := range connections {
		id := cut(at.PhoneID, maxPhoneID)
		if at.Err != nil {
			line := lineOf(at.Err)
			out.Errors = append(out.Errors, phoneError{id, line.code, line.sentence(at.Err)})
			continue
		}
		out.Connections = append(out.Connections, connection{id, connectionAccess{
			AccessIP: at.Host, IntranetIP: at.Host, AccessPort: at.Port, SessionID: at.Session, Ticket: at.Ticket,
			Timestamp: strconv.FormatInt(millis(at.Made), 10),
		}})
	}
	return out, nil
}
