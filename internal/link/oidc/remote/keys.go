// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	goidc "github.com/coreos/go-oidc/v3/oidc"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/link/oidc"
)

// entry is what is kept of a provider. Who holds turn may fetch, others wait for it.
type entry struct {
	turn    chan struct{}
	keys    *goidc.RemoteKeySet
	fetcher *fetcher
	found   time.Time // when the provider was last asked where its keys are
	tried   time.Time
	err     error // of the last try
}

// keys returns the keys of a provider, from memory or by asking where they are. Fault:
// Unreachable.
func (c *Client) keys(ctx context.Context, p oidc.Provider) (*keySet, error) {
	e := c.entry(p.URL + "\n" + strings.Join(p.Thumbprints, "\n"))
	select {
	case e.turn <- struct{}{}:
		defer func() { <-e.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	now := time.Now()
	switch {
	case e.keys != nil && now.Sub(e.found) < keptFor:
	case now.Sub(e.tried) < notBefore:
		if e.keys == nil {
			return nil, fault.New(oidc.Unreachable, "").Because(e.err)
		}
	default:
		e.tried = now
		// Whoever asks first and goes away must not be why the others are refused.
		if e.err = e.discover(context.WithoutCancel(ctx), p); e.err != nil {
			// Keys that were good an hour ago are not believed longer: the provider may
			// have withdrawn one.
			e.keys = nil
			return nil, fault.New(oidc.Unreachable, "").Because(e.err)
		}
		e.found = now
	}
	return &keySet{keys: e.keys, fetcher: e.fetcher}, nil
}

// entry returns what is kept under a name, or a new one in the place of another.
func (c *Client) entry(name string) *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[name]
	if e == nil {
		if len(c.entries) >= maxEntries {
			for other := range c.entries { // any: to fetch its keys again does no harm
				delete(c.entries, other)
				break
			}
		}
		e = &entry{turn: make(chan struct{}, 1)}
		c.entries[name] = e
	}
	return e
}

// discover asks a provider where its keys are. The set of them lives longer than the
// call, so ctx must not end.
func (e *entry) discover(ctx context.Context, p oidc.Provider) error {
	f := newFetcher(p.Thumbprints)
	provider, err := goidc.NewProvider(goidc.ClientContext(ctx, f.client()), p.URL)
	if err != nil {
		return err
	}
	var document struct {
		Keys string `json:"jwks_uri"`
	}
	if err := provider.Claims(&document); err != nil {
		return err
	}
	if u, err := url.Parse(document.Keys); err != nil || u.Scheme != "https" || u.Host == "" {
		return errors.New("the provider's jwks_uri is no HTTPS URL")
	}
	// A fetch is bounded by the client's timeout.
	e.fetcher = newFetcher(p.Thumbprints)
	e.fetcher.seldom = true
	e.keys = goidc.NewRemoteKeySet(goidc.ClientContext(ctx, e.fetcher.client()), document.Keys)
	return nil
}

// keySet verifies one token, and notes when keys could not be fetched.
type keySet struct {
	keys    *goidc.RemoteKeySet
	fetcher *fetcher
	failed  error
}

// VerifySignature is goidc.KeySet's. A key that is not known is fetched, but not
// again and again: then the signature is wrong.
func (k *keySet) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	payload, err := k.keys.VerifySignature(ctx, token)
	if err != nil {
		k.failed = k.fetcher.lastError()
	}
	return payload, err
}
