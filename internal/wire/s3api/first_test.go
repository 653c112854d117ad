// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"strings"
	"testing"
)

// That there is no such bucket is said before what is wrong with the request otherwise.
func TestMissingBucketsAreToldFirst(t *testing.T) {
	s := photos(t)
	for _, c := range []struct{ method, target, body, header string }{
		{"PUT", "/nowhere?acl", "", ""},
		{"PUT", "/nowhere/cat?legal-hold", "<", ""},
		{"PUT", "/nowhere/cat?retention", "<", ""},
		{"PUT", "/nowhere?versioning", "<", ""},
		{"GET", "/nowhere/cat?attributes", "", ""},
		{"PUT", "/nowhere/cat?partNumber=1&uploadId=u", "", "x-amz-copy-source: no-key"},
		{"POST", "/nowhere/cat?uploadId=u", "<", ""},
		{"GET", "/nowhere?list-type=2&max-keys=x", "", ""},
	} {
		s.do(c.method, c.target, c.body, headerOf(c.header)...).wantCode(404, "NoSuchBucket")
		if a := s.do(c.method, strings.Replace(c.target, "nowhere", "photos", 1), c.body, headerOf(c.header)...); a.status != 400 {
			t.Errorf("%s %s of a bucket that is there: %d %s", c.method, c.target, a.status, a.body)
		}
	}
}

func headerOf(h string) []string {
	if h == "" {
		return nil
	}
	return []string{h}
}

// What somebody has to sign is refused before it is said whether there is the bucket.
func TestWhatNobodyDoesUnsigned(t *testing.T) {
	s := photos(t)
	for _, c := range []struct{ method, target, header, text string }{
		{"PUT", "/new-bucket", "", "Anonymous users cannot invoke this API. Please authenticate."},
		{"PUT", "/photos?acl", "x-amz-acl: public-read", "Anonymous users cannot invoke this API. Please authenticate."},
		{"PUT", "/photos/cat", "x-amz-copy-source: nowhere/cat", "Anonymous users cannot copy objects. Please authenticate."},
		{"PUT", "/photos/cat?partNumber=1&uploadId=u", "x-amz-copy-source: nowhere/cat", "Access Denied"},
		{"POST", "/nowhere/cat?uploads", "", "Anonymous users cannot initiate multipart uploads. Please authenticate."},
		{"GET", "/nowhere?ownershipControls", "", "s3:GetBucketOwnershipControls does not support Anonymous requests!"},
	} {
		s.do(c.method, c.target, "", append(headerOf(c.header), "by nobody")...).wantCode(403, "AccessDenied", c.text)
	}
}
