package docker

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// classify makes the driver contract's error of what the Docker client said while it was doing something ("start the
// container"). An error that is classified already keeps its kind. nil stays nil.
func classify(doing string, err error) error {
	if err == nil {
		return nil
	}
	var known *phone.Error
	if errors.As(err, &known) {
		return err
	}
	code := codeOf(err)
	e := &phone.Error{Code: code, Err: err}
	switch {
	case code == phone.Unavailable && isContext(err):
		e.Msg = "the Docker host was given no more time to " + doing
	case code == phone.Unavailable:
		e.Reason = phone.ReasonHostGone
		e.Msg = "the Docker host does not answer: start its daemon, or correct the server's endpoint (" + doing + ")"
	default:
		if code == phone.Internal {
			e.Reason = phone.ReasonHostFailed
		}
		e.Msg = "Docker could not " + doing + ": " + said(err)
	}
	return e
}

// codeOf sorts an error of the Docker client by what the caller can do about it.
func codeOf(err error) phone.Code {
	switch {
	case isContext(err), client.IsErrConnectionFailed(err), isNetwork(err), cerrdefs.IsUnavailable(err):
		return phone.Unavailable
	case cerrdefs.IsNotFound(err):
		return phone.NotFound
	case cerrdefs.IsConflict(err), cerrdefs.IsAlreadyExists(err):
		return phone.Conflict
	case cerrdefs.IsInvalidArgument(err):
		return phone.Invalid
	case cerrdefs.IsNotImplemented(err):
		return phone.Unsupported
	}
	return codeOfText(err)
}

// codeOfText looks into the daemon's words: it answers 500 to whatever goes wrong below it. Sources: moby
// daemon/start.go, libnetwork/portallocator, containerd's client.
func codeOfText(err error) phone.Code {
	text := err.Error()
	for _, known := range []struct {
		part string
		code phone.Code
	}{
		{"port is already allocated", phone.Conflict},
		{"address already in use", phone.Conflict},
		{"no space left on device", phone.Exhausted},
		{"connection error: desc =", phone.Unavailable}, // containerd is gone
		{"transport is closing", phone.Unavailable},
		{"containerd.sock: connect", phone.Unavailable},
		{"context deadline exceeded", phone.Unavailable}, // of the daemon's own
		{"received 502", phone.Unavailable},              // to a request to upgrade: the client keeps only the number
		{"received 503", phone.Unavailable},
		{"received 504", phone.Unavailable},
	} {
		if strings.Contains(text, known.part) {
			return known.code
		}
	}
	return phone.Internal
}

func isContext(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// isNetwork reports whether the connection failed, before or in the middle of an answer.
func isNetwork(err error) bool {
	var netErr net.Error
	return errors.As(err, &netErr) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// said gives the daemon's own words, without the client's.
func said(err error) string {
	text := err.Error()
	if _, after, found := strings.Cut(text, "Error response from daemon: "); found {
		text = after
	}
	const limit = 500
	if len(text) > limit {
		text = text[:limit] + "..."
	}
	return strings.TrimSpace(strings.ToValidUTF8(text, "?"))
}

func isNotFound(err error) bool { return phone.CodeOf(err) == phone.NotFound }

func isConflict(err error) bool { return phone.CodeOf(err) == phone.Conflict }
