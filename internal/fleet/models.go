package fleet

import (
	"context"
	"slices"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Models are the kinds of phones and servers that an installation offers.
type Models struct {
	Phones  []phone.PhoneModel
	Servers []phone.ServerModel
}

// withDefaults adds what a server gets that names no model, and a server model for each that only a phone model names.
func (m Models) withDefaults() Models {
	out := Models{Phones: slices.Clone(m.Phones), Servers: slices.Clone(m.Servers)}
	if _, ok := out.phone(DefaultPhoneModel); !ok {
		// The screen is redroid's own.
		out.Phones = append(out.Phones, phone.PhoneModel{Name: DefaultPhoneModel, Width: 720, Height: 1280, DPI: 320})
	}
	names := []string{DefaultServerModel}
	for _, p := range out.Phones {
		names = append(names, p.ServerModel)
	}
	for _, name := range names {
		if known := slices.ContainsFunc(out.Servers, func(s phone.ServerModel) bool { return s.Name == name }); name != "" && !known {
			out.Servers = append(out.Servers, phone.ServerModel{Name: name})
		}
	}
	return out
}

func (m Models) phone(name string) (phone.PhoneModel, bool) {
	i := slices.IndexFunc(m.Phones, func(p phone.PhoneModel) bool { return p.Name == name })
	if i < 0 {
		return phone.PhoneModel{}, false
	}
	return m.Phones[i], true
}

// PhoneModels gives the kinds of phones that the installation offers, in the configuration's order.
func (s *Service) PhoneModels(_ context.Context, caller account.Caller, project phone.ProjectID) ([]phone.PhoneModel, error) {
	if err := Authorise(caller, project, ActionPhoneModelsList); err != nil {
		return nil, err
	}
	return slices.Clone(s.models.Phones), nil
}

// ServerModels gives the kinds of servers that the installation offers, in the configuration's order.
func (s *Service) ServerModels(_ context.Context, caller account.Caller, project phone.ProjectID) ([]phone.ServerModel, error) {
	if err := Authorise(caller, project, ActionServerModelsList); err != nil {
		return nil, err
	}
	return slices.Clone(s.models.Servers), nil
}
