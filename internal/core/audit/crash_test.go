// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/internal/store/meta/mem"
)

var crashImages = flag.Int("crashimages", 25, "crash images to take and read back")

// TestAcknowledgedRecordsSurviveACrash takes images of what a disk may hold if
// the machine stops now, while appends are under way, and looks for every record
// that was acknowledged as durable before.
func TestAcknowledgedRecordsSurviveACrash(t *testing.T) {
	for seed := range *crashImages {
		crashOnce(t, uint64(seed), nil)
	}
}

// With a journal they survive in it or in a file, and are in the trail once.
func TestJournaledRecordsSurviveACrash(t *testing.T) {
	for seed := range *crashImages {
		crashOnce(t, uint64(seed), mem.New())
	}
}

// rowsOf copies the rows of a store: what a crash now would leave of it.
func rowsOf(t *testing.T, from *mem.Store) meta.Store {
	page, err := from.Scan(t.Context(), meta.Range{Limit: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	to := mem.New()
	for _, it := range page.Items {
		var b meta.Batch
		b.Put(it.Key, it.Value)
		if _, err := to.Commit(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

func crashOnce(t *testing.T, seed uint64, journal *mem.Store) {
	rng := rand.New(rand.NewPCG(seed, 1))
	disk := vfs.NewCrashableMem()
	if err := disk.MkdirAll("/data", 0o700); err != nil {
		t.Fatal(err)
	}
	if root, err := disk.OpenDir("/"); err != nil || root.Sync() != nil {
		t.Fatalf("make the data directory durable: %v", err)
	}
	cfg := Config{MaxSize: 8 << 10}
	if journal != nil {
		cfg.Journal = journal
	}
	cfg.FS = disk
	trail, err := Open(t.Context(), dir, cfg)
	if err != nil {
		t.Fatal(err)
	}

	var mu sync.Mutex
	var acknowledged []string
	crashAt := rng.IntN(100)
	crashing, crash := make(chan struct{}), sync.Once{}
	var appenders sync.WaitGroup
	for a := range 4 {
		appenders.Go(func() {
			for i := range 50 {
				id := fmt.Sprintf("%d-%d", a, i)
				durable := i%3 != 0
				if err := trail.Append(context.Background(), putObject(id), durable); err != nil {
					t.Errorf("seed %d: %v", seed, err)
				}
				mu.Lock()
				if durable {
					acknowledged = append(acknowledged, id)
				}
				if len(acknowledged) > crashAt {
					crash.Do(func() { close(crashing) })
				}
				mu.Unlock()
			}
		})
	}
	<-crashing
	mu.Lock()
	promised := slices.Clone(acknowledged)
	mu.Unlock()
	if journal != nil { // before the image: rows go when the files have what they have
		cfg.Journal = rowsOf(t, journal)
	}
	image := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
	appenders.Wait()
	if err := trail.Close(); err != nil {
		t.Error(err)
	}

	again := mustOpen(t, image, cfg)
	if cfg.Journal != nil {
		wantWhole(t, again)
	}
	mustAppend(t, again, putObject("after"), true)
	promised = append(promised, "after")
	// And once more, while the first crash may still be at work.
	for i := range rng.IntN(10) {
		id := fmt.Sprint("again-", i)
		mustAppend(t, again, putObject(id), i%2 == 0)
		if i%2 == 0 {
			promised = append(promised, id)
		}
	}
	if journal != nil {
		cfg.Journal = rowsOf(t, cfg.Journal.(*mem.Store))
	}
	image = image.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
	last := mustOpen(t, image, cfg)
	mustAppend(t, last, putObject("last"), true)
	if cfg.Journal != nil {
		wantWhole(t, last)
	}
	ids, _ := requestIDs(t, image, Filter{})
	there := map[string]bool{}
	for _, id := range ids {
		if there[id] {
			t.Errorf("seed %d: record %s is in the trail twice", seed, id)
		}
		there[id] = true
	}
	for _, id := range append(promised, "last") {
		if !there[id] {
			t.Errorf("seed %d: record %s was acknowledged and is gone; %d of %d are there", seed, id, len(ids), len(promised))
			return
		}
	}
}
