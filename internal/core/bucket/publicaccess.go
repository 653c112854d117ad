// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Kinds of fault of Block Public Access.
const (
	// NoPublicAccessBlock: there is no such configuration. Detail BucketName or
	// AccountId.
	NoPublicAccessBlock fault.Kind = "bucket: no public access block configuration"
	// OtherAccount: a request about another account than the caller's.
	OtherAccount fault.Kind = "bucket: not the caller's account"
)

// PublicAccess is what is blocked of public access (S3 User Guide, "Blocking public
// access"). The zero value blocks nothing.
type PublicAccess struct {
	ACLs       bool `json:"blockPublicAcls,omitempty"`       // lists that are public are refused
	IgnoreACLs bool `json:"ignorePublicAcls,omitempty"`      // and those that are there do not count
	Policy     bool `json:"blockPublicPolicy,omitempty"`     // policies that are public are refused
	Restrict   bool `json:"restrictPublicBuckets,omitempty"` // and those that are there count for the account alone
	// None says that there is no configuration, and so nothing blocked.
	None bool `json:"none,omitempty"`
}

// everything is blocked in a bucket of which nobody has said anything else.
var everything = PublicAccess{ACLs: true, IgnoreACLs: true, Policy: true, Restrict: true}

func (p PublicAccess) or(q PublicAccess) PublicAccess {
	return PublicAccess{
		ACLs: p.ACLs || q.ACLs, IgnoreACLs: p.IgnoreACLs || q.IgnoreACLs,
		Policy: p.Policy || q.Policy, Restrict: p.Restrict || q.Restrict,
	}
}

func (r *record) publicAccess() PublicAccess {
	if r.PublicAccess == nil {
		return everything
	}
	return *r.PublicAccess
}

// Blocked returns what is blocked for a bucket: by its own configuration or by that of
// its account.
func (s *Buckets) Blocked(ctx context.Context, b *Bucket) (PublicAccess, error) {
	own := b.PublicAccess
	if own.ACLs && own.IgnoreACLs && own.Policy && own.Restrict {
		return own, nil
	}
	account, err := s.accountAccess(ctx, b.Owner)
	return own.or(account), err
}

// accountKey is the row of what an account blocks.
func accountKey(account string) []byte { return append([]byte("ba/"), account...) }

// accountAccess returns what an account blocks; None without a configuration.
func (s *Buckets) accountAccess(ctx context.Context, account string) (PublicAccess, error) {
	k := &s.known
	k.mu.RLock()
	p, found := k.accounts[account]
	changes := k.changes
	k.mu.RUnlock()
	if found {
		return p, nil
	}
	row, err := meta.Get1(ctx, s.store, accountKey(account))
	if err != nil {
		return p, fmt.Errorf("read public access block of account %s: %w", account, err)
	}
	p = PublicAccess{None: true}
	if row.Ver != 0 {
		p = PublicAccess{}
		if err := json.Unmarshal(row.Value, &p); err != nil {
			return everything, fault.New(meta.Damaged, "").Because(fmt.Errorf("public access block of account %s: %w", account, err))
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.changes == changes {
		if len(k.accounts) >= maxKnown {
			clear(k.accounts)
		}
		k.accounts[account] = p
	}
	return p, nil
}

// PutPublicAccess sets what a bucket blocks.
type PutPublicAccess struct {
	Ref
	PublicAccess PublicAccess
}

// Needs says what the request must be allowed.
func (in PutPublicAccess) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:PutBucketPublicAccessBlock", Resource: aws.BucketARN(in.Bucket)}}
}

// PutPublicAccess sets what a bucket blocks.
func (s *Buckets) PutPublicAccess(ctx context.Context, _ iam.Caller, in PutPublicAccess) (struct{}, error) {
	return s.setPublicAccess(ctx, in.Ref, in.PublicAccess)
}

func (s *Buckets) setPublicAccess(ctx context.Context, ref Ref, p PublicAccess) (struct{}, error) {
	b, err := s.Find(ctx, ref)
	if err != nil {
		return struct{}{}, err
	}
	return struct{}{}, s.update(ctx, b.UID, func(r *record) error { r.PublicAccess = &p; return nil })
}

// GetPublicAccess asks what a bucket blocks.
type GetPublicAccess struct{ Ref }

// Needs says what the request must be allowed.
func (in GetPublicAccess) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:GetBucketPublicAccessBlock", Resource: aws.BucketARN(in.Bucket)}}
}

// PublicAccess returns what a bucket blocks. Faults: NoSuchBucket,
// NoPublicAccessBlock.
func (s *Buckets) PublicAccess(ctx context.Context, _ iam.Caller, in GetPublicAccess) (PublicAccess, error) {
	b, err := s.Find(ctx, in.Ref)
	if err != nil {
		return PublicAccess{}, err
	}
	if b.PublicAccess.None {
		return PublicAccess{}, fault.New(NoPublicAccessBlock, "").With("BucketName", b.Name)
	}
	return b.PublicAccess, nil
}

// DeletePublicAccess removes what a bucket blocks.
type DeletePublicAccess struct{ Ref }

// Needs says what the request must be allowed.
func (in DeletePublicAccess) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:PutBucketPublicAccessBlock", Resource: aws.BucketARN(in.Bucket)}}
}

// DeletePublicAccess removes what a bucket blocks: then it blocks nothing.
func (s *Buckets) DeletePublicAccess(ctx context.Context, _ iam.Caller, in DeletePublicAccess) (struct{}, error) {
	return s.setPublicAccess(ctx, in.Ref, PublicAccess{None: true})
}

// PutAccountPublicAccess sets what an account blocks in all its buckets.
type PutAccountPublicAccess struct {
	Account      string
	PublicAccess PublicAccess
}

// Needs says what the request must be allowed.
func (in PutAccountPublicAccess) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:PutAccountPublicAccessBlock", Resource: "*"}}
}

// PutAccountPublicAccess sets what an account blocks. Fault: OtherAccount.
func (s *Buckets) PutAccountPublicAccess(ctx context.Context, by iam.Caller, in PutAccountPublicAccess) (struct{}, error) {
	if err := ownAccount(by, in.Account); err != nil {
		return struct{}{}, err
	}
	value, err := json.Marshal(in.PublicAccess)
	if err != nil {
		return struct{}{}, fmt.Errorf("encode public access block: %w", err)
	}
	var batch meta.Batch
	batch.Put(accountKey(in.Account), value)
	return struct{}{}, s.commitAccount(ctx, in.Account, &batch)
}

func (s *Buckets) commitAccount(ctx context.Context, account string, b *meta.Batch) error {
	defer s.forget("", account)
	if _, err := s.store.Commit(ctx, b); err != nil {
		return fmt.Errorf("set public access block of account %s: %w", account, err)
	}
	return nil
}

func ownAccount(by iam.Caller, account string) error {
	if account != by.Account {
		return fault.New(OtherAccount, "")
	}
	return nil
}

// GetAccountPublicAccess asks what an account blocks.
type GetAccountPublicAccess struct{ Account string }

// Needs says what the request must be allowed.
func (in GetAccountPublicAccess) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:GetAccountPublicAccessBlock", Resource: "*"}}
}

// AccountPublicAccess returns what an account blocks. Faults: OtherAccount,
// NoPublicAccessBlock.
func (s *Buckets) AccountPublicAccess(ctx context.Context, by iam.Caller, in GetAccountPublicAccess) (PublicAccess, error) {
	if err := ownAccount(by, in.Account); err != nil {
		return PublicAccess{}, err
	}
	p, err := s.accountAccess(ctx, in.Account)
	if err == nil && p.None {
		err = fault.New(NoPublicAccessBlock, "").With("AccountId", in.Account)
	}
	return p, err
}

// DeleteAccountPublicAccess removes what an account blocks.
type DeleteAccountPublicAccess struct{ Account string }

// Needs says what the request must be allowed.
func (in DeleteAccountPublicAccess) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:PutAccountPublicAccessBlock", Resource: "*"}}
}

// DeleteAccountPublicAccess removes what an account blocks. Fault: OtherAccount.
func (s *Buckets) DeleteAccountPublicAccess(ctx context.Context, by iam.Caller, in DeleteAccountPublicAccess) (struct{}, error) {
	if err := ownAccount(by, in.Account); err != nil {
		return struct{}{}, err
	}
	var batch meta.Batch
	batch.Delete(accountKey(in.Account))
	return struct{}{}, s.commitAccount(ctx, in.Account, &batch)
}
