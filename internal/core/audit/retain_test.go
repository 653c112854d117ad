// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cofferstore/coffer/internal/store/meta/mem"
)

// ofItself returns what a trail says of itself under a name.
func ofItself[T any](t testing.TB, fs vfs.FS, event string) (all []T) {
	t.Helper()
	err := newReader(fs, dir, Filter{}).all(t.Context(), func(e Entry) error {
		if e.EventSource == ownSource && e.EventName == event {
			var d T
			if err := json.Unmarshal(e.ServiceEventDetails, &d); err != nil {
				t.Error(err)
			}
			all = append(all, d)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func mustRetain(t testing.TB, trail *Trail, want int) {
	t.Helper()
	if n, err := trail.Retain(t.Context()); n != want || err != nil {
		t.Errorf("dropped %d files, %v; want %d", n, err, want)
	}
	if err := trail.Flush(); err != nil {
		t.Error(err)
	}
}

// hours makes a trail with a file for each hour, with two records in each.
func hours(t testing.TB, cfg Config, n int) (fs *disk, rows *mem.Store, trail *Trail) {
	fs, rows = newDisk(t, vfs.NewMem()), mem.New()
	cfg.Journal = rows
	trail = mustOpen(t, fs, cfg)
	for hour := range n {
		if hour > 0 {
			time.Sleep(time.Hour)
		}
		mustAppend(t, trail, putObject(fmt.Sprint(hour, "a")), true)
		mustAppend(t, trail, putObject(fmt.Sprint(hour, "b")), false)
	}
	time.Sleep(2 * time.Second)
	synctest.Wait()
	return fs, rows, trail
}

func closed(t testing.TB, trail *Trail) {
	t.Helper()
	if err := trail.Close(); err != nil {
		t.Error(err)
	}
}

// Old files go, are stated before, and the trail is known to begin behind them.
func TestRetainByAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		limits := Limits{Age: 45 * time.Minute}
		fs, rows, trail := hours(t, Config{Limits: limits, Log: textLog(&log)}, 4) // two are older
		names := files(t, fs)
		last, err := lastChain(fs, dir, names[:1])
		if err != nil {
			t.Fatal(err)
		}
		s, err := trail.Status(t.Context())
		if err != nil || s.Next == nil || s.Next.File != names[0] || s.Next.At == nil || !s.Next.At.Before(time.Now()) || s.Files != 4 {
			t.Errorf("status before: %+v, %v", s, err)
		}
		mustRetain(t, trail, 2)
		mustRetain(t, trail, 0)
		if got := files(t, fs); fmt.Sprint(got) != fmt.Sprint(names[2:]) {
			t.Errorf("left: %q, want %q", got, names[2:])
		}
		said := ofItself[dropped](t, fs, dropEvent)
		if len(said) != 2 || said[0].File != names[0] || said[0].Records != 2 || said[0].Bytes == 0 || said[0].Reason != "age" ||
			said[0].First == nil || said[0].Last == nil || said[0].Chain != last.Chain || said[1].File != names[1] {
			t.Errorf("stated: %+v", said)
		}
		if !strings.Contains(log.String(), "audit file is dropped") {
			t.Errorf("log: %s", log.String())
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if v := wantWhole(t, trail); v.Begins != names[2] {
			t.Errorf("begins with %s, want %s", v.Begins, names[2])
		}
		closed(t, trail)
		if faults, notes := findings(t, fs, rows); len(faults)+len(notes) > 0 {
			t.Errorf("found %q %q", faults, notes)
		}
		// Without the store the trail's own word counts.
		if faults, notes := findings(t, fs, nil); len(faults) > 0 || fmt.Sprint(notes) != "[beginning at line 1]" {
			t.Errorf("without rows: found %q %q", faults, notes)
		}
		trail = mustOpen(t, fs, Config{Journal: rows, Limits: limits})
		wantWhole(t, trail)
		closed(t, trail)
	})
}

func TestRetainBySize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs, _, trail := hours(t, Config{}, 5)
		names := files(t, fs)
		info, err := fs.Stat(fs.PathJoin(dir, names[0]))
		if err != nil {
			t.Fatal(err)
		}
		trail.limits = Limits{Bytes: 3*info.Size() + 10}
		mustRetain(t, trail, 2)
		if got := files(t, fs); fmt.Sprint(got) != fmt.Sprint(names[2:]) {
			t.Errorf("left: %q, want %q", got, names[2:])
		}
		closed(t, trail)
	})
}

// What a consumer has not seen stays, and that is said; the newest file always does.
func TestRetainSparesWhatConsumersNeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		fs, _, trail := hours(t, Config{Limits: Limits{Bytes: 1}, Log: textLog(&log)}, 4)
		names := files(t, fs)
		trail.Hold("siem", Position{Segment: names[1], Offset: 3})
		trail.Hold("ahead", trail.Head())
		mustRetain(t, trail, 1)
		if got := files(t, fs); fmt.Sprint(got) != fmt.Sprint(names[1:]) {
			t.Errorf("left: %q, want %q", got, names[1:])
		}
		if !strings.Contains(log.String(), "over its limits") || !strings.Contains(log.String(), "[siem]") {
			t.Errorf("log: %s", log.String())
		}
		s, err := trail.Status(t.Context())
		if err != nil || s.Next == nil || fmt.Sprint(s.Next.HeldBy) != "[siem]" || *s.Next.Room != 0 || len(s.Consumers) != 2 ||
			s.Consumers[1].Name != "siem" || s.Consumers[1].Backlog == 0 {
			t.Errorf("status: %+v, %v", s, err)
		}
		trail.Release("siem")
		mustRetain(t, trail, 2)
		if got := files(t, fs); fmt.Sprint(got) != fmt.Sprint(names[3:]) {
			t.Errorf("left: %q, want %q", got, names[3:])
		}
		closed(t, trail)
	})
}

// What the next start needs since a sync failed stays, and that is said.
func TestRetainSparesWhatTheNextStartNeeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		fs, rows := newDisk(t, vfs.NewMem()), mem.New()
		limits := Limits{Bytes: 1}
		trail := mustOpen(t, fs, Config{Journal: rows, Limits: limits, Log: textLog(&log)})
		fs.set(nil, func(string) error { return errors.New("input/output error") })
		mustAppend(t, trail, putObject("A"), true)
		time.Sleep(time.Second)
		synctest.Wait()
		fs.set(nil, nil)
		mustAppend(t, trail, putObject("B"), true)
		time.Sleep(time.Hour)
		mustRetain(t, trail, 0)
		if !strings.Contains(log.String(), "over its limits") || !strings.Contains(log.String(), nextStart) {
			t.Errorf("log: %s", log.String())
		}
		if s, err := trail.Status(t.Context()); err != nil || s.Next == nil || fmt.Sprint(s.Next.HeldBy) != "["+nextStart+"]" {
			t.Errorf("status: %+v, %v", s, err)
		}
		closed(t, trail)
		trail = mustOpen(t, fs, Config{Journal: rows, Limits: limits})
		mustAppend(t, trail, putObject("C"), true)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		mustRetain(t, trail, 2)
		closed(t, trail)
	})
}

// A crash between the statement and the removal: the next start removes the file, and says
// nothing twice.
func TestRetainAfterACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs, rows, trail := hours(t, Config{Limits: Limits{Bytes: 1}}, 2)
		names := files(t, fs)
		kept := content(t, fs, names[0])
		mustRetain(t, trail, 1)
		closed(t, trail)
		rewrite(t, fs, names[0], kept)
		if faults, notes := findings(t, fs, rows); len(faults)+len(notes) > 0 {
			t.Errorf("found %q %q", faults, notes)
		}
		trail = mustOpen(t, fs, Config{Journal: rows})
		mustAppend(t, trail, putObject("after"), true)
		mustRetain(t, trail, 0)
		if got := files(t, fs); got[0] == names[0] {
			t.Errorf("%s is there again", names[0])
		}
		if said := ofItself[dropped](t, fs, dropEvent); len(said) != 1 {
			t.Errorf("stated %d times", len(said))
		}
		closed(t, trail)
	})
}

// Nothing goes that cannot be stated.
func TestRetainOnAFailingDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs, _, trail := hours(t, Config{Limits: Limits{Bytes: 1}, Relaxed: true}, 2)
		names := files(t, fs)
		time.Sleep(time.Hour)
		fs.set(func(string, []byte) (int, error) { return 10, errors.New("no space left on device") }, nil)
		mustAppend(t, trail, putObject("waits"), true)
		if _, err := trail.Retain(t.Context()); err == nil {
			t.Error("dropped without a record")
		}
		if got := files(t, fs); got[0] != names[0] {
			t.Errorf("%s is gone", names[0])
		}
		fs.set(nil, nil)
		closed(t, trail)
	})
}

// A relaxed trail lets calls go on. What the journal took is written later, and of the rest
// it is recorded how many there were.
func TestRelaxed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs, rows := newDisk(t, vfs.NewMem()), mem.New()
		var log strings.Builder
		trail := mustOpen(t, fs, Config{Journal: rows, Relaxed: true, Log: textLog(&log)})
		mustAppend(t, trail, putObject("before"), true)
		fs.set(func(string, []byte) (int, error) { return 0, errors.New("no space left on device") }, nil)
		for i := range 3 {
			mustAppend(t, trail, putObject(fmt.Sprint("read", i)), false)
			time.Sleep(time.Second)
		}
		mustAppend(t, trail, putObject("durable"), true)
		join(t, trail, rows, "joined")()
		if n := strings.Count(log.String(), "served without"); n != 1 {
			t.Errorf("logged %d times: %s", n, log.String())
		}
		if s, err := trail.Status(t.Context()); err != nil || s.Missed != 3 || s.Required {
			t.Errorf("status: %+v, %v", s, err)
		}
		// A crash now loses none of what the journal has.
		image := mustOpen(t, newDisk(t, vfs.NewMem()), Config{Journal: rowsOf(t, rows)})
		ids, _ := requestIDs(t, image.fs, Filter{})
		if len(ids) != 2 {
			t.Errorf("after a crash: %q, want durable and joined", ids)
		}
		closed(t, image)

		fs.set(nil, nil)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		ids, _ = requestIDs(t, fs, Filter{})
		slices.Sort(ids[1:]) // the two may overtake each other
		wantIDs(t, ids, "before", "durable", "joined")
		said := ofItself[gap](t, fs, gapEvent)
		if len(said) != 1 || said[0].Calls != 3 || said[0].To.Sub(said[0].From) != 2*time.Second {
			t.Errorf("recorded %+v, want 3 calls in 2 seconds", said)
		}
		if n := rowsLeft(t, rows); n != 0 {
			t.Errorf("%d rows in the journal, want none", n)
		}
		closed(t, trail)
		if err := trail.Append(t.Context(), putObject("closed"), true); !errors.Is(err, Unavailable) {
			t.Errorf("append to a closed trail: %v, want Unavailable", err)
		}
		faults, notes := findings(t, fs, rows)
		if len(faults) > 0 || fmt.Sprint(notes) != "[gap at line 0]" {
			t.Errorf("found %q %q", faults, notes)
		}
	})
}
