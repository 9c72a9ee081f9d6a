package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// writeCertificate writes a certificate for 127.0.0.1 that is its own authority, and gives the pool that trusts it.
func writeCertificate(t *testing.T) (certFile, keyFile string, trusted *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyBytes, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "lethe.crt"), filepath.Join(dir, "lethe.key")
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
	for path, content := range map[string][]byte{certFile: certPEM, keyFile: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyBytes})} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	trusted = x509.NewCertPool()
	trusted.AppendCertsFromPEM(certPEM)
	return certFile, keyFile, trusted
}

// served gives the certificate that a new connection gets.
func served(t *testing.T, address string) []byte {
	t.Helper()
	conn, err := tls.Dial("tcp", strings.TrimPrefix(address, "https://"), &tls.Config{InsecureSkipVerify: true}) // it is compared below
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].Raw
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestCertificateIsReadAgain(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	cfg.TLSCert, cfg.TLSKey, _ = writeCertificate(t)
	var log lockedBuffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	s, err := startServer(t.Context(), cfg, logger, newFakeApplication().build)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop(context.Background()) })
	first := served(t, s.URL)

	// Half of a new pair, then a file that is no certificate: the old one stays.
	newCert, newKey, _ := writeCertificate(t)
	copyFile(t, newCert, cfg.TLSCert)
	s.Reload()
	log.waitFor(t, "the old one stays in use", 1)
	if !bytes.Equal(served(t, s.URL), first) {
		t.Error("half of a pair is served")
	}
	if err := os.WriteFile(cfg.TLSCert, []byte("-----BEGIN NOTHING"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Reload()
	log.waitFor(t, "the old one stays in use", 2)
	if !bytes.Equal(served(t, s.URL), first) {
		t.Error("the old certificate is not served while the new one cannot be used")
	}

	copyFile(t, newCert, cfg.TLSCert)
	copyFile(t, newKey, cfg.TLSKey)
	s.Reload()
	log.waitFor(t, "new TLS certificate in use", 1)
	if bytes.Equal(served(t, s.URL), first) {
		t.Error("the new certificate is not served")
	}
	s.Reload()
	log.waitFor(t, "has not changed", 1)
}

// Without being asked, a pair that cannot be used is reported at the second look, and once.
func TestCertificateIsLookedAtByItself(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	cfg.TLSCert, cfg.TLSKey, _ = writeCertificate(t)
	var log lockedBuffer
	c, err := loadCertificate(cfg, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	before := c.current.Load()
	if err := os.Remove(cfg.TLSKey); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{0, 1, 1, 1} {
		c.look(false)
		if got := strings.Count(log.String(), "the old one stays"); got != want {
			t.Errorf("after look %d it was reported %d times, want %d", i+1, got, want)
		}
	}
	cert, key, _ := writeCertificate(t)
	copyFile(t, cert, cfg.TLSCert)
	copyFile(t, key, cfg.TLSKey)
	c.look(false)
	if c.current.Load() == before || !strings.Contains(log.String(), "new TLS certificate in use") {
		t.Errorf("the new pair is not in use:\n%s", log.String())
	}
}

// lockedBuffer is a log that may be read while it is written.
type lockedBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// waitFor waits until the log has the words n times.
func (b *lockedBuffer) waitFor(t *testing.T, words string, n int) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); strings.Count(b.String(), words) < n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the log does not say %q %d times:\n%s", words, n, b.String())
		}
	}
}

func TestServeWarnsWithoutTLS(t *testing.T) {
	t.Parallel()
	for listen, warns := range map[string]bool{"0.0.0.0:0": true, "127.0.0.1:0": false} {
		ctx, stop := context.WithCancel(t.Context())
		var stderr lockedBuffer
		ended := make(chan error, 1)
		go func() {
			ended <- serveCommand(ctx, &stderr, newFakeApplication().build, noEnvironment, "serve", "--data", filepath.Join(t.TempDir(), "d"), "--listen", listen)
		}()
		stderr.waitFor(t, "listening on", 1)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if got := strings.Contains(stderr.String(), "WARNING: others on the network") && strings.Contains(stderr.String(), "level=WARN"); got != warns {
			t.Errorf("listening on %s: warned %v, want %v\n%s", listen, got, warns, stderr.String())
		}
	}
}

func TestServerSpeaksTLS(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	cfg.Listen = "0.0.0.0:0"
	var trusted *x509.CertPool
	cfg.TLSCert, cfg.TLSKey, trusted = writeCertificate(t)
	s := startTestServer(t, cfg, newFakeApplication())
	if !strings.HasPrefix(s.URL, "https://127.0.0.1:") || s.Exposed {
		t.Errorf("URL %s, exposed %v: want https, and not exposed", s.URL, s.Exposed)
	}
	get := func(version uint16) error {
		web := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted, MinVersion: version, MaxVersion: version}}}
		defer web.CloseIdleConnections()
		res, err := web.Get(s.URL + "/quick")
		if err != nil {
			return err
		}
		return res.Body.Close()
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		if err := get(version); err != nil {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
	}
	if err := get(tls.VersionTLS11); err == nil {
		t.Error("TLS 1.1 was accepted")
	}
}
