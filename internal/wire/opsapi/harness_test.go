// SPDX-License-Identifier: Apache-2.0

package opsapi

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/iam/iamtest"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/meta/mem"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
	"github.com/cofferstore/coffer/internal/wire/sigv4"
)

const (
	account  = "111122223333"
	password = "a secret of sufficient length"
)

// keyring knows the keys of the root and of a user.
type keyring struct{}

func (keyring) Credential(_ context.Context, id, _ string) (sigv4.Credential, error) {
	p := iam.Principal{Type: iam.Root, Account: account, ARN: "arn:aws:iam::" + account + ":root", PrincipalID: account, AccessKeyID: id}
	switch id {
	case "AKIAROOT":
	case "AKIAUSER":
		p.Type, p.ARN, p.UserName = iam.IAMUser, "arn:aws:iam::"+account+":user/eve", "eve"
	default:
		return sigv4.Credential{}, iam.NoSuchAccessKey
	}
	return sigv4.Credential{Secret: secret.New([]byte(password)), Principal: p}, nil
}

// station is both families on a road, with a trail of its own.
type station struct {
	*Client // the root's
	t       *testing.T
	api     *API
	road    *pipeline.Road
	trail   *audit.Trail
	server  *httptest.Server
}

// newStation serves an API, which set may change before. Its road gives clients
// so little time that an answer which waits for events outlives every deadline.
func newStation(t *testing.T, set func(*API)) *station {
	t.Helper()
	s := &station{t: t, api: &API{
		Domains: []string{"localhost", "s3.Example.com."}, Metrics: prometheus.NewRegistry(), AuditDir: t.TempDir(),
		Version: map[string]string{"version": "v1"}, Config: map[string]string{"region": "us-east-1"},
	}}
	if set != nil {
		set(s.api)
	}
	var err error
	if s.trail, err = audit.Open(t.Context(), s.api.AuditDir, audit.Config{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.trail.Close() })
	s.road = pipeline.New(pipeline.Config{
		Region: "us-east-1", Verifier: sigv4.New(keyring{}, sigv4.Config{}), Authorize: iamtest.New(t, mem.New(), account).Authorize,
		Trail: s.trail, Log: slog.New(slog.DiscardHandler), BodyIdle: 100 * time.Millisecond,
	}, append(s.api.Families(), elsewhere())...)
	s.server = httptest.NewServer(s.road)
	t.Cleanup(s.server.Close)
	s.Client = s.as("AKIAROOT", password)
	return s
}

// elsewhere is the family that takes what is not for this package.
func elsewhere() *pipeline.Family {
	return &pipeline.Family{
		Name:  "s3",
		Match: func(*http.Request) bool { return true },
		Find:  func(*pipeline.Call) (*pipeline.Op, error) { return nil, NotFound },
		Codes: pipeline.Codes{NotFound: pipeline.As(http.StatusTeapot, "Elsewhere", "")},
		Fault: renderText,
	}
}

// as returns a client with other credentials.
func (s *station) as(id, password string) *Client {
	return &Client{
		Endpoint: s.server.URL, Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider(id, password, ""),
	}
}

// get sends an unsigned request from a peer.
func (s *station) get(method, url, peer string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, url, nil)
	r.RemoteAddr = peer
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.road.ServeHTTP(w, r)
	return w
}

// record appends to the trail.
func (s *station) record(source, name string, at time.Time) {
	s.t.Helper()
	err := s.trail.Append(s.t.Context(), audit.Record{EventSource: source, EventName: name, EventTime: at}, true)
	if err != nil {
		s.t.Fatal(err)
	}
}
