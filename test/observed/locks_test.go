// SPDX-License-Identifier: Apache-2.0

package observed

import (
	"strings"
	"testing"
	"time"
)

func TestLocks(t *testing.T) {
	s := start(t)
	// locked makes a bucket with Object Lock.
	locked := func(r *row) string {
		name := "row-" + strings.ReplaceAll(r.number, ".", "-") + "-locked"
		r.ok(200, r.do("PUT", "/"+name, "", "x-amz-bucket-object-lock-enabled", "true"))
		return name
	}
	until := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	lock := func(mode string) []string {
		return []string{"x-amz-object-lock-mode", mode, "x-amz-object-lock-retain-until-date", until, "x-amz-checksum-crc32", "jNwWgw=="}
	}
	const body = "x"
	retention := "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>" + until + "</RetainUntilDate></Retention>"
	s.row("8.7", "an object under a lock keeps its encryption", func(r *row) {
		b, key := locked(r), r.s.Key()
		for name, headers := range map[string][]string{
			"compliance": lock("COMPLIANCE"), "governance": lock("GOVERNANCE"), "hold": {"x-amz-object-lock-legal-hold", "ON", "x-amz-checksum-crc32", "jNwWgw=="},
		} {
			r.put("/"+b+"/"+name, body, headers...)
			r.err(r.do("PUT", "/"+b+"/"+name+"?encryption", updateTo(key, "true")), 403, "AccessDenied", "")
		}
		r.ok(200, r.do("PUT", "/"+b+"/hold?legal-hold", "<LegalHold><Status>OFF</Status></LegalHold>"))
		r.ok(200, r.do("PUT", "/"+b+"/hold?encryption", updateTo(key, "true")))
	})
	s.row("15.8", "versioning of a bucket with Object Lock", func(r *row) {
		r.err(r.do("PUT", "/"+locked(r)+"?versioning", versioning("Suspended")), 409, "InvalidBucketState", "")
	})
	s.row("15.11", "deleting a version under a lock", func(r *row) {
		b := locked(r)
		for _, headers := range [][]string{lock("COMPLIANCE"), lock("GOVERNANCE"), {"x-amz-object-lock-legal-hold", "ON", "x-amz-checksum-crc32", "jNwWgw=="}} {
			v := r.put("/"+b+"/k", body, headers...).header.Get("x-amz-version-id")
			r.err(r.do("DELETE", "/"+b+"/k?versionId="+v, ""), 403, "AccessDenied", "Access Denied because object protected by object lock.")
		}
		r.ok(204, r.do("DELETE", "/"+b+"/k", "")) // a marker
	})
	s.row("15.12", "no lock", func(r *row) {
		b, with := r.bucket(), locked(r)
		const missing = "Bucket is missing Object Lock Configuration"
		r.put("/"+b+"/k", "x")
		r.err(r.do("PUT", "/"+b+"/k?retention", retention), 400, "InvalidRequest", missing)
		r.err(r.do("GET", "/"+b+"/k?retention", ""), 400, "InvalidRequest", missing)
		r.err(r.do("PUT", "/"+b+"/k?legal-hold", "<LegalHold><Status>ON</Status></LegalHold>"), 400, "InvalidRequest", missing)
		r.err(r.do("GET", "/"+b+"/k?legal-hold", ""), 400, "InvalidRequest", missing)
		r.put("/"+with+"/k", "x")
		r.err(r.do("GET", "/"+with+"/k?retention", ""), 404, "NoSuchObjectLockConfiguration", "")
		r.err(r.do("GET", "/"+with+"/k?legal-hold", ""), 404, "NoSuchObjectLockConfiguration", "")
		r.err(r.do("GET", "/"+b+"?object-lock", ""), 404, "ObjectLockConfigurationNotFoundError", "", "BucketName="+b)
	})
}
