// SPDX-License-Identifier: Apache-2.0

package audit

import "strings"

// Hidden stands in records where a secret was: CloudTrail's own marker.
const Hidden = "HIDDEN_DUE_TO_SECURITY_REASONS"

// WithoutPassword returns a value as records may have it: what stands between the colon
// and the @ of a URL in it is hidden, for that is a password.
func WithoutPassword(v string) string {
	var shown strings.Builder
	at, done := 0, 0 // v is shown up to done
	for {
		i := strings.Index(v[at:], "://")
		if i < 0 {
			break
		}
		at += i + len("://")
		authority := v[at:]
		if end := strings.IndexAny(authority, "/?# \"'<>"); end >= 0 {
			authority = authority[:end]
		}
		user, _, has := cutLast(authority, '@')
		if !has {
			continue
		}
		if name, _, has := strings.Cut(user, ":"); has {
			shown.WriteString(v[done : at+len(name)+1])
			shown.WriteString(Hidden)
			done = at + len(user)
		}
	}
	if done == 0 {
		return v
	}
	shown.WriteString(v[done:])
	return shown.String()
}

func cutLast(s string, sep byte) (before, after string, found bool) {
	if i := strings.LastIndexByte(s, sep); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}
