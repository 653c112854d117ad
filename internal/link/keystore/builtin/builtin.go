// SPDX-License-Identifier: Apache-2.0

// Package builtin is the key store inside Coffer: key material is sealed under
// the root key and kept in Coffer's own metadata, and blobs are sealed under
// keys derived from it. The formats, CKM1 for material and CKB1 for blobs, are
// in docs/formats.md.
//
// Every blob has a key of its own, derived from the material and a random salt,
// so no material ever wears out. Material is opened when first used and kept in
// memory for a bounded time.
package builtin

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/link/keystore"
	"github.com/cofferstore/coffer/internal/link/keystore/rootkey"
	"github.com/cofferstore/coffer/internal/link/keystore/scheme"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Config bounds the cache of opened material. The zero value works.
type Config struct {
	Opened    int           // versions of material kept open at most; 0 means 1024 (32 KiB of keys)
	Private   int           // private keys kept open at most; 0 means 128 (some 8 KiB each)
	OpenedFor time.Duration // 0 means 5 minutes, counted from opening
	// Import seals what is prepared for imports. The zero value is a key of this
	// Store alone: no other can finish its imports.
	Import rootkey.Versioned
}

// Store is a keystore.Store. It does not own the metadata store.
type Store struct {
	rows   meta.Store
	root   *rootkey.Root
	sealer rootkey.Versioned
	opened *opened // bytes
	read   *opened // private keys, whose reading takes long
}

var _ keystore.Store = (*Store)(nil)

// New returns the key store over rows k/m/<key>/<version> of the metadata store.
func New(rows meta.Store, root *rootkey.Root, cfg Config) *Store {
	if cfg.Opened <= 0 {
		cfg.Opened = 1024
	}
	if cfg.Private <= 0 {
		cfg.Private = 128
	}
	if cfg.OpenedFor <= 0 {
		cfg.OpenedFor = 5 * time.Minute
	}
	if cfg.Import.Keys == nil {
		cfg.Import = rootkey.Versioned{Current: 1, Keys: map[uint32]secret.Bytes{1: secret.Random(secret.Size)}}
	}
	return &Store{rows: rows, root: root, sealer: cfg.Import, opened: newOpened(cfg.Opened, cfg.OpenedFor), read: newOpened(cfg.Private, cfg.OpenedFor)}
}

// Generate makes a version of a key's material.
func (s *Store) Generate(ctx context.Context, ref keystore.Ref, spec keystore.Spec) (keystore.Material, error) {
	if ref.Version == 0 {
		return keystore.Material{}, errors.New("builtin: versions of key material count from 1")
	}
	var material secret.Bytes
	var public []byte
	if size := spec.Size(); size > 0 {
		material = secret.Random(size)
	} else {
		p, err := scheme.Generate(ctx, spec)
		if err != nil {
			return keystore.Material{}, err
		}
		if material, err = p.Material(); err != nil {
			return keystore.Material{}, err
		}
		if public, err = p.Public(); err != nil {
			return keystore.Material{}, err
		}
	}
	defer material.Clear()
	rec, sealed := s.root.SealRecord(rootkey.KMSMaterial, rootkey.Record{Key: ref.Key, Version: ref.Version, Spec: spec, Created: time.Now()}, material)
	var b meta.Batch
	b.PutIf(row(ref), sealed, 0)
	if _, err := s.rows.Commit(ctx, &b); err != nil {
		var conflict *meta.ConflictError
		if errors.As(err, &conflict) {
			return keystore.Material{}, fmt.Errorf("builtin: key %s has material version %d already: %w", ref.Key, ref.Version, err)
		}
		return keystore.Material{}, unreachable("write key material", err)
	}
	return keystore.Material{Ref: ref, ID: rec.ID, Public: public}, nil
}

// Encrypt returns a CKB1 blob.
func (s *Store) Encrypt(ctx context.Context, ref keystore.Ref, plaintext secret.Bytes, context []byte, serviceHeld bool) ([]byte, error) {
	material, err := s.material(ctx, ref, isSymmetric)
	if err != nil {
		return nil, err
	}
	defer material.Clear()
	return sealBlob(material, ref, plaintext, context, serviceHeld), nil
}

// Decrypt opens a CKB1 blob.
func (s *Store) Decrypt(ctx context.Context, blob, context []byte) (secret.Bytes, error) {
	ref, _, err := s.Inspect(blob)
	if err != nil {
		return secret.Bytes{}, err
	}
	material, err := s.material(ctx, ref, isSymmetric)
	if err != nil {
		return secret.Bytes{}, err
	}
	defer material.Clear()
	return openBlob(material, blob, context)
}

// Inspect reads the header of a CKB1 blob.
func (s *Store) Inspect(blob []byte) (ref keystore.Ref, serviceHeld bool, err error) {
	return parseBlob(blob)
}

// Forget drops what is kept open of a key.
func (s *Store) Forget(key uuid.UUID) {
	s.opened.forget(key)
	s.read.forget(key)
}

// Destroy removes every version of a key's material. Sealed copies in backups
// and in blocks that the device has not reused outlive it; a new root key makes
// those worthless too.
func (s *Store) Destroy(ctx context.Context, key uuid.UUID) error {
	defer s.Forget(key)
	for _, prefix := range [][]byte{fmt.Appendf(nil, "k/m/%s/", key), importRows(key)} {
		if err := s.removeAll(ctx, prefix); err != nil {
			return err
		}
	}
	return nil
}

// removeAll removes all rows under a prefix.
func (s *Store) removeAll(ctx context.Context, prefix []byte) error {
	for {
		page, err := s.rows.Scan(ctx, meta.Range{Start: prefix, End: meta.PrefixEnd(prefix), KeysOnly: true})
		if err != nil {
			return unreachable("find key material", err)
		}
		if len(page.Items) == 0 {
			return nil
		}
		var b meta.Batch
		for _, item := range page.Items {
			b.Delete(item.Key)
		}
		if _, err := s.rows.Commit(ctx, &b); err != nil {
			return unreachable("delete key material", err)
		}
	}
}

// Remove removes a version of a key's material.
func (s *Store) Remove(ctx context.Context, ref keystore.Ref) error {
	defer s.Forget(ref.Key)
	var b meta.Batch
	b.Delete(row(ref))
	if _, err := s.rows.Commit(ctx, &b); err != nil {
		return unreachable("delete key material", err)
	}
	return nil
}

// Health reads from the metadata store.
func (s *Store) Health(ctx context.Context) error {
	if _, err := meta.Get1(ctx, s.rows, []byte("k/m")); err != nil {
		return unreachable("read", err)
	}
	return nil
}

// isSymmetric and isHMAC are what material may be for.
func isSymmetric(spec keystore.Spec) bool { return spec == keystore.Symmetric }
func isHMAC(spec keystore.Spec) bool      { return !isSymmetric(spec) }

// material returns a copy of the material of a key that is bytes, which the caller
// clears. Several callers may open the same material at once; that costs time and
// nothing else.
func (s *Store) material(ctx context.Context, ref keystore.Ref, want func(keystore.Spec) bool) (secret.Bytes, error) {
	m, ok := s.opened.get(ref)
	if !ok {
		began := s.opened.era()
		rec, material, err := s.record(ctx, ref)
		if err != nil {
			return secret.Bytes{}, err
		}
		if rec.Spec.Size() == 0 {
			material.Clear()
			return secret.Bytes{}, unsuitable(ref)
		}
		m = raw{rec.Spec, material}
		s.opened.put(ref, m, began)
	}
	if r := m.(raw); want(r.spec) {
		return r.Bytes, nil
	}
	m.clear()
	return secret.Bytes{}, unsuitable(ref)
}

// unsuitable says that the caller took one key for another.
func unsuitable(ref keystore.Ref) error {
	return fmt.Errorf("builtin: material %d of key %s is not for this", ref.Version, ref.Key)
}

// record opens the record of a version.
func (s *Store) record(ctx context.Context, ref keystore.Ref) (rootkey.Record, secret.Bytes, error) {
	item, err := meta.Get1(ctx, s.rows, row(ref))
	if err != nil {
		return rootkey.Record{}, secret.Bytes{}, unreachable("read key material", err)
	}
	if item.Ver == 0 {
		return rootkey.Record{}, secret.Bytes{}, fault.New(keystore.NoMaterial, "").With("Key", ref.Key.String()).With("Version", strconv.FormatUint(uint64(ref.Version), 10))
	}
	rec, material, err := s.root.OpenRecord(rootkey.KMSMaterial, item.Value)
	if err != nil {
		return rootkey.Record{}, secret.Bytes{}, damaged(ref, err)
	}
	if rec.Key != ref.Key || rec.Version != ref.Version {
		material.Clear()
		return rootkey.Record{}, secret.Bytes{}, damaged(ref, errors.New("record of another key"))
	}
	return rec, material, nil
}

func damaged(ref keystore.Ref, why error) error {
	return fault.New(keystore.Damaged, "").With("Key", ref.Key.String()).Because(why)
}

// unreachable turns an error of the metadata store into one of key stores.
func unreachable(doing string, err error) error {
	kind := keystore.Unavailable
	if errors.Is(err, meta.Damaged) {
		kind = keystore.Damaged
	}
	return fault.New(kind, "").Because(fmt.Errorf("%s: %w", doing, err))
}

func row(ref keystore.Ref) []byte {
	return fmt.Appendf(nil, "k/m/%s/%08x", ref.Key, ref.Version)
}
