// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/internal/core/bucketkey"
)

// contextHeader is an encryption context as its header has it.
func contextHeader(json string) string { return base64.StdEncoding.EncodeToString([]byte(json)) }

// inContext puts an object under SSE-KMS in a context.
func inContext(header, key string, bk bool) func(*s3.PutObjectInput) {
	return func(in *s3.PutObjectInput) {
		in.ServerSideEncryption, in.SSEKMSEncryptionContext = types.ServerSideEncryptionAwsKms, &header
		in.SSEKMSKeyId, in.BucketKeyEnabled = &key, &bk
	}
}

// pairs returns the whole encryption contexts of the KMS requests made since the
// n-th.
func (s *stage) pairs(n int) []string {
	var out []string
	for _, r := range s.KMSRequests()[n:] {
		out = append(out, fmt.Sprint(r.EventName, " ", r.RequestParameters["encryptionContext"]))
	}
	return out
}

func contextsThatAreNone(t *testing.T, s *stage) {
	for what, text := range map[string]string{
		"not JSON":        contextHeader("dept=x"),
		"not base64":      "{}%",
		"not UTF-8":       contextHeader("{\"dept\":\"\xff\"}"),
		"array":           contextHeader(`["dept","x"]`),
		"string":          contextHeader(`"dept"`),
		"null":            contextHeader(`null`),
		"number as value": contextHeader(`{"dept":1}`),
		"null as value":   contextHeader(`{"dept":null}`),
		"nested":          contextHeader(`{"dept":{"a":"b"}}`),
		"list as value":   contextHeader(`{"dept":["a"]}`),
		"same key twice":  contextHeader(`{"dept":"x","dept":"y"}`),
		"two objects":     contextHeader(`{"dept":"x"}{}`),
		"cut short":       contextHeader(`{"dept":"x"`),
		"empty key":       contextHeader(`{"":"x"}`),
		"empty value":     contextHeader(`{"dept":""}`),
		"pair of S3's":    contextHeader(`{"aws:s3:arn":"arn:aws:s3:::other/k"}`),
		"the object's ARN where there is a bucket key": contextHeader(`{"aws:s3:arn":"arn:aws:s3:::vault/k"}`),
		"pair of AWS's":           contextHeader(`{"aws:dept":"x"}`),
		"pair of AWS's, capitals": contextHeader(`{"AWS:dept":"x"}`),
	} {
		for op, create := range creating {
			create(s, sseHeader, "aws:kms", keyHeader, s.k1, ctxHeader, text).isRejected(op+", "+what, false, badContext.of(text))
		}
	}
}

// TestContextsReachTheKMS: the caller's pairs stand beside S3's own, on every
// request, with a bucket key and without.
func TestContextsReachTheKMS(t *testing.T) {
	s := newStage(t)
	dept := contextHeader(`{"dept":"x","team":"y"}`)
	for _, c := range []struct {
		what, text, echo string
		sse              types.ServerSideEncryption
		bk               bool
		want             string // of the pairs
	}{
		{"own", dept, dept, "aws:kms", false, "map[aws:s3:arn:arn:aws:s3:::vault/own dept:x team:y]"},
		{"shared", dept, dept, "aws:kms", true, "map[aws:s3:arn:arn:aws:s3:::vault dept:x team:y]"},
		{"double", dept, dept, dsse, true, "map[aws:s3:arn:arn:aws:s3:::vault/double dept:x team:y]"},
		{"none", contextHeader("{}"), "", "aws:kms", false, "map[aws:s3:arn:arn:aws:s3:::vault/none]"},
		{"empty", "", "", "aws:kms", false, "map[aws:s3:arn:arn:aws:s3:::vault/empty]"},
		{"said", contextHeader(`{"aws:s3:arn":"arn:aws:s3:::vault/said"}`), contextHeader(`{"aws:s3:arn":"arn:aws:s3:::vault/said"}`), "aws:kms", false, "map[aws:s3:arn:arn:aws:s3:::vault/said]"},
	} {
		n := len(s.KMSRequests())
		a := s.accepts(c.what, "PUT", "/vault/"+c.what, "body", sseHeader, string(c.sse), keyHeader, s.k1, bkHeader, fmt.Sprint(c.bk), ctxHeader, c.text)
		if got := a.header.Get(ctxHeader); got != c.echo {
			t.Errorf("%s: echoed %q, want %q", c.what, got, c.echo)
		}
		for _, method := range []string{"HEAD", "GET"} {
			if a := s.accepts(c.what, method, "/vault/"+c.what, ""); a.header.Get(ctxHeader) != "" {
				t.Errorf("%s: %s shows the context %s", c.what, method, a.header.Get(ctxHeader))
			}
		}
		want := fmt.Sprint([]string{"GenerateDataKey " + c.want, "Decrypt " + c.want})
		if got := fmt.Sprint(s.pairs(n)); got != want {
			t.Errorf("%s: KMS requests %s, want %s", c.what, got, want)
		}
	}
}

// TestContextsHaveBucketKeysOfTheirOwn: requests in one context share one, whatever
// the order of its pairs; other contexts share others, until there are too many.
func TestContextsHaveBucketKeysOfTheirOwn(t *testing.T) {
	s := newStage(t)
	n := len(s.KMSRequests())
	for i, text := range []string{`{"a":"1","b":"2"}`, `{"b":"2","a":"1"}`, `{ "a" : "1", "b" : "2" }`, `{"a":"1"}`, `{"a":"1","B":"2"}`} {
		s.Put("vault", fmt.Sprint("k", i), "x", inContext(contextHeader(text), s.k1, true))
	}
	for i := range 5 {
		s.Get("vault", fmt.Sprint("k", i))
	}
	const a, capital = "map[a:1 aws:s3:arn:arn:aws:s3:::vault", "map[B:2 a:1 aws:s3:arn:arn:aws:s3:::vault]"
	want := []string{
		"GenerateDataKey " + a + " b:2]", "GenerateDataKey " + a + "]", "GenerateDataKey " + capital,
		"Decrypt " + a + " b:2]", "Decrypt " + a + "]", "Decrypt " + capital,
	}
	if got := s.pairs(n); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("KMS requests\n%s, want\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	// With more contexts than a bucket may have bucket keys for, objects get a KMS
	// data key each; nothing else is different.
	for i := range bucketkey.MaxContexts {
		s.Put("vault", fmt.Sprint("tenant", i), "x", inContext(contextHeader(fmt.Sprintf(`{"tenant":"%d"}`, i)), s.k1, true))
	}
	n = len(s.KMSRequests())
	crowded := inContext(contextHeader(`{"tenant":"late"}`), s.k1, true)
	for range 2 {
		out := s.Put("vault", "late", "x", crowded)
		if got := of(out.ServerSideEncryption, out.SSEKMSKeyId, out.BucketKeyEnabled); got != (applied{"aws:kms", s.k1, true}) {
			t.Errorf("too many contexts: %v", got)
		}
	}
	const late = "GenerateDataKey map[aws:s3:arn:arn:aws:s3:::vault tenant:late]"
	if got := s.pairs(n); fmt.Sprint(got) != fmt.Sprint([]string{late, late}) {
		t.Errorf("too many contexts: KMS requests %v", got)
	}
	if got, _ := s.Get("vault", "late"); got != "x" {
		t.Errorf("too many contexts: reads %q", got)
	}
	n = len(s.KMSRequests())
	s.Put("vault", "plain", "x")
	s.Put("vault", "plain", "x")
	if got := s.since(n); len(got) > 1 {
		t.Errorf("others lost their bucket key: %v", got)
	}
}

// TestContextsStayWithTheirObjects: through a restart and a multipart upload, but
// not into a copy.
func TestContextsStayWithTheirObjects(t *testing.T) {
	s := newStage(t)
	text := contextHeader(`{"dept":"x"}`)
	s.Put("vault", "own", "own", inContext(text, s.k2, false))
	upload := s.begin("vault", "parts", sseHeader, "aws:kms", keyHeader, s.k2, ctxHeader, text)
	etag := s.accepts("part", "PUT", upload+"&partNumber=1", "parts").header.Get("ETag")
	s.Restart()
	done := "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>" + etag + "</ETag></Part></CompleteMultipartUpload>"
	if a := s.accepts("complete", "POST", upload, done); a.header.Get(ctxHeader) != "" {
		t.Errorf("CompleteMultipartUpload shows the context")
	}
	n := len(s.KMSRequests())
	for _, key := range []string{"own", "parts"} {
		if got, _ := s.Get("vault", key); got != key {
			t.Errorf("%s reads %q", key, got)
		}
	}
	want := "[Decrypt map[aws:s3:arn:arn:aws:s3:::vault/own dept:x] Decrypt map[aws:s3:arn:arn:aws:s3:::vault dept:x]]"
	if got := fmt.Sprint(s.pairs(n)); got != want {
		t.Errorf("KMS requests %s, want %s", got, want)
	}
	n = len(s.KMSRequests())
	out, err := s.copy("vault/own", "vault", "copy")
	if err != nil {
		t.Fatal(err)
	}
	if aws.ToString(out.SSEKMSEncryptionContext) != "" {
		t.Errorf("the copy has the context %s", *out.SSEKMSEncryptionContext)
	}
	s.Get("vault", "copy")
	for _, got := range s.pairs(n) {
		if strings.Contains(got, "dept") && !strings.Contains(got, "vault/own") {
			t.Errorf("the copy is in its source's context: %s", got)
		}
	}
	// Updating the encryption gives the context up.
	s.update("vault/own", s.k1, true)
	n = len(s.KMSRequests())
	if got, _ := s.Get("vault", "own"); got != "own" {
		t.Errorf("after an update: %q", got)
	}
	for _, got := range s.pairs(n) {
		if strings.Contains(got, "dept") {
			t.Errorf("after an update: %s", got)
		}
	}
}
