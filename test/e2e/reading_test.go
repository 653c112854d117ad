// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/test/coffertest"
)

func TestReading(t *testing.T) {
	choices(t).each(t, shared{"reads", readsOfEncryptedObjects}, shared{"presigned", presignedURLs})
}

// readsOfEncryptedObjects: reading is the same under every encryption, and so
// is what it tells, whole or in part.
func readsOfEncryptedObjects(t *testing.T, s *stage) {
	body := "0123456789"
	c := customerOf(keyA)
	s.Put("vault", "sse-s3", body, func(in *s3.PutObjectInput) { in.ServerSideEncryption = types.ServerSideEncryptionAes256 })
	s.Put("vault", "own", body, func(in *s3.PutObjectInput) { in.BucketKeyEnabled = aws.Bool(false) })
	s.Put("vault", "shared", body)
	s.Put("vault", "double", body, func(in *s3.PutObjectInput) { in.ServerSideEncryption = dsse })
	s.Put("vault", "customer", body, c.put)
	m := managed(s.Server)
	for key, want := range map[string]map[string]string{
		"sse-s3":   {"": "AES256"},
		"own":      {"": "aws:kms", "aws-kms-key-id": s.k1},
		"shared":   {"": "aws:kms", "aws-kms-key-id": s.k1, "bucket-key-enabled": "true"},
		"double":   {"": "aws:kms:dsse", "aws-kms-key-id": m},
		"customer": {"customer-algorithm": "AES256", "customer-key-md5": *c.md5},
	} {
		var use []string
		if key == "customer" {
			use = trioOf(keyA)
		}
		for _, r := range []struct {
			what, query, byteRange string
			status                 int
			body                   string
		}{
			{"whole", "", "", 200, body},
			{"range", "", "bytes=2-4", 206, "234"},
			{"end", "", "bytes=-3", 206, "789"},
			{"beyond the end", "", "bytes=8-99", 206, "89"},
			{"malformed range", "", "bytes=4-2", 200, body},
			{"no range at all", "", "lines=1-2", 200, body},
			{"part", "?partNumber=1", "", 206, body},
		} {
			headers := use
			if r.byteRange != "" {
				headers = with(use, "Range", r.byteRange)
			}
			for _, method := range []string{"GET", "HEAD"} {
				a := s.raw(method, "/vault/"+key+r.query, "", headers...)
				if method == "HEAD" {
					r.body = ""
				}
				if a.status != r.status || a.body != r.body || fmt.Sprint(encryptionOf(a.header)) != fmt.Sprint(want) {
					t.Errorf("%s, %s %s: %d %q %v, want %d %q %v", key, method, r.what, a.status, a.body, encryptionOf(a.header), r.status, r.body, want)
				}
			}
		}
		// An answer without data tells nothing, and costs no KMS request.
		n := len(s.KMSRequests())
		if a := s.raw("GET", "/vault/"+key, "", with(use, "If-None-Match", "*")...); a.status != 304 || len(encryptionOf(a.header)) > 0 {
			t.Errorf("%s: %d %v", key, a.status, encryptionOf(a.header))
		}
		for _, c := range []struct {
			what, query string
			headers     []string
			want        rejection
		}{
			{"range behind the end", "", []string{"Range", "bytes=10-"}, noSuchRange},
			{"missing part", "?partNumber=2", nil, noSuchPart},
			{"range and part", "?partNumber=1", []string{"Range", "bytes=0-1"}, rangeAndPart},
			{"condition not met", "", []string{"If-Match", `"other"`}, failedCondition},
		} {
			for _, method := range []string{"GET", "HEAD"} {
				a := s.raw(method, "/vault/"+key+c.query, "", with(use, c.headers...)...)
				a.isRejected(key+", "+method+" "+c.what, method == "HEAD", c.want)
				if got := encryptionOf(a.header); len(got) > 0 {
					t.Errorf("%s, %s %s: tells %v", key, method, c.what, got)
				}
			}
		}
		if got := s.since(n); len(got) > 0 {
			t.Errorf("%s: KMS requests of answers without data: %v", key, got)
		}
		// The checksum of the default algorithm is there for all of them.
		a := s.accepts(key, "HEAD", "/vault/"+key, "", with(use, "x-amz-checksum-mode", "ENABLED")...)
		found := 0
		for name := range a.header {
			if strings.HasPrefix(name, "X-Amz-Checksum-") && name != "X-Amz-Checksum-Type" {
				found++
			}
		}
		if found != 1 {
			t.Errorf("%s: %d checksums in %v", key, found, a.header)
		}
	}
}

// follow sends a presigned request with more headers.
func (s *stage) follow(method, url, body string, signed http.Header, more ...string) answer {
	s.T.Helper()
	req, err := http.NewRequestWithContext(s.T.Context(), method, url, strings.NewReader(body))
	if err != nil {
		s.T.Fatal(err)
	}
	for name, values := range signed {
		if name != "Host" && name != "Content-Length" {
			req.Header[name] = values
		}
	}
	for i := 0; i+1 < len(more); i += 2 {
		req.Header.Add(more[i], more[i+1])
	}
	return send(s.T, req)
}

func presignedURLs(t *testing.T, s *stage) {
	ctx := t.Context()
	pre := s3.NewPresignClient(s.S3)
	put := func(edit func(*s3.PutObjectInput)) (string, http.Header) {
		in := &s3.PutObjectInput{Bucket: aws.String("vault"), Key: aws.String("k")}
		edit(in)
		out, err := pre.PresignPutObject(ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		return out.URL, out.SignedHeader
	}
	asked := func(in *s3.PutObjectInput) {
		in.ServerSideEncryption, in.SSEKMSKeyId, in.BucketKeyEnabled = types.ServerSideEncryptionAwsKms, &s.k2, aws.Bool(false)
	}
	// Without encryption headers the bucket's default applies.
	url, signed := put(func(*s3.PutObjectInput) {})
	if _, err := operator(s.Server, coffertest.SecretAccessKey).FlushKeys(ctx, "vault", ""); err != nil {
		t.Fatal(err)
	}
	n := len(s.KMSRequests())
	if a := s.follow("PUT", url, "body", signed); a.status != 200 || a.header.Get(keyHeader) != s.k1 || a.header.Get(bkHeader) != "true" {
		t.Errorf("default: %d %s %v", a.status, a.body, encryptionOf(a.header))
	}
	// It is the signer whom the KMS is asked for.
	if asked := s.KMSRequests()[n:]; len(asked) != 1 || asked[0].EventName != "GenerateDataKey" || asked[0].UserIdentity.AccessKeyID != coffertest.AccessKeyID {
		t.Errorf("default: KMS requests %+v", asked)
	}
	// A header that nobody signed is refused by name.
	a := s.follow("PUT", url, "body", signed, sseHeader, "AES256")
	a.isRejected("unsigned header", false, rejection{403, "AccessDenied", "headers present in the request which were not signed", "", nil})
	var e struct{ HeadersNotSigned string }
	if err := xml.Unmarshal([]byte(a.body), &e); err != nil || e.HeadersNotSigned != sseHeader {
		t.Errorf("unsigned header: %s", a.body)
	}
	// Signed ones must be sent as they were signed.
	url, signed = put(asked)
	if a := s.follow("PUT", url, "body", signed); a.status != 200 || fmt.Sprint(encryptionOf(a.header)) != fmt.Sprint(map[string]string{"": "aws:kms", "aws-kms-key-id": s.k2}) {
		t.Errorf("signed headers: %d %s %v", a.status, a.body, encryptionOf(a.header))
	}
	other := signed.Clone()
	changed := false
	for name := range other {
		if strings.EqualFold(name, keyHeader) {
			other[name], changed = []string{s.k1}, true
		}
	}
	if !changed {
		t.Fatalf("the SDK signs %v", signed)
	}
	s.follow("PUT", url, "body", other).
		isRejected("another key than signed", false, rejection{403, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided", "", nil})
	// As parameters of the URL they are as good as headers.
	req, err := http.NewRequestWithContext(ctx, "PUT", s.URL+"/vault/k?"+sseHeader+"=aws:kms:dsse&"+keyHeader+"="+s.k2+"&X-Amz-Expires=60", nil)
	if err != nil {
		t.Fatal(err)
	}
	root := aws.Credentials{AccessKeyID: coffertest.AccessKeyID, SecretAccessKey: coffertest.SecretAccessKey}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	url, signed, err = signer.PresignHTTP(ctx, root, req, "UNSIGNED-PAYLOAD", "s3", coffertest.Region, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if a := s.follow("PUT", url, "body", signed); a.status != 200 || a.header.Get(sseHeader) != string(dsse) || a.header.Get(keyHeader) != s.k2 {
		t.Errorf("parameters: %d %s %v", a.status, a.body, encryptionOf(a.header))
	}
	in := &s3.GetObjectInput{Bucket: aws.String("vault"), Key: aws.String("k")}
	get, err := pre.PresignGetObject(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	if a := s.follow("GET", get.URL, "", get.SignedHeader); a.status != 200 || a.body != "body" {
		t.Errorf("GET: %d %s", a.status, a.body)
	}
	s.follow("GET", get.URL, "", get.SignedHeader, sseHeader, "aws:kms").
		isRejected("GET with an unsigned header", false, rejection{403, "AccessDenied", "headers present in the request which were not signed", "", nil})
}
