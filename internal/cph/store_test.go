// Left out of the fuzz targets' build, which instruments every package that it reaches: the databases' would take it minutes.

//go:build !fuzz

package cph_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"testing"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/cph"
	"github.com/lethe-cloud/lethe/internal/fleet"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/store/storetest"
	"github.com/lethe-cloud/lethe/internal/testenv"
)

// The wire over the databases: what the tests above check with a store in memory, here once with each real one.
func TestOverSQLite(t *testing.T) {
	t.Parallel()
	testOverStore(t, storetest.SQLite(t))
}

func TestOverPostgres(t *testing.T) {
	t.Parallel()
	testOverStore(t, storetest.Open(t, testenv.Postgres(t)))
}

func testOverStore(t *testing.T, f storetest.Fixture) {
	mine := f.Project(0)
	log := &syncBuffer{}
	b := &bundle{t: t, base: "/v1/" + string(mine) + "/cloud-phone", log: log}
	b.Handler = cph.New(cph.Config{
		Fleet:  fleet.New(fleet.Config{Store: f.Store, Now: f.Clock.Now}),
		Logger: slog.New(slog.NewJSONHandler(log, nil)),
		Authenticate: func(*http.Request, []byte) (account.Caller, error) {
			return account.Caller{Identity: f.Owner, Scope: string(mine)}, nil
		},
	})
	images := []phone.Image{
		{ID: newImage, Name: "new", Project: mine, Label: "arm", OSName: "AOSP11.0", Reference: "new:1", CreatedAt: f.Clock.Now()},
		{ID: gameImage, Name: "game", Project: mine, Label: "cloud_game", OSName: "AOSP11.0", Reference: "game:1", CreatedAt: f.Clock.Now()},
		{ID: theirs, Name: "theirs", Project: f.Project(1), Label: "arm", OSName: "AOSP11.0", Reference: "theirs:1", CreatedAt: f.Clock.Now()},
	}
	for _, image := range images {
		if err := f.AddImage(t.Context(), image); err != nil {
			t.Fatal(err)
		}
	}
	server := addRunning(t, f, mine, firstID, "99999999999999999999999999999999")
	addRunning(t, f, f.Project(1), theirID)

	one := `[{"phone_id":"` + string(firstID) + `"}]`
	b.reset(`{"image_id":"ffffffffffffffffffffffffffffffff","phones":`+one+`}`).refused(t, 400, "CPS.0166", "Phone image not found.")
	b.reset(`{"image_id":"`+string(theirs)+`","phones":`+one+`}`).refused(t, 400, "CPS.0166", "Phone image not found.")
	b.reset(`{"image_id":"`+string(gameImage)+`","phones":`+one+`}`).refused(t, 400, "CPS.0142", "Parameter: image_label is invalid.")
	job := b.pageExample()
	elements := b.reset(fmt.Sprintf(`{"phones":[{"phone_id":"%s"},{"phone_id":"%s"},{"phone_id":"\u0000"},{"phone_id":"99999999999999999999999999999999","factory_reset_enabled":true}]}`, firstID, theirID))
	for i, code := range []string{"CPS.0042", "CPS.0004", "CPS.0004", ""} {
		if got := elements.jobs(t)[i]; got["error_code"] != code || (code == "") != phone.ValidID(phone.JobID(got["job_id"])) {
			t.Errorf("element %d: %v, want %q", i, got, code)
		}
	}
	b.checkReads(server, job)
	for _, path := range []string{"/phones/" + string(theirID), "/phones/%00"} {
		b.get(path).refused(t, 404, "CPS.0005", "Phone is not found.")
	}
	b.get("/servers/"+string(theirID)).refused(t, 404, "CPS.0015", "server_id not found.")
	b.get("/jobs/"+string(theirID)).refused(t, 404, "CPS.0011", "Job not found.")
	b.get("/jobs?request_id="+string(theirID)).refused(t, 400, "CPS.0050", "Jobs related to this requestId is not found.")

	b.checkClosed(f)
}

// addRunning adds a server whose phones have these ids and run.
func addRunning(t *testing.T, f storetest.Fixture, project phone.ProjectID, ids ...phone.ID) phone.Server {
	t.Helper()
	in := f.ServerInput(project, f.Image(t).ID, len(ids), 1)
	for i, id := range ids {
		in.Phones[i].ID, in.Jobs[i].Phone = id, id
		in.Phones[i].Properties, in.Jobs[i].Properties = phone.Properties{}, phone.Properties{}
	}
	if err := f.AddServer(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	behind(t, f.DB, `UPDATE jobs SET phase = 'succeeded', ended_at = created_at, owner = NULL, delivered_at = NULL, receipt = '{}' WHERE server_id = $1`, in.Server.ID)
	behind(t, f.DB, `UPDATE phones SET status = 2, generation = 1 WHERE server_id = $1`, in.Server.ID)
	return in.Server
}

// behind changes the database behind the store's back: no engine runs here.
func behind(t *testing.T, db *sql.DB, statement string, server phone.ServerID) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), statement, string(server)); err != nil {
		t.Fatal(err)
	}
}

func (b *bundle) checkReads(server phone.Server, job phone.JobID) {
	b.t.Helper()
	for path, count := range map[string]int{
		"/phones": 2, "/phones?limit=1&offset=1": 2, "/phones?offset=2147483647": 2, "/phones?status=3": 2, "/phones?status=-7": 0,
		"/phones?phone_name=" + server.Name[:9]: 2, "/phones?phone_name=%25": 0, "/phones?phone_name=_": 0, "/phones?phone_name=%27%3B--": 0,
		"/phones?phone_name=%5C": 0, "/phones?phone_name=%F0%9F%98%80": 0, "/phones?server_id=" + string(server.ID): 2, "/phones?server_id=" + string(theirID): 0,
		"/servers": 1, "/servers?status=5": 1, "/servers?status=2": 0, "/servers?server_id=" + string(server.ID): 1, "/servers?server_name=erver-": 1,
		"/servers?server_name=%25": 0, "/servers?phone_model_name=" + server.PhoneModel: 1, "/servers?phone_model_name=x": 0,
		fmt.Sprintf("/servers?create_since=%d", server.CreatedAt.Unix()): 1, fmt.Sprintf("/servers?create_since=%d", server.CreatedAt.Unix()+1): 0,
		fmt.Sprintf("/servers?create_until=%d", server.CreatedAt.Unix()): 1, fmt.Sprintf("/servers?create_until=%d", server.CreatedAt.Unix()-1): 0,
		"/servers?create_until=253402300799999": 1,
	} {
		b.get(path).countIs(b.t, count)
	}
	var detail struct {
		RequestID string  `json:"request_id"`
		PhoneID   string  `json:"phone_id"`
		Status    int     `json:"status"`
		EndTime   *string `json:"end_time"`
	}
	got := b.get("/jobs/" + string(job))
	if err := json.Unmarshal([]byte(got.body), &detail); err != nil || detail.PhoneID != string(firstID) || detail.Status != 1 || detail.EndTime != nil {
		b.t.Errorf("%s (%v)", got.body, err)
	}
	if got := b.get("/servers/" + string(server.ID)); got.status != 200 {
		b.t.Errorf("%d %s", got.status, got.body)
	}
	var images struct {
		Images []struct {
			ID string `json:"image_id"`
		} `json:"phone_images"`
	}
	if err := json.Unmarshal([]byte(b.get("/phone-images?image_type=private").body), &images); err != nil || len(images.Images) != 2 {
		b.t.Errorf("%d images, error %v", len(images.Images), err)
	}
}

// checkClosed takes the database away: every route says that the system is busy, and nothing of why.
func (b *bundle) checkClosed(f storetest.Fixture) {
	b.t.Helper()
	if err := f.Close(); err != nil {
		b.t.Fatal(err)
	}
	for _, route := range everyRoute {
		got := b.do(route.method, b.base+route.path, "owner", route.body)
		if got.status < 500 {
			b.t.Errorf("%s without a database: %d %s", route.path, got.status, got.body)
		}
	}
}
