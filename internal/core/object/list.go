// SPDX-License-Identifier: Apache-2.0

package object

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// maxList is the most entries of a page.
const maxList = 1000

// List asks for the current objects of a bucket, in key order.
type List struct {
	bucket.Ref
	Prefix    string
	Delimiter string
	After     string // go on after this key, or after this common prefix
	// OverGroup says that a key in After stands for the common prefix that it lies in,
	// as the marker of the older listings does, and not a start-after.
	OverGroup bool
	Max       int // entries and common prefixes at most; over 1000 is 1000
}

// Needs says what the request must be allowed.
func (in List) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:ListBucket", Resource: aws.BucketARN(in.Bucket)}}
}

// Entry is an object in a listing.
type Entry struct {
	Key          string
	VersionID    string // of a version listing
	Latest       bool
	Marker       bool
	Size         int64
	ETag         string
	Modified     int64 // ms
	StorageClass string
	Owner        string
	Restored     time.Time // as Object's
	Checksum     Checksum  // its algorithm and type; a listing shows no value
}

// Listing is a page. Next is the After with which to go on when Truncated.
type Listing struct {
	Entries   []Entry
	Prefixes  []string // common prefixes
	Truncated bool
	Next      string
}

// List returns a page of current objects. Its cost is that of the page: a group of
// keys behind a common prefix is stepped over by one seek.
func (o *Objects) List(ctx context.Context, _ iam.Caller, in List) (Listing, error) {
	b, err := o.buckets.Find(ctx, in.Ref)
	if err != nil {
		return Listing{}, err
	}
	limit := min(in.Max, maxList)
	if limit <= 0 {
		return Listing{}, nil
	}
	out := Listing{}
	after := in.After
	if in.OverGroup {
		after = overGroup(after, in.Prefix, in.Delimiter)
	}
	w := newWalk(o.store, bucketPrefix("c/", b.UID), 0, in.Prefix, in.Delimiter, after, limit+1)
	for {
		item, key, err := w.next(ctx)
		if err != nil {
			return Listing{}, fmt.Errorf("list %q: %w", in.Bucket, err)
		}
		if item.Key == nil {
			return out, nil
		}
		r, err := decodeRecord(item.Value)
		if err != nil {
			return Listing{}, err
		}
		if r.Marker {
			continue
		}
		if len(out.Entries)+len(out.Prefixes) == limit {
			out.Truncated = true
			return out, nil
		}
		if group, ok := commonPrefix(key, in.Prefix, in.Delimiter); ok {
			out.Prefixes = append(out.Prefixes, group)
			out.Next = group
			w.skip(group)
			continue
		}
		out.Entries = append(out.Entries, entry(r))
		out.Next = key
	}
}

func entry(r *record) Entry {
	return Entry{
		Key: r.Key, VersionID: r.wireVersion(), Marker: r.Marker, Size: r.Size, ETag: r.ETag, Modified: r.Created,
		Restored:     restoredUntil(r.StorageClass, r.Restored),
		StorageClass: r.StorageClass, Owner: r.Owner, Checksum: r.Checksum,
	}
}

// commonPrefix returns the group of a key: its part up to and with the first
// delimiter behind the prefix.
func commonPrefix(key, prefix, delimiter string) (string, bool) {
	if delimiter == "" {
		return "", false
	}
	i := strings.Index(key[len(prefix):], delimiter)
	if i < 0 {
		return "", false
	}
	return key[:len(prefix)+i+len(delimiter)], true
}

// walk goes through rows of the form <base><escaped key><suffix> in order.
type walk struct {
	store      meta.Store
	base       []byte
	suffix     int // bytes behind the key in each row
	start, end []byte
	page       []meta.Item
	more       bool
	batch      int
	keysOnly   bool
	seeks      int // scans made, for tests of a listing's cost
}

func newWalk(store meta.Store, base []byte, suffix int, prefix, delimiter, after string, batch int) *walk {
	w := &walk{store: store, base: base, suffix: suffix, more: true, batch: batch}
	from := appendKey(bytes.Clone(base), prefix)
	w.start, w.end = from, meta.PrefixEnd(from)
	if after >= prefix && after != "" {
		if group, ok := groupOf(after, prefix, delimiter); ok {
			w.skip(group)
		} else {
			w.startAfter(after)
		}
	}
	if delimiter != "" {
		// Most rows of a page may be stepped over unread: fetch few at a time.
		w.batch = min(w.batch, delimiterBatch)
	}
	return w
}

// delimiterBatch is how many rows a delimited listing reads at a time. A listing
// of flat keys pays some more scans for it, one of deep trees reads little in vain.
const delimiterBatch = 100

// scanBytes bounds what one scan holds in memory: the record of a large
// multipart object is half a megabyte.
const scanBytes = 4 << 20

// groupOf tells whether a marker is a group that has been listed already, which
// is then stepped over. A key inside a group is one like others: what comes after it
// in the group still shows as the group.
func groupOf(after, prefix, delimiter string) (string, bool) {
	if !strings.HasPrefix(after, prefix) {
		return "", false
	}
	group, ok := commonPrefix(after, prefix, delimiter)
	return group, ok && group == after
}

// overGroup returns the group that a marker lies in, or the marker.
func overGroup(after, prefix, delimiter string) string {
	if strings.HasPrefix(after, prefix) {
		if group, ok := commonPrefix(after, prefix, delimiter); ok {
			return group
		}
	}
	return after
}

// startAfter moves on to the first row whose key is greater.
func (w *walk) startAfter(key string) {
	from := append(appendKey(bytes.Clone(w.base), key), 0)
	if w.suffix > 0 { // all rows of the key itself: 00 00 …
		from = append(from, 1)
	}
	w.seek(from)
}

// skip moves on behind all keys that begin with group.
func (w *walk) skip(group string) {
	w.seek(meta.PrefixEnd(appendKey(bytes.Clone(w.base), group)))
}

func (w *walk) seek(from []byte) {
	if from == nil {
		w.page, w.more = nil, false
		return
	}
	for len(w.page) > 0 && bytes.Compare(w.page[0].Key, from) < 0 {
		w.page = w.page[1:]
	}
	if len(w.page) == 0 && bytes.Compare(from, w.start) > 0 {
		w.start = from
	}
}

// next returns the next row and its key; a row without a key is the end.
func (w *walk) next(ctx context.Context) (meta.Item, string, error) {
	if len(w.page) == 0 && w.more {
		if w.end != nil && bytes.Compare(w.start, w.end) >= 0 {
			w.more = false
			return meta.Item{}, "", nil
		}
		page, err := w.store.Scan(ctx, meta.Range{Start: w.start, End: w.end, Limit: w.batch, MaxBytes: scanBytes, KeysOnly: w.keysOnly})
		if err != nil {
			return meta.Item{}, "", err
		}
		w.seeks++
		w.page, w.more, w.start = page.Items, page.More, page.Next
	}
	if len(w.page) == 0 {
		return meta.Item{}, "", nil
	}
	item := w.page[0]
	w.page = w.page[1:]
	if len(item.Key) < len(w.base)+w.suffix {
		return meta.Item{}, "", fmt.Errorf("row %q is too short", item.Key)
	}
	return item, rowObjectKey(item.Key[len(w.base) : len(item.Key)-w.suffix]), nil
}
