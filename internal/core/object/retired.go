// SPDX-License-Identifier: Apache-2.0

package object

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/bucketkey"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// A bucket key generation on its way out is retired first: from then on no row may
// begin to name it. What names it already may move from row to row, and says so.

// retiredError says that a data key was wrapped under generations that were retired
// since.
type retiredError struct{ ids []uuid.UUID }

func (e *retiredError) Error() string {
	return fmt.Sprintf("object: generations %v are retired", e.ids)
}

// fresh fails when a new wrap names a generation that is retired, or gone. The
// bucket's guard was read before, and is a condition of the commit that follows.
func (o *Objects) fresh(ctx context.Context, b bucket.UID, wrap []byte) error {
	ids, err := sse.Generations(wrap)
	if err != nil {
		return err
	}
	unfit, err := bucketkey.Unfit(ctx, o.store, b, ids...)
	if err != nil || len(unfit) == 0 {
		return err
	}
	return &retiredError{unfit}
}

// moving adds to a batch that a record with this wrap goes from one row to another,
// if that may make a scan miss it. As with fresh, the guard is a condition.
func (o *Objects) moving(ctx context.Context, batch *meta.Batch, b bucket.UID, wrap []byte) error {
	retired, err := o.retired(ctx, b, wrap)
	if err != nil {
		return err
	}
	for _, r := range retired {
		if err := r.Moved(batch); err != nil {
			return err
		}
	}
	return nil
}

func (o *Objects) retired(ctx context.Context, b bucket.UID, wrap []byte) ([]bucketkey.Retiring, error) {
	ids, err := sse.Generations(wrap)
	if err != nil {
		return nil, err
	}
	return bucketkey.Retired(ctx, o.store, b, ids...)
}

// wrapping calls do, which wraps the data keys of s and commits the result, again with
// other generations when those are retired. That is rare: it takes a request that
// was slower than all clocks say.
func (o *Objects) wrapping(ctx context.Context, s *sse.Sealing, do func() error) error {
	for range maxRenewals {
		err := do()
		var retired *retiredError
		if !errors.As(err, &retired) {
			return err
		}
		if err := s.Renew(ctx, retired.ids); err != nil {
			return err
		}
	}
	return fault.New(Busy, "")
}

// maxRenewals bounds how often a data key is wrapped again.
const maxRenewals = 4

// rereading calls do, and again if it met a generation that is not there: the object
// was re-wrapped between the read of its row and that of the generation's, or else
// there is damage.
func rereading[T any](do func() (T, error)) (T, error) {
	out, err := do()
	if errors.Is(err, bucketkey.NoGeneration) {
		out, err = do()
	}
	return out, err
}
