// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/xml"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/chart"
)

type element struct {
	XMLName xml.Name
	Class   string    `xml:"class,attr"`
	Anchor  string    `xml:"text-anchor,attr"`
	X       float64   `xml:"x,attr"`
	Y       float64   `xml:"y,attr"`
	X1      float64   `xml:"x1,attr"`
	Width   float64   `xml:"width,attr"`
	Height  float64   `xml:"height,attr"`
	Text    string    `xml:",chardata"`
	Inside  []element `xml:",any"`
}

func chartOf(t *testing.T, r *Report) (root element) {
	t.Helper()
	var b strings.Builder
	if err := r.SVG(&b); err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal([]byte(b.String()), &root); err != nil {
		t.Fatalf("%v in\n%s", err, &b)
	}
	return root
}

// fits checks that nothing is outside of the picture, and no two texts are on each other.
func fits(t *testing.T, root element) {
	t.Helper()
	type span struct{ from, to, y float64 }
	var texts []span
	for _, e := range root.Inside {
		switch e.XMLName.Local {
		case "rect":
			if e.X < 0 || e.Y < plotTop && e.Class != "m1" && e.Class != "m2" || e.X+e.Width > chartWidth || e.Y+e.Height > plotBottom+0.1 {
				t.Errorf("a bar is outside: %+v", e)
			}
		case "text":
			s := span{e.X, e.X + chart.Width(e.Text), e.Y}
			switch e.Anchor {
			case "middle":
				s.from, s.to = e.X-(s.to-s.from)/2, e.X+(s.to-s.from)/2
			case "end":
				s.from, s.to = e.X-(s.to-s.from), e.X
			}
			if e.Class == "h" {
				s.to = s.from + (s.to-s.from)*15/12
			}
			if s.from < 0 || s.to > chartWidth || s.y > chartHeight {
				t.Errorf("%q is outside: %v", e.Text, s)
			}
			for _, o := range texts {
				if o.y == s.y && s.from < o.to && o.from < s.to {
					t.Errorf("%q is on another text", e.Text)
				}
			}
			texts = append(texts, s)
		}
	}
}

func TestChart(t *testing.T) {
	for name, c := range map[string]struct {
		days int
		q    Query
	}{
		"an hour":          {0, Query{Since: noon.Add(-time.Minute), Until: noon.Add(time.Hour)}},
		"a week":           {7, Query{Since: noon, Until: noon.AddDate(0, 0, 7)}},
		"two months":       {60, Query{Since: noon, Until: noon.AddDate(0, 0, 60)}},
		"ten years":        {3650, Query{Until: noon.AddDate(10, 0, 0)}},
		"an empty bucket":  {1, Query{Bucket: "none", Since: noon, Until: noon.AddDate(0, 0, 7)}},
		"an empty century": {0, Query{Bucket: "none", Until: noon.AddDate(100, 0, 0)}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for d := range c.days + 1 {
				if d > 0 {
					w.now = noon.AddDate(0, 0, d)
				}
				w.kms("Decrypt", fmt.Sprint(d), photos, "g")
				for i := range 3 {
					w.s3("GetObject", fmt.Sprint(d, i), "photos", under("g"))
				}
				if d < 20 {
					w.encryption(fmt.Sprintf("a-bucket-with-a-name-that-is-as-long-as-names-of-buckets-get-%02d", d), d%2 == 0)
				}
				w.encryption("photos", d%3 == 0)
			}
			r := w.report(c.q)
			r.SetPrice(123456.789)
			root := chartOf(t, r)
			fits(t, root)
			var bars, made float64
			for _, e := range root.Inside {
				if e.XMLName.Local == "rect" && e.Width != 12 {
					bars++
					if e.Class == "m1" {
						made += e.Height
					}
				}
			}
			if (r.Total.Made > 0) != (made > 0) || bars > plotRight-plotLeft {
				t.Errorf("%v bars, those of what was made are %v high together; total %+v", bars, made, r.Total)
			}
		})
	}
}

func TestFigures(t *testing.T) {
	for got, want := range map[string]string{
		Grouped(0): "0", Grouped(999): "999", Grouped(1000): "1,000", Grouped(-1234567): "-1,234,567",
		Percent(0): "0 %", Percent(1): "100 %", Percent(0.999999): "99.99 %", Percent(0.5): "50 %", Percent(2.0 / 3): "66.66 %",
		Dollars(0): "$0.00", Dollars(0.000003): "$0.0000030", Dollars(0.03): "$0.0300", Dollars(1234.5): "$1234.50",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
