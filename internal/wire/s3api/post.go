// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
	"github.com/cofferstore/coffer/internal/wire/sigv4"
)

func (a *API) postOps() []pipeline.Op {
	post := streaming(pipeline.Define("PostObject", pipeline.Data|pipeline.Grows, bucketRoute("POST"), decodePost, a.Objects.Put, encodePost))
	post.Form, post.EventName = readForm, "PutObject"
	return []pipeline.Op{post}
}

// decodePost reads an upload by a browser's form. From here on its fields stand for
// the headers of a PutObject.
func decodePost(c *pipeline.Call) (in object.Put, err error) {
	f := c.Form.(*postForm) // which readForm has made
	head := c.Request.Header
	c.Request, c.Key = f.asRequest(c.Request), f.value("key")
	auditRequest(c)
	if err := f.checkKey(); err != nil {
		return in, err
	}
	allowed := anySize()
	if c.Auth.Method == sigv4.Form {
		policy, err := parsePostPolicy(f.value("policy"))
		if err != nil {
			return in, err
		}
		if allowed, err = policy.check(f, c.Bucket); err != nil {
			return in, err
		}
	}
	if err := f.checkHeaders(head); err != nil {
		return in, err
	}
	if in.Attributes, err = attributes(c); err != nil {
		return in, err
	}
	if err := f.setTags(&in.Attributes); err != nil {
		return in, err
	}
	if in.Expect, err = sentExpectation(c); err != nil {
		return in, err
	}
	if in.Expect.Value == nil && value(c, "x-amz-checksum-algorithm") != "" {
		return in, fault.New(InvalidRequest, "x-amz-checksum-algorithm specified, but no corresponding x-amz-checksum-* field was found.")
	}
	in.Ref, in.Condition = objectRef(c), writeCondition(c)
	in.Body, in.Size, in.Form = &measured{src: f.file, allowed: allowed}, -1, true
	return in, nil
}

// checkKey refuses a form that does not say what its file is to be called.
func (f *postForm) checkKey() error {
	switch key, ok := f.lookup("key"); {
	case !ok:
		return invalidArgument("key", "", "Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields.")
	case key == "":
		return invalidArgument("key", "", "User key must have a length greater than 0.")
	}
	return nil
}

// fieldHeaders are the fields that stand for headers, beside those of x-amz-*.
var fieldHeaders = []string{
	"Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-MD5", "Content-Type", "Expires",
	"If-Match", "If-None-Match",
}

const amzPrefix = "x-amz-"

// header returns the header that a field stands for, "" for none.
func (f formField) header() string {
	switch {
	case strings.EqualFold(f.name, "acl"):
		return "X-Amz-Acl"
	case hasPrefixFold(f.name, amzPrefix),
		slices.ContainsFunc(fieldHeaders, func(h string) bool { return strings.EqualFold(f.name, h) }):
		return http.CanonicalHeaderKey(f.name)
	}
	return ""
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// protective are headers of the request itself that hold for a form, too, although
// no policy covers them: they can only make it fail.
var protective = map[string]bool{"If-Match": true, "If-None-Match": true, "X-Amz-Expected-Bucket-Owner": true}

// asRequest returns the request as it would be with the fields in its head. What
// the head itself says of an object is not the signer's word, and left out.
func (f *postForm) asRequest(r *http.Request) *http.Request {
	as := *r
	as.Header = make(http.Header, len(r.Header)+len(f.fields))
	for _, field := range f.fields {
		if name := field.header(); name != "" {
			as.Header[name] = append(as.Header[name], field.value)
		}
	}
	for name, values := range r.Header {
		_, replaced := as.Header[name]
		if !replaced && (protective[name] || formField{name: name}.header() == "") {
			as.Header[name] = values
		}
	}
	return &as
}

// checkHeaders refuses fields that cannot stand for headers, and a head of the
// request that asks for what the form does not: one of the two would not be obeyed.
func (f *postForm) checkHeaders(head http.Header) error {
	for _, field := range f.fields {
		if field.header() == "" {
			continue
		}
		if strings.ContainsFunc(field.name, notInToken) {
			return invalidArgument(field.name, field.value, "The name of a form field cannot be represented as that of a header.")
		}
		if strings.ContainsFunc(field.value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			return invalidArgument(field.name, field.value, "Header value cannot be represented using ISO-8859-1.")
		}
	}
	for name, values := range head {
		v, ok := f.lookup(name)
		counts := hasPrefixFold(name, sse.AlgorithmHeader) || ok && protective[name]
		if counts && (!ok || v != strings.Join(values, ",")) {
			return fault.New(InvalidRequest, "Conflicting values provided in HTTP headers and POST form fields.")
		}
	}
	return nil
}

// notInToken reports whether r cannot stand in the name of a header (RFC 9110,
// section 5.6.2).
func notInToken(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r)
}

// setTags takes the tags from the field that has them as a document.
func (f *postForm) setTags(a *object.Attributes) error {
	document, ok := f.lookup("tagging")
	if !ok {
		return nil
	}
	if _, both := f.lookup("x-amz-tagging"); both {
		return fault.New(InvalidRequest, "Specifying both the tagging and the x-amz-tagging field is not allowed")
	}
	tags, err := parseTags([]byte(document))
	a.Tags = tags
	return err
}

func encodePost(c *pipeline.Call, out object.Stored) (*pipeline.Response, error) {
	f := c.Form.(*postForm)
	// S3 escapes the key as one segment of the path, its slashes, too.
	key := strings.ReplaceAll(url.QueryEscape(c.Key), "+", "%20")
	at := origin(c) + strings.TrimSuffix(c.Request.URL.EscapedPath(), "/") + "/" + key
	resp := &pipeline.Response{Status: http.StatusNoContent, Header: make(http.Header)}
	redirect := f.redirect(c, out)
	switch status := f.value("success_action_status"); {
	case redirect != "":
		resp.Status, at = http.StatusSeeOther, redirect
	case status == "200":
		resp.Status = http.StatusOK
	case status == "201":
		resp = postResponse(c, out, at)
	}
	h := resp.Header
	setHeader(h, "Location", at)
	setHeader(h, "ETag", quote(out.ETag))
	setChecksum(h, out.Checksum, out.ETag)
	setCustomer(c, h, out.SSE)
	setWritten(c, h, out)
	auditApplied(c, out.SSE, out.FromDefault)
	return resp, nil
}

// redirect returns where the browser goes from here: a URL of the form's, with what
// was stored added to its query. It is "" if the form has none that can be used.
func (f *postForm) redirect(c *pipeline.Call, out object.Stored) string {
	for _, field := range [...]string{"success_action_redirect", "redirect"} {
		u, err := url.Parse(f.value(field))
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			continue
		}
		if u.RawQuery != "" {
			u.RawQuery += "&"
		}
		// The order is S3's, and not that of url.Values.
		u.RawQuery += "bucket=" + url.QueryEscape(c.Bucket) + "&key=" + url.QueryEscape(c.Key) + "&etag=" + url.QueryEscape(quote(out.ETag))
		return u.String()
	}
	return ""
}

// postResponse answers with a document. It has no namespace.
func postResponse(c *pipeline.Call, out object.Stored, at string) *pipeline.Response {
	var x markup
	x.declare()
	x.open("PostResponse")
	x.element("Location", at)
	x.element("Bucket", c.Bucket)
	x.key("Key", c.Key, "")
	x.etag(out.ETag)
	x.close("PostResponse")
	return xmlResponse(http.StatusCreated, x.buf)
}

// Kinds of fault of a form's file.
const (
	// FileTooLarge: the policy of the form allows less. Details MaxSizeAllowed and,
	// if it is known, ProposedSize.
	FileTooLarge fault.Kind = "s3api: file too large"
	// FileTooSmall: the policy of the form demands more. Details ProposedSize and
	// MinSizeAllowed.
	FileTooSmall fault.Kind = "s3api: file too small"
)

// measured reads a file of allowed size, and fails where it turns out to be
// another one. Faults: FileTooLarge, FileTooSmall.
type measured struct {
	src     io.Reader
	allowed sizes
	size    int64 // so far
}

func (m *measured) Read(p []byte) (int, error) {
	n, err := m.src.Read(p)
	m.size += int64(n)
	switch {
	case m.size > m.allowed.max:
		return 0, m.tooLarge()
	case err == io.EOF && m.size < m.allowed.min:
		return 0, fault.New(FileTooSmall, "").With("ProposedSize", strconv.FormatInt(m.size, 10)).
			With("MinSizeAllowed", strconv.FormatInt(m.allowed.min, 10))
	}
	return n, err
}

// discarded is how much more of a file that is too large is read: to tell its size,
// and because a browser that is still sending shows no answer.
const discarded = 1 << 20

func (m *measured) tooLarge() error {
	f := fault.New(FileTooLarge, "")
	if n, err := io.CopyN(io.Discard, m.src, discarded); err == io.EOF {
		f = f.With("ProposedSize", strconv.FormatInt(m.size+n, 10))
	}
	return f.With("MaxSizeAllowed", strconv.FormatInt(m.allowed.max, 10))
}
