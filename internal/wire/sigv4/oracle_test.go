// SPDX-License-Identifier: Apache-2.0

package sigv4_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"pgregory.net/rapid"

	"github.com/cofferstore/coffer/internal/wire/sigv4"
)

// escape is the path encoding of the AWS documentation.
func escape(s string) string {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if b := s[i]; strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/", b) >= 0 {
			out.WriteByte(b)
		} else {
			fmt.Fprintf(&out, "%%%02X", b)
		}
	}
	return out.String()
}

// awkward are pieces of keys and parameters that signers disagree about.
var awkward = []string{
	"a", "photos", "/", "//", ".", "..", "/../", " ", "  ", "+", "%", "%2F", "%20", "%zz", "é", "日本", "\U0001F431",
	"~", "*", "'", "(", ")", "!", "$", "&", ",", ";", ":", "=", "@", "?", "#", "[", "]", "{", "|", "}", "\\", "^", "`", "\"", "<", ">", "\t", "\x7f",
}

func text(label string, least int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom(awkward), least, 6).Draw(t, label), "")
	})
}

// drawRequest makes a request with an odd path, query and headers, as a client
// would build it.
func drawRequest(t *rapid.T) *http.Request {
	path := "/" + text("path", 0).Draw(t, "path")
	u := &url.URL{Scheme: "http", Host: "s3.example.test:9000", Path: path, RawPath: escape(path)}
	if rapid.Bool().Draw(t, "sends Go's escapes") {
		u.RawPath = ""
	}
	if u.EscapedPath() == "/*" || strings.HasPrefix(path, "//") {
		u.RawPath = escape(path)
	}
	query := url.Values{}
	for range rapid.IntRange(0, 5).Draw(t, "parameters") {
		name := rapid.OneOf(text("name", 0), rapid.SampledFrom([]string{"prefix", "acl", "a", "a-", "a.b"})).Draw(t, "name")
		query.Add(name, text("value", 0).Draw(t, "value"))
	}
	u.RawQuery = strings.ReplaceAll(query.Encode(), "&", rapid.SampledFrom([]string{"&", "&&"}).Draw(t, "separator"))
	r := &http.Request{Method: rapid.SampledFrom([]string{"GET", "PUT", "DELETE", "HEAD", "POST"}).Draw(t, "method"), URL: u, Header: http.Header{}}
	for range rapid.IntRange(0, 4).Draw(t, "headers") {
		name := rapid.SampledFrom([]string{
			"X-Amz-Meta-Title", "X-Amz-Meta-a-b-c", "Content-Type", "X-Amz-Acl", "Range", "x-amz-server-side-encryption-customer-key-MD5",
		}).Draw(t, "header")
		value := rapid.SampledFrom([]string{"", "plain", "  both  ends  ", "in   side", "a,b", "q=\"a  b\"", "caf\u00e9", "\ttab\t"}).Draw(t, "content")
		r.Header.Add(name, value)
	}
	return r
}

func TestSignedByTheSDK(t *testing.T) {
	v := verifier()
	rapid.Check(t, func(t *rapid.T) {
		r := drawRequest(t)
		r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
		sign(t, r, "UNSIGNED-PAYLOAD", "s3", time.Now(), "")
		got := received(t, r)
		if _, err := v.Verify(got, "s3"); err != nil {
			t.Fatalf("%s %s: %v", got.Method, got.RequestURI, err)
		}
		// The same request for anything else is not signed.
		got.RequestURI += "x"
		if _, err := v.Verify(got, "s3"); err == nil {
			t.Fatalf("%s is taken too", got.RequestURI)
		}
	})
}

func TestPresignedByTheSDK(t *testing.T) {
	v := sigv4.New(keyring{accessKey: {secretKey, "the+token/=="}}, sigv4.Config{})
	creds := aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey, SessionToken: "the+token/=="}
	rapid.Check(t, func(t *rapid.T) {
		r := drawRequest(t)
		r.URL.RawQuery = strings.Trim(r.URL.RawQuery+"&X-Amz-Expires=60", "&")
		signed, headers, err := signer("s3").PresignHTTP(context.Background(), creds, r, "UNSIGNED-PAYLOAD", "s3", region, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(signed)
		if err != nil {
			t.Fatal(err)
		}
		send := func(u *url.URL) (*sigv4.Result, error) {
			sent := &http.Request{Method: r.Method, URL: u, Header: headers.Clone()}
			sent.Header.Del("Host")
			return v.Verify(received(t, sent), "s3")
		}
		if _, err := send(u); err != nil {
			t.Fatalf("%s: %v", signed, err)
		}
		u.RawQuery += "&versionId=1"
		if _, err := send(u); err == nil {
			t.Fatalf("%s is taken too", u)
		}
	})
}

// TestOtherServices: KMS and its like sign the body's hash without a header for
// it, and escape the path twice.
func TestOtherServices(t *testing.T) {
	v := verifier()
	body := []byte(`{"KeyId":"alias/photos"}`)
	for _, path := range []string{"/", "/a%20b/c+d"} {
		r := request(t, "POST", "http://kms.example.test"+path, "X-Amz-Target: TrentService.DescribeKey",
			"Content-Type: application/x-amz-json-1.1")
		sign(t, r, hexSum(body), "kms", time.Now(), "")
		got := received(t, r)
		res, err := v.VerifyWhole(got, body, "kms")
		if err != nil || res.Service != "kms" || res.Principal.UserName != "alice" {
			t.Errorf("%s: %+v, %v", path, res, err)
		}
		_, err = v.VerifyWhole(got, bytes.ToUpper(body), "kms")
		wantFault(t, err, sigv4.SignatureMismatch)
		got.Header.Set("X-Amz-Target", "TrentService.DisableKey")
		_, err = v.VerifyWhole(got, body, "kms")
		wantFault(t, err, sigv4.SignatureMismatch)
	}
}

func TestGlobalServicesSignForUSEast1(t *testing.T) {
	v := sigv4.New(keyring{accessKey: {secret: secretKey}}, sigv4.Config{Region: "eu-west-1"})
	for service, ok := range map[string]bool{"iam": true, "sts": true, "kms": false, "s3": false} {
		r := request(t, "POST", "http://example.test/")
		sign(t, r, emptyHash, service, time.Now(), "")
		_, err := v.VerifyWhole(received(t, r), nil, "iam", "sts", "kms", "s3")
		if ok && err != nil {
			t.Errorf("%s: %v", service, err)
		} else if !ok {
			wantFault(t, err, sigv4.WrongRegion, "Region=eu-west-1")
		}
	}
}

// TestPresignedWithoutExpiry: the SDK's presigned GetCallerIdentity has none.
func TestPresignedWithoutExpiry(t *testing.T) {
	creds := awsCredentials()
	present := func(t *testing.T, service string, signedAt time.Time) error {
		r := request(t, "GET", "http://example.test/?Action=GetCallerIdentity&Version=2011-06-15")
		u, _, err := signer(service).PresignHTTP(context.Background(), creds, r, emptyHash, service, region, signedAt)
		if err != nil {
			t.Fatal(err)
		}
		_, err = verifier().VerifyWhole(received(t, request(t, "GET", u)), nil, service)
		return err
	}
	atTime(t, exampleDay, func(t *testing.T) {
		if err := present(t, "sts", time.Now()); err != nil {
			t.Error(err)
		}
		wantFault(t, present(t, "sts", time.Now().Add(-15*time.Minute)), sigv4.Expired)
		wantFault(t, present(t, "s3", time.Now()), sigv4.QueryParameters)
	})
}
