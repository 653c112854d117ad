// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"net/http"

	"github.com/cofferstore/coffer/internal/core/object"
)

// setExpiration says when an object expires, and by which rule.
func setExpiration(h http.Header, e object.Expiry) {
	if e.Rule == "" {
		return
	}
	setHeader(h, "x-amz-expiration", `expiry-date="`+e.Time.Format(http.TimeFormat)+`", rule-id="`+headerText(e.Rule)+`"`)
}

// setAbortion says when an upload is given up, and by which rule.
func setAbortion(h http.Header, e object.Expiry) {
	if e.Rule == "" {
		return
	}
	setHeader(h, "x-amz-abort-date", e.Time.Format(http.TimeFormat))
	setHeader(h, "x-amz-abort-rule-id", headerText(e.Rule))
}

// headerText percent-encodes what cannot stand in quotes in a header, and nothing else:
// S3 sends the ids of rules as they are.
func headerText(s string) string {
	const hex = "0123456789ABCDEF"
	var b []byte
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' {
			b = append(b, '%', hex[c>>4], hex[c&15])
		} else {
			b = append(b, c)
		}
	}
	return string(b)
}
