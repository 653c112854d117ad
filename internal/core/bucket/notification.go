// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"context"
	"encoding/base64"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// InvalidNotification is a configuration of notifications that cannot be. Details
// ArgumentName and ArgumentValue; with numbers behind them where there are several.
const InvalidNotification fault.Kind = "bucket: invalid notification configuration"

// NotificationDocument is the kind of document that says who is told of changes of objects.
const NotificationDocument DocumentKind = "notification"

// Notifications says who is told of changes of a bucket's objects.
type Notifications struct {
	Rules []NotificationRule `json:"rules,omitempty"`
	// EventBridge says that every event is to go to the default bus, too.
	EventBridge bool `json:"eventBridge,omitempty"`
}

// Destination is a kind of destination, by the element that names one.
type Destination string

// The kinds of destinations.
const (
	Queue    Destination = "Queue"
	Topic    Destination = "Topic"
	Function Destination = "CloudFunction"
)

// service is the one that destinations of the kind are of.
func (d Destination) service() string {
	switch d {
	case Queue:
		return "sqs"
	case Topic:
		return "sns"
	}
	return "lambda"
}

// NotificationRule tells one destination of some events of some objects.
type NotificationRule struct {
	ID     string       `json:"id"`
	Kind   Destination  `json:"kind"`
	ARN    string       `json:"arn"`
	Events []string     `json:"events"` // "s3:ObjectCreated:*"
	Filter []FilterRule `json:"filter,omitempty"`
}

// FilterRule is what the keys of the objects begin or end with.
type FilterRule struct {
	Name  string `json:"name"` // FilterPrefix or FilterSuffix
	Value string `json:"value"`
}

// Names of filter rules.
const (
	FilterPrefix = "Prefix"
	FilterSuffix = "Suffix"
)

// value returns that of a filter rule, "" when there is none, which all keys have.
func (r *NotificationRule) value(name string) string {
	for _, f := range r.Filter {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// Wants reports whether the rule is about an event, which has no "s3:", of a key. encoded is
// the key as events have it: filters are written so, if there is anything to encode
// (S3 User Guide, "Configuring event notifications using object key name filtering").
func (r *NotificationRule) Wants(event, key, encoded string) bool {
	prefix, suffix := r.value(FilterPrefix), r.value(FilterSuffix)
	if !(strings.HasPrefix(key, prefix) && strings.HasSuffix(key, suffix)) &&
		!(strings.HasPrefix(encoded, prefix) && strings.HasSuffix(encoded, suffix)) {
		return false
	}
	return slices.ContainsFunc(r.Events, func(e string) bool { return covers(e, "s3:"+event) })
}

// covers reports whether an event of a rule, which may end in *, is or contains another.
func covers(rule, event string) bool {
	if family, all := strings.CutSuffix(rule, "*"); all {
		return strings.HasPrefix(event, family)
	}
	return rule == event
}

// Limits of configurations (S3 User Guide, "Amazon S3 Event Notifications"; "Configuring
// event notifications using object key name filtering").
const (
	MaxNotificationRules = 100
	maxNotificationID    = 255
	maxFilterValue       = 1024 // bytes
)

// notificationEvents are the events that S3 knows (S3 API Reference, Event).
var notificationEvents = []string{
	"s3:ReducedRedundancyLostObject",
	"s3:ObjectCreated:*", "s3:ObjectCreated:Put", "s3:ObjectCreated:Post", "s3:ObjectCreated:Copy", "s3:ObjectCreated:CompleteMultipartUpload",
	"s3:ObjectRemoved:*", "s3:ObjectRemoved:Delete", "s3:ObjectRemoved:DeleteMarkerCreated",
	"s3:ObjectRestore:*", "s3:ObjectRestore:Post", "s3:ObjectRestore:Completed", "s3:ObjectRestore:Delete",
	"s3:Replication:*", "s3:Replication:OperationFailedReplication", "s3:Replication:OperationNotTracked",
	"s3:Replication:OperationMissedThreshold", "s3:Replication:OperationReplicatedAfterThreshold",
	"s3:LifecycleTransition", "s3:IntelligentTiering", "s3:ObjectAcl:Put",
	"s3:LifecycleExpiration:*", "s3:LifecycleExpiration:Delete", "s3:LifecycleExpiration:DeleteMarkerCreated",
	"s3:ObjectTagging:*", "s3:ObjectTagging:Put", "s3:ObjectTagging:Delete",
	"s3:ObjectAnnotation:*", "s3:ObjectAnnotation:Put", "s3:ObjectAnnotation:Delete",
}

func invalidNotification(name, value, text string) error {
	return fault.New(InvalidNotification, "%s", text).With("ArgumentName", name).With("ArgumentValue", value)
}

// check holds a configuration against what one can be in a region, and gives ids to rules
// without. Whether destinations exist is not asked here. Fault: InvalidNotification.
func (n *Notifications) check(region string) error {
	if len(n.Rules) > MaxNotificationRules {
		return fault.New(InvalidNotification, "The notification configuration has more than %d rules", MaxNotificationRules)
	}
	ids := map[string]bool{}
	for i := range n.Rules {
		r := &n.Rules[i]
		if r.ID == "" {
			r.ID = newNotificationID()
		}
		if len(r.ID) > maxNotificationID {
			return invalidNotification("Id", r.ID, "Notification configuration IDs cannot be longer than 255 characters")
		}
		if ids[r.ID] {
			return fault.New(InvalidNotification, "Same ID used for multiple configurations. IDs must be unique")
		}
		ids[r.ID] = true
		if err := r.check(region); err != nil {
			return err
		}
	}
	for i := range n.Rules {
		for j := range i {
			if n.Rules[i].overlaps(&n.Rules[j]) {
				return fault.New(InvalidNotification, "Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules if the prefixes are overlapping for the same event type.")
			}
		}
	}
	return nil
}

// newNotificationID returns an id like those that S3 makes up.
func newNotificationID() string {
	return base64.StdEncoding.EncodeToString([]byte(uuid.NewString()))
}

func (r *NotificationRule) check(region string) error {
	arn, ok := aws.ParseARN(r.ARN)
	switch {
	case !ok || arn.Partition != "aws" || arn.Service != r.Kind.service() || !aws.ValidAccount(arn.Account) || arn.Region == "" || arn.Resource == "" ||
		r.Kind == Function && !strings.HasPrefix(arn.Resource, "function:"):
		return invalidNotification(string(r.Kind), r.ARN, "The ARN could not be parsed")
	case arn.Region != region:
		return invalidNotification(string(r.Kind), r.ARN, "The notification destination service region is not valid for the bucket location constraint")
	}
	// An event that comes twice is no other wish; but who compares rules, and every change
	// of an object, goes through all of them.
	var events []string
	for _, e := range r.Events {
		if !slices.Contains(notificationEvents, e) {
			return invalidNotification("Event", e, "The event is not supported for notifications")
		}
		if !slices.Contains(events, e) {
			events = append(events, e)
		}
	}
	r.Events = events
	var seen []string
	for i := range r.Filter {
		f := &r.Filter[i]
		switch name := strings.ToLower(f.Name); {
		case name == "prefix":
			f.Name = FilterPrefix // as S3 returns it, however it was written
		case name == "suffix":
			f.Name = FilterSuffix
		default:
			return invalidNotification("FilterRule.Name", f.Name, "filter rule name must be either prefix or suffix")
		}
		if slices.Contains(seen, f.Name) {
			return invalidNotification("FilterRule.Name", f.Name, "Cannot specify more than one "+strings.ToLower(f.Name)+" rule in a filter.")
		}
		seen = append(seen, f.Name)
		if len(f.Value) > maxFilterValue || !utf8.ValidString(f.Value) {
			return invalidNotification("FilterRule.Value", f.Value, "Size of filter rule value cannot exceed 1024 bytes in UTF-8 representation")
		}
	}
	return nil
}

// overlaps reports whether both rules are about an event of a key.
func (r *NotificationRule) overlaps(q *NotificationRule) bool {
	either := func(f func(a, b string) bool, a, b string) bool { return f(a, b) || f(b, a) }
	return either(strings.HasPrefix, r.value(FilterPrefix), q.value(FilterPrefix)) &&
		either(strings.HasSuffix, r.value(FilterSuffix), q.value(FilterSuffix)) &&
		slices.ContainsFunc(r.Events, func(a string) bool {
			return slices.ContainsFunc(q.Events, func(b string) bool { return either(covers, a, b) })
		})
}

// PutNotification sets who is told of changes of a bucket's objects; nothing in it: nobody.
type PutNotification struct {
	Ref
	Notifications Notifications
	// SkipValidation leaves out whether destinations exist.
	SkipValidation bool
}

// Needs says what the request must be allowed.
func (in PutNotification) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:PutBucketNotification", Resource: aws.BucketARN(in.Bucket)}}
}

// PutNotification sets who is told of changes of a bucket's objects. It gives ids to rules
// that have none. Package notification asks first whether the destinations exist, in
// validate, which gets the bucket; with adds what goes with the change to its commit. Faults:
// NoSuchBucket, InvalidNotification.
func (s *Buckets) PutNotification(ctx context.Context, in PutNotification, validate func(*Bucket) error, with func(*Bucket, *meta.Batch) error) error {
	b, err := s.Find(ctx, in.Ref)
	if err != nil {
		return err
	}
	if err := in.Notifications.check(b.Region); err != nil {
		return err
	}
	if err := validate(b); err != nil {
		return err
	}
	if len(in.Notifications.Rules) == 0 && !in.Notifications.EventBridge {
		_, err := s.deleteDocument(ctx, in.Ref, NotificationDocument, "")
		return err
	}
	return s.putDocumentWith(ctx, in.Ref, NotificationDocument, "", in.Notifications, func(_ *record, batch *meta.Batch) error { return with(b, batch) })
}

// GetNotification asks who is told of changes of a bucket's objects.
type GetNotification struct{ Ref }

// Needs says what the request must be allowed.
func (in GetNotification) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:GetBucketNotification", Resource: aws.BucketARN(in.Bucket)}}
}

// GetNotification returns who is told of changes of a bucket's objects; nil: nobody. It must
// not be changed.
func (s *Buckets) GetNotification(ctx context.Context, _ iam.Caller, in GetNotification) (*Notifications, error) {
	b, err := s.Find(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	return s.Notifications(ctx, b)
}

// Notifications returns who is told of changes of a bucket's objects; nil: nobody. It must
// not be changed.
func (s *Buckets) Notifications(ctx context.Context, b *Bucket) (*Notifications, error) {
	return document[Notifications](ctx, s, b, NotificationDocument, "")
}
