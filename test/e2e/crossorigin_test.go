// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// plain sends a request that nobody signs.
func plain(t testing.TB, method, url, body string, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
			continue
		}
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req) // follows no redirects
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	return answer{t, resp.StatusCode, resp.Header, b.String()}
}

// TestCrossOrigin: a page of another site uses presigned URLs and forms, as far as the
// bucket's rules go.
func TestCrossOrigin(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.Bucket("photos", "", "", false)
	s.Put("photos", "cat", "meow")
	do(t, s.S3.PutBucketCors, &s3.PutBucketCorsInput{Bucket: aws.String("photos"), CORSConfiguration: &types.CORSConfiguration{CORSRules: []types.CORSRule{{
		AllowedOrigins: []string{"https://*.example.com"}, AllowedMethods: []string{"GET", "PUT", "POST"}, AllowedHeaders: []string{"content-type"},
		ExposeHeaders: []string{"ETag"}, MaxAgeSeconds: aws.Int32(60),
	}}}})
	if got := do(t, s.S3.GetBucketCors, &s3.GetBucketCorsInput{Bucket: aws.String("photos")}); len(got.CORSRules) != 1 || *got.CORSRules[0].MaxAgeSeconds != 60 {
		t.Errorf("rules %+v", got.CORSRules)
	}
	const origin = "https://a.example.com"
	for _, path := range []string{"/photos/cat", "/photos"} {
		a := plain(t, "OPTIONS", s.URL+path, "", "Origin", origin, "Access-Control-Request-Method", "PUT", "Access-Control-Request-Headers", "content-type")
		if a.status != 200 || a.header.Get("Access-Control-Allow-Origin") != origin || a.header.Get("Access-Control-Allow-Headers") != "content-type" || a.header.Get("Access-Control-Max-Age") != "60" {
			t.Errorf("preflight of %s: %d %v", path, a.status, a.header)
		}
	}
	if a := plain(t, "OPTIONS", s.URL+"/photos/cat", "", "Origin", "https://example.com", "Access-Control-Request-Method", "PUT"); a.status != 403 || a.get("Code") != "AccessForbidden" {
		t.Errorf("another origin: %d %s", a.status, a.body)
	}
	readable := func(what string, a answer, status int) {
		t.Helper()
		if a.status != status || a.header.Get("Access-Control-Allow-Origin") != origin || a.header.Get("Access-Control-Expose-Headers") != "ETag" || a.header.Get("Vary") == "" {
			t.Errorf("%s: %d %v %s", what, a.status, a.header, a.body)
		}
	}
	signer := s3.NewPresignClient(s.S3)
	url, err := signer.PresignGetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("photos"), Key: aws.String("cat")}, s3.WithPresignExpires(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	readable("a presigned URL", plain(t, "GET", url.URL, "", "Origin", origin), 200)
	readable("one that is not right", plain(t, "GET", url.URL+"0", "", "Origin", origin), 403)
	readable("nobody", plain(t, "GET", s.URL+"/photos/cat", "", "Origin", origin), 403)
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	_ = w.WriteField("key", "dog")
	file, _ := w.CreateFormFile("file", "dog")
	_, _ = file.Write([]byte("woof"))
	w.Close()
	readable("a form", plain(t, "POST", s.URL+"/photos", form.String(), "Origin", origin, "Content-Type", w.FormDataContentType()), 403)
	do(t, s.S3.DeleteBucketCors, &s3.DeleteBucketCorsInput{Bucket: aws.String("photos")})
	fails(t, s.S3.GetBucketCors, &s3.GetBucketCorsInput{Bucket: aws.String("photos")}, 404, "NoSuchCORSConfiguration", "does not exist")
}

// TestRequesterPays: other accounts must agree to pay, and nothing else changes.
func TestRequesterPays(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.Bucket("photos", "", "", false)
	s.Put("photos", "cat", "meow")
	tenant := s.NewAccount(tenantAccount, "tenant")
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + tenantAccount + `"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/*"}]}`
	do(t, s.S3.PutBucketPolicy, &s3.PutBucketPolicyInput{Bucket: aws.String("photos"), Policy: &policy})
	do(t, s.S3.PutBucketRequestPayment, &s3.PutBucketRequestPaymentInput{Bucket: aws.String("photos"), RequestPaymentConfiguration: &types.RequestPaymentConfiguration{Payer: types.PayerRequester}})
	if got := do(t, s.S3.GetBucketRequestPayment, &s3.GetBucketRequestPaymentInput{Bucket: aws.String("photos")}); got.Payer != types.PayerRequester {
		t.Errorf("payer %s", got.Payer)
	}
	in := &s3.GetObjectInput{Bucket: aws.String("photos"), Key: aws.String("cat")}
	fails(t, tenant.S3.GetObject, in, 403, "AccessDenied", "Access Denied")
	in.RequestPayer = types.RequestPayerRequester
	got := do(t, tenant.S3.GetObject, in)
	if got.Body.Close(); got.RequestCharged != types.RequestChargedRequester {
		t.Errorf("charged %q", got.RequestCharged)
	}
	if url, err := s3.NewPresignClient(tenant.S3).PresignGetObject(t.Context(), in); err != nil {
		t.Error(err)
	} else if a := plain(t, "GET", url.URL, ""); a.status != 200 || a.header.Get("X-Amz-Request-Charged") != "requester" {
		t.Errorf("a presigned URL: %d %v %s", a.status, a.header, a.body)
	}
	if body, out := s.Get("photos", "cat"); body != "meow" || out.RequestCharged != "" {
		t.Errorf("the owner reads %q, charged %q", body, out.RequestCharged)
	}
	do(t, s.S3.PutBucketAccelerateConfiguration, &s3.PutBucketAccelerateConfigurationInput{Bucket: aws.String("photos"), AccelerateConfiguration: &types.AccelerateConfiguration{Status: types.BucketAccelerateStatusEnabled}})
	if got := do(t, s.S3.GetBucketAccelerateConfiguration, &s3.GetBucketAccelerateConfigurationInput{Bucket: aws.String("photos")}); got.Status != types.BucketAccelerateStatusEnabled {
		t.Errorf("accelerated: %q", got.Status)
	}
}
