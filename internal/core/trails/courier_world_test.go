// SPDX-License-Identifier: Apache-2.0

package trails

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/link/keystore/rootkey"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/blob"
	"github.com/cofferstore/coffer/internal/store/meta"
	metamem "github.com/cofferstore/coffer/internal/store/meta/mem"
)

const (
	region  = "us-east-1"
	account = "111122223333"
)

// shop is the bucket of a trail, as its courier sees it.
type shop struct {
	mu      sync.Mutex
	fails   error
	tries   int
	objects map[string]stored
	order   []string // in which they came; again if one was put again
}

type stored struct {
	body    []byte
	headers map[string]string
	by      iam.Caller
	at      time.Time
}

func (s *shop) Put(_ context.Context, by iam.Caller, in object.Put, _ policy.Context) (object.Stored, error) {
	s.mu.Lock()
	s.tries++
	fails := s.fails
	s.mu.Unlock()
	if fails != nil {
		return object.Stored{}, fails
	}
	body, err := io.ReadAll(in.Body)
	if err != nil {
		return object.Stored{}, err
	}
	o := stored{body: body, headers: map[string]string{}, by: by, at: time.Now()}
	for _, h := range in.Headers {
		o.headers[h.Name] = h.Value
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[in.Bucket+"/"+in.Key] = o
	s.order = append(s.order, in.Bucket+"/"+in.Key)
	return object.Stored{Size: int64(len(body))}, nil
}

func (s *shop) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fails = err
}

// get is what a verifier reads by.
func (s *shop) get(_ context.Context, bucket, object string) ([]byte, map[string]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.objects[bucket+"/"+object]
	if !ok {
		return nil, nil, fs.ErrNotExist
	}
	return o.body, o.headers, nil
}

// named returns the names of what came, in order.
func (s *shop) named(part string) (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range s.order {
		if strings.Contains(name, part) {
			names = append(names, name)
		}
	}
	return names
}

func unzip(t *testing.T, body []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// refusing is a store that refuses to commit on order.
type refusing struct {
	meta.Store
	mu     sync.Mutex
	refuse func(*meta.Batch) error
}

func (r *refusing) Commit(ctx context.Context, b *meta.Batch) (uint64, error) {
	r.mu.Lock()
	refuse := r.refuse
	r.mu.Unlock()
	if refuse != nil {
		if err := refuse(b); err != nil {
			return 0, err
		}
	}
	return r.Store.Commit(ctx, b)
}

func (r *refusing) when(f func(*meta.Batch) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuse = f
}

// post is an audit trail, a trail "main" that is delivered from it, and its bucket.
type post struct {
	t       *testing.T
	rows    *refusing
	files   vfs.FS
	trail   *audit.Trail
	service *Service
	signer  *Signer
	shop    *shop
	cfg     CourierConfig
	stop    func()
	events  int
}

// sealer is the service key under which the tests' keys are sealed.
var sealer = rootkey.Versioned{Current: 1, Keys: map[uint32]secret.Bytes{1: secret.Random(secret.Size)}}

// aKey is made once: it takes long.
var aKey = sync.OnceValue(func() []byte {
	rows := metamem.New()
	s := NewSigner(rows, sealer)
	if _, err := s.current(context.Background()); err != nil {
		panic(err)
	}
	keys, err := s.keys(context.Background())
	if err != nil {
		panic(err)
	}
	keys[0].From, keys[0].To = time.Unix(0, 0), time.Date(2500, 1, 1, 0, 0, 0, 0, time.UTC)
	return encode(keys[0])
})

// inPost runs a test in a world of its own, in which time passes at once.
func inPost(t *testing.T, test func(p *post)) {
	t.Helper()
	key := aKey()
	synctest.Test(t, func(t *testing.T) {
		p := &post{t: t, rows: &refusing{Store: metamem.New()}, files: vfs.NewMem(), shop: &shop{objects: map[string]stored{}}}
		p.cfg = CourierConfig{Name: func(err error) (string, string) {
			switch {
			case errors.Is(err, bucket.NoSuchBucket):
				return "NoSuchBucket", ""
			case errors.Is(err, iam.AccessDenied):
				return "AccessDenied", ""
			case errors.Is(err, blob.Full):
				return "ServiceUnavailable", ""
			}
			return "InternalError", err.Error()
		}}
		p.put(signingRows+"test", key)
		var err error
		if p.trail, err = audit.Open(t.Context(), "audit", audit.Config{FS: p.files, Journal: p.rows}); err != nil {
			t.Fatal(err)
		}
		defer func() {
			p.end()
			if err := p.trail.Close(); err != nil {
				t.Error(err)
			}
		}()
		p.service = New(p.rows, Config{Region: region, Head: p.trail.End, Policy: allowing{}})
		p.signer = NewSigner(p.rows, sealer)
		test(p)
	})
}

func (p *post) put(row string, value []byte) {
	p.t.Helper()
	var b meta.Batch
	b.Put([]byte(row), value)
	if _, err := p.rows.Commit(p.t.Context(), &b); err != nil {
		p.t.Fatal(err)
	}
}

// allowing lets everybody do everything.
type allowing struct{}

func (allowing) Authorize(context.Context, iam.Caller, []policy.Need) error { return nil }

// begin makes the trail, lets it log, and runs a courier.
func (p *post) begin(validate bool) {
	p.t.Helper()
	t := Trail{ID: uuid.NewString(), Account: account, Name: "main", Bucket: "logs", Prefix: "p", Global: true, Validate: validate, Created: time.Now()}
	if err := p.service.insert(p.t.Context(), &t); err != nil {
		p.t.Fatal(err)
	}
	p.logging(true)
	p.run()
}

// logging starts or stops the trail's logging.
func (p *post) logging(on bool) {
	p.t.Helper()
	by, call := iam.Caller{Principal: iam.Principal{Account: account}}, p.service.Stop
	if on {
		call = p.service.Start
	}
	if _, err := call(p.t.Context(), by, NameOnly{"main"}); err != nil {
		p.t.Fatal(err)
	}
}

func (p *post) change(edit func(t *Trail)) {
	p.t.Helper()
	if _, err := p.service.change(p.t.Context(), account, "main", func(t *Trail) error { edit(t); return nil }); err != nil {
		p.t.Fatal(err)
	}
}

// run begins a courier, as the start of a server does.
func (p *post) run() {
	ctx, cancel := context.WithCancel(context.Background())
	c, done := NewCourier(p.service, p.trail, p.shop, p.signer, p.cfg), make(chan struct{})
	go func() { defer close(done); c.Run(ctx) }()
	p.stop = func() { cancel(); <-done; p.stop = nil }
	synctest.Wait()
}

func (p *post) end() {
	if p.stop != nil {
		p.stop()
	}
}

// happen records n events, one each interval.
func (p *post) happen(n int, each time.Duration) {
	p.t.Helper()
	for range n {
		p.events++
		err := p.trail.Append(p.t.Context(), audit.Record{
			EventSource: "s3.amazonaws.com", EventName: "CreateBucket", EventCategory: audit.Management, ManagementEvent: true,
			EventTime: time.Now().UTC().Truncate(time.Second), RecipientAccountID: account, EventType: audit.TypeAPICall,
			RequestParameters: map[string]any{"number": p.events},
		}, true)
		if err != nil {
			p.t.Fatal(err)
		}
		time.Sleep(each)
	}
}

// delivery returns how far the trail is delivered.
func (p *post) delivery() Delivery {
	p.t.Helper()
	synctest.Wait()
	d, err := p.service.Delivery(p.t.Context(), &Trail{Account: account, Name: "main"})
	if err != nil {
		p.t.Fatal(err)
	}
	return d
}

// came returns the names of what came, in order, when everything is at rest.
func (p *post) came(part string) []string {
	synctest.Wait()
	return p.shop.named(part)
}

// stored returns an object that came.
func (p *post) stored(name string) stored {
	synctest.Wait()
	return p.shop.copy()[name]
}

// numbers returns the numbers of the events in the files that came, each file once, in
// the order in which they came.
func (p *post) numbers() (numbers []int) {
	p.t.Helper()
	seen := map[string]bool{}
	for _, name := range p.came("/CloudTrail/") {
		if seen[name] {
			continue
		}
		seen[name] = true
		numbers = append(numbers, p.inFile(name)...)
	}
	return numbers
}

func (p *post) inFile(name string) (numbers []int) {
	p.t.Helper()
	body := p.stored(name).body
	var file struct {
		Records []struct {
			RequestParameters struct{ Number int }
			CofferChain       string
		}
	}
	if err := json.Unmarshal(unzip(p.t, body), &file); err != nil {
		p.t.Fatalf("%s: %v", name, err)
	}
	for _, r := range file.Records {
		if r.CofferChain != "" {
			p.t.Fatal("a record has the chain of the audit trail")
		}
		numbers = append(numbers, r.RequestParameters.Number)
	}
	return numbers
}

// delivered checks that the events from one number to another were delivered, each once
// and in order.
func (p *post) delivered(from, to int) {
	p.t.Helper()
	var want []int
	for n := from; n <= to; n++ {
		want = append(want, n)
	}
	if got := p.numbers(); !slices.Equal(got, want) {
		p.t.Fatalf("delivered %v, want %d to %d", got, from, to)
	}
}

// verify runs the verifier over the digests up to the last.
func (p *post) verify(last Digest) Verified {
	p.t.Helper()
	keys, err := p.signer.PublicKeys(p.t.Context(), time.Unix(0, 0), time.Time{})
	if err != nil {
		p.t.Fatal(err)
	}
	v := Verifier{Get: p.shop.get, Keys: keys}
	out, err := v.Verify(p.t.Context(), last.Bucket, last.Object, last.Hash)
	if err != nil {
		p.t.Fatal(err)
	}
	return out
}

func (s *shop) copy() map[string]stored {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.objects)
}

func (s *shop) String() string { return fmt.Sprint(s.named("")) }

func (s *shop) tried() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tries
}
