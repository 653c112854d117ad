// SPDX-License-Identifier: Apache-2.0

package metatest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/store/meta"
)

func testConditions(t *testing.T, s meta.Store) {
	var absent meta.Batch
	absent.PutIf([]byte("a"), []byte("first"), 0)
	first := commit(t, s, &absent)
	wantRow(t, s, "a", "first", first)
	wantConflict(t, s, "a", &absent)

	var replace meta.Batch
	replace.PutIf([]byte("a"), []byte("second"), first)
	second := commit(t, s, &replace)
	wantRow(t, s, "a", "second", second)
	wantConflict(t, s, "a", &replace)

	var gone meta.Batch
	gone.PutIf([]byte("b"), []byte("v"), second)
	wantConflict(t, s, "b", &gone) // no row b at all

	var drop meta.Batch
	drop.Cond([]byte("a"), first)
	drop.Delete([]byte("a"))
	wantConflict(t, s, "a", &drop)
	drop.Conds[0].Want = second
	commit(t, s, &drop)
	wantRow(t, s, "a", "", 0)
	wantConflict(t, s, "a", &drop)

	again := commit(t, s, &absent)
	wantRow(t, s, "a", "first", again)
	remove(t, s, "never there") // deleting nothing is no error
}

func testConflictChangesNothing(t *testing.T, s meta.Store) {
	a, b := put(t, s, "a", "old"), put(t, s, "b", "old")
	add(t, s, "st/n", 5)
	var batch meta.Batch
	batch.Put([]byte("a"), []byte("new"))
	batch.PutIf([]byte("b"), []byte("new"), b+100)
	batch.PutIf([]byte("c"), []byte("new"), 0)
	batch.Delete([]byte("d"))
	batch.Add([]byte("st/n"), 1)
	put(t, s, "d", "old")
	d := get(t, s, "d").Ver
	wantConflict(t, s, "b", &batch)
	wantRow(t, s, "a", "old", a)
	wantRow(t, s, "b", "old", b)
	wantRow(t, s, "c", "", 0)
	wantRow(t, s, "d", "old", d)
	wantCounter(t, s, "st/n", 5)

	batch.Conds[0].Want = b
	ver := commit(t, s, &batch)
	wantRow(t, s, "a", "new", ver)
	wantRow(t, s, "b", "new", ver)
	wantRow(t, s, "c", "new", ver)
	wantRow(t, s, "d", "", 0)
	wantCounter(t, s, "st/n", 6)
}

func testConditionsOnly(t *testing.T, s meta.Store) {
	ver := put(t, s, "a", "v")
	var b meta.Batch
	b.Cond([]byte("a"), ver)
	if got := commit(t, s, &b); got < ver {
		t.Errorf("version %d, want at least %d", got, ver)
	}
	wantRow(t, s, "a", "v", ver)
	next := put(t, s, "a", "w")
	wantConflict(t, s, "a", &b)
	if next <= ver {
		t.Errorf("version %d after %d", next, ver)
	}
	commit(t, s, &meta.Batch{})
}

// Batches that only demand the same row do not stand in each other's way.
func testSharedConditions(t *testing.T, s meta.Store) {
	guard := put(t, s, "guard", "")
	for i := range 3 {
		var b meta.Batch
		b.Cond([]byte("guard"), guard)
		b.PutIf(fmt.Appendf(nil, "row %d", i), nil, 0)
		commit(t, s, &b)
	}
	wantRow(t, s, "guard", "", guard)
	put(t, s, "guard", "closed")
	var late meta.Batch
	late.Cond([]byte("guard"), guard)
	late.PutIf([]byte("row 3"), nil, 0)
	wantConflict(t, s, "guard", &late)
	wantRow(t, s, "row 3", "", 0)
}

func testVersions(t *testing.T, s meta.Store) {
	last := put(t, s, "a", "1")
	if last <= meta.CounterVersion {
		t.Errorf("first version %d, want more than a counter's", last)
	}
	var b meta.Batch
	b.Put([]byte("a"), []byte("2"))
	b.Put([]byte("b"), []byte("2"))
	ver := commit(t, s, &b)
	if ver <= last {
		t.Errorf("version %d after %d", ver, last)
	}
	wantRow(t, s, "a", "2", ver)
	wantRow(t, s, "b", "2", ver)

	remove(t, s, "a")
	again := put(t, s, "a", "3")
	if again <= ver {
		t.Errorf("a row made again has version %d, before it was deleted %d", again, ver)
	}
	var stale meta.Batch
	stale.PutIf([]byte("a"), []byte("4"), ver)
	wantConflict(t, s, "a", &stale)
	wantRow(t, s, "b", "2", ver)
}

func testCounters(t *testing.T, s meta.Store) {
	wantRow(t, s, "st/n", "", 0)
	add(t, s, "st/n", 5)
	add(t, s, "st/n", -8)
	wantCounter(t, s, "st/n", -3)
	add(t, s, "st/zero", 0)
	wantCounter(t, s, "st/zero", 0)
	add(t, s, "st/big", 1<<62)
	add(t, s, "st/big", 1<<61)
	wantCounter(t, s, "st/big", 1<<62+1<<61)

	var b meta.Batch
	b.Put([]byte("row"), []byte("v"))
	b.Add([]byte("st/n"), 3)
	b.Add([]byte("st/m"), 4)
	commit(t, s, &b)
	wantCounter(t, s, "st/n", 0)
	wantCounter(t, s, "st/m", 4)
	page := scan(t, s, meta.Range{Start: []byte("st/"), End: meta.PrefixEnd([]byte("st/"))})
	if got := fmt.Sprint(keysOf(page)); got != "[st/big st/m st/n st/zero]" {
		t.Errorf("counters %s", got)
	}
	remove(t, s, "st/n")
	wantRow(t, s, "st/n", "", 0)
	add(t, s, "st/n", 2)
	wantCounter(t, s, "st/n", 2)
}

func testCountersAndRows(t *testing.T, s meta.Store) {
	ver := put(t, s, "a", "v")
	if _, err := s.Commit(t.Context(), &meta.Batch{Adds: []meta.Add{{Key: []byte("a"), Delta: 1}}}); err == nil {
		t.Error("added to a row")
	}
	wantRow(t, s, "a", "v", ver)
	add(t, s, "st/n", 1)
	add(t, s, "st/n", 1)
	if _, err := s.Commit(t.Context(), &meta.Batch{Puts: []meta.Put{{Key: []byte("st/n"), Value: []byte("v")}}}); err == nil {
		t.Error("put a row over a counter")
	}
	wantCounter(t, s, "st/n", 2)
	put(t, s, "b", "v")
	add(t, s, "st/n", 1)
	wantCounter(t, s, "st/n", 3)
}

func testBadBatches(t *testing.T, s meta.Store) {
	ver := put(t, s, "a", "v")
	k := []byte("k")
	for _, c := range []struct {
		name  string
		batch meta.Batch
	}{
		{"put twice", meta.Batch{Puts: []meta.Put{{Key: k}, {Key: k}}}},
		{"deleted twice", meta.Batch{Deletes: [][]byte{k, k}}},
		{"added twice", meta.Batch{Adds: []meta.Add{{Key: []byte("st/k"), Delta: 1}, {Key: []byte("st/k"), Delta: 1}}}},
		{"put and deleted", meta.Batch{Puts: []meta.Put{{Key: k}}, Deletes: [][]byte{k}}},
		{"deleted and added", meta.Batch{Deletes: [][]byte{[]byte("st/k")}, Adds: []meta.Add{{Key: []byte("st/k")}}}},
		{"two conditions", meta.Batch{Conds: []meta.Cond{{Key: []byte("a"), Want: ver}, {Key: []byte("a"), Want: ver}}}},
		{"absence without a put", meta.Batch{Conds: []meta.Cond{{Key: k}}}},
		{"absence with a delete", meta.Batch{Conds: []meta.Cond{{Key: k}}, Deletes: [][]byte{k}}},
		{"condition on an addition", meta.Batch{Conds: []meta.Cond{{Key: []byte("st/k"), Want: 1}}, Adds: []meta.Add{{Key: []byte("st/k")}}}},
		{"empty key put", meta.Batch{Puts: []meta.Put{{}}}},
		{"empty key deleted", meta.Batch{Deletes: [][]byte{nil}}},
		{"empty key demanded", meta.Batch{Conds: []meta.Cond{{Want: 1}}}},
	} {
		c.batch.Put([]byte("bystander"), []byte("v"))
		_, err := s.Commit(t.Context(), &c.batch)
		var conflict *meta.ConflictError
		if err == nil || errors.As(err, &conflict) {
			t.Errorf("%s: %v, want an error that is no conflict", c.name, err)
		}
		wantRow(t, s, "bystander", "", 0)
		wantRow(t, s, "a", "v", ver)
	}
}

func testLimits(t *testing.T, s meta.Store) {
	key := strings.Repeat("\xff", meta.MaxKey)
	value := strings.Repeat("v", meta.MaxValue)
	ver := put(t, s, key, "v")
	wantRow(t, s, key, "v", ver)
	if page := scan(t, s, meta.Range{Start: []byte(key)}); len(page.Items) != 1 {
		t.Errorf("%d rows from the longest key", len(page.Items))
	}
	if _, err := s.Commit(t.Context(), &meta.Batch{Puts: []meta.Put{{Key: []byte(key + "k")}}}); err == nil {
		t.Error("a key too long was taken")
	}
	ver = put(t, s, "large", value)
	if it := get(t, s, "large"); it.Ver != ver || string(it.Value) != value {
		t.Errorf("the largest value came back with %d bytes", len(it.Value))
	}
	large := make([]byte, meta.MaxValue+meta.Trailer+1)
	if _, err := s.Commit(t.Context(), &meta.Batch{Puts: []meta.Put{{Key: []byte("large"), Value: large}}}); err == nil {
		t.Error("a value too large was taken")
	}
	if it := get(t, s, "large"); it.Ver != ver {
		t.Error("a refused value changed the row")
	}
}

func testBatchOwnership(t *testing.T, s meta.Store) {
	key, value, gone, counter := []byte("row"), []byte("value"), []byte("away"), []byte("st/n")
	put(t, s, "away", "v")
	b := &meta.Batch{Conds: []meta.Cond{{Key: key}}, Puts: []meta.Put{{Key: key, Value: value}}, Deletes: [][]byte{gone}, Adds: []meta.Add{{Key: counter, Delta: 3}}}
	ver := commit(t, s, b)
	if string(key) != "row" || string(value) != "value" || string(gone) != "away" || string(counter) != "st/n" {
		t.Error("commit wrote on the caller's slices")
	}
	for _, mine := range [][]byte{key, value, gone, counter} {
		clear(mine)
	}
	wantRow(t, s, "row", "value", ver)
	wantRow(t, s, "away", "", 0)
	wantCounter(t, s, "st/n", 3)
}

// A completed multipart upload names ten thousand parts in one batch.
func testLargeBatch(t *testing.T, s meta.Store) {
	const parts = 10_000
	var upload meta.Batch
	for i := range parts {
		upload.Put(fmt.Appendf(nil, "up/%05d", i), []byte("part"))
	}
	ver := commit(t, s, &upload)
	var complete meta.Batch
	for i := range parts {
		key := fmt.Appendf(nil, "up/%05d", i)
		complete.Cond(key, ver)
		complete.Delete(key)
		complete.PutIf(fmt.Appendf(nil, "b/%05d", i), []byte("location"), 0)
	}
	complete.PutIf([]byte("c/object"), []byte("object"), 0)
	ver = commit(t, s, &complete)
	wantRow(t, s, "c/object", "object", ver)
	wantRow(t, s, "b/09999", "location", ver)
	if page := scan(t, s, meta.Range{Start: []byte("up/"), End: []byte("up0"), Limit: 1}); len(page.Items) != 0 {
		t.Errorf("part %q is left", page.Items[0].Key)
	}
}
