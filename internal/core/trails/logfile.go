// SPDX-License-Identifier: Apache-2.0

package trails

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/background"
	"github.com/cofferstore/coffer/internal/core/acl"
	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// deliver delivers the log file that is due. Its name is durable before it is put, and
// that it was put is kept in one commit with how far the trail has come.
func (l *loop) deliver(ctx context.Context, t *Trail) error {
	if p := l.d.Pending; p.Bucket != t.Bucket || !strings.HasPrefix(p.Object, t.prefixed("CloudTrail/")) {
		l.d.Pending = &PendingFile{Bucket: t.Bucket, Object: l.logName(t, time.Now()), Until: p.Until}
	}
	p := *l.d.Pending
	l.d.LastAttempt = time.Now().UTC()
	file, records, err := DeliveredFile{}, 0, error(nil)
	if l.kept.Pending == nil || *l.kept.Pending != p {
		err = l.keep(ctx, t)
	}
	if err == nil {
		file, records, err = l.putLog(ctx, t, p)
	}
	if err != nil {
		l.logFailed(ctx, t, err)
		return err
	}
	before := l.d
	l.d.Position, l.d.Pending = p.Until, nil
	var more []func(*meta.Batch)
	if records > 0 {
		l.d.LastSuccess, l.d.Error = time.Now().UTC(), ""
		if t.Validate {
			l.d.Digest.Next++
			more = append(more, func(b *meta.Batch) { b.Put(fileRow(t.ID, before.Digest.Next), encode(file)) })
		}
	}
	err = l.keep(ctx, t, more...)
	if err != nil {
		l.d = before // it is put again, under the same name
		l.logFailed(ctx, t, err)
		return err
	}
	l.scan = scan{until: l.d.Position}
	l.journal.Took(l.name, records)
	return nil
}

// logFailed tells of a failure: as the trail's status, in the metrics, and in the log
// when it is a new one.
func (l *loop) logFailed(ctx context.Context, t *Trail, err error) {
	if ctx.Err() != nil {
		return
	}
	l.journal.Failed(l.name)
	was := l.d.Error
	l.d.Error, _ = l.cfg.Name(err)
	if was != l.d.Error {
		l.cfg.Log.Warn("a trail's log file cannot be delivered", "trail", l.name, "bucket", t.Bucket, "code", l.d.Error, "error", err)
	}
	_ = l.keep(ctx, t) // what could not be kept is told at the next failure
}

// putLog writes a log file while it is made: of what the trail wants up to where the
// pending file goes. Without records there is no file.
func (l *loop) putLog(ctx context.Context, t *Trail, p PendingFile) (DeliveredFile, int, error) {
	select {
	case l.writing <- struct{}{}:
		defer func() { <-l.writing }()
	case <-ctx.Done():
		return DeliveredFile{}, 0, ctx.Err()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, w := io.Pipe()
	m := &making{file: DeliveredFile{Bucket: p.Bucket, Object: p.Object}, begun: make(chan struct{}), out: w}
	done := make(chan error, 1)
	go background.Do(func() {
		err := l.make(ctx, t, p, m)
		w.CloseWithError(err)
		done <- err
	})
	select {
	case <-m.begun:
	case err := <-done:
		return m.file, m.records, err // there is none
	}
	put, keys := l.service.file(t, p.Object)
	put.ACL = acl.Asked{Canned: acl.BucketOwnerFullControl}
	put.Headers = []object.Header{{Name: "content-type", Value: "application/json"}, {Name: "content-encoding", Value: "gzip"}}
	put.Body, put.Size = r, -1
	_, err := l.writer.Put(ctx, l.service.Deliverer(t), put, keys)
	r.CloseWithError(errAbandoned)
	if made := <-done; err == nil {
		err = made
	}
	return m.file, m.records, err
}

var errAbandoned = errors.New("trails: the file is not wanted any more")

// making is a log file that is being made.
type making struct {
	file    DeliveredFile
	records int
	begun   chan struct{} // closed when there is a record
	out     io.Writer
}

// make writes the file.
func (l *loop) make(ctx context.Context, t *Trail, p PendingFile, m *making) error {
	zipped, err := gzip.NewWriterLevel(m.out, gzip.BestSpeed)
	if err != nil {
		return err
	}
	hash := sha256.New()
	text := io.MultiWriter(zipped, hash)
	pace := l.pace(ctx)
	var record glancer
	_, err = l.journal.Consume(ctx, l.d.Position, func(line audit.Line) error {
		if !line.At.Before(p.Until) {
			return errEnd
		}
		if err := pace(len(line.JSON)); err != nil {
			return err
		}
		if !wanted(t, line, &record) {
			return nil
		}
		before := ","
		if m.add(&record.Record); m.records == 1 {
			close(m.begun)
			before = `{"Records":[`
		}
		if _, err := io.WriteString(text, before); err != nil {
			return err
		}
		_, err := text.Write(line.JSON)
		return err
	})
	if errors.Is(err, errEnd) {
		err = nil
	}
	if err != nil || m.records == 0 {
		return err
	}
	if _, err := io.WriteString(text, "]}"); err != nil {
		return err
	}
	m.file.Hash = hex.EncodeToString(hash.Sum(nil))
	return zipped.Close()
}

// add counts a record.
func (m *making) add(r *audit.Record) {
	m.records++
	f := &m.file
	if f.Oldest.IsZero() || r.EventTime.Before(f.Oldest) {
		f.Oldest = r.EventTime.UTC()
	}
	if r.EventTime.After(f.Newest) {
		f.Newest = r.EventTime.UTC()
	}
}
