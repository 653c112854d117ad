// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/test/coffertest"
)

// TestVectorOfTheQuota is vector 28: when the KMS throttles, S3 says so in words of
// its own; and bucket keys are the way out.
func TestVectorOfTheQuota(t *testing.T) {
	s := &stage{Server: coffertest.Start(t)}
	key := s.Key()
	s.Bucket("own", "aws:kms", key, false)
	s.Bucket("shared", "aws:kms", key, true)
	s.Bucket("plain", "", "", false)
	s.Put("own", "k", "x")
	s.Put("own", "sse-s3", "x", func(in *s3.PutObjectInput) { in.ServerSideEncryption = types.ServerSideEncryptionAes256 })
	s.Restart("--kms-request-quota", "1")
	s.Put("shared", "k", "x") // takes the one token of this second
	throttled := rejection{503, "SlowDown", "reduce your request rate for operations involving AWS KMS", "", nil}
	refused := 0
	for range 20 {
		if a := s.raw("PUT", "/own/k", "x"); a.status != 200 {
			a.isRejected("PutObject", false, throttled)
			refused++
		}
		if a := s.raw("GET", "/own/k", ""); a.status != 200 {
			a.isRejected("GetObject", false, throttled)
			refused++
		}
		s.Put("shared", "k", "x")
	}
	if refused < 30 {
		t.Errorf("%d of 40 requests were throttled", refused)
	}
	// What needs no KMS request is not throttled: SSE-S3, HEAD, other operations.
	for range 5 {
		s.Put("plain", "k", "x")
		s.Get("own", "sse-s3")
		head(s.Server, "own", "k")
	}
	exhausted := false
	for range 20 {
		_, err := s.KMS.GenerateDataKey(t.Context(), &kms.GenerateDataKeyInput{KeyId: &key, KeySpec: kmstypes.DataKeySpecAes256})
		if err != nil {
			wantCode(t, err, 400, "ThrottlingException")
			exhausted = true
		}
		if _, err := s.KMS.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &key}); err != nil {
			t.Fatalf("a request about a key is no cryptographic one: %v", err)
		}
	}
	if !exhausted {
		t.Error("20 requests of the KMS API stayed within a quota of 1 per second")
	}
	counted := map[string]int{}
	for _, r := range s.KMSRequests() {
		counted[r.ErrorCode]++
	}
	if counted["ThrottlingException"] != refused {
		t.Errorf("the trail has %v for %d refused requests", counted, refused)
	}
	s.Restart("--kms-request-quota", "0")
	for range 5 {
		s.Put("own", "k", "x")
	}
	if got, _ := s.Get("own", "k"); got != "x" {
		t.Errorf("reads %q", got)
	}
}
