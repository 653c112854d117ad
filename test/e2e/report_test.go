// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/report"
	"github.com/cofferstore/coffer/test/coffertest"
)

// kind is what KMS requests are told apart by.
type kind struct{ operation, bucket, key, requester string }

// counted is what the audit trail has of a kind.
type counted struct{ made, failed, avoided int64 }

// bucketNamed returns the bucket of an ARN.
func bucketNamed(arn string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(arn, "arn:aws:s3:::"), "/")
	return name
}

func requesterOf(u audit.Identity) string {
	if u.Session != nil && u.Type == "AssumedRole" {
		return u.Session.Issuer.ARN
	}
	return u.ARN
}

// countTrail counts KMS requests as an auditor would: those that are there, and those that
// are not by the event that each access names, which belongs to another request.
func countTrail(records []audit.Record) map[kind]counted {
	counts, byID, buckets := map[kind]counted{}, map[string]*audit.Record{}, map[string]string{}
	add := func(k kind, c counted) {
		was := counts[k]
		counts[k] = counted{was.made + c.made, was.failed + c.failed, was.avoided + c.avoided}
	}
	for i := range records {
		byID[records[i].EventID] = &records[i]
		if r := &records[i]; r.EventSource == "s3.amazonaws.com" {
			buckets[r.RequestID], _ = r.RequestParameters["bucketName"].(string)
		}
	}
	for i := range records {
		r := &records[i]
		switch {
		case r.EventSource == "kms.amazonaws.com":
			k := kind{r.EventName, report.NoBucket, r.Resources[0].ARN, requesterOf(r.UserIdentity)}
			if parent, ok := r.AdditionalEventData["cofferParentRequestId"].(string); ok {
				k.bucket = buckets[parent]
				if ec, ok := r.RequestParameters["encryptionContext"].(map[string]any); ok {
					k.bucket = bucketNamed(ec["aws:s3:arn"].(string))
				}
			}
			c := counted{made: 1}
			if r.ErrorCode != "" {
				c.failed = 1
			}
			add(k, c)
		case r.EventSource == "s3.amazonaws.com" && r.ErrorCode == "":
			for _, of := range []string{"coffer", "cofferSource"} {
				event, _ := r.AdditionalEventData[of+"KmsEventId"].(string)
				if event == "" {
					continue
				}
				kms := byID[event]
				if kms.AdditionalEventData["cofferParentRequestId"] == r.RequestID {
					continue
				}
				ec := kms.RequestParameters["encryptionContext"].(map[string]any)
				add(kind{kms.EventName, bucketNamed(ec["aws:s3:arn"].(string)), r.AdditionalEventData[of+"KeyArn"].(string), requesterOf(r.UserIdentity)}, counted{avoided: 1})
			}
		}
	}
	return counts
}

// TestReportEqualsTheAudit is ten thousand requests by three requesters, under two keys, in
// two buckets, which are switched to Bucket Keys meanwhile.
func TestReportEqualsTheAudit(t *testing.T) {
	t.Parallel()
	s := start(t)
	k1, k2 := s.Key(), s.Key()
	s.Bucket("photos", "aws:kms", k1, false)
	s.Bucket("videos", "aws:kms", k2, false)
	root := s.Root()
	kms := document(`{"Effect":"Allow","Action":"kms:*","Resource":"*"}`)
	role := root.NewRole("writer", trustAccount, allOfS3, kms)
	assumer := root.NewUser("assumer", document(`{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}`))
	requesters := []*coffertest.Identity{root.NewUser("alice", allOfS3, kms), root.NewUser("bob", allOfS3, kms), assumer.Assume(role, "one")}
	refused := root.NewUser("refused", allOfS3)

	// requests has every requester write and read, half of them each, in both buckets.
	n := 0
	requests := func(count int) {
		var all errgroup.Group
		all.SetLimit(8)
		for i := range count / 2 {
			n++
			who, bucket, key := requesters[i%3], []string{"photos", "videos"}[n%2], fmt.Sprint("k", n)
			all.Go(func() error {
				if err := putBy(t, who, bucket, key); err != nil {
					return err
				}
				return getBy(t, who, bucket, key)
			})
		}
		must(t, all.Wait())
	}
	total := 10_000
	if testing.Short() {
		total = 600
	}
	requests(total / 20)
	s.Encrypt("photos", "aws:kms", k1, true)
	requests(total / 20)
	s.Encrypt("videos", "aws:kms", k2, true)
	requests(total - 2*(total/20))

	// And what is not a plain PUT or GET.
	wantCode(t, putBy(t, refused, "photos", "refused"), 403, "AccessDenied")
	wantCode(t, getBy(t, refused, "photos", fmt.Sprint("k", n-n%2)), 403, "AccessDenied")
	alice := requesters[0]
	for range 2 {
		do(t, alice.S3.CopyObject, &s3.CopyObjectInput{Bucket: aws.String("videos"), Key: aws.String("copy"), CopySource: aws.String("photos/k" + fmt.Sprint(n-n%2))})
		do(t, alice.S3.HeadObject, &s3.HeadObjectInput{Bucket: aws.String("videos"), Key: aws.String("copy"), ChecksumMode: "ENABLED"})
		do(t, alice.S3.HeadObject, &s3.HeadObjectInput{Bucket: aws.String("videos"), Key: aws.String("copy")})
		do(t, alice.S3.GetObjectAttributes, &s3.GetObjectAttributesInput{Bucket: aws.String("videos"), Key: aws.String("copy"), ObjectAttributes: []s3types.ObjectAttributes{"ETag"}})
		up := do(t, alice.S3.CreateMultipartUpload, &s3.CreateMultipartUploadInput{Bucket: aws.String("videos"), Key: aws.String("parts")})
		part := do(t, alice.S3.UploadPartCopy, &s3.UploadPartCopyInput{Bucket: aws.String("videos"), Key: aws.String("parts"), UploadId: up.UploadId, PartNumber: aws.Int32(1), CopySource: aws.String("videos/copy")})
		do(t, alice.S3.CompleteMultipartUpload, &s3.CompleteMultipartUploadInput{Bucket: aws.String("videos"), Key: aws.String("parts"), UploadId: up.UploadId,
			MultipartUpload: &s3types.CompletedMultipartUpload{Parts: []s3types.CompletedPart{{PartNumber: aws.Int32(1), ETag: part.CopyPartResult.ETag}}}})
		do(t, alice.S3.DeleteObject, &s3.DeleteObjectInput{Bucket: aws.String("videos"), Key: aws.String("parts")})
	}

	want := countTrail(s.Audit())
	ask := func(q report.Query) *report.Report {
		t.Helper()
		r, err := s.Operator().Report(t.Context(), q, report.DefaultPrice, func(report.Progress) {})
		if err != nil {
			t.Fatal(err)
		}
		if !r.Reconciles() {
			t.Errorf("%+v does not reconcile: %+v", q, r.Audit)
		}
		return r
	}
	r := ask(report.Query{Since: time.Now().Add(-time.Hour)})
	got := map[kind]counted{}
	for _, row := range r.Rows {
		got[kind{row.Operation, row.Bucket, row.Key, row.Requester}] = counted{row.Made, row.Failed, row.Avoided}
	}
	for k, c := range want {
		if got[k] != c {
			t.Errorf("%+v: reported %+v, the audit has %+v", k, got[k], c)
		}
	}
	for k := range got {
		if _, ok := want[k]; !ok {
			t.Errorf("%+v: reported %+v, the audit has none", k, got[k])
		}
	}
	for _, requester := range []string{userARN(coffertest.Account, "alice"), userARN(coffertest.Account, "bob"), role} {
		for bucket, key := range map[string]string{"photos": k1, "videos": k2} {
			for _, operation := range []string{"GenerateDataKey", "Decrypt"} {
				if c := want[kind{operation, bucket, key, requester}]; c.made == 0 || c.avoided == 0 {
					t.Errorf("%s made %+v %s requests for %s: this shows nothing", requester, c, operation, bucket)
				}
			}
		}
	}
	if c := want[kind{"Decrypt", "photos", k1, userARN(coffertest.Account, "refused")}]; c != (counted{made: 1, failed: 1}) {
		t.Errorf("of who is refused: %+v", c)
	}

	// The metrics have the same.
	metrics := request{method: "GET", target: "/-/metrics", anonymous: true}.do(s).body
	sums := map[string]counted{}
	for k, c := range want {
		if k.bucket == report.NoBucket {
			continue
		}
		known := k.key
		if c.failed > 0 {
			known = "(unknown)" // who is refused a key may have named one that is not there
		}
		for _, of := range []string{`account_%s{account="` + coffertest.Account, `bucket_%s{bucket="` + k.bucket, `key_%s{key="` + known} {
			of += `",operation="` + k.operation + `"}`
			was := sums[of]
			sums[of] = counted{made: was.made + c.made, avoided: was.avoided + c.avoided}
		}
	}
	for of, c := range sums {
		for name, n := range map[string]int64{"kms_requests_total": c.made, "kms_requests_avoided_total": c.avoided} {
			if line := fmt.Sprintf("\ncoffer_"+of+" %d\n", name, n); n > 0 && !strings.Contains(metrics, line) {
				t.Errorf("the metrics lack %s", line)
			}
		}
	}

	// Before the switch each access was a request; after it, one for each requester and
	// operation.
	for _, bucket := range []string{"photos", "videos"} {
		b := ask(report.Query{Bucket: bucket, Since: time.Now().Add(-time.Hour)}).Buckets[0]
		if len(b.Phases) != 2 || b.Phases[0].BucketKey != "off" || b.Phases[1].BucketKey != "on" || b.Phases[1].EventName != "PutBucketEncryption" {
			t.Fatalf("phases of %s: %+v", bucket, b.Phases)
		}
		before, after := b.Phases[0], b.Phases[1]
		if before.Avoided != 0 || before.Made < int64(total/50) || after.Made-after.Direct-after.Failed > 7 || after.Avoided < int64(total/3) {
			t.Errorf("%s: before %+v, after %+v", bucket, before.Counts, after.Counts)
		}
	}
}
