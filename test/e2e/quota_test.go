// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"testing"
	"time"

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
	began := time.Now()
	throttled := rejection{503, "SlowDown", "reduce your request rate for operations involving AWS KMS", "", nil}
	refused, allowed := 0, 0
	ask := func(op, method, target string, headers ...string) {
		if a := s.raw(method, target, "", headers...); a.status != 200 {
			a.isRejected(op, false, throttled)
			refused++
		} else {
			allowed++
		}
	}
	for range 20 {
		ask("PutObject", "PUT", "/own/k")
		ask("GetObject", "GET", "/own/k")
		s.Put("shared", "k", "x")
	}
	recorded := refused // after the first of these S3 does not ask for a second
	for i := range 5 {
		ask("PutObject with a new bucket key", "PUT", "/shared/k", sseHeader, "aws:kms", keyHeader, key, ctxHeader, contextHeader(fmt.Sprintf(`{"n":"%d"}`, i)))
	}
	if most := int(time.Since(began).Seconds()) + 1; allowed > most || refused == 0 {
		t.Errorf("%d requests were allowed in %v and %d throttled", allowed, time.Since(began), refused)
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
	if got := counted["ThrottlingException"]; got < recorded || got > refused {
		t.Errorf("the trail has %v for %d refused requests, %d without bucket keys", counted, refused, recorded)
	}
	s.Restart("--kms-request-quota", "0")
	for range 5 {
		s.Put("own", "k", "x")
	}
	if got, _ := s.Get("own", "k"); got != "x" {
		t.Errorf("reads %q", got)
	}
}
