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
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cofferstore/coffer/internal/store/blob"
	"github.com/cofferstore/coffer/internal/store/blob/fs"
)

// docs/formats.md, 16.1: every byte of it.
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
	if err != nil || len(names) > 4 {
		t.Errorf("%d packs are left, %v, want the four active ones at most", len(names), err)
	}
}
