// SPDX-License-Identifier: Apache-2.0

package object

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/fips"
	"github.com/cofferstore/coffer/internal/store/meta"
	metamem "github.com/cofferstore/coffer/internal/store/meta/mem"
	"github.com/cofferstore/coffer/internal/store/meta/pebble"
)

// verb is what a client does to the one key of a history.
type verb int

const (
	doPut verb = iota
	doCreate
	doReplace
	doDelete
	doDeleteIf
	doGet
	verbs
)

func (v verb) String() string {
	return [...]string{"put", "create", "replace", "delete", "delete if", "get"}[v]
}

// event is a call with its answer. Values are numbers of writes; 0 is no object.
type event struct {
	verb
	if_, value int   // what a condition names, what is written
	began, end int64 // by one clock; end of a call without an answer is never
	open       bool  // the answer was lost: it may have been done, at any time since
	got        int   // of a get
	err        error // one that the client can tell apart
}

func (e event) String() string {
	return fmt.Sprintf("%4d-%-4d %v if=%d value=%d open=%t got=%d %v", e.began, e.end, e.verb, e.if_, e.value, e.open, e.got, e.err)
}

// apply is the object as it should be: what the event does to a value, and whether
// it could be answered so.
func (e event) apply(value int) (after int, ok bool) {
	refused := error(nil)
	switch {
	case e.verb == doCreate && value != 0:
		refused = PreconditionFailed
	case (e.verb == doReplace || e.verb == doDeleteIf) && value == 0, e.verb == doGet && value == 0:
		refused = NoSuchKey
	case (e.verb == doReplace || e.verb == doDeleteIf) && value != e.if_:
		refused = PreconditionFailed
	}
	switch e.verb {
	case doGet:
		after, ok = value, e.got == value
	case doDelete, doDeleteIf:
		after, ok = 0, true
	default:
		after, ok = e.value, true
	}
	if refused != nil {
		after, ok = value, true
	}
	if e.open {
		return after, e.verb != doGet
	}
	return after, ok && (refused == nil) == (e.err == nil) && (refused == nil || errors.Is(e.err, refused))
}

// linear reports whether the events could have come one after the other, each
// between its beginning and its end (Wing and Gong, with the states met so far).
func linear(events []event) bool {
	type state struct {
		done  uint64
		value int
	}
	met := map[state]bool{}
	var search func(s state) bool
	search = func(s state) bool {
		if met[s] {
			return false
		}
		met[s] = true
		firstEnd, left := int64(1<<62), false
		for i, e := range events {
			if s.done&(1<<i) == 0 && !e.open {
				firstEnd, left = min(firstEnd, e.end), true
			}
		}
		if !left { // what is open may never have been done
			return true
		}
		for i, e := range events {
			if s.done&(1<<i) != 0 || e.began > firstEnd {
				continue
			}
			if after, ok := e.apply(s.value); ok && search(state{s.done | 1<<i, after}) {
				return true
			}
		}
		return false
	}
	return search(state{})
}

func TestLinear(t *testing.T) {
	put := func(value int, began, end int64) event {
		return event{verb: doPut, value: value, began: began, end: end}
	}
	get := func(got int, began, end int64) event {
		e := event{verb: doGet, got: got, began: began, end: end}
		if got == 0 {
			e.err = NoSuchKey
		}
		return e
	}
	lost := put(2, 3, 4)
	lost.open = true
	for _, c := range []struct {
		name   string
		events []event
		want   bool
	}{
		{"in order", []event{put(1, 1, 2), get(1, 3, 4)}, true},
		{"a stale read", []event{put(1, 1, 2), put(2, 3, 4), get(1, 5, 6)}, false},
		{"a read beside a write", []event{put(1, 1, 2), put(2, 3, 6), get(1, 4, 5)}, true},
		{"new, then old", []event{put(1, 1, 2), put(2, 3, 9), get(2, 4, 5), get(1, 6, 7)}, false},
		{"a lost update", []event{put(1, 1, 2), put(2, 3, 4), get(0, 5, 6)}, false},
		{"an answer lost, done later", []event{put(1, 1, 2), lost, get(1, 5, 6), get(2, 7, 8)}, true},
		{"an answer lost, done twice", []event{put(1, 1, 2), lost, get(2, 5, 6), put(1, 7, 8), get(2, 9, 10)}, false},
		{"two creations", []event{{verb: doCreate, value: 1, began: 1, end: 3}, {verb: doCreate, value: 2, began: 2, end: 4}}, false},
	} {
		if got := linear(c.events); got != c.want {
			t.Errorf("%s: linear is %t", c.name, got)
		}
	}
}

// historian lets clients loose on keys and writes down what they see.
type historian struct {
	w     *world
	clock atomic.Int64
}

func (h *historian) body(value int) []byte { return fmt.Appendf(nil, "%016d", value) }

func (h *historian) etag(value int) string {
	sum := fips.MD5(h.body(value))
	return hex.EncodeToString(sum[:])
}

func (h *historian) do(ctx context.Context, key string, e event) event {
	var err error
	e.began = h.clock.Add(1)
	switch e.verb {
	case doPut, doCreate, doReplace:
		in := put("bkt", key, h.body(e.value))
		switch e.verb {
		case doCreate:
			in.Condition.IfNoneMatch = "*"
		case doReplace:
			in.Condition.IfMatch = h.etag(e.if_)
		}
		_, err = h.w.objects.Put(ctx, alice, in)
	case doDelete, doDeleteIf:
		in := Delete{VersionRef: VersionRef{ref("bkt", key), ""}}
		if e.verb == doDeleteIf {
			in.IfMatch = h.etag(e.if_)
		}
		_, err = h.w.objects.Delete(ctx, alice, in)
	case doGet:
		var o *Object
		if o, err = h.w.objects.Get(ctx, alice, read("bkt", key, "")); err == nil {
			var data []byte
			data, err = io.ReadAll(o.Body)
			o.Body.Close()
			fmt.Sscanf(string(data), "%d", &e.got)
		}
	}
	e.end = h.clock.Add(1)
	if errors.Is(err, NoSuchKey) || errors.Is(err, PreconditionFailed) {
		e.err = err
		return e
	}
	e.open = err != nil
	return e
}

// history lets clients at one key, each one call after the other. Conditions name
// what the client saw last, or what another one may just have written.
func (h *historian) history(ctx context.Context, key string, seed uint64) (out []event) {
	const clients, calls = 4, 8
	var mu sync.Mutex
	var all sync.WaitGroup
	for c := range clients {
		rng := rand.New(rand.NewPCG(seed, uint64(c)))
		all.Go(func() {
			seen := 1
			for n := range calls {
				e := event{verb: verb(rng.IntN(int(verbs))), value: 1 + c*calls + n, if_: seen}
				if rng.IntN(4) == 0 {
					e.if_ = 1 + rng.IntN(clients*calls)
				}
				e = h.do(ctx, key, e)
				switch {
				case e.verb == doGet && e.got != 0:
					seen = e.got
				case e.verb != doGet && !e.open && e.err == nil:
					seen = e.value
				}
				mu.Lock()
				out = append(out, e)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return out
}

// TestOneKeyIsLinear lets clients read, write and delete one key at once, with and
// without conditions, over a store that now and then loses an answer or fails.
func TestOneKeyIsLinear(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed) // the scheduler chooses too
	for _, c := range []struct {
		name       string
		rows       func(t *testing.T) meta.Store
		versioning string
		histories  int
		cfg        Config
	}{
		{"in memory", func(*testing.T) meta.Store { return metamem.New() }, "", 150, small},
		{"in memory, versions", func(*testing.T) meta.Store { return metamem.New() }, bucket.Enabled, 150, small},
		{"in memory, packed", func(*testing.T) meta.Store { return metamem.New() }, "", 100, filed},
		{"in Pebble", openPebble, "", 50, small},
		{"in Pebble, versions", openPebble, bucket.Suspended, 50, small},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			rows := &staged{Store: c.rows(t)}
			h := &historian{w: newWorldOver(t, c.cfg, rows)}
			h.w.bucket("bkt", c.versioning)
			h.w.put(put("bkt", "warm", nil))
			rows.direct(unreliable(seed))
			for i := range c.histories {
				events := h.history(t.Context(), fmt.Sprint("k", i), seed+uint64(i))
				if linear(events) {
					continue
				}
				lines := make([]string, len(events))
				for j, e := range events {
					lines[j] = e.String()
				}
				t.Fatalf("history %d of seed %d is not linear:\n%s", i, seed, strings.Join(lines, "\n"))
			}
			rows.direct(nil)
			if err := h.w.consistent(false); err != nil {
				t.Error(err)
			}
		})
	}
}

// unreliable makes calls wait for others, and one in fifty fail, half of these
// after they were carried out.
func unreliable(seed uint64) func(context.Context, rowCall, func() error) error {
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(seed, 1))
	return func(_ context.Context, _ rowCall, do func() error) error {
		mu.Lock()
		turns, fate := rng.IntN(4), rng.IntN(100)
		mu.Unlock()
		for range turns {
			runtime.Gosched()
		}
		if fate == 0 {
			return errRows
		}
		if err := do(); err != nil || fate != 1 {
			return err
		}
		return errRows
	}
}

func openPebble(t *testing.T) meta.Store {
	t.Helper()
	s, err := pebble.Open("meta", pebble.Config{FS: vfs.NewMem(), CacheBytes: 4 << 20, MemTableBytes: 4 << 20, BallastBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}
