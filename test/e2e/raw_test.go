// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/cofferstore/coffer/test/coffertest"
)

// answer is a raw answer of the server.
type answer struct {
	t      testing.TB
	status int
	header http.Header
	body   string
}

// raw signs and sends a request that no SDK would make. headers are names and
// values in turn.
func (s *stage) raw(method, target, body string, headers ...string) answer {
	s.T.Helper()
	return raw(s.Server, method, target, body, headers...)
}

func raw(s *coffertest.Server, method, target, body string, headers ...string) answer {
	s.T.Helper()
	req, err := http.NewRequestWithContext(s.T.Context(), method, s.URL+target, strings.NewReader(body))
	if err != nil {
		s.T.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	sum := sha256.Sum256([]byte(body))
	hash := hex.EncodeToString(sum[:])
	req.Header.Set("X-Amz-Content-Sha256", hash)
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	err = signer.SignHTTP(s.T.Context(), aws.Credentials{AccessKeyID: coffertest.AccessKeyID, SecretAccessKey: coffertest.SecretAccessKey},
		req, hash, "s3", coffertest.Region, time.Now())
	if err != nil {
		s.T.Fatal(err)
	}
	return send(s.T, req)
}

func send(t testing.TB, req *http.Request) answer {
	t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{t, resp.StatusCode, resp.Header, string(b)}
}

// shared is a test that shares its server with others.
type shared struct {
	name string
	do   func(t *testing.T, s *stage)
}

// each runs tests on one server, in their order: a server takes longer to start than
// most of them to run.
func (s *stage) each(t *testing.T, tests ...shared) {
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			own := *s.Server
			own.T = t
			c.do(t, &stage{&own, s.k1, s.k2})
		})
	}
}

// want fails unless the answer is that error; text is a part of its message.
func (a answer) want(status int, code, text string) {
	a.t.Helper()
	var e struct{ Code, Message string }
	if err := xml.Unmarshal([]byte(a.body), &e); err != nil && a.body != "" {
		a.t.Errorf("answer is no XML: %v\n%s", err, a.body)
	}
	if a.status != status || e.Code != code || !strings.Contains(e.Message, text) {
		a.t.Errorf("got %d %s %q, want %d %s %q", a.status, e.Code, e.Message, status, code, text)
	}
}

func (s *stage) enable(key string) {
	s.T.Helper()
	if _, err := s.KMS.EnableKey(s.T.Context(), &kms.EnableKeyInput{KeyId: &key}); err != nil {
		s.T.Fatal(err)
	}
}
