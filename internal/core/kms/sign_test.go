// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"

	stdcrypto "crypto"
)

// keyOf makes a key of a spec.
func (n *node) keyOf(spec, usage string) KeyMetadata {
	n.t.Helper()
	return must(n.CreateKey(n.t.Context(), owner, CreateKey{KeySpec: spec, KeyUsage: usage}))(n.t)
}

func text(s string) secret.Bytes { return secret.New([]byte(s)) }

// Every key that can be made is described with its algorithms, in the member that
// is for its usage, and used with each of them.
func TestKeySpecs(t *testing.T) {
	n := newNode(t)
	for _, c := range []struct {
		specs, usage, algorithms string
	}{
		{"RSA_2048 RSA_3072", SignVerify, "RSASSA_PKCS1_V1_5_SHA_256 RSASSA_PKCS1_V1_5_SHA_384 RSASSA_PKCS1_V1_5_SHA_512 RSASSA_PSS_SHA_256 RSASSA_PSS_SHA_384 RSASSA_PSS_SHA_512"},
		{"RSA_2048", EncryptDecrypt, "RSAES_OAEP_SHA_1 RSAES_OAEP_SHA_256"},
		{"ECC_NIST_P256", SignVerify, "ECDSA_SHA_256"},
		{"ECC_NIST_P384", SignVerify, "ECDSA_SHA_384"},
		{"ECC_NIST_P521", SignVerify, "ECDSA_SHA_512"},
		{"ECC_NIST_EDWARDS25519", SignVerify, "ED25519_SHA_512 ED25519_PH_SHA_512"},
		{"ECC_NIST_P256 ECC_NIST_P384 ECC_NIST_P521", KeyAgreement, "ECDH"},
		{"HMAC_224", GenerateVerifyMAC, "HMAC_SHA_224"},
		{"HMAC_256", GenerateVerifyMAC, "HMAC_SHA_256"},
		{"HMAC_384", GenerateVerifyMAC, "HMAC_SHA_384"},
		{"HMAC_512", GenerateVerifyMAC, "HMAC_SHA_512"},
	} {
		for _, spec := range strings.Fields(c.specs) {
			made := n.keyOf(spec, c.usage)
			m := n.describe(made.KeyId)
			lists := map[string][]string{
				EncryptDecrypt: m.EncryptionAlgorithms, SignVerify: m.SigningAlgorithms, GenerateVerifyMAC: m.MacAlgorithms, KeyAgreement: m.KeyAgreementAlgorithms,
			}
			for usage, list := range lists {
				if want := usage == c.usage; want != (list != nil) || want && !slices.Equal(list, strings.Fields(c.algorithms)) {
					t.Errorf("%s for %s is described with %v for %s", spec, c.usage, list, usage)
				}
			}
			if m.KeySpec != spec || m.CustomerMasterKeySpec != spec || m.KeyUsage != c.usage || m.CurrentKeyMaterialId != "" || !m.Enabled {
				t.Errorf("%s is described as %+v", spec, m)
			}
			n.useAll(m)
		}
	}
}

// useAll signs, or authenticates, with every algorithm of a key.
func (n *node) useAll(m KeyMetadata) {
	t, ctx := n.t, n.t.Context()
	const message = "pay 100 to bearer"
	for _, algorithm := range m.SigningAlgorithms {
		for _, kind := range []string{"RAW", "DIGEST"} {
			said := text(message)
			if kind == "DIGEST" {
				said = secret.New(hashed(algorithm, message))
			}
			signed, err := n.Sign(ctx, owner, Sign{KeyId: m.KeyId, Message: said, MessageType: kind, SigningAlgorithm: algorithm})
			if algorithm == "ED25519_SHA_512" && kind == "DIGEST" || algorithm == "ED25519_PH_SHA_512" && kind == "RAW" {
				refused(t, algorithm+" of "+kind, err, Validation, "MessageType "+kind+" is not valid for algorithm "+algorithm+".")
				continue
			}
			if err != nil {
				t.Errorf("%s, %s: %v", algorithm, kind, err)
				continue
			}
			if signed.KeyId != m.Arn || !n.verifies(m, algorithm, message, signed.Signature) {
				t.Errorf("%s of %s does not verify", algorithm, kind)
			}
			in := Verify{KeyId: m.Arn, Message: said, MessageType: kind, Signature: signed.Signature, SigningAlgorithm: algorithm}
			if got := must(n.Verify(ctx, owner, in))(t); !got.SignatureValid || got.KeyId != m.Arn {
				t.Errorf("%s: %+v", algorithm, got)
			}
			in.Signature = bytes.Clone(in.Signature)
			in.Signature[len(in.Signature)/2] ^= 1
			_, err = n.Verify(ctx, owner, in)
			refused(t, algorithm+" of another signature", err, InvalidSignature, "")
		}
	}
	for _, algorithm := range m.MacAlgorithms {
		mac := must(n.GenerateMac(ctx, owner, GenerateMac{KeyId: m.KeyId, MacAlgorithm: algorithm, Message: text(message)}))(t)
		in := VerifyMac{KeyId: m.KeyId, MacAlgorithm: algorithm, Message: text(message), Mac: mac.Mac}
		if got := must(n.VerifyMac(ctx, owner, in))(t); !got.MacValid || got.KeyId != m.Arn {
			t.Errorf("%s: %+v", algorithm, got)
		}
		for _, other := range [][]byte{mac.Mac[:len(mac.Mac)-1], append(bytes.Clone(mac.Mac[1:]), mac.Mac[0])} {
			in.Mac = other
			_, err := n.VerifyMac(ctx, owner, in)
			refused(t, algorithm+" of another MAC", err, InvalidMac, "")
		}
	}
}

func hashed(algorithm, message string) []byte {
	switch {
	case strings.HasSuffix(algorithm, "256"):
		sum := sha256.Sum256([]byte(message))
		return sum[:]
	case strings.HasSuffix(algorithm, "384"):
		sum := sha512.Sum384([]byte(message))
		return sum[:]
	}
	sum := sha512.Sum512([]byte(message))
	return sum[:]
}

// verifies asks the standard library, with the key that GetPublicKey gives.
func (n *node) verifies(m KeyMetadata, algorithm, message string, signature []byte) bool {
	n.t.Helper()
	out := must(n.GetPublicKey(n.t.Context(), owner, GetPublicKey{KeyId: m.KeyId}))(n.t)
	if out.KeyId != m.Arn || out.KeySpec != m.KeySpec || !slices.Equal(out.SigningAlgorithms, m.SigningAlgorithms) {
		n.t.Errorf("public key %+v", out)
	}
	key, err := x509.ParsePKIXPublicKey(out.PublicKey)
	if err != nil {
		n.t.Fatal(err)
	}
	digest := hashed(algorithm, message)
	hash := map[int]stdcrypto.Hash{32: stdcrypto.SHA256, 48: stdcrypto.SHA384, 64: stdcrypto.SHA512}[len(digest)]
	switch k := key.(type) {
	case *rsa.PublicKey:
		if strings.HasPrefix(algorithm, "RSASSA_PSS") {
			return rsa.VerifyPSS(k, hash, digest, signature, &rsa.PSSOptions{SaltLength: len(digest)}) == nil
		}
		return rsa.VerifyPKCS1v15(k, hash, digest, signature) == nil
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(k, digest, signature)
	case ed25519.PublicKey:
		if algorithm == "ED25519_SHA_512" {
			return ed25519.Verify(k, []byte(message), signature)
		}
		return ed25519.VerifyWithOptions(k, digest, signature, &ed25519.Options{Hash: stdcrypto.SHA512}) == nil
	}
	return false
}

func TestSigningIsRefused(t *testing.T) {
	n := newNode(t)
	p256, mac, plain := n.keyOf("ECC_NIST_P256", SignVerify), n.keyOf("HMAC_256", GenerateVerifyMAC), n.key()
	good := Sign{KeyId: p256.KeyId, Message: text("x"), SigningAlgorithm: "ECDSA_SHA_256"}
	for name, c := range map[string]struct {
		change  func(in *Sign)
		kind    fault.Kind
		message string
	}{
		"no message":        {func(in *Sign) { in.Message = secret.Bytes{} }, Validation, "1 validation error detected: Value at 'message' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		"4097 bytes":        {func(in *Sign) { in.Message = secret.Random(4097) }, Validation, "1 validation error detected: Value at 'message' failed to satisfy constraint: Member must have length less than or equal to 4096"},
		"no algorithm":      {func(in *Sign) { in.SigningAlgorithm = "" }, Validation, "1 validation error detected: Value null at 'signingAlgorithm' failed to satisfy constraint: Member must not be null"},
		"unknown algorithm": {func(in *Sign) { in.SigningAlgorithm = "RSA" }, Validation, ""},
		"unknown kind":      {func(in *Sign) { in.MessageType = "TEXT" }, Validation, ""},
		"a short digest":    {func(in *Sign) { in.MessageType, in.Message = "DIGEST", secret.Random(31) }, Validation, "Digest is invalid length for algorithm ECDSA_SHA_256."},
		"an external mu":    {func(in *Sign) { in.MessageType, in.Message = "EXTERNAL_MU", secret.Random(64) }, Validation, "MessageType EXTERNAL_MU is not valid for algorithm ECDSA_SHA_256."},
		"another spec's":    {func(in *Sign) { in.SigningAlgorithm = "ECDSA_SHA_384" }, InvalidKeyUsage, "Algorithm ECDSA_SHA_384 is incompatible with key spec ECC_NIST_P256."},
		"symmetric key":     {func(in *Sign) { in.KeyId = plain.KeyId }, InvalidKeyUsage, plain.Arn + " key usage is ENCRYPT_DECRYPT which is not valid for Sign."},
		"HMAC key":          {func(in *Sign) { in.KeyId = mac.KeyId }, InvalidKeyUsage, mac.Arn + " key usage is GENERATE_VERIFY_MAC which is not valid for Sign."},
		"dry run":           {func(in *Sign) { in.DryRun = true }, DryRun, ""},
		"grant tokens":      {func(in *Sign) { in.GrantTokens = []string{"x"} }, InvalidGrantToken, ""},
	} {
		in := good
		c.change(&in)
		_, err := n.Sign(t.Context(), owner, in)
		refused(t, name, err, c.kind, c.message)
	}
	_, err := n.Sign(t.Context(), alice, good)
	refused(t, "a user", err, AccessDenied, "")
	_, err = n.Verify(t.Context(), owner, Verify{KeyId: p256.KeyId, Message: text("x"), SigningAlgorithm: "ECDSA_SHA_256"})
	refused(t, "no signature", err, Validation, "1 validation error detected: Value null at 'signature' failed to satisfy constraint: Member must not be null")

	_, err = n.GenerateMac(t.Context(), owner, GenerateMac{KeyId: mac.KeyId, Message: text("x"), MacAlgorithm: "HMAC_SHA_512"})
	refused(t, "another MAC", err, InvalidKeyUsage, "Algorithm HMAC_SHA_512 is incompatible with key spec HMAC_256.")
	_, err = n.GenerateMac(t.Context(), owner, GenerateMac{KeyId: mac.KeyId, Message: text("x"), MacAlgorithm: "HMAC_SHA_256", DryRun: true})
	refused(t, "dry run of a MAC", err, DryRun, "")
	_, err = n.GetPublicKey(t.Context(), owner, GetPublicKey{KeyId: mac.KeyId})
	refused(t, "public key of an HMAC key", err, UnsupportedOperation, "")

	must(n.DisableKey(t.Context(), owner, KeyOnly{p256.KeyId}))(t)
	_, err = n.Sign(t.Context(), owner, good)
	refused(t, "disabled", err, Disabled, p256.Arn+" is disabled.")
	if _, err := n.GetPublicKey(t.Context(), owner, GetPublicKey{KeyId: p256.KeyId}); err != nil {
		t.Errorf("public key of a disabled key: %v", err)
	}
}

// Keys that are not symmetric rotate never, are no keys of S3's, and no alias moves
// between them and others.
func TestOtherKeysAreNotSymmetric(t *testing.T) {
	n, ctx := newNode(t), t.Context()
	plain := n.key()
	for _, other := range []KeyMetadata{n.keyOf("HMAC_256", GenerateVerifyMAC), n.keyOf("ECC_NIST_P256", SignVerify), n.keyOf("RSA_2048", EncryptDecrypt)} {
		_, err := n.EnableKeyRotation(ctx, owner, EnableKeyRotation{KeyId: other.KeyId})
		refused(t, "rotation", err, UnsupportedOperation, "")
		_, err = n.RotateKeyOnDemand(ctx, owner, KeyOnly{other.KeyId})
		refused(t, "rotation on demand", err, UnsupportedOperation, "")
		_, err = n.GenerateDataKey(ctx, owner, GenerateDataKey{KeyId: other.KeyId, KeySpec: "AES_256"})
		refused(t, "a data key", err, InvalidKeyUsage, "")
		_, _, err = n.ViaS3().GenerateDataKey(ctx, owner, other.Arn, nil, "")
		refused(t, "a data key for S3", err, InvalidKeyUsage, "")
		for _, class := range []Class{Generate, Decrypt} {
			refused(t, "S3's check", n.ViaS3().Check(ctx, owner, class, other.Arn, nil), InvalidKeyUsage, "")
		}
		refused(t, "upkeep's check", n.ForService().Usable(ctx, other.Arn), InvalidKeyUsage, "")

		alias := "alias/" + other.KeyId
		must(n.CreateAlias(ctx, owner, CreateAlias{alias, plain.KeyId}))(t)
		_, err = n.UpdateAlias(ctx, owner, UpdateAlias{alias, other.KeyId})
		refused(t, "alias", err, Validation, "")
	}
	if _, err := n.ListKeyRotations(ctx, owner, ListKeyRotations{KeyId: n.keyOf("HMAC_224", GenerateVerifyMAC).KeyId}); !errors.Is(err, UnsupportedOperation) {
		t.Errorf("rotations of an HMAC key: %v", err)
	}
}
