// SPDX-License-Identifier: Apache-2.0

package report

import (
	"context"
	"time"

	"github.com/cofferstore/coffer/internal/core/audit"
)

// Progress is how far a report has come.
type Progress struct {
	Read  int64 `json:"read"` // bytes of the trail
	Total int64 `json:"total"`
}

// progressEvery is how many bytes are read between two tellings.
const progressEvery = 4 << 20

// Read makes a report from the trail in a directory, which may be written meanwhile. It
// calls progress now and then. Faults: Invalid, and errors of reading.
func Read(ctx context.Context, dir string, q Query, price float64, progress func(Progress)) (*Report, error) {
	c, err := NewCollector(q, time.Now())
	if err != nil {
		return nil, err
	}
	total, err := audit.Size(dir, c.From())
	if err != nil {
		return nil, err
	}
	told := int64(0)
	err = audit.Lines(ctx, dir, c.From(), func(string, int64, error) { c.audit.Unreadable++ }, func(_ audit.Position, line []byte) error {
		c.Add(line)
		if c.audit.Bytes-told >= progressEvery {
			told = c.audit.Bytes
			progress(Progress{told, max(total, told)})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return c.Report(price), nil
}
