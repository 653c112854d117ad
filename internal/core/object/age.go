// SPDX-License-Identifier: Apache-2.0

package object

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/lifecycle"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Aged is what was done to a version, or an upload, by a lifecycle rule.
type Aged struct {
	lifecycle.Action
	Key       string
	VersionID string // of the version; "" in a bucket that never had versioning
	Marker    string // of the delete marker that took its place
	Size      int64
}

// ageBatch is how many versions share a commit, and so a sync. A conflict on one of them
// makes each be tried by itself.
const ageBatch = 64

// Age does what lifecycle rules demand of versions, in commits that also demand that the
// versions' rows and the bucket are as they were read, its rules included. What has changed
// meanwhile, or is not due by the rules that hold now, is left for another walk. It asks for
// nobody's permission, and uses no key. Faults: NoSuchBucket, bucket.BeingDeleted.
func (o *Objects) Age(ctx context.Context, ref bucket.Ref, uid bucket.UID, due []Due, now time.Time) (done []Aged, err error) {
	for len(due) > 0 {
		n := 0
		for parts := 0; n < min(len(due), ageBatch) && (n == 0 || parts < maxDueParts); n++ {
			if r := due[n].record; r != nil {
				parts += len(r.Parts) + r.Annotations.count()
			}
		}
		some, err := o.ageMany(ctx, ref, uid, due[:n], now)
		done = append(done, some...)
		if err != nil {
			return done, err
		}
		due = due[n:]
	}
	return done, nil
}

// ageMany tries in one commit, and one by one when that conflicts.
func (o *Objects) ageMany(ctx context.Context, ref bucket.Ref, uid bucket.UID, due []Due, now time.Time) ([]Aged, error) {
	done, err := o.ageOnce(ctx, ref, uid, due, now)
	var conflict *meta.ConflictError
	if !errors.As(err, &conflict) {
		return done, err
	}
	done = nil
	for i := range due {
		one, err := o.ageOnce(ctx, ref, uid, due[i:i+1], now)
		if errors.As(err, &conflict) {
			continue // it is somebody else's now
		}
		if err != nil {
			return done, err
		}
		done = append(done, one...)
	}
	return done, nil
}

// ageOnce is one commit: a conflict is the caller's.
func (o *Objects) ageOnce(ctx context.Context, ref bucket.Ref, uid bucket.UID, due []Due, now time.Time) ([]Aged, error) {
	b, err := o.buckets.ForWrite(ctx, ref)
	if err != nil {
		return nil, err
	}
	if b.UID != uid {
		return nil, fault.New(bucket.NoSuchBucket, "").With("BucketName", ref.Bucket)
	}
	rules, ok, err := o.rules(ctx, b)
	if err != nil || !ok {
		return nil, err
	}
	a := aging{o: o, bucket: b, rules: rules, now: now.UnixMilli()}
	guard, ver := b.Guard()
	a.batch.Cond(guard, ver)
	for i := range due {
		d := due[i]
		if d.Action = d.judge(rules, b, a.now); d.Kind == "" {
			continue
		}
		if err := a.add(ctx, &d); err != nil {
			return nil, err
		}
	}
	if len(a.done) == 0 {
		return nil, nil
	}
	if err := o.depend(ctx, &a.batch, uid, a.gone...); err != nil {
		return nil, err
	}
	if err := o.commit(ctx, &a.batch, a.notes...); err != nil {
		return nil, err
	}
	return a.done, nil
}

// aging is a commit under construction.
type aging struct {
	o      *Objects
	bucket *bucket.Bucket
	rules  lifecycle.Rules
	now    int64
	batch  meta.Batch
	gone   []dependence
	done   []Aged
	// replaced is the last key whose null version the marker in this commit replaces, wherever
	// it stands.
	replaced *string

	notes []note // of what is to be told
}

// byRules is who acts by lifecycle rules, for who is told of it.
var byRules = iam.Caller{Principal: iam.Principal{Type: iam.AWSService, ARN: "s3.amazonaws.com", PrincipalID: "s3.amazonaws.com"}}

// tell notes what became of a version.
func (a *aging) tell(event Event, r *record) {
	a.notes = append(a.notes, a.o.changed(a.bucket, event, byRules, r)...)
}

// add adds what is due of one version.
func (a *aging) add(ctx context.Context, d *Due) error {
	done := Aged{Action: d.Action, Key: d.Key}
	if a.replaced != nil && *a.replaced == d.Key && d.record != nil && d.Null && !d.current {
		return nil // it has gone by now
	}
	if d.record != nil {
		done.Size = d.Size
		if a.bucket.Versioning != "" {
			done.VersionID = d.wireVersion()
		}
	}
	ok, err := true, error(nil)
	switch {
	case d.Kind == lifecycle.Abort:
		err = a.abort(ctx, d)
	case d.Kind == lifecycle.Transition:
		r := *d.record
		r.StorageClass = d.Class
		a.batch.PutIf(d.row, r.encode(), d.ver)
		a.tell(Transitioned, &r)
	case d.Kind == lifecycle.RemoveMarker:
		ok, err = a.removeMarker(ctx, d)
	case d.Kind == lifecycle.Remove, a.bucket.Versioning == "":
		err = a.remove(ctx, d)
	default:
		done.Marker, err = a.hide(ctx, d)
	}
	if ok && err == nil {
		a.done = append(a.done, done)
	}
	return err
}

// remove removes a version for good.
func (a *aging) remove(ctx context.Context, d *Due) error {
	a.batch.Cond(d.row, d.ver)
	a.batch.Delete(d.row)
	a.o.release(&a.batch, d.record)
	a.tell(Expired, d.record)
	a.gone = append(a.gone, dependence{d.Wrap, -1})
	if d.current || !d.Null {
		return nil
	}
	return a.o.forgetNull(ctx, &a.batch, a.bucket, d.record.Key)
}

// removeMarker removes a marker that is all there is of a key. A version behind it that the
// walk did not see yet keeps it: while the current version stays, none comes.
func (a *aging) removeMarker(ctx context.Context, d *Due) (bool, error) {
	prefix := versionsPrefix(a.bucket.UID, d.record.Key)
	page, err := a.o.store.Scan(ctx, meta.Range{Start: prefix, End: meta.PrefixEnd(prefix), Limit: 1, KeysOnly: true})
	if err != nil {
		return false, fmt.Errorf("look behind a delete marker: %w", err)
	}
	if len(page.Items) > 0 {
		return false, nil
	}
	return true, a.remove(ctx, d)
}

// hide makes a delete marker the current version and returns its id. It is as old as the
// day (S3 User Guide, "Configuring S3 Lifecycle event notifications"): today, also in a walk that
// judges by a day gone by, or what it hides could be removed at once.
func (a *aging) hide(ctx context.Context, d *Due) (string, error) {
	b, old, now := a.bucket, d.record, time.Now().UnixMilli()
	r := &record{
		Bucket: b.UID, Key: old.Key, UID: newUID(), Marker: true, Owner: b.Owner, Null: b.Versioning != bucket.Enabled,
		Created: a.rules.Midnight(max(a.now, now)), Time: max(now, old.Time+1),
	}
	null := meta.Item{Key: nullKey(b.UID, r.Key)}
	if !old.Null { // only behind a version that is not null can there be one that is
		var err error
		if null, err = meta.Get1(ctx, a.o.store, null.Key); err != nil {
			return "", fmt.Errorf("read null version: %w", err)
		}
	}
	gone, err := a.o.stepBehind(ctx, &a.batch, b, r, old, null)
	if err != nil {
		return "", err
	}
	a.gone = append(a.gone, gone...)
	a.batch.PutIf(d.row, r.encode(), d.ver)
	if r.Null {
		a.replaced = &d.Key
	}
	a.tell(ExpiredHidden, r)
	return r.wireVersion(), nil
}

// abort gives an upload up.
func (a *aging) abort(ctx context.Context, d *Due) error {
	a.gone = append(a.gone, dependence{d.upload.Wrap, -1})
	return a.o.addDropped(ctx, &a.batch, d.upload, d.ver)
}
