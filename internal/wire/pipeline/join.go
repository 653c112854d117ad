// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"
	"maps"
	"slices"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// joining is a call's record that goes with the commit that does what the call is
// for: one sync for both. Its answer is therefore made before that commit.
type joining struct {
	base      audit.Record // before the answer was made
	committed func()       // tells the trail
	resp      *Response
}

// join returns a context for core in which a commit takes the call's record along, if
// its result is the call's own, and not that of a part: those may be done at the same
// time. answer makes the answer of such a result.
func (c *Call) join(ctx context.Context, own func(result any) bool, answer func(result any) (*Response, error)) context.Context {
	j := &joining{base: c.record}
	return audit.WithJoin(ctx, func(b *meta.Batch, result any) error {
		switch {
		case b == nil:
			c.unjoin()
			return nil
		case !own(result):
			return nil
		}
		c.record = cloned(j.base) // an earlier try may have left its marks
		resp, err := answer(result)
		if err != nil {
			return err
		}
		c.complete(resp, nil)
		if j.committed, err = c.joinAll(b); err != nil {
			return fault.New(AuditFailed, "").Because(err)
		}
		j.resp, c.joining = resp, j
		return nil
	})
}

// unjoin forgets a record that went with a commit which failed.
func (c *Call) unjoin() {
	if c.joining != nil {
		c.record, c.joining = cloned(c.joining.base), nil
	}
}

func cloned(r audit.Record) audit.Record {
	r.RequestParameters = maps.Clone(r.RequestParameters)
	r.AdditionalEventData = maps.Clone(r.AdditionalEventData)
	r.Resources = slices.Clone(r.Resources)
	return r
}
