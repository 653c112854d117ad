// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// sample is a report of a group with figures that are easy to follow.
func sample() *Report {
	g := &group{name: "PUT <4> KiB", size: 4096, moved: 4096, workers: 16, rounds: 2}
	add := func(who contender, kms usage, rates ...int) {
		c := &cell{group: g, who: who, kms: kms, client: func() usage { return usage{} }}
		for _, n := range rates {
			c.slices = append(c.slices, slice{requests: n, wall: time.Second, served: usage{cpu: 0.5, ok: kms.ok}, sent: usage{cpu: 0.1, ok: true}})
			c.next.Add(int64(n))
			for i := range n {
				c.took = append(c.took, time.Duration(n-i)*10*time.Microsecond)
			}
		}
		g.cells = append(g.cells, c)
	}
	add(sseS3, usage{ok: true}, 1000, 3000)
	add(sseKMS, usage{ok: true, kms: 2000}, 500, 1500)
	add(bucketKey, usage{ok: false}, 900, 2700)
	add(bare, usage{ok: true}, 10000, 10000)
	return &Report{
		Started: time.Date(2026, 3, 4, 5, 6, 0, 0, time.UTC), Seconds: 12, Machine: Machine{CPU: "Fast CPU", Cores: 2, OS: "linux", Arch: "amd64", Go: "go1.26", FileSystem: "ext4", Load: "0.25"},
		Concurrency: 16, KMSLatency: "5ms", Slice: "500ms", Rounds: 5, Groups: []Group{g.report()},
	}
}

func TestText(t *testing.T) {
	var b strings.Builder
	if err := sample().Text(&b); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"Fast CPU, 2 cores, linux/amd64, go1.26, ext4, load 0.25 before",
		"server and load generator share it; KMS latency 5ms; 5 slices of 500ms; 2026-03-04 05:06Z, 12 s",
		"PUT <4> KiB, 16 connections",
		"ops/s ± MB/s p50 ms p99 ms CPU µs client µs KMS /SSE-S3 /SSE-KMS /bare",
		"SSE-S3 2000 50 % 8.19 10.0 29.6 250 50 0 2.00 0.20",
		"SSE-KMS 1000 50 % 4.10 5.00 14.8 500 100 1000 0.50 0.10",
		"SSE-KMS, Bucket Key 1800 50 % 7.37 9.00 26.6 56 ? 0.90 1.80 0.18",
		"· bare HTTP 10000 0 % 41.0 50.0 99.0 50 10",
	} {
		if !slices.ContainsFunc(strings.Split(b.String(), "\n"), func(s string) bool { return strings.Join(strings.Fields(s), " ") == line }) {
			t.Errorf("no line %q in\n%s", line, &b)
		}
	}
}

func TestJSON(t *testing.T) {
	text, err := json.Marshal(sample())
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"opsPerSecond":2000`, `"kmsRequests":2000`, `"cpuMicros":null`, `"ratios":{"SSE-KMS":2,"bare":0.2}`} {
		if !strings.Contains(string(text), part) {
			t.Errorf("no %s in %s", part, text)
		}
	}
}

// element is what of SVG the chart uses.
type element struct {
	XMLName xml.Name
	Class   string    `xml:"class,attr"`
	X       float64   `xml:"x,attr"`
	Y       float64   `xml:"y,attr"`
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
	d := xml.NewDecoder(strings.NewReader(b.String()))
	if err := d.Decode(&root); err != nil {
		t.Fatalf("%v in\n%s", err, &b)
	}
	if _, err := d.Token(); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return root
}

func TestChart(t *testing.T) {
	root := chartOf(t, sample())
	var texts []string
	widths := map[string]float64{}
	for _, e := range root.Inside {
		switch e.XMLName.Local {
		case "text":
			texts = append(texts, e.Text)
		case "rect":
			widths[e.Class] = e.Width
		}
	}
	for _, want := range []string{"PUT <4> KiB", "SSE-S3", "SSE-KMS, Bucket Key", "bare HTTP", "2000", "1000", "1800", "10000"} {
		if !slices.Contains(texts, want) {
			t.Errorf("the chart does not say %q: %q", want, texts)
		}
	}
	full := widths["y"]
	for class, part := range map[string]float64{"m0": 0.2, "m1": 0.1, "m2": 0.18} {
		if got := widths[class] / full; got < part-0.01 || got > part+0.01 {
			t.Errorf("the bar of class %s is %.2f of the longest, want %.2f", class, got, part)
		}
	}
}

func TestChartHasRoomForAll(t *testing.T) {
	r := sample()
	for i := range 10 {
		g := r.Groups[0]
		g.Name = "group " + strconv.Itoa(i)
		g.Cells = g.Cells[:1+i%4]
		r.Groups = append(r.Groups, g)
	}
	root := chartOf(t, r)
	taken := map[[2]float64]bool{}
	columns := map[float64]bool{}
	for _, e := range root.Inside {
		if e.XMLName.Local != "rect" {
			continue
		}
		if e.Y+e.Height > root.Height || e.X+e.Width+chartValues/2 > root.Width {
			t.Errorf("a bar at %v,%v is outside of %vx%v", e.X, e.Y, root.Width, root.Height)
		}
		if at := [2]float64{e.X, e.Y}; taken[at] {
			t.Errorf("two bars at %v", at)
		} else {
			taken[at] = true
		}
		columns[e.X] = true
	}
	if len(columns) != 2 {
		t.Errorf("%d columns, want 2", len(columns))
	}
	chartOf(t, &Report{}) // of nothing
}

func TestMachine(t *testing.T) {
	mounts := []byte("rootfs / rootfs rw 0 0\n/dev/vda / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/vdb /srv/data xfs rw 0 0\nbroken\n")
	for path, want := range map[string]string{"/": "ext4", "/home/x": "ext4", "/tmp": "tmpfs", "/tmp/x": "tmpfs", "/tmpx": "ext4", "/srv/data/a/b": "xfs"} {
		if got := fileSystem(mounts, path); got != want {
			t.Errorf("%s is on %q, want %q", path, got, want)
		}
	}
	if got := cpuModel([]byte("processor\t: 0\nmodel name\t: Fast CPU @ 3: GHz\n")); got != "Fast CPU @ 3: GHz" {
		t.Errorf("the processor is %q", got)
	}
}

func TestFigures(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.0123: "0.012", 1.234: "1.23", 12.34: "12.3", 123.4: "123", 12345.6: "12346"} {
		if got := figure(v); got != want {
			t.Errorf("figure(%v) = %q, want %q", v, got, want)
		}
	}
}
