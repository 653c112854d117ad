// SPDX-License-Identifier: Apache-2.0

package sequence

import (
	"math"
	"testing"
)

func TestPlacesOnlyGoUp(t *testing.T) {
	var c Clock
	a := c.Next()
	if b := c.Next(); b <= a {
		t.Errorf("%d behind %d", b, a)
	}
	c.AtLeast(a)
	if c.Last() <= a {
		t.Error("a place that is past set the clock back")
	}
	const far = math.MaxUint64 / 2 // a clock that was set back since
	c.AtLeast(far)
	if c.Next() != far+1 || c.Next() != far+2 || c.Last() != far+2 {
		t.Error("places are not behind those of before")
	}
}
