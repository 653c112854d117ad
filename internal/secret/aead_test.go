// SPDX-License-Identifier: Apache-2.0

package secret_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"testing"

	"github.com/cofferstore/coffer/internal/secret"
)

// count returns the bytes from first, counting up.
func count(first byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = first + byte(i)
	}
	return b
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestVectors holds Derive and Open to the vectors of docs/formats.md, whose
// wrapped data key was made by another program.
func TestVectors(t *testing.T) {
	dataKey, generation := count(0x00, 32), count(0x40, 16)
	got := secret.Derive(secret.New(dataKey), "dek-wrap", generation, 32)
	want := secret.New(unhex(t, "4a11c7e1fefac6afcda3221046059631ea5cd185d38e09049bad8ba8084dc253"))
	if !got.Equal(want) {
		t.Errorf("Derive(key, dek-wrap, generation, 32) = %x", got.Reveal())
	}

	header := unhex(t, "4344573101020000404142434445464748494a4b4c4d4e4f0000")
	sealed := unhex(t, "a48ed247dbe5882e25796834c2a48de657ab5970aed6d28b87db2b640060c9"+
		"df71b6c6d9e0041b9681b593323809071a6e23d1762cc9bb435fc21fd2")
	descriptor := sha256.Sum256([]byte("descriptor"))
	wrapping := secret.Derive(secret.New(count(0x20, 32)), "dek-wrap", generation, 32)
	opened, err := secret.NewAEAD(wrapping).Open(nil, sealed, slices.Concat(header, descriptor[:]))
	if err != nil || !bytes.Equal(opened, dataKey) {
		t.Errorf("Open of the wrapped data key = %x, %v; want %x", opened, err, dataKey)
	}
}

func TestDeriveSeparates(t *testing.T) {
	key := secret.New(count(0, 32))
	base := secret.Derive(key, "a", []byte("bc"), 32)
	for name, other := range map[string]secret.Bytes{
		"label":                       secret.Derive(key, "b", []byte("bc"), 32),
		"context":                     secret.Derive(key, "a", []byte("bd"), 32),
		"border of label and context": secret.Derive(key, "ab", []byte("c"), 32),
		"key":                         secret.Derive(secret.New(count(1, 32)), "a", []byte("bc"), 32),
		"no context":                  secret.Derive(key, "a", nil, 32),
	} {
		if base.Equal(other) {
			t.Errorf("another %s derives the same key", name)
		}
	}
	if long := secret.Derive(key, "a", []byte("bc"), 64); !bytes.Equal(long.Reveal()[:32], base.Reveal()) {
		t.Error("a longer output does not begin with the shorter one, as HKDF-Expand's does")
	}
}

func TestOpenRefusesWhatWasNotSealed(t *testing.T) {
	key := secret.Random(secret.Size)
	box := secret.NewAEAD(key)
	plaintext, additional := []byte("a data key"), []byte("photos/cat.jpg")
	sealed := box.Seal(nil, plaintext, additional)
	if len(sealed) != len(plaintext)+secret.Overhead {
		t.Errorf("sealed %d bytes into %d, want %d more", len(plaintext), len(sealed), secret.Overhead)
	}
	key.Clear() // the AEAD does not need it any more
	if opened, err := box.Open([]byte("dst "), sealed, additional); err != nil || string(opened) != "dst a data key" {
		t.Errorf("Open = %q, %v", opened, err)
	}

	refuse := func(name string, box *secret.AEAD, sealed, additional []byte) {
		t.Helper()
		out, err := box.Open([]byte("dst "), sealed, additional)
		if !errors.Is(err, secret.ErrOpen) || string(out) != "dst " {
			t.Errorf("%s: Open = %q, %v; want ErrOpen and dst alone", name, out, err)
		}
	}
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		refuse("a changed byte", box, changed, additional)
	}
	for n := range sealed {
		refuse("a shorter message", box, sealed[:n], additional)
	}
	refuse("a longer message", box, append(bytes.Clone(sealed), 0), additional)
	refuse("other additional data", box, sealed, []byte("photos/dog.jpg"))
	refuse("no additional data", box, sealed, nil)
	refuse("another key", secret.NewAEAD(secret.Random(secret.Size)), sealed, additional)
}

func TestSealsDiffer(t *testing.T) {
	box := secret.NewAEAD(secret.Random(secret.Size))
	if bytes.Equal(box.Seal(nil, []byte("x"), nil), box.Seal(nil, []byte("x"), nil)) {
		t.Error("two seals of one message are equal: a nonce was used twice")
	}
}

func TestCallersMistakesPanic(t *testing.T) {
	for name, mistake := range map[string]func(){
		"an AEAD key of 16 bytes":  func() { secret.NewAEAD(secret.Random(16)) },
		"an AEAD key of none":      func() { secret.NewAEAD(secret.Bytes{}) },
		"derivation from 15 bytes": func() { secret.Derive(secret.Random(15), "x", nil, 32) },
		"derivation of too much":   func() { secret.Derive(secret.Random(32), "x", nil, 8161) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s did not panic", name)
				}
			}()
			mistake()
		}()
	}
}
