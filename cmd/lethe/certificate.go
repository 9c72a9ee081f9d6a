package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/lethe-cloud/lethe/internal/config"
)

// certificateLook is how often the files of the certificate are looked at.
const certificateLook = 10 * time.Second

// certificate is the TLS certificate that new connections get. The files are read again now and then, and a new pair takes the
// place of the old one; connections that are open keep what they have. It is safe for concurrent use.
type certificate struct {
	certFile, keyFile string
	logger            *slog.Logger
	current           atomic.Pointer[tls.Certificate]

	// What the files had in them: of the pair in use, and of the last one that could not be used. Only watch touches them.
	used, broken []byte
	reported     bool // that the last one could not be used
}

// loadCertificate reads the certificate, or gives nil when the server speaks plain HTTP.
func loadCertificate(cfg config.Config, logger *slog.Logger) (*certificate, error) {
	if !cfg.TLS() {
		return nil, nil
	}
	c := &certificate{certFile: cfg.TLSCert, keyFile: cfg.TLSKey, logger: logger}
	pair, content, err := c.read()
	if err != nil {
		return nil, fmt.Errorf("the TLS certificate %s and its key %s cannot be used (%w): both must be readable PEM files that belong together", cfg.TLSCert, cfg.TLSKey, err)
	}
	c.current.Store(pair)
	c.used = content
	return c, nil
}

// read gives the pair in the files, and what tells their contents from others.
func (c *certificate) read() (*tls.Certificate, []byte, error) {
	certPEM, err := os.ReadFile(c.certFile)
	if err != nil {
		return nil, []byte(err.Error()), err
	}
	keyPEM, err := os.ReadFile(c.keyFile)
	if err != nil {
		return nil, []byte(err.Error()), err
	}
	h := sha256.New()
	h.Write(certPEM)
	h.Write([]byte{0})
	h.Write(keyPEM)
	content := h.Sum(nil)
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, content, err
	}
	return &pair, content, nil
}

// config is what the listener speaks: TLS 1.2 and newer, with whatever certificate is current.
func (c *certificate) config() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current.Load(), nil },
	}
}

// watch looks at the files with every tick, and at once when it is asked to, until ctx ends.
func (c *certificate) watch(ctx context.Context, tick <-chan time.Time, ask <-chan struct{}) {
	for {
		asked := false
		select {
		case <-ctx.Done():
			return
		case <-tick:
		case <-ask:
			asked = true
		}
		c.look(asked)
	}
}

// look takes a new pair into use. One that cannot be used leaves the old one where it is, and is reported when it was the same at
// two looks, since the two files are not replaced in one moment; or at once for somebody who asked.
func (c *certificate) look(asked bool) {
	pair, content, err := c.read()
	switch {
	case err != nil:
		if !bytes.Equal(content, c.broken) {
			c.broken, c.reported = content, false
			if !asked {
				return
			}
		}
		if asked || !c.reported {
			c.reported = true
			c.logger.Error("the new TLS certificate cannot be used: the old one stays in use", "cert", c.certFile, "key", c.keyFile, "err", err)
		}
	case bytes.Equal(content, c.used):
		c.broken = nil
		if asked {
			c.logger.Info("the TLS certificate has not changed", "cert", c.certFile)
		}
	default:
		c.used, c.broken = content, nil
		c.current.Store(pair)
		sum := sha256.Sum256(pair.Leaf.Raw)
		c.logger.Info("new TLS certificate in use", "cert", c.certFile, "sha256", hex.EncodeToString(sum[:]), "not_after", pair.Leaf.NotAfter.UTC())
	}
}
