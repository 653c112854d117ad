// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/wire/opsapi"
	"github.com/cofferstore/coffer/test/coffertest"
)

// legacy switches a bucket's legacy mode.
func legacy(s *coffertest.Server, bucket string, on bool) opsapi.LegacyMode {
	s.T.Helper()
	mode, err := operator(s, coffertest.SecretAccessKey).SwitchLegacyMode(s.T.Context(), bucket, on)
	if err != nil || mode.Legacy != on {
		s.T.Fatalf("legacy mode of %s: %+v, %v", bucket, mode, err)
	}
	return mode
}

// TestLegacyMode: what names no encryption is answered for as S3 answers for objects
// that are not encrypted, whichever operation wrote it and whichever reads it.
func TestLegacyMode(t *testing.T) {
	s := newStage(t)
	s.Bucket("old", "", "", false)
	s.Put("old", "encrypted", "before")
	legacy(s.Server, "old", true)
	told := func(want string, a answer) answer {
		t.Helper()
		if got := fmt.Sprint(encryptionOf(a.header)); got != want {
			t.Errorf("answer tells %s, want %s", got, want)
		}
		return a
	}
	const none, sseS3 = "map[]", "map[:AES256]"
	posted := func(key string, fields ...string) answer {
		t.Helper()
		a := post(s.Server, "old", key, "body of "+key, fields...)
		if a.status != 204 {
			t.Errorf("form %s: %d %s", key, a.status, a.body)
		}
		return a
	}

	// Whatever writes.
	put := told(none, s.accepts("PutObject", "PUT", "/old/put", "body of put", bkHeader, "true"))
	if put.header.Get("ETag") != etagOf("body of put") {
		t.Errorf("ETag %s", put.header.Get("ETag"))
	}
	told(none, posted("form"))
	told(none, s.accepts("CopyObject", "PUT", "/old/copy", "", "x-amz-copy-source", "old/encrypted"))
	upload := "/old/upload?uploadId=" + told(none, s.accepts("CreateMultipartUpload", "POST", "/old/upload?uploads", "")).get("UploadId")
	etag := told(none, s.accepts("UploadPart", "PUT", upload+"&partNumber=1", "body of upload")).header.Get("ETag")
	told(none, s.accepts("UploadPartCopy", "PUT", upload+"&partNumber=2", "", "x-amz-copy-source", "old/put"))
	told(none, s.accepts("ListParts", "GET", upload, ""))
	done := "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>" + etag + "</ETag></Part></CompleteMultipartUpload>"
	// What an encryption was named for has it.
	told(sseS3, s.accepts("PutObject, SSE-S3", "PUT", "/old/asked", "x", sseHeader, "AES256"))
	told(sseS3, posted("asked by form", sseHeader, "AES256"))
	told(sseS3, s.accepts("CopyObject, SSE-S3", "PUT", "/old/asked", "", "x-amz-copy-source", "old/put", sseHeader, "AES256"))
	kms := "map[:aws:kms aws-kms-key-id:" + s.k1 + " bucket-key-enabled:true]"
	told(kms, s.accepts("PutObject, SSE-KMS", "PUT", "/old/asked", "x", sseHeader, "aws:kms", keyHeader, s.k1, bkHeader, "true"))
	// Nobody can ask for none, and the rules for headers are those of any bucket.
	s.refuses("asking for it", unsupportedMethod.of("NOT-SSE"), "PUT", "/old/k", "", sseHeader, "NOT-SSE")
	s.refuses("a key alone", needsKMS, "PUT", "/old/k", "", keyHeader, s.k1)
	s.refuses("a bad flag", badFlag.of("x"), "PUT", "/old/k", "", bkHeader, "x")
	config := defaultXML("<SSEAlgorithm>NOT-SSE</SSEAlgorithm>")
	s.refuses("as a default", malformed, "PUT", "/old?encryption", config, digested(config)...)
	if a := s.accepts("GetBucketEncryption", "GET", "/old?encryption", ""); !strings.Contains(a.body, "<SSEAlgorithm>AES256</SSEAlgorithm>") {
		t.Errorf("%s", a.body)
	}

	// The mode may end meanwhile, and the server.
	legacy(s.Server, "old", false)
	s.Restart()
	told(none, s.accepts("CompleteMultipartUpload", "POST", upload, done))
	for key, body := range map[string]string{"put": "body of put", "form": "body of form", "copy": "before", "upload": "body of upload"} {
		for _, r := range []struct {
			method, query string
			headers       []string
			body          string
		}{
			{"GET", "", nil, body},
			{"GET", "", []string{"Range", "bytes=0-2"}, body[:3]},
			{"GET", "?partNumber=1", nil, body},
			{"HEAD", "", nil, ""},
			{"HEAD", "", []string{"x-amz-checksum-mode", "ENABLED"}, ""},
		} {
			if a := told(none, s.accepts(key, r.method, "/old/"+key+r.query, "", r.headers...)); a.body != r.body {
				t.Errorf("%s %s%s reads %q", r.method, key, r.query, a.body)
			}
		}
		told(none, s.accepts("GetObjectAttributes", "GET", "/old/"+key+"?attributes", "", "x-amz-object-attributes", "ETag"))
		update := updateXML(s.k1, "true")
		s.refuses("UpdateObjectEncryption of "+key, invalidRequest("cannot be updated"), "PUT", "/old/"+key+"?encryption", update, digested(update)...)
		s.refuses("a customer's key for "+key, customerNotHere, "GET", "/old/"+key, "", trioOf(keyA)...)
		s.refuses("an encryption header for "+key, notHere.of("AES256"), "GET", "/old/"+key, "", sseHeader, "AES256")
	}
	told(sseS3, s.accepts("HeadObject", "HEAD", "/old/encrypted", ""))
	told(sseS3, s.accepts("PutObject afterwards", "PUT", "/old/after", "x"))

	// Copied where a default was put, they have that; in place, they become SSE-S3.
	told(kms, s.accepts("CopyObject to SSE-KMS", "PUT", "/vault/copy", "", "x-amz-copy-source", "old/put"))
	told(sseS3, s.accepts("CopyObject onto itself", "PUT", "/old/copy", "", "x-amz-copy-source", "old/copy"))
	s.refuses("CopyObject onto itself again", selfCopy, "PUT", "/old/copy", "", "x-amz-copy-source", "old/copy")
	if a := s.accepts("list", "GET", "/old?list-type=2", ""); strings.Count(a.body, "<Contents>") != 8 {
		t.Errorf("%s", a.body)
	}

	// The trail names no encryption for them.
	named := map[any]any{}
	for _, r := range s.Audit() {
		if r.EventName == "PutObject" && r.RequestParameters["bucketName"] == "old" && r.ErrorCode == "" {
			named[r.RequestParameters["key"]] = r.AdditionalEventData["SSEApplied"]
		}
	}
	if named["put"] != nil || named["form"] != nil || named["encrypted"] != "Default_SSE_S3" || named["after"] != "Default_SSE_S3" {
		t.Errorf("recorded %v", named)
	}
}

// TestLegacyModeStandsBehindADefault: a default encryption that was put for the
// bucket encrypts as it always did; without it the mode is back.
func TestLegacyModeStandsBehindADefault(t *testing.T) {
	s := newStage(t)
	s.Bucket("old", "", "", false)
	if mode := legacy(s.Server, "vault", true); mode.DefaultEncryption != "aws:kms" {
		t.Errorf("%+v", mode)
	}
	if mode := legacy(s.Server, "old", true); mode.DefaultEncryption != "" {
		t.Errorf("%+v", mode)
	}
	is := func(bucket string, want applied) {
		t.Helper()
		s.Put(bucket, "k", "x")
		if got, _ := head(s.Server, bucket, "k"); got != want {
			t.Errorf("%s: %v, want %v", bucket, got, want)
		}
	}
	is("vault", applied{"aws:kms", s.k1, true})
	unblock(s.Server, "old") // says nothing of a default
	is("old", applied{})
	s.Encrypt("old", "AES256", "", false)
	is("old", applied{"AES256", "", false})
	for _, bucket := range []string{"vault", "old"} {
		s.accepts("reset", "DELETE", "/"+bucket+"?encryption", "")
		is(bucket, applied{})
	}
	if _, err := operator(s.Server, coffertest.SecretAccessKey).SwitchLegacyMode(t.Context(), "nobody", true); err == nil || !strings.Contains(err.Error(), "NoSuchBucket") {
		t.Errorf("no bucket: %v", err)
	}
}
