// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/cofferstore/coffer/internal/fips"
)

const (
	timeout     = 5 * time.Second // of a fetch, with everything
	maxDocument = 1 << 20
)

// errSeldom: the provider was asked a moment ago.
var errSeldom = errors.New("the provider's keys were fetched a moment ago")

// fetcher is a transport to one provider.
type fetcher struct {
	thumbprints []string
	seldom      bool // refuses to fetch more often than notBefore

	mu   sync.Mutex
	last time.Time
	err  error
}

func newFetcher(thumbprints []string) *fetcher { return &fetcher{thumbprints: thumbprints} }

// transport is for one request to a host. A connection does not know the host's name when
// that is an IP address.
func (f *fetcher) transport(host string) http.RoundTripper {
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{
			MinVersion: tls.VersionTLS12,
			// VerifyConnection does it, as it would be done, and else by thumbprint.
			InsecureSkipVerify: true,
			VerifyConnection:   func(s tls.ConnectionState) error { return verifyServer(s, cmp.Or(s.ServerName, host), f.thumbprints) },
		},
	}
}

// client follows no redirections: where the keys are, the provider has said.
func (f *fetcher) client() *http.Client {
	return &http.Client{
		Transport: f, Timeout: timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// RoundTrip is http.RoundTripper's.
func (f *fetcher) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	now := time.Now()
	if f.seldom && now.Sub(f.last) < notBefore {
		f.mu.Unlock()
		return nil, errSeldom
	}
	f.last = now
	f.mu.Unlock()
	resp, err := f.transport(r.URL.Hostname()).RoundTrip(r)
	if err == nil && resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		err = fmt.Errorf("%s answers %s", r.URL.Host, resp.Status)
	}
	f.mu.Lock()
	f.err = err
	f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	resp.Body = &bounded{resp.Body, maxDocument}
	return resp, nil
}

// lastError returns what went wrong with the last fetch.
func (f *fetcher) lastError() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// bounded is a body that is cut when it is too long.
type bounded struct {
	io.ReadCloser
	left int
}

// Read is io.Reader's.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errors.New("the provider's answer is too long")
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// verifyServer accepts a host's server whose certificate the system trusts, or else one for
// which a certificate that it shows vouches, when that has one of the thumbprints.
func verifyServer(s tls.ConnectionState, host string, thumbprints []string) error {
	if len(s.PeerCertificates) == 0 {
		return errors.New("the provider shows no certificate")
	}
	options := x509.VerifyOptions{DNSName: host, Intermediates: x509.NewCertPool()}
	for _, c := range s.PeerCertificates[1:] {
		options.Intermediates.AddCert(c)
	}
	_, err := s.PeerCertificates[0].Verify(options)
	if err == nil {
		return nil
	}
	for _, c := range s.PeerCertificates {
		if !slices.Contains(thumbprints, thumbprint(c)) {
			continue
		}
		options.Roots = x509.NewCertPool()
		options.Roots.AddCert(c)
		if _, err := s.PeerCertificates[0].Verify(options); err == nil {
			return nil
		}
	}
	return err
}

// thumbprint is the SHA-1 hash of a certificate: IAM has no other. To pass for a
// certificate, an attacker would need a second preimage of it, not a collision.
func thumbprint(c *x509.Certificate) string {
	h := fips.NewSHA1()
	h.Write(c.Raw)
	return hex.EncodeToString(h.Sum(nil))
}
