// SPDX-License-Identifier: Apache-2.0

// Package scheme is the cryptography of the KMS API's key specs, on the standard
// library alone: how keys are made and read, and how they sign, authenticate,
// decrypt and agree. It keeps nothing and knows no key by name.
//
// What GODEBUG=fips140=only forbids is refused with [keystore.NotAllowed].
package scheme

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/link/keystore"
	"github.com/cofferstore/coffer/internal/secret"
)

// Private is a private key, ready to use. It is immutable and safe for concurrent
// use. The standard library's keys cannot be cleared.
type Private struct {
	spec keystore.Spec
	key  any // *rsa.PrivateKey, *ecdsa.PrivateKey or ed25519.PrivateKey
}

// making bounds how many RSA keys are made at once: each takes a core for
// seconds.
var making = make(chan struct{}, 2)

// Generate makes a private key of a spec. It may wait, and then for no longer
// than ctx. Error: Unavailable.
func Generate(ctx context.Context, spec keystore.Spec) (*Private, error) {
	if bits := modulus(spec); bits > 0 {
		select {
		case making <- struct{}{}:
			defer func() { <-making }()
		case <-ctx.Done():
			return nil, fault.New(keystore.Unavailable, "").Because(ctx.Err())
		}
		k, err := rsa.GenerateKey(rand.Reader, bits)
		return made(spec, k, err)
	}
	if c := curve(spec); c != nil {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		return made(spec, k, err)
	}
	if spec == keystore.Ed25519 {
		_, k, err := ed25519.GenerateKey(rand.Reader)
		return made(spec, k, err)
	}
	return nil, fmt.Errorf("scheme: %s has no private keys", spec)
}

func made(spec keystore.Spec, key any, err error) (*Private, error) {
	if err != nil {
		return nil, fmt.Errorf("scheme: make a key of %s: %w", spec, err)
	}
	return &Private{spec, key}, nil
}

// Parse reads a private key of a spec from PKCS#8. The key does not share memory
// with it. Error: BadMaterial.
func Parse(spec keystore.Spec, pkcs8 secret.Bytes) (*Private, error) {
	refuse := func(err error) (*Private, error) {
		return nil, fault.New(keystore.BadMaterial, "").Because(err)
	}
	if pkcs8.Len() > keystore.MaxMaterial {
		return refuse(errors.New("private key is too long"))
	}
	key, err := x509.ParsePKCS8PrivateKey(pkcs8.Reveal())
	if err != nil {
		// Its text may quote the key.
		return refuse(errors.New("not a private key in PKCS#8"))
	}
	if !fitsSpec(spec, key) {
		return refuse(fmt.Errorf("private key is not of %s", spec))
	}
	return &Private{spec, key}, nil
}

func fitsSpec(spec keystore.Spec, key any) bool {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		// FIPS 186-5, A.1.1: the exponent is between 2^16 and 2^256.
		return modulus(spec) > 0 && k.N.BitLen() == modulus(spec) && len(k.Primes) == 2 && k.E > 1<<16
	case *ecdsa.PrivateKey:
		return curve(spec) != nil && k.Curve == curve(spec)
	case ed25519.PrivateKey:
		return spec == keystore.Ed25519
	}
	return false
}

// modulus returns how many bits the keys of an RSA spec have, else 0.
func modulus(spec keystore.Spec) int {
	switch spec {
	case keystore.RSA2048:
		return 2048
	case keystore.RSA3072:
		return 3072
	case keystore.RSA4096:
		return 4096
	}
	return 0
}

func curve(spec keystore.Spec) elliptic.Curve {
	switch spec {
	case keystore.P256:
		return elliptic.P256()
	case keystore.P384:
		return elliptic.P384()
	case keystore.P521:
		return elliptic.P521()
	}
	return nil
}

// Material returns the key in PKCS#8, the caller's to clear. One key has one
// form, whatever form it was read from.
func (p *Private) Material() (secret.Bytes, error) {
	der, err := x509.MarshalPKCS8PrivateKey(p.key)
	if err != nil {
		return secret.Bytes{}, errors.New("scheme: private key has no PKCS#8 form")
	}
	return secret.New(der), nil
}

// Public returns the public key as DER of a SubjectPublicKeyInfo.
func (p *Private) Public() ([]byte, error) {
	var public any
	switch k := p.key.(type) {
	case *rsa.PrivateKey:
		public = &k.PublicKey
	case *ecdsa.PrivateKey:
		public = &k.PublicKey
	case ed25519.PrivateKey:
		public = k.Public()
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("scheme: write public key: %w", err)
	}
	return der, nil
}

func (p *Private) unfit(algorithm keystore.Algorithm) error {
	return fmt.Errorf("scheme: %s is no algorithm of %s", algorithm, p.spec)
}
