// SPDX-License-Identifier: Apache-2.0

package replication

import (
	"context"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// recorded returns a context in which the commit that makes a replica takes along the records
// of what was read for it and of what was written. The function is to be called with the
// result.
func (s *Service) recorded(ctx context.Context, j *job) (context.Context, func(error)) {
	var committed []func()
	joined := audit.WithJoin(ctx, func(b *meta.Batch, result any) error {
		committed = nil
		r, ok := result.(object.Replica)
		if b == nil || !ok {
			return nil
		}
		for _, one := range s.records(j, &r) {
			for _, to := range s.copies(one, j.destination.Owner) {
				f, err := s.Trail.Join(b, to)
				if err != nil {
					return err
				}
				committed = append(committed, f)
			}
		}
		return nil
	})
	return joined, func(err error) {
		if err != nil {
			return // what a commit left of which nobody knows is found by the next start
		}
		for _, f := range committed {
			f()
		}
	}
}

// records describes what was done: the reading of the source, if it was read, and the writing
// of the replica.
func (s *Service) records(j *job, r *object.Replica) (all []audit.Record) {
	if r.Made && !r.Marker {
		read := s.record(j, "GetObject", j.Bucket, j.source.Owner)
		read.ReadOnly = true
		read.AdditionalEventData["bytesTransferredOut"] = r.Size
		encryption(&read, r.FromSSE, false)
		all = append(all, read)
	}
	name := j.writes()
	if r.Made && !r.Marker { // whatever it was that came first
		name = "PutObject"
	}
	write := s.record(j, name, j.Destination, j.destination.Owner)
	if !r.Made {
		return append(all, write)
	}
	if !r.Marker {
		write.AdditionalEventData["bytesTransferredIn"] = r.Size
		encryption(&write, r.Stored.SSE, r.Stored.FromDefault)
	}
	given(write.ResponseElements, "x-amz-version-id", j.VersionID)
	return append(all, write)
}

// writes names the operation of S3 that a task is as good as.
func (j *job) writes() string {
	switch j.Operation {
	case object.OpMarker:
		return "DeleteObject"
	case object.OpTags:
		return "PutObjectTagging"
	case object.OpACL:
		return "PutObjectAcl"
	case object.OpRetention:
		return "PutObjectRetention"
	case object.OpLegalHold:
		return "PutObjectLegalHold"
	}
	return "PutObject"
}

// record begins the record of an operation on the version in a bucket, as S3 has those of any
// client: the role's session is the caller, and S3 its address and agent.
func (s *Service) record(j *job, name, in, owner string) audit.Record {
	r := audit.Record{
		UserIdentity: j.by.Identity(),
		EventTime:    time.Now().UTC().Truncate(time.Second),
		EventSource:  "s3.amazonaws.com", EventName: name, AWSRegion: s.cfg.Region,
		SourceIPAddress: ServiceName, UserAgent: ServiceName,
		RequestID: j.by.RequestID, EventType: audit.TypeAPICall, EventCategory: audit.Data, RecipientAccountID: j.by.Account,
		RequestParameters: map[string]any{
			"bucketName": in, "key": string(j.Key), "versionId": j.VersionID, "Host": in + ".s3." + s.cfg.Region + ".amazonaws.com",
		},
		ResponseElements:    map[string]any{},
		AdditionalEventData: map[string]any{"x-amz-id-2": aws.NewHostID(), "bytesTransferredIn": 0, "bytesTransferredOut": 0},
		Resources: []audit.Resource{
			{Type: "AWS::S3::Object", ARN: aws.ObjectARN(in, string(j.Key))},
			{AccountID: owner, Type: audit.BucketResource, ARN: aws.BucketARN(in)},
		},
	}
	r.UserIdentity.InvokedBy = ServiceName
	return r
}

// encryption notes how what was read or written is encrypted, and which request to the KMS
// covers it.
func encryption(r *audit.Record, a sse.Applied, byDefault bool) {
	given(r.ResponseElements, sse.AlgorithmHeader, shown(a))
	given(r.ResponseElements, sse.KeyIDHeader, a.KeyARN)
	given(r.AdditionalEventData, "SSEApplied", a.Audited(byDefault))
	if a.KeyARN == "" {
		return
	}
	r.AdditionalEventData["cofferKeyArn"] = a.KeyARN
	r.AdditionalEventData["cofferBucketKey"] = a.BucketKey
	given(r.AdditionalEventData, "cofferKmsEventId", a.Event)
	if a.BucketKey {
		r.ResponseElements[sse.BucketKeyHeader] = strconv.FormatBool(true)
		if a.Generation != uuid.Nil {
			r.AdditionalEventData["cofferGeneration"] = a.Generation.String()
		}
	}
}

// shown is the encryption as answers have it.
func shown(a sse.Applied) string {
	if a.Algorithm == sse.NotSSE || a.Algorithm == sse.Customer {
		return ""
	}
	return a.Algorithm
}

// given sets a member that has a value.
func given(members map[string]any, name, value string) {
	if value != "" {
		members[name] = value
	}
}

// copies returns a record, and its copy for the account of the bucket if that is another than
// the role's: that one learns of the role no more than its account.
func (s *Service) copies(r audit.Record, owner string) []audit.Record {
	if owner == "" || owner == r.RecipientAccountID || r.Resources[1].AccountID != owner {
		return []audit.Record{r}
	}
	r.EventID = uuid.NewString()
	r.SharedEventID = r.EventID
	other := r
	other.EventID, other.RecipientAccountID = uuid.NewString(), owner
	other.UserIdentity = audit.Identity{Type: "AWSAccount", PrincipalID: r.UserIdentity.PrincipalID, AccountID: r.UserIdentity.AccountID, InvokedBy: ServiceName}
	if r.ErrorCode != "" {
		other.ErrorMessage = "Access Denied"
	}
	return []audit.Record{r, other}
}

// recordRefused records that a task failed for good, as the refusal of what it would have
// written.
func (s *Service) recordRefused(ctx context.Context, j *job, err error) {
	failed, ok := asFailure(err)
	if !ok {
		return
	}
	name, in, owner := j.writes(), j.Destination, "" // whose a bucket is that is not fit is nobody's to know
	switch {
	case ofSource(failed.Reason):
		name, in, owner = "GetObject", j.Bucket, j.source.Owner
	case j.destination != nil:
		owner = j.destination.Owner
	}
	r := s.record(j, name, in, owner)
	r.ReadOnly = name == "GetObject"
	r.ResponseElements = nil
	r.ErrorCode, r.ErrorMessage = "AccessDenied", failed.Reason
	if _, named := fault.As(failed.Err); named {
		r.ErrorCode, r.ErrorMessage = s.cfg.Name(failed.Err)
		given(r.AdditionalEventData, "cofferKmsEventId", audit.EventOf(failed.Err))
	}
	given(r.AdditionalEventData, "cofferReplicationFailure", failed.Reason)
	for _, one := range s.copies(r, owner) {
		if err := s.Trail.Append(context.WithoutCancel(ctx), one, true); err != nil {
			s.log.Error("the failure of a replica could not be recorded", "bucket", j.Bucket, "key", string(j.Key), "error", err)
		}
	}
}

// recordAssumed records that the service has a session of a role, or was refused one, before
// it makes use of it.
func (s *Service) recordAssumed(ctx context.Context, service iam.Caller, b *bucket.Bucket, role string, who iam.Principal, err error) error {
	r := audit.Record{
		UserIdentity: service.Identity(),
		EventTime:    time.Now().UTC().Truncate(time.Second),
		EventSource:  "sts.amazonaws.com", EventName: "AssumeRole", AWSRegion: s.cfg.Region,
		SourceIPAddress: ServiceName, UserAgent: ServiceName, RequestID: service.RequestID,
		EventType: audit.TypeAPICall, EventCategory: audit.Management, ManagementEvent: true, ReadOnly: true, RecipientAccountID: b.Owner,
		RequestParameters:   map[string]any{"roleArn": role, "roleSessionName": SessionName},
		AdditionalEventData: map[string]any{"cofferReplicatedBucket": b.Name},
		Resources:           []audit.Resource{{AccountID: b.Owner, Type: "AWS::IAM::Role", ARN: role}},
	}
	if err != nil {
		r.ErrorCode, r.ErrorMessage = "AccessDenied", "The role cannot be assumed by "+ServiceName
	} else {
		r.ResponseElements = map[string]any{
			"assumedRoleUser": map[string]any{"assumedRoleId": who.PrincipalID, "arn": who.ARN},
			"credentials":     map[string]any{"accessKeyId": who.AccessKeyID, "expiration": who.Session.Expires},
		}
	}
	return s.Trail.Append(context.WithoutCancel(ctx), r, true)
}
