package faults

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // registers the driver "pgx"
	_ "modernc.org/sqlite"             // registers the driver "sqlite"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/testenv"
)

// embedded is the database of one who sets nothing: SQLite, for one replica, in its data folder.
const embedded = "sqlite"

// installation is some replicas on one PostgreSQL, or one with its SQLite, their hosts, and what was accepted.
type installation struct {
	t        testing.TB
	root     string  // of all folders: it goes when no process is left
	db       *sql.DB // the database itself, also where replicas reach it in another way
	replicas []*replica
	hosts    []host
	watch    *watcher

	installationID    string
	project, stranger string            // a project with everything in it, and one with nothing
	tokens            map[string]string // by project

	mu       sync.Mutex
	secrets  []string          // that no log may have
	accepted map[string]string // job id to phone id, of every answer that was 200
	unsure   bool              // a call failed of which nobody knows whether it was accepted
}

// host is where phones run, seen without lethe.
type host interface {
	server() string
	// mark leaves data in the present life of each of these phones.
	mark(t testing.TB, phones []phoneRow)
	// objects gives what is on the host for this installation, and fails the test when anything of somebody else has changed.
	objects(t testing.TB, in *installation) []object
}

// config is how an installation begins.
type config struct {
	database string   // as the test reaches it, or embedded
	serve    []string // as each replica reaches it; nil: the same
	replicas int      // 0: 3, and 1 with the embedded database
	data     string   // the first replica's folder; "": one of the test's own
	flags    []string // of lethe serve
}

// onBoth makes a case of the embedded database and one of three replicas on PostgreSQL, side by side.
func onBoth(t *testing.T, run func(*testing.T, config)) {
	for name, start := range map[string]func(*testing.T) config{
		"sqlite":     func(*testing.T) config { return config{database: embedded} },
		"replicas=3": func(t *testing.T) config { return config{database: testenv.Postgres(t)} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, start(t))
		})
	}
}

// install starts the replicas and begins to watch the database. The test ends with the checks of in.check.
func install(t testing.TB, c config) *installation {
	t.Helper()
	switch {
	case c.database == embedded:
		c.replicas = 1
	case c.replicas == 0:
		c.replicas = 3
	}
	in := &installation{t: t, root: t.TempDir(), tokens: map[string]string{}, accepted: map[string]string{}}
	t.Cleanup(in.clean)
	for i := range c.replicas {
		r := &replica{t: t, data: filepath.Join(in.root, fmt.Sprintf("replica-%d", i)), database: c.database, more: c.flags}
		if i == 0 && c.data != "" {
			r.data = c.data
		}
		if c.serve != nil {
			r.database = c.serve[i]
		}
		in.replicas = append(in.replicas, r)
		if i > 0 {
			shareKey(t, in.replicas[0].data, r.data)
		}
		r.start()
	}
	in.open(c.database)
	in.row(`SELECT id FROM installation`, nil, &in.installationID)
	in.logIn()
	in.watch = startWatcher(in.db, c.database)
	return in
}

// open connects to the database, of which the embedded one is there when its replica has been.
func (in *installation) open(database string) {
	in.t.Helper()
	driver := "pgx"
	if database == embedded {
		// Beside the process that serves it: SQLite's own locks keep the two apart, and each look is short.
		driver, database = "sqlite", "file:"+filepath.Join(in.replicas[0].data, "lethe.db")+"?_pragma=busy_timeout(60000)"
	}
	var err error
	if in.db, err = sql.Open(driver, database); err != nil {
		in.t.Fatal(err)
	}
}

// clean ends what still runs, and shows what it said when the test failed.
func (in *installation) clean() {
	if in.watch != nil {
		in.watch.stop()
	}
	for i, r := range in.replicas {
		if r.up() {
			r.kill()
		}
		if in.t.Failed() || os.Getenv("LETHE_FAULT_LOGS") != "" {
			in.t.Logf("log of replica %d, %s:\n%s", i, r.id(), r.said())
		}
	}
	if in.db != nil {
		_ = in.db.Close()
	}
}

// logIn makes a second project behind lethe's back, and gets a token for both.
func (in *installation) logIn() {
	in.t.Helper()
	raw, err := os.ReadFile(filepath.Join(in.replicas[0].data, "credentials.json"))
	if err != nil {
		in.t.Fatal(err)
	}
	var c api.Credentials
	if err := json.Unmarshal(raw, &c); err != nil {
		in.t.Fatal(err)
	}
	in.project, in.stranger = c.ProjectID, phone.NewID[string]()
	in.exec(`INSERT INTO projects (id, account_id, name, created_at) SELECT $1, id, 'stranger-1', 0 FROM accounts`, in.stranger)
	in.secrets = []string{c.Password, c.SecretKey}
	type m = map[string]any
	for _, project := range []string{in.project, in.stranger} {
		answer, err := in.send(in.replicas[0], http.MethodPost, "/v3/auth/tokens?nocatalog=true", "", m{"auth": m{
			"identity": m{"methods": []string{"password"}, "password": m{"user": m{"name": c.User, "password": c.Password, "domain": m{"name": c.Account}}}},
			"scope":    m{"project": m{"id": project}},
		}})
		if err != nil {
			in.t.Fatal(err)
		}
		in.tokens[project] = answer.header.Get("X-Subject-Token")
		in.secrets = append(in.secrets, in.tokens[project])
	}
}

// answer is what came back of one call.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// client waits for no answer for ever: a paused replica gives none.
var client = &http.Client{Timeout: 30 * time.Second}

// send makes one call of a replica. An error is one of the connection.
func (in *installation) send(r *replica, method, path, token string, body any) (answer, error) {
	var text io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return answer{}, err
		}
		text = bytes.NewReader(raw)
	}
	r.mu.Lock()
	endpoint := r.endpoint
	r.mu.Unlock()
	request, err := http.NewRequestWithContext(context.Background(), method, endpoint+path, text)
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("X-Auth-Token", token)
	response, err := client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, raw}, err
}

// call makes one call as the project's owner, which has to succeed; out, when given, gets the body. A reading one that is answered
// 503 is made again, as that asks for: PostgreSQL may have ended a session, which is found out by using it.
func (in *installation) call(r *replica, method, path string, body, out any) {
	in.t.Helper()
	var got answer
	eventually(in.t, method+" "+path+" is answered", func() bool {
		var err error
		if got, err = in.send(r, method, path, in.tokens[in.project], body); err != nil {
			in.t.Fatalf("%s %s: %v", method, path, err)
		}
		return method != http.MethodGet || got.status != http.StatusServiceUnavailable
	})
	if got.status >= 300 {
		in.t.Fatalf("%s %s: %d %s", method, path, got.status, got.body)
	}
	if out != nil {
		if err := json.Unmarshal(got.body, out); err != nil {
			in.t.Fatalf("%s %s answers no such JSON: %v\n%s", method, path, err, got.body)
		}
	}
}

// addImage registers an image and gives its id.
func (in *installation) addImage(name, reference string) string {
	in.t.Helper()
	var image api.Image
	in.call(in.replicas[0], http.MethodPost, "/lethe/v1/images", api.AddImage{ImageName: name, Reference: reference}, &image)
	return image.ImageID
}

// addServer adds a server, waits until its phones were created, and gives its id. With failures, some may not have been.
func (in *installation) addServer(server api.AddServer) string {
	in.t.Helper()
	var added api.AddedServer
	in.call(in.replicas[0], http.MethodPost, "/lethe/v1/servers", server, &added)
	for _, j := range in.jobs(`request_id = $1`, added.RequestID) {
		in.accepted[j.id] = j.phone
	}
	in.settle()
	return added.ServerID
}

// reset resets the phones through the replica and gives the request's id; each phone has to be accepted.
func (in *installation) reset(r *replica, image string, phones []phoneRow) string {
	in.t.Helper()
	request, err := in.tryReset(r, image, phones)
	if err != nil {
		in.t.Fatal(err)
	}
	return request
}

// tryReset is reset for any goroutine. When it was accepted, each phone's status has to be 3, or its job over, as soon as the
// answer is there. After an error nobody knows whether it was.
func (in *installation) tryReset(r *replica, image string, phones []phoneRow) (request string, err error) {
	return in.tryPacedReset(r, image, phones, nil)
}

// tryPacedReset is tryReset at a pace; nil is none.
func (in *installation) tryPacedReset(r *replica, image string, phones []phoneRow, pace *api.Pace) (request string, err error) {
	if pace != nil { // the CPH API has no word for it
		return in.tryResetAt(r, "/lethe/v1/phones/batch-reset", map[string]any{"pace": pace}, image, phones)
	}
	return in.tryResetAt(r, "/v1/"+in.project+"/cloud-phone/phones/batch-reset", map[string]any{}, image, phones)
}

// resetKeeping is reset with the rollback policy.
func (in *installation) resetKeeping(r *replica, image string, phones []phoneRow) string {
	in.t.Helper()
	request, err := in.tryResetAt(r, "/lethe/v1/phones/batch-reset", map[string]any{"rollback": true}, image, phones)
	if err != nil {
		in.t.Fatal(err)
	}
	return request
}

// tryResetAt sends a reset to one of the two APIs, which have the same words for what is read here.
func (in *installation) tryResetAt(r *replica, path string, body map[string]any, image string, phones []phoneRow) (request string, err error) {
	type m = map[string]any
	if image != "" {
		body["image_id"] = image
	}
	var elements []m
	in.mu.Lock()
	for _, p := range phones {
		secret := strings.ToUpper(phone.NewID[string]()[:20])
		in.secrets = append(in.secrets, secret)
		elements = append(elements, m{"phone_id": p.id, "property": `{"com.cph.mainkeys":"1","ro.serialno":"` + secret + `"}`})
	}
	in.mu.Unlock()
	body["phones"] = elements
	return in.tryBatch(r, path, body, phones, 3)
}

// tryBatch sends a batch whose phones have to be in the status as soon as the answer is there.
func (in *installation) tryBatch(r *replica, path string, body map[string]any, phones []phoneRow, status int) (request string, err error) {
	got, err := in.send(r, http.MethodPost, path, in.tokens[in.project], body)
	var out struct {
		RequestID string `json:"request_id"`
		Jobs      []struct {
			Phone string `json:"phone_id"`
			Job   string `json:"job_id"`
		} `json:"jobs"`
	}
	if err == nil && got.status != http.StatusOK {
		err = fmt.Errorf("%s: %d %s", path, got.status, got.body)
	}
	if err == nil {
		err = json.Unmarshal(got.body, &out)
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if err != nil {
		in.unsure = true
		return "", err
	}
	for i, j := range out.Jobs {
		if j.Job == "" || j.Phone != phones[i].id {
			return "", fmt.Errorf("element %d is not the accepted phone %s: %s", i, phones[i].id, got.body)
		}
		in.accepted[j.Job] = j.Phone
	}
	var early int
	if err := in.db.QueryRow(`SELECT count(*) FROM jobs j JOIN phones p ON p.id = j.phone_id WHERE j.request_id = $1 AND p.status <> $2 AND j.ended_at IS NULL`,
		out.RequestID, status).Scan(&early); err != nil {
		return out.RequestID, nil // the database is away, which may be what the test is about
	}
	if early > 0 {
		return "", fmt.Errorf("I6: %d phones of request %s are not in status %d after the answer", early, out.RequestID, status)
	}
	return out.RequestID, nil
}

// settle waits until every accepted job has ended by itself.
func (in *installation) settle() {
	in.t.Helper()
	last, left := time.Now(), -1
	for {
		var n int
		err := in.db.QueryRow(`SELECT count(*) FROM jobs WHERE ended_at IS NULL`).Scan(&n)
		switch {
		case err == nil && n == 0:
			return
		case err == nil && n != left:
			last, left = time.Now(), n
		case time.Since(last) > patience:
			for _, j := range in.jobs(`ended_at IS NULL`) {
				in.t.Logf("job %s of phone %s: %s, attempt %d, owner %q, failure %s", j.id, j.phone, j.phase, j.attempt, j.owner, j.failure)
			}
			in.t.Fatalf("I2: %d jobs have not ended, and none did for %s (%v)", left, patience, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (in *installation) exec(query string, args ...any) {
	in.t.Helper()
	if _, err := in.db.Exec(query, args...); err != nil {
		in.t.Fatalf("%s: %v", query, err)
	}
}

func (in *installation) row(query string, args []any, into ...any) {
	in.t.Helper()
	if err := in.db.QueryRow(query, args...).Scan(into...); err != nil {
		in.t.Fatalf("%s: %v", query, err)
	}
}

func (in *installation) count(query string, args ...any) int {
	in.t.Helper()
	var n int
	in.row(query, args, &n)
	return n
}

// live gives the replicas whose processes run.
func (in *installation) live() []*replica {
	var live []*replica
	for _, r := range in.replicas {
		if r.up() {
			live = append(live, r)
		}
	}
	return live
}

// ready waits until the replica says that it is.
func (in *installation) ready(r *replica) {
	in.t.Helper()
	eventually(in.t, "a replica is ready", func() bool {
		got, err := in.send(r, http.MethodGet, "/readyz", "", nil)
		return err == nil && got.status == http.StatusOK
	})
}

// owns counts the unfinished jobs that the replica works on.
func (in *installation) owns(r *replica) int {
	in.t.Helper()
	return in.count(`SELECT count(*) FROM jobs WHERE owner = $1`, r.id())
}

// phoneRow and jobRow are rows, as far as the checks read them.
type (
	phoneRow struct {
		id, name, project, server, image string
		status                           int
		generation, last                 int64
	}
	jobRow struct {
		id, request, project, phone, server, kind, phase, erase, owner string
		target, prior                                                  int64
		attempt, priorStatus                                           int
		rollback, rolledBack                                           bool
		began                                                          bool // its phone's old instance was about to go
		failure, receipt                                               string
	}
)

// phones reads those phones of a server, in the order of their names.
func (in *installation) phones(where string, args ...any) []phoneRow {
	in.t.Helper()
	return rowsOf(in, func(rows *sql.Rows) (p phoneRow, err error) {
		err = rows.Scan(&p.id, &p.name, &p.project, &p.server, &p.image, &p.status, &p.generation, &p.last)
		return p, err
	}, `SELECT id, name, project_id, server_id, image_id, status, generation, last_generation FROM phones WHERE `+where+` ORDER BY name`, args...)
}

func (in *installation) jobs(where string, args ...any) []jobRow {
	in.t.Helper()
	return rowsOf(in, func(rows *sql.Rows) (j jobRow, err error) {
		err = rows.Scan(&j.id, &j.request, &j.project, &j.phone, &j.server, &j.kind, &j.phase, &j.erase, &j.owner, &j.target, &j.prior, &j.attempt, &j.failure, &j.receipt, &j.priorStatus, &j.rollback, &j.rolledBack, &j.began)
		return j, err
	}, `SELECT id, request_id, project_id, phone_id, server_id, kind, phase, erase, coalesce(owner, ''), target, prior, attempt, coalesce(failure, ''),
		coalesce(receipt, ''), prior_status, rollback, rolled_back, removing_at IS NOT NULL FROM jobs WHERE `+where+` ORDER BY seq`, args...)
}

func rowsOf[T any](in *installation, scan func(*sql.Rows) (T, error), query string, args ...any) []T {
	in.t.Helper()
	rows, err := in.db.Query(query, args...)
	if err != nil {
		in.t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			in.t.Fatalf("%s: %v", query, err)
		}
		all = append(all, v)
	}
	if err := rows.Err(); err != nil {
		in.t.Fatalf("%s: %v", query, err)
	}
	return all
}

func (j jobRow) String() string {
	return fmt.Sprintf("job %s (%s of phone %s to generation %d)", j.id, j.kind, j.phone, j.target)
}

// shareKey gives a new replica the key file that the first one has made, as an operator does.
func shareKey(t testing.TB, from, to string) {
	t.Helper()
	key, err := os.ReadFile(filepath.Join(from, "secret.key"))
	if err == nil {
		err = os.MkdirAll(to, 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(to, "secret.key"), key, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
