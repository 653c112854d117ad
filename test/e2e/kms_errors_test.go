// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cofferstore/coffer/test/coffertest"
)

// testKMSRequestsThatAreRefused: each with the name, and the text, that clients
// of KMS look for.
func testKMSRequestsThatAreRefused(t *testing.T, s *coffertest.Server) {
	key := s.Key()
	const (
		missing = "11111111-2222-3333-4444-555555555555"
		arn     = "arn:aws:kms:us-east-1:" + coffertest.Account + ":"
		long    = "failed to satisfy constraint: Member must have length less than or equal to "
	)
	for _, c := range []struct{ operation, body, code, text string }{
		{"DescribeKey", `{"KeyId":"nonsense"}`, "NotFoundException", "Invalid keyId 'nonsense'"},
		{"DescribeKey", `{"KeyId":"` + strings.ReplaceAll(missing, "-", "") + `"}`, "NotFoundException", "Invalid keyId '"},
		{"DescribeKey", `{"KeyId":"` + missing + `"}`, "NotFoundException", "Key '" + arn + "key/" + missing + "' does not exist"},
		{"DescribeKey", `{"KeyId":"mrk-00000000000000000000000000000000"}`, "NotFoundException", "Key '" + arn + "key/mrk-00000000000000000000000000000000' does not exist"},
		{"DescribeKey", `{"KeyId":"arn:aws:kms:eu-west-1:000000000001:key/` + missing + `"}`, "NotFoundException", "Invalid arn eu-west-1"},
		{"DescribeKey", `{"KeyId":"arn:aws:kms"}`, "InvalidArnException", "arn:aws:kms is not a valid ARN."},
		{"DescribeKey", `{"KeyId":"alias/nothing"}`, "NotFoundException", "Alias " + arn + "alias/nothing is not found."},
		{"DescribeKey", `{}`, "ValidationException", "1 validation error detected: Value null at 'keyId' failed to satisfy constraint: Member must not be null"},
		{"DescribeKey", `{"KeyId":"` + key + `","GrantTokens":["x"]}`, "InvalidGrantTokenException", ""},
		{"DisableKey", `{"KeyId":"alias/nothing"}`, "NotFoundException", "Invalid keyId 'alias/nothing'"},
		{"DisableKey", `{"KeyId":"` + arn + `alias/nothing"}`, "InvalidArnException", "is not the ARN of a key."},

		{"Encrypt", `{"KeyId":"` + key + `","Plaintext":""}`, "ValidationException", "Value at 'plaintext' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"Encrypt", `{"KeyId":"` + key + `","Plaintext":"` + b64(make([]byte, 4097)) + `"}`, "ValidationException", "1 validation error detected: Value at 'plaintext' " + long + "4096"},
		{"Encrypt", `{"KeyId":"` + key + `","Plaintext":"eA==","EncryptionAlgorithm":"ROT13"}`, "ValidationException", "Value 'ROT13' at 'encryptionAlgorithm' failed to satisfy constraint: Member must satisfy enum value set: [SYMMETRIC_DEFAULT, "},
		{"Encrypt", `{"KeyId":"` + key + `","Plaintext":"eA==","EncryptionAlgorithm":"RSAES_OAEP_SHA_1"}`, "InvalidKeyUsageException", ""},
		{"Encrypt", `{"KeyId":"` + key + `","Plaintext":"eA==","EncryptionContext":{"a":1}}`, "SerializationException", "EncryptionContext"},
		{"Encrypt", `{"KeyId":"` + key + `","Plaintext":"not base64"}`, "SerializationException", "Plaintext is not base64."},
		{"Encrypt", `{"KeyId":7,"Plaintext":"eA=="}`, "SerializationException", "KeyId is not a string."},
		{"Encrypt", `{"KeyId":"` + key + `","Plaintext":"eA==","EncryptionContext":{"k":"` + strings.Repeat("v", 9000) + `"}}`, "ValidationException", ""},
		{"Encrypt", `{"KeyId":"","Plaintext":"","GrantTokens":[""]}`, "ValidationException", "3 validation errors detected: "},
		{"Decrypt", `{}`, "ValidationException", "at 'ciphertextBlob'"},
		{"Decrypt", `{"CiphertextBlob":"` + b64(make([]byte, 6145)) + `"}`, "ValidationException", "Value at 'ciphertextBlob' " + long + "6144"},
		{"GenerateDataKey", `{"KeyId":"` + key + `"}`, "ValidationException", "Please specify either number of bytes or key spec."},
		{"GenerateDataKey", `{"KeyId":"` + key + `","KeySpec":"AES_256","NumberOfBytes":32}`, "ValidationException", "Please specify either number of bytes or key spec."},
		{"GenerateDataKey", `{"KeyId":"` + key + `","NumberOfBytes":1025}`, "ValidationException", "less than or equal to 1024"},
		{"GenerateDataKey", `{"KeyId":"` + key + `","KeySpec":"AES_256","Recipient":{}}`, "UnsupportedOperationException", "Recipient is not supported."},
		{"GenerateRandom", `{"NumberOfBytes":0}`, "ValidationException", "Value '0' at 'numberOfBytes' failed to satisfy constraint: Member must have value greater than or equal to 1"},
		{"GenerateRandom", `{"NumberOfBytes":1025}`, "ValidationException", "Member must have value less than or equal to 1024"},
		{"GenerateRandom", `{}`, "ValidationException", "NumberOfBytes is required."},

		{"CreateKey", `{"KeySpec":"RSA_2048"}`, "ValidationException", "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys."},
		{"CreateKey", `{"KeySpec":"ECC_SECG_P256K1","KeyUsage":"SIGN_VERIFY"}`, "UnsupportedOperationException", "Keys of KeySpec ECC_SECG_P256K1 are not supported."},
		{"CreateKey", `{"KeySpec":"RSA_2048","KeyUsage":"KEY_AGREEMENT"}`, "ValidationException", "KeyUsage KEY_AGREEMENT is not compatible with KeySpec RSA_2048"},
		{"Sign", `{"KeyId":"` + key + `","Message":"eA==","SigningAlgorithm":"ECDSA_SHA_256"}`, "InvalidKeyUsageException", "key usage is ENCRYPT_DECRYPT which is not valid for Sign."},
		{"Sign", `{"KeyId":"` + key + `","Message":"` + b64(make([]byte, 4097)) + `","SigningAlgorithm":"ECDSA_SHA_256"}`, "ValidationException", "1 validation error detected: Value at 'message' " + long + "4096"},
		{"Verify", `{"KeyId":"` + key + `","Message":"eA==","SigningAlgorithm":"ECDSA_SHA_256"}`, "ValidationException", "Value null at 'signature' failed to satisfy constraint: Member must not be null"},
		{"GenerateMac", `{"KeyId":"` + key + `","Message":"eA==","MacAlgorithm":"HMAC_SHA_1"}`, "ValidationException", "Value 'HMAC_SHA_1' at 'macAlgorithm' failed to satisfy constraint"},
		{"GetPublicKey", `{"KeyId":"` + key + `"}`, "UnsupportedOperationException", "is not an asymmetric key"},
		{"CreateKey", `{"KeySpec":"DES"}`, "ValidationException", "1 validation error detected: Value 'DES' at 'keySpec' failed to satisfy constraint: Member must satisfy enum value set: ["},
		{"CreateKey", `{"Origin":"AWS_CLOUDHSM"}`, "UnsupportedOperationException", "AWS_CLOUDHSM"},
		{"CreateKey", `{"Description":"` + strings.Repeat("d", 8193) + `"}`, "ValidationException", "at 'description' " + long + "8192"},
		{"CreateKey", `{"Policy":"{"}`, "MalformedPolicyDocumentException", ""},
		{"CreateKey", `{"Tags":[{"TagKey":"aws:a","TagValue":"b"}]}`, "TagException", "Tags beginning with aws: are reserved"},
		{"PutKeyPolicy", `{"KeyId":"` + key + `","Policy":"{\"Statement\":[]}"}`, "MalformedPolicyDocumentException", ""},
		{"PutKeyPolicy", `{"KeyId":"` + key + `","Policy":"` + strings.Repeat(" ", 33<<10) + `"}`, "LimitExceededException", ""},
		{"GetKeyPolicy", `{"KeyId":"` + key + `","PolicyName":"other"}`, "NotFoundException", "No such policy exists"},
		{"CreateAlias", `{"AliasName":"main","TargetKeyId":"` + key + `"}`, "ValidationException", `Alias must start with the prefix "alias/".`},
		{"CreateAlias", `{"AliasName":"alias/a b","TargetKeyId":"` + key + `"}`, "ValidationException", "Member must satisfy regular expression pattern"},
		{"CreateAlias", `{"AliasName":"alias/aws/main","TargetKeyId":"` + key + `"}`, "InvalidAliasNameException", ""},
		{"ScheduleKeyDeletion", `{"KeyId":"` + key + `","PendingWindowInDays":6}`, "ValidationException", "Value '6' at 'pendingWindowInDays' failed to satisfy constraint: Member must have value greater than or equal to 7"},
		{"ListKeys", `{"Limit":0}`, "ValidationException", "at 'limit'"},
		{"ListKeys", `{"Marker":"nonsense"}`, "InvalidMarkerException", ""},
		{"ListAliases", `{"KeyId":"` + missing + `"}`, "NotFoundException", "does not exist"},

		{"ListKeys", `{"Limit":`, "SerializationException", ""},
		{"ListKeys", `[]`, "SerializationException", ""},
		{"ListKeys", "\xff", "SerializationException", ""},
		{"Frobnicate", `{}`, "UnknownOperationException", ""},
	} {
		a := kmsCall(s, c.operation, c.body)
		what := c.operation + " " + c.body[:min(len(c.body), 100)]
		if c.text == "" && strings.Contains(a.body, `"message"`) { // some text
			c.text = " "
		}
		a.refused(t, what, 400, c.code, c.text)
	}
	if m := describe(s, key); m.KeyState != "Enabled" {
		t.Errorf("the key is %s", m.KeyState)
	}
	big := kmsCall(s, "ListKeys", `{"x":"`+strings.Repeat("x", 2<<20)+`"}`)
	big.refused(t, "a long document", 413, "RequestEntityTooLargeException", "too large")
}

func TestKMSSignaturesThatAreRefused(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, c := range []struct {
		name       string
		edit       func(*request)
		code, text string
	}{
		{"none", func(r *request) { r.anonymous = true }, "MissingAuthenticationTokenException", "Missing Authentication Token"},
		{"another secret", func(r *request) { r.secret = "another secret of some length" }, "InvalidSignatureException", "The request signature we calculated does not match"},
		{"an unknown key", func(r *request) { r.key = "AKIANOBODY0000000000" }, "UnrecognizedClientException", "The security token included in the request is invalid."},
		{"S3's", func(r *request) { r.service = "s3" }, "InvalidSignatureException", "incorrect service"},
		{"another region", func(r *request) { r.region = "eu-west-1" }, "InvalidSignatureException", "eu-west-1"},
		{"an old one", func(r *request) { r.at = time.Now().Add(-time.Hour) }, "InvalidSignatureException", "Signature expired"},
		{"of another body", func(r *request) { r.hash = hexSum([]byte("{} ")) }, "InvalidSignatureException", "does not match"},
		{"version 2", func(r *request) {
			r.anonymous, r.unsigned = true, []string{"Authorization", "AWS x:y"}
		}, "IncompleteSignatureException", "not supported"},
	} {
		kmsCall(s, "CreateKey", "{}", c.edit).refused(t, c.name, 400, c.code, c.text)
	}
	// The table of operations is for POST on / alone.
	for _, edit := range []func(*request){
		func(r *request) { r.method = "GET"; r.body = "" }, func(r *request) { r.target = "/vault" },
	} {
		kmsCall(s, "ListKeys", "{}", edit).refused(t, "elsewhere", 400, "UnknownOperationException", "")
	}
	if a := kmsCall(s, "ListKeys", ""); a.status != 200 || !strings.Contains(a.body, `"Keys":[]`) {
		t.Errorf("no document: %d %s, and keys were made", a.status, a.body)
	}
	for _, r := range s.Audit() {
		if r.EventName == "CreateKey" && r.UserIdentity.AccountID != "anonymous" {
			t.Errorf("recorded: %s", fmt.Sprint(r))
		}
	}
}
