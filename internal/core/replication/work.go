// SPDX-License-Identifier: Apache-2.0

package replication

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Why a task ends without a replica and without a failure, or is put off: errors of carryOut
// beside *object.ReplicaError, after which a version is FAILED, and those that do not last.
var (
	// errDropped: there is nothing to replicate any more, or no rule by which to.
	errDropped = errors.New("replication: dropped")
	// errPaused: the rule is disabled.
	errPaused = errors.New("replication: paused")
)

// Reasons of failures (S3 User Guide, "Amazon S3 replication failure reasons").
const (
	assumeRoleNotPermitted = "AssumeRoleNotPermitted"

	srcGetObjectNotPermitted    = "SrcGetObjectNotPermitted"
	srcGetACLNotPermitted       = "SrcGetAclNotPermitted"
	srcGetRetentionNotPermitted = "SrcGetRetentionNotPermitted"
	srcGetLegalHoldNotPermitted = "SrcGetLegalHoldNotPermitted"
	srcObjectNotEligible        = "SrcObjectNotEligible"

	dstBucketNotFound           = "DstBucketNotFound"
	dstBucketUnversioned        = "DstBucketUnversioned"
	dstPutObjectNotPermitted    = "DstPutObjectNotPermitted"
	dstPutACLNotPermitted       = "DstPutAclNotPermitted"
	dstPutTaggingNotPermitted   = "DstPutTaggingNotPermitted"
	dstPutRetentionNotPermitted = "DstPutRetentionNotPermitted"
	dstPutLegalHoldNotPermitted = "DstPutLegalHoldNotPermitted"
	dstDelObjNotPermitted       = "DstDelObjNotPermitted"
	dstVersionNotFound          = "DstVersionNotFound"
)

func failure(reason string, err error) error {
	return &object.ReplicaError{Reason: reason, Err: err}
}

// job is a task that is carried out, and what was found out for it.
type job struct {
	*queued
	source      *bucket.Bucket
	rule        *bucket.ReplicationRule
	destination *bucket.Access
	by          iam.Caller
	object      *object.Object // nil for a delete marker
	changed     object.Changed // as object.Facts has it, no later than object
	taken       object.Taken   // what was replicated
}

// work carries a task out and ends it, or puts it off.
func (s *Service) work(ctx context.Context, t *queued) {
	j := &job{queued: t}
	began := time.Now()
	err := s.carryOut(ctx, j)
	if ctx.Err() != nil { // that is no outcome
		return
	}
	if err := s.settle(ctx, j, err); err != nil && ctx.Err() == nil {
		s.log.Error("what became of a replica could not be noted", "bucket", t.Bucket, "destination", t.Destination, "error", err)
		if s.again(ctx, t) != nil {
			// The row is as it was: it is read again.
			t.off = true
			pause(ctx, firstWait)
		}
	}
	s.metrics.took.Observe(time.Since(began).Seconds())
}

// again puts a task off of which could not be noted what became of it, unless it was: a commit
// that failed may have been made.
func (s *Service) again(ctx context.Context, t *queued) error {
	var batch meta.Batch
	batch.Cond(t.row, t.ver)
	if err := t.putOff(&batch, 0); err != nil {
		return err
	}
	_, err := s.Rows.Commit(ctx, &batch)
	if conflict := (*meta.ConflictError)(nil); errors.As(err, &conflict) {
		return nil
	}
	return err
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// settle notes what became of a task.
func (s *Service) settle(ctx context.Context, j *job, err error) error {
	var failed *object.ReplicaError
	switch {
	case err == nil:
		return s.end(ctx, j, object.ReplicaCompleted, "")
	case errors.As(err, &failed):
		s.log.Warn("a version is not replicated", "bucket", j.Bucket, "key", string(j.Key), "version_id", j.VersionID,
			"destination", j.Destination, "rule", j.Rule, "error", failed)
		return s.end(ctx, j, object.ReplicaFailed, failed.Reason)
	case errors.Is(err, errDropped):
		return s.forget(ctx, j)
	case errors.Is(err, errPaused):
		return s.putOff(ctx, j)
	}
	s.metrics.retried(&j.task)
	s.log.Info("a version could not be replicated and will be later", "bucket", j.Bucket, "key", string(j.Key), "version_id", j.VersionID,
		"destination", j.Destination, "tries", j.Tries+1, "error", err)
	return s.putOff(ctx, j)
}

// end notes in the version what became of it, and removes the task with the same commit.
func (s *Service) end(ctx context.Context, j *job, state object.ReplicaState, reason string) error {
	var told []func()
	err := s.Objects.Replicated(ctx, j.ref().Ref.Ref, bucket.UID(j.UID), string(j.Key), j.VersionID, j.Destination, state, j.taken, func(batch *meta.Batch) {
		batch.Delete(j.row)
		told = s.tellEnd(ctx, batch, j, reason)
	})
	if err != nil {
		return fmt.Errorf("note what became of a version: %w", err)
	}
	s.metrics.ended(&j.task, reason)
	for _, f := range told {
		f()
	}
	return nil
}

// forget removes a task that is neither done nor failed. The version stays PENDING.
func (s *Service) forget(ctx context.Context, j *job) error {
	var batch meta.Batch
	batch.Delete(j.row)
	told := s.tellUntracked(ctx, &batch, j)
	if _, err := s.Rows.Commit(ctx, &batch); err != nil {
		return fmt.Errorf("drop a task: %w", err)
	}
	s.metrics.forgotten(&j.task)
	for _, f := range told {
		f()
	}
	return nil
}

// putOff tries a task again later, and tells whoever wants to know that it takes too long.
func (s *Service) putOff(ctx context.Context, j *job) error {
	var batch meta.Batch
	told := s.tellLate(ctx, &batch, j)
	j.Missed = j.Missed || j.late()
	at := int64(0)
	if j.rule != nil && on(j.rule.Destination.Time) && !j.Missed {
		at = j.requested().Add(threshold).UnixMilli()
	}
	if err := j.queued.putOff(&batch, at); err != nil {
		return err
	}
	if _, err := s.Rows.Commit(ctx, &batch); err != nil {
		return fmt.Errorf("put off a task: %w", err)
	}
	for _, f := range told {
		f()
	}
	return nil
}

// carryOut makes a replica, or brings one up to date.
func (s *Service) carryOut(ctx context.Context, j *job) error {
	b, r, err := s.source(ctx, &j.task)
	if err != nil {
		return err
	}
	if b == nil || r == nil {
		return errDropped
	}
	j.source = b
	facts, err := s.look(ctx, j)
	if err != nil {
		return err
	}
	if j.rule = ruleOf(r, &j.task, facts.Tags); j.rule == nil {
		return errDropped
	}
	if j.rule.Status != enabled {
		return errPaused
	}
	if underKMS(j.Algorithm) && j.anew() && j.rule.KMSObjects != enabled {
		return errDropped // it is not for those any more
	}
	if j.by, err = s.session(ctx, b, r.Role); err != nil {
		return err
	}
	if err = eligible(j); err == nil {
		err = s.findDestination(ctx, j)
	}
	if err != nil {
		s.recordRefused(ctx, j, err)
		return err
	}
	withoutTags, err := s.permitted(ctx, j)
	if err != nil {
		s.recordRefused(ctx, j, err)
		return err
	}
	if s.cfg.Room != nil {
		if err := s.cfg.Room(ctx); err != nil {
			return err
		}
	}
	return s.replicate(ctx, j, withoutTags)
}

// look finds the version. Error: errDropped when it is gone.
func (s *Service) look(ctx context.Context, j *job) (facts object.Facts, err error) {
	if j.Operation == object.OpMarker {
		return facts, nil // Replicate finds it
	}
	facts, err = s.Objects.Facts(ctx, j.source, string(j.Key), j.VersionID)
	if err == nil && facts.Found && j.Algorithm != sse.Customer { // nobody looks at that without its key
		j.object, err = s.Objects.Head(ctx, iam.ServiceCaller(ServiceName, j.source.ARN(), j.source.Owner), object.Get{VersionRef: j.ref()})
	}
	switch {
	case errors.Is(err, object.NoSuchKey), errors.Is(err, object.NoSuchVersion), errors.Is(err, bucket.NoSuchBucket), err == nil && !facts.Found:
		return facts, errDropped
	}
	j.changed = facts.Changed
	return facts, err
}

// eligible faults versions of which no replica can be made.
func eligible(j *job) error {
	switch {
	case j.Algorithm == sse.Customer:
		return failure(dstPutObjectNotPermitted, errors.New("a customer's key is not kept"))
	case j.anew() && j.object != nil && archived(j.object.StorageClass): // a change needs none of its bytes
		return failure(srcObjectNotEligible, nil)
	}
	return nil
}

// findDestination finds the bucket of the replica. It must be whose the rule says it is: a
// name that was given up may be anybody's.
func (s *Service) findDestination(ctx context.Context, j *job) error {
	to, err := s.Buckets.Access(ctx, j.Destination)
	switch account := j.rule.Destination.Account; {
	case errors.Is(err, bucket.NoSuchBucket):
		return failure(dstBucketNotFound, err)
	case err != nil:
		return err
	case to.Versioning != bucket.Enabled:
		return failure(dstBucketUnversioned, nil)
	case account != nil && *account != to.Owner:
		return failure(dstPutObjectNotPermitted, errors.New("the bucket is of another account than the rule says"))
	}
	j.destination = to
	return nil
}

// replicate lets core/object do it, with the audit records in the very commit.
func (s *Service) replicate(ctx context.Context, j *job, withoutTags bool) error {
	d := &j.rule.Destination
	in := object.Replicate{
		Source: bucket.Ref{Bucket: j.Bucket}, SourceUID: bucket.UID(j.UID), Key: string(j.Key), VersionID: j.VersionID,
		Destination: j.Destination, ToOwner: toOwner(j.rule), WithoutTags: withoutTags, Operation: j.Operation,
		Decided: &object.Decided{Destination: j.destination.UID, Changed: j.changed},
	}
	if j.object != nil {
		in.Decided.Algorithm = j.object.SSE.Algorithm
	}
	if d.KMSKey != nil && j.rule.KMSObjects == enabled {
		in.KMSKey = *d.KMSKey
	}
	if d.StorageClass != nil {
		in.StorageClass = *d.StorageClass
	}
	joined, recorded := s.recorded(ctx, j)
	out, err := s.Objects.Replicate(joined, j.by, in)
	recorded(err)
	j.taken = out.Taken
	var failed *object.ReplicaError
	switch {
	case errors.Is(err, object.ErrSourceGone):
		return errDropped
	case errors.As(err, &failed):
		if failed.Reason == dstVersionNotFound && j.Replica {
			return nil // the change of a replica has nowhere to go back to
		}
		s.recordRefused(ctx, j, err)
	}
	return err
}

// asFailure returns the failure that err is.
func asFailure(err error) (*object.ReplicaError, bool) {
	var failed *object.ReplicaError
	return failed, errors.As(err, &failed)
}
