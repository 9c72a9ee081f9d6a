package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/api"
	"github.com/lethe-cloud/lethe/client"
	"github.com/lethe-cloud/lethe/internal/config"
)

// A call that waits for a request does not hold up a server that stops, and is answered.
func TestStopAnswersThoseWhoWait(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	app := watched{arrived: make(chan struct{}, 1), answered: make(chan int, 1)}
	s, err := startServer(t.Context(), cfg, quiet(), func(ctx context.Context, cfg config.Config, in installation, logger *slog.Logger) (_ application, err error) {
		app.application, err = newBuilder(nil)(ctx, cfg, in, logger)
		return app, err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop(context.Background()) }) // the test has looked at the error
	var credentials api.Credentials
	text, err := os.ReadFile(s.Credentials)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &credentials); err != nil {
		t.Fatal(err)
	}
	c, err := client.New(client.Config{
		Endpoint: s.ListensOn, AccessKey: credentials.AccessKey, SecretKey: credentials.SecretKey, ProjectID: credentials.ProjectID,
	})
	if err != nil {
		t.Fatal(err)
	}
	image, err := c.AddImage(t.Context(), api.AddImage{ImageName: "android", Reference: "r"})
	if err != nil {
		t.Fatal(err)
	}
	added, err := c.AddServer(t.Context(), api.AddServer{
		ServerName: "edge", Driver: "simulated", PhoneCount: 2, ImageID: image.ImageID, MaxConcurrentBoots: 1, Config: []byte(`{"boot_time":"10m"}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := c.WaitRequest(ctx, added.RequestID, nil)
		ended <- err
	}()
	wait(t, "the call that waits", app.arrived)
	stopCtx, done := context.WithTimeout(context.Background(), time.Minute)
	defer done()
	if err := s.Stop(stopCtx); err != nil {
		t.Errorf("stopped with %v", err)
	}
	if status := <-app.answered; status != http.StatusOK {
		t.Errorf("who waited was answered with %d", status)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("waiting ended with %v", err)
	}
}

// watched is an application that says when a waiting call has arrived, and how the first one was answered.
type watched struct {
	application
	arrived  chan struct{}
	answered chan int
}

func (a watched) Handler() http.Handler {
	inner := a.application.Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !r.URL.Query().Has("wait") {
			inner.ServeHTTP(w, r)
			return
		}
		a.arrived <- struct{}{}
		seen := &statusWriter{ResponseWriter: w}
		inner.ServeHTTP(seen, r)
		a.answered <- seen.status
	})
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}
