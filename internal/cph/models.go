package cph

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// phoneModel is a kind of phone [SDK model_phone_model.go]. 0 is what the installation does not limit or does not say.
type phoneModel struct {
	ServerModel  string `json:"server_model_name"`
	Name         string `json:"phone_model_name"`
	Status       int    `json:"status"`
	CPU          int    `json:"cpu"`
	Memory       int    `json:"memory"` // MB
	Disk         int    `json:"disk"`   // GiB
	Resolution   string `json:"resolution"`
	ExtendSpec   string `json:"extend_spec"` // JSON in a string
	SpecCode     string `json:"spec_code"`
	Capacity     int    `json:"phone_capacity"`
	ImageLabel   string `json:"image_label"`
	ProductType  int    `json:"product_type"`
	ModelVersion int    `json:"phone_model_version"`
	DPI          int    `json:"dpi"`
	FPS          string `json:"fps"`
	VolumeMode   int    `json:"volume_mode"` // 0: phones share the server's disk
	RenderFPS    int    `json:"render_fps"`
	StreamFPS    int    `json:"stream_fps"` // 0: nothing is streamed
}

type phoneModelList struct {
	RequestID phone.RequestID `json:"request_id"`
	Models    []phoneModel    `json:"phone_models"`
}

// The values of a model's status and of product_type.
const (
	modelRetired = 0
	modelInUse   = 1

	productPhone = 0
	productGame  = 1
)

// listPhoneModels is GET phone-models.
func (h *Handler) listPhoneModels(c *call) (any, error) {
	q := c.query()
	status, err := q.choice("status", reasonStatus, strconv.Itoa(modelRetired), strconv.Itoa(modelInUse))
	if err != nil {
		return nil, err
	}
	offset, limit, err := q.page(100)
	if err != nil {
		return nil, err
	}
	models, err := h.Fleet.PhoneModels(c.Context(), c.caller, c.project)
	if err != nil {
		return nil, err
	}
	servers, err := h.gameServers(c)
	if err != nil {
		return nil, err
	}
	out := phoneModelList{RequestID: c.id, Models: []phoneModel{}}
	for _, m := range models {
		item := phoneModelOut(m)
		if servers[m.ServerModel] {
			item.ProductType = productGame
		}
		if status == "" || status == strconv.Itoa(item.Status) {
			out.Models = append(out.Models, item)
		}
	}
	out.Models = cutPage(out.Models, offset, limit)
	return out, nil
}

// gameServers tells which server models are for cloud games. Whoever may list phone models need not be allowed the others' list, so
// without that permission none is.
func (h *Handler) gameServers(c *call) (map[string]bool, error) {
	models, err := h.Fleet.ServerModels(c.Context(), c.caller, c.project)
	if phone.CodeOf(err) == phone.Forbidden {
		return nil, nil
	}
	game := map[string]bool{}
	for _, m := range models {
		game[m.Name] = m.Game
	}
	return game, err
}

func phoneModelOut(m phone.PhoneModel) phoneModel {
	out := phoneModel{
		ServerModel: m.ServerModel, Name: m.Name, Status: modelInUse, CPU: int(math.Ceil(m.CPUs)), Memory: min(m.MemoryMB, math.MaxInt32), Disk: m.DiskGB,
		ExtendSpec: "{}", SpecCode: m.Name, Capacity: m.Phones, ImageLabel: m.ImageLabel, DPI: m.DPI, RenderFPS: m.FPS,
	}
	if m.Retired {
		out.Status = modelRetired
	}
	if m.Width > 0 && m.Height > 0 {
		out.Resolution = fmt.Sprintf("%dx%d", m.Width, m.Height)
	}
	if m.FPS > 0 {
		out.FPS = strconv.Itoa(m.FPS)
	}
	if m.CPUs != math.Trunc(m.CPUs) { // cpu is a whole number, this is the limit
		spec, _ := json.Marshal(map[string]float64{"cpus": m.CPUs}) // a number always encodes
		out.ExtendSpec = string(spec)
	}
	return out
}

// serverModel is a kind of machine [SDK model_server_model.go].
type serverModel struct {
	Name        string          `json:"server_model_name"`
	Type        string          `json:"server_type"`
	CPU         int             `json:"cpu"`
	Memory      int             `json:"memory"` // GB
	ExtendSpec  serverModelSpec `json:"extend_spec"`
	DiskMaxNum  int             `json:"disk_max_num"` // 0: the machine's own disks
	ProductType int             `json:"product_type"`
	FreeSize    int             `json:"free_size"`
}

// serverModelSpec describes a machine to people.
type serverModelSpec struct {
	CPU    string `json:"cpu"`
	Memory string `json:"memory"`
	Disk   string `json:"disk"`
	GPU    string `json:"gpu"`
}

type serverModelList struct {
	RequestID phone.RequestID `json:"request_id"`
	Models    []serverModel   `json:"server_models"`
}

// listServerModels is GET server-models.
func (h *Handler) listServerModels(c *call) (any, error) {
	product, err := c.query().choice("product_type", reasonProductType, strconv.Itoa(productPhone), strconv.Itoa(productGame))
	if err != nil {
		return nil, err
	}
	models, err := h.Fleet.ServerModels(c.Context(), c.caller, c.project)
	if err != nil {
		return nil, err
	}
	out := serverModelList{RequestID: c.id, Models: []serverModel{}}
	for _, m := range models {
		item := serverModel{Name: m.Name, Type: m.Type, CPU: m.CPUs, Memory: m.MemoryGB, ExtendSpec: serverModelSpec{CPU: m.Type, GPU: m.GPU}}
		if m.Game {
			item.ProductType = productGame
		}
		if product == "" || product == strconv.Itoa(item.ProductType) {
			out.Models = append(out.Models, item)
		}
	}
	return out, nil
}

// offering says whether a kind of machine can be had [SDK e51941f model_list_cloud_phone_servers_model_offerings_response_body_models.go].
type offering struct {
	Zone  string `json:"available_zone"` // an installation has none
	Model string `json:"model_name"`
	Sale  string `json:"sell_status"`
}

type offeringList struct {
	RequestID phone.RequestID `json:"request_id"`
	Count     int             `json:"count"` // of all models, not the page's
	Models    []offering      `json:"models"`
	Page      nextPage        `json:"page_info"`
}

// nextPage is where the next page begins: "" after the last one.
type nextPage struct {
	Marker string `json:"next_marker"`
}

// maxOfferings is the largest page of offerings.
const maxOfferings = 1000

// listOfferings is GET server-model-offerings. A marker is the name of the model after which the page begins.
func (h *Handler) listOfferings(c *call) (any, error) {
	q := c.query()
	_, limit, err := q.page(maxOfferings)
	if err != nil {
		return nil, err
	}
	models, err := h.Fleet.ServerModels(c.Context(), c.caller, c.project)
	if err != nil {
		return nil, err
	}
	begin := 0
	if marker := q.Get("marker"); marker != "" {
		begin = 1 + slices.IndexFunc(models, func(m phone.ServerModel) bool { return m.Name == marker })
		if begin == 0 {
			return nil, errQuery(phone.ReasonPageInvalid, "marker", "is none of an earlier page")
		}
	}
	out := offeringList{RequestID: c.id, Count: len(models), Models: []offering{}}
	for _, m := range cutPage(models, begin, limit) {
		out.Models = append(out.Models, offering{Model: m.Name, Sale: "available"})
	}
	if end := begin + len(out.Models); end < len(models) {
		out.Page.Marker = models[end-1].Name
	}
	return out, nil
}

// cutPage gives a page of what is small enough to be whole in memory; past the end it is empty.
func cutPage[T any](all []T, offset, limit int) []T {
	offset = min(offset, len(all))
	return all[offset:min(offset+limit, len(all))]
}
