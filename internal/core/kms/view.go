// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

const (
	epochPoll    = 2 * time.Second  // how late a change on another node may act here
	epochLimit   = 10 * time.Second // how long the epoch may be unreadable
	epochTimeout = time.Second      // of one reading
	epochRetry   = time.Second      // after one that failed
)

// view is this node's memory of decoded rows, for the paths that every S3
// request takes. Every change to any row also writes the epoch row, so a view
// whose epoch is unchanged is right; the epoch is read when it is needed and the
// last reading is two seconds old. A local change drops the rows it wrote.
type view struct {
	store meta.Store
	max   int
	epoch singleflight.Group

	mu     sync.RWMutex
	rows   map[string]any
	held   map[string]map[string]*grantSet // grants, by the key's row and by grantee
	grown  int                             // grants and sets held
	drops  uint64                          // counts droppings, so that a row read before one is not kept after it
	ver    uint64                          // of the epoch row
	read   time.Time                       // when the last successful reading of the epoch began
	failed time.Time                       // when the last failed one ended
}

func newView(store meta.Store, max int) *view {
	return &view{store: store, max: max, rows: map[string]any{}, held: map[string]map[string]*grantSet{}}
}

// lookup returns the decoded row, or nil when there is none. Absence is not
// remembered. Errors: Unavailable, Internal.
func lookup[R any](ctx context.Context, v *view, row string, decode func([]byte, uint64) (*R, error)) (*R, error) {
	if err := v.refresh(ctx, time.Now()); err != nil {
		return nil, err
	}
	v.mu.RLock()
	found, ok := v.rows[row]
	drops := v.drops
	v.mu.RUnlock()
	if ok {
		return found.(*R), nil
	}
	return load(ctx, v, row, drops, decode)
}

// lookupKey is lookup of a key's row, and returns the time.
func lookupKey(ctx context.Context, v *view, ref keyRef) (*key, time.Time, error) {
	now := time.Now()
	row := ref.appendRow(make([]byte, 0, 96))
	v.mu.RLock()
	found, ok := v.rows[string(row)]
	fresh := v.fresh(now)
	v.mu.RUnlock()
	if ok && fresh {
		return found.(*key), now, nil
	}
	k, err := lookup(ctx, v, string(row), decodeKey)
	return k, time.Now(), err // it may have waited
}

// load reads a row and keeps it.
func load[R any](ctx context.Context, v *view, row string, drops uint64, decode func([]byte, uint64) (*R, error)) (*R, error) {
	item, err := meta.Get1(ctx, v.store, []byte(row))
	if err != nil {
		return nil, fromMeta(err)
	}
	if item.Ver == 0 {
		return nil, nil
	}
	r, err := decode(item.Value, item.Ver)
	if err != nil {
		return nil, err
	}
	v.keep(row, r, drops)
	return r, nil
}

func (v *view) keep(row string, decoded any, drops uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.drops != drops {
		return
	}
	if _, ok := v.rows[row]; !ok && len(v.rows) >= v.max {
		for victim := range v.rows { // any: reading it again costs one Get
			delete(v.rows, victim)
			break
		}
	}
	v.rows[row] = decoded
}

func (v *view) drop(rows ...string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.drops++
	for _, row := range rows {
		delete(v.rows, row)
		v.forget(row) // a change of grants changes the key's row
	}
}

// maxHeld bounds the grants in memory, and with them the sets, of which most are empty:
// some 500 bytes each.
const maxHeld = 1 << 17

// grants returns what is held of a key's grants to a principal, nil when nothing is,
// and what to give keepGrants.
func (v *view) grants(row, identity string) (*grantSet, uint64) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.held[row][identity], v.drops
}

func (v *view) keepGrants(row, identity string, set *grantSet, drops uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.drops != drops || set.size >= maxHeld {
		return
	}
	for victim := range v.held { // any: reading them again costs a Scan
		if v.grown+1+set.size <= maxHeld {
			break
		}
		v.forget(victim)
	}
	if v.held[row] == nil {
		v.held[row] = map[string]*grantSet{}
	}
	if _, ok := v.held[row][identity]; !ok {
		v.held[row][identity] = set
		v.grown += 1 + set.size
	}
}

// forget drops a key's grants. v.mu is held.
func (v *view) forget(row string) {
	for _, set := range v.held[row] {
		v.grown -= 1 + set.size
	}
	delete(v.held, row)
}

// refresh reads the epoch when the last reading is too old. All callers wait
// for one reading. When it fails, the view serves until epochLimit.
func (v *view) refresh(ctx context.Context, now time.Time) error {
	v.mu.RLock()
	fresh, age := v.fresh(now), now.Sub(v.read)
	v.mu.RUnlock()
	if fresh {
		return nil
	}
	reading := v.epoch.DoChan("", func() (any, error) { return nil, v.readEpoch() })
	select {
	case r := <-reading:
		if r.Err != nil && age >= epochLimit {
			return fault.New(Unavailable, "").Because(r.Err)
		}
		return nil
	case <-ctx.Done():
		return fault.New(Unavailable, "").Because(ctx.Err())
	}
}

// fresh reports whether the epoch need not be read. v.mu is held.
func (v *view) fresh(now time.Time) bool {
	age := now.Sub(v.read)
	return age < epochPoll || age < epochLimit && now.Sub(v.failed) < epochRetry
}

// readEpoch is not bound to the caller's context, because others wait for it.
func (v *view) readEpoch() error {
	ctx, cancel := context.WithTimeout(context.Background(), epochTimeout)
	defer cancel()
	began := time.Now()
	item, err := meta.Get1(ctx, v.store, []byte(epochRow))
	v.mu.Lock()
	defer v.mu.Unlock()
	if err != nil {
		v.failed = time.Now()
		return err
	}
	if item.Ver != v.ver {
		clear(v.rows)
		clear(v.held)
		v.grown = 0
		v.drops++
	}
	v.ver, v.read = item.Ver, began
	return nil
}

// isConflict reports whether a commit failed on a condition.
func isConflict(err error) bool {
	var conflict *meta.ConflictError
	return errors.As(err, &conflict)
}
