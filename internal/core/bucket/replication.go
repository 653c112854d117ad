// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Kinds of fault of replication.
const (
	// NoReplication: the bucket has no configuration.
	NoReplication fault.Kind = "bucket: no replication configuration"
	// InvalidReplication: rules that do not go together, or not with their buckets.
	InvalidReplication fault.Kind = "bucket: invalid replication request"
	// VersioningReplicated: a bucket that is replicated keeps its versioning enabled.
	VersioningReplicated fault.Kind = "bucket: versioning is needed for replication"
)

// ReplicationDocument is the kind of document that says where a bucket's objects are
// replicated to. A bucket that has one has versioning Enabled.
const ReplicationDocument DocumentKind = "replication"

// Replication is a replication configuration (S3 API Reference, ReplicationConfiguration).
type Replication struct {
	Role  string            `json:"role"` // ARN, of the bucket's account
	Rules []ReplicationRule `json:"rules"`
}

// ReplicationRule is a rule. What is nil was not given.
type ReplicationRule struct {
	ID       *string `json:"id"` // set in what is stored
	Priority *int    `json:"priority,omitempty"`
	Prefix   *string `json:"prefix,omitempty"` // of the first version of the schema
	// Filter makes it a rule of the second version. One without predicates is for all objects.
	Filter        *Filter                `json:"filter,omitempty"`
	Status        string                 `json:"status"`                  // Enabled, Disabled
	Criteria      bool                   `json:"criteria,omitempty"`      // SourceSelectionCriteria was given
	KMSObjects    string                 `json:"kmsObjects,omitempty"`    // Enabled, Disabled, ""
	Modifications string                 `json:"modifications,omitempty"` // Enabled, Disabled, ""
	Existing      bool                   `json:"-"`                       // ExistingObjectReplication was given, which no rule may
	Destination   ReplicationDestination `json:"destination"`
	DeleteMarkers string                 `json:"deleteMarkers,omitempty"` // Enabled, Disabled, ""
}

// ReplicationDestination is where a rule replicates to.
type ReplicationDestination struct {
	Bucket       string           `json:"bucket"` // ARN
	Account      *string          `json:"account,omitempty"`
	StorageClass *string          `json:"storageClass,omitempty"`
	Owner        string           `json:"owner,omitempty"`  // of AccessControlTranslation: Destination, ""
	KMSKey       *string          `json:"kmsKey,omitempty"` // ARN of a key or an alias
	Time         *ReplicationTime `json:"time,omitempty"`
	Metrics      *ReplicationTime `json:"metrics,omitempty"` // Minutes are those of the event threshold
}

// ReplicationTime is a status and minutes; nil minutes were not given.
type ReplicationTime struct {
	Status  string `json:"status"`
	Minutes *int   `json:"minutes,omitempty"`
}

// Name returns the name of the bucket.
func (d *ReplicationDestination) Name() string {
	a, _ := aws.ParseARN(d.Bucket)
	return a.Resource
}

// PutReplication is to replicate a bucket's objects.
type PutReplication struct {
	Ref
	Replication *Replication
}

// Needs says what the request must be allowed.
func (in PutReplication) Needs() []policy.Need {
	needs := []policy.Need{{Action: "s3:PutReplicationConfiguration", Resource: aws.BucketARN(in.Bucket)}}
	if a, ok := aws.ParseARN(in.Replication.Role); ok && a.Service == "iam" {
		needs = append(needs, policy.Need{Action: "iam:PassRole", Resource: in.Replication.Role, Keys: map[string][]string{
			"iam:passedtoservice": {"s3.amazonaws.com"},
		}})
	}
	return needs
}

// PutReplication replaces a bucket's replication configuration, which rules from the answer
// on. Rules without an id get one. Neither the role nor keys are looked up, as on S3. Faults:
// NoSuchBucket, InvalidConfiguration, InvalidReplication, InvalidConfigurationValue,
// OtherAccount.
func (s *Buckets) PutReplication(ctx context.Context, by iam.Caller, in PutReplication) (struct{}, error) {
	b, err := s.Find(ctx, in.Ref)
	if err != nil {
		return struct{}{}, err
	}
	if b.Versioning != Enabled {
		return struct{}{}, unversioned(b.Name)
	}
	if err := in.Replication.check(by.Account, b.Owner); err != nil {
		return struct{}{}, err
	}
	known := map[string]bool{}
	for i := range in.Replication.Rules {
		name := in.Replication.Rules[i].Destination.Name()
		if known[name] {
			continue
		}
		if err := s.replicaBucket(ctx, b, name); err != nil {
			return struct{}{}, err
		}
		known[name] = true
	}
	doc := Replication{Role: in.Replication.Role, Rules: slices.Clone(in.Replication.Rules)}
	for i := range doc.Rules {
		if r := &doc.Rules[i]; r.ID == nil || *r.ID == "" {
			id := uuid.NewString()
			r.ID = &id
		}
	}
	return struct{}{}, s.putDocumentWith(ctx, in.Ref, ReplicationDocument, "", doc, func(r *record, _ *meta.Batch) error {
		if r.Versioning != Enabled { // suspended since
			return unversioned(r.Name)
		}
		return nil
	})
}

func unversioned(bucket string) error {
	return fault.New(InvalidReplication, "Versioning must be 'Enabled' on the bucket to apply a replication configuration").With("BucketName", bucket)
}

// replicaBucket decides whether a bucket can have another one's replicas.
func (s *Buckets) replicaBucket(ctx context.Context, source *Bucket, name string) error {
	if name == source.Name {
		return fault.New(InvalidReplication, "Destination bucket cannot be the same as the source bucket.")
	}
	b, err := s.find(ctx, name)
	switch {
	case errors.Is(err, NoSuchBucket):
		return fault.New(InvalidReplication, "Destination bucket must exist.")
	case err != nil:
		return err
	case b.Versioning != Enabled:
		return fault.New(InvalidReplication, "Destination bucket must have versioning enabled.")
	}
	return nil
}

// GetReplication asks for a bucket's replication configuration.
type GetReplication struct{ Ref }

// Needs says what the request must be allowed.
func (in GetReplication) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:GetReplicationConfiguration", Resource: aws.BucketARN(in.Bucket)}}
}

// GetReplication returns a bucket's replication configuration. It must not be changed.
// Faults: NoSuchBucket, NoReplication.
func (s *Buckets) GetReplication(ctx context.Context, _ iam.Caller, in GetReplication) (*Replication, error) {
	b, err := s.Find(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	r, err := s.Replication(ctx, b)
	if err == nil && r == nil {
		err = fault.New(NoReplication, "").With("BucketName", b.Name)
	}
	return r, err
}

// Replication returns a bucket's replication configuration, nil when it has none, which costs
// nothing. It is shared and must not be changed.
func (s *Buckets) Replication(ctx context.Context, b *Bucket) (*Replication, error) {
	return document[Replication](ctx, s, b, ReplicationDocument, "")
}

// DeleteReplication removes a bucket's replication configuration.
type DeleteReplication struct{ Ref }

// Needs says what the request must be allowed: S3 has no permission of its own for it.
func (in DeleteReplication) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:PutReplicationConfiguration", Resource: aws.BucketARN(in.Bucket)}}
}

// DeleteReplication removes a bucket's replication configuration, if it has one. What it
// would have replicated is not replicated any more once this has returned. Fault:
// NoSuchBucket.
func (s *Buckets) DeleteReplication(ctx context.Context, _ iam.Caller, in DeleteReplication) (struct{}, error) {
	_, err := s.deleteDocument(ctx, in.Ref, ReplicationDocument, "")
	return struct{}{}, err
}
