// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/test/coffertest"
)

// testBucketLogging: where requests are logged to is read as it was put.
func testBucketLogging(t *testing.T, s *coffertest.Server) {
	s.Bucket("logged-source", "", "", false)
	s.Bucket("logged-target", "", "", false)
	source := aws.String("logged-source")
	if got := do(t, s.S3.GetBucketLogging, &s3.GetBucketLoggingInput{Bucket: source}); got.LoggingEnabled != nil {
		t.Errorf("a new bucket is logged to %+v", got.LoggingEnabled)
	}
	on := &types.LoggingEnabled{
		TargetBucket: aws.String("logged-target"), TargetPrefix: aws.String("logs/"),
		TargetObjectKeyFormat: &types.TargetObjectKeyFormat{PartitionedPrefix: &types.PartitionedPrefix{PartitionDateSource: types.PartitionDateSourceEventTime}},
	}
	do(t, s.S3.PutBucketLogging, &s3.PutBucketLoggingInput{Bucket: source, BucketLoggingStatus: &types.BucketLoggingStatus{LoggingEnabled: on}})
	got := do(t, s.S3.GetBucketLogging, &s3.GetBucketLoggingInput{Bucket: source}).LoggingEnabled
	if got == nil || *got.TargetBucket != "logged-target" || *got.TargetPrefix != "logs/" ||
		got.TargetObjectKeyFormat.PartitionedPrefix.PartitionDateSource != types.PartitionDateSourceEventTime {
		t.Errorf("logged to %+v", got)
	}
	on.TargetBucket = aws.String("logged-missing")
	fails(t, s.S3.PutBucketLogging, &s3.PutBucketLoggingInput{Bucket: source, BucketLoggingStatus: &types.BucketLoggingStatus{LoggingEnabled: on}},
		400, "InvalidTargetBucketForLogging", "The target bucket for logging does not exist")
	do(t, s.S3.PutBucketLogging, &s3.PutBucketLoggingInput{Bucket: source, BucketLoggingStatus: &types.BucketLoggingStatus{}})
	if got := do(t, s.S3.GetBucketLogging, &s3.GetBucketLoggingInput{Bucket: source}); got.LoggingEnabled != nil {
		t.Errorf("still logged to %+v", got.LoggingEnabled)
	}
}

// logLine is the expression with which S3's documentation has Athena read access logs.
var logLine = regexp.MustCompile(`^([^ ]*) ([^ ]*) \[(.*?)\] ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ("[^"]*"|-) (-|[0-9]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*|"[^"]*") ("[^"]*"|-) ([^ ]*)(?: ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*))$`)

// logLines reads the delivered logs in a bucket: requester, operation, key, status and error
// of each line, in the order of their objects.
func logLines(s *coffertest.Server, bucket, prefix string) (out []string) {
	s.T.Helper()
	for _, o := range do(s.T, s.S3.ListObjectsV2, &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix}).Contents {
		text, head := s.Get(bucket, *o.Key)
		if aws.ToString(head.ContentType) != "text/plain" || head.ServerSideEncryption != types.ServerSideEncryptionAes256 {
			s.T.Errorf("%s is %s under %s", *o.Key, aws.ToString(head.ContentType), head.ServerSideEncryption)
		}
		for line := range strings.Lines(text) {
			m := logLine.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
			if m == nil {
				s.T.Fatalf("no line of a log in %s: %q", *o.Key, line)
			}
			out = append(out, strings.Join([]string{m[5], m[7], m[8], m[10], m[11]}, " "))
		}
	}
	return out
}

// deliverLogs is the statement that S3's documentation gives for a target.
func deliverLogs(target, source string) string {
	return `{"Sid":"S3ServerAccessLogsPolicy","Effect":"Allow","Principal":{"Service":"logging.s3.amazonaws.com"},"Action":["s3:PutObject"],
		"Resource":"arn:aws:s3:::` + target + `/*","Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:s3:::` + source + `"},
		"StringEquals":{"aws:SourceAccount":"` + coffertest.Account + `"}}}`
}

// Requests of everybody are logged, wait for a target that refuses them, outlive a restart,
// and arrive, each once.
func TestAccessLogs(t *testing.T) {
	s := start(t)
	ctx, root := t.Context(), rootOf(s)
	s.Bucket("app", "", "", false)
	s.Bucket("app-logs", "", "", false)
	do(t, s.S3.PutBucketLogging, &s3.PutBucketLoggingInput{Bucket: aws.String("app"), BucketLoggingStatus: &types.BucketLoggingStatus{
		LoggingEnabled: &types.LoggingEnabled{TargetBucket: aws.String("app-logs"), TargetPrefix: aws.String("app/")},
	}})
	alice := root.user("alice", `{"Effect":"Allow","Action":"s3:*","Resource":"*"}`)
	role := root.NewRole("reader", document(`{"Effect":"Allow","Principal":{"AWS":"`+alice.arn+`"},"Action":"sts:AssumeRole"}`), document(`{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}`))
	root.may("alice", `{"Effect":"Allow","Action":["s3:*","sts:AssumeRole"],"Resource":"*"}`)
	session := &person{alice.Assume(role, "night"), s, ""}

	allowed.check(t, "put", alice.put("app", "a b"))
	allowed.check(t, "get", session.get("app", "a b"))
	deniedFor("").check(t, "put of the session", session.put("app", "c"))
	deniedFor("").check(t, "get of nobody", nobody(s).get("app", "a b"))
	const arn = "arn:aws:iam::" + coffertest.Account + ":user/alice"
	const sessionARN = "arn:aws:sts::" + coffertest.Account + ":assumed-role/reader/night"
	want := []string{
		arn + " REST.PUT.OBJECT a%20b 200 -",
		sessionARN + " REST.GET.OBJECT a%20b 200 -",
		sessionARN + " REST.PUT.OBJECT c 403 AccessDenied",
		"- REST.GET.OBJECT a%20b 403 AccessDenied",
	}
	if err := s.Core.AccessLog().Flush(ctx); err == nil {
		t.Error("delivered where no policy allows it")
	}
	s.Restart()
	root = rootOf(s)
	if got := logLines(s, "app-logs", ""); len(got) != 0 {
		t.Errorf("delivered %q", got)
	}
	root.bucketPolicy("app-logs", deliverLogs("app-logs", "app"))
	if err := s.Core.AccessLog().Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if got := logLines(s, "app-logs", "app/"); !slices.Equal(got, want) {
		t.Errorf("delivered\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if err := s.Core.AccessLog().Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if got := logLines(s, "app-logs", "app/"); len(got) != len(want) {
		t.Errorf("%d lines after another delivery", len(got))
	}
	for _, r := range s.Audit() {
		if r.UserIdentity.InvokedBy == "logging.s3.amazonaws.com" && r.EventName == "PutObject" && r.ErrorCode == "" {
			return
		}
	}
	t.Error("no audit record of the delivery")
}
