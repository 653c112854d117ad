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
)

var crashImages = flag.Int("crashimages", 25, "crash images to take and read back")

// TestAcknowledgedRecordsSurviveACrash takes images of what a disk may hold if
// the machine stops now, while appends are under way, and looks for every record
// that was acknowledged as durable before.
func TestAcknowledgedRecordsSurviveACrash(t *testing.T) {
	for seed := range *crashImages {
		crashOnce(t, uint64(seed))
	}
}

func crashOnce(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 1))
	mem := vfs.NewCrashableMem()
	if err := mem.MkdirAll("/data", 0o700); err != nil {
		t.Fatal(err)
	}
	if root, err := mem.OpenDir("/"); err != nil || root.Sync() != nil {
		t.Fatalf("make the data directory durable: %v", err)
	}
	trail, err := Open(dir, Config{FS: mem, MaxSize: 8 << 10})
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
	image := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
	appenders.Wait()
	if err := trail.Close(); err != nil {
		t.Error(err)
	}

	again := mustOpen(t, image, Config{})
	mustAppend(t, again, putObject("after"), true)
	ids, _ := requestIDs(t, image, Filter{})
	there := map[string]bool{}
	for _, id := range ids {
		there[id] = true
	}
	for _, id := range append(promised, "after") {
		if !there[id] {
			t.Errorf("seed %d: record %s was acknowledged and is gone; %d of %d are there", seed, id, len(ids), len(promised))
			return
		}
	}
}
