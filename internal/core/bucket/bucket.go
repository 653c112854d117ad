// SPDX-License-Identifier: Apache-2.0

// Package bucket keeps buckets and their configuration documents. It does not
// know what is in them: package object does.
//
// Rows: n/<name> holds a bucket's UID, bu/<uid> its record, bg/<uid> its guard;
// bd/<uid>/<kind>/<id> is a configuration document;
// bx/<uid> says that a deleted bucket is still to be cleared.
// The guard's version is a shared condition of every commit that adds or moves an
// object, an upload or a part; DeleteBucket rewrites it before it looks whether
// the bucket is empty, so that a writer who began earlier conflicts instead of
// landing unseen.
package bucket

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/acl"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Kinds of fault.
const (
	NoSuchBucket            fault.Kind = "bucket: no such bucket"
	InvalidName             fault.Kind = "bucket: invalid name"
	AlreadyOwnedByYou       fault.Kind = "bucket: already owned by you"
	AlreadyExists           fault.Kind = "bucket: already exists"
	NotEmpty                fault.Kind = "bucket: not empty"
	BeingDeleted            fault.Kind = "bucket: conflicting operation in progress"
	InvalidLocation         fault.Kind = "bucket: location constraint names the default region"
	IllegalLocation         fault.Kind = "bucket: location constraint not for this region"
	WrongOwner              fault.Kind = "bucket: expected owner differs"
	InvalidOwnerID          fault.Kind = "bucket: expected owner is no account id"
	InvalidEncryption       fault.Kind = "bucket: encryption configuration invalid"
	KeyNotApplicable        fault.Kind = "bucket: default key without a KMS algorithm"
	IllegalVersioning       fault.Kind = "bucket: versioning configuration without status"
	InvalidVersioningStatus fault.Kind = "bucket: unknown versioning status"
	NoSuchTagSet            fault.Kind = "bucket: no tags"
)

// UID identifies a bucket for ever: a name can be used again, a UID never is.
type UID [16]byte

// Versioning states. The zero value means that versioning was never enabled.
const (
	Enabled   = "Enabled"
	Suspended = "Suspended"
)

// Tag is a key and a value.
type Tag struct{ Key, Value string }

// record is the row bu/<uid>.
type record struct {
	Name       string     `json:"name"`
	Owner      string     `json:"owner"`
	Region     string     `json:"region"`
	Created    time.Time  `json:"created"`
	Versioning string     `json:"versioning,omitempty"`
	Encryption Encryption `json:"encryption"`
	Tags       []Tag      `json:"tags,omitempty"`
	Deleting   *time.Time `json:"deleting,omitempty"`
	// NoConsolidation keeps upkeep from merging the bucket's bucket keys.
	NoConsolidation bool `json:"noConsolidation,omitempty"`
	// Legacy is the legacy mode of SetLegacy.
	Legacy bool `json:"legacy,omitempty"`

	// Policy says that there is a row bp/<uid>.
	Policy bool `json:"policy,omitempty"`
	// PublicAccess is nil as long as nobody has said anything: everything is blocked.
	PublicAccess *PublicAccess `json:"publicAccess,omitempty"`
	Ownership    Ownership     `json:"ownership,omitempty"`
	ACL          acl.List      `json:"acl,omitempty"`
	Logging      *Logging      `json:"logging,omitempty"`
	// ObjectLock is nil as long as it was never enabled.
	ObjectLock *ObjectLock `json:"objectLock,omitempty"`
	// ABAC says that tags count when access is decided.
	ABAC bool `json:"abac,omitempty"`
	// Documents are the kinds of which there are rows bd/<uid>/<kind>/.
	Documents []DocumentKind `json:"documents,omitempty"`
}

// Bucket is a bucket as read at one moment. It must not be changed.
type Bucket struct {
	UID        UID
	Name       string
	Owner      string // account id
	Region     string
	Created    time.Time
	Versioning string
	Encryption Encryption
	Tags       []Tag
	// NoConsolidation keeps upkeep from merging the bucket's bucket keys.
	NoConsolidation bool
	// Legacy says that what names no encryption is reported as not encrypted.
	Legacy bool

	PublicAccess PublicAccess
	Ownership    Ownership
	ACL          acl.List // nil: all for the owner
	Logging      *Logging // nil: requests are not logged
	// ObjectLock is nil where it is not enabled. Where it is, so is versioning, for ever.
	ObjectLock *ObjectLock
	// ABAC says that the bucket's tags count when access to it is decided.
	ABAC bool

	policy     bool
	documents  []DocumentKind
	ver, guard uint64
	deleting   *time.Time
}

// ARN returns the bucket's ARN.
func (b *Bucket) ARN() string { return aws.BucketARN(b.Name) }

// Guard returns the guard row and the version that a commit into the bucket must
// demand.
func (b *Bucket) Guard() (key []byte, ver uint64) { return guardKey(b.UID), b.guard }

// Config is the service's settings.
type Config struct {
	Region string
	// Legacy makes new buckets start as before 2023: ACLs on, public access and SSE-C
	// not blocked.
	Legacy bool
	// Principals are those whom policies and grants can name. nil: anybody.
	Principals Principals
	// CanonicalID returns the canonical user id of an account.
	CanonicalID func(account string) string
	// Clear is called for a bucket that is gone, until it succeeds: it drops what
	// else is kept for it, uploads and keys. nil means that nothing is.
	Clear func(ctx context.Context, uid UID) error
}

// Buckets is the service. It is safe for concurrent use.
type Buckets struct {
	store meta.Store
	cfg   Config
	cache decoded
	known known

	documents documents

	logged  atomic.Pointer[map[string]*Logged] // by name; what is in it is not changed
	logging sync.Mutex                         // held while logged is replaced
}

// New returns the service over a store.
func New(store meta.Store, cfg Config) *Buckets {
	if cfg.CanonicalID == nil {
		cfg.CanonicalID = func(account string) string { return account }
	}
	return &Buckets{store: store, cfg: cfg, cache: decoded{m: map[UID]*decodedRow{}}, known: newKnown()}
}

func nameKey(name string) []byte { return append([]byte("n/"), name...) }
func recordKey(uid UID) []byte   { return append([]byte("bu/"), uid[:]...) }
func guardKey(uid UID) []byte    { return append([]byte("bg/"), uid[:]...) }

const clearRows = "bx/"

func clearKey(uid UID) []byte { return append([]byte(clearRows), uid[:]...) }

// Ref is how a request names a bucket: by name and, if the client wants to be
// sure, by its owner's account id.
type Ref struct {
	Bucket        string
	ExpectedOwner string
}

// Find returns the bucket. It checks the expected owner. Faults: NoSuchBucket,
// WrongOwner, InvalidOwnerID.
func (s *Buckets) Find(ctx context.Context, ref Ref) (*Bucket, error) {
	if ref.ExpectedOwner != "" && !aws.ValidAccount(ref.ExpectedOwner) {
		return nil, fault.New(InvalidOwnerID, "The value of the expected bucket owner parameter must be an AWS Account ID... [%s]", ref.ExpectedOwner)
	}
	b, err := s.find(ctx, ref.Bucket)
	if err != nil {
		return nil, err
	}
	if ref.ExpectedOwner != "" && ref.ExpectedOwner != b.Owner {
		return nil, fault.New(WrongOwner, "")
	}
	return b, nil
}

// ForWrite is Find for a caller who will commit into the bucket. A bucket that is
// being deleted is refused with BeingDeleted.
func (s *Buckets) ForWrite(ctx context.Context, ref Ref) (*Bucket, error) {
	b, err := s.Find(ctx, ref)
	if err != nil || b.deleting == nil {
		return b, err
	}
	if time.Since(*b.deleting) < abandonedDelete {
		return nil, fault.New(BeingDeleted, "")
	}
	// Its deleter stopped half way. Rewriting the record makes a deleter that is
	// only slow conflict in its last step.
	if err := s.update(ctx, b.UID, func(r *record) error { r.Deleting = nil; return nil }); err != nil {
		return nil, err
	}
	return s.Find(ctx, ref)
}

// abandonedDelete is how long a mark of deletion holds off writers. A deleter
// needs milliseconds.
const abandonedDelete = time.Minute

func (s *Buckets) find(ctx context.Context, name string) (*Bucket, error) {
	if !aws.ValidBucketName(name) {
		return nil, fault.New(NoSuchBucket, "").With("BucketName", name)
	}
	item, err := meta.View1(ctx, s.store, nameKey(name))
	if err != nil {
		return nil, fmt.Errorf("find bucket %q: %w", name, err)
	}
	if item.Ver == 0 {
		return nil, fault.New(NoSuchBucket, "").With("BucketName", name)
	}
	var uid UID
	if copy(uid[:], item.Value) != len(uid) {
		return nil, fault.New(meta.Damaged, "").Because(fmt.Errorf("name row of bucket %q", name))
	}
	b, _, err := s.read(ctx, uid)
	return b, err
}

// read returns the bucket with that UID. The guard is read in the same snapshot
// as the record, so a commit that demands it sees no other configuration.
func (s *Buckets) read(ctx context.Context, uid UID) (*Bucket, record, error) {
	known := s.cache.get(uid)
	var rows [][]byte
	if known != nil {
		rows = known.rows
	} else {
		rows = [][]byte{guardKey(uid), recordKey(uid)}
	}
	items, err := meta.View(ctx, s.store, rows...)
	if err != nil {
		return nil, record{}, fmt.Errorf("read bucket %x: %w", uid, err)
	}
	guard, row := items[0], items[1]
	if guard.Ver == 0 || row.Ver == 0 { // deleted between the two reads
		return nil, record{}, fault.New(NoSuchBucket, "")
	}
	e, err := s.cache.decode(uid, known, guard, row)
	if err != nil {
		return nil, record{}, err
	}
	return e.bucket, e.rec, nil
}

func (r *record) bucket(uid UID, ver, guard uint64) *Bucket {
	return &Bucket{
		UID: uid, Name: r.Name, Owner: r.Owner, Region: r.Region, Created: r.Created,
		Versioning: r.Versioning, Encryption: r.Encryption, Tags: r.Tags,
		NoConsolidation: r.NoConsolidation, Legacy: r.Legacy,
		PublicAccess: r.publicAccess(), Ownership: r.Ownership.effective(), ACL: r.ACL, Logging: r.Logging, ObjectLock: r.ObjectLock, ABAC: r.ABAC,
		policy: r.Policy, documents: r.Documents, ver: ver, guard: guard, deleting: r.Deleting,
	}
}

// update changes a bucket's record, again and again until no other change came
// between.
func (s *Buckets) update(ctx context.Context, uid UID, change func(*record) error) error {
	return s.updateWith(ctx, uid, func(r *record, _ *meta.Batch) error { return change(r) })
}

// updateWith is update for a change that has rows of its own, too.
func (s *Buckets) updateWith(ctx context.Context, uid UID, change func(*record, *meta.Batch) error) error {
	for range maxConflicts {
		b, r, err := s.read(ctx, uid)
		if err != nil {
			return err
		}
		var batch meta.Batch
		if err := change(&r, &batch); err != nil {
			return err
		}
		batch.PutIf(recordKey(uid), encode(r), b.ver)
		batch.PutIf(guardKey(uid), []byte{0}, b.guard) // who commits by the record as it was begins again
		err = s.commit(ctx, r.Name, &batch)
		var conflict *meta.ConflictError
		if errors.As(err, &conflict) {
			continue
		}
		if err != nil {
			return fmt.Errorf("update bucket %q: %w", r.Name, err)
		}
		return nil
	}
	return fault.New(BeingDeleted, "").Because(errors.New("too many conflicting changes"))
}

// maxConflicts bounds how often a change is tried again.
const maxConflicts = 32

func encode(r record) []byte {
	b, err := json.Marshal(r)
	if err != nil {
		panic("bucket: encode record: " + err.Error()) // strings, times and flags: cannot fail
	}
	return b
}

// Head asks whether a bucket exists.
type Head struct{ Ref }

// Needs says what the request must be allowed.
func (in Head) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:ListBucket", Resource: aws.BucketARN(in.Bucket)}}
}

// Head returns the bucket.
func (s *Buckets) Head(ctx context.Context, _ iam.Caller, in Head) (*Bucket, error) {
	return s.Find(ctx, in.Ref)
}

// Location asks for a bucket's region.
type Location struct{ Ref }

// Needs says what the request must be allowed.
func (in Location) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:GetBucketLocation", Resource: aws.BucketARN(in.Bucket)}}
}

// Location returns the location constraint: the bucket's region, or "" for
// us-east-1.
func (s *Buckets) Location(ctx context.Context, _ iam.Caller, in Location) (string, error) {
	b, err := s.Find(ctx, in.Ref)
	if err != nil || b.Region == defaultRegion {
		return "", err
	}
	return b.Region, nil
}

// NameOf returns the name of the bucket with that UID, "" when there is none.
func (s *Buckets) NameOf(ctx context.Context, uid UID) string {
	b, _, err := s.read(ctx, uid)
	if err != nil {
		return ""
	}
	return b.Name
}
