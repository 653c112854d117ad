// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// maxCors bounds a document of CORS rules (S3 API Reference, PutBucketCors).
const maxCors = 64 << 10

func (a *API) corsOps() []pipeline.Op {
	put := pipeline.Define("PutBucketCors", 0, bucketRoute("PUT", "cors"), decodePutCors, a.Buckets.PutCors, ok)
	put.MaxBody = maxCors
	return []pipeline.Op{
		put,
		pipeline.Define("GetBucketCors", pipeline.Read, bucketRoute("GET", "cors"), decodeGetCors, a.Buckets.GetCors, encodeCors),
		pipeline.Define("DeleteBucketCors", 0, bucketRoute("DELETE", "cors"), decodeDeleteCors, a.Buckets.DeleteCors, noContent),
	}
}

// corsXML is CORSConfiguration.
type corsXML struct {
	Rules []struct {
		ID      []string     `xml:"ID"`
		Origins []string     `xml:"AllowedOrigin"`
		Methods []string     `xml:"AllowedMethod"`
		Headers []string     `xml:"AllowedHeader"`
		Expose  []string     `xml:"ExposeHeader"`
		MaxAge  []string     `xml:"MaxAgeSeconds"`
		Unknown []unknownXML `xml:",any"`
	} `xml:"CORSRule"`
	Unknown []unknownXML `xml:",any"`
}

// parseCors reads a document of CORS rules. Fault: MalformedXML.
func parseCors(b []byte) (c bucket.Cors, err error) {
	var doc corsXML
	if err := parseXML(b, "CORSConfiguration", &doc); err != nil {
		return c, err
	}
	if err := known(doc.Unknown); err != nil {
		return c, err
	}
	for i := range doc.Rules {
		r := &doc.Rules[i]
		if err := known(r.Unknown); err != nil {
			return c, err
		}
		if len(r.ID) > 1 || len(r.MaxAge) > 1 {
			return c, malformedXML(errors.New("an element comes twice"))
		}
		rule := bucket.CorsRule{
			ID: strings.Join(r.ID, ""), Origins: r.Origins, Methods: r.Methods, Headers: r.Headers, Expose: r.Expose,
		}
		for _, text := range r.MaxAge {
			n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 32)
			if err != nil {
				return c, malformedXML(err)
			}
			seconds := int32(n)
			rule.MaxAge = &seconds
		}
		c.Rules = append(c.Rules, rule)
	}
	return c, nil
}

func decodePutCors(c *pipeline.Call) (in bucket.PutCors, err error) {
	in.Ref = bucketRef(c)
	b, err := digested(c)
	if err != nil {
		return in, err
	}
	if in.Cors, err = parseCors(b); err != nil {
		return in, err
	}
	auditCors(c, in.Cors)
	return in, nil
}

// auditCors notes the rules in the audit record.
func auditCors(c *pipeline.Call, cors bucket.Cors) {
	rules := make([]map[string]any, len(cors.Rules))
	for i := range cors.Rules {
		r := &cors.Rules[i]
		rule := map[string]any{"AllowedOrigin": r.Origins, "AllowedMethod": r.Methods}
		if r.ID != "" {
			rule["ID"] = r.ID
		}
		if len(r.Headers) > 0 {
			rule["AllowedHeader"] = r.Headers
		}
		if len(r.Expose) > 0 {
			rule["ExposeHeader"] = r.Expose
		}
		if r.MaxAge != nil {
			rule["MaxAgeSeconds"] = *r.MaxAge
		}
		rules[i] = rule
	}
	auditDocument(c, "CORSConfiguration", map[string]any{"CORSRule": rules})
}

func decodeGetCors(c *pipeline.Call) (bucket.GetCors, error) {
	return bucket.GetCors{Ref: bucketRef(c)}, nil
}

func encodeCors(_ *pipeline.Call, c *bucket.Cors) (*pipeline.Response, error) {
	return xmlResponse(http.StatusOK, writeCors(c)), nil
}

func writeCors(c *bucket.Cors) []byte {
	var x markup
	x.root("CORSConfiguration")
	for i := range c.Rules {
		r := &c.Rules[i]
		x.open("CORSRule")
		if r.ID != "" {
			x.element("ID", r.ID)
		}
		x.elements("AllowedHeader", r.Headers)
		x.elements("AllowedMethod", r.Methods)
		x.elements("AllowedOrigin", r.Origins)
		x.elements("ExposeHeader", r.Expose)
		if r.MaxAge != nil {
			x.number("MaxAgeSeconds", int64(*r.MaxAge))
		}
		x.close("CORSRule")
	}
	x.close("CORSConfiguration")
	return x.buf
}

// elements writes an element for each of the texts.
func (m *markup) elements(name string, texts []string) {
	for _, t := range texts {
		m.element(name, t)
	}
}

func decodeDeleteCors(c *pipeline.Call) (bucket.DeleteCors, error) {
	return bucket.DeleteCors{Ref: bucketRef(c)}, nil
}
