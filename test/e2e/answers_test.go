// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
)

// TestWhatAnswersTell asserts which operation tells what of an encryption, for each
// of them.
func TestWhatAnswersTell(t *testing.T) {
	s := choices(t)
	if _, err := s.KMS.CreateAlias(t.Context(), &kms.CreateAliasInput{AliasName: aws.String("alias/two"), TargetKeyId: &s.k2}); err != nil {
		t.Fatal(err)
	}
	pairs := contextHeader(`{"dept":"x"}`)
	// Names of headers without their common part; a part of none is the algorithm.
	const alg, key, bk, ctx = "", "aws-kms-key-id", "bucket-key-enabled", "context"
	for kind, c := range map[string]struct {
		ask  []string
		tell map[string]string // beside the context
		ctx  string
	}{
		"sse-s3":     {[]string{sseHeader, "AES256"}, map[string]string{alg: "AES256"}, ""},
		"own key":    {[]string{sseHeader, "aws:kms", keyHeader, "alias/two", bkHeader, "false", ctxHeader, pairs}, map[string]string{alg: "aws:kms", key: s.k2}, pairs},
		"bucket key": {[]string{sseHeader, "aws:kms", keyHeader, "alias/two", ctxHeader, pairs}, map[string]string{alg: "aws:kms", key: s.k2, bk: "true"}, pairs},
		"default":    {nil, map[string]string{alg: "aws:kms", key: s.k1, bk: "true"}, ""},
		"two layers": {[]string{sseHeader, "aws:kms:dsse", keyHeader, "alias/two", ctxHeader, pairs}, map[string]string{alg: "aws:kms:dsse", key: s.k2}, pairs},
		"customer":   {trioOf(keyA), map[string]string{"customer-algorithm": "AES256", "customer-key-md5": *customerOf(keyA).md5}, ""},
	} {
		t.Run(kind, func(t *testing.T) {
			created := maps.Clone(c.tell)
			if c.ctx != "" {
				created[ctx] = c.ctx
			}
			var use []string // what later requests need
			uses := c.tell
			if kind == "customer" {
				use = c.ask
			}
			check := func(op string, want map[string]string, h http.Header) {
				t.Helper()
				if got := encryptionOf(h); fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("%s tells %v, want %v", op, got, want)
				}
			}
			do := func(op string, want map[string]string, method, target, body string, headers ...string) http.Header {
				t.Helper()
				h := s.accepts(op, method, target, body, headers...).header
				check(op, want, h)
				return h
			}
			object := "/vault/" + http.CanonicalHeaderKey(kind[:3])
			from := []string{"x-amz-copy-source", "plain/src"}
			nothing := map[string]string{}
			do("CopyObject", created, "PUT", object, "", with(from, c.ask...)...)
			do("PutObject", created, "PUT", object, "body", c.ask...)
			do("GetObject", uses, "GET", object, "", use...)
			do("GetObject, range", uses, "GET", object, "", with(use, "Range", "bytes=1-2")...)
			do("GetObject, part", uses, "GET", object+"?partNumber=1", "", use...)
			do("HeadObject", uses, "HEAD", object, "", use...)
			do("GetObjectAttributes", nothing, "GET", object+"?attributes", "", with(use, "x-amz-object-attributes", "ETag")...)
			do("GetObjectTagging", nothing, "GET", object+"?tagging", "")
			upload := s.begin("vault", "upload")
			do("AbortMultipartUpload", nothing, "DELETE", upload, "")
			upload = s.begin("vault", "upload", c.ask...)
			do("CreateMultipartUpload", created, "POST", "/vault/other?uploads", "", c.ask...)
			do("UploadPartCopy", uses, "PUT", upload+"&partNumber=1", "", with(from, use...)...)
			etag := do("UploadPart", uses, "PUT", upload+"&partNumber=1", "part", use...).Get("ETag")
			do("ListParts", nothing, "GET", upload, "", use...)
			done := uses
			if kind == "customer" {
				done = nothing
			}
			do("CompleteMultipartUpload", done, "POST", upload, "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"+etag+"</ETag></Part></CompleteMultipartUpload>", use...)
			do("GetObject of a multipart object", uses, "GET", "/vault/upload", "", use...)
			if a := c.tell[alg]; a == "AES256" || a == "aws:kms" {
				body := updateXML(s.k2, "true")
				do("UpdateObjectEncryption", nothing, "PUT", object+"?encryption", body, digested(body)...)
			}
			do("ListObjectsV2", nothing, "GET", "/vault?list-type=2", "")
			do("ListObjectVersions", nothing, "GET", "/vault?versions", "")
			do("DeleteObject", nothing, "DELETE", object, "")
		})
	}
}
