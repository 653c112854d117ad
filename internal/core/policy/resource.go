// SPDX-License-Identifier: Apache-2.0

package policy

import "strings"

// resource is a pattern of Resource or NotResource.
type resource struct {
	all     bool // "*"
	pattern pattern
	written string
}

// newResource reads "*" or an ARN, in which wildcards may stand after the service, and
// variables in the sixth part.
func newResource(text string, variables bool) (resource, flaw) {
	if text == "*" {
		return resource{all: true, written: text}, fine
	}
	parts := strings.SplitN(text, ":", 6)
	if len(parts) < 3 || parts[0] != "arn" {
		return resource{}, resourceForm
	}
	if parts[1] == "*" {
		// A * of the whole pattern would run on beyond its part.
		parts[1] = "aws"
	}
	if parts[1] != "aws" && !strings.HasPrefix(parts[1], "aws-") {
		return resource{}, resourcePartition
	}
	if parts[2] == "" || strings.ContainsAny(parts[2], "*?$") {
		return resource{}, resourceService
	}
	if len(parts) < 6 && (len(parts) == 3 || !strings.HasSuffix(text, "*")) {
		return resource{}, resourceForm
	}
	whole := strings.Join(parts, ":")
	from := -1
	if variables && len(parts) == 6 {
		from = len(whole) - len(parts[5])
	}
	p, err := prepare(whole, true, from)
	if err != nil {
		return resource{}, variableInvalid
	}
	return resource{pattern: p, written: whole}, fine
}

func (r *resource) matches(arn string, c Context) bool {
	return r.all || r.pattern.matches(arn, c)
}

// within reports whether the pattern is of a bucket: its own ARN, that with a * after
// it, or what is below it. A bucket's policy cannot speak of anything else.
func (r *resource) within(bucket string) bool {
	if r.all {
		return false
	}
	if bucket == "" {
		return strings.HasPrefix(r.written, "arn:aws:s3:::")
	}
	rest, ok := strings.CutPrefix(r.written, bucket)
	return ok && (rest == "" || rest[0] == '/' || rest[0] == '*')
}

// place says what kinds of S3 resources the pattern may match.
func (r *resource) place() place {
	name, _, object := strings.Cut(strings.TrimPrefix(r.written, "arn:aws:s3:::"), "/")
	switch {
	case object:
		return onObject
	case r.all, strings.HasSuffix(name, "*"):
		return onBucket | onObject
	}
	return onBucket
}
