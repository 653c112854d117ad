// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Kinds of fault of bucket policies.
const (
	// NoSuchPolicy: the bucket has none. Detail BucketName.
	NoSuchPolicy fault.Kind = "bucket: no policy"
	// MalformedPolicy: the text is no bucket policy. Detail Detail.
	MalformedPolicy fault.Kind = "bucket: malformed policy"
	// PublicBlocked: what is asked for would be public, and that is blocked.
	PublicBlocked fault.Kind = "bucket: public access is blocked"
)

// MaxPolicy is the longest bucket policy, in bytes (S3 User Guide, "Bucket policies").
const MaxPolicy = 20 << 10

// Principals is what a bucket has to know of who can be named in its policy and in
// lists of grants (iam.Service).
type Principals interface {
	Bind(ctx context.Context, d *policy.Document) (map[string]string, error)
	Show(ctx context.Context, text string, ids map[string]string) (string, error)
	AccountOf(ctx context.Context, canonicalID string) (string, error)
}

func policyKey(uid UID) []byte { return append([]byte("bp/"), uid[:]...) }

// storedPolicy is the row bp/<uid>: the text as it was put, and the unique ids of the
// principals that it names, by ARN.
type storedPolicy struct {
	Version int               `json:"version"`
	Text    string            `json:"text"`
	IDs     map[string]string `json:"ids,omitempty"`
}

const policyVersion = 1

func decodePolicy(value []byte) (p storedPolicy, err error) {
	if err = json.Unmarshal(value, &p); err == nil && p.Version != policyVersion {
		err = fmt.Errorf("version %d is not known", p.Version)
	}
	return p, err
}

// PutPolicy sets a bucket's policy.
type PutPolicy struct {
	Ref
	Text string
}

// Needs says what the request must be allowed.
func (in PutPolicy) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:PutBucketPolicy", Resource: aws.BucketARN(in.Bucket)}}
}

// PutPolicy sets a bucket's policy. Faults: NoSuchBucket, MalformedPolicy,
// PublicBlocked.
func (s *Buckets) PutPolicy(ctx context.Context, _ iam.Caller, in PutPolicy) (struct{}, error) {
	b, err := s.Find(ctx, in.Ref)
	if err != nil {
		return struct{}{}, err
	}
	if len(in.Text) > MaxPolicy {
		return struct{}{}, fault.New(MalformedPolicy, "Policy exceeds the maximum allowed document size.")
	}
	doc, err := policy.Parse(policy.Bucket, b.ARN(), in.Text)
	if err != nil {
		return struct{}{}, malformed(err)
	}
	stored := storedPolicy{Version: policyVersion, Text: in.Text}
	if s.cfg.Principals != nil {
		if stored.IDs, err = s.cfg.Principals.Bind(ctx, doc); err != nil {
			return struct{}{}, malformed(err)
		}
	}
	if blocked, err := s.Blocked(ctx, b); err != nil {
		return struct{}{}, err
	} else if blocked.Policy && doc.Public() {
		return struct{}{}, fault.New(PublicBlocked, "").With("BucketName", b.Name)
	}
	row, err := json.Marshal(stored)
	if err != nil {
		return struct{}{}, fmt.Errorf("encode policy of bucket %q: %w", b.Name, err)
	}
	return struct{}{}, s.updateWith(ctx, b.UID, func(r *record, batch *meta.Batch) error {
		r.Policy = true
		batch.Put(policyKey(b.UID), row)
		return nil
	})
}

// malformed says in S3's words why a text is no bucket policy.
func malformed(err error) error {
	f, ok := fault.As(err)
	switch {
	case ok && errors.Is(err, iam.InvalidPrincipal):
		m := fault.New(MalformedPolicy, "Invalid principal in policy").Because(err)
		for _, d := range f.Details {
			if d.Name == "Principal" {
				m = m.With("Detail", `"AWS" : "`+d.Value+`"`)
			}
		}
		return m
	case ok && errors.Is(err, policy.Malformed):
		return fault.New(MalformedPolicy, "%s", f.Message).Because(err)
	}
	return err
}

// GetPolicy asks for a bucket's policy.
type GetPolicy struct{ Ref }

// Needs says what the request must be allowed.
func (in GetPolicy) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:GetBucketPolicy", Resource: aws.BucketARN(in.Bucket)}}
}

// PolicyText returns a bucket's policy as it was put, but for principals that are gone
// or have another ARN now. Faults: NoSuchBucket, NoSuchPolicy.
func (s *Buckets) PolicyText(ctx context.Context, _ iam.Caller, in GetPolicy) (string, error) {
	b, err := s.withPolicy(ctx, in.Ref)
	if err != nil {
		return "", err
	}
	row, err := meta.Get1(ctx, s.store, policyKey(b.UID))
	if err != nil {
		return "", fmt.Errorf("read policy of bucket %q: %w", b.Name, err)
	}
	if row.Ver == 0 {
		return "", fault.New(NoSuchPolicy, "").With("BucketName", b.Name)
	}
	stored, err := decodePolicy(row.Value)
	if err != nil {
		return "", fault.New(meta.Damaged, "").Because(fmt.Errorf("policy of bucket %q: %w", b.Name, err))
	}
	if s.cfg.Principals == nil || len(stored.IDs) == 0 {
		return stored.Text, nil
	}
	return s.cfg.Principals.Show(ctx, stored.Text, stored.IDs)
}

func (s *Buckets) withPolicy(ctx context.Context, ref Ref) (*Bucket, error) {
	b, err := s.Find(ctx, ref)
	if err == nil && !b.policy {
		err = fault.New(NoSuchPolicy, "").With("BucketName", b.Name)
	}
	return b, err
}

// DeletePolicy removes a bucket's policy.
type DeletePolicy struct{ Ref }

// Needs says what the request must be allowed.
func (in DeletePolicy) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:DeleteBucketPolicy", Resource: aws.BucketARN(in.Bucket)}}
}

// DeletePolicy removes a bucket's policy; it is no error if there is none.
func (s *Buckets) DeletePolicy(ctx context.Context, _ iam.Caller, in DeletePolicy) (struct{}, error) {
	b, err := s.Find(ctx, in.Ref)
	if err != nil {
		return struct{}{}, err
	}
	return struct{}{}, s.updateWith(ctx, b.UID, func(r *record, batch *meta.Batch) error {
		r.Policy = false
		batch.Delete(policyKey(b.UID))
		return nil
	})
}

// PolicyStatus asks whether a bucket's policy is public.
type PolicyStatus struct{ Ref }

// Needs says what the request must be allowed.
func (in PolicyStatus) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:GetBucketPolicyStatus", Resource: aws.BucketARN(in.Bucket)}}
}

// PolicyStatus reports whether a bucket's policy is public. Faults: NoSuchBucket,
// NoSuchPolicy.
func (s *Buckets) PolicyStatus(ctx context.Context, _ iam.Caller, in PolicyStatus) (public bool, err error) {
	b, err := s.withPolicy(ctx, in.Ref)
	if err != nil {
		return false, err
	}
	a, err := s.compile(ctx, b)
	if err != nil {
		return false, err
	}
	return a.Public, a.Broken
}
