// SPDX-License-Identifier: Apache-2.0

package preflight

import (
	"slices"
	"strings"

	"github.com/cofferstore/coffer/internal/aws"
)

// target is the bucket, and what its contexts are without and with Bucket Keys.
type target struct {
	name   string
	bucket string // the context with a Bucket Key
	prefix string // that every object's context begins with
	key    string
}

func targetOf(in *Input) target {
	arn := aws.BucketARN(in.Bucket)
	if key, ok := aws.ParseARN(in.Key); ok { // arn:aws-cn, arn:aws-us-gov
		arn = "arn:" + key.Partition + ":s3:::" + in.Bucket
	}
	return target{name: in.Bucket, bucket: arn, prefix: arn + "/", key: in.Key}
}

// isKey reports whether a key may be the one that is asked about. It is named by its
// ARN, or by its id alone in files that do not say more.
func (t *target) isKey(key string) bool {
	return t.key == "" || key == "" || key == t.key || strings.HasSuffix(t.key, "/"+key)
}

// truth is what a clause says, before its negation.
type truth struct {
	some, all bool // it matches some object of the bucket; all of them
	bucket    bool // it matches the bucket
	unsure    bool // a variable alone decides whether it matches the bucket
}

func (t *target) truth(c *clause, variables bool) (out truth) {
	values := c.values.strings()
	for _, whole := range values {
		v, bucket, prefix, ok := t.comparable(whole, c.kind)
		if !ok || variables && t.paired(whole, values) {
			continue
		}
		p := parsePattern(v, c.kind.equal, variables)
		out.some = out.some || matchesSome(p, prefix)
		out.all = out.all || matchesAll(p, prefix)
		must := matches(p, bucket, false)
		out.bucket = out.bucket || must
		out.unsure = out.unsure || !must && matches(p, bucket, true)
	}
	out.unsure = out.unsure && !out.bucket
	return out
}

// comparable returns the parts of a value and of the contexts that are yet to be
// compared; ok is false when the value can match neither.
func (t *target) comparable(v string, op operator) (value, bucket, prefix string, ok bool) {
	bucket, prefix = t.bucket, t.prefix
	if op.fold {
		// The variables' names are not in question here, and keys keep their case: it is
		// only asked whether some match.
		return strings.ToLower(v), strings.ToLower(bucket), strings.ToLower(prefix), true
	}
	if !op.arn {
		return v, bucket, prefix, true
	}
	have, want := strings.SplitN(v, ":", 6), strings.SplitN(bucket, ":", 6)
	if len(have) != 6 {
		return "", "", "", false
	}
	for i := range 5 {
		if !matches(parsePattern(have[i], false, false), want[i], false) {
			return "", "", "", false
		}
	}
	return have[5], want[5], want[5] + "/", true
}

// verdict is what becomes of a statement.
type verdict struct {
	effect Effect
	// fix are the clauses that get the bucket's ARN; none when no value that is added
	// does it.
	fix    []int
	widens bool
	unsure bool // a variable decides
}

// judge says what becomes of a statement with clauses; effect "" is nothing.
func (t *target) judge(s *statement, variables bool) (v verdict) {
	if len(s.clauses) == 0 {
		return v
	}
	all := make([]truth, len(s.clauses))
	for i := range s.clauses {
		all[i] = t.truth(&s.clauses[i], variables)
		switch w, negated := all[i], s.clauses[i].kind.negated; {
		case !negated && !w.some && !w.bucket, negated && w.all && w.bucket:
			return verdict{} // it is not about this bucket
		case w.unsure:
			v.unsure = true
		}
	}
	if v.unsure {
		return v
	}
	// positive are clauses that match objects and not the bucket, negated likewise;
	// named are those that hold for the bucket, or do not, since it is named alone.
	var positive, negated, named []int
	holds, mixed := true, false
	for i, w := range all {
		if s.clauses[i].kind.negated {
			holds = holds && !w.bucket
			mixed = mixed || w.some && !w.all
			switch {
			case w.some && !w.bucket:
				negated = append(negated, i)
			case w.bucket && !w.some && !s.deny:
				named = append(named, i)
			}
			continue
		}
		holds = holds && w.bucket
		mixed = mixed || w.some && !w.all
		switch {
		case w.some && !w.bucket:
			positive = append(positive, i)
		case w.bucket && !w.some && s.deny:
			named = append(named, i)
		}
	}
	covering := func(fix []int) bool { return slices.ContainsFunc(fix, func(i int) bool { return all[i].all }) }
	switch {
	case !s.deny && !holds && len(positive) > 0:
		v.effect, v.fix, v.widens = StopsAllowing, positive, mixed || len(negated) > 0
		if len(named) > 0 { // it does not hold for the bucket in any case
			v.fix = nil
		}
	case !s.deny && !holds && len(named) > 0:
		v.effect = StopsAllowing
	case !s.deny && holds && len(negated) > 0:
		v.effect = StartsAllowing
		if covering(negated) {
			v.fix = negated
		}
	case s.deny && holds && len(negated) > 0:
		v.effect, v.fix, v.widens = StartsDenying, negated, !covering(negated)
	case s.deny && holds && len(named) > 0:
		v.effect = StartsDenying
	case s.deny && !holds && len(positive) > 0:
		v.effect = StopsDenying
		if !mixed && len(negated) == 0 {
			v.fix = positive
		}
	}
	return v
}

// paired reports whether a value with a variable in the place of the bucket's name
// stands for both contexts together with another of the values.
func (t *target) paired(v string, values []string) bool {
	return slices.ContainsFunc(values, func(other string) bool {
		twin, ok := t.twin(other, true)
		return ok && strings.Contains(twin, "${") && (other == v && slices.Contains(values, twin) || twin == v)
	})
}
