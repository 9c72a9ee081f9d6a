package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/lethe-cloud/lethe/internal/audit"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// AddServer writes the server, its phones and their create jobs, and admits what has a slot. A server or phone name that the
// project has already is Conflict with ReasonNameTaken; a range of ports that overlaps another server's of the same endpoint,
// of any project, is Conflict with ReasonPortsTaken.
func (s *Store) AddServer(ctx context.Context, in fleet.AddServer) error {
	return s.tx(ctx, func(t *tx) error { return t.addServer(ctx, in) })
}

func (t *tx) addServer(ctx context.Context, in fleet.AddServer) error {
	if err := t.newServer(ctx, in); err != nil {
		return err
	}
	audit.From(ctx).About(string(in.Server.ID))
	if len(in.Phones) == 0 {
		return nil
	}
	if err := t.insertPhones(ctx, in.Phones); err != nil {
		return err
	}
	counts, made := tally{}, audit.Change{NewImage: string(in.Phones[0].Image)}
	for _, p := range in.Phones {
		counts.add(p.Project, p.Status, 1)
		made.Phones = append(made.Phones, string(p.ID))
	}
	audit.From(ctx).Note(string(in.Request.ID), []audit.Change{made})
	if err := t.saveTally(ctx, counts); err != nil {
		return err
	}
	if err := t.insertRequest(ctx, in.Request, false); err != nil {
		return err
	}
	if err := t.insertFirstJobs(ctx, in.Request, in.Jobs); err != nil {
		return err
	}
	return t.admit(ctx, []phone.ServerID{in.Server.ID})
}

// newServer writes the server alone.
func (t *tx) newServer(ctx context.Context, in fleet.AddServer) error {
	if len(in.Jobs) != len(in.Phones) {
		return phone.Errorf(phone.Internal, "", "a server with %d phones came with %d jobs", len(in.Phones), len(in.Jobs))
	}
	if err := t.checkPorts(ctx, in.Server); err != nil {
		return err
	}
	return t.insertServer(ctx, in.Server)
}

// checkPorts refuses a port range that reaches into another server's of the same endpoint. Servers are added one after the
// other, by the lock on the installation's row.
func (t *tx) checkPorts(ctx context.Context, server phone.Server) error {
	if err := t.lockInstallation(ctx); err != nil {
		return err
	}
	var name string
	err := t.row(ctx, `SELECT name FROM servers WHERE endpoint = ? AND port_base < ? AND port_base + capacity > ? ORDER BY id LIMIT 1`,
		server.Endpoint, server.PortBase+server.Capacity, server.PortBase).Scan(&name)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("compare port ranges: %w", err)
	}
	return phone.Errorf(phone.Conflict, phone.ReasonPortsTaken, "ports %d to %d are used by another server of the same endpoint: choose another range",
		server.PortBase, server.PortBase+server.Capacity-1)
}

// lockInstallation lets one transaction at a time do what must be done once, or one after the other.
func (t *tx) lockInstallation(ctx context.Context) error {
	if _, err := t.exec(ctx, `SELECT id FROM installation`+t.lock); err != nil {
		return fmt.Errorf("lock the installation: %w", err)
	}
	return nil
}

func (t *tx) insertServer(ctx context.Context, s phone.Server) error {
	_, err := t.exec(ctx, `INSERT INTO servers (`+serverColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		s.ID, s.Name, s.Project, s.Driver, s.Endpoint, string(s.Config), s.ImageLabel, s.Model, s.PhoneModel, s.Status, s.MaxConcurrentBoots,
		int64(s.BootTimeout/time.Microsecond), s.PortBase, s.Capacity, micros(s.CreatedAt), micros(s.UpdatedAt), s.Doing, s.PoolHost, s.Keypair)
	if err != nil {
		return fmt.Errorf("write the server: %w", err)
	}
	return nil
}

// phoneInsert is a phone's row as insertPhones hands it to the database.
type phoneInsert struct {
	ID         phone.ID         `json:"id"`
	Name       string           `json:"name"`
	Project    phone.ProjectID  `json:"project_id"`
	Server     phone.ServerID   `json:"server_id"`
	Model      string           `json:"model"`
	Image      phone.ImageID    `json:"image_id"`
	Status     phone.Status     `json:"status"`
	Generation phone.Generation `json:"generation"`
	Last       phone.Generation `json:"last_generation"`
	Properties string           `json:"properties"`
	ADBPort    int              `json:"adb_port"`
	Cause      string           `json:"cause"`
	Created    int64            `json:"created_at"`
	Updated    int64            `json:"updated_at"`
}

func (t *tx) insertPhones(ctx context.Context, phones []phone.Phone) error {
	rows := make([]phoneInsert, len(phones))
	for i, p := range phones {
		rows[i] = phoneInsert{
			ID: p.ID, Name: p.Name, Project: p.Project, Server: p.Server, Model: p.Model, Image: p.Image, Status: p.Status, Generation: p.Generation,
			Last: p.LastGeneration, Properties: propertiesJSON(p.Properties), ADBPort: p.ADBPort, Cause: p.Cause, Created: micros(p.CreatedAt), Updated: micros(p.UpdatedAt),
		}
	}
	_, err := t.exec(ctx, `INSERT INTO phones (`+phoneColumns+`) SELECT `+columns("v", phoneColumns)+` FROM `+
		t.records("id text", "name text", "project_id text", "server_id text", "model text", "image_id text", "status bigint", "generation bigint",
			"last_generation bigint", "properties text", "adb_port bigint", "cause text", "created_at bigint", "updated_at bigint")+` WHERE true`, asJSON(rows))
	if err != nil {
		return fmt.Errorf("write phones: %w", err)
	}
	return nil
}

// propertiesJSON writes no properties as an empty object.
func propertiesJSON(p phone.Properties) string {
	if p == nil {
		return "{}"
	}
	return asJSON(p)
}

// firstJobInsert is the row of a phone's first job.
type firstJobInsert struct {
	ID         phone.JobID      `json:"id"`
	Phone      phone.ID         `json:"phone_id"`
	Project    phone.ProjectID  `json:"project_id"`
	Server     phone.ServerID   `json:"server_id"`
	Erase      phone.EraseState `json:"erase"`
	Target     phone.Generation `json:"target"`
	Prior      phone.Generation `json:"prior"`
	Status     phone.Status     `json:"prior_status"`
	Before     phone.ImageID    `json:"prior_image"`
	Image      phone.ImageID    `json:"image_id"`
	Properties string           `json:"properties"`
	Factory    bool             `json:"factory"`
	Order      int              `json:"ord"`
}

// insertFirstJobs writes the jobs that came with new phones: unlike those of a reset they say themselves what they are.
func (t *tx) insertFirstJobs(ctx context.Context, r phone.Request, jobs []phone.Job) error {
	rows := make([]firstJobInsert, len(jobs))
	for i, j := range jobs {
		rows[i] = firstJobInsert{
			ID: j.ID, Phone: j.Phone, Project: j.Project, Server: j.Server, Erase: j.Erase, Target: j.Target, Prior: j.Prior, Status: j.PriorStatus,
			Before: j.PriorImage, Image: j.Image, Properties: propertiesJSON(j.Properties), Factory: j.Factory, Order: i,
		}
	}
	_, err := t.exec(ctx, `INSERT INTO jobs (id, request_id, project_id, phone_id, server_id, kind, phase, erase, target, prior, prior_status, prior_image,
			image_id, properties, factory, created_at)
		SELECT v.id, ?, v.project_id, v.phone_id, v.server_id, ?, 'queued', v.erase, v.target, v.prior, v.prior_status, v.prior_image,
			v.image_id, v.properties, v.factory, ?
		FROM `+t.records("id text", "phone_id text", "image_id text", "properties text", "factory boolean", "erase text", "ord bigint", "project_id text",
		"server_id text", "target bigint", "prior bigint", "prior_status bigint", "prior_image text")+`
		WHERE true ORDER BY v.ord`, r.ID, r.Kind, micros(r.CreatedAt), asJSON(rows))
	if err != nil {
		return fmt.Errorf("write jobs: %w", err)
	}
	return nil
}

// Server gives one of the project's servers, or NotFound with ReasonServerNotFound.
func (s *Store) Server(ctx context.Context, project phone.ProjectID, id phone.ServerID) (phone.Server, error) {
	return readOne(ctx, s, phone.ReasonServerNotFound, scanServer, `SELECT `+serverColumns+` FROM servers WHERE id = ? AND project_id = ?`, id, project)
}

// Servers gives a page of servers, created last first, and how many match in all.
func (s *Store) Servers(ctx context.Context, f fleet.ServerFilter) ([]phone.Server, int, error) {
	return readPage(ctx, s, s.serverList(f), scanServer, f.Offset, f.Limit, func(t *tx, w where) (int, error) {
		var n int
		err := t.row(ctx, `SELECT count(*) FROM servers`+w.String(), w.args...).Scan(&n)
		return n, err
	})
}

// ServersAfter gives the servers that follow a place, in the order of Servers, and where the next page begins.
func (s *Store) ServersAfter(ctx context.Context, f fleet.ServerFilter, after fleet.Place) ([]phone.Server, *fleet.Place, error) {
	return readAfter(ctx, s, s.serverList(f), scanServer, fleet.PlaceOfServer, after, f.Limit)
}

func (s *Store) serverList(f fleet.ServerFilter) keyset {
	k := keyset{table: "servers", columns: serverColumns, walk: walkTable}
	k.scope.text("project_id", string(f.Project))
	k.scope.text("id", string(f.ID))
	if f.Name != "" {
		k.find("name", s.contains("name"), f.Name)
	}
	if f.Status != nil {
		k.find("status, doing", shownStatus+` = ?`, *f.Status)
	}
	if f.PhoneModel != "" {
		k.find("phone_model", "phone_model = ?", f.PhoneModel)
	}
	if !f.CreatedFrom.IsZero() {
		k.scope.add("created_at >= ?", micros(f.CreatedFrom))
	}
	if !f.CreatedTo.IsZero() {
		k.scope.add("created_at <= ?", micros(f.CreatedTo))
	}
	return k
}

// shownStatus is phone.Server.Shown.
var shownStatus = fmt.Sprintf(`(CASE doing WHEN '%s' THEN %d WHEN '%s' THEN %d WHEN '%s' THEN %d WHEN '%s' THEN %d WHEN '%s' THEN %d ELSE status END)`,
	phone.DoingFailed, phone.ServerAbnormal, phone.KindCreate, phone.ServerCreating, phone.KindReset, phone.ServerCreating, phone.KindRestart, phone.ServerStarting, phone.KindDelete, phone.ServerStopping)

// ServerUse counts the boot slots that the server's jobs hold and its phones by status, at one moment. A server that is not
// the project's is NotFound with ReasonServerNotFound.
func (s *Store) ServerUse(ctx context.Context, project phone.ProjectID, id phone.ServerID) (phone.ServerUse, error) {
	use := phone.ServerUse{Phones: map[phone.Status]int{}}
	err := s.view(ctx, func(t *tx) error {
		err := t.row(ctx, `SELECT (SELECT count(*) FROM jobs j WHERE j.server_id = s.id AND j.stage = 'slot') FROM servers s WHERE s.id = ? AND s.project_id = ?`,
			id, project).Scan(&use.SlotsHeld)
		if errors.Is(err, sql.ErrNoRows) {
			return phone.Errorf(phone.NotFound, phone.ReasonServerNotFound, "there is no server with this id")
		}
		if err != nil {
			return err
		}
		return t.each(ctx, func(row scanner) error {
			var status phone.Status
			var n int
			err := row.Scan(&status, &n)
			use.Phones[status] = n
			return err
		}, `SELECT status, count(*) FROM phones WHERE server_id = ? GROUP BY status`, id)
	})
	if err != nil {
		return phone.ServerUse{}, err
	}
	return use, nil
}
