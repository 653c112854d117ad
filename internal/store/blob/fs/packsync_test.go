// SPDX-License-Identifier: Apache-2.0

package fs_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cofferstore/coffer/internal/store/blob"
)

func isPack(path string) bool { return strings.HasPrefix(path, "/blobs/packs/") }

// Four packs are appended to at a time. Commits that come while all are being synced
// wait for the next sync, those of a pack all for the same one, and make no file.
func TestPackedCommitsShareOnlyALaterSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const packs, later = 4, 12
		mem := vfs.NewCrashableMem()
		first, second := make(chan struct{}), make(chan struct{})
		var syncs, creates atomic.Int32
		s := mustOpenWith(t, "/blobs", packing(watch(mem, func(st step) {
			switch {
			case st.op == "create":
				creates.Add(1)
			case st.op == "syncdata" && syncs.Add(1) <= packs:
				<-first
			case st.op == "syncdata":
				<-second
			}
		})))
		creates.Store(0)
		defer func() { _ = s.Close() }()
		var done atomic.Int32
		var all [packs + later]held
		commitOne := func(n int) {
			h := held{id: newID(), data: some(10_000 + n)}
			var err error
			if h.at, err = commit(s, h.id, h.data); err != nil {
				t.Errorf("commit %d: %v", n, err)
			}
			all[n] = h
			done.Add(1)
		}
		for n := range packs {
			go commitOne(n)
			synctest.Wait() // it is in its sync
		}
		for n := range later {
			go commitOne(packs + n)
		}
		synctest.Wait()
		if syncs.Load() != packs || done.Load() != 0 {
			t.Errorf("during the first syncs: %d syncs, %d committed, want 4 and 0", syncs.Load(), done.Load())
		}
		if got := listed(t, s); len(got) != 0 {
			t.Errorf("List shows %d streams that are not durable", len(got))
		}
		close(first)
		synctest.Wait()
		if syncs.Load() != 2*packs || done.Load() != packs {
			t.Errorf("after the first syncs: %d syncs, %d committed, want 8 and 4: the others came too late for them", syncs.Load(), done.Load())
		}
		close(second)
		synctest.Wait()
		if syncs.Load() != 2*packs || done.Load() != packs+later || creates.Load() != packs {
			t.Errorf("in the end: %d syncs, %d committed, %d files, want 8, 16 and four packs", syncs.Load(), done.Load(), creates.Load())
		}
		after := mustOpenWith(t, "/blobs", packing(crash(mem)))
		defer func() { _ = after.Close() }()
		wantHeld(t, after, all[:]...)
	})
}

// Who writes alone appends to one pack.
func TestOneWriterFillsOnePack(t *testing.T) {
	mem := vfs.NewMem()
	s := mustOpenWith(t, "/blobs", packing(mem))
	for range 20 {
		mustPack(t, s, 10_000)
	}
	if n := len(packsIn(t, mem)); n != 1 {
		t.Errorf("%d packs, want one", n)
	}
}

// After a pack failed to sync, a later sync may report success for what was lost, so
// there must be none, and what waited for it fails. The next stream has another pack.
func TestAPackThatFailedToSyncTakesNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMem()
		failing := false
		release := make(chan struct{})
		syncs := make(map[string]int)
		var mu sync.Mutex
		s := mustOpenWith(t, "/blobs", packing(refuse(mem, func(st step) error {
			if st.op != "syncdata" {
				return nil
			}
			mu.Lock()
			syncs[st.path]++
			fails := failing
			mu.Unlock()
			if !fails {
				return nil
			}
			<-release
			return syscall.EIO
		})))
		defer func() { _ = s.Close() }()
		kept := mustPack(t, s, 10_000)
		failing = true
		results := make(chan error, 5)
		for range 5 {
			go func() { _, err := commit(s, newID(), some(20_000)); results <- err }()
			synctest.Wait() // four packs are in their syncs, and one stream waits for the next
		}
		close(release)
		for range 5 {
			if err := <-results; !errors.Is(err, blob.Unavailable) {
				t.Errorf("commit in a pack that fails to sync: %v, want Unavailable", err)
			}
		}
		failing = false
		next := mustPack(t, s, 30_000)
		if next.at.Pack == kept.at.Pack {
			t.Error("a stream was appended to a pack that failed to sync")
		}
		if n := syncs[fmt.Sprintf("/blobs/packs/%016x", kept.at.Pack)]; n != 2 {
			t.Errorf("the pack was synced %d times, want the good time and the bad one", n)
		}
		wantHeld(t, s, kept, next)
		// What failed may be there all the same. The sweep can take it away, and then
		// the pack can go.
		infos, err := s.List(t.Context(), blob.Info{}, 0)
		if err != nil || len(infos) != 7 {
			t.Fatalf("List shows %d streams, %v, want two and five orphans", len(infos), err)
		}
		for _, info := range infos {
			if info.ID != next.id {
				if err := s.Delete(t.Context(), info.ID, info.At); err != nil {
					t.Error(err)
				}
			}
		}
		if left := packsIn(t, mem); len(left) != 1 {
			t.Errorf("packs %q are left, want the next one alone", left)
		}
	})
}

func TestErrorsAbandonThePackedStream(t *testing.T) {
	for _, c := range []struct {
		name string
		op   string
		err  error
		want error
	}{
		{"device full on write", "write", syscall.ENOSPC, blob.Full},
		{"quota reached on sync", "syncdata", syscall.EDQUOT, blob.Full},
		{"device error on write", "write", syscall.EIO, blob.Unavailable},
		{"device error on sync", "syncdata", syscall.EIO, blob.Unavailable},
		{"device full on create", "create", syscall.ENOSPC, blob.Full},
		{"device error on the first page's sync", "sync", syscall.EIO, blob.Unavailable},
	} {
		for _, first := range []bool{false, true} { // of its pack
			if (c.op == "create" || c.op == "sync") && !first {
				continue
			}
			t.Run(fmt.Sprintf("%s, first %t", c.name, first), func(t *testing.T) {
				mem := vfs.NewMem()
				armed := false
				s := mustOpenWith(t, "/blobs", packing(refuse(mem, func(st step) error {
					if armed && st.op == c.op && isPack(st.path) {
						armed = false
						return c.err
					}
					return nil
				})))
				var kept []held
				if !first {
					kept = append(kept, mustPack(t, s, 10_000))
				}
				armed = true
				id := newID()
				w, err := s.Create(t.Context(), id, 20_000)
				if err == nil {
					_, err = io.WriteString(w, strings.Repeat("x", 20_000))
				}
				if err != nil {
					t.Fatal(err)
				}
				if at, err := w.Commit(t.Context()); !errors.Is(err, c.want) {
					t.Errorf("commit: %+v, %v, want %v", at, err, c.want)
				}
				if _, err := w.Commit(t.Context()); err == nil {
					t.Error("a second Commit succeeded: it must not be tried again")
				}
				w.Abort()
				kept = append(kept, mustPack(t, s, 30_000))
				wantHeld(t, s, kept...)
				if got := listed(t, s); c.op != "syncdata" && len(got) != len(kept) {
					t.Errorf("List shows %d streams, want %d", len(got), len(kept))
				}
				for _, file := range packsIn(t, mem) {
					if info, err := mem.Stat("/blobs/packs/" + file); err != nil || info.Size() < 4096 {
						t.Errorf("pack %s was left unfinished: %v", file, err)
					}
				}
			})
		}
	}
}

// What a failed sync has lost does not keep its pack for ever.
func TestAPackThatLostStreamsGoes(t *testing.T) {
	mem := vfs.NewMem()
	failing := false
	s := mustOpenWith(t, "/blobs", packing(refuse(mem, func(st step) error {
		if st.op == "syncdata" && failing {
			failing = false
			return syscall.EIO
		}
		return nil
	})))
	kept := mustPack(t, s, 10_000)
	failing = true
	if _, err := commit(s, newID(), some(20_000)); !errors.Is(err, blob.Unavailable) {
		t.Fatalf("commit: %v, want Unavailable", err)
	}
	edit(t, mem, fmt.Sprintf("/blobs/packs/%016x", kept.at.Pack), func(f vfs.File) error {
		return zeros(f, kept.at.Offset+12_288, 1<<20) // never reached the disk
	})
	if got := listed(t, s); len(got) != 1 {
		t.Errorf("List = %v, want one", got)
	}
	mustDelete(t, s, kept)
	if left := packsIn(t, mem); len(left) != 0 {
		t.Errorf("%q are left", left)
	}
}

// When the directory of packs failed to sync there are no more packs before a restart,
// and streams are files.
func TestNoPacksAfterTheirDirectoryFailedToSync(t *testing.T) {
	mem := vfs.NewMem()
	failing, syncs := false, 0
	s := mustOpenWith(t, "/blobs", packing(refuse(mem, func(st step) error {
		if st.op == "sync" && st.path == "/blobs/packs" && failing {
			syncs++
			return syscall.EIO
		}
		return nil
	})))
	failing = true
	if at, err := commit(s, newID(), some(10_000)); !errors.Is(err, blob.Unavailable) {
		t.Errorf("commit into the first pack: %+v, %v, want Unavailable", at, err)
	}
	id := newID()
	at, err := commit(s, id, some(10_000))
	if err != nil || at.Packed() || syncs != 1 {
		t.Errorf("the next commit: %+v, %v, %d syncs; want a file, and no other sync", at, err, syncs)
	}
	wantHeld(t, s, held{id, at, some(10_000)})
	if left := packsIn(t, mem); len(left) != 0 {
		t.Errorf("%q are left", left)
	}
}

// What all writers hold in memory is bounded: beyond it streams are files.
func TestFramesInMemoryAreBounded(t *testing.T) {
	s := mustOpenWith(t, "/blobs", packing(vfs.NewMem()))
	const fit = 64 // of 1 MiB, the power of two above 512 KiB and a header
	var writers []blob.Writer
	for range fit + 3 {
		w, err := s.Create(t.Context(), newID(), 512<<10)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(some(1000)); err != nil {
			t.Fatal(err)
		}
		writers = append(writers, w)
	}
	packed := 0
	for i, w := range writers {
		at, err := w.Commit(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if at.Packed() {
			packed++
		} else if i < fit {
			t.Errorf("writer %d was given no frame", i)
		}
	}
	if packed != fit {
		t.Errorf("%d streams were packed, want %d", packed, fit)
	}
	if h := mustPack(t, s, 400_000); h.in(s) != nil {
		t.Error("no frame is given out any more")
	}
}
