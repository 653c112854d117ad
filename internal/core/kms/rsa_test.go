// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"testing"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/fips"
	"github.com/cofferstore/coffer/internal/secret"
)

// rsaAlgorithms are those that the mode of the process allows, with how much of a
// modulus they take.
func rsaAlgorithms() map[string]int {
	all := map[string]int{"RSAES_OAEP_SHA_256": 66}
	if _, _, enforced := fips.State(); !enforced {
		all["RSAES_OAEP_SHA_1"] = 42
	}
	return all
}

// The limits of the KMS API Reference, Encrypt: 190, 318 and 446 bytes with SHA-256,
// 214, 342 and 470 with SHA-1.
func TestEncryptWithRSA(t *testing.T) {
	n, ctx := newNode(t), t.Context()
	for spec, modulus := range map[string]int{"RSA_2048": 256, "RSA_3072": 384} {
		m := n.keyOf(spec, EncryptDecrypt)
		for algorithm, overhead := range rsaAlgorithms() {
			for _, size := range []int{1, 32, modulus - overhead} {
				want := secret.Random(size)
				enc := must(n.Encrypt(ctx, owner, Encrypt{KeyId: m.KeyId, Plaintext: want, EncryptionAlgorithm: algorithm}))(t)
				if len(enc.CiphertextBlob) != modulus || enc.EncryptionAlgorithm != algorithm || enc.KeyId != m.Arn || enc.KeyMaterialId != "" {
					t.Errorf("%s, %s: %d bytes, %+v", spec, algorithm, len(enc.CiphertextBlob), enc)
				}
				dec := must(n.Decrypt(ctx, owner, DecryptCiphertext{KeyId: m.Arn, CiphertextBlob: enc.CiphertextBlob, EncryptionAlgorithm: algorithm}))(t)
				if !dec.Plaintext.Equal(want) || dec.EncryptionAlgorithm != algorithm || dec.KeyId != m.Arn || dec.KeyMaterialId != "" {
					t.Errorf("%s, %s: %d bytes come back as %d: %+v", spec, algorithm, size, dec.Plaintext.Len(), dec)
				}
			}
			_, err := n.Encrypt(ctx, owner, Encrypt{KeyId: m.KeyId, Plaintext: secret.Random(modulus - overhead + 1), EncryptionAlgorithm: algorithm})
			refused(t, "a byte too many", err, Validation, fmt.Sprintf("Algorithm %s and key spec %s cannot encrypt data larger than %d bytes.", algorithm, spec, modulus-overhead))
		}
		// What a client encrypts with the public key alone, the key decrypts.
		public, err := x509.ParsePKIXPublicKey(must(n.GetPublicKey(ctx, owner, GetPublicKey{KeyId: m.KeyId}))(t).PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		blob, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public.(*rsa.PublicKey), []byte("from outside"), nil)
		if err != nil {
			t.Fatal(err)
		}
		dec := must(n.Decrypt(ctx, owner, DecryptCiphertext{KeyId: m.KeyId, CiphertextBlob: blob, EncryptionAlgorithm: "RSAES_OAEP_SHA_256"}))(t)
		if string(dec.Plaintext.Reveal()) != "from outside" {
			t.Error("what the public key encrypted opens to something else")
		}
	}
}

func TestReEncryptWithRSA(t *testing.T) {
	n, ctx := newNode(t), t.Context()
	key, plain := n.keyOf("RSA_2048", EncryptDecrypt), n.key()
	const oaep = "RSAES_OAEP_SHA_256"
	blob := n.encrypt(plain.KeyId, "to and fro", Context{"a": "b"})
	there := must(n.ReEncrypt(ctx, owner, ReEncrypt{
		CiphertextBlob: blob, SourceEncryptionContext: Context{"a": "b"}, DestinationKeyId: key.KeyId, DestinationEncryptionAlgorithm: oaep,
	}))(t)
	if there.DestinationEncryptionAlgorithm != oaep || there.SourceEncryptionAlgorithm != SymmetricDefault || there.DestinationKeyMaterialId != "" || there.SourceKeyMaterialId == "" {
		t.Errorf("%+v", there)
	}
	back := must(n.ReEncrypt(ctx, owner, ReEncrypt{
		CiphertextBlob: there.CiphertextBlob, SourceKeyId: key.KeyId, SourceEncryptionAlgorithm: oaep, DestinationKeyId: plain.KeyId,
	}))(t)
	dec := must(n.Decrypt(ctx, owner, DecryptCiphertext{CiphertextBlob: back.CiphertextBlob}))(t)
	if string(dec.Plaintext.Reveal()) != "to and fro" {
		t.Error("what went to and fro is something else")
	}
	_, err := n.ReEncrypt(ctx, owner, ReEncrypt{
		CiphertextBlob: n.encrypt(plain.KeyId, string(make([]byte, 191)), nil), DestinationKeyId: key.KeyId, DestinationEncryptionAlgorithm: oaep,
	})
	refused(t, "191 bytes", err, Validation, "Algorithm RSAES_OAEP_SHA_256 and key spec RSA_2048 cannot encrypt data larger than 190 bytes.")
}

func TestRSAIsRefused(t *testing.T) {
	n, ctx := newNode(t), t.Context()
	key, plain := n.keyOf("RSA_2048", EncryptDecrypt), n.key()
	const oaep = "RSAES_OAEP_SHA_256"
	encrypt := func() []byte {
		return must(n.Encrypt(ctx, owner, Encrypt{KeyId: key.KeyId, Plaintext: text("x"), EncryptionAlgorithm: oaep}))(t).CiphertextBlob
	}
	blob := encrypt()
	for blob[0] != 0 { // then what is cut off is worth nothing as a number, and the length alone tells
		blob = encrypt()
	}
	for name, c := range map[string]struct {
		in      DecryptCiphertext
		kind    fault.Kind
		message string
	}{
		"no key":         {DecryptCiphertext{CiphertextBlob: blob, EncryptionAlgorithm: oaep}, Validation, "KeyId is required for ciphertexts of algorithm RSAES_OAEP_SHA_256."},
		"no algorithm":   {DecryptCiphertext{CiphertextBlob: blob, KeyId: key.KeyId}, InvalidKeyUsage, "Algorithm SYMMETRIC_DEFAULT is incompatible with key spec RSA_2048."},
		"neither":        {DecryptCiphertext{CiphertextBlob: blob}, InvalidCiphertext, ""},
		"symmetric key":  {DecryptCiphertext{CiphertextBlob: blob, KeyId: plain.KeyId, EncryptionAlgorithm: oaep}, InvalidKeyUsage, "Algorithm RSAES_OAEP_SHA_256 is incompatible with key spec SYMMETRIC_DEFAULT."},
		"a context":      {DecryptCiphertext{CiphertextBlob: blob, KeyId: key.KeyId, EncryptionAlgorithm: oaep, EncryptionContext: Context{"a": "b"}}, Validation, ""},
		"cut short":      {DecryptCiphertext{CiphertextBlob: blob[1:], KeyId: key.KeyId, EncryptionAlgorithm: oaep}, InvalidCiphertext, ""},
		"another's blob": {DecryptCiphertext{CiphertextBlob: n.encrypt(plain.KeyId, "x", nil), KeyId: key.KeyId, EncryptionAlgorithm: oaep}, InvalidCiphertext, ""},
		"dry run":        {DecryptCiphertext{CiphertextBlob: blob, KeyId: key.KeyId, EncryptionAlgorithm: oaep, DryRun: true}, DryRun, ""},
	} {
		_, err := n.Decrypt(ctx, owner, c.in)
		refused(t, name, err, c.kind, c.message)
	}
	_, err := n.Encrypt(ctx, owner, Encrypt{KeyId: key.KeyId, Plaintext: text("x"), EncryptionAlgorithm: oaep, EncryptionContext: Context{"a": "b"}})
	refused(t, "encrypt in a context", err, Validation, "An encryption context is valid only with symmetric encryption keys, and the key spec is RSA_2048.")
	if _, _, enforced := fips.State(); enforced {
		_, err := n.Encrypt(ctx, owner, Encrypt{KeyId: key.KeyId, Plaintext: text("x"), EncryptionAlgorithm: "RSAES_OAEP_SHA_1"})
		refused(t, "SHA-1 in FIPS mode", err, UnsupportedOperation, "Algorithm RSAES_OAEP_SHA_1 is not allowed in FIPS mode.")
	}
	signer := n.keyOf("RSA_2048", SignVerify)
	_, err = n.Encrypt(ctx, owner, Encrypt{KeyId: signer.KeyId, Plaintext: text("x"), EncryptionAlgorithm: oaep})
	refused(t, "a key that signs", err, InvalidKeyUsage, signer.Arn+" key usage is SIGN_VERIFY which is not valid for Encrypt.")
}
