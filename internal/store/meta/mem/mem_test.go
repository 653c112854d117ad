// SPDX-License-Identifier: Apache-2.0

package mem_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/internal/store/meta/mem"
	"github.com/cofferstore/coffer/internal/store/meta/metatest"
)

func TestStore(t *testing.T) {
	metatest.Run(t, func(t *testing.T) meta.Store { return mem.New() })
}

// Random puts and deletes, against a map: the chunks split and empty correctly.
func TestStoreAgainstMap(t *testing.T) {
	s := mem.New()
	rng := rand.New(rand.NewPCG(1, 2))
	model := map[string]uint64{}
	for i := range 20_000 {
		key := strconv.Itoa(rng.IntN(6000))
		var b meta.Batch
		// More puts than deletes in the first half, fewer in the second.
		if rng.IntN(20_000) > i {
			b.Put([]byte(key), nil)
		} else {
			b.Delete([]byte(key))
		}
		ver, err := s.Commit(t.Context(), &b)
		if err != nil {
			t.Fatal(err)
		}
		delete(model, key)
		if len(b.Puts) > 0 {
			model[key] = ver
		}
	}
	page, err := s.Scan(t.Context(), meta.Range{Limit: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Items) != len(model) || len(model) == 0 {
		t.Errorf("%d rows, want %d", len(page.Items), len(model))
	}
	for _, it := range page.Items {
		if model[string(it.Key)] != it.Ver {
			t.Errorf("row %q has version %d, want %d", it.Key, it.Ver, model[string(it.Key)])
		}
	}
	if !slices.IsSortedFunc(page.Items, func(a, b meta.Item) int { return bytes.Compare(a.Key, b.Key) }) {
		t.Error("rows out of order")
	}
}
