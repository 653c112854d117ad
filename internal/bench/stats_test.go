// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"math"
	"testing"
	"time"
)

func TestMedianAndSpread(t *testing.T) {
	for _, test := range []struct {
		values         []float64
		median, spread float64
	}{
		{[]float64{7}, 7, 0},
		{[]float64{4, 1, 100}, 4, 99.0 / 8},
		{[]float64{8, 2, 4, 6}, 5, 0.6},
	} {
		before := test.values[0]
		if got := median(test.values); got != test.median {
			t.Errorf("median(%v) = %v, want %v", test.values, got, test.median)
		}
		if got := spread(test.values); got != test.spread {
			t.Errorf("spread(%v) = %v, want %v", test.values, got, test.spread)
		}
		if test.values[0] != before {
			t.Errorf("the caller's values were sorted: %v", test.values)
		}
	}
	if !math.IsNaN(median(nil)) || !math.IsNaN(spread(nil)) {
		t.Error("the median or spread of nothing is a number")
	}
}

func TestQuantile(t *testing.T) {
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(i+1))
	}
	for _, test := range []struct {
		of   []time.Duration
		q    float64
		want time.Duration
	}{
		{hundred, 0.5, 50}, {hundred, 0.99, 99}, {hundred, 1, 100}, {hundred, 0, 1},
		{hundred[:3], 0.5, 2}, {hundred[:1], 0.99, 1}, {nil, 0.5, 0},
	} {
		if got := quantile(test.of, test.q); got != test.want {
			t.Errorf("quantile of %d values at %v = %d, want %d", len(test.of), test.q, got, test.want)
		}
	}
}

// TestDriftDoesNotMoveRatios is why ratios are taken within rounds: here the
// machine halves its speed in every round.
func TestDriftDoesNotMoveRatios(t *testing.T) {
	a := []float64{800, 400, 200}
	b := []float64{1600, 800, 400}
	if got := pairedRatio(a, b); got != 0.5 {
		t.Errorf("ratio %v, want 0.5", got)
	}
}
