// SPDX-License-Identifier: Apache-2.0

package keystore

// Spec is what kind of key a key's material is, as the KMS API names it.
type Spec string

// The specs that key stores hold. Material of Symmetric and of the HMAC specs is
// bytes of a fixed number; that of the others is a private key in PKCS#8.
const (
	Symmetric Spec = "SYMMETRIC_DEFAULT"
	HMAC224   Spec = "HMAC_224"
	HMAC256   Spec = "HMAC_256"
	HMAC384   Spec = "HMAC_384"
	HMAC512   Spec = "HMAC_512"
	RSA2048   Spec = "RSA_2048"
	RSA3072   Spec = "RSA_3072"
	RSA4096   Spec = "RSA_4096"
	P256      Spec = "ECC_NIST_P256"
	P384      Spec = "ECC_NIST_P384"
	P521      Spec = "ECC_NIST_P521"
	Ed25519   Spec = "ECC_NIST_EDWARDS25519"
)

// Size returns how many bytes the material of a spec has, or 0 for specs whose
// material is a private key.
func (s Spec) Size() int {
	switch s {
	case Symmetric, HMAC256:
		return 32
	case HMAC224:
		return 28
	case HMAC384:
		return 48
	case HMAC512:
		return 64
	}
	return 0
}

// MaxMaterial is how long the PKCS#8 form of a private key may be: that of
// RSA_4096 has some 2,400 bytes.
const MaxMaterial = 4096

// Algorithm is a way to use a key, as the KMS API names it: a signing, MAC,
// encryption or key agreement algorithm.
type Algorithm string

// The algorithms.
const (
	OAEPSHA1   Algorithm = "RSAES_OAEP_SHA_1"
	OAEPSHA256 Algorithm = "RSAES_OAEP_SHA_256"

	PKCS1SHA256 Algorithm = "RSASSA_PKCS1_V1_5_SHA_256"
	PKCS1SHA384 Algorithm = "RSASSA_PKCS1_V1_5_SHA_384"
	PKCS1SHA512 Algorithm = "RSASSA_PKCS1_V1_5_SHA_512"
	PSSSHA256   Algorithm = "RSASSA_PSS_SHA_256"
	PSSSHA384   Algorithm = "RSASSA_PSS_SHA_384"
	PSSSHA512   Algorithm = "RSASSA_PSS_SHA_512"

	ECDSASHA256     Algorithm = "ECDSA_SHA_256"
	ECDSASHA384     Algorithm = "ECDSA_SHA_384"
	ECDSASHA512     Algorithm = "ECDSA_SHA_512"
	Ed25519SHA512   Algorithm = "ED25519_SHA_512"    // signs the message itself
	Ed25519PHSHA512 Algorithm = "ED25519_PH_SHA_512" // signs its digest

	HMACSHA224 Algorithm = "HMAC_SHA_224"
	HMACSHA256 Algorithm = "HMAC_SHA_256"
	HMACSHA384 Algorithm = "HMAC_SHA_384"
	HMACSHA512 Algorithm = "HMAC_SHA_512"

	ECDH Algorithm = "ECDH"

	// Of key material on its way here, beside OAEP: an AES key under OAEP, and the
	// material under that (RFC 5649).
	WrapSHA1   Algorithm = "RSA_AES_KEY_WRAP_SHA_1"
	WrapSHA256 Algorithm = "RSA_AES_KEY_WRAP_SHA_256"
)
