// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"net/http"
	"strings"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// tagsPath has a resource's ARN behind it.
const (
	tagsPath         = controlPath + "tags/"
	tagsRoute        = tagsPath + "{resourceArn}"
	controlNamespace = "http://awss3control.amazonaws.com/doc/2018-08-20/"
)

// resourceTagOps are the operations of S3 Control on the tags of a bucket.
func (a *API) resourceTagOps() []pipeline.Op {
	route := func(method string) pipeline.Route {
		return pipeline.Route{Method: method, Path: tagsRoute, Header: strings.ToLower(accountIDHeader)}
	}
	return []pipeline.Op{
		pipeline.Define("TagResource", 0, route("POST"), decodeTagResource, a.Buckets.TagResource, noContent),
		pipeline.Define("UntagResource", 0, route("DELETE"), decodeUntagResource, a.Buckets.UntagResource, noContent),
		pipeline.Define("ListTagsForResource", pipeline.Read, route("GET"), decodeListTagsForResource, a.Buckets.ListTagsForResource, encodeResourceTags),
	}
}

// taggedBucket reads the bucket that the path names by its ARN. Fault: InvalidArgument.
func taggedBucket(c *pipeline.Call) (t bucket.Tagged, err error) {
	t.Account = c.Header(accountIDHeader)
	text := strings.TrimPrefix(c.Request.URL.Path, tagsPath)
	arn, ok := aws.ParseARN(text)
	if !ok || arn.Service != "s3" || arn.Account != "" || !aws.ValidBucketName(arn.Resource) {
		return t, invalidArgument("resourceArn", text, "The resource ARN is not that of a bucket.")
	}
	t.Bucket = arn.Resource
	return t, nil
}

func decodeTagResource(c *pipeline.Call) (in bucket.TagResource, err error) {
	if in.Tagged, err = taggedBucket(c); err != nil {
		return in, err
	}
	b, err := document(c)
	if err != nil {
		return in, err
	}
	n, err := parseTree(b, "TagResourceRequest")
	if err != nil {
		return in, err
	}
	var s schema
	s.only(n, "Tags")
	tags := s.one(n, "Tags")
	s.only(tags, "Tag")
	in.Tags = s.tags(tags)
	auditDocument(c, "TagResourceRequest", n.recorded())
	return in, s.err
}

func decodeUntagResource(c *pipeline.Call) (in bucket.UntagResource, err error) {
	if in.Tagged, err = taggedBucket(c); err != nil {
		return in, err
	}
	if in.Keys = c.Query["tagKeys"]; len(in.Keys) == 0 || len(in.Keys) > bucket.MaxTags {
		return in, invalidArgument("tagKeys", "", "Between 1 and 50 tag keys are needed.")
	}
	return in, nil
}

func decodeListTagsForResource(c *pipeline.Call) (in bucket.ListTagsForResource, err error) {
	in.Tagged, err = taggedBucket(c)
	return in, err
}

func encodeResourceTags(_ *pipeline.Call, tags []bucket.Tag) (*pipeline.Response, error) {
	var x markup
	x.declare()
	x.open(`ListTagsForResourceResult xmlns="` + controlNamespace + `"`)
	x.open("Tags")
	for _, t := range tags {
		x.open("Tag")
		x.element("Key", t.Key)
		x.element("Value", t.Value)
		x.close("Tag")
	}
	x.close("Tags")
	x.close("ListTagsForResourceResult")
	return xmlResponse(http.StatusOK, x.buf), nil
}
