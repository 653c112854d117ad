// SPDX-License-Identifier: Apache-2.0

package index

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cofferstore/coffer/internal/core/audit"
)

// The index follows the trail, gives way to many requests, and does not fall behind for
// ever.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 64<<20)
		w.index.busy, w.index.tooFar = 4<<10, 60<<10
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); w.index.Run(ctx) }()
		behind := func() int64 {
			t.Helper()
			synctest.Wait()
			n, err := w.trail.Behind(w.trail.Holds()[Consumer])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		w.some(2)
		time.Sleep(5 * time.Second)
		if n := behind(); n != 0 {
			t.Errorf("%d bytes behind", n)
		}
		least, most := int64(1<<40), int64(0)
		for range 30 { // some 7 KiB each
			w.some(10)
			time.Sleep(time.Second)
			least, most = min(least, behind()), max(most, behind())
		}
		if most < 40<<10 || most > 80<<10 || least > 20<<10 {
			t.Errorf("under load %d to %d bytes behind", least, most)
		}
		w.some(1)
		time.Sleep(5 * time.Second)
		if n := behind(); n != 0 {
			t.Errorf("after the load %d bytes behind", n)
		}
		// An index file that is damaged is made again.
		w.reopenWhileStopped(stop, done)
		ctx, stop = context.WithCancel(t.Context())
		done = make(chan struct{})
		go func() { defer close(done); w.index.Run(ctx) }()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		file := "audit/" + Dir + "/" + w.indexFiles()[0]
		good := w.read(file)
		w.write(file, changed(good, func(d []byte) { d[0]++ })[:len(good)/2])
		w.found(Query{Terms: []Term{{Field: Username, Value: "user1"}}})
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if string(w.read(file)) != string(good) {
			t.Error("the file was not made again")
		}
		stop()
		<-done
	})
}

func (w *world) reopenWhileStopped(stop func(), done chan struct{}) {
	w.Helper()
	stop()
	<-done
	w.reopen()
}

// Searches run beside the trail's writer and the index: each finds what was there when it
// began, once and in order.
func TestSearchWhileIndexed(t *testing.T) {
	w := newWorld(t, 30<<10)
	w.index.perBlock = 7
	w.append(access("GetObject", "bucket", "first", "user"))
	w.step()
	q := Query{Terms: []Term{{Field: Bucket, Value: "bucket"}}, OldestFirst: true}
	const rounds = 40
	done := make(chan struct{})
	var searchers sync.WaitGroup
	for range 3 {
		searchers.Go(func() {
			before := 0
			for over := false; !over; {
				select {
				case <-done:
					over = true // one last time
				default:
				}
				page, err := w.index.Search(context.Background(), q, nil)
				if err != nil {
					t.Error(err)
					return
				}
				for i, e := range page.Events {
					if want := fmt.Sprintf("event-%06d", i); e.EventID != want {
						t.Errorf("event %d is %s", i, e.EventID)
						return
					}
				}
				if len(page.Events) < before {
					t.Errorf("%d events after %d", len(page.Events), before)
				}
				before = len(page.Events)
			}
			if before != 1+10*rounds {
				t.Errorf("%d events in the end", before)
			}
		})
	}
	for range rounds {
		for range 10 {
			w.append(access("GetObject", "bucket", "next", "user"))
		}
		w.step()
	}
	close(done)
	searchers.Wait()
}

// Retention must not take what an index that has just been opened has not seen.
func TestOpenHoldsTheTrail(t *testing.T) {
	w := newWorld(t, 20<<10)
	w.some(100)
	w.reopen()
	segments, err := w.index.segments()
	if err != nil {
		t.Fatal(err)
	}
	if at := w.trail.Holds()[Consumer]; at != (audit.Position{Segment: segments[0]}) {
		t.Errorf("nothing indexed: held at %v", at)
	}
	w.step()
	w.reopen()
	if at, head := w.trail.Holds()[Consumer], w.trail.Head(); at.Segment > head.Segment || at.Segment <= segments[len(segments)-2] {
		t.Errorf("all indexed: held at %v, head %v", at, head)
	}
}
