// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"context"
	"errors"
	"testing"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// replicationTo is a configuration of the owner's, of one rule for all objects.
func replicationTo(name string) *Replication {
	priority := 1
	return &Replication{Role: "arn:aws:iam::" + owner.Account + ":role/copier", Rules: []ReplicationRule{{
		Priority: &priority, Filter: &Filter{}, Status: Enabled, DeleteMarkers: "Disabled", Destination: ReplicationDestination{Bucket: "arn:aws:s3:::" + name},
	}}}
}

func versionedBuckets(t *testing.T, names ...string) *Buckets {
	t.Helper()
	s := newBuckets(t, Config{})
	for _, name := range names {
		s.mustCreate(t, name)
		if _, err := s.PutVersioning(t.Context(), owner, PutVersioning{Ref{Bucket: name}, Enabled}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestReplication(t *testing.T) {
	ctx := t.Context()
	s := versionedBuckets(t, "photos", "copies")
	ref := Ref{Bucket: "photos"}
	read := func() *Replication {
		t.Helper()
		b, err := s.Find(ctx, ref)
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.Replication(ctx, b)
		if err != nil || (r != nil) != b.Has(ReplicationDocument) {
			t.Fatalf("%+v, %v; the bucket says %t", r, err, b.Has(ReplicationDocument))
		}
		return r
	}
	if r := read(); r != nil {
		t.Errorf("before: %+v", r)
	}
	in := PutReplication{ref, replicationTo("copies")}
	for range 2 {
		if _, err := s.PutReplication(ctx, owner, in); err != nil {
			t.Fatal(err)
		}
		r := read()
		if r == nil || len(r.Rules) != 1 || r.Rules[0].ID == nil || len(*r.Rules[0].ID) != 36 || r.Rules[0].Destination.Name() != "copies" || r.FirstVersion() {
			t.Fatalf("%+v", r)
		}
	}
	if in.Replication.Rules[0].ID != nil {
		t.Error("the caller's rule was given an id")
	}
	suspend := func() error {
		_, err := s.PutVersioning(ctx, owner, PutVersioning{ref, Suspended})
		return err
	}
	if err := suspend(); !errors.Is(err, VersioningReplicated) {
		t.Errorf("suspended: %v", err)
	}
	if _, err := s.PutVersioning(ctx, owner, PutVersioning{Ref{Bucket: "copies"}, Suspended}); err != nil {
		t.Errorf("the destination: %v", err)
	}
	for range 2 {
		if _, err := s.DeleteReplication(ctx, owner, DeleteReplication{ref}); err != nil {
			t.Fatal(err)
		}
	}
	if r := read(); r != nil {
		t.Errorf("afterwards: %+v", r)
	}
	if err := suspend(); err != nil {
		t.Error(err)
	}
}

// The role is of the caller's account and of the bucket's: nobody else's may be handed over.
func TestReplicationByAnotherAccountsRole(t *testing.T) {
	const other = "444455556666"
	s := versionedBuckets(t, "photos", "copies")
	for _, c := range []struct {
		by, role string
		kind     fault.Kind
	}{
		{owner.Account, owner.Account, ""},
		{owner.Account, other, OtherAccount},
		{other, other, OtherAccount},
		{other, owner.Account, OtherAccount},
	} {
		in := PutReplication{Ref{Bucket: "photos"}, replicationTo("copies")}
		in.Replication.Role = "arn:aws:iam::" + c.role + ":role/copier"
		if _, err := s.PutReplication(t.Context(), iam.Caller{Principal: iam.Principal{Type: iam.Root, Account: c.by}}, in); c.kind == "" && err != nil || c.kind != "" && !errors.Is(err, c.kind) {
			t.Errorf("by %s, a role of %s: %v", c.by, c.role, err)
		}
	}
}

// meanwhile is a store in which something happens before a commit.
type meanwhile struct {
	meta.Store
	happens func()
}

func (m *meanwhile) Commit(ctx context.Context, batch *meta.Batch) (uint64, error) {
	if f := m.happens; f != nil {
		m.happens = nil
		f()
	}
	return m.Store.Commit(ctx, batch)
}

// A bucket is never replicated without versions: of a configuration and a suspension at once
// the one that comes later is refused.
func TestReplicationAndSuspensionAtOnce(t *testing.T) {
	ctx := t.Context()
	ref := Ref{Bucket: "photos"}
	put := func(s *Buckets) error {
		_, err := s.PutReplication(ctx, owner, PutReplication{ref, replicationTo("copies")})
		return err
	}
	suspend := func(s *Buckets) error {
		_, err := s.PutVersioning(ctx, owner, PutVersioning{ref, Suspended})
		return err
	}
	for _, c := range []struct {
		late, early func(*Buckets) error
		kind        fault.Kind
	}{{put, suspend, InvalidReplication}, {suspend, put, VersioningReplicated}} {
		s := versionedBuckets(t, "photos", "copies")
		slow := New(&meanwhile{s.store, func() {
			if err := c.early(s); err != nil {
				t.Error(err)
			}
		}}, s.cfg)
		if err := c.late(slow); !errors.Is(err, c.kind) {
			t.Errorf("the later one: %v, want %s", err, c.kind)
		}
		b, err := s.Find(ctx, ref)
		if err != nil || b.Has(ReplicationDocument) != (b.Versioning == Enabled) {
			t.Errorf("%+v, %v", b, err)
		}
	}
}
