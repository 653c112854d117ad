// SPDX-License-Identifier: Apache-2.0

package bucketkey

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// pointerID names a line of generations. context is the canonical context; or, so
// that the usual write computes none, the bucket's ARN where that is its only
// pair. No canonical context reads like an ARN: it begins with a count, and "ar"
// pairs do not fit into a row.
type pointerID struct {
	bucket          [16]byte
	keyARN, context string
}

func pointerTo(k ForWrite) (pointerID, error) {
	if k.KeyARN == "" || !namesBucket(k.Context, k.Bucket.Name) {
		return pointerID{}, fmt.Errorf("bucketkey: context of a write to %q does not name the bucket, or the write names no key", k.Bucket.Name)
	}
	id := pointerID{k.Bucket.UID, k.KeyARN, k.Context[bucketARN]}
	if len(k.Context) > 1 {
		ec, err := k.Context.Canonical()
		if err != nil {
			return pointerID{}, err
		}
		id.context = string(ec)
	}
	return id, nil
}

// pointerRow returns the key of the row that names the current generation.
func pointerRow(k ForWrite) ([]byte, error) {
	ec, err := k.Context.Canonical()
	if err != nil {
		return nil, err
	}
	return bucketRow("gp/", k.Bucket.UID, append(appendField(nil, []byte(k.KeyARN)), ec...)), nil
}

// contextsRow returns the key of the row that counts contexts with pairs of callers.
func contextsRow(k ForWrite) []byte {
	return bucketRow("gx/", k.Bucket.UID, appendField(nil, []byte(k.KeyARN)))
}

func bucketRow(prefix string, bucketUID [16]byte, of []byte) []byte {
	sum := sha256.Sum256(of)
	key := append([]byte(prefix), bucketUID[:]...)
	key = append(key, '/')
	return append(key, sum[:]...)
}

// current returns the generation that takes new wraps. When it had to be made, and
// by the caller's own request, s is the key that came with it.
//
// One flight at a time looks for it; others wait. A failure is passed on only to
// the same requester: another begins its own flight.
func (c *Cache) current(ctx context.Context, by iam.Caller, id pointerID, k ForWrite) (w *window, s *Sealer, err error) {
	who := by.Requester()
	for {
		c.mu.Lock()
		if c.closed {
			c.mu.Unlock()
			return nil, nil, fault.New(Unavailable, "").Because(errClosed)
		}
		f, shared := c.resolving[id]
		if !shared {
			f = &flight{leader: who, bucket: k.Bucket.UID, keyARN: k.KeyARN, done: make(chan struct{})}
			c.resolving[id] = f
			// The caller may change its map when it has given up waiting.
			k.Context = maps.Clone(k.Context)
			c.launch(ctx, func(ctx context.Context) { c.resolve(ctx, by, id, k, f) })
		}
		c.mu.Unlock()
		if err := c.wait(ctx, f); err != nil {
			return nil, nil, err
		}
		switch {
		case f.err != nil && f.leader != who:
			continue
		case f.err != nil:
			return nil, nil, f.err
		case f.key == nil || f.leader != who || shared && c.cfg.TTL == 0:
			return f.window, nil, nil
		}
		if shared {
			c.avoid(kms.Generate, f.window.gen, c.spends(by))
		}
		return f.window, f.key.(*Sealer), nil
	}
}

func (c *Cache) resolve(ctx context.Context, by iam.Caller, id pointerID, k ForWrite, f *flight) {
	w, s, err := c.lookOrMake(ctx, by, id, k)
	if err != nil && ctx.Err() != nil {
		err = c.late(ctx, err)
	}
	c.mu.Lock()
	if err == nil && !c.closed {
		c.windows.put(id, w)
		if s != nil && !f.spoilt {
			c.keep(entryID{w.gen.ID, f.leader, kms.Generate}, w.gen, s)
		}
	}
	f.window, f.err = w, err
	if s != nil {
		f.key = s
	}
	delete(c.resolving, id)
	c.mu.Unlock()
	close(f.done)
}

// lookOrMake reads the pointer and follows it, or makes a generation and points to
// it. Of two nodes that make one the loser wipes its key unused, and uses the
// winner's.
func (c *Cache) lookOrMake(ctx context.Context, by iam.Caller, id pointerID, k ForWrite) (*window, *Sealer, error) {
	row, err := pointerRow(k)
	if err != nil {
		return nil, nil, err
	}
	for range 8 {
		items, err := c.store.Get(ctx, row, contextsRow(k))
		if err != nil {
			return nil, nil, fmt.Errorf("read the current generation's pointer: %w", err)
		}
		w, err := c.follow(ctx, items[0], id, k)
		if w != nil || err != nil {
			return w, nil, err
		}
		w, s, err := c.make(ctx, by, k, items[0], items[1])
		var conflict *meta.ConflictError
		if !errors.As(err, &conflict) {
			return w, s, err
		}
		if err := pause(ctx); err != nil {
			return nil, nil, err
		}
	}
	return nil, nil, fault.New(Unavailable, "").Because(errors.New("other nodes keep changing the current generation"))
}

// follow returns the generation that the pointer names, or nil when a new one is
// due. A generation that is missing is replaced: that loses nothing, and reads of
// its objects say what was lost. One that is damaged stops the write.
func (c *Cache) follow(ctx context.Context, pointer meta.Item, id pointerID, k ForWrite) (*window, error) {
	if pointer.Ver == 0 {
		return nil, nil
	}
	genID, err := uuid.FromBytes(pointer.Value)
	if err != nil {
		return nil, fault.New(Damaged, "").Because(fmt.Errorf("pointer of bucket %x: %w", k.Bucket.UID, err))
	}
	gen, err := c.generation(ctx, k.Bucket.UID, genID)
	if errors.Is(err, NoGeneration) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if gen.KeyARN != k.KeyARN || !maps.Equal(gen.Context, k.Context) {
		return nil, fault.New(Damaged, "").Because(fmt.Errorf("generation %v is not of the key and context that its pointer is for", genID))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	w, ok := c.windows.get(id)
	if !ok || w.gen.ID != genID {
		w = &window{gen: gen, stale: c.stages.stale}
	}
	if !c.usable(w, time.Now()) {
		return nil, nil
	}
	return w, nil
}

// make asks for a bucket key, commits its row and the pointer, and only then makes
// it usable. A *meta.ConflictError says that the pointer is not as read.
func (c *Cache) make(ctx context.Context, by iam.Caller, k ForWrite, pointer, contexts meta.Item) (*window, *Sealer, error) {
	counted := len(k.Context) > 1
	if counted {
		if _, _, err := openContexts(contexts, pointer.Key); err != nil {
			return nil, nil, err
		}
	}
	c.mu.Lock()
	err := c.mayAsk(by.Account)
	born := c.birth(k.KeyARN)
	if err == nil {
		c.tally(k.Bucket.UID, k.KeyARN).ask(kms.Generate)
	}
	c.mu.Unlock()
	if err != nil {
		return nil, nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, nil, err
	}
	ctx, event := audit.Naming(ctx)
	key, blob, err := c.keys.GenerateDataKey(ctx, by, k.KeyARN, k.Context, id.String())
	if err != nil {
		return nil, nil, c.refused(ctx, by.Account, err)
	}
	defer key.Clear()
	if key.Len() != secret.Size || len(blob) == 0 {
		return nil, nil, fmt.Errorf("bucketkey: the key service made a key of %d bytes and a ciphertext of %d", key.Len(), len(blob))
	}
	gen := &Generation{
		ID: id, Bucket: k.Bucket.UID, KeyARN: k.KeyARN, Context: k.Context,
		Created: born, NotAfter: born.Add(c.stages.length()),
		commitment: commit(key, id), blob: blob,
	}
	if err := c.persist(ctx, gen, counted, pointer, contexts); err != nil {
		return nil, nil, err
	}
	c.metrics.generations.Inc()
	c.remember(gen)
	aead, err := gen.wrapper(key)
	if err != nil {
		return nil, nil, err
	}
	w := &window{gen: gen, stale: c.stages.stale}
	return w, &Sealer{window: w, aead: aead, event: event, account: c.spends(by)}, nil
}

// birth is the creation time of a generation made now. It lies after the key's
// last rotation, however coarse the clock, or the generation would never count as
// made after it. c.mu is held.
func (c *Cache) birth(keyARN string) time.Time {
	now := time.UnixMilli(time.Now().UnixMilli())
	if rotated, ok := c.rotated[keyARN]; ok && !now.After(rotated) {
		return rotated.Add(time.Millisecond)
	}
	return now
}

// persist commits a generation and the pointer to it, on condition that the
// pointer is as read. The row that counts contexts is shared by many pointers: a
// conflict on it alone is no reason to waste the key, so that row is read again.
func (c *Cache) persist(ctx context.Context, gen *Generation, counted bool, pointer, contexts meta.Item) error {
	row, err := gen.encode()
	if err != nil {
		return err
	}
	for {
		var batch meta.Batch
		batch.PutIf(generationRow(gen.Bucket, gen.ID), row, 0)
		batch.PutIf(pointer.Key, gen.ID[:], pointer.Ver)
		if counted {
			value, closed, err := openContexts(contexts, pointer.Key)
			if err != nil {
				return err
			}
			batch.PutIf(contexts.Key, appendContext(value, pointer.Key, gen.NotAfter), contexts.Ver)
			for _, sum := range closed {
				key := append(append([]byte("gp/"), gen.Bucket[:]...), '/')
				batch.Delete(append(key, sum[:]...))
			}
		}
		_, err := c.store.Commit(ctx, &batch)
		var conflict *meta.ConflictError
		if !errors.As(err, &conflict) || string(conflict.Key) != string(contexts.Key) {
			return err
		}
		if err := pause(ctx); err != nil {
			return err
		}
		if contexts, err = meta.Get1(ctx, c.store, contexts.Key); err != nil {
			return fmt.Errorf("count contexts: %w", err)
		}
	}
}

// A context in use, in the row that counts them: the digest that ends its pointer's
// key, and the end of its generation's window in milliseconds.
const contextSize = sha256.Size + 8

// openContexts returns the contexts whose windows are open, without the one that
// pointer is for, as they stand in the row, and the digests of those that closed.
// Every change of a counted pointer changes the row too, so on condition of the
// row's version the pointers of closed ones can be deleted unread.
func openContexts(row meta.Item, pointer []byte) (open []byte, closed [][sha256.Size]byte, err error) {
	if len(row.Value)%contextSize != 0 {
		return nil, nil, fault.New(Damaged, "").Because(fmt.Errorf("count of contexts, row %q", row.Key))
	}
	self := [sha256.Size]byte(pointer[len(pointer)-sha256.Size:])
	now := time.Now()
	for b := row.Value; len(b) > 0; b = b[contextSize:] {
		sum := [sha256.Size]byte(b)
		until := time.UnixMilli(int64(binary.BigEndian.Uint64(b[sha256.Size:])))
		switch {
		case sum == self:
		case now.After(until.Add(windowSlack)):
			closed = append(closed, sum)
		default:
			open = append(open, b[:contextSize]...)
		}
	}
	if len(open) >= MaxContexts*contextSize {
		return nil, nil, ErrTooManyContexts
	}
	return open, closed, nil
}

func appendContext(b, pointer []byte, until time.Time) []byte {
	b = append(b, pointer[len(pointer)-sha256.Size:]...)
	return binary.BigEndian.AppendUint64(b, uint64(until.UnixMilli()))
}

// pause lets the winner of a conflict go on.
func pause(ctx context.Context) error {
	select {
	case <-time.After(time.Millisecond + time.Duration(rand.Int64N(int64(9*time.Millisecond)))):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
