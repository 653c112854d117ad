// SPDX-License-Identifier: Apache-2.0

package kmsapi

import (
	"context"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// TestSecretsAreCleared looks at the key material of a request and of its result
// after the answer has been made.
func TestSecretsAreCleared(t *testing.T) {
	s := newStation(t)
	a := &API{Keys: kms.New(nil, nil, nil, kms.Config{})}
	var came secret.Bytes
	made := secret.New([]byte("made"))
	op := define(a, "Encrypt", pipeline.Read, func(_ context.Context, _ iam.Caller, in kms.Encrypt) (kms.Decrypted, error) {
		if string(in.Plaintext.Reveal()) != "came" {
			t.Errorf("decoded %q", in.Plaintext.Reveal())
		}
		came = in.Plaintext
		return kms.Decrypted{KeyId: "k", Plaintext: made}, nil
	})
	family := s.road.Families()[0]
	family.Find = func(*pipeline.Call) (*pipeline.Op, error) { return &op, nil }
	w := s.post("Encrypt", `{"Plaintext":"Y2FtZQ=="}`, loopback)
	if got := w.Body.String(); got != `{"KeyId":"k","Plaintext":"bWFkZQ=="}` {
		t.Errorf("answer %s", got)
	}
	for _, b := range []secret.Bytes{came, made} {
		if b.Len() != 4 || strings.Trim(string(b.Reveal()), "\x00") != "" {
			t.Errorf("%q was left behind", b.Reveal())
		}
	}
}
