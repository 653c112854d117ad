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
	blobmem "github.com/cofferstore/coffer/internal/store/blob/mem"
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

// processDies makes the nth call of the rows the last of all calls of both stores.
var processDies = mishap{"the process dies", false, func(th *theatre, n int) (context.Context, func() bool) {
	var mu sync.Mutex
	calls := 0
	th.rows.direct(func(_ context.Context, _ rowCall, do func() error) error {
		mu.Lock()
		defer mu.Unlock()
		if calls++; calls > n {
			return errRows
		}
		err := do()
		if calls == n {
			for _, op := range blobOps {
				for i := range 100 {
					th.w.blobs.Fail(op, i+1, nil)
				}
			}
		}
		return err
	})
	return th.w.t.Context(), func() bool {
		mu.Lock()
		defer mu.Unlock()
		return calls > n
	}
}}

var blobOps = []faulty.Op{faulty.Create, faulty.Write, faulty.Commit, faulty.Read, faulty.Delete}

var mishaps = []mishap{
	rowsFail(getRows, false), rowsFail(scanRows, false), rowsFail(commitRows, false), rowsFail(commitRows, true),
	blobsFail(faulty.Create), blobsFail(faulty.Write), blobsFail(faulty.Commit), blobsFail(faulty.Read), blobsFail(faulty.Delete),
	clientGoes, processDies,
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
		for _, c := range []struct {
			name  string
			cfg   Config
			packs int64
		}{{"in rows", small, 0}, {"in files", filed, 0}, {"in packs", filed, packLimit}} {
			t.Run(st.name+" "+c.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					th := newTheatreOn(t, c.cfg, blobmem.NewPacking(c.packs))
					var wrecks []wreck
					for i := range deeds {
						if deeds[i].on&st.who != 0 && i%every == 0 {
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
			time.Sleep(2 * time.Minute) // a bucket's deletion that stopped half way holds off writers for one
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

// A writer may stand still for longer than the sweep waits before it takes a stream
// for an orphan, and longer than its bucket key takes new wraps. Then it succeeds as
// a whole, or is told that it did not.
func TestTheSweepTakesNothingFromSlowWriters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newTheatre(t, filed)
		sweep := deed{name: "sweep", do: func(ctx context.Context, s *scene, _ int) (string, error) {
			time.Sleep(30 * time.Hour)
			if _, err := s.w.objects.Sweep(ctx); err != nil {
				return "", err
			}
			_, err := s.w.objects.RemoveDue(ctx)
			return "swept", err
		}}
		for _, st := range []stage{stages[0], stages[2]} {
			for i := range deeds {
				a := &deeds[i]
				if a.on&st.who == 0 || i%every != 0 {
					continue
				}
				before := th.scene(st, a.on).after()
				said, done := th.alone(st, a.on, a, firstSize)
				for n := 1; ; n++ {
					got, ok := th.interleaved(st, a, &sweep, n)
					if !ok {
						break
					}
					switch {
					case got.second != "swept":
						t.Errorf("sweep: %s", got.second)
					case got.first == said && got.after == done:
					case got.first != said && got.after == before:
					default:
						t.Errorf("%q stopped before call %d for a sweep: told %q;\nthere was %s\n there is %s\n  done is %s",
							a.name, n, got.first, before, got.after, done)
					}
				}
			}
		}
		th.settle()
	})
}

// A reader may stand still for longer than streams stay whose versions went.
func TestNothingIsRemovedUnderAReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newTheatre(t, filed)
		st := stages[2]
		removal := deed{name: "removal", do: func(ctx context.Context, s *scene, size int) (string, error) {
			for _, version := range []string{"current", "old", Null} {
				if _, err := s.delete(ctx, version, ""); err != nil {
					return "", err
				}
			}
			if _, err := s.put(ctx, size, WriteCondition{}); err != nil {
				return "", err
			}
			time.Sleep(time.Hour)
			_, err := s.w.objects.RemoveDue(ctx)
			return "removed", err
		}}
		copyOld := deed{name: "copy the old version", do: func(ctx context.Context, s *scene, _ int) (string, error) {
			_, err := s.w.objects.Copy(ctx, alice, Copy{
				Ref: ref(s.name, s.key+"-copy"), Source: Source{VersionRef: VersionRef{s.ref(), s.ids["old"]}},
			})
			if err != nil {
				return "", err
			}
			data, _ := s.w.get(read(s.name, s.key+"-copy", ""))
			return fmt.Sprint(len(data)), nil
		}}
		for _, a := range append(deeds[len(deeds)-reads:], copyOld) {
			before, _ := th.alone(st, anObject, &a, firstSize)
			_, after, _ := th.serially(st, &removal, &a, secondSize, firstSize)
			for n := 1; ; n++ {
				got, ok := th.interleaved(st, &a, &removal, n)
				if !ok {
					break
				}
				if got.second != "removed" || got.first != before && got.first != after {
					t.Errorf("%q stopped before call %d for a removal: told %q and %q, want %q or %q",
						a.name, n, got.first, got.second, before, after)
				}
			}
		}
		th.settle()
	})
}
