// SPDX-License-Identifier: Apache-2.0

// Package oidctest is an OpenID Connect provider for tests.
package oidctest

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/cofferstore/coffer/internal/fips"
)

// Provider is an identity provider behind a listener of its own, with a certificate that
// nobody trusts.
type Provider struct {
	URL        string // "https://127.0.0.1:…"
	Thumbprint string // of its certificate
	Asked      atomic.Int64
	Down       atomic.Bool // answers nothing but 503

	t    testing.TB
	mu   sync.Mutex
	keys []jose.JSONWebKey
}

// New starts a provider with one key.
func New(t testing.TB) *Provider {
	t.Helper()
	p := &Provider{t: t}
	p.Rotate()
	server := httptest.NewTLSServer(http.HandlerFunc(p.serve))
	server.Config.ErrorLog = nil
	t.Cleanup(server.Close)
	p.URL = server.URL
	h := fips.NewSHA1()
	h.Write(server.Certificate().Raw)
	p.Thumbprint = hex.EncodeToString(h.Sum(nil))
	return p
}

// Name is the URL without its scheme, as IAM has it.
func (p *Provider) Name() string { return strings.TrimPrefix(p.URL, "https://") }

// Rotate replaces the provider's key by a new one.
func (p *Provider) Rotate() {
	p.t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		p.t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = []jose.JSONWebKey{{Key: key, KeyID: fmt.Sprintf("key-%d", time.Now().UnixNano()), Algorithm: "RS256", Use: "sig"}}
}

func (p *Provider) serve(w http.ResponseWriter, r *http.Request) {
	p.Asked.Add(1)
	if p.Down.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	var answer any
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		answer = map[string]any{"issuer": p.URL, "jwks_uri": p.URL + "/keys"}
	case "/keys":
		p.mu.Lock()
		defer p.mu.Unlock()
		answer = jose.JSONWebKeySet{Keys: []jose.JSONWebKey{p.keys[0].Public()}}
	default:
		http.NotFound(w, r)
		return
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// Token signs claims. What a token must say and they leave out is added.
func (p *Provider) Token(claims map[string]any) string {
	p.t.Helper()
	all := map[string]any{"iss": p.URL, "sub": "ann", "aud": "app", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()}
	for name, value := range claims {
		if all[name] = value; value == nil {
			delete(all, name)
		}
	}
	text, err := json.Marshal(all)
	if err != nil {
		p.t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: p.keys[0]}, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	signed, err := signer.Sign(text)
	if err != nil {
		p.t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		p.t.Fatal(err)
	}
	return token
}
