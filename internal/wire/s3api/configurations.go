// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"net/http"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

func (a *API) configurationsOps() []pipeline.Op {
	var ops []pipeline.Op
	ops = append(ops, configurationOps(a.Buckets, analyticsForm)...)
	ops = append(ops, configurationOps(a.Buckets, tieringForm)...)
	ops = append(ops, configurationOps(a.Buckets, metricsForm)...)
	return append(ops, configurationOps(a.Buckets, inventoryForm)...)
}

// maxConfiguration bounds a document: a page of a listing has a hundred of them.
const maxConfiguration = 64 << 10

// configurationForm is how configurations of one type look on the wire.
type configurationForm[C bucket.Configuration] struct {
	noun        string // in names of operations
	subresource string
	root        string // of a document
	listing     string // root of a page
	parse       func(*schema, *node) C
	write       func(*markup, *C) // what is in the root
}

// configurationOps returns the four operations on configurations of one type.
func configurationOps[C bucket.Configuration](buckets *bucket.Buckets, f configurationForm[C]) []pipeline.Op {
	of := bucket.ConfigurationsOf[C](buckets)
	put := pipeline.Define("PutBucket"+f.noun+"Configuration", 0, bucketRoute("PUT", f.subresource), f.decodePut, of.Put, noContent)
	put.MaxBody = maxConfiguration
	return []pipeline.Op{
		put,
		pipeline.Define("GetBucket"+f.noun+"Configuration", pipeline.Read, bucketRoute("GET", f.subresource, "id"), f.decodeGet, of.Get, f.encode),
		pipeline.Define("ListBucket"+f.noun+"Configurations", pipeline.Read, bucketRoute("GET", f.subresource), f.decodeList, of.List, f.encodeList),
		pipeline.Define("DeleteBucket"+f.noun+"Configuration", 0, bucketRoute("DELETE", f.subresource), f.decodeDelete, of.Delete, noContent),
	}
}

// configurationID reads the id parameter.
func configurationID(c *pipeline.Call) (string, error) {
	if id := c.Query.Get("id"); id != "" {
		return id, nil
	}
	return "", fault.New(InvalidRequest, "Missing required parameter: id")
}

// read reads a document. Fault: MalformedXML.
func (f configurationForm[C]) read(b []byte) (C, *node, error) {
	var s schema
	n, err := parseTree(b, f.root)
	if err != nil {
		var none C
		return none, nil, err
	}
	c := f.parse(&s, n)
	return c, n, s.err
}

func (f configurationForm[C]) decodePut(c *pipeline.Call) (in bucket.PutConfiguration[C], err error) {
	in.Ref = bucketRef(c)
	if in.ID, err = configurationID(c); err != nil {
		return in, err
	}
	b, err := document(c)
	if err != nil {
		return in, err
	}
	var n *node
	if in.Configuration, n, err = f.read(b); err != nil {
		return in, err
	}
	auditDocument(c, f.root, n.recorded())
	return in, nil
}

func (f configurationForm[C]) decodeGet(c *pipeline.Call) (in bucket.GetConfiguration[C], err error) {
	in.Ref = bucketRef(c)
	in.ID, err = configurationID(c)
	return in, err
}

func (f configurationForm[C]) decodeDelete(c *pipeline.Call) (in bucket.DeleteConfiguration[C], err error) {
	in.Ref = bucketRef(c)
	in.ID, err = configurationID(c)
	return in, err
}

func (f configurationForm[C]) decodeList(c *pipeline.Call) (in bucket.ListConfigurations[C], err error) {
	in.Ref = bucketRef(c)
	in.After, err = continuation(c)
	return in, err
}

func (f configurationForm[C]) encode(_ *pipeline.Call, c *C) (*pipeline.Response, error) {
	return xmlResponse(http.StatusOK, f.document(c)), nil
}

func (f configurationForm[C]) document(c *C) []byte {
	var x markup
	x.root(f.root)
	f.write(&x, c)
	x.close(f.root)
	return x.buf
}

func (f configurationForm[C]) encodeList(c *pipeline.Call, out bucket.ConfigurationListing[C]) (*pipeline.Response, error) {
	var x markup
	x.root(f.listing)
	if c.Query.Has("continuation-token") {
		x.element("ContinuationToken", c.Query.Get("continuation-token"))
	}
	for _, one := range out.Configurations {
		x.open(f.root)
		f.write(&x, one)
		x.close(f.root)
	}
	x.flag("IsTruncated", out.Next != "")
	if out.Next != "" {
		x.raw("NextContinuationToken", continuationToken(out.Next))
	}
	x.close(f.listing)
	return xmlResponse(http.StatusOK, x.buf), nil
}

// filter reads the Filter of a configuration, nil for none.
func (s *schema) filter(n *node, accessPoints bool) *bucket.Filter {
	e := s.maybe(n, "Filter")
	if e == nil {
		return nil
	}
	f := new(bucket.Filter)
	predicates, more := []string{"Prefix", "Tag"}, "And"
	if accessPoints {
		predicates = append(predicates, "AccessPointArn")
	}
	s.only(e, append(predicates, more)...)
	if and := s.maybe(e, more); and != nil {
		if len(e.Children) > 1 {
			s.fail("a predicate beside And")
		}
		s.only(and, predicates...)
		f.And, e = true, and
	}
	f.Prefix = s.optional(e, "Prefix")
	f.AccessPoint = s.optional(e, "AccessPointArn")
	f.Tags = s.tags(e)
	return f
}

// tags reads the tags of a filter.
func (s *schema) tags(n *node) (tags []bucket.Tag) {
	for _, t := range s.all(n, "Tag") {
		s.only(t, "Key", "Value")
		tags = append(tags, bucket.Tag{Key: s.text(t, "Key"), Value: s.text(t, "Value")})
	}
	return tags
}

func (m *markup) filter(f *bucket.Filter) {
	if f == nil {
		return
	}
	m.open("Filter")
	if f.And {
		m.open("And")
	}
	m.optional("Prefix", f.Prefix)
	for _, t := range f.Tags {
		m.open("Tag")
		m.element("Key", t.Key)
		m.element("Value", t.Value)
		m.close("Tag")
	}
	if f.And {
		m.close("And")
	}
	m.close("Filter")
}

// optional writes an element that there may be.
func (m *markup) optional(name string, text *string) {
	if text != nil {
		m.element(name, *text)
	}
}
