// SPDX-License-Identifier: Apache-2.0

package s3api

import "github.com/cofferstore/coffer/internal/core/bucket"

var tieringForm = configurationForm[bucket.Tiering]{
	noun: "IntelligentTiering", subresource: "intelligent-tiering",
	root: "IntelligentTieringConfiguration", listing: "ListBucketIntelligentTieringConfigurationsOutput",
	parse: parseTiering, write: writeTiering,
}

func parseTiering(s *schema, n *node) (t bucket.Tiering) {
	s.only(n, "Id", "Filter", "Status", "Tiering")
	t.ID = s.word(n, "Id")
	t.Filter = s.filter(n, false)
	t.Status = s.word(n, "Status")
	for _, tier := range s.all(n, "Tiering") {
		s.only(tier, "Days", "AccessTier")
		t.Tiers = append(t.Tiers, bucket.Tier{Access: s.word(tier, "AccessTier"), Days: s.number(tier, "Days")})
	}
	return t
}

func writeTiering(x *markup, t *bucket.Tiering) {
	x.element("Id", t.ID)
	x.filter(t.Filter)
	x.element("Status", t.Status)
	for _, tier := range t.Tiers {
		x.open("Tiering")
		x.number("Days", int64(tier.Days))
		x.element("AccessTier", tier.Access)
		x.close("Tiering")
	}
}
