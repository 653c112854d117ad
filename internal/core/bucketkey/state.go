// SPDX-License-Identifier: Apache-2.0

package bucketkey

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// state is what upkeep knows of a generation: the row gs/, beside a row g/ that
// stays as it is. A generation without one is of tier 0, in use, and was never
// counted. docs/formats.md, "CBS1".
type state struct {
	tier    byte
	retired time.Time // zero while new references are allowed
	into    uuid.UUID // of a retired one: where its data keys go; zero when it had none
	counted time.Time // zero: never
	objects int64     // wrapped data keys in object rows and uploads, when counted
	moves   uint64    // how often a record under it was moved since it retired
}

const (
	stateMagic = "CBS1"
	stateSize  = 56
)

func stateRow(bucketUID [16]byte, id uuid.UUID) []byte {
	key := append([]byte("gs/"), bucketUID[:]...)
	key = append(key, '/')
	return append(key, id[:]...)
}

func (s state) encode() []byte {
	b := append(make([]byte, 0, stateSize), stateMagic...)
	b = append(b, 1, s.tier, 0, 0)
	if !s.retired.IsZero() {
		b[6] = 1
	}
	b = append(b, s.into[:]...)
	for _, n := range []uint64{millis(s.retired), millis(s.counted), uint64(s.objects), s.moves} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return b
}

func millis(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(t.UnixMilli())
}

func fromMillis(n uint64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(n))
}

// parseState accepts what encode writes and nothing else.
func parseState(b []byte) (state, error) {
	if len(b) != stateSize || string(b[:5]) != stateMagic+"\x01" || b[6] > 1 || b[7] != 0 {
		return state{}, fault.New(Damaged, "").Because(errors.New("malformed CBS1 row"))
	}
	s := state{
		tier: b[5], into: uuid.UUID(b[8:24]),
		retired: fromMillis(binary.BigEndian.Uint64(b[24:])),
		counted: fromMillis(binary.BigEndian.Uint64(b[32:])),
		objects: int64(binary.BigEndian.Uint64(b[40:])),
		moves:   binary.BigEndian.Uint64(b[48:]),
	}
	if s.retired.IsZero() == (b[6] == 1) || s.objects < 0 {
		return state{}, fault.New(Damaged, "").Because(errors.New("malformed CBS1 row"))
	}
	return s, nil
}

// Retiring is a generation that is on its way out: it opens data keys and takes no
// new ones.
type Retiring struct {
	ID   uuid.UUID
	item meta.Item
}

// Retired returns those of the generations that are retired. Who is about to commit
// a reference to a generation asks after having read the bucket's guard, and
// demands that guard's version in the commit: a generation is retired in a commit
// that rewrites the guard, so either the answer or the commit shows it.
func Retired(ctx context.Context, store meta.Store, bucketUID [16]byte, ids ...uuid.UUID) ([]Retiring, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	keys := make([][]byte, len(ids))
	for i, id := range ids {
		keys[i] = stateRow(bucketUID, id)
	}
	items, err := store.Get(ctx, keys...)
	if err != nil {
		return nil, fmt.Errorf("read state of generations: %w", err)
	}
	var out []Retiring
	for i, item := range items {
		if item.Ver == 0 {
			continue
		}
		s, err := parseState(item.Value)
		if err != nil {
			return nil, err
		}
		if !s.retired.IsZero() {
			out = append(out, Retiring{ids[i], item})
		}
	}
	return out, nil
}

// Unfit returns those of the generations that take no new data keys, because they
// are retired or, after that, gone: whoever held one long enough finds nothing of it.
// When to ask is as with [Retired].
func Unfit(ctx context.Context, store meta.Store, bucketUID [16]byte, ids ...uuid.UUID) ([]uuid.UUID, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	keys := make([][]byte, 0, 2*len(ids))
	for _, id := range ids {
		keys = append(keys, generationRow(bucketUID, id), stateRow(bucketUID, id))
	}
	items, err := store.Get(ctx, keys...)
	if err != nil {
		return nil, fmt.Errorf("read state of generations: %w", err)
	}
	var out []uuid.UUID
	for i, id := range ids {
		row, of := items[2*i], items[2*i+1]
		unfit := row.Ver == 0
		if of.Ver != 0 && !unfit {
			s, err := parseState(of.Value)
			if err != nil {
				return nil, err
			}
			unfit = !s.retired.IsZero()
		}
		if unfit {
			out = append(out, id)
		}
	}
	return out, nil
}

// Moved adds to a batch that it moves a record under this generation from one row to
// another. A scan for references may have passed the one row too late and the
// other too early; the change makes it look again. A batch that moves several says so
// once.
func (r Retiring) Moved(b *meta.Batch) error {
	said := func(p meta.Put) bool { return bytes.Equal(p.Key, r.item.Key) }
	if slices.ContainsFunc(b.Puts, said) {
		return nil
	}
	s, err := parseState(r.item.Value)
	if err != nil {
		return err
	}
	s.moves++
	b.PutIf(r.item.Key, s.encode(), r.item.Ver)
	return nil
}
