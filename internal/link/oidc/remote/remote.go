// SPDX-License-Identifier: Apache-2.0

// Package remote asks OpenID Connect providers for their keys over HTTPS, keeps these,
// and verifies tokens with them. Everything that it fetches is bounded in size and time,
// and how often is, too: anybody may send tokens.
package remote

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	goidc "github.com/coreos/go-oidc/v3/oidc"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/link/oidc"
)

const (
	maxClaim   = 2048
	keptFor    = time.Hour        // keys, before the provider is asked again where they are
	notBefore  = 10 * time.Second // another try to fetch
	maxEntries = 1000             // providers whose keys are kept
)

// Client keeps the keys of providers. It is an [oidc.Verifier].
type Client struct {
	mu      sync.Mutex
	entries map[string]*entry
}

// New returns a client that has no keys yet.
func New() *Client { return &Client{entries: map[string]*entry{}} }

var _ oidc.Verifier = (*Client)(nil)

// signatures are the algorithms that a token may be signed with (IAM User Guide,
// "Create an OpenID Connect identity provider").
var signatures = []string{"RS256", "RS384", "RS512", "ES256", "ES384", "ES512"}

// Verify is oidc.Verifier's.
func (c *Client) Verify(ctx context.Context, p oidc.Provider, token string) (oidc.Claims, error) {
	if len(token) > oidc.MaxToken {
		return oidc.Claims{}, oidc.Invalid
	}
	keys, err := c.keys(ctx, p)
	if err != nil {
		return oidc.Claims{}, err
	}
	verifier := goidc.NewVerifier(p.URL, keys, &goidc.Config{SupportedSigningAlgs: signatures, SkipClientIDCheck: true})
	t, err := verifier.Verify(ctx, token)
	if err != nil {
		return oidc.Claims{}, told(keys, err)
	}
	return claimsOf(t)
}

// known are the claims that are read, here and by the library.
var known = []string{
	"iss", "sub", "aud", "exp", "iat", "nbf", "azp", "amr", "email", "nonce", "at_hash",
	"https://aws.amazon.com/tags", "https://aws.amazon.com/source_identity",
}

// unambiguous refuses a token with a claim that only looks like one of those known. JSON
// is decoded without regard to case, so a provider that lets people name claims would let
// them be anybody.
func unambiguous(t *goidc.IDToken) error {
	var all map[string]json.RawMessage
	if err := t.Claims(&all); err != nil {
		return rejected("has claims that cannot be read").Because(err)
	}
	for name := range all {
		for _, other := range known {
			if name != other && strings.EqualFold(name, other) {
				return rejected("has a claim that is easily taken for " + other)
			}
		}
	}
	return nil
}

// claimsOf reads what a token that was verified says.
func claimsOf(t *goidc.IDToken) (oidc.Claims, error) {
	if err := unambiguous(t); err != nil {
		return oidc.Claims{}, err
	}
	var more struct {
		Party   string   `json:"azp"`
		Methods []string `json:"amr"`
		Email   string   `json:"email"`
		Tags    struct {
			Principal  map[string][]string `json:"principal_tags"`
			Transitive []string            `json:"transitive_tag_keys"`
		} `json:"https://aws.amazon.com/tags"`
		Source string `json:"https://aws.amazon.com/source_identity"`
	}
	if err := t.Claims(&more); err != nil {
		return oidc.Claims{}, rejected("has claims that are not of their types").Because(err)
	}
	claims := oidc.Claims{
		Subject: t.Subject, Audience: t.Audience, Party: more.Party, Methods: more.Methods, Email: more.Email,
		Transitive: more.Tags.Transitive, SourceIdentity: more.Source,
	}
	switch {
	case claims.Subject == "" || len(claims.Subject) > maxClaim:
		return oidc.Claims{}, rejected("has no usable subject")
	case t.Expiry.IsZero():
		return oidc.Claims{}, rejected("does not say when it expires")
	}
	for key, values := range more.Tags.Principal {
		if len(values) != 1 {
			return oidc.Claims{}, rejected("has a tag that has not one value")
		}
		if claims.Tags == nil {
			claims.Tags = map[string]string{}
		}
		claims.Tags[key] = values[0]
	}
	return claims, nil
}

func rejected(what string) *fault.Error {
	return fault.New(oidc.Rejected, "The identity token %s.", what)
}

// told makes a fault of what the verifier says.
func told(keys *keySet, err error) error {
	var expired *goidc.TokenExpiredError
	switch {
	case errors.As(err, &expired):
		return fault.New(oidc.Expired, "Token expired: current date/time %d must be before the expiration date/time %d",
			time.Now().Unix(), expired.Expiry.Unix())
	case keys.failed != nil:
		return fault.New(oidc.Unreachable, "").Because(keys.failed)
	}
	return fault.New(oidc.Invalid, "").Because(err)
}
