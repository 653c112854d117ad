// SPDX-License-Identifier: Apache-2.0

package object

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// errReplicaThere is for a version that the bucket has already.
var errReplicaThere = errors.New("object: the bucket has the version already")

// placingReplica is what goes with putting a replica into its place.
type placingReplica struct {
	event  Event
	lock   Lock              // the source's
	add    func(*meta.Batch) // adds the rows that must be committed together with it
	result func(*bucket.Bucket) Replica
}

// placeReplica puts a version that was made in another bucket where it belongs among those of
// its key, in one commit: in front, if it is the newest, else behind the current one. It is not
// replicated further (S3 User Guide, "What isn't replicated").
func (o *Objects) placeReplica(ctx context.Context, p *replicating, r *record, in placingReplica) error {
	err := o.retry(ctx, p.ref, p.dst.UID, func(b *bucket.Bucket) error {
		if err := takesReplica(p.src.b, b); err != nil {
			return err
		}
		return o.placeReplicaOnce(ctx, p, b, r, in)
	})
	return bucketGone(err)
}

// bucketGone is for a destination that was deleted. One that is being deleted may stay.
func bucketGone(err error) error {
	if errors.Is(err, bucket.NoSuchBucket) {
		return &ReplicaError{Reason: dstNoBucket, Err: err}
	}
	return err
}

// placeReplicaOnce is one try of placeReplica: a conflict is the caller's.
func (o *Objects) placeReplicaOnce(ctx context.Context, p *replicating, b *bucket.Bucket, r *record, in placingReplica) error {
	own := versionKey(b.UID, r.Key, r.id())
	rows, err := o.store.Get(ctx, currentKey(b.UID, r.Key), own, nullKey(b.UID, r.Key))
	if err != nil {
		return fmt.Errorf("read current version: %w", err)
	}
	row, null := rows[0], rows[2]
	old, err := recordIn(row, b.UID, r.Key)
	if err != nil {
		return err
	}
	if rows[1].Ver != 0 || old != nil && old.id() == r.id() {
		return errReplicaThere
	}
	if r.Marker {
		r.Lock = Lock{}
	} else if r.Lock = in.lock; b.ObjectLock == nil {
		r.Lock = Lock{}
	} else {
		r.Lock = o.lockOf(b, in.lock, 0)
	}
	var batch meta.Batch
	guard, ver := b.Guard()
	batch.Cond(guard, ver)
	if err := o.fresh(ctx, b.UID, r.Wrap); err != nil {
		return err
	}
	if old == nil || r.id().newer(old.id()) {
		if _, err := o.stepBehind(ctx, &batch, b, r, old, null); err != nil {
			return err
		}
		batch.PutIf(row.Key, r.encode(), row.Ver)
	} else {
		// The current version must be there still, and whoever has looked behind it must look
		// again: a delete that promotes what it found there, a rule that removes a lone marker.
		batch.PutIf(row.Key, row.Value, row.Ver)
		batch.PutIf(own, r.encode(), 0)
	}
	if err := o.depend(ctx, &batch, b.UID, dependence{r.Wrap, +1}); err != nil {
		return err
	}
	in.add(&batch)
	return o.conclude(ctx, &batch, in.result(b), o.changed(b, in.event, p.by, r)...)
}

// syncReplica brings what is mutable of a version that the destination has up to date: tags,
// list of grants, lock. Of changes in both buckets the later one counts, but that what makes a
// lock stronger always does.
func (o *Objects) syncReplica(ctx context.Context, p *replicating) (out Replica, err error) {
	src := p.src.r
	err = o.retry(ctx, p.ref, p.dst.UID, func(b *bucket.Bucket) error {
		if err := takesReplica(p.src.b, b); err != nil {
			return err
		}
		v, err := o.find(ctx, b, src.Key, src.id().String())
		if errors.Is(err, NoSuchVersion) || err == nil && v.UID != src.UID {
			return &ReplicaError{Reason: dstNoVersion, Err: err}
		}
		if err != nil {
			return err
		}
		out = Replica{Marker: v.Marker, Size: v.Size, Stored: Stored{VersionID: v.wireVersion(), ETag: v.ETag, Size: v.Size, Modified: v.modified(), Checksum: v.Checksum}}
		out.Taken = p.taken(p.Operation.aspect() | itself)
		if v.Marker {
			return nil
		}
		out.Stored.SSE = o.encryptionOf(ctx, b, v.record)
		news, err := o.takeOver(ctx, p, b, v.record)
		if err != nil || !news {
			return err
		}
		out.Synced = true
		var batch meta.Batch
		guard, ver := b.Guard() // do lists count still?
		batch.Cond(guard, ver)
		batch.PutIf(v.row, v.encode(), v.ver)
		return o.conclude(ctx, &batch, out)
	})
	return out, bucketGone(err)
}

// taken says that a replica has these aspects as the source had them.
func (p *replicating) taken(of aspect) Taken { return Taken{of, p.src.r.Replication.Changed} }

// later reports whether an aspect of the source was changed after that of the version that the
// destination has. Of two changes of one moment that in the bucket with the smaller UID
// counts, in both.
func (p *replicating) later(dst *bucket.Bucket, v *record, a aspect) bool {
	was, is := *v.Replication.Changed.at(a), *p.src.r.Replication.Changed.at(a)
	return is > was || is == was && is > 0 && slices.Compare(p.src.b.UID[:], dst.UID[:]) < 0
}

// takeOver puts what the operation changed, if it was changed in the source later, into the
// record of its replica, and reports whether that changed. It takes nothing else along: whose
// permission it rests on was asked for no more.
func (o *Objects) takeOver(ctx context.Context, p *replicating, b *bucket.Bucket, v *record) (news bool, err error) {
	for _, a := range changes {
		if p.Operation.aspect()&a == 0 {
			continue
		}
		took, err := o.takeOverOne(ctx, p, b, v, a)
		if err != nil {
			return false, err
		}
		if at := v.Replication.Changed.at(a); took {
			*at, news = max(*at, *p.src.r.Replication.Changed.at(a)), true
		}
	}
	return news, nil
}

func (o *Objects) takeOverOne(ctx context.Context, p *replicating, b *bucket.Bucket, v *record, a aspect) (took bool, err error) {
	src, later := p.src.r, p.later(b, v, a)
	switch {
	case a == itsRetention, a == itsHold:
		lock := o.lockTaken(ctx, b, v.Lock, src.Lock, a, later)
		took, v.Lock = lock != v.Lock, lock
	case !later:
	case a == itsTags:
		if took = !p.WithoutTags && !slices.Equal(v.Tags, src.Tags); took {
			v.Tags = src.Tags
		}
	case a == itsGrants && !p.ToOwner && b.HasACLs() && p.src.b.HasACLs():
		g, err := o.replicaGranting(ctx, p, b)
		if err != nil {
			return false, err
		}
		if took = !slices.Equal(v.ACL, g.list) || (v.ACL == nil) != (g.list == nil); took {
			v.ACL = g.list
		}
	}
	return took, nil
}

// lockTaken returns the lock of a version that takes over its source's retention, or its hold.
// later says that the source's was changed after the version's. A retention in compliance mode
// is never made weaker, and makes another one stronger whenever it came: no later change in the
// source can take it back. Nor is a retention taken away that the bucket gives to all.
func (o *Objects) lockTaken(ctx context.Context, b *bucket.Bucket, was, source Lock, of aspect, later bool) Lock {
	to := was
	switch {
	case b.ObjectLock == nil:
	case of == itsHold && source.Hold != "" && (later || was.Hold == ""):
		to.Hold = source.Hold
	case of == itsRetention && (later || source.Mode == bucket.Compliance) && (source.Mode != "" || b.ObjectLock.Mode == ""):
		to.Mode, to.Until = source.Mode, source.Until
		var bypass Bypass
		if later || !to.Until.Before(was.Until) { // who changed the source's was held against its retention in governance mode
			bypass = func(context.Context, VersionRef) error { return nil }
		}
		if o.changeable(ctx, VersionRef{}, was, to, bypass) != nil {
			return was
		}
	}
	return to
}
