// SPDX-License-Identifier: Apache-2.0

package builtin

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/link/keystore"
	"github.com/cofferstore/coffer/internal/link/keystore/rootkey"
	"github.com/cofferstore/coffer/internal/link/keystore/scheme"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Key material comes in encrypted for a key pair that PrepareImport makes. The
// private key is a row, CKW1; the token, CIT1, names it. Both have one header, and are
// sealed under the service key import. See docs/formats.md.

const (
	tokenMagic  = "CIT1"
	pairMagic   = "CKW1"
	pairHeader  = 56
	tokenSize   = pairHeader + secret.Overhead
	maxPrepared = 16 // of one key: the oldest make way

	tokenLabel = "import-token"
	pairLabel  = "import-pair"
)

var (
	wrapNumbers = map[keystore.Algorithm]byte{keystore.OAEPSHA1: 1, keystore.OAEPSHA256: 2, keystore.WrapSHA1: 3, keystore.WrapSHA256: 4}
	pairNumbers = map[keystore.Spec]byte{keystore.RSA2048: 6, keystore.RSA3072: 7, keystore.RSA4096: 8} // as in CKM1
)

func importRows(key uuid.UUID) []byte { return fmt.Appendf(nil, "k/w/%s/", key) }

// pairHead is the header of a token and of the row that it names.
type pairHead struct {
	sealer    uint32 // version of the key that seals
	key, id   uuid.UUID
	until     time.Time
	algorithm keystore.Algorithm
	spec      keystore.Spec
}

func (h pairHead) row() []byte { return append(importRows(h.key), h.id.String()...) }

func (h pairHead) encode(magic string, spare int) []byte {
	b := make([]byte, pairHeader, pairHeader+spare)
	copy(b, magic)
	binary.BigEndian.PutUint32(b[4:], h.sealer)
	copy(b[8:], h.key[:])
	copy(b[24:], h.id[:])
	binary.BigEndian.PutUint64(b[40:], uint64(h.until.UnixMilli()))
	b[48], b[49] = wrapNumbers[h.algorithm], pairNumbers[h.spec]
	return b
}

// decodeHead reads a header. It proves nothing: who sealed it does.
func decodeHead(magic string, b []byte) (h pairHead, ok bool) {
	if len(b) < tokenSize || string(b[:4]) != magic || binary.BigEndian.Uint32(b[50:]) != 0 || binary.BigEndian.Uint16(b[54:]) != 0 {
		return h, false
	}
	h = pairHead{
		sealer: binary.BigEndian.Uint32(b[4:]), key: uuid.UUID(b[8:24]), id: uuid.UUID(b[24:40]),
		until: time.UnixMilli(int64(binary.BigEndian.Uint64(b[40:]))),
	}
	for a, n := range wrapNumbers {
		if n == b[48] {
			h.algorithm = a
		}
	}
	for s, n := range pairNumbers {
		if n == b[49] {
			h.spec = s
		}
	}
	return h, h.algorithm != "" && h.spec != ""
}

// sealed seals under a key that is the header's alone.
func (s *Store) sealed(label string, header, plaintext []byte) []byte {
	k := secret.Derive(s.sealer.Key(), label, header, secret.Size)
	defer k.Clear()
	return secret.NewAEAD(k).Seal(header, plaintext, header)
}

// unsealed opens what sealed made.
func (s *Store) unsealed(label, magic string, b []byte) (h pairHead, plaintext secret.Bytes, ok bool) {
	h, ok = decodeHead(magic, b)
	sealer, known := s.sealer.Keys[h.sealer]
	if !ok || !known {
		return h, secret.Bytes{}, false
	}
	header := b[:pairHeader]
	k := secret.Derive(sealer, label, header, secret.Size)
	defer k.Clear()
	plain, err := secret.NewAEAD(k).Open(nil, b[pairHeader:], header)
	return h, secret.New(plain), err == nil
}

// PrepareImport makes a key pair and keeps the private key as a row.
func (s *Store) PrepareImport(ctx context.Context, w keystore.Wrapping) (token, public []byte, err error) {
	if wrapNumbers[w.Algorithm] == 0 || pairNumbers[w.Spec] == 0 {
		return nil, nil, fmt.Errorf("builtin: no imports by %s for %s", w.Algorithm, w.Spec)
	}
	if !scheme.Allowed(w.Algorithm) {
		return nil, nil, fault.New(keystore.NotAllowed, "")
	}
	pair, err := scheme.Generate(ctx, w.Spec)
	if err != nil {
		return nil, nil, err
	}
	if public, err = pair.Public(); err != nil {
		return nil, nil, err
	}
	private, err := pair.Material()
	if err != nil {
		return nil, nil, err
	}
	defer private.Clear()
	h := pairHead{sealer: s.sealer.Current, key: w.Key, until: w.Until, algorithm: w.Algorithm, spec: w.Spec}
	rand.Read(h.id[:])
	var b meta.Batch
	b.PutIf(h.row(), s.sealed(pairLabel, h.encode(pairMagic, private.Len()+secret.Overhead), private.Reveal()), 0)
	if err := s.makeWay(ctx, w.Key, &b); err != nil {
		return nil, nil, err
	}
	if _, err := s.rows.Commit(ctx, &b); err != nil {
		return nil, nil, unreachable("write import key", err)
	}
	return s.sealed(tokenLabel, h.encode(tokenMagic, secret.Overhead), nil), public, nil
}

// makeWay removes the oldest of the pairs that were prepared for a key.
func (s *Store) makeWay(ctx context.Context, key uuid.UUID, b *meta.Batch) error {
	prefix := importRows(key)
	page, err := s.rows.Scan(ctx, meta.Range{Start: prefix, End: meta.PrefixEnd(prefix)})
	if err != nil {
		return unreachable("read import keys", err)
	}
	for n := len(page.Items); n >= maxPrepared; n-- {
		oldest, at := -1, time.Time{}
		for i, item := range page.Items {
			h, _ := decodeHead(pairMagic, item.Value)
			if item.Key != nil && (oldest < 0 || h.until.Before(at)) {
				oldest, at = i, h.until
			}
		}
		b.Delete(page.Items[oldest].Key)
		page.Items[oldest].Key = nil
	}
	return nil
}

// Import opens key material with the private key that the token names, and keeps it.
func (s *Store) Import(ctx context.Context, in keystore.Import) (keystore.Material, error) {
	pair, paired, err := s.pairOf(ctx, in.Key, in.Token)
	if err != nil {
		return keystore.Material{}, err
	}
	plain, err := pair.Unwrap(paired.algorithm, in.Wrapped)
	if err != nil {
		return keystore.Material{}, err
	}
	defer plain.Clear()
	material, public, err := scheme.Canonical(in.Spec, plain)
	if err != nil {
		return keystore.Material{}, err
	}
	defer material.Clear()
	m := keystore.Material{ID: rootkey.MaterialID(in.Spec, material, in.Key), Public: public}
	version, err := in.Choose(m.ID)
	if err != nil {
		return keystore.Material{}, err
	}
	m.Ref = keystore.Ref{Key: in.Key, Version: version}

	var b meta.Batch
	b.Cond(paired.row(), paired.ver)
	b.Delete(paired.row())
	if err := s.putImported(ctx, m, in.Spec, material, &b); err != nil {
		return keystore.Material{}, err
	}
	if _, err := s.rows.Commit(ctx, &b); err != nil {
		var conflict *meta.ConflictError
		if errors.As(err, &conflict) {
			return keystore.Material{}, fault.New(keystore.BadToken, "").Because(err) // another import was faster
		}
		return keystore.Material{}, unreachable("write key material", err)
	}
	return m, nil
}

// putImported adds the material's row to a batch, unless it is there.
func (s *Store) putImported(ctx context.Context, m keystore.Material, spec keystore.Spec, material secret.Bytes, b *meta.Batch) error {
	rec, there, err := s.record(ctx, m.Ref)
	switch {
	case errors.Is(err, keystore.NoMaterial):
		rec := rootkey.Record{Key: m.Key, Version: m.Version, Spec: spec, Imported: true, Created: time.Now()}
		_, sealed := s.root.SealRecord(rootkey.KMSMaterial, rec, material)
		b.PutIf(row(m.Ref), sealed, 0)
		return nil
	case err != nil:
		return err
	}
	there.Clear()
	if rec.ID != m.ID {
		return fmt.Errorf("builtin: key %s has other material of version %d", m.Key, m.Version)
	}
	return nil
}

// pairRow is where a private key of an import is.
type pairRow struct {
	pairHead
	ver uint64
}

// pairOf returns the private key that a token names.
func (s *Store) pairOf(ctx context.Context, key uuid.UUID, token []byte) (*scheme.Private, pairRow, error) {
	refuse := func(kind fault.Kind) (*scheme.Private, pairRow, error) { return nil, pairRow{}, fault.New(kind, "") }
	h, _, ok := s.unsealed(tokenLabel, tokenMagic, token)
	switch {
	case !ok || h.key != key:
		return refuse(keystore.BadToken)
	case !time.Now().Before(h.until):
		return refuse(keystore.ExpiredToken)
	case !scheme.Allowed(h.algorithm):
		return refuse(keystore.NotAllowed)
	}
	item, err := meta.Get1(ctx, s.rows, h.row())
	if err != nil {
		return nil, pairRow{}, unreachable("read import key", err)
	}
	if item.Ver == 0 {
		return refuse(keystore.BadToken) // used up, or made way for others
	}
	kept, private, ok := s.unsealed(pairLabel, pairMagic, item.Value)
	defer private.Clear()
	if !ok || kept != h {
		return refuse(keystore.Damaged)
	}
	pair, err := scheme.Parse(h.spec, private)
	if err != nil {
		return nil, pairRow{}, fault.New(keystore.Damaged, "").Because(err)
	}
	return pair, pairRow{h, item.Ver}, nil
}

// Tidy removes the private keys of imports whose time is over.
func (s *Store) Tidy(ctx context.Context) error {
	prefix := []byte("k/w/")
	r := meta.Range{Start: prefix, End: meta.PrefixEnd(prefix)}
	for {
		page, err := s.rows.Scan(ctx, r)
		if err != nil {
			return unreachable("read import keys", err)
		}
		var b meta.Batch
		for _, item := range page.Items {
			if h, ok := decodeHead(pairMagic, item.Value); ok && !time.Now().Before(h.until) {
				b.Delete(item.Key)
			}
		}
		if len(b.Deletes) > 0 {
			if _, err := s.rows.Commit(ctx, &b); err != nil {
				return unreachable("delete import keys", err)
			}
		}
		if !page.More {
			return nil
		}
		r.Start = page.Next
	}
}
