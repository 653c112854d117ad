// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/cofferstore/coffer/internal/core/acl"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/store/meta"
)

var inPhotos = Ref{Bucket: "photos"}

func policyText(sid string) string {
	return `{"Version":"2012-10-17","Statement":[{"Sid":"` + sid + `","Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/*"}]}`
}

// What is remembered of a bucket is never older than the last change that was
// answered, whatever else is going on.
func TestAccessFollowsEveryChange(t *testing.T) {
	s := newBuckets(t, Config{})
	s.mustCreate(t, "photos")
	ctx, cancel := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for ctx.Err() == nil {
				if _, err := s.Access(t.Context(), "photos"); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range 200 {
		text := policyText(fmt.Sprint("s", i))
		if _, err := s.PutPolicy(t.Context(), owner, PutPolicy{Ref: inPhotos, Text: text}); err != nil {
			t.Fatal(err)
		}
		if a, err := s.Access(t.Context(), "photos"); err != nil || a.Policy == nil || a.Policy.Text() != text {
			t.Fatalf("policy %d was put, and another is decided by: %v", i, err)
		}
		if i%10 != 0 {
			continue
		}
		if _, err := s.DeletePolicy(t.Context(), owner, DeletePolicy{Ref: inPhotos}); err != nil {
			t.Fatal(err)
		}
		if a, err := s.Access(t.Context(), "photos"); err != nil || a.Policy != nil {
			t.Fatalf("policy %d was removed and is still there: %v", i, err)
		}
	}
	cancel()
	readers.Wait()
	if _, err := s.Delete(t.Context(), owner, Delete{Ref: inPhotos}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Access(t.Context(), "photos"); !errors.Is(err, NoSuchBucket) {
		t.Errorf("a deleted bucket: %v", err)
	}
	if again := s.mustCreate(t, "photos"); again != nil {
		if a, err := s.Access(t.Context(), "photos"); err != nil || a.UID != again.UID || a.Policy != nil {
			t.Errorf("a bucket of the same name has the other's policy: %v", err)
		}
	}
}

// A policy that cannot be read back allows nothing, and can be replaced.
func TestADamagedPolicy(t *testing.T) {
	s := newBuckets(t, Config{})
	b := s.mustCreate(t, "photos")
	if _, err := s.PutPolicy(t.Context(), owner, PutPolicy{Ref: inPhotos, Text: policyText("a")}); err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{`{`, `{"version":2,"text":"{}"}`, `{"version":1,"text":"{}"}`} {
		var batch meta.Batch
		batch.Put(policyKey(b.UID), []byte(value))
		if err := s.commit(t.Context(), "photos", &batch); err != nil {
			t.Fatal(err)
		}
		if a, err := s.Access(t.Context(), "photos"); err != nil || !errors.Is(a.Broken, meta.Damaged) {
			t.Errorf("%s: %v", value, err)
		}
	}
	if _, err := s.PutPolicy(t.Context(), owner, PutPolicy{Ref: inPhotos, Text: policyText("b")}); err != nil {
		t.Fatal(err)
	}
	if a, err := s.Access(t.Context(), "photos"); err != nil || a.Broken != nil || a.Policy == nil {
		t.Errorf("after it was replaced: %v", err)
	}
}

// people are principals of whom one is known.
type people struct{}

func (people) Bind(_ context.Context, d *policy.Document) (map[string]string, error) {
	ids := map[string]string{}
	for _, arn := range d.Named() {
		if !strings.HasSuffix(arn, "/alice") {
			return nil, iam.InvalidPrincipal
		}
		ids[arn] = "AIDAALICE"
	}
	return ids, nil
}

func (people) Show(_ context.Context, text string, ids map[string]string) (string, error) {
	for arn, id := range ids {
		text = strings.ReplaceAll(text, arn, id)
	}
	return text, nil
}

func (people) AccountOf(_ context.Context, id string) (string, error) {
	return strings.TrimPrefix(id, "id-of-"), nil
}

func TestPoliciesAreBoundToWhoTheyName(t *testing.T) {
	s := newBuckets(t, Config{Principals: people{}})
	s.mustCreate(t, "photos")
	named := strings.Replace(policyText("a"), `"Principal":"*"`, `"Principal":{"AWS":"arn:aws:iam::000000000001:user/alice"}`, 1)
	if _, err := s.PutPolicy(t.Context(), owner, PutPolicy{Ref: inPhotos, Text: named}); err != nil {
		t.Fatal(err)
	}
	if text, err := s.PolicyText(t.Context(), owner, GetPolicy{inPhotos}); err != nil || !strings.Contains(text, "AIDAALICE") {
		t.Errorf("%s, %v", text, err)
	}
	if _, err := s.PutPolicy(t.Context(), owner, PutPolicy{Ref: inPhotos, Text: strings.Replace(named, "alice", "bob", 1)}); !errors.Is(err, MalformedPolicy) {
		t.Errorf("for somebody unknown: %v", err)
	}
}

func TestPublicAccessOfNewBuckets(t *testing.T) {
	public := acl.Asked{Canned: acl.PublicRead}
	for _, c := range []struct {
		what    string
		legacy  bool
		account PublicAccess
		in      Create
		want    error
	}{
		{"as it is", false, PublicAccess{}, Create{}, nil},
		{"with a public list", false, PublicAccess{}, Create{ACL: public}, ACLWithOwnership},
		{"with lists, and a public one", false, PublicAccess{}, Create{ACL: public, Ownership: ObjectWriter}, PublicACLBlocked},
		{"as before", true, PublicAccess{}, Create{ACL: public}, nil},
		{"as before, the account blocks", true, PublicAccess{ACLs: true}, Create{ACL: public}, PublicACLBlocked},
		{"as before, lists disabled", true, PublicAccess{}, Create{ACL: public, Ownership: BucketOwnerEnforced}, ACLWithOwnership},
	} {
		s := newBuckets(t, Config{Legacy: c.legacy})
		if _, err := s.PutAccountPublicAccess(t.Context(), owner, PutAccountPublicAccess{Account: owner.Account, PublicAccess: c.account}); err != nil {
			t.Fatal(err)
		}
		c.in.Bucket = "photos"
		if _, err := s.Create(t.Context(), owner, c.in); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.what, err, c.want)
		}
	}
}

// Rows from before there were policies: everything is closed.
func TestBucketsFromBefore(t *testing.T) {
	s := newBuckets(t, Config{})
	b := s.mustCreate(t, "photos")
	var batch meta.Batch
	batch.Put(recordKey(b.UID), []byte(`{"name":"photos","owner":"000000000001","region":"us-east-1","created":"2025-01-01T00:00:00Z","encryption":{"algorithm":"AES256"}}`))
	if err := s.commit(t.Context(), "photos", &batch); err != nil {
		t.Fatal(err)
	}
	a, err := s.Access(t.Context(), "photos")
	if err != nil || a.HasACLs() || a.PublicAccess != everything || a.Policy != nil {
		t.Errorf("%+v, %v", a, err)
	}
}
