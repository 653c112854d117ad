// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/server"
	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/test/coffertest"
)

// deeds counts what a server does to its disk to store bodies.
type deeds struct {
	mu    sync.Mutex
	count map[string]int
}

func (d *deeds) note(what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count[what]++
}

// since returns what was done since the last call, without the audit trail.
func (d *deeds) since() map[string]int {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := d.count
	d.count = make(map[string]int)
	return out
}

type countedRows struct {
	meta.Store
	*deeds
}

func (r countedRows) Commit(ctx context.Context, b *meta.Batch) (uint64, error) {
	r.note("commit")
	return r.Store.Commit(ctx, b)
}

type countedFiles struct {
	vfs.FS
	*deeds
}

func (f countedFiles) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f.note("create")
	file, err := f.FS.Create(name, c)
	return f.watch(file, err)
}

func (f countedFiles) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	file, err := f.FS.OpenReadWrite(name, c, o...)
	return f.watch(file, err)
}

func (f countedFiles) OpenDir(name string) (vfs.File, error) {
	file, err := f.FS.OpenDir(name)
	return f.watch(file, err)
}

func (f countedFiles) watch(file vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return countedFile{file, f.deeds}, nil
}

type countedFile struct {
	vfs.File
	*deeds
}

func (f countedFile) Sync() error {
	f.note("sync")
	return f.File.Sync()
}

func (f countedFile) SyncData() error {
	f.note("data sync")
	return f.File.SyncData()
}

// A body of middling size costs no file: one sync of data that others share, and one
// commit.
func TestAPackedPutIsOneSyncAndOneCommit(t *testing.T) {
	done := &deeds{count: make(map[string]int)}
	s := coffertest.Start(t, coffertest.Tune(server.Tuning{
		Files: countedFiles{vfs.Default, done},
		Rows:  func(rows meta.Store) meta.Store { return countedRows{rows, done} },
	}))
	s.Bucket("bkt", "AES256", "", false)
	s.Put("bkt", "first", strings.Repeat("x", 64<<10)) // makes the pack and the bucket's keys
	for _, c := range []struct {
		size int
		want string
	}{
		{1 << 10, "map[commit:1]"},
		{64 << 10, "map[commit:1 data sync:1]"},
		{256 << 10, "map[commit:1 data sync:1]"},
		{260 << 10, "map[commit:1 create:1 sync:2]"},
	} {
		body := strings.Repeat("y", c.size)
		done.since()
		s.Put("bkt", fmt.Sprint(c.size), body)
		if got := fmt.Sprint(done.since()); got != c.want {
			t.Errorf("a PUT of %d bytes: %s, want %s", c.size, got, c.want)
		}
		if got, _ := s.Get("bkt", fmt.Sprint(c.size)); got != body {
			t.Errorf("%d bytes came back as other %d", c.size, len(got))
		}
	}
	s.Restart()
	if got, _ := s.Get("bkt", "65536"); len(got) != 64<<10 {
		t.Errorf("after a restart %d bytes are read", len(got))
	}
	resp, err := http.Get(s.URL + "/-/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || !strings.Contains(string(text), "coffer_packs 1") {
		t.Errorf("metrics of packs: %v", err)
	}
}

// pack-limit: 0 goes back to files; what is packed is read all the same.
func TestPacksCanBeTurnedOff(t *testing.T) {
	s := coffertest.Start(t)
	s.Bucket("bkt", "AES256", "", false)
	body := strings.Repeat("x", 100<<10)
	s.Put("bkt", "packed", body)
	s.Restart("--pack-limit", "0")
	s.Put("bkt", "filed", body)
	for _, key := range []string{"packed", "filed"} {
		if got, _ := s.Get("bkt", key); got != body {
			t.Errorf("%s: %d bytes", key, len(got))
		}
	}
	files, err := filepath.Glob(filepath.Join(s.Dir, "blobs", "[0-9a-f][0-9a-f][0-9a-f]", "*"))
	packs, err2 := filepath.Glob(filepath.Join(s.Dir, "blobs", "packs", "*"))
	if err != nil || err2 != nil || len(files) != 1 || len(packs) != 1 {
		t.Errorf("%d files and %d packs, want one each", len(files), len(packs))
	}
}

// A bit that flips in a pack is found by a scrub, which has no key, and harms no other
// object in it.
func TestAScrubReadsPacks(t *testing.T) {
	s := coffertest.Start(t)
	s.Bucket("bkt", "AES256", "", false)
	body := strings.Repeat("x", 100<<10)
	for _, key := range []string{"a", "b", "c"} {
		s.Put("bkt", key, body)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	packs, err := filepath.Glob(filepath.Join(s.Dir, "blobs", "packs", "*"))
	if err != nil || len(packs) != 1 {
		t.Fatalf("packs %q, %v", packs, err)
	}
	f, err := os.OpenFile(packs[0], os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const at = 4096 + 106_496 + 5000 // in the second frame
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1
	if _, err := f.WriteAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	s.Restart()
	var last object.ScrubReport
	if err := s.Core.Objects().Scrub(t.Context(), false, func(r object.ScrubReport) { last = r }); err != nil {
		t.Fatal(err)
	}
	if last.Streams != 3 || len(last.Damaged) != 1 || last.Damaged[0].Key != "b" {
		t.Errorf("scrub: %+v, want b damaged, of three", last)
	}
	for _, key := range []string{"a", "c"} {
		if got, _ := s.Get("bkt", key); got != body {
			t.Errorf("%s: %d bytes", key, len(got))
		}
	}
}
