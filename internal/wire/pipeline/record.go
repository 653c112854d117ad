// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"
	"crypto/tls"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cofferstore/coffer/internal/core/audit"
)

// audit appends the call's record, before its answer is sent. Calls that were not
// authenticated leave none, as on AWS: who made them is not known. They are in the
// log.
func (road *Road) audit(c *Call, resp *Response, err error) error {
	if c.Op == nil || c.Op.Traits.Has(Silent) || c.Auth == nil {
		return nil
	}
	if c.joining != nil {
		c.joining.committed()
		return nil
	}
	c.complete(resp, err)
	// The client may be gone already; the record is kept all the same. Only that of
	// a read of data may become durable after the answer: a key that was given out
	// leaves a trace whatever happens next.
	durable := !c.Op.Traits.Has(Read|Data) || road.cfg.SyncReads
	ctx := context.WithoutCancel(c.Request.Context())
	if len(c.items) == 0 {
		return road.append(ctx, c, c.record, durable)
	}
	return road.auditItems(ctx, c, durable)
}

// complete fills in what the road knows of the call for its record.
func (c *Call) complete(resp *Response, err error) {
	road, r := c.road, &c.record
	r.UserIdentity = c.Caller.Identity()
	r.EventTime = time.Now().UTC().Truncate(time.Second)
	r.EventSource, r.EventName, r.AWSRegion = c.family.Source, c.Op.event(), road.cfg.Region
	r.SourceIPAddress, r.UserAgent = c.Caller.SourceIP, c.Caller.UserAgent
	if c.family.TellsTransport {
		r.UserAgent = bracketed(r.UserAgent)
	}
	if c.family.Global {
		r.AWSRegion = globalRegion
	}
	r.RequestID = c.ID
	r.ReadOnly = c.Op.Traits.Has(Read)
	r.EventType = audit.TypeAPICall
	c.addressed(r)
	r.ManagementEvent = !c.Op.Traits.Has(Data)
	r.EventCategory = audit.Management
	if c.Op.Traits.Has(Data) {
		r.EventCategory = audit.Data
	}
	if c.family.TellsTransport {
		c.AuditData("bytesTransferredIn", c.in)
		c.AuditData("bytesTransferredOut", planned(c, resp))
		if m := c.Auth.Method.String(); m != "" {
			c.AuditText("SignatureVersion", "SigV4")
			c.AuditText("AuthenticationMethod", m)
		}
		c.AuditText("x-amz-id-2", c.HostID)
	}
	if t := c.Request.TLS; t != nil {
		suite := tls.CipherSuiteName(t.CipherSuite)
		if c.family.TellsTransport {
			c.AuditText("CipherSuite", suite)
		}
		r.TLSDetails = &audit.TLSDetails{
			TLSVersion: "TLSv" + tls.VersionName(t.Version)[len("TLS "):], CipherSuite: suite,
			ClientProvidedHostHeader: c.Request.Host,
		}
	}
	if err != nil || c.Op.Traits.Has(Read|Data) {
		r.ResponseElements, r.Elements = nil, nil
	}
}

// globalRegion is where the records of services that have no region are.
const globalRegion = "us-east-1"

// maxAgent is how long a record's user agent may be.
const maxAgent = 1 << 10

// bracketed is a user agent as S3's records have it.
func bracketed(agent string) string {
	if agent == "" {
		return ""
	}
	if len(agent) > maxAgent-2 {
		agent = strings.ToValidUTF8(agent[:maxAgent-2], "")
	}
	return "[" + agent + "]"
}

// itemsAtOnce is how many records of a call are appended at a time, so that they
// share syncs.
const itemsAtOnce = 64

// ofTheCall are the facts of a call that the records of its items have, too.
var ofTheCall = [...]string{"SignatureVersion", "AuthenticationMethod", "x-amz-id-2", "CipherSuite"}

// auditItems appends the records of a call's items and then its own.
func (road *Road) auditItems(ctx context.Context, c *Call, durable bool) error {
	var all errgroup.Group
	all.SetLimit(itemsAtOnce)
	for _, item := range c.items {
		r := c.record
		for _, name := range ofTheCall {
			if f := c.record.Facts.Find(name); f != nil && item.AdditionalEventData != nil {
				item.AdditionalEventData[name] = f.Value()
			}
		}
		r.EventName, r.RequestParameters, r.Resources = item.EventName, item.RequestParameters, item.Resources
		r.ErrorCode, r.ErrorMessage, r.ResponseElements, r.AdditionalEventData = item.ErrorCode, item.ErrorMessage, nil, item.AdditionalEventData
		r.Parameters, r.Elements, r.Facts = nil, nil, nil
		setOwner(r.Resources, bucketOf(c.record.Resources))
		all.Go(func() error { return road.append(ctx, c, r, durable) })
	}
	if err := all.Wait(); err != nil {
		return err
	}
	return road.append(ctx, c, c.record, durable)
}

// planned returns how many bytes of body the answer will have.
func planned(c *Call, resp *Response) int64 {
	switch {
	case c.Request.Method == "HEAD":
		return 0
	case resp.Stream != nil:
		return max(resp.Length, 0)
	}
	return int64(len(resp.Body))
}
