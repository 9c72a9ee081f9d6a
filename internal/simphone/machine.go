package simphone

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// machine is one run of a phone.
type machine struct {
	root       string // where the phone's file system is; "/" in a container
	adbAddress string
	cmdline    []byte
	log        io.Writer
	chown      func(path string, uid, gid int) error

	properties *propertyStore
}

// behaviour is what the arguments tell the phone to do.
type behaviour struct {
	boot     time.Duration
	files    int
	exits    bool
	exitCode int
	hang     string
}

func (m *machine) behaviour() (behaviour, error) {
	b := behaviour{hang: m.properties.value("ro.boot.simphone_hang")}
	millis, err1 := m.number("ro.boot.simphone_boot_ms", 1000)
	files, err2 := m.number("ro.boot.simphone_files", 48)
	code, err3 := m.number("ro.boot.simphone_exit_code", -1)
	b.boot, b.files, b.exits, b.exitCode = time.Duration(millis)*time.Millisecond, files, code >= 0, code
	return b, errors.Join(err1, err2, err3)
}

func (m *machine) number(key string, otherwise int) (int, error) {
	text := m.properties.value(key)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%s is %q and must be a number", key, text)
	}
	return n, nil
}

// run boots the phone and serves until ctx ends or the phone was told to end. It returns the exit code.
func (m *machine) run(ctx context.Context) int {
	started := time.Now()
	m.say("init first stage started")
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop, err := m.start(ctx)
	if err != nil {
		m.say("%v", err)
		return 1
	}
	defer stop()
	b, err := m.behaviour()
	if err != nil {
		m.say("%v", err)
		return 1
	}
	if b.exits {
		wait(ctx, started.Add(b.boot/2))
		m.say("cannot go on: told to end with exit code %d", b.exitCode)
		return b.exitCode
	}
	if err := m.fillData(b.files); err != nil {
		m.say("%v", err)
		return 1
	}
	switch {
	case b.hang == HangBoot:
		m.say("told never to complete the boot")
	case wait(ctx, started.Add(b.boot)):
		if err := m.properties.set("sys.boot_completed", "1"); err != nil {
			m.say("%v", err)
			return 1
		}
		m.say("boot completed")
	}
	<-ctx.Done()
	return 0
}

// start opens the phone's property service and its adb port; stop closes both and waits for them.
func (m *machine) start(ctx context.Context) (stop func(), err error) {
	if m.properties, err = openProperties(m.cmdline, filepath.Join(m.root, dataPath)); err != nil {
		return nil, err
	}
	socket := filepath.Join(m.root, socketPath)
	if err := os.MkdirAll(filepath.Dir(socket), 0o755); err != nil {
		return nil, err
	}
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) { // of the run before this one
		return nil, err
	}
	control, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	bridge, err := net.Listen("tcp", m.adbAddress)
	if err != nil {
		return nil, errors.Join(err, control.Close())
	}
	m.adbAddress = bridge.Addr().String()
	stopControl := serve(ctx, control, m.control)
	stopBridge := serve(ctx, bridge, m.handshake)
	return func() { stopControl(); stopBridge() }, nil
}

// serve hands each connection to handle, in a goroutine of its own, until stop is called, which waits for all of them.
func serve(ctx context.Context, l net.Listener, handle func(context.Context, net.Conn)) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close()
				defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
				handle(ctx, conn)
			})
		}
	})
	return func() {
		cancel()
		_ = l.Close()
		all.Wait()
	}
}

// wait waits until at; false means that ctx ended before.
func wait(ctx context.Context, at time.Time) bool {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (m *machine) say(format string, args ...any) {
	fmt.Fprintf(m.log, "init: "+format+"\n", args...)
}

// The users whose files a phone's data holds: Android's system user and the first of its apps.
const (
	systemUser   = 1000
	firstAppUser = 10000
)

// fillData does what a first boot does: it writes files of the system and of apps, as their users, and an identity that only a
// fresh data partition gets anew. A later boot leaves them.
func (m *machine) fillData(files int) error {
	data := filepath.Join(m.root, dataPath)
	identity := filepath.Join(data, "system", "android_id")
	if _, err := os.Stat(identity); err == nil {
		return nil
	}
	content := make([]byte, 4096)
	for i := range files {
		app := i % 8
		dir := filepath.Join(data, "data", fmt.Sprintf("com.example.app%d", app), "files")
		if err := m.userDir(dir, firstAppUser+app); err != nil {
			return err
		}
		_, _ = rand.Read(content) // never fails
		if err := m.userFile(filepath.Join(dir, fmt.Sprintf("file%d", i)), content, firstAppUser+app); err != nil {
			return err
		}
	}
	if err := m.userDir(filepath.Dir(identity), systemUser); err != nil {
		return err
	}
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	return m.userFile(identity, []byte(hex.EncodeToString(id[:])), systemUser)
}

// userDir makes a directory that only its user may enter, and gives it and its parent to the user.
func (m *machine) userDir(dir string, user int) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if parent := filepath.Dir(dir); user >= firstAppUser {
		if err := m.chown(parent, user, user); err != nil {
			return err
		}
	}
	return m.chown(dir, user, user)
}

func (m *machine) userFile(path string, content []byte, user int) error {
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return err
	}
	return m.chown(path, user, user)
}
