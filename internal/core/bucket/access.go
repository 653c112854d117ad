// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"context"
	"fmt"
	"sync"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Access is a bucket with its policy, ready to decide by. It must not be changed. Of
// the Bucket in it, the guard may be older than what Find returns.
type Access struct {
	*Bucket
	Policy *policy.Document // bound to the principals that it was written for; nil: none
	Public bool             // the policy is public
	// Broken says that there is a policy and that it cannot be read: then nothing is
	// allowed but to replace it.
	Broken error
}

// known remembers buckets by name, decoded, and what accounts block. An entry is of
// now: this service is the only writer of the rows, and forgets what it changes.
type known struct {
	mu       sync.RWMutex
	changes  uint64 // counts forget
	buckets  map[string]*Access
	accounts map[string]PublicAccess
}

// maxKnown bounds the entries of each kind. A bucket takes about 1 KiB, and up to some
// 100 KiB with a policy of the largest size.
const maxKnown = 4096

func newKnown() known {
	return known{buckets: map[string]*Access{}, accounts: map[string]PublicAccess{}}
}

// Access returns a bucket and its policy as they are now. It takes no memory when the
// bucket was asked for before. Fault: NoSuchBucket.
func (s *Buckets) Access(ctx context.Context, name string) (*Access, error) {
	k := &s.known
	k.mu.RLock()
	a, changes := k.buckets[name], k.changes
	k.mu.RUnlock()
	if a != nil {
		return a, nil
	}
	b, err := s.find(ctx, name)
	if err != nil {
		return nil, err
	}
	if a, err = s.compile(ctx, b); err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.changes == changes { // what was read is still so
		if len(k.buckets) >= maxKnown {
			clear(k.buckets)
		}
		k.buckets[a.Name] = a
	}
	return a, nil
}

// compile reads a bucket's policy.
func (s *Buckets) compile(ctx context.Context, b *Bucket) (*Access, error) {
	a := &Access{Bucket: b}
	if !b.policy {
		return a, nil
	}
	row, err := meta.Get1(ctx, s.store, policyKey(b.UID))
	if err != nil {
		return nil, fmt.Errorf("read policy of bucket %q: %w", b.Name, err)
	}
	if row.Ver == 0 { // removed since the bucket was read
		return a, nil
	}
	stored, err := decodePolicy(row.Value)
	if err != nil {
		a.Broken = fault.New(meta.Damaged, "").Because(fmt.Errorf("policy of bucket %q: %w", b.Name, err))
		return a, nil
	}
	doc, err := policy.Parse(policy.Bucket, aws.BucketARN(b.Name), stored.Text)
	if err != nil {
		a.Broken = fault.New(meta.Damaged, "").Because(fmt.Errorf("policy of bucket %q: %w", b.Name, err))
		return a, nil
	}
	a.Policy, a.Public = doc.Bind(stored.IDs), doc.Public()
	return a, nil
}

// forget makes the next question be answered from the rows. name or account may be "".
func (s *Buckets) forget(name, account string) {
	k := &s.known
	k.mu.Lock()
	defer k.mu.Unlock()
	k.changes++
	delete(k.buckets, name)
	delete(k.accounts, account)
}

// commit commits a change of a bucket's rows.
func (s *Buckets) commit(ctx context.Context, name string, b *meta.Batch) error {
	defer s.forget(name, "") // after an error, too: it may have been applied
	_, err := s.store.Commit(ctx, b)
	return err
}
