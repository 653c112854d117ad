// SPDX-License-Identifier: Apache-2.0

package eventtest

import "testing"

func TestFake(t *testing.T) {
	Run(t, func(*testing.T) Harness {
		f := NewFake("fake", 10)
		return Harness{Target: f, Came: f.Bodies, Down: f.Down}
	})
}
