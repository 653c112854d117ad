// SPDX-License-Identifier: Apache-2.0

package sigv4_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/wire/sigv4"
)

func TestAnonymous(t *testing.T) {
	for _, url := range []string{"http://x.test/photos/cat.jpg", "http://x.test/photos?prefix=a&x-id=1", "http://x.test/?%zz=1&a=%"} {
		r := request(t, "GET", "http://x.test/")
		r.RequestURI = strings.TrimPrefix(url, "http://x.test")
		res, err := verifier().Verify(r, "s3")
		if err != nil || res.Method != sigv4.None || !res.Principal.IsAnonymous() {
			t.Errorf("%s: %+v, %v", url, res, err)
			continue
		}
		if err := res.RequireSigned(); !errors.Is(err, sigv4.MissingAuthentication) {
			t.Errorf("RequireSigned: %v", err)
		}
	}
	res, err := verifier().VerifyWhole(request(t, "POST", "http://x.test/"), []byte("{}"), "kms")
	if err != nil || res.Method != sigv4.None {
		t.Errorf("KMS: %+v, %v", res, err)
	}
	_, err = verifier().Verify(request(t, "PUT", "http://x.test/", "X-Amz-Content-Sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD"), "s3")
	wantFault(t, err, sigv4.UnsignedStream)
}

// signedNow is a GET that the verifier takes.
func signedNow(t *testing.T, headers ...string) *http.Request {
	t.Helper()
	r := request(t, "GET", "http://examplebucket.s3.amazonaws.com/cat.jpg", headers...)
	r.Header.Set("X-Amz-Content-Sha256", emptyHash)
	sign(t, r, emptyHash, "s3", time.Now(), "")
	return received(t, r)
}

func TestFaultsOfTheHeader(t *testing.T) {
	const malformed = "The authorization header is malformed; "
	replace := func(old, new string) func(*http.Request) {
		return func(r *http.Request) {
			a := r.Header.Get("Authorization")
			if !strings.Contains(a, old) {
				t.Fatalf("no %q in %q", old, a)
			}
			r.Header.Set("Authorization", strings.Replace(a, old, new, 1))
		}
	}
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for _, c := range []struct {
		name    string
		change  func(*http.Request)
		kind    fault.Kind
		message string
		details []string
	}{
		{"one word", set("Authorization", "letmein"), sigv4.UnsupportedAuthorization,
			"Authorization header is invalid -- one and only one ' ' (space) required", []string{"ArgumentName=Authorization", "ArgumentValue="}},
		{"empty", set("Authorization", ""), sigv4.UnsupportedAuthorization,
			"Authorization header is invalid -- one and only one ' ' (space) required", nil},
		{"basic", set("Authorization", "Basic YWxpY2U6c2VjcmV0"), sigv4.UnsupportedAuthorization,
			"Unsupported Authorization Type", []string{"ArgumentName=Authorization", "ArgumentValue="}},
		{"unknown algorithm", replace("AWS4-HMAC-SHA256", "AWS2-HMAC-SHA1"), sigv4.UnsupportedAuthorization,
			"Unsupported Authorization Type", []string{"ArgumentValue=AWS2-HMAC-SHA1"}},
		{"version 2", set("Authorization", "AWS AKIAIOSFODNN7EXAMPLE:frJIUN8DYpKDtOLCwo//yllqDzg="), sigv4.UnsupportedSignature,
			"The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.", nil},
		{"version 4a", replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), sigv4.UnsupportedSignature,
			"The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.", nil},
		{"twice", func(r *http.Request) { r.Header.Add("Authorization", r.Header.Get("Authorization")) },
			sigv4.MultipleAuthentication, "", []string{"ArgumentName=Authorization"}},
		{"header and query", func(r *http.Request) { r.RequestURI += "?X-Amz-Algorithm=AWS4-HMAC-SHA256" }, sigv4.MultipleAuthentication, "", nil},
		{"two components", replace(", SignedHeaders=host;", ";"), sigv4.MalformedAuthorization,
			malformed + "the authorization header requires three components: Credential, SignedHeaders, and Signature.", nil},
		{"no equals sign", replace("SignedHeaders=host;", "SignedHeaders-host;"), sigv4.MalformedAuthorization, "", nil},
		{"no credential", replace("Credential=", "Credentials="), sigv4.MalformedAuthorization, malformed + "missing Credential.", nil},
		{"a signed header twice", replace("SignedHeaders=host;", "SignedHeaders=host;Host;"), sigv4.MalformedAuthorization, "", nil},
		{"no signed headers", replace("SignedHeaders=", "Headers="), sigv4.MalformedAuthorization, malformed + "missing SignedHeaders.", nil},
		{"no signature", replace("Signature=", "Sig="), sigv4.MalformedAuthorization, malformed + "missing Signature.", nil},
		{"list with a hole", replace("host;", "host;;"), sigv4.MalformedAuthorization, "", nil},
		{"list with a blank", replace("host;", "host x;"), sigv4.MalformedAuthorization, "", nil},
		{"very long list", replace("host;", strings.Repeat("host;", 300)), sigv4.MalformedAuthorization, "", nil},
		{"short credential", replace("/s3/aws4_request", "/s3"), sigv4.MalformedAuthorization,
			malformed + `the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".`, nil},
		{"long credential", replace("/s3/aws4_request", "/s3/extra/aws4_request"), sigv4.MalformedAuthorization,
			malformed + `the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".`, nil},
		{"terminal", replace("aws4_request", "aws_request"), sigv4.MalformedAuthorization,
			malformed + `incorrect terminal "aws_request". This endpoint uses "aws4_request".`, nil},
		{"service", replace("/s3/", "/ec2/"), sigv4.WrongService,
			malformed + `incorrect service "ec2". This endpoint belongs to "s3".`, nil},
		{"region", replace("/us-east-1/", "/eu-west-1/"), sigv4.WrongRegion,
			malformed + "the region 'eu-west-1' is wrong; expecting 'us-east-1'", []string{"Region=us-east-1"}},
		{"date of the scope", replace("/20130524/", "/2013-05-24/"), sigv4.MalformedAuthorization,
			malformed + `incorrect date format "2013-05-24". This date in the credential must be in the format "yyyyMMdd".`, nil},
		{"another date", replace("/20130524/", "/20130525/"), sigv4.MalformedAuthorization,
			malformed + "Invalid credential date. Date is not the same as X-Amz-Date.", nil},
		{"no time", func(r *http.Request) { r.Header.Del("X-Amz-Date") }, sigv4.MissingDate,
			"AWS authentication requires a valid Date or x-amz-date header", nil},
		{"bad time", set("X-Amz-Date", "03032006"), sigv4.MissingDate, "", nil},
		{"unknown key", replace("Credential=AKIA", "Credential=AKIB"), sigv4.UnknownAccessKey, "", []string{"AWSAccessKeyId=AKIBIOSFODNN7EXAMPLE"}},
		{"token that the key has not", set("X-Amz-Security-Token", "x"), sigv4.UnknownAccessKey, "", nil},
		{"no payload hash", func(r *http.Request) { r.Header.Del("X-Amz-Content-Sha256") }, sigv4.MissingPayloadHash,
			"Missing required header for this request: x-amz-content-sha256", nil},
		{"bad payload hash", set("X-Amz-Content-Sha256", "cafe"), sigv4.InvalidPayloadHash, "",
			[]string{"ArgumentName=x-amz-content-sha256", "ArgumentValue=cafe"}},
		{"two payload hashes", func(r *http.Request) { r.Header.Add("X-Amz-Content-Sha256", emptyHash) }, sigv4.InvalidPayloadHash, "", nil},
		{"chunks of version 4a", set("X-Amz-Content-Sha256", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"), sigv4.UnsupportedSignature, "", nil},
		{"other payload hash", set("X-Amz-Content-Sha256", strings.Repeat("ab", 32)), sigv4.SignatureMismatch, "", nil},
		{"other method", func(r *http.Request) { r.Method = "DELETE" }, sigv4.SignatureMismatch, "", nil},
		{"other host", func(r *http.Request) { r.Host = "otherbucket.s3.amazonaws.com" }, sigv4.SignatureMismatch, "", nil},
		{"other second", set("X-Amz-Date", "20130524T000001Z"), sigv4.SignatureMismatch, "", nil},
		{"signature in capitals", func(r *http.Request) {
			a, sig, _ := strings.Cut(r.Header.Get("Authorization"), "Signature=")
			r.Header.Set("Authorization", a+"Signature="+strings.ToUpper(sig))
		}, sigv4.SignatureMismatch, "", nil},
		{"header added", set("X-Amz-Acl", "public-read"), sigv4.HeadersNotSigned,
			"There were headers present in the request which were not signed", []string{"HeadersNotSigned=x-amz-acl"}},
		{"host not signed", replace("SignedHeaders=host;", "SignedHeaders="), sigv4.HeadersNotSigned, "", []string{"HeadersNotSigned=host"}},
		{"list shortened", replace("host;x-amz-content-sha256;x-amz-date", "host"), sigv4.SignatureMismatch, "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			atTime(t, exampleDay, func(t *testing.T) {
				r := signedNow(t)
				c.change(r)
				_, err := verifier().Verify(r, "s3")
				f := wantFault(t, err, c.kind, c.details...)
				if c.message != "" && f.Message != c.message {
					t.Errorf("message %q, want %q", f.Message, c.message)
				}
			})
		})
	}
}

func TestClockSkew(t *testing.T) {
	for _, c := range []struct {
		service string
		off     time.Duration
		ok      bool
		allowed string // milliseconds
	}{
		{"s3", 0, true, ""},
		{"s3", 15 * time.Minute, true, ""},
		{"s3", -15 * time.Minute, true, ""},
		{"s3", 15*time.Minute + time.Second, false, "900000"},
		{"s3", -15*time.Minute - time.Second, false, "900000"},
		{"s3", 24 * time.Hour, false, "900000"},
		{"kms", 5 * time.Minute, true, ""},
		{"kms", 5*time.Minute + time.Second, false, "300000"},
		{"sts", -5*time.Minute - time.Second, false, "300000"},
	} {
		off, ok := c.off, c.ok
		atTime(t, exampleDay, func(t *testing.T) {
			date := time.Now().UTC().Add(off).Format("20060102T150405Z")
			client := request(t, "GET", "http://examplebucket.s3.amazonaws.com/cat.jpg")
			client.Header.Set("X-Amz-Content-Sha256", emptyHash)
			sign(t, client, emptyHash, c.service, time.Now().Add(off), "")
			_, err := verifier().Verify(received(t, client), c.service)
			if ok && err != nil {
				t.Errorf("clock off by %v: %v", off, err)
			} else if !ok {
				wantFault(t, err, sigv4.RequestTimeTooSkewed, "RequestTime="+date,
					"ServerTime=2013-05-24T00:00:00Z", "MaxAllowedSkewMilliseconds="+c.allowed)
			}
		})
	}
}

func TestDateHeader(t *testing.T) {
	// A signature over Date instead of X-Amz-Date, which the SDK does not make.
	canonical := "GET\n/cat.jpg\n\ndate:Fri, 24 May 2013 00:00:00 GMT\nhost:x.test\n\ndate;host\n" + emptyHash
	toSign := "AWS4-HMAC-SHA256\n" + timestamp + "\n20130524/us-east-1/s3/aws4_request\n" + hexSum([]byte(canonical))
	r := request(t, "GET", "http://x.test/cat.jpg", "Date: Fri, 24 May 2013 00:00:00 GMT", "X-Amz-Content-Sha256: "+emptyHash,
		"Authorization: AWS4-HMAC-SHA256 Credential="+accessKey+"/20130524/us-east-1/s3/aws4_request, SignedHeaders=date;host, "+
			fmt.Sprintf("Signature=%x", mac(signingKey("20130524"), toSign)))
	if _, err := timeless().Verify(received(t, r), "s3"); err != nil {
		t.Error(err)
	}
}

func TestFaultsOfTheQuery(t *testing.T) {
	const (
		missing = "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, " +
			"X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
		parsing = "Error parsing the X-Amz-Credential parameter; "
		good    = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request" +
			"&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host" +
			"&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
	)
	for _, c := range []struct {
		name, old, new string
		kind           fault.Kind
		message        string
	}{
		{"untouched", "", "", "", ""},
		{"no algorithm", "X-Amz-Algorithm=AWS4-HMAC-SHA256&", "", sigv4.QueryParameters, missing},
		{"no credential", "X-Amz-Credential=", "X-Amz-Cred=", sigv4.QueryParameters, missing},
		{"no date", "X-Amz-Date=", "Date=", sigv4.QueryParameters, missing},
		{"no expiry", "X-Amz-Expires=86400", "", sigv4.QueryParameters, missing},
		{"no signed headers", "X-Amz-SignedHeaders=host", "", sigv4.QueryParameters, missing},
		{"no signature", "X-Amz-Signature=", "Sig=", sigv4.QueryParameters, missing},
		{"algorithm", "AWS4-HMAC-SHA256", "AWS4-SHA256", sigv4.QueryParameters, `X-Amz-Algorithm only supports "AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256"`},
		{"version 4a", "AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256", sigv4.UnsupportedSignature, ""},
		{"credential twice encoded", "%2F", "%252F", sigv4.QueryParameters,
			parsing + `the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".`},
		{"terminal", "aws4_request", "aws5_request", sigv4.QueryParameters,
			parsing + `incorrect terminal "aws5_request". This endpoint uses "aws4_request".`},
		{"service", "%2Fs3%2F", "%2Fsns%2F", sigv4.WrongService, parsing + `incorrect service "sns". This endpoint belongs to "s3".`},
		{"region", "us-east-1", "eu-west-1", sigv4.WrongRegion, parsing + "the region 'eu-west-1' is wrong; expecting 'us-east-1'"},
		{"date of the scope", "%2F20130524", "%2F32234Z34", sigv4.QueryParameters,
			parsing + `incorrect date format "32234Z34". This date in the credential must be in the format "yyyyMMdd".`},
		{"other date", "%2F20130524", "%2F20130525", sigv4.QueryParameters,
			`Invalid credential date "20130525". This date is not the same as X-Amz-Date: "20130524".`},
		{"time", "20130524T000000Z", "Friday", sigv4.QueryParameters, `X-Amz-Date must be in the ISO8601 Long Format "yyyyMMdd'T'HHmmss'Z'"`},
		{"expiry is no number", "86400", "day", sigv4.QueryParameters, "X-Amz-Expires should be a number"},
		{"negative expiry", "86400", "-1", sigv4.QueryParameters, "X-Amz-Expires must be non-negative"},
		{"more than a week", "86400", "604801", sigv4.QueryParameters,
			"X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds"},
		{"a week", "86400", "604800", sigv4.SignatureMismatch, ""},
		{"no time at all", "86400", "0", sigv4.Expired, "Request has expired"},
		{"twice", "&X-Amz-Date", "&X-Amz-Expires=1&X-Amz-Date", sigv4.QueryParameters, "The X-Amz-Expires parameter is given more than once"},
		{"bad escape", "SignedHeaders=host", "SignedHeaders=%zz", sigv4.QueryParameters, "Error parsing the X-Amz-SignedHeaders parameter"},
		{"list that is none", "SignedHeaders=host", "SignedHeaders=host%0A", sigv4.QueryParameters, "Error parsing the X-Amz-SignedHeaders parameter"},
		{"more in the query", "X-Amz-Algorithm", "acl&X-Amz-Algorithm", sigv4.SignatureMismatch, ""},
		{"another key", "AKIA", "AKIB", sigv4.UnknownAccessKey, ""},
		{"signature", "aeeed9bb", "beeed9bb", sigv4.SignatureMismatch, ""},
		{"escaped names", "X-Amz-", "X%2DAmz%2D", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			atTime(t, exampleDay, func(t *testing.T) {
				r := request(t, "GET", "http://examplebucket.s3.amazonaws.com/test.txt?"+strings.ReplaceAll(good, c.old, c.new))
				if c.old == "" {
					r = request(t, "GET", "http://examplebucket.s3.amazonaws.com/test.txt?"+good)
				}
				_, err := verifier().Verify(received(t, r), "s3")
				if c.kind == "" {
					if err != nil {
						t.Error(err)
					}
					return
				}
				if !errors.Is(err, c.kind) {
					t.Fatalf("got %v, want %s", err, c.kind)
				}
				f, _ := fault.As(err)
				if c.message != "" && f.Message != c.message {
					t.Errorf("message %q, want %q", f.Message, c.message)
				}
				if (c.kind == sigv4.WrongRegion || c.kind == sigv4.WrongService) && f.Kind != sigv4.QueryParameters {
					t.Errorf("the fault is %s, want it to be of the query", f.Kind)
				}
			})
		})
	}
	for _, v2 := range []string{"AWSAccessKeyId=AKIA&Expires=1&Signature=x", "Signature=x"} {
		_, err := verifier().Verify(received(t, request(t, "GET", "http://x.test/?"+v2)), "s3")
		wantFault(t, err, sigv4.UnsupportedSignature)
	}
}

func TestPresignedHeaders(t *testing.T) {
	creds := awsCredentials()
	r := request(t, "PUT", "http://x.test/cat.jpg?X-Amz-Expires=60", "X-Amz-Server-Side-Encryption: aws:kms")
	signed, _, err := signer("s3").PresignHTTP(context.Background(), creds, r, "UNSIGNED-PAYLOAD", "s3", region, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	send := func(headers ...string) error {
		_, err := verifier().Verify(received(t, request(t, "PUT", signed, headers...)), "s3")
		return err
	}
	if err := send("X-Amz-Server-Side-Encryption: aws:kms", "Content-Type: image/jpeg"); err != nil {
		t.Error(err)
	}
	wantFault(t, send(), sigv4.SignatureMismatch)
	wantFault(t, send("X-Amz-Server-Side-Encryption: AES256"), sigv4.SignatureMismatch)
	wantFault(t, send("X-Amz-Server-Side-Encryption: aws:kms", "X-Amz-Tagging: a=b", "X-Amz-Acl: private"),
		sigv4.HeadersNotSigned, "HeadersNotSigned=x-amz-acl, x-amz-tagging")
	// A hash that the URL does not sign is not there: nobody is to rely on it.
	r = received(t, request(t, "PUT", signed, "X-Amz-Server-Side-Encryption: aws:kms", "X-Amz-Content-Sha256: "+emptyHash))
	if got, err := verifier().Verify(r, "s3"); err != nil || got.Payload != sigv4.Unsigned || r.Header.Get("X-Amz-Content-Sha256") != "" {
		t.Errorf("%+v, %v, with %q", got, err, r.Header)
	}
}

// TestMismatchDetails: the details let a client compare with its own canonical
// request, and tell nobody a secret.
func TestMismatchDetails(t *testing.T) {
	atTime(t, exampleDay, func(t *testing.T) {
		r := signedNow(t, "X-Amz-Server-Side-Encryption-Customer-Key: c2VjcmV0")
		r.Header.Set("X-Amz-Server-Side-Encryption-Customer-Key", "b3RoZXI=")
		_, err := verifier().Verify(r, "s3")
		canonical := "GET\n/cat.jpg\n\nhost:examplebucket.s3.amazonaws.com\nx-amz-content-sha256:" + emptyHash +
			"\nx-amz-date:20130524T000000Z\nx-amz-server-side-encryption-customer-key:[hidden]\n\n" +
			"host;x-amz-content-sha256;x-amz-date;x-amz-server-side-encryption-customer-key\n" + emptyHash
		toSign := "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n" +
			hexSum([]byte(strings.Replace(canonical, "[hidden]", "b3RoZXI=", 1)))
		_, signature, _ := strings.Cut(r.Header.Get("Authorization"), "Signature=")
		f := wantFault(t, err, sigv4.SignatureMismatch, "AWSAccessKeyId="+accessKey, "SignatureProvided="+signature,
			"CanonicalRequest="+canonical, "CanonicalRequestBytes="+fmt.Sprintf("% x", canonical),
			"StringToSign="+toSign, "StringToSignBytes="+fmt.Sprintf("% x", toSign))
		if strings.Contains(f.Error(), "b3RoZXI") || strings.Contains(f.Error(), secretKey) {
			t.Errorf("the error tells a secret: %v", f)
		}
	})
	creds := awsCredentials()
	creds.SessionToken = "c2Vzc2lvbg"
	u, _, err := signer("s3").PresignHTTP(context.Background(), creds, request(t, "GET", "http://x.test/?X-Amz-Expires=60"),
		"UNSIGNED-PAYLOAD", "s3", region, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	v := sigv4.New(keyring{accessKey: {secretKey, creds.SessionToken}}, sigv4.Config{})
	_, err = v.Verify(received(t, request(t, "DELETE", u)), "s3")
	f := wantFault(t, err, sigv4.SignatureMismatch)
	if got := detail(f, "CanonicalRequest"); strings.Contains(f.Error(), creds.SessionToken) || !strings.Contains(got, "X-Amz-Security-Token=%5Bhidden%5D") {
		t.Errorf("the error tells a token, or nothing: %v", f)
	}
}

func TestSessionToken(t *testing.T) {
	v := sigv4.New(keyring{accessKey: {secretKey, "token/of+session="}}, sigv4.Config{})
	for token, ok := range map[string]bool{"token/of+session=": true, "another": false, "": false} {
		r := request(t, "GET", "http://x.test/")
		r.Header.Set("X-Amz-Content-Sha256", emptyHash)
		sign(t, r, emptyHash, "s3", time.Now(), token)
		_, err := v.Verify(received(t, r), "s3")
		if ok && err != nil {
			t.Errorf("token %q: %v", token, err)
		} else if !ok {
			wantFault(t, err, sigv4.UnknownAccessKey)
		}
	}
}

// broken is a lookup that fails, or knows a secret that is too short.
type broken struct{ err error }

func (b broken) Credential(context.Context, string, string) (sigv4.Credential, error) {
	return sigv4.Credential{Secret: secret.New([]byte("short"))}, b.err
}

func TestLookupErrorsPassThrough(t *testing.T) {
	down := errors.New("the store is down")
	if _, err := sigv4.New(broken{down}, sigv4.Config{}).Verify(signedNow(t), "s3"); !errors.Is(err, down) {
		t.Errorf("got %v", err)
	}
	_, err := sigv4.New(broken{iam.AccessDenied}, sigv4.Config{}).Verify(signedNow(t), "s3")
	wantFault(t, err, iam.AccessDenied)
	_, err = sigv4.New(broken{}, sigv4.Config{}).Verify(signedNow(t), "s3")
	if _, ok := fault.As(err); err == nil || ok {
		t.Errorf("a short secret gives %v", err)
	}
}

func TestClaimedScope(t *testing.T) {
	r := request(t, "POST", "http://x.test/")
	sign(t, r, emptyHash, "iam", time.Now(), "")
	presigned, _, err := signer("sts").PresignHTTP(context.Background(), awsCredentials(),
		request(t, "GET", "http://x.test/"), emptyHash, "sts", region, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		r               *http.Request
		service, region string
	}{
		{received(t, r), "iam", region},
		{received(t, request(t, "GET", presigned)), "sts", region},
		{request(t, "GET", "http://x.test/"), "", ""},
		{request(t, "GET", "http://x.test/", "Authorization: AWS4-HMAC-SHA256 Credential=a/b/c"), "", ""},
	} {
		if service, region := sigv4.ClaimedScope(c.r); service != c.service || region != c.region {
			t.Errorf("ClaimedScope() = %q, %q, want %q, %q", service, region, c.service, c.region)
		}
	}
}

func TestForm(t *testing.T) {
	policy := "eyJleHBpcmF0aW9uIjoiMjAzMC0wMS0wMVQwMDowMDowMFoiLCJjb25kaXRpb25zIjpbXX0="
	good := sigv4.PostForm{
		Policy: policy, Algorithm: "AWS4-HMAC-SHA256", Credential: accessKey + "/20130524/us-east-1/s3/aws4_request",
		Date: timestamp, Signature: fmt.Sprintf("%x", mac(signingKey("20130524"), policy)),
	}
	v := verifier()
	res, err := v.VerifyForm(t.Context(), good, "s3")
	if err != nil || res.Method != sigv4.Form || res.Principal.UserName != "alice" {
		t.Fatalf("%+v, %v", res, err)
	}
	if res, err := v.VerifyForm(t.Context(), sigv4.PostForm{}, "s3"); err != nil || res.Method != sigv4.None {
		t.Errorf("anonymous: %+v, %v", res, err)
	}
	// A policy that nobody signs is nobody's.
	if res, err := v.VerifyForm(t.Context(), sigv4.PostForm{Policy: policy}, "s3"); err != nil || res.Method != sigv4.None {
		t.Errorf("a policy alone: %+v, %v", res, err)
	}
	for _, c := range []struct {
		name   string
		change func(*sigv4.PostForm)
		kind   fault.Kind
		detail string
	}{
		{"policy", func(f *sigv4.PostForm) { f.Policy += "x" }, sigv4.SignatureMismatch, "StringToSign=" + policy + "x"},
		{"no policy", func(f *sigv4.PostForm) { f.Policy = "" }, sigv4.FormFields, "ArgumentName=policy"},
		{"no signature", func(f *sigv4.PostForm) { f.Signature = "" }, sigv4.FormFields, "ArgumentName=X-Amz-Signature"},
		{"no algorithm", func(f *sigv4.PostForm) { f.Algorithm = "" }, sigv4.FormFields, "ArgumentName=X-Amz-Algorithm"},
		{"algorithm", func(f *sigv4.PostForm) { f.Algorithm = "AWS4-ECDSA-P256-SHA256" }, sigv4.FormFields, "ArgumentName=X-Amz-Algorithm"},
		{"credential", func(f *sigv4.PostForm) { f.Credential = "a/b" }, sigv4.FormFields, "ArgumentName=X-Amz-Credential"},
		{"date", func(f *sigv4.PostForm) { f.Date = "20130525T000000Z" }, sigv4.FormFields, "ArgumentName=X-Amz-Date"},
		{"version 2", func(f *sigv4.PostForm) { *f = sigv4.PostForm{Policy: policy, V2: true} }, sigv4.UnsupportedSignature, "ArgumentName="},
		{"token", func(f *sigv4.PostForm) { f.SecurityToken = "x" }, sigv4.UnknownAccessKey, "AWSAccessKeyId=" + accessKey},
	} {
		f := good
		c.change(&f)
		_, err := v.VerifyForm(t.Context(), f, "s3")
		t.Run(c.name, func(t *testing.T) { wantFault(t, err, c.kind, c.detail) })
	}
}

func TestContentEncoding(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "aws-chunked": "", "aws-chunked,gzip": "gzip", "gzip, aws-chunked": "gzip", "AWS-Chunked": "", "gzip,br": "gzip,br",
	} {
		if got := sigv4.ContentEncoding([]string{in}); got != want {
			t.Errorf("ContentEncoding(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestMethodNames(t *testing.T) {
	if got := fmt.Sprint(sigv4.None, sigv4.Header, sigv4.Query, sigv4.Form); got != " AuthHeader QueryString HtmlForm" {
		t.Errorf("methods are called %q", got)
	}
}
