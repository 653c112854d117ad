// SPDX-License-Identifier: Apache-2.0

package pebble

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cofferstore/coffer/internal/store/meta"
)

// committed is a commit that succeeded: what it did to which rows.
type committed struct {
	ver  uint64
	acts []act
}

type act struct {
	key  string
	op   meta.Op
	cond bool
	want uint64
}

// Commits of many at once into few rows, which become counters and rows again, are as if
// they had come one after the other, in the order of their versions: each found what it
// demanded, and what a Get says in the end is what the last one left.
func TestCommitsInTheOrderOfTheirVersions(t *testing.T) {
	s := mustOpen(t, vfs.NewMem(), "meta")
	defer s.Close()
	var mu sync.Mutex
	var all []committed
	var wg sync.WaitGroup
	for worker := range uint64(6) {
		wg.Go(func() {
			dice := rand.New(rand.NewPCG(1, worker))
			for i := range 1500 {
				var b meta.Batch
				var acts []act
				// Families come new again and again, without counters at first.
				first := dice.IntN(3)
				for n := range 1 + dice.IntN(2) {
					a, err := chosen(t, s, dice, fmt.Sprintf("f%d/%d", i/50, (first+n)%3), &b)
					if err != nil {
						t.Error(err)
						return
					}
					acts = append(acts, a)
				}
				ver, err := s.Commit(t.Context(), &b)
				switch {
				case err == nil:
					mu.Lock()
					all = append(all, committed{ver, acts})
					mu.Unlock()
				case !errors.As(err, new(*meta.ConflictError)) && !errors.Is(err, meta.ErrMixed):
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	slices.SortFunc(all, func(a, b committed) int { return int(a.ver) - int(b.ver) })
	rows := map[string]uint64{}
	for _, c := range all {
		for _, a := range c.acts {
			was := rows[a.key]
			if a.cond && was != a.want {
				t.Fatalf("version %d: %+v was done on version %d", c.ver, a, was)
			}
			if a.op == meta.Write && was == meta.CounterVersion || a.op == meta.Increment && was != 0 && was != meta.CounterVersion {
				t.Fatalf("version %d: %+v was done on version %d, a counter or a row and not both", c.ver, a, was)
			}
		}
		for _, a := range c.acts {
			switch a.op {
			case meta.Write:
				rows[a.key] = c.ver
			case meta.Remove:
				rows[a.key] = 0
			case meta.Increment:
				rows[a.key] = meta.CounterVersion
			}
		}
	}
	for key, want := range rows {
		if it, err := meta.Get1(t.Context(), s, []byte(key)); err != nil || it.Ver != want {
			t.Errorf("%s has version %d, want %d, %v", key, it.Ver, want, err)
		}
	}
}

// chosen adds something to a batch: mostly what follows from what a Get says.
func chosen(t *testing.T, s *Store, dice *rand.Rand, key string, b *meta.Batch) (act, error) {
	k := []byte(key)
	switch x := dice.IntN(10); {
	case x == 0:
		b.Add(k, 1)
		return act{key: key, op: meta.Increment}, nil
	case x < 3:
		b.Delete(k)
		return act{key: key, op: meta.Remove}, nil
	case x < 4:
		b.Put(k, []byte("blind"))
		return act{key: key, op: meta.Write}, nil
	}
	it, err := meta.Get1(t.Context(), s, k)
	if err != nil {
		return act{}, err
	}
	switch {
	case it.Ver == meta.CounterVersion:
		b.Delete(k)
		return act{key: key, op: meta.Remove}, nil
	case it.Ver != 0 && dice.IntN(2) == 0:
		b.Cond(k, it.Ver)
		b.Delete(k)
		return act{key, meta.Remove, true, it.Ver}, nil
	}
	b.PutIf(k, []byte("made"), it.Ver)
	return act{key, meta.Write, true, it.Ver}, nil
}
