// SPDX-License-Identifier: Apache-2.0

package bucketkey

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/store/meta"
)

func rows(t *testing.T, store meta.Store, prefix string) []meta.Item {
	t.Helper()
	page, err := store.Scan(t.Context(), meta.Range{Start: []byte(prefix), End: meta.PrefixEnd([]byte(prefix))})
	if err != nil {
		t.Fatal(err)
	}
	return page.Items
}

func TestWindowRollsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, store := newFake(), newStore()
		c := open(t, fake, store, Config{TTL: DefaultTTL})
		first, sealed := mustSeal(t, c, alice, write(photos, key1))
		g, err := c.Generation(t.Context(), photos.UID, first)
		if err != nil {
			t.Fatal(err)
		}
		if d := g.NotAfter.Sub(g.Created); d < 21*time.Hour+36*time.Minute || d > 26*time.Hour+24*time.Minute {
			t.Errorf("window of %v is not 24 h within a tenth", d)
		}
		time.Sleep(time.Until(g.NotAfter) + 4*time.Minute) // within the slack between clocks
		if gen, _ := mustSeal(t, c, alice, write(photos, key1)); gen != first {
			t.Error("rolled over within the slack")
		}
		s, err := c.Sealer(t.Context(), alice, write(photos, key1))
		if err != nil || s.Stale() {
			t.Errorf("stale within the window: %v", err)
		}
		time.Sleep(2 * time.Minute)
		second, _ := mustSeal(t, c, alice, write(photos, key1))
		if second == first {
			t.Error("did not roll over")
		}
		if s.Stale() {
			t.Error("stale 6 minutes after the window")
		}
		time.Sleep(time.Hour)
		if !s.Stale() {
			t.Error("not stale an hour after the window")
		}
		mustOpen(t, c, alice, photos, first, sealed)
		if n := len(rows(t, store, "gp/")); n != 1 {
			t.Errorf("%d pointers, want 1", n)
		}
		if n := len(rows(t, store, "g/")); n != 2 {
			t.Errorf("%d generations, want 2", n)
		}
	})
}

// TestStagesFollowTheWindow: of a shorter window everything is shorter.
func TestStagesFollowTheWindow(t *testing.T) {
	if got, want := stagesOf(0), (stages{24 * time.Hour, 5 * time.Minute, time.Hour, 125 * time.Minute}); got != want {
		t.Errorf("by default %+v, want %+v", got, want)
	}
	synctest.Test(t, func(t *testing.T) {
		fake, store := newFake(), newStore()
		c := open(t, fake, store, Config{TTL: DefaultTTL, Window: time.Second})
		l := NewLedger(nil, store, time.Second)
		first, _ := mustSeal(t, c, alice, write(photos, key1))
		s, err := c.Sealer(t.Context(), alice, write(photos, key1))
		if err != nil {
			t.Fatal(err)
		}
		end := s.gen.NotAfter
		is := func(state string, stale bool) {
			t.Helper()
			entries, err := l.List(t.Context(), photos.UID)
			if err != nil || entries[0].ID != first || entries[0].State(time.Now()) != state || s.Stale() != stale {
				t.Errorf("%+v, %v, stale %t; want it %s, stale %t", entries, err, s.Stale(), state, stale)
			}
		}
		is("open", false)
		time.Sleep(time.Until(end) + time.Second/24 + time.Millisecond)
		is("open", true)
		time.Sleep(time.Until(end) + time.Second/11)
		is("closed", true)
		if second, _ := mustSeal(t, c, alice, write(photos, key1)); second == first {
			t.Error("did not roll over")
		}
	})
}

func TestWindowLengthsDiffer(t *testing.T) {
	least, most := Window, Window
	for range 1000 {
		d := stagesOf(0).length()
		least, most = min(least, d), max(most, d)
	}
	if least < Window*9/10 || most > Window*11/10 || least > Window*92/100 || most < Window*108/100 {
		t.Errorf("windows last from %v to %v", least, most)
	}
}

func TestWrapLimit(t *testing.T) {
	fake, store := newFake(), newStore()
	c := open(t, fake, store, Config{TTL: DefaultTTL})
	c.wraps = 10
	counts := make(map[uuid.UUID]int)
	for range 25 {
		gen, _ := mustSeal(t, c, alice, write(photos, key1))
		counts[gen]++
	}
	if len(counts) != 3 {
		t.Errorf("25 wraps with a limit of 10 used %d generations, want 3", len(counts))
	}
	for gen, n := range counts {
		if n > 10 {
			t.Errorf("%d wraps under %v", n, gen)
		}
	}
	// The other node has its own count and follows the pointer.
	other := open(t, fake, store, Config{TTL: DefaultTTL})
	before := fake.count(everyone, generate)
	mustSeal(t, other, alice, write(photos, key1))
	if fake.count(everyone, generate) != before {
		t.Error("the other node made a generation")
	}
}

// The count goes on although the entry expired and the pointer was read again.
func TestWrapCountSurvivesExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, newFake(), newStore(), Config{TTL: DefaultTTL})
		c.wraps = 4
		first, _ := mustSeal(t, c, alice, write(photos, key1))
		for range 3 {
			time.Sleep(DefaultTTL + time.Second)
			if gen, _ := mustSeal(t, c, alice, write(photos, key1)); gen != first {
				t.Fatal("rolled over early")
			}
		}
		time.Sleep(DefaultTTL + time.Second)
		if gen, _ := mustSeal(t, c, alice, write(photos, key1)); gen == first {
			t.Error("the count began again")
		}
	})
}

func TestRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // time stands still: all in one millisecond
		fake, store := newFake(), newStore()
		c := open(t, fake, store, Config{TTL: DefaultTTL})
		first, sealed := mustSeal(t, c, alice, write(photos, key1))
		other, _ := mustSeal(t, c, alice, write(photos, key2))
		mustOpen(t, c, alice, photos, first, sealed)
		before := fake.count(everyone, anyClass)
		c.KeyChanged(key1, kms.Rotated)
		mustOpen(t, c, alice, photos, first, sealed)
		if n := fake.count(everyone, anyClass) - before; n != 0 {
			t.Error("a rotation cost a reader a request")
		}
		second, _ := mustSeal(t, c, alice, write(photos, key1))
		if second == first {
			t.Error("a write after a rotation went under the old generation")
		}
		if again, _ := mustSeal(t, c, bob, write(photos, key1)); again != second {
			t.Error("the generation made after the rotation did not last")
		}
		if gen, _ := mustSeal(t, c, alice, write(photos, key2)); gen != other {
			t.Error("a rotation rolled another key's generation")
		}
	})
}

func TestKeyEventsEvict(t *testing.T) {
	for _, change := range []kms.Change{kms.StateChanged, kms.PolicyChanged, kms.Deleted} {
		fake := newFake()
		c := open(t, fake, newStore(), Config{TTL: DefaultTTL})
		gen, sealed := mustSeal(t, c, alice, write(photos, key1))
		mustOpen(t, c, alice, photos, gen, sealed)
		mustSeal(t, c, alice, write(photos, key2))
		c.KeyChanged(key1, change)
		if c.held() != 1 {
			t.Errorf("%s: %v entries left, want the other key's", change, c.held())
		}
		if again, _ := mustSeal(t, c, alice, write(photos, key1)); again != gen {
			t.Errorf("%s made a new generation", change)
		}
	}
}

func TestFlush(t *testing.T) {
	fake := newFake()
	c := open(t, fake, newStore(), Config{TTL: DefaultTTL})
	for _, b := range []Bucket{photos, videos} {
		gen, sealed := mustSeal(t, c, alice, write(b, key1))
		mustOpen(t, c, alice, b, gen, sealed)
	}
	if n := c.Flush(func(uid [16]byte, keyARN string) bool { return uid == videos.UID && keyARN == key1 }); n != 2 {
		t.Errorf("flushed %d entries, want 2", n)
	}
	before := fake.count(everyone, anyClass)
	mustSeal(t, c, alice, write(photos, key1))
	mustSeal(t, c, alice, write(videos, key1))
	if n := fake.count(everyone, anyClass) - before; n != 1 {
		t.Errorf("%d requests after a flush of one bucket, want 1", n)
	}
}

func withPair(b Bucket, key, value string) ForWrite {
	k := write(b, key1)
	k.Context[key] = value
	return k
}

func TestContextsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, store := newFake(), newStore()
		nodes := []*Cache{open(t, fake, store, Config{TTL: DefaultTTL}), open(t, fake, store, Config{TTL: DefaultTTL})}
		var refused []int
		var mu sync.Mutex
		together(2*MaxContexts, func(i int) {
			_, err := nodes[i%2].Sealer(t.Context(), alice, withPair(photos, "tenant", fmt.Sprint(i)))
			switch {
			case errors.Is(err, ErrTooManyContexts):
				mu.Lock()
				refused = append(refused, i)
				mu.Unlock()
			case err != nil:
				t.Errorf("context %d: %v", i, err)
			}
		})
		if len(refused) != MaxContexts {
			t.Fatalf("%d of %d contexts were refused, want %d", len(refused), 2*MaxContexts, MaxContexts)
		}
		if n := len(rows(t, store, "g/")); n != MaxContexts {
			t.Errorf("%d generations, want %d", n, MaxContexts)
		}
		// Nobody is pushed off the bare context, nor off another key or bucket.
		mustSeal(t, nodes[0], bob, write(photos, key1))
		mustSeal(t, nodes[0], bob, withPair(videos, "tenant", "x"))
		before := fake.count(everyone, anyClass)
		if _, err := nodes[0].Sealer(t.Context(), alice, withPair(photos, "tenant", fmt.Sprint(refused[0]))); !errors.Is(err, ErrTooManyContexts) {
			t.Errorf("got %v", err)
		}
		if fake.count(everyone, anyClass) != before {
			t.Error("a refused context made a KMS request")
		}
		// A day later the windows have closed, and their pointers go.
		time.Sleep(27 * time.Hour)
		mustSeal(t, nodes[0], alice, withPair(photos, "tenant", fmt.Sprint(refused[0])))
		var pointers int
		for _, r := range rows(t, store, "gp/") {
			if strings.HasPrefix(string(r.Key), "gp/"+string(photos.UID[:])) {
				pointers++
			}
		}
		if pointers != 2 {
			t.Errorf("%d pointers, want the bare one and the new one", pointers)
		}
	})
}

// Contexts that are new at the same time meet in one row, and waste no key there.
func TestContextsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, store := newFake(), newStore()
		fake.gate = slow(time.Second) // all have read the row before any commits
		nodes := []*Cache{open(t, fake, store, Config{TTL: DefaultTTL}), open(t, fake, store, Config{TTL: DefaultTTL})}
		const n = 20
		together(n, func(i int) { mustSeal(t, nodes[i%2], alice, withPair(photos, "tenant", fmt.Sprint(i))) })
		fake.want(t, everyone, generate, n)
		fake.want(t, everyone, anyClass, n)
	})
}

func TestContextsRollOverWithinTheBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, newFake(), newStore(), Config{TTL: DefaultTTL})
		c.wraps = 1
		for round := range 3 { // each seal closes its generation
			for i := range MaxContexts {
				if _, err := c.Sealer(t.Context(), alice, withPair(photos, "tenant", fmt.Sprint(i))); err != nil {
					t.Fatalf("round %d, context %d: %v", round, i, err)
				}
				mustSeal(t, c, alice, withPair(photos, "tenant", fmt.Sprint(i)))
			}
		}
	})
}

func TestWriteMustNameItsBucket(t *testing.T) {
	fake := newFake()
	c := open(t, fake, newStore(), Config{TTL: DefaultTTL})
	for name, k := range map[string]ForWrite{
		"another bucket": {photos, key1, bare(videos)},
		"no context":     {photos, key1, nil},
		"no key":         {photos, "", bare(photos)},
	} {
		if _, err := c.Sealer(t.Context(), alice, k); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	fake.want(t, everyone, anyClass, 0)
}

// failing wraps a store and fails commits on order.
type failing struct {
	meta.Store
	mu     sync.Mutex
	commit error
}

func (f *failing) Commit(ctx context.Context, b *meta.Batch) (uint64, error) {
	f.mu.Lock()
	err := f.commit
	f.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return f.Store.Commit(ctx, b)
}

// No wrap without a durable row; and the key that was made is wiped.
func TestPersistBeforeUse(t *testing.T) {
	fake := newFake()
	store := &failing{Store: newStore(), commit: errors.New("disk")}
	c := open(t, fake, store, Config{TTL: DefaultTTL})
	if s, err := c.Sealer(t.Context(), alice, write(photos, key1)); err == nil || s != nil {
		t.Fatalf("got a Sealer without a durable row: %v", err)
	}
	if fake.given[0].Reveal()[0]|fake.given[0].Reveal()[31] != 0 {
		t.Error("the unused key was not wiped")
	}
	if c.held() != 0 {
		t.Error("an entry was made")
	}
	store.commit = nil
	gen, _ := mustSeal(t, c, alice, write(photos, key1))
	if items, err := store.Get(t.Context(), generationRow(photos.UID, gen)); err != nil || items[0].Ver == 0 {
		t.Errorf("no row: %v", err)
	}
}

func TestLostGenerationIsReplaced(t *testing.T) {
	fake, store := newFake(), newStore()
	c := open(t, fake, store, Config{TTL: DefaultTTL})
	gen, sealed := mustSeal(t, c, alice, write(photos, key1))
	var batch meta.Batch
	batch.Delete(generationRow(photos.UID, gen))
	if _, err := store.Commit(t.Context(), &batch); err != nil {
		t.Fatal(err)
	}
	fresh := open(t, fake, store, Config{TTL: DefaultTTL})
	if err := tryOpen(t.Context(), fresh, alice, photos, gen, sealed); !errors.Is(err, NoGeneration) {
		t.Errorf("read under a lost generation: %v", err)
	}
	if again, _ := mustSeal(t, fresh, alice, write(photos, key1)); again == gen {
		t.Error("wrapped under a lost generation")
	}
}

func TestForget(t *testing.T) {
	fake, store := newFake(), newStore()
	c := open(t, fake, store, Config{TTL: DefaultTTL})
	gen, sealed := mustSeal(t, c, alice, write(photos, key1))
	mustSeal(t, c, alice, withPair(photos, "dept", "x"))
	kept, keptSealed := mustSeal(t, c, alice, write(videos, key1))
	for range 2 {
		if err := Forget(t.Context(), store, photos.UID); err != nil {
			t.Fatal(err)
		}
	}
	c.Flush(func(uid [16]byte, _ string) bool { return uid == photos.UID })
	if err := tryOpen(t.Context(), c, alice, photos, gen, sealed); !errors.Is(err, NoGeneration) {
		t.Errorf("read of a forgotten bucket: %v", err)
	}
	mustOpen(t, c, alice, videos, kept, keptSealed)
	if again, _ := mustSeal(t, c, alice, write(photos, key1)); again == gen {
		t.Error("wrapped under a forgotten generation")
	}
	if err := Forget(t.Context(), store, photos.UID); err != nil {
		t.Fatal(err)
	}
	if n := len(rows(t, store, "g")); n != 2 {
		t.Errorf("%d rows left, want the other bucket's generation and pointer", n)
	}
}
