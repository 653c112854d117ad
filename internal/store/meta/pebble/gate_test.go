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
	close(fs.blocked)
	fs.blocked = nil
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

// While the log is not synced, nobody sees what a commit under way did, in
// whatever way they look. Everything else can be read.
func TestReadsWaitForDurability(t *testing.T) {
	for _, c := range []struct {
		name   string
		commit func(b *meta.Batch)
		reads  map[string]func(ctx context.Context, s *Store) (string, error) // what is seen, once it may be
		want   map[string]string
		others map[string]func(ctx context.Context, s *Store) error // what need not wait
	}{{
		name:   "put",
		commit: func(b *meta.Batch) { b.Put([]byte("m"), []byte("new")) },
		reads: map[string]func(ctx context.Context, s *Store) (string, error){
			"get":      getValue("m"),
			"get many": getValue("a", "m"),
			"scan":     scanKeys("", ""),
			"reverse":  scanKeys("l", "n"),
			"conflict": conflictOf("m", 0),
		},
		want:   map[string]string{"get": "new", "get many": "new", "scan": "a,d,m,st/n,z", "reverse": "m", "conflict": "m"},
		others: map[string]func(ctx context.Context, s *Store) error{"get d": only(getValue("d")), "scan to d": only(scanKeys("a", "e"))},
	}, {
		name:   "delete",
		commit: func(b *meta.Batch) { b.Delete([]byte("d")) },
		reads: map[string]func(ctx context.Context, s *Store) (string, error){
			"get":      getValue("d"),
			"get many": getValue("a", "d"),
			"scan":     scanKeys("", ""),
			"around":   scanKeys("b", "e"),
			"conflict": conflictOf("d", 3),
		},
		want:   map[string]string{"get": "", "get many": "", "scan": "a,st/n,z", "around": "", "conflict": "d"},
		others: map[string]func(ctx context.Context, s *Store) error{"get a": only(getValue("a")), "scan from e": only(scanKeys("e", ""))},
	}, {
		name:   "add",
		commit: func(b *meta.Batch) { b.Add([]byte("st/n"), 2) },
		reads: map[string]func(ctx context.Context, s *Store) (string, error){
			"get":  getValue("st/n"),
			"scan": scanKeys("st/", "st0"),
		},
		want:   map[string]string{"get": "\x00\x00\x00\x00\x00\x00\x00\x03", "scan": "st/n"},
		others: map[string]func(ctx context.Context, s *Store) error{"get z": only(getValue("z"))},
	}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
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
				var batch meta.Batch
				c.commit(&batch)
				acknowledged := false
				go func() {
					mustCommit(t, s, &batch)
					acknowledged = true
				}()
				synctest.Wait()
				seen := map[string]string{}
				var mu sync.Mutex
				for name, look := range c.reads {
					go func() {
						got, err := look(t.Context(), s)
						if err != nil {
							t.Errorf("%s: %v", name, err)
						}
						mu.Lock()
						defer mu.Unlock()
						seen[name] = got
					}()
				}
				for name, look := range c.others {
					if err := look(t.Context(), s); err != nil {
						t.Errorf("%s: %v", name, err)
					}
				}
				synctest.Wait()
				if acknowledged || len(seen) > 0 {
					t.Fatalf("before the sync: acknowledged %v, seen %q", acknowledged, seen)
				}

				// A reader may give up waiting.
				ctx, cancel := context.WithCancel(t.Context())
				cancelled := make(chan error, 1)
				go func() {
					_, err := c.reads["get"](ctx, s)
					cancelled <- err
				}()
				synctest.Wait()
				cancel()
				if err := <-cancelled; !errors.Is(err, context.Canceled) {
					t.Errorf("a reader that gave up got %v", err)
				}

				fs.release()
				synctest.Wait()
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
			})
		})
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
		if s.last != meta.CounterVersion+commits {
			t.Errorf("%d of %d commits are in the log", s.last-meta.CounterVersion, commits)
		}
		if durable := s.gate.durable.Load(); durable != meta.CounterVersion {
			t.Errorf("durable up to %d before any sync", durable)
		}
		fs.release()
		done.Wait()
		if durable := s.gate.durable.Load(); durable != s.last {
			t.Errorf("durable up to %d of %d", durable, s.last)
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
func getValue(keys ...string) func(ctx context.Context, s *Store) (string, error) {
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

func scanKeys(start, end string) func(ctx context.Context, s *Store) (string, error) {
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
func conflictOf(key string, want uint64) func(ctx context.Context, s *Store) (string, error) {
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

func only(look func(ctx context.Context, s *Store) (string, error)) func(ctx context.Context, s *Store) error {
	return func(ctx context.Context, s *Store) error {
		_, err := look(ctx, s)
		return err
	}
}
