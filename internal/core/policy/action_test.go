// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"strings"
	"testing"
	"unsafe"
)

// An action may be part of a request's body, which must not be held with it.
func TestActionsHoldNoBodies(t *testing.T) {
	body := strings.Repeat("x", 1000) + "&Action=s3:getobjectofnobody"
	action := body[strings.IndexByte(body, '=')+1:]
	for range 2 {
		l := lower(action)
		if l.whole != action || l.service != "s3" || l.name != "getobjectofnobody" {
			t.Errorf("%+v", l)
		}
		if unsafe.StringData(l.whole) == unsafe.StringData(action) {
			t.Error("what is remembered is part of the body")
		}
	}
}
