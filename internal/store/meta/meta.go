// SPDX-License-Identifier: Apache-2.0

// Package meta is the ordered key-value store under all of Coffer's metadata:
// the interface, the errors, and key encoding. Drivers are in mem and pebble;
// what they promise is the suite metatest. It knows neither S3 nor KMS.
//
// There are no interactive transactions. A caller reads, decides, and commits
// with the versions it read as conditions; on a [*ConflictError] it starts again.
// There are no conditions on ranges: where a phantom would matter, callers share
// a guard row.
package meta

import (
	"context"
	"fmt"

	"github.com/cofferstore/coffer/internal/fault"
)

// Kinds of fault that every store raises.
const (
	// Damaged: a stored row is not what was written (its authentication code,
	// its encoding or the driver's own checksum says so).
	Damaged fault.Kind = "meta: damaged row"
	// Full: the device has no room for more writes. Batches that delete
	// something may still be taken.
	Full fault.Kind = "meta: no room left"
	// Unavailable: the store cannot answer now, or was closed.
	Unavailable fault.Kind = "meta: store unavailable"
)

// Limits that every driver enforces with an error.
const (
	MaxKey   = 4 << 10  // bytes in a key; a key is at least 1 byte
	MaxValue = 16 << 20 // bytes in a value
	Trailer  = 64       // bytes that a wrapper may append to a value of MaxValue
)

// CounterVersion is the version of every counter. Rows have higher ones.
const CounterVersion = 1

// Store is an ordered key-value store. All methods are safe for concurrent use
// by any number of goroutines. Keys sort bytewise.
//
// Only durable state is visible: Get, Scan and a conflict answer wait for the
// write that they would show (a row, or the absence of a deleted one) to be
// durable, so nothing that a caller has read can be gone after a crash.
type Store interface {
	// Get returns one Item per key, in the order asked, from one snapshot.
	// An absent row has Ver 0 and a nil Value. Values are the caller's own.
	Get(ctx context.Context, keys ...[]byte) ([]Item, error)

	// Scan returns rows of one snapshot in key order. It stops at Limit rows
	// or MaxBytes of keys and values, and then says where to go on.
	Scan(ctx context.Context, r Range) (Page, error)

	// Commit applies the batch as a whole or not at all and returns when it is
	// durable. ver is the version that every row it put now has; versions
	// grow over the life of the store and are never reused, also not by a row
	// that was deleted and made again. When a condition does not hold it
	// returns a *ConflictError and nothing has changed. Any other error leaves
	// open whether the batch was applied. A batch that writes nothing only
	// checks its conditions; ver is then that of some earlier commit. ctx ends
	// the wait to begin, not the wait for the disk.
	Commit(ctx context.Context, b *Batch) (ver uint64, err error)

	// Watch returns a channel that receives a value some time after a row under
	// prefix changed. It is a hint: values may be merged or (from another
	// node) lost, so callers also poll. The channel is closed when ctx is done or
	// the store is closed.
	Watch(ctx context.Context, prefix []byte) <-chan struct{}

	// Close waits for operations under way, then releases the store. Later
	// calls return Unavailable.
	Close() error
}

// Compacter is a store whose files may keep values after their rows were
// deleted. Compact rewrites the rows with start <= key < end (a nil end means no
// upper bound), so that its live files hold none of them. It can take minutes.
type Compacter interface {
	Compact(ctx context.Context, start, end []byte) error
}

// Item is a row as read. For a counter (see Add) Value is its sum as 8 bytes,
// big-endian two's complement, and Ver is CounterVersion.
type Item struct {
	Key, Value []byte
	Ver        uint64
}

// Range asks for the rows with Start <= key < End. A nil End means no upper
// bound. Reverse returns them from the last to the first.
type Range struct {
	Start, End []byte
	Reverse    bool
	Limit      int  // rows at most; 0 means 1000
	MaxBytes   int  // stop after the row that reaches this many bytes; 0 means no bound
	KeysOnly   bool // leave Value nil; Ver is still set
}

// Page is what a Scan found. More says that the range was not exhausted; Next is
// then the Start (or, for a Reverse scan, the End) with which to go on.
type Page struct {
	Items []Item
	More  bool
	Next  []byte
}

// Batch is a conditional write. A key may appear in at most one of Puts,
// Deletes and Adds. The store does not keep references to a batch's slices
// after Commit returns.
type Batch struct {
	Conds   []Cond
	Puts    []Put
	Deletes [][]byte
	Adds    []Add
}

// Cond demands that the row's version is Want. Want 0 demands that there is no
// such row, and is allowed only together with a Put of the same key. A condition
// on a row that the batch does not write is shared: batches that merely demand
// the same version do not conflict with one another.
type Cond struct {
	Key  []byte
	Want uint64
}

// Put writes a row.
type Put struct{ Key, Value []byte }

// Add adds Delta to a counter, which begins at 0. Adds commute and never
// conflict. A key is a counter or a row until it is deleted; mixing them is an
// error. A batch cannot put a condition on a counter that it adds to.
type Add struct {
	Key   []byte
	Delta int64
}

// Cond, Put, Delete and Add append to the batch.
func (b *Batch) Cond(key []byte, want uint64)  { b.Conds = append(b.Conds, Cond{key, want}) }
func (b *Batch) Put(key, value []byte)         { b.Puts = append(b.Puts, Put{key, value}) }
func (b *Batch) Delete(key []byte)             { b.Deletes = append(b.Deletes, key) }
func (b *Batch) Add(key []byte, delta int64)   { b.Adds = append(b.Adds, Add{key, delta}) }
func (b *Batch) PutIf(key, v []byte, w uint64) { b.Cond(key, w); b.Put(key, v) }

// ConflictError says that a condition did not hold.
type ConflictError struct{ Key []byte }

// Error names the row.
func (e *ConflictError) Error() string { return fmt.Sprintf("meta: conflict on row %q", e.Key) }

// Get1 reads one row.
func Get1(ctx context.Context, s Store, key []byte) (Item, error) {
	items, err := s.Get(ctx, key)
	if err != nil {
		return Item{}, err
	}
	return items[0], nil
}

// Versioner is a store that can say a row's version for less than the row.
type Versioner interface {
	// Version returns the version of a row, 0 when it is absent. It sees what Get
	// would see.
	Version(ctx context.Context, key []byte) (uint64, error)
}

// Version returns the version of a row, 0 when it is absent.
func Version(ctx context.Context, s Store, key []byte) (uint64, error) {
	if v, ok := s.(Versioner); ok {
		return v.Version(ctx, key)
	}
	item, err := Get1(ctx, s, key)
	return item.Ver, err
}

// Viewer is a store that can show rows that it keeps in memory, without a copy.
type Viewer interface {
	// View is Get, but that nobody may change the items' keys and values, which may be
	// shared. They may be kept.
	View(ctx context.Context, keys ...[]byte) ([]Item, error)
	// View1 is View of one row.
	View1(ctx context.Context, key []byte) (Item, error)
}

// View reads rows that the caller does not change.
func View(ctx context.Context, s Store, keys ...[]byte) ([]Item, error) {
	if v, ok := s.(Viewer); ok {
		return v.View(ctx, keys...)
	}
	return s.Get(ctx, keys...)
}

// View1 reads a row that the caller does not change.
func View1(ctx context.Context, s Store, key []byte) (Item, error) {
	if v, ok := s.(Viewer); ok {
		return v.View1(ctx, key)
	}
	return Get1(ctx, s, key)
}

// PrefixEnd returns the first key after all keys that begin with prefix, or nil
// when there is none.
func PrefixEnd(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] != 0xff {
			end[i]++
			return end[:i+1]
		}
	}
	return nil
}
