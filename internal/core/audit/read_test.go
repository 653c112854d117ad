// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func decrypt(id string) Record {
	r := putObject(id)
	r.EventSource, r.EventName, r.EventCategory, r.ManagementEvent = kmsSource, "Decrypt", Management, true
	return r
}

func TestFilters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := newDisk(t, vfs.NewMem())
		trail := mustOpen(t, fs, Config{})
		begun := time.Now()
		for hour := range 5 { // a file each
			mustAppend(t, trail, putObject(fmt.Sprint("s", hour)), true)
			mustAppend(t, trail, decrypt(fmt.Sprint("k", hour)), true)
			time.Sleep(time.Hour)
		}
		tests := []struct {
			name   string
			filter Filter
			want   []string
		}{
			{"all", Filter{}, []string{"s0", "k0", "s1", "k1", "s2", "k2", "s3", "k3", "s4", "k4"}},
			{"KMS only", Filter{KMSOnly: true}, []string{"k0", "k1", "k2", "k3", "k4"}},
			{"since", Filter{Since: begun.Add(3 * time.Hour)}, []string{"s3", "k3", "s4", "k4"}},
			{"since within the second", Filter{Since: begun.Add(4*time.Hour + 999*time.Millisecond)}, []string{"s4", "k4"}},
			{"since later than all", Filter{Since: begun.Add(9 * time.Hour)}, nil},
			{"last of one file", Filter{Limit: 1}, []string{"k4"}},
			{"last over files", Filter{Limit: 3}, []string{"k3", "s4", "k4"}},
			{"last of more than there are", Filter{Limit: 100, Since: begun.Add(4 * time.Hour)}, []string{"s4", "k4"}},
			{"all together", Filter{KMSOnly: true, Since: begun.Add(time.Hour), Limit: 2}, []string{"k3", "k4"}},
		}
		for _, test := range tests {
			ids, skipped := requestIDs(t, fs, test.filter)
			if fmt.Sprint(ids) != fmt.Sprint(test.want) || skipped != 0 {
				t.Errorf("%s: read %v and skipped %d lines, want %v", test.name, ids, skipped, test.want)
			}
		}
		if err := trail.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestLimitWithinALongFile(t *testing.T) {
	fs := newDisk(t, vfs.NewMem())
	trail := mustOpen(t, fs, Config{})
	for i := range 100 {
		mustAppend(t, trail, putObject(fmt.Sprint(i)), false)
	}
	ids, _ := requestIDs(t, fs, Filter{Limit: 3})
	wantIDs(t, ids, "97", "98", "99")
}

func TestReadStopsAtTheReceiversError(t *testing.T) {
	fs := newDisk(t, vfs.NewMem())
	trail := mustOpen(t, fs, Config{})
	for range 3 {
		mustAppend(t, trail, putObject("A"), false)
	}
	enough := errors.New("enough")
	n := 0
	err := newReader(fs, dir, Filter{}).all(context.Background(), func(Entry) error { n++; return enough })
	if n != 1 || !errors.Is(err, enough) {
		t.Errorf("%d calls, %v; want one and its error", n, err)
	}
}

func TestFollowGoesOnThroughNewFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := newDisk(t, vfs.NewMem())
		trail := mustOpen(t, fs, Config{})
		for i := range 3 {
			mustAppend(t, trail, putObject(fmt.Sprint("before", i)), false)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		var ids []string
		go func() {
			ended <- newReader(fs, dir, Filter{Limit: 1}).follow(ctx, func(e Entry) error {
				ids = append(ids, e.RequestID)
				return nil
			})
		}()
		time.Sleep(time.Second)
		mustAppend(t, trail, putObject("same file"), false)
		time.Sleep(time.Hour)
		mustAppend(t, trail, putObject("next file"), false)
		mustAppend(t, trail, putObject("next file too"), false)
		if err := trail.Close(); err != nil {
			t.Error(err)
		}
		again := mustOpen(t, fs, Config{})
		mustAppend(t, again, putObject("after a restart"), false)
		time.Sleep(time.Second)
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Follow ended with %v, want the context's error", err)
		}
		wantIDs(t, ids, "before2", "same file", "next file", "next file too", "after a restart")
		if err := again.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestFollowWaitsForTheEndOfALine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := newDisk(t, vfs.NewMem())
		if err := fs.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		f, err := fs.Create(fs.PathJoin(dir, segmentName(time.Now())), vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		record := putObject("A")
		line, err := encode(&record)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = f.Write(append([]byte{}, line[:40]...))

		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		n, skipped := 0, 0
		go func() {
			filter := Filter{Skipped: func(string, int64, error) { skipped++ }}
			ended <- newReader(fs, dir, filter).follow(ctx, func(Entry) error { n++; return nil })
		}()
		time.Sleep(time.Second)
		synctest.Wait()
		if n != 0 || skipped != 0 {
			t.Errorf("%d records and %d skipped before the line ended", n, skipped)
		}
		_, _ = f.Write(line[40:])
		time.Sleep(time.Second)
		cancel()
		<-ended
		if n != 1 || skipped != 0 {
			t.Errorf("%d records and %d skipped after the line ended, want 1 and 0", n, skipped)
		}
	})
}
