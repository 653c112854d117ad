// SPDX-License-Identifier: Apache-2.0

package observed

import (
	"testing"
)

func TestRules(t *testing.T) {
	s := start(t)
	s.row("15.15", "lifecycle: none, malformed, and a date in the day", func(r *row) {
		b := r.bucket()
		rule := func(action string) string {
			return "<LifecycleConfiguration><Rule><ID>r</ID><Filter/><Status>Enabled</Status>" + action + "</Rule></LifecycleConfiguration>"
		}
		r.err(r.do("GET", "/"+b+"?lifecycle", ""), 404, "NoSuchLifecycleConfiguration", "", "BucketName="+b)
		r.err(r.do("PUT", "/"+b+"?lifecycle", "<LifecycleConfiguration><Rule>"), 400, "MalformedXML", "")
		r.err(r.do("PUT", "/"+b+"?lifecycle", rule("<Expiration><Date>2030-01-01T10:00:00Z</Date></Expiration>")), 400, "InvalidArgument", "'Date' must be at midnight GMT", "ArgumentName=Date")
		r.ok(200, r.do("PUT", "/"+b+"?lifecycle", rule("<Expiration><Date>2030-01-01T00:00:00Z</Date></Expiration>")))
	})
	const version = "Versioning must be 'Enabled' on the bucket to apply a replication configuration"
	s.row("15.21", "replication: none, and without versions", func(r *row) {
		b, to, v := r.bucket(), r.bucket(), r.versioned()
		rule := "<ReplicationConfiguration><Role>arn:aws:iam::000000000001:role/r</Role><Rule><ID>r</ID><Status>Enabled</Status><Priority>1</Priority><Filter/><DeleteMarkerReplication><Status>Disabled</Status></DeleteMarkerReplication>" +
			"<Destination><Bucket>arn:aws:s3:::" + to + "</Bucket></Destination></Rule></ReplicationConfiguration>"
		r.err(r.do("GET", "/"+b+"?replication", ""), 404, "ReplicationConfigurationNotFoundError", "", "BucketName="+b)
		r.err(r.do("PUT", "/"+b+"?replication", rule), 400, "InvalidRequest", version)
		r.err(r.do("PUT", "/"+v+"?replication", rule), 400, "InvalidRequest", "Destination bucket must have versioning enabled.")
	})
}
