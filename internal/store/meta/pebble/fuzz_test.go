// SPDX-License-Identifier: Apache-2.0

package pebble

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/cofferstore/coffer/internal/store/meta"
)

// FuzzValue: a value that is read is the one that was written; what is no counter is
// not added to one.
func FuzzValue(f *testing.F) {
	f.Add([]byte{kindRow, 0, 0, 0, 0, 0, 0, 0, 1, 'v'})
	f.Add([]byte{kindCounter, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2})
	f.Add([]byte{kindLast, 0, 0, 0, 0, 0, 0, 0, 1})
	f.Add([]byte{0})
	f.Add([]byte{kindCounter, 0, 0, 0, 0, 0, 0, 0, 1, 0})
	f.Add(append([]byte{kindCounter}, make([]byte, counterSize)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, ok := decode(b)
		if ok && !bytes.Equal(append(binary.BigEndian.AppendUint64([]byte{v.kind}, v.ver), v.body...), b) {
			t.Errorf("%x is read as %+v", b, v)
		}
		m, err := mergeCounter([]byte("rst/x"), b)
		if counter := ok && v.kind == kindCounter; counter != (err == nil) || err != nil && !errors.Is(err, meta.Damaged) {
			t.Fatalf("%x as a counter: %v", b, err)
		}
		if err != nil {
			return
		}
		if err := m.MergeOlder(b); err != nil {
			t.Fatal(err)
		}
		sum, _, err := m.Finish(true)
		twice, ok := decode(sum)
		if err != nil || !ok || twice.ver != v.ver || binary.BigEndian.Uint64(twice.body) != 2*binary.BigEndian.Uint64(v.body) {
			t.Errorf("twice %x is %x", b, sum)
		}
	})
}
