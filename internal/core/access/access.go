// SPDX-License-Identifier: Apache-2.0

// Package access decides who may do what with S3's buckets and objects. It brings
// together what package iam knows of the caller and what the bucket says: its policy,
// what it blocks of public access, and, where they count, lists of grants.
//
// The order of what is said first: the bucket is there; the connection is fit for what
// is to be written; then the decision (S3 User Guide, "How Amazon S3 authorizes a
// request").
package access

import (
	"context"
	"strings"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fault"
)

// NotOwner: the caller is allowed, but only principals of the bucket's own account can
// do this.
const NotOwner fault.Kind = "access: not the bucket owner's account"

// Decider is who decides (iam.Service).
type Decider interface {
	Decide(ctx context.Context, by iam.Caller, q *policy.Question) (policy.Decision, error)
	CanonicalID(account string) string
}

// Buckets finds buckets and what they block.
type Buckets interface {
	Access(ctx context.Context, name string) (*bucket.Access, error)
	Blocked(ctx context.Context, b *bucket.Bucket) (bucket.PublicAccess, error)
}

// Objects tells what decisions rest on that is kept with objects.
type Objects interface {
	// Facts tells of an object; Found is false when there is none.
	Facts(ctx context.Context, b *bucket.Bucket, key, version string) (object.Facts, error)
	// UploadEncryption tells how the object of an upload will be encrypted, and whether
	// the bucket's default chose it.
	UploadEncryption(ctx context.Context, b *bucket.Bucket, ref object.UploadRef) (a sse.Applied, byDefault bool, err error)
}

// Keys resolves the names of KMS keys (kms.ViaS3).
type Keys interface {
	Resolve(ctx context.Context, by iam.Caller, key string) (keyARN string, err error)
}

// Authorizer decides. It is safe for concurrent use.
type Authorizer struct {
	iam     Decider
	buckets Buckets
	objects Objects
	keys    Keys
	cfg     Config
}

// Config is the authorizer's settings.
type Config struct {
	// NamedKeys says that the condition key of a write's KMS key tells only of one that
	// the request names, and not of the bucket's default.
	NamedKeys bool
}

// New returns an authorizer.
func New(iam Decider, buckets Buckets, objects Objects, keys Keys, cfg Config) *Authorizer {
	return &Authorizer{iam, buckets, objects, keys, cfg}
}

// Request is what is to be decided: what a caller asks for.
type Request struct {
	By iam.Caller
	// In is core's request. It says what it needs, and may say more: how it wants to be
	// encrypted, which tags it brings, which upload it is about.
	In any
	// Keys are the condition keys that are on the request's surface: its headers and
	// parameters, how it is signed and sent. nil: none.
	// It may have a method ACLRequired(), which is called when nothing but a list of grants
	// allows the request, and a method Pays(), which says that the caller agrees to pay for it.
	Keys policy.Context
}

type needer interface{ Needs() []policy.Need }

// Authorize decides whether a request is allowed. Faults: bucket.NoSuchBucket,
// sse.NeedsSecureTransport, iam.AccessDenied, NotOwner.
func (a *Authorizer) Authorize(ctx context.Context, r Request) error {
	n, ok := r.In.(needer)
	if !ok {
		return fault.New(iam.AccessDenied, "") // who does not say what it needs gets nothing
	}
	needs := n.Needs()
	if e, ok := r.In.(encrypter); ok && !r.By.Secure {
		if err := a.transport(ctx, &r, e, needs); err != nil {
			return err
		}
	}
	for i := range needs {
		if err := a.one(ctx, &r, &needs[i]); err != nil {
			return err
		}
	}
	if c, ok := r.In.(object.Copy); ok && !(c.ReplaceTags && c.ExcludeAnnotations) {
		return a.copied(ctx, &r, c)
	}
	return nil
}

// transport holds an open connection against the encryption of what is to be written:
// that is said before any permission is asked for. Faults: bucket.NoSuchBucket,
// sse.NeedsSecureTransport.
func (a *Authorizer) transport(ctx context.Context, r *Request, e encrypter, needs []policy.Need) error {
	for i := range needs {
		if needs[i].Action != "s3:PutObject" {
			continue
		}
		name, _ := split(needs[i].Resource)
		b, err := a.buckets.Access(ctx, name)
		if err != nil {
			return err
		}
		if err := sse.CheckSecure(sse.Effective(e.Encryption(), b.Default()), r.By); err != nil {
			return err
		}
	}
	return nil
}

// copied decides whether the source's tags and annotations may be copied, if it has any.
func (a *Authorizer) copied(ctx context.Context, r *Request, c object.Copy) error {
	b, err := a.buckets.Access(ctx, c.Source.Bucket)
	if err != nil {
		return err
	}
	f, err := a.objects.Facts(ctx, b.Bucket, c.Source.Key, c.Source.VersionID)
	if err != nil {
		return err
	}
	needs := c.CopiedNeeds(f)
	for i := range needs {
		if err := a.one(ctx, r, &needs[i]); err != nil {
			return err
		}
	}
	return nil
}

// Each decides about several needs, each by itself. The errors are in their order, nil
// for what is allowed.
func (a *Authorizer) Each(ctx context.Context, r Request, needs []policy.Need) []error {
	errs := make([]error, len(needs))
	for i := range needs {
		errs[i] = a.one(ctx, &r, &needs[i])
	}
	return errs
}

// Admit decides, before a document is read from which the needs follow, whether there
// is anything that the caller may be allowed: nobody is known by name who has not
// signed, and then only a bucket can allow it. Faults: bucket.NoSuchBucket,
// iam.AccessDenied.
func (a *Authorizer) Admit(ctx context.Context, by iam.Caller, bucketName string) error {
	if !by.IsAnonymous() {
		return nil
	}
	if bucketName == "" {
		return fault.New(iam.AccessDenied, "")
	}
	b, err := a.buckets.Access(ctx, bucketName)
	if err == nil && b.Policy == nil && !b.HasACLs() {
		err = fault.New(iam.AccessDenied, "")
	}
	return err
}

// Missing returns the error of a request about an object that is not there: the one
// given for who may list the bucket; for others it is denied, as if it were there.
func (a *Authorizer) Missing(ctx context.Context, r Request, bucketARN string, missing error) error {
	need := policy.Need{Action: "s3:ListBucket", Resource: bucketARN}
	r.In = nil // what the request says of its object says nothing of a listing
	if err := a.one(ctx, &r, &need); err != nil {
		return err
	}
	return missing
}

// one decides about one need.
func (a *Authorizer) one(ctx context.Context, r *Request, n *policy.Need) error {
	q := take()
	defer q.release()
	q.ctx, q.a, q.r, q.need = ctx, a, *r, n
	q.Action, q.Resource = n.Action, n.Resource
	name, key := split(n.Resource)
	if _, creating := r.In.(bucket.Create); creating || name == "" {
		return q.decideAlone()
	}
	b, err := a.buckets.Access(ctx, name)
	if err != nil {
		return err
	}
	if b.RequesterPays() && !r.mayCharge(b.Bucket) {
		return fault.New(iam.AccessDenied, "")
	}
	q.bucket, q.key = b, key
	if ofPolicy(n.Action) {
		// The owner's root cannot be locked out of the policy, but for what binds its account.
		if r.By.Type == iam.Root && r.By.Account == b.Owner {
			q.Owner = b.Owner
			return q.decideAlone()
		}
		if err := q.decide(); err != nil {
			return err
		}
		if r.By.Account != b.Owner {
			return fault.New(NotOwner, "")
		}
		return nil
	}
	return q.decide()
}

// mayCharge reports whether a request may be answered on a bucket whose requesters pay: by
// its owner's account, by services, and for whoever agrees to pay and can be charged.
func (r *Request) mayCharge(b *bucket.Bucket) bool {
	switch {
	case r.By.IsAnonymous():
		return false
	case r.By.Account == b.Owner, r.By.Type == iam.AWSService:
		return true
	}
	p, ok := r.Keys.(interface{ Pays() bool })
	return ok && p.Pays()
}

const s3ARN = "arn:aws:s3:::"

// split returns the bucket and the key that an ARN names.
func split(arn string) (name, key string) {
	rest, ok := strings.CutPrefix(arn, s3ARN)
	if !ok {
		return "", ""
	}
	name, key, _ = strings.Cut(rest, "/")
	return name, key
}

func ofPolicy(action string) bool {
	return action == "s3:GetBucketPolicy" || action == "s3:PutBucketPolicy" || action == "s3:DeleteBucketPolicy"
}
