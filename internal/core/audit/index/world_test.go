// SPDX-License-Identifier: Apache-2.0

package index

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cofferstore/coffer/internal/core/audit"
)

// world is a trail with an index.
type world struct {
	*testing.T
	fs    *vfs.MemFS
	trail *audit.Trail
	index *Index
	size  int64 // of the trail's files
	per   int   // records of a block, if not as many as there can be
	wrote []string
	now   time.Time
	dice  *rand.Rand
}

func newWorld(t *testing.T, size int64) *world {
	w := &world{
		T: t, fs: vfs.NewMem(), size: size, now: time.Date(2026, 3, 4, 5, 0, 0, 0, time.UTC), dice: rand.New(rand.NewPCG(1, 2)),
	}
	w.open()
	t.Cleanup(w.close)
	return w
}

func (w *world) open() {
	w.Helper()
	var err error
	if w.trail, err = audit.Open(w.Context(), "audit", audit.Config{FS: w.fs, MaxSize: w.size}); err != nil {
		w.Fatal(err)
	}
	if w.index, err = Open(w.trail, "audit", Config{FS: w.fs}); err != nil {
		w.Fatal(err)
	}
	if w.per > 0 {
		w.index.perBlock = w.per
	}
}

func (w *world) close() {
	if err := w.trail.Close(); err != nil {
		w.Error(err)
	}
}

func (w *world) reopen() {
	w.close()
	w.open()
}

// step indexes what there is.
func (w *world) step() {
	w.Helper()
	if _, err := w.index.Step(w.Context()); err != nil {
		w.Fatal(err)
	}
}

func (w *world) append(r audit.Record) {
	w.Helper()
	if r.EventID == "" {
		r.EventID = fmt.Sprintf("event-%06d", len(w.wrote))
	}
	if r.EventTime.IsZero() {
		r.EventTime = w.now
	}
	if r.RecipientAccountID == "" {
		r.RecipientAccountID = "111122223333"
	}
	w.wrote = append(w.wrote, r.EventID)
	if err := w.trail.Append(w.Context(), r, true); err != nil {
		w.Fatal(err)
	}
}

func objectARN(bucket, key string) string { return "arn:aws:s3:::" + bucket + "/" + key }

// access is a data event of an object.
func access(event, bucket, key, user string) audit.Record {
	arn := objectARN(bucket, key)
	return audit.Record{
		UserIdentity: audit.Identity{
			Type: "IAMUser", PrincipalID: "AIDA" + user, ARN: "arn:aws:iam::111122223333:user/" + user, AccountID: "111122223333",
			AccessKeyID: "AKIA" + user, UserName: user,
		},
		EventSource: "s3.amazonaws.com", EventName: event, AWSRegion: "us-east-1", SourceIPAddress: "203.0.113.9",
		ReadOnly: event == "GetObject", EventType: audit.TypeAPICall, EventCategory: audit.Data,
		RequestParameters: map[string]any{"bucketName": bucket, "key": key},
		Resources:         []audit.Resource{{Type: "AWS::S3::Object", ARN: arn}, {AccountID: "111122223333", Type: "AWS::S3::Bucket", ARN: "arn:aws:s3:::" + bucket}},
	}
}

// some appends records of many kinds, a second apart.
func (w *world) some(n int) {
	w.Helper()
	for range n {
		w.now = w.now.Add(time.Second)
		bucket := fmt.Sprintf("bucket-%d", w.dice.IntN(3))
		r := access([]string{"GetObject", "PutObject"}[w.dice.IntN(2)], bucket, fmt.Sprintf("dir%d/%d", w.dice.IntN(4), w.dice.IntN(3)), fmt.Sprintf("user%d", w.dice.IntN(5)))
		if w.dice.IntN(5) == 0 {
			r.ErrorCode = "AccessDenied"
		}
		w.append(r)
	}
}

// found returns the ids of the events of a query, page by page when it has a limit.
func (w *world) found(q Query) (ids []string) {
	w.Helper()
	for {
		page, err := w.index.Search(w.Context(), q, nil)
		if err != nil {
			w.Fatal(err)
		}
		if q.Limit > 0 && len(page.Events) > q.Limit {
			w.Fatalf("a page of %d events", len(page.Events))
		}
		for _, e := range page.Events {
			ids = append(ids, e.EventID)
		}
		if page.Token == "" {
			return ids
		}
		q.Token = page.Token
	}
}

// events returns the events of a query.
func (w *world) events(q Query) []Event {
	w.Helper()
	page, err := w.index.Search(w.Context(), q, nil)
	if err != nil {
		w.Fatal(err)
	}
	return page.Events
}

// expected is what found has to return: by reading all.
func (w *world) expected(q Query) (ids []string) {
	w.Helper()
	p, err := newPlan(q)
	if err != nil {
		w.Fatal(err)
	}
	var f facts
	_, err = w.trail.Consume(w.Context(), audit.Position{}, func(l audit.Line) error {
		if f.of(l.JSON); f.match(p) {
			e, _ := newEvent(l.At, l.JSON)
			ids = append(ids, e.EventID)
		}
		return nil
	})
	if err != nil {
		w.Fatal(err)
	}
	if !q.OldestFirst {
		slices.Reverse(ids)
	}
	return ids
}
