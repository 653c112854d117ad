// SPDX-License-Identifier: Apache-2.0

package kmsapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/smithy-go"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/iam/iamtest"
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/link/keystore/builtin"
	"github.com/cofferstore/coffer/internal/link/keystore/rootkey"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/internal/store/meta/mem"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
	"github.com/cofferstore/coffer/internal/wire/sigv4"
)

const (
	region   = "eu-central-1"
	home     = "111122223333"
	abroad   = "444455556666"
	password = "a secret of sufficient length"
)

// accounts knows two access keys: the roots of two accounts.
type accounts map[string]string

func (a accounts) Credential(_ context.Context, id, _ string) (sigv4.Credential, error) {
	account, ok := a[id]
	if !ok {
		return sigv4.Credential{}, iam.NoSuchAccessKey
	}
	return sigv4.Credential{Secret: secret.New([]byte(password)), Principal: iam.Principal{
		Type: iam.Root, Account: account, ARN: "arn:aws:iam::" + account + ":root", PrincipalID: account, AccessKeyID: id,
	}}, nil
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

// last returns the newest record of a call, in the form in which it is read.
func (t *trail) last(tb testing.TB) audit.Record {
	tb.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := len(t.records) - 1; i >= 0; i-- {
		if t.records[i].EventType != audit.TypeAPICall {
			continue
		}
		text, err := json.Marshal(t.records[i])
		if err != nil {
			tb.Fatal(err)
		}
		var r audit.Record
		if err := json.Unmarshal(text, &r); err != nil {
			tb.Fatal(err)
		}
		return r
	}
	tb.Fatal("nothing was recorded")
	return audit.Record{}
}

// station is the KMS family on a road behind a listener, and a client of it.
type station struct {
	*sdk.Client
	t     testing.TB
	url   string
	road  *pipeline.Road
	trail *trail
	last  *capture
}

func newStation(t testing.TB) *station {
	t.Helper()
	root, err := rootkey.Create(t.TempDir(), rootkey.SlotOptions{Type: rootkey.File})
	if err != nil {
		t.Fatal(err)
	}
	rows := mem.New()
	s := &station{t: t, trail: &trail{}, last: &capture{}}
	keys := kms.New(rows, builtin.New(rows, root, builtin.Config{}), s.trail, kms.Config{Region: region})
	s.road = pipeline.New(pipeline.Config{
		Region: region, Verifier: sigv4.New(accounts{"AKIAHOME": home, "AKIAABROAD": abroad}, sigv4.Config{Region: region}),
		Authorize: iamtest.New(t, rows, home, abroad).Authorize, Trail: s.trail, Log: slog.New(slog.DiscardHandler),
	}, (&API{Keys: keys}).Family())
	server := httptest.NewServer(s.road)
	t.Cleanup(server.Close)
	s.url = server.URL
	s.Client = s.as("AKIAHOME", password)
	return s
}

// as returns a client with other credentials.
func (s *station) as(id, password string) *sdk.Client {
	return sdk.NewFromConfig(aws.Config{
		Region: region, BaseEndpoint: &s.url, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(id, password, ""),
		HTTPClient:  &http.Client{Transport: s.last},
	})
}

// capture is a transport that keeps the last answer.
type capture struct {
	status int
	header http.Header
	body   []byte
}

func (c *capture) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	c.status, c.header = resp.StatusCode, resp.Header
	if c.body, err = io.ReadAll(resp.Body); err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(c.body))
	return resp, nil
}

// post sends a document as it is, signed, from a peer.
func (s *station) post(operation, document, peer string) *httptest.ResponseRecorder {
	s.t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader([]byte(document)))
	r.RemoteAddr = peer
	r.Header.Set("X-Amz-Target", "TrentService."+operation)
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	sum := sha256.Sum256([]byte(document))
	who := aws.Credentials{AccessKeyID: "AKIAHOME", SecretAccessKey: password}
	if err := v4.NewSigner().SignHTTP(s.t.Context(), who, r, hex.EncodeToString(sum[:]), "kms", region, time.Now()); err != nil {
		s.t.Fatal(err)
	}
	w := httptest.NewRecorder()
	s.road.ServeHTTP(w, r)
	return w
}

const loopback = "127.0.0.1:40000"

// key makes a key and returns its id and ARN.
func (s *station) key() (id, arn string) {
	s.t.Helper()
	out, err := s.CreateKey(s.t.Context(), &sdk.CreateKeyInput{})
	if err != nil {
		s.t.Fatal(err)
	}
	return *out.KeyMetadata.KeyId, *out.KeyMetadata.Arn
}

// refused checks the code and the message of an error.
func refused(t testing.TB, err error, code, message string) {
	t.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) {
		t.Errorf("got %v, want %s", err, code)
		return
	}
	if e.ErrorCode() != code || e.ErrorMessage() != message {
		t.Errorf("refused with %s: %q\nwant %s: %q", e.ErrorCode(), e.ErrorMessage(), code, message)
	}
}
