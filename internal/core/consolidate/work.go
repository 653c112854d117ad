// SPDX-License-Identifier: Apache-2.0

package consolidate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/bucketkey"
	"github.com/cofferstore/coffer/internal/core/jobs"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// phase is what a job is at. What it decided is in the generations' rows; the cursor
// only spares it to begin a walk anew.
type phase string

const (
	counting phase = "counting"
	moving   phase = "moving"
)

// cursor is where a job goes on.
type cursor struct {
	Phase phase  `json:"phase,omitempty"`
	From  []byte `json:"from,omitempty"` // of the walk
	// How many data keys are under each generation, and how many of them are of
	// uploads.
	All     map[uuid.UUID]int64 `json:"all,omitempty"`
	Uploads map[uuid.UUID]int64 `json:"uploads,omitempty"`
	// Of a walk that moves data keys: the versions of the retired generations' states
	// when it began, and how many data keys it met under each.
	Pass   int                  `json:"pass,omitempty"`
	States map[uuid.UUID]uint64 `json:"states,omitempty"`
	Seen   map[uuid.UUID]int64  `json:"seen,omitempty"`

	Done  int64 `json:"done"` // data keys moved
	Total int64 `json:"total"`
}

// maxPasses bounds how often a bucket is walked for the same generations: once to
// move, once to see that nothing is left, and again for what moved meanwhile.
const maxPasses = 5

// saveEvery is how much work a crash may lose.
const saveEvery = 2 * time.Second

// task is one run of a job.
type task struct {
	*Consolidator
	job   *jobs.Job[Argument]
	ref   bucket.Ref
	uid   bucket.UID
	at    cursor
	saved time.Time
	keys  *keyring
}

// Work consolidates one bucket. A bucket that is gone, or whose setting stops it, is
// done.
func (c *Consolidator) Work(ctx context.Context, job *jobs.Job[Argument]) error {
	t := &task{Consolidator: c, job: job, ref: bucket.Ref{Bucket: job.Argument.Bucket}, saved: time.Now()}
	b, err := c.buckets.Find(ctx, t.ref)
	if errors.Is(err, bucket.NoSuchBucket) {
		return nil
	}
	if err != nil {
		return err
	}
	t.uid = b.UID
	t.keys = newKeyring(c.ledger, owned(b))
	if _, err := job.Cursor(&t.at); err != nil {
		return err
	}
	err = t.run(ctx)
	if errors.Is(err, bucket.NoSuchBucket) || errors.Is(err, Off) {
		return nil
	}
	return err
}

// bucket reads the bucket anew, with its guard and setting. Faults: NoSuchBucket, also
// for another bucket of that name; BeingDeleted; Off.
func (t *task) bucket(ctx context.Context) (*bucket.Bucket, error) {
	b, err := t.buckets.ForWrite(ctx, t.ref)
	switch {
	case err != nil:
		return nil, err
	case b.UID != t.uid:
		return nil, bucket.NoSuchBucket
	case b.NoConsolidation:
		return nil, Off
	}
	return b, nil
}

func (t *task) run(ctx context.Context) error {
	if t.at.Phase == "" {
		entries, err := t.ledger.List(ctx, t.uid)
		if err != nil {
			return err
		}
		if t.job.Argument.Count || bucketkey.Due(entries, time.Now(), t.usable(ctx)) {
			t.at.Phase = counting
		}
	}
	if t.at.Phase == counting {
		if err := t.count(ctx); err != nil {
			return err
		}
	}
	// Merging makes generations that may merge in their turn.
	for t.at.Phase == moving {
		if t.at.From == nil && t.at.Pass == 0 {
			any, err := t.retire(ctx)
			if err != nil {
				return err
			}
			if !any {
				break
			}
		}
		again, err := t.move(ctx)
		if err != nil {
			return err
		}
		if !again {
			break
		}
	}
	return t.reEncrypt(ctx)
}

// walk goes through all rows with wraps from the cursor on, and saves where it is.
func (t *task) walk(ctx context.Context, visit func([]object.WrapRow) error) error {
	for {
		if _, err := t.bucket(ctx); err != nil { // the setting may have changed
			return err
		}
		rows, next, err := t.objects.Wraps(ctx, t.uid, t.at.From)
		if err != nil {
			return err
		}
		if err := visit(rows); err != nil {
			return err
		}
		if t.at.From = next; next == nil {
			return nil
		}
		if err := t.save(ctx, time.Since(t.saved) >= saveEvery); err != nil {
			return err
		}
	}
}

func (t *task) save(ctx context.Context, now bool) error {
	t.job.Progress(t.at.Done, t.at.Total, string(t.at.Phase))
	if !now {
		return nil
	}
	t.saved = time.Now()
	return t.job.Save(ctx, t.at)
}

// count finds out how many data keys are under each generation.
func (t *task) count(ctx context.Context) error {
	if t.at.All == nil {
		t.at.All, t.at.Uploads = map[uuid.UUID]int64{}, map[uuid.UUID]int64{}
	}
	err := t.walk(ctx, func(rows []object.WrapRow) error {
		for _, r := range rows {
			for _, id := range r.Generations {
				t.at.All[id]++
				if r.Upload {
					t.at.Uploads[id]++
				}
			}
		}
		return t.job.Wait(ctx, 1) // a page
	})
	if err != nil {
		return err
	}
	entries, err := t.ledger.List(ctx, t.uid)
	if err != nil {
		return err
	}
	if err := t.ledger.Count(ctx, entries, t.at.All, t.at.Uploads); err != nil {
		return err
	}
	t.at.Phase, t.at.All = moving, nil
	return t.save(ctx, true)
}

// maxConflicts bounds how often a merge is begun again because the bucket changed.
const maxConflicts = 128

// retire begins all merges that can begin, and reports whether there are retired
// generations then. Each is committed on what was read just before.
func (t *task) retire(ctx context.Context) (bool, error) {
	for range maxConflicts {
		b, err := t.bucket(ctx)
		if err != nil {
			return false, err
		}
		entries, err := t.ledger.List(ctx, t.uid)
		if err != nil {
			return false, err
		}
		retired := 0
		for i := range entries {
			entries[i].Uploads = t.at.Uploads[entries[i].ID]
			if !entries[i].Retired.IsZero() {
				retired++
			}
		}
		plan := bucketkey.Plan(entries, time.Now(), t.usable(ctx))
		if len(plan) == 0 {
			return retired > 0, nil
		}
		guard, ver := b.Guard()
		next, err := t.ledger.Retire(ctx, owned(b), bucketkey.Guard{Row: guard, Ver: ver}, plan[0])
		var conflict *meta.ConflictError
		switch {
		case errors.As(err, &conflict):
			continue
		case err != nil:
			return false, fmt.Errorf("begin merge: %w", err)
		}
		if next != nil {
			t.metrics.merged.Add(float64(len(plan[0].Sources)))
			t.at.Total += next.Objects
		}
	}
	return false, object.Busy
}

// move empties the retired generations and deletes those that are empty. It reports
// whether there may be more to merge.
func (t *task) move(ctx context.Context) (again bool, err error) {
	for t.at.Pass < maxPasses {
		entries, err := t.ledger.List(ctx, t.uid)
		if err != nil {
			return false, err
		}
		t.keys.learn(entries)
		if t.at.From == nil { // a walk begins
			t.at.States, t.at.Seen = map[uuid.UUID]uint64{}, map[uuid.UUID]int64{}
			for i := range entries {
				if e := &entries[i]; !e.Retired.IsZero() {
					t.at.States[e.ID] = e.StateVer()
				}
			}
		}
		if len(t.at.States) == 0 {
			break
		}
		if err := t.save(ctx, true); err != nil {
			return false, err
		}
		moved, err := t.pass(ctx)
		if err != nil {
			return false, err
		}
		deleted, left, err := t.drop(ctx)
		if err != nil {
			return false, err
		}
		t.at.Pass++
		again = again || deleted > 0
		if left == 0 || moved == 0 && deleted == 0 { // what is left cannot be moved now
			break
		}
	}
	t.at.Pass, t.at.From, t.at.States, t.at.Seen = 0, nil, nil, nil
	return again, t.save(ctx, true)
}

// pass walks the bucket once and moves what is under retired generations.
func (t *task) pass(ctx context.Context) (moved int, err error) {
	err = t.walk(ctx, func(rows []object.WrapRow) error {
		if err := t.job.Wait(ctx, 1); err != nil {
			return err
		}
		var todo []object.WrapRow
		for _, r := range rows {
			for _, id := range r.Generations {
				if _, ok := t.at.States[id]; !ok {
					continue
				}
				t.at.Seen[id]++
				if !r.Upload {
					todo = append(todo, r)
				}
			}
		}
		if len(todo) == 0 {
			return nil
		}
		if err := t.job.Wait(ctx, len(todo)); err != nil {
			return err
		}
		out, err := t.objects.Rewrap(ctx, t.ref, t.uid, todo, t.keys.mover)
		moved += out.Moved
		t.at.Done += int64(out.Moved)
		t.metrics.moved.Add(float64(out.Moved))
		for key, why := range out.Damaged {
			t.log.ErrorContext(ctx, "data key not moved", "bucket", t.ref.Bucket, "key", key, "error", why)
		}
		return err
	})
	return moved, err
}

// drop deletes the retired generations under which the walk that just ended met
// nothing.
func (t *task) drop(ctx context.Context) (deleted, left int, err error) {
	b, err := t.bucket(ctx)
	if err != nil {
		return 0, 0, err
	}
	entries, err := t.ledger.List(ctx, t.uid)
	if err != nil {
		return 0, 0, err
	}
	for i := range entries {
		e := &entries[i]
		ver, watched := t.at.States[e.ID]
		if !watched || e.Retired.IsZero() {
			continue
		}
		gone := false
		if t.at.Seen[e.ID] == 0 {
			if gone, err = t.ledger.Delete(ctx, owned(b), e, ver); err != nil {
				return deleted, left, err
			}
		}
		if !gone {
			left++
			if e.Into == uuid.Nil && t.at.Seen[e.ID] > 0 { // the count had missed what moved
				err = t.ledger.Restore(ctx, e)
			}
			if err != nil {
				return deleted, left, err
			}
			continue
		}
		deleted++
		t.metrics.deleted.Inc()
	}
	return deleted, left, nil
}

// reEncrypt puts the generations under old material of their KMS keys under the
// current one.
func (t *task) reEncrypt(ctx context.Context) error {
	b, err := t.bucket(ctx)
	if err != nil {
		return err
	}
	entries, err := t.ledger.List(ctx, t.uid)
	if err != nil {
		return err
	}
	for i := range entries {
		e := &entries[i]
		if !t.isOutdated(ctx, e) {
			continue
		}
		done, err := t.ledger.ReEncrypt(ctx, owned(b), e)
		if errors.Is(err, bucketkey.Damaged) || err != nil && !t.ledger.Usable(ctx, e.KeyARN) {
			t.log.ErrorContext(ctx, "bucket key not re-encrypted", "bucket", b.Name, "generation", e.ID, "error", err)
			continue
		}
		if err != nil {
			return fmt.Errorf("re-encrypt generation %v: %w", e.ID, err)
		}
		if done {
			t.metrics.reEncrypted.Inc()
		}
	}
	return nil
}
