// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"context"
	"crypto/tls"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/access"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
	"github.com/cofferstore/coffer/internal/wire/sigv4"
)

// authorize asks whether a call is allowed, or, before its document is read, whether
// anything may be.
func (a *API) authorize(ctx context.Context, c *pipeline.Call, in pipeline.Needer) error {
	c.FindOwner(ctx)
	a.noteSource(ctx, c, in)
	if in == nil {
		return a.Access.Admit(ctx, c.Caller, c.Bucket)
	}
	return a.Access.Authorize(ctx, access.Request{By: c.Caller, In: in, Keys: (*conditionKeys)(c)})
}

// owner returns the account that a call's bucket belongs to. Of a bucket that is made
// that is known only when it is: till then the name may be anybody's.
func (a *API) owner(ctx context.Context, c *pipeline.Call) string {
	if c.Bucket == "" {
		return ""
	}
	b, err := a.Buckets.Access(ctx, c.Bucket)
	if err != nil || c.Op.Name == "CreateBucket" && b.Owner != c.Caller.Account {
		return ""
	}
	return b.Owner
}

// noteSource lets the owner of what is copied know of it, whoever copies it to wherever.
func (a *API) noteSource(ctx context.Context, c *pipeline.Call, in pipeline.Needer) {
	var source string
	switch in := in.(type) {
	case object.Copy:
		source = in.Source.Bucket
	case object.CopyPart:
		source = in.Source.Bucket
	default:
		return
	}
	if b, err := a.Buckets.Access(ctx, source); err == nil {
		c.AuditFor(b.Owner)
	}
}

// ACLRequired notes that it was a list of grants that allowed the call.
func (k *conditionKeys) ACLRequired() {
	c := (*pipeline.Call)(k)
	c.AuditData("aclRequired", "Yes")
	if n := notes(c); n != nil {
		n.byList = true
	}
}

// failed answers for an object that is not there: who may not list the bucket does not
// learn it.
func (a *API) failed(ctx context.Context, c *pipeline.Call, in any, err error) error {
	if !errors.Is(err, object.NoSuchKey) {
		return err
	}
	name := c.Bucket
	switch in := in.(type) {
	case object.Get, getAttributes, object.GetTagging, object.GetACL, object.GetAnnotation, object.ListAnnotations, object.GetRetention, object.GetLegalHold:
	case object.Copy:
		name = in.Source.Bucket
	case object.CopyPart:
		name = in.Source.Bucket
	default:
		return err
	}
	return a.Access.Missing(ctx, access.Request{By: c.Caller, Keys: (*conditionKeys)(c)}, aws.BucketARN(name), err)
}

// hideTags takes the number of tags from what is told of an object, for those who may
// not read them (S3 API Reference, GetObject, x-amz-tagging-count).
func (a *API) hideTags(c *pipeline.Call, out *object.Object) {
	if out.TagCount == 0 || a.Access == nil {
		return
	}
	ref := object.VersionRef{Ref: objectRef(c), VersionID: c.Query.Get("versionId")}
	in := access.Request{By: c.Caller, In: object.GetTagging{VersionRef: ref}, Keys: (*conditionKeys)(c)}
	if a.Access.Authorize(c.Request.Context(), in) != nil {
		out.TagCount = 0
	}
}

// conditionKeys are the condition keys that are on the surface of a request. They are
// found when a policy asks for them.
type conditionKeys pipeline.Call

// headerKeys are the condition keys, behind "s3:", that are headers of the same name.
var headerKeys = map[string]bool{
	"x-amz-acl":                       true,
	"x-amz-grant-read":                true,
	"x-amz-grant-write":               true,
	"x-amz-grant-read-acp":            true,
	"x-amz-grant-write-acp":           true,
	"x-amz-grant-full-control":        true,
	"x-amz-metadata-directive":        true,
	"x-amz-server-side-encryption":    true,
	"x-amz-storage-class":             true,
	"x-amz-website-redirect-location": true,
	"x-amz-content-sha256":            true,
	"if-match":                        true,
	"if-none-match":                   true,

	"x-amz-server-side-encryption-customer-algorithm": true,
}

// Values is policy.Context's.
func (k *conditionKeys) Values(key string) ([]string, bool) {
	c := (*pipeline.Call)(k)
	if key == "aws:referer" {
		return single(c.Header("Referer"), c.Has("Referer"))
	}
	name, ok := strings.CutPrefix(key, "s3:")
	if !ok {
		return nil, false
	}
	if headerKeys[name] {
		return single(field(c, name))
	}
	switch name {
	case "prefix", "delimiter", "max-keys":
		if c.Key != "" { // whether it may be told that an object is missing, is not for its request to say
			return nil, false
		}
	}
	switch name {
	case "prefix", "delimiter":
		return single(c.Query.Get(name), c.Query.Has(name))
	case "max-keys":
		text := c.Query.Get(name)
		if text == "" {
			return single("1000", c.Key == "" && c.Request.Method == "GET") // S3's default counts as sent
		}
		if n, err := strconv.ParseInt(text, 10, 32); err == nil { // as pageSize reads it
			text = strconv.FormatInt(n, 10)
		}
		return single(text, true)
	case "x-amz-copy-source":
		text, ok := field(c, copySourceHeader)
		if !ok {
			return nil, false
		}
		ref, err := parseCopySource(text)
		return single("/"+ref.Bucket+"/"+ref.Key, err == nil)
	}
	return k.signature(name)
}

// signature gives the keys of how a request is signed and sent.
func (k *conditionKeys) signature(name string) ([]string, bool) {
	signed := k.Auth != nil && k.Auth.Method != sigv4.None
	switch {
	case name == "tlsversion":
		if k.Request.TLS == nil {
			return nil, false
		}
		return single(tlsVersion(k.Request.TLS.Version), true)
	case !signed:
		return nil, false
	}
	switch name {
	case "authtype":
		return single(authTypes[k.Auth.Method], true)
	case "signatureversion":
		return single("AWS4-HMAC-SHA256", true)
	case "signatureage":
		return single(age(k.Auth.SignedAt), true)
	}
	return nil, false
}

func single(v string, ok bool) ([]string, bool) {
	if !ok {
		return nil, false
	}
	return []string{v}, true
}

var authTypes = map[sigv4.Method]string{
	sigv4.Header: "REST-HEADER", sigv4.Query: "REST-QUERY-STRING", sigv4.Form: "POST",
}

// tlsVersion writes a version as the key has it: "1.2".
func tlsVersion(v uint16) string { return strings.TrimPrefix(tls.VersionName(v), "TLS ") }

// age is how long ago a request was signed, in milliseconds.
func age(at time.Time) string { return strconv.FormatInt(max(time.Since(at).Milliseconds(), 0), 10) }
