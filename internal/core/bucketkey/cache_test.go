// SPDX-License-Identifier: Apache-2.0

package bucketkey

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/cofferstore/coffer/internal/core/kms"
)

func TestOneRequesterPaysOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := newFake()
		reg := prometheus.NewRegistry()
		c := open(t, fake, newStore(), Config{TTL: DefaultTTL, Metrics: reg})
		var gen uuid.UUID
		var sealed []byte
		for range 1000 {
			gen, sealed = mustSeal(t, c, alice, write(photos, key1))
		}
		fake.want(t, alice, generate, 1)
		fake.want(t, everyone, anyClass, 1)
		for range 1000 {
			mustOpen(t, c, alice, photos, gen, sealed)
		}
		fake.want(t, alice, kms.Decrypt, 1)
		fake.want(t, everyone, anyClass, 2)
		if fake.checks != 2000 {
			t.Errorf("%d checks for 2000 calls", fake.checks)
		}
		if got, want := c.Requests(photos.UID), []Requests{{key1, 1, 1, 999, 999}}; !slices.Equal(got, want) {
			t.Errorf("counted %+v, want %+v", got, want)
		}
		if got := c.Requests([16]byte{1, 2, 3}); len(got) != 0 {
			t.Errorf("for a bucket without requests %+v", got)
		}
		wantMetric(t, reg, `coffer_kms_requests_avoided_total{operation="GenerateDataKey"}`, 999)
		wantMetric(t, reg, `coffer_kms_requests_avoided_total{operation="Decrypt"}`, 999)
		wantMetric(t, reg, `coffer_bucket_key_generations_total`, 1)
		wantMetric(t, reg, `coffer_bucket_key_unwraps_total{cause="read"}`, 1)
		wantMetric(t, reg, `coffer_bucket_key_entries`, 2)
	})
}

// A reader of another's objects proves itself once; so does a writer who shares
// the generation.
func TestEachRequesterProvesItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := newFake()
		c := open(t, fake, newStore(), Config{TTL: DefaultTTL})
		gen, sealed := mustSeal(t, c, alice, write(photos, key1))
		for range 100 {
			other, otherSealed := mustSeal(t, c, bob, write(photos, key1))
			if other != gen {
				t.Fatal("two requesters got two generations")
			}
			mustOpen(t, c, bob, photos, gen, otherSealed)
			mustOpen(t, c, bob, photos, gen, sealed)
		}
		fake.want(t, alice, anyClass, 1)
		fake.want(t, bob, generate, 0)
		fake.want(t, bob, kms.Generate, 1)
		fake.want(t, bob, kms.Decrypt, 1)

		scoped, again := alice, alice
		scoped.Scope = [32]byte{7} // one role with a session policy is another requester
		again.AccessKeyID = "ASIA2"
		again.SourceIP = "192.0.2.9" // another session of one role is not
		before := fake.count(everyone, anyClass)
		mustSeal(t, c, again, write(photos, key1))
		if n := fake.count(everyone, anyClass) - before; n != 0 {
			t.Errorf("another session of the same role made %d requests, want 0", n)
		}
		mustSeal(t, c, scoped, write(photos, key1))
		if n := fake.count(everyone, anyClass) - before; n != 1 {
			t.Errorf("a session policy made %d requests, want 1", n)
		}
	})
}

func TestGenerationsAreApart(t *testing.T) {
	fake := newFake()
	c := open(t, fake, newStore(), Config{TTL: DefaultTTL})
	pairs := write(photos, key1)
	pairs.Context["dept"] = "x"
	gens := make(map[uuid.UUID]bool)
	for range 3 {
		for _, k := range []ForWrite{write(photos, key1), write(photos, key2), write(videos, key1), pairs} {
			gen, _ := mustSeal(t, c, alice, k)
			gens[gen] = true
		}
	}
	if len(gens) != 4 {
		t.Errorf("two keys, two buckets and two contexts made %d generations, want 4", len(gens))
	}
	fake.want(t, alice, anyClass, 4)
}

// Who may only generate can write and never read, warm or cold; and the reverse.
func TestClassesAreApart(t *testing.T) {
	fake := newFake()
	c := open(t, fake, newStore(), Config{TTL: DefaultTTL})
	gen, sealed := mustSeal(t, c, bob, write(photos, key1))
	mustOpen(t, c, bob, photos, gen, sealed)
	fake.denied[alice.ARN+string(kms.Decrypt)] = true
	for range 2 {
		mustSeal(t, c, alice, write(photos, key1))
		if err := tryOpen(t.Context(), c, alice, photos, gen, sealed); !errors.Is(err, errDenied.Kind) {
			t.Errorf("writer reads: %v", err)
		}
	}
	fake.denied[bob.ARN+string(kms.Generate)] = true
	mustOpen(t, c, bob, photos, gen, sealed)
	if _, err := c.Sealer(t.Context(), bob, write(photos, key1)); !errors.Is(err, errDenied.Kind) {
		t.Errorf("reader writes: %v", err)
	}
}

// An entry of the wrong type under an id must not be taken for the right one.
func TestEntryTypesAreApart(t *testing.T) {
	c := open(t, newFake(), newStore(), Config{TTL: DefaultTTL})
	gen, _ := mustSeal(t, c, alice, write(photos, key1))
	c.mu.Lock()
	defer c.mu.Unlock()
	if warm[*Sealer](c, entryID{gen, alice.Requester(), kms.Generate}, time.Now()) == nil {
		t.Fatal("no entry to write with")
	}
	if warm[*Opener](c, entryID{gen, alice.Requester(), kms.Generate}, time.Now()) != nil {
		t.Error("an entry for writing gave an Opener")
	}
}

func TestDisabledKeyIsRefusedWarm(t *testing.T) {
	fake := newFake()
	c := open(t, fake, newStore(), Config{TTL: DefaultTTL})
	gen, sealed := mustSeal(t, c, alice, write(photos, key1))
	mustOpen(t, c, alice, photos, gen, sealed)
	fake.disabled[key1] = true
	if _, err := c.Sealer(t.Context(), alice, write(photos, key1)); !errors.Is(err, errDisabled.Kind) {
		t.Errorf("warm write under a disabled key: %v", err)
	}
	if err := tryOpen(t.Context(), c, alice, photos, gen, sealed); !errors.Is(err, errDisabled.Kind) {
		t.Errorf("warm read under a disabled key: %v", err)
	}
	fake.want(t, everyone, anyClass, 2)
	fake.disabled[key1] = false
	mustOpen(t, c, alice, photos, gen, sealed)
	fake.want(t, everyone, anyClass, 2)

	// Without a proof the refusal is the KMS's own, so that it is on record.
	fake.disabled[key1] = true
	for range 2 {
		if err := tryOpen(t.Context(), c, bob, photos, gen, sealed); !errors.Is(err, errDisabled.Kind) {
			t.Errorf("cold read under a disabled key: %v", err)
		}
		if _, err := c.Sealer(t.Context(), bob, write(videos, key1)); !errors.Is(err, errDisabled.Kind) {
			t.Errorf("cold write under a disabled key: %v", err)
		}
	}
	fake.want(t, bob, kms.Decrypt, 2)
	fake.want(t, bob, generate, 2)
	if g, err := c.Generation(t.Context(), photos.UID, gen); err != nil || g.KeyARN != key1 || g.Context["aws:s3:arn"] != "arn:aws:s3:::photos" {
		t.Errorf("generation is %+v, %v", g, err)
	}
}

// Use does not extend a proof, and each lasts between 0.9 and 1.0 of the TTL.
func TestProofsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := newFake()
		c := open(t, fake, newStore(), Config{TTL: DefaultTTL})
		gen, sealed := mustSeal(t, c, bob, write(photos, key1))
		var lives []time.Duration
		for range 20 {
			start, before := time.Now(), fake.count(alice, kms.Decrypt)
			for fake.count(alice, kms.Decrypt) < before+2 {
				mustOpen(t, c, alice, photos, gen, sealed)
				time.Sleep(time.Second)
			}
			lives = append(lives, time.Since(start)-time.Second)
			c.Flush(func([16]byte, string) bool { return true })
		}
		if least, most := slices.Min(lives), slices.Max(lives); least < 270*time.Second || most > 301*time.Second || least == most {
			t.Errorf("proofs lasted from %v to %v, want 270 s to 300 s with a spread", least, most)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.entries.len() != 0 {
			t.Errorf("%d entries are left after a flush", c.entries.len())
		}
	})
}

// The key goes when its proof ends, not when it is next asked for.
func TestExpiredKeysLeaveMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := newFake()
		c := open(t, fake, newStore(), Config{TTL: time.Minute})
		gen, sealed := mustSeal(t, c, alice, write(photos, key1))
		mustOpen(t, c, alice, photos, gen, sealed)
		if c.held() != 2 {
			t.Fatalf("%v entries, want 2", c.held())
		}
		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		if c.held() != 0 {
			t.Errorf("%v entries a minute later, want 0", c.held())
		}
		// And the key service being down then is an error, not a longer life.
		fake.fail = func(request) error { return errors.New("down") }
		if _, err := c.Sealer(t.Context(), alice, write(photos, key1)); err == nil {
			t.Error("a write passed after expiry with the key service down")
		}
		if err := tryOpen(t.Context(), c, alice, photos, gen, sealed); err == nil {
			t.Error("a read passed after expiry with the key service down")
		}
	})
}

// Nor does a proof outlive its deadline because the timer that drops it is late.
func TestLateTimer(t *testing.T) {
	fake := newFake()
	c := open(t, fake, newStore(), Config{TTL: DefaultTTL})
	gen, sealed := mustSeal(t, c, alice, write(photos, key1))
	mustOpen(t, c, alice, photos, gen, sealed)
	c.mu.Lock()
	for _, class := range []kms.Class{kms.Generate, kms.Decrypt} {
		e, ok := c.entries.peek(entryID{gen, alice.Requester(), class})
		if !ok {
			t.Fatalf("no entry for %s", class)
		}
		e.until = time.Now()
	}
	c.mu.Unlock()
	mustSeal(t, c, alice, write(photos, key1))
	mustOpen(t, c, alice, photos, gen, sealed)
	fake.want(t, everyone, anyClass, 4)
}

func TestTTLZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := newFake()
		c := open(t, fake, newStore(), Config{})
		gens := make(map[uuid.UUID]bool)
		for range 10 {
			gen, sealed := mustSeal(t, c, alice, write(photos, key1))
			mustOpen(t, c, alice, photos, gen, sealed)
			gens[gen] = true
		}
		if len(gens) != 1 {
			t.Errorf("%d generations, want 1", len(gens))
		}
		fake.want(t, alice, generate, 1)
		fake.want(t, alice, kms.Generate, 9)
		fake.want(t, alice, kms.Decrypt, 10)
		if c.held() != 0 {
			t.Errorf("%v entries with TTL 0", c.held())
		}
		const n = 5
		together(n, func(int) { mustSeal(t, c, bob, write(photos, key1)) })
		fake.want(t, bob, kms.Generate, n)
		together(n, func(int) { mustSeal(t, c, bob, write(videos, key1)) })
		fake.want(t, bob, anyClass, 2*n)
	})
}

func TestRestart(t *testing.T) {
	fake, store := newFake(), newStore()
	type object struct {
		b      Bucket
		gen    uuid.UUID
		sealed []byte
	}
	var objects []object
	first := open(t, fake, store, Config{TTL: DefaultTTL})
	for _, b := range []Bucket{photos, videos} {
		for _, key := range []string{key1, key2} {
			gen, sealed := mustSeal(t, first, alice, write(b, key))
			objects = append(objects, object{b, gen, sealed})
		}
	}
	first.Close()
	second := open(t, fake, store, Config{TTL: DefaultTTL})
	before := fake.count(everyone, anyClass)
	for range 10 {
		for _, o := range objects {
			mustOpen(t, second, alice, o.b, o.gen, o.sealed)
			mustOpen(t, second, bob, o.b, o.gen, o.sealed)
		}
	}
	if n := fake.count(everyone, anyClass) - before; n != 2*len(objects) {
		t.Errorf("reading all after a restart made %d requests, want one per generation and requester: %d", n, 2*len(objects))
	}
	gen, _ := mustSeal(t, second, alice, write(photos, key1))
	if gen != objects[0].gen {
		t.Error("a restart made a new generation")
	}
}

func TestClose(t *testing.T) {
	fake := newFake()
	c := open(t, fake, newStore(), Config{TTL: DefaultTTL})
	gen, sealed := mustSeal(t, c, alice, write(photos, key1))
	mustOpen(t, c, alice, photos, gen, sealed)
	c.Close()
	if c.held() != 0 {
		t.Errorf("%v entries after Close", c.held())
	}
	for _, key := range fake.given {
		if !bytes.Equal(key.Reveal(), make([]byte, 32)) {
			t.Error("a bucket key is still in memory")
		}
	}
	if _, err := c.Sealer(t.Context(), alice, write(photos, key1)); !errors.Is(err, Unavailable) {
		t.Errorf("Sealer after Close: %v", err)
	}
	if err := tryOpen(t.Context(), c, alice, photos, gen, sealed); !errors.Is(err, Unavailable) {
		t.Errorf("Opener after Close: %v", err)
	}
	c.Close()
}

func TestCapacity(t *testing.T) {
	fake := newFake()
	reg := prometheus.NewRegistry()
	c := open(t, fake, newStore(), Config{TTL: DefaultTTL, Metrics: reg})
	c.entries.capacity = 3
	gen, sealed := mustSeal(t, c, alice, write(photos, key1))
	readers := []string{"role/r1", "role/r2", "role/r3"}
	for _, r := range readers {
		mustOpen(t, c, caller(r), photos, gen, sealed)
	}
	mustOpen(t, c, caller("role/r1"), photos, gen, sealed) // now the latest
	mustOpen(t, c, caller("role/r4"), photos, gen, sealed)
	if c.held() != 3 {
		t.Errorf("%v entries, want 3", c.held())
	}
	before := fake.count(everyone, anyClass)
	mustOpen(t, c, caller("role/r1"), photos, gen, sealed)
	if n := fake.count(everyone, anyClass) - before; n != 0 {
		t.Error("the entry used last was dropped")
	}
	mustOpen(t, c, caller("role/r2"), photos, gen, sealed)
	if n := fake.count(everyone, anyClass) - before; n != 1 {
		t.Error("the entry used longest ago was kept")
	}
	wantMetric(t, reg, `coffer_bucket_key_evictions_total{cause="capacity"}`, 3)
}

func TestConfigCheck(t *testing.T) {
	for ttl, ok := range map[time.Duration]bool{0: true, DefaultTTL: true, MaxTTL: true, MaxTTL + 1: false, -1: false} {
		if err := (Config{TTL: ttl}).Check(); (err == nil) != ok {
			t.Errorf("TTL %v: %v", ttl, err)
		}
	}
	c := open(t, newFake(), newStore(), Config{TTL: 48 * time.Hour})
	if c.cfg.TTL != MaxTTL {
		t.Errorf("TTL %v passed the cap", c.cfg.TTL)
	}
}

func wantMetric(t *testing.T, reg *prometheus.Registry, line string, want float64) {
	t.Helper()
	name, labels, _ := cutLabels(line)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if len(labels) > 0 && (len(m.GetLabel()) == 0 || m.GetLabel()[0].GetName()+`="`+m.GetLabel()[0].GetValue()+`"` != labels) {
				continue
			}
			if got := m.GetCounter().GetValue() + m.GetGauge().GetValue(); got != want {
				t.Errorf("%s is %v, want %v", line, got, want)
			}
			return
		}
	}
	t.Errorf("no metric %s", line)
}

func cutLabels(line string) (name, labels string, ok bool) {
	for i := range line {
		if line[i] == '{' {
			return line[:i], line[i+1 : len(line)-1], true
		}
	}
	return line, "", false
}

func TestMetricsLint(t *testing.T) {
	reg := prometheus.NewRegistry()
	open(t, newFake(), newStore(), Config{Metrics: reg})
	problems, err := testutil.GatherAndLint(reg)
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}
