// SPDX-License-Identifier: Apache-2.0

package s3api

import "github.com/cofferstore/coffer/internal/core/bucket"

var analyticsForm = configurationForm[bucket.Analytics]{
	noun: "Analytics", subresource: "analytics",
	root: "AnalyticsConfiguration", listing: "ListBucketAnalyticsConfigurationResult",
	parse: parseAnalytics, write: writeAnalytics,
}

func parseAnalytics(s *schema, n *node) (a bucket.Analytics) {
	s.only(n, "Id", "Filter", "StorageClassAnalysis")
	a.ID = s.word(n, "Id")
	a.Filter = s.filter(n, false)
	analysis := s.one(n, "StorageClassAnalysis")
	s.only(analysis, "DataExport")
	export := s.maybe(analysis, "DataExport")
	if export == nil {
		return a
	}
	s.only(export, "OutputSchemaVersion", "Destination")
	to := s.one(export, "Destination")
	s.only(to, "S3BucketDestination")
	to = s.one(to, "S3BucketDestination")
	s.only(to, "Format", "BucketAccountId", "Bucket", "Prefix")
	a.Export = &bucket.AnalyticsExport{
		Schema: s.word(export, "OutputSchemaVersion"), Format: s.word(to, "Format"),
		Account: s.optional(to, "BucketAccountId"), Bucket: s.word(to, "Bucket"), Prefix: s.optional(to, "Prefix"),
	}
	return a
}

func writeAnalytics(x *markup, a *bucket.Analytics) {
	x.element("Id", a.ID)
	x.filter(a.Filter)
	x.open("StorageClassAnalysis")
	if e := a.Export; e != nil {
		x.open("DataExport")
		x.element("OutputSchemaVersion", e.Schema)
		x.open("Destination")
		x.open("S3BucketDestination")
		x.element("Format", e.Format)
		x.optional("BucketAccountId", e.Account)
		x.element("Bucket", e.Bucket)
		x.optional("Prefix", e.Prefix)
		x.close("S3BucketDestination")
		x.close("Destination")
		x.close("DataExport")
	}
	x.close("StorageClassAnalysis")
}
