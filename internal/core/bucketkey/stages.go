// SPDX-License-Identifier: Apache-2.0

package bucketkey

import (
	"math/rand/v2"
	"time"
)

// stages is how long the stages of a generation's life last, counted from the one
// before: all in proportion to its window.
type stages struct {
	window  time.Duration // takes new wraps
	slack   time.Duration // between the clocks of nodes; it only delays rolling over
	stale   time.Duration // past the window: a request this slow takes a new generation
	closing time.Duration // past the window: no request is as slow. Safety does not rest on it
}

// stagesOf returns the stages for a window; 0 is [Window].
func stagesOf(window time.Duration) stages {
	if window <= 0 {
		window = Window
	}
	of := func(d time.Duration) time.Duration {
		return time.Duration(float64(d) * (float64(window) / float64(Window)))
	}
	return stages{window: window, slack: of(windowSlack), stale: of(staleAfter), closing: of(closing)}
}

// length is that of one generation's window: nodes that begin together do not all
// roll over together.
func (s stages) length() time.Duration {
	return time.Duration(float64(s.window) * (0.9 + 0.2*rand.Float64())).Truncate(time.Millisecond)
}
