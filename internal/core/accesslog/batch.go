// SPDX-License-Identifier: Apache-2.0

package accesslog

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cofferstore/coffer/internal/core/bucket"
)

// A batch is a file batch-N-ID.log, with a day behind the id if there is one: what a file
// queue-N.log had for one route, as it will be delivered, behind a line with its head. Its
// key is decided when it is made: who delivers it twice delivers the same object.

// head is the first line of a batch.
type head struct {
	Version int    `json:"version"` // 1
	Route   route  `json:"route"`
	Key     string `json:"key"`
	Lines   int    `json:"lines"`
}

const temporary = ".tmp"

// objectKey returns the key of a delivered object (S3 User Guide, "Logging requests with
// server access logging", "Log object key format"). unique tells objects of one second from
// each other.
func objectKey(r route, at time.Time, day, unique string) string {
	at = at.UTC()
	if day != "" {
		if d, err := time.Parse(time.DateOnly, day); err == nil {
			at = d // with 00 for hours, minutes and seconds
		}
	}
	name := at.Format("2006-01-02-15-04-05-") + unique
	if r.Format != bucket.PartitionedPrefix {
		return r.Prefix + name
	}
	return r.Prefix + r.Owner + "/" + r.Region + "/" + r.Source + at.Format("/2006/01/02/") + name
}

// batchName returns the name of a batch of a file of the queue.
func batchName(queue string, g *group) string {
	number := strings.TrimSuffix(strings.TrimPrefix(queue, queuePrefix), suffix)
	name := batchPrefix + number + "-" + g.id
	if g.day != "" {
		name += "-" + strings.ReplaceAll(g.day, "-", "")
	}
	return name + suffix
}

// split makes batches of a complete file of the queue, and removes it when they are
// durable.
func (l *Log) split(name string) error {
	path := l.fs.PathJoin(l.dir, name)
	text, err := readFile(l.fs, path)
	if err != nil {
		return fmt.Errorf("accesslog: read %s: %w", name, err)
	}
	found, damaged := groups(text)
	if damaged > 0 {
		l.dropped("damaged", damaged)
		l.log.Warn("access log lines that a crash cut short or damaged are left out", "file", name, "lines", damaged)
	}
	var made []string
	for _, g := range found {
		b := batchName(name, g)
		if err = l.writeBatch(b, g); err != nil {
			break
		}
		made = append(made, b)
	}
	if err == nil {
		err = syncDir(l.fs, l.dir)
	}
	if err != nil {
		// All of it or nothing: else a part would be delivered twice.
		for _, b := range made {
			err = errors.Join(err, l.fs.Remove(l.fs.PathJoin(l.dir, b)))
		}
		return fmt.Errorf("accesslog: make batches of %s: %w", name, err)
	}
	if err := l.fs.Remove(path); err != nil {
		return fmt.Errorf("accesslog: remove %s: %w", name, err)
	}
	l.queue.removed(int64(len(text)))
	return syncDir(l.fs, l.dir)
}

func (l *Log) writeBatch(name string, g *group) error {
	sum := sha256.Sum256([]byte(name))
	first, err := json.Marshal(head{1, g.route, objectKey(g.route, time.Now(), g.day, fmt.Sprintf("%X", sum[:8])), g.lines})
	if err != nil {
		return err
	}
	path := l.fs.PathJoin(l.dir, name)
	f, err := l.fs.Create(path+temporary, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	err = private(f)
	if err == nil {
		_, err = f.Write(append(append(first, '\n'), g.text...))
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = l.fs.Rename(path+temporary, path)
	}
	if err != nil {
		_ = l.fs.Remove(path + temporary)
	}
	return err
}

// parseBatch reads a batch.
func parseBatch(text []byte) (h head, lines []byte, err error) {
	first, lines, ok := bytes.Cut(text, []byte("\n"))
	if !ok {
		return h, nil, errors.New("accesslog: a batch without a head")
	}
	if err := json.Unmarshal(first, &h); err != nil {
		return h, nil, fmt.Errorf("accesslog: head of a batch: %w", err)
	}
	if h.Version != 1 || h.Route.Source == "" || h.Route.Target == "" || h.Key == "" || len(lines) == 0 {
		return h, nil, errors.New("accesslog: head of a batch: not one of version 1")
	}
	return h, lines, nil
}

func readFile(fs vfs.FS, path string) ([]byte, error) {
	f, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(f)
	return b, errors.Join(err, f.Close())
}

func fileSize(fs vfs.FS, path string) int64 {
	info, err := fs.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}
