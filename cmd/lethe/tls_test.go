package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
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
