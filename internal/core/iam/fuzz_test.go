// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"bytes"
	"testing"

	"github.com/cofferstore/coffer/internal/secret"
)

// FuzzRootRow: a row that opens is the one that was sealed.
func FuzzRootRow(f *testing.F) {
	sealKey := secret.Random(secret.Size)
	keys := newRootKeys("000000000001", "AKIAFUZZ", secret.New([]byte("a secret of some length")))
	row, err := keys.encode(sealKey)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(row, uint(0), byte(0))
	f.Add([]byte(`{"version":1,"sealed":""}`), uint(30), byte(1))
	f.Fuzz(func(t *testing.T, other []byte, at uint, change byte) {
		changed := bytes.Clone(row)
		changed[at%uint(len(changed))] ^= change
		for _, b := range [][]byte{changed, other} {
			got, err := decodeRoot(b, sealKey)
			if err == nil && (got.accessKeyID != keys.accessKeyID || !got.secretKey.Equal(keys.secretKey)) {
				t.Errorf("%s opens as %s of %s", b, got.accessKeyID, got.account)
			}
			if err != nil && bytes.Equal(b, row) {
				t.Error(err)
			}
		}
	})
}
