// SPDX-License-Identifier: Apache-2.0

package scheme

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"strings"

	_ "crypto/sha256" // crypto.Hash.New finds them
	_ "crypto/sha512"

	"github.com/cofferstore/coffer/internal/link/keystore"
	"github.com/cofferstore/coffer/internal/secret"
)

// hashOf returns the hash that an algorithm's name ends in, and 0 when it is none
// that signs.
func hashOf(algorithm keystore.Algorithm) crypto.Hash {
	_, bits, _ := strings.Cut(string(algorithm), "SHA_")
	switch bits {
	case "224":
		return crypto.SHA224
	case "256":
		return crypto.SHA256
	case "384":
		return crypto.SHA384
	case "512":
		return crypto.SHA512
	}
	return 0
}

// DigestSize returns how long the digest of a message is that an algorithm signs,
// in bytes, and 0 for algorithms that sign the message itself.
func DigestSize(algorithm keystore.Algorithm) int {
	if h := hashOf(algorithm); h != 0 && algorithm != keystore.Ed25519SHA512 {
		return h.Size()
	}
	return 0
}

// Digest returns what an algorithm signs of a message.
func Digest(algorithm keystore.Algorithm, message []byte) []byte {
	if DigestSize(algorithm) == 0 {
		return message
	}
	h := hashOf(algorithm).New()
	h.Write(message)
	return h.Sum(nil)
}

// Sign signs what Digest gives of a message.
func (p *Private) Sign(algorithm keystore.Algorithm, digest []byte) ([]byte, error) {
	hash := hashOf(algorithm)
	switch k := p.key.(type) {
	case *rsa.PrivateKey:
		switch padding(algorithm) {
		case pkcs1:
			return rsa.SignPKCS1v15(rand.Reader, k, hash, digest)
		case pss:
			return rsa.SignPSS(rand.Reader, k, hash, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		}
	case *ecdsa.PrivateKey:
		if padding(algorithm) == ecdsaASN1 {
			return ecdsa.SignASN1(rand.Reader, k, digest)
		}
	case ed25519.PrivateKey:
		if o := edwards(algorithm); o != nil {
			return k.Sign(nil, digest, o)
		}
	}
	return nil, p.unfit(algorithm)
}

// Verify reports whether a signature of a digest is the public key's, which is
// DER of a SubjectPublicKeyInfo.
func Verify(public []byte, algorithm keystore.Algorithm, digest, signature []byte) (bool, error) {
	key, err := x509.ParsePKIXPublicKey(public)
	if err != nil {
		return false, fmt.Errorf("scheme: read public key: %w", err)
	}
	hash := hashOf(algorithm)
	switch k := key.(type) {
	case *rsa.PublicKey:
		switch padding(algorithm) {
		case pkcs1:
			return rsa.VerifyPKCS1v15(k, hash, digest, signature) == nil, nil
		case pss:
			return rsa.VerifyPSS(k, hash, digest, signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil, nil
		}
	case *ecdsa.PublicKey:
		if padding(algorithm) == ecdsaASN1 {
			return ecdsa.VerifyASN1(k, digest, signature), nil
		}
	case ed25519.PublicKey:
		if o := edwards(algorithm); o != nil {
			return ed25519.VerifyWithOptions(k, digest, signature, o) == nil, nil
		}
	}
	return false, fmt.Errorf("scheme: %s does not verify with a %T", algorithm, key)
}

// What an algorithm puts around a digest.
const (
	pkcs1     = "RSASSA_PKCS1_V1_5"
	pss       = "RSASSA_PSS"
	ecdsaASN1 = "ECDSA"
)

func padding(algorithm keystore.Algorithm) string {
	name, _, _ := strings.Cut(string(algorithm), "_SHA_")
	return name
}

func edwards(algorithm keystore.Algorithm) *ed25519.Options {
	switch algorithm {
	case keystore.Ed25519SHA512:
		return &ed25519.Options{}
	case keystore.Ed25519PHSHA512:
		return &ed25519.Options{Hash: crypto.SHA512}
	}
	return nil
}

// MAC authenticates a message with an HMAC key.
func MAC(key secret.Bytes, algorithm keystore.Algorithm, message []byte) []byte {
	m := hmac.New(hashOf(algorithm).New, key.Reveal())
	m.Write(message)
	return m.Sum(nil)
}
