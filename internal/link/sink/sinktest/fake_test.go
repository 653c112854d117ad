// SPDX-License-Identifier: Apache-2.0

package sinktest

import (
	"errors"
	"testing"
)

func TestFake(t *testing.T) {
	Run(t, func(*testing.T) Harness {
		f := NewFake("fake")
		return Harness{Sink: f, Inbox: &f.inbox, Down: func(down bool) {
			if down {
				f.Answer(func(int) (int, error) { return 0, errors.New("down") })
			} else {
				f.Answer(nil)
			}
		}}
	})
}
