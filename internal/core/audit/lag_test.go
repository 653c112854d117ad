// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
)

// gathered returns the metrics whose names have a prefix, by name and labels.
func gathered(t *testing.T, from prometheus.Gatherer, prefix string) map[string]float64 {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		name, ok := strings.CutPrefix(f.GetName(), prefix)
		if !ok {
			continue
		}
		for _, m := range f.Metric {
			labels := ""
			for _, l := range m.Label {
				labels += " " + l.GetValue()
			}
			out[name+labels] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return out
}

// Every consumer that holds the trail is in the metrics, until it lets go of it.
func TestLagOfConsumers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		trail, err := Open(t.Context(), "audit", Config{FS: vfs.NewMem(), Metrics: registry})
		if err != nil {
			t.Fatal(err)
		}
		defer trail.Close()
		want := func(m map[string]float64) {
			t.Helper()
			if got := gathered(t, registry, "coffer_audit_sink_"); !maps.Equal(got, m) {
				t.Errorf("metrics %v, want %v", got, m)
			}
		}
		want(map[string]float64{})
		start := trail.Head()
		trail.Hold("siem", start)
		want(map[string]float64{"backlog_bytes siem": 0, "lag_seconds siem": 0})
		if err := trail.Append(t.Context(), Record{EventName: "PutObject"}, true); err != nil {
			t.Fatal(err)
		}
		time.Sleep(90 * time.Second)
		if err := trail.Append(t.Context(), Record{EventName: "PutObject"}, true); err != nil {
			t.Fatal(err)
		}
		size := float64(trail.Head().Offset)
		trail.Failed("siem")
		want(map[string]float64{"backlog_bytes siem": size, "lag_seconds siem": 90, "failures_total siem": 1})
		trail.Took("siem", 2)
		trail.Hold("siem", trail.Head())
		want(map[string]float64{"backlog_bytes siem": 0, "lag_seconds siem": 0, "failures_total siem": 1, "records_total siem": 2})
		trail.Release("siem")
		want(map[string]float64{})
	})
}

// Who reads the metrics passes over nothing: a damaged line is counted when a consumer does.
func TestReadingMetricsCountsNoDamage(t *testing.T) {
	fs := newDisk(t, vfs.NewMem())
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	name := segmentName(time.Date(2026, 3, 4, 5, 0, 0, 0, time.UTC))
	rewrite(t, fs, name, []byte("damaged\n{}\n"))
	registry := prometheus.NewRegistry()
	trail := mustOpen(t, fs, Config{Metrics: registry})
	trail.Hold("siem", Position{Segment: name})
	for range 3 {
		if m := gathered(t, registry, "coffer_audit_damaged_"); m["records_total"] != 0 {
			t.Fatalf("counted %v", m)
		}
	}
	if _, err := trail.Consume(t.Context(), Position{}, func(Line) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if m := gathered(t, registry, "coffer_audit_damaged_"); m["records_total"] != 1 {
		t.Errorf("counted %v, want the one line", m)
	}
	closed(t, trail)
}

// Events are counted by kind: what they are about, what they do, how they ended. What a
// caller can name in a record does not choose its kind.
func TestKinds(t *testing.T) {
	registry := prometheus.NewRegistry()
	trail, err := Open(t.Context(), "audit", Config{FS: vfs.NewMem(), Metrics: registry})
	if err != nil {
		t.Fatal(err)
	}
	defer trail.Close()
	want := map[string]float64{}
	for _, c := range categories {
		for _, a := range accesses {
			for _, o := range outcomes {
				want[c+" "+a+" "+o] = 0
			}
		}
	}
	for _, test := range []struct {
		record Record
		kind   string
	}{
		{Record{EventSource: "s3.amazonaws.com", EventCategory: Data, ReadOnly: true}, "data read ok"},
		{Record{EventSource: "s3.amazonaws.com", EventCategory: Data, ErrorCode: "NoSuchKey", ReadOnly: true}, "data read error"},
		{Record{EventSource: "s3.amazonaws.com", EventCategory: Management}, "management write ok"},
		{Record{
			EventSource: "kms.amazonaws.com", EventCategory: Management, ErrorCode: "AccessDenied",
			RequestParameters: map[string]any{"encryptionContext": map[string]any{"eventCategory": Data, "eventSource": `x","eventSource":"y`}},
		}, "kms write error"},
	} {
		if err := trail.Append(t.Context(), test.record, false); err != nil {
			t.Fatal(err)
		}
		want[test.kind]++
		line, err := encode(&test.record)
		if err != nil {
			t.Fatal(err)
		}
		if c, err := CategoryOfLine(line); err != nil || !strings.HasPrefix(test.kind, c.String()+" ") {
			t.Errorf("%s is of category %s, %v", line, c, err)
		}
	}
	got := gathered(t, registry, "coffer_audit_records_total")
	for kind, n := range want { // labels are in the order of their names: access, category, outcome
		f := strings.Fields(kind)
		if key := " " + f[1] + " " + f[0] + " " + f[2]; got[key] != n || len(got) != len(want) {
			t.Errorf("%s counted %v of %v", kind, got[key], n)
		}
	}
	if _, err := CategoryOfLine([]byte("{}x")); err == nil {
		t.Error("a line that is no record has a category")
	}
}
