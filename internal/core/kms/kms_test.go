// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/link/keystore/builtin"
	"github.com/cofferstore/coffer/internal/link/keystore/rootkey"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/internal/store/meta/mem"
)

const (
	home      = "111122223333"
	elsewhere = "444455556666"
	region    = "eu-central-1"
)

// trail keeps what is recorded, and fails on order.
type trail struct {
	mu      sync.Mutex
	records []audit.Record
	fails   error
}

func (t *trail) Append(_ context.Context, r audit.Record, durable bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fails != nil {
		return t.fails
	}
	if !durable {
		return errors.New("KMS events must be durable")
	}
	t.records = append(t.records, r)
	return nil
}

func (t *trail) named(name string) (out []audit.Record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.records {
		if r.EventName == name {
			out = append(out, r)
		}
	}
	return out
}

func (t *trail) failWith(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fails = err
}

// node is a Service with what stands around it.
type node struct {
	*Service
	store   meta.Store
	trail   *trail
	metrics *prometheus.Registry
	t       testing.TB
}

func newNode(t testing.TB) *node {
	t.Helper()
	root, err := rootkey.Create(t.TempDir(), rootkey.SlotOptions{Type: rootkey.File})
	if err != nil {
		t.Fatal(err)
	}
	return nodeOver(t, mem.New(), root)
}

// nodeOver starts a node over a store that other nodes share.
func nodeOver(t testing.TB, store meta.Store, root *rootkey.Root) *node {
	tr, reg := &trail{}, prometheus.NewRegistry()
	s := New(store, builtin.New(store, root, builtin.Config{}), tr, Config{Region: region, Metrics: reg})
	return &node{Service: s, store: store, trail: tr, metrics: reg, t: t}
}

// rootOf is the root of an account, in the course of a request.
func rootOf(account string) iam.Caller {
	return iam.Caller{
		Principal: iam.Principal{Type: iam.Root, Account: account, ARN: aws.RootARN(account), PrincipalID: account, AccessKeyID: "AKIA" + account},
		RequestID: "0123456789ABCDEF", SourceIP: "203.0.113.9", Secure: true, SigV4: true,
	}
}

func userOf(account, name string) iam.Caller {
	c := rootOf(account)
	c.Type, c.ARN, c.UserName = iam.IAMUser, "arn:aws:iam::"+account+":user/"+name, name
	return c
}

var (
	owner     = rootOf(home)
	stranger  = rootOf(elsewhere)
	alice     = userOf(home, "alice")
	anonymous = iam.Caller{Principal: iam.Principal{Type: iam.Anonymous}}
)

func ptr[T any](v T) *T { return &v }

func (n *node) key() KeyMetadata {
	n.t.Helper()
	return must(n.CreateKey(n.t.Context(), owner, CreateKey{}))(n.t)
}

// must returns a result, and ends the test on an error.
func must[R any](r R, err error) func(testing.TB) R {
	return func(t testing.TB) R {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
}

func (n *node) describe(id string) KeyMetadata {
	n.t.Helper()
	return must(n.DescribeKey(n.t.Context(), owner, DescribeKey{KeyId: id}))(n.t)
}

func (n *node) encrypt(id, plain string, ec Context) []byte {
	n.t.Helper()
	in := Encrypt{KeyId: id, Plaintext: secret.New([]byte(plain)), EncryptionContext: ec}
	return must(n.Encrypt(n.t.Context(), owner, in))(n.t).CiphertextBlob
}

// refused checks the kind and, unless it is empty, the message of an error.
func refused(t testing.TB, what string, err error, kind fault.Kind, message string) {
	t.Helper()
	e, ok := fault.As(err)
	switch {
	case err == nil:
		t.Errorf("%s: no error, want %s", what, kind)
	case !ok || e.Kind != kind:
		t.Errorf("%s: got %v, want %s", what, err, kind)
	case message != "" && e.Message != message:
		t.Errorf("%s:\n got %q\nwant %q", what, e.Message, message)
	}
}

// failing is a store whose reads and writes can be made to fail.
type failing struct {
	meta.Store
	mu  sync.Mutex
	err error
	// before, when set, runs before each Commit.
	before func()
}

func (f *failing) set(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *failing) now() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

func (f *failing) Get(ctx context.Context, keys ...[]byte) ([]meta.Item, error) {
	if err := f.now(); err != nil {
		return nil, err
	}
	return f.Store.Get(ctx, keys...)
}

func (f *failing) Scan(ctx context.Context, r meta.Range) (meta.Page, error) {
	if err := f.now(); err != nil {
		return meta.Page{}, err
	}
	return f.Store.Scan(ctx, r)
}

func (f *failing) Commit(ctx context.Context, b *meta.Batch) (uint64, error) {
	if f.before != nil {
		f.before()
	}
	if err := f.now(); err != nil {
		return 0, err
	}
	return f.Store.Commit(ctx, b)
}

func TestErrorNamesAreUnique(t *testing.T) {
	seen := map[string]fault.Kind{}
	for _, kind := range []fault.Kind{
		AccessDenied, AlreadyExists, Disabled, DryRun, ExpiredImportToken, IncorrectKey, IncorrectKeyMaterial, Internal, InvalidAliasName, InvalidArn, InvalidCiphertext,
		InvalidGrantID, InvalidGrantToken, InvalidImportToken, InvalidKeyUsage, InvalidMac, InvalidMarker, InvalidSignature, InvalidState, KeyUnavailable, LimitExceeded, MalformedPolicy, NotFound,
		Tagging, Unavailable, UnsupportedOperation, Validation,
	} {
		name := ErrorName(kind)
		if !strings.HasSuffix(name, "Exception") || seen[name] != "" {
			t.Errorf("%s is called %q, as is %q", kind, name, seen[name])
		}
		seen[name] = kind
	}
	if got := ErrorName(errors.New("anything")); got != "KMSInternalException" {
		t.Errorf("an error of no kind is called %q", got)
	}
}
