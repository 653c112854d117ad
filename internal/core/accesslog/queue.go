// SPDX-License-Identifier: Apache-2.0

package accesslog

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cofferstore/coffer/internal/core/acl"
	"github.com/cofferstore/coffer/internal/core/bucket"
)

// The queue is a directory of files queue-N.log, where N grows. A file has lines of two
// kinds: "@ID JSON" says what the route ID is, and "ID LINE" is a line of a log that goes
// by it. A line that a crash tore has no end, and is left out.

const (
	queuePrefix = "queue-"
	batchPrefix = "batch-"
	suffix      = ".log"
)

const (
	// maxBuffered bounds the lines that wait to be written, in bytes: what a device that
	// stands still may take of memory.
	maxBuffered = 4 << 20
	// maxFile is where a file of the queue ends.
	maxFile = 8 << 20
	// syncEvery is how long a line may be lost to a loss of power.
	syncEvery = time.Second
)

// route is by what a log goes from its bucket to its target. It is kept with the lines, so
// that they go where they were meant to whatever is configured later.
type route struct {
	Source string           `json:"source"`
	Owner  string           `json:"owner"`
	Region string           `json:"region"`
	Target string           `json:"target"`
	Prefix string           `json:"prefix,omitempty"`
	Grants acl.List         `json:"grants,omitempty"`
	Format bucket.LogFormat `json:"format,omitempty"`
	Dates  bucket.LogDates  `json:"dates,omitempty"`
}

func routeOf(l *bucket.Logged) route {
	return route{l.Name, l.Owner, l.Region, l.Target, l.Prefix, l.Grants, l.Format, l.Dates}
}

// encode returns the route as JSON and its id, which is the hash of that.
func (r route) encode() (text []byte, id string) {
	text, err := json.Marshal(r)
	if err != nil {
		panic("accesslog: encode route: " + err.Error()) // strings: cannot fail
	}
	sum := sha256.Sum256(text)
	return text, hex.EncodeToString(sum[:8])
}

// queue keeps lines until they are put into batches.
type queue struct {
	fs    vfs.FS
	dir   string
	limit int64
	wake  chan struct{} // something was appended
	full  chan struct{} // a file has ended because it was large enough
	drop  func(reason string, lines int)

	mu      sync.Mutex
	buffer  []byte
	lines   int                       // in buffer
	defined map[*bucket.Logged]string // ids of the routes that the file, or buffer, has
	real    bool                      // there are lines since the last rotation that are not of deliveries

	files sync.Mutex // held, before mu, while files are written
	file  vfs.File
	name  string
	size  int64
	dirty bool
	last  int64 // N of the newest file
	// waiting are the bytes of files that are not in batches yet, but for the open one.
	waiting int64
	spare   []byte
}

// append adds an entry to the queue. It waits for nothing but other callers.
func (q *queue) append(of *bucket.Logged, e *Entry) {
	scratch := scratches.Get().(*[]byte)
	defer scratches.Put(scratch)
	line := e.appendLine((*scratch)[:0], of)
	*scratch = line
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.buffer)+len(line) > maxBuffered {
		q.drop("memory", 1)
		return
	}
	id, ok := q.defined[of]
	if !ok {
		var text []byte
		text, id = routeOf(of).encode()
		q.buffer = append(append(append(append(append(q.buffer, '@'), id...), ' '), text...), '\n')
		q.defined[of] = id
	}
	q.buffer = append(append(append(q.buffer, id...), ' '), line...)
	q.lines++
	q.real = q.real || !e.ofDelivery
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

var scratches = sync.Pool{New: func() any { b := make([]byte, 0, 1<<10); return &b }}

// take returns what is buffered. With anew, what is appended from now on is for another file.
// Called with files held.
func (q *queue) take(anew bool) (b []byte, lines int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	b, lines = q.buffer, q.lines
	q.buffer, q.lines = q.spare[:0], 0
	q.spare = b
	if anew {
		clear(q.defined)
		q.real = false
	}
	return b, lines
}

// write writes what is buffered into the open file.
func (q *queue) write() error {
	q.files.Lock()
	defer q.files.Unlock()
	if err := q.writeBuffer(false); err != nil {
		return err
	}
	if q.size < maxFile {
		return nil
	}
	select {
	case q.full <- struct{}{}:
	default:
	}
	return q.rotateFile()
}

// writeBuffer is write with files held. After an error the file has ended, if there is
// something in it, and what was buffered is dropped.
func (q *queue) writeBuffer(anew bool) error {
	b, lines := q.take(anew)
	if len(b) == 0 {
		return nil
	}
	err := error(nil)
	if q.waiting+q.size > q.limit {
		err = errTooMuch
	}
	if err == nil && q.file == nil {
		err = q.create()
	}
	if err == nil {
		n := 0
		n, err = q.file.Write(b)
		q.size += int64(n)
		q.dirty = true
	}
	if err == nil {
		return nil
	}
	_, more := q.take(true) // its routes were in what is lost
	q.drop("disk", lines+more)
	if q.size == 0 {
		return err // a file that stayed empty is good for another try: each would leave one behind
	}
	return errors.Join(err, q.closeFile())
}

var errTooMuch = errors.New("accesslog: the queue has reached its limit")

func (q *queue) create() error {
	n := max(time.Now().UnixNano(), q.last+1)
	name := queuePrefix + fmt.Sprintf("%020d", n) + suffix
	path := q.fs.PathJoin(q.dir, name)
	f, err := q.fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	if err = private(f); err == nil {
		err = syncDir(q.fs, q.dir)
	}
	if err != nil {
		return errors.Join(err, f.Close(), q.fs.Remove(path))
	}
	q.file, q.name, q.size, q.last = f, name, 0, n
	return nil
}

// private makes a file one that only its owner may read: vfs.FS makes files that the umask
// decides about.
func private(f vfs.File) error {
	if fd := f.Fd(); fd != vfs.InvalidFd {
		return syscall.Fchmod(int(fd), 0o600)
	}
	return nil
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// sync makes durable what was written.
func (q *queue) sync() error {
	q.files.Lock()
	defer q.files.Unlock()
	if q.file == nil || !q.dirty {
		return nil
	}
	q.dirty = false
	return q.file.Sync()
}

// hasReal reports whether there are lines since the last rotation that are not of
// deliveries.
func (q *queue) hasReal() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.real
}

// rotate ends the open file: what was appended is in files that are complete.
func (q *queue) rotate() error {
	q.files.Lock()
	defer q.files.Unlock()
	return q.rotateFile()
}

func (q *queue) rotateFile() error {
	return errors.Join(q.writeBuffer(true), q.closeFile())
}

func (q *queue) closeFile() error {
	if q.file == nil {
		return nil
	}
	err := errors.Join(q.file.Sync(), q.file.Close())
	q.waiting += q.size
	q.file, q.name, q.size, q.dirty = nil, "", 0, false
	return err
}

// complete returns the names of the files that are not written any more, oldest first.
func (q *queue) complete() ([]string, error) {
	q.files.Lock()
	defer q.files.Unlock()
	names, err := listFiles(q.fs, q.dir, queuePrefix)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(names, func(name string) bool { return name == q.name }), nil
}

// removed says that a complete file is gone.
func (q *queue) removed(size int64) {
	q.files.Lock()
	defer q.files.Unlock()
	q.waiting = max(q.waiting-size, 0)
}

// bytes returns how much of the disk the queue takes.
func (q *queue) bytes() int64 {
	q.files.Lock()
	defer q.files.Unlock()
	return q.waiting + q.size
}

// listFiles returns the names of a directory's files of one kind, oldest first.
func listFiles(fs vfs.FS, dir, prefix string) ([]string, error) {
	all, err := fs.List(dir)
	if err != nil {
		return nil, fmt.Errorf("accesslog: list %s: %w", dir, err)
	}
	names := slices.DeleteFunc(all, func(name string) bool {
		return !strings.HasPrefix(name, prefix) || !strings.HasSuffix(name, suffix)
	})
	slices.Sort(names)
	return names, nil
}

// begun returns when a file was begun, by its name; zero when it does not say.
func begun(name string) time.Time {
	_, rest, _ := strings.Cut(strings.TrimSuffix(name, suffix), "-")
	digits, _, _ := strings.Cut(rest, "-")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(0, n)
}

// group is the lines of a file that go into one object.
type group struct {
	route route
	id    string
	day   string // 2006-01-02, if the dates of keys are those of events
	text  []byte
	lines int
}

// groups sorts a file's lines. What is damaged is left out and counted.
func groups(text []byte) (out []*group, damaged int) {
	routes := map[string]route{}
	byName := map[string]*group{}
	for len(text) > 0 {
		line, rest, whole := bytes.Cut(text, []byte("\n"))
		text = rest
		id, body, ok := bytes.Cut(line, []byte(" "))
		switch {
		case !whole: // torn
			damaged++
			continue
		case ok && len(id) > 1 && id[0] == '@':
			var r route
			if err := json.Unmarshal(body, &r); err != nil || r.Source == "" || r.Target == "" {
				damaged++
				continue
			}
			routes[string(id[1:])] = r
			continue
		}
		r, known := routes[string(id)]
		day := ""
		if known && r.Dates == bucket.EventTime {
			day, known = dayOf(body)
		}
		if !ok || !known || len(body) == 0 {
			damaged++
			continue
		}
		name := string(id) + day
		g := byName[name]
		if g == nil {
			g = &group{route: r, id: string(id), day: day}
			byName[name] = g
			out = append(out, g)
		}
		g.text = append(append(g.text, body...), '\n')
		g.lines++
	}
	return out, damaged
}

// dayOf returns the day of a line of a log.
func dayOf(line []byte) (day string, ok bool) {
	_, rest, ok := bytes.Cut(line, []byte(" ["))
	at, _, closed := bytes.Cut(rest, []byte("]"))
	if !ok || !closed {
		return "", false
	}
	t, err := time.Parse("02/Jan/2006:15:04:05 -0700", string(at))
	return t.UTC().Format(time.DateOnly), err == nil
}
