// SPDX-License-Identifier: Apache-2.0

package oidc_test

import (
	"errors"
	"testing"

	"github.com/cofferstore/coffer/internal/link/oidc"
)

// FuzzIssuer: no text makes it panic, and what has no issuer is refused.
func FuzzIssuer(f *testing.F) {
	f.Add("eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2EifQ.AA")
	f.Add("a..b")
	f.Fuzz(func(t *testing.T, token string) {
		issuer, err := oidc.Issuer(token)
		if (err == nil) != (issuer != "") || err != nil && !errors.Is(err, oidc.Invalid) {
			t.Errorf("%q: %q, %v", token, issuer, err)
		}
	})
}
