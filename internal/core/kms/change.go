// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// errUnchanged, returned by an edit, says that there is nothing to write.
var errUnchanged = errors.New("kms: unchanged")

// tries bounds how often a change is begun again after a conflict. Changes are
// administration: more than a few in the same instant are a fault of their own.
const tries = 12

// commit reads, decides and writes until no other writer comes between. prepare
// fills the batch from what it reads; it may run several times. A change that
// turns out to be none returns errUnchanged, which commit returns as nil.
// Errors: those of prepare, and Unavailable.
func (s *Service) commit(ctx context.Context, prepare func(b *meta.Batch) error) error {
	for try := range tries {
		var b meta.Batch
		if err := prepare(&b); err != nil {
			if err == errUnchanged {
				return nil
			}
			return err
		}
		b.Put([]byte(epochRow), []byte("epoch"))
		_, err := s.store.Commit(ctx, &b)
		// Also after an error: whether the batch was applied may be open.
		s.view.drop(writtenRows(&b)...)
		if err == nil {
			return nil
		}
		if !isConflict(err) {
			return fromMeta(err)
		}
		select {
		case <-time.After(time.Duration(rand.Int64N(int64(time.Millisecond) << min(try, 7)))):
		case <-ctx.Done():
			return fault.New(Unavailable, "").Because(ctx.Err())
		}
	}
	return fault.New(Unavailable, "").Because(errors.New("too many conflicting changes"))
}

func writtenRows(b *meta.Batch) []string {
	rows := make([]string, 0, len(b.Puts)+len(b.Deletes))
	for _, p := range b.Puts {
		rows = append(rows, string(p.Key))
	}
	for _, row := range b.Deletes {
		rows = append(rows, string(row))
	}
	return rows
}

// change edits the row of one key. edit gets a copy that it may change and the
// batch to which it may add other rows. The key is absent to edit's caller when
// it is missing, or gone: NotFound. The row as written is returned.
func (s *Service) change(ctx context.Context, ref keyRef, edit func(k *key, b *meta.Batch) error) (*key, error) {
	var written *key
	err := s.commit(ctx, func(b *meta.Batch) error {
		k, err := s.freshKey(ctx, ref)
		if err != nil {
			return err
		}
		written = k.clone()
		if err := edit(written, b); err != nil {
			return err
		}
		b.PutIf([]byte(ref.row()), encode(written), k.ver)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return written, nil
}

// freshKey reads a key's row from the store. Error: NotFound.
func (s *Service) freshKey(ctx context.Context, ref keyRef) (*key, error) {
	item, err := meta.Get1(ctx, s.store, []byte(ref.row()))
	if err != nil {
		return nil, fromMeta(err)
	}
	if item.Ver == 0 {
		return nil, s.noKey(ref)
	}
	k, err := decodeKey(item.Value, item.Ver)
	if err != nil {
		return nil, err
	}
	at := time.Now()
	if k.gone(at) {
		return nil, s.noKey(ref)
	}
	return k.at(at), nil
}

// cachedKey returns a key's row from memory. Error: NotFound.
func (s *Service) cachedKey(ctx context.Context, ref keyRef) (*key, error) {
	k, at, err := lookupKey(ctx, s.view, ref)
	if err != nil {
		return nil, err
	}
	if k == nil || k.gone(at) {
		return nil, s.noKey(ref)
	}
	return k.at(at), nil
}

// cachedAlias returns an alias's row from memory, or nil.
func (s *Service) cachedAlias(ctx context.Context, account, name string) (*alias, error) {
	return lookup(ctx, s.view, aliasRow(account, name), decodeAlias)
}

// freshAlias reads an alias's row from the store; nil when there is none.
func (s *Service) freshAlias(ctx context.Context, account, name string) (*alias, error) {
	item, err := meta.Get1(ctx, s.store, []byte(aliasRow(account, name)))
	if err != nil {
		return nil, fromMeta(err)
	}
	if item.Ver == 0 {
		return nil, nil
	}
	return decodeAlias(item.Value, item.Ver)
}
