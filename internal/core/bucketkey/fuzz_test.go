// SPDX-License-Identifier: Apache-2.0

package bucketkey

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/store/meta"
)

// FuzzOpenContexts: of the contexts in a row each is open, closed or the one that is
// asked about, and they are not more than there may be.
func FuzzOpenContexts(f *testing.F) {
	self := bytes.Repeat([]byte{7}, sha256.Size)
	row := appendContext(nil, bytes.Repeat([]byte{1}, sha256.Size), time.Now().Add(time.Hour))
	row = appendContext(row, bytes.Repeat([]byte{2}, sha256.Size), time.UnixMilli(0))
	f.Add(appendContext(row, self, time.Now()))
	f.Add(row[1:])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, row []byte) {
		open, closed, err := openContexts(meta.Item{Value: row}, self)
		if err != nil {
			if !errors.Is(err, Damaged) && (!errors.Is(err, ErrTooManyContexts) || len(row) < MaxContexts*contextSize) {
				t.Errorf("%x: %v", row, err)
			}
			return
		}
		selves := 0
		for at := 0; at < len(row); at += contextSize {
			if bytes.HasPrefix(row[at:], self) {
				selves++
			} else if !bytes.Contains(open, row[at:at+contextSize]) && !bytes.Contains(flat(closed), row[at:at+sha256.Size]) {
				t.Errorf("context %d is neither open nor closed", at/contextSize)
			}
		}
		if len(open)/contextSize+len(closed)+selves != len(row)/contextSize || len(open)%contextSize != 0 {
			t.Errorf("%d bytes are open and %d contexts closed of %d bytes", len(open), len(closed), len(row))
		}
	})
}

func flat(sums [][sha256.Size]byte) (all []byte) {
	for _, s := range sums {
		all = append(all, s[:]...)
	}
	return all
}
