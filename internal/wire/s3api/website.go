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

// maxWebsite bounds a document of a website's configuration (S3 API Reference,
// PutBucketWebsite).
const maxWebsite = 128 << 10

func (a *API) websiteOps() []pipeline.Op {
	put := pipeline.Define("PutBucketWebsite", 0, bucketRoute("PUT", "website"), decodePutWebsite, a.Buckets.PutWebsite, ok)
	put.MaxBody = maxWebsite
	return []pipeline.Op{
		put,
		pipeline.Define("GetBucketWebsite", pipeline.Read, bucketRoute("GET", "website"), decodeGetWebsite, a.Buckets.GetWebsite, encodeWebsite),
		pipeline.Define("DeleteBucketWebsite", 0, bucketRoute("DELETE", "website"), decodeDeleteWebsite, a.Buckets.DeleteWebsite, noContent),
	}
}

// websiteXML is WebsiteConfiguration.
type websiteXML struct {
	Index *struct {
		Suffix  []string     `xml:"Suffix"`
		Unknown []unknownXML `xml:",any"`
	} `xml:"IndexDocument"`
	Error *struct {
		Key     []string     `xml:"Key"`
		Unknown []unknownXML `xml:",any"`
	} `xml:"ErrorDocument"`
	All   *redirectXML `xml:"RedirectAllRequestsTo"`
	Rules *struct {
		Rules []struct {
			Condition *struct {
				Status  *string      `xml:"HttpErrorCodeReturnedEquals"`
				Prefix  *string      `xml:"KeyPrefixEquals"`
				Unknown []unknownXML `xml:",any"`
			} `xml:"Condition"`
			Redirect *redirectXML `xml:"Redirect"`
			Unknown  []unknownXML `xml:",any"`
		} `xml:"RoutingRule"`
		Unknown []unknownXML `xml:",any"`
	} `xml:"RoutingRules"`
	Unknown []unknownXML `xml:",any"`
}

type redirectXML struct {
	Host     string       `xml:"HostName"`
	Status   *string      `xml:"HttpRedirectCode"`
	Protocol string       `xml:"Protocol"`
	Prefix   *string      `xml:"ReplaceKeyPrefixWith"`
	Key      *string      `xml:"ReplaceKeyWith"`
	Unknown  []unknownXML `xml:",any"`
}

// parseWebsite reads a document of a website's configuration. Fault: MalformedXML.
func parseWebsite(b []byte) (w bucket.Website, err error) {
	var doc websiteXML
	if err := parseXML(b, "WebsiteConfiguration", &doc); err != nil {
		return w, err
	}
	if err := once(b, "WebsiteConfiguration", "RoutingRule"); err != nil {
		return w, err
	}
	if err := known(doc.Unknown); err != nil {
		return w, err
	}
	if e := doc.Index; e != nil {
		if w.Index, err = only(e.Suffix, e.Unknown); err != nil {
			return w, err
		}
	}
	if e := doc.Error; e != nil {
		if w.Error, err = only(e.Key, e.Unknown); err != nil {
			return w, err
		}
	}
	if e := doc.All; e != nil {
		if e.Status != nil || e.Prefix != nil || e.Key != nil || len(e.Unknown) > 0 {
			return w, malformedXML(errors.New("more than host and protocol"))
		}
		w.RedirectAll = &bucket.Redirect{Host: strings.TrimSpace(e.Host), Protocol: strings.TrimSpace(e.Protocol)}
	}
	if doc.Rules == nil {
		return w, nil
	}
	if len(doc.Rules.Rules) == 0 || len(doc.Rules.Unknown) > 0 {
		return w, malformedXML(errors.New("no rules, or something else"))
	}
	for i := range doc.Rules.Rules {
		r := &doc.Rules.Rules[i]
		if r.Redirect == nil || len(r.Unknown) > 0 {
			return w, malformedXML(errors.New("a rule without a redirect, or with something else"))
		}
		var rule bucket.RoutingRule
		if rule.Redirect, err = r.Redirect.redirect(); err != nil {
			return w, err
		}
		if c := r.Condition; c != nil {
			if err := known(c.Unknown); err != nil {
				return w, err
			}
			rule.Condition = &bucket.RoutingCondition{Prefix: c.Prefix}
			if rule.Condition.Status, err = statusCode(c.Status); err != nil {
				return w, err
			}
		}
		w.Rules = append(w.Rules, rule)
	}
	return w, nil
}

// only returns the text of the one element that an element must have.
func only(texts []string, unknown []unknownXML) (*string, error) {
	if len(texts) != 1 || len(unknown) > 0 {
		return nil, malformedXML(errors.New("not the one element"))
	}
	return &texts[0], nil
}

func (e *redirectXML) redirect() (r bucket.Redirect, err error) {
	if err := known(e.Unknown); err != nil {
		return r, err
	}
	r = bucket.Redirect{Host: strings.TrimSpace(e.Host), Protocol: strings.TrimSpace(e.Protocol), Prefix: e.Prefix, Key: e.Key}
	r.Status, err = statusCode(e.Status)
	return r, err
}

// statusCode reads a status; 0 when there is none.
func statusCode(text *string) (int, error) {
	if text == nil {
		return 0, nil
	}
	n, err := strconv.ParseUint(strings.TrimSpace(*text), 10, 16)
	if err == nil && n == 0 {
		err = errors.New("no status")
	}
	if err != nil {
		return 0, malformedXML(err)
	}
	return int(n), nil
}

func decodePutWebsite(c *pipeline.Call) (in bucket.PutWebsite, err error) {
	in.Ref = bucketRef(c)
	b, err := document(c)
	if err != nil {
		return in, err
	}
	if in.Website, err = parseWebsite(b); err != nil {
		return in, err
	}
	auditWebsite(c, &in.Website)
	return in, nil
}

// auditWebsite notes in the audit record how the bucket is to be served.
func auditWebsite(c *pipeline.Call, w *bucket.Website) {
	p := map[string]any{}
	if w.Index != nil {
		p["IndexDocument"] = map[string]any{"Suffix": *w.Index}
	}
	if w.Error != nil {
		p["ErrorDocument"] = map[string]any{"Key": *w.Error}
	}
	if w.RedirectAll != nil {
		p["RedirectAllRequestsTo"] = redirectRecorded(w.RedirectAll)
	}
	if len(w.Rules) > 0 {
		rules := make([]map[string]any, len(w.Rules))
		for i := range w.Rules {
			r := &w.Rules[i]
			rules[i] = map[string]any{"Redirect": redirectRecorded(&r.Redirect)}
			if c := r.Condition; c != nil {
				condition := map[string]any{}
				if c.Prefix != nil {
					condition["KeyPrefixEquals"] = *c.Prefix
				}
				if c.Status != 0 {
					condition["HttpErrorCodeReturnedEquals"] = c.Status
				}
				rules[i]["Condition"] = condition
			}
		}
		p["RoutingRules"] = map[string]any{"RoutingRule": rules}
	}
	auditDocument(c, "WebsiteConfiguration", p)
}

func redirectRecorded(r *bucket.Redirect) map[string]any {
	p := map[string]any{}
	if r.Host != "" {
		p["HostName"] = r.Host
	}
	if r.Protocol != "" {
		p["Protocol"] = r.Protocol
	}
	if r.Status != 0 {
		p["HttpRedirectCode"] = r.Status
	}
	if r.Prefix != nil {
		p["ReplaceKeyPrefixWith"] = *r.Prefix
	}
	if r.Key != nil {
		p["ReplaceKeyWith"] = *r.Key
	}
	return p
}

func decodeGetWebsite(c *pipeline.Call) (bucket.GetWebsite, error) {
	return bucket.GetWebsite{Ref: bucketRef(c)}, nil
}

func encodeWebsite(_ *pipeline.Call, w *bucket.Website) (*pipeline.Response, error) {
	return xmlResponse(http.StatusOK, writeWebsite(w)), nil
}

func writeWebsite(w *bucket.Website) []byte {
	var x markup
	x.root("WebsiteConfiguration")
	if w.RedirectAll != nil {
		x.redirect("RedirectAllRequestsTo", w.RedirectAll)
	}
	if w.Index != nil {
		x.open("IndexDocument")
		x.element("Suffix", *w.Index)
		x.close("IndexDocument")
	}
	if w.Error != nil {
		x.open("ErrorDocument")
		x.element("Key", *w.Error)
		x.close("ErrorDocument")
	}
	if len(w.Rules) > 0 {
		x.open("RoutingRules")
		for i := range w.Rules {
			x.routingRule(&w.Rules[i])
		}
		x.close("RoutingRules")
	}
	x.close("WebsiteConfiguration")
	return x.buf
}

func (m *markup) routingRule(r *bucket.RoutingRule) {
	m.open("RoutingRule")
	if c := r.Condition; c != nil {
		m.open("Condition")
		if c.Status != 0 {
			m.number("HttpErrorCodeReturnedEquals", int64(c.Status))
		}
		if c.Prefix != nil {
			m.element("KeyPrefixEquals", *c.Prefix)
		}
		m.close("Condition")
	}
	m.redirect("Redirect", &r.Redirect)
	m.close("RoutingRule")
}

func (m *markup) redirect(name string, r *bucket.Redirect) {
	m.open(name)
	if r.Host != "" {
		m.element("HostName", r.Host)
	}
	if r.Status != 0 {
		m.number("HttpRedirectCode", int64(r.Status))
	}
	if r.Protocol != "" {
		m.element("Protocol", r.Protocol)
	}
	if r.Prefix != nil {
		m.element("ReplaceKeyPrefixWith", *r.Prefix)
	}
	if r.Key != nil {
		m.element("ReplaceKeyWith", *r.Key)
	}
	m.close(name)
}

func decodeDeleteWebsite(c *pipeline.Call) (bucket.DeleteWebsite, error) {
	return bucket.DeleteWebsite{Ref: bucketRef(c)}, nil
}
