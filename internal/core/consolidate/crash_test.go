// SPDX-License-Identifier: Apache-2.0

package consolidate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/jobs"
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// TestCrashBetweenAnyTwoCommits cuts the store off after each few commits, before or
// after it applied the last one, and reads everything with a node that knows nothing.
func TestCrashBetweenAnyTwoCommits(t *testing.T) {
	for _, budget := range []int{1, 2, 3} {
		for _, answered := range []bool{true, false} {
			t.Run(fmt.Sprintf("%d/answered=%t", budget, answered), func(t *testing.T) {
				inTime(t, func(t *testing.T, w *world) {
					w.bucket(bucket.Enabled)
					k := w.key()
					w.days(9, k)
					_, err := w.kms.RotateKeyOnDemand(t.Context(), alice, kms.KeyOnly{KeyId: k})
					w.must(err)
					crashes := 0
					for {
						// From the first commit on that is not as the last attempt left it.
						w.rows.set(func() { w.rows.armed, w.rows.after, w.rows.budget = true, !answered, budget })
						s := w.attempt()
						w.rows.set(func() { w.rows.armed = false })
						w.readable(fmt.Sprintf("after crash %d", crashes))
						if s.State == jobs.Done {
							break
						}
						if crashes++; crashes > 500 {
							t.Fatalf("no end: %+v", s)
						}
					}
					if crashes < 10 {
						t.Errorf("only %d crashes", crashes)
					}
					w.done(w.consolidate()) // what lost answers left over
					for arn, n := range w.generations() {
						if n != 2 {
							t.Errorf("%d generations under %s, want 2", n, arn)
						}
					}
					w.readable("in the end")
				})
			})
		}
	}
}

// attempt works on the bucket's job until it is over or has failed once.
func (w *world) attempt() jobs.Status {
	w.t.Helper()
	s, err := w.c.Start(w.t.Context(), photos)
	w.must(err)
	ctx, stop := context.WithCancel(w.t.Context())
	var running sync.WaitGroup
	running.Go(func() { w.runner.Run(ctx) })
	for started := s.Started; s.State == jobs.Running || !s.State.Over() && s.Started.Equal(started); {
		time.Sleep(time.Second)
		s, err = w.c.Job(ctx, photos)
		w.must(err)
	}
	stop()
	running.Wait()
	s, err = w.c.Job(w.t.Context(), photos)
	w.must(err)
	return s
}

// TestAmongWriters merges while versions are written, replaced, deleted, brought back,
// tagged and put under other keys.
func TestAmongWriters(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.bucket(bucket.Enabled)
		k1, k2 := w.key(), w.key()
		const keys = 12
		o := w.objects
		put := func(d, n int, how string) error {
			data := fmt.Sprintf("%d %d", d, n)
			_, err := o.Put(t.Context(), alice, object.Put{Ref: ref(fmt.Sprint("k", n)), Body: bytes.NewReader([]byte(data)), Size: int64(len(data)),
				Attributes: object.Attributes{SSE: underBucketKey(how)}})
			return err
		}
		for d := range 17 {
			for n := range keys {
				w.must(put(d, n, k1))
			}
			time.Sleep(27 * time.Hour)
		}
		time.Sleep(3 * time.Hour)

		_, err := w.c.Start(t.Context(), photos)
		w.must(err)
		ctx, stop := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() { w.runner.Run(ctx) })
		var moves sync.Map
		for writer := range 6 {
			all.Go(func() {
				r := rand.New(rand.NewPCG(1, uint64(writer)))
				for i := 0; ctx.Err() == nil && i < 400; i++ {
					n := r.IntN(keys)
					at := object.VersionRef{Ref: ref(fmt.Sprint("k", n))}
					var err error
					what := r.IntN(6)
					switch what {
					case 0:
						err = put(100, n, k1)
					case 1:
						_, err = o.Delete(ctx, alice, object.Delete{VersionRef: at})
					case 2, 3: // the current version goes for good, and the one before comes back
						list, lerr := o.ListVersions(ctx, alice, object.ListVersions{Ref: bucket.Ref{Bucket: photos}, Prefix: at.Key, Max: 1})
						if lerr != nil || len(list.Entries) == 0 || list.Entries[0].Key != at.Key {
							continue
						}
						at.VersionID = list.Entries[0].VersionID
						_, err = o.Delete(ctx, alice, object.Delete{VersionRef: at})
					case 4:
						_, err = o.PutTagging(ctx, alice, object.PutTagging{VersionRef: at, Tags: []bucket.Tag{{Key: "a", Value: fmt.Sprint(i)}}})
					case 5:
						_, err = o.UpdateEncryption(ctx, alice, object.UpdateEncryption{VersionRef: at, KeyARN: []string{k1, k2}[i%2], BucketKey: true})
					}
					if err != nil && !errors.Is(err, object.NoSuchKey) && !errors.Is(err, object.DeleteMarker) && !errors.Is(err, object.NoSuchVersion) && ctx.Err() == nil {
						t.Errorf("write %d: %v", what, err)
					}
					moves.Store(what, true)
					time.Sleep(time.Duration(r.IntN(3)) * time.Millisecond)
				}
			})
		}
		for {
			time.Sleep(50 * time.Millisecond)
			s, err := w.c.Job(t.Context(), photos)
			w.must(err)
			if s.State.Over() {
				w.done(s)
				break
			}
		}
		time.Sleep(2 * time.Second)
		stop()
		all.Wait()
		w.everyVersionReads()
		w.done(w.consolidate())
		w.everyVersionReads()
		for _, e := range w.entries() {
			if !e.Retired.IsZero() {
				t.Errorf("generation %v stays retired", e.ID)
			}
		}
	})
}

// everyVersionReads checks with a node that knows no keys that every version opens.
func (w *world) everyVersionReads() {
	w.t.Helper()
	o, _ := w.node(w.mem)
	list, err := o.ListVersions(w.t.Context(), alice, object.ListVersions{Ref: bucket.Ref{Bucket: photos}, Max: 1000})
	w.must(err)
	n := 0
	for _, e := range list.Entries {
		if e.Marker {
			continue
		}
		if _, _, err := get(w.t.Context(), o, alice, e.Key, e.VersionID); err != nil {
			w.t.Errorf("%s, version %s: %v", e.Key, e.VersionID, err)
		}
		n++
	}
	if n < 20 {
		w.t.Errorf("only %d versions are left", n)
	}
}

// TestRecordThatEvadesTheWalk lets a version become current again when the walk has
// passed the current versions and not yet the older ones.
func TestRecordThatEvadesTheWalk(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.bucket(bucket.Enabled)
		k := w.key()
		var newest []string
		for range 9 {
			newest = append(newest, w.put(alice, "k", underBucketKey(k)).VersionID)
			time.Sleep(27 * time.Hour)
		}
		evasions := 0
		w.rows.scanned = func(r meta.Range) {
			if !bytes.HasPrefix(r.Start, []byte("c/")) || evasions == 1 || w.trail.count(named("CreateBucketKeyGeneration")) == 0 {
				return
			}
			evasions++
			last := newest[len(newest)-1]
			newest = newest[:len(newest)-1]
			_, err := w.objects.Delete(t.Context(), alice, object.Delete{VersionRef: object.VersionRef{Ref: ref("k"), VersionID: last}})
			w.must(err)
			delete(w.stored, "k@"+last)
		}
		w.done(w.consolidate())
		w.rows.scanned = nil
		delete(w.stored, "k@")
		w.readable("after versions came back")
		if n := w.generations()[k]; n != 2 || evasions != 1 {
			t.Errorf("%d generations after %d evasions, want 2", n, evasions)
		}
	})
}

// TestReaderInBetween reads an object whose generation goes between the read of its
// row and that of the generation's.
func TestReaderInBetween(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.bucket("")
		w.days(9, w.key())
		for _, n := range []int{0, 1} { // under a KMS key, and under SSE-S3
			late := &lateRows{Store: w.mem}
			o, _ := w.node(late)
			late.after = func(key []byte) {
				if n == 0 && bytes.HasPrefix(key, []byte("c/")) {
					late.after = nil
					w.done(w.consolidate())
				}
			}
			got, _, err := get(t.Context(), o, alice, name(0, n), "")
			if want := w.stored[name(0, n)+"@"]; err != nil || !bytes.Equal(got, want) {
				t.Errorf("reads %q, %v", got, err)
			}
		}
	})
}

// lateRows runs something after a read.
type lateRows struct {
	meta.Store
	after func(key []byte)
}

func (s *lateRows) Get(ctx context.Context, keys ...[]byte) ([]meta.Item, error) {
	items, err := s.Store.Get(ctx, keys...)
	if s.after != nil {
		s.after(keys[0])
	}
	return items, err
}
