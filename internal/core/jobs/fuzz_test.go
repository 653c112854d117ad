// SPDX-License-Identifier: Apache-2.0

package jobs

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/store/meta"
)

// FuzzRow: a row is written again as it is read, and a damaged one is said to be so.
func FuzzRow(f *testing.F) {
	at := time.UnixMilli(0).UTC()
	seed, err := row{
		Argument: json.RawMessage(`{"a":1}`), State: Running, Cursor: json.RawMessage(`"x"`), Lease: &lease{"me", at}, Created: at, Updated: at,
	}.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("j/kind/id"), seed)
	f.Add([]byte("j/"), []byte(`{"argument":null}`))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		r, err := decode(meta.Item{Key: key, Value: value, Ver: 1})
		if err != nil {
			if !errors.Is(err, meta.Damaged) {
				t.Error(err)
			}
			return
		}
		if s := r.status(key); s.State.Over() && r.claimable(time.Now()) {
			t.Errorf("%+v is over and can be claimed", s)
		}
		first, err := r.encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := decode(meta.Item{Key: key, Value: first, Ver: 1})
		if err != nil {
			t.Fatal(err)
		}
		if second, err := again.encode(); err != nil || !bytes.Equal(first, second) {
			t.Errorf("%s is written as %s and then as %s, %v", value, first, second, err)
		}
	})
}
