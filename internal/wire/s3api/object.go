// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
	"github.com/cofferstore/coffer/internal/wire/sigv4"
)

func (a *API) objectOps() []pipeline.Op {
	return []pipeline.Op{
		streaming(pipeline.Define("PutObject", pipeline.Data|pipeline.Grows, objectRoute("PUT"), decodePut, a.Objects.Put, encodePut)),
		streaming(pipeline.Define("GetObject", pipeline.Read|pipeline.Data, objectRoute("GET"), decodeGet, a.Objects.Get, a.encodeGet)),
		pipeline.Define("HeadObject", pipeline.Read|pipeline.Data, objectRoute("HEAD"), decodeGet, a.Objects.Head, a.encodeHead),
	}
}

// streaming marks an operation in which a body moves: it may take as long as that
// does.
func streaming(op pipeline.Op) pipeline.Op {
	op.Streams = true
	return op
}

func decodePut(c *pipeline.Call) (object.Put, error) {
	// Half of an UploadPart must not become an object.
	if c.Query.Has("partNumber") {
		return object.Put{}, invalidArgument("partNumber", c.Query.Get("partNumber"), "This operation does not accept partNumber without uploadId")
	}
	attributes, err := attributes(c)
	if err != nil {
		return object.Put{}, err
	}
	body, err := payload(c)
	if err != nil {
		return object.Put{}, err
	}
	expect, err := expectation(c, body)
	return object.Put{
		Ref: objectRef(c), Attributes: attributes, Condition: writeCondition(c),
		Body: body, Size: body.DecodedLength(), Expect: expect,
	}, err
}

// payload returns the body of an upload, whose length must be known beforehand.
func payload(c *pipeline.Call) (*sigv4.Body, error) {
	missing := fault.New(MissingContentLength, "")
	// net/http makes an absent length 0 where there is no transfer coding.
	if c.Request.ContentLength <= 0 && !c.Has("Content-Length") && !c.Has("X-Amz-Decoded-Content-Length") {
		return nil, missing
	}
	body, err := c.Payload()
	if err != nil {
		return nil, err
	}
	if body.DecodedLength() < 0 {
		return nil, missing
	}
	return body, nil
}

func encodePut(c *pipeline.Call, out object.Stored) (*pipeline.Response, error) {
	h := make(http.Header)
	setHeader(h, "ETag", quote(out.ETag))
	setChecksum(h, out.Checksum, out.ETag)
	setCustomer(c, h, out.SSE)
	setContext(c, h, out.SSE)
	// A copy into a bucket whose versioning is suspended has the version id "null" in
	// its answer; a put has none.
	if out.VersionID == object.Null {
		out.VersionID = ""
	}
	setWritten(c, h, out)
	auditApplied(c, out.SSE, out.FromDefault)
	return &pipeline.Response{Status: http.StatusOK, Header: h}, nil
}

// setWritten sets what every answer about a new version has, and tells the audit
// record of it.
func setWritten(c *pipeline.Call, h http.Header, out object.Stored) {
	noteSize(c, out.Size)
	setEncryption(h, out.SSE)
	setHeader(h, "x-amz-version-id", out.VersionID)
	setExpiration(h, out.Expires)
	auditKey(c, ofObject, out.SSE)
	auditAnswer(c, h)
}

func decodeGet(c *pipeline.Call) (object.Get, error) {
	ref, err := versionRef(c)
	if err != nil {
		return object.Get{}, err
	}
	key, err := encryptionFields(c).Read()
	if err != nil {
		return object.Get{}, err
	}
	if _, err := overrides(c); err != nil {
		return object.Get{}, err
	}
	in := object.Get{
		VersionRef: ref, Condition: readCondition(c), Range: c.Header("Range"), Customer: key,
		Checksum: strings.EqualFold(value(c, "x-amz-checksum-mode"), "ENABLED"),
	}
	if c.Query.Has("partNumber") {
		in.Part, err = partNumber(c)
	}
	return in, err
}

// partNumber reads the query parameter of that name.
func partNumber(c *pipeline.Call) (int, error) {
	text := c.Query.Get("partNumber")
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > object.MaxParts {
		return 0, invalidPartNumber("partNumber", text)
	}
	return n, nil
}

func invalidPartNumber(name, text string) error {
	return invalidArgument(name, text, fmt.Sprintf("Part number must be an integer between 1 and %d, inclusive", object.MaxParts))
}

// overridable are the headers that the query parameters response-NAME replace.
var overridable = [...]string{"Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Type", "Expires"}

// overrides returns the headers that the client wants in the answer in place of
// the stored ones. Only a signed request may ask for that.
func overrides(c *pipeline.Call) (map[string]string, error) {
	if len(c.Query) == 0 {
		return nil, nil
	}
	var found map[string]string
	for _, name := range overridable {
		parameter := "response-" + strings.ToLower(name)
		if !c.Query.Has(parameter) {
			continue
		}
		text := c.Query.Get(parameter)
		if c.Auth == nil || c.Auth.Method == sigv4.None {
			return nil, fault.New(InvalidRequest, "Request specific response headers cannot be used for anonymous GET requests.")
		}
		latin, ok := latin1(text)
		if !ok || !representable(text) {
			return nil, invalidArgument(parameter, text, notRepresentable)
		}
		if found == nil {
			found = make(map[string]string)
		}
		found[name] = latin
	}
	return found, nil
}

// latin1 returns text in ISO-8859-1, as headers are sent, if it can be.
func latin1(text string) (out string, ok bool) {
	if !strings.ContainsFunc(text, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return text, true
	}
	b := make([]byte, 0, len(text))
	for _, r := range text {
		if r > 0xff {
			return "", false
		}
		b = append(b, byte(r))
	}
	return string(b), true
}

func (a *API) encodeGet(c *pipeline.Call, out *object.Object) (*pipeline.Response, error) {
	a.hideTags(c, out)
	a.hideLock(c, out)
	status, h := describe(c, out)
	return &pipeline.Response{Status: status, Header: h, Stream: out.Body, Length: out.Length}, nil
}

func (a *API) encodeHead(c *pipeline.Call, out *object.Object) (*pipeline.Response, error) {
	a.hideTags(c, out)
	a.hideLock(c, out)
	status, h := describe(c, out)
	setHeader(h, "Content-Length", strconv.FormatInt(out.Length, 10))
	return &pipeline.Response{Status: status, Header: h}, nil
}

// describe returns status and headers of an object as read.
func describe(c *pipeline.Call, out *object.Object) (status int, h http.Header) {
	noteSize(c, out.Size)
	status, h = http.StatusOK, make(http.Header, 12)
	setStored(h, out.Headers)
	replaced, _ := overrides(c) // decodeGet has seen to the error
	for name, v := range replaced {
		setHeader(h, name, v)
	}
	h["Accept-Ranges"] = bytesRanges
	setHeader(h, "Last-Modified", out.Modified.UTC().Format(http.TimeFormat))
	setHeader(h, "ETag", quote(out.ETag))
	setHeader(h, "x-amz-version-id", out.VersionID)
	setExpiration(h, out.Expires)
	setEncryption(h, out.SSE)
	setCustomer(c, h, out.SSE)
	if out.StorageClass != object.Standard {
		setHeader(h, "x-amz-storage-class", out.StorageClass)
	}
	setRestored(h, out.Restored)
	setHeader(h, "x-amz-replication-status", out.Replication)
	if out.TagCount > 0 {
		setHeader(h, "x-amz-tagging-count", strconv.Itoa(out.TagCount))
	}
	setLock(h, out.Lock)
	if out.PartsCount > 0 {
		setHeader(h, "x-amz-mp-parts-count", strconv.Itoa(out.PartsCount))
		setChecksum(h, out.Checksum, "") // of the part alone
	} else {
		setChecksum(h, out.Checksum, out.ETag)
	}
	if out.Partial && out.Length > 0 { // part 1 of an empty object has no range
		status = http.StatusPartialContent
		setHeader(h, "Content-Range", fmt.Sprintf("bytes %d-%d/%d", out.Start, out.Start+out.Length-1, out.Size))
	}
	auditApplied(c, out.SSE, false)
	auditKey(c, ofObject, out.SSE)
	return status, h
}
