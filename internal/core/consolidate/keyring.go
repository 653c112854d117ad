// SPDX-License-Identifier: Apache-2.0

package consolidate

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/core/bucketkey"
	"github.com/cofferstore/coffer/internal/core/sse"
)

// keyring holds the bucket keys that a run has opened: each generation once, however
// many data keys are under it. It is of one goroutine, and lives as long as the run.
type keyring struct {
	ledger  *bucketkey.Ledger
	bucket  bucketkey.Owned
	entries map[uuid.UUID]*bucketkey.Entry
	moves   map[uuid.UUID]*sse.Move // by the generation that they leave
	targets map[uuid.UUID]*sse.Move // From unset
	shut    map[uuid.UUID]bool      // could not be opened, and is not asked for again
}

func newKeyring(l *bucketkey.Ledger, b bucketkey.Owned) *keyring {
	return &keyring{
		ledger: l, bucket: b, entries: map[uuid.UUID]*bucketkey.Entry{},
		moves: map[uuid.UUID]*sse.Move{}, targets: map[uuid.UUID]*sse.Move{}, shut: map[uuid.UUID]bool{},
	}
}

// learn takes note of the bucket's generations.
func (k *keyring) learn(entries []bucketkey.Entry) {
	clear(k.entries)
	for i := range entries {
		k.entries[entries[i].ID] = &entries[i]
	}
}

// mover says how data keys leave a retired generation. The KMS key is looked at for
// each data key: when it is disabled, the next one stays where it is.
func (k *keyring) mover(ctx context.Context, gen uuid.UUID) (*sse.Move, error) {
	e := k.entries[gen]
	if e == nil || e.Retired.IsZero() || e.Into == uuid.Nil || k.shut[gen] || !k.ledger.Usable(ctx, e.KeyARN) {
		return nil, nil
	}
	if m := k.moves[gen]; m != nil {
		return m, nil
	}
	m, err := k.open(ctx, e)
	switch {
	case err == nil:
		k.moves[gen] = m
		return m, nil
	case errors.Is(err, bucketkey.Damaged) || !k.ledger.Usable(ctx, e.KeyARN):
		k.shut[gen] = true
		return nil, nil
	}
	return nil, err
}

func (k *keyring) open(ctx context.Context, e *bucketkey.Entry) (*sse.Move, error) {
	target, ok := k.entries[e.Into]
	if !ok || target.KeyARN != e.KeyARN || !target.Retired.IsZero() {
		return nil, fmt.Errorf("consolidate: generation %v goes to %v, which is not there for it", e.ID, e.Into)
	}
	to := k.targets[target.ID]
	if to == nil {
		proof, sealer, err := k.ledger.Open(ctx, k.bucket, target, uuid.Nil)
		if err != nil {
			return nil, err
		}
		to = &sse.Move{Proof: proof, To: sealer}
		k.targets[target.ID] = to
	}
	from, _, err := k.ledger.Open(ctx, k.bucket, e, target.ID)
	if err != nil {
		return nil, err
	}
	return &sse.Move{From: from, Proof: to.Proof, To: to.To}, nil
}
