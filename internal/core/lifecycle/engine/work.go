// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/jobs"
	"github.com/cofferstore/coffer/internal/core/lifecycle"
	"github.com/cofferstore/coffer/internal/core/object"
)

// noCaller asks for what no caller has to be allowed.
var noCaller iam.Caller

// cursor is where a sweep goes on.
type cursor struct {
	At      int64                    `json:"at"`                // ms: the time by which it judges
	Uploads bool                     `json:"uploads,omitempty"` // those have been seen to
	After   []byte                   `json:"after,omitempty"`   // all versions of keys up to this one have been seen to
	Seen    int64                    `json:"seen"`
	Done    map[lifecycle.Kind]int64 `json:"done,omitempty"`
	Damaged int64                    `json:"damaged,omitempty"` // rows that could not be read
}

// saveEvery is how much work a crash may make a sweep look at again.
const saveEvery = 2 * time.Second

// page is how many versions are looked at before what is due of them is done.
const page = 2048

// sweep is one run of a job.
type sweep struct {
	*Engine
	job   *jobs.Job[Argument]
	ref   bucket.Ref
	uid   bucket.UID
	at    cursor
	saved time.Time
}

// Work sweeps one bucket. One that is gone, or has no rules, is done.
func (e *Engine) Work(ctx context.Context, job *jobs.Job[Argument]) error {
	s := &sweep{Engine: e, job: job, ref: bucket.Ref{Bucket: job.Argument.Bucket}, saved: time.Now()}
	b, err := e.buckets.Find(ctx, s.ref)
	if err == nil {
		s.uid = b.UID
		err = s.run(ctx)
	}
	if errors.Is(err, errOver) || errors.Is(err, bucket.NoSuchBucket) {
		return nil
	}
	return err
}

// errOver ends a sweep of a bucket that has no rules any more.
var errOver = errors.New("engine: no rules")

func (s *sweep) run(ctx context.Context) error {
	known, err := s.job.Cursor(&s.at)
	if err != nil {
		return err
	}
	if !known {
		s.at.At = time.Now().UnixMilli()
		if err := s.save(ctx); err != nil { // the time that holds from here on
			return err
		}
	}
	if s.at.Done == nil {
		s.at.Done = map[lifecycle.Kind]int64{}
	}
	if !s.at.Uploads {
		if err := s.uploads(ctx); err != nil {
			return err
		}
		s.at.Uploads = true
	}
	if err := s.versions(ctx); err != nil {
		return err
	}
	s.progress()
	return nil
}

// rules reads the bucket anew, and its rules.
func (s *sweep) rules(ctx context.Context) (*bucket.Bucket, lifecycle.Rules, error) {
	b, err := s.buckets.Find(ctx, s.ref)
	if err == nil && b.UID != s.uid {
		err = bucket.NoSuchBucket
	}
	if err != nil {
		return nil, lifecycle.Rules{}, err
	}
	l, err := s.buckets.Lifecycle(ctx, b)
	if err == nil && l == nil {
		err = errOver
	}
	return b, lifecycle.Rules{Lifecycle: l, Calendar: s.cfg.Calendar}, err
}

// now is the time by which the sweep judges. A clock that was ahead when it began, and has been
// set back, is not believed any more.
func (s *sweep) now() time.Time {
	return time.UnixMilli(min(s.at.At, time.Now().UnixMilli()))
}

func (s *sweep) uploads(ctx context.Context) error {
	b, rules, err := s.rules(ctx)
	if err != nil {
		return err
	}
	for _, prefix := range rules.UploadPrefixes() {
		for from := []byte(nil); ; {
			due, next, err := s.objects.AgingUploads(ctx, b, prefix, from, s.now(), s.damaged)
			if err != nil {
				return err
			}
			if err := s.act(ctx, b, due); err != nil {
				return err
			}
			if from = next; next == nil {
				break
			}
		}
	}
	return nil
}

func (s *sweep) versions(ctx context.Context) error {
	b, rules, err := s.rules(ctx)
	if err != nil {
		return err
	}
	for _, prefix := range rules.Prefixes() {
		if after := string(s.at.After); prefix < after && !strings.HasPrefix(after, prefix) {
			continue // all of it has been seen to
		}
		if err := s.below(ctx, b, prefix); err != nil {
			return err
		}
	}
	return nil
}

// below walks through the versions below a prefix.
func (s *sweep) below(ctx context.Context, b *bucket.Bucket, prefix string) error {
	walk, err := s.objects.Aging(ctx, b, prefix, string(s.at.After), s.now(), s.damaged)
	if err != nil || walk == nil {
		return err
	}
	for {
		due, seen, err := walk.Next(ctx, page)
		if err != nil || seen == 0 {
			return err
		}
		s.at.Seen += int64(seen)
		s.metrics.seen.Add(float64(seen))
		if err := s.act(ctx, b, due); err != nil {
			return err
		}
		s.at.After = []byte(walk.Through())
		if time.Since(s.saved) < saveEvery {
			continue
		}
		if err := s.save(ctx); err != nil {
			return err
		}
	}
}

// act does what is due, no faster than it may.
func (s *sweep) act(ctx context.Context, b *bucket.Bucket, due []object.Due) error {
	for len(due) > 0 {
		n := min(len(due), limits.Burst)
		if err := s.job.Wait(ctx, n); err != nil {
			return err
		}
		done, err := s.objects.Age(ctx, s.ref, s.uid, due[:n], s.now())
		for _, d := range done {
			s.at.Done[d.Kind]++
			s.metrics.done.WithLabelValues(string(d.Kind)).Inc()
			if s.cfg.Tell != nil {
				s.cfg.Tell(b, d)
			}
		}
		if err != nil {
			return err
		}
		due = due[n:]
	}
	return nil
}

// damaged passes over a row that cannot be read: it must not keep the rules from all that is
// behind it. The first of a sweep is logged.
func (s *sweep) damaged(err error) {
	if s.at.Damaged++; s.at.Damaged == 1 {
		s.cfg.Log.Error("lifecycle rules pass over a damaged row", "bucket", s.ref.Bucket, "error", err)
	}
}

func (s *sweep) save(ctx context.Context) error {
	s.progress()
	s.saved = time.Now()
	return s.job.Save(ctx, s.at)
}

// progress says what was done: the row of the job has it when the job is over, too.
func (s *sweep) progress() {
	var total int64
	text := fmt.Sprintf("%d versions seen", s.at.Seen)
	for _, k := range lifecycle.Kinds {
		if n := s.at.Done[k]; n > 0 {
			total += n
			text += fmt.Sprintf(", %s %d", k, n)
		}
	}
	if n := s.at.Damaged; n > 0 {
		text += fmt.Sprintf(", damaged rows %d", n)
	}
	s.job.Progress(total, 0, text)
}
