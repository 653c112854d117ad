// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
	"github.com/cofferstore/coffer/internal/wire/sigv4"
)

// cat returns a call for /photos/cat.jpg with that method and query, signed in its
// headers. Each header is "Name: value".
func cat(t testing.TB, method, query string, headers ...string) *pipeline.Call {
	t.Helper()
	c := &pipeline.Call{
		Request: photo(method, query, "", headers...), Bucket: "photos", Key: "cat.jpg",
		Auth: &sigv4.Result{Method: sigv4.Header}, Op: &pipeline.Op{}, Caller: iam.Caller{Secure: true},
	}
	var err error
	if c.Query, err = url.ParseQuery(query); err != nil {
		t.Fatal(err)
	}
	return c
}

// photo is a request for http://s3.example.com/photos/cat.jpg.
func photo(method, query, body string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, "http://s3.example.com/photos/cat.jpg", strings.NewReader(body))
	r.URL.RawQuery = query
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	return r
}

// faultOf returns an error's kind and message, both "" for none.
func faultOf(err error) (fault.Kind, string) {
	f, ok := fault.As(err)
	if !ok {
		return "", ""
	}
	return f.Kind, f.Message
}

// detail returns a fault's detail of that name.
func detail(err error, name string) string {
	if f, ok := fault.As(err); ok {
		for _, d := range f.Details {
			if d.Name == name {
				return d.Value
			}
		}
	}
	return ""
}

type keptRecord struct {
	mu sync.Mutex
	audit.Record
}

func (k *keptRecord) Append(_ context.Context, r audit.Record, _ bool) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.Record = r.Plain()
	return nil
}

func (k *keptRecord) Join(_ *meta.Batch, r audit.Record) (func(), error) {
	return func() { _ = k.Append(context.Background(), r, true) }, nil
}

type noCredentials struct{}

func (noCredentials) Credential(context.Context, string, string) (sigv4.Credential, error) {
	return sigv4.Credential{}, iam.NoSuchAccessKey
}

// exchange serves an unsigned request for photos/cat.jpg by one operation, the way
// all calls go, and returns the answer and the audit record.
func exchange(t *testing.T, op pipeline.Op, r *http.Request) (*http.Response, audit.Record) {
	t.Helper()
	var kept keptRecord
	road := pipeline.New(pipeline.Config{
		Region: "us-east-1", Verifier: sigv4.New(noCredentials{}, sigv4.Config{}), Trail: &kept,
		Authorize: func(context.Context, iam.Caller, []policy.Need) error { return nil },
		Log:       slog.New(slog.NewTextHandler(io.Discard, nil)),
	}, &pipeline.Family{
		Name: "s3", Source: "s3.amazonaws.com", Services: []string{"s3"}, Codes: codes, Fault: renderFault,
		Match: func(*http.Request) bool { return true },
		Find: func(c *pipeline.Call) (*pipeline.Op, error) {
			c.Bucket, c.Key = "photos", "cat.jpg"
			return &op, nil
		},
	})
	w := httptest.NewRecorder()
	road.ServeHTTP(w, r)
	return w.Result(), kept.Record
}

// body returns the text of an answer.
func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// onWire returns a header under the very name by which it is sent.
func onWire(h http.Header, name string) string { return strings.Join(h[name], ",") }
