// SPDX-License-Identifier: Apache-2.0

package scheme

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"hash"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/fips"
	"github.com/cofferstore/coffer/internal/link/keystore"
	"github.com/cofferstore/coffer/internal/secret"
)

// oaep returns the hash of an encryption algorithm. Error: NotAllowed.
func oaep(algorithm keystore.Algorithm) (hash.Hash, error) {
	switch algorithm {
	case keystore.OAEPSHA256:
		return sha256.New(), nil
	case keystore.OAEPSHA1:
		if !Allowed(algorithm) {
			return nil, fault.New(keystore.NotAllowed, "")
		}
		return fips.NewSHA1(), nil
	}
	return nil, fmt.Errorf("scheme: %s does not encrypt", algorithm)
}

// Allowed reports whether the mode that the process runs in lets an algorithm be
// used: GODEBUG=fips140=only lets no OAEP with SHA-1.
func Allowed(algorithm keystore.Algorithm) bool {
	_, _, enforced := fips.State()
	return !enforced || algorithm != keystore.OAEPSHA1 && algorithm != keystore.WrapSHA1
}

// MaxPlaintext returns how many bytes an algorithm encrypts with a key of an RSA
// spec (RFC 8017, 7.1.1).
func MaxPlaintext(spec keystore.Spec, algorithm keystore.Algorithm) int {
	size := sha256.Size
	if algorithm == keystore.OAEPSHA1 {
		size = fips.SHA1Size
	}
	return modulus(spec)/8 - 2*size - 2
}

// Encrypt encrypts at most MaxPlaintext bytes for an RSA public key, which is DER
// of a SubjectPublicKeyInfo. Error: NotAllowed.
func Encrypt(public []byte, algorithm keystore.Algorithm, plaintext secret.Bytes) ([]byte, error) {
	key, err := x509.ParsePKIXPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("scheme: read public key: %w", err)
	}
	k, ok := key.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("scheme: a %T does not encrypt", key)
	}
	h, err := oaep(algorithm)
	if err != nil {
		return nil, err
	}
	return rsa.EncryptOAEP(h, rand.Reader, k, plaintext.Reveal(), nil)
}

// Decrypt opens what Encrypt made. Errors: NotAllowed, BadCiphertext.
func (p *Private) Decrypt(algorithm keystore.Algorithm, ciphertext []byte) (secret.Bytes, error) {
	k, ok := p.key.(*rsa.PrivateKey)
	if !ok {
		return secret.Bytes{}, p.unfit(algorithm)
	}
	h, err := oaep(algorithm)
	if err != nil {
		return secret.Bytes{}, err
	}
	// RFC 8017, 7.1.2, step 1. crypto/rsa takes a ciphertext that has lost leading zeros.
	if len(ciphertext) != k.Size() {
		return secret.Bytes{}, fault.New(keystore.BadCiphertext, "")
	}
	plain, err := rsa.DecryptOAEP(h, nil, k, ciphertext, nil)
	if err != nil {
		return secret.Bytes{}, fault.New(keystore.BadCiphertext, "")
	}
	return secret.New(plain), nil
}

// FitsPeer reports whether a public key, DER of a SubjectPublicKeyInfo, is one
// that keys of a spec can agree with.
func FitsPeer(spec keystore.Spec, peer []byte) error {
	_, err := peerKey(spec, peer)
	return err
}

func peerKey(spec keystore.Spec, peer []byte) (*ecdsa.PublicKey, error) {
	key, err := x509.ParsePKIXPublicKey(peer)
	if err != nil {
		return nil, errors.New("not a public key")
	}
	k, ok := key.(*ecdsa.PublicKey)
	if !ok || curve(spec) == nil || k.Curve != curve(spec) {
		return nil, fmt.Errorf("not a public key of %s", spec)
	}
	return k, nil
}

// Agree computes the secret that the key shares with a peer's public key: the raw
// one of ECDH, as long as the curve's field (SP 800-56A, 5.7.1.2). Error:
// BadCiphertext for a key that FitsPeer refuses.
func (p *Private) Agree(peer []byte) (secret.Bytes, error) {
	mine, ok := p.key.(*ecdsa.PrivateKey)
	if !ok {
		return secret.Bytes{}, p.unfit(keystore.ECDH)
	}
	refuse := func(err error) (secret.Bytes, error) {
		return secret.Bytes{}, fault.New(keystore.BadCiphertext, "").Because(err)
	}
	theirs, err := peerKey(p.spec, peer)
	if err != nil {
		return refuse(err)
	}
	private, err := mine.ECDH()
	if err != nil {
		return refuse(err)
	}
	public, err := theirs.ECDH()
	if err != nil {
		return refuse(err)
	}
	shared, err := private.ECDH(public)
	if err != nil {
		return refuse(err)
	}
	return secret.New(shared), nil
}
