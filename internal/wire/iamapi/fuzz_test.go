// SPDX-License-Identifier: Apache-2.0

package iamapi

import (
	"net/url"
	"testing"
	"unicode/utf8"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/fault"
)

// FuzzDecode: any form gives a request that satisfies its tags, or a fault that this
// package names.
func FuzzDecode(f *testing.F) {
	f.Add("UserName=ann&Names.member.2=bob&Names.member.1=ann&Tags.member.1.Key=k&Tags.member.1.Value=&Cup.Size=3&MaxItems=7")
	f.Add("UserName=%ff&Names.member.-1=&.=&..=.&Names=")
	f.Add("UserName=a&UserName.member.1=a&Tags.member.1=&Cup=")
	f.Fuzz(func(t *testing.T, form string) {
		values := url.Values{}
		err := addParameters(values, form)
		var in brew
		if err == nil {
			err = decode(values, &in)
		}
		if err != nil {
			if e, ok := fault.As(err); !ok || e.Kind != iam.ValidationError && e.Kind != Malformed {
				t.Errorf("%q: %v", form, err)
			}
			return
		}
		if n := len(in.UserName); n < 1 || n > 8 || len(in.Names) > 3 || len(in.Tags) > 3 || in.MaxItems != nil && *in.MaxItems < 1 {
			t.Errorf("%q was taken: %+v", form, in)
		}
		for _, tag := range in.Tags {
			if tag.Key == "" || utf8.RuneCountInString(tag.Value) > 4 {
				t.Errorf("%q was taken: %+v", form, in)
			}
		}
	})
}
