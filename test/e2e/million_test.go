// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/server"
	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/test/coffertest"
)

var (
	objectCount = flag.Int("objects", 20_000, "number of objects of the test of a large bucket, at least 2000")
	maxRestart  = flag.Duration("maxrestart", 0, "how long a start on a large bucket may take; 0 only reports it")
	maxRatio    = flag.Float64("maxratio", 0, "how many times as long as the first pages of a large bucket its last ones may take; 0 only reports it")
)

const (
	largeBucket = "large"
	groups      = 10 // the first level of keys
	pageSize    = 1000
	fillers     = 64 // they share syncs
)

// TestLargeBucket fills a bucket and asserts that its size shows nowhere: not in
// the time that a start takes, not in how deep into it a page of its listing is,
// not in what a listing by delimiter costs, nor in what the server has resident.
//
// Objects are put through core, each with its own data key and its own durable
// commit, and without HTTP, signatures and audit records.
func TestLargeBucket(t *testing.T) {
	n := *objectCount / (2 * pageSize) * (2 * pageSize)
	reads := new(readCounter)
	s := coffertest.Start(t, coffertest.Tune(server.Tuning{Rows: reads.around}))
	s.Bucket(largeBucket, "", "", false)
	filled := lap(func() { fill(s, n) })
	t.Logf("filled: %d objects in %v, %s", n, filled.Round(time.Second), perSecond(n, filled))
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}

	largeRestart(t, s.Dir, n)
	s.Restart()
	largePages(t, s, reads, n)
	largeGroups(t, s, reads, n)
}

// largeKey returns the key at a place in the order of keys.
func largeKey(place, n int) string {
	perGroup := n / groups
	return fmt.Sprintf("group-%d/object-%07d", place/perGroup, place%perGroup)
}

func largeBody(place int) string { return fmt.Sprintf("this is object %d", place) }

// fill puts the objects, in an order in which neighbours come from all over.
func fill(s *coffertest.Server, n int) {
	s.T.Helper()
	by := rootCaller(s)
	const stride = 7919 // a prime that does not divide n: every place comes once
	var next atomic.Int64
	var all sync.WaitGroup
	for range fillers {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && !s.T.Failed(); i = int(next.Add(1)) - 1 {
				place := i * stride % n
				body := largeBody(place)
				_, err := s.Core.Objects().Put(s.T.Context(), by, object.Put{
					Ref:  object.Ref{Ref: bucket.Ref{Bucket: largeBucket}, Key: largeKey(place, n)},
					Body: strings.NewReader(body), Size: int64(len(body)),
				})
				if err != nil {
					s.T.Errorf("put object %d: %v", place, err)
				}
			}
		})
	}
	all.Wait()
	if s.T.Failed() {
		s.T.FailNow()
	}
}

func rootCaller(s *coffertest.Server) iam.Caller {
	return iam.Caller{Principal: s.Core.RootKeys().Principal(), Secure: true, SigV4: true}
}

// largeRestart starts the program on the data and lists all of it over HTTP.
func largeRestart(t *testing.T, dir string, n int) {
	program := buildProgram(t)
	var p *process
	took := lap(func() { p = startProcess(t, program, dir) })
	idle := p.memory()
	t.Logf("start until ready: %v, then %.0f MiB resident", took.Round(time.Millisecond), idle)
	if idle > maxIdle {
		t.Errorf("%.0f MiB are resident in a server that does nothing, want at most %d", idle, maxIdle)
	}
	if *maxRestart > 0 && took > *maxRestart {
		t.Errorf("a start took %v, want at most %v", took, *maxRestart)
	}
	listed := 0
	all := lap(func() {
		pages := s3.NewListObjectsV2Paginator(p.s3, &s3.ListObjectsV2Input{Bucket: aws.String(largeBucket)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatalf("list behind %d objects: %v", listed, err)
			}
			for _, o := range page.Contents {
				if want := largeKey(listed, n); listed >= n || aws.ToString(o.Key) != want {
					t.Fatalf("object %d of the listing is %s, want %s", listed, aws.ToString(o.Key), want)
				}
				listed++
			}
		}
	})
	if listed != n {
		t.Errorf("%d objects were listed, want %d", listed, n)
	}
	for _, place := range []int{0, n / 2, n - 1} {
		out, err := p.s3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(largeBucket), Key: aws.String(largeKey(place, n))})
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(out.Body)
		if out.Body.Close(); err != nil || string(got) != largeBody(place) {
			t.Errorf("object %d reads %q, %v", place, got, err)
		}
	}
	busy := p.memory()
	t.Logf("listed all over HTTP in %v, then %.0f MiB resident", all.Round(time.Second), busy)
	if busy > maxBusy {
		t.Errorf("%.0f MiB are resident after a listing, want at most %d", busy, maxBusy)
	}
	p.stop()
}

// largePages compares the first pages of the listing with the last ones.
func largePages(t *testing.T, s *coffertest.Server, reads *readCounter, n int) {
	pages := min(20, n/pageSize/2)
	list := func(from int) (took time.Duration, scans, rows int64) {
		in := object.List{Ref: bucket.Ref{Bucket: largeBucket}, Max: pageSize}
		if from > 0 {
			in.After = largeKey(from-1, n)
		}
		reads.reset()
		took = lap(func() {
			for range pages {
				page, err := s.Core.Objects().List(t.Context(), rootCaller(s), in)
				if err != nil || len(page.Entries) != pageSize {
					t.Fatalf("page from %d: %d entries, %v", from, len(page.Entries), err)
				}
				in.After = page.Next
			}
		})
		if want := largeKey(from+pages*pageSize-1, n); in.After != want {
			t.Errorf("%d pages from %d end at %s, want %s", pages, from, in.After, want)
		}
		return took, reads.scans.Load(), reads.rows.Load()
	}
	last := n - pages*pageSize
	var firstTook, lastTook []time.Duration
	for round := range 21 {
		for _, from := range []int{0, last} {
			took, scans, rows := list(from)
			if scans != int64(pages) || rows > int64(pages*(pageSize+1)) {
				t.Errorf("%d pages from %d took %d scans of %d rows, want one scan a page", pages, from, scans, rows)
			}
			switch {
			case round == 0: // fills the cache
				t.Logf("%d pages from %d, not cached: %v", pages, from, took.Round(time.Microsecond))
			case from == 0:
				firstTook = append(firstTook, took)
			default:
				lastTook = append(lastTook, took)
			}
		}
	}
	f, l := median(firstTook), median(lastTook)
	ratio := float64(l) / float64(f)
	t.Logf("%d pages of %d keys: the first ones %v, the last ones %v, ratio %.2f", pages, pageSize, f.Round(time.Microsecond), l.Round(time.Microsecond), ratio)
	if *maxRatio > 0 && ratio > *maxRatio {
		t.Errorf("the last pages took %.2f times as long as the first, want at most %.2f", ratio, *maxRatio)
	}
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

// largeGroups lists the first level of keys.
func largeGroups(t *testing.T, s *coffertest.Server, reads *readCounter, n int) {
	reads.reset()
	var page object.Listing
	took := lap(func() {
		var err error
		page, err = s.Core.Objects().List(t.Context(), rootCaller(s), object.List{Ref: bucket.Ref{Bucket: largeBucket}, Delimiter: "/", Max: pageSize})
		if err != nil {
			t.Fatal(err)
		}
	})
	if len(page.Prefixes) != groups || len(page.Entries) != 0 || page.Truncated {
		t.Errorf("%d prefixes and %d objects, truncated %t; want %d prefixes", len(page.Prefixes), len(page.Entries), page.Truncated, groups)
	}
	scans, rows := reads.scans.Load(), reads.rows.Load()
	t.Logf("%d prefixes over %d objects: %d scans, %d rows, %v", groups, n, scans, rows, took.Round(time.Microsecond))
	if scans > 2*groups {
		t.Errorf("%d prefixes took %d scans, want at most %d", groups, scans, 2*groups)
	}
}

// readCounter counts what listings of objects read.
type readCounter struct {
	meta.Store
	scans, rows atomic.Int64
}

// around makes the counter the store that a server uses.
func (c *readCounter) around(s meta.Store) meta.Store {
	c.Store = s
	return c
}

func (c *readCounter) Scan(ctx context.Context, r meta.Range) (meta.Page, error) {
	page, err := c.Store.Scan(ctx, r)
	if bytes.HasPrefix(r.Start, []byte("c/")) { // upkeep scans other rows meanwhile
		c.scans.Add(1)
		c.rows.Add(int64(len(page.Items)))
	}
	return page, err
}

func (c *readCounter) reset() {
	c.scans.Store(0)
	c.rows.Store(0)
}
