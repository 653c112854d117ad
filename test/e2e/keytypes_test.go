// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/test/coffertest"
)

// keyOf makes a key of a spec and returns what it is described as.
func keyOf(s *coffertest.Server, spec types.KeySpec, usage types.KeyUsageType) *types.KeyMetadata {
	s.T.Helper()
	return do(s.T, s.KMS.CreateKey, &kms.CreateKeyInput{KeySpec: spec, KeyUsage: usage}).KeyMetadata
}

// testSignatures: every algorithm of every key that signs, against the standard
// library with the public key that the server gives.
func testSignatures(t *testing.T, s *coffertest.Server) {
	message := []byte("pay 100 to bearer")
	h256, h384, h512 := sha256.Sum256(message), sha512.Sum384(message), sha512.Sum512(message)
	hashes := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}
	digests := map[string][]byte{"256": h256[:], "384": h384[:], "512": h512[:]}
	for _, spec := range []types.KeySpec{"RSA_2048", "ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521", "ECC_NIST_EDWARDS25519"} {
		key := keyOf(s, spec, "SIGN_VERIFY")
		public := do(t, s.KMS.GetPublicKey, &kms.GetPublicKeyInput{KeyId: key.Arn})
		parsed, err := x509.ParsePKIXPublicKey(public.PublicKey)
		if err != nil || len(public.SigningAlgorithms) != len(key.SigningAlgorithms) {
			t.Fatalf("%s: %v, %v", spec, err, public.SigningAlgorithms)
		}
		for _, algorithm := range key.SigningAlgorithms {
			bits := string(algorithm[len(algorithm)-3:])
			in := &kms.SignInput{KeyId: key.KeyId, Message: message, SigningAlgorithm: algorithm}
			if strings.Contains(string(algorithm), "_PH_") {
				in.Message, in.MessageType = digests[bits], "DIGEST"
			}
			signed := do(t, s.KMS.Sign, in)
			good := false
			switch k := parsed.(type) {
			case *rsa.PublicKey:
				if strings.Contains(string(algorithm), "PSS") {
					good = rsa.VerifyPSS(k, hashes[bits], digests[bits], signed.Signature, nil) == nil
				} else {
					good = rsa.VerifyPKCS1v15(k, hashes[bits], digests[bits], signed.Signature) == nil
				}
			case *ecdsa.PublicKey:
				good = ecdsa.VerifyASN1(k, digests[bits], signed.Signature)
			case ed25519.PublicKey:
				o := &ed25519.Options{}
				if in.MessageType != "" {
					o.Hash = crypto.SHA512
				}
				good = ed25519.VerifyWithOptions(k, in.Message, signed.Signature, o) == nil
			}
			if !good || *signed.KeyId != *key.Arn || signed.SigningAlgorithm != algorithm {
				t.Errorf("%s: the signature is not the public key's, or %+v", algorithm, signed)
			}
			check := &kms.VerifyInput{KeyId: key.Arn, Message: in.Message, MessageType: in.MessageType, Signature: signed.Signature, SigningAlgorithm: algorithm}
			if !do(t, s.KMS.Verify, check).SignatureValid {
				t.Errorf("%s is not verified", algorithm)
			}
			check.Signature = bytes.Clone(signed.Signature)
			check.Signature[10] ^= 1
			fails(t, s.KMS.Verify, check, 400, "KMSInvalidSignatureException", "")
		}
	}
}

func testMACs(t *testing.T, s *coffertest.Server) {
	for _, spec := range []types.KeySpec{"HMAC_224", "HMAC_256", "HMAC_384", "HMAC_512"} {
		key := keyOf(s, spec, "GENERATE_VERIFY_MAC")
		if len(key.MacAlgorithms) != 1 || key.CurrentKeyMaterialId != nil {
			t.Fatalf("%s: %+v", spec, key)
		}
		message := bytes.Repeat([]byte("m"), 4096)
		mac := do(t, s.KMS.GenerateMac, &kms.GenerateMacInput{KeyId: key.Arn, Message: message, MacAlgorithm: key.MacAlgorithms[0]})
		in := &kms.VerifyMacInput{KeyId: key.Arn, Message: message, Mac: mac.Mac, MacAlgorithm: key.MacAlgorithms[0]}
		if !do(t, s.KMS.VerifyMac, in).MacValid {
			t.Errorf("%s is not verified", spec)
		}
		in.Message = message[1:]
		fails(t, s.KMS.VerifyMac, in, 400, "KMSInvalidMacException", "")
	}
}

func testEncryptWithRSA(t *testing.T, s *coffertest.Server) {
	key := keyOf(s, "RSA_2048", "ENCRYPT_DECRYPT")
	const oaep = types.EncryptionAlgorithmSpecRsaesOaepSha256
	enc := do(t, s.KMS.Encrypt, &kms.EncryptInput{KeyId: key.KeyId, Plaintext: bytes.Repeat([]byte("p"), 190), EncryptionAlgorithm: oaep})
	dec := do(t, s.KMS.Decrypt, &kms.DecryptInput{KeyId: key.Arn, CiphertextBlob: enc.CiphertextBlob, EncryptionAlgorithm: oaep})
	if len(dec.Plaintext) != 190 || dec.KeyMaterialId != nil || dec.EncryptionAlgorithm != oaep || len(enc.CiphertextBlob) != 256 {
		t.Errorf("encrypted %+v, decrypted %+v", enc, dec)
	}
	fails(t, s.KMS.Encrypt, &kms.EncryptInput{KeyId: key.KeyId, Plaintext: make([]byte, 191), EncryptionAlgorithm: oaep}, 400, "ValidationException",
		"Algorithm RSAES_OAEP_SHA_256 and key spec RSA_2048 cannot encrypt data larger than 190 bytes.")
	fails(t, s.KMS.Encrypt, &kms.EncryptInput{KeyId: key.KeyId, Plaintext: []byte("x")}, 400, "InvalidKeyUsageException", "Algorithm SYMMETRIC_DEFAULT is incompatible with key spec RSA_2048.")
	moved := do(t, s.KMS.ReEncrypt, &kms.ReEncryptInput{
		CiphertextBlob: enc.CiphertextBlob, SourceKeyId: key.Arn, SourceEncryptionAlgorithm: oaep, DestinationKeyId: aws.String(s.Key()),
	})
	if dec := do(t, s.KMS.Decrypt, &kms.DecryptInput{CiphertextBlob: moved.CiphertextBlob}); len(dec.Plaintext) != 190 {
		t.Errorf("re-encrypted to %+v", dec)
	}
	recorded := 0
	for _, r := range s.Audit() {
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Resources) > 0 && r.Resources[0].ARN == *key.Arn {
			recorded++
			if bytes.Contains(text, []byte("ppp")) || bytes.Contains(text, []byte("cHBwc")) || bytes.Contains(text, []byte("707070")) {
				t.Errorf("a record shows the plaintext: %s", text)
			}
		}
	}
	if recorded < 5 {
		t.Errorf("%d records of the key", recorded)
	}
}

func testKeyPairsAndAgreement(t *testing.T, s *coffertest.Server) {
	key := s.Key()
	pair := do(t, s.KMS.GenerateDataKeyPair, &kms.GenerateDataKeyPairInput{KeyId: &key, KeyPairSpec: "RSA_2048"})
	private, err := x509.ParsePKCS8PrivateKey(pair.PrivateKeyPlaintext)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.ParsePKIXPublicKey(pair.PublicKey)
	if err != nil || !public.(*rsa.PublicKey).Equal(private.(*rsa.PrivateKey).Public()) {
		t.Errorf("no pair: %v", err)
	}
	hidden := do(t, s.KMS.GenerateDataKeyPairWithoutPlaintext, &kms.GenerateDataKeyPairWithoutPlaintextInput{KeyId: &key, KeyPairSpec: "ECC_NIST_P384"})
	opened := do(t, s.KMS.Decrypt, &kms.DecryptInput{CiphertextBlob: hidden.PrivateKeyCiphertextBlob}).Plaintext
	if private, err = x509.ParsePKCS8PrivateKey(opened); err != nil {
		t.Fatal(err)
	}
	mine, err := private.(*ecdsa.PrivateKey).ECDH()
	if err != nil {
		t.Fatal(err)
	}
	agreeing := keyOf(s, "ECC_NIST_P384", "KEY_AGREEMENT")
	if public, err = x509.ParsePKIXPublicKey(do(t, s.KMS.GetPublicKey, &kms.GetPublicKeyInput{KeyId: agreeing.Arn}).PublicKey); err != nil {
		t.Fatal(err)
	}
	theirs, err := public.(*ecdsa.PublicKey).ECDH()
	if err != nil {
		t.Fatal(err)
	}
	want, err := mine.ECDH(theirs)
	if err != nil {
		t.Fatal(err)
	}
	got := do(t, s.KMS.DeriveSharedSecret, &kms.DeriveSharedSecretInput{KeyId: agreeing.Arn, KeyAgreementAlgorithm: "ECDH", PublicKey: hidden.PublicKey})
	if !bytes.Equal(got.SharedSecret, want) {
		t.Error("the two sides do not agree")
	}
}

// testOtherKeysAreNotS3s: SSE-KMS takes symmetric encryption keys alone.
func testOtherKeysAreNotS3s(t *testing.T, s *coffertest.Server) {
	s.Bucket("not-symmetric", "", "", false)
	for _, key := range []*types.KeyMetadata{
		keyOf(s, "RSA_2048", "ENCRYPT_DECRYPT"), keyOf(s, "ECC_NIST_P256", "SIGN_VERIFY"), keyOf(s, "HMAC_256", "GENERATE_VERIFY_MAC"),
	} {
		for _, bucketKey := range []bool{false, true} {
			fails(t, s.S3.PutObject, &s3.PutObjectInput{
				Bucket: aws.String("not-symmetric"), Key: aws.String("k"), Body: strings.NewReader("x"),
				ServerSideEncryption: s3types.ServerSideEncryptionAwsKms, SSEKMSKeyId: key.Arn, BucketKeyEnabled: &bucketKey,
			}, 400, "KMS.InvalidKeyUsageException", *key.Arn)
		}
	}
}

// A private key is as much at home after a restart, and is found nowhere in what
// the server keeps.
func TestKeysOutliveTheServer(t *testing.T) {
	t.Parallel()
	s := start(t)
	key := keyOf(s, "ECC_NIST_P256", "SIGN_VERIFY")
	digest := make([]byte, 32)
	if _, err := rand.Read(digest); err != nil {
		t.Fatal(err)
	}
	s.Restart()
	signed := do(t, s.KMS.Sign, &kms.SignInput{KeyId: key.Arn, Message: digest, MessageType: "DIGEST", SigningAlgorithm: "ECDSA_SHA_256"})
	public, err := x509.ParsePKIXPublicKey(do(t, s.KMS.GetPublicKey, &kms.GetPublicKeyInput{KeyId: key.Arn}).PublicKey)
	if err != nil || !ecdsa.VerifyASN1(public.(*ecdsa.PublicKey), digest, signed.Signature) {
		t.Errorf("after a restart the key signs as another: %v", err)
	}
}

// testMultiRegionKeys: their ids have a form of their own, wherever a key is named.
func testMultiRegionKeys(t *testing.T, s *coffertest.Server) {
	key := do(t, s.KMS.CreateKey, &kms.CreateKeyInput{MultiRegion: aws.Bool(true)}).KeyMetadata
	c := describe(s, *key.Arn).MultiRegionConfiguration
	if !strings.HasPrefix(*key.KeyId, "mrk-") || !strings.HasSuffix(*key.Arn, ":key/"+*key.KeyId) || c == nil ||
		c.MultiRegionKeyType != types.MultiRegionKeyTypePrimary || *c.PrimaryKey.Arn != *key.Arn || *c.PrimaryKey.Region != "us-east-1" || len(c.ReplicaKeys) != 0 {
		t.Errorf("made as %+v, %+v", key, c)
	}
	blob := do(t, s.KMS.Encrypt, &kms.EncryptInput{KeyId: key.KeyId, Plaintext: []byte("x")}).CiphertextBlob
	if dec := do(t, s.KMS.Decrypt, &kms.DecryptInput{CiphertextBlob: blob}); *dec.KeyId != *key.Arn {
		t.Errorf("decrypted under %s", *dec.KeyId)
	}
	s.Bucket("multi-region", "aws:kms", *key.KeyId, true)
	s.Put("multi-region", "k", "an object")
	if body, out := s.Get("multi-region", "k"); body != "an object" || *out.SSEKMSKeyId != *key.Arn {
		t.Errorf("reads %q under %s", body, *out.SSEKMSKeyId)
	}
	for _, replicate := range []string{"ReplicateKey", "UpdatePrimaryRegion"} {
		kmsCall(s, replicate, `{"KeyId":"`+*key.KeyId+`","ReplicaRegion":"eu-west-1","PrimaryRegion":"eu-west-1"}`).refused(t, replicate, 400, "UnsupportedOperationException", "Replicas of multi-Region keys")
	}
}
