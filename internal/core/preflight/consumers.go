// SPDX-License-Identifier: Apache-2.0

package preflight

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/trails"
	"github.com/cofferstore/coffer/internal/fault"
)

// Consumer is a CloudTrail trail that logs.
type Consumer struct {
	ARN string
	trails.Trail
}

// Sink is where else audit records are sent.
type Sink struct {
	Name      string // "webhook siem"
	Setting   string // that says which events it gets
	KMS, Data bool   // it gets events of KMS, and data events
}

// What of a bucket's data events a trail takes.
type coverage int

const (
	nothing coverage = iota
	some
	everything
)

// consumers warns of those whose picture of who used which object changes: with Bucket
// Keys, events of KMS are fewer and name the bucket, and those of S3 alone name objects.
func (e *examiner) consumers() {
	if e.in.Trails != nil {
		e.trails()
	}
	for _, s := range e.in.Sinks {
		if s.KMS && !s.Data {
			e.out.Warnings = append(e.out.Warnings, Warning{
				Concerns: s.Name, Text: "gets events of KMS and no S3 data events: " + e.fewer(),
				Advice: []string{fmt.Sprintf("Have %s say data, too.", s.Setting)},
			})
		}
	}
}

// fewer says what becomes of counts of KMS events.
func (e *examiner) fewer() string {
	return fmt.Sprintf("who counts its KMS events for each object of %s will count fewer, as one with a Bucket Key names the bucket and covers many objects", e.in.Bucket)
}

func (e *examiner) trails() {
	owners := map[string]coverage{}
	if e.in.Owner != "" {
		owners[e.in.Owner] = nothing
	}
	first := map[string]*Consumer{}
	told := map[string]bool{}
	for i := range e.in.Trails {
		c := &e.in.Trails[i]
		if !c.Logging || !e.concerned(c.Account) {
			continue
		}
		of := e.covers(&c.Trail)
		if e.in.Owner == "" || c.Account == e.in.Owner {
			owners[c.Account] = max(owners[c.Account], of)
			if first[c.Account] == nil {
				first[c.Account] = c
			}
		}
		if of == everything || !takesKMS(&c.Trail) {
			continue
		}
		how := "no S3 data events"
		if of == some {
			how = "not all S3 data events"
		}
		told[c.Account] = true
		e.edit(c, Warning{Concerns: "trail " + c.Name, Policy: c.ARN, Text: fmt.Sprintf("takes events of KMS and %s of %s: %s", how, e.in.Bucket, e.fewer())})
	}
	for _, account := range slices.Sorted(maps.Keys(owners)) {
		if owners[account] == everything || slices.ContainsFunc(e.in.Sinks, func(s Sink) bool { return s.Data }) {
			continue
		}
		w := Warning{Concerns: "account " + account, Text: fmt.Sprintf("has no trail that takes S3 data events of all of %s: with Bucket Keys, events of KMS do not tell any more which object was used, and only S3's do", e.in.Bucket)}
		switch c := first[account]; {
		case c == nil:
			w.Advice = []string{"Make a trail with aws cloudtrail create-trail, start-logging and put-event-selectors. Coffer's own audit trail has these events in any case."}
			e.out.Warnings = append(e.out.Warnings, w)
		case told[account]: // the edit of another warning does for this one, too
			w.Advice = []string{"The selectors for one of the account's trails above are enough."}
			e.out.Warnings = append(e.out.Warnings, w)
		default:
			w.Policy = c.ARN
			e.edit(c, w)
		}
	}
}

// concerned reports whether an account's trails get events of the bucket and of its KMS
// requests: the owner's, and that of the KMS key.
func (e *examiner) concerned(account string) bool {
	key, ok := aws.ParseARN(e.in.Key)
	return e.in.Owner == "" || account == e.in.Owner || ok && account == key.Account
}

// edit adds a warning, with the selectors that a trail should have.
func (e *examiner) edit(c *Consumer, w Warning) {
	basic, advanced := c.Selectors()
	w.Now = selectorsJSON(trails.PutEventSelectors{TrailName: c.ARN, EventSelectors: basic, AdvancedEventSelectors: advanced})
	in, err := c.AddObjects(c.ARN, aws.BucketARN(e.in.Bucket))
	w.Edited = selectorsJSON(in)
	w.Unproven = e.proveSelectors(&c.Trail, in, err)
	w.Proven = w.Unproven == ""
	e.out.Warnings = append(e.out.Warnings, w)
}

// proveSelectors says why it could not be shown that CloudTrail takes the selectors, that
// the trail gets all data events of the bucket, and that it loses none of those it got.
func (e *examiner) proveSelectors(before *trails.Trail, in trails.PutEventSelectors, err error) string {
	if err != nil {
		if f, ok := fault.As(err); ok {
			return f.Message
		}
		return err.Error()
	}
	after := *before
	if after.Basic, after.Advanced, err = trails.CheckSelectors(in); err != nil {
		return err.Error()
	}
	if e.covers(&after) != everything {
		return "it would not take all data events of " + e.in.Bucket
	}
	for _, r := range e.probes(before) {
		if before.Wants(&r) && !after.Wants(&r) {
			return fmt.Sprintf("it would no longer take %s events of %s", r.EventName, r.EventSource)
		}
	}
	return ""
}

// Events that stand for all of their kind.
const (
	objectResource = "AWS::S3::Object"
	// unlikely is the name of an object that no selector is about in particular.
	unlikely = "\u2014any object\u2014"
)

func dataEvent(account, name string, readOnly bool, arn string) audit.Record {
	return audit.Record{
		EventSource: "s3.amazonaws.com", EventName: name, EventType: audit.TypeAPICall, EventCategory: audit.Data, ReadOnly: readOnly,
		RecipientAccountID: account, UserIdentity: audit.Identity{Type: "IAMUser", ARN: "arn:aws:iam::" + account + ":user/\u2014any user\u2014"},
		Resources: []audit.Resource{{Type: objectResource, ARN: arn}},
	}
}

func managementEvent(account, source, name string, readOnly bool) audit.Record {
	r := dataEvent(account, name, readOnly, "")
	r.EventSource, r.EventCategory, r.Resources = source, audit.Management, nil
	return r
}

func objectEvents(account, arn string) (out []audit.Record) {
	for _, name := range []string{"GetObject", "HeadObject", "GetObjectAttributes"} {
		out = append(out, dataEvent(account, name, true, arn))
	}
	for _, name := range []string{"PutObject", "CopyObject", "CreateMultipartUpload", "UploadPart", "UploadPartCopy", "CompleteMultipartUpload", "DeleteObject", "UpdateObjectEncryption"} {
		out = append(out, dataEvent(account, name, false, arn))
	}
	return out
}

// covers says which data events of the bucket a trail takes.
func (e *examiner) covers(t *trails.Trail) coverage {
	bucket := aws.BucketARN(e.in.Bucket) + "/"
	all, any := true, false
	for _, r := range objectEvents(t.Account, bucket+unlikely) {
		wanted := t.Wants(&r)
		all, any = all && wanted, any || wanted
	}
	// One that leaves objects out by their names takes the unlikely one.
	for _, named := range named(t, bucket) {
		for _, r := range objectEvents(t.Account, named) {
			wanted := t.Wants(&r)
			all, any = all && wanted, any || wanted
		}
	}
	switch {
	case all:
		return everything
	case any:
		return some
	}
	return nothing
}

// takesKMS reports whether a trail takes the events of the KMS requests that S3 makes.
func takesKMS(t *trails.Trail) bool {
	for _, name := range []string{"GenerateDataKey", "Decrypt"} {
		r := managementEvent(t.Account, "kms.amazonaws.com", name, true)
		if t.Wants(&r) {
			return true
		}
	}
	return false
}

// probes are events of every kind that a trail's selectors tell apart.
func (e *examiner) probes(t *trails.Trail) (out []audit.Record) {
	for _, source := range []string{"s3.amazonaws.com", "kms.amazonaws.com", "iam.amazonaws.com", "sts.amazonaws.com", "cloudtrail.amazonaws.com"} {
		for _, readOnly := range []bool{true, false} {
			out = append(out, managementEvent(t.Account, source, "Anything", readOnly))
		}
	}
	for _, arn := range append(named(t, ""), "arn:aws:s3:::another-bucket/"+unlikely) {
		out = append(out, objectEvents(t.Account, arn)...)
	}
	return out
}

// named are the objects that a trail's selectors name, and objects whose names begin as
// they say, of a bucket's; "" is of any.
func named(t *trails.Trail, prefix string) (out []string) {
	add := func(values []string) {
		for _, v := range values {
			if strings.HasPrefix(v, aws.BucketARN("")) && strings.HasPrefix(v, prefix) {
				out = append(out, v, v+unlikely)
			}
		}
	}
	for _, s := range t.Basic {
		for _, d := range s.Data {
			add(d.Values)
		}
	}
	for _, s := range t.Advanced {
		for _, f := range s.Fields {
			for _, values := range [][]string{f.Equals, f.NotEquals, f.StartsWith, f.NotStartsWith} {
				add(values)
			}
			if f.Field == "resources.ARN" {
				for _, v := range append(slices.Clone(f.EndsWith), f.NotEndsWith...) {
					out = append(out, orAny(prefix)+unlikely+v)
				}
			}
		}
	}
	return out
}

func orAny(prefix string) string {
	if prefix == "" {
		return "arn:aws:s3:::another-bucket/"
	}
	return prefix
}
