// SPDX-License-Identifier: Apache-2.0

package scheme

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/fips"
	"github.com/cofferstore/coffer/internal/link/keystore"
	"github.com/cofferstore/coffer/internal/secret"
)

// der returns a private key in PKCS#8.
func der[K any](t *testing.T, key K, err error) secret.Bytes {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	b, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return secret.New(b)
}

func generated[K any](t *testing.T, make func() (K, error)) secret.Bytes {
	t.Helper()
	k, err := make()
	return der(t, k, err)
}

// smallExponent makes an RSA key whose public exponent is 3.
func smallExponent(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	one, three := big.NewInt(1), big.NewInt(3)
	prime := func() *big.Int {
		for {
			p, err := rand.Prime(rand.Reader, 1024)
			if err != nil {
				t.Fatal(err)
			}
			if new(big.Int).Mod(p, three).Cmp(one) != 0 {
				return p
			}
		}
	}
	for {
		p, q := prime(), prime()
		n := new(big.Int).Mul(p, q)
		phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
		if d := new(big.Int).ModInverse(three, phi); n.BitLen() == 2048 && d != nil {
			k := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: n, E: 3}, D: d, Primes: []*big.Int{p, q}}
			k.Precompute()
			return k
		}
	}
}

// What is read as a key of a spec is one, and comes back in one form.
func TestParse(t *testing.T) {
	for _, spec := range []keystore.Spec{keystore.RSA2048, keystore.RSA3072, keystore.P256, keystore.P384, keystore.P521, keystore.Ed25519} {
		made, err := Generate(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		material, err := made.Material()
		if err != nil {
			t.Fatal(err)
		}
		for _, other := range []keystore.Spec{keystore.RSA2048, keystore.RSA3072, keystore.RSA4096, keystore.P256, keystore.P384, keystore.P521, keystore.Ed25519, keystore.Symmetric} {
			read, err := Parse(other, material)
			if other != spec {
				if !errors.Is(err, keystore.BadMaterial) {
					t.Errorf("a key of %s read as %s: got %v, want BadMaterial", spec, other, err)
				}
				continue
			}
			if err != nil {
				t.Fatalf("%s: %v", spec, err)
			}
			if again, err := read.Material(); err != nil || !again.Equal(material) {
				t.Errorf("%s: comes back in another form: %v", spec, err)
			}
		}
	}
	if _, err := Generate(t.Context(), keystore.HMAC256); err == nil {
		t.Error("an HMAC key is made as a private one")
	}
}

func TestParseRefuses(t *testing.T) {
	bad := map[string]secret.Bytes{
		"nothing":     {},
		"garbage":     secret.Random(100),
		"a long text": secret.New([]byte(strings.Repeat("x", keystore.MaxMaterial+1))),
		"P-224":       generated(t, func() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P224(), rand.Reader) }),
	}
	if _, _, enforced := fips.State(); !enforced { // that refuses to make them
		bad["RSA with exponent 3"] = der(t, smallExponent(t), nil)
		bad["X25519"] = generated(t, func() (*ecdh.PrivateKey, error) { return ecdh.X25519().GenerateKey(rand.Reader) })
	}
	for name, material := range bad {
		for _, spec := range []keystore.Spec{keystore.RSA2048, keystore.P256, keystore.Ed25519} {
			_, err := Parse(spec, material)
			if !errors.Is(err, keystore.BadMaterial) {
				t.Errorf("%s as %s: got %v, want BadMaterial", name, spec, err)
			}
		}
	}
}

// No key is used with an algorithm of another.
func TestUnfitAlgorithms(t *testing.T) {
	algorithms := map[keystore.Spec][]keystore.Algorithm{
		keystore.RSA2048: {keystore.PKCS1SHA256, keystore.PSSSHA512},
		keystore.P256:    {keystore.ECDSASHA256},
		keystore.Ed25519: {keystore.Ed25519SHA512, keystore.Ed25519PHSHA512},
	}
	digest := make([]byte, 64)
	for spec := range algorithms {
		p, err := Generate(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		public, err := p.Public()
		if err != nil {
			t.Fatal(err)
		}
		for other, list := range algorithms {
			for _, a := range list {
				if spec == other {
					continue
				}
				if _, err := p.Sign(a, digest[:min(64, max(DigestSize(a), 1))]); err == nil {
					t.Errorf("a key of %s signs with %s", spec, a)
				}
				if good, err := Verify(public, a, digest, digest); err == nil || good {
					t.Errorf("a key of %s verifies %s", spec, a)
				}
			}
		}
		if _, err := p.Decrypt(keystore.ECDH, digest); err == nil {
			t.Errorf("a key of %s decrypts with ECDH", spec)
		}
		if spec != keystore.P256 {
			if _, err := p.Agree(public); err == nil {
				t.Errorf("a key of %s agrees", spec)
			}
		}
		if _, err := Encrypt(public, keystore.ECDH, secret.Random(1)); err == nil {
			t.Errorf("a key of %s encrypts with ECDH", spec)
		}
	}
}

// The two ways to sign with Ed25519 are told apart.
func TestEd25519Signatures(t *testing.T) {
	p, err := Generate(t.Context(), keystore.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	public, err := p.Public()
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.ParsePKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	message := []byte("pay 100 to bearer")
	signature, err := p.Sign(keystore.Ed25519SHA512, Digest(keystore.Ed25519SHA512, message))
	if err != nil || !ed25519.Verify(key.(ed25519.PublicKey), message, signature) {
		t.Errorf("the message itself is not what is signed: %v", err)
	}
	if good, err := Verify(public, keystore.Ed25519PHSHA512, Digest(keystore.Ed25519PHSHA512, message), signature); err != nil || good {
		t.Errorf("a signature of the message is one of its digest: %v", err)
	}
}
