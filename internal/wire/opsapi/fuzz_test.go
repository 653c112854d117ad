// SPDX-License-Identifier: Apache-2.0

package opsapi

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// FuzzAuditParameters: what is asked of the audit trail is understood whole or not at
// all.
func FuzzAuditParameters(f *testing.F) {
	for _, query := range []string{
		"kms=1&since=2026-03-04T05:00:00Z&limit=3&follow=0", "limit=-1", "limit=1&limit=2", "X-Amz-Date=x", "other", "kms=true", "since=",
		"limit=99999999999999999999", "",
	} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		values, err := url.ParseQuery(query)
		if err != nil {
			return // the road refuses it
		}
		in, err := decodeReadAudit(&pipeline.Call{Request: &http.Request{}, Query: values})
		if err != nil {
			if bad, ok := fault.As(err); !ok || bad.Kind != InvalidParameter {
				t.Errorf("%q: %v", query, err)
			}
			return
		}
		since, _ := time.Parse(time.RFC3339, values.Get("since"))
		if in.filter.KMSOnly != (values.Get("kms") == "1") || in.follow != (values.Get("follow") == "1") || !in.filter.Since.Equal(since) || in.filter.Limit < 0 {
			t.Errorf("%q is understood as %+v", query, in)
		}
	})
}
