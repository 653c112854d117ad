// SPDX-License-Identifier: Apache-2.0

package cached

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/internal/store/meta/mem"
	"github.com/cofferstore/coffer/internal/store/meta/metatest"
)

func TestStore(t *testing.T) {
	metatest.Run(t, func(t *testing.T) meta.Store { return Wrap(mem.New(), Config{}) })
}

// counting counts the reads that reach the store below, and stops before a step.
type counting struct {
	meta.Store
	gets   int
	after  func() // a read, before its answer
	within func() // a commit, when it has been done
}

func (c *counting) Get(ctx context.Context, keys ...[]byte) ([]meta.Item, error) {
	c.gets++
	items, err := c.Store.Get(ctx, keys...)
	if c.after != nil {
		c.after()
	}
	return items, err
}

func (c *counting) Commit(ctx context.Context, b *meta.Batch) (uint64, error) {
	ver, err := c.Store.Commit(ctx, b)
	if c.within != nil {
		c.within()
	}
	return ver, err
}

func open(t *testing.T, cfg Config) (meta.Store, *counting) {
	below := &counting{Store: mem.New()}
	s := Wrap(below, cfg)
	t.Cleanup(func() { s.Close() })
	return s, below
}

func put(t *testing.T, s meta.Store, key, value string) {
	t.Helper()
	var b meta.Batch
	b.Put([]byte(key), []byte(value))
	if _, err := s.Commit(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, s meta.Store, keys ...string) string {
	t.Helper()
	asked := make([][]byte, len(keys))
	for i, key := range keys {
		asked[i] = []byte(key)
	}
	items, err := s.Get(t.Context(), asked...)
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	for i, it := range items {
		if string(it.Key) != keys[i] {
			t.Fatalf("item %d is of %q, not %q", i, it.Key, keys[i])
		}
		text += string(it.Value) + ";"
	}
	return text
}

func TestRowsAreReadOnce(t *testing.T) {
	s, below := open(t, Config{})
	put(t, s, "a", "1")
	for range 3 {
		if got := get(t, s, "a", "absent"); got != "1;;" {
			t.Fatalf("got %q", got)
		}
	}
	if below.gets != 1 {
		t.Errorf("%d reads of the store below", below.gets)
	}
	put(t, s, "a", "2")
	put(t, s, "absent", "3")
	if got := get(t, s, "a", "absent"); got != "2;3;" {
		t.Errorf("after they were written: %q", got)
	}
}

// What is viewed is what is got, by the caller's keys, and takes no memory for what is kept.
func TestView(t *testing.T) {
	s, below := open(t, Config{})
	big := strings.Repeat("x", 4<<10)
	put(t, s, "a", big)
	view := func(key string) meta.Item {
		t.Helper()
		one, err := meta.View1(t.Context(), s, []byte(key))
		if err != nil {
			t.Fatal(err)
		}
		all, err := meta.View(t.Context(), s, []byte("absent"), []byte(key))
		if err != nil || string(all[1].Key) != key || string(one.Key) != key || !bytes.Equal(one.Value, all[1].Value) || one.Ver != all[1].Ver {
			t.Fatalf("View: %v, View1: %v, %v", all, one, err)
		}
		if all[0].Ver != 0 || all[0].Value != nil || string(all[0].Key) != "absent" {
			t.Fatalf("an absent row: %v", all[0])
		}
		return one
	}
	before := view("a")
	reads := below.gets
	key := []byte("a")
	if n := testing.AllocsPerRun(100, func() { _, _ = s.(meta.Viewer).View1(t.Context(), key) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
	if below.gets != reads {
		t.Errorf("a row that is kept was read from below")
	}
	put(t, s, "a", "new")
	if got := view("a"); string(got.Value) != "new" || string(before.Value) != big {
		t.Errorf("after a commit: %q; what was seen before has %d bytes", got.Value, len(before.Value))
	}
}

// A row that was written while it was being read is not kept as it was.
func TestReadOvertakenByWrite(t *testing.T) {
	s, below := open(t, Config{})
	put(t, s, "a", "old")
	below.after = func() { below.after = nil; put(t, s, "a", "new") }
	if got := get(t, s, "a"); got != "old;" {
		t.Fatalf("the read that came first saw %q", got)
	}
	if got := get(t, s, "a"); got != "new;" {
		t.Errorf("kept %q", got)
	}
}

// A read while a commit is under way may see the row before or after it, and keeps
// neither: the rows of that commit must change together.
func TestReadDuringWrite(t *testing.T) {
	s, below := open(t, Config{})
	put(t, s, "a", "old")
	put(t, s, "b", "old")
	get(t, s, "b")
	below.within = func() {
		below.within = nil
		if got := get(t, s, "a"); got != "new;" {
			t.Errorf("during the commit: %q", got)
		}
	}
	var batch meta.Batch
	batch.Put([]byte("a"), []byte("new"))
	batch.Delete([]byte("b"))
	if _, err := s.Commit(t.Context(), &batch); err != nil {
		t.Fatal(err)
	}
	before := below.gets
	if got := get(t, s, "a", "b"); got != "new;;" || below.gets != before+1 {
		t.Errorf("afterwards %q by %d reads", got, below.gets-before)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	const bytes = 1 << 20
	s, _ := open(t, Config{Bytes: bytes})
	for i := range 3000 {
		key := fmt.Sprint("row", i)
		put(t, s, key, string(make([]byte, 1000)))
		get(t, s, key)
	}
	kept := 0
	for i := range s.(*store).shards {
		kept += len(s.(*store).shards[i].items)
	}
	if kept == 0 || kept > bytes/1000 {
		t.Errorf("%d rows of 1000 bytes are kept in %d", kept, bytes)
	}
}

func TestRowsOfOthersAreNotKept(t *testing.T) {
	below := mem.New()
	s := Wrap(below, Config{Skip: func(key []byte) bool { return key[0] == 'x' }})
	defer s.Close()
	get(t, s, "x", "a")
	put(t, below, "x", "1")
	if got := get(t, s, "x"); got != "1;" {
		t.Errorf("got %q", got)
	}
}

func TestNothingIsAnsweredAfterClose(t *testing.T) {
	s, _ := open(t, Config{})
	put(t, s, "a", "1")
	get(t, s, "a")
	s.Close()
	if _, err := s.Get(t.Context(), []byte("a")); !errors.Is(err, meta.Unavailable) {
		t.Errorf("got %v", err)
	}
}

func BenchmarkGet(b *testing.B) {
	s := Wrap(mem.New(), Config{})
	var batch meta.Batch
	keys := [][]byte{[]byte("c/bucket/some/object"), []byte("b/0123456789abcdef")}
	for _, key := range keys {
		batch.Put(key, make([]byte, 600))
	}
	if _, err := s.Commit(b.Context(), &batch); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Get(b.Context(), keys...); err != nil {
				b.Error(err)
			}
		}
	})
}
