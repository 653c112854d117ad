// SPDX-License-Identifier: Apache-2.0

package spending

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// metricsOf returns what a collector shows, but for zeros.
func metricsOf(t *testing.T, c prometheus.Collector) string {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(c)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range families {
		for _, m := range f.Metric {
			if v := m.Counter.GetValue(); v > 0 {
				fmt.Fprintf(&b, "%s{%s=%q,%s=%q} %v\n", f.GetName(), m.Label[0].GetName(), m.Label[0].GetValue(), m.Label[1].GetName(), m.Label[1].GetValue(), v)
			}
		}
	}
	return b.String()
}

func add(b *board, name string, made, avoided int) {
	for range made {
		b.tally(name).Made(GenerateDataKey)
	}
	for range avoided {
		b.tally(name).Avoided(Decrypt)
	}
}

func holds(t *testing.T, b *board, want ...string) {
	t.Helper()
	if got := metricsOf(t, b); got != strings.Join(want, "\n")+"\n" {
		t.Errorf("got\n%swant\n%s", got, strings.Join(want, "\n"))
	}
}

// Those with most are shown, all is counted once, and what is shown never falls.
func TestShown(t *testing.T) {
	b := newBoard("bucket", "bucket", 2, 4)
	add(b, "a", 5, 10)
	add(b, "b", 1, 2)
	add(b, "c", 3, 3)
	holds(t, b,
		`coffer_bucket_kms_requests_avoided_total{bucket="(other)",operation="Decrypt"} 2`,
		`coffer_bucket_kms_requests_avoided_total{bucket="a",operation="Decrypt"} 10`,
		`coffer_bucket_kms_requests_avoided_total{bucket="c",operation="Decrypt"} 3`,
		`coffer_bucket_kms_requests_total{bucket="(other)",operation="GenerateDataKey"} 1`,
		`coffer_bucket_kms_requests_total{bucket="a",operation="GenerateDataKey"} 5`,
		`coffer_bucket_kms_requests_total{bucket="c",operation="GenerateDataKey"} 3`)
	// A little more is not enough to take a place.
	add(b, "b", 0, 3)
	holds(t, b,
		`coffer_bucket_kms_requests_avoided_total{bucket="(other)",operation="Decrypt"} 5`,
		`coffer_bucket_kms_requests_avoided_total{bucket="a",operation="Decrypt"} 10`,
		`coffer_bucket_kms_requests_avoided_total{bucket="c",operation="Decrypt"} 3`,
		`coffer_bucket_kms_requests_total{bucket="(other)",operation="GenerateDataKey"} 1`,
		`coffer_bucket_kms_requests_total{bucket="a",operation="GenerateDataKey"} 5`,
		`coffer_bucket_kms_requests_total{bucket="c",operation="GenerateDataKey"} 3`)
	// Who takes it begins with what is new; and beyond the fourth nobody has a place.
	add(b, "b", 0, 7)
	add(b, "d", 1, 0)
	add(b, "e", 100, 0)
	add(b, "f", 100, 0)
	holds(t, b,
		`coffer_bucket_kms_requests_avoided_total{bucket="(other)",operation="Decrypt"} 5`,
		`coffer_bucket_kms_requests_avoided_total{bucket="a",operation="Decrypt"} 10`,
		`coffer_bucket_kms_requests_avoided_total{bucket="b",operation="Decrypt"} 7`,
		`coffer_bucket_kms_requests_total{bucket="(other)",operation="GenerateDataKey"} 202`,
		`coffer_bucket_kms_requests_total{bucket="a",operation="GenerateDataKey"} 5`)
}

func TestBook(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	b := New(reg)
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for n := range 1000 {
				b.Account("111122223333").Avoided(Decrypt)
				b.Bucket(fmt.Sprint("bucket-", n%200)).Made(GenerateDataKey)
				b.Key(fmt.Sprint("key-", i)).Made(Decrypt)
				if n%100 == 0 {
					if _, err := reg.Gather(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
	families, err := reg.Gather()
	if err != nil || len(families) != 6 {
		t.Fatalf("%d families, %v", len(families), err)
	}
	sums := map[string]float64{}
	for _, f := range families {
		if len(f.Metric) > 2*(Shown+1) {
			t.Errorf("%s has %d series", f.GetName(), len(f.Metric))
		}
		for _, m := range f.Metric {
			sums[f.GetName()] += m.Counter.GetValue()
		}
	}
	if sums["coffer_account_kms_requests_avoided_total"] != 4000 || sums["coffer_key_kms_requests_total"] != 4000 {
		t.Errorf("%v", sums)
	}
	var none *Book
	none.Account("a").Made(Decrypt)
	none.Bucket("a").Avoided(Decrypt)
	none.Key("a").Made(Decrypt)
}

func TestCountingAllocatesNothing(t *testing.T) {
	tally := New(nil).Bucket("photos")
	if n := testing.AllocsPerRun(100, func() { tally.Avoided(Decrypt); tally.Made(GenerateDataKey) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
