// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/store/meta"
)

// FuzzRecord: a bucket's row is written again as it is read, and a damaged one is
// said to be so.
func FuzzRecord(f *testing.F) {
	seed, err := json.Marshal(record{
		Name: "photos", Owner: "000000000001", Created: time.UnixMilli(0).UTC(), Versioning: "Enabled", Tags: []Tag{{"a", "b"}},
		Encryption: Encryption{Algorithm: "aws:kms", BucketKey: true}, NoConsolidation: true,
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte(`{"name":1}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, row []byte) {
		cache := decoded{m: map[UID]*decodedRow{}}
		r, err := cache.decode(UID{1}, nil, meta.Item{Ver: 1}, meta.Item{Value: row, Ver: 1})
		if err != nil {
			if !errors.Is(err, meta.Damaged) || len(cache.m) > 0 {
				t.Errorf("%s: %v, %d rows kept", row, err, len(cache.m))
			}
			return
		}
		first, err := json.Marshal(r.rec)
		if err != nil {
			t.Fatal(err)
		}
		again, err := cache.decode(UID{1}, r, meta.Item{Ver: 1}, meta.Item{Value: first, Ver: 2})
		if err != nil {
			t.Fatal(err)
		}
		if second, err := json.Marshal(again.rec); err != nil || !bytes.Equal(first, second) {
			t.Errorf("%s is written as %s and then as %s, %v", row, first, second, err)
		}
	})
}
