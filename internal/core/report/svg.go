// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/chart"
)

// Measures of the chart, in pixels.
const (
	chartWidth  = 960
	chartHeight = 430
	plotLeft    = 76
	plotRight   = 940
	plotTop     = 136
	plotBottom  = 380
	markRows    = 3  // of names of switches, above the plot
	markLine    = 16 // one of them
	barLeast    = 3  // what a bar is wide at least, with its gap
)

// SVG writes the series as a chart: a bar for each interval, of the requests made and, on
// top of them, those avoided; and a line at each switch.
func (r *Report) SVG(w io.Writer) error {
	what := "all buckets, and outside of S3"
	if r.Bucket != "" {
		what = "bucket " + r.Bucket
	}
	c := chart.New(chartWidth, chartHeight, "KMS requests made and avoided")
	x := r.axis()
	c.Text("h", 16, 26, chart.Start, "KMS requests, made and avoided: "+shorten(what, 80))
	c.Text("", 16, 46, chart.Start, r.summary())
	c.Text("", 16, 62, chart.Start, fmt.Sprintf("%s to %s, by %s (UTC)", x.from.Format(clock), x.to.Format(clock), x.name))
	c.Bar("m1", 700, 52, 12, 12, 2, "")
	c.Text("", 718, 62, chart.Start, "made")
	c.Bar("m2", 770, 52, 12, 12, 2, "")
	c.Text("", 788, 62, chart.Start, "avoided by Bucket Keys")
	bars := x.bars(r.Series)
	most := int64(0)
	for _, b := range bars {
		most = max(most, b.Made+b.Avoided)
	}
	ticks := chart.Ticks(most)
	scale := (plotBottom - plotTop) / float64(ticks[len(ticks)-1])
	for _, n := range ticks {
		y := plotBottom - float64(n)*scale
		c.Line("g", plotLeft, y, plotRight, y)
		c.Text("v", plotLeft-8, y+4, chart.End, Grouped(n))
	}
	x.label(c)
	for _, b := range bars {
		left, right := x.at(b.Start), min(x.at(b.Start.Add(x.step)), plotRight)
		wide := max(right-left-1, 1)
		tip := fmt.Sprintf("%s: %s made, %s avoided", b.Start.Format(clock), Grouped(b.Made), Grouped(b.Avoided))
		// What is there can be seen, however little of the whole it is.
		made := seen(float64(b.Made) * scale)
		avoided := seen(float64(b.Avoided) * scale)
		if b.Made > 0 {
			c.Bar("m1", left, plotBottom-made, wide, made, 0, tip)
		}
		if b.Avoided > 0 {
			c.Bar("m2", left, plotBottom-made-avoided, wide, avoided, 0, tip)
		}
	}
	r.marks(c, x)
	return c.Write(w)
}

const clock = "2006-01-02 15:04"

func seen(height float64) float64 {
	if height > 0 {
		return max(height, 2)
	}
	return 0
}

// summary says what the chart amounts to.
func (r *Report) summary() string {
	if r.Total.Made+r.Total.Avoided == 0 {
		return "no KMS requests in this time"
	}
	return fmt.Sprintf("%s made, %s avoided: %s fewer; %s instead of %s at $%s per 10,000", Grouped(r.Total.Made), Grouped(r.Total.Avoided),
		Percent(r.Total.Saved()), Dollars(r.Cost), Dollars(r.Cost+r.CostAvoided), strconv.FormatFloat(r.Price, 'f', -1, 64))
}

// axis is the time axis: some intervals to a bar, so that each can be seen.
type axis struct {
	from, to time.Time
	step     time.Duration
	name     string // of a step
}

func (r *Report) axis() axis {
	interval := r.Interval.length()
	a := axis{from: r.Since, to: r.Until, name: string(r.Interval)}
	if len(r.Series) > 0 && a.from.IsZero() {
		a.from = r.Series[0].Start
	}
	if a.from.IsZero() {
		a.from = a.to.Add(-interval)
	}
	a.from = a.from.Truncate(interval)
	if end := a.to.Truncate(interval); end.Before(a.to) {
		a.to = end.Add(interval)
	}
	count := int64(a.to.Sub(a.from) / interval)
	group := max(1, (count*barLeast+plotRight-plotLeft-1)/(plotRight-plotLeft))
	a.step = time.Duration(group) * interval
	if group > 1 {
		a.name = fmt.Sprintf("%d %ss", group, r.Interval)
	}
	return a
}

func (a axis) at(t time.Time) float64 {
	part := float64(t.Sub(a.from)) / float64(max(a.to.Sub(a.from), 1))
	return plotLeft + math.Max(0, math.Min(1, part))*(plotRight-plotLeft)
}

// bars adds points up that share a bar.
func (a axis) bars(series []Point) (out []Point) {
	for _, p := range series {
		if p.Start.Before(a.from) || !p.Start.Before(a.to) || p.Counts == (Counts{}) {
			continue
		}
		start := a.from.Add(p.Start.Sub(a.from) / a.step * a.step)
		if len(out) == 0 || !out[len(out)-1].Start.Equal(start) {
			out = append(out, Point{Start: start})
		}
		out[len(out)-1].add(p.Counts)
	}
	return out
}

// label writes times below the plot, where there is room for them.
func (a axis) label(c *chart.Chart) {
	c.Line("g", plotLeft, plotBottom, plotRight, plotBottom)
	format, apart := "2006-01-02", 24*time.Hour
	span := a.to.Sub(a.from)
	for _, d := range []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour} {
		if span/d <= 8 {
			format, apart = "01-02 15:04", d
			break
		}
	}
	for span/apart > 8 {
		apart += 24 * time.Hour
	}
	taken := 0.0 // by the text before
	for t := a.from.Truncate(apart); !t.After(a.to); t = t.Add(apart) {
		if t.Before(a.from) {
			continue
		}
		x := a.at(t)
		c.Line("g", x, plotBottom, x, plotBottom+5)
		text := t.Format(format)
		wide := chart.Width(text)
		left := min(x-wide/2, plotRight-wide)
		if left < taken {
			continue
		}
		taken = left + wide + 4
		c.Text("v", left, plotBottom+20, chart.Start, text)
	}
}

// mark is a switch of a bucket's default.
type mark struct {
	at   time.Time
	name string
}

// marks draws a line at each switch, with its name above where there is room for it.
func (r *Report) marks(c *chart.Chart, x axis) {
	var all []mark
	for _, b := range r.Buckets {
		for i, p := range b.Phases {
			if p.EventName == "" || p.EventName == "CreateBucket" || i == 0 && p.From.Before(x.from) {
				continue
			}
			name := "Bucket Key " + p.BucketKey
			if r.Bucket == "" {
				name += ": " + shorten(b.Bucket, 30)
			}
			all = append(all, mark{p.From, name})
		}
	}
	slices.SortFunc(all, func(a, b mark) int { return a.at.Compare(b.at) })
	var ends [markRows]float64 // of the last name in each row
	for _, m := range all {
		at := x.at(m.at)
		top := float64(plotTop - 4)
		left, wide := at+4, chart.Width(m.name)
		if left+wide > plotRight {
			left = at - 4 - wide
		}
		for row := range ends {
			if left < ends[row] {
				continue
			}
			ends[row] = left + wide + 8
			base := float64(plotTop - 10 - row*markLine)
			top = base - 10
			c.Text("", left, base, chart.Start, m.name)
			break
		}
		c.Line("s", at, top, at, plotBottom)
	}
}

func shorten(s string, most int) string {
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return s
}

// Grouped writes a number with commas.
func Grouped(n int64) string {
	digits := strconv.FormatInt(n, 10)
	var out strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 && digits[i-1] != '-' {
			out.WriteByte(',')
		}
		out.WriteRune(d)
	}
	return out.String()
}

// Percent writes a part of one. What is less than all is not written as all.
func Percent(part float64) string {
	return strconv.FormatFloat(math.Floor(part*1e4+1e-6)/100, 'f', -1, 64) + " %"
}

// Dollars writes an amount with cents, and with as many digits as a small one needs.
func Dollars(amount float64) string {
	switch {
	case amount == 0 || amount >= 1:
		return fmt.Sprintf("$%.2f", amount)
	case amount >= 0.01:
		return fmt.Sprintf("$%.4f", amount)
	}
	return "$" + strconv.FormatFloat(amount, 'f', max(2, int(-math.Floor(math.Log10(amount)))+1), 64)
}
