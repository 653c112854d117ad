// SPDX-License-Identifier: Apache-2.0

package object

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Operation is what is to be replicated, as events of replication name it (s3Operation).
type Operation string

// The operations.
const (
	OpPut       Operation = "OBJECT_PUT"
	OpMarker    Operation = "DELETE_MARKER"
	OpTags      Operation = "OBJECT_PUT_TAGGING"
	OpACL       Operation = "OBJECT_PUT_ACL"
	OpRetention Operation = "OBJECT_PUT_RETENTION"
	OpLegalHold Operation = "OBJECT_PUT_LEGAL_HOLD"
)

// ReplicaChange is a change of a version that may be replicated: a new version, or a change
// of what is mutable of one.
type ReplicaChange struct {
	Operation Operation
	Bucket    *bucket.Bucket
	Key       string
	VersionID string
	Owner     string // account of the version; "" is nobody's
	Tags      []bucket.Tag
	Size      int64
	ETag      string
	Class     string // storage class; "" is STANDARD
	Algorithm string // as sse.Applied; "" for delete markers
	Replica   bool   // the version is itself a replica
	// Replicated are the destinations that a version has, or is to have, when what is mutable
	// of it changes: such a change goes there and nowhere else. Those that failed are not
	// among them.
	Replicated []string
	Time       time.Time
}

// Replicator decides what is replicated to where, and sees to it. It is asked only about
// buckets that have a replication configuration.
type Replicator interface {
	// Plan returns to which buckets a change is to be replicated, nil for none, and adds to the
	// batch of the change the rows that see to it. It is called again for each try of a commit
	// that is repeated. committed, which may be nil, is to be called when the batch is
	// committed.
	Plan(ctx context.Context, batch *meta.Batch, c ReplicaChange) (destinations []string, committed func(), err error)
}

// ReplicateWith sets who replicates. It is called before the first request.
func (o *Objects) ReplicateWith(r Replicator) { o.replicator = r }

// planNew plans the replication of a new version, in the batch that makes it, and notes in its
// record what is to become of it. It costs nothing where there is no configuration.
func (o *Objects) planNew(ctx context.Context, batch *meta.Batch, b *bucket.Bucket, r *record) ([]note, error) {
	r.Replication = replication{}
	op := OpPut
	if r.Marker {
		op = OpMarker
	}
	return o.plan(ctx, batch, b, op, r)
}

// planChange plans the replication of a change of what is mutable of a version.
func (o *Objects) planChange(ctx context.Context, batch *meta.Batch, b *bucket.Bucket, op Operation, r *record) ([]note, error) {
	if !r.Replication.given() { // it has no replica, and is none
		return nil, nil
	}
	at := r.Replication.Changed.at(op.aspect())
	*at = max(time.Now().UnixNano(), *at+1)
	return o.plan(ctx, batch, b, op, r)
}

func (o *Objects) plan(ctx context.Context, batch *meta.Batch, b *bucket.Bucket, op Operation, r *record) ([]note, error) {
	if o.replicator == nil || !b.Has(bucket.ReplicationDocument) {
		return nil, nil
	}
	c := ReplicaChange{
		Operation: op, Bucket: b, Key: r.Key, VersionID: r.wireVersion(), Owner: r.Owner, Tags: r.Tags, Size: r.Size, ETag: r.ETag,
		Class: r.StorageClass, Replica: r.Replication.Replica, Replicated: r.Replication.live(), Time: time.Now(),
	}
	if !r.Marker {
		c.Algorithm = o.encryptionOf(ctx, b, r).Algorithm
	}
	to, committed, err := o.replicator.Plan(ctx, batch, c)
	if err != nil {
		return nil, fmt.Errorf("plan replication: %w", err)
	}
	r.Replication.plan(to, op.aspect())
	if committed == nil {
		return nil, nil
	}
	return []note{func(context.Context, *meta.Batch) (func(), error) { return committed, nil }}, nil
}

// Replicate is to make a version's replica in another bucket, or to bring what is mutable of
// it up to date.
type Replicate struct {
	Source         bucket.Ref
	SourceUID      bucket.UID
	Key, VersionID string
	Destination    string // bucket
	// Operation is what the source's change was: nothing else of a version that is there already is
	// brought up to date; "" is all.
	Operation Operation
	// KMSKey is the key of what is under SSE-KMS or DSSE-KMS; "" replicates nothing of that.
	KMSKey       string
	StorageClass string // "" is the source's
	// ToOwner gives the replica to the owner of its bucket, without the source's list of grants.
	ToOwner bool
	// WithoutTags leaves the source's tags behind.
	WithoutTags bool
	// Decided is what it was decided by that this may be done; nil is nothing that could change.
	Decided *Decided
}

// Decided is what permissions to replicate are decided by, and may have changed since.
type Decided struct {
	Destination bucket.UID
	Changed     Changed // as Facts has it
	Algorithm   string  // as sse.Applied has it; "" for delete markers
}

// ErrChanged is Replicate's error when something is not as Decided says.
var ErrChanged = errors.New("object: the version has changed since it was decided that it may be replicated")

// Replica is what Replicate did.
type Replica struct {
	Made    bool // a new version; else one that was there
	Synced  bool // of one that was there something was changed
	Marker  bool
	Size    int64
	Stored  Stored      // the replica, when it was made
	FromSSE sse.Applied // the source's encryption, when it was read
	Taken   Taken       // for Replicated
}

// Taken is what a replica has of its source.
type Taken struct {
	of      aspect
	changed Changed
}

// ErrSourceGone is Replicate's error when there is nothing to replicate any more: the version, or
// its bucket, was deleted.
var ErrSourceGone = errors.New("object: the version to replicate is gone")

// ReplicaError is a failure of Replicate that no further try mends. All others but ErrSourceGone
// are transient.
type ReplicaError struct {
	Reason string // as in the failureReason of S3's events of replication, "DstKmsKeyNotFound"
	Err    error
}

func (e *ReplicaError) Error() string {
	if e.Err == nil {
		return e.Reason
	}
	return e.Reason + ": " + e.Err.Error()
}

func (e *ReplicaError) Unwrap() error { return e.Err }

// Replicate makes a version's replica in another bucket, as by, or brings what is mutable of
// it up to date: tags, list of grants, lock. It can be repeated. Permissions for S3's actions
// are the caller's business; the KMS decides for itself. The record of what was written may go
// with the commit (audit.WithJoin): its result is a Replica. Errors: ErrSourceGone, ErrChanged,
// *ReplicaError, and those that may not last. What it took is in the Replica also on a
// *ReplicaError, for who takes that for no failure.
func (o *Objects) Replicate(ctx context.Context, by iam.Caller, in Replicate) (Replica, error) {
	return rereading(func() (Replica, error) { return o.replicate(ctx, by, in) })
}

// Replicated notes in a version what became of it, or of a change of it, for a destination: with
// ReplicaCompleted, that taken is replicated. It is COMPLETED when all is. done, which may be nil,
// adds to the commit what goes with it, again for each try. A version that is gone is no error:
// done is committed all the same.
func (o *Objects) Replicated(ctx context.Context, ref bucket.Ref, uid bucket.UID, key, versionID, destination string, state ReplicaState, taken Taken, done func(*meta.Batch)) error {
	return o.noteReplicated(ctx, VersionRef{Ref{ref, key}, versionID}, uid, destination, state, taken, done)
}
