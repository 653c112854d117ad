// SPDX-License-Identifier: Apache-2.0

package authentic_test

import (
	"errors"
	"testing"

	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/internal/store/meta/authentic"
	"github.com/cofferstore/coffer/internal/store/meta/mem"
)

// FuzzForgedRows: nobody writes a row without the key, neither anew nor from one that
// is there.
func FuzzForgedRows(f *testing.F) {
	f.Add("c/key", []byte("the value\x00\x00\x00\x01"), uint(0), byte(0))
	f.Add("c/key", make([]byte, 36), uint(3), byte(1))
	f.Add("st/counter", make([]byte, 8), uint(9), byte(0x80))
	below := mem.New()
	s := authentic.Wrap(below, testKeys())
	f.Fuzz(func(t *testing.T, key string, value []byte, at uint, change byte) {
		if key == "" || len(key) > meta.MaxKey || len(key) >= 3 && key[:3] == "st/" {
			return // counters bear no code
		}
		mustPut(t, below, key, string(value))
		if _, err := s.Get(t.Context(), []byte(key)); !errors.Is(err, meta.Damaged) {
			t.Errorf("%q with %x: %v", key, value, err)
		}
		mustPut(t, s, key, string(value))
		stored := mustGet(t, below, key)
		changed := append([]byte(nil), stored...)
		changed[at%uint(len(changed))] ^= change
		mustPut(t, below, key, string(changed))
		it, err := meta.Get1(t.Context(), s, []byte(key))
		if change == 0 {
			if err != nil || string(it.Value) != string(value) {
				t.Errorf("%q with %x reads %x, %v", key, value, it.Value, err)
			}
		} else if !errors.Is(err, meta.Damaged) {
			t.Errorf("%q with %x, changed by %#x: %v", key, stored, change, err)
		}
		mustPut(t, below, key+"'", string(stored))
		if _, err := s.Get(t.Context(), []byte(key+"'")); !errors.Is(err, meta.Damaged) {
			t.Errorf("the value of %q is taken elsewhere: %v", key, err)
		}
		if _, err := below.Commit(t.Context(), &meta.Batch{Deletes: [][]byte{[]byte(key), []byte(key + "'")}}); err != nil {
			t.Fatal(err)
		}
	})
}
