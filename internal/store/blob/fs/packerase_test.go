// SPDX-License-Identifier: Apache-2.0

package fs_test

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/cofferstore/coffer/internal/store/blob"
	"github.com/cofferstore/coffer/internal/store/blob/fs"
)

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

// A pack that cannot be read does not hide the others from a sweep.
func TestAnUnreadablePackIsPassedOver(t *testing.T) {
	mem := vfs.NewMem()
	cfg := packing(mem)
	cfg.PackSize = 32 << 10 // a pack for each
	s := mustOpenWith(t, "/blobs", cfg)
	var all []held
	for range 5 {
		all = append(all, mustPack(t, s, 20_000))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	broken := fmt.Sprintf("/blobs/packs/%016x", all[2].at.Pack)
	cfg.FS = errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileReadAt && op.Path == broken {
			return syscall.EIO
		}
		return nil
	}))
	s = mustOpenWith(t, "/blobs", cfg)
	for _, limit := range []int{0, 1} {
		seen, failures := 0, 0
		var after blob.Info
		for {
			infos, err := s.List(t.Context(), after, limit)
			if err != nil {
				failures++
			}
			if len(infos) == 0 {
				break
			}
			seen, after = seen+len(infos), infos[len(infos)-1]
		}
		if seen != 4 || failures == 0 {
			t.Errorf("pages of %d: %d streams and %d failures, want the four that can be read, and word of the fifth", limit, seen, failures)
		}
	}
	if err := all[2].in(s); !errors.Is(err, blob.Unavailable) {
		t.Errorf("read from the pack: %v, want Unavailable", err)
	}
}

// What a crash leaves of a pack that was being begun goes; what is no pack stays.
func TestUnfinishedPacksGo(t *testing.T) {
	mem := vfs.NewMem()
	s := mustOpenWith(t, "/blobs", packing(mem))
	a := mustPack(t, s, 10_000)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for name, size := range map[string]int{"00000000000000aa": 0, "00000000000000ab": 4096, "00000000000000AC": 10, "lost+found": 10, "0": 10} {
		edit(t, mem, "/blobs/packs/"+name, func(f vfs.File) error {
			_, err := f.WriteAt(make([]byte, size), 0)
			return err
		})
	}
	s = mustOpenWith(t, "/blobs", packing(mem))
	if got := listed(t, s); len(got) != 1 || got[a.id] != a.at {
		t.Errorf("List = %v, want only %s", got, a.id)
	}
	if left := packsIn(t, mem); len(left) != 4 {
		t.Errorf("%q are left, want the pack and what is none", left)
	}
	if trash, err := mem.List("/blobs/trash"); err != nil || len(trash) != 0 {
		t.Errorf("trash = %q, %v, want nothing", trash, err)
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
