// SPDX-License-Identifier: Apache-2.0

package access

import (
	"errors"
	"strings"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/core/sse"
)

// tagger is a request that brings tags.
type tagger interface{ RequestTags() []bucket.Tag }

// uploader is a request about an upload.
type uploader interface{ Upload() object.UploadRef }

// Prefixes of condition keys that have a name behind them, in lower case.
const (
	existingTag = "s3:existingobjecttag/"
	requestTag  = "s3:requestobjecttag/"
	bucketTag   = "s3:buckettag/"
	resourceTag = "aws:resourcetag/"
)

// Condition keys of how a write is encrypted: the method that it asks for, the KMS key
// that it uses, and the customer's algorithm.
const (
	method   = "s3:x-amz-server-side-encryption"
	keyID    = "s3:x-amz-server-side-encryption-aws-kms-key-id"
	customer = "s3:x-amz-server-side-encryption-customer-algorithm"
)

// Values is policy.Context's: condition keys of S3 (Service Authorization Reference,
// "Actions, resources, and condition keys for Amazon S3").
func (q *question) Values(key string) ([]string, bool) {
	if v, ok := q.need.Keys[key]; ok {
		return v, true
	}
	switch {
	case key == "s3:resourceaccount" || key == "aws:resourceaccount":
		if q.bucket == nil {
			return nil, false
		}
		return q.value(q.bucket.Owner)
	case key == "s3:versionid":
		return q.value(q.need.Version)
	case key == keyID:
		return q.value(q.keyARN())
	case (key == method || key == customer) && q.ofUpload():
		return q.value(q.askedOfUpload(key))
	case key == "s3:requestobjecttagkeys":
		return q.tagKeys()
	case strings.HasPrefix(key, existingTag):
		return q.existingTag(key[len(existingTag):])
	case strings.HasPrefix(key, resourceTag):
		return q.bucketTag(key[len(resourceTag):])
	case strings.HasPrefix(key, bucketTag):
		return q.bucketTag(key[len(bucketTag):])
	case strings.HasPrefix(key, requestTag):
		if t, ok := q.r.In.(tagger); ok {
			return q.tag(t.RequestTags(), key[len(requestTag):])
		}
		return nil, false
	}
	if c, ok := q.r.In.(policy.Context); ok {
		if v, ok := c.Values(key); ok {
			return v, true
		}
	}
	if q.r.Keys == nil {
		return nil, false
	}
	return q.r.Keys.Values(key)
}

// value returns a key's only value; "" is none.
func (q *question) value(v string) ([]string, bool) {
	if v == "" {
		return nil, false
	}
	return []string{v}, true
}

// tag returns the value of a tag. The name of a condition key is not case-sensitive, that
// of a tag is: the values are those of all the tags that may be meant.
func (q *question) tag(tags []bucket.Tag, name string) (values []string, ok bool) {
	for _, t := range tags {
		if len(t.Key) == len(name) && strings.EqualFold(t.Key, name) { // no letter that folds to ASCII
			values = append(values, t.Value)
		}
	}
	return values, values != nil
}

func (q *question) tagKeys() ([]string, bool) {
	t, ok := q.r.In.(tagger)
	if !ok {
		return nil, false
	}
	var keys []string
	for _, tag := range t.RequestTags() {
		keys = append(keys, tag.Key)
	}
	return keys, len(keys) > 0
}

// bucketTag returns the value of a tag of the bucket, if tags count there.
func (q *question) bucketTag(name string) ([]string, bool) {
	if q.bucket == nil || !q.bucket.ABAC {
		return nil, false
	}
	return q.tag(q.bucket.Tags, name)
}

// existingTag returns the value of a tag that the object has. Of one that is written
// anew there is none.
func (q *question) existingTag(name string) ([]string, bool) {
	if q.key == "" || q.creates() && ofNew(q.Action) || q.look() != nil {
		return nil, false
	}
	return q.tag(q.facts.Tags, name)
}

// keyARN returns the KMS key of a write: the one that the request names or the
// bucket's default, as its ARN. A name that does not resolve is returned as it is. "" is
// for what is not encrypted under KMS, and for requests that write nothing.
func (q *question) keyARN() string {
	if !q.resolved {
		q.keyName, q.resolved = q.resolve(), true
	}
	return q.keyName
}

func (q *question) resolve() string {
	if q.key == "" || q.bucket == nil || !ofNew(q.Action) && q.Action != "s3:UpdateObjectEncryption" {
		return ""
	}
	if e, ok := q.r.In.(encrypter); ok {
		c := sse.Effective(e.Encryption(), q.bucket.Default())
		if c.Algorithm != sse.KMS && c.Algorithm != sse.DSSE || q.a.cfg.NamedKeys && (c.FromDefault || c.KeyID == "") {
			return ""
		}
		arn, err := q.a.keys.Resolve(q.ctx, q.r.By, c.KeyID)
		switch {
		case err == nil:
			return arn
		case c.KeyID == "":
			return "alias/aws/s3"
		}
		return c.KeyID
	}
	if q.ofUpload() {
		applied, byDefault := q.upload()
		if byDefault && q.a.cfg.NamedKeys {
			return ""
		}
		return applied.KeyARN
	}
	return ""
}

// ofUpload reports whether the need is about writing a part of an upload, or the object
// that becomes of it.
func (q *question) ofUpload() bool {
	_, ok := q.r.In.(uploader)
	return ok && q.bucket != nil && ofNew(q.Action)
}

// askedOfUpload returns what the request that began an upload asked for: those that go
// on with it do not say it again.
func (q *question) askedOfUpload(key string) string {
	applied, byDefault := q.upload()
	switch {
	case byDefault:
		return ""
	case applied.Algorithm == sse.Customer:
		if key == customer {
			return sse.AES256
		}
		return ""
	case key == method:
		return applied.Algorithm
	}
	return ""
}

// upload tells how the object of the request's upload will be encrypted.
func (q *question) upload() (a sse.Applied, byDefault bool) {
	if !q.uploadAsked {
		q.uploadAsked = true
		var err error
		q.applied, q.byDefault, err = q.a.objects.UploadEncryption(q.ctx, q.bucket.Bucket, q.r.In.(uploader).Upload())
		if err != nil && !errors.Is(err, object.NoSuchUpload) {
			q.err = err
		}
	}
	return q.applied, q.byDefault
}
