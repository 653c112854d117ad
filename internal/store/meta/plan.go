// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// Op is what a batch does to a row.
type Op uint8

const (
	Demand    Op = iota // nothing: there is only a condition on it
	Write               // put
	Remove              // delete
	Increment           // add to a counter
)

// Step is all that a batch says of one row: at most one change and at most one
// condition. Its slices are the batch's own.
type Step struct {
	Key   []byte
	Op    Op
	Value []byte // of a Write
	Delta int64  // of an Increment
	Cond  bool   // whether Want counts
	Want  uint64
}

// Holds says whether the step may be done on a row of version ver (0: absent).
func (s Step) Holds(ver uint64) bool { return !s.Cond || s.Want == ver }

// ErrMixed says that a batch adds to a row, or puts a row over a counter. Drivers
// return it wrapped; it is a mistake of the caller.
var ErrMixed = errors.New("meta: a key is a counter or a row, not both")

// Steps returns the batch in key order with one step for each row, for drivers
// to carry out. It refuses a malformed batch, which is a mistake of the caller:
// a key or value out of bounds, a key changed or demanded twice, a demand for
// absence without a put, or a condition on a counter that is added to.
func (b *Batch) Steps() ([]Step, error) {
	steps := make([]Step, 0, len(b.Conds)+len(b.Puts)+len(b.Deletes)+len(b.Adds))
	for _, c := range b.Conds {
		steps = append(steps, Step{Key: c.Key, Cond: true, Want: c.Want})
	}
	for _, p := range b.Puts {
		if len(p.Value) > MaxValue+Trailer {
			return nil, fmt.Errorf("meta: value of %d bytes for row %q", len(p.Value), p.Key)
		}
		steps = append(steps, Step{Key: p.Key, Op: Write, Value: p.Value})
	}
	for _, key := range b.Deletes {
		steps = append(steps, Step{Key: key, Op: Remove})
	}
	for _, a := range b.Adds {
		steps = append(steps, Step{Key: a.Key, Op: Increment, Delta: a.Delta})
	}
	// Conditions come first and the sort is stable, so a row's condition is
	// followed by its change.
	slices.SortStableFunc(steps, func(a, b Step) int { return bytes.Compare(a.Key, b.Key) })
	return merge(steps)
}

// merge joins the steps of one row in place and refuses what cannot be joined.
func merge(steps []Step) ([]Step, error) {
	out := steps[:0]
	for _, s := range steps {
		if len(s.Key) == 0 || len(s.Key) > MaxKey {
			return nil, fmt.Errorf("meta: key of %d bytes", len(s.Key))
		}
		if n := len(out); n > 0 && bytes.Equal(out[n-1].Key, s.Key) {
			last := &out[n-1]
			if last.Op != Demand || s.Op == Demand {
				return nil, fmt.Errorf("meta: batch names row %q twice", s.Key)
			}
			if s.Op == Increment {
				return nil, fmt.Errorf("meta: batch puts a condition on counter %q", s.Key)
			}
			s.Cond, s.Want = true, last.Want
			*last = s
			continue
		}
		out = append(out, s)
	}
	for _, s := range out {
		if s.Cond && s.Want == 0 && s.Op != Write {
			return nil, fmt.Errorf("meta: batch demands absence of row %q without a put", s.Key)
		}
	}
	return out, nil
}
