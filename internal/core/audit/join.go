// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"

	"github.com/cofferstore/coffer/internal/store/meta"
)

// JoinFunc puts the record of a call into a batch. result is what the call will
// return if the batch is committed. It is called again for each try of a commit that
// is repeated; the last one counts. On an error the batch must not be committed. With
// a nil batch it says that the last one was not.
type JoinFunc func(b *meta.Batch, result any) error

type joinKey struct{}

// WithJoin returns a context in which InCommit calls join.
func WithJoin(ctx context.Context, join JoinFunc) context.Context {
	return context.WithValue(ctx, joinKey{}, join)
}

// InCommit lets the record of the call that ctx is of come into the batch that does
// what the call is for, so that it is durable with it.
func InCommit(ctx context.Context, b *meta.Batch, result any) error {
	if join, ok := ctx.Value(joinKey{}).(JoinFunc); ok {
		return join(b, result)
	}
	return nil
}

// NotCommitted takes back what InCommit said last: the commit failed, and what the call
// goes on to do may need none.
func NotCommitted(ctx context.Context) {
	if join, ok := ctx.Value(joinKey{}).(JoinFunc); ok {
		_ = join(nil, nil)
	}
}
