// SPDX-License-Identifier: Apache-2.0

package consolidate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/bucketkey"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/jobs"
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/link/keystore/builtin"
	"github.com/cofferstore/coffer/internal/link/keystore/rootkey"
	"github.com/cofferstore/coffer/internal/secret"
	blobmem "github.com/cofferstore/coffer/internal/store/blob/mem"
	"github.com/cofferstore/coffer/internal/store/meta"
	metamem "github.com/cofferstore/coffer/internal/store/meta/mem"
)

const account = "000000000001"

// requester returns one of the principals that the KMS tells apart.
func requester(n byte) iam.Caller {
	return iam.Caller{
		Principal: iam.Principal{Type: iam.Root, Account: account, ARN: "arn:aws:iam::" + account + ":root", Scope: [32]byte{n}},
		RequestID: "R", Secure: true, SigV4: true,
	}
}

var alice = requester(0)

const photos = "photos"

// trail keeps what the KMS records.
type trail struct {
	mu      sync.Mutex
	records []audit.Record
}

func (k *trail) Append(_ context.Context, r audit.Record, _ bool) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.records = append(k.records, r)
	return nil
}

// count returns how many records match.
func (k *trail) count(match func(audit.Record) bool) (n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, r := range k.records {
		if match(r) {
			n++
		}
	}
	return n
}

// last returns the last record that matches.
func (k *trail) last(match func(audit.Record) bool) (last audit.Record) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, r := range k.records {
		if match(r) {
			last = r
		}
	}
	return last
}

func ofS3(r audit.Record) bool { return r.UserIdentity.InvokedBy == audit.InvokedByS3 }

func named(name string) func(audit.Record) bool {
	return func(r audit.Record) bool { return r.EventName == name }
}

// world is a server's core over stores in memory, and what was put into it.
type world struct {
	t       *testing.T
	rows    *watched // that consolidation and objects use
	mem     meta.Store
	blobs   *blobmem.Store
	kms     *kms.Service
	trail   *trail
	buckets *bucket.Buckets
	objects *object.Objects
	upload  secret.Bytes
	runner  *jobs.Runner
	c       *Consolidator
	stored  map[string][]byte // what each key must read
}

func newWorld(t *testing.T) *world {
	t.Helper()
	mem := metamem.New()
	w := &world{t: t, rows: &watched{Store: mem}, mem: mem, blobs: blobmem.New(), trail: new(trail),
		upload: secret.Random(secret.Size), stored: map[string][]byte{}}
	root, err := rootkey.Create(t.TempDir(), rootkey.SlotOptions{Type: rootkey.File})
	if err != nil {
		t.Fatal(err)
	}
	w.kms = kms.New(mem, builtin.New(mem, root, builtin.Config{}), w.trail, kms.Config{Region: "us-east-1"})
	w.objects, w.buckets = w.node(w.rows)
	w.runner = jobs.New(mem, jobs.Config{})
	w.c = New(w.buckets, w.objects, bucketkey.NewLedger(w.kms.ForService(), w.rows, 0), w.runner, Config{})
	return w
}

// node returns another process over the world's stores, which knows no keys.
func (w *world) node(rows meta.Store) (*object.Objects, *bucket.Buckets) {
	buckets := bucket.New(rows, bucket.Config{Region: "us-east-1"})
	cache := bucketkey.New(w.kms.ViaS3(), rows, bucketkey.Config{TTL: bucketkey.DefaultTTL})
	owned := bucketkey.New(w.kms.Owned(), rows, bucketkey.Config{TTL: bucketkey.MaxTTL})
	w.t.Cleanup(func() { cache.Close(); owned.Close() })
	w.kms.OnChange(cache.KeyChanged)
	return object.New(buckets, rows, w.blobs, sse.New(w.kms.ViaS3(), cache, owned), w.upload, object.Config{MinPart: 1}), buckets
}

// inTime runs a test in a world whose days pass at once.
func inTime(t *testing.T, test func(*testing.T, *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newWorld(t)) })
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) bucket(versioning string) {
	w.t.Helper()
	_, err := w.buckets.Create(w.t.Context(), alice, bucket.Create{Bucket: photos})
	w.must(err)
	if versioning != "" {
		_, err = w.buckets.PutVersioning(w.t.Context(), alice, bucket.PutVersioning{Ref: bucket.Ref{Bucket: photos}, Status: versioning})
		w.must(err)
	}
}

func (w *world) key() string {
	w.t.Helper()
	k, err := w.kms.CreateKey(w.t.Context(), alice, kms.CreateKey{})
	w.must(err)
	return k.Arn
}

func ref(key string) object.Ref { return object.Ref{Ref: bucket.Ref{Bucket: photos}, Key: key} }

var yes = true

func underBucketKey(keyARN string) sse.Request {
	return sse.Request{Algorithm: sse.KMS, KeyID: keyARN, BucketKey: &yes}
}

func (w *world) put(by iam.Caller, key string, how sse.Request) object.Stored {
	w.t.Helper()
	data := []byte("data of " + key + " of " + time.Now().String())
	out, err := w.objects.Put(w.t.Context(), by, object.Put{
		Ref: ref(key), Attributes: object.Attributes{SSE: how}, Body: bytes.NewReader(data), Size: int64(len(data)),
	})
	w.must(err)
	w.stored[key+"@"+out.VersionID] = data
	if out.VersionID != "" {
		w.stored[key+"@"] = data
	}
	return out
}

func get(ctx context.Context, o *object.Objects, by iam.Caller, key, version string) ([]byte, sse.Applied, error) {
	out, err := o.Get(ctx, by, object.Get{VersionRef: object.VersionRef{Ref: ref(key), VersionID: version}})
	if err != nil {
		return nil, sse.Applied{}, err
	}
	defer out.Body.Close()
	data, err := io.ReadAll(out.Body)
	return data, out.SSE, err
}

// readable checks that a node that knows no keys reads everything.
func (w *world) readable(when string) {
	w.t.Helper()
	o, _ := w.node(w.mem)
	for name, want := range w.stored {
		key, version, _ := bytes.Cut([]byte(name), []byte("@"))
		got, _, err := get(w.t.Context(), o, alice, string(key), string(version))
		if err != nil || !bytes.Equal(got, want) {
			w.t.Fatalf("%s: %s reads %q, %v", when, name, got, err)
		}
	}
}

func (w *world) entries() []bucketkey.Entry {
	w.t.Helper()
	b, err := w.buckets.Find(w.t.Context(), bucket.Ref{Bucket: photos})
	w.must(err)
	entries, err := w.c.ledger.List(w.t.Context(), b.UID)
	w.must(err)
	return entries
}

// generations returns how many there are, by key ARN.
func (w *world) generations() map[string]int {
	w.t.Helper()
	out := map[string]int{}
	for _, e := range w.entries() {
		out[e.KeyARN]++
	}
	return out
}

// consolidate runs a job of the bucket to its end, however often it fails.
func (w *world) consolidate() jobs.Status {
	w.t.Helper()
	_, err := w.c.Start(w.t.Context(), photos)
	w.must(err)
	return w.work()
}

// work runs jobs until that of the bucket is over.
func (w *world) work() jobs.Status {
	w.t.Helper()
	ctx, stop := context.WithCancel(w.t.Context())
	var running sync.WaitGroup
	running.Go(func() { w.runner.Run(ctx) })
	defer func() { stop(); running.Wait() }()
	for {
		s, err := w.c.Job(ctx, photos)
		w.must(err)
		if s.State.Over() {
			return s
		}
		time.Sleep(time.Second)
	}
}

func (w *world) done(s jobs.Status) {
	w.t.Helper()
	if s.State != jobs.Done {
		w.t.Fatalf("the job is %s: %s", s.State, s.Error)
	}
}

var errCut = errors.New("the store is cut off")

// watched is a store that counts what is rewritten, and that can be cut off.
type watched struct {
	meta.Store

	mu      sync.Mutex
	rewrote map[string]int // puts of c/ rows, by key
	budget  int            // commits until it is cut off, while armed
	armed   bool
	after   bool // the last commit before the cut is applied, and not answered
	commits int
	before  func(*meta.Batch) // runs before each commit
	scanned func(meta.Range)  // runs after each scan
}

func (s *watched) Scan(ctx context.Context, r meta.Range) (meta.Page, error) {
	page, err := s.Store.Scan(ctx, r)
	if s.scanned != nil {
		s.scanned(r)
	}
	return page, err
}

func (s *watched) Commit(ctx context.Context, b *meta.Batch) (uint64, error) {
	s.mu.Lock()
	s.commits++
	cut, lost := false, false
	if s.armed {
		s.budget--
		cut, lost = s.budget < 0, s.after && s.budget == 0
	}
	before := s.before
	s.mu.Unlock()
	if cut {
		return 0, errCut
	}
	if before != nil {
		before(b)
	}
	ver, err := s.Store.Commit(ctx, b)
	if err != nil {
		return ver, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rewrote != nil {
		for _, p := range b.Puts {
			if bytes.HasPrefix(p.Key, []byte("c/")) {
				s.rewrote[string(p.Key)]++
			}
		}
	}
	if lost {
		return 0, errCut
	}
	return ver, nil
}

func (s *watched) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (w *world) generationOf(key string) uuid.UUID {
	w.t.Helper()
	h, err := w.objects.Head(w.t.Context(), alice, object.Get{VersionRef: object.VersionRef{Ref: ref(key)}})
	w.must(err)
	return h.SSE.Generation
}

func name(day, n int) string { return fmt.Sprintf("day-%03d/%d", day, n) }
