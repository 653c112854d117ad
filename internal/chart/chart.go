// SPDX-License-Identifier: Apache-2.0

// Package chart is what charts in SVG have in common: how they look, and how text, bars and
// lines are written.
package chart

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"math"
	"strconv"
)

// style has colours that can be read on white and on black, and text that follows the
// reader's choice. Classes of text: t a title within, h the chart's title, v numbers. Of
// bars: m0, m1, m2, and y for what is only compared with. Of lines: g the grid, s a mark.
const style = `text{font:12px system-ui,sans-serif;fill:#57606a}
.t{font-weight:600}.h{font-size:15px;font-weight:600}.v{font-variant-numeric:tabular-nums}
.m0{fill:#3b82c4}.m1{fill:#d9822b}.m2{fill:#2f9e74}.y{fill:#8b949e;fill-opacity:.55}
.g{stroke:#8b949e;stroke-opacity:.3}.s{stroke:#3b82c4;stroke-width:1.5;stroke-dasharray:4 3}
@media(prefers-color-scheme:dark){text{fill:#b1bac4}}`

// Chart is a picture being drawn. Measures are in pixels from the upper left corner.
type Chart struct{ b bytes.Buffer }

// New returns an empty picture. The label says what it shows to those who do not see it.
func New(width, height int, label string) *Chart {
	c := new(Chart)
	fmt.Fprintf(&c.b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" aria-label="%s">`+"\n<style>%s</style>\n",
		width, height, width, height, html.EscapeString(label), style)
	return c
}

// Anchor is which end of a text stands at its place.
type Anchor string

// The anchors.
const (
	Start  Anchor = ""
	Middle Anchor = "middle"
	End    Anchor = "end"
)

// Text writes a line of text on a base line.
func (c *Chart) Text(class string, x, y float64, anchor Anchor, text string) {
	c.b.WriteString("<text")
	if class != "" {
		fmt.Fprintf(&c.b, ` class="%s"`, class)
	}
	if anchor != Start {
		fmt.Fprintf(&c.b, ` text-anchor="%s"`, anchor)
	}
	fmt.Fprintf(&c.b, ` x="%s" y="%s">%s</text>`+"\n", pixels(x), pixels(y), html.EscapeString(text))
}

// Bar draws a filled rectangle, with corners of a radius. What tip says is shown to who
// points at it; "" is nothing.
func (c *Chart) Bar(class string, x, y, width, height, radius float64, tip string) {
	fmt.Fprintf(&c.b, `<rect class="%s" x="%s" y="%s" width="%s" height="%s"`, class, pixels(x), pixels(y), pixels(width), pixels(height))
	if radius > 0 {
		fmt.Fprintf(&c.b, ` rx="%s"`, pixels(radius))
	}
	if tip == "" {
		c.b.WriteString("/>\n")
		return
	}
	fmt.Fprintf(&c.b, "><title>%s</title></rect>\n", html.EscapeString(tip))
}

// Line draws a line.
func (c *Chart) Line(class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(&c.b, `<line class="%s" x1="%s" y1="%s" x2="%s" y2="%s"/>`+"\n", class, pixels(x1), pixels(y1), pixels(x2), pixels(y2))
}

// Write ends the picture.
func (c *Chart) Write(w io.Writer) error {
	c.b.WriteString("</svg>\n")
	_, err := w.Write(c.b.Bytes())
	return err
}

// Width estimates how wide a text of class v or of none is, rather too wide than too narrow.
func Width(text string) float64 { return 6.8 * float64(len([]rune(text))) }

// Ticks returns round numbers from 0 on, two to six of them, of which the last is not less
// than most.
func Ticks(most int64) []int64 {
	step, factor := int64(1), 0
	for 5*step < most { // 1, 2, 5, 10, …
		factor = (factor + 1) % 3
		step = [...]int64{step * 2, step * 2, step / 2 * 5}[factor]
	}
	ticks := []int64{0, step}
	for ticks[len(ticks)-1] < most {
		ticks = append(ticks, ticks[len(ticks)-1]+step)
	}
	return ticks
}

func pixels(x float64) string {
	return strconv.FormatFloat(math.Round(x*10)/10, 'f', -1, 64)
}
