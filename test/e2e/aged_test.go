// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/lifecycle/engine"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/test/coffertest"
)

var agedCount = flag.Int("aged", 1500, "number of versions of objects of the test of lifecycle rules")

const (
	agedBucket  = "aged"
	agedUploads = 20
	agedWithin  = 5 * time.Minute // after the last restart; a lease of a killed server takes a minute
)

// TestLifecycleOfManyObjects lets six rules work on a bucket, kills the server in the middle
// of it, and asserts that the bucket ends in the state that a simple model predicts, version
// by version. A day has one second.
func TestLifecycleOfManyObjects(t *testing.T) {
	t.Parallel()
	a := &agedTest{T: t, was: agedState{}}
	s := start(t)
	s.Bucket(agedBucket, "aws:kms", s.Key(), true)
	s.Versioning(agedBucket, types.BucketVersioningStatusEnabled)
	filled := lap(func() { a.fill(s, *agedCount) })
	for i := range agedUploads {
		do(t, s.S3.CreateMultipartUpload, &s3.CreateMultipartUploadInput{Bucket: aws.String(agedBucket), Key: aws.String(fmt.Sprint("logs/upload-", i))})
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	want := a.was.clone()
	actions := want.settle() + agedUploads
	t.Logf("filled: %d versions of %d keys in %v; %d actions are to come", *agedCount, len(a.was), filled.Round(time.Second), actions)

	program := buildProgram(t)
	serve := func() *process { return startProcess(t, program, s.Dir, "--lifecycle-day", "1s") }
	p := serve()
	p.lifecycle(t)
	killed := a.killAt(p, actions/3)
	p = serve()
	began := time.Now()
	a.settled(p, want)
	t.Logf("killed after %d actions; settled %v after the start, %.0f actions by then", killed, time.Since(began).Round(time.Millisecond), p.actions())
	if out := do(t, p.s3.ListMultipartUploads, &s3.ListMultipartUploadsInput{Bucket: aws.String(agedBucket)}); len(out.Uploads) != 0 {
		t.Errorf("%d uploads are under way", len(out.Uploads))
	}
	if out, err := p.run("scrub"); err != nil {
		t.Errorf("scrub: %v\n%s", err, out)
	}
	p.stop()
}

type agedTest struct {
	*testing.T
	mu  sync.Mutex
	was agedState
}

// agedVersion is a version as the model has it. The id of a marker that a rule made is not
// known.
type agedVersion struct {
	id, class string
	size      int
	marker    bool
	temporary bool // tagged so
}

// agedState is a bucket: by key its versions, the newest first.
type agedState map[string][]agedVersion

func (s agedState) clone() agedState {
	out := agedState{}
	for key, versions := range s {
		out[key] = slices.Clone(versions)
	}
	return out
}

// lifecycle puts the rules.
func (p *process) lifecycle(t *testing.T) {
	day, never := aws.Int32(1), aws.Int32(1_000_000)
	rule := func(id string, f types.LifecycleRuleFilter, r types.LifecycleRule) types.LifecycleRule {
		r.ID, r.Filter, r.Status = &id, &f, types.ExpirationStatusEnabled
		return r
	}
	below := func(prefix string) types.LifecycleRuleFilter { return types.LifecycleRuleFilter{Prefix: &prefix} }
	gone := &types.NoncurrentVersionExpiration{NoncurrentDays: day}
	do(t, p.s3.PutBucketLifecycleConfiguration, &s3.PutBucketLifecycleConfigurationInput{
		Bucket: aws.String(agedBucket), LifecycleConfiguration: &types.BucketLifecycleConfiguration{Rules: []types.LifecycleRule{
			rule("logs", below("logs/"), types.LifecycleRule{Expiration: &types.LifecycleExpiration{Days: day}, NoncurrentVersionExpiration: gone}),
			rule("temporary", types.LifecycleRuleFilter{And: &types.LifecycleRuleAndOperator{
				Prefix: aws.String("data/"), Tags: []types.Tag{{Key: aws.String("temporary"), Value: aws.String("yes")}},
			}}, types.LifecycleRule{Expiration: &types.LifecycleExpiration{Days: day}}),
			rule("large", types.LifecycleRuleFilter{And: &types.LifecycleRuleAndOperator{Prefix: aws.String("data/"), ObjectSizeGreaterThan: aws.Int64(1500)}},
				types.LifecycleRule{Transitions: []types.Transition{{Days: day, StorageClass: types.TransitionStorageClassGlacierIr}}}),
			rule("newest", below("data/"), types.LifecycleRule{
				NoncurrentVersionExpiration: &types.NoncurrentVersionExpiration{NoncurrentDays: day, NewerNoncurrentVersions: aws.Int32(2)},
			}),
			rule("markers", below("markers/"), types.LifecycleRule{
				Expiration: &types.LifecycleExpiration{ExpiredObjectDeleteMarker: aws.Bool(true)}, NoncurrentVersionExpiration: gone,
			}),
			rule("all", types.LifecycleRuleFilter{}, types.LifecycleRule{
				Expiration:                     &types.LifecycleExpiration{Days: never},
				AbortIncompleteMultipartUpload: &types.AbortIncompleteMultipartUpload{DaysAfterInitiation: day},
			}),
		}},
	})
}

// settle does to the model what the rules demand, until nothing more is due, and returns
// how many actions that took.
func (s agedState) settle() (actions int) {
	for _, key := range slices.Collect(maps.Keys(s)) {
		for acted := true; acted && len(s[key]) > 0; {
			s[key], acted = agedStep(key, s[key])
			if acted {
				actions++
			}
		}
		if len(s[key]) == 0 {
			delete(s, key)
		}
	}
	return actions
}

// agedStep is one action on a key's versions.
func agedStep(key string, v []agedVersion) ([]agedVersion, bool) {
	kind, _, _ := strings.Cut(key, "/")
	if kind == "keep" {
		return v, false
	}
	keep := 0 // of the versions that are not current
	if kind == "data" {
		keep = 2
	}
	if len(v) > 1+keep {
		return v[:len(v)-1], true
	}
	switch current := &v[0]; {
	case current.marker:
		if kind != "data" && len(v) == 1 {
			return nil, true
		}
	case kind == "data" && current.size > 1500 && current.class == "":
		current.class = "GLACIER_IR"
		return v, true
	case kind == "logs", kind == "data" && current.temporary:
		return append([]agedVersion{{marker: true}}, v...), true
	}
	return v, false
}

// text shows versions to compare.
func agedText(v []agedVersion, known map[string]bool) string {
	var out []string
	for _, x := range v {
		id := x.id
		if x.marker && !known[id] {
			id = ""
		}
		out = append(out, fmt.Sprintf("%s %d %s marker=%t", id, x.size, x.class, x.marker))
	}
	return strings.Join(out, "; ")
}

// fill makes versions through core, by several at a time, each of whom has keys of his own.
func (a *agedTest) fill(s *coffertest.Server, n int) {
	a.Helper()
	ctx := a.Context()
	objects := s.Core.Objects()
	by := iam.Caller{Principal: s.Core.RootKeys().Principal(), Secure: true, SigV4: true}
	var all sync.WaitGroup
	for worker := range fillers {
		all.Go(func() {
			rnd := rand.New(rand.NewPCG(1, uint64(worker)))
			mine := agedState{}
			for left := n / fillers; left > 0; {
				key := fmt.Sprintf("%s/%02d/%06d", []string{"logs", "data", "data", "markers", "keep"}[rnd.IntN(5)], worker, left)
				var versions []agedVersion
				for range min(left, 1+rnd.IntN(5)) {
					v, err := agedWrite(ctx, objects, by, rnd, key)
					if err != nil {
						a.Errorf("%s: %v", key, err)
						return
					}
					versions = append([]agedVersion{v}, versions...)
					left--
				}
				mine[key] = versions
			}
			a.mu.Lock()
			defer a.mu.Unlock()
			maps.Copy(a.was, mine)
		})
	}
	all.Wait()
	if a.Failed() {
		a.FailNow()
	}
}

// agedWrite makes a version of a key: now and then a marker.
func agedWrite(ctx context.Context, objects *object.Objects, by iam.Caller, rnd *rand.Rand, key string) (agedVersion, error) {
	ref := object.Ref{Ref: bucket.Ref{Bucket: agedBucket}, Key: key}
	if rnd.IntN(4) == 0 {
		gone, err := objects.Delete(ctx, by, object.Delete{VersionRef: object.VersionRef{Ref: ref}})
		return agedVersion{id: gone.VersionID, marker: true}, err
	}
	v := agedVersion{size: rnd.IntN(3000), temporary: rnd.IntN(3) == 0}
	in := object.Put{Ref: ref, Body: bytes.NewReader(make([]byte, v.size)), Size: int64(v.size)}
	if v.temporary {
		in.Tags = []bucket.Tag{{Key: "temporary", Value: "yes"}}
	}
	stored, err := objects.Put(ctx, by, in)
	v.id = stored.VersionID
	return v, err
}

// killAt kills a server when it has done so much, and returns how much that was.
func (a *agedTest) killAt(p *process, actions int) int {
	a.Helper()
	for deadline := time.Now().Add(agedWithin); ; time.Sleep(time.Millisecond) {
		switch done := int(p.actions()); {
		case done >= actions:
			p.kill()
			return done
		case time.Now().After(deadline):
			a.Fatalf("%d of %d actions were done", done, actions)
		}
	}
}

// actions is how much lifecycle rules have done since the server's start, by its own metric.
func (p *process) actions() (n float64) {
	resp, err := http.Get(p.url + "/-/metrics")
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(page)) {
		if !strings.HasPrefix(line, "coffer_lifecycle_actions_total{") {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]), 64)
		if err != nil {
			p.t.Fatal(err)
		}
		n += v
	}
	return n
}

// settled waits until the bucket is as it should be, and asserts that it stays so.
func (a *agedTest) settled(p *process, want agedState) {
	a.Helper()
	var diff string
	for deadline := time.Now().Add(agedWithin); time.Now().Before(deadline); {
		out, err := p.run("lifecycle", "run", "--bucket", agedBucket, "--json")
		if err != nil {
			a.Fatalf("run: %v\n%s", err, out)
		}
		if diff = a.differs(p, want); diff != "" {
			continue
		}
		var last []engine.Status
		for range 2 { // the first may join a sweep that began before
			if out, err = p.run("lifecycle", "run", "--bucket", agedBucket, "--json"); err != nil {
				a.Fatalf("run: %v\n%s", err, out)
			}
			if err := json.Unmarshal([]byte(out), &last); err != nil {
				a.Fatalf("%v: %s", err, out)
			}
		}
		if len(last) != 1 || last[0].Job.Done != 0 {
			a.Errorf("there was more to do: %s", out)
		}
		if diff = a.differs(p, want); diff != "" {
			a.Error("it does not stay so: ", diff)
		}
		return
	}
	a.Fatal("the bucket does not become what it should: ", diff)
}

// differs compares the bucket with the model, and tells of one key that differs.
func (a *agedTest) differs(p *process, want agedState) string {
	a.Helper()
	got := agedState{}
	in := &s3.ListObjectVersionsInput{Bucket: aws.String(agedBucket)}
	markers := agedState{}
	for pages := s3.NewListObjectVersionsPaginator(p.s3, in); pages.HasMorePages(); {
		page, err := pages.NextPage(a.Context())
		if err != nil {
			a.Fatal(err)
		}
		for _, v := range page.Versions {
			class := strings.TrimPrefix(string(v.StorageClass), "STANDARD")
			got[*v.Key] = append(got[*v.Key], agedVersion{id: *v.VersionId, class: class, size: int(*v.Size)})
		}
		for _, m := range page.DeleteMarkers {
			markers[*m.Key] = append(markers[*m.Key], agedVersion{id: *m.VersionId, marker: true})
		}
	}
	for key := range want {
		if len(got[key])+len(markers[key]) == 0 {
			return key + " is gone"
		}
	}
	for key := range markers {
		if _, ok := got[key]; !ok {
			got[key] = nil
		}
	}
	for key := range got {
		known := map[string]bool{}
		for _, v := range a.was[key] {
			known[v.id] = true
		}
		// Ids sort by age, the newest last.
		all := append(got[key], markers[key]...)
		order := func(x, y agedVersion) int {
			return strings.Compare(agedText([]agedVersion{x}, known), agedText([]agedVersion{y}, known))
		}
		slices.SortFunc(all, order)
		wanted := slices.Clone(want[key])
		for i := range wanted {
			wanted[i].temporary = false
		}
		slices.SortFunc(wanted, order)
		if g, w := agedText(all, known), agedText(wanted, known); g != w {
			return fmt.Sprintf("%s is %s, should be %s", key, g, w)
		}
	}
	return ""
}
