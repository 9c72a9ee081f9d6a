package docker

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
	"github.com/lethe-cloud/lethe/internal/testenv"
)

// authority signs the certificates of one test.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	der, key := a.sign("authority", true)
	var err error
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.key = key
	a.write("ca.pem", "CERTIFICATE", der)
	return a
}

func (a *authority) sign(name string, isCA bool) ([]byte, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: isCA, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	parent, signer := template, key
	if !isCA {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	return der, key
}

func (a *authority) write(name, kind string, der []byte) string {
	a.t.Helper()
	path := filepath.Join(a.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}

// files writes a certificate and its key.
func (a *authority) files(name string) (cert, key string) {
	a.t.Helper()
	der, private := a.sign(name, false)
	keyDER, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.write(name+".pem", "CERTIFICATE", der), a.write(name+"-key.pem", "EC PRIVATE KEY", keyDER)
}

// The daemon behind TLS that asks for a client's certificate, as Docker's --tlsverify does.
func TestTLS(t *testing.T) {
	t.Parallel()
	socket := strings.TrimPrefix(testenv.Docker(t), "unix://")
	a := newAuthority(t)
	serverCert, serverKey := a.files("server")
	pair, err := tls.LoadX509KeyPair(serverCert, serverKey)
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AddCert(a.cert)
	server := httptest.NewUnstartedServer(&httputil.ReverseProxy{
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}},
		FlushInterval: -1,
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: "docker"}) },
	})
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients, MinVersion: tls.VersionTLS12}
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	endpoint := "tcp://" + server.Listener.Addr().String()

	cert, key := a.files("client")
	files, err := json.Marshal(TLS{CA: filepath.Join(a.dir, "ca.pem"), Cert: cert, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, fastBoot)
	secured := open(t, endpoint, w.owner, with(`"tls":`+string(files)))
	spec := w.spec()
	if _, err := secured.Ensure(w.ctx, spec); err != nil {
		t.Fatal(err)
	}
	w.must(secured.Start(w.ctx, spec.Ref))
	w.await(spec.Ref, func(i driver.Instance) bool { return i.Booted })
	result, err := secured.Exec(w.ctx, spec.Ref, driver.Command{Args: []string{"tee", "/data/x"}, Stdin: []byte("through TLS")})
	if err != nil || string(result.Stdout) != "through TLS" {
		t.Errorf("Exec: %q, %v", result.Stdout, err)
	}

	if _, err := open(t, endpoint, w.owner, fastBoot).Info(w.ctx); phone.CodeOf(err) != phone.Invalid || !strings.Contains(err.Error(), "set tls") {
		t.Errorf("without TLS: Info: %v (%s)", err, phone.CodeOf(err))
	}
	if _, err := open(t, endpoint, w.owner, with(`"tls":`+strangerFiles(t))).Info(w.ctx); phone.CodeOf(err) != phone.Unavailable {
		t.Errorf("with another authority's files: Info: %v (%s)", err, phone.CodeOf(err))
	}
	pool := NewPool(Config{Installation: w.owner.Installation})
	if _, err := pool.Driver(phone.Server{Endpoint: endpoint, Config: []byte(`{"tls":{"ca":"/no","cert":"/no","key":"/no"}}`)}); phone.CodeOf(err) != phone.Invalid {
		t.Errorf("TLS files that are not there: %v", err)
	}
}

func strangerFiles(t *testing.T) string {
	t.Helper()
	a := newAuthority(t)
	cert, key := a.files("client")
	text, err := json.Marshal(TLS{CA: filepath.Join(a.dir, "ca.pem"), Cert: cert, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestServersOfOneEndpointShareAHost(t *testing.T) {
	t.Parallel()
	pool := NewPool(Config{Installation: "i"})
	driverOf := func(config string) *Driver {
		d, err := pool.Driver(phone.Server{ID: phone.NewID[phone.ServerID](), Endpoint: local, Config: []byte(config)})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	one, two, other := driverOf(`{}`), driverOf(`{"width":500}`), driverOf(`{"helper_image":"x:1"}`)
	if one.host != two.host {
		t.Error("two servers of one endpoint have a connection each")
	}
	if one.host == other.host {
		t.Error("servers with different helper images share one")
	}
	if err := pool.Close(); err != nil {
		t.Error(err)
	}
}
