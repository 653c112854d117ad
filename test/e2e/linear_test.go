// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/test/coffertest"
)

var (
	linearOps   = flag.Int("linear", 1200, "how many operations are recorded and checked for linearizability")
	linearKills = flag.Int("linearkills", 1, "how many times the server is killed while they are made")
)

const (
	linearClients = 8
	linearKeys    = 3    // of each bucket, at a time
	linearEpoch   = 3000 // operations, after which there are other keys
	linearSources = 8    // objects that do not change
)

// linearBuckets are one without and one with versioning.
var linearBuckets = [2]string{"linear-plain", "linear-versions"}

// TestLinearizable lets clients write, delete, copy, complete and read a few keys all
// at once, with conditions and without, kills the server in between, and looks for an
// order of all operations, one after the other, that explains every answer.
//
// A change whose client went away, or whose server was killed, may have been made at
// any time until that server ended, or not at all.
func TestLinearizable(t *testing.T) {
	program, dir := buildProgram(t), t.TempDir()
	p := startProcess(t, program, dir)
	run := newLinearRun(t, *linearOps)
	s := &coffertest.Server{T: t, Dir: dir, URL: p.url, S3: p.s3, KMS: p.kms}
	run.prepare(s)
	go func() {
		defer close(run.killed)
		for i := range *linearKills {
			if !run.reaches((i + 1) * *linearOps / (*linearKills + 1)) {
				return
			}
			run.die(p.kill)
			p = startProcess(t, program, dir)
			run.live(p.s3)
		}
	}()
	run.live(p.s3)
	took := lap(run.load)
	if t.Failed() {
		return
	}
	run.check(took)
	p.stop()
}

// TestStaleReadsAreFound: the checker finds what a server does wrong that answers one
// read in ten with what was there before.
func TestStaleReadsAreFound(t *testing.T) {
	s := coffertest.Start(t, coffertest.InMemory())
	run := newLinearRun(t, 600)
	run.prepare(s)
	stale := &staleReads{next: http.DefaultTransport, first: map[string]*http.Response{}, bodies: map[string][]byte{}}
	c := s3.New(s.S3.Options(), func(o *s3.Options) { o.HTTPClient = &http.Client{Transport: stale} })
	close(run.killed)
	run.live(c)
	run.load()
	if t.Failed() {
		return
	}
	if stale.told == 0 {
		t.Fatal("no read was stale")
	}
	if got := porcupine.CheckOperationsTimeout(linearModel(run.made), run.finished(), time.Minute); got != porcupine.Illegal {
		t.Errorf("the history of a server with %d stale reads is %s", stale.told, got)
	}
}

// staleReads answers some reads of a key with the first answer that it had.
type staleReads struct {
	next   http.RoundTripper
	mu     sync.Mutex
	first  map[string]*http.Response
	bodies map[string][]byte
	reads  int
	told   int
}

func (s *staleReads) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet || r.URL.Query().Has("versionId") || r.URL.Query().Has("versions") {
		return s.next.RoundTrip(r)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	if first := s.first[r.URL.Path]; first != nil && s.reads%10 == 0 {
		s.told++
		again := *first
		again.Body = readCloser{bytes.NewReader(s.bodies[r.URL.Path])}
		return &again, nil
	}
	resp, err := s.next.RoundTrip(r)
	if err == nil && resp.StatusCode == http.StatusOK && s.first[r.URL.Path] == nil {
		var body bytes.Buffer
		_, err = body.ReadFrom(resp.Body)
		resp.Body.Close()
		first := *resp
		s.first[r.URL.Path], s.bodies[r.URL.Path] = &first, body.Bytes()
		resp.Body = readCloser{bytes.NewReader(body.Bytes())}
	}
	return resp, err
}

type readCloser struct{ *bytes.Reader }

func (readCloser) Close() error { return nil }

// linearRun is a history that is being made.
type linearRun struct {
	t      testing.TB
	want   int // operations
	begun  time.Time
	ops    atomic.Uint64
	killed chan struct{} // closed when no server will be killed any more

	mu      sync.Mutex
	changed *sync.Cond
	server  *life // nil while there is none
	over    bool
	history []porcupine.Operation
	open    []openOp
	made    map[string]uint64
	keys    map[string]*linearKey
}

// openOp is an operation of the history that ends with its server.
type openOp struct {
	index int
	l     *life
}

// life is a server until it is killed.
type life struct {
	s3    *s3.Client
	dying atomic.Bool
	ended chan struct{}
	death int64 // when it was dead for sure, once ended is closed
}

// died waits for the end of a server that is being killed.
func (l *life) died() bool {
	if !l.dying.Load() {
		return false
	}
	<-l.ended
	return true
}

func newLinearRun(t testing.TB, want int) *linearRun {
	r := &linearRun{t: t, want: want, begun: time.Now(), killed: make(chan struct{}), made: map[string]uint64{}, keys: map[string]*linearKey{}}
	r.changed = sync.NewCond(&r.mu)
	r.ops.Store(linearSources) // content of sources
	return r
}

// prepare makes the buckets and what is copied.
func (r *linearRun) prepare(s *coffertest.Server) {
	for _, b := range linearBuckets {
		s.Bucket(b, "", "", false)
	}
	s.Versioning(linearBuckets[1], types.BucketVersioningStatusEnabled)
	for i := range linearSources {
		s.Put(linearBuckets[0], fmt.Sprint("source-", i), string(linearBody(uint64(i))))
	}
}

func (r *linearRun) now() int64 { return int64(time.Since(r.begun)) }

func (r *linearRun) newOp() uint64 { return r.ops.Add(1) }

// live begins the life of a server.
func (r *linearRun) live(c *s3.Client) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.server = &life{s3: c, ended: make(chan struct{})}
	r.changed.Broadcast()
}

// die ends it.
func (r *linearRun) die(kill func()) {
	r.mu.Lock()
	l := r.server
	r.server = nil
	r.mu.Unlock()
	l.dying.Store(true)
	kill()
	l.death = r.now()
	close(l.ended)
}

// serving waits for a server; nil when there are operations enough.
func (r *linearRun) serving() *life {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.server == nil && !r.over {
		r.changed.Wait()
	}
	if r.over {
		return nil
	}
	return r.server
}

// reaches waits for that many operations; false if there will never be as many.
func (r *linearRun) reaches(n int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.history) < n && !r.over {
		r.changed.Wait()
	}
	return !r.over
}

// load makes operations until there are enough.
func (r *linearRun) load() {
	var all sync.WaitGroup
	for id := range linearClients {
		c := &linearClient{run: r, id: id, rnd: rand.New(rand.NewPCG(rand.Uint64(), 0))}
		all.Go(func() {
			for l := r.serving(); l != nil; l = r.serving() {
				if err := c.step(l); err != nil {
					r.t.Errorf("client %d: %v", id, err)
					r.end()
				}
			}
		})
	}
	all.Wait()
	<-r.killed
}

func (r *linearRun) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	r.changed.Broadcast()
}

// record adds an operation to the history; end is 0 for one that is open.
func (r *linearRun) record(s inFlight, out linearOutput, end int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if end == 0 {
		r.open = append(r.open, openOp{len(r.history), s.l})
	}
	r.history = append(r.history, porcupine.Operation{ClientId: s.c.id, Input: s.in, Call: s.call, Output: out, Return: end})
	if len(r.history) >= r.want {
		r.over = true
	}
	r.changed.Broadcast()
}

// finished returns the history in which every operation has its end.
func (r *linearRun) finished() []porcupine.Operation {
	end := r.now()
	for _, o := range r.open {
		op := &r.history[o.index]
		op.Return = end
		if o.l.dying.Load() {
			// What was sent to a dead server had no effect, whenever that was.
			op.Return = max(o.l.death, op.Call)
		}
	}
	return r.history
}

// check looks for the order.
func (r *linearRun) check(took time.Duration) {
	history := r.finished()
	outcomes, keys := map[verdict]int{}, map[string]bool{}
	for _, o := range history {
		outcomes[o.Output.(linearOutput).verdict]++
		keys[o.Input.(linearInput).key] = true
	}
	model := linearModel(r.made)
	var result porcupine.CheckResult
	var info porcupine.LinearizationInfo
	checking := lap(func() { result, info = porcupine.CheckOperationsVerbose(model, history, 10*time.Minute) })
	r.t.Logf("%d operations of %d clients on %d keys in %v: %v; checked in %v: %s",
		len(history), linearClients, len(keys), took.Round(time.Millisecond), outcomes, checking.Round(time.Millisecond), result)
	if result == porcupine.Ok {
		return
	}
	r.t.Errorf("the history is %s", result)
	if f, err := os.CreateTemp("", "linear-*.html"); err == nil {
		defer f.Close()
		if err := porcupine.Visualize(model, info, f); err == nil {
			r.t.Logf("to be seen in %s", f.Name())
		}
	}
}

// learn takes note of what made a version.
func (r *linearRun) learn(version string, op uint64) {
	if version == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.made[version] = op
}

// key returns one of the keys that are in use.
func (r *linearRun) key(versioned bool, i int) *linearKey {
	r.mu.Lock()
	defer r.mu.Unlock()
	bucket := linearBuckets[0]
	if versioned {
		bucket = linearBuckets[1]
	}
	key := fmt.Sprintf("%04d-%d", len(r.history)/linearEpoch, i)
	k := r.keys[bucket+"/"+key]
	if k == nil {
		k = &linearKey{name: bucket + "/" + key, bucket: bucket, key: key, versioned: versioned}
		r.keys[k.name] = k
	}
	return k
}

// linearKey is a key and what clients have seen of it.
type linearKey struct {
	name, bucket, key string
	versioned         bool

	mu   sync.Mutex
	seen []seenVersion // last at the end
}

type seenVersion struct {
	op, content   uint64
	etag, version string
}

func (k *linearKey) note(v seenVersion) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.seen = append(k.seen, v)
}

// last returns what was seen last: often what is still there.
func (k *linearKey) last() seenVersion {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.seen) == 0 {
		return seenVersion{}
	}
	return k.seen[len(k.seen)-1]
}

// some returns one of what was seen lately.
func (k *linearKey) some(rnd *rand.Rand) seenVersion {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.seen) == 0 {
		return seenVersion{}
	}
	return k.seen[max(0, len(k.seen)-1-rnd.IntN(12))]
}
