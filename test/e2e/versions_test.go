// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/test/coffertest"
)

// versions lists a bucket's versions, the newest of each key first: "k=body",
// "k=-" for a delete marker, with a star for the latest and "null" for null.
func versions(s *coffertest.Server, bucket string) string {
	s.T.Helper()
	a := request{method: "GET", target: "/" + bucket + "?versions"}.do(s)
	var out []string
	for _, e := range a.document().Children {
		name := e.XMLName.Local
		if name != "Version" && name != "DeleteMarker" {
			continue
		}
		f := map[string]string{}
		for _, child := range e.Children {
			f[child.XMLName.Local] = child.Text
		}
		text := f["Key"] + "=-"
		if name == "Version" {
			id := f["VersionId"]
			body, _ := s.Get(bucket, f["Key"], func(in *s3.GetObjectInput) { in.VersionId = &id })
			text = f["Key"] + "=" + body
		}
		if f["VersionId"] == "null" {
			text += " null"
		}
		if f["IsLatest"] == "true" {
			text += "*"
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

func testVersions(t *testing.T, s *coffertest.Server) {
	s.Bucket("versions", "aws:kms", "", true)
	bucket, key := aws.String("versions"), aws.String("k")
	has := func(step, want string) {
		t.Helper()
		if got := versions(s, "versions"); got != want {
			t.Errorf("%s: %s, want %s", step, got, want)
		}
	}
	drop := func(id *string) *s3.DeleteObjectOutput {
		t.Helper()
		return do(t, s.S3.DeleteObject, &s3.DeleteObjectInput{Bucket: bucket, Key: key, VersionId: id})
	}
	if out := s.Put("versions", "k", "0"); out.VersionId != nil {
		t.Errorf("a version before versioning: %s", *out.VersionId)
	}
	if out := do(t, s.S3.GetBucketVersioning, &s3.GetBucketVersioningInput{Bucket: bucket}); out.Status != "" {
		t.Errorf("status %q", out.Status)
	}
	s.Versioning("versions", types.BucketVersioningStatusEnabled)
	if out := do(t, s.S3.GetBucketVersioning, &s3.GetBucketVersioningInput{Bucket: bucket}); out.Status != "Enabled" {
		t.Errorf("status %q", out.Status)
	}
	one, two := s.Put("versions", "k", "1"), s.Put("versions", "k", "2")
	if id := *one.VersionId; !regexp.MustCompile(`^[A-Za-z0-9._]{32}$`).MatchString(id) || id == *two.VersionId {
		t.Errorf("version ids %q, %q", id, *two.VersionId)
	}
	has("enabled", "k=2*, k=1, k=0 null")

	marker := drop(nil)
	if !aws.ToBool(marker.DeleteMarker) || len(aws.ToString(marker.VersionId)) != 32 {
		t.Errorf("marker %+v", marker)
	}
	has("hidden", "k=-*, k=2, k=1, k=0 null")
	a := request{method: "GET", target: "/versions/k"}.do(s)
	a.is(refusal{status: 404, code: "NoSuchKey", elements: []string{"Key=k"}})
	if a.header.Get("X-Amz-Delete-Marker") != "true" || a.header.Get("X-Amz-Version-Id") != *marker.VersionId {
		t.Errorf("hidden: %v", a.header)
	}
	a = request{method: "GET", target: "/versions/k?versionId=" + *marker.VersionId}.do(s)
	a.is(refusal{status: 405, code: "MethodNotAllowed", elements: []string{"Method=GET", "ResourceType=DeleteMarker"}})
	if a.header.Get("X-Amz-Delete-Marker") != "true" || a.header.Get("Allow") != "DELETE" || a.header.Get("Last-Modified") == "" {
		t.Errorf("marker: %v", a.header)
	}
	if got := keys(s, "versions"); got != "[]" {
		t.Errorf("hidden keys are listed: %s", got)
	}
	if out := drop(marker.VersionId); !aws.ToBool(out.DeleteMarker) || *out.VersionId != *marker.VersionId {
		t.Errorf("marker removed: %+v", out)
	}
	has("shown again", "k=2*, k=1, k=0 null")
	if out := drop(two.VersionId); out.DeleteMarker != nil || *out.VersionId != *two.VersionId {
		t.Errorf("version removed: %+v", out)
	}
	has("current removed", "k=1*, k=0 null")
	drop(two.VersionId) // again, without effect

	// Suspended: one version is null, and each write replaces it.
	s.Versioning("versions", types.BucketVersioningStatusSuspended)
	if out := s.Put("versions", "k", "3"); out.VersionId != nil { // as recorded of S3
		t.Errorf("suspended: version %q", aws.ToString(out.VersionId))
	}
	has("suspended", "k=3 null*, k=1")
	if out := drop(nil); aws.ToString(out.VersionId) != "null" || !aws.ToBool(out.DeleteMarker) {
		t.Errorf("suspended marker: %+v", out)
	}
	has("suspended and hidden", "k=- null*, k=1")
	s.Versioning("versions", types.BucketVersioningStatusEnabled)
	s.Put("versions", "k", "4")
	has("enabled again", "k=4*, k=- null, k=1")
	drop(aws.String("null"))
	has("null removed", "k=4*, k=1")
	if _, out := s.Get("versions", "k", func(in *s3.GetObjectInput) { in.VersionId = one.VersionId }); *out.VersionId != *one.VersionId {
		t.Errorf("get answers version %s", *out.VersionId)
	}
	refuse(t, s, []refusal{
		{"a version that is not there", request{method: "GET", target: "/versions/k?versionId=" + *two.VersionId}, 404, "NoSuchVersion", "", []string{"Key=k", "VersionId=" + *two.VersionId}},
		{"no version id", request{method: "GET", target: "/versions/k?versionId=..x"}, 400, "InvalidArgument", "Invalid version id specified", []string{"ArgumentName=versionId", "ArgumentValue=..x"}},
		{"an empty one", request{method: "GET", target: "/versions/k?versionId="}, 400, "InvalidArgument", "Version id cannot be the empty string", []string{"ArgumentName=versionId", "ArgumentValue="}},
		{"to delete no version id", request{method: "DELETE", target: "/versions/k?versionId=..x"}, 400, "InvalidArgument", "Invalid version id specified", []string{"ArgumentName=versionId", "ArgumentValue=..x"}},
		{"null that is not there", request{method: "GET", target: "/versions/k?versionId=null"}, 404, "NoSuchVersion", "", []string{"Key=k", "VersionId=null"}},
	})
}

func testDeleteObjects(t *testing.T, s *coffertest.Server) {
	s.Bucket("deletes", "", "", false)
	s.Versioning("deletes", types.BucketVersioningStatusEnabled)
	id := *s.Put("deletes", "a", "1").VersionId
	s.Put("deletes", "b <&>", "1")
	gone := *s.Put("deletes", "c", "1").VersionId
	do(t, s.S3.DeleteObject, &s3.DeleteObjectInput{Bucket: aws.String("deletes"), Key: aws.String("c"), VersionId: &gone})
	objects := func(quiet bool, list ...types.ObjectIdentifier) *s3.DeleteObjectsOutput {
		t.Helper()
		return do(t, s.S3.DeleteObjects, &s3.DeleteObjectsInput{Bucket: aws.String("deletes"), Delete: &types.Delete{Objects: list, Quiet: &quiet}})
	}
	out := objects(false,
		types.ObjectIdentifier{Key: aws.String("a"), VersionId: &id},
		types.ObjectIdentifier{Key: aws.String("b <&>")},
		types.ObjectIdentifier{Key: aws.String("missing")},
		types.ObjectIdentifier{Key: aws.String("c"), VersionId: aws.String("nonsense")},
		types.ObjectIdentifier{Key: aws.String("b <&>"), ETag: aws.String("x")},
	)
	var got []string
	for _, d := range out.Deleted {
		got = append(got, fmt.Sprintf("%s version=%t marker=%t id=%d", *d.Key, d.VersionId != nil, aws.ToBool(d.DeleteMarker), len(aws.ToString(d.DeleteMarkerVersionId))))
	}
	for _, e := range out.Errors {
		got = append(got, fmt.Sprintf("%s: %s", *e.Key, *e.Code))
	}
	want := "a version=true marker=false id=0; b <&> version=false marker=true id=32; missing version=false marker=true id=32; c: NoSuchVersion"
	if text := strings.Join(got, "; "); !strings.HasPrefix(text, want) || len(out.Errors) != 2 {
		t.Errorf("deleted %s, want %s and another error", text, want)
	}
	s.Put("deletes", "d", "1")
	out = objects(true, types.ObjectIdentifier{Key: aws.String("d")}, types.ObjectIdentifier{Key: aws.String("d"), VersionId: aws.String("nonsense")})
	if len(out.Deleted) != 0 || len(out.Errors) != 1 || *out.Errors[0].Code != "NoSuchVersion" {
		t.Errorf("quietly: %+v", out)
	}
	// A thousand at once.
	var many []types.ObjectIdentifier
	for i := range 1000 {
		many = append(many, types.ObjectIdentifier{Key: aws.String(fmt.Sprint("many/", i)), VersionId: aws.String("null")})
	}
	if out := objects(false, many...); len(out.Deleted)+len(out.Errors) != 1000 {
		t.Errorf("%d deleted, %d not", len(out.Deleted), len(out.Errors))
	}
}
