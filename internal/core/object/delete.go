// SPDX-License-Identifier: Apache-2.0

package object

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Delete removes a version, or the current one.
type Delete struct {
	VersionRef
	IfMatch string
	BypassRetention
}

// BypassRetention is what a request to remove versions says of their retention.
type BypassRetention struct {
	Asked bool // whether or not the retention is to be bypassed: it is said
	May   Bypass
}

// check refuses to bypass a retention where there can be none. Fault: BypassNotApplicable.
func (r BypassRetention) check(b *bucket.Bucket) error {
	if r.Asked && b.ObjectLock == nil {
		return fault.New(BypassNotApplicable, "").With("ArgumentName", "x-amz-bypass-governance-retention")
	}
	return nil
}

// Needs says what the request must be allowed.
func (in Delete) Needs() []policy.Need {
	action := "s3:DeleteObject"
	if in.VersionID != "" {
		action = "s3:DeleteObjectVersion"
	}
	return []policy.Need{{Action: action, Resource: in.ARN(), Version: in.VersionID}}
}

// Deleted says what a delete did.
type Deleted struct {
	// VersionID is the version that was removed, or that of the delete marker
	// that was made. "" in a bucket that never had versioning.
	VersionID string
	// Marker says that a delete marker was made or, with a version asked for,
	// that the version removed was one.
	Marker bool
	// Missing says that the version asked for was not there.
	Missing bool
	// SSE is how what was removed was encrypted, as far as that is known without a key.
	SSE sse.Applied
}

// Delete removes the current version of a key or, in a bucket with versioning,
// hides it behind a delete marker; with a version it removes that for good. A
// missing object is success, as on S3. No key is needed. Faults: NoSuchBucket,
// InvalidVersionID, PreconditionFailed, NoSuchKey (with a condition), Locked,
// BypassNotApplicable.
func (o *Objects) Delete(ctx context.Context, by iam.Caller, in Delete) (Deleted, error) {
	if err := checkKey(in.Key); err != nil {
		return Deleted{}, err
	}
	b, err := o.buckets.ForWrite(ctx, in.Ref.Ref)
	if err != nil {
		return Deleted{}, err
	}
	if err := in.BypassRetention.check(b); err != nil {
		return Deleted{}, err
	}
	var out Deleted
	err = o.retry(ctx, in.Ref, b.UID, func(b *bucket.Bucket) (err error) {
		switch {
		case in.VersionID != "":
			out, err = o.deleteVersion(ctx, by, b, in)
		case b.Versioning == "":
			out, err = o.deleteOnly(ctx, by, b, in)
		default:
			out, err = o.hide(ctx, by, b, in)
		}
		return err
	})
	return out, err
}

func (in Delete) condition() WriteCondition {
	if in.IfMatch == "*" { // any object that exists
		return WriteCondition{}
	}
	return WriteCondition{IfMatch: in.IfMatch}
}

// holds evaluates the request's condition on the version that it would remove.
func (in Delete) holds(r *record) error {
	if in.IfMatch == "*" && (r == nil || r.Marker) {
		return fault.New(NoSuchKey, "").With("Key", in.Key)
	}
	return in.condition().holds(in.Key, r)
}

// deleteOnly removes the one version of a key in a bucket without versioning.
func (o *Objects) deleteOnly(ctx context.Context, by iam.Caller, b *bucket.Bucket, in Delete) (Deleted, error) {
	r, ver, err := o.current(ctx, b, in.Key)
	if err != nil {
		return Deleted{}, fmt.Errorf("read object: %w", err)
	}
	if err := in.holds(r); err != nil || r == nil {
		return Deleted{}, err
	}
	if err := o.removable(ctx, in.VersionRef, r, in.May); err != nil {
		return Deleted{}, err
	}
	var batch meta.Batch
	guard, guardVer := b.Guard() // without versioning still?
	batch.Cond(guard, guardVer)
	row := currentKey(b.UID, in.Key)
	batch.Cond(row, ver)
	batch.Delete(row)
	o.release(&batch, r)
	if err := o.depend(ctx, &batch, b.UID, dependence{r.Wrap, -1}); err != nil {
		return Deleted{}, err
	}
	gone := Deleted{SSE: o.encryptionOf(ctx, b, r)}
	return gone, o.conclude(ctx, &batch, gone, o.changed(b, Removed, by, r)...)
}

// encryptionOf is for the audit record of a version that goes: one whose encryption
// cannot be told goes all the same.
func (o *Objects) encryptionOf(ctx context.Context, b *bucket.Bucket, r *record) sse.Applied {
	if r.Marker {
		return sse.Applied{}
	}
	a, err := o.keys.Applied(ctx, keyBucket(b), r.Key, r.Wrap)
	if err != nil {
		return sse.Applied{}
	}
	return a
}

// hide makes a delete marker the current version.
func (o *Objects) hide(ctx context.Context, by iam.Caller, b *bucket.Bucket, in Delete) (Deleted, error) {
	r := &record{
		Bucket: b.UID, Key: in.Key, UID: newUID(), Marker: true,
		Created: time.Now().UnixMilli(), Owner: by.Account,
	}
	hidden := func() Deleted { return Deleted{VersionID: r.wireVersion(), Marker: true} }
	err := o.placeOnce(ctx, b, r, placing{
		check: in.holds, cause: cause{Hidden, by}, result: func(*bucket.Bucket) any { return hidden() },
	})
	if err != nil {
		return Deleted{}, err
	}
	return hidden(), nil
}

// deleteVersion removes one version for good. If it was current, the newest other
// version takes its place.
func (o *Objects) deleteVersion(ctx context.Context, by iam.Caller, b *bucket.Bucket, in Delete) (Deleted, error) {
	gone := Deleted{VersionID: in.VersionID}
	v, err := o.find(ctx, b, in.Key, in.VersionID)
	switch {
	case errors.Is(err, NoSuchVersion):
		if in.IfMatch != "" {
			return Deleted{}, fault.New(NoSuchKey, "").With("Key", in.Key)
		}
		gone.Missing = true
		return gone, nil
	case err != nil:
		return Deleted{}, err
	}
	if err := in.holds(v.record); err != nil {
		return Deleted{}, err
	}
	if err := o.removable(ctx, in.VersionRef, v.record, in.May); err != nil {
		return Deleted{}, err
	}
	gone.Marker, gone.SSE = v.Marker, o.encryptionOf(ctx, b, v.record)
	var batch meta.Batch
	guard, ver := b.Guard()
	batch.Cond(guard, ver)
	batch.Cond(v.row, v.ver)
	if v.current {
		err = o.promote(ctx, &batch, b, v)
	} else {
		batch.Delete(v.row)
		if v.Null {
			err = o.forgetNull(ctx, &batch, b, in.Key)
		}
	}
	if err != nil {
		return Deleted{}, err
	}
	o.release(&batch, v.record)
	if err := o.depend(ctx, &batch, b.UID, dependence{v.Wrap, -1}); err != nil {
		return Deleted{}, err
	}
	return gone, o.conclude(ctx, &batch, gone, o.changed(b, Removed, by, v.record)...)
}

// promote adds to the batch that the newest other version becomes current in v's
// place, or that the key is gone.
func (o *Objects) promote(ctx context.Context, batch *meta.Batch, b *bucket.Bucket, v found) error {
	prefix := versionsPrefix(b.UID, v.Key)
	page, err := o.store.Scan(ctx, meta.Range{Start: prefix, End: meta.PrefixEnd(prefix), Limit: 1})
	if err != nil {
		return fmt.Errorf("find the version before: %w", err)
	}
	if len(page.Items) == 0 {
		batch.Delete(v.row)
		return nil
	}
	next := page.Items[0]
	r, err := decodeRecord(next.Value)
	if err != nil {
		return err
	}
	if err := o.moving(ctx, batch, b.UID, r.Wrap); err != nil {
		return err
	}
	batch.Put(v.row, next.Value)
	batch.Cond(next.Key, next.Ver)
	batch.Delete(next.Key)
	if r.Null {
		return o.forgetNull(ctx, batch, b, v.Key)
	}
	return nil
}

// forgetNull removes the pointer to a null version that is not current.
func (o *Objects) forgetNull(ctx context.Context, batch *meta.Batch, b *bucket.Bucket, key string) error {
	item, err := meta.Get1(ctx, o.store, nullKey(b.UID, key))
	if err != nil || item.Ver == 0 {
		return err
	}
	batch.Cond(item.Key, item.Ver)
	batch.Delete(item.Key)
	return nil
}

// release adds to a batch that the streams of a version are to be removed later.
func (o *Objects) release(batch *meta.Batch, r *record) {
	due := time.Now().Add(o.cfg.RemoveAfter).UnixMilli()
	for _, p := range r.Parts {
		batch.Put(removalKey(due, p.Stream), []byte{1})
	}
	for a := range r.Annotations.all("") {
		batch.Put(removalKey(due, a.Stream), []byte{1})
	}
}

// DeleteMany removes several versions.
type DeleteMany struct {
	bucket.Ref
	Items []DeleteItem
	BypassRetention
}

// DeleteItem is one of them.
type DeleteItem struct{ Key, VersionID, IfMatch string }

// ItemNeeds says what each item must be allowed, in their order. An item is refused by
// itself.
func (in DeleteMany) ItemNeeds() []policy.Need {
	needs := make([]policy.Need, 0, len(in.Items))
	for _, item := range in.Items {
		needs = append(needs, in.one(item).Needs()...)
	}
	return needs
}

func (in DeleteMany) one(item DeleteItem) Delete {
	return Delete{
		VersionRef: VersionRef{Ref{in.Ref, item.Key}, item.VersionID}, IfMatch: item.IfMatch, BypassRetention: in.BypassRetention,
	}
}

// DeleteResult is what became of one item.
type DeleteResult struct {
	DeleteItem
	Deleted
	Err error
}

// DeleteMany removes versions one after another; each succeeds or fails by itself.
// It fails as a whole only when the bucket is missing.
func (o *Objects) DeleteMany(ctx context.Context, by iam.Caller, in DeleteMany) ([]DeleteResult, error) {
	b, err := o.buckets.ForWrite(ctx, in.Ref)
	if err == nil {
		err = in.BypassRetention.check(b)
	}
	if err != nil {
		return nil, err
	}
	out := make([]DeleteResult, len(in.Items))
	work := make(chan int)
	done := make(chan struct{})
	for range min(deleteWorkers, len(in.Items)) {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := range work {
				d, err := o.Delete(ctx, by, in.one(in.Items[i]))
				if err == nil && d.Missing { // here, unlike alone, S3 says so
					err = fault.New(NoSuchVersion, "").With("VersionId", d.VersionID)
				}
				out[i] = DeleteResult{in.Items[i], d, err}
			}
		}()
	}
	for i := range in.Items {
		work <- i
	}
	close(work)
	for range min(deleteWorkers, len(in.Items)) {
		<-done
	}
	return out, nil
}

// deleteWorkers is how many deletes of one request run at a time: enough that
// their commits share syncs.
const deleteWorkers = 16
