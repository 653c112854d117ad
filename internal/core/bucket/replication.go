// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"context"
	"errors"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
)

// Kinds of fault of replication.
const (
	// NoReplication: the bucket has no configuration.
	NoReplication fault.Kind = "bucket: no replication configuration"
	// InvalidReplication: rules that do not go together, or not with their buckets.
	InvalidReplication fault.Kind = "bucket: invalid replication request"
	// NotReplicated: there would be nothing wrong with the configuration, but objects are not
	// replicated here.
	NotReplicated fault.Kind = "bucket: replication is not offered"
)

// Replication is a replication configuration (S3 API Reference, ReplicationConfiguration).
type Replication struct {
	Role  string
	Rules []ReplicationRule
}

// ReplicationRule is a rule. What is nil was not given.
type ReplicationRule struct {
	ID       *string
	Priority *int
	Prefix   *string // of the first version of the schema
	// Filter makes it a rule of the second version. One without predicates is for all objects.
	Filter        *Filter
	Status        string
	Criteria      bool // SourceSelectionCriteria was given
	KMSObjects    string
	Modifications string
	Existing      bool // ExistingObjectReplication was given
	Destination   ReplicationDestination
	DeleteMarkers string
}

// ReplicationDestination is where a rule replicates to.
type ReplicationDestination struct {
	Bucket       string
	Account      *string
	StorageClass *string
	Owner        string // of AccessControlTranslation
	KMSKey       *string
	Time         *ReplicationTime
	Metrics      *ReplicationTime // Minutes are those of the event threshold
}

// ReplicationTime is a status and minutes; nil minutes were not given.
type ReplicationTime struct {
	Status  string
	Minutes *int
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

// PutReplication says what is wrong with a configuration, as S3 would, or, when there is
// nothing, that objects are not replicated: a rule that is taken and copies nothing would
// have its owner believe in replicas. Faults: NoSuchBucket, InvalidConfiguration,
// InvalidReplication, InvalidConfigurationValue, NotReplicated.
func (s *Buckets) PutReplication(ctx context.Context, by iam.Caller, in PutReplication) (struct{}, error) {
	b, err := s.Find(ctx, in.Ref)
	if err != nil {
		return struct{}{}, err
	}
	if b.Versioning != Enabled {
		return struct{}{}, fault.New(InvalidReplication, "Versioning must be 'Enabled' on the bucket to apply a replication configuration").With("BucketName", b.Name)
	}
	if err := in.Replication.check(by.Account); err != nil {
		return struct{}{}, err
	}
	for i := range in.Replication.Rules {
		if err := s.replicaBucket(ctx, b, in.Replication.Rules[i].Destination.Bucket); err != nil {
			return struct{}{}, err
		}
	}
	return struct{}{}, fault.New(NotReplicated, "")
}

// replicaBucket decides whether a bucket can have another one's replicas.
func (s *Buckets) replicaBucket(ctx context.Context, source *Bucket, arn string) error {
	a, _ := aws.ParseARN(arn)
	if a.Resource == source.Name {
		return fault.New(InvalidReplication, "Destination bucket cannot be the same as the source bucket.")
	}
	b, err := s.find(ctx, a.Resource)
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

// GetReplication finds none. Faults: NoSuchBucket, NoReplication.
func (s *Buckets) GetReplication(ctx context.Context, _ iam.Caller, in GetReplication) (struct{}, error) {
	return s.without(ctx, in.Ref, NoReplication)
}

// DeleteReplication removes a bucket's replication configuration.
type DeleteReplication struct{ Ref }

// Needs says what the request must be allowed: S3 has no permission of its own for it.
func (in DeleteReplication) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:PutReplicationConfiguration", Resource: aws.BucketARN(in.Bucket)}}
}

// DeleteReplication succeeds: there is none. Fault: NoSuchBucket.
func (s *Buckets) DeleteReplication(ctx context.Context, _ iam.Caller, in DeleteReplication) (struct{}, error) {
	_, err := s.Find(ctx, in.Ref)
	return struct{}{}, err
}
