// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

func (a *API) lifecycleOps() []pipeline.Op {
	put := pipeline.Define("PutBucketLifecycleConfiguration", 0, bucketRoute("PUT", "lifecycle"), decodePutLifecycle, a.Buckets.PutLifecycle, encodePutLifecycle)
	get := pipeline.Define("GetBucketLifecycleConfiguration", pipeline.Read, bucketRoute("GET", "lifecycle"), decodeGetLifecycle, a.Buckets.GetLifecycle, encodeLifecycle)
	put.EventName, get.EventName = "PutBucketLifecycle", "GetBucketLifecycle"
	return []pipeline.Op{
		put, get,
		pipeline.Define("DeleteBucketLifecycle", 0, bucketRoute("DELETE", "lifecycle"), decodeDeleteLifecycle, a.Buckets.DeleteLifecycle, noContent),
	}
}

// minimumHeader says how small an object may be that changes its class.
const minimumHeader = "x-amz-transition-default-minimum-object-size"

// lifecycleXML is LifecycleConfiguration. An element that is not part of it is refused,
// not passed over: a misspelt filter would make a rule be about everything.
type lifecycleXML struct {
	Rules   []lifecycleRuleXML `xml:"Rule"`
	Unknown []unknownXML       `xml:",any"`
}

type lifecycleRuleXML struct {
	ID          []string                 `xml:"ID"`
	Status      []string                 `xml:"Status"`
	Prefix      []string                 `xml:"Prefix"`
	Filter      []lifecycleFilterXML     `xml:"Filter"`
	Expiration  []lifecycleExpirationXML `xml:"Expiration"`
	Transitions []lifecycleTransitionXML `xml:"Transition"`
	Noncurrent  []noncurrentXML          `xml:"NoncurrentVersionExpiration"`
	Moves       []noncurrentXML          `xml:"NoncurrentVersionTransition"`
	Abort       []struct {
		Days    []string     `xml:"DaysAfterInitiation"`
		Unknown []unknownXML `xml:",any"`
	} `xml:"AbortIncompleteMultipartUpload"`
	Unknown []unknownXML `xml:",any"`
}

type predicatesXML struct {
	Prefix  []string     `xml:"Prefix"`
	Tags    []tagXML     `xml:"Tag"`
	Greater []string     `xml:"ObjectSizeGreaterThan"`
	Less    []string     `xml:"ObjectSizeLessThan"`
	Unknown []unknownXML `xml:",any"`
}

type lifecycleFilterXML struct {
	And []predicatesXML `xml:"And"`
	predicatesXML
}

type lifecycleExpirationXML struct {
	Days    []string     `xml:"Days"`
	Date    []string     `xml:"Date"`
	Markers []string     `xml:"ExpiredObjectDeleteMarker"`
	Unknown []unknownXML `xml:",any"`
}

type lifecycleTransitionXML struct {
	Days    []string     `xml:"Days"`
	Date    []string     `xml:"Date"`
	Class   []string     `xml:"StorageClass"`
	Unknown []unknownXML `xml:",any"`
}

type noncurrentXML struct {
	Days    []string     `xml:"NoncurrentDays"`
	Newer   []string     `xml:"NewerNoncurrentVersions"`
	Class   []string     `xml:"StorageClass"`
	Unknown []unknownXML `xml:",any"`
}

// parseLifecycle reads a lifecycle configuration. What its values may be is core's to
// say. Fault: MalformedXML.
func parseLifecycle(b []byte) (l bucket.Lifecycle, err error) {
	var doc lifecycleXML
	if err := parseXML(b, "LifecycleConfiguration", &doc); err != nil {
		return l, err
	}
	if err := known(doc.Unknown); err != nil {
		return l, err
	}
	for i := range doc.Rules {
		r, err := doc.Rules[i].rule()
		if err != nil {
			return l, err
		}
		l.Rules = append(l.Rules, r)
	}
	return l, nil
}

func (x *lifecycleRuleXML) rule() (r bucket.LifecycleRule, err error) {
	if err := known(x.Unknown); err != nil {
		return r, err
	}
	if len(x.Status) != 1 || len(x.ID) > 1 || len(x.Prefix) > 1 || len(x.Filter) > 1 || len(x.Expiration) > 1 || len(x.Noncurrent) > 1 || len(x.Abort) > 1 {
		return r, malformedXML(errors.New("an element of a rule is missing, or comes twice"))
	}
	switch x.Status[0] {
	case "Enabled":
		r.Enabled = true
	case "Disabled":
	default:
		return r, malformedXML(fmt.Errorf("status %q", x.Status[0]))
	}
	for _, id := range x.ID {
		r.ID = id
	}
	for i := range x.Prefix {
		r.Prefix = &x.Prefix[i]
	}
	for i := range x.Filter {
		if r.Filter, err = x.Filter[i].filter(); err != nil {
			return r, err
		}
	}
	return r, x.actions(&r)
}

// actions adds what the rule does.
func (x *lifecycleRuleXML) actions(r *bucket.LifecycleRule) (err error) {
	for i := range x.Expiration {
		if r.Expiration, err = x.Expiration[i].expiration(); err != nil {
			return err
		}
	}
	for i := range x.Transitions {
		t, err := x.Transitions[i].transition()
		if err != nil {
			return err
		}
		r.Transitions = append(r.Transitions, t)
	}
	for i := range x.Noncurrent {
		e, class, err := x.Noncurrent[i].noncurrent()
		if err != nil {
			return err
		}
		if class != "" {
			return malformedXML(errors.New("a class that versions expire to"))
		}
		r.NoncurrentExpiration = &e
	}
	for i := range x.Moves {
		e, class, err := x.Moves[i].noncurrent()
		if err != nil {
			return err
		}
		r.NoncurrentTransitions = append(r.NoncurrentTransitions, bucket.NoncurrentTransition{NoncurrentExpiration: e, Class: class})
	}
	for i := range x.Abort {
		if err := known(x.Abort[i].Unknown); err != nil {
			return err
		}
		if r.AbortDays, err = atMostOne(x.Abort[i].Days, xmlInt); err != nil {
			return err
		}
		if r.AbortDays == nil {
			return malformedXML(errors.New("uploads end after no days"))
		}
	}
	return nil
}

// filter reads a filter, which has one predicate, or several in an And, or none.
func (x *lifecycleFilterXML) filter() (*bucket.LifecycleFilter, error) {
	f, n, err := x.predicates()
	if err != nil {
		return nil, err
	}
	if n+len(x.And) > 1 {
		return nil, malformedXML(errors.New("several predicates without And"))
	}
	if len(x.And) == 0 {
		return f, nil
	}
	f, n, err = x.And[0].predicates()
	if err == nil && n < 2 {
		err = malformedXML(errors.New("an And of less than two predicates"))
	}
	if err != nil {
		return nil, err
	}
	f.And = true
	return f, nil
}

// predicates reads what a filter, or an And in it, has, and counts it.
func (x *predicatesXML) predicates() (f *bucket.LifecycleFilter, n int, err error) {
	if err := known(x.Unknown); err != nil {
		return nil, 0, err
	}
	f = new(bucket.LifecycleFilter)
	if f.Prefix, err = atMostOne(x.Prefix, func(s string) (string, error) { return s, nil }); err != nil {
		return nil, 0, err
	}
	if len(x.Tags) > 0 {
		if f.Tags, err = tagsOf(x.Tags); err != nil {
			return nil, 0, err
		}
	}
	if f.Greater, err = atMostOne(x.Greater, xmlInt64); err != nil {
		return nil, 0, err
	}
	if f.Less, err = atMostOne(x.Less, xmlInt64); err != nil {
		return nil, 0, err
	}
	return f, len(x.Prefix) + len(x.Tags) + len(x.Greater) + len(x.Less), nil
}

func (x *lifecycleExpirationXML) expiration() (*bucket.LifecycleExpiration, error) {
	if err := known(x.Unknown); err != nil {
		return nil, err
	}
	var e bucket.LifecycleExpiration
	var err error
	if e.Days, err = atMostOne(x.Days, xmlInt); err != nil {
		return nil, err
	}
	if e.Date, err = atMostOne(x.Date, xmlDate); err != nil {
		return nil, err
	}
	e.Markers, err = atMostOne(x.Markers, xmlBool)
	return &e, err
}

func (x *lifecycleTransitionXML) transition() (t bucket.LifecycleTransition, err error) {
	if err := known(x.Unknown); err != nil {
		return t, err
	}
	if len(x.Class) != 1 {
		return t, malformedXML(errors.New("a transition without one class"))
	}
	t.Class = strings.TrimSpace(x.Class[0])
	if t.Days, err = atMostOne(x.Days, xmlInt); err != nil {
		return t, err
	}
	t.Date, err = atMostOne(x.Date, xmlDate)
	return t, err
}

// noncurrent reads an action on other versions; class is "" when there is none.
func (x *noncurrentXML) noncurrent() (e bucket.NoncurrentExpiration, class string, err error) {
	if err := known(x.Unknown); err != nil {
		return e, "", err
	}
	days, err := atMostOne(x.Days, xmlInt)
	if err == nil && days == nil {
		err = malformedXML(errors.New("no days"))
	}
	if err != nil {
		return e, "", err
	}
	e.Days = *days
	if e.Newer, err = atMostOne(x.Newer, xmlInt); err != nil {
		return e, "", err
	}
	c, err := atMostOne(x.Class, func(s string) (string, error) { return strings.TrimSpace(s), nil })
	if c != nil {
		class = *c
	}
	return e, class, err
}

// atMostOne reads an element that comes at most once.
func atMostOne[T any](found []string, parse func(string) (T, error)) (*T, error) {
	switch len(found) {
	case 0:
		return nil, nil
	case 1:
		v, err := parse(found[0])
		return &v, err
	}
	return nil, malformedXML(errors.New("an element comes twice"))
}

// xmlInt reads a number of a document, which has at most 32 bits.
func xmlInt(s string) (int, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 32)
	if err != nil {
		return 0, malformedXML(err)
	}
	return int(n), nil
}

func xmlInt64(s string) (int64, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil {
		return 0, malformedXML(err)
	}
	return n, nil
}

// xmlDate reads a date in one of the forms of ISO 8601 that clients write.
func xmlDate(s string) (time.Time, error) {
	s = strings.TrimSpace(s)
	for _, form := range []string{time.RFC3339, time.DateOnly} {
		t, err := time.Parse(form, s)
		if t = t.UTC(); err == nil && 0 <= t.Year() && t.Year() <= 9999 { // which can be written again
			return t, nil
		}
	}
	return time.Time{}, malformedXML(fmt.Errorf("%q is no date", s))
}

func decodePutLifecycle(c *pipeline.Call) (bucket.PutLifecycle, error) {
	in := bucket.PutLifecycle{Ref: bucketRef(c)}
	b, err := digested(c)
	if err != nil {
		return in, err
	}
	if in.Lifecycle, err = parseLifecycle(b); err != nil {
		return in, err
	}
	in.Lifecycle.Minimum = bucket.LifecycleMinimum(value(c, minimumHeader))
	auditLifecycle(c, &in.Lifecycle)
	return in, nil
}

func encodePutLifecycle(_ *pipeline.Call, m bucket.LifecycleMinimum) (*pipeline.Response, error) {
	h := make(http.Header)
	setHeader(h, minimumHeader, string(m))
	return &pipeline.Response{Status: http.StatusOK, Header: h}, nil
}

func decodeGetLifecycle(c *pipeline.Call) (bucket.GetLifecycle, error) {
	return bucket.GetLifecycle{Ref: bucketRef(c)}, nil
}

func encodeLifecycle(_ *pipeline.Call, l *bucket.Lifecycle) (*pipeline.Response, error) {
	r := xmlResponse(http.StatusOK, writeLifecycle(l))
	setHeader(r.Header, minimumHeader, string(l.MinimumSize()))
	return r, nil
}

func decodeDeleteLifecycle(c *pipeline.Call) (bucket.DeleteLifecycle, error) {
	return bucket.DeleteLifecycle{Ref: bucketRef(c)}, nil
}
