// SPDX-License-Identifier: Apache-2.0

package object

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/bucketkey"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fips"
	"github.com/cofferstore/coffer/internal/link/keystore/builtin"
	"github.com/cofferstore/coffer/internal/link/keystore/rootkey"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/blob"
	"github.com/cofferstore/coffer/internal/store/blob/faulty"
	blobmem "github.com/cofferstore/coffer/internal/store/blob/mem"
	"github.com/cofferstore/coffer/internal/store/meta"
	metamem "github.com/cofferstore/coffer/internal/store/meta/mem"
)

const account = "000000000001"

var alice = iam.Caller{
	Principal: iam.Principal{Type: iam.Root, Account: account, ARN: "arn:aws:iam::" + account + ":root"},
	RequestID: "R", Secure: true, SigV4: true,
}

// kmsTrail counts the KMS requests made for S3.
type kmsTrail struct {
	mu      sync.Mutex
	records []audit.Record
	// meanwhile, if set, is done once: while the next KMS request is under way.
	meanwhile func()
}

func (k *kmsTrail) Append(_ context.Context, r audit.Record, _ bool) error {
	k.mu.Lock()
	k.records = append(k.records, r)
	do := k.meanwhile
	k.meanwhile = nil
	k.mu.Unlock()
	if do != nil {
		do()
	}
	return nil
}

// world is the service over stores in memory.
type world struct {
	t       testing.TB
	objects *Objects
	buckets *bucket.Buckets
	rows    meta.Store
	blobs   *faulty.Store
	kms     *kms.Service
	trail   *kmsTrail
	binder  secret.Bytes
}

func newWorld(t testing.TB, cfg Config) *world {
	t.Helper()
	return newWorldOver(t, cfg, metamem.New())
}

// newWorldOver is newWorld with its rows in another store.
func newWorldOver(t testing.TB, cfg Config, rows meta.Store) *world {
	t.Helper()
	return newWorldOn(t, cfg, rows, blobmem.NewPacking(packLimit))
}

// packLimit is the longest stream that is packed where nothing else is said.
const packLimit = 512 << 10

// newWorldOn is newWorld over stores of the caller's.
func newWorldOn(t testing.TB, cfg Config, rows meta.Store, blobs blob.Store) *world {
	t.Helper()
	w := &world{t: t, rows: rows, blobs: faulty.New(blobs), trail: new(kmsTrail), binder: secret.Random(secret.Size)}
	root, err := rootkey.Create(t.TempDir(), rootkey.SlotOptions{Type: rootkey.File})
	if err != nil {
		t.Fatal(err)
	}
	w.kms = kms.New(w.rows, builtin.New(w.rows, root, builtin.Config{}), w.trail, kms.Config{Region: "us-east-1"})
	w.start(cfg)
	t.Cleanup(w.counted)
	return w
}

// counted holds the counters of what depends on keys against the rows, at the end of
// every test.
func (w *world) counted() {
	wrong, err := w.objects.miscounted(context.Background())
	for row, n := range wrong {
		w.t.Errorf("counter %s is wrong by %d", row, -n)
	}
	if err != nil && !isLost(err) && !errors.Is(err, meta.Damaged) && !errors.Is(err, meta.Unavailable) {
		w.t.Errorf("count what depends on keys: %v", err)
	}
}

// start begins a process over the stores: nothing of the one before is remembered.
func (w *world) start(cfg Config) {
	w.buckets = bucket.New(w.rows, bucket.Config{Region: "us-east-1", Clear: func(ctx context.Context, uid bucket.UID) error {
		return errors.Join(w.objects.Clear(ctx, uid), bucketkey.Forget(ctx, w.rows, uid))
	}})
	cache := bucketkey.New(w.kms.ViaS3(), w.rows, bucketkey.Config{TTL: 5 * time.Minute})
	owned := bucketkey.New(w.kms.Owned(), w.rows, bucketkey.Config{TTL: bucketkey.MaxTTL})
	w.t.Cleanup(func() { cache.Close(); owned.Close() })
	w.objects = New(w.buckets, w.rows, w.blobs, sse.New(w.kms.ViaS3(), cache, owned), w.binder, cfg)
}

func (w *world) bucket(name string, versioning string) {
	w.t.Helper()
	ctx := w.t.Context()
	if _, err := w.buckets.Create(ctx, alice, bucket.Create{Bucket: name}); err != nil {
		w.t.Fatal(err)
	}
	if versioning != "" {
		w.versioning(name, versioning)
	}
}

func (w *world) versioning(name, status string) {
	w.t.Helper()
	_, err := w.buckets.PutVersioning(w.t.Context(), alice, bucket.PutVersioning{Ref: bucket.Ref{Bucket: name}, Status: status})
	if err != nil {
		w.t.Fatal(err)
	}
}

func ref(b, key string) Ref { return Ref{bucket.Ref{Bucket: b}, key} }

func put(b, key string, data []byte) Put {
	return Put{Ref: ref(b, key), Body: bytes.NewReader(data), Size: int64(len(data))}
}

func (w *world) put(in Put) Stored {
	w.t.Helper()
	out, err := w.objects.Put(w.t.Context(), alice, in)
	if err != nil {
		w.t.Fatalf("put %s: %v", in.Key, err)
	}
	return out
}

func (w *world) get(in Get) ([]byte, *Object) {
	w.t.Helper()
	out, err := w.objects.Get(w.t.Context(), alice, in)
	if err != nil {
		w.t.Fatalf("get %s: %v", in.Key, err)
	}
	defer out.Body.Close()
	data, err := io.ReadAll(out.Body)
	if err != nil {
		w.t.Fatalf("read %s: %v", in.Key, err)
	}
	return data, out
}

func (w *world) getErr(in Get) error {
	out, err := w.objects.Get(w.t.Context(), alice, in)
	if err != nil {
		return err
	}
	defer out.Body.Close()
	_, err = io.ReadAll(out.Body)
	return err
}

func read(b, key, version string) Get { return Get{VersionRef: VersionRef{ref(b, key), version}} }

func want(t *testing.T, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("got %v, want %v", err, kind)
	}
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

func TestWhatIsPutIsRead(t *testing.T) {
	w := newWorld(t, Config{})
	w.bucket("photos", "")
	for _, n := range []int{0, 1, 4096, 16 << 10, 64<<10 - 1, 64 << 10, 64<<10 + 1, 1 << 20} {
		data := pattern(n)
		key := fmt.Sprint("k", n)
		in := put("photos", key, data)
		in.Headers = []Header{{"content-type", "text/plain"}, {"x-amz-meta-a", "b"}}
		stored := w.put(in)
		sum := fips.MD5(data)
		if stored.ETag != hex.EncodeToString(sum[:]) {
			t.Errorf("%d bytes: ETag %s is not the MD5", n, stored.ETag)
		}
		got, o := w.get(read("photos", key, ""))
		if !bytes.Equal(got, data) {
			t.Errorf("%d bytes read back differently", n)
		}
		if len(o.Headers) != 2 || o.Headers[1].Value != "b" || o.VersionID != "" || o.SSE.Algorithm != sse.AES256 {
			t.Errorf("%d bytes: %+v", n, o)
		}
	}
}

func TestRangesAtSegmentEdges(t *testing.T) {
	w := newWorld(t, Config{})
	w.bucket("photos", "")
	data := pattern(3*64<<10 + 100)
	w.put(put("photos", "k", data))
	edges := []int{0, 1, 65535, 65536, 65537, 131071, 131072, len(data) - 1}
	for _, first := range edges {
		for _, last := range edges {
			if last < first {
				continue
			}
			in := read("photos", "k", "")
			in.Range = fmt.Sprintf("bytes=%d-%d", first, last)
			got, o := w.get(in)
			if !bytes.Equal(got, data[first:last+1]) || !o.Partial || o.Start != int64(first) {
				t.Errorf("%s: %d bytes from %d", in.Range, len(got), o.Start)
			}
		}
	}
}

func TestRangeHeader(t *testing.T) {
	for _, c := range []struct {
		header        string
		size          int64
		start, length int64
		ok, valid     bool
	}{
		{"bytes=0-0", 10, 0, 1, true, true},
		{"bytes=2-", 10, 2, 8, true, true},
		{"bytes=-3", 10, 7, 3, true, true},
		{"bytes=-30", 10, 0, 10, true, true},
		{"bytes=5-100", 10, 5, 5, true, true},
		{"bytes=10-", 10, 0, 0, true, false},
		{"bytes=-0", 10, 0, 0, true, false},
		{"bytes=0-", 0, 0, 0, true, false},
		{"bytes=1-0", 10, 0, 0, false, false},
		{"bytes=-", 10, 0, 0, false, false},
		{"bytes=0--1", 10, 0, 0, false, false},
		{"bytes=0-1,3-4", 10, 0, 0, false, false},
		{"items=0-1", 10, 0, 0, false, false},
		{"bytes=a-b", 10, 0, 0, false, false},
		{"bytes=99999999999999999999-", 10, 0, 0, false, false},
	} {
		r, ok := parseRange(c.header)
		if ok != c.ok {
			t.Errorf("%s: parsed %t", c.header, ok)
			continue
		}
		if !ok {
			continue
		}
		start, length, valid := r.of(c.size)
		if valid != c.valid || valid && (start != c.start || length != c.length) {
			t.Errorf("%s of %d: %d, %d, %t", c.header, c.size, start, length, valid)
		}
	}
}

func TestBodiesThatAreNotWhatWasAnnounced(t *testing.T) {
	w := newWorld(t, Config{MaxPart: 1000})
	w.bucket("photos", "")
	short := put("photos", "k", pattern(10))
	short.Size = 11
	long := put("photos", "k", pattern(1001))
	digest := put("photos", "k", pattern(10))
	digest.Expect.MD5 = make([]byte, 16)
	sum := put("photos", "k", pattern(10))
	sum.Expect.Algorithm = "CRC32"
	sum.Expect.Value = func() ([]byte, error) { return []byte{1, 2, 3, 4}, nil }
	for kind, in := range map[error]Put{IncompleteBody: short, TooLarge: long, BadDigest: digest} {
		_, err := w.objects.Put(t.Context(), alice, in)
		want(t, err, kind)
	}
	_, err := w.objects.Put(t.Context(), alice, sum)
	want(t, err, BadDigest)
	want(t, w.getErr(read("photos", "k", "")), NoSuchKey)
	w.nothingLeft()
}

// nothingLeft fails if a stream is stored that nothing names.
func (w *world) nothingLeft() {
	w.t.Helper()
	infos, err := w.blobs.List(w.t.Context(), blob.Info{}, 10)
	if err != nil || len(infos) > 0 {
		w.t.Errorf("streams left behind: %v, %v", infos, err)
	}
}

func TestFailedWritesLeaveNothing(t *testing.T) {
	w := newWorld(t, Config{})
	w.bucket("photos", "")
	broken := errors.New("disk on fire")
	data := pattern(300 << 10)
	in := put("photos", "k", data)
	in.Body = io.MultiReader(bytes.NewReader(data[:200<<10]), failing{broken})
	_, err := w.objects.Put(t.Context(), alice, in)
	want(t, err, broken)
	want(t, w.getErr(read("photos", "k", "")), NoSuchKey)
	w.nothingLeft()
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestConditions(t *testing.T) {
	w := newWorld(t, Config{})
	w.bucket("photos", "")
	put1 := func(c WriteCondition) error {
		in := put("photos", "k", pattern(5))
		in.Condition = c
		_, err := w.objects.Put(t.Context(), alice, in)
		return err
	}
	want(t, put1(WriteCondition{IfMatch: `"x"`}), NoSuchKey)
	if err := put1(WriteCondition{IfNoneMatch: "*"}); err != nil {
		t.Fatal(err)
	}
	want(t, put1(WriteCondition{IfNoneMatch: "*"}), PreconditionFailed)
	want(t, put1(WriteCondition{IfMatch: `"x"`}), PreconditionFailed)
	want(t, put1(WriteCondition{IfNoneMatch: `"x"`}), ConditionUnsupported)
	want(t, put1(WriteCondition{IfMatch: "*"}), ConditionUnsupported)
	_, o := w.get(read("photos", "k", ""))
	if err := put1(WriteCondition{IfMatch: `"` + o.ETag + `"`}); err != nil {
		t.Error(err)
	}
	cond := func(c ReadCondition) error {
		in := read("photos", "k", "")
		in.Condition = c
		return w.getErr(in)
	}
	modified := o.Modified.Truncate(time.Second)
	for _, c := range []struct {
		cond ReadCondition
		want error
	}{
		{ReadCondition{IfMatch: o.ETag}, nil},
		{ReadCondition{IfMatch: `"other", "` + o.ETag + `"`}, nil},
		{ReadCondition{IfMatch: "other"}, PreconditionFailed},
		{ReadCondition{IfNoneMatch: o.ETag}, NotModified},
		{ReadCondition{IfNoneMatch: "other"}, nil},
		{ReadCondition{IfModifiedSince: modified}, NotModified},
		{ReadCondition{IfModifiedSince: modified.Add(time.Hour)}, nil}, // a time to come says nothing
		{ReadCondition{IfModifiedSince: modified.Add(-time.Hour)}, nil},
		{ReadCondition{IfUnmodifiedSince: modified.Add(-time.Hour)}, PreconditionFailed},
		{ReadCondition{IfMatch: o.ETag, IfUnmodifiedSince: modified.Add(-time.Hour)}, nil},
		{ReadCondition{IfNoneMatch: "other", IfModifiedSince: modified}, nil},
	} {
		if err := cond(c.cond); !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%+v: %v, want %v", c.cond, err, c.want)
		}
	}
}

func TestConcurrentCreatesHaveOneWinner(t *testing.T) {
	w := newWorld(t, Config{})
	w.bucket("photos", "")
	const writers = 16
	errs := make(chan error, writers)
	for i := range writers {
		go func() {
			in := put("photos", "k", pattern(i))
			in.Condition = WriteCondition{IfNoneMatch: "*"}
			_, err := w.objects.Put(context.Background(), alice, in)
			errs <- err
		}()
	}
	won := 0
	for range writers {
		if err := <-errs; err == nil {
			won++
		} else if !errors.Is(err, PreconditionFailed) {
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d writers created the object", won)
	}
}

func TestKeysOfAllKinds(t *testing.T) {
	w := newWorld(t, Config{})
	w.bucket("photos", "")
	keys := []string{"a", "a\x00", "a\x00b", "a/b", "a//b", "/", "é", strings.Repeat("k", 1024), " ", "a\xff"}
	for i, k := range keys {
		w.put(put("photos", k, pattern(i)))
	}
	for i, k := range keys {
		if got, _ := w.get(read("photos", k, "")); len(got) != i {
			t.Errorf("%q: %d bytes, want %d", k, len(got), i)
		}
	}
	_, err := w.objects.Put(t.Context(), alice, put("photos", strings.Repeat("k", 1025), nil))
	want(t, err, KeyTooLong)
	list, err := w.objects.List(t.Context(), alice, List{Ref: bucket.Ref{Bucket: "photos"}, Max: 1000})
	if err != nil || len(list.Entries) != len(keys) {
		t.Fatalf("%d entries, %v", len(list.Entries), err)
	}
	for i := 1; i < len(list.Entries); i++ {
		if list.Entries[i-1].Key >= list.Entries[i].Key {
			t.Errorf("%q is listed before %q", list.Entries[i-1].Key, list.Entries[i].Key)
		}
	}
}
