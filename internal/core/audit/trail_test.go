// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

const dir = "/data/audit"

func putObject(id string) Record {
	return Record{
		UserIdentity:    Identity{Type: "Root", AccountID: "000000000001"},
		EventSource:     "s3.amazonaws.com",
		EventName:       "PutObject",
		AWSRegion:       "us-east-1",
		SourceIPAddress: "203.0.113.9",
		RequestID:       id,
		EventType:       TypeAPICall,
		EventCategory:   Data,
	}
}

// disk is a memory file system whose files can be made to fail and whose syncs
// are counted.
type disk struct {
	vfs.FS
	mu        sync.Mutex
	syncs     int // of files, not directories
	failWrite func(file string, p []byte) (int, error)
	failSync  func(file string) error
}

func newDisk(t testing.TB, fs vfs.FS) *disk {
	t.Helper()
	if err := fs.MkdirAll("/data", 0o700); err != nil {
		t.Fatal(err)
	}
	return &disk{FS: fs}
}

func (d *disk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.FS.Create(name, c)
	return &diskFile{File: f, disk: d, name: d.PathBase(name)}, err
}

func (d *disk) set(write func(string, []byte) (int, error), sync func(string) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failWrite, d.failSync = write, sync
}

func (d *disk) synced() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.syncs
}

type diskFile struct {
	vfs.File
	disk *disk
	name string
}

func (f *diskFile) Write(p []byte) (int, error) {
	f.disk.mu.Lock()
	fail := f.disk.failWrite
	f.disk.mu.Unlock()
	if fail != nil {
		if n, err := fail(f.name, p); err != nil {
			n, _ = f.File.Write(p[:n])
			return n, err
		}
	}
	return f.File.Write(p)
}

func (f *diskFile) Sync() error {
	f.disk.mu.Lock()
	f.disk.syncs++
	fail := f.disk.failSync
	f.disk.mu.Unlock()
	if fail != nil {
		if err := fail(f.name); err != nil {
			return err
		}
	}
	return f.File.Sync()
}

func mustOpen(t testing.TB, fs vfs.FS, cfg Config) *Trail {
	t.Helper()
	cfg.FS = fs
	trail, err := Open(t.Context(), dir, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = trail.Close() })
	return trail
}

// mustAppend appends a record, and to its file if that can be.
func mustAppend(t testing.TB, trail *Trail, r Record, durable bool) {
	t.Helper()
	if err := trail.Append(context.Background(), r, durable); err != nil {
		t.Fatal(err)
	}
	_ = trail.Flush()
}

// requestIDs reads the whole trail, but for what that says of itself, and counts what is
// not a record.
func requestIDs(t testing.TB, fs vfs.FS, f Filter) (ids []string, skipped int) {
	t.Helper()
	f.Skipped = func(string, int64, error) { skipped++ }
	err := newReader(fs, dir, f).all(context.Background(), func(e Entry) error {
		if e.EventSource != ownSource {
			ids = append(ids, e.RequestID)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids, skipped
}

func files(t testing.TB, fs vfs.FS) []string {
	t.Helper()
	names, err := listSegments(fs, dir)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func wantIDs(t testing.TB, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("read %q, want %q", got, want)
	}
}

func TestAppendFillsInWhatTheTrailKnows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := newDisk(t, vfs.NewMem())
		trail := mustOpen(t, fs, Config{})
		time.Sleep(1500 * time.Millisecond) // the bubble's clock began at a whole second
		mustAppend(t, trail, putObject("A"), true)
		err := newReader(fs, dir, Filter{}).all(t.Context(), func(e Entry) error {
			var raw map[string]any
			if err := json.Unmarshal(e.JSON, &raw); err != nil {
				t.Fatal(err)
			}
			if got, want := raw["eventTime"], "2000-01-01T00:00:01Z"; got != want {
				t.Errorf("eventTime = %v, want %v", got, want)
			}
			if got := raw["eventVersion"]; got != "1.11" {
				t.Errorf("eventVersion = %v, want 1.11", got)
			}
			if _, err := uuid.Parse(e.EventID); err != nil {
				t.Errorf("eventID %q: %v", e.EventID, err)
			}
			if v, there := raw["requestParameters"]; v != nil || !there {
				t.Errorf("requestParameters = %v, there %t; want null", v, there)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestConcurrentAppendsShareOneSync(t *testing.T) {
	const appenders = 64
	fs := newDisk(t, vfs.NewMem())
	trail := mustOpen(t, fs, Config{})

	// The first sync lasts until all others have written.
	var written sync.WaitGroup
	written.Add(appenders)
	var first sync.Once
	fs.set(func(_ string, p []byte) (int, error) { written.Add(-bytes.Count(p, []byte("\n"))); return 0, nil },
		func(string) error { first.Do(written.Wait); return nil })

	var done sync.WaitGroup
	for i := range appenders {
		done.Go(func() {
			if err := trail.Append(context.Background(), putObject(fmt.Sprint(i)), true); err != nil {
				t.Error(err)
			}
		})
	}
	done.Wait()
	fs.set(nil, nil)
	// Who was just about to hear that the line is written when the second one began
	// waits for a third.
	if n := fs.synced(); n > 3 {
		t.Errorf("%d durable appends made %d syncs, want 2: the first one's, and one for all who waited; or 3", appenders, n)
	}
	if ids, _ := requestIDs(t, fs, Filter{}); len(ids) != appenders {
		t.Errorf("%d records in the trail, want %d", len(ids), appenders)
	}
}

func TestRecordsOfReadsAreSyncedWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := newDisk(t, vfs.NewMem())
		trail := mustOpen(t, fs, Config{})
		for i := range 10 {
			mustAppend(t, trail, putObject(fmt.Sprint(i)), false)
		}
		if ids, _ := requestIDs(t, fs, Filter{}); len(ids) != 10 {
			t.Errorf("%d records in the file on return, want 10", len(ids))
		}
		if n := fs.synced(); n != 0 {
			t.Errorf("%d syncs before the return, want none", n)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := fs.synced(); n != 1 {
			t.Errorf("%d syncs within the second, want 1", n)
		}
		if err := trail.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestFilesRotateBySizeAndHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := newDisk(t, vfs.NewMem())
		trail := mustOpen(t, fs, Config{MaxSize: 1200})
		for i := range 6 {
			mustAppend(t, trail, putObject(fmt.Sprint("s", i)), i%2 == 0)
		}
		bySize := len(files(t, fs))
		if bySize < 2 {
			t.Errorf("%d files after six records with files of 1200 bytes, want more than one", bySize)
		}
		for _, name := range files(t, fs) {
			info, err := fs.Stat(fs.PathJoin(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if info.Size() > 1200 {
				t.Errorf("%s has %d bytes", name, info.Size())
			}
		}
		time.Sleep(time.Hour)
		mustAppend(t, trail, putObject("h"), true)
		if got := len(files(t, fs)); got != bySize+1 {
			t.Errorf("%d files an hour later, want %d", got, bySize+1)
		}
		ids, _ := requestIDs(t, fs, Filter{})
		wantIDs(t, ids, "s0", "s1", "s2", "s3", "s4", "s5", "h")
		if err := trail.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestReopeningGoesOnBehindATornLine(t *testing.T) {
	fs := newDisk(t, vfs.NewMem())
	trail := mustOpen(t, fs, Config{})
	mustAppend(t, trail, putObject("A"), true)
	fs.set(func(_ string, p []byte) (int, error) { return len(p) / 2, errors.New("power cut") }, nil)
	if err := trail.Append(context.Background(), putObject("B"), true); !errors.Is(err, Unavailable) {
		t.Fatalf("append of a torn line: %v, want Unavailable", err)
	}
	fs.set(nil, nil)

	var log strings.Builder
	again := mustOpen(t, fs, Config{Log: textLog(&log)})
	mustAppend(t, again, putObject("C"), true)
	if !strings.Contains(log.String(), "torn line") {
		t.Errorf("reopening logged %q, want the torn line", log.String())
	}
	ids, skipped := requestIDs(t, fs, Filter{})
	wantIDs(t, ids, "A", "C")
	if skipped != 1 {
		t.Errorf("%d lines reported as skipped, want the torn one", skipped)
	}
}

func TestAFailingDiskRefusesAndThenANewFileGoesOn(t *testing.T) {
	fs := newDisk(t, vfs.NewMem())
	metrics := prometheus.NewRegistry()
	trail := mustOpen(t, fs, Config{Metrics: metrics})
	mustAppend(t, trail, putObject("A"), true)

	fs.set(func(_ string, p []byte) (int, error) { return 10, errors.New("input/output error") }, nil)
	for _, durable := range []bool{true, false} {
		if err := trail.Append(context.Background(), putObject("lost"), durable); !errors.Is(err, Unavailable) {
			t.Errorf("append (durable %t) to a disk that fails writes: %v, want Unavailable", durable, err)
		}
	}
	fs.set(nil, nil)
	mustAppend(t, trail, putObject("B"), false)

	fs.set(nil, func(string) error { return errors.New("input/output error") })
	if err := trail.Append(context.Background(), putObject("unsure"), true); !errors.Is(err, Unavailable) {
		t.Errorf("append to a disk that fails syncs: %v, want Unavailable", err)
	}
	fs.set(nil, nil)
	mustAppend(t, trail, putObject("C"), true)

	ids, _ := requestIDs(t, fs, Filter{})
	wantIDs(t, ids, "A", "B", "unsure", "C")
	want := `
# HELP coffer_audit_failures_total Audit records that could not be written; their calls were refused.
# TYPE coffer_audit_failures_total counter
coffer_audit_failures_total 3
# HELP coffer_audit_unsynced_records_total Audit records written to a file that then could not be synced.
# TYPE coffer_audit_unsynced_records_total counter
coffer_audit_unsynced_records_total 2
`
	if err := testutil.GatherAndCompare(metrics, strings.NewReader(want), "coffer_audit_failures_total", "coffer_audit_unsynced_records_total"); err != nil {
		t.Error(err)
	}
}

func TestAFullDiskLeavesNoTrailOfEmptyFiles(t *testing.T) {
	fs := newDisk(t, vfs.NewMem())
	trail := mustOpen(t, fs, Config{})
	fs.set(func(string, []byte) (int, error) { return 0, errors.New("no space left on device") }, nil)
	for range 20 {
		if err := trail.Append(context.Background(), putObject("x"), true); !errors.Is(err, Unavailable) {
			t.Fatalf("append to a full disk: %v, want Unavailable", err)
		}
	}
	fs.set(nil, nil)
	if n := len(files(t, fs)); n != 1 {
		t.Errorf("20 failed appends left %d files, want 1", n)
	}
	if err := trail.Close(); err != nil {
		t.Error(err)
	}
	if n := len(files(t, fs)); n != 0 {
		t.Errorf("a trail without records left %d files", n)
	}
}

func TestAFailedSyncInTheBackgroundIsToldAndNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := newDisk(t, vfs.NewMem())
		var log strings.Builder
		trail := mustOpen(t, fs, Config{Log: textLog(&log)})
		failed := map[string]int{}
		fs.set(nil, func(file string) error { failed[file]++; return errors.New("input/output error") })
		mustAppend(t, trail, putObject("A"), false)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		fs.set(nil, nil)
		for file, n := range failed {
			if n != 1 {
				t.Errorf("%s was synced %d times after a failed sync", file, n)
			}
		}
		if !strings.Contains(log.String(), "records=1") {
			t.Errorf("log says %q, want one record in doubt", log.String())
		}
		mustAppend(t, trail, putObject("B"), true)
		if n := len(files(t, fs)); n != 2 {
			t.Errorf("%d files after a failed sync, want a new one", n)
		}
		if err := trail.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestNamesGrowWhenTheClockIsSetBack(t *testing.T) {
	fs := newDisk(t, vfs.NewMem())
	future := segmentName(time.Now().Add(time.Hour))
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := fs.Create(fs.PathJoin(dir, future), vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	mustOpen(t, fs, Config{})
	names := files(t, fs)
	if len(names) != 2 || names[0] != future {
		t.Errorf("files %q, want the new one behind %s", names, future)
	}
}

func TestClosedTrailRefuses(t *testing.T) {
	trail := mustOpen(t, newDisk(t, vfs.NewMem()), Config{})
	if err := trail.Close(); err != nil {
		t.Fatal(err)
	}
	if err := trail.Append(context.Background(), putObject("A"), false); !errors.Is(err, Unavailable) {
		t.Errorf("append to a closed trail: %v, want Unavailable", err)
	}
	if err := trail.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestFilesAreTheOwnersAlone(t *testing.T) {
	where := filepath.Join(t.TempDir(), "audit")
	trail, err := Open(t.Context(), where, Config{})
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, trail, putObject("A"), true)
	if err := trail.Close(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(where)
	if err != nil || len(entries) != 1 {
		t.Fatalf("%d files, %v; want 1", len(entries), err)
	}
	info, err := entries[0].Info()
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode().Perm())
	}
	n := 0
	if err := Read(t.Context(), where, Filter{}, func(Entry) error { n++; return nil }); err != nil || n != 1 {
		t.Errorf("read %d records, %v; want 1", n, err)
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, durable := range []bool{false, true} {
		b.Run(fmt.Sprintf("durable=%t", durable), func(b *testing.B) {
			trail, err := Open(b.Context(), b.TempDir(), Config{})
			if err != nil {
				b.Fatal(err)
			}
			defer trail.Close()
			r := putObject("3XQ7EXAMPLE0001A")
			r.RequestParameters = map[string]any{"bucketName": "photos", "key": "cats/1.jpg", "Host": "localhost:9000"}
			b.SetParallelism(16)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := trail.Append(context.Background(), r, durable); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
