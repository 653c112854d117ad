// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
)

const wrongKey = "The key ID in the request does not identify a CMK that can perform this operation."

func TestDataKeyComesBack(t *testing.T) {
	n := newNode(t)
	k := n.key()
	ec := Context{"tenant": "t-17", "dept": "legal"}
	for name, c := range map[string]struct {
		in   GenerateDataKey
		size int
	}{
		"AES_256":    {GenerateDataKey{KeySpec: "AES_256"}, 32},
		"AES_128":    {GenerateDataKey{KeySpec: "AES_128"}, 16},
		"one byte":   {GenerateDataKey{NumberOfBytes: ptr(1)}, 1},
		"1024 bytes": {GenerateDataKey{NumberOfBytes: ptr(1024)}, 1024},
	} {
		c.in.KeyId, c.in.EncryptionContext = k.KeyId, ec
		made, err := n.GenerateDataKey(t.Context(), owner, c.in)
		if err != nil || made.Plaintext.Len() != c.size || made.KeyId != k.Arn || made.KeyMaterialId != k.CurrentKeyMaterialId {
			t.Errorf("%s: %d bytes under %s, %v", name, made.Plaintext.Len(), made.KeyId, err)
			continue
		}
		got, err := n.Decrypt(t.Context(), owner, DecryptCiphertext{CiphertextBlob: made.CiphertextBlob, EncryptionContext: Context{"dept": "legal", "tenant": "t-17"}})
		if err != nil || !got.Plaintext.Equal(made.Plaintext) || got.KeyId != k.Arn || got.EncryptionAlgorithm != SymmetricDefault || got.KeyMaterialId != made.KeyMaterialId {
			t.Errorf("%s does not come back: %+v, %v", name, got, err)
		}
	}
	without, err := n.GenerateDataKeyWithoutPlaintext(t.Context(), owner, GenerateDataKeyWithoutPlaintext{KeyId: k.KeyId, KeySpec: "AES_256"})
	if err != nil || without.Plaintext.Len() != 0 {
		t.Fatalf("without plaintext: %d bytes, %v", without.Plaintext.Len(), err)
	}
	if got := must(n.Decrypt(t.Context(), owner, DecryptCiphertext{CiphertextBlob: without.CiphertextBlob}))(t); got.Plaintext.Len() != 32 || bytes.Equal(got.Plaintext.Reveal(), make([]byte, 32)) {
		t.Errorf("the key without plaintext is %d bytes, or zeros", got.Plaintext.Len())
	}
}

func TestDecryptRefuses(t *testing.T) {
	n := newNode(t)
	k, other := n.key(), n.key()
	ec := Context{"a": "bc"}
	blob := n.encrypt(k.KeyId, "hello", ec)
	flipped := bytes.Clone(blob)
	flipped[len(flipped)-1] ^= 1
	theirs := must(n.CreateKey(t.Context(), stranger, CreateKey{}))(t)
	foreignBlob := must(n.Encrypt(t.Context(), stranger, Encrypt{KeyId: theirs.KeyId, Plaintext: secret.New([]byte("x"))}))(t).CiphertextBlob
	unknown := bytes.Clone(blob)
	unknown[8] ^= 1 // names a key that is not there
	for name, c := range map[string]struct {
		in      DecryptCiphertext
		kind    fault.Kind
		message string
	}{
		"garbage":                        {DecryptCiphertext{CiphertextBlob: []byte("garbage"), EncryptionContext: ec}, InvalidCiphertext, ""},
		"flipped bit":                    {DecryptCiphertext{CiphertextBlob: flipped, EncryptionContext: ec}, InvalidCiphertext, ""},
		"cut off":                        {DecryptCiphertext{CiphertextBlob: blob[:len(blob)-1], EncryptionContext: ec}, InvalidCiphertext, ""},
		"no context":                     {DecryptCiphertext{CiphertextBlob: blob}, InvalidCiphertext, ""},
		"another pair":                   {DecryptCiphertext{CiphertextBlob: blob, EncryptionContext: Context{"ab": "c"}}, InvalidCiphertext, ""},
		"a pair more":                    {DecryptCiphertext{CiphertextBlob: blob, EncryptionContext: Context{"a": "bc", "d": "e"}}, InvalidCiphertext, ""},
		"another case":                   {DecryptCiphertext{CiphertextBlob: blob, EncryptionContext: Context{"a": "BC"}}, InvalidCiphertext, ""},
		"another key":                    {DecryptCiphertext{CiphertextBlob: blob, EncryptionContext: ec, KeyId: other.KeyId}, IncorrectKey, wrongKey},
		"another key, key unknown":       {DecryptCiphertext{CiphertextBlob: unknown, EncryptionContext: ec, KeyId: k.KeyId}, IncorrectKey, wrongKey},
		"missing key":                    {DecryptCiphertext{CiphertextBlob: blob, EncryptionContext: ec, KeyId: "alias/none"}, NotFound, ""},
		"of a key that is not there":     {DecryptCiphertext{CiphertextBlob: unknown, EncryptionContext: ec}, AccessDenied, "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access."},
		"of another account's key":       {DecryptCiphertext{CiphertextBlob: foreignBlob}, AccessDenied, ""},
		"RSA":                            {DecryptCiphertext{CiphertextBlob: blob, EncryptionContext: ec, EncryptionAlgorithm: "RSAES_OAEP_SHA_256"}, InvalidKeyUsage, ""},
		"no ciphertext":                  {DecryptCiphertext{}, Validation, "1 validation error detected: Value null at 'ciphertextBlob' failed to satisfy constraint: Member must not be null"},
		"ciphertext over 6144":           {DecryptCiphertext{CiphertextBlob: make([]byte, 6145)}, Validation, "1 validation error detected: Value at 'ciphertextBlob' failed to satisfy constraint: Member must have length less than or equal to 6144"},
		"a grant token":                  {DecryptCiphertext{CiphertextBlob: blob, GrantTokens: []string{"x"}}, InvalidGrantToken, ""},
		"eleven grant tokens":            {DecryptCiphertext{CiphertextBlob: blob, GrantTokens: make([]string, 11)}, Validation, ""},
		"recipient":                      {DecryptCiphertext{CiphertextBlob: blob, Recipient: &Recipient{}}, UnsupportedOperation, ""},
		"ignored ciphertext without key": {DecryptCiphertext{DryRun: true, DryRunModifiers: []string{"IGNORE_CIPHERTEXT"}}, Validation, ""},
	} {
		_, err := n.Decrypt(t.Context(), owner, c.in)
		refused(t, name, err, c.kind, c.message)
		if e, ok := fault.As(err); ok && c.kind == InvalidCiphertext && e.Message != "" {
			t.Errorf("%s: message %q, KMS sends none", name, e.Message)
		}
	}
}

func TestEncryptLimits(t *testing.T) {
	n := newNode(t)
	k := n.key()
	blob := n.encrypt(k.KeyId, strings.Repeat("x", 4096), nil)
	if got := must(n.Decrypt(t.Context(), owner, DecryptCiphertext{CiphertextBlob: blob, KeyId: k.Arn}))(t); got.Plaintext.Len() != 4096 {
		t.Errorf("%d bytes came back", got.Plaintext.Len())
	}
	_, err := n.Encrypt(t.Context(), owner, Encrypt{KeyId: k.KeyId, Plaintext: secret.New(make([]byte, 4097))})
	refused(t, "4097 bytes", err, Validation, "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: Member must have length less than or equal to 4096")
	_, err = n.Encrypt(t.Context(), owner, Encrypt{KeyId: k.KeyId})
	refused(t, "no plaintext", err, Validation, "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: Member must have length greater than or equal to 1")
	_, err = n.Encrypt(t.Context(), owner, Encrypt{KeyId: k.KeyId, Plaintext: secret.New([]byte("x")), EncryptionContext: Context{"a": "\xff"}})
	refused(t, "context that is no UTF-8", err, Validation, "")
}

func TestDataKeySizes(t *testing.T) {
	n := newNode(t)
	k := n.key()
	for name, c := range map[string]struct {
		in      GenerateDataKey
		message string
	}{
		"both":       {GenerateDataKey{KeySpec: "AES_256", NumberOfBytes: ptr(32)}, "Please specify either number of bytes or key spec."},
		"neither":    {GenerateDataKey{}, "Please specify either number of bytes or key spec."},
		"zero":       {GenerateDataKey{NumberOfBytes: ptr(0)}, "1 validation error detected: Value '0' at 'numberOfBytes' failed to satisfy constraint: Member must have value greater than or equal to 1"},
		"too many":   {GenerateDataKey{NumberOfBytes: ptr(1025)}, "1 validation error detected: Value '1025' at 'numberOfBytes' failed to satisfy constraint: Member must have value less than or equal to 1024"},
		"wrong spec": {GenerateDataKey{KeySpec: "AES_192"}, "1 validation error detected: Value 'AES_192' at 'keySpec' failed to satisfy constraint: Member must satisfy enum value set: [AES_256, AES_128]"},
	} {
		c.in.KeyId = k.KeyId
		_, err := n.GenerateDataKey(t.Context(), owner, c.in)
		refused(t, name, err, Validation, c.message)
	}
}

func TestGenerateRandom(t *testing.T) {
	n := newNode(t)
	a := must(n.GenerateRandom(t.Context(), owner, GenerateRandom{NumberOfBytes: ptr(64)}))(t)
	b := must(n.GenerateRandom(t.Context(), owner, GenerateRandom{NumberOfBytes: ptr(64)}))(t)
	if a.Plaintext.Len() != 64 || a.Plaintext.Equal(b.Plaintext) {
		t.Errorf("%d random bytes, or the same twice", a.Plaintext.Len())
	}
	for _, c := range []struct {
		bytes   *int
		message string
	}{
		{nil, "NumberOfBytes is required."},
		{ptr(0), "1 validation error detected: Value '0' at 'numberOfBytes' failed to satisfy constraint: Member must have value greater than or equal to 1"},
		{ptr(1025), "1 validation error detected: Value '1025' at 'numberOfBytes' failed to satisfy constraint: Member must have value less than or equal to 1024"},
	} {
		_, err := n.GenerateRandom(t.Context(), owner, GenerateRandom{NumberOfBytes: c.bytes})
		refused(t, "random bytes", err, Validation, c.message)
	}
}

func TestReEncrypt(t *testing.T) {
	n := newNode(t)
	from, to := n.key(), n.key()
	old, fresh := Context{"tenant": "old"}, Context{"tenant": "new"}
	blob := n.encrypt(from.KeyId, "hello", old)
	in := ReEncrypt{CiphertextBlob: blob, SourceEncryptionContext: old, DestinationKeyId: to.KeyId, DestinationEncryptionContext: fresh}
	got := must(n.ReEncrypt(t.Context(), owner, in))(t)
	if got.SourceKeyId != from.Arn || got.KeyId != to.Arn || got.SourceKeyMaterialId != from.CurrentKeyMaterialId || got.DestinationKeyMaterialId != to.CurrentKeyMaterialId {
		t.Errorf("unexpected answer %+v", got)
	}
	opened := must(n.Decrypt(t.Context(), owner, DecryptCiphertext{CiphertextBlob: got.CiphertextBlob, EncryptionContext: fresh, KeyId: to.KeyId}))(t)
	if string(opened.Plaintext.Reveal()) != "hello" {
		t.Error("another plaintext came back")
	}
	in.SourceKeyId = to.KeyId
	_, err := n.ReEncrypt(t.Context(), owner, in)
	refused(t, "wrong source key", err, IncorrectKey, wrongKey)
	in.SourceKeyId, in.SourceEncryptionContext = "", fresh
	_, err = n.ReEncrypt(t.Context(), owner, in)
	refused(t, "wrong source context", err, InvalidCiphertext, "")
	must(n.DisableKey(t.Context(), owner, KeyOnly{to.KeyId}))(t)
	in.SourceEncryptionContext = old
	_, err = n.ReEncrypt(t.Context(), owner, in)
	refused(t, "disabled destination", err, Disabled, to.Arn+" is disabled.")
}

func TestDryRunDoesNothing(t *testing.T) {
	n := newNode(t)
	k := n.key()
	blob := n.encrypt(k.KeyId, "x", nil)
	const text = "The request would have succeeded, but the DryRun option is set."
	calls := map[string]func() error{
		"Encrypt": func() error {
			out, err := n.Encrypt(t.Context(), owner, Encrypt{KeyId: k.KeyId, Plaintext: secret.New([]byte("x")), DryRun: true})
			return noted(err, len(out.CiphertextBlob))
		},
		"Decrypt": func() error {
			out, err := n.Decrypt(t.Context(), owner, DecryptCiphertext{CiphertextBlob: blob, DryRun: true})
			return noted(err, out.Plaintext.Len())
		},
		"Decrypt without ciphertext": func() error {
			_, err := n.Decrypt(t.Context(), owner, DecryptCiphertext{KeyId: k.KeyId, DryRun: true, DryRunModifiers: []string{"IGNORE_CIPHERTEXT"}})
			return err
		},
		"GenerateDataKey": func() error {
			out, err := n.GenerateDataKey(t.Context(), owner, GenerateDataKey{KeyId: k.KeyId, KeySpec: "AES_256", DryRun: true})
			return noted(err, out.Plaintext.Len())
		},
		"ReEncrypt": func() error {
			_, err := n.ReEncrypt(t.Context(), owner, ReEncrypt{CiphertextBlob: blob, DestinationKeyId: k.KeyId, DryRun: true})
			return err
		},
	}
	for name, call := range calls {
		refused(t, name, call(), DryRun, text)
	}
	_, err := n.Decrypt(t.Context(), owner, DecryptCiphertext{CiphertextBlob: blob, EncryptionContext: Context{"a": "b"}, DryRun: true})
	refused(t, "a dry run that would have failed", err, InvalidCiphertext, "")
	must(n.DisableKey(t.Context(), owner, KeyOnly{k.KeyId}))(t)
	for name, call := range calls {
		refused(t, name+" with a disabled key", call(), Disabled, k.Arn+" is disabled.")
	}
}

func noted(err error, n int) error {
	if n > 0 {
		return fmt.Errorf("a dry run answered %d bytes", n)
	}
	return err
}
