// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cofferstore/coffer/test/coffertest"
)

// TestSignaturesThatAreRefused: in the header. Nothing of such a request is done.
func TestSignaturesThatAreRefused(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.Bucket("vault", "", "", false)
	good := request{method: "PUT", target: "/vault/k", body: "x"}
	with := func(edit func(*request)) request {
		r := good
		edit(&r)
		return r
	}
	const malformed = "The authorization header is malformed; "
	authorization := func(text string) request {
		return with(func(r *request) {
			r.anonymous, r.headers = true, []string{"Authorization", text, "X-Amz-Content-Sha256", hexSum([]byte("x")), "X-Amz-Date", time.Now().UTC().Format("20060102T150405Z")}
		})
	}
	scope := coffertest.AccessKeyID + "/" + time.Now().UTC().Format("20060102")
	parts := func(credential string) request {
		return authorization("AWS4-HMAC-SHA256 Credential=" + credential + ", SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=" + hexSum(nil))
	}
	mismatch := []string{"AWSAccessKeyId=" + coffertest.AccessKeyID, "StringToSign", "SignatureProvided", "StringToSignBytes", "CanonicalRequest", "CanonicalRequestBytes"}
	past := time.Now().Add(-20 * time.Minute)
	before := len(s.Audit())
	refuse(t, s, []refusal{
		{"no signature", with(func(r *request) { r.anonymous = true }), 403, "AccessDenied", "", nil},
		{"no signature of the service", request{method: "GET", target: "/", anonymous: true}, 403, "AccessDenied", "", nil},
		{"another secret", with(func(r *request) { r.secret = "another secret of some length" }), 403, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided.", mismatch},
		{"an unknown key", with(func(r *request) { r.key = "AKIANOBODY0000000000" }), 403, "InvalidAccessKeyId", "does not exist in our records", []string{"AWSAccessKeyId=AKIANOBODY0000000000"}},
		{"another region", with(func(r *request) { r.region = "eu-west-1" }), 400, "AuthorizationHeaderMalformed", malformed + "the region 'eu-west-1' is wrong; expecting 'us-east-1'", []string{"Region=us-east-1"}},
		{"another service", with(func(r *request) { r.service = "kms" }), 400, "AuthorizationHeaderMalformed", malformed + `incorrect service "kms"`, nil},
		{"twenty minutes old", with(func(r *request) { r.at = past }), 403, "RequestTimeTooSkewed", "difference between the request time and the current time is too large", []string{"RequestTime=" + past.UTC().Format("20060102T150405Z"), "ServerTime", "MaxAllowedSkewMilliseconds=900000"}},
		{"twenty minutes early", with(func(r *request) { r.at = time.Now().Add(20 * time.Minute) }), 403, "RequestTimeTooSkewed", "", []string{"RequestTime", "ServerTime", "MaxAllowedSkewMilliseconds"}},
		{"an unsigned header", with(func(r *request) { r.unsigned = []string{"X-Amz-Meta-A", "b"} }), 403, "AccessDenied", "There were headers present in the request which were not signed", []string{"HeadersNotSigned=x-amz-meta-a"}},
		{"another value of a header", with(func(r *request) {
			r.headers, r.unsigned = []string{"X-Amz-Meta-A", "b"}, []string{"X-Amz-Meta-A", "c"}
		}), 403, "SignatureDoesNotMatch", "", mismatch},
		{"the hash of another body", with(func(r *request) { r.hash = hexSum([]byte("y")) }), 400, "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.", []string{"ClientComputedContentSHA256=" + hexSum([]byte("y")), "S3ComputedContentSHA256=" + hexSum([]byte("x"))}},
		{"no hash", with(func(r *request) { r.hash = "nonsense" }), 400, "InvalidArgument", "x-amz-content-sha256 must be", []string{"ArgumentName=x-amz-content-sha256", "ArgumentValue=nonsense"}},
		{"version 2", authorization("AWS " + coffertest.AccessKeyID + ":c2lnbmF0dXJl"), 400, "InvalidRequest", "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.", nil},
		{"a bearer", authorization("Bearer token"), 400, "InvalidArgument", "Unsupported Authorization Type", []string{"ArgumentName=Authorization"}},
		{"no parts", authorization("AWS4-HMAC-SHA256 nonsense"), 400, "AuthorizationHeaderMalformed", malformed + "the authorization header requires three components", nil},
		{"a short credential", parts(scope + "/us-east-1/s3"), 400, "AuthorizationHeaderMalformed", malformed + "the Credential is mal-formed", nil},
		{"another terminal", parts(scope + "/us-east-1/s3/aws5_request"), 400, "AuthorizationHeaderMalformed", malformed + `incorrect terminal "aws5_request"`, nil},
		{"another day", parts(coffertest.AccessKeyID + "/20200101/us-east-1/s3/aws4_request"), 400, "AuthorizationHeaderMalformed", malformed + "Invalid credential date", nil},
		{"a made-up signature", parts(scope + "/us-east-1/s3/aws4_request"), 403, "SignatureDoesNotMatch", "", mismatch},
		{"two ways at once", with(func(r *request) {
			r.target += "?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=x&X-Amz-Signature=x"
		}), 400, "InvalidArgument", "Only one auth mechanism allowed", []string{"ArgumentName=Authorization"}},
		{"a token of nobody", with(func(r *request) { r.headers = []string{"X-Amz-Security-Token", "token"} }), 400, "InvalidToken", "", nil},
	})
	if got := keys(s, "vault"); got != "[]" {
		t.Errorf("stored %s", got)
	}
	// The trail has those whose caller is known, or known to be nobody.
	var recorded []string
	for _, r := range s.Audit()[before:] {
		recorded = append(recorded, fmt.Sprint(r.EventName, " ", r.UserIdentity.AccountID, " ", r.ErrorCode))
	}
	want := []string{
		"PutObject anonymous AccessDenied", "ListBuckets anonymous AccessDenied",
		"PutObject " + coffertest.Account + " XAmzContentSHA256Mismatch", "ListObjects " + coffertest.Account + " ",
	}
	if !slices.Equal(recorded, want) {
		t.Errorf("recorded %q, want %q", recorded, want)
	}
}

// testHeadsThatAreTooLong: more than a request may say before its body.
func testHeadsThatAreTooLong(t *testing.T, s *coffertest.Server) {
	s.Bucket("heads-too-long", "", "", false)
	long := strings.Repeat("x", 9<<10)
	const text = "Your request header section exceeds the maximum allowed size."
	refuse(t, s, []refusal{
		{"a header", request{method: "GET", target: "/heads-too-long?list-type=2", headers: []string{"X-Other", long}}, 400, "RequestHeaderSectionTooLarge", text, []string{"MaxSizeAllowed=8192"}},
		{"a header, and a bucket that cannot be", request{method: "GET", target: "/No_Bucket", headers: []string{"X-Other", long}}, 400, "RequestHeaderSectionTooLarge", text, []string{"MaxSizeAllowed=8192"}},
		{"many headers", request{method: "GET", target: "/heads-too-long?list-type=2", headers: []string{"X-A", long[:5000], "X-B", long[:5000]}}, 400, "RequestHeaderSectionTooLarge", text, []string{"MaxSizeAllowed=8192"}},
	})
	a := request{method: "GET", target: "/heads-too-long?list-type=2", headers: []string{"X-Other", strings.Repeat(long, 20)}}.do(s)
	if a.status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("far too long: %d", a.status)
	}
	if a := (request{method: "GET", target: "/heads-too-long?list-type=2", headers: []string{"X-Other", long[:4000]}}).do(s); a.status != 200 {
		t.Errorf("not too long: %d", a.status)
	}
}
