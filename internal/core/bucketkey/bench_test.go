// SPDX-License-Identifier: Apache-2.0

package bucketkey

import (
	"context"
	"testing"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/secret"
)

// lenient is the fake without its bookkeeping, so that the cache alone is measured.
type lenient struct{ *fakeKMS }

func (lenient) Check(context.Context, iam.Caller, kms.Class, string, kms.Context) error { return nil }

func BenchmarkWarmSealer(b *testing.B) {
	c := New(lenient{newFake()}, newStore(), Config{TTL: MaxTTL})
	defer c.Close()
	k := write(photos, key1)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Sealer(b.Context(), alice, k); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWarmOpener(b *testing.B) {
	c := New(lenient{newFake()}, newStore(), Config{TTL: MaxTTL})
	defer c.Close()
	s, err := c.Sealer(b.Context(), alice, write(photos, key1))
	if err != nil {
		b.Fatal(err)
	}
	k := ForRead{photos, s.Generation()}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Opener(b.Context(), alice, k); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWrap(b *testing.B) {
	c := New(lenient{newFake()}, newStore(), Config{TTL: MaxTTL})
	defer c.Close()
	k, dek := write(photos, key1), secret.Random(secret.Size)
	out := make([]byte, 0, 128)
	aad := make([]byte, 58)
	b.ReportAllocs()
	for b.Loop() {
		s, err := c.Sealer(b.Context(), alice, k)
		if err != nil {
			b.Fatal(err)
		}
		s.Seal(out, dek.Reveal(), aad)
	}
}

func BenchmarkUnwrap(b *testing.B) {
	c := New(lenient{newFake()}, newStore(), Config{TTL: MaxTTL})
	defer c.Close()
	s, err := c.Sealer(b.Context(), alice, write(photos, key1))
	if err != nil {
		b.Fatal(err)
	}
	dek, aad, out := secret.Random(secret.Size), make([]byte, 58), make([]byte, 0, 128)
	sealed, k := s.Seal(nil, dek.Reveal(), aad), ForRead{photos, s.Generation()}
	b.ReportAllocs()
	for b.Loop() {
		o, err := c.Opener(b.Context(), alice, k)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := o.Open(out, sealed, aad); err != nil {
			b.Fatal(err)
		}
	}
}
