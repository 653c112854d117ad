// SPDX-License-Identifier: Apache-2.0

package e2e

import "testing"

// TestRecordsOfLocks: Object Lock's own events, and what others say of locks.
func TestRecordsOfLocks(t *testing.T) {
	t.Parallel()
	s := start(t)
	g := records(s, "s3-locks")
	g.row("CreateBucket, with Object Lock", func() { g.s3("PUT", "/locks", "", "X-Amz-Bucket-Object-Lock-Enabled", "true") })
	locking := `<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>`
	byDefault := `<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>`
	g.row("PutObjectLockConfiguration", func() { g.s3("PUT", "/locks?object-lock", byDefault, withDigest(byDefault)...) })
	g.row("PutObjectLockConfiguration, without a default retention", func() { g.s3("PUT", "/locks?object-lock", locking, withDigest(locking)...) })
	g.row("GetObjectLockConfiguration", func() { g.s3("GET", "/locks?object-lock", "") })
	s.Bucket("plain", "", "", false)
	g.row("PutObjectLockConfiguration, a bucket without versioning", func() { g.s3("PUT", "/plain?object-lock", locking, withDigest(locking)...) })
	version := g.s3("PUT", "/locks/k", "x").header.Get("X-Amz-Version-Id")
	retention := `<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2100-01-01T00:00:00Z</RetainUntilDate></Retention>`
	g.row("PutObjectRetention", func() { g.s3("PUT", "/locks/k?retention", retention, withDigest(retention)...) })
	g.row("GetObjectRetention", func() { g.s3("GET", "/locks/k?retention", "") })
	hold := `<LegalHold><Status>OFF</Status></LegalHold>`
	g.row("PutObjectLegalHold, of a version", func() { g.s3("PUT", "/locks/k?legal-hold&versionId="+version, hold, withDigest(hold)...) })
	g.row("GetObjectLegalHold", func() { g.s3("GET", "/locks/k?legal-hold", "") })
	g.row("DeleteObject, of a locked version", func() { g.s3("DELETE", "/locks/k?versionId="+version, "") })
	g.row("DeleteObject, of a locked version, bypassed", func() {
		g.s3("DELETE", "/locks/k?versionId="+version, "", "X-Amz-Bypass-Governance-Retention", "true")
	})
	g.row("PutObject, locked", func() {
		g.s3("PUT", "/locks/k", "x", append(withDigest("x"), "X-Amz-Object-Lock-Mode", "GOVERNANCE", "X-Amz-Object-Lock-Retain-Until-Date", "2100-01-01T00:00:00Z")...)
	})
	g.done()
}
