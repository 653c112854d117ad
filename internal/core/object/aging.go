// SPDX-License-Identifier: Apache-2.0

package object

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/lifecycle"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// rules returns the lifecycle rules of a bucket; ok is false where there are none, which
// costs nothing to know.
func (o *Objects) rules(ctx context.Context, b *bucket.Bucket) (r lifecycle.Rules, ok bool, err error) {
	l, err := o.buckets.Lifecycle(ctx, b)
	return lifecycle.Rules{Lifecycle: l, Calendar: o.cfg.Calendar}, l != nil, err
}

// Expiry is when, and by which lifecycle rule, something will end. The zero value is
// that none says so.
type Expiry struct {
	Time time.Time
	Rule string // id
}

// expiry returns when a current version expires.
func (o *Objects) expiry(ctx context.Context, b *bucket.Bucket, r *record) (Expiry, error) {
	rules, ok, err := o.rules(ctx, b)
	if err != nil || !ok {
		return Expiry{}, err
	}
	due, id, ok := rules.Expiry(r.Key, ageOf(r))
	if !ok {
		return Expiry{}, nil
	}
	return Expiry{time.UnixMilli(due).UTC(), id}, nil
}

// abortion returns when an upload is given up.
func (o *Objects) abortion(ctx context.Context, b *bucket.Bucket, u *upload) (Expiry, error) {
	rules, ok, err := o.rules(ctx, b)
	if err != nil || !ok {
		return Expiry{}, err
	}
	due, id, ok := rules.Abortion(u.Key, u.Created)
	if !ok {
		return Expiry{}, nil
	}
	return Expiry{time.UnixMilli(due).UTC(), id}, nil
}

// ageOf is what lifecycle rules ask of a version by itself.
func ageOf(r *record) *lifecycle.Version {
	return &lifecycle.Version{Created: r.Created, Size: r.Size, Class: r.StorageClass, Tags: r.Tags, Marker: r.Marker}
}

// Due is a version and what a lifecycle rule demands of it, or an upload that is to be
// given up.
type Due struct {
	lifecycle.Action
	Key string

	age     lifecycle.Version
	current bool
	found
	upload *upload
}

// judge says what rules demand of a version in a bucket, at a time in milliseconds.
func (d *Due) judge(rules lifecycle.Rules, b *bucket.Bucket, now int64) lifecycle.Action {
	switch {
	case d.upload != nil:
		if due, id, ok := rules.Abortion(d.Key, d.upload.Created); ok && due <= now {
			return lifecycle.Action{Kind: lifecycle.Abort, Rule: id}
		}
		return lifecycle.Action{}
	case d.Replication.pending() && b.Has(bucket.ReplicationDocument):
		return lifecycle.Action{} // it must stay until it is replicated
	case !d.current:
		return rules.Noncurrent(d.Key, &d.age, now)
	}
	v := d.age
	v.Permanent = b.Versioning == "" || b.Versioning == bucket.Suspended && d.Null
	return rules.Current(d.Key, &v, now)
}

// AgingWalk goes through all versions of a bucket's objects below a prefix and finds those
// of which a lifecycle rule demands something.
//
// Rows move while they are walked. What is missed for that is found by the next walk, and
// what is found is looked at again before anything is done: see [Objects.Age].
type AgingWalk struct {
	o      *Objects
	bucket *bucket.Bucket
	rules  lifecycle.Rules
	now    int64
	merge  merge
	// damaged is told of rows that cannot be read.
	damaged func(error)

	key     string    // of the versions that are met
	id      versionID // of the current one
	ver     uint64    // of its row
	through string    // all versions of this key, and of those before it, have been met
	since   int64
	newer   int
}

// agingBatch is how many rows a walk reads at a time.
const agingBatch = 500

// around is a store of which damaged rows are passed over.
type around struct {
	meta.Store
	o       *Objects
	damaged func(error)
}

func (s around) Scan(ctx context.Context, r meta.Range) (meta.Page, error) {
	return s.o.scanAround(ctx, r, func(key []byte, err error) { s.damaged(fmt.Errorf("row %q: %w", key, err)) })
}

// Aging returns a walk over the versions of the keys after after. now is the time by
// which it judges. damaged is told of rows that cannot be read: nothing happens to what is in
// them, nor to what they alone say the age of. It returns nil when the bucket has no rules.
func (o *Objects) Aging(ctx context.Context, b *bucket.Bucket, prefix, after string, now time.Time, damaged func(error)) (*AgingWalk, error) {
	rules, ok, err := o.rules(ctx, b)
	if err != nil || !ok {
		return nil, err
	}
	rows := around{o.store, o, damaged}
	return &AgingWalk{o: o, bucket: b, rules: rules, now: now.UnixMilli(), through: after, damaged: damaged, merge: merge{
		current: ahead{walk: newWalk(rows, bucketPrefix("c/", b.UID), 0, prefix, "", after, agingBatch)},
		others:  ahead{walk: newWalk(rows, bucketPrefix("v/", b.UID), versionSuffix, prefix, "", after, agingBatch)},
	}}, nil
}

// Through returns the last key of which all versions have been met.
func (w *AgingWalk) Through() string { return w.through }

// maxDueParts bounds what the versions that a walk returns at once hold in memory: their
// parts, whose streams are released with them.
const maxDueParts = 20_000

// Next looks at up to limit versions and returns those of which something is due, and how
// many it has seen: none at the end.
func (w *AgingWalk) Next(ctx context.Context, limit int) (due []Due, seen int, err error) {
	parts := 0
	for seen < limit && parts < maxDueParts {
		r, latest, err := w.merge.next(ctx)
		var bad *undecoded
		if errors.As(err, &bad) {
			w.damaged(bad)
			continue
		}
		if err != nil {
			return nil, 0, fmt.Errorf("read versions of %q: %w", w.bucket.Name, err)
		}
		if r == nil {
			break
		}
		seen++
		d, ok := w.meet(r, latest)
		if !ok {
			continue
		}
		if d.Action = d.judge(w.rules, w.bucket, w.now); d.Kind == "" {
			continue
		}
		if ok, err = w.behind(ctx, &d); err != nil {
			return nil, 0, err
		}
		if ok {
			due = append(due, d)
			parts += len(r.Parts) + r.Annotations.count()
		}
	}
	if seen < limit && parts < maxDueParts {
		w.through = max(w.through, w.key)
	}
	return due, seen, nil
}

// behind reports whether a version that is not current has been so since the walk met the one
// that is. Rows of current versions are read first: meanwhile that one may have gone, this
// have taken its place, and another have come. What is there still was there all the time.
func (w *AgingWalk) behind(ctx context.Context, d *Due) (bool, error) {
	if d.current {
		return true, nil
	}
	uid := w.bucket.UID
	items, err := w.o.store.Get(ctx, currentKey(uid, w.key), versionKey(uid, w.key, w.id))
	if err != nil {
		return false, fmt.Errorf("look before a version: %w", err)
	}
	return items[0].Ver == w.ver || items[1].Ver != 0, nil
}

// meet notes where a version stands among those of its key. ok is false for one without
// a current version before it, and for the current one and what is newer: those have just
// moved.
func (w *AgingWalk) meet(r *record, latest bool) (d Due, ok bool) {
	d = Due{Key: r.Key, age: *ageOf(r), current: latest}
	d.age.Locked = w.o.protected(r)
	uid := w.bucket.UID
	if latest {
		w.through, w.key, w.since, w.newer = max(w.through, w.key), r.Key, since(r), 0
		w.id, w.ver = r.id(), w.merge.current.ver
		next := w.merge.others.r
		d.age.Alone = next == nil || next.Key != r.Key
		d.found = found{record: r, row: currentKey(uid, r.Key), ver: w.merge.current.ver, current: true}
		return d, true
	}
	if w.key != r.Key || !w.id.newer(r.id()) {
		return d, false
	}
	d.age.Since, d.age.Newer = w.since, w.newer
	d.found = found{record: r, row: versionKey(uid, r.Key, r.id()), ver: w.merge.others.ver}
	w.since = since(r)
	w.newer++
	return d, true
}

// since returns when a version made the one before it noncurrent: when it was created. What
// was uploaded in parts is as old as its upload, but was not there before its completion.
func since(r *record) int64 {
	if r.Upload != nil {
		return r.Time
	}
	return r.Created
}

// AgingUploads returns a page of the uploads below a prefix that are to be given up, and
// from where to go on: nil at the end. It begins there at nil. damaged is told of rows that
// cannot be read.
func (o *Objects) AgingUploads(ctx context.Context, b *bucket.Bucket, prefix string, from []byte, now time.Time, damaged func(error)) (due []Due, next []byte, err error) {
	rules, ok, err := o.rules(ctx, b)
	if err != nil || !ok {
		return nil, nil, err
	}
	first := appendKey(bucketPrefix("u/", b.UID), prefix)
	if from == nil {
		from = first
	}
	page, err := around{o.store, o, damaged}.Scan(ctx, meta.Range{Start: from, End: meta.PrefixEnd(first), Limit: agingBatch, MaxBytes: scanBytes})
	if err != nil {
		return nil, nil, fmt.Errorf("read uploads of %q: %w", b.Name, err)
	}
	for _, item := range page.Items {
		u, err := decodeUpload(item.Value)
		if err != nil {
			damaged(err)
			continue
		}
		d := Due{Key: u.Key, upload: u, found: found{row: item.Key, ver: item.Ver}}
		if d.Action = d.judge(rules, b, now.UnixMilli()); d.Kind != "" {
			due = append(due, d)
		}
	}
	if page.More {
		next = page.Next
	}
	return due, next, nil
}
