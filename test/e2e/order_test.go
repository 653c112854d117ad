// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/cofferstore/coffer/test/coffertest"
)

// behindProxy restarts the server so that its only way in is a proxy, which says
// what its clients came over.
func (s *stage) behindProxy() (plain, tls []string) {
	s.Restart("--trusted-proxies", "127.0.0.0/8")
	return []string{"X-Forwarded-Proto", "http"}, []string{"X-Forwarded-Proto", "https"}
}

// TestVectorOfAnotherMachine is vector 27: to a peer on another machine nothing but
// TLS is secure, and its own word for that counts for nothing.
func TestVectorOfAnotherMachine(t *testing.T) {
	s := choices(t)
	s.Put("vault", "k", "body")
	s.accepts("put", "PUT", "/plain/secret", "secret", trioOf(keyA)...)
	s.RestartFrom("203.0.113.7")
	n := len(s.KMSRequests())
	kms := kmsInsecure.of("aws:kms")
	for _, claim := range [][]string{nil, {"X-Forwarded-Proto", "https"}, {"X-Forwarded-For", "127.0.0.1"}} {
		for op, create := range creating {
			create(s, claim...).isRejected(op, false, kms)
			create(s, with(claim, trioOf(keyA)...)...).isRejected(op+", customer's key", false, customerInsecure)
		}
		s.refuses("GetObject", kms, "GET", "/vault/k", "", claim...)
		s.refuses("HeadObject", kms, "HEAD", "/vault/k", "", claim...)
		s.refuses("GetObject, customer's key", customerInsecure, "GET", "/plain/secret", "", with(claim, trioOf(keyA)...)...)
	}
	if got := s.since(n); len(got) > 0 {
		t.Errorf("KMS requests for what was refused: %v", got)
	}
	s.accepts("SSE-S3", "PUT", "/vault/k", "body", sseHeader, "AES256")
	s.accepts("SSE-S3", "GET", "/plain/src", "")
	for _, r := range s.Audit() {
		if r.EventName == "PutObject" && r.ErrorCode == "InvalidArgument" && r.SourceIPAddress != "203.0.113.7" {
			t.Errorf("recorded as of %s", r.SourceIPAddress)
		}
	}
	// Over TLS it may have everything.
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(certify(t, 1, certFile, keyFile))
	s.Restart("--tls-cert", certFile, "--tls-key", keyFile)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	defer client.CloseIdleConnections()
	objects, _ := coffertest.Clients(strings.Replace(s.URL, "http://", "https://", 1))
	objects = s3.New(objects.Options(), func(o *s3.Options) { o.HTTPClient = client })
	put := do(t, objects.PutObject, &s3.PutObjectInput{Bucket: aws.String("vault"), Key: aws.String("tls"), Body: strings.NewReader("body")})
	if got := of(put.ServerSideEncryption, put.SSEKMSKeyId, put.BucketKeyEnabled); got != (applied{"aws:kms", s.k1, true}) {
		t.Errorf("over TLS: %v", got)
	}
}

// TestPlainHTTP: neither keys of customers nor what the KMS protects travels in the
// clear.
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
		{"part copy, customer's key of the source", customerInsecure, "PUT", upload + "&partNumber=1", "", with(with(plain, "x-amz-copy-source", "plain/secret"), sourceTrioOf(keyA)...)},
		{"part copy, customer's key of the source and a method", customerInsecure, "PUT", upload + "&partNumber=1", "", with(with(plain, "x-amz-copy-source", "plain/secret", sseHeader, "AES256"), sourceTrioOf(keyA)...)},
		{"GetObjectAttributes, customer's key", customerInsecure, "GET", "/plain/secret?attributes", "", with(attributes, trioOf(keyA)...)},
		{"CompleteMultipartUpload, customer's key", customerInsecure, "POST", upload, "<CompleteMultipartUpload></CompleteMultipartUpload>", with(plain, trioOf(keyA)...)},
		{"ListParts, customer's key", customerInsecure, "GET", upload, "", with(plain, trioOf(keyA)...)},
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
	stranger := with(tls, "x-amz-expected-bucket-owner", "999999999999")
	fromSecret := with(tls, "x-amz-copy-source", "plain/secret")
	kms := with(tls, sseHeader, "aws:kms")
	algorithm := func(prefix, name string) []string { return []string{prefix + "algorithm", name} }
	for _, c := range []struct {
		what                 string
		want                 rejection
		method, target, body string
		headers              []string
	}{
		// Writes.
		{"owner before syntax", denied, "PUT", "/vault/k", "", with(stranger, sseHeader, "rot13")},
		{"owner before the transport of a customer's key", denied, "PUT", "/vault/k", "", with(with(plain, "x-amz-expected-bucket-owner", "999999999999"), trioOf(keyA)...)},
		{"owner before syntax, of a configuration", denied, "PUT", "/vault?encryption", "<nonsense", with(stranger, digested("<nonsense")...)},
		{"transport of a customer's key before syntax", customerInsecure, "PUT", "/vault/k", "", with(with(plain, trioOf(keyA)...), sseHeader, "rot13")},
		{"transport of a source's key before syntax", customerInsecure, "PUT", "/vault/k", "", with(with(plain, sourceTrioOf(keyA)...), "x-amz-copy-source", "plain/secret", sseHeader, "rot13")},
		{"method before the KMS key", unsupportedMethod.of("rot13"), "PUT", "/vault/k", "", with(tls, sseHeader, "rot13", keyHeader, "")},
		{"KMS key before the context", emptyKey.of(""), "PUT", "/vault/k", "", with(kms, keyHeader, "", ctxHeader, "%")},
		{"context before the flag", badContext.of("%"), "PUT", "/vault/k", "", with(kms, ctxHeader, "%", bkHeader, "maybe")},
		{"flag before the source's key", badFlag.of("maybe"), "PUT", "/vault/k", "", with(with(fromSecret, bkHeader, "maybe"), algorithm(sourceHeader, "rot26")...)},
		{"customer's key before the source's", customerAlgorithm.of("rot26"), "PUT", "/vault/k", "", with(with(fromSecret, algorithm(customerHeader, "rot26")...), algorithm(sourceHeader, "rot27")...)},
		{"syntax of the source's key before the bucket", customerAlgorithm.of("rot26"), "PUT", "/missing/k", "", with(fromSecret, algorithm(sourceHeader, "rot26")...)},
		{"syntax of a customer's key before the block", customerNoKey, "PUT", "/blocked/k", "", with(tls, algorithm(customerHeader, "AES256")...)},
		{"bucket before a customer's key is blocked", noSuchBucket, "PUT", "/missing/k", "", with(tls, trioOf(keyA)...)},
		{"bucket before the document", noSuchBucket, "PUT", "/missing?encryption", "<nonsense", with(tls, digested("<nonsense")...)},
		{"syntax before the bucket", unsupportedMethod.of("rot13"), "PUT", "/missing/k", "", with(tls, sseHeader, "rot13")},
		{"syntax before transport", needsKMS, "PUT", "/vault/k", "", with(plain, keyHeader, s.k1)},
		{"bucket before transport", noSuchBucket, "PUT", "/missing/k", "", with(plain, sseHeader, "aws:kms")},
		{"transport before the key", kmsInsecure.of("aws:kms"), "PUT", "/vault/k", "", with(plain, missing...)},
		{"block before the body", customerBlocked, "PUT", "/blocked/k", "body", with(with(tls, trioOf(keyA)...), digested("other")...)},
		{"key before the body", disabled, "PUT", "/vault/k", "body", with(tls, digested("other")...)},
		{"key before the condition", disabled, "PUT", "/vault/k", "body", with(tls, "If-None-Match", "*")},
		// Reads.
		{"headers that are not for reads before the object", notHere.of("aws:kms"), "GET", "/vault/missing", "", with(tls, sseHeader, "aws:kms")},
		{"object before a customer's key", noSuchKey, "GET", "/plain/missing", "", with(tls, trioOf(keyA)...)},
		{"object before half a customer's key", noSuchKey, "GET", "/plain/missing", "", with(tls, algorithm(customerHeader, "AES256")...)},
		{"object before half a customer's key, HEAD", noSuchKey, "HEAD", "/plain/missing", "", with(tls, algorithm(customerHeader, "AES256")...)},
		{"object before a KMS key", noSuchKey, "GET", "/plain/missing", "", with(tls, keyHeader, "x")},
		{"object before a context, attributes", noSuchKey, "GET", "/plain/missing?attributes", "", with(tls, ctxHeader, "x", "x-amz-object-attributes", "ETag")},
		{"half a customer's key before its kind", customerNoKey, "GET", "/plain/src", "", with(tls, algorithm(customerHeader, "AES256")...)},
		{"condition before the range", failedCondition, "GET", "/plain/src", "", with(tls, "If-Match", `"other"`, "Range", "bytes=99-")},
		{"a customer's key before conditions", customerNeeded, "GET", "/plain/secret", "", with(tls, "If-None-Match", "*")},
		{"a customer's key before the range", customerWrong, "GET", "/plain/secret", "", with(with(tls, trioOf(keyB)...), "Range", "bytes=99-")},
		{"condition before the KMS key", failedCondition, "GET", "/vault/k", "", with(tls, "If-Match", `"other"`)},
		{"range before the KMS key", noSuchRange, "GET", "/vault/k", "", with(tls, "Range", "bytes=99-")},
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
