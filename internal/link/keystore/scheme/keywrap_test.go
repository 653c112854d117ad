// SPDX-License-Identifier: Apache-2.0

package scheme

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/cofferstore/coffer/internal/link/keystore"
	"github.com/cofferstore/coffer/internal/link/keystore/keystoretest"
	"github.com/cofferstore/coffer/internal/secret"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The examples of RFC 5649, section 6.
func TestKeyWrapVectors(t *testing.T) {
	kek := unhex(t, "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8")
	for _, v := range []struct{ plaintext, wrapped string }{
		{"c37b7e6492584340bed12207808941155068f738", "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a"},
		{"466f7250617369", "afbeb0f07dfbf5419200f2ccb50bb24f"},
	} {
		got, err := unwrapAES(secret.New(kek), unhex(t, v.wrapped))
		if err != nil || hex.EncodeToString(got.Reveal()) != v.plaintext {
			t.Errorf("unwrap %s: %x, %v", v.wrapped, got.Reveal(), err)
		}
		if w := keystoretest.WrapAES(kek, unhex(t, v.plaintext)); hex.EncodeToString(w) != v.wrapped {
			t.Errorf("the tests wrap %s as %x", v.plaintext, w)
		}
	}
}

func TestKeyWrapLengths(t *testing.T) {
	for _, size := range []int{16, 24, 32} {
		kek := secret.Random(size)
		for n := 1; n <= 70; n++ {
			want := secret.Random(n)
			wrapped := keystoretest.WrapAES(kek.Reveal(), want.Reveal())
			if got, err := unwrapAES(kek, wrapped); err != nil || !got.Equal(want) {
				t.Fatalf("%d bytes under a key of %d do not come back: %v", n, size, err)
			}
		}
	}
	for name, c := range map[string]struct {
		key     secret.Bytes
		wrapped []byte
	}{
		"a key of 20 bytes": {secret.Random(20), make([]byte, 40)},
		"nothing":           {secret.Random(32), nil},
		"a semiblock":       {secret.Random(32), make([]byte, 8)},
		"not whole":         {secret.Random(32), make([]byte, 39)},
		"far too long":      {secret.Random(32), make([]byte, 1<<16)},
	} {
		if _, err := unwrapAES(c.key, c.wrapped); !errors.Is(err, keystore.BadCiphertext) {
			t.Errorf("%s: got %v, want BadCiphertext", name, err)
		}
	}
}

// What opens under a key is what wrapping makes, and nothing else: every bit counts.
func FuzzUnwrapAES(f *testing.F) {
	kek := secret.New(bytes.Repeat([]byte{7}, 32))
	f.Add(keystoretest.WrapAES(kek.Reveal(), []byte("material")), uint16(3))
	f.Add(keystoretest.WrapAES(kek.Reveal(), make([]byte, 33)), uint16(90))
	f.Fuzz(func(t *testing.T, b []byte, bit uint16) {
		plain, err := unwrapAES(kek, b)
		if err != nil {
			if !errors.Is(err, keystore.BadCiphertext) {
				t.Fatalf("got %v, want BadCiphertext", err)
			}
			if len(b) == 0 || len(b) > 100 {
				return
			}
			b = keystoretest.WrapAES(kek.Reveal(), b)
		} else if again := keystoretest.WrapAES(kek.Reveal(), plain.Reveal()); !bytes.Equal(again, b) {
			t.Fatalf("%x opens to %x, which is wrapped as %x", b, plain.Reveal(), again)
		}
		changed := bytes.Clone(b)
		changed[int(bit)/8%len(b)] ^= 1 << (bit % 8)
		if _, err := unwrapAES(kek, changed); err == nil {
			t.Fatalf("%x opens with bit %d flipped", b, bit)
		}
	})
}
