// SPDX-License-Identifier: Apache-2.0

package object

import (
	"context"
	"fmt"

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

// ListVersions returns a page of versions and delete markers.
func (o *Objects) ListVersions(ctx context.Context, _ iam.Caller, in ListVersions) (VersionListing, error) {
	b, err := o.buckets.Find(ctx, in.Ref)
	if err != nil {
		return VersionListing{}, err
	}
	limit := min(in.Max, maxList)
	if limit <= 0 {
		return VersionListing{}, nil
	}
	m, err := o.mergeVersions(ctx, b, in, limit)
	if err != nil {
		return VersionListing{}, err
	}
	out := VersionListing{}
	for {
		r, latest, err := m.next(ctx)
		if err != nil {
			return VersionListing{}, fmt.Errorf("list versions of %q: %w", in.Bucket, err)
		}
		if r == nil {
			return out, nil
		}
		if len(out.Entries)+len(out.Prefixes) == limit {
			out.Truncated = true
			return out, nil
		}
		if group, ok := commonPrefix(r.Key, in.Prefix, in.Delimiter); ok {
			out.Prefixes = append(out.Prefixes, group)
			out.NextKey, out.NextVersion = group, ""
			m.skip(group)
			continue
		}
		e := entry(r)
		e.Latest = latest
		out.Entries = append(out.Entries, e)
		out.NextKey, out.NextVersion = e.Key, e.VersionID
	}
}

// merge yields the current version of each key and then its others.
type merge struct {
	current, others *walk
	c, v            *record // read ahead; nil when to be read
	cDone, vDone    bool
}

func (o *Objects) mergeVersions(ctx context.Context, b *bucket.Bucket, in ListVersions, limit int) (*merge, error) {
	m := &merge{
		current: newWalk(o.store, bucketPrefix("c/", b.UID), 0, in.Prefix, in.Delimiter, in.KeyMarker, limit+1),
		others:  newWalk(o.store, bucketPrefix("v/", b.UID), versionSuffix, in.Prefix, in.Delimiter, in.KeyMarker, limit+1),
	}
	if in.VersionMarker == "" {
		return m, nil
	}
	if in.KeyMarker == "" {
		return nil, fault.New(InvalidArgument, "A version-id marker cannot be specified without a key marker.").
			With("ArgumentName", "version-id-marker").With("ArgumentValue", in.VersionMarker)
	}
	row, err := o.markerRow(ctx, b, in)
	if err != nil {
		return nil, err
	}
	// Within the key: its current version has been listed, of its others those
	// up to the marker.
	m.others = newWalk(o.store, bucketPrefix("v/", b.UID), versionSuffix, in.Prefix, in.Delimiter, "", limit+1)
	m.others.seek(row)
	return m, nil
}

// markerRow returns from where a listing goes on that ended at a version.
func (o *Objects) markerRow(ctx context.Context, b *bucket.Bucket, in ListVersions) ([]byte, error) {
	cur, _, err := o.current(ctx, b, in.KeyMarker)
	if err != nil {
		return nil, err
	}
	first := versionsPrefix(b.UID, in.KeyMarker)
	if in.VersionMarker != Null {
		id, err := parseVersionID(in.VersionMarker)
		if err != nil {
			return nil, err
		}
		if cur != nil && !cur.Null && cur.id() == id {
			return first, nil
		}
		return append(versionKey(b.UID, in.KeyMarker, id), 0), nil
	}
	if cur != nil && cur.Null {
		return first, nil
	}
	row, err := o.otherVersion(ctx, b, in.KeyMarker, Null, versionID{})
	if row == nil { // deleted since: go on behind the key
		return meta.PrefixEnd(first), err
	}
	return append(row, 0), err
}

// next returns the next version, nil at the end.
func (m *merge) next(ctx context.Context) (r *record, latest bool, err error) {
	if err := fill(ctx, m.current, &m.c, &m.cDone); err != nil {
		return nil, false, err
	}
	if err := fill(ctx, m.others, &m.v, &m.vDone); err != nil {
		return nil, false, err
	}
	if m.c != nil && (m.v == nil || m.c.Key <= m.v.Key) {
		r, m.c = m.c, nil
		return r, true, nil
	}
	r, m.v = m.v, nil
	return r, false, nil
}

func fill(ctx context.Context, w *walk, into **record, done *bool) error {
	if *into != nil || *done {
		return nil
	}
	item, _, err := w.next(ctx)
	if err != nil {
		return err
	}
	if item.Key == nil {
		*done = true
		return nil
	}
	*into, err = decodeRecord(item.Value)
	return err
}

// skip moves on behind a group of keys.
func (m *merge) skip(group string) {
	in := func(r *record) bool { return r != nil && len(r.Key) >= len(group) && r.Key[:len(group)] == group }
	if in(m.c) {
		m.c = nil
	}
	if in(m.v) {
		m.v = nil
	}
	m.current.skip(group)
	m.others.skip(group)
}
