// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"context"
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
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cofferstore/coffer/internal/core/access"
	"github.com/cofferstore/coffer/internal/core/accesslog"
	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/bucketkey"
	"github.com/cofferstore/coffer/internal/core/delivery"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/iam/iamtest"
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fips"
	"github.com/cofferstore/coffer/internal/link/keystore/builtin"
	"github.com/cofferstore/coffer/internal/link/keystore/rootkey"
	"github.com/cofferstore/coffer/internal/secret"
	blobmem "github.com/cofferstore/coffer/internal/store/blob/mem"
	"github.com/cofferstore/coffer/internal/store/meta"
	metamem "github.com/cofferstore/coffer/internal/store/meta/mem"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
	"github.com/cofferstore/coffer/internal/wire/sigv4"
)

const (
	testAccount = "000000000001"
	testAccess  = "AKIACOFFERTEST000001"
	testSecret  = "a secret of more than sixteen bytes"
	testDomain  = "s3.example.com"
	testSites   = "web.example.com"

	otherAccount = "444455556666"
	otherAccess  = "AKIACOFFERTEST000002"
)

// station is the S3 family on the road, over stores in memory.
type station struct {
	t      testing.TB
	region string
	road   *pipeline.Road
	api    *API
	kms    *kms.Service
	trail  *memoryTrail
}

// memoryTrail keeps audit records of S3 and KMS.
type memoryTrail struct {
	mu      sync.Mutex // items of one call are appended at a time
	records []audit.Record
}

func (m *memoryTrail) Append(_ context.Context, r audit.Record, _ bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.records = append(m.records, r.Plain())
	return nil
}

func (m *memoryTrail) Join(_ *meta.Batch, r audit.Record) (func(), error) {
	return func() { _ = m.Append(context.Background(), r, true) }, nil
}

// last returns the newest record of an event.
func (m *memoryTrail) last(t *testing.T, event string) audit.Record {
	t.Helper()
	for i := len(m.records) - 1; i >= 0; i-- {
		if m.records[i].EventName == event {
			return m.records[i]
		}
	}
	t.Fatalf("no audit record of %s", event)
	return audit.Record{}
}

// rootOnly knows the access keys of two accounts' roots.
type rootOnly struct{}

func (rootOnly) Credential(_ context.Context, id, _ string) (sigv4.Credential, error) {
	account, ok := map[string]string{testAccess: testAccount, otherAccess: otherAccount}[id]
	if !ok {
		return sigv4.Credential{}, iam.NoSuchAccessKey
	}
	return sigv4.Credential{Secret: secret.New([]byte(testSecret)), Principal: iam.Principal{
		Type: iam.Root, Account: account, ARN: "arn:aws:iam::" + account + ":root",
		PrincipalID: account, AccessKeyID: id,
	}}, nil
}

func newStation(t testing.TB, region string) *station { return stationOf(t, region, false) }

func stationOf(t testing.TB, region string, legacy bool) *station {
	t.Helper()
	s := &station{t: t, region: region, trail: new(memoryTrail)}
	rows := metamem.New()
	root, err := rootkey.Create(t.TempDir(), rootkey.SlotOptions{Type: rootkey.File})
	if err != nil {
		t.Fatal(err)
	}
	s.kms = kms.New(rows, builtin.New(rows, root, builtin.Config{}), s.trail, kms.Config{Region: region})
	keys := bucketkey.New(s.kms.ViaS3(), rows, bucketkey.Config{TTL: bucketkey.DefaultTTL})
	owned := bucketkey.New(s.kms.Owned(), rows, bucketkey.Config{TTL: bucketkey.MaxTTL})
	t.Cleanup(func() { keys.Close(); owned.Close() })
	users := iamtest.New(t, rows, testAccount, otherAccount)
	buckets := bucket.New(rows, bucket.Config{Region: region, Legacy: legacy, Principals: users, CanonicalID: users.CanonicalID})
	s.api = &API{
		Buckets: buckets, Domains: []string{testDomain}, WebsiteDomains: []string{testSites},
		Objects: object.New(buckets, rows, blobmem.New(), sse.New(s.kms.ViaS3(), keys, owned), secret.Random(secret.Size), object.Config{}),
	}
	s.api.Access = access.New(users, buckets, s.api.Objects, s.kms.ViaS3(), access.Config{})
	writer := delivery.New(s.api.Access, s.api.Objects, buckets, s.trail, delivery.Config{Region: region, Name: Name})
	if s.api.Logs, err = accesslog.Open("/", buckets, writer, accesslog.Config{FS: vfs.NewMem(), Limit: 4 << 20}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.api.Logs.Close() })
	s.road = pipeline.New(pipeline.Config{
		Region: region, Verifier: sigv4.New(rootOnly{}, sigv4.Config{Region: region}),
		Authorize: users.Authorize, Trail: s.trail, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}, s.api.Websites(), s.api.Control(), s.api.Family())
	return s
}

// answer is what came back.
type answer struct {
	t      testing.TB
	what   string
	status int
	header http.Header
	body   string
}

// do sends a signed request; headers are "Name: value". A document is sent with
// its Content-MD5 unless the headers have a digest or say "no digest". It is signed by
// another account's root, or by nobody, if they say so.
func (s *station) do(method, target, body string, headers ...string) *answer {
	s.t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host = testDomain
	r.RemoteAddr = "127.0.0.1:40000"
	digest, nobody, key := body != "", false, testAccess
	for _, h := range headers {
		name, v, _ := strings.Cut(h, ": ")
		switch {
		case h == "no digest":
			digest = false
			continue
		case h == "by nobody":
			nobody = true
			continue
		case h == "by another account":
			key = otherAccess
			continue
		case name == "Host":
			r.Host = v
			continue
		case strings.HasPrefix(strings.ToLower(name), "x-amz-checksum-"), strings.EqualFold(name, "Content-MD5"):
			digest = false
		}
		r.Header.Add(name, v)
	}
	if digest {
		r.Header.Set("Content-MD5", md5Text(body))
	}
	if !nobody {
		s.signAs(key, r)
	}
	return s.serve(r)
}

func (s *station) sign(r *http.Request) { s.signAs(testAccess, r) }

func (s *station) signAs(key string, r *http.Request) {
	s.t.Helper()
	r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	creds := aws.Credentials{AccessKeyID: key, SecretAccessKey: testSecret}
	if err := signer.SignHTTP(s.t.Context(), creds, r, "UNSIGNED-PAYLOAD", "s3", s.region, time.Now()); err != nil {
		s.t.Fatal(err)
	}
}

func (s *station) serve(r *http.Request) *answer {
	s.t.Helper()
	w := httptest.NewRecorder()
	s.road.ServeHTTP(w, r)
	return &answer{t: s.t, what: r.Method + " " + r.RequestURI, status: w.Code, header: w.Result().Header, body: w.Body.String()}
}

func md5Text(body string) string {
	sum := fips.MD5([]byte(body))
	return base64Text(sum[:])
}

// want checks the status and that the body has all of the pieces.
func (a *answer) want(status int, pieces ...string) *answer {
	a.t.Helper()
	if a.status != status {
		a.t.Errorf("%s: status %d, want %d: %s", a.what, a.status, status, a.body)
	}
	for _, p := range pieces {
		if !strings.Contains(a.body, p) {
			a.t.Errorf("%s: no %s in %s", a.what, p, a.body)
		}
	}
	return a
}

// wantCode checks status and error code, and pieces of the body.
func (a *answer) wantCode(status int, code string, pieces ...string) *answer {
	a.t.Helper()
	return a.want(status, append(pieces, "<Code>"+code+"</Code>")...)
}

// wantDocument checks the whole body, without the XML declaration and the
// namespace of its root.
func (a *answer) wantDocument(status int, want string) *answer {
	a.t.Helper()
	got, declared := strings.CutPrefix(a.body, xmlHeader)
	if !declared {
		a.t.Errorf("%s: no XML declaration: %s", a.what, a.body)
	}
	got = strings.Replace(got, ` xmlns="`+namespace+`"`, "", 1)
	if a.status != status || got != want {
		a.t.Errorf("%s: status %d\n got %s\nwant %s", a.what, a.status, got, want)
	}
	return a
}

// spelt returns a header as it is spelt on the wire.
func (a *answer) spelt(name string) string { return strings.Join(a.header[name], ",") }

// wantHeader checks a header as it is spelt on the wire; "" means absent.
func (a *answer) wantHeader(name, want string) *answer {
	a.t.Helper()
	if got := a.spelt(name); got != want {
		a.t.Errorf("%s: header %s is %q, want %q", a.what, name, got, want)
	}
	return a
}
