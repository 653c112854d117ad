// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/internal/fips"
	"github.com/cofferstore/coffer/test/coffertest"
)

// Prefixes of the headers of a customer's key: of the request's object, and of a
// copy's source.
const (
	customerHeader = "x-amz-server-side-encryption-customer-"
	sourceHeader   = "x-amz-copy-source-server-side-encryption-customer-"
)

// Keys of customers.
var (
	keyA = []byte("customer's key A, of 32 bytes...")
	keyB = []byte("customer's key B, of 32 bytes...")
)

// customer is a customer's key as the SDK takes it.
type customer struct{ algorithm, key, md5 *string }

func customerOf(key []byte) customer {
	sum := fips.MD5(key)
	return customer{aws.String("AES256"), aws.String(base64.StdEncoding.EncodeToString(key)), aws.String(base64.StdEncoding.EncodeToString(sum[:]))}
}

func (c customer) put(in *s3.PutObjectInput) {
	in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = c.algorithm, c.key, c.md5
}

func (c customer) get(in *s3.GetObjectInput) {
	in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = c.algorithm, c.key, c.md5
}

// headers are the trio under a prefix.
func (c customer) headers(prefix string) []string {
	return []string{prefix + "algorithm", *c.algorithm, prefix + "key", *c.key, prefix + "key-MD5", *c.md5}
}

func trioOf(key []byte) []string { return customerOf(key).headers(customerHeader) }

func sourceTrioOf(key []byte) []string { return customerOf(key).headers(sourceHeader) }

// told is what an answer about an object under a customer's key has in its headers.
func (c customer) told() string {
	return fmt.Sprint(map[string]string{"customer-algorithm": "AES256", "customer-key-md5": *c.md5})
}

func TestVectorsOfCustomersKeys(t *testing.T) {
	s := newStage(t)
	// 15: a new bucket takes none.
	s.refuses("15", customerBlocked, "PUT", "/vault/o8", "eight", trioOf(keyA)...)
	// 16: unless it says so; the rest of its configuration stays.
	unblock(s.Server, "vault")
	if got := s.rule("vault"); *got.ApplyServerSideEncryptionByDefault.KMSMasterKeyID != s.k1 || !*got.BucketKeyEnabled {
		t.Errorf("16: %+v", got)
	}
	n := len(s.KMSRequests())
	a := s.accepts("16", "PUT", "/vault/o8", "eight", trioOf(keyA)...)
	if got := fmt.Sprint(encryptionOf(a.header)); got != customerOf(keyA).told() {
		t.Errorf("16: %v", got)
	}
	if etag := a.header.Get("ETag"); etag == etagOf("eight") || len(etag) != 34 {
		t.Errorf("16: ETag %s", etag)
	}
	// 17: whose key it is decides also about what is known of it.
	s.refuses("17, no key", customerNeeded, "HEAD", "/vault/o8", "")
	s.refuses("17, wrong key", customerWrong, "HEAD", "/vault/o8", "", trioOf(keyB)...)
	a = s.accepts("17", "HEAD", "/vault/o8", "", trioOf(keyA)...)
	if got := fmt.Sprint(encryptionOf(a.header)); got != customerOf(keyA).told() || a.body != "" {
		t.Errorf("17: %v %q", got, a.body)
	}
	if got, _ := s.Get("vault", "o8", customerOf(keyA).get); got != "eight" {
		t.Errorf("17: reads %q", got)
	}
	if got := s.since(n); len(got) > 0 {
		t.Errorf("KMS requests for a customer's key: %v", got)
	}
}

func TestCustomersKeys(t *testing.T) {
	choices(t).each(t, shared{"wrong", wrongCustomersKeys}, shared{"use", useOfCustomersKeys}, shared{"uploads", uploadsUnderCustomersKeys},
		shared{"presigned", presignedCustomersKeys}, shared{"blocked", blockedCustomersKeys})
}

func useOfCustomersKeys(t *testing.T, s *stage) {
	s.accepts("put", "PUT", "/plain/secret", "secret", trioOf(keyA)...)
	s.Put("vault", "kms", "under KMS")
	s.Put("vault", "double", "under KMS, twice", func(in *s3.PutObjectInput) { in.ServerSideEncryption = types.ServerSideEncryptionAwsKmsDsse })
	attributes := []string{"x-amz-object-attributes", "ObjectSize"}
	for op, r := range map[string]struct {
		method, query string
		headers       []string
	}{
		"GetObject":           {"GET", "", nil},
		"GetObject, range":    {"GET", "", []string{"Range", "bytes=1-2"}},
		"HeadObject":          {"HEAD", "", nil},
		"GetObjectAttributes": {"GET", "?attributes", attributes},
	} {
		s.refuses(op+" without", customerNeeded, r.method, "/plain/secret"+r.query, "", r.headers...)
		s.refuses(op+" with another", customerWrong, r.method, "/plain/secret"+r.query, "", with(r.headers, trioOf(keyB)...)...)
		s.accepts(op, r.method, "/plain/secret"+r.query, "", with(r.headers, trioOf(keyA)...)...)
		for _, other := range []string{"/plain/src", "/vault/kms", "/vault/double"} {
			s.refuses(op+" of "+other, customerNotHere, r.method, other+r.query, "", with(r.headers, trioOf(keyA)...)...)
		}
	}
	from := func(source string) []string { return []string{"x-amz-copy-source", source} }
	s.refuses("copy without", customerNeeded, "PUT", "/plain/copy", "", from("plain/secret")...)
	s.refuses("copy with the target's", customerNeeded, "PUT", "/plain/copy", "", with(from("plain/secret"), trioOf(keyA)...)...)
	s.refuses("copy with another", customerWrong, "PUT", "/plain/copy", "", with(from("plain/secret"), sourceTrioOf(keyB)...)...)
	s.refuses("copy of SSE-S3", customerNotHere, "PUT", "/plain/copy", "", with(from("plain/src"), sourceTrioOf(keyA)...)...)
	s.refuses("copy of SSE-KMS", customerNotHere, "PUT", "/plain/copy", "", with(from("vault/kms"), sourceTrioOf(keyA)...)...)

	// Changing the key is a copy onto itself; so is taking the encryption over.
	s.accepts("rotate", "PUT", "/plain/secret", "", with(with(from("plain/secret"), sourceTrioOf(keyA)...), trioOf(keyB)...)...)
	s.refuses("the old key", customerWrong, "GET", "/plain/secret", "", trioOf(keyA)...)
	if got, _ := s.Get("plain", "secret", customerOf(keyB).get); got != "secret" {
		t.Errorf("after a rotation: %q", got)
	}
	a := s.accepts("take over", "PUT", "/plain/secret", "", with(from("plain/secret"), sourceTrioOf(keyB)...)...)
	if got := encryptionOf(a.header); got[""] != "AES256" || len(got) != 1 {
		t.Errorf("taken over: %v", got)
	}
	if got, _ := s.Get("plain", "secret"); got != "secret" {
		t.Errorf("taken over: %q", got)
	}
	s.accepts("DELETE needs no key", "DELETE", "/plain/secret", "")
}

// blockedCustomersKeys: writes that ask for one are refused, nothing
// else is.
func blockedCustomersKeys(t *testing.T, s *stage) {
	a := trioOf(keyA)
	s.accepts("before", "PUT", "/plain/secret", "secret", a...)
	upload := s.begin("plain", "upload", a...)
	etag := s.accepts("part", "PUT", upload+"&partNumber=1", "part", a...).header.Get("ETag")
	body := `<ServerSideEncryptionConfiguration><Rule><BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes></Rule></ServerSideEncryptionConfiguration>`
	s.accepts("block", "PUT", "/plain?encryption", body, digested(body)...)
	done := "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>" + etag + "</ETag></Part></CompleteMultipartUpload>"
	source := []string{"x-amz-copy-source", "plain/src"}
	for _, r := range []struct {
		op, method, target, body string
		headers                  []string
	}{
		{"PutObject", "PUT", "/plain/k", "x", a},
		{"CopyObject", "PUT", "/plain/k", "", with(source, a...)},
		{"CreateMultipartUpload", "POST", "/plain/k?uploads", "", a},
		{"UploadPart", "PUT", upload + "&partNumber=2", "x", a},
		{"UploadPartCopy", "PUT", upload + "&partNumber=2", "", with(source, a...)},
		{"CompleteMultipartUpload", "POST", upload, done, nil},
		{"CompleteMultipartUpload with the key", "POST", upload, done, a},
	} {
		s.refuses(r.op, customerBlocked, r.method, r.target, r.body, r.headers...)
	}
	form{bucket: "plain", key: "k", body: "x", fields: a}.send(s.Server).isRejected("PostObject", false, customerBlocked)
	whole := `User: arn:aws:iam::` + coffertest.Account + `:root is not authorized to perform: s3:PutObject on resource: "arn:aws:s3:::plain/k" because this bucket ` + customerBlocked.text
	if got := s.raw("PUT", "/plain/k", "x", a...).get("Message"); !strings.HasPrefix(got, whole) {
		t.Errorf("says %q, want %q", got, whole)
	}
	s.accepts("GetObject", "GET", "/plain/secret", "", a...)
	s.accepts("HeadObject", "HEAD", "/plain/secret", "", a...)
	s.accepts("GetObjectAttributes", "GET", "/plain/secret?attributes", "", with(a, "x-amz-object-attributes", "ETag")...)
	s.accepts("copy out", "PUT", "/plain/copy", "", with([]string{"x-amz-copy-source", "plain/secret"}, sourceTrioOf(keyA)...)...)
	s.accepts("AbortMultipartUpload", "DELETE", upload, "")
	s.accepts("DeleteObject", "DELETE", "/plain/secret", "")
}

// presignedCustomersKeys: the algorithm is signed with the URL, the key comes
// with the request.
func presignedCustomersKeys(t *testing.T, s *stage) {
	c := customerOf(keyA)
	put := &s3.PutObjectInput{Bucket: aws.String("plain"), Key: aws.String("secret")}
	c.put(put)
	signed, err := s3.NewPresignClient(s.S3).PresignPutObject(t.Context(), put)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(signed.URL, *c.key) || strings.Contains(signed.URL, base64.URLEncoding.EncodeToString(keyA)) {
		t.Fatalf("the URL has the key: %s", signed.URL)
	}
	if a := s.follow("PUT", signed.URL, "secret", signed.SignedHeader); a.status != 200 || fmt.Sprint(encryptionOf(a.header)) != c.told() {
		t.Errorf("%d %s %v", a.status, a.body, encryptionOf(a.header))
	}
	get := &s3.GetObjectInput{Bucket: put.Bucket, Key: put.Key}
	c.get(get)
	if signed, err = s3.NewPresignClient(s.S3).PresignGetObject(t.Context(), get); err != nil {
		t.Fatal(err)
	}
	if a := s.follow("GET", signed.URL, "", signed.SignedHeader); a.status != 200 || a.body != "secret" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestCustomersKeysAreNowhere looks for a customer's key in everything that the
// server wrote, after requests that it did and that it refused.
func TestCustomersKeysAreNowhere(t *testing.T) {
	log := new(logBuffer)
	s := &stage{Server: coffertest.Start(t, coffertest.Log(log))}
	s.Bucket("plain", "", "", false)
	a := trioOf(keyA)
	s.refuses("blocked", customerBlocked, "PUT", "/plain/k", "x", a...)
	unblock(s.Server, "plain")
	body := string(bytes.Repeat([]byte("planted under a customer's key"), 1000))
	s.accepts("put", "PUT", "/plain/k", body, a...)
	s.accepts("get", "GET", "/plain/k", "", a...)
	upload := s.begin("plain", "u", a...)
	s.accepts("part", "PUT", upload+"&partNumber=1", body, a...)
	s.accepts("rotate", "PUT", "/plain/k", "", with(with(trioOf(keyB), sourceTrioOf(keyA)...), "x-amz-copy-source", "plain/k")...)
	s.refuses("wrong", customerWrong, "GET", "/plain/k", "", a...)
	s.refuses("mixed", customerMixed.of("AES256"), "PUT", "/plain/k", "", with(a, sseHeader, "AES256")...)
	s.refuses("MD5", customerMD5, "PUT", "/plain/k", "", customerHeader+"algorithm", "AES256", customerHeader+"key", *customerOf(keyA).key, customerHeader+"key-MD5", *customerOf(keyB).md5)
	// A wrong signature is logged with what was signed.
	req, err := http.NewRequestWithContext(t.Context(), "GET", s.URL+"/plain/k", nil)
	if err != nil {
		t.Fatal(err)
	}
	signature := "AWS4-HMAC-SHA256 Credential=" + coffertest.AccessKeyID + "/20000101/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=00"
	req.Header.Set("Authorization", signature)
	for i := 0; i < len(a); i += 2 {
		req.Header.Set(a[i], a[i+1])
	}
	if got := send(t, req); got.status != 403 || strings.Contains(got.body, *customerOf(keyA).key) {
		t.Errorf("%d %s", got.status, got.body)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	planted := map[string][]byte{"key A": keyA, "key B": keyB, "body": []byte(body[:24])}
	err = filepath.WalkDir(s.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		for name, secret := range planted {
			if form := contains(b, secret); form != "" {
				t.Errorf("%s has %s in %s", path, name, form)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, secret := range planted {
		if form := contains(log.bytes(), secret); form != "" {
			t.Errorf("the log has %s in %s", name, form)
		}
	}
}
