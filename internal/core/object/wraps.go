// SPDX-License-Identifier: Apache-2.0

package object

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/bucketkey"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// WrapRow is a row that has a wrapped data key: a version, or an upload under way.
type WrapRow struct {
	Generations []uuid.UUID // that the wrap names
	Upload      bool

	record *record // nil for an upload
	row    []byte
	ver    uint64
}

// wrapKinds are the rows with wraps, in the order in which they are walked: an upload
// becomes a current version, which becomes an older one. Only a version that becomes
// current again goes the other way.
var wrapKinds = []string{"u/", "c/", "v/"}

// wrapPage bounds what a page of the walk holds in memory.
const wrapPage = 512

// Wraps returns a page of the rows with wraps in a bucket that has that UID, from a
// position on: nil is the beginning, and a nil next the end. Rows move while they are
// walked; who needs to know watches the generation (bucketkey.Retiring).
func (o *Objects) Wraps(ctx context.Context, uid bucket.UID, from []byte) (rows []WrapRow, next []byte, err error) {
	kind := 0
	if from == nil {
		from = bucketPrefix(wrapKinds[0], uid)
	} else {
		for kind < len(wrapKinds)-1 && from[0] != wrapKinds[kind][0] {
			kind++
		}
	}
	end := meta.PrefixEnd(bucketPrefix(wrapKinds[kind], uid))
	page, err := o.store.Scan(ctx, meta.Range{Start: from, End: end, Limit: wrapPage, MaxBytes: scanBytes})
	if err != nil {
		return nil, nil, fmt.Errorf("read wrapped data keys: %w", err)
	}
	for _, item := range page.Items {
		w, err := wrapRow(item, wrapKinds[kind] == "u/")
		if err != nil {
			return nil, nil, err
		}
		rows = append(rows, w)
	}
	switch {
	case page.More:
		next = page.Next
	case kind+1 < len(wrapKinds):
		next = bucketPrefix(wrapKinds[kind+1], uid)
	}
	return rows, next, nil
}

func wrapRow(item meta.Item, upload bool) (WrapRow, error) {
	w := WrapRow{Upload: upload, row: item.Key, ver: item.Ver}
	var wrap []byte
	if upload {
		u, err := decodeUpload(item.Value)
		if err != nil {
			return w, err
		}
		wrap = u.Wrap
	} else {
		r, err := decodeRecord(item.Value)
		if err != nil {
			return w, err
		}
		w.record, wrap = r, r.Wrap
	}
	var err error
	w.Generations, err = sse.Generations(wrap)
	return w, err
}

// Mover says how a data key leaves a generation; nil when it stays.
type Mover func(ctx context.Context, gen uuid.UUID) (*sse.Move, error)

// Rewrapped says what Rewrap did.
type Rewrapped struct {
	Moved   int              // data keys
	Gone    int              // versions that were deleted or replaced meanwhile
	Damaged map[string]error // by object key: what could not be opened, and stays
}

// rewrapBatch is how many rows share a commit, and so a sync. A conflict on one of
// them makes each be tried by itself.
const rewrapBatch = 64

// Rewrap moves the data keys of versions as move says, in commits that also demand
// what the versions' rows are and the bucket's guard. Body and descriptor of a version
// stay as they are. A version that changed meanwhile is looked for, by its id; one
// that is gone is done. It is safe to repeat. Faults: NoSuchBucket,
// bucket.BeingDeleted, Busy, and those of move.
func (o *Objects) Rewrap(ctx context.Context, ref bucket.Ref, uid bucket.UID, rows []WrapRow, move Mover) (Rewrapped, error) {
	out := Rewrapped{Damaged: map[string]error{}}
	var todo []found
	for _, w := range rows {
		if w.record != nil && !w.record.Marker {
			todo = append(todo, found{record: w.record, row: w.row, ver: w.ver})
		}
	}
	for len(todo) > 0 {
		n := 1
		for size := len(todo[0].Annotations); n < min(len(todo), rewrapBatch) && size < scanBytes; n++ {
			size += len(todo[n].Annotations)
		}
		if err := o.rewrapMany(ctx, ref, uid, todo[:n], move, &out); err != nil {
			return out, err
		}
		todo = todo[n:]
	}
	return out, nil
}

// rewrapMany tries rows in one commit, and one by one when that conflicts.
func (o *Objects) rewrapMany(ctx context.Context, ref bucket.Ref, uid bucket.UID, rows []found, move Mover, out *Rewrapped) error {
	b, err := o.buckets.ForWrite(ctx, ref)
	if err != nil {
		return err
	}
	if b.UID != uid {
		return fault.New(bucket.NoSuchBucket, "").With("BucketName", ref.Bucket)
	}
	var batch meta.Batch
	guard, ver := b.Guard()
	batch.Cond(guard, ver)
	into := map[uuid.UUID]bool{}
	var changed []found
	for _, v := range rows {
		target, err := o.rewrapped(ctx, &v, move)
		switch {
		case isDamage(err):
			out.Damaged[v.Key] = err
		case err != nil:
			return err
		case target != uuid.Nil:
			batch.PutIf(v.row, v.encode(), v.ver)
			into[target] = true
			changed = append(changed, v)
		}
	}
	if len(changed) == 0 {
		return nil
	}
	if err := o.takesWraps(ctx, uid, into); err != nil {
		return err
	}
	err = o.commit(ctx, &batch)
	var conflict *meta.ConflictError
	if !errors.As(err, &conflict) {
		if err == nil {
			out.Moved += len(changed)
		}
		return err
	}
	for _, v := range changed {
		if err := o.rewrapAlone(ctx, ref, uid, v, move, out); err != nil {
			return err
		}
	}
	return nil
}

// rewrapAlone moves the data key of one version, wherever it stands by now.
func (o *Objects) rewrapAlone(ctx context.Context, ref bucket.Ref, uid bucket.UID, v found, move Mover, out *Rewrapped) error {
	return o.retry(ctx, Ref{ref, v.Key}, uid, func(b *bucket.Bucket) error {
		now, err := o.find(ctx, b, v.Key, v.wireVersion())
		if errors.Is(err, NoSuchVersion) || err == nil && now.UID != v.UID {
			out.Gone++
			return nil
		}
		if err != nil {
			return err
		}
		target, err := o.rewrapped(ctx, &now, move)
		if isDamage(err) {
			out.Damaged[v.Key] = err
			return nil
		}
		if err != nil || target == uuid.Nil {
			return err
		}
		if err := o.takesWraps(ctx, uid, map[uuid.UUID]bool{target: true}); err != nil {
			return err
		}
		var batch meta.Batch
		guard, ver := b.Guard()
		batch.Cond(guard, ver)
		batch.PutIf(now.row, now.encode(), now.ver)
		if err := o.commit(ctx, &batch); err != nil {
			return err
		}
		out.Moved++
		return nil
	})
}

// takesWraps fails when a generation that data keys are moved to was retired itself,
// or is gone, by another node that took the work over.
func (o *Objects) takesWraps(ctx context.Context, uid bucket.UID, into map[uuid.UUID]bool) error {
	ids := make([]uuid.UUID, 0, len(into))
	for id := range into {
		ids = append(ids, id)
	}
	unfit, err := bucketkey.Unfit(ctx, o.store, uid, ids...)
	if err == nil && len(unfit) > 0 {
		err = fault.New(Busy, "").Because(fmt.Errorf("generation %v is retired", unfit[0]))
	}
	return err
}

func isDamage(err error) bool { return errors.Is(err, sse.Damaged) || errors.Is(err, Damaged) }

// rewrapped replaces the wrap of v by one under another generation, and returns that;
// zero when the data key stays.
func (o *Objects) rewrapped(ctx context.Context, v *found, move Mover) (uuid.UUID, error) {
	ids, err := sse.Generations(v.Wrap)
	if err != nil || len(ids) == 0 {
		return uuid.Nil, err
	}
	m, err := move(ctx, ids[0])
	if err != nil || m == nil {
		return uuid.Nil, err
	}
	bound := sse.Bound{Object: v.descriptor()}
	if u := v.Upload; u != nil {
		bound.UploadID = u.ID
		bound.Upload = uploadDescriptor(v.Bucket, v.Key, u.ID, v.Body, u.Created, v.Headers, v.Owner)
		bound.Check = func(bind secret.Bytes) error {
			if bindingOf(bind, v.record) != u.Binding {
				return fault.New(Damaged, "").Because(errors.New("upload binding does not match the record"))
			}
			return nil
		}
	}
	r := *v.record
	if r.Wrap, err = sse.Rewrap(v.Wrap, bound, *m); err != nil {
		return uuid.Nil, err
	}
	v.record = &r
	return m.To.Generation(), nil
}
