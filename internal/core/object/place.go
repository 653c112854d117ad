// SPDX-License-Identifier: Apache-2.0

package object

import (
	"context"
	"fmt"
	"time"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// placing is what goes with making a record current.
type placing struct {
	cond WriteCondition
	lock Lock // as asked for
	// add adds the rows that must be committed together with it.
	add func(*meta.Batch)
	// check sees the version that is replaced, nil for none.
	check func(current *record) error
	// moved says that the record's data key was wrapped before, in another row.
	moved bool
	// result is what the call will return, once the record has its time, in the bucket as
	// it is then.
	result func(*bucket.Bucket) any
	cause  cause
}

// cause is why a version is made: the event, and by whom.
type cause struct {
	event Event
	by    iam.Caller
}

// place makes r the current version of its key in one commit: the version that
// was current moves behind it, or is replaced, as the bucket's versioning says.
// It sets r.Time and r.Null.
func (o *Objects) place(ctx context.Context, ref Ref, uid bucket.UID, r *record, p placing) error {
	return o.retry(ctx, ref, uid, func(b *bucket.Bucket) error { return o.placeOnce(ctx, b, r, p) })
}

// placeOnce is one try of place: a conflict is the caller's.
func (o *Objects) placeOnce(ctx context.Context, b *bucket.Bucket, r *record, p placing) error {
	row, err := meta.Get1(ctx, o.store, currentKey(b.UID, r.Key))
	if err != nil {
		return fmt.Errorf("read current version: %w", err)
	}
	var old *record
	if row.Ver != 0 {
		if old, err = decodeRecord(row.Value); err != nil {
			return err
		}
	}
	// Only behind a version that is not null can there be one that is. While the
	// current version stays, none comes.
	null := meta.Item{Key: nullKey(b.UID, r.Key)}
	if old != nil && !old.Null {
		if null, err = meta.Get1(ctx, o.store, null.Key); err != nil {
			return fmt.Errorf("read null version: %w", err)
		}
	}
	if err := p.cond.holds(r.Key, old); err != nil {
		return err
	}
	if p.check != nil {
		if err := p.check(old); err != nil {
			return err
		}
	}
	r.Null = b.Versioning != bucket.Enabled
	r.Time = time.Now().UnixMilli()
	if old != nil { // a clock that was set back must not reorder versions
		r.Time = max(r.Time, old.Time+1)
	}
	if !r.Marker {
		r.Lock = o.lockOf(b, p.lock, r.Time)
	}
	// The usual put: guard and current row are demanded; row, location, body and record written.
	batch := meta.Batch{Conds: make([]meta.Cond, 0, 4), Puts: make([]meta.Put, 0, 6)}
	guard, ver := b.Guard()
	batch.Cond(guard, ver)
	if p.moved {
		err = o.moving(ctx, &batch, b.UID, r.Wrap)
	} else {
		err = o.fresh(ctx, b.UID, r.Wrap)
	}
	if err != nil {
		return err
	}
	changes, err := o.stepBehind(ctx, &batch, b, r, old, null)
	if err != nil {
		return err
	}
	if !p.moved { // an upload was counted when it began
		changes = append(changes, dependence{r.Wrap, +1})
	}
	if err := o.depend(ctx, &batch, b.UID, changes...); err != nil {
		return err
	}
	notes, err := o.planNew(ctx, &batch, b, r)
	if err != nil {
		return err
	}
	batch.PutIf(row.Key, r.encode(), row.Ver)
	if p.add != nil {
		p.add(&batch)
	}
	return o.conclude(ctx, &batch, p.result(b), append(notes, o.changed(b, p.cause.event, p.cause.by, r)...)...)
}

// stepBehind adds to the batch what becomes of the version that was current, and
// of an older null version when r is the null version now. It returns what went.
func (o *Objects) stepBehind(ctx context.Context, batch *meta.Batch, b *bucket.Bucket, r, old *record, null meta.Item) (gone []dependence, err error) {
	if old != nil && !(old.Null && r.Null) {
		if err := o.moving(ctx, batch, b.UID, old.Wrap); err != nil {
			return nil, err
		}
		batch.PutIf(versionKey(b.UID, r.Key, old.id()), old.encode(), 0)
		if old.Null {
			batch.PutIf(null.Key, old.id().bytes(), null.Ver)
		}
	}
	if !r.Null {
		return nil, nil
	}
	// Where versions are locked, versioning is on for good, and none is null any more. So this
	// is never met; if it were, the lock would count.
	if old != nil && old.Null {
		if err := o.removable(ctx, VersionRef{}, old, nil); err != nil {
			return nil, err
		}
		o.release(batch, old)
		gone = append(gone, dependence{old.Wrap, -1})
	}
	if null.Ver == 0 {
		return gone, nil
	}
	// Only one version may be null: the older one goes.
	id, err := pointedTo(null)
	if err != nil {
		return nil, err
	}
	row := versionKey(b.UID, r.Key, id)
	older, ver, err := o.row(ctx, b.UID, r.Key, row)
	if err != nil {
		return nil, err
	}
	if older != nil {
		if err := o.removable(ctx, VersionRef{}, older, nil); err != nil {
			return nil, err
		}
		batch.Cond(row, ver)
		batch.Delete(row)
		o.release(batch, older)
		gone = append(gone, dependence{older.Wrap, -1})
	}
	batch.Cond(null.Key, null.Ver)
	batch.Delete(null.Key)
	return gone, nil
}
