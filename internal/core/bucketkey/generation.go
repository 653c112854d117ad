// SPDX-License-Identifier: Apache-2.0

package bucketkey

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/core/spending"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Generation is what is known of a bucket key without opening it. It is shared:
// nobody may change its Context.
type Generation struct {
	ID       uuid.UUID
	Bucket   [16]byte
	KeyARN   string      // of the KMS key, never an alias
	Context  kms.Context // the bucket's ARN and the pairs of the caller who named any
	Created  time.Time
	NotAfter time.Time // the end of the window in which it takes new wraps

	commitment [32]byte
	blob       []byte // KMS ciphertext, opaque
	tally      *tally // where its requests are counted; nil until a cache keeps it

	spentBucket, spentKey *spending.Tally // the same, for metrics
}

type generationID struct {
	bucket [16]byte
	id     uuid.UUID
}

// Generation returns a generation from its row, without a KMS request.
// Faults: NoGeneration, Damaged.
func (c *Cache) Generation(ctx context.Context, bucketUID [16]byte, id uuid.UUID) (Generation, error) {
	gen, err := c.generation(ctx, bucketUID, id)
	if err != nil {
		return Generation{}, err
	}
	return *gen, nil
}

// generation remembers what it read, since HEAD needs one on each request: of a row
// only the ciphertext changes, to another of the same key.
func (c *Cache) generation(ctx context.Context, bucketUID [16]byte, id uuid.UUID) (*Generation, error) {
	key := generationID{bucketUID, id}
	c.mu.Lock()
	gen, ok := c.generations.get(key)
	c.mu.Unlock()
	if ok {
		return gen, nil
	}
	item, err := meta.Get1(ctx, c.store, generationRow(bucketUID, id))
	if err != nil {
		return nil, fmt.Errorf("read generation %v: %w", id, err)
	}
	if item.Ver == 0 {
		return nil, fault.New(NoGeneration, "").Because(fmt.Errorf("generation %v of bucket %x", id, bucketUID))
	}
	gen, err = parseGeneration(item.Value, bucketUID, id)
	if err != nil {
		return nil, fault.New(Damaged, "").Because(fmt.Errorf("generation %v of bucket %x: %w", id, bucketUID, err))
	}
	c.remember(gen)
	return gen, nil
}

func (c *Cache) remember(gen *Generation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	gen.tally = c.tally(gen.Bucket, gen.KeyARN)
	gen.spentBucket, gen.spentKey = c.cfg.Spending.Bucket(gen.bucketName()), c.cfg.Spending.Key(gen.KeyARN)
	if !c.closed {
		c.generations.put(generationID{gen.Bucket, gen.ID}, gen)
	}
}

func generationRow(bucketUID [16]byte, id uuid.UUID) []byte {
	key := append([]byte("g/"), bucketUID[:]...)
	key = append(key, '/')
	return append(key, id[:]...)
}

// commit returns what binds a generation's row to its key.
func commit(key secret.Bytes, id uuid.UUID) [32]byte {
	return [32]byte(secret.Derive(key, "gen-check", id[:], 32).Reveal())
}

// wrapper returns what wraps data keys under a bucket key, and wipes the key. It
// refuses a key that is not the generation's.
func (g *Generation) wrapper(key secret.Bytes) (*secret.AEAD, error) {
	defer key.Clear()
	if key.Len() != secret.Size {
		return nil, fault.New(Damaged, "").Because(fmt.Errorf("bucket key of generation %v has %d bytes", g.ID, key.Len()))
	}
	sum := commit(key, g.ID)
	if subtle.ConstantTimeCompare(sum[:], g.commitment[:]) != 1 {
		return nil, fault.New(Damaged, "").Because(fmt.Errorf("bucket key of generation %v does not match its commitment", g.ID))
	}
	kek := secret.Derive(key, "dek-wrap", g.ID[:], secret.Size)
	defer kek.Clear()
	return secret.NewAEAD(kek), nil
}

// bucketARN is the pair that binds a context to a bucket.
const bucketARN = "aws:s3:arn"

// namesBucket reports whether the context is bound to the bucket. It is
// ec[bucketARN] == aws.BucketARN(name), without making the string.
func namesBucket(ec kms.Context, name string) bool {
	rest, ok := strings.CutPrefix(ec[bucketARN], aws.BucketARN(""))
	return ok && rest == name
}

// Names reports whether the generation is bound to the bucket of that name.
func (g *Generation) Names(bucket string) bool { return namesBucket(g.Context, bucket) }

func (g *Generation) bucketName() string {
	return strings.TrimPrefix(g.Context[bucketARN], aws.BucketARN(""))
}

// The fixed part of CBK1.
const (
	generationMagic = "CBK1"
	generationFixed = 88
)

// encode returns the generation's row.
func (g *Generation) encode() ([]byte, error) {
	ec, err := g.Context.Canonical()
	if err != nil {
		return nil, err
	}
	if len(g.KeyARN) > math.MaxUint16 || len(ec) > math.MaxUint16 || len(g.blob) > math.MaxUint16 {
		return nil, errors.New("bucketkey: key ARN, context or ciphertext too long for a row")
	}
	b := make([]byte, 0, generationFixed+6+len(g.KeyARN)+len(ec)+len(g.blob))
	b = append(b, generationMagic...)
	b = append(b, 1, 0, 0, 0)
	b = append(b, g.ID[:]...)
	b = append(b, g.Bucket[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(g.Created.UnixMilli()))
	b = binary.BigEndian.AppendUint64(b, uint64(g.NotAfter.UnixMilli()))
	b = append(b, g.commitment[:]...)
	b = appendField(b, []byte(g.KeyARN))
	b = appendField(b, ec)
	return appendField(b, g.blob), nil
}

func appendField(b, field []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(field)))
	return append(b, field...)
}

var errRow = errors.New("malformed CBK1 row")

// parseGeneration reads a row found under this bucket and id. It accepts what
// encode writes and nothing else. The result does not share row's memory.
func parseGeneration(row []byte, bucketUID [16]byte, id uuid.UUID) (*Generation, error) {
	if len(row) < generationFixed || string(row[:8]) != generationMagic+"\x01\x00\x00\x00" {
		return nil, errRow
	}
	g := &Generation{
		ID:         uuid.UUID(row[8:24]),
		Bucket:     [16]byte(row[24:40]),
		Created:    time.UnixMilli(int64(binary.BigEndian.Uint64(row[40:48]))),
		NotAfter:   time.UnixMilli(int64(binary.BigEndian.Uint64(row[48:56]))),
		commitment: [32]byte(row[56:88]),
	}
	if g.ID != id || g.Bucket != bucketUID {
		return nil, errors.New("row of another generation")
	}
	if !g.NotAfter.After(g.Created) {
		return nil, errRow
	}
	arn, rest, ok1 := cutField(row[generationFixed:])
	ec, rest, ok2 := cutField(rest)
	blob, rest, ok3 := cutField(rest)
	if !ok1 || !ok2 || !ok3 || len(rest) != 0 || len(arn) == 0 || len(blob) == 0 {
		return nil, errRow
	}
	pairs, err := ParseContext(ec)
	if err != nil {
		return nil, err
	}
	g.KeyARN, g.Context, g.blob = string(arn), pairs, append([]byte(nil), blob...)
	return g, nil
}

func cutField(b []byte) (field, rest []byte, ok bool) {
	if len(b) < 2 {
		return nil, nil, false
	}
	n := 2 + int(binary.BigEndian.Uint16(b))
	if len(b) < n {
		return nil, nil, false
	}
	return b[2:n], b[n:], true
}

var errContext = errors.New("malformed encryption context")

// ParseContext reads the canonical form of an encryption context, as
// kms.Context's Canonical writes it, and refuses any other.
func ParseContext(b []byte) (kms.Context, error) {
	if len(b) < 2 {
		return nil, errContext
	}
	ec, rest := make(kms.Context), b[2:]
	for len(rest) > 0 {
		key, tail, ok1 := cutField(rest)
		value, tail, ok2 := cutField(tail)
		if !ok1 || !ok2 {
			return nil, errContext
		}
		ec[string(key)], rest = string(value), tail
	}
	if again, err := ec.Canonical(); err != nil || !bytes.Equal(again, b) {
		return nil, errContext
	}
	return ec, nil
}
