// SPDX-License-Identifier: Apache-2.0

package object

import (
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/fault"
)

// WriteCondition is what a write demands of the current version. Empty members
// demand nothing. Values are as the client sent them.
type WriteCondition struct{ IfMatch, IfNoneMatch string }

// check faults a condition that S3 does not support on writes.
func (c WriteCondition) check() error {
	unsupported := func(header, message string) error {
		return fault.New(ConditionUnsupported, "A header you provided implies functionality that is not implemented").
			With("Header", header).With("additionalMessage", message)
	}
	switch {
	case c.IfMatch != "" && c.IfNoneMatch != "":
		return unsupported("If-Match,If-None-Match", "Multiple conditional request headers present in the request")
	case c.IfNoneMatch != "" && c.IfNoneMatch != "*":
		return unsupported("If-None-Match", "We don't accept the provided value of If-None-Match header for this API")
	case c.IfMatch == "*":
		return unsupported("If-Match", "We don't accept the provided value of If-Match header for this API")
	}
	return nil
}

func (c WriteCondition) empty() bool { return c == WriteCondition{} }

// holds evaluates the condition; r is the current version of the key or nil. A
// delete marker counts as no object.
func (c WriteCondition) holds(key string, r *record) error {
	exists := r != nil && !r.Marker
	switch {
	case c.IfNoneMatch == "*" && exists:
		return failed("If-None-Match")
	case c.IfMatch != "" && !exists:
		return fault.New(NoSuchKey, "").With("Key", key)
	case c.IfMatch != "" && unquote(c.IfMatch) != r.ETag:
		return failed("If-Match")
	}
	return nil
}

func failed(condition string) error {
	return fault.New(PreconditionFailed, "").With("Condition", condition)
}

// ReadCondition is what a read demands of the version it finds. Zero members
// demand nothing.
type ReadCondition struct {
	IfMatch, IfNoneMatch               string
	IfModifiedSince, IfUnmodifiedSince time.Time
}

// holds evaluates the condition in the order of RFC 9110, section 13.2.2, which
// S3 follows: a given If-Match makes If-Unmodified-Since moot, a given
// If-None-Match makes If-Modified-Since moot.
func (c ReadCondition) holds(r *record) error {
	return c.evaluate(r, "", NotModified)
}

// holdsForCopy is holds for a copy source: every miss is PreconditionFailed, and
// conditions bear the names of their copy-source headers.
func (c ReadCondition) holdsForCopy(r *record) error {
	return c.evaluate(r, "x-amz-copy-source-", PreconditionFailed)
}

func (c ReadCondition) evaluate(r *record, prefix string, unmodified fault.Kind) error {
	modified := r.modified().Truncate(time.Second) // HTTP dates have no fractions
	switch {
	case c.IfMatch != "":
		if !matches(c.IfMatch, r.ETag) {
			return failed(prefix + "If-Match")
		}
	case !c.IfUnmodifiedSince.IsZero() && modified.After(c.IfUnmodifiedSince):
		return failed(prefix + "If-Unmodified-Since")
	}
	hit, name := false, ""
	switch {
	case c.IfNoneMatch != "":
		hit, name = matches(c.IfNoneMatch, r.ETag), "If-None-Match"
	case !c.IfModifiedSince.IsZero() && !c.IfModifiedSince.After(time.Now()): // a time to come says nothing
		hit, name = !modified.After(c.IfModifiedSince), "If-Modified-Since"
	}
	if !hit {
		return nil
	}
	if unmodified == NotModified {
		return fault.New(NotModified, "").With("ETag", r.ETag)
	}
	return failed(prefix + name)
}

// matches reports whether a list of entity tags, with or without quotes, names
// the ETag.
func matches(list, etag string) bool {
	for tag := range strings.SplitSeq(list, ",") {
		if tag = unquote(tag); tag == "*" || tag == etag {
			return true
		}
	}
	return false
}

func unquote(tag string) string {
	tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
	return strings.Trim(tag, `"`)
}
