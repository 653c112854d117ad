// SPDX-License-Identifier: Apache-2.0

// Package pebble is the embedded metadata store: meta.Store over one directory
// that a Pebble database owns, for one process at a time.
//
// # Keys and values on disk
//
// A row's key in Pebble is 'r' ‖ key, so that the store's own rows ('s' ‖ name)
// are not in the way. Its value is
//
//	u8 kind ‖ u64 version ‖ body
//
// with kind 1 for a row, whose body is the caller's value, and kind 2 for a
// counter, whose body is the sum as 8 bytes, big-endian two's complement. Both
// integers are big-endian. The merge operator "coffer.counter.1" adds counters
// and keeps the higher version. The row 's' ‖ "version" is of kind 3 without a
// body; every batch writes it, so the last version is as durable as its rows.
//
// # Commits
//
// A commit locks its keys (those that it only demands are shared), checks its
// conditions, and enters the write-ahead log under one lock that also gives
// out the version: the log's order is the order of versions, and "durable up
// to version N" is one number. The locks go before the log is synced, so that
// commits share syncs.
//
// Pebble shows a batch before its log is synced. What a reader may see must not
// be gone after a crash, so a read that meets a version newer than the durable
// one waits for it. A deleted row leaves no version to compare; the keys that
// batches under way delete are therefore kept in memory, and reads that find
// nothing under them wait as well. See [gate].
//
// # Failures
//
// After an error of the log or the manifest nobody knows what is on disk;
// Config.Fatal is told, and ends the process. A full disk is met earlier:
// the store gives up a ballast file that it keeps for this, and from then on
// takes only batches that delete something, until there is room again.
package pebble

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"

	engine "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Config is what an operator or a test may choose. The zero value works.
type Config struct {
	FS            vfs.FS       // nil: the real one
	Logger        *slog.Logger // nil: no logging
	CacheBytes    int64        // block cache, beside the memtables; 0: 16 MiB
	MemTableBytes uint64       // rows collected in memory before they are written as a table; 0: 24 MiB
	BallastBytes  int64        // kept free for when the disk is full; 0: 64 MiB, negative: none

	// Fatal is told of an error after which the process must end, because
	// it is not known what is on disk. nil: exit with status 1. The error is
	// logged before. Fatal may be called from any goroutine, also during Open,
	// but only once. It should not return: if it does, the store answers
	// Unavailable from then on, but Pebble may panic, and Close leaves the
	// directory locked.
	Fatal func(error)
}

// Store is a meta.Store and meta.Compacter in a directory.
type Store struct {
	cfg   Config
	db    *engine.DB
	lock  *engine.Lock // of the directory; nil when db holds its own
	hints meta.Hints
	locks locks
	gate  gate
	space space

	commitMu sync.Mutex // held from giving out a version until its batch is in the log
	last     uint64     // the last version given out; guarded by commitMu

	counters counterSet
	counted  familySet // where there may be counters
	marked   familySet // the same, as the log has it
	demanded versionSet
	absent   versionSet
	failed   atomic.Bool

	mu     sync.Mutex // guards closed and additions to ops
	closed bool
	ops    sync.WaitGroup
}

// Open opens the store in dir, and makes both if they are not there. A directory
// that another process has open is refused with an error that names it.
func Open(dir string, cfg Config) (*Store, error) {
	cfg = cfg.withDefaults()
	s := &Store{cfg: cfg}
	s.space.init(dir, cfg)
	// A directory that is not there yet is made, synced and locked by Pebble.
	if _, err := cfg.FS.Stat(dir); err == nil {
		if s.lock, err = engine.LockDirectory(dir, cfg.FS); err != nil {
			return nil, fmt.Errorf("lock metadata directory %q, which another server may be using: %w", dir, err)
		}
	}
	options := s.options()
	defer options.Cache.Unref() // the database holds its own reference
	options.Lock = s.lock
	db, err := openEngine(dir, options)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open metadata store in %q: %w", dir, err), s.unlock())
	}
	s.db = db
	if s.last, err = s.readOwn(); err != nil {
		return nil, errors.Join(fmt.Errorf("open metadata store in %q: %w", dir, err), db.Close(), s.unlock())
	}
	// Open has flushed what it replayed, so all that can be read is durable.
	s.gate.init(s.last)
	s.space.reserve()
	return s, nil
}

// openEngine opens the database. Pebble panics where it cannot sync the directory.
func openEngine(dir string, options *engine.Options) (db *engine.DB, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("pebble: %v", r)
		}
	}()
	return engine.Open(dir, options)
}

func (cfg Config) withDefaults() Config {
	if cfg.FS == nil {
		cfg.FS = vfs.Default
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.CacheBytes == 0 {
		cfg.CacheBytes = 16 << 20
	}
	if cfg.MemTableBytes == 0 {
		cfg.MemTableBytes = 24 << 20
	}
	if cfg.BallastBytes == 0 {
		cfg.BallastBytes = 64 << 20
	}
	if cfg.Fatal == nil {
		cfg.Fatal = func(error) { os.Exit(1) }
	}
	return cfg
}

// readOwn returns the last version that was given out before Open, and notes where
// there are counters.
func (s *Store) readOwn() (last uint64, err error) {
	marks, err := s.db.NewIter(&engine.IterOptions{LowerBound: countedPrefix, UpperBound: meta.PrefixEnd(countedPrefix)})
	if err != nil {
		return 0, err
	}
	s.marked.sure = true
	for ok := marks.First(); ok; ok = marks.Next() {
		s.counted.add(marks.Key()[len(countedPrefix):])
		s.marked.add(marks.Key()[len(countedPrefix):])
	}
	if err := marks.Close(); err != nil {
		return 0, err
	}
	if last, err = s.readVersion(lastVersionKey); last == 0 {
		last = meta.CounterVersion
	}
	return last, err
}

// readVersion returns the version of a row of the store's own, 0 when it is not there.
func (s *Store) readVersion(key []byte) (uint64, error) {
	value, closer, err := s.db.Get(key)
	if errors.Is(err, engine.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer closer.Close()
	v, ok := decode(value)
	if !ok || v.kind != kindLast {
		return 0, fmt.Errorf("the row %q is damaged", key)
	}
	return v.ver, nil
}

// Watch is meta.Store.Watch.
func (s *Store) Watch(ctx context.Context, prefix []byte) <-chan struct{} {
	return s.hints.Watch(ctx, prefix)
}

// Compact is meta.Compacter.Compact.
func (s *Store) Compact(ctx context.Context, start, end []byte) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	defer s.ops.Done()
	if err := s.db.Compact(ctx, rowKey(nil, start), rowEnd(end), false); err != nil {
		return s.fault(err)
	}
	return nil
}

// begin admits an operation, which ends with s.ops.Done.
func (s *Store) begin(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.failed.Load() {
		return fault.New(meta.Unavailable, "").Because(errors.New("the store is closed or has failed"))
	}
	s.ops.Add(1)
	return nil
}

// Close is meta.Store.Close.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return fault.New(meta.Unavailable, "").Because(errors.New("the store is closed"))
	}
	s.closed = true
	s.mu.Unlock()
	s.hints.Close()
	if s.failed.Load() {
		// Pebble's own locks may be held by what failed, forever.
		return fault.New(meta.Unavailable, "").Because(errors.New("the store has failed"))
	}
	s.ops.Wait()
	return errors.Join(s.db.Close(), s.unlock())
}

func (s *Store) unlock() error {
	if s.lock == nil {
		return nil
	}
	return s.lock.Close()
}

// fail reports an error after which the store cannot go on. The first call
// counts; waiting readers return.
func (s *Store) fail(err error) {
	if !s.failed.CompareAndSwap(false, true) {
		return
	}
	s.gate.fail(s.fault(err))
	s.cfg.Logger.Error("metadata store failed", "error", err)
	s.cfg.Fatal(err)
}

// fault gives a driver's error its kind.
func (s *Store) fault(err error) error {
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, meta.Damaged):
		return err
	case vfs.IsNoSpaceError(err):
		return fault.New(meta.Full, "").Because(err)
	case engine.IsCorruptionError(err):
		return fault.New(meta.Damaged, "").Because(err)
	default:
		return fault.New(meta.Unavailable, "").Because(err)
	}
}
