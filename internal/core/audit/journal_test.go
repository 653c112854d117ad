// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/internal/store/meta/mem"
)

// rowsLeft counts the rows of a journal.
func rowsLeft(t *testing.T, journal meta.Store) int {
	t.Helper()
	page, err := journal.Scan(t.Context(), meta.Range{Start: []byte(journalRows), End: meta.PrefixEnd([]byte(journalRows))})
	if err != nil {
		t.Fatal(err)
	}
	return len(page.Items)
}

func TestJournaledRecordsNeedNoSyncOfTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs, journal := newDisk(t, vfs.NewMem()), mem.New()
		trail := mustOpen(t, fs, Config{Journal: journal})
		for i := range 10 {
			mustAppend(t, trail, putObject(fmt.Sprint(i)), true)
		}
		if syncs, rows := fs.synced(), rowsLeft(t, journal); syncs != 0 || rows != 10 {
			t.Errorf("on return %d syncs of the file and %d rows, want 0 and 10", syncs, rows)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if syncs, rows := fs.synced(), rowsLeft(t, journal); syncs != 1 || rows != 0 {
			t.Errorf("a second later %d syncs of the file and %d rows, want 1 and 0", syncs, rows)
		}
		if ids, _ := requestIDs(t, fs, Filter{}); len(ids) != 10 {
			t.Errorf("%d records in the trail, want 10", len(ids))
		}
		if err := trail.Close(); err != nil {
			t.Error(err)
		}
	})
}

// join commits a row of somebody's together with a record of it.
func join(t *testing.T, trail *Trail, journal meta.Store, id string) (committed func()) {
	t.Helper()
	var b meta.Batch
	b.Put([]byte("somebody's"), []byte(id))
	committed, err := trail.Join(&b, putObject(id))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := journal.Commit(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return committed
}

func TestJoinedRecordIsWrittenAfterItsCommit(t *testing.T) {
	fs, journal := newDisk(t, vfs.NewMem()), mem.New()
	trail := mustOpen(t, fs, Config{Journal: journal})
	var dropped meta.Batch
	if _, err := trail.Join(&dropped, putObject("never committed")); err != nil {
		t.Fatal(err)
	}
	committed := join(t, trail, journal, "A")
	if ids, _ := requestIDs(t, fs, Filter{}); len(ids) != 0 {
		t.Errorf("%q in the files before the commit was told", ids)
	}
	committed()
	if err := trail.Flush(); err != nil {
		t.Fatal(err)
	}
	ids, _ := requestIDs(t, fs, Filter{})
	wantIDs(t, ids, "A")
	if err := trail.Close(); err != nil {
		t.Error(err)
	}
	if n := rowsLeft(t, journal); n != 0 {
		t.Errorf("%d rows in the journal of a closed trail", n)
	}
}

// A process that ends between a commit and the file leaves the record in the journal.
func TestNextStartWritesWhatOnlyTheJournalHas(t *testing.T) {
	fs, journal := newDisk(t, vfs.NewMem()), mem.New()
	first := mustOpen(t, fs, Config{Journal: journal})
	mustAppend(t, first, putObject("both"), true)
	join(t, first, journal, "journal alone")
	for range 2 {
		again := mustOpen(t, fs, Config{Journal: journal})
		ids, _ := requestIDs(t, fs, Filter{})
		wantIDs(t, ids, "both", "journal alone")
		if err := again.Close(); err != nil {
			t.Error(err)
		}
		if n := rowsLeft(t, journal); n != 0 {
			t.Errorf("%d rows in the journal afterwards", n)
		}
	}
}

func TestDamagedJournalIsToldAtTheStart(t *testing.T) {
	fs, journal := newDisk(t, vfs.NewMem()), mem.New()
	var b meta.Batch
	b.Put(journalKey("id"), []byte("nonsense"))
	if _, err := journal.Commit(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), dir, Config{FS: fs, Journal: journal}); !errors.Is(err, meta.Damaged) {
		t.Errorf("open: %v, want Damaged", err)
	}
}

// What was committed before the files failed is written when they work again, and
// until then nothing new begins.
func TestFailingFilesHoldUpWhatHasNotBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs, journal := newDisk(t, vfs.NewMem()), mem.New()
		trail := mustOpen(t, fs, Config{Journal: journal})
		var b meta.Batch
		committed, err := trail.Join(&b, putObject("A"))
		if err != nil {
			t.Fatal(err)
		}
		fs.set(func(string, []byte) (int, error) { return 0, errors.New("no space left on device") }, nil)
		if _, err := journal.Commit(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		committed()
		if err := trail.Flush(); err == nil {
			t.Error("the files fail, and the record was written")
		}
		if _, err := trail.Join(new(meta.Batch), putObject("B")); !errors.Is(err, Unavailable) {
			t.Errorf("join while the files fail: %v, want Unavailable", err)
		}
		if err := trail.Append(t.Context(), putObject("C"), true); !errors.Is(err, Unavailable) {
			t.Errorf("append while the files fail: %v, want Unavailable", err)
		}
		fs.set(nil, nil)
		time.Sleep(time.Second)
		synctest.Wait()
		ids, _ := requestIDs(t, fs, Filter{})
		wantIDs(t, ids, "A")
		if err := trail.Close(); err != nil {
			t.Error(err)
		}
		if n := rowsLeft(t, journal); n != 0 {
			t.Errorf("%d rows in the journal of a closed trail", n)
		}
	})
}

// full is a journal on a device without room.
type full struct{ meta.Store }

func (full) Commit(context.Context, *meta.Batch) (uint64, error) { return 0, meta.Full }

func TestWithoutRoomInTheJournalTheFileIsSynced(t *testing.T) {
	fs := newDisk(t, vfs.NewMem())
	trail := mustOpen(t, fs, Config{Journal: full{mem.New()}})
	mustAppend(t, trail, putObject("A"), true)
	if n := fs.synced(); n != 1 {
		t.Errorf("%d syncs of the file, want 1", n)
	}
}

// Rows of a file that could not be synced stay for the next start.
func TestRowsOfAFailedSyncStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs, journal := newDisk(t, vfs.NewMem()), mem.New()
		trail := mustOpen(t, fs, Config{Journal: journal})
		fs.set(nil, func(string) error { return errors.New("input/output error") })
		mustAppend(t, trail, putObject("A"), true)
		time.Sleep(time.Second)
		synctest.Wait()
		fs.set(nil, nil)
		mustAppend(t, trail, putObject("B"), true)
		time.Sleep(time.Second)
		synctest.Wait()
		if n := rowsLeft(t, journal); n != 1 {
			t.Errorf("%d rows in the journal, want that of the record in doubt", n)
		}
		if err := trail.Close(); err != nil {
			t.Error(err)
		}
	})
}

func FuzzJournaled(f *testing.F) {
	at := Position{Segment: segmentName(time.Unix(1, 0)), Offset: 7}
	f.Add(journaled{nil, at, []byte("{}\n")}.encode())
	f.Add([]byte{0, 1})
	f.Fuzz(func(t *testing.T, value []byte) {
		j, err := decodeJournaled(meta.Item{Key: journalKey("id"), Value: value})
		if err == nil && !bytes.Equal(j.encode(), value) {
			t.Errorf("%x was read as %x", value, j.encode())
		}
	})
}
