// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/cofferstore/coffer/test/coffertest"
)

func testEncryptAndDecrypt(t *testing.T, s *coffertest.Server) {
	key := s.Key()
	for name, plaintext := range map[string][]byte{"a byte": {0}, "a data key": bytes.Repeat([]byte("k"), 32), "the most": bytes.Repeat([]byte("p"), 4096)} {
		enc := do(t, s.KMS.Encrypt, &kms.EncryptInput{KeyId: aws.String(keyIDOf(key)), Plaintext: plaintext})
		if *enc.KeyId != key || enc.EncryptionAlgorithm != "SYMMETRIC_DEFAULT" || len(enc.CiphertextBlob) > 6144 || bytes.Contains(enc.CiphertextBlob, plaintext) && len(plaintext) > 1 {
			t.Errorf("%s: %+v", name, enc)
		}
		again := do(t, s.KMS.Encrypt, &kms.EncryptInput{KeyId: &key, Plaintext: plaintext})
		if bytes.Equal(enc.CiphertextBlob, again.CiphertextBlob) {
			t.Errorf("%s: the same ciphertext twice", name)
		}
		dec := do(t, s.KMS.Decrypt, &kms.DecryptInput{CiphertextBlob: enc.CiphertextBlob, KeyId: &key})
		if !bytes.Equal(dec.Plaintext, plaintext) || *dec.KeyId != key || dec.EncryptionAlgorithm != "SYMMETRIC_DEFAULT" || *dec.KeyMaterialId != *describe(s, key).CurrentKeyMaterialId {
			t.Errorf("%s: %+v", name, dec)
		}
	}
	// A damaged ciphertext is refused without a word of why, and one that names a
	// key that is not there as if it were another's.
	blob := do(t, s.KMS.Encrypt, &kms.EncryptInput{KeyId: &key, Plaintext: []byte("x")}).CiphertextBlob
	foreign := 0
	for i := range blob {
		bad := bytes.Clone(blob)
		bad[i] ^= 1
		a := kmsCall(s, "Decrypt", fmt.Sprintf(`{"CiphertextBlob":%q}`, b64(bad)))
		if strings.Contains(a.body, "AccessDeniedException") {
			foreign++
			a.refused(t, fmt.Sprint("byte ", i), 400, "AccessDeniedException", "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.")
		} else {
			a.refused(t, fmt.Sprint("byte ", i), 400, "InvalidCiphertextException", "")
		}
	}
	if foreign != 16 { // a key's id
		t.Errorf("%d bytes name a key", foreign)
	}
	for _, bad := range [][]byte{[]byte("x"), blob[:len(blob)-1], append(bytes.Clone(blob), 0)} {
		kmsCall(s, "Decrypt", fmt.Sprintf(`{"CiphertextBlob":%q}`, b64(bad))).refused(t, fmt.Sprint(len(bad), " bytes"), 400, "InvalidCiphertextException", "")
	}
	fails(t, s.KMS.Decrypt, &kms.DecryptInput{CiphertextBlob: blob, KeyId: aws.String(s.Key())}, 400, "IncorrectKeyException", "does not identify a CMK")
}

func testEncryptionContexts(t *testing.T, s *coffertest.Server) {
	key, second := s.Key(), s.Key()
	context := map[string]string{"tenant": "t-17", "ünï": "\u2028 \"<&>\"", "a": "bc"}
	enc := do(t, s.KMS.Encrypt, &kms.EncryptInput{KeyId: &key, Plaintext: []byte("x"), EncryptionContext: context})
	if out := do(t, s.KMS.Decrypt, &kms.DecryptInput{CiphertextBlob: enc.CiphertextBlob, EncryptionContext: context}); string(out.Plaintext) != "x" {
		t.Errorf("decrypts to %q", out.Plaintext)
	}
	for name, other := range map[string]string{
		"none":             `{}`,
		"a pair less":      `{"tenant":"t-17","a":"bc"}`,
		"another value":    `{"tenant":"t-18","ünï":"\u2028 \"<&>\"","a":"bc"}`,
		"another case":     `{"Tenant":"t-17","ünï":"\u2028 \"<&>\"","a":"bc"}`,
		"pairs cut anew":   `{"tenant":"t-17","ünï":"\u2028 \"<&>\"","ab":"c"}`,
		"a pair more":      `{"tenant":"t-17","ünï":"\u2028 \"<&>\"","a":"bc","b":""}`,
		"another spelling": `{"tenant":"t-17","u\u0308ni\u0308":"\u2028 \"<&>\"","a":"bc"}`,
	} {
		kmsCall(s, "Decrypt", fmt.Sprintf(`{"CiphertextBlob":%q,"EncryptionContext":%s}`, b64(enc.CiphertextBlob), other)).refused(t, name, 400, "InvalidCiphertextException", "")
	}
	// ReEncrypt moves a ciphertext to another key and another context.
	re := do(t, s.KMS.ReEncrypt, &kms.ReEncryptInput{
		CiphertextBlob: enc.CiphertextBlob, SourceEncryptionContext: context, SourceKeyId: &key,
		DestinationKeyId: &second, DestinationEncryptionContext: map[string]string{"b": "2"},
	})
	if *re.SourceKeyId != key || *re.KeyId != second || re.SourceEncryptionAlgorithm != "SYMMETRIC_DEFAULT" || re.DestinationEncryptionAlgorithm != "SYMMETRIC_DEFAULT" ||
		*re.SourceKeyMaterialId != *describe(s, key).CurrentKeyMaterialId || *re.DestinationKeyMaterialId != *describe(s, second).CurrentKeyMaterialId {
		t.Errorf("re-encrypted %+v", re)
	}
	if out := do(t, s.KMS.Decrypt, &kms.DecryptInput{CiphertextBlob: re.CiphertextBlob, EncryptionContext: map[string]string{"b": "2"}}); string(out.Plaintext) != "x" || *out.KeyId != second {
		t.Errorf("decrypts to %q under %s", out.Plaintext, *out.KeyId)
	}
	fails(t, s.KMS.Decrypt, &kms.DecryptInput{CiphertextBlob: re.CiphertextBlob, EncryptionContext: context}, 400, "InvalidCiphertextException", "")
	fails(t, s.KMS.ReEncrypt, &kms.ReEncryptInput{CiphertextBlob: enc.CiphertextBlob, DestinationKeyId: &second}, 400, "InvalidCiphertextException", "")
	fails(t, s.KMS.ReEncrypt, &kms.ReEncryptInput{CiphertextBlob: enc.CiphertextBlob, SourceEncryptionContext: context, SourceKeyId: &second, DestinationKeyId: &key}, 400, "IncorrectKeyException", "")
	// Under the same key and context it is another ciphertext all the same.
	same := do(t, s.KMS.ReEncrypt, &kms.ReEncryptInput{CiphertextBlob: enc.CiphertextBlob, SourceEncryptionContext: context, DestinationKeyId: &key, DestinationEncryptionContext: context})
	if bytes.Equal(same.CiphertextBlob, enc.CiphertextBlob) {
		t.Error("re-encrypted to the same ciphertext")
	}
}

func testDataKeys(t *testing.T, s *coffertest.Server) {
	key := s.Key()
	context := map[string]string{"a": "b"}
	for _, c := range []struct {
		spec types.DataKeySpec
		n    *int32
		want int
	}{{"AES_256", nil, 32}, {"AES_128", nil, 16}, {"", aws.Int32(1), 1}, {"", aws.Int32(1024), 1024}} {
		out := do(t, s.KMS.GenerateDataKey, &kms.GenerateDataKeyInput{KeyId: &key, KeySpec: c.spec, NumberOfBytes: c.n, EncryptionContext: context})
		if len(out.Plaintext) != c.want || *out.KeyId != key || len(aws.ToString(out.KeyMaterialId)) != 64 {
			t.Errorf("%s %v: %d bytes under %s", c.spec, c.n, len(out.Plaintext), *out.KeyId)
		}
		if dec := do(t, s.KMS.Decrypt, &kms.DecryptInput{CiphertextBlob: out.CiphertextBlob, EncryptionContext: context}); !bytes.Equal(dec.Plaintext, out.Plaintext) {
			t.Errorf("%s %v: opens to another key", c.spec, c.n)
		}
		hidden := do(t, s.KMS.GenerateDataKeyWithoutPlaintext, &kms.GenerateDataKeyWithoutPlaintextInput{KeyId: &key, KeySpec: c.spec, NumberOfBytes: c.n, EncryptionContext: context})
		if dec := do(t, s.KMS.Decrypt, &kms.DecryptInput{CiphertextBlob: hidden.CiphertextBlob, EncryptionContext: context}); len(dec.Plaintext) != c.want {
			t.Errorf("%s %v without plaintext: %d bytes", c.spec, c.n, len(dec.Plaintext))
		}
	}
	a := kmsCall(s, "GenerateDataKeyWithoutPlaintext", fmt.Sprintf(`{"KeyId":%q,"KeySpec":"AES_256"}`, key))
	if a.status != 200 || strings.Contains(a.body, "Plaintext") {
		t.Errorf("without plaintext: %s", a.body)
	}
	if out := do(t, s.KMS.GenerateRandom, &kms.GenerateRandomInput{NumberOfBytes: aws.Int32(1024)}); len(out.Plaintext) != 1024 {
		t.Errorf("%d random bytes", len(out.Plaintext))
	}
}

// testDryRun: everything is checked, nothing is done, and that is an error.
func testDryRun(t *testing.T, s *coffertest.Server) {
	key, disabled := s.Key(), s.Key()
	blob := b64(do(t, s.KMS.Encrypt, &kms.EncryptInput{KeyId: &key, Plaintext: []byte("x")}).CiphertextBlob)
	s.DisableKey(disabled)
	for _, c := range []struct{ operation, body string }{
		{"Encrypt", `{"KeyId":%q,"Plaintext":"eA==","DryRun":true}`},
		{"GenerateDataKey", `{"KeyId":%q,"KeySpec":"AES_256","DryRun":true}`},
		{"GenerateDataKeyWithoutPlaintext", `{"KeyId":%q,"KeySpec":"AES_256","DryRun":true}`},
		{"ReEncrypt", `{"DestinationKeyId":%q,"CiphertextBlob":"` + blob + `","DryRun":true}`},
		{"Decrypt", `{"KeyId":%q,"DryRun":true,"DryRunModifiers":["IGNORE_CIPHERTEXT"]}`},
	} {
		kmsCall(s, c.operation, fmt.Sprintf(c.body, key)).refused(t, c.operation, 400, "DryRunOperationException", "The request would have succeeded, but the DryRun option is set.")
		kmsCall(s, c.operation, fmt.Sprintf(c.body, disabled)).refused(t, c.operation, 400, "DisabledException", disabled+" is disabled.")
	}
	kmsCall(s, "Decrypt", `{"CiphertextBlob":"`+blob+`","DryRun":true}`).refused(t, "Decrypt", 400, "DryRunOperationException", "would have succeeded")
	kmsCall(s, "Decrypt", `{"CiphertextBlob":"`+blob+`","DryRun":true,"EncryptionContext":{"a":"b"}}`).refused(t, "Decrypt in another context", 400, "InvalidCiphertextException", "")
}

// TestKMSRequestsOfS3: what S3 asks of KMS it asks as its caller, for the object.
func TestKMSRequestsOfS3(t *testing.T) {
	t.Parallel()
	s := start(t)
	key := s.Key()
	s.Bucket("vault", "aws:kms", key, false)
	s.Put("vault", "a/b ü", "x")
	s.Get("vault", "a/b ü")
	n := s.KMSRequests()
	if got := fmt.Sprint(contexts(n)); got != "[GenerateDataKey arn:aws:s3:::vault/a/b ü Decrypt arn:aws:s3:::vault/a/b ü]" {
		t.Errorf("requests %s", got)
	}
	for _, r := range n {
		if r.UserIdentity.AccountID != coffertest.Account || r.UserIdentity.InvokedBy != "fas.s3.amazonaws.com" || r.SourceIPAddress != "fas.s3.amazonaws.com" ||
			r.UserAgent != "fas.s3.amazonaws.com" || !r.ReadOnly || !r.ManagementEvent || len(r.Resources) != 1 || r.Resources[0].ARN != key || r.TLSDetails != nil {
			t.Errorf("record %+v", r)
		}
	}
	// A disabled key hides the data, and the checksum, which is of the data; not
	// what is known besides.
	etag := request{method: "HEAD", target: "/vault/a/b%20%C3%BC"}.do(s).header.Get("Etag")
	s.DisableKey(key)
	for _, c := range []struct {
		method  string
		headers []string
		status  int
	}{
		{"HEAD", nil, 200}, {"HEAD", []string{"X-Amz-Checksum-Mode", "ENABLED"}, 400}, {"GET", nil, 400}, {"GET", []string{"If-None-Match", etag}, 304},
		{"GET", []string{"Range", "bytes=9-"}, 416}, {"DELETE", nil, 204},
	} {
		if a := (request{method: c.method, target: "/vault/a/b%20%C3%BC", headers: c.headers}).do(s); a.status != c.status {
			t.Errorf("%s %v under a disabled key: %d %s", c.method, c.headers, a.status, a.body)
		}
	}
}
