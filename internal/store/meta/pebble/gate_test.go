// SPDX-License-Identifier: Apache-2.0

package pebble

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cofferstore/coffer/internal/store/meta"
)

// slowFS is a file system whose log files are not synced while it is held.
type slowFS struct {
	vfs.FS
	mu      sync.Mutex
	blocked chan struct{} // closed on release; nil when not held
}

func (fs *slowFS) hold() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.blocked = make(chan struct{})
}

func (fs *slowFS) release() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.blocked != nil {
		close(fs.blocked)
		fs.blocked = nil
	}
}

func (fs *slowFS) wait() {
	fs.mu.Lock()
	blocked := fs.blocked
	fs.mu.Unlock()
	if blocked != nil {
		<-blocked
	}
}

func (fs *slowFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return fs.slow(name)(fs.FS.Create(name, c))
}

func (fs *slowFS) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return fs.slow(newname)(fs.FS.ReuseForWrite(oldname, newname, c))
}

func (fs *slowFS) slow(name string) func(vfs.File, error) (vfs.File, error) {
	return func(f vfs.File, err error) (vfs.File, error) {
		if err != nil || !strings.HasSuffix(name, ".log") {
			return f, err
		}
		return slowFile{f, fs}, nil
	}
}

type slowFile struct {
	vfs.File
	fs *slowFS
}

func (f slowFile) Sync() error     { f.fs.wait(); return f.File.Sync() }
func (f slowFile) SyncData() error { f.fs.wait(); return f.File.SyncData() }

type look = func(ctx context.Context, s *Store) (string, error)

// gateCase is a commit that is held up, and who sees it.
type gateCase struct {
	name   string
	commit func(b *meta.Batch)
	reads  map[string]look   // must wait for it
	want   map[string]string // what each read then sees
	others []look            // need not wait
}

func gateCases() []gateCase {
	return []gateCase{{
		name:   "put",
		commit: func(b *meta.Batch) { b.Put([]byte("m"), []byte("new")) },
		reads: map[string]look{
			"get": getValue("m"), "get many": getValue("a", "m"), "scan": scanKeys("", ""),
			"reverse": scanKeys("l", "n"), "conflict": conflictOf("m", 0),
		},
		want:   map[string]string{"get": "new", "get many": "new", "scan": "a,d,m,st/n,z", "reverse": "m", "conflict": "m"},
		others: []look{getValue("d"), scanKeys("a", "e")},
	}, {
		name:   "delete",
		commit: func(b *meta.Batch) { b.Delete([]byte("d")) },
		reads: map[string]look{
			"get": getValue("d"), "get many": getValue("a", "d"), "scan": scanKeys("", ""),
			"around": scanKeys("b", "e"), "conflict": conflictOf("d", 3),
		},
		want:   map[string]string{"get": "", "get many": "", "scan": "a,st/n,z", "around": "", "conflict": "d"},
		others: []look{getValue("a"), scanKeys("e", "")},
	}, {
		name:   "add",
		commit: func(b *meta.Batch) { b.Add([]byte("st/n"), 2) },
		reads:  map[string]look{"get": getValue("st/n"), "scan": scanKeys("st/", "st0")},
		want:   map[string]string{"get": "\x00\x00\x00\x00\x00\x00\x00\x03", "scan": "st/n"},
		others: []look{getValue("z")},
	}}
}

// While the log is not synced, nobody sees what a commit under way did, in
// whatever way they look. Everything else can be read.
func TestReadsWaitForDurability(t *testing.T) {
	for _, c := range gateCases() {
		t.Run(c.name, func(t *testing.T) { synctest.Test(t, c.run) })
	}
}

func (c gateCase) run(t *testing.T) {
	fs := &slowFS{FS: vfs.NewMem()}
	s := mustOpen(t, fs, "meta")
	defer s.Close()
	var first, second meta.Batch
	first.Put([]byte("a"), []byte("old"))
	mustCommit(t, s, &first) // version 2
	second.Put([]byte("d"), []byte("old"))
	second.Put([]byte("z"), []byte("old"))
	second.Add([]byte("st/n"), 1)
	mustCommit(t, s, &second) // version 3

	fs.hold()
	defer fs.release() // or a failed test could not close the store
	var batch meta.Batch
	c.commit(&batch)
	var mu sync.Mutex // guards seen and acknowledged
	seen, acknowledged := map[string]string{}, false
	go func() {
		mustCommit(t, s, &batch)
		mu.Lock()
		defer mu.Unlock()
		acknowledged = true
	}()
	synctest.Wait()
	for name, read := range c.reads {
		go func() {
			got, err := read(t.Context(), s)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			mu.Lock()
			defer mu.Unlock()
			seen[name] = got
		}()
	}
	for i, read := range c.others {
		if _, err := read(t.Context(), s); err != nil {
			t.Errorf("other read %d: %v", i, err)
		}
	}
	synctest.Wait()
	mu.Lock()
	if acknowledged || len(seen) > 0 {
		t.Errorf("before the sync: acknowledged %v, seen %q", acknowledged, seen)
	}
	mu.Unlock()
	wantGivesUp(t, s, c.reads["get"])

	fs.release()
	synctest.Wait()
	mu.Lock()
	defer mu.Unlock()
	if !acknowledged {
		t.Error("not acknowledged after the sync")
	}
	for name, want := range c.want {
		if got, ok := seen[name]; !ok || got != want {
			t.Errorf("%s saw %q (%v), want %q", name, got, ok, want)
		}
	}
	if len(s.gate.deletes) != 0 || len(s.gate.under) != 0 {
		t.Errorf("deletes still remembered: %v", s.gate.deletes)
	}
}

// wantGivesUp fails unless a waiting reader ends when its context does.
func wantGivesUp(t *testing.T, s *Store, read look) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := read(ctx, s)
		ended <- err
	}()
	synctest.Wait()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("a reader that gave up got %v", err)
	}
}

// Commits that come while one waits for the disk do not wait for it to end: they
// share the next sync. Their versions are in the order of the log.
func TestCommitsShareSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := &slowFS{FS: vfs.NewMem()}
		s := mustOpen(t, fs, "meta")
		defer s.Close()
		fs.hold()
		const commits = 50
		var done sync.WaitGroup
		for i := range commits {
			done.Go(func() {
				var b meta.Batch
				b.PutIf([]byte{byte(i)}, nil, 0)
				mustCommit(t, s, &b)
			})
		}
		synctest.Wait()
		s.commitMu.Lock()
		last := s.last
		s.commitMu.Unlock()
		if last != meta.CounterVersion+commits {
			t.Errorf("%d of %d commits are in the log", last-meta.CounterVersion, commits)
		}
		if durable := s.gate.durable.Load(); durable != meta.CounterVersion {
			t.Errorf("durable up to %d before any sync", durable)
		}
		fs.release()
		done.Wait()
		if durable := s.gate.durable.Load(); durable != last {
			t.Errorf("durable up to %d of %d", durable, last)
		}
	})
}

func mustCommit(t testing.TB, s meta.Store, b *meta.Batch) uint64 {
	t.Helper()
	ver, err := s.Commit(t.Context(), b)
	if err != nil {
		t.Errorf("commit: %v", err)
	}
	return ver
}

// getValue reads the keys and returns the last one's value.
func getValue(keys ...string) look {
	return func(ctx context.Context, s *Store) (string, error) {
		asked := make([][]byte, len(keys))
		for i, key := range keys {
			asked[i] = []byte(key)
		}
		items, err := s.Get(ctx, asked...)
		if err != nil {
			return "", err
		}
		return string(items[len(items)-1].Value), nil
	}
}

func scanKeys(start, end string) look {
	return func(ctx context.Context, s *Store) (string, error) {
		r := meta.Range{Start: []byte(start), KeysOnly: true}
		if end != "" {
			r.End = []byte(end)
			r.Reverse = true
		}
		page, err := s.Scan(ctx, r)
		var keys []string
		for _, it := range page.Items {
			keys = append(keys, string(it.Key))
		}
		return strings.Join(keys, ","), err
	}
}

// conflictOf commits on a condition that does not hold and returns the key of
// the conflict.
func conflictOf(key string, want uint64) look {
	return func(ctx context.Context, s *Store) (string, error) {
		var b meta.Batch
		b.PutIf([]byte(key), nil, want)
		_, err := s.Commit(ctx, &b)
		var conflict *meta.ConflictError
		if errors.As(err, &conflict) {
			return string(conflict.Key), nil
		}
		return "", err
	}
}
