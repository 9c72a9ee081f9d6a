package store

import (
	"context"

	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Phone gives one of the project's phones, or NotFound with ReasonPhoneNotFound.
func (s *Store) Phone(ctx context.Context, project phone.ProjectID, id phone.ID) (phone.Phone, error) {
	return readOne(ctx, s, phone.ReasonPhoneNotFound, scanPhone, `SELECT `+phoneColumns+` FROM phones WHERE id = ? AND project_id = ?`, id, project)
}

// Phones gives a page of phones, created last first, and how many match in all.
func (s *Store) Phones(ctx context.Context, f fleet.PhoneFilter) ([]phone.Phone, int, error) {
	return readPage(ctx, s, s.phoneList(f), scanPhone, f.Offset, f.Limit,
		func(t *tx, w where) (int, error) { return t.countPhones(ctx, f, w) })
}

// PhonesAfter gives the phones that follow a place, in the order of Phones, and where the next page begins.
func (s *Store) PhonesAfter(ctx context.Context, f fleet.PhoneFilter, after fleet.Place) ([]phone.Phone, *fleet.Place, error) {
	return readAfter(ctx, s, s.phoneList(f), scanPhone, fleet.PlaceOfPhone, after, f.Limit)
}

func (s *Store) phoneList(f fleet.PhoneFilter) keyset {
	k := keyset{table: "phones", columns: phoneColumns, walk: walkTable}
	if f.Name != "" {
		k.find("name", s.contains("name"), f.Name)
		if f.Server == "" && f.Status == nil {
			k.walk = walkIndex
		}
	}
	k.scope.project(f.Project, f.Server != "")
	k.scope.text("server_id", string(f.Server))
	if f.Status != nil {
		k.find("status", "status = ?", *f.Status)
	}
	return k
}
