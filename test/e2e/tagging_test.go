// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/test/coffertest"
)

func tagSet(pairs ...string) *types.Tagging {
	t := &types.Tagging{TagSet: []types.Tag{}}
	for i := 0; i < len(pairs); i += 2 {
		t.TagSet = append(t.TagSet, types.Tag{Key: &pairs[i], Value: &pairs[i+1]})
	}
	return t
}

func tagText(tags []types.Tag) string {
	var out []string
	for _, t := range tags {
		out = append(out, *t.Key+"="+*t.Value)
	}
	return strings.Join(out, " ")
}

func TestTags(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.Bucket("vault", "aws:kms", "", true)
	bucket, key := aws.String("vault"), aws.String("k")

	fails(t, s.S3.GetBucketTagging, &s3.GetBucketTaggingInput{Bucket: bucket}, 404, "NoSuchTagSet", "The TagSet does not exist")
	do(t, s.S3.PutBucketTagging, &s3.PutBucketTaggingInput{Bucket: bucket, Tagging: tagSet("z", "1", "a", "", "ü @", "x=y")})
	if out := do(t, s.S3.GetBucketTagging, &s3.GetBucketTaggingInput{Bucket: bucket}); tagText(out.TagSet) != "z=1 a= ü @=x=y" {
		t.Errorf("bucket %s", tagText(out.TagSet))
	}
	do(t, s.S3.DeleteBucketTagging, &s3.DeleteBucketTaggingInput{Bucket: bucket})
	fails(t, s.S3.GetBucketTagging, &s3.GetBucketTaggingInput{Bucket: bucket}, 404, "NoSuchTagSet", "")

	get := func(version *string) string {
		t.Helper()
		out := do(t, s.S3.GetObjectTagging, &s3.GetObjectTaggingInput{Bucket: bucket, Key: key, VersionId: version})
		return fmt.Sprint(tagText(out.TagSet), " ", aws.ToString(out.VersionId))
	}
	put := s.Put("vault", "k", "x")
	if got := get(nil); got != " " {
		t.Errorf("tags of an object that has none: %q", got)
	}
	requests := len(s.KMSRequests())
	do(t, s.S3.PutObjectTagging, &s3.PutObjectTaggingInput{Bucket: bucket, Key: key, Tagging: tagSet("a", "1", "b", "2")})
	if got := get(nil); got != "a=1 b=2 " {
		t.Errorf("tags %q", got)
	}
	if len(s.KMSRequests()) != requests {
		t.Error("tagging costs KMS requests")
	}
	body, out := s.Get("vault", "k")
	if body != "x" || aws.ToInt32(out.TagCount) != 2 || *out.ETag != *put.ETag {
		t.Errorf("tagged: %q, %+v", body, out)
	}
	// Each version has its own.
	s.Versioning("vault", types.BucketVersioningStatusEnabled)
	second := s.Put("vault", "k", "y", func(in *s3.PutObjectInput) { in.Tagging = aws.String("c=3&d=%C3%BC+%2B") })
	if got := get(nil); got != "c=3 d=ü + "+*second.VersionId {
		t.Errorf("second: %q", got)
	}
	if got := get(aws.String("null")); got != "a=1 b=2 null" {
		t.Errorf("first: %q", got)
	}
	do(t, s.S3.DeleteObjectTagging, &s3.DeleteObjectTaggingInput{Bucket: bucket, Key: key, VersionId: aws.String("null")})
	do(t, s.S3.PutObjectTagging, &s3.PutObjectTaggingInput{Bucket: bucket, Key: key, VersionId: second.VersionId, Tagging: tagSet()})
	if a, b := get(nil), get(aws.String("null")); a != " "+*second.VersionId || b != " null" {
		t.Errorf("removed: %q, %q", a, b)
	}
	marker := do(t, s.S3.DeleteObject, &s3.DeleteObjectInput{Bucket: bucket, Key: key})
	fails(t, s.S3.GetObjectTagging, &s3.GetObjectTaggingInput{Bucket: bucket, Key: key, VersionId: marker.VersionId}, 405, "MethodNotAllowed", "")
	fails(t, s.S3.PutObjectTagging, &s3.PutObjectTaggingInput{Bucket: bucket, Key: key, Tagging: tagSet("a", "1")}, 405, "MethodNotAllowed", "")
}

func testTagsThatAreRefused(t *testing.T, s *coffertest.Server) {
	s.Bucket("bad-tags", "", "", false)
	s.Put("bad-tags", "k", "x", func(in *s3.PutObjectInput) { in.Tagging = aws.String("old=1") })
	put := func(target, tags string) request {
		body := "<Tagging><TagSet>" + tags + "</TagSet></Tagging>"
		return request{method: "PUT", target: target, body: body, headers: md5Header(body)}
	}
	tag := func(key, value string) string {
		return "<Tag><Key>" + key + "</Key><Value>" + value + "</Value></Tag>"
	}
	many := func(n int) (tags string) {
		for i := range n {
			tags += tag(fmt.Sprint("k", i), "v")
		}
		return tags
	}
	const object, bucket = "/bad-tags/k?tagging", "/bad-tags?tagging"
	header := func(name, value string, elements ...string) refusal {
		return refusal{"header " + name, request{method: "PUT", target: "/bad-tags/new", body: "x", headers: []string{"X-Amz-Tagging", value}}, 400, "InvalidArgument",
			"The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.", []string{"ArgumentName=x-amz-tagging", "ArgumentValue=" + value}}
	}
	long := strings.Repeat("k", 129)
	refuse(t, s, []refusal{
		{"a key twice", put(object, tag("a", "1")+tag("a", "2")), 400, "InvalidTag", "Cannot provide multiple Tags with the same key", []string{"TagKey=a"}},
		{"a long key", put(object, tag(long, "1")), 400, "InvalidTag", "The TagKey you have provided is invalid", []string{"TagKey"}},
		{"an empty key", put(object, tag("", "1")), 400, "InvalidTag", "The TagKey you have provided is invalid", []string{"TagKey"}},
		{"a strange character", put(object, tag("a?", "1")), 400, "InvalidTag", "The TagKey you have provided is invalid", []string{"TagKey=a?"}},
		{"a long value", put(object, tag("a", long+long)), 400, "InvalidTag", "The TagValue you have provided is invalid", []string{"TagKey=a", "TagValue"}},
		{"a key of the service's", put(object, tag("AWS:x", "1")), 400, "InvalidTag", "Your TagKey cannot be prefixed with aws:", []string{"TagKey=AWS:x"}},
		{"eleven tags", put(object, many(11)), 400, "BadRequest", "Object tags cannot be greater than 10", nil},
		{"fifty-one tags of a bucket", put(bucket, many(51)), 400, "BadRequest", "Bucket tag count cannot be greater than 50", nil},
		{"no value", put(object, "<Tag><Key>a</Key></Tag>"), 400, "MalformedXML", "well-formed", nil},
		{"no key", put(bucket, "<Tag><Value>a</Value></Tag>"), 400, "MalformedXML", "well-formed", nil},
		{"no set", request{method: "PUT", target: object, body: "<Tagging/>", headers: md5Header("<Tagging/>")}, 400, "MalformedXML", "well-formed", nil},
		{"no digest", request{method: "PUT", target: bucket, body: "<Tagging/>"}, 400, "InvalidRequest", "Content-MD5", nil},
		{"no object", put("/bad-tags/missing?tagging", tag("a", "1")), 404, "NoSuchKey", "", []string{"Key=missing"}},
		header("a key twice", "a=1&a=2"), header("a bad escape", "a=%zz"), header("no UTF-8", "a=%ff"), header("a bare equals sign", "a=b=c"),
		{"header a strange character", request{method: "PUT", target: "/bad-tags/new", body: "x", headers: []string{"X-Amz-Tagging", "a=%3F"}}, 400, "InvalidTag", "The TagValue you have provided is invalid", []string{"TagKey=a", "TagValue=?"}},
		{"header of eleven", request{method: "PUT", target: "/bad-tags/new", body: "x", headers: []string{"X-Amz-Tagging", "a=&b=&c=&d=&e=&f=&g=&h=&i=&j=&k="}}, 400, "BadRequest", "Object tags cannot be greater than 10", nil},
	})
	out := do(t, s.S3.GetObjectTagging, &s3.GetObjectTaggingInput{Bucket: aws.String("bad-tags"), Key: aws.String("k")})
	if tagText(out.TagSet) != "old=1" || keys(s, "bad-tags") != "[k]" {
		t.Errorf("left %s, %s", tagText(out.TagSet), keys(s, "bad-tags"))
	}
}
