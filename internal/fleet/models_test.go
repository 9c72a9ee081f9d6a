package fleet_test

import (
	"testing"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// A model decides what a new server of it may be.
func TestModelOfNewServer(t *testing.T) {
	t.Parallel()
	models := fleet.Models{Phones: []phone.PhoneModel{
		{Name: "small", ServerModel: "rack", ImageLabel: "cloud_phone", Phones: 3}, {Name: "game", ImageLabel: "cloud_game"}, {Name: "old", Retired: true},
	}}
	for name, tt := range map[string]struct {
		change func(*fleet.NewServer)
		code   phone.Code
		field  string
		reason phone.Reason
	}{
		"fits":                   {func(in *fleet.NewServer) { in.PhoneModel, in.Phones = "small", 3 }, "", "", ""},
		"its server model named": {func(in *fleet.NewServer) { in.PhoneModel, in.Model, in.Phones = "small", "rack", 1 }, "", "", ""},
		"another server model":   {func(in *fleet.NewServer) { in.PhoneModel, in.Model, in.Phones = "small", "blade", 1 }, phone.Invalid, "server_model_name", phone.ReasonModelInvalid},
		"too many phones":        {func(in *fleet.NewServer) { in.PhoneModel, in.Phones = "small", 4 }, phone.Exhausted, "phone_count", ""},
		"another label":          {func(in *fleet.NewServer) { in.PhoneModel = "game" }, phone.Invalid, "", phone.ReasonImageLabel},
		"retired":                {func(in *fleet.NewServer) { in.PhoneModel = "old" }, phone.Invalid, "phone_model_name", phone.ReasonModelInvalid},
		"none named":             {func(*fleet.NewServer) {}, "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t, func(c *fleet.Config) { c.Models = models })
			in := newServer()
			in.Capacity, in.PortBase = 0, 0
			tt.change(&in)
			server, _, err := b.AddServer(t.Context(), owner(), in)
			if tt.code == "" {
				want := fleet.DefaultServerModel
				if in.PhoneModel == "small" {
					want = "rack"
				}
				if err != nil || server.Model != want {
					t.Errorf("server model %q, error %v", server.Model, err)
				}
				return
			}
			var e *phone.Error
			if phone.CodeOf(err) != tt.code || phone.ReasonOf(err) != tt.reason {
				t.Fatalf("%v, want %s %s", err, tt.code, tt.reason)
			}
			if e, _ = err.(*phone.Error); e == nil || e.Field != tt.field {
				t.Errorf("field of %+v, want %s", err, tt.field)
			}
		})
	}
}
