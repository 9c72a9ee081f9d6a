package iam

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/lethe-cloud/lethe/internal/account"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// memory is a Store that behaves: unknown rows are NotFound, and while down is set every call fails with it.
type memory struct {
	mu     sync.Mutex
	now    func() time.Time
	users  map[string]account.Identity // by user id
	keys   map[string]account.AccessKey
	tokens map[[32]byte]account.Token
	down   error
	// afterBootstrap, when set, is what Bootstrap answers after it has done its work: an answer that was lost on its way.
	afterBootstrap error
}

var errDown = &phone.Error{Code: phone.Unavailable, Msg: "the database does not answer", Err: errors.New("connection refused at 10.1.2.3")}

func newMemory(now func() time.Time) *memory {
	return &memory{now: now, users: map[string]account.Identity{}, keys: map[string]account.AccessKey{}, tokens: map[[32]byte]account.Token{}}
}

func (m *memory) Bootstrap(_ context.Context, first account.Identity, key account.AccessKey) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down != nil || len(m.users) > 0 {
		return false, m.down
	}
	m.users[first.User.ID] = first
	m.keys[key.ID] = key
	return m.afterBootstrap == nil, m.afterBootstrap
}

func (m *memory) UserByName(_ context.Context, domain, user string) (account.Identity, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down != nil {
		return account.Identity{}, m.down
	}
	for _, u := range m.users {
		if (u.Account.Name == domain || u.Account.ID == domain) && u.User.Name == user {
			return u, nil
		}
	}
	return account.Identity{}, phone.Errorf(phone.NotFound, "", "no such user")
}

func (m *memory) UserByID(_ context.Context, id string) (account.Identity, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if u, ok := m.users[id]; ok || m.down != nil {
		return u, m.down
	}
	return account.Identity{}, phone.Errorf(phone.NotFound, "", "no such user")
}

func (m *memory) AccessKey(_ context.Context, id string) (account.AccessKey, account.Identity, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if key, ok := m.keys[id]; ok || m.down != nil {
		return key, m.users[key.User], m.down
	}
	return account.AccessKey{}, account.Identity{}, phone.Errorf(phone.NotFound, "", "no such access key")
}

func (m *memory) InsertToken(_ context.Context, token account.Token) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down != nil {
		return m.down
	}
	m.tokens[token.Hash] = token
	return nil
}

func (m *memory) Token(_ context.Context, hash [32]byte) (account.Token, account.Identity, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if token, ok := m.tokens[hash]; ok || m.down != nil {
		return token, m.users[token.User], m.down
	}
	return account.Token{}, account.Identity{}, phone.Errorf(phone.NotFound, "", "no such token")
}

func (m *memory) DeleteExpiredTokens(context.Context) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down != nil {
		return 0, m.down
	}
	n := 0
	for hash, token := range m.tokens {
		if !m.now().Before(token.ExpiresAt) {
			delete(m.tokens, hash)
			n++
		}
	}
	return n, nil
}

// change changes a user.
func (m *memory) change(id string, change func(*account.Identity)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	u := m.users[id]
	change(&u)
	m.users[id] = u
}

func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = err
}

// clock is a time that moves only when it is told to.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// cheapHash is a password's hash with the least cost there is: the tests check many.
func cheapHash(password string) string {
	salt := []byte("saltsalt")
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=19$m=8,t=1,p=1$%s$%s", b64.EncodeToString(salt), b64.EncodeToString(argon2.IDKey([]byte(password), salt, 1, 8, 1, 16)))
}

// world is a Service over a memory with two accounts: "acme" with the owner "boss", the user "robot" and the projects "local-1"
// and "local-2"; "other" with the owner "boss" and a project that is called "local-1" too.
type world struct {
	*Service
	store *memory
	clock *clock

	boss, robot, stranger account.Identity
	key, robotKey         account.AccessKey
}

const (
	bossPassword  = "boss's password"
	robotPassword = "robot's password"
)

func newWorld(t *testing.T) *world {
	t.Helper()
	c := &clock{at: time.Date(2026, 5, 6, 7, 8, 9, 123_456_000, time.UTC)}
	w := &world{store: newMemory(c.now), clock: c}
	w.Service = New(Config{Store: w.store, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: c.now})
	w.decoyHash = cheapHash(account.NewPassword())

	add := func(a account.Account, name, password string, owner bool, projects ...account.Project) (account.Identity, account.AccessKey) {
		user := account.User{
			ID: account.NewID(), Account: a.ID, Name: name, PasswordHash: cheapHash(password), Owner: owner, Epoch: 3, CreatedAt: c.now(),
		}
		identity := account.Identity{User: user, Account: a, Projects: projects}
		key := account.NewAccessKey(user.ID, c.now())
		w.store.users[user.ID], w.store.keys[key.ID] = identity, key
		return identity, key
	}
	acme, other := account.Account{ID: account.NewID(), Name: "acme"}, account.Account{ID: account.NewID(), Name: "other"}
	projects := []account.Project{
		{ID: account.NewID(), Account: acme.ID, Name: "local-1"}, {ID: account.NewID(), Account: acme.ID, Name: "local-2"},
	}
	w.boss, w.key = add(acme, "boss", bossPassword, true, projects...)
	w.robot, w.robotKey = add(acme, "robot", robotPassword, false, projects...)
	w.robot.Grants = []account.Grant{{Project: projects[1].ID, Policy: account.Policy{Name: "robots", Version: "1.1"}}}
	w.store.users[w.robot.User.ID] = w.robot
	w.stranger, _ = add(other, "boss", bossPassword, true, account.Project{ID: account.NewID(), Account: other.ID, Name: "local-1"})
	return w
}

// token issues a token without the wire.
func (w *world) token(t *testing.T, who account.Identity, project string) string {
	t.Helper()
	text, token := account.NewToken(w.store.users[who.User.ID].User, project, w.clock.now(), TokenLifetime)
	if err := w.store.InsertToken(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	return text
}
