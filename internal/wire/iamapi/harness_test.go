// SPDX-License-Identifier: Apache-2.0

package iamapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/iam/iamtest"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/internal/store/meta/mem"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
	"github.com/cofferstore/coffer/internal/wire/sigv4"
)

const (
	region   = "eu-central-1"
	home     = "111122223333"
	password = "a secret of sufficient length"
)

// accounts knows the access key of a root, and two that were temporary.
type accounts struct{}

func (accounts) Credential(_ context.Context, id, _ string) (sigv4.Credential, error) {
	switch id {
	case "AKIAHOME":
		return sigv4.Credential{Secret: secret.New([]byte(password)), Principal: iam.Principal{
			Type: iam.Root, Account: home, ARN: "arn:aws:iam::" + home + ":root", PrincipalID: home, AccessKeyID: id,
		}}, nil
	case "ASIAEXPIRED":
		return sigv4.Credential{}, iam.ExpiredToken
	case "ASIAINVALID":
		return sigv4.Credential{}, iam.InvalidToken
	}
	return sigv4.Credential{}, iam.NoSuchAccessKey
}

// trail keeps what is recorded.
type trail struct {
	mu      sync.Mutex
	records []audit.Record
}

func (t *trail) Append(_ context.Context, r audit.Record, _ bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.records = append(t.records, r.Plain())
	return nil
}

func (t *trail) Join(_ *meta.Batch, r audit.Record) (func(), error) {
	return func() { _ = t.Append(context.Background(), r, true) }, nil
}

// newRoad returns the families on a road.
func newRoad(tb testing.TB, families ...*pipeline.Family) (*pipeline.Road, *trail) {
	tb.Helper()
	kept := &trail{}
	return pipeline.New(pipeline.Config{
		Region: region, Verifier: sigv4.New(accounts{}, sigv4.Config{Region: region}),
		Authorize: iamtest.New(tb, mem.New(), home).Authorize, Trail: kept, Log: slog.New(slog.DiscardHandler),
	}, families...), kept
}

// request is one to the query protocol.
type request struct {
	key, service string // "" for no signature
	method       string // "" is POST
	query, body  string
	contentType  string // "" is the form's
	from         string // the client's address
}

func serve(road *pipeline.Road, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	road.ServeHTTP(w, r)
	return w
}

func (q request) send(tb testing.TB, road *pipeline.Road) *httptest.ResponseRecorder {
	tb.Helper()
	return serve(road, q.build(tb))
}

func (q request) build(tb testing.TB) *http.Request {
	tb.Helper()
	method := q.method
	if method == "" {
		method = http.MethodPost
	}
	r := httptest.NewRequest(method, "http://127.0.0.1/?"+q.query, io.NopCloser(strings.NewReader(q.body)))
	if q.query == "" {
		r.URL.ForceQuery, r.RequestURI = false, "/"
	}
	r.ContentLength = int64(len(q.body))
	r.RemoteAddr = "127.0.0.1:4000"
	if q.from != "" {
		r.RemoteAddr = q.from
	}
	if r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"); q.contentType != "" {
		r.Header.Set("Content-Type", q.contentType)
	}
	if q.service == "" {
		return r
	}
	sum := sha256.Sum256([]byte(q.body))
	err := v4.NewSigner().SignHTTP(tb.Context(), aws.Credentials{AccessKeyID: q.key, SecretAccessKey: password}, r,
		hex.EncodeToString(sum[:]), q.service, "us-east-1", time.Now())
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// holds reports whether an answer has a piece of text.
func holds(w *httptest.ResponseRecorder, piece string) bool {
	return bytes.Contains(w.Body.Bytes(), []byte(piece))
}
