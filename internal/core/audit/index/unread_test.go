// SPDX-License-Identifier: Apache-2.0

package index

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cofferstore/coffer/internal/core/audit"
)

// badDisk opens the world again over a disk that does not give what is in a file, which is
// named later.
func (w *world) badDisk() (bad *string) {
	w.Helper()
	w.close()
	bad = new(string)
	failing := errorfs.Wrap(w.fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if read := op.Kind == errorfs.OpFileRead || op.Kind == errorfs.OpFileReadAt; read && *bad != "" && strings.HasSuffix(op.Path, *bad) {
			return errors.New("bad sector")
		}
		return nil
	}))
	var err error
	if w.trail, err = audit.Open(w.Context(), "audit", audit.Config{FS: failing, MaxSize: w.size}); err != nil {
		w.Fatal(err)
	}
	if w.index, err = Open(w.trail, "audit", Config{FS: failing}); err != nil {
		w.Fatal(err)
	}
	return bad
}

// An index file that the disk does not give costs speed alone.
func TestUnreadableIndexFile(t *testing.T) {
	for _, restart := range []bool{false, true} {
		w := newWorld(t, 20<<10)
		bad := w.badDisk()
		w.some(150)
		w.step()
		*bad = w.indexFiles()[1]
		if restart {
			var err error
			if w.index, err = Open(w.trail, "audit", Config{FS: w.index.fs}); err != nil {
				t.Fatal(err)
			}
		}
		for what, q := range few(w) {
			if got, want := w.found(q), w.expected(q); !slices.Equal(got, want) {
				t.Errorf("restart %v, %s: %d events, want %d", restart, what, len(got), len(want))
			}
		}
	}
}

// A file of the trail that the disk does not give is told of. It stops neither the index
// of the others nor searches, and is not held.
func TestUnreadableSegment(t *testing.T) {
	w := newWorld(t, 20<<10)
	bad := w.badDisk()
	w.some(150)
	segments, err := w.index.segments()
	if err != nil || len(segments) < 5 {
		t.Fatalf("%d files, %v", len(segments), err)
	}
	lost := segments[len(segments)/2]
	q := Query{Terms: []Term{{Field: Account, Value: "111122223333"}}}
	var want []string
	for _, e := range w.events(q) {
		if e.At.Segment != lost {
			want = append(want, e.EventID)
		}
	}
	check := func(when string) {
		t.Helper()
		if got := w.found(q); !slices.Equal(got, want) {
			t.Errorf("%s: %d events, want %d", when, len(got), len(want))
		}
		var told []string
		_, err := w.index.Search(t.Context(), q, func(p Progress) {
			if p.Skipped != "" {
				told = append(told, p.Skipped)
			}
		})
		if err != nil || len(told) != 1 || !strings.HasPrefix(told[0], lost+" cannot be read at byte ") || !strings.HasSuffix(told[0], "bad sector") {
			t.Errorf("%s: told %q, %v", when, told, err)
		}
		if _, err := w.index.KMSEvent(t.Context(), "none"); when == "without index" && (err == nil || !strings.Contains(err.Error(), "What can be read of the trail has no event")) {
			t.Errorf("%s: an event of KMS: %v", when, err)
		}
	}
	*bad = lost
	check("without index")
	w.step()
	check("indexed")
	if n := len(w.indexFiles()); n != len(segments)-2 { // but for the lost and the newest
		t.Errorf("%d files are indexed, of %d", n, len(segments))
	}
	if at, head := w.trail.Holds()[Consumer], w.trail.Head(); at != head {
		t.Errorf("held at %v, want %v", at, head)
	}
	*bad = ""
	clear(w.index.unread) // some minutes later
	w.step()
	*bad = lost
	check("with an index of it")
}

// sector is a disk of which one byte cannot be read.
type sector struct {
	vfs.FS
	name string
	bad  int64
}

func (s *sector) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := s.FS.Open(name, opts...)
	if err == nil && strings.HasSuffix(name, s.name) {
		f = &sectored{f, s.bad}
	}
	return f, err
}

type sectored struct {
	vfs.File
	bad int64
}

func (f *sectored) ReadAt(p []byte, at int64) (int, error) {
	if at > f.bad || at+int64(len(p)) <= f.bad {
		return f.File.ReadAt(p, at)
	}
	n, err := f.File.ReadAt(p[:f.bad-at], at)
	if err == nil || err == io.EOF {
		err = errors.New("bad sector")
	}
	return n, err
}

// What is before and behind a place that the disk does not give is found, in both orders.
func TestBadSector(t *testing.T) {
	w := newWorld(t, 40<<10)
	w.some(150)
	q := Query{Terms: []Term{{Field: Account, Value: "111122223333"}}, OldestFirst: true}
	all := w.events(q)
	lost := all[len(all)/2]
	var want []string
	for _, e := range all {
		if e.At != lost.At {
			want = append(want, e.EventID)
		}
	}
	w.step()
	disk := &sector{w.fs, lost.At.Segment, lost.At.Offset + 100}
	var err error
	if w.index, err = Open(w.trail, "audit", Config{FS: disk}); err != nil {
		t.Fatal(err)
	}
	for _, oldest := range []bool{true, false} {
		q.OldestFirst = oldest
		if got := w.found(q); !slices.Equal(got, want) {
			t.Errorf("oldest first %v: %d events, want %d", oldest, len(got), len(want))
		}
		slices.Reverse(want)
	}
}

// Lines that are no JSON are told of and not indexed; what is behind them is.
func TestDamagedLines(t *testing.T) {
	w := newWorld(t, 1<<20)
	w.some(20)
	w.close() // makes all durable
	names, err := w.fs.List("audit")
	if err != nil {
		t.Fatal(err)
	}
	name := "audit/" + names[slices.IndexFunc(names, func(n string) bool { return strings.HasSuffix(n, ".jsonl") })]
	f, err := w.fs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	lines := strings.SplitAfter(string(text), "\n")
	lines[3] = strings.Replace(lines[3], `"eventID":"`, `"eventID":`, 1)
	lines[19] = "{nothing}\n"
	lines[7] = strings.Replace(lines[7], `"eventVersion":"`, `"eventVersion":"`+"\x01", 1)
	out, err := w.fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := out.Write([]byte(strings.Join(lines, ""))); err != nil {
		t.Fatal(err)
	}
	out.Close()

	metrics := prometheus.NewRegistry()
	if w.trail, err = audit.Open(t.Context(), "audit", audit.Config{FS: w.fs, Metrics: metrics}); err != nil {
		t.Fatal(err)
	}
	if w.index, err = Open(w.trail, "audit", Config{FS: w.fs}); err != nil {
		t.Fatal(err)
	}
	w.step()
	if got := w.found(Query{Terms: []Term{{Field: Account, Value: "111122223333"}}}); len(got) != 17 {
		t.Errorf("%d events of 17 that are whole", len(got))
	}
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "coffer_audit_damaged_records_total" {
			if n := family.Metric[0].Counter.GetValue(); n != 3 {
				t.Errorf("%v damaged records are told of, want 3", n)
			}
			return
		}
	}
	t.Error("damaged records are not counted")
}
