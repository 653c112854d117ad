// SPDX-License-Identifier: Apache-2.0

package pebble

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// space keeps the store alive on a full disk. The log must never meet an error,
// so a ballast file is given up at the first one for want of room, which is
// tried again then. After that only batches that delete something are taken,
// until there is room for the ballast and as much again.
type space struct {
	fs      vfs.FS // not the one that reports a full disk
	log     *slog.Logger
	dir     string
	ballast string
	bytes   int64

	short atomic.Bool // the ballast is gone

	mu     sync.Mutex
	looked time.Time // when room was last looked for
}

func (s *space) init(dir string, cfg Config) {
	s.fs, s.log, s.dir = cfg.FS, cfg.Logger, dir
	s.ballast = cfg.FS.PathJoin(dir, "ballast")
	s.bytes = cfg.BallastBytes
}

// full gives up the ballast. Pebble calls it while writes wait.
func (s *space) full() {
	s.short.Store(true)
	s.log.Error("metadata store: the disk is full")
	if err := s.fs.Remove(s.ballast); err != nil && s.bytes > 0 {
		s.log.Error("metadata store: no ballast to give up", "error", err)
	}
}

// reserve makes the ballast, at Open or when there is room again.
func (s *space) reserve() {
	if s.bytes <= 0 {
		s.short.Store(false)
		return
	}
	err := s.allocate()
	s.short.Store(vfs.IsNoSpaceError(err))
	if err != nil {
		// A file system may not know how to reserve room; go without.
		s.log.Warn("metadata store: no ballast", "error", err)
	}
}

func (s *space) allocate() error {
	file, err := s.fs.Create(s.ballast, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	return errors.Join(file.Preallocate(0, s.bytes), file.Close())
}

// admit refuses a batch for which there may be no room.
func (s *space) admit(b *meta.Batch) error {
	if !s.short.Load() || len(b.Deletes) > 0 || len(b.Puts)+len(b.Adds) == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); s.short.Load() && now.Sub(s.looked) >= time.Second {
		s.looked = now
		usage, err := s.fs.GetDiskUsage(s.dir)
		if err == nil && usage.AvailBytes > 2*uint64(max(s.bytes, 0)) {
			s.reserve()
		}
	}
	if s.short.Load() {
		return fault.New(meta.Full, "")
	}
	return nil
}
