// SPDX-License-Identifier: Apache-2.0

// Package object is what S3 does with objects: put, get, copy, delete, list,
// versions, multipart uploads, tags. It takes typed requests and streams; it knows
// no headers and no drivers.
//
// Every object is sealed under a data key of its own (package sse). A write first
// prepares its keys, then reads the body, then makes the sealed streams durable,
// and then publishes them by one commit to the metadata store. What failed leaves
// at most a stream that nothing names, which a sweep removes.
package object

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/bucketkey"
	"github.com/cofferstore/coffer/internal/core/lifecycle"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/blob"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Kinds of fault.
const (
	NoSuchKey             fault.Kind = "object: no such key"
	NoSuchVersion         fault.Kind = "object: no such version"
	InvalidVersionID      fault.Kind = "object: malformed version id"
	DeleteMarker          fault.Kind = "object: the version is a delete marker"
	KeyTooLong            fault.Kind = "object: key too long"
	TooLarge              fault.Kind = "object: too large"
	IncompleteBody        fault.Kind = "object: body shorter than announced"
	BadDigest             fault.Kind = "object: digest does not match"
	PreconditionFailed    fault.Kind = "object: precondition failed"
	NotModified           fault.Kind = "object: not modified"
	ConditionUnsupported  fault.Kind = "object: condition not supported"
	ConditionConflict     fault.Kind = "object: changed while the upload was under way"
	InvalidRange          fault.Kind = "object: range not satisfiable"
	InvalidPartNumber     fault.Kind = "object: part number not satisfiable"
	RangeAndPart          fault.Kind = "object: range together with part number"
	SelfCopy              fault.Kind = "object: copy onto itself without a change"
	CopySourceMarker      fault.Kind = "object: copy source is a delete marker"
	CopySourceTooLarge    fault.Kind = "object: copy source too large"
	InvalidCopyRange      fault.Kind = "object: copy range not valid for the source"
	NoSuchUpload          fault.Kind = "object: no such upload"
	InvalidPart           fault.Kind = "object: part missing or changed"
	InvalidPartOrder      fault.Kind = "object: parts not ascending"
	PartTooSmall          fault.Kind = "object: part too small"
	PartNumberOutOfBounds fault.Kind = "object: part number out of bounds"
	InvalidUpload         fault.Kind = "object: upload request not valid"
	MetadataTooLarge      fault.Kind = "object: metadata too large"
	InvalidStorageClass   fault.Kind = "object: storage class not supported"
	InvalidArgument       fault.Kind = "object: invalid argument"
	// Busy: the row changed under us again and again.
	Busy fault.Kind = "object: too much contention"
	// Damaged: stored data is not what was written.
	Damaged fault.Kind = "object: damaged"
)

// MaxTags is how many tags an object may have.
const MaxTags = 10

// Config is the service's settings. The zero value is S3's limits.
type Config struct {
	InlineLimit int64 // bodies sealed to at most this many bytes live in the metadata store; default 16 KiB
	MinPart     int64 // least size of a part that is not the last; default 5 MiB
	MaxPart     int64 // largest single upload, part or copy; default 5 GiB
	MaxObject   int64 // largest object; default 5 TiB
	// RemoveAfter is how long the streams of a replaced or deleted version stay,
	// so that reads under way can end; default 15 min.
	RemoveAfter time.Duration
	// Calendar is that by which lifecycle rules are read.
	Calendar lifecycle.Calendar
}

func (c Config) withDefaults() Config {
	def := func(v *int64, d int64) {
		if *v == 0 {
			*v = d
		}
	}
	def(&c.InlineLimit, 16<<10)
	def(&c.MinPart, 5<<20)
	def(&c.MaxPart, 5<<30)
	def(&c.MaxObject, 5<<40)
	if c.RemoveAfter == 0 {
		c.RemoveAfter = 15 * time.Minute
	}
	return c
}

// Objects is the service. It is safe for concurrent use.
type Objects struct {
	buckets *bucket.Buckets
	store   meta.Store
	blobs   blob.Store
	keys    *sse.Keys
	binder  *secret.AEAD // seals the key that binds a completed upload
	cfg     Config
	reads   readers
	turns   turns
	making  making
	clock   clock

	notifier   Notifier   // nil: nobody is told of changes
	replicator Replicator // nil: nothing is replicated
}

// New returns the service. bindKey is the service key "upload-bind".
func New(buckets *bucket.Buckets, store meta.Store, blobs blob.Store, keys *sse.Keys, bindKey secret.Bytes, cfg Config) *Objects {
	return &Objects{
		buckets: buckets, store: store, blobs: blobs, keys: keys,
		binder: secret.NewAEAD(bindKey), cfg: cfg.withDefaults(), reads: newReaders(),
		clock: newClock(),
	}
}

// Ref names an object.
type Ref struct {
	bucket.Ref
	Key string
}

// ARN returns the object's ARN.
func (r Ref) ARN() string { return aws.ObjectARN(r.Bucket, r.Key) }

// VersionRef names a version of an object; VersionID "" is the current one.
type VersionRef struct {
	Ref
	VersionID string
}

// maxKey is the longest object key in bytes.
const maxKey = 1024

func checkKey(key string) error {
	if len(key) > maxKey {
		return fault.New(KeyTooLong, "").With("Size", fmt.Sprint(len(key))).With("MaxSizeAllowed", fmt.Sprint(maxKey))
	}
	return nil
}

func keyBucket(b *bucket.Bucket) bucketkey.Bucket {
	return bucketkey.Bucket{UID: b.UID, Name: b.Name}
}

// current reads the current version of a key; nil when there is none. ver is the
// row's version for a condition.
func (o *Objects) current(ctx context.Context, b *bucket.Bucket, key string) (r *record, ver uint64, err error) {
	return o.row(ctx, b.UID, key, currentKey(b.UID, key))
}

// row reads a version of a key from a row; nil when there is none.
func (o *Objects) row(ctx context.Context, b bucket.UID, key string, row []byte) (*record, uint64, error) {
	item, err := meta.Get1(ctx, o.store, row)
	if err != nil {
		return nil, 0, err
	}
	r, err := recordIn(item, b, key)
	return r, item.Ver, err
}

// recordIn decodes a version of a key; nil when there is none. A record that
// belongs elsewhere is damage.
func recordIn(item meta.Item, b bucket.UID, key string) (*record, error) {
	if item.Ver == 0 {
		return nil, nil
	}
	r, err := decodeRecord(item.Value)
	if err == nil && (r.Bucket != b || r.Key != key) {
		err = fault.New(meta.Damaged, "").Because(fmt.Errorf("row of %q holds another object", key))
	}
	return r, err
}

// found is a version and where it stands.
type found struct {
	*record
	row     []byte
	ver     uint64
	current bool
}

// find returns a version. Faults: NoSuchKey, NoSuchVersion, InvalidVersionID. The
// version may be a delete marker.
func (o *Objects) find(ctx context.Context, b *bucket.Bucket, key, version string) (found, error) {
	if err := checkKey(key); err != nil {
		return found{}, err
	}
	var want versionID
	if version != "" && version != Null {
		var err error
		if want, err = parseVersionID("versionId", version); err != nil {
			return found{}, err
		}
		if b.Versioning == "" { // there can be none with an id
			return found{}, invalidVersionID("versionId", version)
		}
	}
	for range maxConflicts {
		v, moved, err := o.lookUp(ctx, b, key, version, want)
		if !moved {
			return v, err
		}
	}
	return found{}, fault.New(Busy, "")
}

// lookUp is one try of find. A version moves between the row of the current one and
// a row of its own, so both are read in one snapshot, or it might be in neither.
// moved says that the null version did so behind its pointer.
func (o *Objects) lookUp(ctx context.Context, b *bucket.Bucket, key, version string, want versionID) (v found, moved bool, err error) {
	rows := [][]byte{currentKey(b.UID, key)}
	switch version {
	case "":
	case Null:
		rows = append(rows, nullKey(b.UID, key))
	default:
		rows = append(rows, versionKey(b.UID, key, want))
	}
	items, err := meta.View(ctx, o.store, rows...)
	if err != nil {
		return found{}, false, fmt.Errorf("read object: %w", err)
	}
	r, err := recordIn(items[0], b.UID, key)
	if err != nil {
		return found{}, false, fmt.Errorf("read object: %w", err)
	}
	switch {
	case version == "" && r == nil:
		return found{}, false, fault.New(NoSuchKey, "").With("Key", key)
	case version == "", r != nil && version == Null && r.Null, r != nil && !r.Null && r.id() == want:
		return found{r, items[0].Key, items[0].Ver, true}, false, nil
	}
	other := items[1]
	if version == Null && other.Ver != 0 {
		id, err := pointedTo(other)
		if err == nil {
			other, err = meta.View1(ctx, o.store, versionKey(b.UID, key, id))
		}
		if err != nil {
			return found{}, false, fmt.Errorf("read version: %w", err)
		}
		if other.Ver == 0 {
			return found{}, true, nil
		}
	}
	if r, err = recordIn(other, b.UID, key); err != nil {
		return found{}, false, fmt.Errorf("read version: %w", err)
	}
	if r == nil {
		return found{}, false, fault.New(NoSuchVersion, "").With("Key", key).With("VersionId", version)
	}
	return found{r, other.Key, other.Ver, false}, false, nil
}

// pointedTo returns which version the row vn/ names.
func pointedTo(pointer meta.Item) (versionID, error) {
	id, ok := versionIDFrom(pointer.Value)
	if !ok {
		return id, fault.New(meta.Damaged, "").Because(fmt.Errorf("pointer to a null version, row %q", pointer.Key))
	}
	return id, nil
}

// retry calls try until it does not meet a conflict, from the second time on in turn
// with others who met one over the same key. The bucket is found anew each time: its
// guard may be what changed. try must not call retry.
func (o *Objects) retry(ctx context.Context, ref Ref, uid bucket.UID, try func(b *bucket.Bucket) error) error {
	for n := range maxConflicts {
		if n == 1 {
			release, err := o.turns.take(ctx, contested{uid, ref.Key})
			if err != nil {
				return err
			}
			defer release()
		}
		b, err := o.buckets.ForWrite(ctx, ref.Ref)
		if err != nil {
			return err
		}
		if b.UID != uid { // deleted and made again: not the bucket this was meant for
			return fault.New(bucket.NoSuchBucket, "").With("BucketName", ref.Bucket)
		}
		err = try(b)
		var conflict *meta.ConflictError
		if !errors.As(err, &conflict) {
			return err
		}
	}
	return fault.New(Busy, "")
}

// maxConflicts bounds how often a commit is tried again: each round, one of the
// competitors has succeeded.
const maxConflicts = 128

// openOutcome is the error of a commit that may have been applied or not.
type openOutcome struct{ error }

func (e openOutcome) Unwrap() error { return e.error }

// outcomeOpen reports whether err leaves open that a commit was applied: what it
// would have named must then not be removed.
func outcomeOpen(err error) bool {
	var open openOutcome
	return errors.As(err, &open)
}

// conclude commits what a call is for. The call's audit record goes with it; result is
// what the call then returns, notes what goes with it.
func (o *Objects) conclude(ctx context.Context, b *meta.Batch, result any, notes ...note) error {
	if err := audit.InCommit(ctx, b, result); err != nil {
		return err
	}
	err := o.commit(ctx, b, notes...)
	if err != nil {
		audit.NotCommitted(ctx)
	}
	return err
}

// commit is the store's Commit; an error that is no conflict is an openOutcome.
func (o *Objects) commit(ctx context.Context, b *meta.Batch, notes ...note) error {
	committed, err := added(ctx, b, notes)
	if err != nil {
		return err
	}
	_, err = o.store.Commit(ctx, b)
	var conflict *meta.ConflictError
	switch {
	case err == nil:
		for _, f := range committed {
			f()
		}
		return nil
	case errors.As(err, &conflict):
		return err
	}
	return openOutcome{fmt.Errorf("commit: %w", err)}
}
