// SPDX-License-Identifier: Apache-2.0

package object

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/checksum"
	"github.com/cofferstore/coffer/internal/core/acl"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Attributes are what a client says of a new object beside its bytes.
type Attributes struct {
	Headers      []Header // system headers and user metadata, names in lower case
	Tags         []bucket.Tag
	StorageClass string // "" is STANDARD
	SSE          sse.Request
	ACL          acl.Asked
	Lock         Lock // without a retention, the bucket's default is the object's
}

// maxMetadata bounds the user metadata: names and values (S3 User Guide,
// "Working with object metadata").
const maxMetadata = 2 << 10

// MetadataPrefix begins the name of a user metadata header.
const MetadataPrefix = "x-amz-meta-"

func (a Attributes) check() error {
	size := 0
	for _, h := range a.Headers {
		if name, ok := strings.CutPrefix(h.Name, MetadataPrefix); ok {
			size += len(name) + len(h.Value)
		}
	}
	if size > maxMetadata {
		return fault.New(MetadataTooLarge, "").With("Size", fmt.Sprint(size)).With("MaxSizeAllowed", fmt.Sprint(maxMetadata))
	}
	if c := a.StorageClass; c != "" && !storageClasses[c] {
		return fault.New(InvalidStorageClass, "").With("StorageClassRequested", c)
	}
	return bucket.CheckTags(a.Tags, MaxTags)
}

// storageClasses are accepted and remembered; all of them are the same disk. What is in an
// archive is read once it is restored.
var storageClasses = map[string]bool{
	Standard: true, "REDUCED_REDUNDANCY": true, "STANDARD_IA": true, "ONEZONE_IA": true, "INTELLIGENT_TIERING": true, "GLACIER_IR": true,
	Glacier: true, DeepArchive: true,
}

// Standard is the storage class of objects that name none.
const Standard = "STANDARD"

// Put stores an object.
type Put struct {
	Ref
	Attributes
	Condition WriteCondition
	Body      io.Reader
	Size      int64
	Expect    Expect
	// Form says that a form was posted: events tell it from others.
	Form bool
}

// Needs says what the request must be allowed.
func (in Put) Needs() []policy.Need {
	return in.Attributes.needs(in.ARN(), in.Condition)
}

// needs says what it takes to make an object of these attributes.
func (a Attributes) needs(arn string, cond WriteCondition) []policy.Need {
	needs := []policy.Need{{Action: "s3:PutObject", Resource: arn}}
	if a.ACL.Given() {
		needs = append(needs, policy.Need{Action: "s3:PutObjectAcl", Resource: arn})
	}
	if len(a.Tags) > 0 {
		needs = append(needs, policy.Need{Action: "s3:PutObjectTagging", Resource: arn})
	}
	if a.Lock.Mode != "" {
		needs = append(needs, policy.Need{Action: "s3:PutObjectRetention", Resource: arn})
	}
	if a.Lock.Hold != "" {
		needs = append(needs, policy.Need{Action: "s3:PutObjectLegalHold", Resource: arn})
	}
	return append(needs, cond.needs(arn)...)
}

// needs says what it takes to demand a condition: one that names an ETag tells whether
// the object has it.
func (c WriteCondition) needs(arn string) []policy.Need {
	if c.IfMatch == "" {
		return nil
	}
	return []policy.Need{{Action: "s3:GetObject", Resource: arn}}
}

// Stored describes an object that was written.
type Stored struct {
	VersionID string // "" in a bucket that never had versioning
	ETag      string
	Size      int64
	Modified  time.Time
	Checksum  Checksum
	SSE       sse.Applied
	// FromDefault says that the bucket's default chose the encryption.
	FromDefault bool
	Expires     Expiry
}

// Put stores an object. Everything that can be refused without the body is
// refused before it is read. Faults: those of bucket.Find, sse and kms, TooLarge,
// IncompleteBody, BadDigest, PreconditionFailed, and those of the body's reader.
func (o *Objects) Put(ctx context.Context, by iam.Caller, in Put) (Stored, error) {
	if err := checkKey(in.Key); err != nil {
		return Stored{}, err
	}
	if err := in.Attributes.check(); err != nil {
		return Stored{}, err
	}
	if err := in.Condition.check(); err != nil {
		return Stored{}, err
	}
	b, err := o.buckets.ForWrite(ctx, in.Ref.Ref)
	if err != nil {
		return Stored{}, err
	}
	if err := o.checkLock(b, in.Lock); err != nil {
		return Stored{}, err
	}
	if err := checkDigest(b, by, in.Lock, in.Expect, "Object"); err != nil {
		return Stored{}, err
	}
	g, err := o.granting(ctx, by, b, in.ACL)
	if err != nil {
		return Stored{}, err
	}
	s, choice, err := o.sealing(ctx, by, b, in.Key, in.SSE)
	if err != nil {
		return Stored{}, err
	}
	defer s.Clear()
	if !in.Condition.empty() { // early, to spare the body; decided again at the commit
		r, _, err := o.current(ctx, b, in.Key)
		if err == nil {
			err = in.Condition.holds(in.Key, r)
		}
		if err != nil {
			return Stored{}, err
		}
	}
	r, st, err := o.receive(ctx, b, s, in, g)
	if err != nil {
		return Stored{}, err
	}
	return o.publish(ctx, b, in.Ref, s, r, st, publishing{
		cond: in.Condition, lock: in.Lock, fromDefault: choice.FromDefault, cause: cause{in.event(), by},
	})
}

func (in Put) event() Event {
	if in.Form {
		return CreatedPost
	}
	return CreatedPut
}

// sealing decides how a new object is encrypted and prepares its keys.
func (o *Objects) sealing(ctx context.Context, by iam.Caller, b *bucket.Bucket, key string, asked sse.Request) (*sse.Sealing, sse.Choice, error) {
	choice := sse.Effective(asked, b.Default())
	if err := sse.CheckTransport(choice, by); err != nil {
		return nil, choice, err
	}
	if choice.Algorithm == sse.Customer {
		if err := notBlocked(b, by, key); err != nil {
			return nil, choice, err
		}
	}
	s, err := o.keys.ForWrite(ctx, by, keyBucket(b), key, choice)
	return s, choice, err
}

// notBlocked refuses a write under a customer's key where the bucket takes none,
// also by its owner.
func notBlocked(b *bucket.Bucket, by iam.Caller, key string) error {
	if !b.Encryption.BlockSSEC {
		return nil
	}
	return fault.New(sse.CustomerBlocked, "User: %s is not authorized to perform: s3:PutObject on resource: %q because this bucket has blocked upload requests that specify Server Side Encryption with Customer provided keys (SSE-C). Please specify a different server-side encryption type", by.ARN, aws.ObjectARN(b.Name, key))
}

// receive reads the body of a Put and makes the record that will name it.
func (o *Objects) receive(ctx context.Context, b *bucket.Bucket, s *sse.Sealing, in Put, g granting) (*record, stream, error) {
	alg := in.Expect.Algorithm
	if alg == "" {
		alg = checksum.Default
	}
	plain := s.Applied().ByService()
	st, err := o.ingest(ctx, s, in.Body, ingestion{
		size: in.Size, limit: o.cfg.MaxPart, expect: in.Expect, algorithm: alg, etagMD5: plain,
	})
	if err != nil {
		return nil, stream{}, err
	}
	st.Number = 1
	r := newRecord(b, in.Key, g, in.Attributes)
	r.Body = s.Format()
	r.Size, r.Parts = st.Size, []part{st.part}
	r.Checksum = Checksum{Algorithm: alg, Type: checksum.FullObject, Value: st.checksum}
	r.ETag = etag(plain, st.md5)
	return r, st, nil
}

// newRecord begins the record of a new version.
func newRecord(b *bucket.Bucket, key string, g granting, a Attributes) *record {
	return &record{
		Bucket: b.UID, Key: key, UID: newUID(), Created: time.Now().UnixMilli(), Owner: g.owner,
		Headers: a.Headers, Tags: a.Tags, StorageClass: a.StorageClass, ACL: g.list,
	}
}

// newUID returns a time-ordered unique id.
func newUID() [16]byte { return uuid.Must(uuid.NewV7()) }

// etag is the MD5 when only the service holds a key. Elsewhere it is random: S3 promises that it is
// not the MD5 of the data there.
func etag(isMD5 bool, md5 []byte) string {
	if !isMD5 {
		md5 = make([]byte, 16)
		rand.Read(md5)
	}
	return hex.EncodeToString(md5)
}

// publishing is what goes with a version that is published.
type publishing struct {
	cond        WriteCondition
	lock        Lock // as asked for
	fromDefault bool // the bucket's default chose the encryption
	// result is what the call returns of what was stored; nil: just that.
	result func(Stored) any
	cause  cause
	beside []stream // of the version's annotations
}

// publish wraps the data key, binds it to the record, and makes the record the
// current version.
func (o *Objects) publish(ctx context.Context, b *bucket.Bucket, ref Ref, s *sse.Sealing, r *record, st stream, p publishing) (Stored, error) {
	var out Stored
	result := func(b *bucket.Bucket) any {
		out = o.stored(ctx, b, r, s.Applied(), p.fromDefault)
		if p.result != nil {
			return p.result(out)
		}
		return out
	}
	add := func(b *meta.Batch) {
		st.record(b)
		for i := range p.beside {
			p.beside[i].record(b)
		}
	}
	err := o.wrapping(ctx, s, func() (err error) {
		if r.Wrap, err = s.Wrap(ctx, r.descriptor(), sse.BindDescriptor); err != nil {
			return fmt.Errorf("wrap data key: %w", err)
		}
		return o.place(ctx, ref, b.UID, r, placing{cond: p.cond, lock: p.lock, add: add, result: result, cause: p.cause})
	})
	if err != nil {
		if !outcomeOpen(err) {
			o.discard(ctx, append(p.beside, st)...)
		}
		return Stored{}, err
	}
	return out, nil
}

func (o *Objects) stored(ctx context.Context, b *bucket.Bucket, r *record, a sse.Applied, fromDefault bool) Stored {
	out := Stored{ETag: r.ETag, Size: r.Size, Modified: r.modified(), Checksum: r.Checksum, SSE: a, FromDefault: fromDefault}
	if b.Versioning != "" {
		out.VersionID = r.wireVersion()
	}
	// An object is no less stored when the rules cannot be read: a sweep will say so.
	out.Expires, _ = o.expiry(ctx, b, r)
	return out
}
