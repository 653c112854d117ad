// SPDX-License-Identifier: Apache-2.0

package index

import (
	"crypto/rand"
	"errors"
	"fmt"
	iofs "io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/secret"
)

// Dir is the directory of the index in that of the trail.
const Dir = "index"

// Consumer is the name under which the index holds the trail.
const Consumer = "index"

// Config is what an Index needs besides the trail. The zero value works.
type Config struct {
	FS      vfs.FS                // the trail's; default: the operating system's
	Metrics prometheus.Registerer // default: none
	Log     *slog.Logger          // default: none
	// TokenKey authenticates paging tokens. Default: one of this Index's own, whose
	// tokens end with it.
	TokenKey secret.Bytes
}

// Index searches a trail. All methods are safe for concurrent use.
type Index struct {
	fs       vfs.FS
	trail    *audit.Trail // nil: nobody writes it
	dir, own string       // of the trail, of the index
	log      *slog.Logger
	metrics  metrics
	tokenKey secret.Bytes
	slots    chan struct{} // of searches at the same time
	again    chan struct{} // an index file is gone
	busy     int64         // busyBytes
	tooFar   int64         // maxBehind
	perBlock int           // blockRecords

	mu    sync.RWMutex
	files map[string]*file // by segment
	cur   *building        // nil: nothing is indexed in memory

	unread map[string]time.Time // segments that Step could not read, and when
}

// building is a segment that is indexed in memory. Index.mu guards it.
type building struct {
	segment string
	to      int64 // up to where
	done    []*built
	live    *builder
}

// built is a block in memory. It does not change.
type built struct {
	block
	data []byte
}

// maxSearches is how many pages are searched for at the same time; others wait.
const maxSearches = 4

// Open opens the index of a trail whose files are in dir. What is missing or damaged of
// it is made by Run; until then searches read the trail itself.
func Open(trail *audit.Trail, dir string, cfg Config) (*Index, error) {
	x, err := open(trail, dir, cfg)
	if err != nil {
		return nil, err
	}
	if err := x.fs.MkdirAll(x.own, 0o700); err != nil {
		return nil, fmt.Errorf("audit/index: %w", err)
	}
	if err := syncDir(x.fs, x.dir); err != nil {
		return nil, fmt.Errorf("audit/index: %w", err)
	}
	if err := x.load(true); err != nil {
		return nil, err
	}
	return x, x.hold()
}

// hold keeps what is not indexed from being removed.
func (x *Index) hold() error {
	segments, err := x.segments()
	if err != nil {
		return err
	}
	at := x.trail.Head()
	for _, segment := range segments {
		if segment <= at.Segment && x.files[segment] == nil {
			at = audit.Position{Segment: segment}
		}
	}
	x.trail.Hold(Consumer, at)
	return nil
}

// Files opens what a stopped server's trail in dir has of an index, to search. It changes
// nothing there.
func Files(dir string) (*Index, error) {
	x, err := open(nil, dir, Config{})
	if err != nil {
		return nil, err
	}
	return x, x.load(false)
}

func open(trail *audit.Trail, dir string, cfg Config) (*Index, error) {
	x := &Index{
		fs: cfg.FS, trail: trail, dir: dir, log: cfg.Log, tokenKey: cfg.TokenKey,
		slots: make(chan struct{}, maxSearches), again: make(chan struct{}, 1), busy: busyBytes, tooFar: maxBehind, perBlock: blockRecords, files: map[string]*file{},
		unread: map[string]time.Time{},
	}
	if x.fs == nil {
		x.fs = vfs.Default
	}
	if x.log == nil {
		x.log = slog.New(slog.DiscardHandler)
	}
	if x.tokenKey.Len() == 0 {
		key := make([]byte, 32)
		if _, err := rand.Read(key); err != nil {
			return nil, err
		}
		x.tokenKey = secret.New(key)
	}
	x.own = x.fs.PathJoin(dir, Dir)
	x.metrics = newMetrics(cfg.Metrics, x)
	return x, nil
}

// load reads the heads of the index files. With tidy it removes what is none, or of a
// segment that is gone or is not what it was.
func (x *Index) load(tidy bool) error {
	names, err := x.fs.List(x.own)
	if errors.Is(err, iofs.ErrNotExist) && !tidy {
		return nil
	}
	if err != nil {
		return fmt.Errorf("audit/index: list %s: %w", x.own, err)
	}
	for _, name := range names {
		segment, ok := segmentOf(name)
		switch {
		case ok:
			f, err := x.loadFile(segment)
			if err == nil {
				x.files[segment] = f
				continue
			}
			if !errors.Is(err, iofs.ErrNotExist) {
				x.log.Warn("audit index file is made again", "file", name, "error", err)
			}
		case !strings.HasSuffix(name, tempSuffix):
			continue // somebody else's
		}
		if tidy {
			if err := x.fs.Remove(x.fs.PathJoin(x.own, name)); err != nil && !errors.Is(err, iofs.ErrNotExist) {
				return fmt.Errorf("audit/index: %w", err)
			}
		}
	}
	return nil
}

func (x *Index) loadFile(segment string) (*file, error) {
	info, err := x.fs.Stat(x.fs.PathJoin(x.dir, segment))
	if err != nil {
		return nil, err
	}
	f, err := openFile(x.fs, x.fs.PathJoin(x.own, segment+fileSuffix), segment)
	if err == nil && f.covers != info.Size() {
		err = fmt.Errorf("%w: %s has changed", errDamaged, segment)
	}
	return f, err
}

// tidy removes the index files of segments that are gone.
func (x *Index) tidy(segments []string) {
	var gone []string
	x.mu.Lock()
	for segment := range x.files {
		if _, ok := slices.BinarySearch(segments, segment); !ok {
			gone = append(gone, segment)
			delete(x.files, segment)
		}
	}
	for segment := range x.unread {
		if _, ok := slices.BinarySearch(segments, segment); !ok {
			delete(x.unread, segment)
		}
	}
	x.mu.Unlock()
	for _, segment := range gone {
		_ = x.fs.Remove(x.fs.PathJoin(x.own, segment+fileSuffix)) // a start tries again
	}
}

// damaged drops an index file that is not as it was written; Run makes it again.
func (x *Index) damaged(f *file, err error) {
	x.mu.Lock()
	ours := x.files[f.segment] == f
	if ours {
		delete(x.files, f.segment)
	}
	x.mu.Unlock()
	if ours && x.trail != nil {
		x.log.Warn("audit index file is made again", "file", f.segment+fileSuffix, "error", err)
		select {
		case x.again <- struct{}{}:
		default:
		}
	}
}

// segments returns the names of the trail's files, oldest first.
func (x *Index) segments() ([]string, error) { return audit.Segments(x.fs, x.dir) }

// head returns up to where the trail can be searched.
func (x *Index) head(segments []string) audit.Position {
	if x.trail != nil {
		return x.trail.Head()
	}
	if len(segments) == 0 {
		return audit.Position{}
	}
	return audit.Position{Segment: segments[len(segments)-1], Offset: maxTime}
}
