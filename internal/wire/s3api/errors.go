// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"net/http"
	"strings"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// Kinds of fault of the protocol itself: what a request says cannot be read, or is
// not for this server. What is read and refused is a fault of core.
const (
	// InvalidArgument: a header or parameter has no possible value. Details
	// ArgumentName and ArgumentValue. See [invalidArgument].
	InvalidArgument fault.Kind = "s3api: invalid argument"
	// InvalidRequest: parts of the request do not go together, or one is missing.
	InvalidRequest fault.Kind = "s3api: invalid request"
	// MalformedXML: a document is none, or not the one asked for.
	MalformedXML fault.Kind = "s3api: malformed document"
	// NotImplemented: a part of S3 that Coffer does not have.
	NotImplemented fault.Kind = "s3api: not implemented"
	// MethodNotAllowed: the resource has no such method. Details ResourceType and
	// allow.
	MethodNotAllowed fault.Kind = "s3api: method not allowed"
	// MissingContentLength: the length of the body must be known.
	MissingContentLength fault.Kind = "s3api: missing content length"
	// InvalidDigest: Content-MD5 is no MD5. Detail Content-MD5.
	InvalidDigest fault.Kind = "s3api: invalid digest"
	// BadDigest: a document is not the one whose digest was sent.
	BadDigest fault.Kind = "s3api: digest does not match"
	// UnexpectedContent: a body where the headers say all.
	UnexpectedContent fault.Kind = "s3api: unexpected content"
	// InvalidRedirect: x-amz-website-redirect-location is no place to go to.
	InvalidRedirect fault.Kind = "s3api: invalid website redirect location"
	// MissingSecurityHeader: nothing says what is to be granted. Detail
	// MissingHeaderName.
	MissingSecurityHeader fault.Kind = "s3api: missing security header"
)

// invalidArgument faults a header or parameter by its name.
func invalidArgument(name, value, message string) error {
	return fault.New(InvalidArgument, "%s", message).With("ArgumentName", name).With("ArgumentValue", value)
}

// malformedXML faults a document; cause is for the log.
func malformedXML(cause error) error { return fault.New(MalformedXML, "").Because(cause) }

// notImplemented faults a header that asks for a part of S3 that Coffer does not
// have.
func notImplemented(header string) error {
	return fault.New(NotImplemented, "").With("Header", header)
}

// renderFault writes an error as S3 does. Some details are response headers, not
// elements of the body.
func renderFault(c *pipeline.Call, code pipeline.Code, details []fault.Detail) *pipeline.Response {
	h := http.Header{}
	resp := &pipeline.Response{Status: code.Status, Header: h}
	var x markup
	x.declare()
	x.open("Error")
	x.element("Code", code.Code)
	x.element("Message", code.Message)
	if code.Status == http.StatusMethodNotAllowed {
		x.element("Method", c.Request.Method)
	}
	for _, d := range details {
		if inHeader(d.Name) {
			h[d.Name] = []string{d.Value}
		} else {
			x.element(d.Name, d.Value)
		}
		if code.Status == http.StatusNotModified && d.Name == "ETag" {
			h.Set("ETag", `"`+d.Value+`"`)
		}
	}
	if code.Status == http.StatusNotModified {
		return resp
	}
	h.Set("Content-Type", "application/xml")
	if c.Request.Method == http.MethodHead {
		return resp
	}
	x.element("RequestId", c.ID)
	x.element("HostId", c.HostID)
	x.close("Error")
	resp.Body = x.buf
	return resp
}

// inHeader reports whether a detail goes into a response header of its name.
func inHeader(name string) bool {
	return name == "allow" || name == "last-modified" || strings.HasPrefix(name, "x-amz-")
}

// Name is how S3 names an error, for services that write into buckets without a request.
func Name(err error) (code, message string) {
	c := codes.Of(err)
	return c.Code, c.Message
}
