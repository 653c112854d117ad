// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A trail is a directory of files named audit-TIME.jsonl, where TIME is when the
// file was begun. Names only grow: a clock that was set back does not put a file
// before one that was written earlier.
const (
	namePrefix = "audit-"
	nameSuffix = ".jsonl"
	nameTime   = "20060102T150405.000000000Z"
)

func segmentName(begun time.Time) string {
	return namePrefix + begun.UTC().Format(nameTime) + nameSuffix
}

// parseName returns when the file of that name was begun; ok is false for a
// name that is not a trail's.
func parseName(name string) (begun time.Time, ok bool) {
	text, front := strings.CutPrefix(name, namePrefix)
	text, back := strings.CutSuffix(text, nameSuffix)
	if !front || !back {
		return time.Time{}, false
	}
	begun, err := time.Parse(nameTime, text)
	return begun, err == nil && begun.Format(nameTime) == text // Parse also takes a comma for the point
}

// listSegments returns the names of a trail's files, oldest first.
func listSegments(fs vfs.FS, dir string) ([]string, error) {
	all, err := fs.List(dir)
	if err != nil {
		return nil, fmt.Errorf("audit: list %s: %w", dir, err)
	}
	names := slices.DeleteFunc(all, func(name string) bool {
		_, ok := parseName(name)
		return !ok
	})
	slices.Sort(names)
	return names, nil
}

// segment is a file that records are appended to. Trail.mu guards its fields.
type segment struct {
	name string
	file vfs.File
	hour time.Time // in which it was begun
	size int64

	// Records are numbered from 1 in the order written; those up to synced
	// are durable. err says that a sync failed: what was not durable by then
	// may be lost, and the file is not synced again, because a second fsync
	// may report success for pages that the first one gave up.
	written, synced uint64
	durable         int64 // of size, what is known to be durable
	wrote, sure     mark  // the last complete line, and the last durable one
	err             error
	rows            []journalRow // of the journal, that go when the record is durable here
}

// journalRow is a row of the journal, and the number of its record in the file.
type journalRow struct {
	number uint64
	key    []byte
}

// takeSettled returns the rows of records that are durable. They need not be in the
// order of the records: commits overtake each other.
func (s *segment) takeSettled() (keys [][]byte) {
	s.rows = slices.DeleteFunc(s.rows, func(r journalRow) bool {
		if r.number > s.synced {
			return false
		}
		keys = append(keys, r.key)
		return true
	})
	return keys
}

func (s *segment) unsynced() bool { return s.err == nil && s.synced < s.written }

// createSegment makes an empty file that only its owner may read, and makes its
// name durable.
func createSegment(fs vfs.FS, dir string, dirFile vfs.File, begun time.Time) (*segment, error) {
	name := segmentName(begun)
	path := fs.PathJoin(dir, name)
	file, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	s := &segment{name: name, file: file, hour: begun.Truncate(time.Hour)}
	if err := s.publish(dirFile); err != nil {
		_ = file.Close()
		_ = fs.Remove(path)
		return nil, err
	}
	return s, nil
}

func (s *segment) publish(dirFile vfs.File) error {
	// vfs.FS makes files that the umask decides about.
	if fd := s.file.Fd(); fd != vfs.InvalidFd {
		if err := syscall.Fchmod(int(fd), 0o600); err != nil {
			return err
		}
	}
	return dirFile.Sync()
}

// tornBytes returns how many bytes follow the last complete line of a file.
func tornBytes(fs vfs.FS, path string) (int64, error) {
	f, err := fs.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	buf := make([]byte, 64<<10)
	for end := info.Size(); end > 0; {
		part := buf[:min(end, int64(len(buf)))]
		end -= int64(len(part))
		if _, err := f.ReadAt(part, end); err != nil && err != io.EOF {
			return 0, err
		}
		if i := strings.LastIndexByte(string(part), '\n'); i >= 0 {
			return info.Size() - end - int64(i) - 1, nil
		}
	}
	return info.Size(), nil
}

// syncFrom makes durable what is in the file of that name and in all newer ones.
func syncFrom(fs vfs.FS, dir, name string) error {
	names, err := listSegments(fs, dir)
	if err != nil {
		return err
	}
	for _, n := range names {
		if n < name {
			continue
		}
		f, err := fs.Open(fs.PathJoin(dir, n))
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return fmt.Errorf("audit: sync %s: %w", n, err)
		}
	}
	return nil
}
