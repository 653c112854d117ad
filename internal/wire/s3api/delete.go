// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"context"
	"encoding/xml"
	"errors"
	"net/http"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/access"
	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

func (a *API) deleteOps() []pipeline.Op {
	many := pipeline.Define("DeleteObjects", pipeline.Data, bucketRoute("POST", "delete"), a.decodeDeleteMany, a.deleteMany, encodeDeleteMany)
	many.MaxBody = maxLongDocument
	return []pipeline.Op{
		pipeline.Define("DeleteObject", pipeline.Data, objectRoute("DELETE"), a.decodeDelete, a.Objects.Delete, encodeDelete),
		many,
	}
}

// maxLongDocument bounds documents that list things: 1000 keys of 1024 bytes, each
// escaped, or 10000 parts with their checksums.
const maxLongDocument = 8 << 20

// maxDelete is how many keys one request may name.
const maxDelete = 1000

func (a *API) decodeDelete(c *pipeline.Call) (object.Delete, error) {
	for _, name := range []string{"x-amz-if-match-last-modified-time", "x-amz-if-match-size"} {
		if _, ok := field(c, name); ok {
			return object.Delete{}, notImplemented(name)
		}
	}
	ref, err := versionRef(c)
	return object.Delete{VersionRef: ref, IfMatch: value(c, "If-Match"), BypassRetention: a.bypass(c, object.Lock{})}, err
}

func encodeDelete(c *pipeline.Call, out object.Deleted) (*pipeline.Response, error) {
	h := make(http.Header)
	setHeader(h, "x-amz-version-id", out.VersionID)
	if out.Marker {
		setHeader(h, "x-amz-delete-marker", "true")
	}
	auditKey(c, ofObject, out.SSE)
	auditAnswer(c, h)
	return &pipeline.Response{Status: http.StatusNoContent, Header: h}, nil
}

// deleteMany is a DeleteObjects request; quiet leaves what went well out of the
// answer.
type deleteMany struct {
	object.DeleteMany
	quiet bool
	keys  policy.Context
}

// Needs is nothing: each item is decided about by itself.
func (deleteMany) Needs() []policy.Need { return nil }

type deletedMany struct {
	results []object.DeleteResult
	quiet   bool
}

func (a *API) deleteMany(ctx context.Context, by iam.Caller, in deleteMany) (deletedMany, error) {
	if a.Access == nil {
		results, err := a.Objects.DeleteMany(ctx, by, in.DeleteMany)
		return deletedMany{results, in.quiet}, err
	}
	refused := a.Access.Each(ctx, access.Request{By: by, In: in, Keys: in.keys}, in.ItemNeeds())
	allowed := in.DeleteMany
	allowed.Items = nil
	for i, item := range in.Items {
		switch err := refused[i]; {
		case err == nil:
			allowed.Items = append(allowed.Items, item)
		case !errors.Is(err, iam.AccessDenied): // no decision about the item
			return deletedMany{}, err
		}
	}
	done, err := a.Objects.DeleteMany(ctx, by, allowed)
	if err != nil {
		return deletedMany{}, err
	}
	out := deletedMany{make([]object.DeleteResult, len(in.Items)), in.quiet}
	for i, item := range in.Items {
		if refused[i] != nil {
			out.results[i] = object.DeleteResult{DeleteItem: item, Err: refused[i]}
			continue
		}
		out.results[i], done = done[0], done[1:]
	}
	return out, nil
}

func (a *API) decodeDeleteMany(c *pipeline.Call) (deleteMany, error) {
	if err := requireDigest(c); err != nil {
		return deleteMany{}, err
	}
	var doc struct {
		Quiet   bool
		Objects []struct {
			Key, ETag              string
			VersionID              string `xml:"VersionId"`
			LastModifiedTime, Size *string
		} `xml:"Object"`
	}
	if err := decodeXML(c, "Delete", &doc); err != nil {
		return deleteMany{}, err
	}
	if n := len(doc.Objects); n == 0 || n > maxDelete {
		return deleteMany{}, malformedXML(errors.New("no key, or no or too many objects"))
	}
	in := deleteMany{quiet: doc.Quiet, keys: (*conditionKeys)(c), DeleteMany: object.DeleteMany{Ref: bucketRef(c), BypassRetention: a.bypass(c, object.Lock{})}}
	for _, o := range doc.Objects {
		switch {
		case o.Key == "":
			return deleteMany{}, malformedXML(errors.New("no key, or no or too many objects"))
		case o.LastModifiedTime != nil:
			return deleteMany{}, notImplemented("LastModifiedTime")
		case o.Size != nil:
			return deleteMany{}, notImplemented("Size")
		}
		in.Items = append(in.Items, object.DeleteItem{Key: o.Key, VersionID: o.VersionID, IfMatch: o.ETag})
	}
	return in, nil
}

type deleteResult struct {
	XMLName xml.Name         `xml:"http://s3.amazonaws.com/doc/2006-03-01/ DeleteResult"`
	Deleted []deletedElement `xml:"Deleted"`
	Errors  []deleteError    `xml:"Error"`
}

type deletedElement struct {
	Key                   string
	VersionID             string `xml:"VersionId,omitempty"`
	DeleteMarker          bool   `xml:",omitempty"`
	DeleteMarkerVersionID string `xml:"DeleteMarkerVersionId,omitempty"`
}

type deleteError struct {
	Key           string
	VersionID     string `xml:"VersionId,omitempty"`
	Code, Message string
}

func encodeDeleteMany(c *pipeline.Call, out deletedMany) (*pipeline.Response, error) {
	var doc deleteResult
	n := notes(c)
	for _, r := range out.results {
		var code pipeline.Code
		if r.Err != nil {
			code = itemCode(c, r.Err)
		}
		auditDeleted(c, r, code)
		if n != nil {
			n.deleted = append(n.deleted, deletedItem{r.Key, r.DeleteItem.VersionID, code})
		}
		if r.Err != nil {
			doc.Errors = append(doc.Errors, deleteError{r.Key, r.DeleteItem.VersionID, code.Code, code.Message})
			continue
		}
		if out.quiet {
			continue
		}
		e := deletedElement{Key: r.Key, VersionID: r.DeleteItem.VersionID, DeleteMarker: r.Marker}
		if r.Marker {
			e.DeleteMarkerVersionID = r.Deleted.VersionID
		}
		doc.Deleted = append(doc.Deleted, e)
	}
	return encodeXML(http.StatusOK, doc)
}

// itemCode names the error of one item among others.
func itemCode(c *pipeline.Call, err error) pipeline.Code {
	if errors.Is(err, object.InvalidVersionID) {
		err = object.NoSuchVersion // S3 makes no difference here
	}
	return c.CodeOf(err)
}

// auditDeleted adds the event of one deleted object: the request's own event does
// not say which objects it was about.
func auditDeleted(c *pipeline.Call, r object.DeleteResult, code pipeline.Code) {
	p := map[string]any{"bucketName": c.Bucket, "key": r.Key, "Host": c.Host()}
	if r.DeleteItem.VersionID != "" {
		p["versionId"] = r.DeleteItem.VersionID
	}
	data := map[string]any{}
	ofObject.each(r.SSE, func(name, value string) { data[name] = value }, func(name string, value any) { data[name] = value })
	c.AuditItem("DeleteObject", p, data, code,
		audit.Resource{Type: "AWS::S3::Object", ARN: aws.ObjectARN(c.Bucket, r.Key)},
		audit.Resource{Type: "AWS::S3::Bucket", ARN: aws.BucketARN(c.Bucket)})
}
