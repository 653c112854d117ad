// SPDX-License-Identifier: Apache-2.0

package object

import (
	"context"
	"time"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Event names what became of an object, as S3's event notifications do, without "s3:".
type Event string

// The events. A new encryption of what is stored (UpdateEncryption) has none on S3.
const (
	CreatedPut        Event = "ObjectCreated:Put"
	CreatedPost       Event = "ObjectCreated:Post"
	CreatedCopy       Event = "ObjectCreated:Copy"
	CreatedMultipart  Event = "ObjectCreated:CompleteMultipartUpload"
	Removed           Event = "ObjectRemoved:Delete"
	Hidden            Event = "ObjectRemoved:DeleteMarkerCreated"
	TaggingPut        Event = "ObjectTagging:Put"
	TaggingDeleted    Event = "ObjectTagging:Delete"
	AnnotationPut     Event = "ObjectAnnotation:Put"
	AnnotationDeleted Event = "ObjectAnnotation:Delete"
	ACLPut            Event = "ObjectAcl:Put"
	Expired           Event = "LifecycleExpiration:Delete"
	ExpiredHidden     Event = "LifecycleExpiration:DeleteMarkerCreated"
	Transitioned      Event = "LifecycleTransition"
	RestorePosted     Event = "ObjectRestore:Post"
	RestoreCompleted  Event = "ObjectRestore:Completed"
	RestoreDeleted    Event = "ObjectRestore:Delete"

	ReplicationFailed    Event = "Replication:OperationFailedReplication"
	ReplicationMissed    Event = "Replication:OperationMissedThreshold"
	ReplicationLate      Event = "Replication:OperationReplicatedAfterThreshold"
	ReplicationUntracked Event = "Replication:OperationNotTracked"
)

// Change is an event, what it is about, and who caused it.
type Change struct {
	Event     Event
	By        iam.Caller
	Bucket    *bucket.Bucket
	Key       string
	VersionID string // "" in a bucket that never had versioning
	ETag      string
	Size      int64
	Marker    bool   // the version is a delete marker
	Class     string // storage class of the version; "" is STANDARD
	Time      time.Time
	// Replication is what an event of replication is about; nil in others.
	Replication *ReplicationFacts
}

// ReplicationFacts tell of a version on its way to another bucket.
type ReplicationFacts struct {
	Rule        string // id
	Destination string // ARN of the bucket
	Operation   Operation
	Requested   time.Time
	Reason      string        // of a failure
	Threshold   time.Duration // of events about time; 0 in others
	Replicated  time.Time     // when the replica was made, late; zero otherwise
}

// Notifier takes changes to whom buckets' configurations of notifications name.
type Notifier interface {
	// Queue adds to the batch that makes a change what makes the change known, so that
	// either both are durable or neither. It is called again for each try of a commit that
	// is repeated. committed, nil when nobody wants to know, is to be called when the
	// batch is committed.
	Queue(ctx context.Context, b *meta.Batch, c Change) (committed func(), err error)
}

// Notify sets who is told of changes. It is called before the first request.
func (o *Objects) Notify(n Notifier) { o.notifier = n }

// note adds to a batch what goes with its change. committed, which may be nil, is to be called
// when the batch is committed.
type note func(ctx context.Context, b *meta.Batch) (committed func(), err error)

// changed returns what tells of a change of a version, for commit: nothing, at no cost, in a
// bucket without notifications.
func (o *Objects) changed(b *bucket.Bucket, event Event, by iam.Caller, r *record) []note {
	if event == "" || o.notifier == nil || !b.Has(bucket.NotificationDocument) {
		return nil
	}
	c := Change{
		Event: event, By: by, Bucket: b, Key: r.Key, ETag: r.ETag, Size: r.Size,
		Marker: r.Marker, Class: r.StorageClass, Time: time.Now(),
	}
	if b.Versioning != "" {
		c.VersionID = r.wireVersion()
	}
	return []note{func(ctx context.Context, b *meta.Batch) (func(), error) { return o.notifier.Queue(ctx, b, c) }}
}

// added adds to a batch what goes with its change. The functions are to be called when it is
// committed.
func added(ctx context.Context, b *meta.Batch, notes []note) (committed []func(), err error) {
	for _, n := range notes {
		f, err := n(ctx, b)
		if err != nil {
			return nil, err
		}
		if f != nil {
			committed = append(committed, f)
		}
	}
	return committed, nil
}
