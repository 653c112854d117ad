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

	syncs  groupSync
	handle vfs.File // only for the sync under way, and for close
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

// sync makes the entries durable that are in the directory now. Once a sync of it
// has failed, the directory takes no more.
func (d *directory) sync() error {
	return d.syncs.do(func() (tried bool, err error) {
		if d.handle == nil {
			f, err := d.fs.OpenDir(d.path)
			if err != nil {
				return false, err
			}
			d.handle = f
		}
		if err := d.handle.Sync(); err != nil {
			return true, fmt.Errorf("directory %q failed to sync and takes no streams before a restart: %w", d.path, err)
		}
		return true, nil
	})
}

// failed returns why the directory takes no more entries; nil when it does.
func (d *directory) failed() error { return d.syncs.failed() }

// close releases the descriptor. No call may be under way.
func (d *directory) close() error {
	if d.handle == nil {
		return nil
	}
	return d.handle.Close()
}
