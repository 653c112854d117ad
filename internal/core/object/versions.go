// SPDX-License-Identifier: Apache-2.0

package object

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// ListVersions asks for all versions in a bucket: in key order, and for each key
// from the newest to the oldest.
type ListVersions struct {
	bucket.Ref
	Prefix, Delimiter string
	KeyMarker         string // go on after this key …
	VersionMarker     string // … or, with this, after this version of it
	Max               int
}

// Needs says what the request must be allowed.
func (in ListVersions) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:ListBucketVersions", Resource: aws.BucketARN(in.Bucket)}}
}

// VersionListing is a page. NextKey and NextVersion are the markers with which to
// go on when Truncated.
type VersionListing struct {
	Entries     []Entry
	Prefixes    []string
	Truncated   bool
	NextKey     string
	NextVersion string // "" after a common prefix
}

// ListVersions returns a page of versions and delete markers. Current versions and
// the others are in rows of different kinds, which no one snapshot shows, and a
// version that moves from one to the other meanwhile might be listed twice or not at
// all. So a page counts only if the current versions in it are the same afterwards;
// if not, a shorter one is tried, which S3 allows.
func (o *Objects) ListVersions(ctx context.Context, _ iam.Caller, in ListVersions) (VersionListing, error) {
	b, err := o.buckets.Find(ctx, in.Ref)
	if err != nil {
		return VersionListing{}, err
	}
	limit := min(in.Max, maxList)
	if limit <= 0 {
		return VersionListing{}, nil
	}
	if group := overGroup(in.KeyMarker, in.Prefix, in.Delimiter); group != in.KeyMarker {
		in.KeyMarker, in.VersionMarker = group, "" // nothing of a group is listed version by version
	}
	for range maxConflicts {
		out, moved, err := o.listVersions(ctx, b, in, limit)
		if err != nil {
			return VersionListing{}, fmt.Errorf("list versions of %q: %w", in.Bucket, err)
		}
		if !moved {
			return out, nil
		}
		limit = max(limit/4, 1)
	}
	return VersionListing{}, fault.New(Busy, "")
}

// listVersions is one try of ListVersions.
func (o *Objects) listVersions(ctx context.Context, b *bucket.Bucket, in ListVersions, limit int) (out VersionListing, moved bool, err error) {
	m, err := o.mergeVersions(ctx, b, in, limit)
	if err != nil {
		return VersionListing{}, false, err
	}
	for {
		r, latest, err := m.next(ctx)
		if err != nil {
			return VersionListing{}, false, err
		}
		if r == nil {
			break
		}
		if len(out.Entries)+len(out.Prefixes) == limit {
			out.Truncated = true
			break
		}
		if group, ok := commonPrefix(r.Key, in.Prefix, in.Delimiter); ok {
			out.Prefixes = append(out.Prefixes, group)
			out.NextKey, out.NextVersion = group, ""
			m.skip(group)
			continue
		}
		m.note(r, latest)
		e := entry(r)
		e.Latest = latest
		out.Entries = append(out.Entries, e)
		out.NextKey, out.NextVersion = e.Key, e.VersionID
	}
	moved, err = o.movedSince(ctx, b, in, m.listed)
	return out, moved, err
}

// merge yields the current version of each key and then its others.
type merge struct {
	current, others ahead
	listed          []standing // the current versions on which the page rests
}

// ahead is a walk and the version that was read ahead of it.
type ahead struct {
	*walk
	r    *record // nil when it is to be read
	ver  uint64  // of its row
	done bool
}

// standing is the row of a current version as it was: version 0 when there was none.
type standing struct {
	key string
	ver uint64
}

// note remembers what the entry that r becomes rests on.
func (m *merge) note(r *record, latest bool) {
	switch n := len(m.listed); {
	case latest:
		m.listed = append(m.listed, standing{r.Key, m.current.ver})
	case n == 0 || m.listed[n-1].key != r.Key:
		m.listed = append(m.listed, standing{r.Key, 0})
	}
}

// movedSince reports whether one of the current versions is another one now.
func (o *Objects) movedSince(ctx context.Context, b *bucket.Bucket, in ListVersions, listed []standing) (bool, error) {
	w := newWalk(o.store, bucketPrefix("c/", b.UID), 0, in.Prefix, in.Delimiter, "", len(listed))
	w.keysOnly = true
	for _, was := range listed {
		if was.ver == 0 || in.VersionMarker != "" && was.key == in.KeyMarker { // not among those that the walk meets
			item, err := meta.Get1(ctx, o.store, currentKey(b.UID, was.key))
			if err != nil || item.Ver != was.ver {
				return true, err
			}
			continue
		}
		w.seek(currentKey(b.UID, was.key))
		item, key, err := w.next(ctx)
		if err != nil || item.Key == nil || key != was.key || item.Ver != was.ver {
			return true, err
		}
	}
	return false, nil
}

func (o *Objects) mergeVersions(ctx context.Context, b *bucket.Bucket, in ListVersions, limit int) (*merge, error) {
	m := &merge{
		current: ahead{walk: newWalk(o.store, bucketPrefix("c/", b.UID), 0, in.Prefix, in.Delimiter, in.KeyMarker, limit+1)},
		others:  ahead{walk: newWalk(o.store, bucketPrefix("v/", b.UID), versionSuffix, in.Prefix, in.Delimiter, in.KeyMarker, limit+1)},
	}
	if in.VersionMarker == "" {
		return m, nil
	}
	if in.KeyMarker == "" {
		return nil, fault.New(InvalidArgument, "A version-id marker cannot be specified without a key marker.").
			With("ArgumentName", "version-id-marker").With("ArgumentValue", in.VersionMarker)
	}
	at, err := o.markerRow(ctx, b, in)
	if err != nil {
		return nil, err
	}
	// Within the key: of its versions those up to the marker have been listed.
	m.others.walk = newWalk(o.store, bucketPrefix("v/", b.UID), versionSuffix, in.Prefix, in.Delimiter, "", limit+1)
	m.others.seek(at.row)
	if at.behind {
		m.current.walk = newWalk(o.store, bucketPrefix("c/", b.UID), 0, in.Prefix, in.Delimiter, "", limit+1)
		m.current.seek(currentKey(b.UID, in.KeyMarker))
		return m, nil
	}
	m.listed = []standing{{in.KeyMarker, at.ver}}
	return m, nil
}

// resumption is from where a listing goes on that ended at a version.
type resumption struct {
	row []byte // of the first version that is not current
	ver uint64 // of the current row of the key
	// behind says that the current version comes after the marker, too: those that
	// were listed are deleted since.
	behind bool
}

// markerRow finds where a listing goes on.
func (o *Objects) markerRow(ctx context.Context, b *bucket.Bucket, in ListVersions) (resumption, error) {
	cur, ver, err := o.current(ctx, b, in.KeyMarker)
	if err != nil {
		return resumption{}, err
	}
	first := versionsPrefix(b.UID, in.KeyMarker)
	if in.VersionMarker == Null && cur != nil && cur.Null {
		return resumption{row: first, ver: ver}, nil
	}
	var id versionID
	if in.VersionMarker == Null {
		pointer, err := meta.Get1(ctx, o.store, nullKey(b.UID, in.KeyMarker))
		if err != nil {
			return resumption{}, err
		}
		if pointer.Ver == 0 {
			// Nobody knows where it was. Who deletes what a page lists, and then asks
			// for the next, would miss all that is left, were it stepped over.
			return resumption{row: first, ver: ver, behind: true}, nil
		}
		id, err = pointedTo(pointer)
		if err != nil {
			return resumption{}, err
		}
	} else if id, err = parseVersionID("version-id-marker", in.VersionMarker); err != nil {
		return resumption{}, err
	}
	row := versionKey(b.UID, in.KeyMarker, id)
	if cur != nil {
		switch own := versionKey(b.UID, in.KeyMarker, cur.id()); bytes.Compare(own, row) {
		case 0:
			return resumption{row: first, ver: ver}, nil
		case 1:
			return resumption{row: first, ver: ver, behind: true}, nil
		}
	}
	return resumption{row: append(row, 0), ver: ver}, nil
}

// next returns the next version, nil at the end.
func (m *merge) next(ctx context.Context) (r *record, latest bool, err error) {
	if err := m.current.fill(ctx); err != nil {
		return nil, false, err
	}
	if err := m.others.fill(ctx); err != nil {
		return nil, false, err
	}
	c, v := &m.current, &m.others
	if c.r != nil && (v.r == nil || c.r.Key <= v.r.Key) {
		r, c.r = c.r, nil
		return r, true, nil
	}
	r, v.r = v.r, nil
	return r, false, nil
}

func (a *ahead) fill(ctx context.Context) error {
	if a.r != nil || a.done {
		return nil
	}
	item, _, err := a.walk.next(ctx)
	if err != nil {
		return err
	}
	if item.Key == nil {
		a.done = true
		return nil
	}
	a.ver = item.Ver
	if a.r, err = decodeRecord(item.Value); err != nil {
		return &undecoded{err}
	}
	return nil
}

// undecoded is the error of a row that is no record: the walk is behind it already.
type undecoded struct{ error }

func (e *undecoded) Unwrap() error { return e.error }

// skip moves on behind a group of keys.
func (m *merge) skip(group string) {
	for _, a := range []*ahead{&m.current, &m.others} {
		if a.r != nil && strings.HasPrefix(a.r.Key, group) {
			a.r = nil
		}
		a.walk.skip(group)
	}
}
