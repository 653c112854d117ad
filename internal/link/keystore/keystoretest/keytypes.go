// SPDX-License-Identifier: Apache-2.0

package keystoretest

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"errors"
	"hash"
	"testing"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/fips"
	"github.com/cofferstore/coffer/internal/link/keystore"
	"github.com/cofferstore/coffer/internal/secret"
)

func makeKey(t *testing.T, s keystore.Store, spec keystore.Spec) keystore.Material {
	t.Helper()
	m, err := s.Generate(t.Context(), keystore.Ref{Key: uuid.New(), Version: 1}, spec)
	if err != nil {
		t.Fatalf("%s: %v", spec, err)
	}
	return m
}

func publicKey(t *testing.T, m keystore.Material) any {
	t.Helper()
	k, err := x509.ParsePKIXPublicKey(m.Public)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func signatures(t *testing.T, s keystore.Store) {
	message := []byte("pay 100 to bearer")
	h256, h384, h512 := sha256.Sum256(message), sha512.Sum384(message), sha512.Sum512(message)
	type scheme struct {
		algorithm keystore.Algorithm
		digest    []byte
		hash      crypto.Hash
	}
	rsaSchemes := []scheme{
		{keystore.PKCS1SHA256, h256[:], crypto.SHA256}, {keystore.PKCS1SHA384, h384[:], crypto.SHA384}, {keystore.PKCS1SHA512, h512[:], crypto.SHA512},
		{keystore.PSSSHA256, h256[:], crypto.SHA256}, {keystore.PSSSHA384, h384[:], crypto.SHA384}, {keystore.PSSSHA512, h512[:], crypto.SHA512},
	}
	for spec, schemes := range map[keystore.Spec][]scheme{
		keystore.RSA2048: rsaSchemes,
		keystore.P256:    {{keystore.ECDSASHA256, h256[:], 0}},
		keystore.P384:    {{keystore.ECDSASHA384, h384[:], 0}},
		keystore.P521:    {{keystore.ECDSASHA512, h512[:], 0}},
		keystore.Ed25519: {{keystore.Ed25519SHA512, message, 0}, {keystore.Ed25519PHSHA512, h512[:], crypto.SHA512}},
	} {
		m := makeKey(t, s, spec)
		for _, a := range schemes {
			signature, err := s.Sign(t.Context(), m.Ref, a.algorithm, a.digest)
			if err != nil {
				t.Errorf("%s, %s: %v", spec, a.algorithm, err)
				continue
			}
			good := false
			switch k := publicKey(t, m).(type) {
			case *rsa.PublicKey:
				if a.algorithm[:9] == "RSASSA_PS" {
					good = rsa.VerifyPSS(k, a.hash, a.digest, signature, &rsa.PSSOptions{SaltLength: a.hash.Size()}) == nil
				} else {
					good = rsa.VerifyPKCS1v15(k, a.hash, a.digest, signature) == nil
				}
			case *ecdsa.PublicKey:
				good = ecdsa.VerifyASN1(k, a.digest, signature)
			case ed25519.PublicKey:
				good = ed25519.VerifyWithOptions(k, a.digest, signature, &ed25519.Options{Hash: a.hash}) == nil
			}
			if !good {
				t.Errorf("%s, %s: the signature is not the public key's", spec, a.algorithm)
			}
		}
	}
}

func macs(t *testing.T, s keystore.Store) {
	message := []byte("pay 100 to bearer")
	for spec, algorithm := range map[keystore.Spec]keystore.Algorithm{
		keystore.HMAC224: keystore.HMACSHA224, keystore.HMAC256: keystore.HMACSHA256,
		keystore.HMAC384: keystore.HMACSHA384, keystore.HMAC512: keystore.HMACSHA512,
	} {
		one, other := makeKey(t, s, spec), makeKey(t, s, spec)
		mac, err := s.MAC(t.Context(), one.Ref, algorithm, message)
		if err != nil || len(mac) != spec.Size() {
			t.Fatalf("%s: %d bytes, %v", spec, len(mac), err)
		}
		again, err := s.MAC(t.Context(), one.Ref, algorithm, message)
		if err != nil || !hmac.Equal(mac, again) {
			t.Errorf("%s: the same message has two MACs (%v)", spec, err)
		}
		if its, err := s.MAC(t.Context(), other.Ref, algorithm, message); err != nil || hmac.Equal(mac, its) {
			t.Errorf("%s: two keys make one MAC (%v)", spec, err)
		}
		if one.ID == other.ID || one.ID == [32]byte{} || one.Public != nil {
			t.Errorf("%s: material %x, public key %x", spec, one.ID, one.Public)
		}
	}
}

func rsaCiphertexts(t *testing.T, s keystore.Store) {
	m := makeKey(t, s, keystore.RSA2048)
	public := publicKey(t, m).(*rsa.PublicKey)
	want := []byte("a data key of 32 bytes, or so...")
	_, _, enforced := fips.State()
	for algorithm, hash := range map[keystore.Algorithm]hash.Hash{keystore.OAEPSHA256: sha256.New(), keystore.OAEPSHA1: fips.NewSHA1()} {
		if enforced && algorithm == keystore.OAEPSHA1 {
			if _, err := s.Open(t.Context(), m.Ref, algorithm, make([]byte, 256)); !errors.Is(err, keystore.NotAllowed) {
				t.Errorf("%s in FIPS mode: got %v, want NotAllowed", algorithm, err)
			}
			continue
		}
		sealed, err := rsa.EncryptOAEP(hash, rand.Reader, public, want, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.Open(t.Context(), m.Ref, algorithm, sealed); err != nil || !got.Equal(secret.New(want)) {
			t.Errorf("%s: does not come back: %v", algorithm, err)
		}
		sealed[40] ^= 1
		if _, err := s.Open(t.Context(), m.Ref, algorithm, sealed); !errors.Is(err, keystore.BadCiphertext) {
			t.Errorf("%s, changed: got %v, want BadCiphertext", algorithm, err)
		}
	}
}

func sharedSecrets(t *testing.T, s keystore.Store) {
	for spec, curve := range map[keystore.Spec]ecdh.Curve{keystore.P256: ecdh.P256(), keystore.P384: ecdh.P384(), keystore.P521: ecdh.P521()} {
		m := makeKey(t, s, spec)
		public, err := publicKey(t, m).(*ecdsa.PublicKey).ECDH()
		if err != nil {
			t.Fatal(err)
		}
		peer, err := curve.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		want, err := peer.ECDH(public)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKIXPublicKey(peer.PublicKey())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.Agree(t.Context(), m.Ref, der); err != nil || !got.Equal(secret.New(want)) {
			t.Errorf("%s: the two sides do not agree: %v", spec, err)
		}
		for name, der := range map[string][]byte{"garbage": []byte("x"), "a key of another kind": makeKey(t, s, keystore.Ed25519).Public} {
			if _, err := s.Agree(t.Context(), m.Ref, der); !errors.Is(err, keystore.BadCiphertext) {
				t.Errorf("%s with %s: got %v, want BadCiphertext", spec, name, err)
			}
		}
	}
}

func unsuitableKeys(t *testing.T, s keystore.Store) {
	for _, spec := range []keystore.Spec{keystore.Symmetric, keystore.HMAC256, keystore.P256} {
		ref := makeKey(t, s, spec).Ref
		for range 2 { // read from where it is kept, and from what is kept open
			if _, err := s.Encrypt(t.Context(), ref, secret.Random(32), photos, false); (err == nil) != (spec == keystore.Symmetric) {
				t.Errorf("encrypt with %s: %v", spec, err)
			}
			if _, err := s.MAC(t.Context(), ref, keystore.HMACSHA256, photos); (err == nil) != (spec == keystore.HMAC256) {
				t.Errorf("MAC with %s: %v", spec, err)
			}
			if _, err := s.Sign(t.Context(), ref, keystore.ECDSASHA256, make([]byte, 32)); (err == nil) != (spec == keystore.P256) {
				t.Errorf("sign with %s: %v", spec, err)
			}
			if _, err := s.Open(t.Context(), ref, keystore.OAEPSHA256, make([]byte, 256)); err == nil {
				t.Errorf("%s opens RSA ciphertexts", spec)
			}
		}
	}
}

func forgotten(t *testing.T, s keystore.Store) {
	ref := makeKey(t, s, keystore.P256).Ref
	for range 2 {
		if _, err := s.Sign(t.Context(), ref, keystore.ECDSASHA256, make([]byte, 32)); err != nil {
			t.Errorf("sign: %v", err)
		}
		s.Forget(ref.Key)
	}
	s.Forget(uuid.New())
}

func destroyedKeys(t *testing.T, s keystore.Store) {
	signer, mac := makeKey(t, s, keystore.Ed25519), makeKey(t, s, keystore.HMAC256)
	if _, err := s.Sign(t.Context(), signer.Ref, keystore.Ed25519SHA512, photos); err != nil {
		t.Fatal(err)
	}
	if before, err := s.MAC(t.Context(), mac.Ref, keystore.HMACSHA256, photos); err != nil || bytes.Equal(before, nil) {
		t.Fatal(err)
	}
	for _, key := range []uuid.UUID{signer.Key, mac.Key} {
		if err := s.Destroy(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Sign(t.Context(), signer.Ref, keystore.Ed25519SHA512, photos); !errors.Is(err, keystore.NoMaterial) {
		t.Errorf("sign with a destroyed key: got %v, want NoMaterial", err)
	}
	if _, err := s.MAC(t.Context(), mac.Ref, keystore.HMACSHA256, photos); !errors.Is(err, keystore.NoMaterial) {
		t.Errorf("MAC with a destroyed key: got %v, want NoMaterial", err)
	}
}
