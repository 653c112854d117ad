// SPDX-License-Identifier: Apache-2.0

package object

import (
	"context"
	"errors"

	"github.com/cofferstore/coffer/internal/core/acl"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/sse"
)

// Facts are what decisions about an object rest on.
type Facts struct {
	Found bool   // and no delete marker
	Owner string // account; "" is nobody's, put there without a signature
	ACL   acl.List
	Tags  []bucket.Tag
	// Annotated says that the version has annotations.
	Annotated bool
	// Changed tells one state of tags, list of grants and lock of a version that is replicated
	// from another.
	Changed Changed
}

// Facts tells of a version; "" is the current one. What is not there, or has no
// possible name, is not found, and no error.
func (o *Objects) Facts(ctx context.Context, b *bucket.Bucket, key, version string) (Facts, error) {
	v, err := o.find(ctx, b, key, version)
	switch {
	case errors.Is(err, NoSuchKey), errors.Is(err, NoSuchVersion), errors.Is(err, InvalidVersionID), errors.Is(err, KeyTooLong):
		return Facts{}, nil
	case err != nil:
		return Facts{}, err
	}
	return Facts{Found: !v.Marker, Owner: v.Owner, ACL: v.ACL, Tags: v.Tags, Annotated: len(v.Annotations) > 0, Changed: v.Replication.Changed}, nil
}

// UploadEncryption tells how the object of an upload will be encrypted, and whether
// the bucket's default chose it. Fault: NoSuchUpload.
func (o *Objects) UploadEncryption(ctx context.Context, b *bucket.Bucket, ref UploadRef) (a sse.Applied, byDefault bool, err error) {
	u, _, err := o.upload(ctx, b, ref)
	if err != nil {
		return a, false, err
	}
	a, err = o.keys.Applied(ctx, keyBucket(b), u.Key, u.Wrap)
	return a, u.Default, err
}

// Upload returns which upload a request is about.
func (r UploadRef) Upload() UploadRef { return r }

// Encryption returns how a request asks for its object to be encrypted.
func (a Attributes) Encryption() sse.Request { return a.SSE }

// Values is policy.Context's: condition keys of the lock that a request asks for.
func (a Attributes) Values(key string) ([]string, bool) { return a.Lock.Values(key) }

// RequestTags returns the tags that a request brings.
func (a Attributes) RequestTags() []bucket.Tag { return a.Tags }

// RequestTags returns the tags that a request brings.
func (in PutTagging) RequestTags() []bucket.Tag { return in.Tags }

// RequestTags returns the tags that a request brings: those of the source it does not.
func (in Copy) RequestTags() []bucket.Tag {
	if !in.ReplaceTags {
		return nil
	}
	return in.Tags
}
