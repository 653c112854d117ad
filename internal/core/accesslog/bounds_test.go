// SPDX-License-Identifier: Apache-2.0

package accesslog

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/cofferstore/coffer/internal/core/bucket"
)

func (l *Log) droppedFor(reason string) int {
	return int(testutil.ToFloat64(l.metrics.dropped.WithLabelValues(reason)))
}

// What waits in memory is bounded, whatever the device does.
func TestMemoryIsBounded(t *testing.T) {
	q := &queue{wake: make(chan struct{}, 1), defined: map[*bucket.Logged]string{}}
	dropped := 0
	q.drop = func(reason string, lines int) {
		if reason != "memory" {
			t.Errorf("dropped for %s", reason)
		}
		dropped += lines
	}
	e := whole()
	e.UserAgent = strings.Repeat("a", 10_000)
	for range 1000 {
		q.append(photos, e)
	}
	if len(q.buffer) > maxBuffered || dropped == 0 || q.lines+dropped != 1000 {
		t.Errorf("%d bytes of %d lines, %d dropped", len(q.buffer), q.lines, dropped)
	}
}

// What a target that fails leaves on the disk is bounded, and it is that target's logs that
// are dropped, the oldest first.
func TestDiskIsBounded(t *testing.T) {
	w := newWorld()
	w.target("bad", func(*bucket.Bucket) {})
	w.fails["bad"], w.fails["logs"] = errors.New("fails"), errors.New("fails")
	l := started(t, w, func(c *Config) { c.Limit = 8 << 10 })
	bad := to(func(l *bucket.Logged) { l.Target = "bad" })
	l.Append(photos, asked("small", 4))
	for i := range 20 {
		l.Append(bad, asked(strings.Repeat("x", 500)+string(rune('a'+i)), 4))
		_ = l.Flush(t.Context())
	}
	if l.backlog.Load() > 8<<10 || l.droppedFor("size") == 0 {
		t.Errorf("%d bytes, %d dropped", l.backlog.Load(), l.droppedFor("size"))
	}
	clear(w.fails)
	must(t, l.Flush(t.Context()))
	var got []string
	for _, d := range w.delivered {
		for _, k := range keys(t, d.text) {
			got = append(got, k[len(k)-1:])
		}
	}
	kept := 20 - l.droppedFor("size")
	want := []string{"l"}
	for i := 20 - kept; i < 20; i++ {
		want = append(want, string(rune('a'+i)))
	}
	if !slices.Equal(got, want) {
		t.Errorf("delivered %q, want %q", got, want)
	}
}

func TestAgeIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.fails["logs"] = errors.New("fails")
		l := open(t, vfs.NewMem(), w)
		l.Append(photos, asked("a", 4))
		_ = l.Flush(t.Context())
		time.Sleep(6 * 24 * time.Hour)
		_ = l.Flush(t.Context())
		if l.droppedFor("age") != 0 {
			t.Error("dropped too early")
		}
		time.Sleep(25 * time.Hour)
		_ = l.Flush(t.Context())
		if l.droppedFor("age") != 1 || l.backlog.Load() != 0 {
			t.Errorf("%d dropped", l.droppedFor("age"))
		}
		// Nothing is left of the failures: what comes later does not wait for them.
		clear(w.fails)
		l.Append(photos, asked("b", 4))
		must(t, l.pass(t.Context(), true, false))
		if len(w.delivered) != 1 || len(l.retries) != 0 {
			t.Errorf("%d objects delivered, %d routes wait", len(w.delivered), len(l.retries))
		}
		must(t, l.Close())
	})
}

// A server that was down for longer than lines are kept delivers what it had.
func TestNothingIsTooOldBeforeItWasTried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, fs := newWorld(), vfs.NewMem()
		l := open(t, fs, w)
		l.Append(photos, asked("a", 4))
		must(t, l.Close())
		time.Sleep(30 * 24 * time.Hour)
		l = open(t, fs, w)
		must(t, l.Flush(t.Context()))
		if len(w.delivered) != 1 || l.droppedFor("age") != 0 {
			t.Errorf("%d objects delivered, %d lines dropped", len(w.delivered), l.droppedFor("age"))
		}
		must(t, l.Close())
	})
}

// A file of the queue that is damaged gives what can be read of it.
func TestDamagedQueue(t *testing.T) {
	text, id := routeOf(photos).encode()
	line := string(asked("a", 4).appendLine(nil, photos))
	for name, c := range map[string]struct {
		text           string
		lines, damaged int
	}{
		"whole":               {"@" + id + " " + string(text) + "\n" + id + " " + line, 1, 0},
		"torn":                {"@" + id + " " + string(text) + "\n" + id + " " + line + id + " " + line[:20], 1, 1},
		"torn route":          {"@" + id + " " + string(text[:20]), 0, 1},
		"no route":            {id + " " + line, 0, 1},
		"a route of nothing":  {"@" + id + " {}\n" + id + " " + line, 0, 2},
		"garbage in between":  {"@" + id + " " + string(text) + "\n\x00\x00\n\n" + id + " \n" + id + " " + line, 1, 3},
		"garbage for a route": {"@ {}\n@" + id + " nonsense\n", 0, 2},
	} {
		found, damaged := groups([]byte(c.text))
		lines := 0
		for _, g := range found {
			lines += g.lines
			if string(g.text) != line {
				t.Errorf("%s: %q", name, g.text)
			}
		}
		if lines != c.lines || damaged != c.damaged {
			t.Errorf("%s: %d lines, %d damaged", name, lines, damaged)
		}
	}
}

// A batch that is damaged does not keep others from going out.
func TestDamagedBatch(t *testing.T) {
	w := newWorld()
	l := started(t, w)
	f, err := l.fs.Create(l.fs.PathJoin(l.dir, batchPrefix+"00000000000000000001-x.log"), vfs.WriteCategoryUnspecified)
	must(t, err)
	_, err = f.Write([]byte("nonsense\n"))
	must(t, errors.Join(err, f.Close()))
	l.cfg.MaxAge = 1 << 62
	l.Append(photos, asked("a", 4))
	must(t, l.Flush(t.Context()))
	if len(w.delivered) != 1 || l.droppedFor("damaged") != 1 {
		t.Errorf("delivered %d, dropped %d", len(w.delivered), l.droppedFor("damaged"))
	}
}

// FuzzQueue: whatever is in a file of the queue, what is found in it are lines of it, each
// under a route that has a source and a target.
func FuzzQueue(f *testing.F) {
	text, id := routeOf(photos).encode()
	f.Add([]byte("@" + id + " " + string(text) + "\n" + id + " " + string(whole().appendLine(nil, photos))))
	f.Add([]byte("@a {\"source\":\"s\",\"target\":\"t\",\"dates\":\"EventTime\"}\na x y [04/Mar/2026:05:12:01 +0000] z\na z\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		found, damaged := groups(text)
		lines := 0
		for _, g := range found {
			lines += g.lines
			if g.route.Source == "" || g.route.Target == "" || g.lines != strings.Count(string(g.text), "\n") || g.lines == 0 {
				t.Errorf("%+v", g)
			}
			for line := range strings.Lines(string(g.text)) {
				if !strings.Contains(string(text), g.id+" "+line) {
					t.Errorf("%q is not in %q", line, text)
				}
			}
		}
		if all := strings.Count(string(text), "\n"); lines+damaged > all+1 {
			t.Errorf("%d lines and %d damaged of %d", lines, damaged, all)
		}
	})
}

// FuzzBatch: a batch that is taken says where it goes.
func FuzzBatch(f *testing.F) {
	f.Add([]byte(`{"version":1,"route":{"source":"s","owner":"o","region":"r","target":"t"},"key":"k","lines":1}` + "\nline\n"))
	f.Add([]byte("\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		h, lines, err := parseBatch(text)
		if err == nil && (h.Route.Source == "" || h.Route.Target == "" || h.Key == "" || len(lines) == 0 || !strings.HasSuffix(string(text), string(lines))) {
			t.Errorf("%+v %q", h, lines)
		}
	})
}

// Where much is logged nobody waits for the time of delivery.
func TestFullFilesAreDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		l := open(t, vfs.NewMem(), w)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); l.Run(ctx) }()
		synctest.Wait() // the first pass finds nothing
		e := whole()
		e.UserAgent = strings.Repeat("a", maxField)
		e.URI, e.Referer, e.Host = e.UserAgent, e.UserAgent, e.UserAgent
		for range 2 * maxFile / (4 * maxField) {
			l.Append(photos, e)
			synctest.Wait()
		}
		w.mu.Lock()
		if len(w.delivered) < 2 {
			t.Errorf("%d objects", len(w.delivered))
		}
		for _, d := range w.delivered {
			if len(d.text) > maxFile+maxBuffered {
				t.Errorf("an object of %d bytes", len(d.text))
			}
		}
		w.mu.Unlock()
		cancel()
		<-done
		must(t, l.Close())
		if n := l.droppedFor("memory") + l.droppedFor("disk"); n != 0 {
			t.Errorf("%d lines dropped", n)
		}
	})
}

// A device that takes no more costs lines, and nothing else.
func TestFullDisk(t *testing.T) {
	w := newWorld()
	l := started(t, w, func(c *Config) { c.Limit = 4 << 10 })
	for range 10 {
		l.Append(photos, asked(strings.Repeat("x", 500), 4))
		must(t, ignoring(l.queue.write(), errTooMuch))
	}
	kept := 10 - l.droppedFor("disk")
	if kept == 0 || kept == 10 {
		t.Fatalf("%d lines kept", kept)
	}
	must(t, l.Flush(t.Context()))
	l.Append(photos, asked("after", 4))
	must(t, l.Flush(t.Context()))
	got := 0
	for _, d := range w.delivered {
		got += len(keys(t, d.text))
	}
	if got != kept+1 {
		t.Errorf("%d lines delivered, want %d", got, kept+1)
	}
}

func ignoring(err, this error) error {
	if errors.Is(err, this) {
		return nil
	}
	return err
}

// On a device without room, files that nothing could be written to do not pile up.
func TestAFullDeviceLeavesNoTrailOfEmptyFiles(t *testing.T) {
	w, fs := newWorld(), &fullFS{FS: vfs.NewMem()}
	l := open(t, fs, w)
	fs.full.Store(true)
	for range 20 {
		l.Append(photos, asked("lost", 4))
		if err := l.queue.write(); err != nil && !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
	names, err := listFiles(fs, l.dir, queuePrefix)
	if must(t, err); len(names) > 1 {
		t.Errorf("%d files of nothing", len(names))
	}
	fs.full.Store(false)
	l.Append(photos, asked("a", 4))
	must(t, l.Flush(t.Context()))
	if len(w.delivered) != 1 || !slices.Equal(keys(t, w.delivered[0].text), []string{"a"}) {
		t.Errorf("delivered %+v", w.delivered)
	}
	must(t, l.Close())
}

// fullFS is a file system whose files take nothing while it is full.
type fullFS struct {
	vfs.FS
	full atomic.Bool
}

func (f *fullFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.Create(name, c)
	return &fullFile{file, f}, err
}

type fullFile struct {
	vfs.File
	fs *fullFS
}

func (f *fullFile) Write(p []byte) (int, error) {
	if f.fs.full.Load() {
		return 0, syscall.ENOSPC
	}
	return f.File.Write(p)
}
