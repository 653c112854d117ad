// SPDX-License-Identifier: Apache-2.0

package fs_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/cofferstore/coffer/internal/store/blob"
	"github.com/cofferstore/coffer/internal/store/blob/fs"
)

// nthCall fails the nth call of a file system, or every one from the nth on.
type nthCall struct {
	mu    sync.Mutex // a file and its directory are synced at the same time
	n     int
	every bool
	calls []errorfs.Op
	armed bool
	fired int
}

func (c *nthCall) MaybeError(op errorfs.Op) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.armed {
		return nil
	}
	c.calls = append(c.calls, op)
	if len(c.calls) == c.n || c.every && len(c.calls) > c.n {
		c.fired++
		return errorfs.ErrInjected
	}
	return nil
}

func (c *nthCall) String() string { return fmt.Sprintf("call %d", c.n) }

// inDir returns an id of a directory. The tests keep close together, because List
// has a call for each directory on its way.
func inDir(n int) blob.StreamID { return blob.StreamID{byte(n >> 4), byte(n << 4)} }

var aborted = inDir(0x104)

// A day in the life: what is done to a store, and what must hold of it after.
type day struct {
	s      *fs.Store
	errs   []error
	whole  map[blob.StreamID]string // committed and not touched since
	places map[blob.StreamID]blob.Place
	listed int
}

func (d *day) note(err error) bool {
	if err != nil {
		d.errs = append(d.errs, err)
	}
	return err == nil
}

func (d *day) put(id blob.StreamID, data string) {
	at, err := commit(d.s, id, []byte(data))
	if d.places[id] = at; d.note(err) {
		d.whole[id] = data
	}
}

func (d *day) run(t *testing.T) {
	ctx := t.Context()
	small, large, gone, trashed := inDir(0x100), inDir(0x101), inDir(0x102), inDir(0x103)
	d.put(small, "small")
	d.put(large, strings.Repeat("large", 120_000))
	d.put(gone, "gone")
	d.put(trashed, "trashed")
	if w, err := d.s.Create(ctx, aborted, -1); d.note(err) {
		_, err := io.WriteString(w, "aborted")
		d.note(err)
		w.Abort()
	}
	data, err := getAt(d.s, large, d.places[large])
	if d.note(err) && data != d.whole[large] {
		t.Errorf("read without an error gave other %d bytes than the %d written", len(data), len(d.whole[large]))
	}
	info, err := d.s.Stat(ctx, small, d.places[small])
	if d.note(err) && info.Size != int64(len("small")) {
		t.Errorf("Stat without an error gave size %d", info.Size)
	}
	delete(d.whole, gone)
	d.note(d.s.Delete(ctx, gone, d.places[gone]))
	delete(d.whole, trashed)
	d.note(d.s.MoveToTrash(ctx, trashed, d.places[trashed]))
	after := blob.Info{ID: blob.StreamID{0x0f, 0xff}}
	if d.places[small].Packed() {
		after.At.Pack = 1 // past the files
	}
	infos, err := d.s.List(ctx, after, 2)
	if d.note(err) {
		d.listed = len(infos)
	}
	_, err = d.s.EmptyTrash(ctx, time.Now().Add(time.Hour))
	d.note(err)
	_, _, err = d.s.Free(ctx)
	d.note(err)
}

// Each call that the store makes of its file system fails once. Every failure
// is reported, and no stream whose Commit returned nil is harmed, crash or not.
func TestEveryCallFailsOnce(t *testing.T) {
	for _, packs := range []bool{false, true} {
		made := vfs.NewCrashableMem()
		if err := mustOpen(t, "/blobs", made).Close(); err != nil {
			t.Fatal(err)
		}
		for _, every := range []bool{false, true} {
			n, step := 1, 1
			if every {
				step = 5 // what follows the first failure is much the same
			}
			for dayWithFailure(t, crash(made), n, every, packs) {
				n += step
			}
			if n < 40 {
				t.Errorf("a day takes only %d calls: the sweep no longer reaches the store", n)
			}
		}
	}
}

// dayWithFailure has a day on an empty store and says whether it was long enough
// to fail.
func dayWithFailure(t *testing.T, mem *vfs.MemFS, n int, every, packs bool) (fired bool) {
	mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1, TotalBytes: 2})
	inject := &nthCall{n: n, every: every}
	settings := func(fsys vfs.FS) fs.Config {
		if packs {
			return packing(fsys)
		}
		return fs.Config{FS: fsys}
	}
	s, err := fs.Open("/blobs", settings(errorfs.Wrap(mem, inject)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	d := &day{s: s, whole: make(map[blob.StreamID]string), places: make(map[blob.StreamID]blob.Place)}
	inject.armed = true
	d.run(t)
	inject.armed = false
	if inject.fired == 0 {
		want := 2
		if packs {
			want = 1
		}
		if len(d.errs) != 0 || d.listed != want {
			t.Errorf("without a failure: %v, %d listed", d.errs, d.listed)
		}
		return false
	}
	failed := inject.calls[n-1]
	removal := failed.Kind == errorfs.OpRemove && failed.Path == "/blobs/104/"+aborted.String()
	if len(d.errs) == 0 && !removal { // Abort has nobody to tell
		t.Errorf("call %d (%v of %s) failed and nobody was told", n, failed.Kind, failed.Path)
	}
	for _, err := range d.errs {
		if !errors.Is(err, errorfs.ErrInjected) && !errors.Is(err, blob.NotFound) && !errors.Is(err, blob.Unavailable) {
			t.Errorf("call %d: error of no known kind: %v", n, err)
		}
	}
	after, err := fs.Open("/blobs", settings(crash(mem)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = after.Close() }()
	for id, data := range d.whole {
		for _, s := range []*fs.Store{s, after} {
			if got, err := getAt(s, id, d.places[id]); err != nil || got != data {
				t.Errorf("call %d: stream %s = %d bytes, %v, want the %d written", n, id, len(got), err, len(data))
			}
		}
	}
	// A stream that was given up is gone, or an orphan that can be removed.
	for id, at := range listed(t, after) {
		if _, ok := d.whole[id]; ok {
			continue
		}
		if err := after.MoveToTrash(t.Context(), id, at); err != nil {
			t.Errorf("call %d: move %s to trash after: %v", n, id, err)
		}
		if _, err := after.Stat(t.Context(), id, at); !errors.Is(err, blob.NotFound) {
			t.Errorf("call %d: Stat of %s, moved to the trash: %v, want NotFound", n, id, err)
		}
	}
	if left := listed(t, after); len(left) != len(d.whole) {
		t.Errorf("call %d: %d streams are listed in the end, want the %d that were committed", n, len(left), len(d.whole))
	}
	return true
}

// The same for Open: it fails, leaves the lock free, and can be done again.
func TestEveryCallOfOpenFailsOnce(t *testing.T) {
	all := &nthCall{armed: true}
	mustOpen(t, "/data/blobs", errorfs.Wrap(vfs.NewMem(), all))
	var mkdirs []int
	for i, op := range all.calls {
		if op.Kind == errorfs.OpMkdirAll {
			mkdirs = append(mkdirs, i)
		}
	}
	skip := mkdirs[3 : len(mkdirs)-1] // they are all alike
	for i := range all.calls {
		if slices.Contains(skip, i) {
			continue
		}
		mem := vfs.NewCrashableMem()
		s, err := fs.Open("/data/blobs", fs.Config{FS: errorfs.Wrap(mem, &nthCall{n: i + 1, armed: true})})
		if !errors.Is(err, errorfs.ErrInjected) || !errors.Is(err, blob.Unavailable) {
			t.Errorf("Open with call %d (%v) failing: %v, %v, want Unavailable", i+1, all.calls[i], s, err)
			continue
		}
		s = mustOpen(t, "/data/blobs", mem)
		mustPut(t, s, blob.StreamID{1}, "x")
		wantStream(t, mustOpen(t, "/data/blobs", crash(mem)), blob.StreamID{1}, "x")
	}
}
