// SPDX-License-Identifier: Apache-2.0

// Package keystoretest is the suite that every driver of keystore.Store passes.
package keystoretest

import (
	"bytes"
	"errors"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/link/keystore"
	"github.com/cofferstore/coffer/internal/secret"
)

// Run runs the suite. open returns a fresh, empty store for each test, and
// registers its own cleanup.
func Run(t *testing.T, open func(t *testing.T) keystore.Store) {
	for name, test := range map[string]func(*testing.T, keystore.Store){
		"round trip":                       roundTrip,
		"context is bound":                 contextIsBound,
		"changed blobs are refused":        changedBlobs,
		"blobs name their material":        blobsNameMaterial,
		"old versions still open":          oldVersions,
		"service-held blobs":               serviceHeld,
		"a version is made once":           generateOnce,
		"missing material":                 missingMaterial,
		"destroyed material opens no more": destroyed,
		"concurrent use":                   concurrent,
		"signatures":                       signatures,
		"MACs":                             macs,
		"RSA ciphertexts":                  rsaCiphertexts,
		"shared secrets":                   sharedSecrets,
		"keys are for what their spec is":  unsuitableKeys,
		"forgotten material opens again":   forgotten,
		"destroyed keys compute no more":   destroyedKeys,
		"imports":                          imports,
		"imported private keys":            importedPrivateKeys,
		"imports that are refused":         importsThatAreRefused,
		"import tokens expire":             importTokensExpire,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

var (
	photos = []byte("\x00\x01\x00\x06bucket\x00\x06photos")
	papers = []byte("\x00\x01\x00\x06bucket\x00\x06papers")
)

func roundTrip(t *testing.T, s keystore.Store) {
	if err := s.Health(t.Context()); err != nil {
		t.Fatalf("health: %v", err)
	}
	ref := generate(t, s, 1)
	for _, n := range []int{1, 16, 32, 4096} {
		want := secret.Random(n)
		blob := encrypt(t, s, ref, want, photos)
		got, err := s.Decrypt(t.Context(), blob, photos)
		if err != nil || !got.Equal(want) {
			t.Errorf("%d bytes do not come back: %v", n, err)
		}
		if bytes.Contains(blob, want.Reveal()) && n > 1 {
			t.Errorf("the blob of %d bytes shows them", n)
		}
		if again := encrypt(t, s, ref, want, photos); bytes.Equal(again, blob) {
			t.Errorf("two blobs of the same %d bytes are equal", n)
		}
	}
}

func contextIsBound(t *testing.T, s keystore.Store) {
	ref := generate(t, s, 1)
	blob := encrypt(t, s, ref, secret.Random(32), photos)
	for name, context := range map[string][]byte{"other": papers, "none": nil, "longer": append(bytes.Clone(photos), 0)} {
		if _, err := s.Decrypt(t.Context(), blob, context); !errors.Is(err, keystore.BadCiphertext) {
			t.Errorf("%s context: got %v, want BadCiphertext", name, err)
		}
	}
}

func changedBlobs(t *testing.T, s keystore.Store) {
	ref := generate(t, s, 1)
	blob := encrypt(t, s, ref, secret.Random(32), photos)
	for i := range blob {
		changed := bytes.Clone(blob)
		changed[i] ^= 1
		if _, err := s.Decrypt(t.Context(), changed, photos); !refused(err) {
			t.Fatalf("bit flipped in byte %d: got %v, want BadCiphertext or NoMaterial", i, err)
		}
	}
	for _, n := range []int{0, 1, len(blob) / 2, len(blob) - 1} {
		if _, err := s.Decrypt(t.Context(), blob[:n], photos); !refused(err) {
			t.Errorf("cut to %d bytes: got %v, want BadCiphertext", n, err)
		}
	}
	if _, err := s.Decrypt(t.Context(), append(bytes.Clone(blob), 0), photos); !refused(err) {
		t.Errorf("a byte more: got %v, want BadCiphertext", err)
	}
	if _, _, err := s.Inspect([]byte("garbage")); !errors.Is(err, keystore.BadCiphertext) {
		t.Errorf("inspect garbage: got %v, want BadCiphertext", err)
	}
}

// refused allows NoMaterial because a changed blob may name another key.
func refused(err error) bool {
	return errors.Is(err, keystore.BadCiphertext) || errors.Is(err, keystore.NoMaterial)
}

func blobsNameMaterial(t *testing.T, s keystore.Store) {
	one, two := generate(t, s, 1), generate(t, s, 1)
	for _, want := range []keystore.Ref{one, two} {
		got, held, err := s.Inspect(encrypt(t, s, want, secret.Random(32), photos))
		if err != nil || got != want || held {
			t.Errorf("inspect: got %v, service-held %v, %v; want %v", got, held, err, want)
		}
	}
}

func oldVersions(t *testing.T, s keystore.Store) {
	first := generate(t, s, 1)
	plain := secret.Random(32)
	old := encrypt(t, s, first, plain, photos)
	second, err := s.Generate(t.Context(), keystore.Ref{Key: first.Key, Version: 2}, keystore.Symmetric)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.Decrypt(t.Context(), old, photos); err != nil || !got.Equal(plain) {
		t.Errorf("a blob of version 1 does not open after version 2 was made: %v", err)
	}
	if ref, _, _ := s.Inspect(encrypt(t, s, second.Ref, plain, photos)); ref.Version != 2 {
		t.Errorf("a blob of version 2 names version %d", ref.Version)
	}
}

func serviceHeld(t *testing.T, s keystore.Store) {
	ref := generate(t, s, 1)
	want := secret.Random(32)
	blob, err := s.Encrypt(t.Context(), ref, want, photos, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, held, err := s.Inspect(blob); err != nil || !held {
		t.Errorf("inspect: service-held %v, %v; want true", held, err)
	}
	if got, err := s.Decrypt(t.Context(), blob, photos); err != nil || !got.Equal(want) {
		t.Errorf("a service-held blob does not open: %v", err)
	}
}

func generateOnce(t *testing.T, s keystore.Store) {
	ref := generate(t, s, 1)
	plain := secret.Random(32)
	blob := encrypt(t, s, ref, plain, photos)
	if _, err := s.Generate(t.Context(), ref, keystore.Symmetric); err == nil {
		t.Error("the same version was made twice")
	}
	if got, err := s.Decrypt(t.Context(), blob, photos); err != nil || !got.Equal(plain) {
		t.Errorf("the first material was lost: %v", err)
	}
	a, err := s.Generate(t.Context(), keystore.Ref{Key: ref.Key, Version: 2}, keystore.Symmetric)
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Generate(t.Context(), keystore.Ref{Key: ref.Key, Version: 3}, keystore.Symmetric)
	if err != nil {
		t.Fatal(err)
	}
	if a.ID == b.ID || a.ID == [32]byte{} {
		t.Errorf("material ids %x and %x do not tell versions apart", a.ID, b.ID)
	}
}

func missingMaterial(t *testing.T, s keystore.Store) {
	ref := generate(t, s, 1)
	for name, missing := range map[string]keystore.Ref{
		"another key":     {Key: uuid.New(), Version: 1},
		"another version": {Key: ref.Key, Version: 2},
	} {
		if _, err := s.Encrypt(t.Context(), missing, secret.Random(32), photos, false); !errors.Is(err, keystore.NoMaterial) {
			t.Errorf("%s: got %v, want NoMaterial", name, err)
		}
	}
}

func destroyed(t *testing.T, s keystore.Store) {
	ref, other := generate(t, s, 1), generate(t, s, 1)
	if _, err := s.Generate(t.Context(), keystore.Ref{Key: ref.Key, Version: 2}, keystore.Symmetric); err != nil {
		t.Fatal(err)
	}
	plain := secret.Random(32)
	blob, kept := encrypt(t, s, ref, plain, photos), encrypt(t, s, other, plain, photos)
	for range 2 { // absent material is success
		if err := s.Destroy(t.Context(), ref.Key); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Decrypt(t.Context(), blob, photos); !errors.Is(err, keystore.NoMaterial) {
		t.Errorf("decrypt under destroyed material: got %v, want NoMaterial", err)
	}
	if got, err := s.Decrypt(t.Context(), kept, photos); err != nil || !got.Equal(plain) {
		t.Errorf("another key's material went too: %v", err)
	}
}

func concurrent(t *testing.T, s keystore.Store) {
	ref := generate(t, s, 1)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				want := secret.Random(32)
				blob, err := s.Encrypt(t.Context(), ref, want, photos, false)
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := s.Decrypt(t.Context(), blob, photos); err != nil || !got.Equal(want) {
					t.Errorf("does not come back: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func generate(t *testing.T, s keystore.Store, version uint32) keystore.Ref {
	t.Helper()
	m, err := s.Generate(t.Context(), keystore.Ref{Key: uuid.New(), Version: version}, keystore.Symmetric)
	if err != nil {
		t.Fatal(err)
	}
	return m.Ref
}

func encrypt(t *testing.T, s keystore.Store, ref keystore.Ref, plain secret.Bytes, context []byte) []byte {
	t.Helper()
	blob, err := s.Encrypt(t.Context(), ref, plain, context, false)
	if err != nil {
		t.Fatal(err)
	}
	return blob
}
