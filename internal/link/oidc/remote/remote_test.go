// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/link/oidc"
	"github.com/cofferstore/coffer/internal/link/oidc/oidctest"
)

func providerOf(p *oidctest.Provider) oidc.Provider {
	return oidc.Provider{URL: p.URL, Thumbprints: []string{strings.Repeat("0", 40), p.Thumbprint}}
}

func TestTokens(t *testing.T) {
	p, other := oidctest.New(t), oidctest.New(t)
	c := New()
	good := p.Token(nil)
	half := strings.LastIndexByte(good, '.')
	for _, test := range []struct {
		name, token string
		want        fault.Kind
	}{
		{"good", good, ""},
		{"another provider's", other.Token(map[string]any{"iss": p.URL}), oidc.Invalid},
		{"of another issuer", p.Token(map[string]any{"iss": other.URL}), oidc.Invalid},
		{"changed", p.Token(map[string]any{"sub": "bob"})[:half] + good[half:], oidc.Invalid},
		{"unsigned", good[:half+1], oidc.Invalid},
		{"no token", "a.b.c", oidc.Invalid},
		{"too long", good + strings.Repeat("A", oidc.MaxToken), oidc.Invalid},
		{"expired", p.Token(map[string]any{"exp": time.Now().Add(-time.Second).Unix()}), oidc.Expired},
		{"never expires", p.Token(map[string]any{"exp": nil}), oidc.Expired},
		{"not yet", p.Token(map[string]any{"nbf": time.Now().Add(time.Hour).Unix()}), oidc.Invalid},
		{"nobody's", p.Token(map[string]any{"sub": ""}), oidc.Rejected},
		{"of another type", p.Token(map[string]any{"email": 7}), oidc.Rejected},
		{"somebody else's by another case", p.Token(map[string]any{"\u017fub": "root"}), oidc.Rejected}, // a long s, which sorts behind "sub"
		{"another party's", p.Token(map[string]any{"AZP": "app"}), oidc.Rejected},
		{"a tag of two values", p.Token(map[string]any{"https://aws.amazon.com/tags": map[string]any{"principal_tags": map[string]any{"a": []string{"b", "c"}}}}), oidc.Rejected},
	} {
		_, err := c.Verify(t.Context(), providerOf(p), test.token)
		if test.want == "" && err != nil || test.want != "" && !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %s", test.name, err, test.want)
		}
	}
	if n := p.Asked.Load(); n > 3 {
		t.Errorf("the provider was asked %d times", n)
	}
}

func TestClaims(t *testing.T) {
	p := oidctest.New(t)
	got, err := New().Verify(t.Context(), providerOf(p), p.Token(map[string]any{
		"sub": "repo:coffer", "aud": []string{"a", "b"}, "azp": "a", "amr": []string{"pwd"}, "email": "ann@example.com",
		"https://aws.amazon.com/tags":            map[string]any{"principal_tags": map[string]any{"team": []string{"red"}}, "transitive_tag_keys": []string{"team"}},
		"https://aws.amazon.com/source_identity": "ann",
	}))
	if err != nil {
		t.Fatal(err)
	}
	if got.Subject != "repo:coffer" || !slices.Equal(got.Audience, []string{"a", "b"}) || got.Party != "a" || got.Methods[0] != "pwd" ||
		got.Email != "ann@example.com" || got.Tags["team"] != "red" || got.Transitive[0] != "team" || got.SourceIdentity != "ann" {
		t.Errorf("claims %+v", got)
	}
}

func TestServersMustBeVouchedFor(t *testing.T) {
	p, other := oidctest.New(t), oidctest.New(t)
	for name, thumbprints := range map[string][]string{"no thumbprint": nil, "another": {other.Thumbprint[:39] + "x"}} {
		_, err := New().Verify(t.Context(), oidc.Provider{URL: p.URL, Thumbprints: thumbprints}, p.Token(nil))
		if !errors.Is(err, oidc.Unreachable) || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A certificate vouches for the names that it has, and no others.
	named := strings.Replace(p.URL, "127.0.0.1", "localhost", 1)
	if _, err := New().Verify(t.Context(), oidc.Provider{URL: named, Thumbprints: []string{p.Thumbprint}}, p.Token(nil)); !errors.Is(err, oidc.Unreachable) {
		t.Errorf("by another name: %v", err)
	}
}

// A certificate of another server vouches for no IP address, either.
func TestServersAtAddressesMustBeVouchedFor(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"other.example.com"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{raw}, PrivateKey: key}}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	cert, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	_, err = newFetcher([]string{thumbprint(cert)}).client().Get(server.URL)
	if err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a certificate for another name: %v", err)
	}
}

func TestKeysAreFetchedSeldom(t *testing.T) {
	p := oidctest.New(t)
	c := New()
	verify := func() error {
		_, err := c.Verify(t.Context(), providerOf(p), p.Token(nil))
		return err
	}
	for range 3 {
		if err := verify(); err != nil {
			t.Fatal(err)
		}
	}
	if n := p.Asked.Load(); n != 2 {
		t.Errorf("three tokens of one key took %d fetches, want 2", n)
	}
	p.Rotate()
	for range 3 {
		if err := verify(); !errors.Is(err, oidc.Invalid) {
			t.Errorf("a key that came a moment after the last fetch: %v", err)
		}
	}
	if n := p.Asked.Load(); n != 2 {
		t.Errorf("keys that are not known took %d fetches within a moment, want none", n-2)
	}
	for _, e := range c.entries {
		e.fetcher.last = time.Now().Add(-notBefore)
	}
	// The fetch that was refused may not be over when its error is known: who comes then has that
	// error, too, and asks again.
	err := verify()
	for deadline := time.Now().Add(10 * time.Second); err != nil && time.Now().Before(deadline); {
		err = verify()
	}
	if err != nil {
		t.Errorf("a key that came since: %v", err)
	}
}

func TestProviderThatIsDown(t *testing.T) {
	p := oidctest.New(t)
	c := New()
	p.Down.Store(true)
	for range 3 {
		if _, err := c.Verify(t.Context(), providerOf(p), p.Token(nil)); !errors.Is(err, oidc.Unreachable) {
			t.Errorf("got %v", err)
		}
	}
	if n := p.Asked.Load(); n != 1 {
		t.Errorf("a provider that is down was asked %d times within a moment", n)
	}
	p.Down.Store(false)
	for _, e := range c.entries {
		e.tried = time.Now().Add(-notBefore)
	}
	if _, err := c.Verify(t.Context(), providerOf(p), p.Token(nil)); err != nil {
		t.Errorf("when it is up again: %v", err)
	}
}

func TestWhoGoesAwayRefusesNobody(t *testing.T) {
	p := oidctest.New(t)
	c := New()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, _ = c.Verify(gone, providerOf(p), p.Token(nil))
	if _, err := c.Verify(t.Context(), providerOf(p), p.Token(nil)); err != nil {
		t.Error(err)
	}
}

func TestProvidersKeptAreBounded(t *testing.T) {
	c := New()
	for i := range maxEntries + 10 {
		c.entry(strings.Repeat("x", i))
	}
	if n := len(c.entries); n != maxEntries {
		t.Errorf("%d providers are kept", n)
	}
}
