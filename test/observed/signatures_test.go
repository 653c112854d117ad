// SPDX-License-Identifier: Apache-2.0

package observed

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/cofferstore/coffer/test/coffertest"
)

func sprintf(format string, values ...any) string { return fmt.Sprintf(format, values...) }

// presigned returns a URL that is good for a minute from a time on.
func (r *row) presigned(target string, at time.Time) *url.URL {
	r.Helper()
	req, err := http.NewRequestWithContext(r.Context(), "GET", r.s.URL+target+"?X-Amz-Expires=60", nil)
	if err != nil {
		r.Fatal(err)
	}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	signed, _, err := signer.PresignHTTP(r.Context(), root, req, "UNSIGNED-PAYLOAD", "s3", coffertest.Region, at)
	if err != nil {
		r.Fatal(err)
	}
	u, err := url.Parse(signed)
	if err != nil {
		r.Fatal(err)
	}
	return u
}

// open gets a URL as it is.
func (r *row) open(u *url.URL) answer {
	r.Helper()
	req, err := http.NewRequestWithContext(r.Context(), "GET", u.String(), nil)
	if err != nil {
		r.Fatal(err)
	}
	return r.send(req)
}

func TestSignatures(t *testing.T) {
	s := start(t)
	s.row("14.1", "a presigned URL that expired", func(r *row) {
		b := r.bucket()
		r.put("/"+b+"/k", "x")
		r.ok(200, r.open(r.presigned("/"+b+"/k", time.Now())))
		r.err(r.open(r.presigned("/"+b+"/k", time.Now().Add(-time.Hour))), 403, "AccessDenied", "Request has expired", "Expires", "ServerTime", "X-Amz-Expires=60")
	})
	s.row("14.2", "a presigned URL that lacks a parameter", func(r *row) {
		b := r.bucket()
		for _, name := range []string{"X-Amz-Credential", "X-Amz-Signature", "X-Amz-Date", "X-Amz-SignedHeaders", "X-Amz-Expires"} {
			u := r.presigned("/"+b+"/k", time.Now())
			q := u.Query()
			q.Del(name)
			u.RawQuery = q.Encode()
			r.err(r.open(u), 400, "AuthorizationQueryParametersError", "X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires")
		}
	})
	s.row("14.3", "a credential that is none", func(r *row) {
		u := r.presigned("/"+r.bucket()+"/k", time.Now())
		q := u.Query()
		q.Set("X-Amz-Credential", url.QueryEscape(q.Get("X-Amz-Credential")))
		u.RawQuery = q.Encode()
		r.err(r.open(u), 400, "AuthorizationQueryParametersError", "Error parsing the X-Amz-Credential parameter; ")
	})
	s.row("14.4", "a header that is not signed", func(r *row) {
		req := r.request("GET", "/"+r.bucket(), "")
		req.Header.Set("x-amz-meta-a", "b")
		r.err(r.send(req), 403, "AccessDenied", "There were headers present in the request which were not signed", "HeadersNotSigned=x-amz-meta-a")
	})
	s.row("14.5", "a wrong signature", func(r *row) {
		keys := root
		keys.SecretAccessKey = "another secret that is long enough"
		r.err(r.send(r.signed(keys, "GET", "/"+r.bucket(), "")), 403, "SignatureDoesNotMatch", "", "AWSAccessKeyId="+root.AccessKeyID,
			"StringToSign", "SignatureProvided", "StringToSignBytes", "CanonicalRequest", "CanonicalRequestBytes")
	})
	s.row("14.6", "another region", func(r *row) {
		req := r.request("GET", "/"+r.bucket(), "")
		req.Header.Del("Authorization")
		signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
		if err := signer.SignHTTP(r.Context(), root, req, req.Header.Get("X-Amz-Content-Sha256"), "s3", "eu-west-1", time.Now()); err != nil {
			r.Fatal(err)
		}
		r.err(r.send(req), 400, "AuthorizationHeaderMalformed", "the region 'eu-west-1' is wrong; expecting 'us-east-1'", "Region=us-east-1")
	})
}

// form is a POST of a browser's form.
type form struct {
	bucket     string
	conditions string // of the policy, beside the bucket
	fields     []string
	expires    time.Time
	file       string
	without    string // a field that is left out
	kind       string // of the enclosure, if another
}

func (f form) send(r *row) answer {
	r.Helper()
	now := time.Now().UTC()
	if f.expires.IsZero() {
		f.expires = now.Add(time.Hour)
	}
	scope := now.Format("20060102") + "/" + coffertest.Region + "/s3/aws4_request"
	credential := root.AccessKeyID + "/" + scope
	// An account that has no policy field may still sign nothing.
	policy := sprintf(`{"expiration":%q,"conditions":[{"bucket":%q},{"x-amz-credential":%q},{"x-amz-date":%q},{"x-amz-algorithm":"AWS4-HMAC-SHA256"}%s]}`,
		f.expires.UTC().Format("2006-01-02T15:04:05.000Z"), f.bucket, credential, now.Format("20060102T150405Z"), f.conditions)
	text := base64.StdEncoding.EncodeToString([]byte(policy))
	key := []byte("AWS4" + root.SecretAccessKey)
	for _, part := range []string{now.Format("20060102"), coffertest.Region, "s3", "aws4_request", text} {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(part))
		key = h.Sum(nil)
	}
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	fields := append(f.fields, "policy", text, "X-Amz-Credential", credential, "X-Amz-Date", now.Format("20060102T150405Z"),
		"X-Amz-Algorithm", "AWS4-HMAC-SHA256", "X-Amz-Signature", hex.EncodeToString(key))
	for i := 0; i+1 < len(fields); i += 2 {
		if f.without == "all" && strings.HasPrefix(fields[i], "X-Amz-") || fields[i] == f.without {
			continue
		}
		_ = w.WriteField(fields[i], fields[i+1])
	}
	file, _ := w.CreateFormFile("file", "f")
	_, _ = file.Write([]byte(f.file))
	_ = w.Close()
	req, err := http.NewRequestWithContext(r.Context(), "POST", r.s.URL+"/"+f.bucket, &body)
	if err != nil {
		r.Fatal(err)
	}
	req.Header.Set("Content-Type", w.FormDataContentType())
	if f.kind != "" {
		req.Header.Set("Content-Type", f.kind)
	}
	return r.send(req)
}

func TestForms(t *testing.T) {
	s := start(t)
	const key = `,{"key":"k"}`
	at := []string{"key", "k"}
	s.row("14.7", "a policy that expired", func(r *row) {
		r.err(form{bucket: r.bucket(), conditions: key, fields: at, expires: time.Now().Add(-time.Hour)}.send(r), 403, "AccessDenied", "Invalid according to Policy: Policy expired.")
	})
	s.row("14.8", "a condition that does not hold", func(r *row) {
		b := r.bucket()
		r.ok(204, form{bucket: b, conditions: key + `,{"acl":"bucket-owner-full-control"}`, fields: append([]string{"acl", "bucket-owner-full-control"}, at...), file: "x"}.send(r))
		r.err(form{bucket: b, conditions: key + `,["eq","$x-amz-meta-a","Value"]`, fields: append([]string{"x-amz-meta-a", "value"}, at...)}.send(r), 403, "AccessDenied",
			`Invalid according to Policy: Policy Condition failed: ["eq", "$x-amz-meta-a", "Value"]`)
	})
	s.row("14.9", "a field of the signature that is missing", func(r *row) {
		b := r.bucket()
		for _, name := range []string{"X-Amz-Signature", "X-Amz-Algorithm"} {
			r.err(form{bucket: b, conditions: key, fields: at, without: name}.send(r), 400, "InvalidArgument",
				"Bucket POST must contain a field named '"+name+"'.  If it is specified, please check the order of the fields.")
		}
	})
	s.row("14.10", "a policy and no signature at all", func(r *row) {
		r.err(form{bucket: r.bucket(), conditions: key, fields: at, without: "all"}.send(r), 403, "AccessDenied", "")
	})
	s.row("14.11", "lengths", func(r *row) {
		b := r.bucket()
		send := func(file string) answer {
			return form{bucket: b, conditions: key + `,["content-length-range",3,5]`, fields: at, file: file}.send(r)
		}
		r.ok(204, send("four"))
		r.err(send("longer"), 400, "EntityTooLarge", "", "MaxSizeAllowed=5", "ProposedSize=6")
		r.err(send("x"), 400, "EntityTooSmall", "", "MinSizeAllowed=3", "ProposedSize=1")
	})
	s.row("14.12", "another enclosure", func(r *row) {
		r.err(form{bucket: r.bucket(), conditions: key, fields: at, kind: "application/json"}.send(r), 412, "PreconditionFailed", "",
			"Condition=Bucket POST must be of the enclosure-type multipart/form-data")
	})
	s.row("14.13", "tags", func(r *row) {
		b := r.bucket()
		const tags = "<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>"
		send := func(v string) answer {
			return form{bucket: b, conditions: key + `,["starts-with","$tagging",""]`, fields: append([]string{"tagging", v}, at...), file: "x"}.send(r)
		}
		r.ok(204, send(tags))
		r.is("tag", r.do("GET", "/"+b+"/k?tagging", "").xml("TagSet/Tag/Value"), "1")
		r.err(send("nonsense"), 400, "MalformedXML", "")
	})
}
