// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"encoding/xml"
	"net/http"
	"strconv"
	"strings"

	"github.com/cofferstore/coffer/internal/checksum"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

func (a *API) multipartOps() []pipeline.Op {
	complete := streaming(pipeline.Define("CompleteMultipartUpload", pipeline.Data, objectRoute("POST", "uploadId"), decodeComplete, a.Objects.Complete, encodeComplete))
	complete.MaxBody = maxLongDocument
	return append([]pipeline.Op{
		pipeline.Define("CreateMultipartUpload", pipeline.Data|pipeline.Grows, objectRoute("POST", "uploads"), decodeCreate, a.Objects.CreateUpload, encodeCreate),
		streaming(pipeline.Define("UploadPart", pipeline.Data|pipeline.Grows, objectRoute("PUT", "partNumber", "uploadId"), decodePart, a.Objects.UploadPart, encodePart)),
		complete,
		pipeline.Define("AbortMultipartUpload", pipeline.Data, objectRoute("DELETE", "uploadId"), decodeAbort, a.Objects.Abort, noContent),
	}, a.uploadsOps()...)
}

func uploadRef(c *pipeline.Call) (object.UploadRef, error) {
	return object.UploadRef{Ref: objectRef(c), UploadID: c.Query.Get("uploadId")}, nil
}

func decodeCreate(c *pipeline.Call) (in object.CreateUpload, err error) {
	in.Ref = objectRef(c)
	if in.Attributes, err = attributes(c); err != nil {
		return in, err
	}
	name, kind := value(c, "x-amz-checksum-algorithm"), value(c, checksumTypeHeader)
	if name == "" && kind == "" {
		return in, nil
	}
	if in.Algorithm, err = namedAlgorithm(c); err != nil {
		return in, err
	}
	in.Algorithm, in.Type, err = checksum.ParseUpload(name, kind)
	return in, err
}

type initiateResult struct {
	XMLName  xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ InitiateMultipartUploadResult"`
	Bucket   string
	Key      string
	UploadID string `xml:"UploadId"`
}

func encodeCreate(c *pipeline.Call, out object.Created) (*pipeline.Response, error) {
	r, err := encodeXML(http.StatusOK, initiateResult{Bucket: c.Bucket, Key: c.Key, UploadID: out.UploadID})
	if err != nil {
		return nil, err
	}
	setEncryption(r.Header, out.SSE)
	setCustomer(c, r.Header, out.SSE)
	setContext(c, r.Header, out.SSE)
	setHeader(r.Header, "x-amz-checksum-algorithm", string(out.Checksum.Algorithm))
	setHeader(r.Header, checksumTypeHeader, string(out.Checksum.Type))
	setAbortion(r.Header, out.Aborted)
	auditApplied(c, out.SSE, out.FromDefault)
	auditKey(c, ofObject, out.SSE)
	auditAnswer(c, r.Header)
	return r, nil
}

func decodePart(c *pipeline.Call) (in object.UploadPart, err error) {
	if in.Customer, err = encryptionFields(c).Use(true); err != nil {
		return in, err
	}
	if in.UploadRef, err = uploadRef(c); err != nil {
		return in, err
	}
	if in.Number, err = partNumber(c); err != nil {
		return in, err
	}
	body, err := payload(c)
	if err != nil {
		return in, err
	}
	in.Body, in.Size = body, body.DecodedLength()
	in.Expect, err = expectation(c, body)
	return in, err
}

func encodePart(c *pipeline.Call, out object.StoredPart) (*pipeline.Response, error) {
	h := make(http.Header)
	setHeader(h, "ETag", quote(out.ETag))
	setChecksum(h, out.Checksum, "")
	setPart(c, h, out)
	return &pipeline.Response{Status: http.StatusOK, Header: h}, nil
}

// setPart sets what every answer about a new part has, and tells the audit record
// of it.
func setPart(c *pipeline.Call, h http.Header, out object.StoredPart) {
	noteSize(c, out.Size)
	setEncryption(h, out.SSE)
	setCustomer(c, h, out.SSE)
	auditKey(c, ofObject, out.SSE)
	auditAnswer(c, h)
}

func decodeComplete(c *pipeline.Call) (in object.Complete, err error) {
	in.Condition = writeCondition(c)
	if in.UploadRef, err = uploadRef(c); err != nil {
		return in, err
	}
	if in.Size, err = announcedSize(c); err != nil {
		return in, err
	}
	in.Type = checksum.Type(strings.ToUpper(value(c, checksumTypeHeader)))
	if in.Type != "" && in.Type != checksum.Composite && in.Type != checksum.FullObject {
		return in, checksum.InvalidKind()
	}
	if in.Algorithm, in.Checksum, err = sentChecksum(c); err != nil {
		return in, err
	}
	if in.Customer, err = customersKey(c, &ofCustomer); err != nil {
		return in, err
	}
	in.Parts, err = completeParts(c)
	return in, err
}

// announcedSize reads x-amz-mp-object-size; -1 when it is absent.
func announcedSize(c *pipeline.Call) (int64, error) {
	text, ok := field(c, "x-amz-mp-object-size")
	if !ok {
		return -1, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err == nil && n < 0 {
		return 0, fault.New(InvalidRequest, "Value for x-amz-mp-object-size header is less than zero: '%d'", n)
	}
	if err != nil {
		return 0, fault.New(InvalidRequest, "Value for x-amz-mp-object-size header is invalid.")
	}
	return n, nil
}

// completeDocument lists the parts of an upload that is to be completed.
type completeDocument struct {
	Parts []struct {
		PartNumber *int
		ETag       *string
		checksumElements
	} `xml:"Part"`
}

// completeParts reads the document of a completion. Checksum headers of the
// request are about the object, not about this document.
func completeParts(c *pipeline.Call) ([]object.CompletePart, error) {
	body, err := c.Document()
	if err != nil {
		return nil, err
	}
	if len(body) == 0 {
		return nil, nil // which is refused once the upload is known to exist
	}
	var doc completeDocument
	if err := parseXML(body, "CompleteMultipartUpload", &doc); err != nil {
		return nil, err
	}
	if len(doc.Parts) == 0 || len(doc.Parts) > object.MaxParts {
		return nil, fault.New(MalformedXML, "")
	}
	parts := make([]object.CompletePart, len(doc.Parts))
	for i, p := range doc.Parts {
		if p.PartNumber == nil || p.ETag == nil {
			return nil, fault.New(MalformedXML, "")
		}
		if n := *p.PartNumber; n < 1 || n > object.MaxParts {
			return nil, invalidPartNumber("PartNumber", strconv.Itoa(n))
		}
		parts[i] = object.CompletePart{Number: *p.PartNumber, ETag: *p.ETag}
		if parts[i].Algorithm, parts[i].Checksum, err = p.sent(); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

// sent returns the one checksum among the elements; no algorithm when there is
// none. Fault: InvalidArgument.
func (e *checksumElements) sent() (algorithm checksum.Algorithm, sum []byte, err error) {
	for _, a := range checksum.Algorithms() {
		text := *e.of(a)
		if text == "" {
			continue
		}
		if algorithm != "" {
			return "", nil, e.invalid()
		}
		algorithm = a
		if sum, err = a.Decode(text); err != nil {
			return "", nil, e.invalid()
		}
	}
	return algorithm, sum, nil
}

// invalid faults elements that are not one checksum.
func (e *checksumElements) invalid() error {
	var given []string
	for _, a := range checksum.Algorithms() {
		if text := *e.of(a); text != "" {
			given = append(given, string(a)+":"+text+";")
		}
	}
	value := strings.Join(given, "")
	if len(given) == 1 {
		value = strings.TrimSuffix(value[strings.Index(value, ":")+1:], ";")
	}
	return invalidArgument("Checksum", value[:min(len(value), 256)], "Invalid Base64 or multiple checksums present in request")
}

type completeResult struct {
	XMLName      xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CompleteMultipartUploadResult"`
	Location     string
	Bucket       string
	Key          string
	ETag         string
	ChecksumType string `xml:",omitempty"`
	checksumElements
}

func encodeComplete(c *pipeline.Call, out object.Stored) (*pipeline.Response, error) {
	r, err := encodeXML(http.StatusOK, completeResult{
		Location: location(c), Bucket: c.Bucket, Key: c.Key, ETag: quote(out.ETag),
		ChecksumType: string(out.Checksum.Type), checksumElements: elementsOf(out.Checksum, out.ETag),
	})
	if err != nil {
		return nil, err
	}
	setWritten(c, r.Header, out)
	return r, nil
}

// location returns the URL of the object that the request names: its own, without
// the parameters.
func location(c *pipeline.Call) string { return origin(c) + c.Request.URL.EscapedPath() }

// origin returns the part of the request's URL before its path.
func origin(c *pipeline.Call) string {
	scheme := "http"
	if c.Request.TLS != nil || c.Caller.Secure && strings.EqualFold(c.Header("X-Forwarded-Proto"), "https") {
		scheme = "https"
	}
	return scheme + "://" + c.Request.Host
}

func decodeAbort(c *pipeline.Call) (object.Abort, error) {
	if _, ok := field(c, "x-amz-if-match-initiated-time"); ok {
		return object.Abort{}, notImplemented("x-amz-if-match-initiated-time")
	}
	return object.Abort{UploadRef: object.UploadRef{Ref: objectRef(c), UploadID: c.Query.Get("uploadId")}}, nil
}
