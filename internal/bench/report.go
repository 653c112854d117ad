// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Report is what a run found. Its JSON form is for programs; Text and SVG are for
// people.
type Report struct {
	Started     time.Time `json:"started"`
	Seconds     float64   `json:"seconds"`
	Machine     Machine   `json:"machine"`
	Endpoint    string    `json:"endpoint,omitempty"` // of a server that the run did not start
	Concurrency int       `json:"concurrency"`
	KMSLatency  string    `json:"kmsLatency"`
	KMSQuota    int       `json:"kmsQuota,omitempty"` // KMS requests per second that the run's server allows
	Slice       string    `json:"slice"`
	Rounds      int       `json:"rounds"` // slices of each cell that moves no large objects
	Groups      []Group   `json:"groups"`
}

// Machine is where the load generator ran, and the server too if it is local.
type Machine struct {
	CPU        string `json:"cpu,omitempty"`
	Cores      int    `json:"cores"`
	OS         string `json:"os"`
	Arch       string `json:"arch"`
	Go         string `json:"go"`
	FileSystem string `json:"fileSystem,omitempty"` // of the run's directory
	Load       string `json:"load,omitempty"`       // average of the minute before the run: what else the machine did
}

// Group is cells that were measured in turn.
type Group struct {
	Name    string   `json:"name"`
	Workers int      `json:"workers"` // requests under way
	Slices  int      `json:"slices"`  // of each cell
	Against []string `json:"against"` // what Ratios are against, in order
	Cells   []Cell   `json:"cells"`
}

// Cell is one measurement.
type Cell struct {
	Name            string             `json:"name"`
	Yardstick       bool               `json:"yardstick"`
	OpsPerSecond    float64            `json:"opsPerSecond"`     // median of the slices
	Spread          float64            `json:"spread"`           // half of the range of the slices, as a part of the median
	MBPerSecond     float64            `json:"mbPerSecond"`      // of 10^6 bytes, in bodies
	P50             float64            `json:"p50Millis"`        // of all requests in slices
	P99             float64            `json:"p99Millis"`        // likewise
	CPUMicros       *float64           `json:"cpuMicros"`        // of a request, in the process that serves
	ClientCPUMicros *float64           `json:"clientCPUMicros"`  // of a request, in the load generator
	Requests        int64              `json:"requests"`         // with those of the warm-up, and those that were throttled
	Throttled       int64              `json:"throttled"`        // requests in slices that were answered with 503
	KMSRequests     *int64             `json:"kmsRequests"`      // that they made
	Ratios          map[string]float64 `json:"ratios,omitempty"` // requests per second, against other cells
}

func (r *run) report(start time.Time) *Report {
	out := &Report{
		Started: start.UTC().Truncate(time.Second), Seconds: time.Since(start).Seconds(), Machine: r.machine,
		Concurrency: r.cfg.Concurrency, KMSLatency: r.cfg.KMSLatency.String(), KMSQuota: r.cfg.KMSQuota, Slice: r.cfg.Scale.Slice.String(), Rounds: r.cfg.Scale.Rounds,
	}
	if r.cfg.Remote != nil {
		out.Endpoint = r.cfg.Remote.Endpoint
	}
	for _, g := range r.groups {
		out.Groups = append(out.Groups, g.report())
	}
	return out
}

func (g *group) report() Group {
	out := Group{Name: g.name, Workers: g.workers, Slices: g.rounds, Against: []string{}}
	var against []*cell
	for _, c := range g.cells {
		// How modes compare, and the server with yardsticks; not what a Bucket Key,
		// many users, or audit are to themselves.
		if c.who != bucketKey && c.who != manyUsers && c.who != audited && len(g.cells) > 1 {
			against = append(against, c)
			out.Against = append(out.Against, contenders[c.who].short)
		}
	}
	for _, c := range g.cells {
		out.Cells = append(out.Cells, c.report(against))
	}
	return out
}

func (c *cell) report(against []*cell) Cell {
	rates := c.rates()
	slices.Sort(c.took)
	out := Cell{
		Name: c.who.name(), Yardstick: c.who.yardstick(), Requests: c.next.Load(), Throttled: c.throttled(),
		OpsPerSecond: median(rates), Spread: spread(rates), MBPerSecond: median(rates) * float64(c.group.moved) / 1e6,
		P50: millis(quantile(c.took, 0.5)), P99: millis(quantile(c.took, 0.99)),
	}
	served, sent := c.cpu()
	out.CPUMicros = known(served)
	if c.client != nil {
		out.ClientCPUMicros = known(sent)
	}
	if c.who.yardstick() {
		return out
	}
	if c.kms.ok {
		n := int64(math.Round(c.kms.kms))
		out.KMSRequests = &n
	}
	for _, other := range against {
		if other != c {
			if out.Ratios == nil {
				out.Ratios = map[string]float64{}
			}
			out.Ratios[contenders[other.who].short] = pairedRatio(rates, other.rates())
		}
	}
	return out
}

func known(v float64) *float64 {
	if math.IsNaN(v) {
		return nil
	}
	return &v
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// machine describes this machine, as far as the system tells.
func machine(dir string) Machine {
	m := Machine{Cores: runtime.NumCPU(), OS: runtime.GOOS, Arch: runtime.GOARCH, Go: runtime.Version()}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		m.CPU = cpuModel(text)
	}
	if text, err := os.ReadFile("/proc/self/mounts"); err == nil {
		if abs, err := filepath.Abs(dir); err == nil {
			m.FileSystem = fileSystem(text, abs)
		}
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load, _, _ = strings.Cut(string(text), " ")
	}
	return m
}

func cpuModel(cpuinfo []byte) string {
	for line := range bytes.Lines(cpuinfo) {
		if name, value, ok := strings.Cut(string(line), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// fileSystem returns the type of the file system that a path is on: that of the
// longest mount point above it, and of the last one mounted there.
func fileSystem(mounts []byte, path string) string {
	kind, longest := "", -1
	for line := range bytes.Lines(mounts) {
		f := strings.Fields(string(line))
		if len(f) < 3 {
			continue
		}
		at := strings.TrimSuffix(f[1], "/")
		if (path == at || strings.HasPrefix(path, at+"/")) && len(at) >= longest {
			kind, longest = f[2], len(at)
		}
	}
	return kind
}
