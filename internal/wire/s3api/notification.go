// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// Notifier takes buckets' configurations of event notifications (notification.Service).
type Notifier interface {
	PutNotification(ctx context.Context, by iam.Caller, in bucket.PutNotification) (struct{}, error)
}

func (a *API) notificationOps() []pipeline.Op {
	ops := []pipeline.Op{
		pipeline.Define("PutBucketNotificationConfiguration", 0, bucketRoute("PUT", "notification"), decodePutNotification, a.putNotification, ok),
		pipeline.Define("GetBucketNotificationConfiguration", pipeline.Read, bucketRoute("GET", "notification"), decodeGetNotification, a.Buckets.GetNotification, encodeNotification),
	}
	ops[0].EventName, ops[1].EventName = "PutBucketNotification", "GetBucketNotification"
	return ops
}

func (a *API) putNotification(ctx context.Context, by iam.Caller, in bucket.PutNotification) (struct{}, error) {
	return a.Notifications.PutNotification(ctx, by, in)
}

// notificationXML is NotificationConfiguration.
type notificationXML struct {
	Topics      []notificationRuleXML `xml:"TopicConfiguration"`
	Queues      []notificationRuleXML `xml:"QueueConfiguration"`
	Functions   []notificationRuleXML `xml:"CloudFunctionConfiguration"`
	EventBridge []struct{}            `xml:"EventBridgeConfiguration"`
	Unknown     []unknownXML          `xml:",any"`
}

// notificationRuleXML is a rule, with the element of its kind among three.
type notificationRuleXML struct {
	ID       string   `xml:"Id"`
	Topic    *string  `xml:"Topic"`
	Queue    *string  `xml:"Queue"`
	Function *string  `xml:"CloudFunction"`
	Events   []string `xml:"Event"`
	Filter   *struct {
		Key *struct {
			Rules []struct {
				Name    *string      `xml:"Name"`
				Value   *string      `xml:"Value"`
				Unknown []unknownXML `xml:",any"`
			} `xml:"FilterRule"`
			Unknown []unknownXML `xml:",any"`
		} `xml:"S3Key"`
		Unknown []unknownXML `xml:",any"`
	} `xml:"Filter"`
	Unknown []unknownXML `xml:",any"`
}

// rule reads a rule of a kind. Fault: MalformedXML.
func (x *notificationRuleXML) rule(kind bucket.Destination) (r bucket.NotificationRule, err error) {
	if err := known(x.Unknown); err != nil {
		return r, err
	}
	arn := map[bucket.Destination]*string{bucket.Topic: x.Topic, bucket.Queue: x.Queue, bucket.Function: x.Function}
	for other, text := range arn {
		if (text != nil) != (other == kind) {
			return r, malformedXML(errors.New("a rule does not name the one destination of its kind"))
		}
	}
	if len(x.Events) == 0 {
		return r, malformedXML(errors.New("a rule without events"))
	}
	r = bucket.NotificationRule{ID: strings.TrimSpace(x.ID), Kind: kind, ARN: strings.TrimSpace(*arn[kind])}
	for _, e := range x.Events {
		r.Events = append(r.Events, strings.TrimSpace(e))
	}
	f := x.Filter
	if f == nil {
		return r, nil
	}
	if err := known(f.Unknown); err != nil || f.Key == nil {
		return r, err
	}
	if err := known(f.Key.Unknown); err != nil {
		return r, err
	}
	for _, rule := range f.Key.Rules {
		if err := known(rule.Unknown); err != nil {
			return r, err
		}
		if rule.Name == nil || rule.Value == nil {
			return r, malformedXML(errors.New("a filter rule without a name or a value"))
		}
		r.Filter = append(r.Filter, bucket.FilterRule{Name: strings.TrimSpace(*rule.Name), Value: *rule.Value})
	}
	return r, nil
}

// parseNotification reads a document of event notifications. Fault: MalformedXML.
func parseNotification(b []byte) (n bucket.Notifications, err error) {
	var doc notificationXML
	if err := parseXML(b, "NotificationConfiguration", &doc); err != nil {
		return n, err
	}
	if err := once(b, "NotificationConfiguration", "TopicConfiguration", "QueueConfiguration", "CloudFunctionConfiguration", "Event", "FilterRule"); err != nil {
		return n, err
	}
	if err := known(doc.Unknown); err != nil {
		return n, err
	}
	for _, of := range []struct {
		kind  bucket.Destination
		rules []notificationRuleXML
	}{{bucket.Topic, doc.Topics}, {bucket.Queue, doc.Queues}, {bucket.Function, doc.Functions}} {
		for i := range of.rules {
			r, err := of.rules[i].rule(of.kind)
			if err != nil {
				return n, err
			}
			n.Rules = append(n.Rules, r)
		}
	}
	n.EventBridge = len(doc.EventBridge) > 0
	return n, nil
}

func decodePutNotification(c *pipeline.Call) (in bucket.PutNotification, err error) {
	in.Ref = bucketRef(c)
	in.SkipValidation = strings.EqualFold(c.Header("x-amz-skip-destination-validation"), "true")
	b, err := document(c)
	if err != nil {
		return in, err
	}
	if in.Notifications, err = parseNotification(b); err != nil {
		return in, err
	}
	auditNotification(c, &in.Notifications)
	return in, nil
}

// auditNotification notes in the audit record who is to be told of what.
func auditNotification(c *pipeline.Call, n *bucket.Notifications) {
	doc := map[string]any{}
	for i := range n.Rules {
		r := &n.Rules[i]
		rule := map[string]any{string(r.Kind): r.ARN, "Event": r.Events}
		if r.ID != "" {
			rule["Id"] = r.ID
		}
		if len(r.Filter) > 0 {
			var filter []any
			for _, f := range r.Filter {
				filter = append(filter, map[string]any{"Name": f.Name, "Value": f.Value})
			}
			rule["Filter"] = map[string]any{"S3Key": map[string]any{"FilterRule": filter}}
		}
		name := string(r.Kind) + "Configuration"
		rules, _ := doc[name].([]any)
		doc[name] = append(rules, rule)
	}
	if n.EventBridge {
		doc["EventBridgeConfiguration"] = ""
	}
	auditDocument(c, "NotificationConfiguration", doc)
}

func decodeGetNotification(c *pipeline.Call) (bucket.GetNotification, error) {
	return bucket.GetNotification{Ref: bucketRef(c)}, nil
}

func encodeNotification(_ *pipeline.Call, n *bucket.Notifications) (*pipeline.Response, error) {
	return xmlResponse(http.StatusOK, writeNotification(n)), nil
}

// writeNotification writes the document; nil is one that is empty.
func writeNotification(n *bucket.Notifications) []byte {
	var x markup
	x.root("NotificationConfiguration")
	if n != nil {
		for _, kind := range []bucket.Destination{bucket.Topic, bucket.Queue, bucket.Function} {
			for i := range n.Rules {
				if n.Rules[i].Kind == kind {
					x.notificationRule(&n.Rules[i])
				}
			}
		}
		if n.EventBridge {
			x.element("EventBridgeConfiguration", "")
		}
	}
	x.close("NotificationConfiguration")
	return x.buf
}

func (m *markup) notificationRule(r *bucket.NotificationRule) {
	name := string(r.Kind) + "Configuration"
	m.open(name)
	m.element("Id", r.ID)
	m.element(string(r.Kind), r.ARN)
	for _, e := range r.Events {
		m.element("Event", e)
	}
	if len(r.Filter) > 0 {
		m.open("Filter")
		m.open("S3Key")
		for _, f := range r.Filter {
			m.open("FilterRule")
			m.element("Name", f.Name)
			m.element("Value", f.Value)
			m.close("FilterRule")
		}
		m.close("S3Key")
		m.close("Filter")
	}
	m.close(name)
}
