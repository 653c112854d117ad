// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/fault"
)

// The message goes to the client, into the log and into the audit trail: a request of
// a megabyte must not become forty.
func TestMassesOfProblemsMakeAShortMessage(t *testing.T) {
	_, err := newNode(t).CreateKey(t.Context(), owner, CreateKey{Tags: make([]Tag, 10_000)})
	e, ok := fault.As(err)
	if !ok || e.Kind != Validation || !strings.HasPrefix(e.Message, "10 validation errors detected: ") || len(e.Message) > 4096 {
		t.Errorf("%d bytes: %.80s", len(err.Error()), err)
	}
}
