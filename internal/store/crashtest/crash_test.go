// SPDX-License-Identifier: Apache-2.0

// Package crashtest crashes the blob store and the metadata store together. It
// holds tests only.
//
// Both stores run on one file system in memory. While several goroutines write
// pairs of a blob and a row that names it, and delete some again, images of the
// file system are taken as a crash would leave it, and opened. Whatever was
// acknowledged before the crash must be there, and no row may name a blob that is
// missing or not whole.
//
// A test that is never seen to fail proves little: the same writers with one sync
// left out, or in the wrong order, must be caught by the same check.
package crashtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cofferstore/coffer/internal/store/blob"
	"github.com/cofferstore/coffer/internal/store/blob/fs"
	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/internal/store/meta/pebble"
)

var (
	wantImages = flag.Int("crashimages", 60, "crash images to take and read back")
	seed       = flag.Uint64("crashseed", 0, "seed of the random choices; 0 takes a new one")
)

const (
	blobDir = "/data/blobs"
	metaDir = "/data/meta"
	writers = 6
	keep    = 12 // pairs that each writer keeps before it deletes its oldest
)

func TestAcknowledgedPairsSurviveACrash(t *testing.T) {
	seen, err := crashUntilCaught(t, mutant{}, *wantImages)
	if err != nil {
		t.Errorf("crash image %d: %v", seen.images, err)
	}
	if seen.pairs < 10*seen.images {
		t.Errorf("%d images had only %d acknowledged pairs to lose", seen.images, seen.pairs)
	}
}

// mutant is a way to do it wrong; the zero value does it right.
type mutant struct {
	name          string
	lies          func(path string, dir bool) bool
	metadataFirst bool
}

func TestCheckCatchesWhatIsDoneWrong(t *testing.T) {
	inBlobs := func(path string) bool { return strings.HasPrefix(path, blobDir+"/") }
	for _, m := range []mutant{
		{name: "no sync of the file", lies: func(path string, dir bool) bool { return inBlobs(path) && !dir }},
		{name: "no sync of the directory", lies: func(path string, dir bool) bool { return inBlobs(path) && dir }},
		{name: "no sync of the metadata", lies: func(path string, _ bool) bool { return strings.HasSuffix(path, ".log") }},
		{name: "metadata before the blob", metadataFirst: true},
	} {
		t.Run(m.name, func(t *testing.T) {
			seen, err := crashUntilCaught(t, m, *wantImages)
			if !errors.Is(err, errLost) {
				t.Fatalf("not caught in %d crash images: %v", seen.images, err)
			}
			t.Logf("caught in image %d: %v", seen.images, err)
		})
	}
}

// tally counts what was checked.
type tally struct{ images, pairs int }

// crashUntilCaught takes crash images, until the check finds fault with one.
func crashUntilCaught(t *testing.T, m mutant, most int) (seen tally, err error) {
	s := *seed
	if s == 0 {
		s = rand.Uint64()
	}
	t.Logf("-crashseed=%d", s) // the scheduler chooses too, so it may take several runs
	rng := rand.New(rand.NewPCG(s, 0))
	for seen.images < most && err == nil {
		const round = 30 // so that images stay small
		var n tally
		n, err = crashRound(t, m, min(round, most-seen.images), rng)
		seen.images += n.images
		seen.pairs += n.pairs
	}
	return seen, err
}

// crashed is an image and what must be in it.
type crashed struct {
	image vfs.FS
	acked map[blob.StreamID]row
}

// crashRound writes to new stores and takes images meanwhile.
func crashRound(t *testing.T, m mutant, most int, rng *rand.Rand) (seen tally, err error) {
	l := &ledger{acked: make(map[blob.StreamID]row), doomed: make(map[blob.StreamID]bool)}
	images := make(chan crashed, 1)
	var d *disk
	d = newDisk(m.lies, func() {
		before := l.acknowledged()
		image := d.image([]int{0, 0, 25, 50, 75, 100}[rng.IntN(6)], rng)
		// A pair whose deletion began while the image was taken may be in it or not.
		images <- crashed{image, l.except(before)}
	})
	blobs, rows, err := openBoth(d)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { err = errors.Join(err, rows.Close(), blobs.Close()) }()

	failed := make(chan error, writers)
	var stop atomic.Bool
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop.Store(true)
	for i := range writers {
		w := &writer{blobs: blobs, rows: rows, ledger: l, metadataFirst: m.metadataFirst,
			rng: rand.New(rand.NewPCG(rng.Uint64(), uint64(i)))}
		wg.Go(func() {
			for !stop.Load() {
				if err := w.step(t.Context()); err != nil {
					failed <- fmt.Errorf("writer %d: %w", i, err)
					return
				}
			}
		})
	}
	for seen.images < most && err == nil {
		d.crashAt(1 + rng.Int64N(300))
		select {
		case c := <-images:
			seen.images++
			seen.pairs += len(c.acked)
			err = check(t.Context(), c)
		case err = <-failed:
		}
	}
	return seen, err
}

func openBoth(fsys vfs.FS) (*fs.Store, *pebble.Store, error) {
	rows, err := pebble.Open(metaDir, pebble.Config{
		FS: fsys, CacheBytes: 1 << 20, MemTableBytes: 256 << 10, BallastBytes: -1,
		Fatal: func(err error) { panic(err) }, // nothing here makes a call fail
	})
	if err != nil {
		return nil, nil, err
	}
	blobs, err := fs.Open(blobDir, fs.Config{FS: fsys})
	if err != nil {
		return nil, nil, errors.Join(err, rows.Close())
	}
	return blobs, rows, nil
}

// row is what a row says of the blob that it names.
type row [sha256.Size]byte

func rowKey(id blob.StreamID) []byte { return append([]byte("b/"), id[:]...) }

// ledger is what the writers have told their clients. It survives the crash.
type ledger struct {
	mu     sync.Mutex
	acked  map[blob.StreamID]row
	doomed map[blob.StreamID]bool // deletion has begun
}

func (l *ledger) ack(id blob.StreamID, r row) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked[id] = r
}

func (l *ledger) doom(id blob.StreamID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.doomed[id] = true
	delete(l.acked, id)
}

func (l *ledger) acknowledged() map[blob.StreamID]row {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.acked)
}

// except removes the pairs whose deletion has begun from acked, and returns it.
func (l *ledger) except(acked map[blob.StreamID]row) map[blob.StreamID]row {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id := range l.doomed {
		delete(acked, id)
	}
	return acked
}

// writer writes and deletes pairs, one after the other.
type writer struct {
	blobs         blob.Store
	rows          meta.Store
	ledger        *ledger
	metadataFirst bool
	rng           *rand.Rand
	mine          []blob.StreamID
}

func (w *writer) step(ctx context.Context) error {
	if len(w.mine) == keep {
		if err := w.remove(ctx, w.mine[0]); err != nil {
			return err
		}
		w.mine = w.mine[1:]
	}
	id, data := w.newPair()
	sum := row(sha256.Sum256(data))
	steps := []func() error{
		func() error { return w.putBlob(ctx, id, data) },
		func() error { return w.putRow(ctx, id, sum) },
	}
	if w.metadataFirst {
		steps[0], steps[1] = steps[1], steps[0]
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	w.ledger.ack(id, sum)
	w.mine = append(w.mine, id)
	return nil
}

// newPair returns an id in one of a few directories, so that writers meet there,
// and bytes for it.
func (w *writer) newPair() (id blob.StreamID, data []byte) {
	for i := 2; i < len(id); i++ {
		id[i] = byte(w.rng.Uint32())
	}
	id[1] = byte(w.rng.IntN(3)) << 4
	size := 1 + w.rng.IntN(30<<10)
	if w.rng.IntN(16) == 0 {
		size += 300 << 10 // more than one write
	}
	data = make([]byte, size)
	for i := 0; i < size; i += 1 + w.rng.IntN(64) { // something in every page
		data[i] = 1 + byte(w.rng.IntN(255))
	}
	return id, data
}

func (w *writer) putBlob(ctx context.Context, id blob.StreamID, data []byte) error {
	bw, err := w.blobs.Create(ctx, id, int64(len(data)))
	if err != nil {
		return err
	}
	defer bw.Abort()
	if _, err := bw.Write(data); err != nil {
		return err
	}
	return bw.Commit(ctx)
}

func (w *writer) putRow(ctx context.Context, id blob.StreamID, sum row) error {
	var b meta.Batch
	b.PutIf(rowKey(id), sum[:], 0)
	_, err := w.rows.Commit(ctx, &b)
	return err
}

// remove deletes the row durably before the blob.
func (w *writer) remove(ctx context.Context, id blob.StreamID) error {
	w.ledger.doom(id)
	var b meta.Batch
	b.Delete(rowKey(id))
	if _, err := w.rows.Commit(ctx, &b); err != nil {
		return err
	}
	return w.blobs.Delete(ctx, id)
}

// errLost is the check's verdict.
var errLost = errors.New("the crash broke a promise")

// check opens both stores on an image: every pair acknowledged before is there,
// and every row's blob is there and whole.
func check(ctx context.Context, c crashed) (err error) {
	blobs, rows, err := openBoth(c.image)
	if err != nil {
		return fmt.Errorf("open after the crash: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close(), blobs.Close()) }()
	r := meta.Range{Start: []byte("b/"), End: meta.PrefixEnd([]byte("b/"))}
	for more := true; more; {
		page, err := rows.Scan(ctx, r)
		if err != nil {
			return err
		}
		for _, item := range page.Items {
			id := blob.StreamID(bytes.TrimPrefix(item.Key, []byte("b/")))
			sum := row(item.Value)
			if err := checkBlob(ctx, blobs, id, sum); err != nil {
				return err
			}
			if want, ok := c.acked[id]; ok && sum != want {
				return fmt.Errorf("%w: the row of %s is not the one acknowledged", errLost, id)
			}
			delete(c.acked, id)
		}
		r.Start, more = page.Next, page.More
	}
	for id := range c.acked {
		return fmt.Errorf("%w: acknowledged pair %s has no row", errLost, id)
	}
	return nil
}

func checkBlob(ctx context.Context, blobs blob.Store, id blob.StreamID, want row) error {
	r, err := blobs.ReadAt(ctx, id, 0, -1)
	if err != nil {
		return fmt.Errorf("%w: a row names a blob: %w", errLost, err)
	}
	data, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		return err
	}
	if row(sha256.Sum256(data)) != want {
		return fmt.Errorf("%w: a row names blob %s, of which %d bytes are there, not as written", errLost, id, len(data))
	}
	return nil
}
