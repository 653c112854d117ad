// SPDX-License-Identifier: Apache-2.0

package replication

import (
	"context"
	"time"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// threshold is how long a replica may take by a rule with S3 Replication Time Control: no
// other can be configured.
const threshold = 15 * time.Minute

// tellEnd adds to a batch what the source's notifications are told of the end of a task, and
// returns what is to be called once it is committed.
func (s *Service) tellEnd(ctx context.Context, batch *meta.Batch, j *job, reason string) []func() {
	if j.rule == nil {
		return nil
	}
	switch {
	case reason != "" && on(j.rule.Destination.Metrics):
		return s.tell(ctx, batch, j, object.ReplicationFailed, object.ReplicationFacts{Reason: reason})
	case reason != "" || !j.late():
		return nil
	}
	told := s.tellLate(ctx, batch, j)
	return append(told, s.tell(ctx, batch, j, object.ReplicationLate, object.ReplicationFacts{Threshold: threshold, Replicated: time.Now()})...)
}

// late reports whether a task takes longer than its rule has it.
func (j *job) late() bool {
	return j.rule != nil && on(j.rule.Destination.Time) && time.Since(j.requested()) > threshold
}

// tellLate says of a task that is late that it is, unless that was said.
func (s *Service) tellLate(ctx context.Context, batch *meta.Batch, j *job) []func() {
	if !j.late() || j.Missed {
		return nil
	}
	return s.tell(ctx, batch, j, object.ReplicationMissed, object.ReplicationFacts{Threshold: threshold})
}

// tellUntracked says of a task that was given up that nobody looks after it any more.
func (s *Service) tellUntracked(ctx context.Context, batch *meta.Batch, j *job) []func() {
	if j.rule == nil || !on(j.rule.Destination.Metrics) {
		return nil
	}
	return s.tell(ctx, batch, j, object.ReplicationUntracked, object.ReplicationFacts{})
}

// tell adds an event to a batch, if anybody wants events of the bucket.
func (s *Service) tell(ctx context.Context, batch *meta.Batch, j *job, event object.Event, f object.ReplicationFacts) []func() {
	if s.Events == nil || j.source == nil || !j.source.Has(bucket.NotificationDocument) {
		return nil
	}
	f.Rule, f.Destination, f.Operation, f.Requested = id(j.rule), aws.BucketARN(j.Destination), j.Operation, j.requested()
	committed, err := s.Events.Queue(ctx, batch, object.Change{
		Event: event, By: iam.ServiceCaller(ServiceName, "", ""), Bucket: j.source, Key: string(j.Key), VersionID: j.VersionID,
		ETag: j.ETag, Size: j.Size, Marker: j.Operation == object.OpMarker, Class: j.Class, Time: time.Now(), Replication: &f,
	})
	if err != nil {
		s.log.Error("an event of replication is not told", "event", string(event), "bucket", j.Bucket, "error", err)
		return nil
	}
	if committed == nil {
		return nil
	}
	return []func(){committed}
}
