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
// one; the context is repeated by what was asked with it and makes an object, but for
// a form; no other answer tells anything.
func testEncryptionHeadersOfEveryOperation(t *testing.T, s *coffertest.Server) {
	key := s.Key()
	id := key[strings.LastIndex(key, "/")+1:]
	context := contextHeader(`{"dept":"x"}`)
	c := customerOf(keyA)
	byKMS := func(more ...string) map[string]string {
		all := map[string]string{"": "aws:kms", "-aws-kms-key-id": key}
		for i := 0; i < len(more); i += 2 {
			all[more[i]] = more[i+1]
		}
		return all
	}
	customers := map[string]string{"-customer-algorithm": "AES256", "-customer-key-md5": *c.md5}
	for _, c := range []struct {
		bucket, algorithm, key string
		bucketKey              bool
		want                   map[string]string
		asked                  []string          // headers of what makes an object
		created                map[string]string // what it tells; nil for want
		use, source            []string          // headers of what uses one, and of copies of it
		completed              map[string]string // what CompleteMultipartUpload tells; nil for want
	}{
		{bucket: "sse-s3", algorithm: "AES256", want: map[string]string{"": "AES256"}},
		{bucket: "sse-s3-bucket-key", algorithm: "AES256", bucketKey: true, want: map[string]string{"": "AES256"}},
		{bucket: "sse-kms", algorithm: "aws:kms", key: id, want: byKMS()},
		{bucket: "bucket-key", algorithm: "aws:kms", key: id, bucketKey: true, want: byKMS("-bucket-key-enabled", "true")},
		{bucket: "two-layers", algorithm: "aws:kms:dsse", key: id, bucketKey: true, want: byKMS("", "aws:kms:dsse")},
		{
			bucket: "context", algorithm: "AES256", want: byKMS(), asked: []string{sseHeader, "aws:kms", keyHeader, id, ctxHeader, context},
			created: byKMS("-context", context),
		},
		{
			bucket: "context-two-layers", algorithm: "AES256", want: byKMS("", "aws:kms:dsse"),
			asked: []string{sseHeader, "aws:kms:dsse", keyHeader, id, ctxHeader, context}, created: byKMS("", "aws:kms:dsse", "-context", context),
		},
		{
			bucket: "customers", algorithm: "aws:kms", key: id, bucketKey: true, want: customers,
			asked: trioOf(keyA), use: trioOf(keyA), source: sourceTrioOf(keyA), completed: map[string]string{},
		},
	} {
		t.Run(c.bucket, func(t *testing.T) {
			s.Bucket(c.bucket, c.algorithm, c.key, c.bucketKey)
			unblock(s, c.bucket)
			none := map[string]string{}
			if c.created == nil {
				c.created = c.want
			}
			if c.completed == nil {
				c.completed = c.want
			}
			at := "/" + c.bucket + "/"
			told := func(want map[string]string, status int, what string, a answer) answer {
				t.Helper()
				if got := encryptionHeaders(a.header); a.status != status || fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("%s: %d with %v, want %d with %v\n%s", what, a.status, got, status, want, a.body)
				}
				return a
			}
			make := func(want map[string]string, status int, method, target, body string, headers ...string) answer {
				t.Helper()
				return told(want, status, method+" "+target, request{method: method, target: at + target, body: body, headers: headers}.do(s))
			}
			create := func(method, target, body string, headers ...string) answer {
				t.Helper()
				return make(c.created, 200, method, target, body, with(headers, c.asked...)...)
			}
			use := func(status int, method, target, body string, headers ...string) answer {
				t.Helper()
				return make(c.want, status, method, target, body, with(headers, c.use...)...)
			}
			create("PUT", "k", "0123456789")
			for status, fields := range map[int][]string{204: nil, 200: {"success_action_status", "200"}, 201: {"success_action_status", "201"}} {
				f := form{bucket: c.bucket, key: "form", body: "x", fields: with(c.asked, fields...)}
				told(c.want, status, fmt.Sprint("POST ", status), f.send(s))
			}
			use(200, "GET", "k", "")
			use(206, "GET", "k", "", "Range", "bytes=2-4")
			use(206, "GET", "k?partNumber=1", "")
			use(200, "HEAD", "k", "")
			use(206, "HEAD", "k", "", "Range", "bytes=2-4")
			make(none, 200, "GET", "k?attributes", "", with(c.use, "x-amz-object-attributes", "ETag,ObjectSize")...)
			source := with(c.source, "X-Amz-Copy-Source", at+"k")
			create("PUT", "copy", "", source...)
			upload := create("POST", "m?uploads", "").get("UploadId")
			part := use(200, "PUT", "m?partNumber=1&uploadId="+upload, "part").header.Get("Etag")
			copied := use(200, "PUT", "m?partNumber=2&uploadId="+upload, "", with(source, "X-Amz-Copy-Source-Range", "bytes=1-3")...).get("ETag")
			make(none, 200, "GET", "m?uploadId="+upload, "", c.use...)
			parts := fmt.Sprintf("<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>%s</ETag></Part><Part><PartNumber>2</PartNumber><ETag>%s</ETag></Part></CompleteMultipartUpload>", part, copied)
			make(c.completed, 200, "POST", "m?uploadId="+upload, parts, c.use...)
			if a := use(206, "GET", "m?partNumber=2", ""); a.body != "123" {
				t.Errorf("part 2 reads %q", a.body)
			}
			if a := use(206, "GET", "m", "", "Range", "bytes=3-5"); a.body != "t12" {
				t.Errorf("a range of both parts reads %q", a.body)
			}
			if a := use(200, "GET", "m", ""); a.body != "part123" {
				t.Errorf("reads %q", a.body)
			}
			for _, target := range []string{"?list-type=2", "", "?versions", "?uploads", "k?tagging"} {
				make(none, 200, "GET", target, "")
			}
			etag := use(200, "HEAD", "k", "").header.Get("Etag")
			make(none, 304, "GET", "k", "", with(c.use, "If-None-Match", etag)...)
			make(none, 412, "GET", "k", "", with(c.use, "If-Match", `"other"`)...)
			make(none, 416, "GET", "k", "", with(c.use, "Range", "bytes=10-")...)
			if c.want[""] == "AES256" || c.want[""] == "aws:kms" {
				update := updateXML(key, "true")
				make(none, 200, "PUT", "k?encryption", update, md5Header(update)...)
			}
			make(none, 204, "DELETE", "k", "")
			drop := "<Delete><Object><Key>m</Key></Object><Object><Key>form</Key></Object></Delete>"
			make(none, 200, "POST", "?delete", drop, md5Header(drop)...)
		})
	}
}
