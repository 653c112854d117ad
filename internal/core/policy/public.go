// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"net/netip"
	"slices"
)

// Public reports whether a bucket's policy is public in the sense of Block Public
// Access (S3 User Guide, "The meaning of public"): one of its statements allows
// something to everyone, and no condition of it binds a key that says who asks, or
// from where, to fixed values. What denies makes a policy no less public.
func (d *Document) Public() bool {
	return slices.ContainsFunc(d.statements, func(st statement) bool {
		return !st.deny && !st.idle && (st.notPrincipal || st.principals != nil && st.principals.everyone) &&
			!slices.ContainsFunc(st.conditions, pins)
	})
}

// pinning are the keys that make a statement not public when they have fixed values.
var pinning = map[string]bool{
	"aws:principalarn": true, "aws:principalaccount": true, "aws:principalorgid": true, "aws:principalorgpaths": true,
	"aws:principalservicename": true, "aws:sourcearn": true, "aws:sourceorgid": true, "aws:sourceorgpaths": true,
	"aws:sourcevpc": true, "aws:sourcevpce": true, "aws:sourceowner": true, "aws:sourceaccount": true, "aws:userid": true,
	"s3:x-amz-server-side-encryption-aws-kms-key-id": true, "s3:dataaccesspointarn": true, "s3:dataaccesspointaccount": true,
	"aws:sourceip": true,
}

// pins reports whether a condition holds only for fixed values of a key that pins. Those
// that also hold without the key do not.
func pins(c condition) bool {
	if !pinning[c.key] || c.negated || c.ifExists || c.over == forAll {
		return false
	}
	for i := range c.values {
		if !c.fixed(&c.values[i]) {
			return false
		}
	}
	return true
}

func (c *condition) fixed(o *operand) bool {
	switch c.family {
	case address:
		return o.ok && c.key == "aws:sourceip" && narrow(o.network)
	case stringExact, stringFold, stringLike, arnLike:
		if c.key == "aws:sourceip" || o.pattern.parts != nil {
			return false
		}
		if c.key == "s3:dataaccesspointarn" {
			// The name of the access point may be anything, its account not.
			p, ok := segments(o.pattern.text)
			return ok && p[4] != "" && wildcard(p[4]) < 0
		}
		return !o.pattern.wild
	}
	return false
}

// narrow: a wider network is as good as everybody's.
func narrow(p netip.Prefix) bool {
	if p.Addr().Is4() {
		return p.Bits() >= 8
	}
	return p.Bits() >= 32
}
