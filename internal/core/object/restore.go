// SPDX-License-Identifier: Apache-2.0

package object

import (
	"context"
	"fmt"
	"time"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Kinds of fault of archived objects.
const (
	// Archived: the object is not read until it is restored. Detail StorageClass.
	Archived fault.Kind = "object: archived"
	// NotArchived: there is nothing to restore. Detail StorageClass.
	NotArchived fault.Kind = "object: not archived"
)

// Storage classes whose objects must be restored before they are read.
const (
	Glacier     = "GLACIER"
	DeepArchive = "DEEP_ARCHIVE"
)

// archived reports whether the version's bytes are not to be read: they are on the same disk
// as all others, but who wrote them into an archive relies on it that reading them takes
// another permission and another request.
func (r *record) archived() bool {
	return (r.StorageClass == Glacier || r.StorageClass == DeepArchive) && time.Now().UnixMilli() >= r.Restored
}

// readable faults what must be restored first.
func (r *record) readable(text string) error {
	if r.archived() {
		return fault.New(Archived, "%s", text).With("StorageClass", r.StorageClass)
	}
	return nil
}

// restoredUntil returns when the version's restored copy goes; zero when there is none.
func restoredUntil(class string, ms int64) time.Time {
	if class != Glacier && class != DeepArchive || ms <= time.Now().UnixMilli() {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// Restore makes an archived version readable for a while.
type Restore struct {
	VersionRef
	Days int
	// Tier is how fast it is to be: Standard (also ""), Bulk, Expedited. All are at once.
	Tier string
}

// maxRestoreDays keeps the last day in a year of four digits, which the header needs.
const maxRestoreDays = 2_900_000

// Needs says what the request must be allowed.
func (in Restore) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:RestoreObject", Resource: in.ARN(), Version: in.VersionID}}
}

// Restoring tells how a restore went. Already says that the version was readable before: then
// it is for longer, or for less long.
type Restoring struct {
	VersionID string
	Already   bool
}

// Restore makes an archived version readable, at once, until the midnight (UTC) that follows
// on the days asked for (S3 API Reference, RestoreObject). Faults: NoSuchKey, NoSuchVersion,
// DeleteMarker, NotArchived, InvalidArgument.
func (o *Objects) Restore(ctx context.Context, by iam.Caller, in Restore) (out Restoring, err error) {
	if in.Days < 1 || in.Days > maxRestoreDays {
		return out, fault.New(InvalidArgument, "The number of days must be between 1 and %d.", maxRestoreDays).
			With("ArgumentName", "Days").With("ArgumentValue", fmt.Sprint(in.Days))
	}
	b, err := o.buckets.ForWrite(ctx, in.Ref.Ref)
	if err != nil {
		return out, err
	}
	err = o.retry(ctx, in.Ref, b.UID, func(b *bucket.Bucket) error {
		v, err := o.find(ctx, b, in.Key, in.VersionID)
		if err == nil && v.Marker {
			err = markerFault(in.VersionRef, v.record)
		}
		if err != nil {
			return err
		}
		if err := restorable(v.record, in.Tier); err != nil {
			return err
		}
		out = Restoring{Already: !v.archived()}
		if b.Versioning != "" {
			out.VersionID = v.wireVersion()
		}
		v.Restored = restoreEnd(time.Now(), in.Days).UnixMilli()
		changes := o.changed(b, RestorePosted, by, v.record)
		if !out.Already {
			changes = append(changes, o.changed(b, RestoreCompleted, by, v.record)...)
		}
		var batch meta.Batch
		batch.PutIf(v.row, v.encode(), v.ver)
		return o.commit(ctx, &batch, changes...)
	})
	return out, err
}

func restorable(r *record, tier string) error {
	switch r.StorageClass {
	case Glacier:
		return nil
	case DeepArchive:
		if tier == "Expedited" {
			return fault.New(InvalidArgument, "Retrieval option is not supported by this storage class").
				With("ArgumentName", "Tier").With("ArgumentValue", tier)
		}
		return nil
	}
	class := r.StorageClass
	if class == "" {
		class = Standard
	}
	return fault.New(NotArchived, "").With("StorageClass", class)
}

// restoreEnd returns the midnight that follows on that many days.
func restoreEnd(now time.Time, days int) time.Time {
	const day = 24 * time.Hour
	end := now.UTC().AddDate(0, 0, days)
	if midnight := end.Truncate(day); !midnight.Equal(end) {
		return midnight.Add(day)
	}
	return end
}
