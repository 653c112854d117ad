// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"encoding/json"
	"fmt"
	"sync"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// decoded remembers the decoded form of bucket records. The row is read for
// every request all the same, so an entry is used only while its version is
// current: there is nothing to invalidate.
type decoded struct {
	mu sync.RWMutex
	m  map[UID]decodedRow
}

type decodedRow struct {
	ver uint64
	rec record
}

// maxDecoded bounds the entries: about 1 KiB each.
const maxDecoded = 4096

func (d *decoded) decode(uid UID, row meta.Item) (record, error) {
	d.mu.RLock()
	e, ok := d.m[uid]
	d.mu.RUnlock()
	if ok && e.ver == row.Ver {
		return e.rec, nil
	}
	var r record
	if err := json.Unmarshal(row.Value, &r); err != nil {
		return record{}, fault.New(meta.Damaged, "").Because(fmt.Errorf("record of bucket %x: %w", uid, err))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.m) >= maxDecoded {
		clear(d.m)
	}
	d.m[uid] = decodedRow{row.Ver, r}
	return r, nil
}
