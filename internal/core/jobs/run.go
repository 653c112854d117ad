// SPDX-License-Identifier: Apache-2.0

package jobs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

var errCancelled = errors.New("jobs: cancelled")

// run is a job under way on this node.
type run struct {
	runner *Runner
	kind   *kind
	key    []byte
	holder string
	stop   context.CancelCauseFunc

	mu  sync.Mutex // held over commits of the row
	row row
	ver uint64
}

// Job is a job under way, as its work sees it. Its methods may be called
// concurrently.
type Job[A Argument] struct {
	Argument A
	run      *run
}

// Cursor reads what was saved last into into. ok is false when nothing was.
func (j *Job[A]) Cursor(into any) (ok bool, err error) {
	j.run.mu.Lock()
	defer j.run.mu.Unlock()
	if len(j.run.row.Cursor) == 0 {
		return false, nil
	}
	if err := json.Unmarshal(j.run.row.Cursor, into); err != nil {
		return false, fmt.Errorf("jobs: cursor of %q: %w", j.run.key, err)
	}
	return true, nil
}

// Save stores from where to go on, and the progress. It is durable on return. A
// cursor that moved starts the count of attempts anew. Fault: LostLease.
func (j *Job[A]) Save(ctx context.Context, cursor any) error {
	encoded, err := json.Marshal(cursor)
	if err != nil {
		return fmt.Errorf("jobs: encode cursor: %w", err)
	}
	return j.run.update(ctx, func(r *row) {
		if !bytes.Equal(r.Cursor, encoded) {
			r.Cursor, r.Attempts = encoded, 1
		}
		r.Lease.Until = time.Now().UTC().Add(j.run.runner.cfg.Lease)
	})
}

// Progress notes how far the work has come: total is 0 while it is not known, note
// says what it is at. It becomes visible with the next Save or renewal.
func (j *Job[A]) Progress(done, total int64, note string) {
	j.run.mu.Lock()
	defer j.run.mu.Unlock()
	j.run.row.Done, j.run.row.Total, j.run.row.Note = done, total, note
}

// Wait lets n units of work through at the kind's rate. It fails only when ctx is
// done.
func (j *Job[A]) Wait(ctx context.Context, n int) error {
	for n > 0 {
		step := min(n, j.run.kind.limits.Burst)
		if err := j.run.kind.limiter.WaitN(ctx, step); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return err
		}
		n -= step
	}
	return nil
}

func (r *run) argument() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.row.Argument
}

// update changes the row while the lease is this run's. Another writer of the row
// can only have asked to cancel; anything else is the loss of the lease.
func (r *run) update(ctx context.Context, edit func(*row)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		if r.row.Lease == nil { // the run has ended
			return fault.New(LostLease, "")
		}
		next := r.row
		held := *r.row.Lease
		next.Lease = &held
		next.Updated = time.Now().UTC()
		edit(&next)
		value, err := next.encode()
		if err != nil {
			return err
		}
		var b meta.Batch
		b.PutIf(r.key, value, r.ver)
		ver, err := r.runner.store.Commit(ctx, &b)
		if err == nil {
			r.row, r.ver = next, ver
			return nil
		}
		if !isConflict(err) {
			return fmt.Errorf("write job: %w", err)
		}
		item, err := meta.Get1(ctx, r.runner.store, r.key)
		if err != nil {
			return fmt.Errorf("read job: %w", err)
		}
		if item.Ver == 0 {
			return fault.New(LostLease, "")
		}
		now, err := decode(item)
		if err != nil {
			return err
		}
		if now.State != Running || now.Lease == nil || now.Lease.Holder != r.holder {
			return fault.New(LostLease, "")
		}
		r.ver = item.Ver
		r.row.Cancel = now.Cancel
		if now.Cancel {
			r.stop(errCancelled)
		}
	}
}

// do works, renews the lease meanwhile, and writes down how it ended. life is the
// runner's, work that of the job.
func (r *run) do(life, work context.Context) (outcome string) {
	renewing, done := context.WithCancel(work)
	var renewal sync.WaitGroup
	renewal.Go(func() { r.renew(renewing) })
	err := r.kind.work(work, r)
	done()
	renewal.Wait()

	cause := context.Cause(work)
	if errors.Is(cause, LostLease) || errors.Is(err, LostLease) {
		return "lost"
	}
	// The runner may be stopping: what became of the job is written all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(life), r.runner.cfg.Lease/3)
	defer cancel()
	if unwritten := r.update(ctx, func(j *row) { outcome = r.end(j, life, cause, err) }); unwritten != nil {
		if errors.Is(unwritten, LostLease) {
			return "lost"
		}
		// The lease runs out, and the job goes on from its cursor.
		r.runner.cfg.Log.Error("write the end of a job", "job", string(r.key), "error", unwritten)
		return "stopped"
	}
	if err != nil && outcome != "stopped" && outcome != "cancelled" {
		r.runner.cfg.Log.Error("job", "job", string(r.key), "outcome", outcome, "error", err)
	}
	return outcome
}

// end changes the row as the work's result says.
func (r *run) end(j *row, life context.Context, cause, err error) string {
	switch {
	case err == nil:
		j.end(Done, "")
		return "done"
	case j.Cancel || errors.Is(cause, errCancelled):
		j.end(Cancelled, "")
		return "cancelled"
	case life.Err() != nil:
		j.State, j.Lease, j.NotBefore = Queued, nil, time.Time{}
		j.Attempts-- // that was no failure
		return "stopped"
	case j.Attempts >= r.kind.limits.Attempts:
		j.end(Failed, err.Error())
		return "failed"
	}
	pause := r.kind.limits.Backoff << min(j.Attempts-1, 16)
	if pause <= 0 || pause > longestBackoff {
		pause = longestBackoff
	}
	j.State, j.Lease, j.Error = Queued, nil, err.Error()
	j.NotBefore = time.Now().UTC().Add(pause)
	return "retried"
}

func (j *row) end(s State, text string) {
	now := time.Now().UTC()
	j.State, j.Error, j.Ended, j.Updated = s, text, now, now
	j.Lease, j.Cancel, j.Cursor = nil, false, nil
}

// renew keeps the lease until ctx is done. A lease that could not be renewed before
// it ran out is lost.
func (r *run) renew(ctx context.Context) {
	tick := time.NewTicker(r.runner.cfg.Lease / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := r.update(ctx, func(j *row) { j.Lease.Until = time.Now().UTC().Add(r.runner.cfg.Lease) })
		switch {
		case err == nil || ctx.Err() != nil:
		case errors.Is(err, LostLease):
			r.stop(err)
			return
		default:
			r.runner.cfg.Log.Error("renew lease", "job", string(r.key), "error", err)
			r.mu.Lock()
			late := time.Now().After(r.row.Lease.Until)
			r.mu.Unlock()
			if late {
				r.stop(fault.New(LostLease, "").Because(err))
				return
			}
		}
	}
}
