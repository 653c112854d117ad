// SPDX-License-Identifier: Apache-2.0

package replication

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/access"
	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/internal/store/meta/authentic"
	metamem "github.com/cofferstore/coffer/internal/store/meta/mem"
)

const (
	home    = "111122223333"
	abroad  = "444455556666"
	roleARN = "arn:aws:iam::" + home + ":role/replication"
)

// world is a service whose objects are a fake: what it is told to make is noted.
type world struct {
	*Service
	t        *testing.T
	rows     meta.Store
	below    meta.Store // of the rows, without their codes
	owner    iam.Caller
	refused  string // why the role cannot be assumed: "" it can
	trustAll bool   // the role may be assumed for any bucket

	mu         sync.Mutex
	version    object.Object             // of which all versions are
	tags       []bucket.Tag              // of it
	changed    object.Changed            // of it
	gone       bool                      // there is no version
	made       []string                  // "key to destination", in the order in which they ended
	states     map[string]string         // of "key to destination"
	fails      func(key string) error    // what Replicate returns
	wait       func(in object.Replicate) // in Replicate
	unnoted    func(key string) error    // what Replicated returns
	unresolved error                     // what Resolve returns
	unsure     bool                      // Replicated does what it is to do, and does not know it
	denied     map[string]bool           // actions that no policy allows
	explicit   map[string]bool           // actions that a policy denies
	asked      []string                  // "action resource"
	last       object.Replicate          // what was asked for
	by         iam.Caller                // by whom
	changes    []object.Change           // events
	records    []audit.Record            // of the trail
	running    map[string]int            // of keys
	most       int                       // tasks at the same time
	twice      bool                      // two tasks of one key at the same time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		t: t, below: metamem.New(), states: map[string]string{}, denied: map[string]bool{}, explicit: map[string]bool{}, running: map[string]int{},
		owner:   iam.Caller{Principal: iam.Principal{Type: iam.Root, Account: home, ARN: aws.RootARN(home), PrincipalID: home}, Secure: true, SigV4: true},
		version: object.Object{VersionID: "v", Size: 7, SSE: sse.Applied{Algorithm: sse.AES256}},
	}
	w.rows = authentic.Wrap(w.below, authentic.Keys{Current: 1, Key: map[uint32]secret.Bytes{1: secret.Random(secret.Size)}})
	buckets := bucket.New(w.rows, bucket.Config{Region: "us-east-1", CanonicalID: func(a string) string { return a }})
	w.Service = w.open(buckets)
	for _, name := range []string{"photos", "copies", "others"} {
		w.must(buckets.Create(t.Context(), w.owner, bucket.Create{Bucket: name}))
		w.must(buckets.PutVersioning(t.Context(), w.owner, bucket.PutVersioning{Ref: bucket.Ref{Bucket: name}, Status: bucket.Enabled}))
	}
	return w
}

func (w *world) open(buckets *bucket.Buckets) *Service {
	w.t.Helper()
	s, err := Open(w.t.Context(), Parts{Rows: w.rows, Buckets: buckets, Objects: w, Access: w, Roles: w, Keys: w, Trail: w, Events: w}, Config{Region: "us-east-1", Workers: 4})
	w.must(nil, err)
	return s
}

func (w *world) must(_ any, err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// rules sets the configuration of the bucket "photos".
func (w *world) rules(rules ...rule) {
	w.t.Helper()
	w.must(w.Buckets.PutReplication(w.t.Context(), w.owner, bucket.PutReplication{
		Ref: bucket.Ref{Bucket: "photos"}, Replication: &bucket.Replication{Role: roleARN, Rules: rules},
	}))
}

func (w *world) bucket(name string) *bucket.Bucket {
	w.t.Helper()
	b, err := w.Buckets.Find(w.t.Context(), bucket.Ref{Bucket: name})
	w.must(nil, err)
	return b
}

// put plans the replication of new versions, as the commit that makes them does.
func (w *world) put(keys ...string) { w.t.Helper(); w.change(object.OpPut, keys...) }

func (w *world) change(op object.Operation, keys ...string) {
	w.t.Helper()
	for _, key := range keys {
		var batch meta.Batch
		c := object.ReplicaChange{
			Operation: op, Bucket: w.bucket("photos"), Key: key, VersionID: "v", Size: 7, ETag: "e", Algorithm: sse.AES256, Time: time.Now(), Replicated: []string{"copies"},
		}
		if op == object.OpMarker {
			c.Algorithm = ""
		}
		_, committed, err := w.Plan(w.t.Context(), &batch, c)
		w.must(nil, err)
		if committed == nil {
			w.t.Fatalf("%s is not replicated", key)
		}
		w.must(w.rows.Commit(w.t.Context(), &batch))
		committed()
	}
}

// run runs the service until the test ends, or the function is called.
func (w *world) run() (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); w.Run(ctx) }()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	w.t.Cleanup(stop)
	return stop
}

// tasks returns how many rows there are.
func (w *world) tasks() int {
	w.t.Helper()
	page, err := w.rows.Scan(w.t.Context(), meta.Range{Start: []byte(taskRows), End: meta.PrefixEnd([]byte(taskRows))})
	w.must(nil, err)
	return len(page.Items)
}

// state returns what was noted of a key for a destination.
func (w *world) state(key, destination string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.states[key+" to "+destination]
}

// Head is Objects'.
func (w *world) Head(context.Context, iam.Caller, object.Get) (*object.Object, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gone {
		return nil, fault.New(object.NoSuchVersion, "")
	}
	v := w.version
	return &v, nil
}

// Facts is Objects'.
func (w *world) Facts(context.Context, *bucket.Bucket, string, string) (object.Facts, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return object.Facts{Found: !w.gone, Tags: w.tags, Changed: w.changed}, nil
}

// Replicate is Objects'.
func (w *world) Replicate(ctx context.Context, by iam.Caller, in object.Replicate) (object.Replica, error) {
	w.mu.Lock()
	w.last, w.by = in, by
	w.running[in.Key]++
	total := 0
	for _, n := range w.running {
		total += n
	}
	w.most, w.twice = max(w.most, total), w.twice || w.running[in.Key] > 1
	wait, fails := w.wait, w.fails
	w.mu.Unlock()
	if wait != nil {
		wait(in)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running[in.Key]--
	if err := ctx.Err(); err != nil {
		return object.Replica{}, err
	}
	if fails != nil {
		if err := fails(in.Key); err != nil {
			return object.Replica{}, err
		}
	}
	out := object.Replica{Made: true, Size: 7, FromSSE: w.version.SSE, Stored: object.Stored{VersionID: in.VersionID, SSE: w.version.SSE}}
	var batch meta.Batch
	if err := audit.InCommit(ctx, &batch, out); err != nil {
		return out, err
	}
	w.made = append(w.made, in.Key+" to "+in.Destination)
	return out, nil
}

// Replicated is Objects'.
func (w *world) Replicated(ctx context.Context, _ bucket.Ref, _ bucket.UID, key, _, destination string, state object.ReplicaState, _ object.Taken, done func(*meta.Batch)) error {
	if w.unnoted != nil {
		if err := w.unnoted(key); err != nil {
			return err
		}
	}
	var batch meta.Batch
	done(&batch)
	if _, err := w.rows.Commit(ctx, &batch); err != nil {
		return err
	}
	if w.unsure {
		return errBusy
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.states[key+" to "+destination] = map[object.ReplicaState]string{object.ReplicaCompleted: "COMPLETED", object.ReplicaFailed: "FAILED"}[state]
	return nil
}

// Each is Authorizer's.
func (w *world) Each(_ context.Context, _ access.Request, needs []policy.Need) []error {
	w.mu.Lock()
	defer w.mu.Unlock()
	errs := make([]error, len(needs))
	for i, n := range needs {
		w.asked = append(w.asked, n.Action+" "+strings.TrimPrefix(n.Resource, "arn:aws:s3:::"))
		d := policy.Decision{Explicit: w.explicit[n.Action]}
		if d.Explicit || w.denied[n.Action] {
			errs[i] = d.Mark(fault.New(iam.AccessDenied, ""))
		}
	}
	return errs
}

// AssumeForService is Roles'.
func (w *world) AssumeForService(_ context.Context, by iam.Caller, role, name string) (iam.Principal, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refused != "" || role != roleARN || name != SessionName || !w.trustAll && by.SourceARN != "arn:aws:s3:::photos" || by.SourceAccount != home {
		return iam.Principal{}, fault.New(iam.AccessDenied, "%s", w.refused)
	}
	return iam.Principal{
		Type: iam.AssumedRole, Account: home, ARN: "arn:aws:sts::" + home + ":assumed-role/replication/" + name, RoleARN: role, RoleID: "AROA", PrincipalID: "AROA:" + name,
		AccessKeyID: uuid.NewString(), Session: &iam.Session{Name: name, Issued: time.Now(), Expires: time.Now().Add(time.Hour)},
	}, nil
}

// Resolve is Keys'.
func (w *world) Resolve(_ context.Context, _ iam.Caller, key string) (string, error) {
	return "arn of " + key, w.unresolved
}

// Append is Recorder's.
func (w *world) Append(_ context.Context, r audit.Record, durable bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !durable {
		return errors.New("what a service did must be durable")
	}
	w.records = append(w.records, r)
	return nil
}

// Join is Recorder's. Replicate holds mu.
func (w *world) Join(_ *meta.Batch, r audit.Record) (func(), error) {
	return func() { _ = w.Append(w.t.Context(), r, true) }, nil
}

// Queue is object.Notifier's.
func (w *world) Queue(_ context.Context, _ *meta.Batch, c object.Change) (func(), error) {
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.changes = append(w.changes, c)
	}, nil
}

// told returns the events so far.
func (w *world) told() (out []object.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.changes {
		out = append(out, c.Event)
	}
	return out
}

// recordedAs returns the records so far: names, buckets and errors.
func (w *world) recordedAs() (out []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.records {
		in, _ := r.RequestParameters["bucketName"].(string)
		out = append(out, strings.TrimSpace(strings.Join(slices.DeleteFunc([]string{r.EventName, in, r.ErrorCode}, func(s string) bool { return s == "" }), " ")))
	}
	return out
}
