// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/internal/store/meta/mem"
)

var owner = iam.Caller{Principal: iam.Principal{Type: iam.Root, Account: "000000000001"}}

func newBuckets(t *testing.T, cfg Config) *Buckets {
	t.Helper()
	if cfg.Region == "" {
		cfg.Region = "us-east-1"
	}
	return New(mem.New(), cfg)
}

func (s *Buckets) mustCreate(t *testing.T, name string) *Bucket {
	t.Helper()
	b, err := s.Create(t.Context(), owner, Create{Bucket: name})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCreateAgain(t *testing.T) {
	other := iam.Caller{Principal: iam.Principal{Type: iam.Root, Account: "000000000002"}}
	for _, c := range []struct {
		region string
		by     iam.Caller
		in     Create
		want   error
	}{
		{"us-east-1", owner, Create{}, nil},
		{"us-east-1", owner, Create{HasTags: true}, AlreadyOwnedByYou},
		{"us-east-1", other, Create{}, AlreadyExists},
		{"us-east-1", owner, Create{Location: "us-east-1"}, InvalidLocation},
		{"us-east-1", owner, Create{Location: "eu-west-1"}, IllegalLocation},
		{"eu-west-1", owner, Create{Location: "eu-west-1"}, AlreadyOwnedByYou},
		{"eu-west-1", owner, Create{Location: "us-east-2"}, IllegalLocation},
	} {
		s := newBuckets(t, Config{Region: c.region})
		s.mustCreate(t, "photos")
		c.in.Bucket = "photos"
		if _, err := s.Create(t.Context(), c.by, c.in); !errors.Is(err, c.want) {
			t.Errorf("%s %+v: %v, want %v", c.region, c.in, err, c.want)
		}
	}
}

// Upkeep of all buckets is not kept from the others by one whose row is damaged, and says so.
func TestEachBucketButTheDamaged(t *testing.T) {
	s := newBuckets(t, Config{})
	for _, name := range []string{"one", "two", "three"} {
		s.mustCreate(t, name)
	}
	rows, err := s.store.Scan(t.Context(), meta.Range{Start: []byte("bu/"), End: meta.PrefixEnd([]byte("bu/"))})
	if err != nil || len(rows.Items) != 3 {
		t.Fatal(rows, err)
	}
	var batch meta.Batch
	batch.Put(rows.Items[0].Key, []byte("?"))
	if _, err := s.store.Commit(t.Context(), &batch); err != nil {
		t.Fatal(err)
	}
	seen := 0
	if err := s.Each(t.Context(), func(*Bucket) error { seen++; return nil }); seen != 2 || !errors.Is(err, meta.Damaged) {
		t.Errorf("%d seen, %v", seen, err)
	}
}

func TestExpectedOwner(t *testing.T) {
	s := newBuckets(t, Config{})
	s.mustCreate(t, "photos")
	for expected, want := range map[string]error{
		"": nil, "000000000001": nil, "000000000002": WrongOwner, "me": InvalidOwnerID,
	} {
		if _, err := s.Find(t.Context(), Ref{"photos", expected}); !errors.Is(err, want) {
			t.Errorf("owner %q: %v, want %v", expected, err, want)
		}
	}
}

// TestEncryptionRules holds how a rule that was put merges with what was there.
func TestEncryptionRules(t *testing.T) {
	yes, no := true, false
	kms := &DefaultEncryption{Algorithm: "aws:kms", KeyID: "k"}
	first := Encryption{Algorithm: "AES256", BlockSSEC: true}
	withKey := Encryption{Algorithm: "aws:kms", KeyID: "k", BucketKey: true, BlockSSEC: true, Explicit: true}
	for _, c := range []struct {
		name  string
		rules []EncryptionRule
		was   Encryption
		want  Encryption
		err   error
	}{
		{"the block is kept", []EncryptionRule{{Default: kms, BucketKey: &yes}}, first, withKey, nil},
		{"an absent bucket key is off", []EncryptionRule{{Default: kms}}, withKey,
			Encryption{Algorithm: "aws:kms", KeyID: "k", BlockSSEC: true, Explicit: true}, nil},
		{"a block alone keeps the default", []EncryptionRule{{HasBlock: true, Blocked: []string{"NONE"}}}, withKey,
			Encryption{Algorithm: "aws:kms", KeyID: "k", BucketKey: true, BlockNone: true, Explicit: true}, nil},
		{"a bucket key alone keeps the default", []EncryptionRule{{BucketKey: &no}}, withKey,
			Encryption{Algorithm: "aws:kms", KeyID: "k", BlockSSEC: true, Explicit: true}, nil},
		{"no rule", nil, first, first, InvalidEncryption},
		{"two rules", []EncryptionRule{{BucketKey: &yes}, {BucketKey: &yes}}, first, first, InvalidEncryption},
		{"an empty rule", []EncryptionRule{{}}, first, first, InvalidEncryption},
		{"an unknown algorithm", []EncryptionRule{{Default: &DefaultEncryption{Algorithm: "SSE-C"}}}, first, first, InvalidEncryption},
		{"a key without KMS", []EncryptionRule{{Default: &DefaultEncryption{Algorithm: "AES256", KeyID: "k"}}}, first, first, KeyNotApplicable},
		{"an empty block", []EncryptionRule{{HasBlock: true}}, first, first, InvalidEncryption},
		{"both kinds of block", []EncryptionRule{{HasBlock: true, Blocked: []string{"NONE", "SSE-C"}}}, first, first, InvalidEncryption},
		{"an unknown block", []EncryptionRule{{HasBlock: true, Blocked: []string{"SSE-S3"}}}, first, first, InvalidEncryption},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newBuckets(t, Config{})
			b := s.mustCreate(t, "photos")
			if err := s.update(t.Context(), b.UID, func(r *record) error { r.Encryption = c.was; return nil }); err != nil {
				t.Fatal(err)
			}
			ref := Ref{Bucket: "photos"}
			if _, err := s.PutEncryption(t.Context(), owner, PutEncryption{ref, c.rules}); !errors.Is(err, c.err) {
				t.Errorf("got %v, want %v", err, c.err)
			}
			if got, _ := s.Encryption(t.Context(), owner, GetEncryption{ref}); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestLegacyBucketsDoNotBlockCustomerKeys(t *testing.T) {
	for _, legacy := range []bool{false, true} {
		s := newBuckets(t, Config{Legacy: legacy})
		if b := s.mustCreate(t, "photos"); b.Encryption.BlockSSEC == legacy {
			t.Errorf("legacy %t: %+v", legacy, b.Encryption)
		}
	}
}

// scanned is a store in which something happens before the first scan that comes
// after a commit: that is when a deletion has marked the bucket and looks whether it
// is empty.
type scanned struct {
	meta.Store
	marked bool
	once   sync.Once
	then   func()
}

func (s *scanned) Commit(ctx context.Context, b *meta.Batch) (uint64, error) {
	s.marked = true
	return s.Store.Commit(ctx, b)
}

func (s *scanned) Scan(ctx context.Context, r meta.Range) (meta.Page, error) {
	if s.marked {
		s.once.Do(s.then)
	}
	return s.Store.Scan(ctx, r)
}

func (s *Buckets) whenScanned(then func()) { s.store = &scanned{Store: s.store, then: then} }

// A writer who read the bucket before its deletion began must not land in it.
func TestDeleteAndAPausedWriter(t *testing.T) {
	s := newBuckets(t, Config{})
	b := s.mustCreate(t, "photos")
	write := func(b *Bucket) error {
		key, ver := b.Guard()
		var batch meta.Batch
		batch.Cond(key, ver)
		batch.Put(append([]byte("c/"), append(b.UID[:], "/k"...)...), []byte("x"))
		_, err := s.store.Commit(t.Context(), &batch)
		return err
	}
	during := errors.New("not called")
	s.whenScanned(func() {
		during = write(b)
		_, err := s.ForWrite(t.Context(), Ref{Bucket: "photos"})
		if !errors.Is(err, BeingDeleted) {
			t.Errorf("a writer during deletion: %v", err)
		}
	})
	if _, err := s.Delete(t.Context(), owner, Delete{Ref{Bucket: "photos"}}); err != nil {
		t.Fatal(err)
	}
	var conflict *meta.ConflictError
	if !errors.As(during, &conflict) {
		t.Errorf("the paused writer got %v", during)
	}
	// The name can be used again, and is another bucket.
	if again := s.mustCreate(t, "photos"); again.UID == b.UID {
		t.Error("a UID was used twice")
	}
}

// A deletion that does not come about must leave the bucket as it was: what is kept
// for it, the keys of slow writers too, and open to everybody.
func TestADeletionThatLosesToAChangeClearsNothing(t *testing.T) {
	s := newBuckets(t, Config{Clear: func(context.Context, UID) error {
		t.Error("cleared a bucket that is still there")
		return nil
	}})
	s.mustCreate(t, "photos")
	ref := Ref{Bucket: "photos"}
	s.whenScanned(func() {
		if _, err := s.PutVersioning(t.Context(), owner, PutVersioning{ref, Enabled}); err != nil {
			t.Error(err)
		}
	})
	if _, err := s.Delete(t.Context(), owner, Delete{ref}); !errors.Is(err, BeingDeleted) {
		t.Errorf("got %v, want BeingDeleted", err)
	}
	if b, err := s.ForWrite(t.Context(), ref); err != nil || b.Versioning != Enabled {
		t.Errorf("afterwards: %+v, %v", b, err)
	}
}

func TestWhatIsLeftOfADeletedBucketIsClearedLater(t *testing.T) {
	broken := errors.New("disk on fire")
	var cleared []UID
	s := newBuckets(t, Config{Clear: func(_ context.Context, uid UID) error {
		if broken != nil {
			return broken
		}
		cleared = append(cleared, uid)
		return nil
	}})
	b := s.mustCreate(t, "photos")
	if _, err := s.Delete(t.Context(), owner, Delete{Ref{Bucket: "photos"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Find(t.Context(), Ref{Bucket: "photos"}); !errors.Is(err, NoSuchBucket) {
		t.Errorf("after the deletion: %v", err)
	}
	if n, err := s.ClearDeleted(t.Context()); n != 0 || !errors.Is(err, broken) {
		t.Errorf("while clearing fails: %d, %v", n, err)
	}
	broken = nil
	for _, want := range []int{1, 0} {
		if n, err := s.ClearDeleted(t.Context()); n != want || err != nil {
			t.Errorf("cleared %d, %v; want %d", n, err, want)
		}
	}
	if len(cleared) != 1 || cleared[0] != b.UID {
		t.Errorf("cleared %x, want %x", cleared, b.UID)
	}
}

func TestABucketWithAVersionIsNotEmpty(t *testing.T) {
	for _, kind := range contents {
		s := newBuckets(t, Config{})
		b := s.mustCreate(t, "photos")
		var batch meta.Batch
		batch.Put(append([]byte(kind), append(b.UID[:], "/k"...)...), []byte("x"))
		if _, err := s.store.Commit(t.Context(), &batch); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Delete(t.Context(), owner, Delete{Ref{Bucket: "photos"}}); !errors.Is(err, NotEmpty) {
			t.Errorf("%s: %v", kind, err)
		}
		if _, err := s.ForWrite(t.Context(), Ref{Bucket: "photos"}); err != nil {
			t.Errorf("after a refused deletion: %v", err)
		}
	}
}

func TestADeletionThatStoppedHalfWayDoesNotBlockForEver(t *testing.T) {
	s := newBuckets(t, Config{})
	b := s.mustCreate(t, "photos")
	old := time.Now().Add(-2 * abandonedDelete)
	if err := s.update(t.Context(), b.UID, func(r *record) error { r.Deleting = &old; return nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ForWrite(t.Context(), Ref{Bucket: "photos"}); err != nil {
		t.Error(err)
	}
}

func TestListInPages(t *testing.T) {
	s := newBuckets(t, Config{})
	for _, name := range []string{"alpha", "beta", "gamma", "beta-2"} {
		s.mustCreate(t, name)
	}
	var names []string
	in := List{Limit: 1, Prefix: "beta"}
	for {
		out, err := s.List(t.Context(), owner, in)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range out.Buckets {
			names = append(names, b.Name)
		}
		if in.After = out.Next; in.After == "" {
			break
		}
	}
	if fmt.Sprint(names) != "[beta beta-2]" {
		t.Errorf("got %v", names)
	}
}

func TestTags(t *testing.T) {
	many := make([]Tag, 11)
	for i := range many {
		many[i].Key = fmt.Sprint("k", i)
	}
	for _, c := range []struct {
		tags []Tag
		want error
	}{
		{[]Tag{{"k", "v"}, {"K", ""}, {"a b+-=._:/@é", "x"}}, nil},
		{[]Tag{{"k", "v"}, {"k", "w"}}, InvalidTag},
		{[]Tag{{"", "v"}}, InvalidTag},
		{[]Tag{{strings.Repeat("k", 128), strings.Repeat("é", 256)}}, nil},
		{[]Tag{{strings.Repeat("k", 129), ""}}, InvalidTag},
		{[]Tag{{"k", strings.Repeat("v", 257)}}, InvalidTag},
		{[]Tag{{"AWS:x", ""}}, InvalidTag},
		{[]Tag{{"a!", ""}}, InvalidTag},
		{[]Tag{{"a", "<"}}, InvalidTag},
		{many, TooManyTags},
	} {
		if err := CheckTags(c.tags, 10); !errors.Is(err, c.want) {
			t.Errorf("%.40v: %v, want %v", c.tags, err, c.want)
		}
	}
}
