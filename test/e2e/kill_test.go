// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/test/coffertest"
)

var kills = flag.Int("kills", 2, "how many times the server is killed under load")

const (
	killWriters = 8
	secretOfKey = "under a key of its own"
)

// killBuckets are loaded: each has another encryption.
var killBuckets = []struct {
	name      string
	sse       types.ServerSideEncryption
	bucketKey bool
	versioned bool
}{
	{"sse-s3", types.ServerSideEncryptionAes256, false, false},
	{"sse-kms", types.ServerSideEncryptionAwsKms, false, false},
	{"bucket-key", types.ServerSideEncryptionAwsKms, true, false},
	{"versions", types.ServerSideEncryptionAwsKms, true, true},
}

// TestKill kills the server under load, again and again, and looks each time for
// everything that it had answered for: objects, versions, deletions, parts of
// uploads, KMS keys, audit records. What was under way may have been done or not,
// but not by halves.
//
// The operating system goes on and keeps what the process had written to files.
// What a machine loses that stops is the subject of the crash tests beside the
// stores.
func TestKill(t *testing.T) {
	k := &killTest{T: t, program: buildProgram(t), dir: t.TempDir(), ledger: newLedger()}
	p := startProcess(t, k.program, k.dir)
	k.prepare(p)
	var writers []*killWriter
	for i := range killWriters {
		writers = append(writers, &killWriter{ledger: k.ledger, name: fmt.Sprint("writer-", i), rnd: rand.New(rand.NewPCG(rand.Uint64(), 0))})
	}
	for round := range *kills {
		k.load(p, writers)
		unanswered := k.ledger.openChanges()
		took := lap(func() { p = k.restart() })
		k.lookForRecords(p)
		k.verify(p, writers)
		t.Logf("kill %d: %d answers so far, %d changes unanswered; ready again in %v; %d objects and %d versions read back",
			round+1, k.ledger.answered, unanswered, took.Round(time.Millisecond), k.objects.Load(), k.versions.Load())
		k.unanswered += unanswered
		if t.Failed() {
			return
		}
	}
	if k.unanswered == 0 && *kills > 5 {
		t.Error("no kill ever met a change under way")
	}
	if out, err := p.run("scrub", "--deep"); err != nil {
		t.Errorf("scrub: %v\n%s", err, out)
	}
	p.stop()
	if out, err := p.run("audit", "verify", "--data", k.dir); err != nil {
		t.Errorf("verify the trail of the stopped server: %v\n%s", err, out)
	}
}

type killTest struct {
	*testing.T
	program, dir string
	ledger       *ledger
	unanswered   int

	objects, versions atomic.Int64 // read back in all
}

func (k *killTest) prepare(p *process) {
	k.Helper()
	s := &coffertest.Server{T: k, Dir: k.dir, URL: p.url, S3: p.s3, KMS: p.kms}
	key := s.Key()
	for _, b := range killBuckets {
		with := key
		if b.sse == types.ServerSideEncryptionAes256 {
			with = ""
		}
		s.Bucket(b.name, string(b.sse), with, b.bucketKey)
		if b.versioned {
			s.Versioning(b.name, types.BucketVersioningStatusEnabled)
			k.ledger.versioned[b.name] = true
		}
	}
}

// load lets the writers write, and kills the server at some moment.
func (k *killTest) load(p *process, writers []*killWriter) {
	var answered atomic.Int64
	var dying atomic.Bool
	enough := make(chan struct{})
	quota := 50 + rand.Int64N(250)
	var all sync.WaitGroup
	for _, w := range writers {
		all.Go(func() {
			for {
				if err := w.step(k.Context(), p); err != nil {
					if !dying.Load() {
						k.Errorf("%s: %v", w.name, err)
					}
					return
				}
				if answered.Add(1) == quota {
					close(enough)
				}
			}
		})
	}
	stopped := make(chan struct{})
	go func() { all.Wait(); close(stopped) }()
	select {
	case <-enough:
	case <-stopped: // all of them failed
	}
	// An answer is no random moment; some time after it is.
	time.Sleep(rand.N(100 * time.Millisecond))
	dying.Store(true)
	p.kill()
	<-stopped
}

// restart starts the server again. Some starts are killed too.
func (k *killTest) restart() *process {
	for rand.IntN(3) == 0 {
		p, out := spawn(k, k.program, k.dir, k.syncReads()...)
		if rand.IntN(2) == 0 { // when it begins to serve; else as soon as it exists
			_, _ = bufio.NewReader(out).ReadByte()
		}
		p.kill()
	}
	return startProcess(k, k.program, k.dir, k.syncReads()...)
}

// verify compares everything there is with the ledger, and settles what was open.
func (k *killTest) verify(p *process, writers []*killWriter) {
	for _, w := range writers {
		if err := w.resume(k.Context(), p); err != nil {
			k.Errorf("%s: %v", w.name, err)
		}
	}
	for _, b := range killBuckets {
		listed, err := listObjects(k.Context(), p.s3, b.name)
		if err != nil {
			k.Errorf("list %s: %v", b.name, err)
			return
		}
		var versions map[string]*foundPlace
		if b.versioned {
			if versions, err = listVersions(k.Context(), p.s3, b.name); err != nil {
				k.Errorf("list the versions of %s: %v", b.name, err)
				return
			}
		}
		places := map[place]bool{}
		for key := range listed {
			places[place{b.name, key}] = true
		}
		for key := range versions {
			places[place{b.name, key}] = true
		}
		for at := range k.ledger.places {
			if at.bucket == b.name {
				places[at] = true
			}
		}
		inParallel(places, func(at place) {
			if err := k.verifyPlace(p, at, b.sse, listed, versions); err != nil {
				k.Error(err)
			}
		})
	}
	k.verifyKeys(p)
}

// verifyPlace verifies what is at a place and how it is listed.
func (k *killTest) verifyPlace(p *process, at place, sse types.ServerSideEncryption, listed map[string]types.Object, versions map[string]*foundPlace) error {
	got, err := k.read(p, at, "", sse)
	if err != nil {
		return err
	}
	if got.content != nothing {
		k.objects.Add(1)
	}
	wrong := k.ledger.found(at, got.content)
	entry, is := listed[at.key]
	switch {
	case is != (got.content != nothing):
		wrong = errors.Join(wrong, fmt.Errorf("%v is listed: %t, and its content is %d", at, is, got.content))
	case is && (aws.ToString(entry.ETag) != got.etag || aws.ToInt64(entry.Size) != got.size):
		wrong = errors.Join(wrong, fmt.Errorf("%v is listed with ETag %s and %d bytes, and read with %s and %d",
			at, aws.ToString(entry.ETag), aws.ToInt64(entry.Size), got.etag, got.size))
	}
	if versions == nil {
		return wrong
	}
	all := versions[at.key]
	if all == nil {
		all = new(foundPlace)
	}
	for i := range all.versions {
		v := &all.versions[i]
		if !all.markers[v.version] {
			read, err := k.read(p, at, v.version, sse)
			if err != nil {
				return errors.Join(wrong, err)
			}
			v.content = read.content
			k.versions.Add(1)
		}
		if v.version == all.latest && v.content != got.content {
			wrong = errors.Join(wrong, fmt.Errorf("%v has content %d, and its latest version %d", at, got.content, v.content))
		}
	}
	return errors.Join(append(k.ledger.foundVersions(at, all.versions), wrong)...)
}

// readBack is an object as it was read.
type readBack struct {
	content uint64
	etag    string
	size    int64
}

// read reads an object and compares it with what its metadata says that it is.
func (k *killTest) read(p *process, at place, version string, sse types.ServerSideEncryption) (readBack, error) {
	in := &s3.GetObjectInput{Bucket: &at.bucket, Key: &at.key}
	if version != "" {
		in.VersionId = &version
	}
	out, err := p.s3.GetObject(k.Context(), in)
	var missing *types.NoSuchKey
	if version == "" && errors.As(err, &missing) {
		return readBack{}, nil
	}
	if err != nil {
		return readBack{}, fmt.Errorf("read %v, version %q: %w", at, version, err)
	}
	defer out.Body.Close()
	body, err := io.ReadAll(out.Body)
	if err != nil {
		return readBack{}, fmt.Errorf("read %v, version %q: %w", at, version, err)
	}
	content, err := strconv.ParseUint(out.Metadata[contentHeader], 10, 64)
	want, known := k.ledger.bytesOf(content)
	switch {
	case err != nil || !known:
		return readBack{}, fmt.Errorf("%v, version %q, says that it is content %q", at, version, out.Metadata[contentHeader])
	case !bytes.Equal(body, want):
		return readBack{}, fmt.Errorf("%v, version %q, has %d bytes that are not the %d of content %d", at, version, len(body), len(want), content)
	case out.ServerSideEncryption != sse:
		return readBack{}, fmt.Errorf("%v, version %q, is under %s, want %s", at, version, out.ServerSideEncryption, sse)
	}
	return readBack{content, aws.ToString(out.ETag), int64(len(body))}, nil
}

// verifyKeys uses every KMS key.
func (k *killTest) verifyKeys(p *process) {
	for key, ciphertext := range k.ledger.keys {
		out, err := p.kms.Decrypt(k.Context(), &kms.DecryptInput{KeyId: &key, CiphertextBlob: ciphertext})
		if err != nil || string(out.Plaintext) != secretOfKey {
			k.Errorf("key %s opens %v, %v", key, out, err)
		}
	}
}

// listObjects lists a bucket, some keys a page.
func listObjects(ctx context.Context, c *s3.Client, bucket string) (map[string]types.Object, error) {
	out := map[string]types.Object{}
	pages := s3.NewListObjectsV2Paginator(c, &s3.ListObjectsV2Input{Bucket: &bucket, MaxKeys: aws.Int32(20)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, o := range page.Contents {
			if _, twice := out[*o.Key]; twice {
				return nil, fmt.Errorf("%s is listed twice", *o.Key)
			}
			out[*o.Key] = o
		}
	}
	return out, nil
}

// foundPlace is what a listing of versions has of a key: versions, newest first,
// and then delete markers, newest first.
type foundPlace struct {
	versions []foundVersion
	markers  map[string]bool
	latest   string
}

func listVersions(ctx context.Context, c *s3.Client, bucket string) (map[string]*foundPlace, error) {
	out := map[string]*foundPlace{}
	var markers []types.DeleteMarkerEntry
	add := func(key, version *string, latest *bool) *foundPlace {
		f := out[*key]
		if f == nil {
			f = &foundPlace{markers: map[string]bool{}}
			out[*key] = f
		}
		f.versions = append(f.versions, foundVersion{version: *version})
		if aws.ToBool(latest) {
			f.latest = *version
		}
		return f
	}
	pages := s3.NewListObjectVersionsPaginator(c, &s3.ListObjectVersionsInput{Bucket: &bucket, MaxKeys: aws.Int32(20)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, v := range page.Versions {
			add(v.Key, v.VersionId, v.IsLatest)
		}
		markers = append(markers, page.DeleteMarkers...)
	}
	for _, m := range markers {
		add(m.Key, m.VersionId, m.IsLatest).markers[*m.VersionId] = true
	}
	return out, nil
}

// inParallel calls f for every place, some at a time.
func inParallel(places map[place]bool, f func(place)) {
	next := make(chan place)
	var all sync.WaitGroup
	for range killWriters {
		all.Go(func() {
			for at := range next {
				f(at)
			}
		})
	}
	order := make([]place, 0, len(places))
	for at := range places {
		order = append(order, at)
	}
	slices.SortFunc(order, func(a, b place) int { return strings.Compare(a.String(), b.String()) })
	for _, at := range order {
		next <- at
	}
	close(next)
	all.Wait()
}
