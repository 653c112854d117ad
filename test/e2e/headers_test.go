// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/test/coffertest"
)

// encryptionHeaders are all headers of an answer that tell of encryption.
func encryptionHeaders(h http.Header) map[string]string {
	found := map[string]string{}
	for name := range h {
		if strings.Contains(strings.ToLower(name), "encryption") {
			found[strings.TrimPrefix(strings.ToLower(name), "x-amz-server-side-encryption")] = h.Get(name)
		}
	}
	return found
}

// testEncryptionHeadersOfEveryOperation: answers about an object's data tell how
// it is encrypted, the key always as its ARN and the bucket key only when there is
// one; no other answer does.
func testEncryptionHeadersOfEveryOperation(t *testing.T, s *coffertest.Server) {
	key := s.Key()
	id := key[strings.LastIndex(key, "/")+1:]
	for _, c := range []struct {
		bucket, algorithm, key string
		bucketKey              bool
		want                   map[string]string
	}{
		{"sse-s3", "AES256", "", false, map[string]string{"": "AES256"}},
		{"sse-s3-bucket-key", "AES256", "", true, map[string]string{"": "AES256"}},
		{"sse-kms", "aws:kms", id, false, map[string]string{"": "aws:kms", "-aws-kms-key-id": key}},
		{"bucket-key", "aws:kms", id, true, map[string]string{"": "aws:kms", "-aws-kms-key-id": key, "-bucket-key-enabled": "true"}},
	} {
		t.Run(c.bucket, func(t *testing.T) {
			s.Bucket(c.bucket, c.algorithm, c.key, c.bucketKey)
			none := map[string]string{}
			at := "/" + c.bucket + "/"
			make := func(want map[string]string, status int, method, target, body string, headers ...string) answer {
				t.Helper()
				a := request{method: method, target: at + target, body: body, headers: headers}.do(s)
				if got := encryptionHeaders(a.header); a.status != status || fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("%s %s: %d with %v, want %d with %v\n%s", method, target, a.status, got, status, want, a.body)
				}
				return a
			}
			make(c.want, 200, "PUT", "k", "0123456789")
			make(c.want, 200, "GET", "k", "")
			make(c.want, 206, "GET", "k", "", "Range", "bytes=2-4")
			make(c.want, 206, "GET", "k?partNumber=1", "")
			make(c.want, 200, "HEAD", "k", "")
			make(c.want, 206, "HEAD", "k", "", "Range", "bytes=2-4")
			make(c.want, 200, "PUT", "copy", "", "X-Amz-Copy-Source", at+"k")
			upload := make(c.want, 200, "POST", "m?uploads", "").get("UploadId")
			part := make(c.want, 200, "PUT", "m?partNumber=1&uploadId="+upload, "part").header.Get("Etag")
			copied := make(c.want, 200, "PUT", "m?partNumber=2&uploadId="+upload, "", "X-Amz-Copy-Source", at+"k", "X-Amz-Copy-Source-Range", "bytes=1-3").get("ETag")
			make(none, 200, "GET", "m?uploadId="+upload, "")
			parts := fmt.Sprintf("<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>%s</ETag></Part><Part><PartNumber>2</PartNumber><ETag>%s</ETag></Part></CompleteMultipartUpload>", part, copied)
			make(c.want, 200, "POST", "m?uploadId="+upload, parts)
			make(c.want, 206, "GET", "m?partNumber=2", "")
			if a := make(c.want, 200, "GET", "m", ""); a.body != "part123" {
				t.Errorf("reads %q", a.body)
			}
			for _, target := range []string{"?list-type=2", "", "?versions", "?uploads", "k?tagging"} {
				make(none, 200, "GET", target, "")
			}
			etag := make(c.want, 200, "HEAD", "k", "").header.Get("Etag")
			make(none, 304, "GET", "k", "", "If-None-Match", etag)
			make(none, 412, "GET", "k", "", "If-Match", `"other"`)
			make(none, 416, "GET", "k", "", "Range", "bytes=10-")
			make(none, 204, "DELETE", "k", "")
		})
	}
}
