// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"errors"
	"net/http"
	"strings"

	"github.com/cofferstore/coffer/internal/core/acl"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

func (a *API) loggingOps() []pipeline.Op {
	return []pipeline.Op{
		pipeline.Define("PutBucketLogging", 0, bucketRoute("PUT", "logging"), decodePutLogging, a.Buckets.PutLogging, ok),
		pipeline.Define("GetBucketLogging", pipeline.Read, bucketRoute("GET", "logging"), decodeGetLogging, a.Buckets.GetLogging, encodeLogging),
	}
}

// loggingXML is BucketLoggingStatus. Without LoggingEnabled nothing is logged.
type loggingXML struct {
	Enabled []struct {
		Target *string `xml:"TargetBucket"`
		Prefix *string `xml:"TargetPrefix"`
		Grants *struct {
			Grants  []grantElement `xml:"Grant"`
			Unknown []unknownXML   `xml:",any"`
		} `xml:"TargetGrants"`
		Format *struct {
			Simple      *struct{} `xml:"SimplePrefix"`
			Partitioned *struct {
				Dates *string `xml:"PartitionDateSource"`
			} `xml:"PartitionedPrefix"`
			Unknown []unknownXML `xml:",any"`
		} `xml:"TargetObjectKeyFormat"`
		Unknown []unknownXML `xml:",any"`
	} `xml:"LoggingEnabled"`
	Unknown []unknownXML `xml:",any"`
}

// parseLogging reads a document of bucket logging; nil turns it off. Faults: MalformedXML,
// acl.ByEmail.
func parseLogging(b []byte) (*bucket.Logging, error) {
	var doc loggingXML
	if err := parseXML(b, "BucketLoggingStatus", &doc); err != nil {
		return nil, err
	}
	if err := known(doc.Unknown); err != nil || len(doc.Enabled) == 0 {
		return nil, err
	}
	e := &doc.Enabled[0]
	if err := known(e.Unknown); err != nil {
		return nil, err
	}
	if len(doc.Enabled) > 1 || e.Target == nil || e.Prefix == nil || strings.TrimSpace(*e.Target) == "" {
		return nil, malformedXML(errors.New("not one target with a bucket and a prefix"))
	}
	l := &bucket.Logging{Target: strings.TrimSpace(*e.Target), Prefix: *e.Prefix}
	if g := e.Grants; g != nil {
		if err := known(g.Unknown); err != nil {
			return nil, err
		}
		if len(g.Grants) > acl.MaxGrants {
			return nil, malformedXML(errors.New("too many grants"))
		}
		for i := range g.Grants {
			grant, err := g.Grants[i].grant()
			if err != nil {
				return nil, err
			}
			l.Grants = append(l.Grants, grant)
		}
	}
	f := e.Format
	switch {
	case f == nil:
	case len(f.Unknown) > 0, (f.Simple == nil) == (f.Partitioned == nil):
		return nil, malformedXML(errors.New("not one format of keys"))
	case f.Simple != nil:
		l.Format = bucket.SimplePrefix
	default:
		l.Format = bucket.PartitionedPrefix
		if d := f.Partitioned.Dates; d != nil {
			if l.Dates = bucket.LogDates(strings.TrimSpace(*d)); l.Dates != bucket.EventTime && l.Dates != bucket.DeliveryTime {
				return nil, malformedXML(errors.New("unknown source of dates"))
			}
		}
	}
	return l, nil
}

func decodePutLogging(c *pipeline.Call) (in bucket.PutLogging, err error) {
	in.Ref = bucketRef(c)
	b, err := document(c)
	if err != nil {
		return in, err
	}
	if in.Logging, err = parseLogging(b); err != nil {
		return in, err
	}
	auditLogging(c, in.Logging)
	return in, nil
}

// auditLogging notes in the audit record where logs are to go.
func auditLogging(c *pipeline.Call, l *bucket.Logging) {
	status := map[string]any{}
	if l != nil {
		enabled := map[string]any{"TargetBucket": l.Target, "TargetPrefix": l.Prefix}
		if len(l.Grants) > 0 {
			enabled["TargetGrants"] = map[string]any{"Grant": grantsRecorded(l.Grants)}
		}
		switch {
		case l.Format == bucket.SimplePrefix:
			enabled["TargetObjectKeyFormat"] = map[string]any{"SimplePrefix": ""}
		case l.Format == bucket.PartitionedPrefix && l.Dates == "":
			enabled["TargetObjectKeyFormat"] = map[string]any{"PartitionedPrefix": ""}
		case l.Format == bucket.PartitionedPrefix:
			enabled["TargetObjectKeyFormat"] = map[string]any{"PartitionedPrefix": map[string]any{"PartitionDateSource": string(l.Dates)}}
		}
		status["LoggingEnabled"] = enabled
	}
	auditDocument(c, "BucketLoggingStatus", status)
}

func decodeGetLogging(c *pipeline.Call) (bucket.GetLogging, error) {
	return bucket.GetLogging{Ref: bucketRef(c)}, nil
}

func encodeLogging(_ *pipeline.Call, l *bucket.Logging) (*pipeline.Response, error) {
	return xmlResponse(http.StatusOK, writeLogging(l)), nil
}

func writeLogging(l *bucket.Logging) []byte {
	var x markup
	x.root("BucketLoggingStatus")
	if l != nil {
		x.open("LoggingEnabled")
		x.element("TargetBucket", l.Target)
		x.element("TargetPrefix", l.Prefix)
		if len(l.Grants) > 0 {
			x.open("TargetGrants")
			for _, g := range l.Grants {
				x.grant(g)
			}
			x.close("TargetGrants")
		}
		x.keyFormat(l)
		x.close("LoggingEnabled")
	}
	x.close("BucketLoggingStatus")
	return x.buf
}

func (m *markup) keyFormat(l *bucket.Logging) {
	if l.Format == "" {
		return
	}
	m.open("TargetObjectKeyFormat")
	m.open(string(l.Format))
	if l.Dates != "" {
		m.element("PartitionDateSource", string(l.Dates))
	}
	m.close(string(l.Format))
	m.close("TargetObjectKeyFormat")
}
