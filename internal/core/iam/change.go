// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// ConcurrentModification: others change the account faster than this change could be
// made.
const ConcurrentModification fault.Kind = "iam operation: concurrent modification"

// tries bounds how often a change is begun again after a conflict. Changes in this
// process wait for one another, so conflicts are with another process.
const tries = 12

// change is a change of one account under way. What it reads is as it will be when the
// change is committed, or the change is begun again: every change of an account
// rewrites its epoch row, on the condition that nobody else did.
type change struct {
	s       *Service
	ctx     context.Context
	account string
	now     time.Time // whole seconds
	epoch   epoch
	ver     uint64
	rows    map[string]write
}

type write struct {
	value  []byte // nil: deleted
	create bool   // on condition that there is none
}

// change reads, decides and writes until no other writer comes between. f may run
// several times. Faults: those of f, NoSuchAccount, ConcurrentModification.
func (s *Service) change(ctx context.Context, account string, f func(c *change) error) error {
	select {
	case s.changing <- struct{}{}:
		defer func() { <-s.changing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	for try := range tries {
		c := &change{s: s, ctx: ctx, account: account, now: time.Now().UTC().Truncate(time.Second), rows: map[string]write{}}
		item, err := meta.Get1(ctx, s.store, []byte(epochRow(account)))
		if err != nil {
			return err
		}
		if item.Ver == 0 {
			return fault.New(NoSuchAccount, "").With("Account", account)
		}
		if err := decodeRow(epochRow(account), item.Value, &c.epoch); err != nil {
			return err
		}
		c.ver = item.Ver
		if err := f(c); err != nil {
			return err
		}
		if len(c.rows) == 0 {
			return nil
		}
		b := c.batch()
		_, err = s.store.Commit(ctx, b)
		var conflict *meta.ConflictError
		if !errors.As(err, &conflict) {
			return err
		}
		select {
		case <-time.After(time.Duration(rand.Int64N(int64(time.Millisecond) << min(try, 7)))):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return fault.New(ConcurrentModification, "")
}

func (c *change) batch() *meta.Batch {
	var b meta.Batch
	if w, ok := c.rows[epochRow(c.account)]; ok && w.value == nil {
		b.Cond([]byte(epochRow(c.account)), c.ver)
		b.Delete([]byte(epochRow(c.account)))
	} else {
		b.PutIf([]byte(epochRow(c.account)), encodeRow(c.epoch), c.ver)
	}
	for row, w := range c.rows {
		switch {
		case row == epochRow(c.account):
		case w.value == nil:
			b.Delete([]byte(row))
		case w.create:
			b.PutIf([]byte(row), w.value, 0)
		default:
			b.Put([]byte(row), w.value)
		}
	}
	return &b
}

// get reads a row as the change leaves it into a value. found is false when there is
// none.
func (c *change) get(row string, into any) (found bool, err error) {
	if w, ok := c.rows[row]; ok {
		if w.value == nil {
			return false, nil
		}
		return true, decodeRow(row, w.value, into)
	}
	return c.s.row(c.ctx, row, into)
}

func (c *change) put(row string, value any) {
	c.rows[row] = write{value: encodeRow(value), create: c.rows[row].create}
}

// create writes a row that must not be there. That matters for rows that no account
// has to itself: within one, what get says holds.
func (c *change) create(row string, value any) {
	c.rows[row] = write{value: encodeRow(value), create: true}
}

func (c *change) delete(row string) { c.rows[row] = write{} }

// scan calls take with the rows under a prefix as they are in the store, without what
// this change writes, until it returns false.
func (s *Service) scan(ctx context.Context, prefix, after string, take func(row string, value []byte) (bool, error)) error {
	r := meta.Range{Start: []byte(prefix), End: meta.PrefixEnd([]byte(prefix))}
	if after != "" {
		r.Start = append([]byte(after), 0)
	}
	for {
		page, err := s.store.Scan(ctx, r)
		if err != nil {
			return err
		}
		for _, item := range page.Items {
			if more, err := take(string(item.Key), item.Value); err != nil || !more {
				return err
			}
		}
		if !page.More {
			return nil
		}
		r.Start = page.Next
	}
}

// row reads a row into a value.
func (s *Service) row(ctx context.Context, row string, into any) (found bool, err error) {
	item, err := meta.Get1(ctx, s.store, []byte(row))
	if err != nil || item.Ver == 0 {
		return false, err
	}
	return true, decodeRow(row, item.Value, into)
}

// add puts a string into a sorted list, once.
func add(list []string, s string) (_ []string, added bool) {
	i, found := slices.BinarySearch(list, s)
	if found {
		return list, false
	}
	return slices.Insert(list, i, s), true
}

// remove takes a string out of a sorted list.
func remove(list []string, s string) (_ []string, removed bool) {
	i, found := slices.BinarySearch(list, s)
	if !found {
		return list, false
	}
	return slices.Delete(list, i, i+1), true
}
