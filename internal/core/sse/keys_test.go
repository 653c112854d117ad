// SPDX-License-Identifier: Apache-2.0

package sse

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/bucketkey"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/blob"
	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/internal/store/meta/mem"
)

const keyARN = "arn:aws:kms:us-east-1:000000000001:key/60616263-6465-6667-6869-6a6b6c6d6e6f"

var (
	photos = bucketkey.Bucket{UID: [16]byte{1}, Name: "photos"}
	videos = bucketkey.Bucket{UID: [16]byte{2}, Name: "videos"}
	alice  = iam.Caller{Principal: iam.Principal{Type: iam.IAMUser, Account: "000000000001", ARN: "alice"}, RequestID: "r1"}
	bob    = iam.Caller{Principal: iam.Principal{Type: iam.IAMUser, Account: "000000000001", ARN: "bob"}}

	errDenied = fault.New("test: denied", "")
)

var _ KeyService = (*kms.ViaS3)(nil)

// fakeKMS counts requests by "caller operation context" and remembers its keys.
type fakeKMS struct {
	mu      sync.Mutex
	count   map[string]int
	keys    map[string]fakeKey
	given   []secret.Bytes
	denied  string // a caller
	arn     string // of "" resolved
	garbage bool   // answer with a short key
	events  []string
}

type fakeKey struct {
	key []byte
	arn string
	ec  kms.Context
}

func newFakeKMS(arn string) *fakeKMS {
	return &fakeKMS{count: make(map[string]int), keys: make(map[string]fakeKey), arn: arn}
}

func (f *fakeKMS) Resolve(_ context.Context, _ iam.Caller, key string) (string, error) {
	if key == "alias/none" {
		return "", fault.New(kms.NotFound, "")
	}
	if key == "" {
		return f.arn, nil
	}
	return key, nil
}

func (f *fakeKMS) Check(_ context.Context, by iam.Caller, _ kms.Class, _ string, _ kms.Context) error {
	if by.ARN == f.denied {
		return errDenied
	}
	return nil
}

func (f *fakeKMS) note(by iam.Caller, op string, ec kms.Context) error {
	f.count[by.ARN+" "+op+" "+ec["aws:s3:arn"]]++
	return f.Check(context.Background(), by, "", "", nil)
}

func (f *fakeKMS) GenerateDataKey(ctx context.Context, by iam.Caller, arn string, ec kms.Context, _ string) (secret.Bytes, []byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, audit.Named(ctx))
	if err := f.note(by, "GenerateDataKey", ec); err != nil {
		return secret.Bytes{}, nil, err
	}
	blob := make([]byte, 140)
	rand.Read(blob)
	key := secret.Random(32)
	if f.garbage {
		key = secret.Random(31)
	}
	f.keys[string(blob)] = fakeKey{bytes.Clone(key.Reveal()), arn, maps.Clone(ec)}
	f.given = append(f.given, key)
	return key, blob, nil
}

func (f *fakeKMS) Decrypt(ctx context.Context, by iam.Caller, arn string, blob []byte, ec kms.Context) (secret.Bytes, error) {
	return f.OpenBucketKey(ctx, by, kms.Decrypt, arn, blob, ec, "")
}

func (f *fakeKMS) OpenBucketKey(ctx context.Context, by iam.Caller, class kms.Class, arn string, blob []byte, ec kms.Context, _ string) (secret.Bytes, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, audit.Named(ctx))
	if err := f.note(by, string(class), ec); err != nil {
		return secret.Bytes{}, err
	}
	k, ok := f.keys[string(blob)]
	if !ok || k.arn != arn || !maps.Equal(k.ec, ec) {
		return secret.Bytes{}, fault.New(kms.InvalidCiphertext, "")
	}
	key := secret.Copy(k.key)
	f.given = append(f.given, key)
	return key, nil
}

// last returns the id of the newest event, "" without any.
func (f *fakeKMS) last() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.events) == 0 {
		return ""
	}
	return f.events[len(f.events)-1]
}

func (f *fakeKMS) total() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.count {
		n += c
	}
	return n
}

func (f *fakeKMS) wantOnly(t *testing.T, want map[string]int) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if !maps.Equal(f.count, want) {
		t.Errorf("KMS requests %v, want %v", f.count, want)
	}
	clear(f.count)
}

type fixture struct {
	*Keys
	kms, service *fakeKMS
	store        meta.Store
}

func newFixture(t testing.TB) *fixture {
	f := &fixture{kms: newFakeKMS(keyARN), service: newFakeKMS("arn:coffer:owned"), store: mem.New()}
	cache := bucketkey.New(f.kms, f.store, bucketkey.Config{TTL: bucketkey.DefaultTTL})
	owned := bucketkey.New(f.service, f.store, bucketkey.Config{TTL: bucketkey.MaxTTL})
	t.Cleanup(cache.Close)
	t.Cleanup(owned.Close)
	f.Keys = New(f.kms, cache, owned)
	f.bufs = small
	return f
}

// Choices by the source that they lead to.
var choices = map[string]Choice{
	"SSE-S3":                  {Algorithm: AES256},
	"SSE-KMS with bucket key": {Algorithm: KMS, BucketKey: true},
	"SSE-KMS":                 {Algorithm: KMS},
	"SSE-C":                   {Algorithm: Customer, Customer: keyA},
	"DSSE-KMS":                {Algorithm: DSSE},
	"NOT-SSE":                 {Algorithm: NotSSE},
}

var digest = sha256.Sum256([]byte("descriptor"))

// object is an object as it would be stored.
type object struct {
	key    string
	wrap   []byte
	id     blob.StreamID
	sealed []byte

	customer CustomerKey // to read it with
}

var plaintext = text(3<<minLog2 + 10)

func (f *fixture) write(t testing.TB, by iam.Caller, key string, c Choice) object {
	t.Helper()
	s, err := f.ForWrite(t.Context(), by, photos, key, c)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Clear()
	o := object{key: key, customer: c.Customer}
	rand.Read(o.id[:])
	var out bytes.Buffer
	w := s.NewWriter(&out, o.id)
	if _, err := w.Write(plaintext); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	o.sealed = out.Bytes()
	if o.wrap, err = s.Wrap(t.Context(), digest, BindDescriptor); err != nil {
		t.Fatal(err)
	}
	return o
}

func (f *fixture) read(t testing.TB, by iam.Caller, b bucketkey.Bucket, o object, d [32]byte) ([]byte, error) {
	t.Helper()
	opening, err := f.ForRead(t.Context(), by, b, o.key, o.wrap, d, o.customer)
	if err != nil {
		return nil, err
	}
	defer opening.Clear()
	return readRange(opening.NewReader(o.id, int64(len(plaintext)), stored(o.sealed)), 0, int64(len(plaintext)))
}

func TestObjects(t *testing.T) {
	const bucketARN, objectARN = "arn:aws:s3:::photos", "arn:aws:s3:::photos/a/b.jpg"
	for name, want := range map[string]struct {
		applied  Applied
		requests map[string]int
		wrapLen  int
	}{
		"SSE-S3":                  {Applied{Algorithm: AES256}, map[string]int{}, 86},
		"NOT-SSE":                 {Applied{Algorithm: NotSSE}, map[string]int{}, 86},
		"SSE-KMS with bucket key": {Applied{Algorithm: KMS, KeyARN: keyARN, BucketKey: true}, map[string]int{"alice GenerateDataKey " + bucketARN: 1, "bob Decrypt " + bucketARN: 1}, 86},
		"SSE-KMS":                 {Applied{Algorithm: KMS, KeyARN: keyARN}, map[string]int{"alice GenerateDataKey " + objectARN: 3, "bob Decrypt " + objectARN: 3}, 0},
		"DSSE-KMS":                {Applied{Algorithm: DSSE, KeyARN: keyARN}, map[string]int{"alice GenerateDataKey " + objectARN: 3, "bob Decrypt " + objectARN: 3}, 0},
		"SSE-C":                   {Applied{Algorithm: Customer}, map[string]int{}, 150},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			var last object
			for range 3 {
				o := f.write(t, alice, "a/b.jpg", choices[name])
				if got, err := f.read(t, bob, photos, o, digest); err != nil || !bytes.Equal(got, plaintext) {
					t.Fatalf("read %d bytes, %v", len(got), err)
				}
				if want.wrapLen != 0 && len(o.wrap) != want.wrapLen {
					t.Errorf("the wrap has %d bytes, want %d", len(o.wrap), want.wrapLen)
				}
				if bytes.Equal(o.wrap, last.wrap) {
					t.Error("two objects share a data key")
				}
				last = o
			}
			f.kms.wantOnly(t, want.requests)
			got, err := f.Applied(t.Context(), photos, "a/b.jpg", last.wrap)
			if err != nil {
				t.Fatal(err)
			}
			if hasGeneration := got.Generation != (uuid.UUID{}); hasGeneration != (got.ByService() || got.BucketKey) {
				t.Errorf("generation %v", got.Generation)
			}
			opening, err := f.ForRead(t.Context(), alice, photos, "a/b.jpg", last.wrap, digest, last.customer)
			if got.Event != "" {
				t.Errorf("HEAD uses no key, and names event %s", got.Event)
			}
			if got.Event = f.kms.last(); err != nil || opening.Applied() != got {
				t.Errorf("reading says %+v, %v; HEAD says %+v", opening.Applied(), err, got)
			}
			got.Generation, got.Event = uuid.UUID{}, ""
			if got != want.applied {
				t.Errorf("applied %+v, want %+v", got, want.applied)
			}
		})
	}
}

// What is reported as not encrypted is sealed as under SSE-S3, and a wrap cannot be
// made to report the other.
func TestNotSSEIsSealedAsSSES3(t *testing.T) {
	f := newFixture(t)
	plain, legacy := f.write(t, alice, "k", choices["SSE-S3"]), f.write(t, alice, "k", choices["NOT-SSE"])
	if n := f.service.total(); n != 1 {
		t.Errorf("%d uses of the service's key, want 1", n)
	}
	if bytes.Contains(legacy.sealed, plaintext[:64]) || len(legacy.sealed) != len(plain.sealed) {
		t.Error("the body is not sealed")
	}
	for _, o := range []object{plain, legacy} {
		o.wrap = bytes.Clone(o.wrap)
		o.wrap[5] ^= byte(fromService ^ fromLegacy)
		if got, err := f.read(t, alice, photos, o, digest); !errors.Is(err, Damaged) || len(got) > 0 {
			t.Errorf("with the other source: %d bytes, %v", len(got), err)
		}
	}
}

// All requesters share one entry for the service's own key.
func TestServiceKeyKnowsOneRequester(t *testing.T) {
	f := newFixture(t)
	for i := range 20 {
		by := alice
		by.ARN = fmt.Sprint("user", i)
		if _, err := f.read(t, by, photos, f.write(t, by, "k", choices["SSE-S3"]), digest); err != nil {
			t.Fatal(err)
		}
	}
	if n := f.service.total(); n != 2 {
		t.Errorf("%d uses of the service's key, want 2", n)
	}
}

func TestHeadNeedsNoKey(t *testing.T) {
	f := newFixture(t)
	wraps := make(map[string][]byte)
	for name, c := range choices {
		wraps[name] = f.write(t, alice, "k", c).wrap
	}
	before := f.kms.total() + f.service.total()
	f.kms.denied = bob.ARN
	for name, wrap := range wraps {
		if _, err := f.Applied(t.Context(), photos, "k", wrap); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := f.kms.total() + f.service.total(); n != before {
		t.Errorf("HEAD made %d requests", n-before)
	}
}

func TestDeniedCallers(t *testing.T) {
	for _, name := range []string{"SSE-KMS", "SSE-KMS with bucket key"} {
		f := newFixture(t)
		o := f.write(t, alice, "k", choices[name])
		f.kms.denied = bob.ARN
		if got, err := f.read(t, bob, photos, o, digest); !errors.Is(err, errDenied.Kind) || got != nil {
			t.Errorf("%s: read: %v", name, err)
		}
		if _, err := f.ForPart(t.Context(), bob, photos, "k", o.wrap, digest, CustomerKey{}); !errors.Is(err, errDenied.Kind) {
			t.Errorf("%s: part: %v", name, err)
		}
		if _, err := f.ForWrite(t.Context(), bob, photos, "k", choices[name]); !errors.Is(err, errDenied.Kind) {
			t.Errorf("%s: write: %v", name, err)
		}
	}
}

func TestRefusedChoices(t *testing.T) {
	f := newFixture(t)
	for name, c := range map[string]struct {
		Choice
		kind error
	}{
		"unknown":        {Choice{Algorithm: "rot13"}, UnsupportedMethod},
		"none":           {Choice{}, UnsupportedMethod},
		"unknown key":    {Choice{Algorithm: KMS, KeyID: "alias/none"}, kms.NotFound},
		"and bucket key": {Choice{Algorithm: KMS, KeyID: "alias/none", BucketKey: true}, kms.NotFound},
	} {
		if s, err := f.ForWrite(t.Context(), alice, photos, "k", c.Choice); !errors.Is(err, c.kind) || s != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := f.kms.total(); n != 0 {
		t.Errorf("%d KMS requests", n)
	}
	f.kms.garbage = true
	if s, err := f.ForWrite(t.Context(), alice, photos, "k", choices["SSE-KMS"]); err == nil || s != nil {
		t.Error("a KMS data key of 31 bytes was accepted")
	}
}

func TestUploads(t *testing.T) {
	for name, c := range choices {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			upload := [16]byte{9}
			created, err := f.ForWrite(t.Context(), alice, photos, "k", c)
			if err != nil {
				t.Fatal(err)
			}
			wrapped, err := created.Wrap(t.Context(), digest, BindUpload)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := BindOf(wrapped); err != nil || b != BindUpload {
				t.Errorf("bound to %v, %v", b, err)
			}
			bind := created.UploadBind(upload)
			part, err := f.ForPart(t.Context(), alice, photos, "k", wrapped, digest, c.Customer)
			if err != nil {
				t.Fatal(err)
			}
			want := created.Applied()
			if want.Event = f.kms.last(); part.Applied() != want {
				t.Errorf("part %+v, upload %+v", part.Applied(), created.Applied())
			}
			created.Clear()
			id := blob.StreamID{5}
			var out bytes.Buffer
			w := part.NewWriter(&out, id)
			part.Clear() // the Writer has its own key
			if _, err := w.Write(plaintext); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := part.Wrap(t.Context(), digest, BindUpload); err == nil {
				t.Error("a part was wrapped")
			}
			if got, err := f.read(t, alice, photos, object{"k", wrapped, id, out.Bytes(), c.Customer}, digest); err != nil || !bytes.Equal(got, plaintext) {
				t.Errorf("read %d bytes, %v", len(got), err)
			}
			opening, err := f.ForRead(t.Context(), alice, photos, "k", wrapped, digest, c.Customer)
			if err != nil {
				t.Fatal(err)
			}
			if !opening.UploadBind(upload).Equal(bind) || opening.UploadBind([16]byte{8}).Equal(bind) {
				t.Error("the binding key is not of this data key and upload alone")
			}
		})
	}
}

func TestTamperedWraps(t *testing.T) {
	for name, c := range choices {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			o, twin := f.write(t, alice, "k", c), f.write(t, alice, "k", c)
			before := f.kms.total()
			for i := range o.wrap {
				for bit := range 8 {
					bad := o
					bad.wrap = bytes.Clone(o.wrap)
					bad.wrap[i] ^= 1 << bit
					if got, err := f.read(t, alice, photos, bad, digest); err == nil || len(got) > 0 {
						t.Fatalf("bit %d of byte %d: read %d bytes", bit, i, len(got))
					}
				}
			}
			if perObject := name == "SSE-KMS" || name == "DSSE-KMS"; !perObject && f.kms.total() > before+1 {
				t.Errorf("tampered wraps made %d KMS requests", f.kms.total()-before)
			}
			for n := range o.wrap {
				bad := o
				bad.wrap = o.wrap[:n]
				if _, err := f.read(t, alice, photos, bad, digest); !errors.Is(err, Damaged) {
					t.Errorf("cut to %d bytes: %v", n, err)
				}
			}
			swapped := o
			swapped.wrap = twin.wrap
			if _, err := f.read(t, alice, photos, swapped, digest); !errors.Is(err, Damaged) {
				t.Errorf("another object's data key: %v", err)
			}
			if _, err := f.read(t, alice, photos, o, sha256.Sum256([]byte("another version"))); !errors.Is(err, Damaged) {
				t.Errorf("another descriptor: %v", err)
			}
			// A customer's key knows no bucket: there the descriptor tells alone.
			if got, err := f.read(t, alice, videos, o, digest); name != "SSE-C" && (err == nil || got != nil) {
				t.Error("read in another bucket")
			}
			renamed := o
			renamed.key = "other"
			if _, err := f.read(t, alice, photos, renamed, digest); name == "SSE-KMS" && !errors.Is(err, Damaged) {
				t.Errorf("read under another key: %v", err)
			}
		})
	}
}

// A wrap that names another generation, of this bucket or another, opens nothing.
func TestSwappedGeneration(t *testing.T) {
	f := newFixture(t)
	o := f.write(t, alice, "k", choices["SSE-KMS with bucket key"])
	other := f.write(t, alice, "k", Choice{Algorithm: KMS, KeyID: keyARN + "2", BucketKey: true})
	bad := o
	bad.wrap = bytes.Clone(o.wrap)
	copy(bad.wrap[8:24], other.wrap[8:24])
	if got, err := f.read(t, alice, photos, bad, digest); !errors.Is(err, Damaged) || got != nil {
		t.Errorf("got %v", err)
	}
	rand.Read(bad.wrap[8:24])
	if _, err := f.read(t, alice, photos, bad, digest); !errors.Is(err, bucketkey.NoGeneration) {
		t.Errorf("got %v", err)
	}
	// A KMS wrap passed off as one of the service, and the reverse.
	for _, from := range []byte{1, 2} {
		bad.wrap = bytes.Clone(o.wrap)
		bad.wrap[5] = from
		if _, err := f.read(t, alice, photos, bad, digest); (err == nil) != (from == 2) {
			t.Errorf("source %d: %v", from, err)
		}
	}
}

// With too many contexts an object gets its own KMS data key in the same context.
func TestTooManyContexts(t *testing.T) {
	f := newFixture(t)
	ec := func(i int) kms.Context {
		return kms.Context{arnPair: "arn:aws:s3:::photos", "tenant": fmt.Sprint(i)}
	}
	sealing := func(i int) *Sealing {
		s, err := f.ForWrite(t.Context(), alice, photos, "k", Choice{Algorithm: KMS, BucketKey: true, Context: ec(i)})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for i := range bucketkey.MaxContexts {
		if sealing(i).wraps[0].sealer == nil {
			t.Fatalf("context %d has no bucket key", i)
		}
	}
	s := sealing(bucketkey.MaxContexts)
	want := Applied{Algorithm: KMS, KeyARN: keyARN, BucketKey: true, Event: f.kms.last()}
	if s.Applied() != want {
		t.Errorf("applied %+v, want %+v", s.Applied(), want)
	}
	wrapped, err := s.Wrap(t.Context(), digest, BindDescriptor)
	if err != nil {
		t.Fatal(err)
	}
	opening, err := f.ForRead(t.Context(), bob, photos, "k", wrapped, digest, CustomerKey{})
	if err != nil {
		t.Fatal(err)
	}
	if want.Event = f.kms.last(); opening.Applied() != want || !opening.deks[0].Equal(s.deks[0]) {
		t.Errorf("read back as %+v", opening.Applied())
	}
	if f.kms.count["bob Decrypt arn:aws:s3:::photos"] != 1 {
		t.Errorf("KMS requests %v", f.kms.count)
	}
}

// A request that outlives its bucket key's window wraps under the next one.
func TestSlowWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		for name, c := range choices {
			s, err := f.ForWrite(t.Context(), alice, photos, "k", c)
			if err != nil {
				t.Fatal(err)
			}
			first := s.Applied().Generation
			time.Sleep(28 * time.Hour)
			wrapped, err := s.Wrap(t.Context(), digest, BindDescriptor)
			if err != nil {
				t.Fatal(err)
			}
			if changed := s.Applied().Generation != first; changed != (s.Applied().ByService() || c.BucketKey) {
				t.Errorf("%s: generation changed: %v", name, changed)
			}
			opening, err := f.ForRead(t.Context(), bob, photos, "k", wrapped, digest, c.Customer)
			if err != nil || !opening.deks[0].Equal(s.deks[0]) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestNoKeyIsLeft(t *testing.T) {
	f := newFixture(t)
	for _, c := range choices {
		o := f.write(t, alice, "k", c)
		if _, err := f.read(t, bob, photos, o, digest); err != nil {
			t.Fatal(err)
		}
	}
	for _, service := range []*fakeKMS{f.kms, f.service} {
		for _, key := range service.given {
			if !bytes.Equal(key.Reveal(), make([]byte, key.Len())) {
				t.Error("a KMS data key is still in memory")
			}
		}
	}
	s, err := f.ForWrite(t.Context(), alice, photos, "k", choices["SSE-S3"])
	if err != nil {
		t.Fatal(err)
	}
	s.Clear()
	if !bytes.Equal(s.deks[0].Reveal(), make([]byte, 32)) {
		t.Error("Clear left the data key")
	}
}

func TestWrapVector(t *testing.T) {
	w, _, err := parseWrap(vector(t, "cdw1.hex"))
	if err != nil {
		t.Fatal(err)
	}
	if w.source != fromBucketKey || w.bind != BindDescriptor || !bytes.Equal(w.ref[:], count(0x40, 16)) {
		t.Errorf("got %+v", w)
	}
	kek := secret.Derive(secret.New(count(0x20, 32)), "dek-wrap", w.ref[:], 32)
	dek, err := w.openDEK(secret.NewAEAD(kek).Open, digest)
	if err != nil || !dek.Equal(vectorKey()) {
		t.Errorf("the vector's data key does not open: %v", err)
	}
	aead, err := directAEAD(secret.New(count(0x20, 32)), w.ref)
	if err != nil {
		t.Fatal(err)
	}
	if dek, err := w.openDEK(aead.Open, digest); err != nil || !dek.Equal(vectorKey()) {
		t.Errorf("a KMS data key wraps otherwise: %v", err)
	}
	kdf := fmt.Sprintf("%x", secret.Derive(vectorKey(), "dek-wrap", count(0x40, 16), 32).Reveal())
	if kdf != "4a11c7e1fefac6afcda3221046059631ea5cd185d38e09049bad8ba8084dc253" {
		t.Errorf("KDF gives %s", kdf)
	}
}

func FuzzParseWrap(f *testing.F) {
	f.Add(vector(f, "cdw1.hex"))
	f.Add(vector(f, "cdw1-legacy.hex"))
	vary, err := direct{keyARN, kms.Context{arnPair: "arn:aws:s3:::photos/k"}, []byte("blob")}.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append(wrap{source: fromKMS, vary: vary}.head(), make([]byte, wrapSeal)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		layers, err := parseWraps(b)
		if err != nil {
			if !errors.Is(err, Damaged) {
				t.Errorf("error without a kind: %v", err)
			}
			return
		}
		var again []byte
		for _, w := range layers.all() {
			again = append(append(again, w.head()...), w.sealed...)
		}
		if !bytes.Equal(again, b) {
			t.Errorf("accepted %x, which reads back otherwise", b)
		}
		w := layers.at[0]
		if w.source == fromKMS {
			d, err := parseDirect(w.vary)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := d.encode(); err != nil || !bytes.Equal(again, w.vary) {
				t.Errorf("accepted %x, which reads back as %x", w.vary, again)
			}
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	f := newFixture(b)
	f.bufs = newBuffers(segmentLog2)
	body := text(4 << 10)
	for name, c := range choices {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s, err := f.ForWrite(b.Context(), alice, photos, "k", c)
				if err != nil {
					b.Fatal(err)
				}
				w := s.NewWriter(io.Discard, blob.StreamID{1})
				if _, err := w.Write(body); err != nil {
					b.Fatal(err)
				}
				if err := w.Close(); err != nil {
					b.Fatal(err)
				}
				if _, err := s.Wrap(b.Context(), digest, BindDescriptor); err != nil {
					b.Fatal(err)
				}
				s.Clear()
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	f := newFixture(b)
	f.bufs = newBuffers(segmentLog2)
	for name, c := range choices {
		b.Run(name, func(b *testing.B) {
			o := f.write(b, alice, "k", c)
			size, open := int64(len(plaintext)), stored(o.sealed)
			b.ReportAllocs()
			for b.Loop() {
				opening, err := f.ForRead(b.Context(), alice, photos, o.key, o.wrap, digest, o.customer)
				if err != nil {
					b.Fatal(err)
				}
				body := opening.NewReader(o.id, size, open).Range(0, size)
				if _, err := io.Copy(io.Discard, body); err != nil {
					b.Fatal(err)
				}
				body.Close()
				opening.Clear()
			}
		})
	}
}
