// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"encoding/json"
	"fmt"
	"sync"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// decoded remembers the decoded form of bucket records. The rows are read for
// every request all the same, so an entry is used only while its versions are
// current: there is nothing to invalidate.
type decoded struct {
	mu sync.RWMutex
	m  map[UID]*decodedRow
}

// decodedRow does not change, nor does what it leads to.
type decodedRow struct {
	rows   [][]byte // the keys of the guard row and of the record's
	rec    record
	bucket *Bucket // with the versions of both rows
}

// maxDecoded bounds the entries: about 1.5 KiB each.
const maxDecoded = 4096

// get returns what is remembered of a bucket, or nil.
func (d *decoded) get(uid UID) *decodedRow {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.m[uid]
}

// decode returns the decoded form of a bucket's rows; known is what get returned.
func (d *decoded) decode(uid UID, known *decodedRow, guard, row meta.Item) (*decodedRow, error) {
	if known != nil && known.bucket.ver == row.Ver && known.bucket.guard == guard.Ver {
		return known, nil
	}
	e := &decodedRow{rows: [][]byte{guardKey(uid), recordKey(uid)}}
	if known != nil && known.bucket.ver == row.Ver {
		e.rec = known.rec
	} else if err := json.Unmarshal(row.Value, &e.rec); err != nil {
		return nil, fault.New(meta.Damaged, "").Because(fmt.Errorf("record of bucket %x: %w", uid, err))
	}
	e.bucket = e.rec.bucket(uid, row.Ver, guard.Ver)
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.m) >= maxDecoded {
		clear(d.m)
	}
	d.m[uid] = e
	return e, nil
}
