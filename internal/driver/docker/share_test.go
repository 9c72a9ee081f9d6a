package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// shareDaemon has the volume of the driver's shared storage, and a phone that runs; it unpacks as unpack says.
func shareDaemon(t *testing.T, unpack http.HandlerFunc) *Driver {
	t.Helper()
	var d *Driver
	d = fakeDaemon(t, func(w http.ResponseWriter, r *http.Request) {
		switch path := unversioned(r.URL.Path); {
		case strings.HasSuffix(path, "/archive"):
			_, _ = io.Copy(io.Discard, r.Body)
			unpack(w, r)
		case path == "/volumes/create":
			fmt.Fprintf(w, `{"Name":%q,"Labels":{%q:%q,%q:%q,%q:%q}}`, d.shareName(), labelInstallation, d.host.installation, labelKind, kindShare, labelServer, d.server)
		case path == "/containers/create":
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write([]byte(`{"Id":"helper"}`))
		case r.Method == http.MethodGet && strings.HasPrefix(path, "/containers/"):
			fmt.Fprintf(w, `{"Id":"x","Name":"/n","State":{"Running":true},"HostConfig":{},"Config":{"Labels":{%q:%q,%q:"instance",%q:%q,%q:"1"}}}`,
				labelInstallation, d.host.installation, labelKind, labelPhone, "p", labelGeneration)
		case r.Method == http.MethodDelete:
			w.WriteHeader(http.StatusNoContent)
		default:
			says(500, "nobody asks for "+path)(w, r)
		}
	})
	d.template.SharePath = "/data/share"
	d.host.helper.image = "helper" // brought already
	return d
}

// What a daemon could not unpack is the archive's fault, except for a disk that is full.
func TestUnpackingFails(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		says   string
		code   phone.Code
		reason phone.Reason
	}{
		{"Error processing tar file(exit status 1): write /volumes/0/data/x: no space left on device", phone.Precondition, phone.ReasonNoSpace},
		{"Error processing tar file(exit status 1): unexpected EOF", phone.Invalid, phone.ReasonFileInvalid},
	} {
		d := shareDaemon(t, says(500, tt.says))
		for doing, do := range map[string]func(io.Reader) error{
			"PushShared": func(archive io.Reader) error { return d.PushShared(t.Context(), archive) },
			"Unpack": func(archive io.Reader) error {
				return d.Unpack(t.Context(), driver.Ref{Phone: "p", Generation: 1}, archive)
			},
		} {
			err := do(bytes.NewReader(make([]byte, 1024)))
			if phone.CodeOf(err) != tt.code || phone.ReasonOf(err) != tt.reason {
				t.Errorf("%s, the daemon says %q: %v (%s %s)", doing, tt.says, err, phone.CodeOf(err), phone.ReasonOf(err))
			}
		}
	}
}

// A push whose process is paused in the middle keeps the next one from the daemon's container, for no longer than it takes to say so.
func TestPausedPush(t *testing.T) {
	t.Parallel()
	w := newWorld(t, strings.Replace(fastBoot, "{", `{"share_path":"/data/share",`, 1))
	w.d.host.helper.held = time.Second
	var whole bytes.Buffer
	archive := tar.NewWriter(&whole)
	w.must(archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "data/x", Mode: 0o644, Size: 1 << 20}))
	_, err := archive.Write(make([]byte, 1<<20))
	w.must(errors.Join(err, archive.Close()))

	r, paused := io.Pipe()
	first := make(chan error, 1)
	go func() { first <- w.d.PushShared(w.ctx, r) }()
	_, err = paused.Write(whole.Bytes()[:1<<19]) // returns when the daemon is at it
	w.must(err)
	began := time.Now()
	err = w.d.PushShared(w.ctx, bytes.NewReader(whole.Bytes()))
	if phone.CodeOf(err) != phone.Unavailable || !strings.Contains(err.Error(), "earlier attempt") || time.Since(began) > 30*time.Second {
		t.Errorf("beside a push that is paused, after %s: %v", time.Since(began), err)
	}
	w.must(paused.CloseWithError(errors.New("the process has ended")))
	if err := <-first; err == nil {
		t.Error("half an archive was unpacked as a whole")
	}
	for phone.CodeOf(err) == phone.Unavailable {
		err = w.d.PushShared(w.ctx, bytes.NewReader(whole.Bytes()))
	}
	w.must(err)
	if listing, err := w.d.ListShared(w.ctx, "/data", 0, 5); err != nil || len(listing.Files) != 1 || listing.Files[0].Size != 1<<20 {
		t.Errorf("the storage has %+v, %v", listing, err)
	}
}

// A daemon keeps a container for whoever gives it files, also for a process that is paused. The next attempt does not wait for that, and can
// be tried again.
func TestHelperThatIsHeld(t *testing.T) {
	t.Parallel()
	for name, hangs := range map[string]string{"inspect": http.MethodGet, "remove": http.MethodDelete} {
		var d *Driver
		gone := make(chan struct{})
		d = fakeDaemon(t, func(w http.ResponseWriter, r *http.Request) {
			switch path := unversioned(r.URL.Path); {
			case path == "/volumes/create":
				fmt.Fprintf(w, `{"Name":%q,"Labels":{%q:%q,%q:%q,%q:%q}}`, d.shareName(), labelInstallation, d.host.installation, labelKind, kindShare, labelServer, d.server)
			case path == "/containers/create":
				says(409, "the name is in use")(w, r)
			case r.Method == hangs:
				select {
				case <-r.Context().Done():
				case <-gone:
				}
			default:
				fmt.Fprintf(w, `{"Id":"x","Name":"/n","State":{},"HostConfig":{},"Config":{"Labels":{%q:%q,%q:%q}}}`, labelInstallation, d.host.installation, labelKind, kindHelper)
			}
		})
		t.Cleanup(func() { close(gone) })
		d.template.SharePath = "/data/share"
		d.host.helper.image, d.host.helper.held = "helper", 50*time.Millisecond
		patient, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		err := d.PushShared(patient, bytes.NewReader(nil))
		if phone.CodeOf(err) != phone.Unavailable || !strings.Contains(err.Error(), "earlier attempt still holds") {
			t.Errorf("%s hangs: %v (%s)", name, err, phone.CodeOf(err))
		}
		d.host.helper.held = time.Hour // the caller's own time
		limited, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := d.PushShared(limited, bytes.NewReader(nil)); !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "earlier attempt") {
			t.Errorf("%s hangs, and the caller's time is over: %v", name, err)
		}
	}
}
