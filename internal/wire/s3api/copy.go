// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"encoding/xml"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

const copySourceHeader = "x-amz-copy-source"

func (a *API) copyOps() []pipeline.Op {
	whole, part := objectRoute("PUT"), objectRoute("PUT", "partNumber", "uploadId")
	whole.Header, part.Header = copySourceHeader, copySourceHeader
	return []pipeline.Op{
		streaming(pipeline.Define("CopyObject", pipeline.Data|pipeline.Grows, whole, decodeCopy, a.Objects.Copy, encodeCopy)),
		streaming(pipeline.Define("UploadPartCopy", pipeline.Data|pipeline.Grows, part, decodeCopyPart, a.Objects.CopyPart, encodeCopyPart)),
	}
}

func decodeCopy(c *pipeline.Call) (in object.Copy, err error) {
	in.Ref, in.Condition = objectRef(c), writeCondition(c)
	if in.Source, err = copySource(c); err != nil {
		return in, err
	}
	if in.ReplaceHeaders, err = directive(c, "x-amz-metadata-directive", "Unknown metadata directive."); err != nil {
		return in, err
	}
	if in.ReplaceTags, err = directive(c, "x-amz-tagging-directive", "Unknown tagging directive."); err != nil {
		return in, err
	}
	if in.ExcludeAnnotations, err = annotationDirective(c); err != nil {
		return in, err
	}
	if in.Attributes, err = attributes(c); err != nil {
		return in, err
	}
	if in.Source.Customer, err = customersKey(c, &ofSourceCustomer); err != nil {
		return in, err
	}
	in.Redirect = value(c, redirectHeader) != ""
	in.Algorithm, err = namedAlgorithm(c)
	return in, err
}

// directive reads a header that says COPY, which is the default, or REPLACE.
func directive(c *pipeline.Call, name, message string) (replace bool, err error) {
	switch v := value(c, name); v {
	case "", "COPY":
		return false, nil
	case "REPLACE":
		return true, nil
	default:
		return false, invalidArgument(name, v, message)
	}
}

// copySource reads the headers that say what is copied, but for its customer's key.
func copySource(c *pipeline.Call) (object.Source, error) {
	ref, err := parseCopySource(value(c, copySourceHeader))
	if err != nil {
		return object.Source{}, err
	}
	ref.ExpectedOwner = value(c, "x-amz-source-expected-bucket-owner")
	return object.Source{VersionRef: ref, Condition: copyCondition(c)}, nil
}

// parseCopySource reads BUCKET/KEY, percent-encoded, with or without a slash
// before it and ?versionId=ID behind. A plus is a space, as in a form: some clients
// write the one for the other, and S3 reads it so.
func parseCopySource(text string) (object.VersionRef, error) {
	invalid := func(message string) (object.VersionRef, error) {
		// S3 names the header twice, which is as well: the value may be a signed URL.
		return object.VersionRef{}, fault.New(InvalidArgument, "%s", message).
			With("ArgumentName", copySourceHeader).With("ArgumentValue", copySourceHeader)
	}
	path, query, asked := strings.Cut(text, "?") // before decoding: a key may have %3F
	path, err := url.QueryUnescape(path)
	if err != nil || !utf8.ValidString(path) {
		return invalid("Invalid copy source encoding.")
	}
	name, key, found := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch {
	case !found || key == "":
		return invalid("Invalid copy source object key")
	case !aws.ValidBucketName(name): // ARNs of access points, too
		return invalid("Invalid copy source bucket name")
	}
	ref := object.VersionRef{Ref: object.Ref{Ref: bucket.Ref{Bucket: name}, Key: key}}
	if !asked {
		return ref, nil
	}
	parameters, err := url.ParseQuery(query)
	if err != nil || len(parameters) != 1 || len(parameters["versionId"]) != 1 {
		return invalid("Unsupported copy source parameter.")
	}
	if ref.VersionID = parameters.Get("versionId"); ref.VersionID == "" {
		return invalid("Version id cannot be the empty string")
	}
	return ref, nil
}

type copyObjectResult struct {
	XMLName      xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CopyObjectResult"`
	LastModified string
	ETag         string
	ChecksumType string `xml:",omitempty"`
	checksumElements
}

func encodeCopy(c *pipeline.Call, out object.Copied) (*pipeline.Response, error) {
	r, err := encodeXML(http.StatusOK, copyObjectResult{
		LastModified: timestamp(out.Modified), ETag: quote(out.ETag),
		ChecksumType: string(out.Checksum.Type), checksumElements: elementsOf(out.Checksum, out.ETag),
	})
	if err != nil {
		return nil, err
	}
	setHeader(r.Header, "x-amz-copy-source-version-id", out.SourceVersionID)
	setCustomer(c, r.Header, out.SSE)
	setContext(c, r.Header, out.SSE)
	setWritten(c, r.Header, out.Stored)
	auditKey(c, ofSource, out.SourceSSE)
	auditApplied(c, out.SSE, out.FromDefault)
	return r, nil
}

func decodeCopyPart(c *pipeline.Call) (in object.CopyPart, err error) {
	if err := customerTransport(c); err != nil {
		return in, err
	}
	if in.Customer, err = encryptionFields(c).Use(true); err != nil {
		return in, err
	}
	if in.UploadRef, err = uploadRef(c); err != nil {
		return in, err
	}
	if in.Number, err = partNumber(c); err != nil {
		return in, err
	}
	in.Range = value(c, "x-amz-copy-source-range")
	if in.Source, err = copySource(c); err != nil {
		return in, err
	}
	in.Source.Customer, err = customersKey(c, &ofSourceCustomer)
	return in, err
}

type copyPartResult struct {
	XMLName      xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CopyPartResult"`
	LastModified string
	ETag         string
	checksumElements
}

func encodeCopyPart(c *pipeline.Call, out object.CopiedPart) (*pipeline.Response, error) {
	r, err := encodeXML(http.StatusOK, copyPartResult{
		LastModified: timestamp(out.Modified), ETag: quote(out.ETag), checksumElements: elementsOf(out.Checksum, ""),
	})
	if err != nil {
		return nil, err
	}
	setHeader(r.Header, "x-amz-copy-source-version-id", out.SourceVersionID)
	setPart(c, r.Header, out.StoredPart)
	auditKey(c, ofSource, out.SourceSSE)
	return r, nil
}
