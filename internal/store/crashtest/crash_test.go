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
	"encoding/binary"
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
	lies          func(path string, dir bool) bool // asked at every sync
	metadataFirst bool                             // blobs are files then: the place in a pack is known only after
	punch         func(f vfs.File, off, n int64) error
}

func TestCheckCatchesWhatIsDoneWrong(t *testing.T) {
	inPacks := func(path string) bool { return strings.HasPrefix(path, blobDir+"/packs") }
	inFiles := func(path string) bool { return strings.HasPrefix(path, blobDir+"/") && !inPacks(path) }
	var syncs atomic.Int64
	for _, m := range []mutant{
		{name: "no sync of the file", lies: func(path string, dir bool) bool { return inFiles(path) && !dir }},
		{name: "no sync of the directory", lies: func(path string, dir bool) bool { return inFiles(path) && dir }},
		{name: "no sync of the pack", lies: func(path string, dir bool) bool { return inPacks(path) && !dir }},
		{name: "every other sync of the pack left to the next", lies: func(path string, dir bool) bool {
			return inPacks(path) && !dir && syncs.Add(1)%2 == 0
		}},
		{name: "no sync of the packs' directory", lies: func(path string, dir bool) bool { return inPacks(path) && dir }},
		{name: "no sync of the metadata", lies: func(path string, _ bool) bool { return strings.HasSuffix(path, ".log") }},
		{name: "metadata before the blob", metadataFirst: true},
		{name: "a hole where a blob is not deleted", punch: func(f vfs.File, off, n int64) error { return zeros(f, off, n+1) }},
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
	punch := zeros
	if m.punch != nil {
		punch = m.punch
	}
	blobs, rows, err := openBoth(d, punch)
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

// zeros makes a hole in a file in memory.
func zeros(f vfs.File, off, n int64) error {
	info, err := f.Stat()
	if err == nil && info.Size() > off {
		_, err = f.WriteAt(make([]byte, min(n, info.Size()-off)), off)
	}
	return err
}

// openBoth opens the stores. Half of the blobs are short enough for packs, and the
// packs small, so that many begin and go.
func openBoth(fsys vfs.FS, punch func(vfs.File, int64, int64) error) (*fs.Store, *pebble.Store, error) {
	rows, err := pebble.Open(metaDir, pebble.Config{
		FS: fsys, CacheBytes: 1 << 20, MemTableBytes: 256 << 10, BallastBytes: -1,
		Fatal: func(err error) { panic(err) }, // nothing here makes a call fail
	})
	if err != nil {
		return nil, nil, err
	}
	blobs, err := fs.Open(blobDir, fs.Config{FS: fsys, PackLimit: 15 << 10, PackSize: 128 << 10, Punch: punch})
	if err != nil {
		return nil, nil, errors.Join(err, rows.Close())
	}
	return blobs, rows, nil
}

// row is what a row says of the blob that it names.
type row struct {
	sum [sha256.Size]byte
	at  blob.Place
}

func (r row) encode() []byte {
	b := binary.BigEndian.AppendUint64(bytes.Clone(r.sum[:]), r.at.Pack)
	b = binary.BigEndian.AppendUint64(b, uint64(r.at.Offset))
	return binary.BigEndian.AppendUint64(b, uint64(r.at.Size))
}

func decodeRow(b []byte) (r row) {
	b = b[copy(r.sum[:], b):]
	r.at.Pack = binary.BigEndian.Uint64(b)
	r.at.Offset, r.at.Size = int64(binary.BigEndian.Uint64(b[8:])), int64(binary.BigEndian.Uint64(b[16:]))
	return r
}

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
	mine          []pair
}

// pair is a blob and the row that names it.
type pair struct {
	id  blob.StreamID
	row row
}

func (w *writer) step(ctx context.Context) error {
	if len(w.mine) == keep {
		if err := w.remove(ctx, w.mine[0]); err != nil {
			return err
		}
		w.mine = w.mine[1:]
	}
	id, data := w.newPair()
	p := pair{id, row{sum: sha256.Sum256(data)}}
	hint := int64(len(data))
	if w.metadataFirst {
		hint = -1
	}
	steps := []func() error{
		func() (err error) { p.row.at, err = w.putBlob(ctx, id, hint, data); return err },
		func() error { return w.putRow(ctx, p) },
	}
	if w.metadataFirst {
		steps[0], steps[1] = steps[1], steps[0]
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	w.ledger.ack(id, p.row)
	w.mine = append(w.mine, p)
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

func (w *writer) putBlob(ctx context.Context, id blob.StreamID, hint int64, data []byte) (blob.Place, error) {
	bw, err := w.blobs.Create(ctx, id, hint)
	if err != nil {
		return blob.Place{}, err
	}
	defer bw.Abort()
	if _, err := bw.Write(data); err != nil {
		return blob.Place{}, err
	}
	return bw.Commit(ctx)
}

func (w *writer) putRow(ctx context.Context, p pair) error {
	var b meta.Batch
	b.PutIf(rowKey(p.id), p.row.encode(), 0)
	_, err := w.rows.Commit(ctx, &b)
	return err
}

// remove deletes the row durably before the blob.
func (w *writer) remove(ctx context.Context, p pair) error {
	w.ledger.doom(p.id)
	var b meta.Batch
	b.Delete(rowKey(p.id))
	if _, err := w.rows.Commit(ctx, &b); err != nil {
		return err
	}
	return w.blobs.Delete(ctx, p.id, p.row.at)
}

// errLost is the check's verdict.
var errLost = errors.New("the crash broke a promise")

// check opens both stores on an image: every pair acknowledged before is there,
// and every row's blob is there and whole, also when the blobs that no row names have
// been removed.
func check(ctx context.Context, c crashed) (err error) {
	blobs, rows, err := openBoth(c.image, zeros)
	if err != nil {
		return fmt.Errorf("open after the crash: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close(), blobs.Close()) }()
	named := make(map[blob.StreamID]row)
	r := meta.Range{Start: []byte("b/"), End: meta.PrefixEnd([]byte("b/"))}
	for more := true; more; {
		page, err := rows.Scan(ctx, r)
		if err != nil {
			return err
		}
		for _, item := range page.Items {
			id := blob.StreamID(bytes.TrimPrefix(item.Key, []byte("b/")))
			said := decodeRow(item.Value)
			if err := checkBlob(ctx, blobs, id, said); err != nil {
				return err
			}
			named[id] = said
			if want, ok := c.acked[id]; ok && said != want {
				return fmt.Errorf("%w: the row of %s is not the one acknowledged", errLost, id)
			}
			delete(c.acked, id)
		}
		r.Start, more = page.Next, page.More
	}
	for id := range c.acked {
		return fmt.Errorf("%w: acknowledged pair %s has no row", errLost, id)
	}
	if err := sweep(ctx, blobs, named); err != nil {
		return err
	}
	for id, said := range named {
		if err := checkBlob(ctx, blobs, id, said); err != nil {
			return fmt.Errorf("after the sweep: %w", err)
		}
	}
	return nil
}

// sweep removes the blobs that no row names, which must leave those that one does.
func sweep(ctx context.Context, blobs blob.Store, named map[blob.StreamID]row) error {
	for gone := false; ; gone = true {
		infos, err := blobs.List(ctx, blob.Info{}, 1<<20)
		if err != nil {
			return err
		}
		if gone {
			if len(infos) != len(named) {
				return fmt.Errorf("%d blobs are listed after the sweep of all but %d", len(infos), len(named))
			}
			return nil
		}
		for i, info := range infos {
			if said, ok := named[info.ID]; ok {
				if said.at != info.At {
					return fmt.Errorf("%w: blob %s is listed at %+v, its row says %+v", errLost, info.ID, info.At, said.at)
				}
				continue
			}
			remove := blobs.Delete
			if i%2 == 0 {
				remove = blobs.MoveToTrash
			}
			if err := remove(ctx, info.ID, info.At); err != nil {
				return err
			}
		}
	}
}

func checkBlob(ctx context.Context, blobs blob.Store, id blob.StreamID, want row) error {
	r, err := blobs.ReadAt(ctx, id, want.at, 0, -1)
	if err != nil {
		return fmt.Errorf("%w: a row names a blob: %w", errLost, err)
	}
	data, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		return fmt.Errorf("%w: blob %s: %w", errLost, id, err)
	}
	if sha256.Sum256(data) != want.sum {
		return fmt.Errorf("%w: a row names blob %s, of which %d bytes are there, not as written", errLost, id, len(data))
	}
	return nil
}
