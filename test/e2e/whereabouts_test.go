// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"testing"

	"github.com/cofferstore/coffer/test/coffertest"
)

// Where a bucket is, is told to those who may not use it and to those who signed for
// another Region: SDKs ask before they can sign, or without signing.
func TestWhereABucketIs(t *testing.T) {
	s := start(t)
	s.Bucket("here", "", "", false)
	s.Put("here", "a", "x")
	far := func(r request) request { r.region = "eu-west-1"; return r }
	nobody := func(r request) request { r.anonymous = true; return r }
	impostor := func(r request) request { r.secret = "another secret of some length"; return r }
	head, list, list2 := request{method: "HEAD", target: "/here"}, request{method: "GET", target: "/here"}, request{method: "GET", target: "/here?list-type=2"}
	for _, c := range []struct {
		name   string
		call   request
		status int
		told   string
	}{
		{"its owner", head, 200, coffertest.Region},
		{"signed for another region", far(head), 400, coffertest.Region},
		{"not signed", nobody(head), 403, coffertest.Region},
		{"signed with another secret", impostor(head), 403, coffertest.Region},
		{"of another owner", request{method: "HEAD", target: "/here", headers: []string{"X-Amz-Expected-Bucket-Owner", otherAccount}}, 403, coffertest.Region},
		{"a listing", list, 200, coffertest.Region},
		{"a listing of version 2", list2, 200, coffertest.Region},
		{"a listing that is not signed", nobody(list), 403, coffertest.Region},
		{"an object, signed for another region", far(request{method: "HEAD", target: "/here/a"}), 400, ""},
		{"an object", request{method: "HEAD", target: "/here/a"}, 200, ""},
		{"no bucket", request{method: "HEAD", target: "/nowhere"}, 404, ""},
		{"no bucket, signed for another region", far(request{method: "HEAD", target: "/nowhere"}), 400, ""},
	} {
		if a := c.call.do(s); a.status != c.status || a.header.Get("X-Amz-Bucket-Region") != c.told {
			t.Errorf("%s: %d, told %q; want %d, %q", c.name, a.status, a.header.Get("X-Amz-Bucket-Region"), c.status, c.told)
		}
	}
}
