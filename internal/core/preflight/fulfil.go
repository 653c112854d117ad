// SPDX-License-Identifier: Apache-2.0

package preflight

import (
	"slices"
	"strings"

	"github.com/cofferstore/coffer/internal/core/policy"
)

// context returns the condition keys of a request through S3 for which a statement's
// other conditions hold.
func (w *witness) context(s *statement) policy.Values {
	v := policy.Values{
		"kms:viaservice": {"s3.us-east-1.amazonaws.com"}, "kms:encryptioncontextkeys": {pair}, "kms:calleraccount": {w.account},
		"aws:viaawsservice": {"true"}, "aws:securetransport": {"true"}, "aws:principalaccount": {w.account}, "aws:sourceip": {"203.0.113.7"},
		"aws:currenttime": {"2026-01-02T03:04:05Z"}, "kms:grantoperations": {"Decrypt"},
	}
	if condition := s.node.get("Condition"); condition != nil && condition.kind == '{' {
		for i, name := range condition.names {
			if keys := condition.values[i]; keys.kind == '{' {
				for j, key := range keys.names {
					w.fulfil(v, name, strings.ToLower(key), keys.values[j].strings())
				}
			}
		}
	}
	for name, value := range w.vars {
		if _, ok := v[name]; !ok {
			v[name] = []string{value}
		}
	}
	return v
}

// fulfil gives a key a value for which a condition holds. What is absent fulfils the
// negated operators.
func (w *witness) fulfil(v policy.Values, operator, key string, values []string) {
	if key == contextKey || len(values) == 0 {
		return
	}
	operator = strings.TrimSuffix(operator[strings.LastIndexByte(operator, ':')+1:], "IfExists")
	first := values[0]
	switch {
	case operator == "Null" && strings.EqualFold(first, "true"), strings.Contains(operator, "Not"):
		delete(v, key)
	case operator == "Null":
		if len(v[key]) == 0 {
			v[key] = []string{witnessName}
		}
	case strings.HasPrefix(operator, "String"), strings.HasPrefix(operator, "Arn"):
		equal := strings.HasPrefix(operator, "StringEquals")
		if have := v[key]; len(have) == 1 && slices.ContainsFunc(values, func(p string) bool { return matches(parsePattern(p, equal, false), have[0], false) }) {
			return
		}
		value := w.instance(parsePattern(first, equal, w.p.variables))
		v[key] = []string{value}
		if _, ok := w.vars[key]; ok {
			w.vars[key] = value
		}
	case operator == "IpAddress":
		v[key] = []string{address(first)}
	case strings.HasPrefix(operator, "Date") && strings.Contains(operator, "LessThan"):
		v[key] = []string{"1970-01-02T00:00:00Z"}
	case strings.HasPrefix(operator, "Date") && strings.Contains(operator, "GreaterThan"):
		v[key] = []string{"2999-01-01T00:00:00Z"}
	case strings.HasSuffix(operator, "LessThan"):
		v[key] = []string{"-999999999"}
	case strings.HasSuffix(operator, "GreaterThan"):
		v[key] = []string{"999999999"}
	default:
		v[key] = []string{first}
	}
}

// address returns an address of a range.
func address(cidr string) string {
	a, _, _ := strings.Cut(cidr, "/")
	return a
}
