// SPDX-License-Identifier: Apache-2.0

package kmsapi

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/fault/faulttest"
)

// TestEveryKindHasACode reads the kinds that the packages below raise from their
// sources.
func TestEveryKindHasACode(t *testing.T) {
	found := 0
	for _, dir := range []string{
		".", "../pipeline", "../sigv4", "../../core/kms", "../../core/iam", "../../core/audit", "../../link/keystore", "../../store/meta",
	} {
		for kind := range faulttest.Declared(t, dir) {
			if strings.HasPrefix(string(kind), "iam operation:") { // not of a caller, but of a call to IAM
				continue
			}
			found++
			if _, known := codes[kind]; !known {
				t.Errorf("no code for %q", kind)
			}
		}
	}
	if found < 50 {
		t.Errorf("found %d kinds: the sources were not read", found)
	}
}

// TestCodesAgreeWithCore compares the table with the names that core records for
// the requests that S3 makes.
func TestCodesAgreeWithCore(t *testing.T) {
	for kind, code := range codes {
		if !strings.HasPrefix(string(kind), "kms: ") {
			continue
		}
		name := code.Code
		if n, ok := onTheWire[name]; ok {
			name = n
		}
		if want := kms.ErrorName(kind); name != want {
			t.Errorf("%s is %s, and core calls it %s", kind, name, want)
		}
	}
}

// TestErrors sees errors as a client does.
func TestErrors(t *testing.T) {
	s, ctx := newStation(t), t.Context()
	id, arn := s.key()
	_, otherARN := s.key()
	noKey := "arn:aws:kms:" + region + ":" + home + ":key/1234abcd-12ab-34cd-56ef-1234567890ab"
	blob := ok(s.Encrypt(ctx, &sdk.EncryptInput{KeyId: &id, Plaintext: []byte("x")}))(s).CiphertextBlob
	describe := func(name string) error {
		_, err := s.DescribeKey(ctx, &sdk.DescribeKeyInput{KeyId: &name})
		return err
	}
	decrypt := func(in sdk.DecryptInput) error {
		_, err := s.Decrypt(ctx, &in)
		return err
	}
	refused(t, describe("nobody"), "NotFoundException", "Invalid keyId 'nobody'")
	refused(t, describe(noKey), "NotFoundException", "Key '"+noKey+"' does not exist")
	refused(t, describe("alias/none"), "NotFoundException", "Alias arn:aws:kms:"+region+":"+home+":alias/none is not found.")
	refused(t, describe("arn:aws:kms:us-east-1:"+home+":key/"+id), "NotFoundException", "Invalid arn us-east-1")
	refused(t, decrypt(sdk.DecryptInput{CiphertextBlob: []byte("garbage")}), "InvalidCiphertextException", "")
	if got := string(s.last.body); got != `{"__type":"InvalidCiphertextException"}` {
		t.Errorf("without a message the answer is %s", got)
	}
	refused(t, decrypt(sdk.DecryptInput{CiphertextBlob: blob, EncryptionContext: map[string]string{"a": "b"}}), "InvalidCiphertextException", "")
	refused(t, decrypt(sdk.DecryptInput{CiphertextBlob: blob, KeyId: &otherARN}), "IncorrectKeyException",
		"The key ID in the request does not identify a CMK that can perform this operation.")
	refused(t, decrypt(sdk.DecryptInput{CiphertextBlob: blob, DryRun: aws.Bool(true)}), "DryRunOperationException",
		"The request would have succeeded, but the DryRun option is set.")
	_, err := s.Encrypt(ctx, &sdk.EncryptInput{KeyId: &id, Plaintext: make([]byte, 4097)})
	refused(t, err, "ValidationException", "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: Member must have length less than or equal to 4096")
	_, err = s.Sign(ctx, &sdk.SignInput{KeyId: &id, Message: []byte("x"), SigningAlgorithm: "ECDSA_SHA_256"})
	refused(t, err, "InvalidKeyUsageException", arn+" key usage is ENCRYPT_DECRYPT which is not valid for Sign.")
	_, err = s.RevokeGrant(ctx, &sdk.RevokeGrantInput{KeyId: &id, GrantId: aws.String("x")})
	refused(t, err, "InvalidGrantIdException", "Grant ID x not found")
	_, err = s.UpdatePrimaryRegion(ctx, &sdk.UpdatePrimaryRegionInput{KeyId: &id, PrimaryRegion: aws.String("us-east-1")})
	refused(t, err, "UnsupportedOperationException", "Replicas of multi-Region keys: not supported by Coffer.")

	ok(s.DisableKey(ctx, &sdk.DisableKeyInput{KeyId: &id}))(s)
	refused(t, decrypt(sdk.DecryptInput{CiphertextBlob: blob}), "DisabledException", arn+" is disabled.")
	ok(s.ScheduleKeyDeletion(ctx, &sdk.ScheduleKeyDeletionInput{KeyId: &id}))(s)
	refused(t, decrypt(sdk.DecryptInput{CiphertextBlob: blob}), "KMSInvalidStateException", arn+" is pending deletion.")
	if s.last.status != 400 || s.last.header.Get("Content-Type") != "application/x-amz-json-1.1" ||
		s.last.header.Get("X-Amzn-Errortype") != "KMSInvalidStateException" {
		t.Errorf("an error is %d with %v", s.last.status, s.last.header)
	}

	_, err = s.as("AKIAABROAD", password).DescribeKey(ctx, &sdk.DescribeKeyInput{KeyId: &otherARN})
	refused(t, err, "AccessDeniedException", "User: arn:aws:iam::"+abroad+":root is not authorized to perform: kms:DescribeKey on this resource because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access")
	_, err = s.as("AKIANOBODY", password).ListKeys(ctx, &sdk.ListKeysInput{})
	refused(t, err, "UnrecognizedClientException", "The security token included in the request is invalid.")
	_, err = s.as("AKIAHOME", password+"!").ListKeys(ctx, &sdk.ListKeysInput{})
	refused(t, err, "InvalidSignatureException", "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.")
}

// TestRequestsThatNoSDKSends has requests as a client's author would get wrong.
func TestRequestsThatNoSDKSends(t *testing.T) {
	s := newStation(t)
	id, _ := s.key()
	data := `{"KeyId":"` + id + `",`
	deep := strings.Repeat("[", 17) + strings.Repeat("]", 17)
	tests := []struct{ operation, document, peer, code, says string }{
		{"ListKeys", "", loopback, "", ""},
		{"ListKeys", "{}", loopback, "", ""},
		{"ListKeys", `{"Limit":null,"limit":"a","Unknown":[{"a":1}]}`, loopback, "", ""},
		{"ListKeys", "{}", "203.0.113.9:40000", "ValidationException", "secure connection"},
		{"ListEverything", "{}", loopback, "UnknownOperationException", ""},
		{"", "{}", loopback, "UnknownOperationException", ""},
		{"ListKeys", "[]", loopback, "SerializationException", "The document is not a JSON object."},
		{"ListKeys", "{} {}", loopback, "SerializationException", "The document is not a JSON object."},
		{"ListKeys", "{\"a\":\"\xff\"}", loopback, "SerializationException", "UTF-8"},
		{"ListKeys", `{"a":` + deep + `}`, loopback, "SerializationException", "deep"},
		{"ListKeys", `{"Limit":"10"}`, loopback, "SerializationException", "Limit is not an integer."},
		{"ListKeys", `{"Limit":1.5}`, loopback, "SerializationException", "Limit is not an integer."},
		{"ListKeys", `{"Marker":1}`, loopback, "SerializationException", "Marker is not a string."},
		{"ListKeys", `{"Marker":"` + strings.Repeat("x", 1<<20) + `"}`, loopback, "RequestEntityTooLargeException", ""},
		{"CreateKey", `{"MultiRegion":"true"}`, loopback, "SerializationException", "MultiRegion is neither true nor false."},
		{"CreateKey", `{"Tags":{"a":"b"}}`, loopback, "SerializationException", "Tags is not a list."},
		{"CreateKey", `{"Tags":["a"]}`, loopback, "SerializationException", "Tags is not a JSON object."},
		{"CreateKey", `{"Tags":[null]}`, loopback, "SerializationException", "null"},
		{"Encrypt", data + `"Plaintext":"@@"}`, loopback, "SerializationException", "Plaintext is not base64."},
		{"Encrypt", data + `"Plaintext":"YQ"}`, loopback, "SerializationException", "Plaintext is not base64."},
		{"Encrypt", data + `"Plaintext":97}`, loopback, "SerializationException", "Plaintext is not a string."},
		{"Encrypt", data + `"Plaintext":""}`, loopback, "ValidationException", "greater than or equal to 1"},
		{"Encrypt", data + `"Plaintext":"YQ=="}`, loopback, "", ""},
		{"Encrypt", data + `"Plaintext":"\/\/8="}`, loopback, "", ""},
		{"Encrypt", data + `"Plaintext":"YQ==","EncryptionContext":{"n":1}}`, loopback, "SerializationException", "EncryptionContext is not a map of strings."},
		{"Encrypt", data + `"Plaintext":"YQ==","EncryptionContext":{"n":null}}`, loopback, "SerializationException", "null"},
		{"Encrypt", data + `"Plaintext":"YQ==","EncryptionContext":{"n":"\ud83d\ude00"}}`, loopback, "", ""},
		{"Encrypt", data + `"Plaintext":"YQ==","EncryptionContext":{"n":"\\ud83d"}}`, loopback, "", ""},
		{"Encrypt", data + `"Plaintext":"YQ==","EncryptionContext":{"n":"\ud83d"}}`, loopback, "SerializationException", "escape"},
		{"Encrypt", data + `"Plaintext":"YQ==","EncryptionContext":{"n":"\ude00\ud83d"}}`, loopback, "SerializationException", "escape"},
	}
	for _, test := range tests {
		w := s.post(test.operation, test.document, test.peer)
		what := test.operation + " " + test.document[:min(len(test.document), 80)]
		body := w.Body.String()
		if test.code == "" {
			if w.Code != 200 {
				t.Errorf("%s: %d %s", what, w.Code, body)
			}
			continue
		}
		if w.Code < 400 || w.Header().Get("X-Amzn-Errortype") != test.code || !strings.Contains(body, test.says) {
			t.Errorf("%s: %d %s, want %s that says %q", what, w.Code, body, test.code, test.says)
		}
		if _, err := uuid.Parse(w.Header().Get("X-Amzn-Requestid")); err != nil {
			t.Errorf("%s: the request id: %v", what, err)
		}
	}
}

// unread is a body that nobody may read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body of a stranger was read")
	return 0, io.EOF
}

func TestNobodyReadsAStrangersBody(t *testing.T) {
	s := newStation(t)
	for authorization, want := range map[string]string{
		"": "MissingAuthenticationTokenException",
		"AWS4-HMAC-SHA256 Credential=AKIASTRANGER/" + time.Now().UTC().Format("20060102") + "/" + region +
			"/kms/aws4_request, SignedHeaders=host;x-amz-date;x-amz-target, Signature=00": "UnrecognizedClientException",
	} {
		r := httptest.NewRequest(http.MethodPost, "/", unread{t})
		r.Header.Set("X-Amz-Target", "TrentService.Encrypt")
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
			r.Header.Set("X-Amz-Date", time.Now().UTC().Format("20060102T150405Z"))
		}
		w := httptest.NewRecorder()
		s.road.ServeHTTP(w, r)
		if got := w.Header().Get("X-Amzn-Errortype"); got != want {
			t.Errorf("%.30q: %s, want %s", authorization, got, want)
		}
	}
}

func TestCredentialFailures(t *testing.T) {
	for kind, want := range map[fault.Kind]string{
		iam.NoSuchAccessKey: "UnrecognizedClientException",
		iam.ExpiredToken:    "ExpiredTokenException",
		iam.InvalidToken:    "UnrecognizedClientException",
	} {
		if got := codes[kind]; got.Status != 400 || got.Code != want || got.Message == "" {
			t.Errorf("%s: %+v, want %s", kind, got, want)
		}
	}
}
