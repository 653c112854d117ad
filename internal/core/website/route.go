// SPDX-License-Identifier: Apache-2.0

package website

import (
	"strings"

	"github.com/cofferstore/coffer/internal/core/bucket"
)

// routed redirects a request for a key by a rule.
func routed(r *bucket.RoutingRule, key string) *Redirect {
	prefix := ""
	if r.Condition != nil && r.Condition.Prefix != nil {
		prefix = *r.Condition.Prefix
	}
	return redirect(&r.Redirect, prefix, key)
}

// redirect redirects a request for a key that begins with prefix.
func redirect(to *bucket.Redirect, prefix, key string) *Redirect {
	r := &Redirect{Status: to.Status, Host: to.Host, Protocol: to.Protocol, Rest: key}
	if r.Status == 0 {
		r.Status = movedPermanently
	}
	switch {
	case to.Key != nil:
		r.Replaced, r.Rest = *to.Key, ""
	case to.Prefix != nil:
		r.Replaced, r.Rest = *to.Prefix, strings.TrimPrefix(key, prefix)
	}
	return r
}
