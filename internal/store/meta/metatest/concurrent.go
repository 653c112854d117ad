// SPDX-License-Identifier: Apache-2.0

package metatest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/cofferstore/coffer/internal/store/meta"
)

// Get of several rows shows all of a batch or nothing of it.
func testSnapshot(t *testing.T, s meta.Store) {
	keys := [][]byte{[]byte("a"), []byte("m"), []byte("z")}
	writeAll(t, s, keys, func(ctx read) error {
		items, err := s.Get(ctx.Context, keys...)
		if err != nil {
			return err
		}
		return alike(items)
	})
}

// So does Scan, within a page.
func testScanSnapshot(t *testing.T, s meta.Store) {
	keys := [][]byte{[]byte("a"), []byte("m"), []byte("z")}
	writeAll(t, s, keys, func(ctx read) error {
		page, err := s.Scan(ctx.Context, meta.Range{Reverse: ctx.odd})
		if err != nil {
			return err
		}
		if len(page.Items) != 0 && len(page.Items) != len(keys) {
			return fmt.Errorf("%d rows of a batch with %d", len(page.Items), len(keys))
		}
		return alike(page.Items)
	})
}

func alike(items []meta.Item) error {
	for _, it := range items {
		if it.Ver != items[0].Ver || string(it.Value) != string(items[0].Value) {
			return fmt.Errorf("row %q has version %d and row %q version %d of one batch", items[0].Key, items[0].Ver, it.Key, it.Ver)
		}
	}
	return nil
}

// read is one reading by a reader of writeAll.
type read struct {
	context.Context
	odd bool // every second one
}

// writeAll runs check beside commits that put all keys or delete all.
func writeAll(t *testing.T, s meta.Store, keys [][]byte, check func(ctx read) error) {
	group, ctx := errgroup.WithContext(within(t))
	var done atomic.Bool
	group.Go(func() error {
		defer done.Store(true)
		for i := range 120 {
			var b meta.Batch
			for _, key := range keys {
				if i%5 == 4 {
					b.Delete(key)
				} else {
					b.Put(key, fmt.Append(nil, i))
				}
			}
			if _, err := s.Commit(ctx, &b); err != nil {
				return err
			}
		}
		return nil
	})
	for r := range 3 {
		group.Go(func() error {
			for n := 0; !done.Load(); n++ {
				if err := check(read{ctx, (n+r)%2 == 1}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
}

// Read, decide, commit, and again on a conflict: no increment is lost.
func testIncrements(t *testing.T, s meta.Store) {
	const workers, each = 8, 20
	group, ctx := errgroup.WithContext(within(t))
	key, total := []byte("n"), []byte("st/n")
	for range workers {
		group.Go(func() error {
			for done := 0; done < each; {
				it, err := meta.Get1(ctx, s, key)
				if err != nil {
					return err
				}
				var n uint64
				if it.Ver != 0 {
					n = binary.BigEndian.Uint64(it.Value)
				}
				var b meta.Batch
				b.PutIf(key, binary.BigEndian.AppendUint64(nil, n+1), it.Ver)
				b.Add(total, 1)
				_, err = s.Commit(ctx, &b)
				var conflict *meta.ConflictError
				switch {
				case err == nil:
					done++
				case !errors.As(err, &conflict):
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if n := binary.BigEndian.Uint64(get(t, s, "n").Value); n != workers*each {
		t.Errorf("%d increments left %d", workers*each, n)
	}
	wantCounter(t, s, "st/n", workers*each)
}

// Of many who create the same row one succeeds, and the others can read it.
func testExclusiveCreate(t *testing.T, s meta.Store) {
	ctx := within(t)
	for round := range 20 {
		key := fmt.Appendf(nil, "row %d", round)
		var created atomic.Uint64
		var winners atomic.Int32
		var group errgroup.Group
		for i := range 4 {
			group.Go(func() error {
				var b meta.Batch
				b.PutIf(key, fmt.Append(nil, i), 0)
				ver, err := s.Commit(ctx, &b)
				var conflict *meta.ConflictError
				if errors.As(err, &conflict) {
					it, err := meta.Get1(ctx, s, key)
					if err == nil && it.Ver == 0 {
						err = errors.New("conflict with a row that is not there")
					}
					return err
				}
				created.Store(ver)
				winners.Add(1)
				return err
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		if it := get(t, s, string(key)); winners.Load() != 1 || it.Ver != created.Load() {
			t.Fatalf("%d winners, row has version %d, its writer was told %d", winners.Load(), it.Ver, created.Load())
		}
	}
}

// Once the guard row was rewritten, no batch that demands its old version lands:
// what a scan begun after that finds is all there will ever be.
func testGuardRow(t *testing.T, s meta.Store) {
	ctx := within(t)
	for round := range 10 {
		prefix := fmt.Appendf(nil, "%02d/", round)
		guard := fmt.Appendf(nil, "bg/%02d", round)
		ver := put(t, s, string(guard), "open")
		var landed atomic.Int32
		var started sync.WaitGroup
		var group errgroup.Group
		started.Add(3)
		for w := range 3 {
			group.Go(func() error {
				for i := 0; ; i++ {
					var b meta.Batch
					b.Cond(guard, ver)
					b.PutIf(fmt.Appendf(nil, "%s%d.%d", prefix, w, i), nil, 0)
					_, err := s.Commit(ctx, &b)
					if i == 0 {
						started.Done()
					}
					var conflict *meta.ConflictError
					if errors.As(err, &conflict) {
						return nil
					}
					if err != nil {
						return err
					}
					landed.Add(1)
				}
			})
		}
		started.Wait()
		put(t, s, string(guard), "closed")
		rows, _ := walk(t, s, meta.Range{Start: prefix, End: meta.PrefixEnd(prefix)})
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		if n := int(landed.Load()); n != len(rows) {
			t.Fatalf("%d rows landed, %d of them before the guard closed", n, len(rows))
		}
	}
}
