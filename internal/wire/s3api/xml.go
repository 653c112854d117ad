// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// namespace of S3's documents.
const namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

// Bounds of a document, beside its size: an empty element takes four bytes and a
// hundred times as many once it is decoded.
const (
	maxDepth    = 16      // S3's deepest has eight levels
	maxElements = 100_000 // S3's longest lists 10000 parts of an upload, each with at most eight
	maxMarkup   = 64 << 10
)

// decodeXML reads the call's body, a document with that root element, whatever its
// namespace. The body is verified against the digests that the request has for it.
// Fault: MalformedXML, also for no document; those of [document].
func decodeXML(c *pipeline.Call, root string, into any) error {
	b, err := document(c)
	if err != nil {
		return err
	}
	return parseXML(b, root, into)
}

// parseXML is decodeXML for a document that has been read.
func parseXML(b []byte, root string, into any) error {
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	if err := checkMarkup(b); err != nil {
		return malformedXML(err)
	}
	d := xml.NewTokenDecoder(&plainXML{src: xml.NewDecoder(bytes.NewReader(b))})
	for {
		t, err := d.Token()
		if err != nil {
			return malformedXML(err)
		}
		start, ok := t.(xml.StartElement)
		if !ok {
			continue
		}
		if start.Name.Local != root {
			return malformedXML(fmt.Errorf("the document is %q, not %q", start.Name.Local, root))
		}
		if err := d.DecodeElement(into, &start); err != nil {
			return malformedXML(err)
		}
		break
	}
	for { // nothing may follow
		t, err := d.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return malformedXML(err)
		}
		if _, ok := t.(xml.StartElement); ok {
			return malformedXML(errors.New("a second root element"))
		}
	}
}

// checkMarkup refuses a document with a tag of more than maxMarkup bytes: the decoder
// reads a tag whole, with all its attributes, before anybody can count them.
func checkMarkup(b []byte) error {
	for {
		begin := bytes.IndexByte(b, '<')
		if begin < 0 {
			return nil
		}
		b = b[begin:]
		end := bytes.IndexByte(b, '>')
		if end < 0 {
			return nil // the decoder says what is wrong with it
		}
		if end > maxMarkup {
			return errors.New("a tag too long")
		}
		b = b[end:]
	}
}

// plainXML hands on the tokens of a document and refuses what S3's never have and
// attacks are made of: document types, with them entities, deep nesting, and masses
// of elements.
type plainXML struct {
	src      *xml.Decoder
	depth    int
	elements int
	begun    bool
}

// Token implements xml.TokenReader.
func (p *plainXML) Token() (xml.Token, error) {
	t, err := p.src.RawToken()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case xml.Directive:
		return nil, errors.New("a document type declaration")
	case xml.ProcInst:
		if t.Target != "xml" || p.begun {
			return nil, errors.New("a processing instruction")
		}
	case xml.StartElement:
		if p.depth++; p.depth > maxDepth {
			return nil, errors.New("nested too deeply")
		}
		if p.elements++; p.elements > maxElements {
			return nil, errors.New("too many elements")
		}
	case xml.EndElement:
		p.depth--
	case xml.CharData:
		if p.depth == 0 && len(bytes.TrimSpace(t)) > 0 {
			return nil, errors.New("text outside the root element")
		}
	}
	p.begun = true
	return t, nil
}

// encodeXML makes an answer of a document. v's XMLName sets its namespace.
func encodeXML(status int, v any) (*pipeline.Response, error) {
	b, err := xml.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	return xmlResponse(status, append([]byte(xmlHeader), named.Replace(string(b))...)), nil
}

// named writes quotes as S3 does, and as markup does: small clients know &quot; and
// nothing of the numbers that encoding/xml has for it.
var named = strings.NewReplacer("&#34;", "&quot;", "&#39;", "'")

func xmlResponse(status int, body []byte) *pipeline.Response {
	return &pipeline.Response{
		Status: status, Header: http.Header{"Content-Type": {"application/xml"}}, Body: body,
	}
}

// emptyResult is the result of operations that have none.
type emptyResult = struct{}

// noContent answers 204.
func noContent(*pipeline.Call, emptyResult) (*pipeline.Response, error) {
	return &pipeline.Response{Status: http.StatusNoContent}, nil
}

// ok answers 200 without a body.
func ok(*pipeline.Call, emptyResult) (*pipeline.Response, error) {
	return &pipeline.Response{Status: http.StatusOK}, nil
}

const timestampLayout = "2006-01-02T15:04:05.000Z"

// timestamp writes a time as S3's documents do: in UTC, and cut to whole seconds,
// so that it equals the Last-Modified header of the same object.
func timestamp(t time.Time) string {
	return t.UTC().Truncate(time.Second).Format(timestampLayout)
}

// xmlBool reads a boolean of a document: true or false.
func xmlBool(s string) (bool, error) {
	switch strings.TrimSpace(s) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, malformedXML(fmt.Errorf("%q is no boolean", s))
}
