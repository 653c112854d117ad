// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"context"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fault"
)

// Encryption is a bucket's default encryption.
type Encryption struct {
	Algorithm string `json:"algorithm"`       // AES256, aws:kms or aws:kms:dsse
	KeyID     string `json:"keyId,omitempty"` // as given; "" is the managed key aws/s3
	BucketKey bool   `json:"bucketKey,omitempty"`
	BlockSSEC bool   `json:"blockSSEC,omitempty"`
	// BlockNone says that blocking was lifted in so many words (NONE), which
	// reads back as such.
	BlockNone bool `json:"blockNone,omitempty"`
	// Explicit says that the configuration was put, not merely the one a new
	// bucket has. It decides whether an object may be copied onto itself.
	Explicit bool `json:"explicit,omitempty"`
}

// Default returns what applies to objects that ask for nothing: the bucket's default
// encryption, but that in legacy mode only one that was put counts. A key that was named by
// its bare id is the owner's, whoever writes; an alias is the writer's.
func (b *Bucket) Default() sse.Default {
	e := b.Encryption
	if b.Legacy && !e.Explicit {
		return sse.Default{Algorithm: sse.NotSSE}
	}
	d := sse.Default{Algorithm: e.Algorithm, KeyID: e.KeyID, BucketKey: e.BucketKey}
	if _, _, bare := aws.ParseKeyID(e.KeyID); bare {
		d.KeyID = aws.KeyARN(b.Region, b.Owner, e.KeyID)
	}
	return d
}

// PutEncryption replaces a bucket's default encryption. Rules is what the
// document held; exactly one is legal.
type PutEncryption struct {
	Ref
	Rules []EncryptionRule
}

// EncryptionRule is one rule as sent. nil and "" mean that an element was absent.
type EncryptionRule struct {
	Default   *DefaultEncryption
	BucketKey *bool
	Blocked   []string // EncryptionType elements
	HasBlock  bool     // the BlockedEncryptionTypes element was there
}

// DefaultEncryption is ApplyServerSideEncryptionByDefault.
type DefaultEncryption struct{ Algorithm, KeyID string }

// Needs says what the request must be allowed.
func (in PutEncryption) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:PutEncryptionConfiguration", Resource: aws.BucketARN(in.Bucket)}}
}

// PutEncryption replaces a bucket's default encryption. What the rule leaves out
// stays as it was, but for the bucket key, which goes with the algorithm. The key
// is not looked up: a wrong one makes later writes fail, as on S3. Faults:
// NoSuchBucket, InvalidEncryption, KeyNotApplicable.
func (s *Buckets) PutEncryption(ctx context.Context, _ iam.Caller, in PutEncryption) (struct{}, error) {
	b, err := s.Find(ctx, in.Ref)
	if err != nil {
		return struct{}{}, err
	}
	if len(in.Rules) != 1 {
		return struct{}{}, fault.New(InvalidEncryption, "")
	}
	rule := in.Rules[0]
	if err := rule.check(); err != nil {
		return struct{}{}, err
	}
	return struct{}{}, s.update(ctx, b.UID, func(r *record) error {
		r.Encryption = rule.merge(r.Encryption)
		return nil
	})
}

func (r EncryptionRule) check() error {
	if r.Default == nil && r.BucketKey == nil && !r.HasBlock {
		return fault.New(InvalidEncryption, "")
	}
	if d := r.Default; d != nil {
		switch d.Algorithm {
		case sse.AES256:
			if d.KeyID != "" {
				return fault.New(KeyNotApplicable, "").With("ArgumentName", "ApplyServerSideEncryptionByDefault")
			}
		case sse.KMS, sse.DSSE:
		default:
			return fault.New(InvalidEncryption, "")
		}
	}
	if !r.HasBlock {
		return nil
	}
	if len(r.Blocked) == 0 {
		return fault.New(InvalidEncryption, "")
	}
	for _, t := range r.Blocked {
		if t != r.Blocked[0] || t != "SSE-C" && t != "NONE" { // one kind, not both
			return fault.New(InvalidEncryption, "")
		}
	}
	return nil
}

func (r EncryptionRule) merge(e Encryption) Encryption {
	if r.Default != nil {
		e.Algorithm, e.KeyID, e.BucketKey = r.Default.Algorithm, r.Default.KeyID, false
		e.Explicit = true
	}
	if r.BucketKey != nil {
		e.BucketKey = *r.BucketKey
		e.Explicit = true
	}
	if r.HasBlock {
		e.BlockSSEC = r.Blocked[0] == "SSE-C"
		e.BlockNone = !e.BlockSSEC
	}
	return e
}

// GetEncryption asks for a bucket's default encryption.
type GetEncryption struct{ Ref }

// Needs says what the request must be allowed.
func (in GetEncryption) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:GetEncryptionConfiguration", Resource: aws.BucketARN(in.Bucket)}}
}

// Encryption returns a bucket's default encryption; every bucket has one.
func (s *Buckets) Encryption(ctx context.Context, _ iam.Caller, in GetEncryption) (Encryption, error) {
	b, err := s.Find(ctx, in.Ref)
	if err != nil {
		return Encryption{}, err
	}
	return b.Encryption, nil
}

// DeleteEncryption resets a bucket's default encryption.
type DeleteEncryption struct{ Ref }

// Needs says what the request must be allowed.
func (in DeleteEncryption) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:PutEncryptionConfiguration", Resource: aws.BucketARN(in.Bucket)}}
}

// DeleteEncryption resets a bucket's default encryption to SSE-S3 without a bucket
// key. What is blocked stays blocked.
func (s *Buckets) DeleteEncryption(ctx context.Context, _ iam.Caller, in DeleteEncryption) (struct{}, error) {
	b, err := s.Find(ctx, in.Ref)
	if err != nil {
		return struct{}{}, err
	}
	return struct{}{}, s.update(ctx, b.UID, func(r *record) error {
		e := r.Encryption
		r.Encryption = Encryption{Algorithm: sse.AES256, BlockSSEC: e.BlockSSEC, BlockNone: e.BlockNone}
		return nil
	})
}
