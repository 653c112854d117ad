// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/core/sse"
)

// record describes a write as S3 does that of any client: as a data event, of the
// account that the bucket is of. The service is the caller, its address and its agent
// (CloudTrail User Guide, "CloudTrail userIdentity element").
func (w *Writer) record(ctx context.Context, by iam.Caller, in object.Put, out object.Stored, err error) audit.Record {
	owner := by.SourceAccount // of a bucket that there is not
	if b, err := w.buckets.Access(context.WithoutCancel(ctx), in.Bucket); err == nil {
		owner = b.Owner
	}
	r := audit.Record{
		UserIdentity: by.Identity(),
		EventTime:    time.Now().UTC().Truncate(time.Second),
		EventSource:  "s3.amazonaws.com", EventName: "PutObject", AWSRegion: w.cfg.Region,
		SourceIPAddress: by.ARN, UserAgent: by.ARN,
		RequestID: by.RequestID, EventType: audit.TypeAPICall, EventCategory: audit.Data, RecipientAccountID: owner,
		RequestParameters: map[string]any{
			"bucketName": in.Bucket, "key": in.Key, "Host": in.Bucket + ".s3." + w.cfg.Region + ".amazonaws.com",
		},
		AdditionalEventData: map[string]any{"x-amz-id-2": aws.NewHostID(), "bytesTransferredIn": 0, "bytesTransferredOut": 0},
		Resources: []audit.Resource{
			{Type: "AWS::S3::Object", ARN: in.ARN()},
			{AccountID: owner, Type: "AWS::S3::Bucket", ARN: aws.BucketARN(in.Bucket)},
		},
	}
	given(r.RequestParameters, "x-amz-acl", string(in.ACL.Canned))
	given(r.RequestParameters, sse.AlgorithmHeader, in.SSE.Algorithm)
	given(r.RequestParameters, sse.KeyIDHeader, in.SSE.KeyID)
	if err != nil {
		r.ErrorCode, r.ErrorMessage = w.cfg.Name(err)
		return r
	}
	r.AdditionalEventData["bytesTransferredIn"] = out.Size // it may not have been known before
	r.ResponseElements = map[string]any{}
	given(r.ResponseElements, sse.AlgorithmHeader, out.SSE.Algorithm)
	given(r.ResponseElements, sse.KeyIDHeader, out.SSE.KeyARN)
	given(r.ResponseElements, "x-amz-version-id", out.VersionID)
	given(r.AdditionalEventData, "SSEApplied", out.SSE.Audited(out.FromDefault))
	given(r.AdditionalEventData, "cofferKeyArn", out.SSE.KeyARN)
	if out.SSE.KeyARN == "" {
		return r
	}
	given(r.AdditionalEventData, "cofferKmsEventId", out.SSE.Event)
	r.AdditionalEventData["cofferBucketKey"] = out.SSE.BucketKey
	if out.SSE.BucketKey {
		r.ResponseElements[sse.BucketKeyHeader] = strconv.FormatBool(true)
		if out.SSE.Generation != uuid.Nil {
			r.AdditionalEventData["cofferGeneration"] = out.SSE.Generation.String()
		}
	}
	return r
}

// given sets a member that has a value.
func given(members map[string]any, name, value string) {
	if value != "" {
		members[name] = value
	}
}
