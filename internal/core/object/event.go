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

// changed returns what is to be told of a change of a version, for commit: nothing, at no
// cost, in a bucket without notifications.
func (o *Objects) changed(b *bucket.Bucket, event Event, by iam.Caller, r *record) []Change {
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
	return []Change{c}
}

// queue adds to a batch what makes changes known. The functions are to be called when it is
// committed.
func (o *Objects) queue(ctx context.Context, b *meta.Batch, changes []Change) (committed []func(), err error) {
	for _, c := range changes {
		f, err := o.notifier.Queue(ctx, b, c)
		if err != nil {
			return nil, err
		}
		if f != nil {
			committed = append(committed, f)
		}
	}
	return committed, nil
}
