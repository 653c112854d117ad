// SPDX-License-Identifier: Apache-2.0

package pebble

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Get is meta.Store.Get.
func (s *Store) Get(ctx context.Context, keys ...[]byte) ([]meta.Item, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.ops.Done()
	var from engine.Reader = s.db
	if len(keys) > 1 { // one key is a snapshot of its own
		snapshot := s.db.NewSnapshot()
		defer snapshot.Close()
		from = snapshot
	}
	items := make([]meta.Item, len(keys))
	var newest, since uint64
	if len(keys) == 1 {
		since = s.locks.changes(keys[0])
	}
	buf := make([]byte, 0, 256)
	for i, key := range keys {
		buf = rowKey(buf[:0], key)
		it, ver, err := s.get(from, buf)
		if err != nil {
			return nil, err
		}
		if ver == 0 && len(keys) == 1 {
			s.locks.unchanged(key, since, func() { s.absent.put(key, 0) })
		}
		if ver == 0 {
			ver = s.gate.deleted(key)
		}
		newest = max(newest, ver)
		items[i] = it
	}
	if err := s.gate.wait(ctx, newest); err != nil {
		return nil, err
	}
	return items, nil
}

// get reads the row under a key in Pebble, and returns also the version that
// wrote it, which for a counter is not its item's. The item is a copy.
func (s *Store) get(from engine.Reader, pebbleKey []byte) (meta.Item, uint64, error) {
	encoded, closer, err := from.Get(pebbleKey)
	if errors.Is(err, engine.ErrNotFound) {
		return meta.Item{Key: bytes.Clone(pebbleKey[1:])}, 0, nil
	}
	if err != nil {
		return meta.Item{}, 0, s.rowFault(pebbleKey, err)
	}
	defer closer.Close()
	return item(pebbleKey, encoded, false)
}

// item decodes a row into an item of its own memory.
func item(pebbleKey, encoded []byte, keyOnly bool) (meta.Item, uint64, error) {
	v, ok := decode(encoded)
	if !ok || v.kind == kindLast {
		return meta.Item{}, 0, fault.New(meta.Damaged, "").Because(fmt.Errorf("row %q: not a value's encoding", pebbleKey[1:]))
	}
	it := meta.Item{Ver: v.ver}
	if v.kind == kindCounter {
		it.Ver = meta.CounterVersion
	}
	key := pebbleKey[1:]
	if keyOnly {
		it.Key = bytes.Clone(key)
		return it, v.ver, nil
	}
	mine := make([]byte, len(key)+len(v.body))
	copy(mine, key)
	copy(mine[len(key):], v.body)
	it.Key, it.Value = mine[:len(key):len(key)], mine[len(key):]
	return it, v.ver, nil
}

// rowFault is fault with the row's name.
func (s *Store) rowFault(pebbleKey []byte, err error) error {
	return s.fault(fmt.Errorf("row %q: %w", pebbleKey[1:], err))
}

// Scan is meta.Store.Scan.
func (s *Store) Scan(ctx context.Context, r meta.Range) (meta.Page, error) {
	if err := s.begin(ctx); err != nil {
		return meta.Page{}, err
	}
	defer s.ops.Done()
	if r.Limit <= 0 {
		r.Limit = 1000
	}
	page, newest, err := s.page(ctx, r)
	if err != nil {
		return meta.Page{}, err
	}
	// The page also says which rows are not there: up to its last row, or up to
	// the end of the range.
	start, end := r.Start, r.End
	if page.More && r.Reverse {
		start = page.Next
	} else if page.More {
		end = page.Next
	}
	newest = max(newest, s.gate.deletedBetween(start, end))
	if err := s.gate.wait(ctx, newest); err != nil {
		return meta.Page{}, err
	}
	return page, nil
}

// page reads what Scan returns, and the newest version in it.
func (s *Store) page(ctx context.Context, r meta.Range) (page meta.Page, newest uint64, err error) {
	start := rowKey(make([]byte, 0, 1+len(r.Start)), r.Start)
	end := rowEnd(r.End)
	if bytes.Compare(start, end) >= 0 {
		return page, 0, nil
	}
	it, err := s.db.NewIterWithContext(ctx, &engine.IterOptions{LowerBound: start, UpperBound: end})
	if err != nil {
		return page, 0, s.fault(err)
	}
	defer func() {
		if e := it.Close(); e != nil && err == nil {
			err = s.fault(e)
		}
	}()
	step, size := it.Next, 0
	ok := false
	if r.Reverse {
		step = it.Prev
		ok = it.Last()
	} else {
		ok = it.First()
	}
	for ; ok; ok = step() {
		if n := len(page.Items); n == r.Limit || n > 0 && r.MaxBytes > 0 && size >= r.MaxBytes {
			page.More = true
			page.Next = bytes.Clone(page.Items[n-1].Key)
			if !r.Reverse {
				page.Next = append(page.Next, 0) // the first key after the last one
			}
			return page, newest, nil
		}
		encoded, err := it.ValueAndErr()
		if err != nil {
			return page, 0, s.rowFault(it.Key(), err)
		}
		found, ver, err := item(it.Key(), encoded, r.KeysOnly)
		if err != nil {
			return page, 0, err
		}
		newest = max(newest, ver)
		size += len(found.Key) + len(found.Value)
		page.Items = append(page.Items, found)
		if len(page.Items)%256 == 0 && ctx.Err() != nil {
			return page, 0, ctx.Err()
		}
	}
	if err := it.Error(); err != nil {
		return page, 0, s.fault(err)
	}
	return page, newest, nil
}
