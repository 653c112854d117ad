// SPDX-License-Identifier: Apache-2.0

package bucketkey

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/internal/store/meta/mem"
)

const (
	key1 = "arn:aws:kms:us-east-1:000000000001:key/60616263-6465-6667-6869-6a6b6c6d6e6f"
	key2 = "arn:aws:kms:us-east-1:000000000001:key/70717273-7475-7677-7879-7a7b7c7d7e7f"
)

var (
	photos = Bucket{UID: [16]byte{1}, Name: "photos"}
	videos = Bucket{UID: [16]byte{2}, Name: "videos"}

	alice = caller("role/alice")
	bob   = caller("role/bob")

	errDenied   = fault.New("test: denied", "")
	errDisabled = fault.New("test: disabled", "")
	errThrottle = fault.New("test: throttled", "")
)

func caller(name string) iam.Caller {
	return iam.Caller{Principal: iam.Principal{
		Type: iam.IAMUser, Account: "000000000001", ARN: "arn:aws:iam::000000000001:" + name,
	}}
}

func bare(b Bucket) kms.Context { return kms.Context{"aws:s3:arn": aws.BucketARN(b.Name)} }

func write(b Bucket, keyARN string) ForWrite { return ForWrite{b, keyARN, bare(b)} }

var (
	_ KeyService = (*kms.ViaS3)(nil)
	_ KeyService = (*kms.Owned)(nil)
)

// request is a KMS request as the fake saw it.
type request struct {
	who    string
	class  kms.Class // "" for GenerateDataKey
	keyARN string
	gen    string
}

// fakeKMS counts requests. Its ciphertexts are names of what it remembers.
type fakeKMS struct {
	mu        sync.Mutex
	requests  []request
	checks    int
	denyCheck error // what every Check answers
	disabled  map[string]bool
	denied    map[string]bool                                  // caller ARN + class
	fail      func(request) error                              // decides before an answer
	gate      func(context.Context, request)                   // runs before an answer, without the lock
	made      map[string]func() (secret.Bytes, string, []byte) // by ciphertext
	given     []secret.Bytes
	events    []string // of the requests
}

func newFake() *fakeKMS {
	return &fakeKMS{
		disabled: make(map[string]bool), denied: make(map[string]bool),
		made: make(map[string]func() (secret.Bytes, string, []byte)),
	}
}

func (f *fakeKMS) decide(by iam.Caller, class kms.Class, keyARN string) error {
	if f.disabled[keyARN] {
		return errDisabled
	}
	if f.denied[by.ARN+string(class)] {
		return errDenied
	}
	return nil
}

func (f *fakeKMS) Resolve(context.Context, iam.Caller, string) (string, error) { return key1, nil }

func (f *fakeKMS) Check(_ context.Context, by iam.Caller, class kms.Class, keyARN string, _ kms.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.checks++
	if f.denyCheck != nil {
		return f.denyCheck
	}
	return f.decide(by, class, keyARN)
}

func (f *fakeKMS) begin(ctx context.Context, r request) error {
	f.mu.Lock()
	f.requests = append(f.requests, r)
	event := audit.Named(ctx)
	f.events = append(f.events, event)
	gate, fail := f.gate, f.fail
	f.mu.Unlock()
	if gate != nil {
		gate(ctx, r)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if fail != nil {
		if err := fail(r); err != nil {
			return audit.Recorded(err, event)
		}
	}
	return nil
}

func (f *fakeKMS) GenerateDataKey(ctx context.Context, by iam.Caller, keyARN string, ec kms.Context, gen string) (secret.Bytes, []byte, error) {
	if err := f.begin(ctx, request{by.ARN, "", keyARN, gen}); err != nil {
		return secret.Bytes{}, nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.decide(by, kms.Generate, keyARN); err != nil {
		return secret.Bytes{}, nil, audit.Recorded(err, f.events[len(f.events)-1])
	}
	key := secret.Random(secret.Size)
	kept := bytes.Clone(key.Reveal())
	blob := make([]byte, 140)
	rand.Read(blob)
	canon, err := ec.Canonical()
	f.made[string(blob)] = func() (secret.Bytes, string, []byte) { return secret.Copy(kept), keyARN, canon }
	f.given = append(f.given, key)
	return key, blob, err
}

func (f *fakeKMS) OpenBucketKey(ctx context.Context, by iam.Caller, class kms.Class, keyARN string, blob []byte, ec kms.Context, gen string) (secret.Bytes, error) {
	if err := f.begin(ctx, request{by.ARN, class, keyARN, gen}); err != nil {
		return secret.Bytes{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.decide(by, class, keyARN); err != nil {
		return secret.Bytes{}, err
	}
	open, ok := f.made[string(blob)]
	if !ok {
		return secret.Bytes{}, errors.New("fake: unknown ciphertext")
	}
	key, arn, canon := open()
	if want, _ := ec.Canonical(); arn != keyARN || !bytes.Equal(canon, want) {
		return secret.Bytes{}, errors.New("fake: wrong key or context")
	}
	f.given = append(f.given, key)
	return key, nil
}

// count returns how many requests match. An empty argument matches all; the class
// "generate" is GenerateDataKey.
func (f *fakeKMS) count(by iam.Caller, class kms.Class) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, r := range f.requests {
		if (by.ARN == "" || r.who == by.ARN) && (class == anyClass || r.class == class) {
			n++
		}
	}
	return n
}

// Classes for count.
const (
	anyClass kms.Class = "any"
	generate kms.Class = "" // GenerateDataKey, as opposed to opening what is there
)

var everyone iam.Caller

func (f *fakeKMS) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// want compares the number of requests since the fake was made.
func (f *fakeKMS) want(t *testing.T, by iam.Caller, class kms.Class, want int) {
	t.Helper()
	if got := f.count(by, class); got != want {
		t.Errorf("%s made %d KMS requests of class %q, want %d", by.ARN, got, class, want)
	}
}

func open(t *testing.T, f *fakeKMS, store meta.Store, cfg Config) *Cache {
	t.Helper()
	if cfg.Throttled == nil {
		cfg.Throttled = func(err error) bool { return errors.Is(err, errThrottle.Kind) }
	}
	c := New(f, store, cfg)
	t.Cleanup(c.Close)
	return c
}

func newStore() meta.Store { return mem.New() }

func mustSeal(t *testing.T, c *Cache, by iam.Caller, k ForWrite) (uuid.UUID, []byte) {
	t.Helper()
	s, err := c.Sealer(t.Context(), by, k)
	if err != nil {
		t.Fatalf("sealer for %s: %v", by.ARN, err)
	}
	return s.Generation(), s.Seal(nil, []byte("data key"), []byte("object"))
}

func mustOpen(t *testing.T, c *Cache, by iam.Caller, b Bucket, gen uuid.UUID, sealed []byte) {
	t.Helper()
	if err := tryOpen(t.Context(), c, by, b, gen, sealed); err != nil {
		t.Fatalf("open as %s: %v", by.ARN, err)
	}
}

func tryOpen(ctx context.Context, c *Cache, by iam.Caller, b Bucket, gen uuid.UUID, sealed []byte) error {
	o, err := c.Opener(ctx, by, ForRead{b, gen})
	if err != nil {
		return err
	}
	plain, err := o.Open(nil, sealed, []byte("object"))
	if err == nil && string(plain) != "data key" {
		err = fmt.Errorf("opened to %q", plain)
	}
	return err
}
