// SPDX-License-Identifier: Apache-2.0

package bucketkey

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/core/kms"
)

// together runs do n times at once and waits.
func together(n int, do func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { do(i) })
	}
	wg.Wait()
}

// slow makes every request take its time, and end early with its context.
func slow(d time.Duration) func(context.Context, request) {
	return func(ctx context.Context, _ request) {
		select {
		case <-time.After(d):
		case <-ctx.Done():
		}
	}
}

func TestColdRequestsShareOneFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := newFake()
		fake.gate = slow(time.Second)
		c := open(t, fake, newStore(), Config{TTL: DefaultTTL})
		together(50, func(int) { mustSeal(t, c, alice, write(photos, key1)) })
		fake.want(t, everyone, anyClass, 1)
		gen, sealed := mustSeal(t, c, alice, write(photos, key1))
		together(50, func(int) { mustOpen(t, c, bob, photos, gen, sealed) })
		fake.want(t, everyone, anyClass, 2)
	})
}

// A reader who lacks Decrypt must not ride on a writer's flight, nor one requester
// on another's.
func TestFlightsAreNotSharedAcrossProofs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := newFake()
		c := open(t, fake, newStore(), Config{TTL: DefaultTTL})
		gen, sealed := mustSeal(t, c, alice, write(photos, key1))
		fake.gate = slow(time.Second)
		together(30, func(i int) {
			switch i % 3 {
			case 0:
				mustOpen(t, c, alice, photos, gen, sealed)
			case 1:
				mustOpen(t, c, bob, photos, gen, sealed)
			case 2:
				mustSeal(t, c, bob, write(photos, key1))
			}
		})
		fake.want(t, alice, kms.Decrypt, 1)
		fake.want(t, bob, kms.Decrypt, 1)
		fake.want(t, bob, kms.Generate, 1)
		fake.want(t, everyone, anyClass, 4)
	})
}

func TestManyRequestersMakeOneGeneration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := newFake()
		fake.gate = slow(time.Second)
		c := open(t, fake, newStore(), Config{TTL: DefaultTTL})
		gens := make([]uuid.UUID, 20)
		together(len(gens), func(i int) {
			gens[i], _ = mustSeal(t, c, caller("role/"+string(rune('a'+i))), write(photos, key1))
		})
		for _, g := range gens {
			if g != gens[0] {
				t.Fatal("requesters at once made several generations")
			}
		}
		fake.want(t, everyone, generate, 1)
		fake.want(t, everyone, anyClass, len(gens))
	})
}

// The first caller's failure is its own: another who waited for it tries itself.
func TestFailureIsTheRequestersOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := newFake()
		fake.gate = slow(time.Second)
		fake.fail = func(r request) error { // denied by the time it asks
			if r.who == alice.ARN {
				return errDenied
			}
			return nil
		}
		c := open(t, fake, newStore(), Config{TTL: DefaultTTL})
		aliceErrs := make([]error, 3)
		together(6, func(i int) {
			if i < 3 {
				_, aliceErrs[i] = c.Sealer(t.Context(), alice, write(photos, key1))
				return
			}
			time.Sleep(time.Millisecond) // join the flight that alice leads
			mustSeal(t, c, bob, write(photos, key1))
		})
		for _, err := range aliceErrs {
			if !errors.Is(err, errDenied.Kind) {
				t.Errorf("alice got %v, want her own denial", err)
			}
		}
		fake.want(t, alice, anyClass, 1)
		fake.want(t, bob, anyClass, 1)

		fake.fail = nil // a denial is not remembered
		mustSeal(t, c, alice, write(photos, key1))
	})
}

// Whom the check refuses must not ride on a flight of the same requester, whose
// other call (from an allowed address, say) may be under way.
func TestRefusedCallerSharesNoFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := newFake()
		c := open(t, fake, newStore(), Config{TTL: DefaultTTL})
		gen, sealed := mustSeal(t, c, bob, write(photos, key1))
		fake.gate = slow(time.Second)
		together(2, func(i int) {
			if i == 0 {
				mustOpen(t, c, alice, photos, gen, sealed)
				return
			}
			time.Sleep(time.Millisecond)
			fake.set(func() { fake.denyCheck = errDenied })
			if err := tryOpen(t.Context(), c, alice, photos, gen, sealed); !errors.Is(err, errDenied.Kind) {
				t.Errorf("got %v", err)
			}
		})
		fake.want(t, alice, kms.Decrypt, 2)
	})
}

func TestFirstCallerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := newFake()
		c := open(t, fake, newStore(), Config{TTL: DefaultTTL})
		for _, step := range []struct {
			name string
			call func(context.Context) error
		}{
			{"writer", func(ctx context.Context) error {
				_, err := c.Sealer(ctx, alice, write(photos, key1))
				return err
			}},
			{"second writer", func(ctx context.Context) error {
				_, err := c.Sealer(ctx, bob, write(photos, key1))
				return err
			}},
		} {
			fake.set(func() { fake.gate = slow(5 * time.Second) })
			before := fake.count(everyone, anyClass)
			ctx, cancel := context.WithCancel(t.Context())
			var first error
			go func() {
				time.Sleep(time.Second)
				cancel()
			}()
			together(4, func(i int) {
				if i == 0 {
					first = step.call(ctx)
					return
				}
				time.Sleep(10 * time.Millisecond)
				if err := step.call(t.Context()); err != nil {
					t.Errorf("%s who stayed: %v", step.name, err)
				}
			})
			if !errors.Is(first, context.Canceled) {
				t.Errorf("%s who left got %v", step.name, first)
			}
			if n := fake.count(everyone, anyClass) - before; n != 1 {
				t.Errorf("%s: %d requests, want 1", step.name, n)
			}
		}
	})
}

func TestKeyServiceHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := newFake()
		c := open(t, fake, newStore(), Config{TTL: DefaultTTL})
		gen, sealed := mustSeal(t, c, alice, write(photos, key1))
		fake.gate = slow(time.Hour)
		start := time.Now()
		together(6, func(i int) {
			if i%2 == 0 {
				if err := tryOpen(t.Context(), c, bob, photos, gen, sealed); !errors.Is(err, Unavailable) {
					t.Errorf("read: %v", err)
				}
				return
			}
			// Different requesters for one new generation: each waits as long as any.
			if _, err := c.Sealer(t.Context(), caller("role/"+string(rune('a'+i))), write(videos, key1)); !errors.Is(err, Unavailable) {
				t.Errorf("write: %v", err)
			}
		})
		if d := time.Since(start); d > 11*time.Second {
			t.Errorf("callers waited %v", d)
		}
		mustSeal(t, c, alice, write(photos, key1)) // warm
	})
}

func TestCloseStopsFlights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := newFake()
		fake.gate = slow(time.Hour)
		c := open(t, fake, newStore(), Config{TTL: DefaultTTL})
		go func() {
			time.Sleep(time.Second)
			c.Close()
		}()
		start := time.Now()
		if _, err := c.Sealer(t.Context(), alice, write(photos, key1)); !errors.Is(err, Unavailable) {
			t.Errorf("got %v", err)
		}
		if d := time.Since(start); d != time.Second {
			t.Errorf("waited %v after Close", d-time.Second)
		}
	})
}

func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := newFake()
		c := open(t, fake, newStore(), Config{TTL: DefaultTTL})
		gen, sealed := mustSeal(t, c, alice, write(photos, key1))
		fake.fail = func(request) error { return errThrottle }
		before := fake.count(everyone, anyClass)
		if err := tryOpen(t.Context(), c, bob, photos, gen, sealed); !errors.Is(err, errThrottle.Kind) {
			t.Errorf("first refusal: %v", err)
		}
		for range 50 {
			if err := tryOpen(t.Context(), c, bob, photos, gen, sealed); !errors.Is(err, Throttled) {
				t.Errorf("while the breaker is open: %v", err)
			}
			if _, err := c.Sealer(t.Context(), bob, write(videos, key1)); !errors.Is(err, Throttled) {
				t.Errorf("while the breaker is open: %v", err)
			}
		}
		if n := fake.count(everyone, anyClass) - before; n != 1 {
			t.Errorf("%d requests against a breaker, want 1", n)
		}
		mustSeal(t, c, alice, write(photos, key1)) // warm ones go on
		other := bob
		other.Account = "000000000002"
		if err := tryOpen(t.Context(), c, other, photos, gen, sealed); !errors.Is(err, errThrottle.Kind) {
			t.Errorf("another account has a quota of its own, got %v", err)
		}
		time.Sleep(799 * time.Millisecond)
		if err := tryOpen(t.Context(), c, bob, photos, gen, sealed); !errors.Is(err, Throttled) {
			t.Errorf("breaker closed before 0.8 s: %v", err)
		}
		time.Sleep(402 * time.Millisecond)
		fake.fail = nil
		mustOpen(t, c, bob, photos, gen, sealed)
	})
}

// Two nodes that make a generation at once end with one, at the cost of a request.
func TestTwoNodesRace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, store := newFake(), newStore()
		fake.gate = slow(time.Second)
		nodes := []*Cache{open(t, fake, store, Config{TTL: DefaultTTL}), open(t, fake, store, Config{TTL: DefaultTTL})}
		gens, wraps := make([]uuid.UUID, 2), make([][]byte, 2)
		together(2, func(i int) { gens[i], wraps[i] = mustSeal(t, nodes[i], alice, write(photos, key1)) })
		if gens[0] != gens[1] {
			t.Error("two nodes use two generations")
		}
		fake.want(t, alice, generate, 2)
		fake.want(t, alice, kms.Generate, 1)
		for i := range nodes {
			mustOpen(t, nodes[1-i], bob, photos, gens[i], wraps[i])
		}
	})
}

// What was on its way when the key changed or the cache was flushed is not kept.
func TestChangeDuringFlight(t *testing.T) {
	for name, change := range map[string]func(*Cache){
		"key event": func(c *Cache) { c.KeyChanged(key1, kms.PolicyChanged) },
		"flush":     func(c *Cache) { c.Flush(func(uid [16]byte, _ string) bool { return uid == photos.UID }) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := newFake()
				fake.gate = slow(time.Second)
				c := open(t, fake, newStore(), Config{TTL: DefaultTTL})
				together(2, func(i int) {
					if i == 0 {
						mustSeal(t, c, alice, write(photos, key1))
						return
					}
					time.Sleep(time.Millisecond)
					change(c)
				})
				if c.held() != 0 {
					t.Error("a generation's first entry was kept")
				}
				gen, sealed := mustSeal(t, c, bob, write(photos, key1))
				together(2, func(i int) {
					if i == 0 {
						mustOpen(t, c, alice, photos, gen, sealed)
						return
					}
					time.Sleep(time.Millisecond)
					change(c)
				})
				if c.held() != 0 {
					t.Error("a reader's entry was kept")
				}
			})
		})
	}
}
