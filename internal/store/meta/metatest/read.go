// SPDX-License-Identifier: Apache-2.0

package metatest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cofferstore/coffer/internal/store/meta"
)

func testGet(t *testing.T, s meta.Store) {
	a := put(t, s, "a", "apple")
	e := put(t, s, "empty", "")
	items, err := s.Get(t.Context(), []byte("empty"), []byte("gone"), []byte("a"), []byte("a"))
	if err != nil {
		t.Fatal(err)
	}
	want := []meta.Item{
		{Key: []byte("empty"), Value: []byte{}, Ver: e},
		{Key: []byte("gone")},
		{Key: []byte("a"), Value: []byte("apple"), Ver: a},
		{Key: []byte("a"), Value: []byte("apple"), Ver: a},
	}
	if diff := cmp.Diff(want, items); diff != "" {
		t.Errorf("items (-want +got):\n%s", diff)
	}
	if items, err := s.Get(t.Context()); err != nil || len(items) != 0 {
		t.Errorf("no keys: %v, %v", items, err)
	}
}

// A version that is asked for alone is the row's, before and after each change.
func testVersionOnly(t *testing.T, s meta.Store) {
	is := func(want uint64) {
		t.Helper()
		for range 2 { // the second answer may come from memory
			if got, err := meta.Version(t.Context(), s, []byte("a")); err != nil || got != want {
				t.Errorf("version %d, %v, want %d", got, err, want)
			}
		}
	}
	is(0)
	is(put(t, s, "a", "apple"))
	is(put(t, s, "a", "avocado"))
	if _, err := s.Commit(t.Context(), &meta.Batch{Deletes: [][]byte{[]byte("a")}}); err != nil {
		t.Fatal(err)
	}
	is(0)
}

// The caller may write on what it was given, and on the keys that it asked with.
func testGetOwnership(t *testing.T, s meta.Store) {
	ver := put(t, s, "a", "apple")
	add(t, s, "st/a", 7)
	key := []byte("a")
	items, err := s.Get(t.Context(), key, []byte("st/a"))
	if err != nil {
		t.Fatal(err)
	}
	key[0] = 'z'
	if string(items[0].Key) != "a" {
		t.Errorf("item's key followed the caller's to %q", items[0].Key)
	}
	page := scan(t, s, meta.Range{})
	for _, it := range append(items, page.Items...) {
		clear(it.Key)
		clear(it.Value)
		_ = append(it.Key, "beyond"...)
		_ = append(it.Value, "beyond"...)
	}
	wantRow(t, s, "a", "apple", ver)
	wantCounter(t, s, "st/a", 7)
	if got, want := keysOf(scan(t, s, meta.Range{})), []string{"a", "st/a"}; !slices.Equal(got, want) {
		t.Errorf("keys %q, want %q", got, want)
	}
}

func testScanOrder(t *testing.T, s meta.Store) {
	// In byte order, with the cases where another order would differ.
	keys := []string{"\x00", "\x00\x00", "A", "B", "a", "a\x00", "a\x00\xff", "a\x01", "aa", "b", "\x7f", "\x80", "é", "\xff", "\xff\xff"}
	for _, i := range []int{7, 0, 14, 3, 9, 1, 12, 5, 11, 2, 8, 13, 4, 10, 6} {
		put(t, s, keys[i], "value of "+keys[i])
	}
	reversed := slices.Clone(keys)
	slices.Reverse(reversed)
	for _, c := range []struct {
		name string
		r    meta.Range
		want []string
	}{
		{"all", meta.Range{}, keys},
		{"all, reversed", meta.Range{Reverse: true}, reversed},
		{"from a to b", meta.Range{Start: []byte("a"), End: []byte("b")}, keys[4:9]},
		{"from b down to a", meta.Range{Start: []byte("a"), End: []byte("b"), Reverse: true}, reversed[6:11]},
		{"start and end without rows", meta.Range{Start: []byte("a\x00\x00"), End: []byte("az")}, keys[6:9]},
		{"the same, reversed", meta.Range{Start: []byte("a\x00\x00"), End: []byte("az"), Reverse: true}, reversed[6:9]},
		{"prefix a", meta.Range{Start: []byte("a"), End: meta.PrefixEnd([]byte("a"))}, keys[4:9]},
		{"prefix ff", meta.Range{Start: []byte("\xff"), End: meta.PrefixEnd([]byte("\xff"))}, keys[13:]},
		{"prefix ff, reversed", meta.Range{Start: []byte("\xff"), End: meta.PrefixEnd([]byte("\xff")), Reverse: true}, reversed[:2]},
		{"nothing there", meta.Range{Start: []byte("c"), End: []byte("d")}, []string{}},
		{"empty range", meta.Range{Start: []byte("b"), End: []byte("a")}, []string{}},
		{"empty range, reversed", meta.Range{Start: []byte("b"), End: []byte("a"), Reverse: true}, []string{}},
		{"start is end", meta.Range{Start: []byte("a"), End: []byte("a")}, []string{}},
		{"before everything", meta.Range{End: []byte("\x00")}, []string{}},
	} {
		page := scan(t, s, c.r)
		if diff := cmp.Diff(c.want, keysOf(page)); diff != "" {
			t.Errorf("%s: keys (-want +got):\n%s", c.name, diff)
		}
		if page.More {
			t.Errorf("%s: More", c.name)
		}
		for _, it := range page.Items {
			if string(it.Value) != "value of "+string(it.Key) || it.Ver == 0 {
				t.Errorf("%s: row %q has value %q and version %d", c.name, it.Key, it.Value, it.Ver)
			}
		}
	}
}

func testScanPages(t *testing.T, s meta.Store) {
	var b meta.Batch
	var want []string
	for i := range 10 {
		want = append(want, fmt.Sprintf("row %d", i))
		b.Put([]byte(want[i]), []byte("v"))
	}
	commit(t, s, &b)
	put(t, s, "other", "v")
	put(t, s, "rowing", "v")
	for _, limit := range []int{1, 3, 5, 9, 10, 11} {
		for _, reverse := range []bool{false, true} {
			r := meta.Range{Start: []byte("row "), End: meta.PrefixEnd([]byte("row ")), Limit: limit, Reverse: reverse}
			pages := (len(want) + limit - 1) / limit
			got, n := walk(t, s, r)
			if reverse {
				slices.Reverse(got)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("limit %d, reverse %v: keys (-want +got):\n%s", limit, reverse, diff)
			}
			if n != pages {
				t.Errorf("limit %d, reverse %v: %d pages, want %d", limit, reverse, n, pages)
			}
		}
	}

	// A row that appears behind the last one belongs to the next page.
	page := scan(t, s, meta.Range{Start: []byte("row "), Limit: 3})
	put(t, s, "row 2a", "v")
	page = scan(t, s, meta.Range{Start: page.Next, Limit: 2})
	if got, want := keysOf(page), []string{"row 2a", "row 3"}; !slices.Equal(got, want) {
		t.Errorf("next page %q, want %q", got, want)
	}
}

// walk scans r to its end and returns the keys and how many pages there were.
func walk(t *testing.T, s meta.Store, r meta.Range) (keys []string, pages int) {
	t.Helper()
	for {
		page := scan(t, s, r)
		pages++
		keys = append(keys, keysOf(page)...)
		if !page.More {
			return keys, pages
		}
		if pages > 10_000 {
			t.Fatal("no end of pages")
		}
		if r.Reverse {
			r.End = page.Next
		} else {
			r.Start = page.Next
		}
	}
}

func testScanMaxBytes(t *testing.T, s meta.Store) {
	value := strings.Repeat("v", 1000)
	var want []string
	for i := range 7 {
		want = append(want, fmt.Sprintf("row %d", i))
		put(t, s, want[i], value)
	}
	for _, reverse := range []bool{false, true} {
		page := scan(t, s, meta.Range{MaxBytes: 2500, Reverse: reverse})
		if len(page.Items) != 3 || !page.More {
			t.Errorf("reverse %v: %d rows of 1 KB within 2500 bytes, More %v; want 3 and true", reverse, len(page.Items), page.More)
		}
		got, pages := walk(t, s, meta.Range{MaxBytes: 2500, Reverse: reverse})
		if reverse {
			slices.Reverse(got)
		}
		if diff := cmp.Diff(want, got); diff != "" || pages != 3 {
			t.Errorf("reverse %v: %d pages, want 3; keys (-want +got):\n%s", reverse, pages, diff)
		}
	}
	// At least one row, or a scan would never go on.
	if page := scan(t, s, meta.Range{MaxBytes: 1}); len(page.Items) != 1 || !page.More {
		t.Errorf("%d rows within 1 byte, More %v; want 1 and true", len(page.Items), page.More)
	}
	if page := scan(t, s, meta.Range{MaxBytes: 1, KeysOnly: true, Start: []byte("row 6")}); page.More {
		t.Error("More after the last row")
	}
}

func testScanKeysOnly(t *testing.T, s meta.Store) {
	ver := put(t, s, "a", "apple")
	add(t, s, "st/a", 1)
	page := scan(t, s, meta.Range{KeysOnly: true})
	want := []meta.Item{{Key: []byte("a"), Ver: ver}, {Key: []byte("st/a"), Ver: meta.CounterVersion}}
	if diff := cmp.Diff(want, page.Items); diff != "" {
		t.Errorf("items (-want +got):\n%s", diff)
	}
}

// Enough rows that a driver with blocks, chunks or levels has several of them.
func testScanManyRows(t *testing.T, s meta.Store) {
	const rows, step = 5000, 1777 // coprime, so i*step visits every row once
	key := func(i int) string { return fmt.Sprintf("row/%04d", i) }
	for i := 0; i < rows; i += 500 {
		var b meta.Batch
		for j := i; j < i+500; j++ {
			b.Put([]byte(key(j*step%rows)), []byte(strings.Repeat("x", j%300)))
		}
		commit(t, s, &b)
	}
	var drop meta.Batch
	var want []string
	for i := range rows {
		if i%3 == 0 || i > 4000 && i < 4700 {
			drop.Delete([]byte(key(i)))
		} else {
			want = append(want, key(i))
		}
	}
	commit(t, s, &drop)
	for _, reverse := range []bool{false, true} {
		got, pages := walk(t, s, meta.Range{Reverse: reverse})
		if reverse {
			slices.Reverse(got)
		}
		if !slices.Equal(got, want) {
			t.Errorf("reverse %v: %d rows, want %d", reverse, len(got), len(want))
		}
		if n := (len(want) + 999) / 1000; pages != n {
			t.Errorf("reverse %v: %d pages, want %d of 1000 rows", reverse, pages, n)
		}
	}
}
