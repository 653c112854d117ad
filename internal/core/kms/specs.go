// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"slices"
	"strings"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/link/keystore"
	"github.com/cofferstore/coffer/internal/link/keystore/scheme"
)

// Usages of keys, beside EncryptDecrypt.
const (
	SignVerify        = "SIGN_VERIFY"
	GenerateVerifyMAC = "GENERATE_VERIFY_MAC"
	KeyAgreement      = "KEY_AGREEMENT"
)

// algorithmsOf returns the algorithms that keys of a spec and usage have, in the
// order in which KMS lists them; none for a pair that there is not (KMS Developer
// Guide, "Key spec reference").
func algorithmsOf(spec, usage string) []string {
	family := spec
	if strings.HasPrefix(spec, "RSA_") {
		family = "RSA"
	}
	switch family + " " + usage {
	case "SYMMETRIC_DEFAULT " + EncryptDecrypt:
		return []string{SymmetricDefault}
	case "RSA " + EncryptDecrypt:
		return algorithms(keystore.OAEPSHA1, keystore.OAEPSHA256)
	case "RSA " + SignVerify:
		return algorithms(keystore.PKCS1SHA256, keystore.PKCS1SHA384, keystore.PKCS1SHA512, keystore.PSSSHA256, keystore.PSSSHA384, keystore.PSSSHA512)
	case "ECC_NIST_P256 " + SignVerify:
		return algorithms(keystore.ECDSASHA256)
	case "ECC_NIST_P384 " + SignVerify:
		return algorithms(keystore.ECDSASHA384)
	case "ECC_NIST_P521 " + SignVerify:
		return algorithms(keystore.ECDSASHA512)
	case "ECC_NIST_EDWARDS25519 " + SignVerify:
		return algorithms(keystore.Ed25519SHA512, keystore.Ed25519PHSHA512)
	case "ECC_NIST_P256 " + KeyAgreement, "ECC_NIST_P384 " + KeyAgreement, "ECC_NIST_P521 " + KeyAgreement:
		return algorithms(keystore.ECDH)
	case "HMAC_224 " + GenerateVerifyMAC:
		return algorithms(keystore.HMACSHA224)
	case "HMAC_256 " + GenerateVerifyMAC:
		return algorithms(keystore.HMACSHA256)
	case "HMAC_384 " + GenerateVerifyMAC:
		return algorithms(keystore.HMACSHA384)
	case "HMAC_512 " + GenerateVerifyMAC:
		return algorithms(keystore.HMACSHA512)
	}
	return nil
}

func algorithms(names ...keystore.Algorithm) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = string(name)
	}
	return out
}

// supportedSpec reports whether there are keys of a spec that the API knows. The
// standard library has neither the curves of SECG and SM2 nor ML-DSA.
func supportedSpec(spec string) bool {
	switch spec {
	case "ECC_SECG_P256K1", "SM2", "ML_DSA_44", "ML_DSA_65", "ML_DSA_87":
		return false
	}
	return true
}

func unsupportedSpec(spec string) error {
	return fault.New(UnsupportedOperation, "Keys of KeySpec %s are not supported.", spec)
}

// checkSpec checks what kind of key is to be made. spec is "" for the default.
// Errors: Validation, UnsupportedOperation.
func checkSpec(spec, usage string) error {
	switch {
	case spec == "":
		spec = SymmetricDefault
	case spec != SymmetricDefault && usage == "":
		return fault.New(Validation, "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.")
	}
	if !supportedSpec(spec) {
		return unsupportedSpec(spec)
	}
	if usage == "" {
		usage = EncryptDecrypt
	}
	if algorithmsOf(spec, usage) == nil {
		return fault.New(Validation, "KeyUsage %s is not compatible with KeySpec %s", usage, spec)
	}
	return nil
}

// kindOfKey tells keys apart that no alias may move between.
func kindOfKey(spec string) string {
	switch {
	case spec == SymmetricDefault:
		return "symmetric"
	case strings.HasPrefix(spec, "HMAC_"):
		return "HMAC"
	}
	return "asymmetric"
}

// fitsAlgorithm checks usage and state, and the algorithm that the request names;
// "" is SYMMETRIC_DEFAULT. Errors: InvalidKeyUsage, those of fits, and
// UnsupportedOperation for what the cryptographic module does not allow.
func (s *Service) fitsAlgorithm(k *key, operation, algorithm string) error {
	if algorithm == "" {
		algorithm = SymmetricDefault
	}
	if err := s.fitsUsage(k, operation); err != nil {
		return err
	}
	if !slices.Contains(algorithmsOf(k.Spec, k.Usage), algorithm) {
		return fault.New(InvalidKeyUsage, "Algorithm %s is incompatible with key spec %s.", algorithm, k.Spec)
	}
	if !scheme.Allowed(keystore.Algorithm(algorithm)) {
		return notAllowed(algorithm)
	}
	return s.fits(k, operation)
}

func notAllowed(algorithm string) error {
	return fault.New(UnsupportedOperation, "Algorithm %s is not allowed in FIPS mode.", algorithm)
}
