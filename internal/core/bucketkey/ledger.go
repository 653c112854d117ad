// SPDX-License-Identifier: Apache-2.0

package bucketkey

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// ServiceKeys is the KMS as upkeep uses it, for no caller (kms.ForService). Each use
// is recorded before it returns. It must be safe for concurrent use.
type ServiceKeys interface {
	// Usable decides from local state whether the key can be used now.
	Usable(ctx context.Context, keyARN string) error
	// Material says which version of the key's material a blob is under.
	Material(ctx context.Context, keyARN string, blob []byte) (version uint32, current bool, err error)
	Generate(ctx context.Context, keyARN string, ec kms.Context, p kms.Purpose) (plaintext secret.Bytes, blob []byte, err error)
	Open(ctx context.Context, keyARN string, blob []byte, ec kms.Context, p kms.Purpose) (secret.Bytes, error)
	// ReEncrypt returns a blob of the same key under the current material.
	ReEncrypt(ctx context.Context, keyARN string, blob []byte, ec kms.Context, p kms.Purpose) (plaintext secret.Bytes, fresh []byte, err error)
	Deleted(ctx context.Context, keyARN string, p kms.Purpose) error
}

// Ledger is the bookkeeping of a bucket's generations: which there are, which merge,
// which go. It never moves a data key itself. It is safe for concurrent use.
type Ledger struct {
	keys   ServiceKeys
	store  meta.Store
	stages stages
}

// NewLedger returns the bookkeeping of the generations in a store. window is that of
// the caches which make them (Config.Window).
func NewLedger(keys ServiceKeys, store meta.Store, window time.Duration) *Ledger {
	return &Ledger{keys, store, stagesOf(window)}
}

// Owned is a bucket and whose it is.
type Owned struct {
	Bucket
	Account string
}

func (b Owned) purpose(gen, successor uuid.UUID) kms.Purpose {
	p := kms.Purpose{Account: b.Account, Bucket: aws.BucketARN(b.Name), Generation: gen.String()}
	if successor != uuid.Nil {
		p.Successor = successor.String()
	}
	return p
}

// Entry is a generation with what upkeep knows of it.
type Entry struct {
	Generation
	Tier    byte
	Objects int64     // data keys under it, when Counted
	Uploads int64     // of them, those of uploads; known only right after a count
	Counted time.Time // zero: never
	Retired time.Time // zero while it is in use
	Into    uuid.UUID // where the data keys of a retired one go
	Current bool      // writers are pointed to it

	closing       time.Duration // past its window; see stages
	canonical     string
	ver, stateVer uint64
	pointer       []byte
	pointerVer    uint64
	moves         uint64
}

// StateVer is the version of the generation's state: it changes whenever a record
// under a retired generation moves.
func (e *Entry) StateVer() uint64 { return e.stateVer }

// Successor reports whether its data keys go to another generation.
func (e *Entry) Successor() bool { return e.Into != uuid.Nil }

// State is "open" while writers may wrap under the generation, "closed" after that,
// and "retired" when its data keys are leaving it.
func (e *Entry) State(now time.Time) string {
	switch {
	case !e.Retired.IsZero():
		return "retired"
	case e.closed(now, nil):
		return "closed"
	}
	return "open"
}

func (e *Entry) state() state {
	return state{tier: e.Tier, retired: e.Retired, into: e.Into, counted: e.Counted, objects: e.Objects, moves: e.moves}
}

// List returns a bucket's generations, the oldest first. Rows change while it reads:
// what is decided on it is committed on condition of the versions in it. Fault:
// Damaged.
func (l *Ledger) List(ctx context.Context, bucketUID [16]byte) ([]Entry, error) {
	var out []Entry
	at := map[uuid.UUID]int{}
	err := l.each(ctx, "g/", bucketUID, func(suffix []byte, item meta.Item) error {
		id, err := uuid.FromBytes(suffix)
		if err != nil {
			return err
		}
		gen, err := parseGeneration(item.Value, bucketUID, id)
		if err != nil {
			return err
		}
		canonical, err := gen.Context.Canonical()
		if err != nil {
			return err
		}
		at[id] = len(out)
		out = append(out, Entry{Generation: *gen, closing: l.stages.closing, canonical: string(canonical), ver: item.Ver})
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = l.each(ctx, "gs/", bucketUID, func(suffix []byte, item meta.Item) error {
		s, err := parseState(item.Value)
		if err != nil {
			return err
		}
		id, err := uuid.FromBytes(suffix)
		if err != nil {
			return err
		}
		if i, ok := at[id]; ok {
			e := &out[i]
			e.Tier, e.Retired, e.Into, e.Counted, e.Objects = s.tier, s.retired, s.into, s.counted, s.objects
			e.stateVer, e.moves = item.Ver, s.moves
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, l.each(ctx, "gp/", bucketUID, func(_ []byte, item meta.Item) error {
		id, err := uuid.FromBytes(item.Value)
		if err != nil {
			return err
		}
		if i, ok := at[id]; ok {
			out[i].Current, out[i].pointer, out[i].pointerVer = true, item.Key, item.Ver
		}
		return nil
	})
}

func (l *Ledger) each(ctx context.Context, prefix string, bucketUID [16]byte, f func(suffix []byte, item meta.Item) error) error {
	start := append(append([]byte(prefix), bucketUID[:]...), '/')
	r := meta.Range{Start: start, End: meta.PrefixEnd(start)}
	for {
		page, err := l.store.Scan(ctx, r)
		if err != nil {
			return fmt.Errorf("read generations of bucket %x: %w", bucketUID, err)
		}
		for _, item := range page.Items {
			if err := f(item.Key[len(start):], item); err != nil {
				return fault.New(Damaged, "").Because(fmt.Errorf("row %q: %w", item.Key, err))
			}
		}
		if !page.More {
			return nil
		}
		r.Start = page.Next
	}
}

// Usable reports whether a KMS key can be used now.
func (l *Ledger) Usable(ctx context.Context, keyARN string) bool {
	return l.keys.Usable(ctx, keyARN) == nil
}

// Material says which version of its KMS key's material a generation is under, and
// whether that is the current one.
func (l *Ledger) Material(ctx context.Context, e *Entry) (version uint32, current bool, err error) {
	return l.keys.Material(ctx, e.KeyARN, e.blob)
}

// Count writes down how many data keys are under each generation, as a scan just
// found: those in object rows and uploads, and of them those of uploads. It brings
// the entries up to date. What another node changed meanwhile is left alone.
func (l *Ledger) Count(ctx context.Context, entries []Entry, all, uploads map[uuid.UUID]int64) error {
	now := time.UnixMilli(time.Now().UnixMilli())
	for i := range entries {
		e := &entries[i]
		e.Uploads = uploads[e.ID]
		counted := *e
		counted.Objects, counted.Counted = all[e.ID], now
		if e.stateVer != 0 && e.Objects == counted.Objects && !e.Counted.IsZero() && now.Sub(e.Counted) < l.stages.window {
			continue
		}
		var b meta.Batch
		b.PutIf(stateRow(e.Bucket, e.ID), counted.state().encode(), e.stateVer)
		b.Cond(generationRow(e.Bucket, e.ID), e.ver)
		ver, err := l.store.Commit(ctx, &b)
		var conflict *meta.ConflictError
		if errors.As(err, &conflict) {
			continue
		}
		if err != nil {
			return fmt.Errorf("note count: %w", err)
		}
		*e = counted
		e.stateVer = ver
	}
	return nil
}

// Guard is a bucket's guard row and its version, read before the entries were.
type Guard struct {
	Row []byte
	Ver uint64
}

// Retire begins a merge, in one commit: its sources take no new data keys, the
// pointers to them go, their successor is there, and the guard is rewritten, so that
// every write that was prepared before conflicts. It returns the successor, nil for an
// empty merge. A *meta.ConflictError says that something changed since the entries
// were read; then nothing was done.
func (l *Ledger) Retire(ctx context.Context, b Owned, g Guard, m Merge) (*Entry, error) {
	var batch meta.Batch
	batch.PutIf(g.Row, []byte{0}, g.Ver)
	now := time.UnixMilli(time.Now().UnixMilli())
	var next *Entry
	var into uuid.UUID
	if !m.Empty {
		var err error
		if next, err = l.successor(ctx, b, m, now); err != nil {
			return nil, err
		}
		row, err := next.encode()
		if err != nil {
			return nil, err
		}
		into = next.ID
		batch.PutIf(generationRow(b.UID, next.ID), row, 0)
		batch.PutIf(stateRow(b.UID, next.ID), next.state().encode(), 0)
	}
	for _, e := range m.Sources {
		e.Retired, e.Into = now, into
		batch.Cond(generationRow(b.UID, e.ID), e.ver)
		batch.PutIf(stateRow(b.UID, e.ID), e.state().encode(), e.stateVer)
		if e.pointer != nil {
			batch.Cond(e.pointer, e.pointerVer)
			batch.Delete(e.pointer)
		}
	}
	if _, err := l.store.Commit(ctx, &batch); err != nil {
		return nil, err
	}
	return next, nil
}

// successor makes the generation that a merge fills. Its window is a form: no pointer
// leads to it, and only the merge wraps under it.
func (l *Ledger) successor(ctx context.Context, b Owned, m Merge, now time.Time) (*Entry, error) {
	first := m.Sources[0]
	id, err := uuid.NewV7()
	if err != nil {
		return nil, err
	}
	key, blob, err := l.keys.Generate(ctx, first.KeyARN, first.Context, b.purpose(id, uuid.Nil))
	if err != nil {
		return nil, err
	}
	defer key.Clear()
	if key.Len() != secret.Size || len(blob) == 0 {
		return nil, fmt.Errorf("bucketkey: the key service made a key of %d bytes and a ciphertext of %d", key.Len(), len(blob))
	}
	e := &Entry{Tier: m.Tier, Counted: now, closing: l.stages.closing, Generation: Generation{
		ID: id, Bucket: b.UID, KeyARN: first.KeyARN, Context: first.Context,
		Created: now, NotAfter: now.Add(l.stages.window), commitment: commit(key, id), blob: blob,
	}}
	for _, s := range m.Sources {
		e.Objects += s.Objects
	}
	return e, nil
}

// Open opens a generation for upkeep, in one recorded use of its KMS key: to move
// data keys from it to its successor, or into it with successor zero. Faults: those
// of the key service, Damaged.
func (l *Ledger) Open(ctx context.Context, b Owned, e *Entry, successor uuid.UUID) (*Opener, *Sealer, error) {
	if e.Bucket != b.UID || !e.Names(b.Name) {
		return nil, nil, fault.New(Damaged, "").Because(fmt.Errorf("generation %v is not bound to bucket %q", e.ID, b.Name))
	}
	key, err := l.keys.Open(ctx, e.KeyARN, e.blob, e.Context, b.purpose(e.ID, successor))
	if err != nil {
		return nil, nil, err
	}
	aead, err := e.wrapper(key)
	if err != nil {
		return nil, nil, err
	}
	gen := e.Generation
	return &Opener{gen: &gen, aead: aead}, &Sealer{window: &window{gen: &gen, stale: l.stages.stale}, aead: aead}, nil
}

// Delete removes a retired generation that a scan begun after stateVer was read found
// to be named by nothing. It reports whether it did: not when a record under it moved
// meanwhile.
func (l *Ledger) Delete(ctx context.Context, b Owned, e *Entry, stateVer uint64) (bool, error) {
	if e.Retired.IsZero() {
		return false, fmt.Errorf("bucketkey: generation %v is in use", e.ID)
	}
	if e.stateVer != stateVer {
		return false, nil
	}
	if err := l.keys.Deleted(ctx, e.KeyARN, b.purpose(e.ID, e.Into)); err != nil {
		return false, err
	}
	var batch meta.Batch
	batch.Cond(stateRow(b.UID, e.ID), stateVer)
	batch.Delete(stateRow(b.UID, e.ID))
	batch.Delete(generationRow(b.UID, e.ID))
	_, err := l.store.Commit(ctx, &batch)
	var conflict *meta.ConflictError
	if errors.As(err, &conflict) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("delete generation %v: %w", e.ID, err)
	}
	return true, nil
}

// Restore takes back the retirement of a generation that was thought to be empty and
// is not. It has no successor, so nothing can leave it; it is counted anew before it
// merges.
func (l *Ledger) Restore(ctx context.Context, e *Entry) error {
	if e.Retired.IsZero() || e.Into != uuid.Nil {
		return fmt.Errorf("bucketkey: generation %v is not retired, or has a successor", e.ID)
	}
	back := *e
	back.Retired, back.Counted, back.Objects, back.moves = time.Time{}, time.Time{}, 0, 0
	var batch meta.Batch
	batch.PutIf(stateRow(e.Bucket, e.ID), back.state().encode(), e.stateVer)
	_, err := l.store.Commit(ctx, &batch)
	var conflict *meta.ConflictError
	if err != nil && !errors.As(err, &conflict) {
		return fmt.Errorf("restore generation %v: %w", e.ID, err)
	}
	return nil
}

// ReEncrypt puts a generation's key under the current material of its KMS key. The
// bucket key, and so every data key under it, stays as it is. It reports whether the
// row was changed: not when another node did it, or the generation went.
func (l *Ledger) ReEncrypt(ctx context.Context, b Owned, e *Entry) (bool, error) {
	key, blob, err := l.keys.ReEncrypt(ctx, e.KeyARN, e.blob, e.Context, b.purpose(e.ID, uuid.Nil))
	if err != nil {
		return false, err
	}
	defer key.Clear()
	sum := commit(key, e.ID)
	if subtle.ConstantTimeCompare(sum[:], e.commitment[:]) != 1 {
		return false, fault.New(Damaged, "").Because(fmt.Errorf("bucket key of generation %v does not match its commitment", e.ID))
	}
	next := e.Generation
	next.blob = blob
	row, err := next.encode()
	if err != nil {
		return false, err
	}
	var batch meta.Batch
	batch.PutIf(generationRow(b.UID, e.ID), row, e.ver)
	ver, err := l.store.Commit(ctx, &batch)
	var conflict *meta.ConflictError
	if errors.As(err, &conflict) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("re-encrypt generation %v: %w", e.ID, err)
	}
	e.Generation, e.ver = next, ver
	return true, nil
}
