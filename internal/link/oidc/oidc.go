// SPDX-License-Identifier: Apache-2.0

// Package oidc says what OpenID Connect providers and their tokens are to Coffer. The
// driver remote asks the providers themselves.
package oidc

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/cofferstore/coffer/internal/fault"
)

// Kinds of fault.
const (
	// Invalid: the text is no token, or not one of this provider.
	Invalid fault.Kind = "oidc: invalid token"
	// Expired: the token is too old.
	Expired fault.Kind = "oidc: expired token"
	// Rejected: the token is the provider's, and does not say what it must.
	Rejected fault.Kind = "oidc: claims rejected"
	// Unreachable: the provider's keys cannot be fetched now.
	Unreachable fault.Kind = "oidc: provider cannot be reached"
)

// Provider is an identity provider.
type Provider struct {
	URL string // "https://…", as tokens name it
	// Thumbprints are the SHA-1 hashes, 40 hexadecimal digits in lower case, of
	// certificates that may vouch for the provider's server beside those that the
	// system trusts.
	Thumbprints []string
}

// Claims is what a token says.
type Claims struct {
	Subject  string
	Audience []string
	Party    string   // azp; "" when it is not there
	Methods  []string // amr
	Email    string
	// What the provider wants the session to have (IAM User Guide, "Pass session tags
	// in AWS STS").
	Tags           map[string]string
	Transitive     []string
	SourceIdentity string
}

// Verifier asks providers. Verify returns what a provider's token says; whom it is for,
// the caller checks. Faults: Invalid, Expired, Rejected, Unreachable. It is safe for
// concurrent use.
type Verifier interface {
	Verify(ctx context.Context, p Provider, token string) (Claims, error)
}

// MaxToken bounds tokens, in bytes.
const MaxToken = 20000

// Issuer returns the provider that a token says it is of, before anything is
// verified. Fault: Invalid.
func Issuer(token string) (string, error) {
	var claims struct {
		Issuer string `json:"iss"`
	}
	parts := strings.Split(token, ".")
	if len(token) > MaxToken || len(parts) != 3 {
		return "", notJWT(nil)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(payload, &claims)
	}
	if err != nil || claims.Issuer == "" {
		return "", notJWT(err)
	}
	return claims.Issuer, nil
}

func notJWT(cause error) error {
	return fault.New(Invalid, "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)").Because(cause)
}
