// SPDX-License-Identifier: Apache-2.0

package pebble

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	engine "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// options returns Pebble's options for s. The caller owns a reference to the
// cache.
func (s *Store) options() *engine.Options {
	o := &engine.Options{
		FS: watchedFS{vfs.OnDiskFull(s.cfg.FS, s.space.full), s.fail},
		// Pebble takes the memory of memtables, which are mostly two, out of the cache.
		Cache:        engine.NewCache(s.cfg.CacheBytes + 2*int64(s.cfg.MemTableBytes)),
		MemTableSize: s.cfg.MemTableBytes,
		// Writers go on while full memtables are written out, but not without end.
		MemTableStopWritesThreshold: 4,
		Merger:                      &engine.Merger{Name: "coffer.counter.1", Merge: mergeCounter},
		Logger:                      pebbleLog{s},
		EventListener:               s.listener(),
		FormatMajorVersion:          engine.FormatValueSeparation,
		// With few, short rows in level 0 a read looks into few tables.
		L0CompactionThreshold: 2,
		LBaseMaxBytes:         64 << 20,
		MaxOpenFiles:          1000,
		// One compaction at a time starves writers under load; more than two
		// starve requests on a small machine.
		CompactionConcurrencyRange: func() (int, int) { return 1, 2 },
	}
	// Bodies of small objects are written once here, and not again by each
	// level's compaction. Rows of metadata are smaller and stay with their keys.
	// The option is experimental in Pebble; nothing here depends on it. Where there
	// is no room it is off, because Pebble panics when it cannot finish a file of
	// values.
	o.Experimental.ValueSeparationPolicy = func() engine.ValueSeparationPolicy {
		return engine.ValueSeparationPolicy{
			Enabled:               !s.space.short.Load(),
			MinimumSize:           1 << 10,
			MaxBlobReferenceDepth: 10,
			RewriteMinimumAge:     5 * time.Minute,
			TargetGarbageRatio:    0.30,
		}
	}
	// Rows repeat ids, ARNs and field names, so compression saves room in the cache
	// of files. The fastest (MinLZ, Snappy on arm64) is the choice, because it
	// gives up at once on ciphertext, and a stronger one would cost compactions
	// several times the processor.
	o.ApplyCompressionSettings(func() engine.DBCompressionSettings { return engine.DBCompressionFastest })
	// Most conditions demand absence, and most blind puts are of new keys: a filter
	// of ten bits a key spares them the tables above the last level. There Pebble
	// reads a row without looking at a filter.
	last := len(o.Levels) - 1
	for i := range o.Levels[:last] {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	o.Levels[last].FilterPolicy = engine.NoFilterPolicy
	return o
}

// listener logs what an operator should know of.
func (s *Store) listener() *engine.EventListener {
	var last atomic.Int64
	return &engine.EventListener{
		BackgroundError: func(err error) {
			// Pebble tries a failed flush again at once and without end.
			now := time.Now().UnixNano()
			if before := last.Load(); now-before < int64(time.Second) || !last.CompareAndSwap(before, now) {
				return
			}
			s.cfg.Logger.Error("metadata store: background work failed", "error", err)
		},
		// Without this Pebble ends the process. The reader of the row is told,
		// and everything else can still be read.
		DataCorruption: func(info engine.DataCorruptionInfo) {
			s.cfg.Logger.Error("metadata store: damaged file", "path", info.Path, "error", info.Details)
		},
		WriteStallBegin: func(info engine.WriteStallBeginInfo) {
			s.cfg.Logger.Warn("metadata store: writes wait for compaction", "reason", info.Reason)
		},
	}
}

// pebbleLog is Pebble's log.
type pebbleLog struct{ s *Store }

func (l pebbleLog) Infof(format string, args ...any) {
	l.s.cfg.Logger.Debug("metadata store: pebble", "detail", fmt.Sprintf(format, args...))
}

func (l pebbleLog) Errorf(format string, args ...any) {
	l.s.cfg.Logger.Error("metadata store: pebble", "error", fmt.Sprintf(format, args...))
}

// Fatalf must not return to Pebble, whose state is broken.
func (l pebbleLog) Fatalf(format string, args ...any) {
	l.s.fail(fmt.Errorf(format, args...))
	runtime.Goexit()
}
