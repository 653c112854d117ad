// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// DocumentKind names a kind of configuration document that has rows of its own, because it
// may be large and most requests do not need it. A bucket has one document of a kind or, where
// S3 gives them ids, several.
type DocumentKind string

// TooManyDocuments: a bucket has as many configurations of a kind as it may have.
const TooManyDocuments fault.Kind = "bucket: too many configurations"

// maxDocuments is how many documents a kind with ids may have in a bucket (S3 API Reference,
// PutBucketInventoryConfiguration and others).
const maxDocuments = 1000

const documentRows = "bd/"

// Row bd/<uid>/<kind>/<id>; the id is empty for kinds without.
func documentKey(uid UID, kind DocumentKind, id string) []byte {
	return append(documentsPrefix(uid, kind), id...)
}

func documentsPrefix(uid UID, kind DocumentKind) []byte {
	return append(append(bucketDocuments(uid), kind...), '/')
}

// bucketDocuments is what the rows of a bucket's documents begin with.
func bucketDocuments(uid UID) []byte { return append(append([]byte(documentRows), uid[:]...), '/') }

// storedDocument is the row's value.
type storedDocument struct {
	Version  int             `json:"version"`
	Document json.RawMessage `json:"document"`
}

const documentVersion = 1

// Has reports whether the bucket has a document of the kind: asking costs nothing.
func (b *Bucket) Has(kind DocumentKind) bool { return slices.Contains(b.documents, kind) }

// putDocument stores a document, which must be encodable as JSON, in the place of the one of
// its kind and id. Faults: those of Find, TooManyDocuments.
func (s *Buckets) putDocument(ctx context.Context, ref Ref, kind DocumentKind, id string, doc any) error {
	return s.putDocumentWith(ctx, ref, kind, id, doc, func(*record, *meta.Batch) error { return nil })
}

// putDocumentWith is putDocument; with adds to the commit what goes with it, again for each
// try, or refuses by the record that the commit rests on.
func (s *Buckets) putDocumentWith(ctx context.Context, ref Ref, kind DocumentKind, id string, doc any, with func(*record, *meta.Batch) error) error {
	b, err := s.Find(ctx, ref)
	if err != nil {
		return err
	}
	text, err := json.Marshal(doc)
	if err != nil {
		return fmt.Errorf("encode %s of bucket %q: %w", kind, b.Name, err)
	}
	row, err := json.Marshal(storedDocument{documentVersion, text})
	if err != nil {
		return fmt.Errorf("encode %s of bucket %q: %w", kind, b.Name, err)
	}
	return s.updateWith(ctx, b.UID, func(r *record, batch *meta.Batch) error {
		if id != "" {
			// Read after the record, whose change the commit rests on: no other can come between.
			if err := s.mayAdd(ctx, b.UID, kind, id); err != nil {
				return err
			}
		}
		if !slices.Contains(r.Documents, kind) {
			r.Documents = append(slices.Clone(r.Documents), kind)
		}
		batch.Put(documentKey(b.UID, kind, id), row)
		return with(r, batch)
	})
}

// mayAdd reports whether there is the document already, or room for another one.
func (s *Buckets) mayAdd(ctx context.Context, uid UID, kind DocumentKind, id string) error {
	ids, err := s.documentIDs(ctx, uid, kind)
	if err != nil {
		return err
	}
	if len(ids) >= maxDocuments && !slices.Contains(ids, id) {
		return fault.New(TooManyDocuments, "")
	}
	return nil
}

// deleteDocument removes a document and reports whether there was one. Faults: those of Find.
func (s *Buckets) deleteDocument(ctx context.Context, ref Ref, kind DocumentKind, id string) (found bool, err error) {
	b, err := s.Find(ctx, ref)
	if err != nil || !b.Has(kind) {
		return false, err
	}
	err = s.updateWith(ctx, b.UID, func(r *record, batch *meta.Batch) error {
		ids, err := s.documentIDs(ctx, b.UID, kind)
		if err != nil {
			return err
		}
		if found = slices.Contains(ids, id); found && len(ids) == 1 {
			r.Documents = slices.DeleteFunc(slices.Clone(r.Documents), func(k DocumentKind) bool { return k == kind })
		}
		batch.Delete(documentKey(b.UID, kind, id))
		return nil
	})
	return found, err
}

// documentIDs returns the ids of the documents of a kind, in order.
func (s *Buckets) documentIDs(ctx context.Context, uid UID, kind DocumentKind) ([]string, error) {
	prefix := documentsPrefix(uid, kind)
	var ids []string
	for start := prefix; ; {
		page, err := s.store.Scan(ctx, meta.Range{Start: start, End: meta.PrefixEnd(prefix), KeysOnly: true})
		if err != nil {
			return nil, fmt.Errorf("list %s of bucket %x: %w", kind, uid, err)
		}
		for _, item := range page.Items {
			ids = append(ids, string(item.Key[len(prefix):]))
		}
		if !page.More {
			return ids, nil
		}
		start = page.Next
	}
}

// document returns the bucket's document of that kind and id, nil when there is none. It is
// decoded once for each change of the bucket, and shared: it must not be changed.
func document[T any](ctx context.Context, s *Buckets, b *Bucket, kind DocumentKind, id string) (*T, error) {
	if !b.Has(kind) {
		return nil, nil
	}
	name := documentName{b.UID, kind, id}
	if known, ok := s.documents.get(name, b.ver); ok {
		return known.(*T), nil
	}
	row, err := meta.Get1(ctx, s.store, documentKey(b.UID, kind, id))
	if err != nil {
		return nil, fmt.Errorf("read %s of bucket %q: %w", kind, b.Name, err)
	}
	var doc *T
	if row.Ver != 0 {
		if doc, err = decodeDocument[T](row.Value); err != nil {
			return nil, fault.New(meta.Damaged, "").Because(fmt.Errorf("%s of bucket %q: %w", kind, b.Name, err))
		}
	}
	s.documents.put(name, knownDocument{b.ver, doc, len(row.Value)})
	return doc, nil
}

func decodeDocument[T any](row []byte) (*T, error) {
	var stored storedDocument
	if err := json.Unmarshal(row, &stored); err != nil {
		return nil, err
	}
	if stored.Version != documentVersion {
		return nil, errors.New("unknown version")
	}
	doc := new(T)
	return doc, json.Unmarshal(stored.Document, doc)
}

// clearDocuments removes the documents of a bucket that is gone.
func (s *Buckets) clearDocuments(ctx context.Context, uid UID) error {
	prefix := bucketDocuments(uid)
	for {
		page, err := s.store.Scan(ctx, meta.Range{Start: prefix, End: meta.PrefixEnd(prefix), KeysOnly: true})
		if err != nil || len(page.Items) == 0 {
			return err
		}
		var batch meta.Batch
		for _, item := range page.Items {
			batch.Delete(item.Key)
		}
		if _, err := s.store.Commit(ctx, &batch); err != nil {
			return err
		}
	}
}

type documentName struct {
	uid  UID
	kind DocumentKind
	id   string
}

// documents remembers documents in their decoded form, each for one version of the bucket's
// record, which every change of a document rewrites.
type documents struct {
	mu   sync.RWMutex
	m    map[documentName]knownDocument
	size int // of the rows of all of them
}

type knownDocument struct {
	ver  uint64
	doc  any
	size int // of the row, in bytes
}

// Bounds of what is remembered: entries, and bytes of their rows, as a tenant may have
// many large ones.
const (
	maxKnownDocuments = 1024
	maxKnownBytes     = 16 << 20
)

func (d *documents) get(name documentName, ver uint64) (any, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	k, ok := d.m[name]
	return k.doc, ok && k.ver == ver
}

func (d *documents) put(name documentName, known knownDocument) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.size += known.size - d.m[name].size
	if d.m == nil || len(d.m) >= maxKnownDocuments || d.size > maxKnownBytes {
		d.m, d.size = map[documentName]knownDocument{}, known.size
	}
	d.m[name] = known
}
