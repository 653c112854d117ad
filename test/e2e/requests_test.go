// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/cofferstore/coffer/internal/fips"
	"github.com/cofferstore/coffer/test/coffertest"
)

// request is a request as no SDK may send it. What is left empty is as it ought
// to be.
type request struct {
	method, target, body string
	headers              []string // names and values in turn; signed
	unsigned             []string // the same, added after signing
	host                 string

	key, secret, region, service string
	at                           time.Time
	hash                         string // of the body, as signed
	anonymous                    bool
}

// signed makes the request.
func (r request) signed(t testing.TB, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), r.method, url+r.target, strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	if r.host != "" {
		req.Host = r.host
	}
	set(req.Header, r.headers)
	if !r.anonymous {
		hash := cmp.Or(r.hash, hexSum([]byte(r.body)))
		req.Header.Set("X-Amz-Content-Sha256", hash)
		service, at := cmp.Or(r.service, "s3"), r.at
		if at.IsZero() {
			at = time.Now()
		}
		signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = service == "s3" })
		err = signer.SignHTTP(t.Context(), aws.Credentials{
			AccessKeyID: cmp.Or(r.key, coffertest.AccessKeyID), SecretAccessKey: cmp.Or(r.secret, coffertest.SecretAccessKey),
		}, req, hash, service, cmp.Or(r.region, coffertest.Region), at)
		if err != nil {
			t.Fatal(err)
		}
	}
	set(req.Header, r.unsigned)
	return req
}

func set(h http.Header, headers []string) {
	for i := 0; i+1 < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
}

// do sends the request.
func (r request) do(s *coffertest.Server) answer {
	s.T.Helper()
	return send(s.T, r.signed(s.T, s.URL))
}

// cut sends the request and breaks its body off after n bytes.
func (r request) cut(s *coffertest.Server, n int) answer {
	s.T.Helper()
	req := r.signed(s.T, s.URL)
	var b bytes.Buffer
	if err := req.Write(&b); err != nil {
		s.T.Fatal(err)
	}
	return wired(s, b.String()[:b.Len()-len(r.body)+n])
}

// wired sends bytes as they are, ends the connection's sending side, and reads an
// answer.
func wired(s *coffertest.Server, text string) answer {
	s.T.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		s.T.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		s.T.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		s.T.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		s.T.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.T.Fatal(err)
	}
	return answer{s.T, resp.StatusCode, resp.Header, string(body)}
}

// md5Header returns the Content-MD5 header of a body.
func md5Header(body string) []string {
	sum := fips.MD5([]byte(body))
	return []string{"Content-MD5", b64(sum[:])}
}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// element is an element of an XML document.
type element struct {
	XMLName  xml.Name
	Text     string    `xml:",chardata"`
	Children []element `xml:",any"`
}

// document returns the answer's XML document.
func (a answer) document() element {
	a.t.Helper()
	var e element
	if err := xml.Unmarshal([]byte(a.body), &e); err != nil {
		a.t.Errorf("answer is no XML: %v\n%s", err, a.body)
	}
	return e
}

// get returns the text of an element below the document's root; "" for none.
func (a answer) get(name string) string {
	a.t.Helper()
	for _, e := range a.document().Children {
		if e.XMLName.Local == name {
			return e.Text
		}
	}
	return ""
}

// refusal is a request and the error that answers it.
type refusal struct {
	name string
	request
	status     int
	code, text string
	// elements of the error besides Code, Message, RequestId and HostId, in their
	// order: "Name", or "Name=value".
	elements []string
}

// refuse makes each request and compares its answer.
func refuse(t *testing.T, s *coffertest.Server, cases []refusal) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Helper()
			a := c.do(s)
			a.t = t
			a.is(c)
		})
	}
}

// is fails unless the answer is that error.
func (a answer) is(c refusal) {
	a.t.Helper()
	if a.status != c.status || c.method != "HEAD" && (a.get("Code") != c.code || !strings.Contains(a.get("Message"), c.text)) {
		a.t.Errorf("got %d %s, want %d %s %q", a.status, a.body, c.status, c.code, c.text)
		return
	}
	if c.method == "HEAD" {
		if a.body != "" {
			a.t.Errorf("an answer to HEAD has a body: %s", a.body)
		}
		return
	}
	e := a.document()
	var got []string
	for _, child := range e.Children {
		name := child.XMLName.Local
		if slices.Contains([]string{"Code", "Message", "RequestId", "HostId"}, name) {
			continue
		}
		if i := len(got); i < len(c.elements) && strings.Contains(c.elements[i], "=") {
			name += "=" + child.Text
		}
		got = append(got, name)
	}
	if e.XMLName.Local != "Error" || !slices.Equal(got, c.elements) {
		a.t.Errorf("error has %q, want %q", got, c.elements)
	}
	if a.get("RequestId") != a.header.Get("X-Amz-Request-Id") || a.get("HostId") != a.header.Get("X-Amz-Id-2") || a.get("RequestId") == "" {
		a.t.Errorf("error and headers name other requests: %s, %v", a.body, a.header)
	}
	if got := a.header.Get("Content-Type"); got != "application/xml" {
		a.t.Errorf("error is of type %q", got)
	}
}

// kmsCall makes a KMS request of an operation with that document.
func kmsCall(s *coffertest.Server, operation, body string, edit ...func(*request)) answer {
	s.T.Helper()
	return jsonCall(s, "kms", "TrentService."+operation, body, edit...)
}

// trailCall sends an operation of CloudTrail as the AWS CLI names it.
func trailCall(s *coffertest.Server, operation, body string, edit ...func(*request)) answer {
	s.T.Helper()
	return jsonCall(s, "cloudtrail", "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101."+operation, body, edit...)
}

func jsonCall(s *coffertest.Server, service, operation, body string, edit ...func(*request)) answer {
	s.T.Helper()
	r := request{
		method: "POST", target: "/", body: body, service: service,
		headers: []string{"Content-Type", "application/x-amz-json-1.1", "X-Amz-Target", operation},
	}
	for _, e := range edit {
		e(&r)
	}
	return r.do(s)
}

// refused fails unless the answer is that error of KMS; text is a part of its
// message, and "" stands for none.
func (a answer) refused(t testing.TB, what string, status int, code, text string) {
	t.Helper()
	var e struct {
		Type    string `json:"__type"`
		Message *string
	}
	if err := json.Unmarshal([]byte(a.body), &e); err != nil {
		t.Errorf("%s: answer is no JSON: %v\n%s", what, err, a.body)
		return
	}
	if a.status != status || e.Type != code || !strings.Contains(aws.ToString(e.Message), text) || (text == "") != (e.Message == nil) {
		t.Errorf("%s: got %d %s, want %d %s %q", what, a.status, a.body, status, code, text)
	}
	if id := a.header.Get("X-Amzn-Requestid"); len(id) != 36 {
		t.Errorf("%s: request id %q", what, id)
	}
	if got := a.header.Get("Content-Type"); got != "application/x-amz-json-1.1" {
		t.Errorf("%s: error is of type %q", what, got)
	}
}

// keys returns the keys of a bucket, for what must not have been stored.
func keys(s *coffertest.Server, bucket string) string {
	s.T.Helper()
	a := request{method: "GET", target: "/" + bucket + "?list-type=2"}.do(s)
	var names []string
	for _, e := range a.document().Children {
		if e.XMLName.Local == "Contents" {
			names = append(names, e.Children[0].Text)
		}
	}
	return fmt.Sprint(names)
}
