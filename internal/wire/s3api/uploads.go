// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"context"
	"encoding/xml"
	"net/http"
	"strconv"
	"strings"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

func (a *API) uploadsOps() []pipeline.Op {
	return []pipeline.Op{
		pipeline.Define("ListParts", pipeline.Read|pipeline.Data, objectRoute("GET", "uploadId"), decodeListParts, a.listParts, encodeListParts),
		pipeline.Define("ListMultipartUploads", pipeline.Read|pipeline.Data, bucketRoute("GET", "uploads"), decodeListUploads, a.listUploads, encodeListUploads),
	}
}

func decodeListParts(c *pipeline.Call) (in object.ListParts, err error) {
	if in.UploadRef, err = uploadRef(c); err != nil {
		return in, err
	}
	if in.Customer, err = customersKey(c, &ofCustomer); err != nil {
		return in, err
	}
	if in.After, err = partMarker(c); err != nil {
		return in, err
	}
	in.Max, err = pageSize(c, "max-parts")
	return in, err
}

// partMarker reads the part number after which a listing goes on; 0 when absent.
func partMarker(c *pipeline.Call) (int, error) {
	const name = "part-number-marker"
	text := c.Query.Get(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	switch {
	case err != nil:
		return 0, invalidArgument(name, text, "Provided "+name+" not an integer or within integer range")
	case n < 0:
		return 0, invalidArgument(name, text, "Argument "+name+" must be an integer between 0 and 2147483647")
	}
	return int(n), nil
}

// partListing is a page of parts and what was asked for.
type partListing struct {
	object.PartListing
	asked object.ListParts
}

func (a *API) listParts(ctx context.Context, by iam.Caller, in object.ListParts) (partListing, error) {
	out, err := a.Objects.ListParts(ctx, by, in)
	return partListing{out, in}, err
}

type listPartsResult struct {
	XMLName              xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListPartsResult"`
	Bucket               string
	Key                  string
	UploadID             string `xml:"UploadId"`
	Initiator            initiator
	Owner                owner
	StorageClass         string
	PartNumberMarker     int
	NextPartNumberMarker int
	MaxParts             int
	IsTruncated          bool
	ChecksumAlgorithm    string        `xml:",omitempty"`
	ChecksumType         string        `xml:",omitempty"`
	Parts                []partElement `xml:"Part"`
}

type owner struct{ ID string }

type partElement struct {
	PartNumber   int
	LastModified string
	ETag         string
	Size         int64
	checksumElements
}

func encodeListParts(c *pipeline.Call, out partListing) (*pipeline.Response, error) {
	doc := listPartsResult{
		Bucket: c.Bucket, Key: c.Key, UploadID: out.asked.UploadID,
		Initiator: initiator{initiatorID(out.Initiator), initiatorName(out.Initiator)}, Owner: owner{canonicalID(out.Owner)},
		StorageClass: storageClass(out.StorageClass), PartNumberMarker: out.asked.After, NextPartNumberMarker: out.Next,
		MaxParts: out.asked.Max, IsTruncated: out.Truncated,
		ChecksumAlgorithm: string(out.Checksum.Algorithm), ChecksumType: string(out.Checksum.Type),
	}
	for _, p := range out.Parts {
		doc.Parts = append(doc.Parts, partElement{
			PartNumber: p.Number, LastModified: timestamp(p.Modified), ETag: quote(p.ETag), Size: p.Size,
			checksumElements: elementsOf(p.Checksum, ""),
		})
	}
	r, err := encodeXML(http.StatusOK, doc)
	if err == nil {
		setAbortion(r.Header, out.Aborted)
	}
	return r, err
}

type initiator struct{ ID, DisplayName string }

// initiatorID names who began an upload: an account by its canonical id, anybody
// else by their ARN.
func initiatorID(arn string) string {
	if arn == "" {
		return canonicalID("")
	}
	if a, ok := aws.ParseARN(arn); ok && a.Resource == "root" {
		return canonicalID(a.Account)
	}
	return arn
}

// initiatorName is the last part of the name of who began an upload: of a user the user's
// name. An account has none but its id.
func initiatorName(arn string) string {
	a, _ := aws.ParseARN(arn)
	if name := a.Resource[strings.LastIndexByte(a.Resource, '/')+1:]; name != "root" {
		return name
	}
	return a.Account
}

func storageClass(class string) string {
	if class == "" {
		return object.Standard
	}
	return class
}

func decodeListUploads(c *pipeline.Call) (in object.ListUploads, err error) {
	if _, err := encodingType(c); err != nil {
		return in, err
	}
	in = object.ListUploads{
		Ref: bucketRef(c), Prefix: c.Query.Get("prefix"), Delimiter: c.Query.Get("delimiter"),
		KeyMarker: c.Query.Get("key-marker"),
	}
	if in.KeyMarker != "" { // without one, S3 ignores the other
		in.UploadMarker = c.Query.Get("upload-id-marker")
	}
	in.Max, err = pageSize(c, "max-uploads")
	return in, err
}

// uploadListing is a page of uploads and what was asked for.
type uploadListing struct {
	object.UploadListing
	asked object.ListUploads
}

func (a *API) listUploads(ctx context.Context, by iam.Caller, in object.ListUploads) (uploadListing, error) {
	out, err := a.Objects.ListUploads(ctx, by, in)
	return uploadListing{out, in}, err
}

func encodeListUploads(c *pipeline.Call, out uploadListing) (*pipeline.Response, error) {
	const root = "ListMultipartUploadsResult"
	encoding, err := encodingType(c)
	if err != nil {
		return nil, err
	}
	var m markup
	m.root(root)
	m.element("Bucket", c.Bucket)
	m.key("KeyMarker", out.asked.KeyMarker, encoding)
	m.element("UploadIdMarker", out.asked.UploadMarker)
	if !out.Truncated && out.NextUpload == "" {
		out.NextKey = "" // S3 tells of the last upload also where nothing follows, of a group not
	}
	m.key("NextKeyMarker", out.NextKey, encoding)
	m.element("NextUploadIdMarker", out.NextUpload)
	if out.asked.Prefix != "" {
		m.key("Prefix", out.asked.Prefix, encoding)
	}
	if out.asked.Delimiter != "" {
		m.key("Delimiter", out.asked.Delimiter, encoding)
	}
	if encoding != "" {
		m.element("EncodingType", encoding)
	}
	m.number("MaxUploads", int64(out.asked.Max))
	m.flag("IsTruncated", out.Truncated)
	for _, u := range out.Uploads {
		writeUpload(&m, u, encoding)
	}
	for _, prefix := range out.Prefixes {
		m.open("CommonPrefixes")
		m.key("Prefix", prefix, encoding)
		m.close("CommonPrefixes")
	}
	m.close(root)
	return xmlResponse(http.StatusOK, m.buf), nil
}

func writeUpload(m *markup, u object.Upload, encoding string) {
	m.open("Upload")
	m.key("Key", u.Key, encoding)
	m.element("UploadId", u.UploadID)
	m.open("Initiator")
	m.element("ID", initiatorID(u.Initiator))
	m.element("DisplayName", initiatorName(u.Initiator))
	m.close("Initiator")
	m.open("Owner")
	m.element("ID", canonicalID(u.Owner))
	m.close("Owner")
	m.element("StorageClass", storageClass(u.StorageClass))
	m.time("Initiated", u.Created)
	if u.Checksum.Algorithm != "" {
		m.element("ChecksumAlgorithm", string(u.Checksum.Algorithm))
		m.element("ChecksumType", string(u.Checksum.Type))
	}
	m.close("Upload")
}
