// SPDX-License-Identifier: Apache-2.0

package website

import (
	"testing"

	"github.com/cofferstore/coffer/internal/core/bucket"
)

// Which rule is for which request, and where it leads.
func TestRoutes(t *testing.T) {
	text := func(s string) *string { return &s }
	site := bucket.Website{Rules: []bucket.RoutingRule{
		{Condition: &bucket.RoutingCondition{Prefix: text("img/"), Status: 404}, Redirect: bucket.Redirect{Host: "resize", Status: 302, Prefix: text("r?key=")}},
		{Condition: &bucket.RoutingCondition{Prefix: text("docs/")}, Redirect: bucket.Redirect{Prefix: text("")}},
		{Condition: &bucket.RoutingCondition{Prefix: text("docs/old/")}, Redirect: bucket.Redirect{Key: text("never")}},
		{Condition: &bucket.RoutingCondition{Status: 403}, Redirect: bucket.Redirect{Key: text("login"), Protocol: "https"}},
	}}
	for _, c := range []struct {
		key    string
		status int
		want   Redirect // without a status: none
	}{
		{"img/a", 0, Redirect{}},
		{"img/a", 404, Redirect{Status: 302, Host: "resize", Replaced: "r?key=", Rest: "a"}},
		{"img/a", 403, Redirect{Status: 301, Protocol: "https", Replaced: "login"}},
		{"docs/old/a", 0, Redirect{Status: 301, Rest: "old/a"}},
		{"docs", 0, Redirect{}},
		{"other", 404, Redirect{}},
		{"", 0, Redirect{}},
	} {
		rule := site.Route(c.key, c.status)
		switch {
		case rule == nil:
			if c.want.Status != 0 {
				t.Errorf("%q with %d: no rule", c.key, c.status)
			}
		case *routed(rule, c.key) != c.want:
			t.Errorf("%q with %d: %+v, want %+v", c.key, c.status, *routed(rule, c.key), c.want)
		}
	}
	all := bucket.RoutingRule{Redirect: bucket.Redirect{Prefix: text("new/")}}
	if got := *routed(&all, "a"); got != (Redirect{Status: 301, Replaced: "new/", Rest: "a"}) {
		t.Errorf("a rule for all: %+v", got)
	}
}
