// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"fmt"
	"html"
	"io"
)

// Measures of the chart, in pixels.
const (
	chartPad    = 16
	chartColumn = 490 // a column of groups
	chartNames  = 150 // names of cells, left of the bars
	chartValues = 160 // values, right of the longest bar
	chartBar    = 14
	chartLine   = 20 // a cell
	chartHead   = 30 // a group's title
	chartGap    = 14 // below a group
	chartTop    = 76
)

// chartStyle has colours that can be read on white and on black, and text that
// follows the reader's choice.
const chartStyle = `text{font:12px system-ui,sans-serif;fill:#57606a}
.t{font-weight:600}.h{font-size:15px;font-weight:600}.v{font-variant-numeric:tabular-nums}
.m0{fill:#3b82c4}.m1{fill:#d9822b}.m2{fill:#2f9e74}.y{fill:#8b949e;fill-opacity:.55}
@media(prefers-color-scheme:dark){text{fill:#b1bac4}}`

// SVG writes the report as a chart: a bar for each cell, as long as its requests
// per second are to the largest of its group.
func (r *Report) SVG(w io.Writer) error {
	columns, height := layOut(r.Groups)
	width := chartPad + len(columns)*chartColumn
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" aria-label="Requests per second">`+"\n", width, height, width, height)
	fmt.Fprintf(&b, "<style>%s</style>\n", chartStyle)
	where, how := r.heading()
	fmt.Fprintf(&b, `<text class="h" x="%d" y="26">Requests per second</text>`+"\n", chartPad)
	fmt.Fprintf(&b, `<text x="%d" y="46">%s</text><text x="%d" y="62">%s</text>`+"\n", chartPad, html.EscapeString(where), chartPad, html.EscapeString(how))
	for i, groups := range columns {
		y := chartTop
		for _, g := range groups {
			g.draw(&b, chartPad+i*chartColumn, y)
			y += g.height()
		}
	}
	b.WriteString("</svg>\n")
	_, err := w.Write(b.Bytes())
	return err
}

func (g Group) height() int { return chartHead + len(g.Cells)*chartLine + chartGap }

// layOut puts groups into two columns, in order, and returns the height of all.
func layOut(groups []Group) (columns [][]Group, height int) {
	total := 0
	for _, g := range groups {
		total += g.height()
	}
	columns = [][]Group{nil}
	tall, tallest := 0, 0
	for _, g := range groups {
		// Half of the group over the middle is still nearer to it than none.
		if len(columns) == 1 && tall > 0 && tall+g.height()/2 > total/2 {
			columns, tall = append(columns, nil), 0
		}
		last := len(columns) - 1
		columns[last] = append(columns[last], g)
		tall += g.height()
		tallest = max(tallest, tall)
	}
	return columns, chartTop + tallest
}

func (g Group) draw(b *bytes.Buffer, x, y int) {
	most, fastest := 0.0, 0.0
	for _, c := range g.Cells {
		most, fastest = max(most, c.OpsPerSecond), max(fastest, c.MBPerSecond)
	}
	// Where objects are small, bytes say nothing that requests do not.
	inBytes := fastest >= 150
	fmt.Fprintf(b, `<text class="t" x="%d" y="%d">%s</text>`+"\n", x, y+chartHead-12, html.EscapeString(g.Name))
	for i, c := range g.Cells {
		at := y + chartHead + i*chartLine
		class := "y"
		if !c.Yardstick {
			class = fmt.Sprintf("m%d", modeNamed(c.Name))
		}
		length := 0.0
		if most > 0 {
			length = c.OpsPerSecond / most * (chartColumn - chartNames - chartValues)
		}
		fmt.Fprintf(b, `<text x="%d" y="%d">%s</text><rect class="%s" x="%d" y="%d" width="%.1f" height="%d" rx="2"/>`,
			x, at+chartBar-3, html.EscapeString(c.Name), class, x+chartNames, at, max(length, 1), chartBar)
		value := figure(c.OpsPerSecond)
		if inBytes {
			value += " · " + figure(c.MBPerSecond) + " MB/s"
		}
		fmt.Fprintf(b, `<text class="v" x="%.1f" y="%d">%s</text>`+"\n", float64(x+chartNames)+max(length, 1)+5, at+chartBar-3, html.EscapeString(value))
	}
}

// modeNamed returns which of the server's modes has the name, so that each has
// its colour in every group.
func modeNamed(name string) int {
	for _, who := range []contender{sseKMS, bucketKey, oneUser, manyUsers} {
		if who.name() == name {
			return int(min(who, bucketKey))
		}
	}
	return int(sseS3)
}
