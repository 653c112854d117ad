// SPDX-License-Identifier: Apache-2.0

package keystoretest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/fips"
	"github.com/cofferstore/coffer/internal/link/keystore"
	"github.com/cofferstore/coffer/internal/secret"
)

// wrapped prepares an import for a key and encrypts material for it.
func wrapped(t *testing.T, s keystore.Store, w keystore.Wrapping, material []byte) (token, blob []byte) {
	t.Helper()
	if w.Spec == "" {
		w.Spec = keystore.RSA2048
	}
	if w.Algorithm == "" {
		w.Algorithm = keystore.OAEPSHA256
	}
	if w.Until.IsZero() {
		w.Until = time.Now().Add(time.Hour)
	}
	token, public, err := s.PrepareImport(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	if blob, err = Wrap(public, w.Algorithm, material); err != nil {
		t.Fatal(err)
	}
	return token, blob
}

func asVersion(n uint32) func([32]byte) (uint32, error) {
	return func([32]byte) (uint32, error) { return n, nil }
}

func imports(t *testing.T, s keystore.Store) {
	_, _, enforced := fips.State()
	for _, algorithm := range []keystore.Algorithm{keystore.OAEPSHA256, keystore.WrapSHA256, keystore.OAEPSHA1, keystore.WrapSHA1} {
		key, material := uuid.New(), secret.Random(32)
		if enforced && (algorithm == keystore.OAEPSHA1 || algorithm == keystore.WrapSHA1) {
			_, _, err := s.PrepareImport(t.Context(), keystore.Wrapping{Key: key, Spec: keystore.RSA2048, Algorithm: algorithm, Until: time.Now().Add(time.Hour)})
			if !errors.Is(err, keystore.NotAllowed) {
				t.Errorf("%s in FIPS mode: got %v, want NotAllowed", algorithm, err)
			}
			continue
		}
		token, blob := wrapped(t, s, keystore.Wrapping{Key: key, Algorithm: algorithm}, material.Reveal())
		var told [32]byte
		in := keystore.Import{Key: key, Spec: keystore.Symmetric, Token: token, Wrapped: blob, Choose: func(id [32]byte) (uint32, error) {
			told = id
			return 1, nil
		}}
		m, err := s.Import(t.Context(), in)
		if err != nil || m.ID != told || m.Ref != (keystore.Ref{Key: key, Version: 1}) {
			t.Fatalf("%s: %+v, %v", algorithm, m, err)
		}
		if _, err := s.Import(t.Context(), in); !errors.Is(err, keystore.BadToken) {
			t.Errorf("%s: a token used twice: got %v, want BadToken", algorithm, err)
		}
		plain := secret.Random(32)
		sealed := encrypt(t, s, m.Ref, plain, photos)

		// Removed, and imported again, it opens what it sealed.
		for range 2 {
			if err := s.Remove(t.Context(), m.Ref); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Decrypt(t.Context(), sealed, photos); !errors.Is(err, keystore.NoMaterial) {
			t.Errorf("%s, removed: got %v, want NoMaterial", algorithm, err)
		}
		for range 2 { // the second time it is there
			in.Token, in.Wrapped = wrapped(t, s, keystore.Wrapping{Key: key, Algorithm: algorithm}, material.Reveal())
			if again, err := s.Import(t.Context(), in); err != nil || again.ID != m.ID {
				t.Fatalf("%s, again: %+v, %v", algorithm, again, err)
			}
		}
		if got, err := s.Decrypt(t.Context(), sealed, photos); err != nil || !got.Equal(plain) {
			t.Errorf("%s, imported again: %v", algorithm, err)
		}
		in.Token, in.Wrapped = wrapped(t, s, keystore.Wrapping{Key: key, Algorithm: algorithm}, secret.Random(32).Reveal())
		if _, err := s.Import(t.Context(), in); err == nil {
			t.Errorf("%s: other material takes the version's place", algorithm)
		}
	}
}

func importedPrivateKeys(t *testing.T, s keystore.Store) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	key := uuid.New()
	token, blob := wrapped(t, s, keystore.Wrapping{Key: key, Algorithm: keystore.WrapSHA256}, der)
	m, err := s.Import(t.Context(), keystore.Import{Key: key, Spec: keystore.P256, Token: token, Wrapped: blob, Choose: asVersion(1)})
	if err != nil {
		t.Fatal(err)
	}
	digest := make([]byte, 32)
	signature, err := s.Sign(t.Context(), m.Ref, keystore.ECDSASHA256, digest)
	if err != nil || !ecdsa.VerifyASN1(&k.PublicKey, digest, signature) || !k.PublicKey.Equal(publicKey(t, m)) {
		t.Errorf("an imported key does not sign: %v", err)
	}
}

func importsThatAreRefused(t *testing.T, s keystore.Store) {
	key := uuid.New()
	token, blob := wrapped(t, s, keystore.Wrapping{Key: key}, secret.Random(32).Reveal())
	_, short := wrapped(t, s, keystore.Wrapping{Key: key}, secret.Random(31).Reveal())
	stopped := errors.New("stopped")
	changed := append([]byte{}, token...)
	changed[30] ^= 1
	for name, c := range map[string]struct {
		in   keystore.Import
		want error
	}{
		"another key's token":    {keystore.Import{Key: uuid.New(), Token: token, Wrapped: blob}, keystore.BadToken},
		"a changed token":        {keystore.Import{Key: key, Token: changed, Wrapped: blob}, keystore.BadToken},
		"a longer token":         {keystore.Import{Key: key, Token: append(append([]byte{}, token...), 0), Wrapped: blob}, keystore.BadToken},
		"no token":               {keystore.Import{Key: key, Wrapped: blob}, keystore.BadToken},
		"for another key pair":   {keystore.Import{Key: key, Token: token, Wrapped: short}, keystore.BadCiphertext},
		"nothing":                {keystore.Import{Key: key, Token: token}, keystore.BadCiphertext},
		"material of another":    {keystore.Import{Key: key, Token: token, Wrapped: blob, Spec: keystore.HMAC512}, keystore.BadMaterial},
		"bytes as a private key": {keystore.Import{Key: key, Token: token, Wrapped: blob, Spec: keystore.P256}, keystore.BadMaterial},
		"who chooses, refuses":   {keystore.Import{Key: key, Token: token, Wrapped: blob, Choose: func([32]byte) (uint32, error) { return 0, stopped }}, stopped},
	} {
		if c.in.Spec == "" {
			c.in.Spec = keystore.Symmetric
		}
		if c.in.Choose == nil {
			c.in.Choose = asVersion(1)
		}
		if _, err := s.Import(t.Context(), c.in); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	// None of them used the token up.
	if _, err := s.Import(t.Context(), keystore.Import{Key: key, Spec: keystore.Symmetric, Token: token, Wrapped: blob, Choose: asVersion(1)}); err != nil {
		t.Errorf("import: %v", err)
	}
}

func importTokensExpire(t *testing.T, s keystore.Store) {
	key := uuid.New()
	past := keystore.Wrapping{Key: key, Until: time.Now().Add(-time.Second)}
	oldToken, oldBlob := wrapped(t, s, past, secret.Random(32).Reveal())
	token, blob := wrapped(t, s, keystore.Wrapping{Key: key}, secret.Random(32).Reveal())
	take := func(token, blob []byte) error {
		_, err := s.Import(t.Context(), keystore.Import{Key: key, Spec: keystore.Symmetric, Token: token, Wrapped: blob, Choose: asVersion(1)})
		return err
	}
	for range 2 {
		if err := take(oldToken, oldBlob); !errors.Is(err, keystore.ExpiredToken) {
			t.Errorf("an old token: got %v, want ExpiredToken", err)
		}
		if err := s.Tidy(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := take(token, blob); err != nil {
		t.Errorf("tidying took a key pair whose time is not over: %v", err)
	}
	token, blob = wrapped(t, s, keystore.Wrapping{Key: key}, secret.Random(32).Reveal())
	if err := s.Destroy(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if err := take(token, blob); !errors.Is(err, keystore.BadToken) {
		t.Errorf("a destroyed key's token: got %v, want BadToken", err)
	}
}
