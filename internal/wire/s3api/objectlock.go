// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

func (a *API) objectLockOps() []pipeline.Op {
	ops := []pipeline.Op{
		pipeline.Define("PutObjectLockConfiguration", 0, bucketRoute("PUT", "object-lock"), decodePutObjectLock, a.Buckets.PutObjectLock, ok),
		pipeline.Define("GetObjectLockConfiguration", pipeline.Read, bucketRoute("GET", "object-lock"), decodeGetObjectLock, a.Buckets.GetObjectLock, encodeObjectLock),
	}
	ops[0].EventName, ops[1].EventName = "PutBucketObjectLockConfiguration", "GetBucketObjectLockConfiguration"
	return append(ops, a.retentionOps()...)
}

// MissingRequestBody: there is no document where one is needed.
const MissingRequestBody fault.Kind = "s3api: missing document"

// objectLockXML is ObjectLockConfiguration.
type objectLockXML struct {
	Enabled []string `xml:"ObjectLockEnabled"`
	Rules   []struct {
		Defaults []struct {
			Mode, Days, Years []string
			Unknown           []unknownXML `xml:",any"`
		} `xml:"DefaultRetention"`
		Unknown []unknownXML `xml:",any"`
	} `xml:"Rule"`
	Unknown []unknownXML `xml:",any"`
}

// parseObjectLock reads the document of an Object Lock configuration.
func parseObjectLock(b []byte) (in bucket.PutObjectLock, err error) {
	var doc objectLockXML
	if err := parseXML(b, "ObjectLockConfiguration", &doc); err != nil {
		return in, err
	}
	if len(doc.Unknown) > 0 || len(doc.Enabled) != 1 || strings.TrimSpace(doc.Enabled[0]) != "Enabled" || len(doc.Rules) > 1 {
		return in, malformedXML(errors.New("not enabled once, with one rule at most"))
	}
	if len(doc.Rules) == 0 {
		return in, nil
	}
	rule := doc.Rules[0]
	if len(rule.Unknown) > 0 || len(rule.Defaults) != 1 {
		return in, malformedXML(errors.New("a rule without one default retention"))
	}
	d := rule.Defaults[0]
	if len(d.Unknown) > 0 || len(d.Mode) != 1 || len(d.Days)+len(d.Years) != 1 {
		return in, malformedXML(errors.New("a default retention without one mode and one period"))
	}
	in.Rule, in.Mode = true, bucket.RetentionMode(strings.TrimSpace(d.Mode[0]))
	period, text := &in.Days, d.Days
	if len(d.Days) == 0 {
		period, text = &in.Years, d.Years
	}
	n, err := strconv.ParseInt(strings.TrimSpace(text[0]), 10, 32)
	if err != nil {
		return in, malformedXML(err)
	}
	whole := int(n)
	*period = &whole
	return in, nil
}

func decodePutObjectLock(c *pipeline.Call) (in bucket.PutObjectLock, err error) {
	b, err := document(c)
	if err != nil {
		return in, err
	}
	if len(b) == 0 {
		return in, fault.New(MissingRequestBody, "")
	}
	if err := requireDigest(c); err != nil {
		return in, err
	}
	if in, err = parseObjectLock(b); err != nil {
		return in, err
	}
	in.Ref = bucketRef(c)
	document := map[string]any{"ObjectLockEnabled": "Enabled"}
	if in.Rule {
		retention := map[string]any{"Mode": string(in.Mode)}
		if in.Days != nil {
			retention["Days"] = *in.Days
		} else {
			retention["Years"] = *in.Years
		}
		document["Rule"] = map[string]any{"DefaultRetention": retention}
	}
	auditDocument(c, "ObjectLockConfiguration", document)
	return in, nil
}

func decodeGetObjectLock(c *pipeline.Call) (bucket.GetObjectLock, error) {
	return bucket.GetObjectLock{Ref: bucketRef(c)}, nil
}

func encodeObjectLock(_ *pipeline.Call, l *bucket.ObjectLock) (*pipeline.Response, error) {
	var x markup
	x.root("ObjectLockConfiguration")
	x.raw("ObjectLockEnabled", "Enabled")
	if l.Mode != "" {
		x.open("Rule")
		x.open("DefaultRetention")
		x.element("Mode", string(l.Mode))
		if l.Days > 0 {
			x.number("Days", int64(l.Days))
		} else {
			x.number("Years", int64(l.Years))
		}
		x.close("DefaultRetention")
		x.close("Rule")
	}
	x.close("ObjectLockConfiguration")
	return xmlResponse(http.StatusOK, x.buf), nil
}
