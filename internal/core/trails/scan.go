// SPDX-License-Identifier: Apache-2.0

package trails

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/cofferstore/coffer/internal/core/audit"
)

// scan is what was found, in front of what is delivered, of the next file.
type scan struct {
	until   audit.Position // how far it came
	records int
	size    int64     // of them, as they will be in the file
	first   time.Time // when the first of them was found, or took place if that was before
	full    bool      // a file has no room for more
}

// due returns when the next file is to be written, or looked for; zero when that waits
// for records. A failure has its own time.
func (l *loop) due() time.Time {
	if l.scan.records == 0 || l.logs.failed() {
		return time.Time{}
	}
	// In between it may grow full.
	return earliest(l.scan.first.Add(l.cfg.Every), time.Now().Add(l.cfg.Every/30))
}

// plan finds the next file, and reports whether there is one that is due: it then has its
// name, in l.d.Pending.
func (l *loop) plan(ctx context.Context, t *Trail, head audit.Position) bool {
	if l.d.Pending != nil {
		return true
	}
	if err := l.look(ctx, t, head); err != nil {
		if ctx.Err() == nil {
			l.cfg.Log.Error("read audit records for a trail", "trail", l.name, "error", err)
			l.logs.end(err)
		}
		return false
	}
	if l.scan.records == 0 {
		l.d.Position = l.scan.until
		return false
	}
	stopped := !t.Logging && !l.scan.until.Before(t.Until)
	if !l.scan.full && !stopped && time.Now().Before(l.scan.first.Add(l.cfg.Every)) {
		return false
	}
	l.d.Pending = &PendingFile{Bucket: t.Bucket, Object: l.logName(t, time.Now()), Until: l.scan.until}
	return true
}

// errEnd ends a look at the audit trail.
var errEnd = errors.New("trails: enough")

// look goes on with the scan, up to the head of the audit trail as it was before the
// trail's settings were read, the end of what the trail wants, or of what a file holds.
// Of what is behind that head, other settings may say what is wanted.
func (l *loop) look(ctx context.Context, t *Trail, head audit.Position) error {
	if l.scan.full {
		return nil
	}
	s, pace := &l.scan, l.pace(ctx)
	var record glancer
	all := !head.Before(t.Until) // what was recorded until then can be read
	until, err := l.journal.Consume(ctx, s.until, func(line audit.Line) error {
		if err := pace(len(line.JSON)); err != nil {
			return err
		}
		if !line.At.Before(head) || !t.Logging && !line.At.Before(t.Until) {
			return errEnd
		}
		if !wanted(t, line, &record) {
			return nil
		}
		if s.records > 0 && s.size+int64(len(line.JSON))+1 > l.cfg.MaxFile {
			s.full = true
			return errEnd
		}
		if s.records == 0 {
			s.first = began(record.EventTime)
		}
		s.records++
		s.size += int64(len(line.JSON)) + 1
		return nil
	})
	s.until = until
	if err != nil && !errors.Is(err, errEnd) {
		return err
	}
	if !s.full && !t.Logging && all && until.Before(t.Until) {
		s.until = t.Until // there is nothing between
	}
	return nil
}

// began returns when a file began to wait whose first event took place at a time. The age
// of that is measured once: from then on no clock that is set back holds up the file.
func began(event time.Time) time.Time {
	now := time.Now()
	return now.Add(-max(0, now.Sub(event)))
}

// pace returns a function that lets so many bytes of the audit trail through at the rate
// at which all trails may read.
func (c *Courier) pace(ctx context.Context) func(n int) error {
	const step = 64 << 10
	owed := 0
	return func(n int) error {
		if owed += n; owed < step {
			return nil
		}
		n, owed = min(owed, c.reading.Burst()), 0
		return c.reading.WaitN(ctx, n)
	}
}

// wanted reports whether the trail wants a record, which it reads as far as selectors do.
func wanted(t *Trail, line audit.Line, r *glancer) bool {
	return r.read(line.JSON) && t.wantsAt(line.At, &r.Record)
}

// logName is the name of a log file that is delivered at a time (CloudTrail User Guide,
// "CloudTrail log file names").
func (l *loop) logName(t *Trail, at time.Time) string {
	region, at := l.service.Region, at.UTC()
	return t.prefixed("CloudTrail/" + region + at.Format("/2006/01/02/") + t.Account + "_CloudTrail_" + region + at.Format("_20060102T1504Z_") + unique() + ".json.gz")
}

const alphanumerics = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// unique returns 16 random alphanumerics.
func unique() string {
	b := make([]byte, 0, 16)
	var random [32]byte
	for len(b) < cap(b) {
		rand.Read(random[:])
		for _, r := range random {
			// Of 256 values the last ones would make some letters more frequent.
			if int(r) < 256/len(alphanumerics)*len(alphanumerics) && len(b) < cap(b) {
				b = append(b, alphanumerics[int(r)%len(alphanumerics)])
			}
		}
	}
	return string(b)
}
