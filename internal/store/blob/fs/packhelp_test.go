// SPDX-License-Identifier: Apache-2.0

package fs_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cofferstore/coffer/internal/store/blob"
)

var bg = context.Background()

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

// allocated returns how many bytes of the device a file takes.
func allocated(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Blocks * 512
}

// damage flips a bit of a file.
func damage(t *testing.T, fsys vfs.FS, path string, at int64) {
	t.Helper()
	edit(t, fsys, path, func(f vfs.File) error {
		var b [1]byte
		if _, err := f.ReadAt(b[:], at); err != nil {
			return err
		}
		b[0] ^= 1
		_, err := f.WriteAt(b[:], at)
		return err
	})
}

// cut ends a file early.
func cut(t *testing.T, fsys vfs.FS, path string, size int64) {
	t.Helper()
	head := make([]byte, size)
	edit(t, fsys, path, func(f vfs.File) error {
		_, err := f.ReadAt(head, 0)
		return err
	})
	if err := fsys.Remove(path); err != nil {
		t.Fatal(err)
	}
	edit(t, fsys, path, func(f vfs.File) error {
		_, err := f.WriteAt(head, 0)
		return err
	})
}

func edit(t *testing.T, fsys vfs.FS, path string, do func(vfs.File) error) {
	t.Helper()
	f, err := fsys.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	err = do(f)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		t.Fatal(err)
	}
}
