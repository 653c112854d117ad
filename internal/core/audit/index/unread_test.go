// SPDX-License-Identifier: Apache-2.0

package index

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

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
