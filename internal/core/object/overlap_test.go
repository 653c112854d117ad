// SPDX-License-Identifier: Apache-2.0

package object

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/blob"
	"github.com/cofferstore/coffer/internal/store/meta"
	metamem "github.com/cofferstore/coffer/internal/store/meta/mem"
)

// stagedWorld is a world whose rows go through the test's hands.
func stagedWorld(t *testing.T, cfg Config) (*world, *staged) {
	t.Helper()
	rows := &staged{Store: metamem.New()}
	return newWorldOver(t, cfg, rows), rows
}

// gradual is a body that waits in the middle.
type gradual struct {
	halves  [2]io.Reader
	reached chan struct{}
	goOn    chan struct{}
	at      int
}

func newGradual(data []byte) *gradual {
	half := len(data) / 2
	return &gradual{
		halves:  [2]io.Reader{bytes.NewReader(data[:half]), bytes.NewReader(data[half:])},
		reached: make(chan struct{}), goOn: make(chan struct{}),
	}
}

func (g *gradual) Read(p []byte) (int, error) {
	n, err := g.halves[g.at].Read(p)
	if err == io.EOF && g.at == 0 {
		close(g.reached)
		<-g.goOn
		g.at = 1
		return g.Read(p)
	}
	return n, err
}

// A write that got its keys before a deletion of the bucket began, and lands after
// that has failed, must be readable: also by a process that has the keys in no cache.
func TestAFailedDeletionOfABucketTakesNoKeys(t *testing.T) {
	for n, more := 1, true; more; n++ {
		synctest.Test(t, func(t *testing.T) { more = slowWriteDuringADeletion(t, n) })
	}
}

// slowWriteDuringADeletion stops a deletion before its nth call and changes the
// bucket, which makes it fail, while a write is on its way. It returns false when
// the deletion has fewer calls.
func slowWriteDuringADeletion(t *testing.T, n int) bool {
	w, rows := stagedWorld(t, Config{})
	w.bucket("bkt", "")
	body := newGradual(pattern(1000))
	put := Put{Ref: ref("bkt", "k"), Body: body, Size: 1000, Attributes: Attributes{SSE: sse.Request{Algorithm: sse.KMS, BucketKey: new(true)}}}
	landed, deleted := make(chan error), make(chan error)
	go func() {
		_, err := w.objects.Put(t.Context(), alice, put)
		landed <- err
	}()
	<-body.reached // its keys are made

	reached, release := rows.pauseAt(n)
	go func() {
		_, err := w.buckets.Delete(slow(t.Context()), alice, bucket.Delete{Ref: put.Ref.Ref})
		deleted <- err
	}()
	paused := false
	var deletion error
	select {
	case <-reached:
		paused = true
		_, _ = w.buckets.PutTagging(t.Context(), alice, bucket.PutTagging{Ref: put.Ref.Ref, Tags: []bucket.Tag{{Key: "a", Value: "b"}}})
		release()
		deletion = <-deleted
	case deletion = <-deleted:
	}
	time.Sleep(5 * time.Minute)
	close(body.goOn)
	err := <-landed
	switch {
	case deletion == nil:
		want(t, err, bucket.NoSuchBucket)
	case err != nil:
		t.Errorf("call %d: the deletion failed with %v, the write with %v", n, deletion, err)
	default:
		w.start(Config{})
		if got, _ := w.get(read("bkt", "k", "")); !bytes.Equal(got, pattern(1000)) {
			t.Errorf("call %d: %d bytes", n, len(got))
		}
	}
	return paused
}

// A bucket that holds something refuses no writer because somebody tries to delete
// it.
func TestDeletingABucketThatIsNotEmptyDisturbsNobody(t *testing.T) {
	for n := 1; ; n++ {
		w, rows := stagedWorld(t, Config{})
		w.bucket("bkt", "")
		w.put(put("bkt", "k", pattern(1)))
		reached, release := rows.pauseAt(n)
		deleted := make(chan error)
		go func() {
			_, err := w.buckets.Delete(slow(t.Context()), alice, bucket.Delete{Ref: bucket.Ref{Bucket: "bkt"}})
			deleted <- err
		}()
		select {
		case err := <-deleted:
			want(t, err, bucket.NotEmpty)
			return
		case <-reached:
		}
		w.put(put("bkt", "k", pattern(2)))
		release()
		want(t, <-deleted, bucket.NotEmpty)
	}
}

// A read may begin while the commit that takes its version away is on its way, and
// then last.
func TestAStreamStaysForAReadThatBeganDuringTheCommit(t *testing.T) {
	for n, more := 1, true; more; n++ {
		synctest.Test(t, func(t *testing.T) {
			w, rows := stagedWorld(t, filed)
			w.bucket("bkt", "")
			data := pattern(100_000)
			w.put(put("bkt", "k", data))
			reached, release := rows.pauseAt(n)
			done := make(chan struct{})
			go func() {
				defer close(done)
				_, err := w.objects.Put(slow(t.Context()), alice, put("bkt", "k", nil))
				if err != nil {
					t.Error(err)
				}
			}()
			select {
			case <-reached:
			case <-done:
				more = false
				return
			}
			time.Sleep(20 * time.Second) // a slow disk
			o, err := w.objects.Get(t.Context(), alice, read("bkt", "k", ""))
			if err != nil {
				t.Fatal(err)
			}
			release()
			<-done
			for range 60 {
				time.Sleep(30 * time.Second)
				w.removeDue(0)
			}
			if got, err := io.ReadAll(o.Body); err != nil || !bytes.Equal(got, data) {
				t.Errorf("call %d: %d bytes, %v", n, len(got), err)
			}
			o.Body.Close()
			w.removeDue(1)
		})
	}
}

// What goes while a scrub is on its way is not damage.
func TestAScrubDoesNotTakeForDamageWhatWentMeanwhile(t *testing.T) {
	changes := map[string]func(w *world, up UploadRef, parts []CompletePart, current string) error{
		"part replaced": func(w *world, up UploadRef, _ []CompletePart, _ string) error {
			w.part(up, 1, pattern(30))
			return nil
		},
		"upload given up": func(w *world, up UploadRef, _ []CompletePart, _ string) error {
			_, err := w.objects.Abort(w.t.Context(), alice, Abort{up})
			return err
		},
		"upload completed": func(w *world, up UploadRef, parts []CompletePart, _ string) error {
			_, err := w.complete(Complete{UploadRef: up, Parts: parts[:1]})
			return err
		},
		"version deleted": func(w *world, _ UploadRef, _ []CompletePart, current string) error {
			w.delete("bkt", "k", current)
			return nil
		},
	}
	for name, change := range changes {
		for n, more := 1, true; more; n++ {
			synctest.Test(t, func(t *testing.T) {
				w, rows := stagedWorld(t, filed)
				w.bucket("bkt", bucket.Enabled)
				w.put(put("bkt", "k", pattern(10)))
				current := w.put(put("bkt", "k", pattern(20))).VersionID
				up := w.begin(CreateUpload{Ref: ref("bkt", "up")})
				parts := []CompletePart{w.part(up, 1, pattern(10)), w.part(up, 2, pattern(10))}
				reached, release := rows.pauseAt(n)
				done := make(chan ScrubReport, 1)
				go func() {
					var last ScrubReport
					if err := w.objects.Scrub(slow(t.Context()), true, func(r ScrubReport) { last = r }); err != nil {
						t.Error(err)
					}
					done <- last
				}()
				select {
				case <-reached:
					if err := change(w, up, parts, current); err != nil {
						t.Error(err)
					}
					time.Sleep(time.Hour)
					if _, err := w.objects.RemoveDue(t.Context()); err != nil {
						t.Error(err)
					}
					release()
				case r := <-done:
					more = false
					done <- r
				}
				if r := <-done; len(r.Damaged) > 0 {
					t.Errorf("%s before call %d of a scrub: %v", name, n, r.Damaged)
				}
			})
		}
	}
}

// damageRow writes a row that no code of this package did.
func (w *world) damageRow(key []byte) {
	w.t.Helper()
	var b meta.Batch
	b.Put(key, []byte("?"))
	if err := w.objects.commit(w.t.Context(), &b); err != nil {
		w.t.Fatal(err)
	}
}

// One damaged row must not keep all other streams on the disk for ever.
func TestUpkeepGoesOnBehindWhatIsDamaged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, filed)
		w.bucket("bkt", "")
		lost := blob.StreamID{}
		w.damageRow(locationKey(lost))
		w.damageRow(removalKey(1, lost))
		w.damageRow([]byte("x/short"))
		w.damageRow(partKey([16]byte{}, 1))
		w.put(put("bkt", "k", pattern(1)))
		w.delete("bkt", "k", "")
		up := w.begin(CreateUpload{Ref: ref("bkt", "k")})
		w.part(up, 1, pattern(3))
		b, err := w.buckets.Find(t.Context(), up.Ref.Ref)
		if err != nil {
			t.Fatal(err)
		}
		u, _, err := w.objects.upload(t.Context(), b, up)
		if err != nil {
			t.Fatal(err)
		}
		var batch meta.Batch // as if the part had come between a completion's look and its commit
		batch.Delete(u.row())
		if err := w.objects.commit(t.Context(), &batch); err != nil {
			t.Fatal(err)
		}
		w.orphan(lost)
		w.orphan(blob.StreamID{0xff})
		time.Sleep(25 * time.Hour)
		if n, err := w.objects.Sweep(t.Context()); n != 2 || !errors.Is(err, meta.Damaged) {
			t.Errorf("%d swept, %v; want the part and the orphan, and word of the damage", n, err)
		}
		time.Sleep(time.Hour)
		if n, err := w.objects.RemoveDue(t.Context()); n != 2 || !errors.Is(err, meta.Damaged) {
			t.Errorf("%d removed, %v; want two, and word of the damage", n, err)
		}
	})
}

// orphan stores a stream that nothing names.
func (w *world) orphan(id blob.StreamID) {
	w.t.Helper()
	w.orphanOf(id, -1)
}

// orphanOf is orphan of a stream whose length is announced, or not.
func (w *world) orphanOf(id blob.StreamID, hint int64) (at blob.Place) {
	w.t.Helper()
	wr, err := w.blobs.Create(w.t.Context(), id, hint)
	if err == nil {
		_, _ = wr.Write(pattern(10))
		at, err = wr.Commit(w.t.Context())
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return at
}

// A stream that is gone although a version names it is damage, and marked so.
func TestAReadReportsAStreamThatIsMissing(t *testing.T) {
	w := newWorld(t, filed)
	w.bucket("bkt", "")
	w.put(put("bkt", "k", pattern(100)))
	infos, err := w.blobs.List(t.Context(), blob.Info{}, 0)
	if err != nil || len(infos) != 1 {
		t.Fatalf("%d streams, %v", len(infos), err)
	}
	if err := w.blobs.Delete(t.Context(), infos[0].ID, infos[0].At); err != nil {
		t.Fatal(err)
	}
	if err := w.getErr(read("bkt", "k", "")); err == nil {
		t.Error("the missing stream was read")
	} else if _, ok := fault.As(err); !ok && !errors.Is(err, blob.NotFound) {
		t.Errorf("read: %v", err)
	}
	item, err := meta.Get1(t.Context(), w.rows, locationKey(infos[0].ID))
	if err != nil {
		t.Fatal(err)
	}
	if loc, err := decodeLocation(item.Value); err != nil || !loc.damaged {
		t.Errorf("its location is not marked: %+v, %v", loc, err)
	}
}

// The limit of what lives in rows may change between two starts.
func TestTheInlineLimitMayChange(t *testing.T) {
	w := newWorld(t, Config{InlineLimit: 64 << 10})
	w.bucket("bkt", "")
	sizes := []int{0, 1000, 15_000, 17_000, 60_000, 70_000}
	limits := []int64{64 << 10, 1, 16 << 10, 64 << 10}
	name := func(limit int64, size int) string { return fmt.Sprint(limit, "-", size) }
	for i, limit := range limits {
		w.start(Config{InlineLimit: limit})
		for _, size := range sizes {
			w.put(put("bkt", name(limit, size), pattern(size)))
		}
		for _, before := range limits[:i] {
			for _, size := range sizes {
				if got, _ := w.get(read("bkt", name(before, size), "")); !bytes.Equal(got, pattern(size)) {
					t.Errorf("stored under %d and read under %d: %d of %d bytes", before, limit, len(got), size)
				}
			}
		}
	}
	if err := w.consistent(false); err != nil {
		t.Error(err)
	}
}
