// SPDX-License-Identifier: Apache-2.0

// Package iamtest opens accounts for the tests of other packages.
package iamtest

import (
	"testing"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// New opens the service over a store, with a first account and perhaps others. What
// root access keys they have, nobody needs to know.
func New(t testing.TB, store meta.Store, first string, others ...string) *iam.Service {
	t.Helper()
	sealKey := secret.Random(secret.Size)
	root, _, err := iam.OpenRoot(t.Context(), store, sealKey, iam.RootConfig{Account: first})
	if err != nil {
		t.Fatal(err)
	}
	s, err := iam.Open(t.Context(), store, sealKey, root, iam.Config{Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range others {
		if _, err := s.CreateAccount(t.Context(), id, "account "+id); err != nil {
			t.Fatal(err)
		}
	}
	return s
}
