// SPDX-License-Identifier: Apache-2.0

package object

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/bucketkey"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// What depends on a KMS key is counted: versions of objects and uploads under way, by
// key and bucket, in the commits that make and remove them. The counters are rows
// "st/key/<key id>/<bucket's UID>". They say what is lost with a key, and nothing is
// decided by them.

const (
	dependentRows = "st/key/"
	// countedRow says that the counters have been there from the first row on, or were
	// made from the rows that there were.
	countedRow = "dependents"
)

func dependentKey(keyID string, uid bucket.UID) string {
	return dependentRows + keyID + "/" + hex.EncodeToString(uid[:])
}

// dependence is a wrapped data key that comes or goes.
type dependence struct {
	wrap []byte
	by   int64
}

// depend adds to a batch what its rows change in the counters. One that replaces an
// object under the same key changes nothing.
func (o *Objects) depend(ctx context.Context, batch *meta.Batch, uid bucket.UID, changes ...dependence) error {
	type sum struct {
		key string
		by  int64
	}
	sums := make([]sum, 0, 3)
	for _, c := range changes {
		if len(c.wrap) == 0 { // a delete marker
			continue
		}
		arn, err := o.keys.KeyARN(ctx, uid, c.wrap)
		if err != nil && c.by < 0 && isLost(err) {
			continue // whatever is damaged can be deleted; a scrub tells
		}
		if err != nil {
			return fmt.Errorf("find the key of an object: %w", err)
		}
		if arn == "" {
			continue
		}
		i := slices.IndexFunc(sums, func(s sum) bool { return s.key == arn })
		if i < 0 {
			i, sums = len(sums), append(sums, sum{key: arn})
		}
		sums[i].by += c.by
	}
	for _, s := range sums {
		if s.by != 0 {
			batch.Add([]byte(dependentKey(idOfKey(s.key), uid)), s.by)
		}
	}
	return nil
}

func isLost(err error) bool {
	return errors.Is(err, sse.Damaged) || errors.Is(err, bucketkey.Damaged) || errors.Is(err, bucketkey.NoGeneration)
}

// idOfKey returns what follows "key/" in a key's ARN.
func idOfKey(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

// Dependents counts what depends on a KMS key: buckets with an object or an upload under
// it, or whose default names it, and those objects and uploads. names reports whether
// a bucket's default, as it was written for an account, is the key.
func (o *Objects) Dependents(ctx context.Context, keyARN string, names func(account, key string) bool) (buckets, objects int, err error) {
	depending := map[string]bool{}
	counts, err := o.counters(ctx, dependentRows+idOfKey(keyARN)+"/")
	if err != nil {
		return 0, 0, err
	}
	for row, n := range counts {
		if n > 0 {
			depending[row[strings.LastIndexByte(row, '/')+1:]] = true
			objects += int(n)
		}
	}
	err = o.buckets.Each(ctx, func(b *bucket.Bucket) error {
		if d := b.Default(); d.KeyID != "" && names(b.Owner, d.KeyID) {
			depending[hex.EncodeToString(b.UID[:])] = true
		}
		return nil
	})
	return len(depending), objects, err
}

// counters reads the counters under a prefix.
func (o *Objects) counters(ctx context.Context, prefix string) (map[string]int64, error) {
	out := map[string]int64{}
	r := meta.Range{Start: []byte(prefix), End: meta.PrefixEnd([]byte(prefix))}
	for {
		page, err := o.store.Scan(ctx, r)
		if err != nil {
			return nil, fmt.Errorf("read counters: %w", err)
		}
		for _, item := range page.Items {
			if len(item.Value) != 8 {
				return nil, fault.New(meta.Damaged, "").Because(fmt.Errorf("counter %q has %d bytes", item.Key, len(item.Value)))
			}
			out[string(item.Key)] = int64(binary.BigEndian.Uint64(item.Value))
		}
		if !page.More {
			return out, nil
		}
		r.Start = page.Next
	}
}

// Counted makes the counters of a store that was written before there were any. It is
// called before the first request, and is quick when there is nothing to do.
func (o *Objects) Counted(ctx context.Context) error {
	done, err := meta.Get1(ctx, o.store, []byte(countedRow))
	if err != nil || done.Ver != 0 {
		return err
	}
	have, err := o.counters(ctx, dependentRows)
	if err != nil {
		return err
	}
	want, err := o.countAll(ctx)
	if err != nil {
		return err
	}
	var batch meta.Batch
	for row, n := range differences(want, have) {
		batch.Add([]byte(row), n)
	}
	batch.PutIf([]byte(countedRow), []byte{1}, 0)
	return o.commit(ctx, &batch)
}

// differences are what to add to have to make it want.
func differences(want, have map[string]int64) map[string]int64 {
	out := map[string]int64{}
	for row, n := range want {
		if d := n - have[row]; d != 0 {
			out[row] = d
		}
	}
	for row, n := range have {
		if _, ok := want[row]; !ok && n != 0 {
			out[row] = -n
		}
	}
	return out
}

// countAll counts the rows of all buckets, as the counters should.
func (o *Objects) countAll(ctx context.Context) (map[string]int64, error) {
	out := map[string]int64{}
	err := o.buckets.Each(ctx, func(b *bucket.Bucket) error {
		counts, err := o.countBucket(ctx, b.UID)
		maps.Copy(out, counts)
		return err
	})
	return out, err
}

// countBucket walks through a bucket's rows.
func (o *Objects) countBucket(ctx context.Context, uid bucket.UID) (map[string]int64, error) {
	out := map[string]int64{}
	for _, kind := range wrapKinds {
		prefix := bucketPrefix(kind, uid)
		r := meta.Range{Start: prefix, End: meta.PrefixEnd(prefix), MaxBytes: scanBytes}
		for {
			page, err := o.scanAround(ctx, r, func([]byte, error) {})
			if err != nil {
				return nil, fmt.Errorf("count what depends on keys: %w", err)
			}
			for _, item := range page.Items {
				arn, err := o.keyOfRow(ctx, uid, item, kind)
				if err != nil {
					return nil, err
				}
				if arn != "" {
					out[dependentKey(idOfKey(arn), uid)]++
				}
			}
			if !page.More {
				break
			}
			r.Start = page.Next
		}
	}
	return out, nil
}

func (o *Objects) keyOfRow(ctx context.Context, uid bucket.UID, item meta.Item, kind string) (string, error) {
	var wrap []byte
	if kind == "u/" {
		u, err := decodeUpload(item.Value)
		if err != nil {
			return "", nil // a scrub tells of damage
		}
		wrap = u.Wrap
	} else {
		r, err := decodeRecord(item.Value)
		if err != nil || r.Marker {
			return "", nil
		}
		wrap = r.Wrap
	}
	arn, err := o.keys.KeyARN(ctx, uid, wrap)
	if err != nil && isLost(err) {
		return "", nil
	}
	return arn, err
}

// miscounted compares the counters with the rows. Rows that change during a walk make
// a difference that another walk does not find again.
func (o *Objects) miscounted(ctx context.Context) (map[string]int64, error) {
	var last map[string]int64
	for range 3 {
		want, err := o.countAll(ctx)
		if err != nil {
			return nil, err
		}
		have, err := o.counters(ctx, dependentRows)
		if err != nil {
			return nil, err
		}
		found := differences(want, have)
		if last != nil {
			maps.DeleteFunc(found, func(row string, n int64) bool { return last[row] != n })
		}
		if last = found; len(found) == 0 {
			return nil, nil
		}
	}
	return last, nil
}
