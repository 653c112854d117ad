// SPDX-License-Identifier: Apache-2.0

package object

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/bucketkey"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// ScrubReport is how far a scrub has come, or what it found in the end.
type ScrubReport struct {
	Rows    int64    `json:"rows"`    // metadata rows read and authenticated
	Streams int64    `json:"streams"` // streams read
	Bytes   int64    `json:"bytes"`   // stored bytes read
	Opened  int64    `json:"opened"`  // streams whose segments were opened, in a deep scrub
	Damaged []Damage `json:"damaged,omitempty"`
	Done    bool     `json:"done"`
}

// Damage is something that is not what was written.
type Damage struct {
	Bucket string `json:"bucket,omitempty"`
	Key    string `json:"key,omitempty"`
	Stream string `json:"stream,omitempty"`
	What   string `json:"what"`
}

// maxDamage bounds the list in a report; what is beyond it is in the log of the
// next scrub, after the first has been mended.
const maxDamage = 1000

// scrubEvery is how many streams pass between two reports.
const scrubEvery = 256

// Scrub reads all rows and all streams and compares them with what is known of
// them: every row with its authentication code, every stream with its length and
// CRC. That needs no key. A deep scrub also opens the segments of objects under
// SSE-S3, whose key is the service's own. Damage is marked in the stream's row,
// and a mark is taken off a stream that reads clean. report is called now and
// then, and at the end.
func (o *Objects) Scrub(ctx context.Context, deep bool, report func(ScrubReport)) error {
	s := &scrub{o: o, deep: deep, report: report, names: map[bucket.UID]string{}}
	if err := s.rows(ctx); err != nil {
		return err
	}
	if err := s.counters(ctx); err != nil {
		return err
	}
	s.out.Done = true
	report(s.out)
	return nil
}

// counters holds the counters of what depends on keys against the rows.
func (s *scrub) counters(ctx context.Context) error {
	wrong, err := s.o.miscounted(ctx)
	if err != nil {
		return fmt.Errorf("scrub counters: %w", err)
	}
	for row, n := range wrong {
		s.found(Damage{What: fmt.Sprintf("counter %q is wrong by %d", row, -n)})
	}
	return nil
}

type scrub struct {
	o      *Objects
	deep   bool
	report func(ScrubReport)
	names  map[bucket.UID]string
	out    ScrubReport
}

func (s *scrub) found(d Damage) {
	if len(s.out.Damaged) < maxDamage {
		s.out.Damaged = append(s.out.Damaged, d)
	}
}

// rows walks through the whole store.
func (s *scrub) rows(ctx context.Context) error {
	r := meta.Range{Start: []byte{0}, Limit: 500, MaxBytes: scanBytes}
	for {
		page, err := s.o.scanAround(ctx, r, func(key []byte, _ error) {
			s.found(Damage{What: fmt.Sprintf("row %q", key)})
		})
		if err != nil {
			return fmt.Errorf("scrub rows: %w", err)
		}
		for _, item := range page.Items {
			s.out.Rows++
			if err := s.row(ctx, item); err != nil {
				return err
			}
		}
		if !page.More {
			return nil
		}
		r.Start = page.Next
	}
}

// scanAround is Scan for work that a damaged row must not stop. Such a row fails
// the scan that meets it; then the rows are read one by one, and it is left out.
func (o *Objects) scanAround(ctx context.Context, r meta.Range, damaged func(key []byte, err error)) (meta.Page, error) {
	page, err := o.store.Scan(ctx, r)
	if !errors.Is(err, meta.Damaged) {
		return page, err
	}
	r.KeysOnly = true
	if page, err = o.store.Scan(ctx, r); err != nil {
		return meta.Page{}, err
	}
	whole := page.Items[:0:0]
	for _, item := range page.Items {
		// Not Get, which may answer from memory.
		one, err := o.store.Scan(ctx, meta.Range{Start: item.Key, End: append(bytes.Clone(item.Key), 0), Limit: 1})
		switch {
		case errors.Is(err, meta.Damaged):
			damaged(item.Key, err)
		case err != nil:
			return meta.Page{}, err
		default:
			whole = append(whole, one.Items...)
		}
	}
	page.Items = whole
	return page, nil
}

// row looks at the streams that a row names.
func (s *scrub) row(ctx context.Context, item meta.Item) error {
	switch prefix, _, _ := bytes.Cut(item.Key, []byte("/")); string(prefix) {
	case "c", "v":
		r, err := decodeRecord(item.Value)
		if err != nil {
			s.found(Damage{What: fmt.Sprintf("row %q: %v", item.Key, err)})
			return nil
		}
		for _, p := range r.Parts {
			if err := s.stream(ctx, r, p, r.Body.StoredSize(p.Size), func() bool { return s.removed(ctx, r) }); err != nil {
				return err
			}
		}
		for a := range r.Annotations.all("") {
			gone := func() bool { return s.removed(ctx, r) || s.unannotated(ctx, r, a) }
			if err := s.stream(ctx, r, a.part(), a.format(r.Body).StoredSize(a.Size), gone); err != nil {
				return err
			}
		}
	case "up":
		p, err := decodeUploadedPart(item.Value)
		if err != nil {
			s.found(Damage{What: fmt.Sprintf("row %q: %v", item.Key, err)})
			return nil
		}
		return s.stream(ctx, nil, p.part, p.Stored, func() bool { return s.replaced(ctx, item) })
	}
	return nil
}

// stream reads one stream. r is the version that it belongs to, nil for a part of
// an upload under way; stored is how long the stream must be. gone reports that what
// names the stream went meanwhile.
func (s *scrub) stream(ctx context.Context, r *record, p part, stored int64, gone func() bool) error {
	err := s.check(ctx, p, stored)
	if err == nil && s.deep && r != nil {
		err = s.openAll(ctx, r, p, stored)
		if errors.Is(err, bucketkey.NoGeneration) { // re-wrapped since its row was read?
			if now := s.again(ctx, r); now != nil {
				err = s.openAll(ctx, now, p, stored)
			}
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil && gone() {
		return nil
	}
	if err != nil {
		d := Damage{Stream: p.Stream.String(), What: err.Error()}
		if r != nil {
			d.Bucket, d.Key = s.bucketName(ctx, r.Bucket), r.Key
		}
		s.found(d)
	}
	if markErr := s.o.reportDamage(ctx, p.Stream, err != nil); markErr != nil {
		return fmt.Errorf("mark stream %s: %w", p.Stream, markErr)
	}
	if s.out.Streams++; s.out.Streams%scrubEvery == 0 {
		s.report(s.out)
	}
	return nil
}

// again reads a version's row once more; nil when it is gone.
func (s *scrub) again(ctx context.Context, r *record) *record {
	for _, row := range [][]byte{currentKey(r.Bucket, r.Key), versionKey(r.Bucket, r.Key, r.id()), currentKey(r.Bucket, r.Key)} {
		if now, _, err := s.o.row(ctx, r.Bucket, r.Key, row); err == nil && now != nil && now.id() == r.id() {
			return now
		}
	}
	return nil
}

// removed reports that the version went while it was looked at. Both rows where it
// may be are read in one snapshot, for it moves between them.
func (s *scrub) removed(ctx context.Context, r *record) bool {
	items, err := s.o.store.Get(ctx, currentKey(r.Bucket, r.Key), versionKey(r.Bucket, r.Key, r.id()))
	if err != nil || items[1].Ver != 0 {
		return false
	}
	now, err := recordIn(items[0], r.Bucket, r.Key)
	return err == nil && (now == nil || now.id() != r.id())
}

// unannotated reports that the version's annotation went, or was put anew.
func (s *scrub) unannotated(ctx context.Context, r *record, a annotation) bool {
	now := s.again(ctx, r)
	if now == nil {
		return false
	}
	is, ok := now.Annotations.find(a.Name)
	return !ok || is.Stream != a.Stream
}

// replaced reports that the part went while it was looked at. If it became an
// object's, another scrub finds it there.
func (s *scrub) replaced(ctx context.Context, was meta.Item) bool {
	now, err := meta.Get1(ctx, s.o.store, was.Key)
	return err == nil && now.Ver != was.Ver
}

// check compares a stream's stored bytes with the part table.
func (s *scrub) check(ctx context.Context, p part, stored int64) error {
	open, err := s.o.open(ctx, p.Stream, stored)
	if err != nil {
		return err
	}
	body, err := open(0, stored)
	if err != nil {
		return err
	}
	defer body.Close()
	h := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	n, err := io.Copy(h, body)
	s.out.Bytes += n
	switch {
	case err != nil:
		return err
	case n != stored:
		return fmt.Errorf("%d of %d stored bytes", n, stored)
	case h.Sum32() != p.CRC32C:
		return errors.New("checksum of the stored bytes differs")
	}
	return nil
}

// openAll opens the segments of a stream whose key the service may use.
func (s *scrub) openAll(ctx context.Context, r *record, p part, stored int64) error {
	b := &bucket.Bucket{UID: r.Bucket, Name: s.bucketName(ctx, r.Bucket)}
	a, err := s.o.keys.Applied(ctx, keyBucket(b), r.Key, r.Wrap)
	if err != nil || !a.ByService() {
		return err
	}
	opening, err := s.o.opening(ctx, iam.Caller{Principal: iam.Principal{Type: iam.AWSService, ARN: "coffer:scrub"}}, b, r, sse.CustomerKey{})
	if err != nil {
		return err
	}
	defer opening.Clear()
	open, err := s.o.open(ctx, p.Stream, stored)
	if err != nil {
		return err
	}
	plain := opening.NewReader(p.Stream, p.Size, open).Range(0, p.Size)
	defer plain.Close()
	if _, err := io.Copy(io.Discard, plain); err != nil {
		return err
	}
	s.out.Opened++
	return nil
}

func (s *scrub) bucketName(ctx context.Context, uid bucket.UID) string {
	name, ok := s.names[uid]
	if !ok {
		name = s.o.buckets.NameOf(ctx, uid)
		s.names[uid] = name
	}
	return name
}
