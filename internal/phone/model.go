package phone

import "fmt"

// PhoneModel is a kind of phone that the installation offers. A zero is what nobody has set: no limit, or the driver's default.
type PhoneModel struct {
	Name        string
	ServerModel string  // the only server model that has it; "" for any
	CPUs        float64 // limit of one phone
	MemoryMB    int     // limit of one phone
	DiskGB      int     // as announced; no driver limits a volume's size
	Width       int     // pixels
	Height      int     // pixels
	DPI         int
	FPS         int
	ImageLabel  string // images with another label do not fit; "" leaves it to the server's first image
	Phones      int    // how many fit on one server
	Retired     bool   // new servers do not get it
}

// ServerModel is a kind of machine that the installation offers.
type ServerModel struct {
	Name     string
	Type     string // what processor, for people
	CPUs     int
	MemoryGB int
	GPU      string // for people
	Game     bool   // for cloud games, not for cloud phones
}

// CheckServer refuses a new server whose phones the model cannot be.
func (m PhoneModel) CheckServer(s Server) *Error {
	bad := func(field, format string, args ...any) *Error {
		return &Error{Code: Invalid, Reason: ReasonModelInvalid, Field: field, Msg: field + " " + fmt.Sprintf(format, args...)}
	}
	switch {
	case m.Retired:
		return bad("phone_model_name", "names a model that new servers do not get any more")
	case m.ServerModel != "" && s.Model != m.ServerModel:
		return bad("server_model_name", "must be %s for phones of the model %s", m.ServerModel, m.Name)
	case m.ImageLabel != "" && s.ImageLabel != m.ImageLabel:
		return Errorf(Invalid, ReasonImageLabel, "the image has the label %q, but phones of the model %s take images with %q", s.ImageLabel, m.Name, m.ImageLabel)
	case m.Phones > 0 && s.Capacity > m.Phones:
		return &Error{
			Code: Exhausted, Field: "phone_count", Msg: fmt.Sprintf("a server has room for at most %d phones of the model %s", m.Phones, m.Name),
		}
	}
	return nil
}
