// SPDX-License-Identifier: Apache-2.0

package crashtest

import (
	"math/rand/v2"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// disk is a file system in memory that both stores live on, and that can be
// copied as a crash would leave it: between any two calls that change it.
type disk struct {
	vfs.FS
	mem  *vfs.MemFS
	lies func(path string, dir bool) bool // whose syncs do nothing

	countdown atomic.Int64 // changes until crashed is called
	crashed   func()
}

func newDisk(lies func(path string, dir bool) bool, crashed func()) *disk {
	mem := vfs.NewCrashableMem()
	return &disk{FS: mem, mem: mem, lies: lies, crashed: crashed}
}

// crashAt has crashed called, by whoever makes it, ahead of the nth change from
// now on.
func (d *disk) crashAt(n int64) { d.countdown.Store(n) }

// image returns what a crash now may leave. Of what was not synced it keeps each
// page and each directory entry with the given probability.
func (d *disk) image(percent int, rng *rand.Rand) vfs.FS {
	return d.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng})
}

func (d *disk) change() {
	if d.countdown.Add(-1) == 0 {
		d.crashed()
	}
}

func (d *disk) wrap(f vfs.File, err error, path string, dir bool) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	lies := func() bool { return d.lies != nil && d.lies(path, dir) }
	return &diskFile{File: f, disk: d, lies: lies}, nil
}

func (d *disk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	d.change()
	f, err := d.FS.Create(name, c)
	return d.wrap(f, err, name, false)
}

func (d *disk) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	d.change()
	f, err := d.FS.OpenReadWrite(name, c, opts...)
	return d.wrap(f, err, name, false)
}

func (d *disk) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	d.change()
	f, err := d.FS.ReuseForWrite(oldname, newname, c)
	return d.wrap(f, err, newname, false)
}

func (d *disk) OpenDir(name string) (vfs.File, error) {
	f, err := d.FS.OpenDir(name)
	return d.wrap(f, err, name, true)
}

func (d *disk) Remove(name string) error {
	d.change()
	return d.FS.Remove(name)
}

func (d *disk) Rename(oldname, newname string) error {
	d.change()
	return d.FS.Rename(oldname, newname)
}

func (d *disk) Link(oldname, newname string) error {
	d.change()
	return d.FS.Link(oldname, newname)
}

// diskFile is a file of a disk. A sync of it does nothing when it lies.
type diskFile struct {
	vfs.File
	disk *disk
	lies func() bool
}

func (f *diskFile) Write(p []byte) (int, error) {
	f.disk.change()
	return f.File.Write(p)
}

func (f *diskFile) WriteAt(p []byte, off int64) (int, error) {
	f.disk.change()
	return f.File.WriteAt(p, off)
}

func (f *diskFile) Sync() error {
	f.disk.change()
	if f.lies() {
		return nil
	}
	return f.File.Sync()
}

func (f *diskFile) SyncData() error {
	f.disk.change()
	if f.lies() {
		return nil
	}
	return f.File.SyncData()
}

func (f *diskFile) SyncTo(length int64) (bool, error) {
	f.disk.change()
	if f.lies() {
		return true, nil
	}
	return f.File.SyncTo(length)
}
