// SPDX-License-Identifier: Apache-2.0

// Package authentic is a meta.Store over another one that adds an authentication
// code to every row and checks it on every read, so that a row changed, moved or
// made by somebody with access to the disk is an error and never a value
// (docs/formats.md, "Row codes").
//
// A row's value is followed by u32 key version ‖ HMAC-SHA-256(key, u16 length of the
// row's key ‖ row's key ‖ value). Counters have none, since the store adds them up
// itself; they live under a prefix of their own and decide nothing. A row that was
// put back to an older value of its own is not detected.
package authentic

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"sync"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Rows without a code, by what their keys begin with.
const (
	// CounterPrefix begins the keys of counters, and of nothing else.
	CounterPrefix = "st/"
	// ServiceKeyPrefix begins the rows of the service keys, of which the key of
	// the codes is one. They are sealed under the root key, which authenticates
	// them, and written past this store.
	ServiceKeyPrefix = "sk/"
)

// codeSize is how much longer a stored value is.
const codeSize = 4 + sha256.Size

// Keys are the keys of row codes by their version. New codes are made with the
// current one; all versions are accepted.
type Keys struct {
	Current uint32
	Key     map[uint32]secret.Bytes
}

// Store is a meta.Store whose rows are authentic. It is safe for concurrent use.
type Store struct {
	meta.Store // Watch and Close
	current    uint32
	macs       map[uint32]*sync.Pool // of hash.Hash
}

var _ meta.Store = (*Store)(nil)

// Wrap returns a store over s. There must be a key of the current version.
func Wrap(s meta.Store, keys Keys) *Store {
	a := &Store{Store: s, current: keys.Current, macs: make(map[uint32]*sync.Pool, len(keys.Key))}
	for version, key := range keys.Key {
		a.macs[version] = &sync.Pool{New: func() any { return hmac.New(sha256.New, key.Reveal()) }}
	}
	if a.macs[keys.Current] == nil {
		panic(fmt.Sprintf("authentic: no key of version %d", keys.Current))
	}
	return a
}

func isCounter(key []byte) bool { return bytes.HasPrefix(key, []byte(CounterPrefix)) }

func hasCode(key []byte) bool {
	return !isCounter(key) && !bytes.HasPrefix(key, []byte(ServiceKeyPrefix))
}

// Get reads rows and checks their codes. Fault: meta.Damaged, whose cause names
// the row.
func (a *Store) Get(ctx context.Context, keys ...[]byte) ([]meta.Item, error) {
	items, err := a.Store.Get(ctx, keys...)
	if err != nil {
		return nil, err
	}
	return items, a.openAll(items)
}

// Scan reads rows and checks their codes, unless only keys are asked for.
func (a *Store) Scan(ctx context.Context, r meta.Range) (meta.Page, error) {
	page, err := a.Store.Scan(ctx, r)
	if err != nil || r.KeysOnly {
		return page, err
	}
	if err := a.openAll(page.Items); err != nil {
		return meta.Page{}, err
	}
	return page, nil
}

func (a *Store) openAll(items []meta.Item) error {
	for i := range items {
		if items[i].Ver == 0 || !hasCode(items[i].Key) {
			continue
		}
		value, err := a.open(items[i].Key, items[i].Value)
		if err != nil {
			return err
		}
		items[i].Value = value
	}
	return nil
}

// Commit adds codes to the rows that the batch puts.
func (a *Store) Commit(ctx context.Context, b *meta.Batch) (uint64, error) {
	sealed := *b
	sealed.Puts = make([]meta.Put, len(b.Puts))
	for i, p := range b.Puts {
		if !hasCode(p.Key) {
			return 0, fmt.Errorf("authentic: put of %q, whose like have no code", p.Key)
		}
		if len(p.Value) > meta.MaxValue-codeSize {
			return 0, fmt.Errorf("authentic: value of %d bytes", len(p.Value))
		}
		sealed.Puts[i] = meta.Put{Key: p.Key, Value: a.seal(p.Key, p.Value)}
	}
	for _, c := range b.Adds {
		if !isCounter(c.Key) {
			return 0, fmt.Errorf("authentic: %q is no counter's key", c.Key)
		}
	}
	return a.Store.Commit(ctx, &sealed)
}

func (a *Store) seal(key, value []byte) []byte {
	out := make([]byte, 0, len(value)+codeSize)
	out = append(out, value...)
	out = binary.BigEndian.AppendUint32(out, a.current)
	return a.code(out, a.macs[a.current], key, value)
}

// open returns the value that a sealed row holds.
func (a *Store) open(key, sealed []byte) ([]byte, error) {
	if len(sealed) < codeSize {
		return nil, damaged(key)
	}
	value, rest := sealed[:len(sealed)-codeSize:len(sealed)-codeSize], sealed[len(sealed)-codeSize:]
	pool := a.macs[binary.BigEndian.Uint32(rest)]
	if pool == nil {
		return nil, damaged(key)
	}
	var want [sha256.Size]byte
	if !hmac.Equal(rest[4:], a.code(want[:0], pool, key, value)) {
		return nil, damaged(key)
	}
	return value, nil
}

// code appends the code of a row.
func (a *Store) code(dst []byte, pool *sync.Pool, key, value []byte) []byte {
	m := pool.Get().(hash.Hash)
	defer pool.Put(m)
	m.Reset()
	var length [2]byte
	binary.BigEndian.PutUint16(length[:], uint16(len(key)))
	m.Write(length[:])
	m.Write(key)
	m.Write(value)
	return m.Sum(dst)
}

func damaged(key []byte) error {
	return fault.New(meta.Damaged, "").Because(fmt.Errorf("row %q is not what was written", key))
}
