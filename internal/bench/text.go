// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode/utf8"
)

// Text writes the report as tables.
func (r *Report) Text(w io.Writer) error {
	var b bytes.Buffer
	where, how := r.heading()
	b.WriteString(where + "\n" + how + "\n")
	width := 0
	for _, g := range r.Groups {
		for _, c := range g.Cells {
			width = max(width, utf8.RuneCountInString(c.Name))
		}
	}
	for _, g := range r.Groups {
		fmt.Fprintf(&b, "\n%s, %s\n", g.Name, count(g.Workers, "connection"))
		g.table(&b, width)
	}
	b.WriteString("\n" + legend)
	_, err := w.Write(b.Bytes())
	return err
}

const legend = `ops/s: median of the slices; ±: half of their range. CPU: processor time of a request in the process that serves, and in
the load generator. KMS: KMS requests per 1000 requests. 503s: requests that were throttled, not counted elsewhere. /X: requests per second against X. Lines with · are yardsticks.
`

// heading says where and how the run was, a line each.
func (r *Report) heading() (where, how string) {
	m := r.Machine
	parts := []string{count(m.Cores, "core"), m.OS + "/" + m.Arch, m.Go}
	if m.CPU != "" {
		parts = append([]string{m.CPU}, parts...)
	}
	if m.FileSystem != "" {
		parts = append(parts, m.FileSystem)
	}
	if m.Load != "" {
		parts = append(parts, "load "+m.Load+" before")
	}
	how = "server and load generator share it"
	if r.Endpoint != "" {
		how = "load generator for " + r.Endpoint
	}
	if r.KMSLatency != "0s" {
		how += "; KMS latency " + r.KMSLatency
	}
	if r.KMSQuota != 0 {
		how += fmt.Sprintf("; %d KMS requests a second allowed", r.KMSQuota)
	}
	return strings.Join(parts, ", "), fmt.Sprintf("%s; %d slices of %s; %s, %.0f s", how, r.Rounds, r.Slice, r.Started.Format("2006-01-02 15:04Z"), r.Seconds)
}

func (g Group) table(b *bytes.Buffer, width int) {
	// A first column of equal width stands left although all are set right.
	left := func(s string) string { return s + strings.Repeat(" ", width+2-utf8.RuneCountInString(s)) }
	var t bytes.Buffer
	w := tabwriter.NewWriter(&t, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, left(""), "\tops/s\t±\tMB/s\tp50 ms\tp99 ms\tCPU µs\tclient µs\tKMS\t")
	throttled := slices.ContainsFunc(g.Cells, func(c Cell) bool { return c.Throttled > 0 })
	if throttled {
		fmt.Fprint(w, "503s\t")
	}
	for _, name := range g.Against {
		fmt.Fprint(w, "/", name, "\t")
	}
	fmt.Fprintln(w)
	for _, c := range g.Cells {
		mark := "  "
		if c.Yardstick {
			mark = "· "
		}
		moved, kms := "", ""
		if c.MBPerSecond > 0 {
			moved = figure(c.MBPerSecond)
		}
		if c.KMSRequests != nil {
			kms = figure(float64(*c.KMSRequests) * 1000 / float64(c.Requests))
		} else if !c.Yardstick {
			kms = "?"
		}
		fmt.Fprintf(w, "%s\t%s\t%.0f %%\t%s\t%s\t%s\t%s\t%s\t%s\t", left(mark+c.Name), figure(c.OpsPerSecond), 100*c.Spread, moved,
			figure(c.P50), figure(c.P99), micros(c.CPUMicros), micros(c.ClientCPUMicros), kms)
		if throttled {
			fmt.Fprint(w, c.Throttled, "\t")
		}
		for _, name := range g.Against {
			if ratio, ok := c.Ratios[name]; ok {
				fmt.Fprintf(w, "%.2f", ratio)
			}
			fmt.Fprint(w, "\t")
		}
		fmt.Fprintln(w)
	}
	_ = w.Flush() // to memory
	for line := range strings.Lines(t.String()) {
		b.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
}

// figure writes a value with three digits, or as many as are before the point.
func figure(v float64) string {
	decimals := 0
	switch {
	case v == 0:
	case v < 1:
		decimals = 3
	case v < 10:
		decimals = 2
	case v < 100:
		decimals = 1
	}
	return strconv.FormatFloat(v, 'f', decimals, 64)
}

func micros(v *float64) string {
	if v == nil {
		return ""
	}
	return strconv.FormatFloat(*v, 'f', 0, 64)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
