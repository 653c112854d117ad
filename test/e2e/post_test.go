// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cofferstore/coffer/test/coffertest"
)

// form is an upload by a browser's form.
type form struct {
	bucket, key, body string
	fields            []string // names and values in turn
	head              []string // the same, of the request's headers
	uncovered         []string // names of fields that the policy says nothing of
}

// request signs the form as a web server would have done and returns it as a browser
// would send it, but for its body, which is written to b. Each field is also a condition
// of the policy, but for those that it does not cover.
func (f form) request(ctx context.Context, b *bytes.Buffer, url string, file []byte) (*http.Request, error) {
	at := time.Now().UTC()
	scope := at.Format("20060102") + "/" + coffertest.Region + "/s3/aws4_request"
	all := append([]string{
		"key", f.key, "x-amz-algorithm", "AWS4-HMAC-SHA256", "x-amz-credential", coffertest.AccessKeyID + "/" + scope,
		"x-amz-date", at.Format("20060102T150405Z"),
	}, f.fields...)
	policy := fmt.Sprintf(`{"expiration":%q,"conditions":[{"bucket":%q}`, at.Add(time.Hour).Format(time.RFC3339), f.bucket)
	values := map[string][]string{}
	for i := 0; i < len(all); i += 2 {
		values[all[i]] = append(values[all[i]], all[i+1])
	}
	for name, v := range values {
		if !slices.Contains(f.uncovered, name) {
			condition, err := json.Marshal([]string{"eq", "$" + name, strings.Join(v, ",")})
			if err != nil {
				return nil, err
			}
			policy += "," + string(condition)
		}
	}
	encoded := base64.StdEncoding.EncodeToString([]byte(policy + "]}"))
	signing := []byte("AWS4" + coffertest.SecretAccessKey)
	for _, part := range []string{at.Format("20060102"), coffertest.Region, "s3", "aws4_request"} {
		signing = mac(signing, part)
	}
	all = append(all, "policy", encoded, "x-amz-signature", hex.EncodeToString(mac(signing, encoded)))
	w := multipart.NewWriter(b)
	for i := 0; i < len(all); i += 2 {
		if err := w.WriteField(all[i], all[i+1]); err != nil {
			return nil, err
		}
	}
	part, err := w.CreateFormFile("file", "photo.jpg")
	if err == nil {
		_, err = part.Write(file)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, "POST", url+"/"+f.bucket, nil)
	if err == nil {
		set(req.Header, f.head)
		req.Header.Set("Content-Type", w.FormDataContentType())
	}
	return req, err
}

// send sends the form.
func (f form) send(s *coffertest.Server) answer {
	s.T.Helper()
	var b bytes.Buffer
	req, err := f.request(s.T.Context(), &b, s.URL, []byte(f.body))
	if err != nil {
		s.T.Fatal(err)
	}
	req.Body, req.ContentLength = io.NopCloser(&b), int64(b.Len())
	return send(s.T, req)
}

// post sends a form with these fields.
func post(s *coffertest.Server, bucket, key, body string, fields ...string) answer {
	s.T.Helper()
	return form{bucket: bucket, key: key, body: body, fields: fields}.send(s)
}

func TestPostForm(t *testing.T) {
	s := newStage(t)
	a := post(s.Server, "vault", "from-a-form", "one")
	if a.status != 204 || a.header.Get("X-Amz-Server-Side-Encryption-Bucket-Key-Enabled") != "true" {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
	if got, out := s.Get("vault", "from-a-form"); got != "one" || of(out.ServerSideEncryption, out.SSEKMSKeyId, out.BucketKeyEnabled) != (applied{"aws:kms", s.k1, true}) {
		t.Errorf("reads %q", got)
	}
	a = post(s.Server, "vault", "with-a-key", "two", "x-amz-server-side-encryption", "aws:kms",
		"x-amz-server-side-encryption-aws-kms-key-id", s.k2, "x-amz-server-side-encryption-bucket-key-enabled", "false", "success_action_status", "201")
	if a.status != 201 || a.header.Get("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id") != s.k2 {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
	if got, _ := head(s.Server, "vault", "with-a-key"); got != (applied{"aws:kms", s.k2, false}) {
		t.Errorf("%v", got)
	}
	post(s.Server, "vault", "x", "y", "x-amz-server-side-encryption", "rot13").want(400, "InvalidArgument", "not supported")
}

// TestEncryptionFieldsOfForms: the policy must say each of them, and what the head of
// the request says must be the same; nothing is stored otherwise.
func TestEncryptionFieldsOfForms(t *testing.T) {
	s := choices(t)
	conflict := invalidRequest("Conflicting values provided in HTTP headers and POST form fields")
	trio, other := trioOf(keyA), trioOf(keyB)
	kms := []string{sseHeader, "aws:kms", keyHeader, s.k2, bkHeader, "false", ctxHeader, contextHeader(`{"dept":"x"}`)}
	for _, fields := range [][]string{kms, trio} {
		for i := 0; i < len(fields); i += 2 {
			name := fields[i]
			f := form{bucket: "vault", key: "k", body: "x", fields: fields, uncovered: []string{name}}
			extra := rejection{403, "AccessDenied", "Invalid according to Policy: Extra input fields: " + name, "", nil}
			f.send(s.Server).isRejected(name+" without a condition", false, extra)
		}
	}
	for what, f := range map[string]form{
		"another method":               {fields: []string{sseHeader, "AES256"}, head: []string{sseHeader, "aws:kms"}},
		"a method in the head alone":   {head: []string{sseHeader, "AES256"}},
		"another KMS key":              {fields: kms, head: []string{keyHeader, s.k1}},
		"another flag":                 {fields: kms, head: []string{bkHeader, "true"}},
		"another context":              {fields: kms, head: []string{ctxHeader, contextHeader(`{"dept":"y"}`)}},
		"another customer's key":       {fields: trio, head: other},
		"a customer's key in the head": {head: trio},
	} {
		f.bucket, f.key, f.body = "vault", "k", "x"
		f.send(s.Server).isRejected(what, false, conflict)
	}
	s.refuses("what was refused", noSuchKey, "GET", "/vault/k", "")
	for what, f := range map[string]form{
		"the same in both":             {fields: kms, head: kms},
		"the same customer's key":      {fields: trio, head: trio},
		"a method without a KMS key":   {fields: []string{sseHeader, "aws:kms"}},
		"two layers without a KMS key": {fields: []string{sseHeader, "aws:kms:dsse"}},
	} {
		f.bucket, f.key, f.body = "vault", "k", "x"
		f.send(s.Server).isDone(what)
	}
	created := form{bucket: "vault", key: "k", fields: append([]string{"success_action_status", "201"}, kms...)}.send(s.Server)
	if strings.Contains(created.body, "ncryption") || created.get("Key") != "k" {
		t.Errorf("the document tells of encryption: %s", created.body)
	}
}
