// SPDX-License-Identifier: Apache-2.0

package pebble

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/cofferstore/coffer/internal/store/meta"
)

// Commit is meta.Store.Commit.
func (s *Store) Commit(ctx context.Context, b *meta.Batch) (uint64, error) {
	steps, err := b.Steps()
	if err != nil {
		return 0, err
	}
	if err := s.begin(ctx); err != nil {
		return 0, err
	}
	defer s.ops.Done()
	if err := s.space.admit(b); err != nil {
		return 0, err
	}
	ver, batch, met, err := s.enter(steps)
	if batch == nil {
		// The answer rests on what was met, which may not be durable yet.
		if waitErr := s.gate.wait(ctx, met); waitErr != nil {
			return 0, waitErr
		}
		if err != nil {
			return 0, err
		}
		return s.gate.durable.Load(), nil
	}
	if err != nil {
		return 0, s.fault(err)
	}
	if err := batch.SyncWait(); err != nil {
		s.fail(fmt.Errorf("sync of the log: %w", err))
		return 0, s.fault(err)
	}
	s.gate.leave(ver)
	batch.Close()
	s.hints.Changed(steps)
	return ver, nil
}

// enter checks the steps and puts them into the log. Without a batch nothing was
// put there: err says why (nil: there was nothing to write), and met is the
// newest version that this rests on.
func (s *Store) enter(steps []meta.Step) (ver uint64, batch *engine.Batch, met uint64, err error) {
	held := s.locks.acquire(steps)
	defer held.release()
	met, err = s.check(steps)
	if err != nil {
		return 0, nil, met, err
	}
	batch, deletes, marks := s.encode(steps)
	if batch == nil {
		return 0, nil, met, nil
	}
	ver, err = s.apply(batch, deletes)
	if err == nil {
		for _, family := range marks {
			s.marked.add(family)
		}
	}
	return ver, batch, 0, err
}

// check returns why the steps cannot be done, if they cannot, and the newest
// version that the answer rests on.
func (s *Store) check(steps []meta.Step) (met uint64, err error) {
	buf := make([]byte, 0, 256)
	for _, step := range steps {
		if s.needsNoLook(step) {
			continue
		}
		buf = rowKey(buf[:0], step.Key)
		found, kind, err := s.lookFor(step, buf)
		if err != nil {
			return 0, err
		}
		ver := found
		if kind == kindCounter {
			ver = meta.CounterVersion
		}
		if found == 0 {
			found = s.gate.deleted(step.Key)
		}
		switch {
		case !step.Holds(ver):
			return found, &meta.ConflictError{Key: bytes.Clone(step.Key)}
		case step.Op == meta.Write && kind == kindCounter, step.Op == meta.Increment && kind == kindRow:
			return found, fmt.Errorf("row %q: %w", step.Key, meta.ErrMixed)
		case step.Op == meta.Increment:
			s.counters.add(step.Key)
		}
		met = max(met, found)
	}
	return met, nil
}

// needsNoLook reports whether a step can be done whatever is there: a delete without a
// condition, an addition to a known counter, and a put without a condition where there
// is no counter that it could fall on.
func (s *Store) needsNoLook(step meta.Step) bool {
	switch step.Op {
	case meta.Remove:
		return !step.Cond
	case meta.Write:
		return !step.Cond && !s.counted.has(step.Key)
	case meta.Increment:
		if s.counters.has(step.Key) {
			return true
		}
		s.counted.add(familyOf(step.Key))
		return false
	}
	return false
}

// lookFor is look for a step. A row that is only demanded is demanded by many.
func (s *Store) lookFor(step meta.Step, pebbleKey []byte) (ver uint64, kind byte, err error) {
	if step.Op == meta.Increment {
		return s.look(pebbleKey)
	}
	if ver, ok := s.demanded.get(step.Key); ok {
		return ver, kindRow, nil
	}
	if _, ok := s.absent.get(step.Key); ok && !s.counted.has(step.Key) { // no counter has come to be there since
		return 0, 0, nil
	}
	ver, kind, err = s.look(pebbleKey)
	if err == nil && kind == kindRow && step.Op == meta.Demand {
		s.demanded.put(step.Key, ver)
	}
	return ver, kind, err
}

// look returns the version that wrote the row, and its kind; both 0 when absent.
func (s *Store) look(pebbleKey []byte) (ver uint64, kind byte, err error) {
	encoded, closer, err := s.db.Get(pebbleKey)
	if errors.Is(err, engine.ErrNotFound) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, s.rowFault(pebbleKey, err)
	}
	defer closer.Close()
	if _, ver, err = item(pebbleKey, encoded, true); err != nil {
		return 0, 0, err
	}
	return ver, encoded[0], nil
}

// encode returns the batch, still without its version, and the keys that it
// deletes, and the families that it marks; no batch when the steps write nothing.
func (s *Store) encode(steps []meta.Step) (_ *engine.Batch, deletes []string, marks [][]byte) {
	writes, size := 0, len(lastVersionKey)+headerSize
	for _, step := range steps {
		if step.Op != meta.Demand {
			writes++
			size += 1 + len(step.Key) + counterSize + len(step.Value)
		}
	}
	if writes == 0 {
		return nil, nil, nil
	}
	batch := s.db.NewBatchWithSize(32 + size + 12*(writes+1)) // its header, and each entry's kind and lengths
	last := batch.SetDeferred(len(lastVersionKey), headerSize)
	copy(last.Key, lastVersionKey)
	last.Value[0] = kindLast
	last.Finish()
	for _, step := range steps {
		switch step.Op {
		case meta.Write:
			op := batch.SetDeferred(1+len(step.Key), headerSize+len(step.Value))
			rowKey(op.Key[:0], step.Key)
			op.Value[0] = kindRow
			copy(op.Value[headerSize:], step.Value)
			op.Finish()
			// A commit that was refused may have taken the absent key for a counter.
			s.counters.remove(step.Key)
			s.demanded.remove(step.Key)
			s.absent.remove(step.Key)
		case meta.Remove:
			op := batch.DeleteDeferred(1 + len(step.Key))
			rowKey(op.Key[:0], step.Key)
			op.Finish()
			s.counters.remove(step.Key)
			s.demanded.remove(step.Key)
			s.absent.remove(step.Key)
			deletes = append(deletes, string(step.Key))
		case meta.Increment:
			op := batch.MergeDeferred(1+len(step.Key), counterSize)
			rowKey(op.Key[:0], step.Key)
			op.Value[0] = kindCounter
			binary.BigEndian.PutUint64(op.Value[headerSize:], uint64(step.Delta))
			op.Finish()
			// A mark that is in the log before this batch need not be put again.
			if f := familyOf(step.Key); !s.marked.has(f) && !slices.ContainsFunc(marks, func(g []byte) bool { return bytes.Equal(f, g) }) {
				marks = append(marks, f)
			}
		}
	}
	for _, family := range marks {
		mark := batch.SetDeferred(len(countedPrefix)+len(family), headerSize)
		copy(mark.Key[copy(mark.Key, countedPrefix):], family)
		mark.Value[0] = kindLast
		mark.Finish()
	}
	return batch, deletes, marks
}

// apply gives the batch the next version and puts it into the log, where it can
// be read but is not yet durable.
func (s *Store) apply(batch *engine.Batch, deletes []string) (ver uint64, err error) {
	s.commitMu.Lock()
	defer s.commitMu.Unlock()
	if s.failed.Load() {
		return 0, errors.New("the store has failed")
	}
	defer func() {
		// Pebble panics on an error of the log, which is its caller's to handle.
		switch r := recover().(type) {
		case nil:
		case error:
			err = r
		default:
			err = fmt.Errorf("%v", r)
		}
		if err != nil {
			s.fail(fmt.Errorf("write to the log: %w", err))
		}
	}()
	ver = s.last + 1
	for entries := batch.Reader(); ; {
		_, _, encoded, ok, err := entries.Next()
		if err != nil {
			return 0, err
		}
		if !ok {
			break
		}
		if encoded != nil { // a delete has no value
			binary.BigEndian.PutUint64(encoded[1:], ver)
		}
	}
	s.gate.enter(ver, deletes)
	s.last = ver
	return ver, s.db.ApplyNoSyncWait(batch, engine.Sync)
}
