// SPDX-License-Identifier: Apache-2.0

package iamapi

import (
	"testing"

	"github.com/cofferstore/coffer/internal/fault/faulttest"
)

// TestEveryKindHasACode reads the kinds that the packages below raise from their
// sources.
func TestEveryKindHasACode(t *testing.T) {
	found := 0
	for _, dir := range []string{
		".", "../pipeline", "../sigv4", "../../core/iam", "../../core/policy", "../../core/audit", "../../link/oidc", "../../store/meta",
	} {
		for kind := range faulttest.Declared(t, dir) {
			found++
			if _, known := codes[kind]; !known {
				t.Errorf("no code for %q", kind)
			}
		}
	}
	if found < 40 {
		t.Errorf("found %d kinds: the sources were not read", found)
	}
}
