// SPDX-License-Identifier: Apache-2.0

// Package observed holds Coffer against what S3 and KMS were seen to answer, or document that
// they answer: status, code, elements of the error and headers. A test is a row; rows are
// numbered by subject, a file for each. What differs on purpose is in docs/aws-divergences.md,
// and its row says so.
//
// Requests are made by hand and signed, because SDKs hide what is compared here.
package observed

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/fips"
	"github.com/cofferstore/coffer/internal/server"
	"github.com/cofferstore/coffer/test/coffertest"
)

// subject is the rows of one subject, on a server of their own.
type subject struct {
	t *testing.T
	s *coffertest.Server
}

// start starts a server that takes parts of any size.
func start(t *testing.T, options ...coffertest.Option) *subject {
	t.Parallel()
	options = append([]coffertest.Option{coffertest.Tune(server.Tuning{Objects: object.Config{MinPart: 1}})}, options...)
	return &subject{t, coffertest.Start(t, options...)}
}

// row runs a row's test.
func (s *subject) row(number, what string, do func(r *row)) {
	s.t.Run(number+" "+what, func(t *testing.T) {
		own := *s.s
		own.T = t
		do(&row{T: t, s: &own, number: number})
	})
}

// row is the test of a row.
type row struct {
	*testing.T
	s      *coffertest.Server
	number string
	made   int
}

// bucket makes a bucket of the row's own and returns its name.
func (r *row) bucket() string {
	r.Helper()
	r.made++
	name := fmt.Sprintf("row-%s-%d", strings.ReplaceAll(r.number, ".", "-"), r.made)
	r.ok(200, r.do("PUT", "/"+name, ""))
	return name
}

// kmsBucket makes a bucket whose objects are encrypted under a KMS key.
func (r *row) kmsBucket(key string, bucketKey bool) string {
	r.Helper()
	b := r.bucket()
	r.s.Encrypt(b, "aws:kms", key, bucketKey)
	return b
}

// versioned makes a bucket with versioning.
func (r *row) versioned() string {
	r.Helper()
	b := r.bucket()
	r.ok(200, r.do("PUT", "/"+b+"?versioning", versioning("Enabled")))
	return b
}

func versioning(status string) string {
	return "<VersioningConfiguration><Status>" + status + "</Status></VersioningConfiguration>"
}

// put stores an object and returns the answer.
func (r *row) put(target, body string, headers ...string) answer {
	r.Helper()
	a := r.do("PUT", target, body, headers...)
	r.ok(200, a)
	return a
}

// answer is what a request was answered.
type answer struct {
	status int
	header http.Header
	body   string
}

// do signs and sends a request. headers are names and values in turn. A document in the body
// of a request about a sub-resource gets the digest that S3 demands.
func (r *row) do(method, target, body string, headers ...string) answer {
	r.Helper()
	return r.send(r.request(method, target, body, headers...))
}

func (r *row) request(method, target, body string, headers ...string) *http.Request {
	r.Helper()
	return r.signed(root, method, target, body, headers...)
}

// signed makes a request and signs it with an access key.
func (r *row) signed(keys aws.Credentials, method, target, body string, headers ...string) *http.Request {
	r.Helper()
	return r.signedAs(keys, "s3", method, target, body, headers...)
}

// signedFor makes a POST to another service.
func (r *row) signedFor(service, body string, headers ...string) *http.Request {
	r.Helper()
	return r.signedAs(root, service, "POST", "/", body, headers...)
}

// root is who makes the tests' requests.
var root = aws.Credentials{AccessKeyID: coffertest.AccessKeyID, SecretAccessKey: coffertest.SecretAccessKey}

func (r *row) signedAs(keys aws.Credentials, service, method, target, body string, headers ...string) *http.Request {
	r.Helper()
	return r.signedIn(coffertest.Region, keys, service, method, target, body, headers...)
}

func (r *row) signedIn(region string, keys aws.Credentials, service, method, target, body string, headers ...string) *http.Request {
	r.Helper()
	req, err := http.NewRequestWithContext(r.Context(), method, r.s.URL+target, strings.NewReader(body))
	if err != nil {
		r.Fatal(err)
	}
	if body != "" && strings.Contains(target, "?") && method != "GET" {
		req.Header.Set("Content-MD5", md5Of(body))
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i+1] == absent {
			req.Header.Del(headers[i])
			continue
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	sum := sha256.Sum256([]byte(body))
	hash := cmp.Or(req.Header.Get("X-Amz-Content-Sha256"), hex.EncodeToString(sum[:]))
	req.Header.Set("X-Amz-Content-Sha256", hash)
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = service == "s3" })
	if err := signer.SignHTTP(r.Context(), keys, req, hash, service, region, time.Now()); err != nil {
		r.Fatal(err)
	}
	return req
}

// absent, as a header's value, takes the header away.
const absent = "\x00"

func (r *row) send(req *http.Request) answer {
	r.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		r.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(b)}
}

// ok fails unless an answer has that status.
func (r *row) ok(status int, a answer) answer {
	r.Helper()
	if a.status != status {
		r.Fatalf("got %d %s, want %d", a.status, a.body, status)
	}
	return a
}

// err fails unless the answer is that error: text is part of its message, fields are elements
// that it has, "Name" or "Name=value".
func (r *row) err(a answer, status int, code, text string, fields ...string) {
	r.Helper()
	if a.status != status || a.xml("Code") != code || !strings.Contains(a.xml("Message"), text) {
		r.Errorf("got %d %s, want %d %s %q", a.status, a.body, status, code, text)
		return
	}
	for _, f := range fields {
		name, want, exact := strings.Cut(f, "=")
		got, ok := a.find(name)
		if !ok || exact && got != want {
			r.Errorf("%s is %q in %s, want %q", name, got, a.body, want)
		}
	}
}

// told fails unless headers have those values; absent: the header must not be there, "*": it
// must.
func (r *row) told(a answer, headers ...string) {
	r.Helper()
	for i := 0; i+1 < len(headers); i += 2 {
		got, there := a.header[http.CanonicalHeaderKey(headers[i])]
		switch want := headers[i+1]; {
		case want == absent && there, want == "*" && !there:
			r.Errorf("header %s: %q", headers[i], got)
		case want == absent, want == "*":
		case !there || got[0] != want:
			r.Errorf("header %s is %q, want %q", headers[i], got, want)
		}
	}
}

// is fails unless got is want.
func (r *row) is(what, got, want string) {
	r.Helper()
	if got != want {
		r.Errorf("%s is %q, want %q", what, got, want)
	}
}

// element is an element of an XML document.
type element struct {
	XMLName  xml.Name
	Text     string    `xml:",chardata"`
	Children []element `xml:",any"`
}

// xml returns the text of the first element at a path below the root, "" for none.
func (a answer) xml(path string) string {
	text, _ := a.find(path)
	return text
}

// find returns the text of the first element at a path below the root, as "Rule/Status".
func (a answer) find(path string) (string, bool) {
	var e element
	if xml.Unmarshal([]byte(a.body), &e) != nil {
		return "", false
	}
	for name := range strings.SplitSeq(path, "/") {
		i := 0
		for i < len(e.Children) && e.Children[i].XMLName.Local != name {
			i++
		}
		if i == len(e.Children) {
			return "", false
		}
		e = e.Children[i]
	}
	return e.Text, true
}

// count returns how many elements of that name the root has.
func (a answer) count(name string) (n int) {
	var e element
	_ = xml.Unmarshal([]byte(a.body), &e)
	for _, c := range e.Children {
		if c.XMLName.Local == name {
			n++
		}
	}
	return n
}

func md5Of(s string) string {
	sum := fips.MD5([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func md5Hex(s string) string {
	sum := fips.MD5([]byte(s))
	return hex.EncodeToString(sum[:])
}

// etag returns the ETag of an answer without its quotes.
func (a answer) etag() string { return strings.Trim(a.header.Get("Etag"), `"`) }

// Headers of encryption.
const (
	sseHeader = "x-amz-server-side-encryption"
	keyHeader = sseHeader + "-aws-kms-key-id"
	bkHeader  = sseHeader + "-bucket-key-enabled"
)

// missingKey is a well-formed id of a KMS key that there is not.
const missingKey = "11111111-2222-3333-4444-555555555555"

// keyARN returns the ARN of a KMS key of the tests' account.
func keyARN(id string) string {
	return "arn:aws:kms:" + coffertest.Region + ":" + coffertest.Account + ":key/" + id
}

// idOf returns the id in a key's ARN.
func idOf(arn string) string { return arn[strings.LastIndex(arn, "/")+1:] }
