// SPDX-License-Identifier: Apache-2.0

package kms

import (
	stdcrypto "crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"testing"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
)

func TestDataKeyPairs(t *testing.T) {
	n, ctx := newNode(t), t.Context()
	k, ec := n.key(), Context{"tenant": "t-17"}
	for _, spec := range []string{"RSA_2048", "ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521", "ECC_NIST_EDWARDS25519"} {
		in := GenerateDataKeyPair{KeyId: k.KeyId, KeyPairSpec: spec, EncryptionContext: ec}
		pair := must(n.GenerateDataKeyPair(ctx, owner, in))(t)
		private, err := x509.ParsePKCS8PrivateKey(pair.PrivateKeyPlaintext.Reveal())
		if err != nil {
			t.Fatalf("%s: %v", spec, err)
		}
		public, err := x509.ParsePKIXPublicKey(pair.PublicKey)
		if err != nil {
			t.Fatalf("%s: %v", spec, err)
		}
		if !public.(interface {
			Equal(stdcrypto.PublicKey) bool
		}).Equal(private.(stdcrypto.Signer).Public()) {
			t.Errorf("%s: the two keys are no pair", spec)
		}
		if pair.KeyId != k.Arn || pair.KeyPairSpec != spec || pair.KeyMaterialId != n.describe(k.KeyId).CurrentKeyMaterialId {
			t.Errorf("%s: %+v", spec, pair)
		}
		opened := must(n.Decrypt(ctx, owner, DecryptCiphertext{CiphertextBlob: pair.PrivateKeyCiphertextBlob, EncryptionContext: ec}))(t)
		if !opened.Plaintext.Equal(pair.PrivateKeyPlaintext) {
			t.Errorf("%s: the ciphertext opens to another key", spec)
		}
	}
	hidden := must(n.GenerateDataKeyPairWithoutPlaintext(ctx, owner, GenerateDataKeyPairWithoutPlaintext{KeyId: k.KeyId, KeyPairSpec: "ECC_NIST_P256"}))(t)
	if hidden.PrivateKeyPlaintext.Len() != 0 || len(hidden.PublicKey) == 0 {
		t.Errorf("without plaintext: %+v", hidden)
	}
	opened := must(n.Decrypt(ctx, owner, DecryptCiphertext{CiphertextBlob: hidden.PrivateKeyCiphertextBlob}))(t)
	if _, err := x509.ParsePKCS8PrivateKey(opened.Plaintext.Reveal()); err != nil {
		t.Errorf("what was hidden is no private key: %v", err)
	}

	rsa := n.keyOf("RSA_2048", EncryptDecrypt)
	for name, c := range map[string]struct {
		in   GenerateDataKeyPair
		kind fault.Kind
		text string
	}{
		"no spec":                   {GenerateDataKeyPair{KeyId: k.KeyId}, Validation, "1 validation error detected: Value null at 'keyPairSpec' failed to satisfy constraint: Member must not be null"},
		"no such spec":              {GenerateDataKeyPair{KeyId: k.KeyId, KeyPairSpec: "RSA_1024"}, Validation, ""},
		"a curve that there is not": {GenerateDataKeyPair{KeyId: k.KeyId, KeyPairSpec: "ECC_SECG_P256K1"}, UnsupportedOperation, "Keys of KeySpec ECC_SECG_P256K1 are not supported."},
		"under an RSA key":          {GenerateDataKeyPair{KeyId: rsa.KeyId, KeyPairSpec: "RSA_2048"}, InvalidKeyUsage, ""},
		"dry run":                   {GenerateDataKeyPair{KeyId: k.KeyId, KeyPairSpec: "RSA_4096", DryRun: true}, DryRun, ""},
		"for an enclave":            {GenerateDataKeyPair{KeyId: k.KeyId, KeyPairSpec: "RSA_2048", Recipient: &Recipient{}}, UnsupportedOperation, ""},
	} {
		_, err := n.GenerateDataKeyPair(ctx, owner, c.in)
		refused(t, name, err, c.kind, c.text)
	}
}

func TestDeriveSharedSecret(t *testing.T) {
	n, ctx := newNode(t), t.Context()
	for spec, curve := range map[string]ecdh.Curve{"ECC_NIST_P256": ecdh.P256(), "ECC_NIST_P384": ecdh.P384(), "ECC_NIST_P521": ecdh.P521()} {
		k := n.keyOf(spec, KeyAgreement)
		public, err := x509.ParsePKIXPublicKey(must(n.GetPublicKey(ctx, owner, GetPublicKey{KeyId: k.KeyId}))(t).PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		ours, err := public.(*ecdsa.PublicKey).ECDH()
		if err != nil {
			t.Fatal(err)
		}
		peer, err := curve.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		want, err := peer.ECDH(ours)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKIXPublicKey(peer.PublicKey())
		if err != nil {
			t.Fatal(err)
		}
		in := DeriveSharedSecret{KeyId: k.KeyId, KeyAgreementAlgorithm: "ECDH", PublicKey: der}
		got := must(n.DeriveSharedSecret(ctx, owner, in))(t)
		if !got.SharedSecret.Equal(secret.New(want)) || got.KeyId != k.Arn || got.KeyOrigin != OriginKMS || got.KeyAgreementAlgorithm != "ECDH" {
			t.Errorf("%s: the two sides do not agree: %+v", spec, got)
		}
		in.DryRun = true
		_, err = n.DeriveSharedSecret(ctx, owner, in)
		refused(t, "dry run", err, DryRun, "")
	}
	k, signer := n.keyOf("ECC_NIST_P256", KeyAgreement), n.keyOf("ECC_NIST_P256", SignVerify)
	for name, c := range map[string]struct {
		in   DeriveSharedSecret
		kind fault.Kind
		text string
	}{
		"no public key":    {DeriveSharedSecret{KeyId: k.KeyId, KeyAgreementAlgorithm: "ECDH"}, Validation, "1 validation error detected: Value null at 'publicKey' failed to satisfy constraint: Member must not be null"},
		"garbage":          {DeriveSharedSecret{KeyId: k.KeyId, KeyAgreementAlgorithm: "ECDH", PublicKey: []byte("x")}, Validation, "PublicKey is not a public key."},
		"of another curve": {DeriveSharedSecret{KeyId: k.KeyId, KeyAgreementAlgorithm: "ECDH", PublicKey: must(n.GetPublicKey(ctx, owner, GetPublicKey{KeyId: n.keyOf("ECC_NIST_P384", KeyAgreement).KeyId}))(t).PublicKey}, Validation, "PublicKey is not a public key of ECC_NIST_P256."},
		"no algorithm":     {DeriveSharedSecret{KeyId: k.KeyId, PublicKey: []byte("x")}, Validation, ""},
		"a key that signs": {DeriveSharedSecret{KeyId: signer.KeyId, KeyAgreementAlgorithm: "ECDH", PublicKey: []byte("x")}, InvalidKeyUsage, signer.Arn + " key usage is SIGN_VERIFY which is not valid for DeriveSharedSecret."},
		"for an enclave":   {DeriveSharedSecret{KeyId: k.KeyId, KeyAgreementAlgorithm: "ECDH", PublicKey: []byte("x"), Recipient: &Recipient{}}, UnsupportedOperation, ""},
	} {
		_, err := n.DeriveSharedSecret(ctx, owner, c.in)
		refused(t, name, err, c.kind, c.text)
	}
}
