// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/internal/store/meta/mem"
)

// A write that fails half way has written the lines of its first half.
func TestLinesBeforeAWriteErrorAreNotWrittenTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs, journal := newDisk(t, vfs.NewMem()), mem.New()
		trail := mustOpen(t, fs, Config{Journal: journal})
		a, b := join(t, trail, journal, "A"), join(t, trail, journal, "B")
		gate, writes := make(chan struct{}), 0
		fs.set(func(_ string, p []byte) (int, error) {
			switch writes++; writes {
			case 1:
				<-gate
			case 2: // A and B, and the device is full after one and a bit
				return strings.IndexByte(string(p), '\n') + 10, errors.New("no space left on device")
			}
			return 0, nil
		}, nil)
		go func() { _ = trail.Append(context.Background(), putObject("X"), false) }()
		synctest.Wait()
		go a()
		go b()
		synctest.Wait()
		close(gate)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		ids, _ := requestIDs(t, fs, Filter{})
		slices.Sort(ids)
		wantIDs(t, ids, "A", "B", "X")
		if err := trail.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A start on a full device goes on, and the records are written when there is room.
func TestRecoveryOnAFullDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs, journal := newDisk(t, vfs.NewMem()), mem.New()
		join(t, mustOpen(t, fs, Config{Journal: journal}), journal, "A")
		fs.set(func(string, []byte) (int, error) { return 10, errors.New("no space left on device") }, nil)
		trail := mustOpen(t, fs, Config{Journal: journal})
		if _, err := trail.Join(new(meta.Batch), putObject("B")); !errors.Is(err, Unavailable) {
			t.Errorf("join: %v, want Unavailable", err)
		}
		fs.set(nil, nil)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		ids, _ := requestIDs(t, fs, Filter{})
		wantIDs(t, ids, "A")
		if n := rowsLeft(t, journal); n != 0 {
			t.Errorf("%d rows in the journal, want none", n)
		}
		if err := trail.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Rows can point behind the files: these were shipped, and the clock was set back.
func TestRecoveredOnceWithTheClockSetBack(t *testing.T) {
	fs, journal := newDisk(t, vfs.NewMem()), mem.New()
	row := journaled{
		journalKey("id"), Position{segmentName(time.Now().Add(time.Hour)), 0}, []byte(`{"eventID":"id","requestID":"A"}` + "\n"),
	}
	var b meta.Batch
	b.Put(row.key, row.encode())
	if _, err := journal.Commit(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	for range 2 { // each process ends before it has cleared the journal
		mustOpen(t, fs, Config{Journal: rowsOf(t, journal)})
	}
	ids, _ := requestIDs(t, fs, Filter{})
	wantIDs(t, ids, "A")
}

// Lines that wait to be written when the trail is closed are closed with it.
func TestCloseTakesAlongWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := newDisk(t, vfs.NewMem())
		trail := mustOpen(t, fs, Config{})
		gate, first := make(chan struct{}), true
		fs.set(func(string, []byte) (int, error) {
			if first {
				first = false
				<-gate
			}
			return 0, nil
		}, nil)
		for _, id := range []string{"A", "B"} {
			go func() {
				if err := trail.Append(context.Background(), putObject(id), false); err != nil {
					t.Error(err)
				}
			}()
			synctest.Wait()
		}
		go func() { _ = trail.Close() }()
		synctest.Wait()
		close(gate)
		synctest.Wait()
		trail.mu.Lock()
		defer trail.mu.Unlock()
		if trail.active != nil || len(trail.retired) > 0 || trail.waiting != nil {
			t.Error("a closed trail has a file that nobody will sync")
		}
	})
}

// The KMS repeats an event under its id when it was not sure of the first time.
func TestAnEventRepeatedUnderItsIDLeavesNoRows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs, journal := newDisk(t, vfs.NewMem()), mem.New()
		trail := mustOpen(t, fs, Config{Journal: journal})
		r := putObject("RotateKey")
		r.EventID = "4a4ad0e4-6a21-4d2f-9d8f-3d3cb8a8f0d1"
		mustAppend(t, trail, r, true)
		mustAppend(t, trail, r, true)
		for i := range 10 {
			mustAppend(t, trail, putObject(fmt.Sprint(i)), true)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := rowsLeft(t, journal); n != 0 {
			t.Errorf("%d rows in the journal, want none", n)
		}
		if err := trail.Close(); err != nil {
			t.Error(err)
		}
	})
}

// While what is late is tried again and fails, no call passes that cannot be recorded.
func TestNothingBeginsWhileWhatIsLateIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs, journal := newDisk(t, vfs.NewMem()), mem.New()
		trail := mustOpen(t, fs, Config{Journal: journal})
		committed := join(t, trail, journal, "A")
		fs.set(func(string, []byte) (int, error) {
			time.Sleep(10 * time.Millisecond)
			return 0, errors.New("input/output error")
		}, nil)
		committed()
		if err := trail.Flush(); err == nil {
			t.Fatal("the files fail, and the record was written")
		}
		var passed atomic.Int64
		for range 10 {
			go func() {
				if _, err := trail.Join(new(meta.Batch), putObject("B")); err == nil {
					passed.Add(1)
				}
			}()
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := passed.Load(); n > 0 {
			t.Errorf("%d of 10 calls may go on, and their records cannot be written", n)
		}
		fs.set(nil, nil)
		if err := trail.Close(); err != nil {
			t.Error(err)
		}
		ids, _ := requestIDs(t, fs, Filter{})
		wantIDs(t, ids, "A")
	})
}

// Who wants to see what was written by now does not wait for all that comes meanwhile.
func TestFlushEndsHoweverMuchIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := newDisk(t, vfs.NewMem())
		trail := mustOpen(t, fs, Config{})
		fs.set(func(string, []byte) (int, error) {
			time.Sleep(10 * time.Millisecond)
			return 0, nil
		}, nil)
		busy, stop := context.WithTimeout(t.Context(), 5*time.Second)
		defer stop()
		var all sync.WaitGroup
		for i := range 4 {
			all.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				for busy.Err() == nil {
					mustAppend(t, trail, putObject("A"), false)
				}
			})
		}
		time.Sleep(100 * time.Millisecond)
		begun := time.Now()
		if err := trail.Flush(); err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took > 100*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		all.Wait()
		if err := trail.Close(); err != nil {
			t.Error(err)
		}
	})
}
