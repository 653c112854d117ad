// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/internal/wire/opsapi"
	"github.com/cofferstore/coffer/test/coffertest"
)

// flat is a JSON document by path: "requestParameters.key", "resources.0.ARN".
type flat map[string]string

func flatten(into flat, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			flatten(into, strings.TrimPrefix(path+"."+name, "."), member)
		}
	case []any:
		for i, member := range v {
			flatten(into, fmt.Sprint(path, ".", i), member)
		}
	default:
		into[path] = fmt.Sprint(v)
	}
}

// trail returns the audit records as an operator gets them.
func trail(s *coffertest.Server) (records []flat) {
	s.T.Helper()
	err := operator(s, coffertest.SecretAccessKey).Audit(s.T.Context(), opsapi.AuditQuery{}, func(line []byte) error {
		var v any
		d := json.NewDecoder(strings.NewReader(string(line)))
		d.UseNumber()
		if err := d.Decode(&v); err != nil {
			return err
		}
		f := flat{}
		flatten(f, "", v)
		records = append(records, f)
		return nil
	})
	if err != nil {
		s.T.Fatal(err)
	}
	return records
}

// TestAuditRecords spot-checks the records of S3 and KMS calls: "*" stands for
// any value, "" for none.
func TestAuditRecords(t *testing.T) {
	t.Parallel()
	s := start(t)
	key := s.Key()
	keyID := keyIDOf(key)
	s.Bucket("vault", "aws:kms", key, true)
	s.Versioning("vault", types.BucketVersioningStatusEnabled)
	s.Put("vault", "a/b", "hello", func(in *s3.PutObjectInput) { in.ServerSideEncryption, in.SSEKMSKeyId = "aws:kms", &keyID })
	s.Get("vault", "a/b", func(in *s3.GetObjectInput) { in.Range = aws.String("bytes=1-3") })
	fails(t, s.S3.GetObject, &s3.GetObjectInput{Bucket: aws.String("vault"), Key: aws.String("missing")}, 404, "NoSuchKey", "")
	(request{method: "GET", target: "/vault/a/b", anonymous: true}).do(s)
	presigned(s, "GET", "/vault/a/b", nil, time.Now(), "60")("")
	do(t, s.S3.DeleteObjects, &s3.DeleteObjectsInput{Bucket: aws.String("vault"), Delete: &types.Delete{Objects: []types.ObjectIdentifier{
		{Key: aws.String("a/b")}, {Key: aws.String("c"), VersionId: aws.String("nonsense")},
	}}})
	context := map[string]string{"tenant": "t-17"}
	enc := do(t, s.KMS.Encrypt, &kms.EncryptInput{KeyId: &keyID, Plaintext: []byte("x"), EncryptionContext: context})
	do(t, s.KMS.Decrypt, &kms.DecryptInput{CiphertextBlob: enc.CiphertextBlob, EncryptionContext: context})
	do(t, s.KMS.CreateAlias, &kms.CreateAliasInput{AliasName: aws.String("alias/main"), TargetKeyId: &key})
	do(t, s.KMS.ScheduleKeyDeletion, &kms.ScheduleKeyDeletionInput{KeyId: &keyID, PendingWindowInDays: aws.Int32(9)})
	fails(t, s.KMS.Encrypt, &kms.EncryptInput{KeyId: &keyID, Plaintext: []byte("x")}, 400, "KMSInvalidStateException", "")
	_, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("vault"), Key: aws.String("refused")})
	wantCode(t, err, 400, "KMS.KMSInvalidStateException")

	records := trail(s)
	ids := map[string]bool{}
	for _, r := range records {
		for path, pattern := range map[string]string{
			"eventVersion": `1\.11`, "eventTime": `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`, "awsRegion": coffertest.Region, "eventType": "AwsApiCall",
			"eventID": `[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`, "requestID": "[0-9A-Z]{16}|[0-9a-f-]{36}", "readOnly": "true|false",
			"eventSource": "s3.amazonaws.com|kms.amazonaws.com|coffer", "eventCategory": "Management|Data", "recipientAccountId": coffertest.Account,
			"sourceIPAddress": `127\.0\.0\.1|fas\.s3\.amazonaws\.com`, "userAgent": ".+",
		} {
			if !regexp.MustCompile("^(" + pattern + ")$").MatchString(r[path]) {
				t.Errorf("%s has %s %q", r["eventName"], path, r[path])
			}
		}
		if ids[r["eventID"]] {
			t.Errorf("two records are %s", r["eventID"])
		}
		ids[r["eventID"]] = true
		if (r["managementEvent"] == "true") != (r["eventCategory"] == "Management") {
			t.Errorf("%s is of category %s, managementEvent %s", r["eventName"], r["eventCategory"], r["managementEvent"])
		}
		for path, value := range r {
			if strings.Contains(value, b64(enc.CiphertextBlob)) || strings.Contains(path, "X-Amz-Signature") || strings.Contains(path, "laintext") {
				t.Errorf("%s tells %s %q", r["eventName"], path, value)
			}
		}
	}
	root := flat{
		"userIdentity.type": "Root", "userIdentity.principalId": coffertest.Account, "userIdentity.arn": "arn:aws:iam::" + coffertest.Account + ":root",
		"userIdentity.accountId": coffertest.Account, "userIdentity.accessKeyId": coffertest.AccessKeyID, "errorCode": "",
	}
	direct := flat{"userIdentity.invokedBy": "", "sourceIPAddress": "127.0.0.1", "resources.0.type": "AWS::KMS::Key", "resources.0.ARN": key, "resources.0.accountId": coffertest.Account}
	viaS3 := flat{
		"userIdentity.invokedBy": "fas.s3.amazonaws.com", "sourceIPAddress": "fas.s3.amazonaws.com", "userAgent": "fas.s3.amazonaws.com", "readOnly": "true",
		"resources.0.type": "AWS::KMS::Key", "resources.0.ARN": key, "responseElements": "<nil>", "requestParameters.encryptionContext.aws:s3:arn": "arn:aws:s3:::vault",
		"additionalEventData.cofferClientIp": "127.0.0.1", "additionalEventData.cofferParentRequestId": "*", "eventCategory": "Management",
	}
	object := flat{
		"resources.0.type": "AWS::S3::Object", "resources.0.ARN": "arn:aws:s3:::vault/a/b", "resources.1.type": "AWS::S3::Bucket", "resources.1.ARN": "arn:aws:s3:::vault",
		"requestParameters.bucketName": "vault", "requestParameters.key": "a/b", "requestParameters.Host": "*", "eventCategory": "Data",
		"additionalEventData.SignatureVersion": "SigV4", "additionalEventData.AuthenticationMethod": "AuthHeader", "additionalEventData.x-amz-id-2": "*",
	}
	for _, c := range []struct {
		event string
		which flat // of the records of that event
		want  []flat
	}{
		{"PutBucketEncryption", nil, []flat{root, {
			"eventCategory": "Management", "readOnly": "false", "requestParameters.bucketName": "vault", "requestParameters.encryption": "",
			"requestParameters.ServerSideEncryptionConfiguration.Rule.ApplyServerSideEncryptionByDefault.KMSMasterKeyID": key,
			"requestParameters.ServerSideEncryptionConfiguration.Rule.BucketKeyEnabled":                                  "true", "resources.0.type": "AWS::S3::Bucket",
		}}},
		{"PutObject", flat{"requestParameters.key": "a/b"}, []flat{root, object, {
			"readOnly": "false", "requestParameters.x-amz-server-side-encryption": "aws:kms", "requestParameters.x-amz-server-side-encryption-aws-kms-key-id": keyID,
			"responseElements.x-amz-server-side-encryption-aws-kms-key-id": key, "responseElements.x-amz-server-side-encryption-bucket-key-enabled": "true",
			"responseElements.x-amz-version-id": "*", "additionalEventData.bytesTransferredIn": "5", "additionalEventData.bytesTransferredOut": "0",
			"additionalEventData.SSEApplied": "SSE_KMS", "additionalEventData.cofferGeneration": "*",
		}}},
		{"GetObject", flat{"additionalEventData.bytesTransferredOut": "3"}, []flat{root, object, {"readOnly": "true", "responseElements": "<nil>", "additionalEventData.SSEApplied": "SSE_KMS"}}},
		{"GetObject", flat{"requestParameters.key": "missing"}, []flat{{"errorCode": "NoSuchKey", "errorMessage": "The specified key does not exist.", "responseElements": "<nil>"}}},
		{"GetObject", flat{"userIdentity.accountId": "anonymous"}, []flat{{"userIdentity.type": "AWSAccount", "errorCode": "AccessDenied", "additionalEventData.SignatureVersion": ""}}},
		{"GetObject", flat{"additionalEventData.AuthenticationMethod": "QueryString"}, []flat{root, {"additionalEventData.bytesTransferredOut": "5"}}},
		{"DeleteObjects", nil, []flat{root, {"requestParameters.bucketName": "vault", "readOnly": "false", "eventCategory": "Data"}}},
		{"DeleteObject", flat{"resources.0.ARN": "arn:aws:s3:::vault/a/b"}, []flat{root, {"eventCategory": "Data"}}},
		{"PutObject", flat{"requestParameters.key": "refused"}, []flat{{"errorCode": "KMS.KMSInvalidStateException", "errorMessage": key + " is pending deletion.", "additionalEventData.SSEApplied": ""}}},

		{"GenerateDataKey", flat{"userIdentity.invokedBy": "fas.s3.amazonaws.com"}, []flat{root, viaS3, {
			"requestParameters.keyId": key, "requestParameters.keySpec": "AES_256", "additionalEventData.keyMaterialId": "*", "additionalEventData.cofferGeneration": "*",
		}}},
		{"Decrypt", flat{"userIdentity.invokedBy": "fas.s3.amazonaws.com"}, []flat{root, viaS3, {"requestParameters.keyId": "", "requestParameters.encryptionAlgorithm": "SYMMETRIC_DEFAULT"}}},
		{"Decrypt", flat{"requestParameters.encryptionContext.tenant": "t-17"}, []flat{root, direct, {
			"requestParameters.encryptionAlgorithm": "SYMMETRIC_DEFAULT", "responseElements": "<nil>", "readOnly": "true", "additionalEventData.keyMaterialId": "*",
		}}},
		{"Encrypt", flat{"errorCode": ""}, []flat{root, direct, {"requestParameters.keyId": keyID, "requestParameters.encryptionContext.tenant": "t-17", "readOnly": "true"}}},
		{"Encrypt", flat{"errorCode": "KMSInvalidStateException"}, []flat{direct, {"errorMessage": key + " is pending deletion."}}},
		{"CreateKey", nil, []flat{root, {"readOnly": "false", "responseElements.keyMetadata.arn": key, "responseElements.keyMetadata.keyState": "Enabled", "resources.0.ARN": key}}},
		{"CreateAlias", nil, []flat{root, direct, {
			"requestParameters.aliasName": "alias/main", "requestParameters.targetKeyId": key, "responseElements": "<nil>",
			"resources.1.type": "AWS::KMS::Alias", "resources.1.ARN": "arn:aws:kms:us-east-1:" + coffertest.Account + ":alias/main",
		}}},
		{"ScheduleKeyDeletion", nil, []flat{root, direct, {
			"responseElements.keyId": key, "responseElements.keyState": "PendingDeletion", "responseElements.pendingWindowInDays": "9", "responseElements.deletionDate": "*",
		}}},
	} {
		i := slices.IndexFunc(records, func(r flat) bool { return r["eventName"] == c.event && r.has(c.which) == "" })
		if i < 0 {
			t.Errorf("no record of %s with %v", c.event, c.which)
			continue
		}
		for _, want := range c.want {
			if lack := records[i].has(want); lack != "" {
				t.Errorf("%s: %s\n%v", c.event, lack, records[i])
			}
		}
	}
}

// has says how the document differs from what it ought to have.
func (f flat) has(want flat) string {
	for _, path := range slices.Sorted(maps.Keys(want)) {
		if got := f[path]; got != want[path] && (want[path] != "*" || got == "") {
			return fmt.Sprintf("%s is %q, want %q", path, got, want[path])
		}
	}
	return ""
}
