// SPDX-License-Identifier: Apache-2.0

package object

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cofferstore/coffer/internal/store/blob"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// filed stores every body as a blob, in a pack if the world has them.
var filed = Config{MinPart: 1, InlineLimit: 1}

func (w *world) removeDue(want int) {
	w.t.Helper()
	if n, err := w.objects.RemoveDue(w.t.Context()); n != want || err != nil {
		w.t.Errorf("%d streams removed, want %d; %v", n, want, err)
	}
}

func TestStreamsGoAfterTheirVersions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, filed)
		w.bucket("bkt", "")
		w.put(put("bkt", "k", pattern(1)))
		w.put(put("bkt", "k", pattern(2)))
		w.delete("bkt", "k", "")
		up := w.begin(CreateUpload{Ref: ref("bkt", "k")})
		w.part(up, 1, pattern(3))
		if _, err := w.objects.Abort(t.Context(), alice, Abort{up}); err != nil {
			t.Fatal(err)
		}
		w.removeDue(0)
		time.Sleep(16 * time.Minute)
		w.removeDue(3)
		w.nothingLeft()
	})
}

func TestAStreamStaysWhileItIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, filed)
		w.bucket("bkt", "")
		data := pattern(1 << 20)
		w.put(put("bkt", "k", data))
		o, err := w.objects.Get(t.Context(), alice, read("bkt", "k", ""))
		if err != nil {
			t.Fatal(err)
		}
		w.delete("bkt", "k", "")
		time.Sleep(24 * time.Hour)
		w.removeDue(0)
		got, err := io.ReadAll(o.Body)
		if err != nil || len(got) != len(data) {
			t.Errorf("%d of %d bytes, %v", len(got), len(data), err)
		}
		o.Body.Close()
		w.removeDue(1)
	})
}

func TestTheSweepTakesOrphansAndStopsTheirWriters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, filed)
		w.bucket("bkt", "")
		w.put(put("bkt", "k", pattern(1)))
		orphans := map[blob.StreamID]blob.Place{}
		for i, hint := range []int64{-1, 10} {
			id := blob.StreamID{byte(i + 1)}
			orphans[id] = w.orphanOf(id, hint)
		}
		if n, err := w.objects.Sweep(t.Context()); n != 0 || err != nil {
			t.Errorf("a young stream: %d swept, %v", n, err)
		}
		time.Sleep(25 * time.Hour)
		if n, err := w.objects.Sweep(t.Context()); n != 2 || err != nil {
			t.Errorf("%d swept, %v", n, err)
		}
		// Their writers, who were only slow, cannot name them any more.
		for id, at := range orphans {
			var b meta.Batch
			stream{part: part{Stream: id}, stored: 10, at: at}.record(&b)
			if err := w.objects.commit(t.Context(), &b); err == nil {
				t.Errorf("a stream in the trash, which was at %+v, was named", at)
			}
		}
		time.Sleep(6 * 24 * time.Hour)
		if _, err := w.objects.Sweep(t.Context()); err != nil {
			t.Error(err)
		}
		if n, err := w.blobs.EmptyTrash(t.Context(), time.Now()); n != 2 || err != nil {
			t.Errorf("after six days %d streams are in the trash, %v, want both", n, err)
		}
		if got, _ := w.get(read("bkt", "k", "")); len(got) != 1 {
			t.Error("the sweep took a stream that has an owner")
		}
	})
}

func TestTheSweepTakesPartsWhoseUploadIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, filed)
		w.bucket("bkt", "")
		up := w.begin(CreateUpload{Ref: ref("bkt", "k")})
		w.part(up, 1, pattern(3))
		b, err := w.buckets.Find(t.Context(), up.Ref.Ref)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := w.objects.Sweep(t.Context()); n != 0 || err != nil {
			t.Errorf("parts of an upload under way: %d swept, %v", n, err)
		}
		u, _, err := w.objects.upload(t.Context(), b, up)
		if err != nil {
			t.Fatal(err)
		}
		var batch meta.Batch // as if the part had come between an abort's look and its commit
		batch.Delete(u.row())
		if err := w.objects.commit(t.Context(), &batch); err != nil {
			t.Fatal(err)
		}
		if n, err := w.objects.Sweep(t.Context()); n != 1 || err != nil {
			t.Errorf("%d swept, %v", n, err)
		}
		time.Sleep(time.Hour)
		w.removeDue(1)
		w.nothingLeft()
	})
}
