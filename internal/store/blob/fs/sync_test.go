// SPDX-License-Identifier: Apache-2.0

package fs_test

import (
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cofferstore/coffer/internal/store/blob"
)

// Commits that come while a directory is being synced wait for the next sync,
// all of them for the same one.
func TestCommitsShareOnlyALaterSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewCrashableMem()
		first, second := make(chan struct{}), make(chan struct{})
		syncs := 0
		s := mustOpen(t, "/blobs", watch(mem, func(st step) {
			if st.op == "sync" && st.path == "/blobs/420" {
				if syncs++; syncs == 1 {
					<-first
				} else {
					<-second
				}
			}
		}))
		defer func() { _ = s.Close() }()
		var committed atomic.Int32
		commit := func(n byte) {
			if err := put(s, blob.StreamID{0x42, 15: n}, "data"); err != nil {
				t.Errorf("put %d: %v", n, err)
			}
			committed.Add(1)
		}
		go commit(1)
		synctest.Wait() // it is in the first sync
		for n := byte(2); n <= 10; n++ {
			go commit(n)
		}
		synctest.Wait()
		if syncs != 1 || committed.Load() != 0 {
			t.Errorf("during the first sync: %d syncs, %d committed, want 1 and 0", syncs, committed.Load())
		}
		close(first)
		synctest.Wait()
		if syncs != 2 || committed.Load() != 1 {
			t.Errorf("after the first sync: %d syncs, %d committed, want 2 and 1: the others came too late for it", syncs, committed.Load())
		}
		close(second)
		synctest.Wait()
		if syncs != 2 || committed.Load() != 10 {
			t.Errorf("in the end: %d syncs, %d committed, want 2 and 10", syncs, committed.Load())
		}
		after := mustOpen(t, "/blobs", crash(mem))
		defer func() { _ = after.Close() }()
		for n := byte(1); n <= 10; n++ {
			wantStream(t, after, blob.StreamID{0x42, 15: n}, "data")
		}
	})
}

func TestDirectoriesSyncIndependently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := mustOpen(t, "/blobs", watch(vfs.NewMem(), func(st step) {
			if st.op == "sync" && st.path == "/blobs/420" {
				<-release
			}
		}))
		defer func() { _ = s.Close() }()
		done := make(chan error, 1)
		go func() { done <- put(s, blob.StreamID{0x42}, "slow") }()
		synctest.Wait()
		mustPut(t, s, blob.StreamID{0x43}, "fast")
		close(release)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// After a directory failed to sync, a later sync may report success for entries
// that were lost, so there must be none.
func TestDirectoryThatFailedToSyncTakesNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMem()
		release := make(chan struct{})
		syncs := 0
		s := mustOpen(t, "/blobs", refuse(mem, func(st step) error {
			if st.op != "sync" || st.path != "/blobs/420" {
				return nil
			}
			syncs++
			<-release
			return syscall.EIO
		}))
		defer func() { _ = s.Close() }()
		kept := blob.StreamID{0x43}
		mustPut(t, s, kept, "kept")
		results := make(chan error, 5)
		for n := range byte(5) {
			go func() { results <- put(s, blob.StreamID{0x42, 15: n}, "lost") }()
			synctest.Wait() // the first is in its sync, the others wait for the next
		}
		close(release)
		for range 5 {
			if err := <-results; !errors.Is(err, blob.Unavailable) {
				t.Errorf("commit in a directory that fails to sync: %v, want Unavailable", err)
			}
		}
		if _, err := s.Create(t.Context(), blob.StreamID{0x42, 15: 9}, -1); !errors.Is(err, blob.Unavailable) {
			t.Errorf("create in a directory that failed to sync: %v, want Unavailable", err)
		}
		if syncs != 1 {
			t.Errorf("the directory was synced %d times, want once", syncs)
		}
		infos, err := s.List(t.Context(), blob.Info{}, 0)
		if err != nil || len(infos) != 1 || infos[0].ID != kept {
			t.Errorf("List = %v, %v, want only the stream of another directory", infos, err)
		}
		mustPut(t, s, blob.StreamID{0x44}, "other directories go on")
	})
}

func TestErrorsAbandonTheStream(t *testing.T) {
	id := blob.StreamID{0x42}
	file := "/blobs/420/" + id.String()
	for _, c := range []struct {
		name string
		op   string
		err  error
		want error
	}{
		{"device full on write", "write", syscall.ENOSPC, blob.Full},
		{"device full on sync", "sync", syscall.ENOSPC, blob.Full},
		{"quota reached on close", "close", syscall.EDQUOT, blob.Full},
		{"device error on write", "write", syscall.EIO, blob.Unavailable},
		{"device error on sync", "sync", syscall.EIO, blob.Unavailable},
		{"device error on close", "close", syscall.EIO, blob.Unavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			mem := vfs.NewMem()
			failed := 0
			s := mustOpen(t, "/blobs", refuse(mem, func(st step) error {
				if st.op == c.op && st.path == file && failed == 0 {
					failed++
					return c.err
				}
				return nil
			}))
			w, err := s.Create(t.Context(), id, -1)
			if err != nil {
				t.Fatal(err)
			}
			_, err = io.WriteString(w, strings.Repeat("x", 300<<10))
			if err == nil {
				_, err = w.Commit(t.Context())
			}
			if !errors.Is(err, c.want) {
				t.Errorf("write and commit: %v, want %v", err, c.want)
			}
			if _, err := w.Commit(t.Context()); err == nil {
				t.Error("a second Commit succeeded: it must not be tried again")
			}
			w.Abort()
			if names, err := mem.List("/blobs/420"); err != nil || len(names) != 0 {
				t.Errorf("the file is still there: %q, %v", names, err)
			}
			mustPut(t, s, id, "the id is free again")
		})
	}
}

func TestDeviceFullOnCreate(t *testing.T) {
	s := mustOpen(t, "/blobs", refuse(vfs.NewMem(), func(st step) error {
		if st.op == "create" && st.path != "/blobs/LOCK" {
			return syscall.ENOSPC
		}
		return nil
	}))
	if _, err := s.Create(t.Context(), blob.StreamID{1}, -1); !errors.Is(err, blob.Full) {
		t.Errorf("create on a full device: %v, want Full", err)
	}
}

func TestFreeIsTheDevices(t *testing.T) {
	mem := vfs.NewMem()
	mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 30, TotalBytes: 100, UsedBytes: 60})
	avail, total, err := mustOpen(t, "/blobs", mem).Free(t.Context())
	if avail != 30 || total != 100 || err != nil {
		t.Errorf("Free = %d of %d, %v, want 30 of 100", avail, total, err)
	}
}
