// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

func namesOf(groups []*group) (names []string) {
	for _, g := range groups {
		for _, c := range g.cells {
			names = append(names, c.name())
		}
	}
	return names
}

func TestPlan(t *testing.T) {
	groups := plan(Full(), 16, nil)
	names := namesOf(groups)
	for _, want := range []string{
		"PUT 4 KiB: SSE-S3", "PUT 4 KiB: Pebble batch, synced", "GET 1 MiB: HTTP, AES-GCM file", "PUT 64 MiB: SSE-KMS, Bucket Key",
		"GET 4 KiB of 64 MiB: bare HTTP", "70 % GET, 30 % PUT 4 KiB: SSE-KMS", "LIST 1000 keys: SSE-S3", "COPY 1 MiB: file, write + fsync",
	} {
		if !slices.Contains(names, want) {
			t.Errorf("the plan lacks %q", want)
		}
	}
	slices.Sort(names)
	if len(slices.Compact(names)) != len(namesOf(groups)) {
		t.Error("two cells have one name")
	}
	workers := map[string]int{"PUT 4 KiB": 16, "PUT 1 MiB": 16, "PUT 64 MiB": 4, "GET 4 KiB of 64 MiB": 16, "LIST 1000 keys": 16}
	for _, g := range groups {
		if want, ok := workers[g.name]; ok && g.workers != want {
			t.Errorf("%s has %d workers, want %d", g.name, g.workers, want)
		}
	}
}

func TestOnlyChoosesCells(t *testing.T) {
	got := namesOf(plan(Full(), 16, regexp.MustCompile(`(?i)put 4 kib: (sse-s3|bare)|^list`)))
	want := []string{"PUT 4 KiB: SSE-S3", "PUT 4 KiB: bare HTTP", "70 % GET, 30 % PUT 4 KiB: SSE-S3", "70 % GET, 30 % PUT 4 KiB: bare HTTP", "LIST 1000 keys: SSE-S3", "LIST 1000 keys: bare HTTP"}
	if !slices.Equal(got, want) {
		t.Errorf("chose %q, want %q", got, want)
	}
	for _, name := range namesOf(without(plan(Full(), 16, nil), contender.yardstick)) {
		if !strings.Contains(name, ": SSE-") && !strings.Contains(name, " by users: ") && !strings.Contains(name, " by audit: ") {
			t.Errorf("without yardsticks there is %q", name)
		}
	}
}

func TestEndpointsOfThisMachine(t *testing.T) {
	for endpoint, want := range map[string]bool{
		"http://127.0.0.1:9000": true, "https://localhost": true, "http://[::1]:9000": true,
		"https://s3.example.com": false, "http://192.0.2.7:9000": false, "://": false,
	} {
		if got := local(endpoint); got != want {
			t.Errorf("local(%q) = %v", endpoint, got)
		}
	}
}

// recorded is a group whose cells only note their turns.
func recorded(rounds int, names ...contender) (*group, *[]string) {
	var mu sync.Mutex
	turns := &[]string{}
	g := &group{name: "test", workers: 3, rounds: rounds}
	for _, who := range names {
		g.cells = append(g.cells, &cell{
			group: g, who: who,
			do:    func(*worker, int64) error { return nil },
			usage: func(context.Context) (usage, error) { return usage{ok: true}, nil },
			after: func() error {
				mu.Lock()
				defer mu.Unlock()
				*turns = append(*turns, contenders[who].short)
				return nil
			},
		})
	}
	return g, turns
}

func TestCellsRunInterleaved(t *testing.T) {
	g, turns := recorded(3, sseS3, sseKMS, bare)
	r := &run{groups: []*group{g}, cfg: Config{}}
	steps := 0
	r.cfg.Progress = func(done, total int, _ string) {
		if done != steps || total != 12 {
			t.Errorf("step %d of %d, want %d of 12", done, total, steps)
		}
		steps++
	}
	if err := r.measure(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := "SSE-S3 SSE-KMS bare " + // to warm up
		"SSE-S3 SSE-KMS bare " + "bare SSE-KMS SSE-S3 " + "SSE-S3 SSE-KMS bare"
	if got := strings.Join(*turns, " "); got != want {
		t.Errorf("turns\n%s\nwant\n%s", got, want)
	}
	for _, c := range g.cells {
		// A slice of no time still gives each worker a request.
		if len(c.slices) != 3 || len(c.took) != 9 || c.next.Load() != 12 {
			t.Errorf("%s: %d slices, %d requests measured, %d made; want 3, 9, 12", c.name(), len(c.slices), len(c.took), c.next.Load())
		}
	}
}

func TestFailureEndsTheRun(t *testing.T) {
	g, _ := recorded(3, sseS3)
	broken := errors.New("broken")
	g.cells[0].do = func(_ *worker, n int64) error {
		if n == 5 {
			return broken
		}
		return nil
	}
	r := &run{groups: []*group{g}}
	if err := r.measure(t.Context()); !errors.Is(err, broken) {
		t.Errorf("measure = %v, want the request's error", err)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	g, _ = recorded(3, sseS3)
	if err := r.measureGroup(canceled, g); !errors.Is(err, context.Canceled) {
		t.Errorf("measure = %v, want canceled", err)
	}
}

func TestMix(t *testing.T) {
	var reads, writes int
	do := mix(func(*worker, int64) error { reads++; return nil }, func(*worker, int64) error { writes++; return nil })
	for n := range int64(1000) {
		_ = do(nil, n)
	}
	if reads != 700 || writes != 300 {
		t.Errorf("%d reads and %d writes of 1000", reads, writes)
	}
}
