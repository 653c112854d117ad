// SPDX-License-Identifier: Apache-2.0

package pebble

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/cofferstore/coffer/internal/store/meta"
)

var crashImages = flag.Int("crashimages", 24, "crash images to take and read back")

// account is a writer's own pair of rows and counter. Every batch changes all
// three, so a batch that was applied in part shows.
type account struct {
	name  string
	acked int    // batches acknowledged
	tried int    // batches begun
	ver   uint64 // of the last one acknowledged
	bulk  int    // bytes in a row
}

func (a *account) keys() (row, copied, sum []byte) {
	return []byte("row/" + a.name), []byte("copy/" + a.name), []byte("st/" + a.name)
}

// write commits the account's next batch. Every third one deletes the rows.
func (a *account) write(ctx context.Context, s *Store) error {
	row, copied, sum := a.keys()
	n := a.tried + 1
	var b meta.Batch
	if n%3 == 0 {
		b.Delete(row)
		b.Delete(copied)
	} else {
		value := append(binary.BigEndian.AppendUint64(nil, uint64(n)), bytes.Repeat([]byte(a.name), a.bulk)...)
		b.Put(row, value)
		b.Put(copied, value)
	}
	b.Add(sum, 1)
	a.tried = n
	ver, err := s.Commit(ctx, &b)
	if err == nil {
		a.acked, a.ver = n, ver
	}
	return err
}

// verify checks that the account is as after one of the batches from the last
// acknowledged to the last begun, and returns its newest version.
func (a *account) verify(s *Store) (ver uint64, err error) {
	row, copied, sum := a.keys()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	items, err := s.Get(ctx, row, copied, sum)
	if err != nil {
		return 0, err
	}
	n := 0
	if items[2].Ver != 0 {
		n = int(binary.BigEndian.Uint64(items[2].Value))
	}
	if n < a.acked || n > a.tried {
		return 0, fmt.Errorf("account %s has %d batches, %d were acknowledged and %d begun", a.name, n, a.acked, a.tried)
	}
	if !bytes.Equal(items[0].Value, items[1].Value) || items[0].Ver != items[1].Ver {
		return 0, fmt.Errorf("account %s: batch %d was applied in part", a.name, n)
	}
	switch {
	case n%3 == 0 && items[0].Ver != 0:
		return 0, fmt.Errorf("account %s: rows of %d batches were deleted and are there", a.name, n)
	case n%3 != 0 && (items[0].Ver == 0 || binary.BigEndian.Uint64(items[0].Value) != uint64(n)):
		return 0, fmt.Errorf("account %s: rows are not those of batch %d", a.name, n)
	case n == a.acked && n%3 != 0 && items[0].Ver != a.ver:
		return 0, fmt.Errorf("account %s: version %d, acknowledged was %d", a.name, items[0].Ver, a.ver)
	}
	return max(a.ver, items[0].Ver), nil
}

// crashFS is a disk in memory of which crash images can be taken at any time.
type crashFS struct {
	*vfs.MemFS
	// A MemFS locks itself twice to reuse a file, and would wait forever for an
	// image that is asked for in between.
	reuse sync.Mutex
}

func newCrashFS() *crashFS { return &crashFS{MemFS: vfs.NewCrashableMem()} }

func (fs *crashFS) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	fs.reuse.Lock()
	defer fs.reuse.Unlock()
	return fs.MemFS.ReuseForWrite(oldname, newname, c)
}

// image returns the disk after a crash, with some percent of what was not synced.
func (fs *crashFS) image(unsynced int, rng *rand.Rand) *crashFS {
	fs.reuse.Lock()
	defer fs.reuse.Unlock()
	return &crashFS{MemFS: fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: unsynced, RNG: rng})}
}

// verifyImage opens an image of the disk and checks all accounts in it, and that
// versions go on behind all that were ever told.
func verifyImage(fs vfs.FS, accounts []account) error {
	var fatal error
	s, err := Open("meta", Config{FS: fs, CacheBytes: 1 << 20, MemTableBytes: 256 << 10, Fatal: func(err error) { fatal = err }})
	if err != nil {
		return err
	}
	var newest uint64
	for i := range accounts {
		ver, e := accounts[i].verify(s)
		err = errors.Join(err, e)
		newest = max(newest, ver)
	}
	ver, e := s.Commit(context.Background(), &meta.Batch{Puts: []meta.Put{{Key: []byte("next")}}})
	if e == nil && ver <= newest {
		e = fmt.Errorf("version %d was given out twice", ver)
	}
	return errors.Join(err, e, fatal, s.Close())
}

// Crash images taken while several writers are at work: everything acknowledged
// before is there, and every other batch as a whole or not at all.
func TestCrash(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 11))
	percents := []int{0, 30, 70, 100}
	for _, unsynced := range percents {
		t.Run(fmt.Sprintf("%d percent unsynced", unsynced), func(t *testing.T) {
			fs := newCrashFS()
			s := mustOpen(t, fs, "meta")
			defer s.Close()
			accounts := make([]account, 4)
			locks := make([]sync.Mutex, len(accounts)) // guard an account's numbers
			var stop atomic.Bool
			var writers sync.WaitGroup
			for i := range accounts {
				accounts[i] = account{name: fmt.Sprint("writer", i), bulk: []int{0, 10, 100, 600}[i]}
				writers.Go(func() {
					mine := accounts[i]
					for !stop.Load() {
						locks[i].Lock()
						accounts[i].tried = mine.tried + 1
						locks[i].Unlock()
						if err := mine.write(t.Context(), s); err != nil {
							t.Errorf("writer %d: %v", i, err)
							return
						}
						locks[i].Lock()
						accounts[i] = mine
						locks[i].Unlock()
					}
				})
			}
			for range (*crashImages + len(percents) - 1) / len(percents) {
				wanted := s.gate.durable.Load() + 40
				if err := s.gate.wait(t.Context(), wanted); err != nil {
					t.Fatal(err)
				}
				// What was acknowledged before the crash, and begun before its end.
				before := snapshot(accounts, locks)
				image := fs.image(unsynced, rng)
				after := snapshot(accounts, locks)
				for i := range before {
					before[i].tried = after[i].tried
				}
				if err := verifyImage(image, before); err != nil {
					t.Errorf("after the crash: %v", err)
				}
			}
			stop.Store(true)
			writers.Wait()
		})
	}
}

func snapshot(accounts []account, locks []sync.Mutex) []account {
	out := make([]account, len(accounts))
	for i := range accounts {
		locks[i].Lock()
		out[i] = accounts[i]
		locks[i].Unlock()
	}
	return out
}

// One call to the file system fails, whichever it is, once: what was acknowledged
// is there after a restart, crash or no crash.
func TestOneIOErrorLosesNothing(t *testing.T) {
	step := 1
	if testing.Short() {
		step = 7
	}
	rng := rand.New(rand.NewPCG(1, 1))
	// A store that is there already: making one is a hundred calls that can lose
	// nothing.
	made := newCrashFS()
	if err := mustOpen(t, made, "meta").Close(); err != nil {
		t.Fatal(err)
	}
	for nth := 0; ; nth += step {
		fs := made.image(100, rng)
		calls := atomic.Int64{}
		injected := atomic.Bool{}
		faulty := errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if calls.Add(1)-1 != int64(nth) {
				return nil
			}
			injected.Store(true)
			return errorfs.ErrInjected
		}))
		accounts, ended := runFaulty(t, faulty)
		unsynced := 0 // a crash of the machine; every fourth time, of the process alone
		if nth%4 == 3 {
			unsynced = 100
		}
		if err := verifyImage(fs.image(unsynced, rng), accounts); err != nil {
			t.Errorf("after call %d failed (%s), with %d percent unsynced: %v", nth, ended, unsynced, err)
		}
		if !injected.Load() {
			if nth < 100 {
				t.Errorf("the whole run made %d calls", nth)
			}
			return
		}
	}
}

// runFaulty opens a store and writes until it is done or something fails for
// good, and says what was acknowledged. A store that failed is abandoned, with
// whatever goroutines Pebble leaves stuck.
func runFaulty(t *testing.T, fs vfs.FS) (_ []account, ended string) {
	accounts := []account{{name: "small"}, {name: "large", bulk: 3000}}
	var mu sync.Mutex // guards accounts: after a fatal error the writer may go on
	fatal, done := make(chan error, 1), make(chan string, 1)
	go func() {
		s, err := Open("meta", Config{FS: fs, CacheBytes: 1 << 20, MemTableBytes: 64 << 10, Fatal: func(err error) {
			fatal <- err
			select {} // as an exit, this does not return
		}})
		if err != nil {
			done <- fmt.Sprint("open: ", err)
			return
		}
		for i := range 30 {
			mu.Lock()
			next := accounts[i%2]
			accounts[i%2].tried++
			mu.Unlock()
			if err = next.write(context.Background(), s); err != nil {
				break
			}
			mu.Lock()
			accounts[i%2] = next
			mu.Unlock()
			if i == 20 && s.Compact(context.Background(), nil, nil) != nil {
				break
			}
		}
		// Errors of reads and of background work leave the store usable.
		done <- fmt.Sprintf("writer: %v, close: %v", err, s.Close())
	}()
	select {
	case ended = <-done:
	case err := <-fatal:
		ended = fmt.Sprint("fatal: ", err)
	case <-time.After(time.Minute):
		t.Fatal("the writer hangs")
	}
	mu.Lock()
	defer mu.Unlock()
	return slices.Clone(accounts), ended
}

// After an error of the log the store says so to everyone, and to Fatal once.
func TestLogErrorIsFatal(t *testing.T) {
	fs := newCrashFS()
	var broken atomic.Bool
	faulty := errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() && (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData) {
			return errorfs.ErrInjected
		}
		return nil
	}))
	var fatal []error
	s, err := Open("meta", Config{FS: faulty, CacheBytes: 1 << 20, Fatal: func(err error) { fatal = append(fatal, err) }})
	if err != nil {
		t.Fatal(err)
	}
	a := account{name: "a"}
	if err := a.write(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	broken.Store(true)
	if err := a.write(t.Context(), s); !errors.Is(err, meta.Unavailable) {
		t.Errorf("the commit whose sync failed: %v", err)
	}
	broken.Store(false)
	if len(fatal) != 1 || !errors.Is(fatal[0], errorfs.ErrInjected) {
		t.Errorf("fatal errors: %v", fatal)
	}
	if _, err := s.Get(t.Context(), []byte("row/a")); !errors.Is(err, meta.Unavailable) {
		t.Errorf("get: %v", err)
	}
	if err := a.write(t.Context(), s); !errors.Is(err, meta.Unavailable) {
		t.Errorf("the next commit: %v", err)
	}
	if err := s.gate.wait(t.Context(), s.last+1); !errors.Is(err, meta.Unavailable) {
		t.Errorf("a waiting reader: %v", err)
	}
	if err := s.Close(); !errors.Is(err, meta.Unavailable) {
		t.Errorf("close: %v", err)
	}
	if err := verifyImage(fs.image(0, nil), []account{a}); err != nil {
		t.Error(err)
	}
}
