// SPDX-License-Identifier: Apache-2.0

package fs_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cofferstore/coffer/internal/store/blob"
	"github.com/cofferstore/coffer/internal/store/blob/fs"
)

// held is a stream that a test has stored.
type held struct {
	id   blob.StreamID
	at   blob.Place
	data []byte
}

// some returns n bytes that are like no other n.
func some(n int) []byte { return bytes.Repeat([]byte(fmt.Sprintf("<%06d>", n)), n/8+1)[:n] }

func mustPack(t testing.TB, s blob.Store, n int) held {
	t.Helper()
	h := held{id: newID(), data: some(n)}
	var err error
	if h.at, err = commit(s, h.id, h.data); err != nil {
		t.Fatalf("commit %d bytes: %v", n, err)
	}
	if !h.at.Packed() {
		t.Fatalf("%d bytes were not packed", n)
	}
	return h
}

func (h held) in(s blob.Store) error {
	r, err := s.ReadAt(bg, h.id, h.at, 0, -1)
	if err != nil {
		return err
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err == nil && !bytes.Equal(got, h.data) {
		err = fmt.Errorf("other %d bytes than the %d written", len(got), len(h.data))
	}
	return err
}

func wantHeld(t *testing.T, s blob.Store, all ...held) {
	t.Helper()
	for _, h := range all {
		if err := h.in(s); err != nil {
			t.Errorf("stream %s at %+v: %v", h.id, h.at, err)
		}
	}
}

func mustDelete(t *testing.T, s blob.Store, all ...held) {
	t.Helper()
	for _, h := range all {
		if err := s.Delete(t.Context(), h.id, h.at); err != nil {
			t.Fatalf("delete %s: %v", h.id, err)
		}
	}
}

// listed returns the ids that List shows, and drops empty packs on the way.
func listed(t *testing.T, s blob.Store) map[blob.StreamID]blob.Place {
	t.Helper()
	infos, err := s.List(t.Context(), blob.Info{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[blob.StreamID]blob.Place)
	for _, info := range infos {
		all[info.ID] = info.At
	}
	return all
}

func packsIn(t *testing.T, fsys vfs.FS) []string {
	t.Helper()
	names, err := fsys.List("/blobs/packs")
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// docs/formats.md, "Packs": every byte of it.
func TestPackLayout(t *testing.T) {
	dir := t.TempDir()
	s := mustOpenWith(t, dir, fs.Config{PackLimit: 512 << 10})
	a, b := mustPack(t, s, 4032), mustPack(t, s, 4033) // the first fills its page
	if a.at.Pack != b.at.Pack || a.at.Offset != 4096 || b.at.Offset != 8192 || b.at.Size != 4033 {
		t.Fatalf("places %+v and %+v", a.at, b.at)
	}
	path := filepath.Join(dir, "packs", fmt.Sprintf("%016x", a.at.Pack))
	got, err := os.ReadFile(path)
	if err != nil || len(got) != 16384 {
		t.Fatalf("pack of %d bytes, %v, want a page, a page and two", len(got), err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the pack is %v, %v, want closed to others", info.Mode(), err)
	}
	sum := func(head []byte) []byte {
		return binary.BigEndian.AppendUint32(nil, crc32.Checksum(head[:60], crc32.MakeTable(crc32.Castagnoli)))
	}
	u64 := func(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
	now := uint64(time.Now().UnixMilli())
	for _, c := range []struct {
		what   string
		at     int
		want   []byte
		around uint64 // a time
	}{
		{"pack: magic, version", 0, []byte("CPK1\x01\x00\x00\x00"), 0},
		{"pack: id", 8, u64(a.at.Pack), 0},
		{"pack: created", 16, nil, now},
		{"pack: zeros", 24, make([]byte, 36), 0},
		{"pack: sum", 60, sum(got), 0},
		{"pack: zeros", 64, make([]byte, 4096-64), 0},
		{"frame: magic, version, state", 8192, []byte("CPF1\x01\x00\x00\x00"), 0},
		{"frame: pack", 8200, u64(a.at.Pack), 0},
		{"frame: stream", 8208, b.id[:], 0},
		{"frame: offset", 8224, u64(8192), 0},
		{"frame: length", 8232, u64(4033), 0},
		{"frame: written", 8240, nil, now},
		{"frame: zeros", 8248, make([]byte, 4), 0},
		{"frame: sum", 8252, sum(got[8192:]), 0},
		{"frame: stream", 8256, b.data, 0},
		{"frame: zeros", 8256 + 4033, make([]byte, 16384-8256-4033), 0},
	} {
		if c.around != 0 {
			if ms := binary.BigEndian.Uint64(got[c.at:]); ms+60_000 < c.around || ms > c.around+60_000 {
				t.Errorf("%s at %d is %d, want about %d", c.what, c.at, ms, c.around)
			}
		} else if !bytes.Equal(got[c.at:c.at+len(c.want)], c.want) {
			t.Errorf("%s at %d is %x, want %x", c.what, c.at, got[c.at:c.at+len(c.want)], c.want)
		}
	}
}

// What was committed is there after a crash, and after it is a pack that takes no more.
func TestPackedStreamsSurviveACrash(t *testing.T) {
	mem := vfs.NewCrashableMem()
	s := mustOpenWith(t, "/blobs", packing(mem))
	var all []held
	for n := range 20 {
		all = append(all, mustPack(t, s, 10_000+n*9_000))
	}
	if n := len(packsIn(t, mem)); n < 2 {
		t.Errorf("%d packs, want more than one: each holds 1 MiB", n)
	}
	image := crash(mem)
	after := mustOpenWith(t, "/blobs", packing(image))
	wantHeld(t, after, all...)
	if got := listed(t, after); len(got) != len(all) {
		t.Errorf("%d streams listed after the crash, want %d", len(got), len(all))
	}
	fresh := mustPack(t, after, 5000)
	for _, h := range all {
		if h.at.Pack == fresh.at.Pack {
			t.Fatal("a pack of a former process was written to")
		}
	}
	wantHeld(t, after, append(all, fresh)...)
}

func TestDeletingPunchesAndTheLastRemovesThePack(t *testing.T) {
	mem := vfs.NewMem()
	var punched int64
	cfg := packing(mem)
	cfg.Punch = func(f vfs.File, off, n int64) error {
		if off > 0 {
			punched += n
		}
		return zeros(f, off, n)
	}
	s := mustOpenWith(t, "/blobs", cfg)
	a, b, c := mustPack(t, s, 100_000), mustPack(t, s, 200_000), mustPack(t, s, 300_000)
	mustDelete(t, s, a, b, a) // again is no harm
	if want := int64(102_400 + 200_704); punched != want {
		t.Errorf("%d bytes punched, want %d", punched, want)
	}
	wantHeld(t, s, c)
	if got := listed(t, s); len(got) != 1 || got[c.id] != c.at {
		t.Errorf("List = %v, want only %s", got, c.id)
	}
	mustDelete(t, s, c)
	if n := len(packsIn(t, mem)); n != 1 {
		t.Errorf("%d packs, want the active one to stay", n)
	}
	d := mustPack(t, s, 500_000) // begins another: the first would grow too long
	if got := listed(t, s); len(got) != 1 || len(packsIn(t, mem)) != 1 {
		t.Errorf("List = %v, %d packs, want the empty one gone", got, len(packsIn(t, mem)))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpenWith(t, "/blobs", cfg) // where nobody has counted yet
	mustDelete(t, s, d)
	if got := listed(t, s); len(got) != 0 || len(packsIn(t, mem)) != 0 {
		t.Errorf("List = %v, %d packs, want none", got, len(packsIn(t, mem)))
	}
}

// On the real file system the room comes back at once.
func TestHolesFreeRoom(t *testing.T) {
	dir := t.TempDir()
	s := mustOpenWith(t, dir, fs.Config{PackLimit: 512 << 10})
	a, b := mustPack(t, s, 500_000), mustPack(t, s, 5_000)
	path := filepath.Join(dir, "packs", fmt.Sprintf("%016x", a.at.Pack))
	before := allocated(t, path)
	mustDelete(t, s, a)
	if freed := before - allocated(t, path); freed < 500_000 {
		t.Errorf("deleting 500000 bytes freed %d", freed)
	}
	wantHeld(t, s, b)
}

// A pack with something in it that is no frame is not thrown away at once.
func TestAPackWithDamageGoesToTheTrash(t *testing.T) {
	mem := vfs.NewMem()
	s := mustOpenWith(t, "/blobs", packing(mem))
	a, b := mustPack(t, s, 10_000), mustPack(t, s, 20_000)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	path := fmt.Sprintf("/blobs/packs/%016x", a.at.Pack)
	damage(t, mem, path, a.at.Offset+20) // in its header
	s = mustOpenWith(t, "/blobs", packing(mem))
	if err := a.in(s); !errors.Is(err, blob.Damaged) {
		t.Errorf("a stream whose frame has a damaged header: %v, want Damaged", err)
	}
	wantHeld(t, s, b)
	if got := listed(t, s); len(got) != 1 || got[b.id] != b.at {
		t.Errorf("List = %v, want only %s", got, b.id)
	}
	mustDelete(t, s, b, a)
	if left := packsIn(t, mem); len(left) != 0 {
		t.Errorf("%q are left of the pack", left)
	}
	trash, err := mem.List("/blobs/trash")
	if err != nil || len(trash) != 1 || !strings.HasSuffix(trash[0], fmt.Sprintf("-%016x", a.at.Pack)) {
		t.Errorf("trash = %q, %v, want the pack", trash, err)
	}
	if n, err := s.EmptyTrash(t.Context(), time.Now().Add(time.Hour)); n != 1 || err != nil {
		t.Errorf("EmptyTrash = %d, %v, want the pack", n, err)
	}
}

// A frame torn by a crash: the header is there, of the stream a page is not.
func TestATornFrameIsAnOrphan(t *testing.T) {
	mem := vfs.NewMem()
	s := mustOpenWith(t, "/blobs", packing(mem))
	a, torn := mustPack(t, s, 10_000), mustPack(t, s, 20_000)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	path := fmt.Sprintf("/blobs/packs/%016x", a.at.Pack)
	cut(t, mem, path, torn.at.Offset+5000)
	s = mustOpenWith(t, "/blobs", packing(mem))
	if got := listed(t, s); len(got) != 2 {
		t.Errorf("List = %v, want both", got)
	}
	if err := torn.in(s); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("read of a torn stream: %v, want ErrUnexpectedEOF", err)
	}
	if err := s.MoveToTrash(t.Context(), torn.id, torn.at); err != nil {
		t.Errorf("move a torn stream to the trash: %v", err)
	}
	if got := listed(t, s); len(got) != 1 {
		t.Errorf("List = %v, want one", got)
	}
	wantHeld(t, s, a)
}

// What the sweep took by mistake comes back under its name, and is found by its place.
func TestAStreamComesBackFromTheTrash(t *testing.T) {
	mem := vfs.NewCrashableMem()
	s := mustOpenWith(t, "/blobs", packing(mem))
	a, b := mustPack(t, s, 10_000), mustPack(t, s, 20_000)
	if err := s.MoveToTrash(t.Context(), a.id, a.at); err != nil {
		t.Fatal(err)
	}
	image := crash(mem)
	names, err := image.List("/blobs/trash")
	if err != nil || len(names) != 1 {
		t.Fatalf("trash after a crash = %q, %v", names, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := mem.Rename("/blobs/trash/"+names[0], fmt.Sprintf("/blobs/%s/%s", a.id.String()[:3], a.id)); err != nil {
		t.Fatal(err)
	}
	s = mustOpenWith(t, "/blobs", packing(mem))
	wantHeld(t, s, a, b)
	if info, err := s.Stat(t.Context(), a.id, a.at); err != nil || info.Size != 10_000 {
		t.Errorf("Stat = %+v, %v", info, err)
	}
	mustDelete(t, s, a)
	if err := a.in(s); !errors.Is(err, blob.NotFound) {
		t.Errorf("read after delete: %v, want NotFound", err)
	}
}

// A crash inside the move may leave the stream in either place, but not in none.
func TestMovingAPackedStreamLosesNothing(t *testing.T) {
	mem := vfs.NewCrashableMem()
	s := mustOpenWith(t, "/blobs", packing(mem))
	a := mustPack(t, s, 10_000)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var images []*vfs.MemFS
	s = mustOpenWith(t, "/blobs", packing(watch(mem, func(step) { images = append(images, crash(mem)) })))
	images = nil
	if err := s.MoveToTrash(t.Context(), a.id, a.at); err != nil {
		t.Fatal(err)
	}
	if len(images) < 4 {
		t.Errorf("only %d images", len(images))
	}
	for i, image := range append(images, crash(mem)) {
		after := mustOpenWith(t, "/blobs", packing(image))
		names, err := image.List("/blobs/trash")
		if err != nil {
			t.Fatal(err)
		}
		inTrash := false
		for _, name := range names {
			info, err := image.Stat("/blobs/trash/" + name)
			inTrash = inTrash || err == nil && info.Size() == 10_000
		}
		if err := a.in(after); err != nil && !inTrash {
			t.Errorf("image %d of %d has the stream neither in its pack (%v) nor in the trash %q", i, len(images), err, names)
		}
	}
}

func TestWithoutHolesStreamsAreFiles(t *testing.T) {
	mem := vfs.NewMem()
	cfg := packing(mem)
	cfg.Punch = nil // the operating system's, which knows no files in memory
	s := mustOpenWith(t, "/blobs", cfg)
	for range 3 {
		id := newID()
		at, err := commit(s, id, some(10_000))
		if err != nil || at.Packed() {
			t.Fatalf("commit: %+v, %v", at, err)
		}
		wantHeld(t, s, held{id, at, some(10_000)})
	}
	if left := packsIn(t, mem); len(left) != 0 {
		t.Errorf("packs %q were begun", left)
	}
}

// A directory that was copied to a file system without holes: deleting marks frames,
// and the last one takes the pack with it.
func TestPacksBroughtToAFileSystemWithoutHoles(t *testing.T) {
	mem := vfs.NewMem()
	s := mustOpenWith(t, "/blobs", packing(mem))
	a, b := mustPack(t, s, 10_000), mustPack(t, s, 20_000)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	cfg := packing(mem)
	cfg.Punch = func(vfs.File, int64, int64) error { return errors.ErrUnsupported }
	s = mustOpenWith(t, "/blobs", cfg)
	mustDelete(t, s, a, a)
	if err := a.in(s); !errors.Is(err, blob.NotFound) {
		t.Errorf("read after delete: %v, want NotFound", err)
	}
	if got := listed(t, s); len(got) != 1 {
		t.Errorf("List = %v, want one", got)
	}
	wantHeld(t, s, b)
	mustDelete(t, s, b)
	if left := packsIn(t, mem); len(left) != 0 {
		t.Errorf("%q are left", left)
	}
}

// A reader outlives Delete and Close; what it read is then an orphan's.
func TestAReaderOfAPackOutlivesItsStore(t *testing.T) {
	mem := vfs.NewMem()
	s := mustOpenWith(t, "/blobs", packing(mem))
	a := mustPack(t, s, 100_000)
	r, err := s.ReadAt(t.Context(), a.id, a.at, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	mustDelete(t, s, a, a)
	if got := listed(t, s); len(got) != 0 {
		t.Errorf("List = %v, want nothing", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, a.data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if err := errors.Join(r.Close(), r.Close()); err != nil {
		t.Error(err)
	}
	s = mustOpenWith(t, "/blobs", packing(mem))
	if got := listed(t, s); got[a.id] != a.at {
		t.Errorf("List = %v, want the stream: nobody could erase it", got)
	}
}

// Writers, readers and deletions at once, over many small packs.
func TestPacksUnderLoad(t *testing.T) {
	cfg := packing(vfs.NewMem())
	cfg.PackSize = 128 << 10
	s := mustOpenWith(t, "/blobs", cfg)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			var mine []held
			for k := range 40 {
				h := held{id: newID(), data: some(500 + g*1000 + k*100)}
				var err error
				if h.at, err = commit(s, h.id, h.data); err != nil {
					t.Errorf("commit: %v", err)
					return
				}
				if mine = append(mine, h); len(mine) < 5 {
					continue
				}
				gone := mine[0]
				mine = mine[1:]
				r, err := s.ReadAt(bg, gone.id, gone.at, 0, -1)
				if err == nil {
					err = s.Delete(bg, gone.id, gone.at)
				}
				if err != nil {
					t.Errorf("open and delete: %v", err)
					return
				}
				if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, gone.data) {
					t.Errorf("read of a deleted stream: %d bytes, %v", len(got), err)
				}
				_ = r.Close()
				for _, h := range mine {
					if err := h.in(s); err != nil {
						t.Errorf("read: %v", err)
					}
				}
			}
			for _, h := range mine {
				if err := s.Delete(bg, h.id, h.at); err != nil {
					t.Errorf("delete: %v", err)
				}
			}
		})
	}
	wg.Go(func() {
		for range 30 {
			if _, err := s.List(bg, blob.Info{}, 10); err != nil {
				t.Errorf("list: %v", err)
			}
		}
	})
	wg.Wait()
	if got := listed(t, s); len(got) != 0 {
		t.Errorf("%d streams are left", len(got))
	}
	names, err := cfg.FS.List("/blobs/packs")
	if err != nil || len(names) > 1 {
		t.Errorf("%d packs are left, %v, want the active one at most", len(names), err)
	}
}
