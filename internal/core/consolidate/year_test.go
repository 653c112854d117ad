// SPDX-License-Identifier: Apache-2.0

package consolidate

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/kms"
)

var update = flag.Bool("update", false, "draw docs/consolidation.svg anew")

const (
	simulatedDays = 400
	requesters    = 20
	keysUsed      = 3
)

// year is what a simulated year comes to.
type year struct {
	cold    map[string]int // KMS requests of a reader of everything who knows nothing, by key
	left    map[string]int // generations in the end, by key
	perDay  []int          // generations under the first key, at the end of each day
	rewraps int            // of the data key that was re-wrapped most often
	objects int
	upkeep  int // uses of KMS keys by consolidation
}

// TestYear writes for 400 days, and then reads everything.
func TestYear(t *testing.T) {
	if testing.Short() {
		t.Skip("two years of writing")
	}
	var without, with year
	inTime(t, func(t *testing.T, w *world) { without = w.simulate(false) })
	inTime(t, func(t *testing.T, w *world) { with = w.simulate(true) })
	for _, n := range without.cold {
		if n < simulatedDays*3/4 {
			t.Errorf("a cold reader made %d KMS requests without consolidation: the simulation is too easy", n)
		}
	}
	for _, y := range []year{without, with} {
		if !maps.Equal(y.cold, y.left) {
			t.Errorf("a cold reader made %v KMS requests, want one for each generation: %v", y.cold, y.left)
		}
	}
	if most := slices.Max(with.perDay); most > 24 {
		t.Errorf("there were %d generations at the end of a day, want at most 24", most)
	}
	for key, n := range with.cold {
		if n > 24 {
			t.Errorf("a cold reader of everything made %d KMS requests under %s, want at most 24", n, key)
		}
	}
	if len(with.cold) != keysUsed || len(without.cold) != keysUsed {
		t.Errorf("%v, %v", with.cold, without.cold)
	}
	if with.rewraps > 4 || with.rewraps < 2 || without.rewraps != 0 {
		t.Errorf("a data key was re-wrapped %d times, want at most 4", with.rewraps)
	}
	t.Logf("%d objects; KMS requests of a cold reader: without %v, with %v; re-wraps at most %d; uses of KMS keys by upkeep: %d",
		with.objects, without.cold, with.cold, with.rewraps, with.upkeep)
	if *update {
		if err := os.WriteFile("../../../docs/consolidation.svg", []byte(chart(without.perDay, with.perDay)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *world) simulate(consolidating bool) year {
	w.bucket("")
	w.rows.set(func() { w.rows.rewrote = map[string]int{} })
	keys := make([]string, keysUsed)
	for i := range keys {
		keys[i] = w.key()
	}
	out := year{cold: map[string]int{}}
	for d := range simulatedDays {
		for n := range 6 { // each key twice a day
			w.put(requester(byte(out.objects%requesters)), name(d, n), underBucketKey(keys[n%keysUsed]))
			out.objects++
			time.Sleep(4 * time.Hour)
		}
		if i := d % 90; d > 0 && i < keysUsed {
			_, err := w.kms.RotateKeyOnDemand(w.t.Context(), alice, kms.KeyOnly{KeyId: keys[i]})
			w.must(err)
		}
		if consolidating {
			n, err := w.c.Sweep(w.t.Context())
			w.must(err)
			if n > 0 {
				w.done(w.work())
			}
		}
		out.perDay = append(out.perDay, w.generations()[keys[0]])
	}
	for _, n := range w.rows.rewrote {
		out.rewraps = max(out.rewraps, n-1) // the first one wrote it
	}
	out.left = w.generations()
	before := len(w.trail.records)
	out.upkeep = w.trail.count(func(r audit.Record) bool {
		return r.EventType == audit.TypeServiceEvent && strings.HasSuffix(r.EventName, "BucketKeyGeneration") && !named("DeleteBucketKeyGeneration")(r)
	})
	w.readable("in the end")
	for _, r := range w.trail.records[before:] {
		if ofS3(r) {
			out.cold[r.Resources[0].ARN]++
		}
	}
	return out
}

// chart draws generations by day, without and with consolidation.
func chart(without, with []int) string {
	const width, height, left, top = 760, 340, 60, 40
	const plotW, plotH = width - left - 110, height - top - 60
	highest := 0
	for _, n := range without {
		highest = max(highest, n)
	}
	highest = (highest + 99) / 100 * 100
	x := func(day int) float64 { return left + plotW*float64(day)/float64(len(without)-1) }
	y := func(n int) float64 { return top + plotH*(1-float64(n)/float64(highest)) }
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`, width, height)
	p(`<title>Bucket key generations under one KMS key, by day</title>`)
	p(`<rect width="%d" height="%d" fill="#fff"/>`, width, height)
	p(`<text x="%d" y="20" font-size="14">A cold reader's KMS requests per KMS key, without and with consolidation</text>`, left)
	for n := 0; n <= highest; n += 100 {
		p(`<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/>`, left, left+plotW, y(n), y(n))
		p(`<text x="%d" y="%.1f" text-anchor="end" fill="#444">%d</text>`, left-8, y(n)+4, n)
	}
	for d := 0; d < len(without); d += 50 {
		p(`<text x="%.1f" y="%d" text-anchor="middle" fill="#444">%d</text>`, x(d), top+plotH+18, d)
	}
	p(`<text x="%d" y="%d" text-anchor="middle" fill="#444">days of writing</text>`, left+plotW/2, top+plotH+40)
	for _, line := range []struct {
		of          []int
		name, color string
	}{{without, "without", "#b3261e"}, {with, "with", "#1a5fb4"}} {
		points := make([]string, len(line.of))
		for d, n := range line.of {
			points[d] = fmt.Sprintf("%.1f,%.1f", x(d), y(n))
		}
		last := line.of[len(line.of)-1]
		p(`<polyline fill="none" stroke="%s" stroke-width="2" points="%s"/>`, line.color, strings.Join(points, " "))
		p(`<text x="%d" y="%.1f" fill="%s">%s: %d</text>`, left+plotW+6, y(last)+4, line.color, line.name, last)
	}
	p(`</svg>`)
	return b.String()
}
