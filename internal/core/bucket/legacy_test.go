// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"errors"
	"testing"

	"github.com/cofferstore/coffer/internal/core/sse"
)

// TestLegacyMode holds which default a bucket has: legacy mode stands behind one
// that was put, and lasts.
func TestLegacyMode(t *testing.T) {
	s := newBuckets(t, Config{})
	s.mustCreate(t, "photos")
	ref := Ref{Bucket: "photos"}
	put := func(r EncryptionRule) error {
		_, err := s.PutEncryption(t.Context(), owner, PutEncryption{ref, []EncryptionRule{r}})
		return err
	}
	legacy := func(on bool, effective string) func() error {
		return func() error {
			got, err := s.SetLegacy(t.Context(), "photos", on)
			if got != (Legacy{on, effective}) {
				t.Errorf("switched to %t: %+v", on, got)
			}
			return err
		}
	}
	kms := &DefaultEncryption{Algorithm: sse.KMS, KeyID: "k"}
	for _, step := range []struct {
		what string
		do   func() error
		want sse.Default
	}{
		{"on", legacy(true, ""), sse.Default{Algorithm: sse.NotSSE}},
		{"SSE-C unblocked", func() error { return put(EncryptionRule{HasBlock: true, Blocked: []string{"NONE"}}) }, sse.Default{Algorithm: sse.NotSSE}},
		{"a default put", func() error { return put(EncryptionRule{Default: kms}) }, sse.Default{Algorithm: sse.KMS, KeyID: "k"}},
		{"on again", legacy(true, sse.KMS), sse.Default{Algorithm: sse.KMS, KeyID: "k"}},
		{"SSE-S3 put", func() error { return put(EncryptionRule{Default: &DefaultEncryption{Algorithm: sse.AES256}}) }, sse.Default{Algorithm: sse.AES256}},
		{"the default deleted", func() error {
			_, err := s.DeleteEncryption(t.Context(), owner, DeleteEncryption{ref})
			return err
		}, sse.Default{Algorithm: sse.NotSSE}},
		{"off", legacy(false, ""), sse.Default{Algorithm: sse.AES256}},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		again := New(s.store, Config{}) // it is not in memory alone
		b, err := again.Find(t.Context(), ref)
		if err != nil || b.Default() != step.want {
			t.Errorf("%s: %+v, %v, want %+v", step.what, b.Default(), err, step.want)
		}
	}
	if _, err := s.SetLegacy(t.Context(), "nobody", true); !errors.Is(err, NoSuchBucket) {
		t.Errorf("no bucket: %v", err)
	}
	if err := put(EncryptionRule{Default: &DefaultEncryption{Algorithm: sse.NotSSE}}); !errors.Is(err, InvalidEncryption) {
		t.Errorf("it can be put as a default: %v", err)
	}
}
