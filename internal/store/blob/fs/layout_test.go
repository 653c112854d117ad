// SPDX-License-Identifier: Apache-2.0

package fs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cofferstore/coffer/internal/store/blob"
	"github.com/cofferstore/coffer/internal/store/blob/fs"
)

// commit commits a stream whose length is announced.
func commit(s blob.Store, id blob.StreamID, data []byte) (blob.Place, error) {
	w, err := s.Create(context.Background(), id, int64(len(data)))
	if err != nil {
		return blob.Place{}, err
	}
	defer w.Abort()
	if _, err := w.Write(data); err != nil {
		return blob.Place{}, err
	}
	return w.Commit(context.Background())
}

// put commits a stream to a store without packs.
func put(s blob.Store, id blob.StreamID, data string) error {
	_, err := commit(s, id, []byte(data))
	return err
}

func mustPut(t testing.TB, s blob.Store, id blob.StreamID, data string) {
	t.Helper()
	if err := put(s, id, data); err != nil {
		t.Fatalf("put %s: %v", id, err)
	}
}

// get reads a whole stream of a store without packs.
func get(s blob.Store, id blob.StreamID) (string, error) { return getAt(s, id, blob.Place{}) }

func getAt(s blob.Store, id blob.StreamID, at blob.Place) (string, error) {
	r, err := s.ReadAt(context.Background(), id, at, 0, -1)
	if err != nil {
		return "", err
	}
	data, err := io.ReadAll(r)
	return string(data), errors.Join(err, r.Close())
}

func wantStream(t *testing.T, s blob.Store, id blob.StreamID, want string) {
	t.Helper()
	if got, err := get(s, id); err != nil || got != want {
		t.Errorf("stream %s = %.40q (%d bytes), %v, want %.40q (%d bytes)", id, got, len(got), err, want, len(want))
	}
}

// crash returns what a crash now leaves of what was not synced: nothing.
func crash(mem *vfs.MemFS) *vfs.MemFS { return mem.CrashClone(vfs.CrashCloneCfg{}) }

func TestLayout(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data", "blobs")
	s := mustOpen(t, dir, nil)
	id := blob.StreamID{0xab, 0xcd, 0xef, 15: 0x01}
	mustPut(t, s, id, "sealed")
	got, err := os.ReadFile(filepath.Join(dir, "abc", "abcdef00000000000000000000000001"))
	if err != nil || string(got) != "sealed" {
		t.Errorf("file of the stream = %q, %v", got, err)
	}
	dirs, err := filepath.Glob(filepath.Join(dir, "[0-9a-f][0-9a-f][0-9a-f]"))
	if err != nil || len(dirs) != 4096 {
		t.Errorf("%d directories, %v, want 4096", len(dirs), err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the store's directory is %v, %v, want closed to others", info.Mode(), err)
	}
	if _, err := fs.Open(dir, fs.Config{}); !errors.Is(err, blob.Unavailable) {
		t.Errorf("second Open: %v, want Unavailable", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wantStream(t, mustOpen(t, dir, nil), id, "sealed")
}

func TestDirectoriesSurviveACrashAfterOpen(t *testing.T) {
	mem := vfs.NewCrashableMem()
	mustOpen(t, "/deep/in/data", mem)
	names, err := crash(mem).List("/deep/in/data")
	if err != nil || len(names) < 4097 {
		t.Errorf("a crash right after Open leaves %d entries, %v, want 4096 directories and the trash", len(names), err)
	}
}

func TestOpenRepairsMissingDirectories(t *testing.T) {
	mem := vfs.NewCrashableMem()
	s := mustOpen(t, "/blobs", mem)
	kept, other := blob.StreamID{0x11}, blob.StreamID{0x77, 0x70}
	mustPut(t, s, kept, "kept")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := mem.RemoveAll("/blobs/777"); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, "/blobs", mem)
	mustPut(t, s, other, "other")
	s = mustOpen(t, "/blobs", crash(mem))
	wantStream(t, s, kept, "kept")
	wantStream(t, s, other, "other")
}

func TestDirectoriesAreMadeOnce(t *testing.T) {
	mem := &countingFS{FS: vfs.NewMem()}
	if err := mustOpen(t, "/blobs", mem).Close(); err != nil {
		t.Fatal(err)
	}
	mem.mkdirs = 0
	mustOpen(t, "/blobs", mem)
	if mem.mkdirs != 0 {
		t.Errorf("the second Open made %d directories, want none", mem.mkdirs)
	}
}

type countingFS struct {
	vfs.FS
	mkdirs int
}

func (c *countingFS) MkdirAll(dir string, perm os.FileMode) error {
	c.mkdirs++
	return c.FS.MkdirAll(dir, perm)
}

func TestStrangeFilesAreNotStreams(t *testing.T) {
	mem := vfs.NewMem()
	s := mustOpen(t, "/blobs", mem)
	id := blob.StreamID{0xab, 0xc0, 15: 9}
	mustPut(t, s, id, "x")
	trashed := blob.StreamID{0xab, 0xc0, 15: 10}
	mustPut(t, s, trashed, "x")
	if err := s.MoveToTrash(t.Context(), trashed, blob.Place{}); err != nil {
		t.Fatal(err)
	}
	strange := []string{
		"abc/lost+found",
		"abc/ABC00000000000000000000000000011",
		"abc/abc0000000000000000000000000001",    // a digit short
		"def/abc00000000000000000000000000012",   // in another's directory
		"abc/abc00000000000000000000000000013~",  // an editor's
		"trash/abc00000000000000000000000000014", // no time
		"trash/zz-abc00000000000000000000000000015",
	}
	for _, name := range strange {
		f, err := mem.Create("/blobs/"+name, vfs.WriteCategoryUnspecified)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	infos, err := s.List(t.Context(), blob.Info{}, 0)
	if err != nil || len(infos) != 1 || infos[0].ID != id {
		t.Errorf("List = %v, %v, want only %s", infos, err, id)
	}
	if n, err := s.EmptyTrash(t.Context(), time.Now().Add(time.Hour)); n != 1 || err != nil {
		t.Errorf("EmptyTrash = %d, %v, want 1", n, err)
	}
	for _, name := range strange {
		if _, err := mem.Stat("/blobs/" + name); err != nil {
			t.Errorf("a file that is not the store's was touched: %v", err)
		}
	}
}

func TestCrashLeavesUnfinishedStreamToTheSweep(t *testing.T) {
	mem := vfs.NewCrashableMem()
	s := mustOpen(t, "/blobs", mem)
	id := blob.StreamID{0x42}
	w, err := s.Create(t.Context(), id, -1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, strings.Repeat("x", 300<<10)); err != nil {
		t.Fatal(err)
	}
	everything := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: newRNG(1)})
	s = mustOpen(t, "/blobs", everything)
	infos, err := s.List(t.Context(), blob.Info{}, 0)
	if err != nil || len(infos) != 1 || infos[0].ID != id || infos[0].Size != 256<<10 {
		t.Errorf("List after the crash = %v, %v, want the 256 KiB written of %s", infos, err, id)
	}
	if err := s.MoveToTrash(t.Context(), id, blob.Place{}); err != nil {
		t.Fatal(err)
	}
	names, err := crash(everything).List("/blobs/trash")
	if err != nil || len(names) != 1 || !strings.HasSuffix(names[0], "-"+id.String()) {
		t.Errorf("trash after another crash = %q, %v, want the stream", names, err)
	}
}

// A crash inside the move may leave the stream in either place, but not in none.
func TestMoveToTrashLosesNothing(t *testing.T) {
	mem := vfs.NewCrashableMem()
	id := blob.StreamID{0x42}
	var images []*vfs.MemFS
	watched := watch(mem, func(step) { images = append(images, crash(mem)) })
	s := mustOpen(t, "/blobs", mem)
	mustPut(t, s, id, "precious")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, "/blobs", watched)
	images = nil
	if err := s.MoveToTrash(t.Context(), id, blob.Place{}); err != nil {
		t.Fatal(err)
	}
	images = append(images, crash(mem))
	for i, image := range images {
		var found []string
		for _, dir := range []string{"/blobs/420", "/blobs/trash"} {
			names, err := image.List(dir)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, names...)
		}
		if len(found) == 0 || len(found) > 2 {
			t.Errorf("image %d of %d has the stream as %q", i, len(images), found)
		}
	}
	if len(images) < 4 {
		t.Errorf("%d images, want one before each of rename and two syncs, and one after", len(images))
	}
}

func TestWritesAreLarge(t *testing.T) {
	sizes := make(map[string]int)
	s := mustOpen(t, "/blobs", watch(vfs.NewMem(), func(st step) {
		if st.op == "write" {
			sizes[fmt.Sprint(st.n)]++
		}
	}))
	w, err := s.Create(t.Context(), blob.StreamID{1}, -1)
	if err != nil {
		t.Fatal(err)
	}
	segment := make([]byte, 64<<10+28)
	for range 16 {
		if _, err := w.Write(segment); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if sizes["262144"] != 4 || sizes["448"] != 1 || len(sizes) != 2 {
		t.Errorf("16 segments were written as %v, want 4 times 256 KiB and the rest", sizes)
	}
}
