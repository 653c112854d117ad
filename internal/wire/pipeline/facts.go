// SPDX-License-Identifier: Apache-2.0

package pipeline

import "github.com/cofferstore/coffer/internal/core/audit"

// What an operation has to say in its call's audit record.

// AuditParameters sets requestParameters of the call's audit record.
func (c *Call) AuditParameters(p map[string]any) {
	c.record.RequestParameters, c.record.Parameters = p, nil
}

// NewAuditParameters returns requestParameters of the call's audit record, without any, to
// be added to.
func (c *Call) NewAuditParameters() *audit.Facts {
	c.record.RequestParameters, c.record.Parameters = nil, c.parameters[:0]
	return &c.record.Parameters
}

// AuditParameter adds to requestParameters of the call's audit record.
func (c *Call) AuditParameter(name string, value any) { c.record.Parameters.Add(name, value) }

// AuditResponse sets responseElements of the call's audit record.
func (c *Call) AuditResponse(p map[string]any) {
	c.record.ResponseElements, c.record.Elements = p, nil
}

// AuditElement adds to responseElements of the call's audit record.
func (c *Call) AuditElement(name, text string) {
	if c.record.Elements == nil {
		c.record.Elements = c.elements[:0]
	}
	c.record.Elements.Text(name, text)
}

// AuditResource adds what the call touched to its audit record.
func (c *Call) AuditResource(r ...audit.Resource) {
	c.record.Resources = append(c.record.Resources, r...)
}

// AuditResources sets what the call is about in its audit record.
func (c *Call) AuditResources(r ...audit.Resource) {
	c.record.Resources = append(c.resources[:0], r...)
}

// AuditItem adds an event of its own for one item of the call: what happened to the
// item, with the identity and the request id of the call. data is its
// additionalEventData; code is the item's error, zero when there is none.
func (c *Call) AuditItem(event string, parameters, data map[string]any, code Code, resources ...audit.Resource) {
	c.items = append(c.items, audit.Record{
		EventName: event, RequestParameters: parameters, AdditionalEventData: data, Resources: resources,
		ErrorCode: code.Code, ErrorMessage: code.Message,
	})
}

// CodeOf names the error of a single item as the family names faults. An internal
// error is logged.
func (c *Call) CodeOf(err error) Code {
	code, _, known := c.family.Codes.name(err, internal)
	if !known {
		c.road.cfg.Log.Error("internal error", "request_id", c.ID, "operation", c.operation(), "error", err)
	}
	return code
}

// EventID returns the id that the call's audit record will have.
func (c *Call) EventID() string {
	if c.record.EventID == "" {
		c.record.EventID = audit.NewEventID()
	}
	return c.record.EventID
}

// AuditData adds a fact to additionalEventData of the call's audit record.
func (c *Call) AuditData(name string, value any) { c.auditFacts().Add(name, value) }

// AuditText is AuditData of a text.
func (c *Call) AuditText(name, text string) { c.auditFacts().Text(name, text) }

func (c *Call) auditFacts() *audit.Facts {
	if c.record.Facts == nil {
		c.record.Facts = c.facts[:0]
	}
	return &c.record.Facts
}
