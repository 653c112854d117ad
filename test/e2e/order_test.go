// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/cofferstore/coffer/test/coffertest"
)

// behindProxy restarts the server so that its only way in is a proxy, which says
// what its clients came over.
func (s *stage) behindProxy() (plain, tls []string) {
	s.Restart("--trusted-proxies", "127.0.0.0/8")
	return []string{"X-Forwarded-Proto", "http"}, []string{"X-Forwarded-Proto", "https"}
}

// TestPlainHTTP: neither keys of customers nor what the KMS protects travels in the
// clear. It has vector 27.
func TestPlainHTTP(t *testing.T) {
	s := choices(t)
	s.Put("vault", "k", "body")
	s.Put("vault", "double", "body", func(in *s3.PutObjectInput) { in.ServerSideEncryption = dsse })
	s.accepts("put", "PUT", "/plain/secret", "secret", trioOf(keyA)...)
	upload := s.begin("vault", "upload")
	plain, tls := s.behindProxy()
	sse := func(method string) []string { return with(plain, sseHeader, method) }
	kms, double := kmsInsecure.of("aws:kms"), kmsInsecure.of("aws:kms:dsse")
	for op, create := range creating {
		create(s, plain...).isRejected(op+" by default", false, kms)
		create(s, sse("aws:kms")...).isRejected(op+" as asked for", false, kms)
		create(s, sse("aws:kms:dsse")...).isRejected(op+" in two layers", false, double)
		create(s, with(plain, trioOf(keyA)...)...).isRejected(op+" under a customer's key", false, customerInsecure)
		create(s, sse("AES256")...).isDone(op + " under SSE-S3")
		create(s, tls...).isDone(op + " over TLS")
	}
	attributes := with(plain, "x-amz-object-attributes", "ETag")
	update := updateXML(s.k2, "true")
	for _, c := range []struct {
		what                 string
		want                 rejection
		method, target, body string
		headers              []string
	}{
		{"GetObject", kms, "GET", "/vault/k", "", plain},
		{"GetObject in two layers", double, "GET", "/vault/double", "", plain},
		{"HeadObject", kms, "HEAD", "/vault/k", "", plain},
		{"GetObjectAttributes", kms, "GET", "/vault/k?attributes", "", attributes},
		{"copy source", kms, "PUT", "/plain/copy", "", with(plain, "x-amz-copy-source", "vault/k")},
		{"UploadPart", kms, "PUT", upload + "&partNumber=1", "part", plain},
		{"UploadPartCopy", kms, "PUT", upload + "&partNumber=1", "", with(plain, "x-amz-copy-source", "plain/src")},
		{"UpdateObjectEncryption", kms, "PUT", "/plain/src?encryption", update, with(plain, digested(update)...)},
		{"GetObject, customer's key", customerInsecure, "GET", "/plain/secret", "", with(plain, trioOf(keyA)...)},
		{"HeadObject, customer's key", customerInsecure, "HEAD", "/plain/secret", "", with(plain, trioOf(keyA)...)},
		{"copy source, customer's key", customerInsecure, "PUT", "/plain/copy", "", with(with(plain, "x-amz-copy-source", "plain/secret"), sourceTrioOf(keyA)...)},
		{"UploadPart, customer's key", customerInsecure, "PUT", upload + "&partNumber=1", "part", with(plain, trioOf(keyA)...)},
		{"half a customer's key", customerInsecure, "PUT", "/plain/k", "", with(plain, customerHeader+"key", "x")},
	} {
		s.refuses(c.what, c.want, c.method, c.target, c.body, c.headers...)
	}
	s.accepts("SSE-S3 needs no TLS", "GET", "/plain/src", "", plain...)
	s.accepts("deleting needs no TLS", "DELETE", "/vault/k", "", plain...)
}

// TestOrderOfChecks has requests with two mistakes each: which is told shows what is
// checked first.
func TestOrderOfChecks(t *testing.T) {
	s := choices(t)
	s.Put("vault", "k", "body")
	s.accepts("put", "PUT", "/plain/secret", "secret", trioOf(keyA)...)
	s.Bucket("blocked", "", "", false)
	s.DisableKey(s.k1)
	disabled := kmsFault("DisabledException", "")
	plain, tls := s.behindProxy()
	missing := []string{sseHeader, "aws:kms", keyHeader, "fake-key-id"}
	for _, c := range []struct {
		what                 string
		want                 rejection
		method, target, body string
		headers              []string
	}{
		// Writes.
		{"transport of a customer's key before syntax", customerInsecure, "PUT", "/vault/k", "", with(with(plain, trioOf(keyA)...), sseHeader, "rot13")},
		{"syntax before the bucket", unsupportedMethod.of("rot13"), "PUT", "/missing/k", "", with(tls, sseHeader, "rot13")},
		{"syntax before transport", needsKMS, "PUT", "/vault/k", "", with(plain, keyHeader, s.k1)},
		{"bucket before transport", rejection{404, "NoSuchBucket", "", "", nil}, "PUT", "/missing/k", "", with(plain, sseHeader, "aws:kms")},
		{"transport before the key", kmsInsecure.of("aws:kms"), "PUT", "/vault/k", "", with(plain, missing...)},
		{"block before the body", customerBlocked, "PUT", "/blocked/k", "body", with(with(tls, trioOf(keyA)...), digested("other")...)},
		{"key before the body", disabled, "PUT", "/vault/k", "body", with(tls, digested("other")...)},
		{"key before the condition", disabled, "PUT", "/vault/k", "body", with(tls, "If-None-Match", "*")},
		// Reads.
		{"headers that are not for reads before the object", notHere.of("aws:kms"), "GET", "/vault/missing", "", with(tls, sseHeader, "aws:kms")},
		{"object before a customer's key", noSuchKey, "GET", "/plain/missing", "", with(tls, trioOf(keyA)...)},
		{"a customer's key before conditions", customerNeeded, "GET", "/plain/secret", "", with(tls, "If-None-Match", "*")},
		{"a customer's key before the range", customerWrong, "GET", "/plain/secret", "", with(with(tls, trioOf(keyB)...), "Range", "bytes=99-")},
		{"condition before the KMS key", rejection{412, "PreconditionFailed", "", "", nil}, "GET", "/vault/k", "", with(tls, "If-Match", `"other"`)},
		{"range before the KMS key", rejection{416, "InvalidRange", "", "", nil}, "GET", "/vault/k", "", with(tls, "Range", "bytes=99-")},
		{"KMS key", disabled, "GET", "/vault/k", "", tls},
	} {
		n := len(s.KMSRequests())
		s.refuses(c.what, c.want, c.method, c.target, c.body, c.headers...)
		if got := s.since(n); (len(got) > 0) != (c.want.code == disabled.code) {
			t.Errorf("%s: KMS requests %v", c.what, got)
		}
	}
	if a := s.raw("GET", "/vault/k", "", with(tls, "If-None-Match", "*")...); a.status != 304 {
		t.Errorf("condition before the KMS key: %d %s", a.status, a.body)
	}
	// Who is calling comes before everything.
	req, err := http.NewRequestWithContext(t.Context(), "PUT", s.URL+"/missing/k", strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+coffertest.AccessKeyID+"x/20260101/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=00")
	req.Header.Set("X-Amz-Date", "20260101T000000Z")
	req.Header.Set(sseHeader, "rot13")
	if a := send(t, req); a.status != 403 || strings.Contains(a.body, "rot13") {
		t.Errorf("signature before syntax: %d %s", a.status, a.body)
	}
}
