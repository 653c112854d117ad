// SPDX-License-Identifier: Apache-2.0

package index

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/cofferstore/coffer/internal/core/audit"
)

var (
	events    = flag.Int("events", 20_000, "of the trail that is searched")
	maxLookup = flag.Duration("maxlookup", 0, "how long a search may take; 0 is any")
)

// Who read this object in the last 30 days, of 60 days of many objects' accesses: the
// search reads of the trail what it finds and little else. `make lookups` asks that of
// ten million events, and against the clock.
func TestLookups(t *testing.T) {
	dir := t.TempDir()
	trail, err := audit.Open(t.Context(), dir, audit.Config{MaxSize: max(16<<20, int64(*events)*2)})
	if err != nil {
		t.Fatal(err)
	}
	defer trail.Close()
	const days = 60
	end := time.Date(2026, 3, 4, 5, 0, 0, 0, time.UTC)
	since := end.AddDate(0, 0, -days/2)
	dice := rand.New(rand.NewPCG(1, 2))
	objects := max(*events/50, 10)
	reads, wanted := 0, dice.IntN(objects)
	began := time.Now()
	for i := range *events {
		at := end.Add(-time.Duration(float64(days*24*time.Hour) * (1 - float64(i)/float64(*events)))).Truncate(time.Second)
		n, event := dice.IntN(objects), "GetObject"
		if dice.IntN(5) == 0 {
			event = "PutObject"
		}
		if n == wanted && event == "GetObject" && !at.Before(since) {
			reads++
		}
		if err := trail.Append(t.Context(), realistic(event, at, n, dice.IntN(2000), i/1000), false); err != nil {
			t.Fatal(err)
		}
	}
	if err := trail.Close(); err != nil { // makes all durable
		t.Fatal(err)
	}
	if trail, err = audit.Open(t.Context(), dir, audit.Config{}); err != nil {
		t.Fatal(err)
	}
	wrote := time.Since(began)
	metrics := prometheus.NewRegistry()
	x, err := Open(trail, dir, Config{Metrics: metrics})
	if err != nil {
		t.Fatal(err)
	}
	began = time.Now()
	if _, err := x.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	indexed := time.Since(began)
	trailBytes, indexBytes := sizes(t, dir, "*.jsonl"), sizes(t, filepath.Join(dir, Dir), "*.idx")
	t.Logf("%d events, %d MB, written in %v; index %d MB, %.1f %%, made in %v, %.1f µs an event",
		*events, trailBytes>>20, wrote.Round(time.Millisecond), indexBytes>>20, 100*float64(indexBytes)/float64(trailBytes),
		indexed.Round(time.Millisecond), float64(indexed.Microseconds())/float64(*events))

	began = time.Now()
	if x, err = Open(trail, dir, Config{Metrics: prometheus.WrapRegistererWithPrefix("again_", metrics)}); err != nil {
		t.Fatal(err)
	}
	t.Logf("opened in %v", time.Since(began))
	object := objectARN("bucket-7", fmt.Sprintf("reports/2026/03/part-%08d.parquet", wanted))
	for name, q := range map[string]Query{
		"who read this object in the last 30 days": {
			Terms: []Term{{Field: Object, Value: object}, {Field: EventName, Value: "GetObject"}}, Since: since,
		},
		"what a KMS event covers": {Terms: []Term{{Field: KMSEvent, Value: fmt.Sprintf("%036d", *events/2000)}}},
		"the 50 newest management events": {
			Terms: []Term{{Field: Account, Value: "111122223333"}, {Field: Category, Value: audit.Management}}, Limit: 50,
		},
		"one that never was": {Terms: []Term{{Field: Object, Value: object + "?"}}},
	} {
		before := testutil.ToFloat64(x.metrics.read)
		began := time.Now()
		page, err := x.Search(t.Context(), q, nil)
		took := time.Since(began)
		if err != nil {
			t.Fatal(err)
		}
		read := int64(testutil.ToFloat64(x.metrics.read) - before)
		t.Logf("%s: %d found in %v, %d KB of the trail read", name, len(page.Events), took.Round(100*time.Microsecond), read>>10)
		if name == "who read this object in the last 30 days" && len(page.Events) != reads {
			t.Errorf("%s: %d events, want %d", name, len(page.Events), reads)
		}
		if budget := int64(len(page.Events)+1) * 80 << 10; read > budget || *events >= 20_000 && read > trailBytes/2 {
			t.Errorf("%s: %d bytes of %d read", name, read, trailBytes)
		}
		if *maxLookup > 0 && took > *maxLookup {
			t.Errorf("%s: it took %v", name, took)
		}
	}
	if reads == 0 {
		t.Error("nobody read the object")
	}
}

// realistic is a record such as real ones are, but for some members that are not indexed.
func realistic(event string, at time.Time, object, user, kms int) audit.Record {
	r := access(event, "bucket-7", fmt.Sprintf("reports/2026/03/part-%08d.parquet", object), fmt.Sprintf("user-%04d", user))
	r.EventTime = at
	r.UserAgent = "[aws-cli/2.30]"
	r.RequestID = fmt.Sprintf("%016X", rand.Uint64())
	generation := fmt.Sprintf("01a201dc-fb29-7af9-b43a-%012d", kms/100)
	r.AdditionalEventData = map[string]any{
		"bytesTransferredOut": 52428, "cofferGeneration": generation, "cofferKmsEventId": fmt.Sprintf("%036d", kms),
	}
	r.RecipientAccountID = "111122223333"
	if rand.IntN(1000) == 0 {
		r.EventCategory, r.EventName = audit.Management, "GetBucketPolicy"
	}
	return r
}

func sizes(t *testing.T, dir, pattern string) (n int64) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		n += info.Size()
	}
	return n
}
