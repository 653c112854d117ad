// SPDX-License-Identifier: Apache-2.0

package fs

import (
	"fmt"
	"os"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cofferstore/coffer/internal/store/blob"
)

// directory is one directory of streams: which of them are being written, and
// its shared sync.
type directory struct {
	fs   vfs.FS
	path string

	mu      sync.Mutex
	writing map[blob.StreamID]*writer
	next    *dirSync // has not begun: may be joined
	last    *dirSync // has begun, and may be over
	broken  error    // why a sync failed; after that there is none

	handle vfs.File // only for the sync under way, and for close
}

// dirSync is one sync of a directory on behalf of all who wait for it. err is
// set before done is closed.
type dirSync struct {
	done chan struct{}
	err  error
}

func newDirectory(fs vfs.FS, path string) *directory {
	return &directory{fs: fs, path: path}
}

// file returns the path of a stream in this directory.
func (d *directory) file(id blob.StreamID) string { return d.fs.PathJoin(d.path, id.String()) }

// reserve makes w the one writer of id until release.
func (d *directory) reserve(id blob.StreamID, w *writer) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.broken != nil {
		return d.broken
	}
	if d.writing[id] != nil {
		return os.ErrExist
	}
	if d.writing == nil {
		d.writing = make(map[blob.StreamID]*writer)
	}
	d.writing[id] = w
	return nil
}

func (d *directory) release(id blob.StreamID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.writing, id)
}

// unfinished says whether id is being written.
func (d *directory) unfinished(id blob.StreamID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.writing[id] != nil
}

// sync makes the entries durable that are in the directory now. Concurrent
// callers share one call of fsync, but only one that begins after they came: of
// one that runs already nobody knows which entries it has seen. So there is at
// most one under way and one that waits for it, and who finds neither begins at
// once.
func (d *directory) sync() error {
	d.mu.Lock()
	if shared := d.next; shared != nil {
		d.mu.Unlock()
		<-shared.done
		return shared.err
	}
	own, before := &dirSync{done: make(chan struct{})}, d.last
	d.next = own
	d.mu.Unlock()
	if before != nil {
		<-before.done
	}

	d.mu.Lock()
	d.next, d.last = nil, own // from here on nobody joins
	own.err = d.broken
	d.mu.Unlock()
	if own.err == nil {
		own.err = d.fsync()
	}
	close(own.done)
	return own.err
}

// fsync is one call of fsync. When it fails the kernel has marked clean what it
// could not write, entries of later callers among it, and would call the next one
// a success. So there is no next one.
func (d *directory) fsync() error {
	if d.handle == nil {
		f, err := d.fs.OpenDir(d.path)
		if err != nil {
			return err // nothing has been tried, so nothing is lost
		}
		d.handle = f
	}
	err := d.handle.Sync()
	if err != nil {
		d.mu.Lock()
		d.broken = fmt.Errorf("directory %q failed to sync and takes no streams before a restart: %w", d.path, err)
		d.mu.Unlock()
	}
	return err
}

// close releases the descriptor. No call may be under way.
func (d *directory) close() error {
	if d.handle == nil {
		return nil
	}
	return d.handle.Close()
}
