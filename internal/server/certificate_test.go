// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pair is a certificate's two files.
type pair struct {
	t         *testing.T
	cert, key string
	writes    int
}

func (p *pair) write(cert, key []byte) {
	p.t.Helper()
	p.writes++
	// Of another age than before, however coarse the file system's clock is.
	at := time.Now().Add(time.Duration(p.writes) * time.Minute)
	for name, b := range map[string][]byte{p.cert: cert, p.key: key} {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			p.t.Fatal(err)
		}
		if err := os.Chtimes(name, at, at); err != nil {
			p.t.Fatal(err)
		}
	}
}

// issue writes a new certificate with its key.
func (p *pair) issue(serial int64) {
	p.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		p.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		p.t.Fatal(err)
	}
	p.write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
}

// lastLines collects a log until it is asked for it.
type lastLines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lastLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lastLines) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.b.Reset()
	return l.b.String()
}

// TestCertificateFollowsItsFiles: a new pair is taken up, and one that does not
// load, as while it is being copied, leaves the one in use.
func TestCertificateFollowsItsFiles(t *testing.T) {
	dir := t.TempDir()
	p := &pair{t: t, cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem")}
	if _, err := newCertificate(p.cert, p.key); err == nil || !strings.Contains(err.Error(), "load TLS certificate") {
		t.Errorf("no files: %v", err)
	}
	p.issue(1)
	synctest.Test(t, func(t *testing.T) {
		c, err := newCertificate(p.cert, p.key)
		if err != nil {
			t.Fatal(err)
		}
		log := new(lastLines)
		ctx, stop := context.WithCancel(t.Context())
		go c.watch(ctx, slog.New(slog.NewTextHandler(log, nil)))
		defer synctest.Wait()
		defer stop()
		has := func(when string, serial int64, says string) {
			t.Helper()
			time.Sleep(certificateEvery + time.Second)
			synctest.Wait()
			cert, err := c.get(nil)
			if err != nil || cert.Leaf.SerialNumber.Int64() != serial {
				t.Errorf("%s: certificate %v, %v, want %d", when, cert.Leaf.SerialNumber, err, serial)
			}
			if said := log.take(); !strings.Contains(said, says) || says == "" && said != "" {
				t.Errorf("%s: the log says %q, want %q", when, said, says)
			}
		}
		has("nothing changed", 1, "")
		p.issue(2)
		has("a new pair", 2, "TLS certificate reloaded")
		p.write([]byte("half a cert"), nil)
		has("a broken pair", 2, "TLS certificate not reloaded")
		has("still broken", 2, "TLS certificate not reloaded")
		p.issue(3)
		has("mended", 3, "TLS certificate reloaded")
	})
}
