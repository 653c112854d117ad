// SPDX-License-Identifier: Apache-2.0

package pebble

import (
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// watchedFS reports errors after which Pebble cannot go on where they happen,
// because it handles them by panics, some of which cannot be recovered from:
// those of the write-ahead log, of syncs of the directory, and of files of
// separated values. Of the latter a lack of room is left to Pebble, and
// options avoids it.
type watchedFS struct {
	vfs.FS
	failed func(error)
}

func (fs watchedFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := fs.FS.Create(name, c)
	return fs.watch(name, file, err)
}

func (fs watchedFS) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := fs.FS.ReuseForWrite(oldname, newname, c)
	return fs.watch(newname, file, err)
}

func (fs watchedFS) watch(name string, file vfs.File, err error) (vfs.File, error) {
	w := watchedFile{File: file, failed: fs.failed}
	switch {
	case strings.HasSuffix(name, ".log"):
		w.what = "the log"
		err = w.report("create", err)
	case strings.HasSuffix(name, ".blob"):
		w.what, w.roomless = "a file of values", true
	default:
		return file, err
	}
	if err != nil {
		return nil, err
	}
	return w, nil
}

// OpenDir is called for the store's directory alone.
func (fs watchedFS) OpenDir(name string) (vfs.File, error) {
	dir, err := fs.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return watchedFile{File: dir, what: "the directory", failed: fs.failed}, nil
}

// Unwrap is for vfs.Root.
func (fs watchedFS) Unwrap() vfs.FS { return fs.FS }

type watchedFile struct {
	vfs.File
	what     string
	roomless bool // a lack of room is not reported
	failed   func(error)
}

func (f watchedFile) report(did string, err error) error {
	if err != nil && !(f.roomless && vfs.IsNoSpaceError(err)) {
		f.failed(fmt.Errorf("%s %s: %w", did, f.what, err))
	}
	return err
}

func (f watchedFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	return n, f.report("write", err)
}

func (f watchedFile) SyncTo(length int64) (bool, error) {
	full, err := f.File.SyncTo(length)
	return full, f.report("sync", err)
}

func (f watchedFile) Sync() error     { return f.report("sync", f.File.Sync()) }
func (f watchedFile) SyncData() error { return f.report("sync", f.File.SyncData()) }
func (f watchedFile) Close() error    { return f.report("close", f.File.Close()) }
