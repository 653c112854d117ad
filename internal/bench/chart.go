// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"io"

	"github.com/cofferstore/coffer/internal/chart"
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

// SVG writes the report as a chart: a bar for each cell, as long as its requests
// per second are to the largest of its group.
func (r *Report) SVG(w io.Writer) error {
	columns, height := layOut(r.Groups)
	width := chartPad + len(columns)*chartColumn
	c := chart.New(width, height, "Requests per second")
	where, how := r.heading()
	c.Text("h", chartPad, 26, chart.Start, "Requests per second")
	c.Text("", chartPad, 46, chart.Start, where)
	c.Text("", chartPad, 62, chart.Start, how)
	for i, groups := range columns {
		y := chartTop
		for _, g := range groups {
			g.draw(c, chartPad+i*chartColumn, y)
			y += g.height()
		}
	}
	return c.Write(w)
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

func (g Group) draw(to *chart.Chart, x, y int) {
	most, fastest := 0.0, 0.0
	for _, c := range g.Cells {
		most, fastest = max(most, c.OpsPerSecond), max(fastest, c.MBPerSecond)
	}
	// Where objects are small, bytes say nothing that requests do not.
	inBytes := fastest >= 150
	to.Text("t", float64(x), float64(y+chartHead-12), chart.Start, g.Name)
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
		length = max(length, 1)
		base := float64(at + chartBar - 3)
		to.Text("", float64(x), base, chart.Start, c.Name)
		to.Bar(class, float64(x+chartNames), float64(at), length, chartBar, 2, "")
		value := figure(c.OpsPerSecond)
		if inBytes {
			value += " · " + figure(c.MBPerSecond) + " MB/s"
		}
		to.Text("v", float64(x+chartNames)+length+5, base, chart.Start, value)
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
