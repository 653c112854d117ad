// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"context"
	"encoding/xml"
	"net/http"
	"strconv"
	"strings"

	"github.com/cofferstore/coffer/internal/checksum"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

func (a *API) attributesOps() []pipeline.Op {
	return []pipeline.Op{
		pipeline.Define("GetObjectAttributes", pipeline.Read|pipeline.Data, objectRoute("GET", "attributes"), decodeAttributes, a.attributes, encodeAttributes),
	}
}

const attributesHeader = "x-amz-object-attributes"

// attributeNames are what can be asked for.
var attributeNames = map[string]bool{"ETag": true, "Checksum": true, "ObjectParts": true, "StorageClass": true, "ObjectSize": true}

// getAttributes is the request and which attributes it names.
type getAttributes struct {
	object.GetAttributes
	names map[string]bool
}

type gotAttributes struct {
	object.ObjectAttributes
	names map[string]bool
}

func (a *API) attributes(ctx context.Context, by iam.Caller, in getAttributes) (gotAttributes, error) {
	out, err := a.Objects.Attributes(ctx, by, in.GetAttributes)
	return gotAttributes{out, in.names}, err
}

func decodeAttributes(c *pipeline.Call) (in getAttributes, err error) {
	if in.VersionRef, err = versionRef(c); err != nil {
		return in, err
	}
	if in.Customer, err = encryptionFields(c).Read(); err != nil {
		return in, err
	}
	asked := value(c, attributesHeader)
	if strings.TrimSpace(asked) == "" {
		return in, fault.New(InvalidRequest, "The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty")
	}
	in.names = make(map[string]bool)
	for name := range strings.SplitSeq(asked, ",") {
		if name = strings.TrimSpace(name); !attributeNames[name] {
			return in, invalidArgument(attributesHeader, asked, "Invalid attribute name specified.")
		}
		in.names[name] = true
	}
	if in.AfterPart, err = countHeader(c, "x-amz-part-number-marker", 0); err != nil {
		return in, err
	}
	in.MaxParts, err = countHeader(c, "x-amz-max-parts", 1000)
	in.MaxParts = min(in.MaxParts, 1000)
	return in, err
}

// countHeader reads a header with a number of at least 0.
func countHeader(c *pipeline.Call, name string, absent int) (int, error) {
	text := value(c, name)
	if text == "" {
		return absent, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		return 0, invalidArgument(name, text, "Argument "+name+" must be an integer between 0 and 2147483647")
	}
	return int(n), nil
}

type attributesResult struct {
	XMLName      xml.Name         `xml:"http://s3.amazonaws.com/doc/2006-03-01/ GetObjectAttributesResponse"`
	ETag         string           `xml:",omitempty"`
	Checksum     *checksumElement `xml:",omitempty"`
	ObjectParts  *objectParts     `xml:",omitempty"`
	StorageClass string           `xml:",omitempty"`
	ObjectSize   *int64           `xml:",omitempty"`
}

type checksumElement struct {
	checksumElements
	ChecksumType string `xml:",omitempty"`
}

type objectParts struct {
	PartsCount           int
	PartNumberMarker     *int             `xml:",omitempty"`
	NextPartNumberMarker *int             `xml:",omitempty"`
	MaxParts             *int             `xml:",omitempty"`
	IsTruncated          *bool            `xml:",omitempty"`
	Parts                []attributesPart `xml:"Part"`
}

type attributesPart struct {
	checksumElements
	PartNumber int
	Size       int64
}

func encodeAttributes(c *pipeline.Call, out gotAttributes) (*pipeline.Response, error) {
	doc := attributesResult{}
	if out.names["ETag"] {
		doc.ETag = out.ETag
	}
	if out.names["Checksum"] && out.Checksum.Algorithm != "" {
		doc.Checksum = &checksumElement{elementsOf(out.Checksum, ""), string(out.Checksum.Type)}
	}
	if out.names["ObjectParts"] && out.ObjectAttributes.PartsCount > 0 {
		doc.ObjectParts = partsOf(out.ObjectAttributes)
	}
	if out.names["StorageClass"] {
		doc.StorageClass = storageClass(out.StorageClass)
	}
	if out.names["ObjectSize"] {
		doc.ObjectSize = &out.Size
	}
	r, err := encodeXML(http.StatusOK, doc)
	if err != nil {
		return nil, err
	}
	setHeader(r.Header, "Last-Modified", out.Modified.UTC().Format(http.TimeFormat))
	setHeader(r.Header, "x-amz-version-id", out.VersionID)
	auditApplied(c, out.SSE, false)
	auditKey(c, ofObject, out.SSE)
	return r, nil
}

// partsOf lists the parts that have checksums of their own; of others S3 tells only
// how many there are.
func partsOf(out object.ObjectAttributes) *objectParts {
	p := &objectParts{PartsCount: out.PartsCount}
	if out.Checksum.Type != checksum.Composite {
		return p
	}
	p.PartNumberMarker, p.NextPartNumberMarker = &out.AfterPart, &out.NextPart
	p.MaxParts, p.IsTruncated = &out.MaxParts, &out.Truncated
	for _, part := range out.Parts {
		p.Parts = append(p.Parts, attributesPart{elementsOf(part.Checksum, ""), part.Number, part.Size})
	}
	return p
}
