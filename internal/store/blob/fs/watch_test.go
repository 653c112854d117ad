// SPDX-License-Identifier: Apache-2.0

package fs_test

import (
	"math/rand/v2"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func newRNG(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

// step is a call that changes a file system, about to be made.
type step struct {
	op   string // create, rename, remove, write, sync, syncdata, close
	path string
	n    int // bytes written
}

// watch calls before ahead of each step on the files of inner.
func watch(inner vfs.FS, before func(step)) vfs.FS {
	return &watchedFS{inner, func(s step) error { before(s); return nil }}
}

// refuse makes the steps fail for which why returns an error.
func refuse(inner vfs.FS, why func(step) error) vfs.FS { return &watchedFS{inner, why} }

type watchedFS struct {
	vfs.FS
	before func(step) error
}

func (w *watchedFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := w.before(step{op: "create", path: name}); err != nil {
		return nil, err
	}
	f, err := w.FS.Create(name, c)
	if err != nil {
		return nil, err
	}
	return &watchedFile{f, w, name}, nil
}

func (w *watchedFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	f, err := w.FS.OpenReadWrite(name, c, o...)
	if err != nil {
		return nil, err
	}
	return &watchedFile{f, w, name}, nil
}

func (w *watchedFS) OpenDir(name string) (vfs.File, error) {
	f, err := w.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &watchedFile{f, w, name}, nil
}

func (w *watchedFS) Rename(from, to string) error {
	if err := w.before(step{op: "rename", path: from}); err != nil {
		return err
	}
	return w.FS.Rename(from, to)
}

func (w *watchedFS) Remove(name string) error {
	if err := w.before(step{op: "remove", path: name}); err != nil {
		return err
	}
	return w.FS.Remove(name)
}

type watchedFile struct {
	vfs.File
	fs   *watchedFS
	path string
}

func (f *watchedFile) Write(p []byte) (int, error) {
	if err := f.fs.before(step{op: "write", path: f.path, n: len(p)}); err != nil {
		return 0, err
	}
	return f.File.Write(p)
}

func (f *watchedFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.fs.before(step{op: "write", path: f.path, n: len(p)}); err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, off)
}

func (f *watchedFile) SyncData() error {
	if err := f.fs.before(step{op: "syncdata", path: f.path}); err != nil {
		return err
	}
	return f.File.SyncData()
}

func (f *watchedFile) Sync() error {
	if err := f.fs.before(step{op: "sync", path: f.path}); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *watchedFile) Close() error {
	err := f.fs.before(step{op: "close", path: f.path})
	if closeErr := f.File.Close(); err == nil {
		err = closeErr
	}
	return err
}
