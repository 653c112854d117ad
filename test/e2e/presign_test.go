// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/test/coffertest"
)

// open uses a presigned URL with the headers that were signed with it, as whoever
// was given it does.
func open(t testing.TB, p *v4.PresignedHTTPRequest, body string, edit ...func(*http.Request)) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), p.Method, p.URL, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range p.SignedHeader {
		if name != "Host" && name != "Content-Length" {
			req.Header[name] = values
		}
	}
	for _, e := range edit {
		e(req)
	}
	return send(t, req)
}

func testPresignedURLs(t *testing.T, s *coffertest.Server) {
	key := s.Key()
	s.Bucket("presigned", "aws:kms", key, true)
	s.Bucket("presigned-plain", "", "", false)
	sign := s3.NewPresignClient(s.S3)
	must := func(p *v4.PresignedHTTPRequest, err error) *v4.PresignedHTTPRequest {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	bucket, plain, name := aws.String("presigned"), aws.String("presigned-plain"), aws.String("a b/ü+&")
	ctx := t.Context()

	// The bucket's default encrypts; the URL's signer asks for the key.
	put := must(sign.PresignPutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: name}))
	a := open(t, put, "hello")
	if got := encryptionHeaders(a.header); a.status != 200 || got[""] != "aws:kms" || got["-aws-kms-key-id"] != key || got["-bucket-key-enabled"] != "true" {
		t.Errorf("put: %d %v %s", a.status, got, a.body)
	}
	get := must(sign.PresignGetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: name, ResponseContentType: aws.String("text/x")}, s3.WithPresignExpires(time.Minute)))
	if a := open(t, get, ""); a.status != 200 || a.body != "hello" || a.header.Get("Content-Type") != "text/x" {
		t.Errorf("get: %d %q %v", a.status, a.body, a.header)
	}
	if a := open(t, get, "", func(r *http.Request) { r.Header.Set("Range", "bytes=1-2") }); a.status != 206 || a.body != "el" {
		t.Errorf("range: %d %q", a.status, a.body)
	}
	head := must(sign.PresignHeadObject(ctx, &s3.HeadObjectInput{Bucket: bucket, Key: name}))
	if a := open(t, head, ""); a.status != 200 || a.header.Get("Content-Length") != "5" {
		t.Errorf("head: %d %v", a.status, a.header)
	}
	// Encryption as headers that are signed: the client must send them as they are.
	sse := must(sign.PresignPutObject(ctx, &s3.PutObjectInput{
		Bucket: plain, Key: name, ServerSideEncryption: types.ServerSideEncryptionAwsKms, SSEKMSKeyId: &key, BucketKeyEnabled: aws.Bool(true),
	}))
	a = open(t, sse, "secret")
	if got := encryptionHeaders(a.header); a.status != 200 || got["-aws-kms-key-id"] != key || got["-bucket-key-enabled"] != "true" {
		t.Errorf("put with encryption: %d %v %s", a.status, got, a.body)
	}
	for what, edit := range map[string]func(*http.Request){
		"without them":   func(r *http.Request) { r.Header.Del(sseHeader) },
		"with another":   func(r *http.Request) { r.Header.Set(sseHeader, "AES256") },
		"another method": func(r *http.Request) { r.Method = "GET" },
		"another object": func(r *http.Request) { r.URL.Path += "x"; r.URL.RawPath = "" },
		"another lifetime": func(r *http.Request) {
			r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "X-Amz-Expires=9", "X-Amz-Expires=8", 1)
		},
	} {
		if a := open(t, sse, "x", edit); a.status != 403 || a.get("Code") != "SignatureDoesNotMatch" || a.get("CanonicalRequest") == "" {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
	}
	if got, _ := s.Get("presigned-plain", *name); got != "secret" {
		t.Errorf("reads %q", got)
	}
	open(t, put, "x", func(r *http.Request) { r.Header.Set(sseHeader, "AES256") }).
		is(refusal{status: 403, code: "AccessDenied", text: "There were headers present in the request which were not signed", elements: []string{"HeadersNotSigned=" + sseHeader}})
	// Encryption as a parameter that is signed stands for the header.
	query := presigned(s, "PUT", "/presigned-plain/by-query", url.Values{"X-Amz-Server-Side-Encryption": {"aws:kms"}, "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id": {key}}, time.Now(), "900")
	if a := query("x"); a.status != 200 || encryptionHeaders(a.header)["-aws-kms-key-id"] != key {
		t.Errorf("by query: %d %v %s", a.status, a.header, a.body)
	}
	// A part, and a removal.
	up := begin(s, "presigned", "parts")
	part := must(sign.PresignUploadPart(ctx, &s3.UploadPartInput{Bucket: bucket, Key: aws.String("parts"), UploadId: &up.id, PartNumber: aws.Int32(1)}))
	a = open(t, part, "part")
	up.parts = []types.CompletedPart{{PartNumber: aws.Int32(1), ETag: aws.String(a.header.Get("Etag"))}}
	do(t, s.S3.CompleteMultipartUpload, up.completion())
	if got, _ := s.Get("presigned", "parts"); got != "part" {
		t.Errorf("parts read %q", got)
	}
	drop := must(sign.PresignDeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: aws.String("parts")}))
	if a := open(t, drop, ""); a.status != 204 || keys(s, "presigned") != "["+*name+"]" {
		t.Errorf("delete: %d, left %s", a.status, keys(s, "presigned"))
	}
}

// presigned returns what uses a URL that is signed with those parameters, as no
// SDK would sign it, for seconds from a time on.
func presigned(s *coffertest.Server, method, target string, parameters url.Values, at time.Time, seconds string) func(body string) answer {
	s.T.Helper()
	if parameters == nil {
		parameters = url.Values{}
	}
	if seconds != "" {
		parameters.Set("X-Amz-Expires", seconds)
	}
	req, err := http.NewRequestWithContext(s.T.Context(), method, s.URL+target+"?"+parameters.Encode(), nil)
	if err != nil {
		s.T.Fatal(err)
	}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	signed, _, err := signer.PresignHTTP(s.T.Context(), aws.Credentials{AccessKeyID: coffertest.AccessKeyID, SecretAccessKey: coffertest.SecretAccessKey},
		req, "UNSIGNED-PAYLOAD", "s3", coffertest.Region, at)
	if err != nil {
		s.T.Fatal(err)
	}
	return func(body string) answer {
		s.T.Helper()
		return open(s.T, &v4.PresignedHTTPRequest{Method: method, URL: signed}, body)
	}
}

func testPresignedURLsThatAreRefused(t *testing.T, s *coffertest.Server) {
	s.Bucket("bad-urls", "", "", false)
	s.Put("bad-urls", "k", "x")
	now := time.Now()
	lives := []string{"X-Amz-Expires", "Expires", "ServerTime"}
	const six = "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
	for _, c := range []struct {
		name       string
		at         time.Time
		seconds    string
		status     int
		code, text string
		elements   []string
	}{
		{"expired", now.Add(-2 * time.Minute), "60", 403, "AccessDenied", "Request has expired", lives},
		{"for no time", now, "0", 403, "AccessDenied", "Request has expired", lives},
		{"from tomorrow on", now.Add(24 * time.Hour), "60", 403, "AccessDenied", "Request is not valid yet", lives},
		{"for longer than a week", now, "604801", 400, "AuthorizationQueryParametersError", "X-Amz-Expires must be less than a week (in seconds)", nil},
		{"for less than nothing", now, "-1", 400, "AuthorizationQueryParametersError", "X-Amz-Expires must be non-negative", nil},
		{"for a while", now, "soon", 400, "AuthorizationQueryParametersError", "X-Amz-Expires should be a number", nil},
		{"for ever", now, "", 400, "AuthorizationQueryParametersError", six, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := presigned(s, "GET", "/bad-urls/k", nil, c.at, c.seconds)("")
			a.t = t
			a.is(refusal{status: c.status, code: c.code, text: c.text, elements: c.elements})
		})
	}
	at := now.UTC().Format("20060102T150405Z")
	good := url.Values{
		"X-Amz-Algorithm": {"AWS4-HMAC-SHA256"}, "X-Amz-Credential": {coffertest.AccessKeyID + "/" + at[:8] + "/us-east-1/s3/aws4_request"}, "X-Amz-Date": {at},
		"X-Amz-Expires": {"60"}, "X-Amz-SignedHeaders": {"host"}, "X-Amz-Signature": {hexSum(nil)},
	}
	for _, c := range []struct {
		name, parameter, value string
		status                 int
		code, text             string
	}{
		{"made up", "", "", 403, "SignatureDoesNotMatch", ""},
		{"no date", "X-Amz-Date", "", 400, "AuthorizationQueryParametersError", six},
		{"no credential", "X-Amz-Credential", "", 400, "AuthorizationQueryParametersError", six},
		{"no signature", "X-Amz-Signature", "", 400, "AuthorizationQueryParametersError", six},
		{"another algorithm", "X-Amz-Algorithm", "AWS4-HMAC-SHA512", 400, "AuthorizationQueryParametersError", `X-Amz-Algorithm only supports "AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256"`},
		{"a credential encoded twice", "X-Amz-Credential", url.QueryEscape(good.Get("X-Amz-Credential")), 400, "AuthorizationQueryParametersError", "Error parsing the X-Amz-Credential parameter; "},
		{"another region", "X-Amz-Credential", strings.Replace(good.Get("X-Amz-Credential"), "us-east-1", "eu-west-1", 1), 400, "AuthorizationQueryParametersError", "the region 'eu-west-1' is wrong; expecting 'us-east-1'"},
		{"a date of another form", "X-Amz-Date", "yesterday", 400, "AuthorizationQueryParametersError", "X-Amz-Date must be in the ISO8601 Long Format"},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := url.Values{}
			for name := range good {
				q.Set(name, good.Get(name))
			}
			if q.Set(c.parameter, c.value); c.value == "" {
				q.Del(c.parameter)
			}
			a := request{method: "GET", target: "/bad-urls/k?" + q.Encode(), anonymous: true}.do(s)
			if a.status != c.status || a.get("Code") != c.code || !strings.Contains(a.get("Message"), c.text) {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	(request{method: "GET", target: "/bad-urls/k?AWSAccessKeyId=x&Signature=y&Expires=1", anonymous: true}).do(s).
		is(refusal{status: 400, code: "InvalidRequest", text: "Please use AWS4-HMAC-SHA256."})
}
