// SPDX-License-Identifier: Apache-2.0

package accesslog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/cofferstore/coffer/internal/core/acl"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
)

// world is buckets and what is written into them.
type world struct {
	mu        sync.Mutex
	targets   map[string]*bucket.Access
	logged    map[string]*bucket.Logged
	fails     map[string]error // by bucket
	once      error            // of the next write alone
	tries     int
	delivered []delivery
}

type delivery struct {
	by   iam.Caller
	put  object.Put
	text string
}

func newWorld() *world {
	w := &world{targets: map[string]*bucket.Access{}, logged: map[string]*bucket.Logged{}, fails: map[string]error{}}
	w.target("logs", func(*bucket.Bucket) {})
	return w
}

func (w *world) target(name string, edit func(*bucket.Bucket)) {
	b := &bucket.Bucket{Name: name, Owner: photos.Owner, Region: "us-east-1", Ownership: bucket.BucketOwnerEnforced, Encryption: bucket.Encryption{Algorithm: "AES256"}}
	edit(b)
	w.targets[name] = &bucket.Access{Bucket: b}
}

func (w *world) Logged(name string) *bucket.Logged { return w.logged[name] }

func (w *world) CanonicalID(account string) string { return "id-of-" + account }

func (w *world) Access(_ context.Context, name string) (*bucket.Access, error) {
	if b := w.targets[name]; b != nil {
		return b, nil
	}
	return nil, fault.New(bucket.NoSuchBucket, "")
}

func (w *world) Put(_ context.Context, by iam.Caller, in object.Put, _ policy.Context) (object.Stored, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tries++
	if err := w.once; err != nil {
		w.once = nil
		return object.Stored{}, err
	}
	if err := w.fails[in.Bucket]; err != nil {
		return object.Stored{}, err
	}
	text, err := io.ReadAll(in.Body)
	if err != nil || int64(len(text)) != in.Size {
		return object.Stored{}, fmt.Errorf("%d bytes announced, %d read, %v", in.Size, len(text), err)
	}
	w.delivered = append(w.delivered, delivery{by, in, string(text)})
	return object.Stored{Size: in.Size}, nil
}

func open(t testing.TB, fs vfs.FS, w *world, edit ...func(*Config)) *Log {
	t.Helper()
	cfg := Config{FS: fs}
	for _, e := range edit {
		e(&cfg)
	}
	must(t, fs.MkdirAll("/data", 0o700))
	must(t, syncDir(fs, "/"))
	l, err := Open("/data/accesslog", w, w, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// started is open for a test that does not close it.
func started(t testing.TB, w *world, edit ...func(*Config)) *Log {
	t.Helper()
	l := open(t, vfs.NewMem(), w, edit...)
	t.Cleanup(func() { must(t, l.Close()) })
	return l
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// asked is a request for a key on a day of March.
func asked(key string, day int) *Entry {
	e := whole()
	e.Key, e.Time = key, time.Date(2026, 3, day, 23, 59, 59, 0, time.UTC)
	return e
}

// to is photos, logged otherwise.
func to(edit func(*bucket.Logged)) *bucket.Logged {
	l := *photos
	edit(&l)
	return &l
}

// keys returns the keys that the lines of a log are about, in their order.
func keys(t testing.TB, text string) (out []string) {
	t.Helper()
	for line := range strings.Lines(text) {
		m := documented.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil {
			t.Fatalf("no line of a log: %q", line)
		}
		out = append(out, m[8])
	}
	return out
}

func TestDelivered(t *testing.T) {
	w := newWorld()
	l := started(t, w)
	must(t, l.Flush(t.Context())) // nothing
	if len(w.delivered) != 0 {
		t.Fatalf("delivered %+v", w.delivered)
	}
	theirs := to(func(l *bucket.Logged) { l.Name = "theirs" })
	l.Append(photos, asked("a", 4))
	l.Append(theirs, asked("t", 4))
	l.Append(photos, asked("b", 5))
	must(t, l.Flush(t.Context()))
	if len(w.delivered) != 2 {
		t.Fatalf("%d objects", len(w.delivered))
	}
	slices.SortFunc(w.delivered, func(a, b delivery) int { return strings.Compare(a.by.SourceARN, b.by.SourceARN) })
	d := w.delivered[0]
	if got := keys(t, d.text); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("delivered %q", got)
	}
	if !regexp.MustCompile(`^p/[0-9]{4}-[0-9]{2}-[0-9]{2}-[0-9]{2}-[0-9]{2}-[0-9]{2}-[0-9A-F]{16}$`).MatchString(d.put.Key) || d.put.Bucket != "logs" || d.put.ACL.Given() {
		t.Errorf("delivered to %+v", d.put)
	}
	if d.by.Type != iam.AWSService || d.by.ARN != "logging.s3.amazonaws.com" || d.by.SourceARN != "arn:aws:s3:::photos" || d.by.SourceAccount != photos.Owner {
		t.Errorf("delivered by %+v", d.by)
	}
	if got := keys(t, w.delivered[1].text); !slices.Equal(got, []string{"t"}) || w.delivered[1].put.Key == d.put.Key {
		t.Errorf("delivered %q to %q", got, w.delivered[1].put.Key)
	}
	must(t, l.Flush(t.Context()))
	if len(w.delivered) != 2 {
		t.Error("delivered twice")
	}
	if all, err := l.fs.List(l.dir); err != nil || len(all) != 0 {
		t.Errorf("left %q, %v", all, err)
	}
}

func TestPartitions(t *testing.T) {
	w := newWorld()
	l := started(t, w)
	for _, dates := range []bucket.LogDates{"", bucket.EventTime, bucket.DeliveryTime} {
		of := to(func(l *bucket.Logged) { l.Format, l.Dates = bucket.PartitionedPrefix, dates })
		w.delivered = nil
		l.Append(of, asked("a", 4))
		l.Append(of, asked("b", 5))
		l.Append(of, asked("c", 4))
		must(t, l.Flush(t.Context()))
		if dates != bucket.EventTime {
			today := time.Now().UTC().Format("2006/01/02/2006-01-02-")
			if len(w.delivered) != 1 || !strings.HasPrefix(w.delivered[0].put.Key, "p/000000000001/us-east-1/photos/2") || len(today) == 0 {
				t.Errorf("%q: %d objects, %+v", dates, len(w.delivered), w.delivered)
			}
			continue
		}
		if len(w.delivered) != 2 {
			t.Fatalf("%d objects", len(w.delivered))
		}
		for i, want := range []struct {
			day  string
			keys []string
		}{{"04", []string{"a", "c"}}, {"05", []string{"b"}}} {
			d := w.delivered[i]
			if !strings.HasPrefix(d.put.Key, "p/000000000001/us-east-1/photos/2026/03/"+want.day+"/2026-03-"+want.day+"-00-00-00-") || !slices.Equal(keys(t, d.text), want.keys) {
				t.Errorf("%q has %q", d.put.Key, keys(t, d.text))
			}
		}
	}
}

func TestGrantsOfDelivered(t *testing.T) {
	w := newWorld()
	w.target("listed", func(b *bucket.Bucket) { b.Ownership = bucket.ObjectWriter })
	l := started(t, w)
	reader := acl.Grant{ID: "x", Permission: acl.Read}
	for _, target := range []string{"listed", "logs"} {
		l.Append(to(func(l *bucket.Logged) { l.Target, l.Grants = target, acl.List{reader} }), asked("a", 4))
		must(t, l.Flush(t.Context()))
	}
	if got := w.delivered[0].put.ACL.Grants; !slices.Equal(got, acl.List{{ID: "id-of-000000000001", Permission: acl.FullControl}, reader}) {
		t.Errorf("granted %+v", got)
	}
	if w.delivered[1].put.ACL.Given() {
		t.Error("grants where lists do not count")
	}
}

// What was written before a process ended goes out in the next one, torn lines left out.
func TestRestart(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, fs *vfs.MemFS, l *Log) vfs.FS{
		"stopped": func(t *testing.T, fs *vfs.MemFS, l *Log) vfs.FS {
			must(t, l.Close())
			return fs
		},
		"lost power": func(t *testing.T, fs *vfs.MemFS, l *Log) vfs.FS {
			must(t, l.queue.write())
			must(t, l.queue.sync())
			return fs.CrashClone(vfs.CrashCloneCfg{})
		},
		"lost power with batches made": func(t *testing.T, fs *vfs.MemFS, l *Log) vfs.FS {
			if err := l.Flush(t.Context()); !errors.Is(err, bucket.NoSuchBucket) {
				t.Fatal(err)
			}
			return fs.CrashClone(vfs.CrashCloneCfg{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, fs := newWorld(), vfs.NewCrashableMem()
			delete(w.targets, "logs")
			l := open(t, fs, w)
			l.Append(photos, asked("a", 4))
			l.Append(photos, asked("b", 4))
			left := end(t, fs, l)
			if name != "stopped" {
				must(t, l.Close())
			}
			w.target("logs", func(*bucket.Bucket) {})
			l = open(t, left, w)
			l.Append(photos, asked("c", 4))
			must(t, l.Flush(t.Context()))
			must(t, l.Close())
			var got []string
			for _, d := range w.delivered {
				got = append(got, keys(t, d.text)...)
			}
			if !slices.Equal(got, []string{"a", "b", "c"}) {
				t.Errorf("delivered %q", got)
			}
		})
	}
}

// A delivery that was done, and whose end was lost, is done again as the same object.
func TestDeliveredTwiceIsTheSameObject(t *testing.T) {
	w := newWorld()
	l := started(t, w)
	l.Append(photos, asked("a", 4))
	must(t, l.queue.rotate())
	names, err := l.queue.complete()
	must(t, err)
	must(t, l.split(names[0]))
	batches, err := listFiles(l.fs, l.dir, batchPrefix)
	must(t, err)
	path := l.fs.PathJoin(l.dir, batches[0])
	must(t, l.fs.Link(path, "kept"))
	must(t, l.Flush(t.Context()))
	must(t, l.fs.Link("kept", path))
	must(t, l.Flush(t.Context()))
	if len(w.delivered) != 2 || w.delivered[0].put.Key != w.delivered[1].put.Key || w.delivered[0].text != w.delivered[1].text {
		t.Errorf("delivered %+v", w.delivered)
	}
}

// A target that fails is tried again later and later, keeps its order, and keeps nobody
// else waiting.
func TestTargetThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.target("bad", func(*bucket.Bucket) {})
		w.fails["bad"] = fault.New(iam.AccessDenied, "")
		l := open(t, vfs.NewMem(), w)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); l.Run(ctx) }()
		bad := to(func(l *bucket.Logged) { l.Target = "bad" })
		l.Append(bad, asked("1", 4))
		l.Append(photos, asked("other", 4))
		time.Sleep(5*time.Minute + time.Second)
		l.Append(bad, asked("2", 4))
		time.Sleep(5 * time.Minute)
		w.mu.Lock()
		if len(w.delivered) != 1 || w.delivered[0].put.Bucket != "logs" {
			t.Errorf("delivered %+v", w.delivered)
		}
		if tries := w.tries - 1; tries < 3 || tries > 5 { // after 0, 1, 3, … minutes
			t.Errorf("%d tries in 5 minutes", tries)
		}
		w.mu.Unlock()
		if n := l.backlog.Load(); n == 0 || l.oldest.Load() == 0 || testutil.ToFloat64(l.metrics.failures) == 0 {
			t.Errorf("backlog %d, oldest %d", n, l.oldest.Load())
		}
		time.Sleep(10 * time.Hour)
		w.mu.Lock()
		if w.tries > 25 {
			t.Errorf("%d tries in 10 hours", w.tries)
		}
		w.fails["bad"], w.delivered = nil, nil
		w.mu.Unlock()
		time.Sleep(maxRetry + time.Minute)
		cancel()
		<-done
		must(t, l.Close())
		if len(w.delivered) != 2 || !slices.Equal(keys(t, w.delivered[0].text+w.delivered[1].text), []string{"1", "2"}) {
			t.Errorf("delivered %+v", w.delivered)
		}
		if l.backlog.Load() != 0 || l.oldest.Load() != 0 {
			t.Error("still behind")
		}
	})
}

// A bucket that is logged into itself gets a line for each delivery, and no object for
// these alone.
func TestLogsOfLogsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		self := to(func(l *bucket.Logged) { l.Name = "logs" })
		w.logged["logs"] = self
		l := open(t, vfs.NewMem(), w)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); l.Run(ctx) }()
		l.Append(self, asked("a", 4))
		time.Sleep(24 * time.Hour)
		w.mu.Lock()
		if len(w.delivered) != 1 {
			t.Errorf("%d objects in a day", len(w.delivered))
		}
		w.mu.Unlock()
		l.Append(self, asked("b", 4))
		time.Sleep(time.Hour)
		cancel()
		<-done
		must(t, l.Close())
		if len(w.delivered) != 2 {
			t.Fatalf("%d objects", len(w.delivered))
		}
		lines := strings.Split(w.delivered[1].text, "\n")
		if !strings.Contains(lines[0], " svc:logging.s3.amazonaws.com ") || !strings.Contains(lines[0], " REST.PUT.OBJECT "+w.delivered[0].put.Key+" ") ||
			!slices.Equal(keys(t, w.delivered[1].text)[1:], []string{"b"}) {
			t.Errorf("delivered %q", w.delivered[1].text)
		}
	})
}

// Targets that have become others' are not written to.
func TestTargetsThatChanged(t *testing.T) {
	w := newWorld()
	l := started(t, w)
	l.Append(photos, asked("a", 4))
	for name, edit := range map[string]func(*bucket.Bucket){
		"another owner": func(b *bucket.Bucket) { b.Owner = "444455556666" },
		"under KMS":     func(b *bucket.Bucket) { b.Encryption.Algorithm = "aws:kms" },
	} {
		w.target("logs", edit)
		if err := l.Flush(t.Context()); !errors.Is(err, bucket.InvalidLogTarget) || len(w.delivered) > 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	delete(w.targets, "logs")
	if err := l.Flush(t.Context()); !errors.Is(err, bucket.NoSuchBucket) {
		t.Error(err)
	}
	w.target("logs", func(*bucket.Bucket) {})
	must(t, l.Flush(t.Context()))
	if len(w.delivered) != 1 {
		t.Error("not delivered in the end")
	}
}

// Of one log nothing overtakes what could not be written.
func TestOrder(t *testing.T) {
	w := newWorld()
	l := started(t, w)
	for _, key := range []string{"1", "2", "3"} {
		l.Append(photos, asked(key, 4))
		must(t, l.queue.rotate())
	}
	w.once = errors.New("fails")
	if err := l.Flush(t.Context()); !strings.Contains(err.Error(), "fails") || len(w.delivered) != 0 {
		t.Errorf("delivered %d, %v", len(w.delivered), err)
	}
	must(t, l.Flush(t.Context()))
	var got []string
	for _, d := range w.delivered {
		got = append(got, keys(t, d.text)...)
	}
	if !slices.Equal(got, []string{"1", "2", "3"}) {
		t.Errorf("delivered %q", got)
	}
}
