// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"errors"
	"net/http"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

func (a *API) taggingOps() []pipeline.Op {
	return []pipeline.Op{
		pipeline.Define("PutBucketTagging", 0, bucketRoute("PUT", "tagging"), decodePutBucketTagging, a.Buckets.PutTagging, noContent),
		pipeline.Define("GetBucketTagging", pipeline.Read, bucketRoute("GET", "tagging"), decodeGetBucketTagging, a.Buckets.Tagging, encodeBucketTagging),
		pipeline.Define("DeleteBucketTagging", 0, bucketRoute("DELETE", "tagging"), decodeDeleteBucketTagging, a.Buckets.DeleteTagging, noContent),
		pipeline.Define("PutObjectTagging", pipeline.Data, objectRoute("PUT", "tagging"), decodePutObjectTagging, a.Objects.PutTagging, encodePutObjectTagging),
		pipeline.Define("GetObjectTagging", pipeline.Read|pipeline.Data, objectRoute("GET", "tagging"), decodeGetObjectTagging, a.Objects.Tagging, encodeObjectTagging),
		pipeline.Define("DeleteObjectTagging", pipeline.Data, objectRoute("DELETE", "tagging"), decodeDeleteObjectTagging, a.Objects.DeleteTagging, encodeDeleteObjectTagging),
	}
}

type taggingXML struct {
	TagSet *struct {
		Tag []tagXML
	}
}

type tagXML struct{ Key, Value *string }

// tagsOf returns the tags of a document. Each needs a key and a value, which may
// be empty but not absent.
func tagsOf(sent []tagXML) ([]bucket.Tag, error) {
	tags := make([]bucket.Tag, 0, len(sent))
	for _, t := range sent {
		if t.Key == nil || t.Value == nil {
			return nil, malformedXML(errors.New("a tag without key or value"))
		}
		tags = append(tags, bucket.Tag{Key: *t.Key, Value: *t.Value})
	}
	return tags, nil
}

func decodeTags(c *pipeline.Call, read func(*pipeline.Call) ([]byte, error)) ([]bucket.Tag, error) {
	b, err := read(c)
	if err != nil {
		return nil, err
	}
	tags, err := parseTags(b)
	if err == nil {
		auditTags(c, tags)
	}
	return tags, err
}

// auditTags notes the tags of a document in the audit record.
func auditTags(c *pipeline.Call, tags []bucket.Tag) {
	list := make([]any, len(tags))
	for i, t := range tags {
		list[i] = map[string]any{"Key": t.Key, "Value": t.Value}
	}
	auditDocument(c, "Tagging", map[string]any{"TagSet": map[string]any{"Tag": list}})
}

// parseTags reads a document of tags.
func parseTags(b []byte) ([]bucket.Tag, error) {
	var doc taggingXML
	if err := parseXML(b, "Tagging", &doc); err != nil {
		return nil, err
	}
	if doc.TagSet == nil {
		return nil, malformedXML(errors.New("no tag set"))
	}
	return tagsOf(doc.TagSet.Tag)
}

func writeTags(tags []bucket.Tag) []byte {
	x := markup{buf: make([]byte, 0, 256+64*len(tags))}
	x.root("Tagging")
	x.open("TagSet")
	for _, t := range tags {
		x.open("Tag")
		x.element("Key", t.Key)
		x.element("Value", t.Value)
		x.close("Tag")
	}
	x.close("TagSet")
	x.close("Tagging")
	return x.buf
}

func decodePutBucketTagging(c *pipeline.Call) (bucket.PutTagging, error) {
	tags, err := decodeTags(c, digested)
	return bucket.PutTagging{Ref: bucketRef(c), Tags: tags}, err
}

func decodeGetBucketTagging(c *pipeline.Call) (bucket.GetTagging, error) {
	return bucket.GetTagging{Ref: bucketRef(c)}, nil
}

func encodeBucketTagging(_ *pipeline.Call, tags []bucket.Tag) (*pipeline.Response, error) {
	return xmlResponse(http.StatusOK, writeTags(tags)), nil
}

func decodeDeleteBucketTagging(c *pipeline.Call) (bucket.DeleteTagging, error) {
	return bucket.DeleteTagging{Ref: bucketRef(c)}, nil
}

func decodePutObjectTagging(c *pipeline.Call) (in object.PutTagging, err error) {
	if in.VersionRef, err = versionRef(c); err != nil {
		return in, err
	}
	in.Tags, err = decodeTags(c, document)
	return in, err
}

func decodeGetObjectTagging(c *pipeline.Call) (object.GetTagging, error) {
	ref, err := versionRef(c)
	return object.GetTagging{VersionRef: ref}, err
}

func decodeDeleteObjectTagging(c *pipeline.Call) (object.DeleteTagging, error) {
	ref, err := versionRef(c)
	return object.DeleteTagging{VersionRef: ref}, err
}

// tagged answers an operation on the tags of a version.
func tagged(resp *pipeline.Response, version string) (*pipeline.Response, error) {
	if resp.Header == nil {
		resp.Header = http.Header{}
	}
	setHeader(resp.Header, "x-amz-version-id", version)
	return resp, nil
}

func encodePutObjectTagging(_ *pipeline.Call, out object.Tagging) (*pipeline.Response, error) {
	return tagged(&pipeline.Response{Status: http.StatusOK}, out.VersionID)
}

func encodeObjectTagging(_ *pipeline.Call, out object.Tagging) (*pipeline.Response, error) {
	return tagged(xmlResponse(http.StatusOK, writeTags(out.Tags)), out.VersionID)
}

func encodeDeleteObjectTagging(_ *pipeline.Call, out object.Tagging) (*pipeline.Response, error) {
	return tagged(&pipeline.Response{Status: http.StatusNoContent}, out.VersionID)
}
