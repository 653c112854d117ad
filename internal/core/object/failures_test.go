// SPDX-License-Identifier: Apache-2.0

package object

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cofferstore/coffer/internal/store/blob/faulty"
)

// mishap is a way for a deed to fail at its nth chance. arm returns the context to
// act with, and a function that says whether there was that chance.
type mishap struct {
	name string
	// open says that what failed may have been done all the same.
	open bool
	arm  func(th *theatre, n int) (ctx context.Context, met func() bool)
}

func rowsFail(call rowCall, lost bool) mishap {
	name := fmt.Sprintf("%s of rows fails", call)
	if lost {
		name = fmt.Sprintf("the answer of a %s of rows is lost", call)
	}
	return mishap{name, lost, func(th *theatre, n int) (context.Context, func() bool) {
		return th.w.t.Context(), th.rows.failAt(call, n, lost)
	}}
}

func blobsFail(op faulty.Op) mishap {
	return mishap{fmt.Sprintf("%s of a blob fails", op), false, func(th *theatre, n int) (context.Context, func() bool) {
		before := th.w.blobs.Calls(op)
		th.w.blobs.Fail(op, n, nil)
		return th.w.t.Context(), func() bool { return th.w.blobs.Calls(op) >= before+n }
	}}
}

// clientGoes cancels the request at its nth call of the rows.
var clientGoes = mishap{"the client goes", false, func(th *theatre, n int) (context.Context, func() bool) {
	ctx, cancel := context.WithCancel(th.w.t.Context())
	var mu sync.Mutex
	calls := 0
	th.rows.direct(func(_ context.Context, _ rowCall, do func() error) error {
		mu.Lock()
		calls++
		if calls == n {
			cancel()
		}
		mu.Unlock()
		return do()
	})
	return ctx, func() bool {
		mu.Lock()
		defer mu.Unlock()
		cancel()
		return calls >= n
	}
}}

var mishaps = []mishap{
	rowsFail(getRows, false), rowsFail(scanRows, false), rowsFail(commitRows, false), rowsFail(commitRows, true),
	blobsFail(faulty.Create), blobsFail(faulty.Write), blobsFail(faulty.Commit), blobsFail(faulty.Read), blobsFail(faulty.Delete),
	clientGoes,
}

// wreck is a scene in which something failed, and what was there afterwards.
type wreck struct {
	*scene
	how, after string
}

// TestWhatFailsLeavesNothing makes every call of both stores fail once in every
// operation. What failed must have changed nothing, except where the answer of a
// commit was lost, and that must be done or not done as a whole; what succeeded
// all the same must be there. Everything that was there before must be read as
// before, also when the sweep has been, and the sweep must leave nothing.
func TestWhatFailsLeavesNothing(t *testing.T) {
	for _, st := range []stage{stages[0], stages[2]} {
		for name, cfg := range map[string]Config{"in rows": small, "in files": filed} {
			t.Run(st.name+" "+name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					th := newTheatre(t, cfg)
					var wrecks []wreck
					for i := range deeds {
						if deeds[i].on&st.who != 0 {
							wrecks = append(wrecks, th.wreckAll(st, &deeds[i])...)
						}
					}
					if err := th.w.consistent(false); err != nil {
						t.Errorf("after the failures: %v", err)
					}
					th.settle()
					for _, w := range wrecks {
						if now := w.scene.after(); now != w.after {
							t.Errorf("%s: later there is\n     %s\nwhere there was\n     %s", w.how, now, w.after)
						}
					}
				})
			})
		}
	}
}

// wreckAll makes a deed fail in every way.
func (th *theatre) wreckAll(st stage, a *deed) (out []wreck) {
	on := a.on | anUpload
	said, done := th.alone(st, on, a, firstSize)
	for _, m := range mishaps {
		for n := 1; ; n++ {
			s := th.scene(st, on)
			before := s.after()
			ctx, met := m.arm(th, n)
			got := answer(a.do(ctx, s, firstSize))
			happened := met()
			th.rows.direct(nil)
			th.w.blobs.Disarm()
			after := s.after()
			how := fmt.Sprintf("%q, where the %d. %s", a.name, n, m.name)
			switch {
			case got == said && after == done:
			case got != said && after == before:
			case got != said && after == done && m.open:
			default:
				th.w.t.Errorf("%s: told %q;\nthere was %s\n there is %s\n  done is %s", how, got, before, after, done)
			}
			out = append(out, wreck{s, how, after})
			if !happened {
				break
			}
		}
	}
	return out
}

// settle lets the time pass after which all is removed that nothing names.
func (th *theatre) settle() {
	w := th.w
	w.t.Helper()
	for range 3 {
		time.Sleep(8 * 24 * time.Hour)
		if _, err := w.objects.Sweep(w.t.Context()); err != nil {
			w.t.Error(err)
		}
		if _, err := w.buckets.ClearDeleted(w.t.Context()); err != nil {
			w.t.Error(err)
		}
		if _, err := w.objects.RemoveDue(w.t.Context()); err != nil {
			w.t.Error(err)
		}
	}
	if err := w.consistent(true); err != nil {
		w.t.Errorf("after the sweep: %v", err)
	}
}
