// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/internal/server"
	"github.com/cofferstore/coffer/test/coffertest"
)

// TestWebsites: a bucket is served as a website, at a host name and on a listener of its own,
// to whom its policy lets.
func TestWebsites(t *testing.T) {
	t.Parallel()
	s := start(t, coffertest.Flags("--website-domain", "web.example.com", "--website-listen", "127.0.0.1:0"),
		coffertest.Tune(server.Tuning{LogDelivery: time.Hour}))
	s.Bucket("photos", "", "", false)
	bucket := aws.String("photos")
	do(t, s.S3.PutBucketWebsite, &s3.PutBucketWebsiteInput{Bucket: bucket, WebsiteConfiguration: &types.WebsiteConfiguration{
		IndexDocument: &types.IndexDocument{Suffix: aws.String("index.html")}, ErrorDocument: &types.ErrorDocument{Key: aws.String("sorry.html")},
		RoutingRules: []types.RoutingRule{{Condition: &types.Condition{KeyPrefixEquals: aws.String("old/")}, Redirect: &types.Redirect{ReplaceKeyPrefixWith: aws.String("new/")}}},
	}})
	if got := do(t, s.S3.GetBucketWebsite, &s3.GetBucketWebsiteInput{Bucket: bucket}); *got.IndexDocument.Suffix != "index.html" || len(got.RoutingRules) != 1 {
		t.Errorf("website %+v", got)
	}
	s.Put("photos", "index.html", "hello")
	s.Put("photos", "sorry.html", "sorry")
	s.Put("photos", "large", strings.Repeat("0123456789", 100_000))
	host := []string{"Host", "photos.web.example.com"}
	visit := func(method, path string, status int, body string, headers ...string) answer {
		t.Helper()
		a := plain(t, method, s.URL+path, "", append(headers, host...)...)
		if a.status != status || a.body != body && body != "*" {
			t.Errorf("%s %s: %d %.100q", method, path, a.status, a.body)
		}
		return a
	}
	visit("GET", "/", 403, "*")
	do(t, s.S3.DeletePublicAccessBlock, &s3.DeletePublicAccessBlockInput{Bucket: bucket})
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/*"},{"Effect":"Allow","Principal":"*","Action":"s3:ListBucket","Resource":"arn:aws:s3:::photos"}]}`
	do(t, s.S3.PutBucketPolicy, &s3.PutBucketPolicyInput{Bucket: bucket, Policy: &policy})
	visit("GET", "/", 200, "hello")
	visit("HEAD", "/", 200, "")
	visit("GET", "/large", 206, "345", "Range", "bytes=900003-900005")
	visit("GET", "/large", 200, strings.Repeat("0123456789", 100_000))
	visit("GET", "/none", 404, "sorry")
	visit("POST", "/", 405, "*")
	visit("GET", "/-/health", 404, "sorry") // the operator's paths are not there
	visit("OPTIONS", "/", 400, "*")
	do(t, s.S3.PutBucketCors, &s3.PutBucketCorsInput{Bucket: bucket, CORSConfiguration: &types.CORSConfiguration{CORSRules: []types.CORSRule{{AllowedOrigins: []string{"*"}, AllowedMethods: []string{"GET"}}}}})
	visit("OPTIONS", "/", 200, "", "Origin", "https://a", "Access-Control-Request-Method", "GET")
	if a := visit("GET", "/old/a?b=c", 301, ""); a.header.Get("Location") != "http://photos.web.example.com/new/a?b=c" {
		t.Errorf("redirected to %s", a.header.Get("Location"))
	}

	alone := "http://" + s.Core.WebsiteAddr().String()
	if a := plain(t, "GET", alone+"/", "", host...); a.status != 200 || a.body != "hello" {
		t.Errorf("on the listener of websites: %d %s", a.status, a.body)
	}
	if a := plain(t, "GET", alone+"/", "", "Host", "photos"); a.status != 200 || a.body != "hello" {
		t.Errorf("by the bucket's name: %d %s", a.status, a.body)
	}
	// Nothing else is there.
	_, port, _ := net.SplitHostPort(s.Core.WebsiteAddr().String())
	for _, path := range []string{"/photos/index.html", "/-/health", "/-/metrics", "/"} {
		if a := plain(t, "GET", alone+path, "", "Host", "127.0.0.1:"+port); a.status != 404 || !strings.HasPrefix(a.body, "<html>") {
			t.Errorf("%s on the listener of websites: %d %s", path, a.status, a.body)
		}
	}
	do(t, s.S3.DeleteBucketWebsite, &s3.DeleteBucketWebsiteInput{Bucket: bucket})
	visit("GET", "/", 404, "*")
}
