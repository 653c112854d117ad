// SPDX-License-Identifier: Apache-2.0

package object

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/core/acl"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/store/meta"
	metamem "github.com/cofferstore/coffer/internal/store/meta/mem"
)

// mirror replicates two buckets to each other. What is to be done is in rows.
type mirror struct {
	w    *world
	uids map[string]bucket.UID
	next atomic.Int64
}

type mirrored struct {
	From, To, Key, VersionID string
	Operation                Operation
}

const mirrorRows = "mirror/"

func (m *mirror) Plan(_ context.Context, b *meta.Batch, c ReplicaChange) ([]string, func(), error) {
	if c.Replica && (c.Operation == OpPut || c.Operation == OpMarker) {
		return nil, nil, errors.New("a replica is to be replicated")
	}
	t := mirrored{From: c.Bucket.Name, To: "one", Key: c.Key, VersionID: c.VersionID, Operation: c.Operation}
	if t.From == "one" {
		t.To = "two"
	}
	row, err := json.Marshal(t)
	b.Put(fmt.Appendf(nil, "%s%08d", mirrorRows, m.next.Add(1)), row)
	return []string{t.To}, nil, err
}

// work does what is to be done, as far as that succeeds, and returns how much was left.
func (m *mirror) work(ctx context.Context) (left int, err error) {
	page, err := m.w.rows.Scan(ctx, meta.Range{Start: []byte(mirrorRows), End: meta.PrefixEnd([]byte(mirrorRows))})
	if err != nil {
		return 0, err
	}
	for _, item := range page.Items {
		var t mirrored
		if err := json.Unmarshal(item.Value, &t); err != nil {
			return 0, err
		}
		from := bucket.Ref{Bucket: t.From}
		out, failed := m.w.objects.Replicate(ctx, alice, Replicate{
			Source: from, SourceUID: m.uids[t.From], Key: t.Key, VersionID: t.VersionID, Destination: t.To, Operation: t.Operation,
		})
		if failed == nil {
			failed = m.w.objects.Replicated(ctx, from, m.uids[t.From], t.Key, t.VersionID, t.To, ReplicaCompleted, out.Taken, func(b *meta.Batch) {
				b.Delete(item.Key)
			})
		}
		if failed != nil {
			left, err = left+1, failed
		}
	}
	return left, err
}

// all lists a bucket's versions with all that is to be the same in the other.
func (m *mirror) all(name string) string {
	m.w.t.Helper()
	ctx := m.w.t.Context()
	l, err := m.w.objects.ListVersions(ctx, alice, ListVersions{Ref: bucket.Ref{Bucket: name}, Max: 1000})
	if err != nil || l.Truncated {
		m.w.t.Fatal(l.Truncated, err)
	}
	var out []string
	for _, e := range l.Entries {
		line := fmt.Sprint(e.Key, " ", e.VersionID, " ", e.Latest, e.Marker, e.Size, e.ETag, e.Modified)
		if !e.Marker {
			tags, err := m.w.objects.Tagging(ctx, alice, GetTagging{VersionRef{ref(name, e.Key), e.VersionID}})
			data, o := m.w.get(read(name, e.Key, e.VersionID))
			list, failed := m.w.objects.GetACL(ctx, alice, GetACL{VersionRef{ref(name, e.Key), e.VersionID}})
			line += fmt.Sprint(list.Grants, failed, o.Lock)
			line += fmt.Sprint(tags.Tags, err, len(data), o.Replication == StatusPending || o.Replication == StatusFailed || o.Replication == "")
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

// TestTwoBucketsConverge lets clients write to and tag the same keys in two buckets that are
// replicated to each other, over a store that now and then loses an answer or fails, while
// what is to be replicated is. In the end both have the same versions in the same order.
func TestTwoBucketsConverge(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed) // the scheduler chooses too
	for round := range uint64(8) {
		rows := &staged{Store: metamem.New()}
		w := newWorldOver(t, small, rows)
		m := &mirror{w: w, uids: map[string]bucket.UID{}}
		p := &replicator{w: w, to: map[string][]string{}}
		w.objects.ReplicateWith(m)
		for _, name := range []string{"one", "two"} {
			w.bucket(name, bucket.Enabled)
			m.uids[name] = w.uid(name)
			w.lockable(name)
			w.writers(name)
			w.delete(name, "warm", w.put(put(name, "warm", nil)).VersionID)
		}
		p.from("one", "two")
		p.from("two", "one")
		var both [2]string // versions that are in both buckets
		for i, name := range []string{"one", "two"} {
			both[i] = w.put(put(name, fmt.Sprint("k", i), pattern(i))).VersionID
		}
		if left, err := m.work(t.Context()); left > 0 || err != nil {
			t.Fatal(left, err)
		}
		rows.direct(unreliable(seed + round))
		ctx := t.Context()
		var clients sync.WaitGroup
		for c := range 4 {
			rng := rand.New(rand.NewPCG(seed+round, uint64(c)))
			clients.Go(func() {
				for n := range 12 {
					k := rng.IntN(2)
					name, key := []string{"one", "two"}[rng.IntN(2)], fmt.Sprint("k", k)
					at := VersionRef{Ref: ref(name, key)}
					if rng.IntN(2) == 0 {
						at.VersionID = both[k]
					}
					switch rng.IntN(9) {
					case 0, 1:
						_, _ = w.objects.Put(ctx, alice, put(name, key, pattern(rng.IntN(300))))
					case 2:
						_, _ = w.objects.Delete(ctx, alice, Delete{VersionRef: VersionRef{Ref: ref(name, key)}})
					case 3:
						_, _ = w.objects.PutACL(ctx, alice, PutACL{VersionRef: at, ACL: acl.Asked{Grants: acl.List{{ID: fmt.Sprintf("%064x", c), Permission: acl.Read}}}})
					case 4, 5:
						_, _ = w.objects.PutLegalHold(ctx, alice, PutLegalHold{VersionRef: at, Hold: []LegalHold{HoldOn, HoldOff}[rng.IntN(2)]})
					case 6:
						until := time.Now().Add(time.Duration(1+rng.IntN(5)) * time.Hour)
						_, _ = w.objects.PutRetention(ctx, alice, PutRetention{VersionRef: at, Mode: bucket.Governance, Until: until, May: may})
					default:
						tags := []bucket.Tag{{Key: "by", Value: fmt.Sprint(c, n)}}
						_, _ = w.objects.PutTagging(ctx, alice, PutTagging{VersionRef: at, Tags: tags})
					}
				}
			})
		}
		done := make(chan struct{})
		var worker sync.WaitGroup
		worker.Go(func() {
			for round%2 == 0 { // else each bucket is by itself until the end
				_, _ = m.work(ctx)
				select {
				case <-done:
					return
				default:
				}
			}
		})
		clients.Wait()
		close(done)
		worker.Wait()
		rows.direct(nil)
		for range 2 { // what was left, and nothing new of it
			if left, err := m.work(ctx); left > 0 || err != nil {
				t.Fatalf("seed %d: %d, %v", seed+round, left, err)
			}
		}
		if a, b := m.all("one"), m.all("two"); a != b {
			t.Fatalf("seed %d:\none\n%s\ntwo\n%s", seed+round, a, b)
		}
		if err := w.consistent(false); err != nil {
			t.Errorf("seed %d: %v", seed+round, err)
		}
	}
}
