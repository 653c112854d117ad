// SPDX-License-Identifier: Apache-2.0

package object

import (
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cofferstore/coffer/internal/checksum"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fips"
	metamem "github.com/cofferstore/coffer/internal/store/meta/mem"
)

func TestReplicasAreAsTheirSources(t *testing.T) {
	for name, cfg := range map[string]Config{"inline": {MinPart: 10}, "files": filed} {
		t.Run(name, func(t *testing.T) {
			w, p := newReplicating(t, cfg)
			key, other := w.key(), w.key()
			p.key = other
			yes, no := true, false
			for algorithm, asked := range map[string]sse.Request{
				sse.AES256: {}, "bucket key": {Algorithm: sse.KMS, KeyID: key, BucketKey: &yes, Context: kms.Context{"a": "b"}},
				"no bucket key": {Algorithm: sse.KMS, KeyID: key, BucketKey: &no, Context: kms.Context{"a": "b"}},
				sse.DSSE:        {Algorithm: sse.DSSE, KeyID: key},
			} {
				for _, size := range []int{0, 1, 70_000, 300_000} {
					in := put("src", fmt.Sprint(algorithm, size), pattern(size))
					in.Headers = []Header{{"content-type", "text/plain"}, {"x-amz-meta-a", "b"}}
					in.Tags = []bucket.Tag{{Key: "a", Value: "b"}}
					in.StorageClass, in.SSE = "STANDARD_IA", asked
					in.Expect.Algorithm = checksum.SHA256
					stored := w.put(in)
					w.status("src", in.Key, "", StatusPending)
					w.annotateIf(size == 1, VersionRef{in.Ref, stored.VersionID})
					if failed := p.run(); failed != nil {
						t.Fatal(failed)
					}
					w.status("src", in.Key, "", StatusCompleted)
					w.status("dst", in.Key, "", StatusReplica)
					src, dst := w.same(in.Key, stored.VersionID)
					if src.SSE.Algorithm != dst.SSE.Algorithm || src.SSE.BucketKey != dst.SSE.BucketKey {
						t.Errorf("%s: %+v, %+v", algorithm, src.SSE, dst.SSE)
					}
					if src.SSE.KeyARN != "" && (src.SSE.KeyARN != key || dst.SSE.KeyARN != other) {
						t.Errorf("%s: %+v, %+v", algorithm, src.SSE, dst.SSE)
					}
					if size == 1 {
						w.reads(VersionRef{ref("dst", in.Key), stored.VersionID}, "a", "note")
					}
				}
				up := w.begin(CreateUpload{Ref: ref("src", "multi"+algorithm), Attributes: Attributes{SSE: asked}, Algorithm: checksum.CRC32, Type: checksum.Composite})
				first, last := w.part(up, 3, pattern(100_000)), w.part(up, 7, pattern(10))
				for i, data := range [][]byte{pattern(100_000), pattern(10)} {
					sum := checksum.CRC32.New()
					sum.Write(data)
					part := []*CompletePart{&first, &last}[i]
					part.Algorithm, part.Checksum = checksum.CRC32, sum.Sum(nil)
				}
				multi, err := w.complete(Complete{UploadRef: up, Parts: []CompletePart{first, last}})
				if err != nil {
					t.Fatal(err)
				}
				if failed := p.run(); failed != nil {
					t.Fatal(failed)
				}
				w.same(up.Key, multi.VersionID)
				for part := 1; part <= 2; part++ {
					a, b := read("src", up.Key, ""), read("dst", up.Key, "")
					a.Part, a.Checksum, b.Part, b.Checksum = part, true, part, true
					_, x := w.get(a)
					_, y := w.get(b)
					if x.Length != y.Length || x.PartsCount != 2 || y.PartsCount != 2 || !reflect.DeepEqual(x.Checksum, y.Checksum) {
						t.Errorf("part %d: %+v, %+v", part, x, y)
					}
				}
			}
			if err := w.consistent(false); err != nil {
				t.Error(err)
			}
			var last ScrubReport
			if err := w.objects.Scrub(t.Context(), true, func(r ScrubReport) { last = r }); err != nil || len(last.Damaged) > 0 {
				t.Errorf("%+v, %v", last, err)
			}
		})
	}
}

// Contexts of callers go along, those of S3 are of the bucket or object.
func TestContextsOfReplicas(t *testing.T) {
	w, p := newReplicating(t, small)
	key := w.key()
	p.key = w.key()
	for _, bucketKey := range []bool{true, false} {
		in := put("src", "k", pattern(10))
		in.SSE = sse.Request{Algorithm: sse.KMS, KeyID: key, BucketKey: &bucketKey, Context: kms.Context{"team": "red"}}
		w.put(in)
		w.trail.records = nil
		if failed := p.run(); failed != nil {
			t.Fatal(failed)
		}
		arn := "arn:aws:s3:::dst"
		if !bucketKey {
			arn += "/k"
		}
		found := false
		for _, r := range w.trail.records {
			text := fmt.Sprintf("%s", r.RequestParameters)
			found = found || r.EventName == "GenerateDataKey" && strings.Contains(text, "aws:s3:arn:"+arn+" team:red") && strings.Contains(text, p.key)
		}
		if !found {
			t.Errorf("bucket key %t: %+v", bucketKey, w.trail.records)
		}
	}
}

// What is not encrypted takes the default of the replica's bucket, nothing else does.
func TestReplicasOfObjectsWithoutEncryption(t *testing.T) {
	w, p := newReplicating(t, small)
	w.legacy("src", true)
	key, yes := w.key(), true
	stored := w.put(put("src", "plain", pattern(10)))
	p.run()
	w.same("plain", stored.VersionID)
	_, err := w.buckets.PutEncryption(t.Context(), alice, bucket.PutEncryption{Ref: bucket.Ref{Bucket: "dst"}, Rules: []bucket.EncryptionRule{
		{Default: &bucket.DefaultEncryption{Algorithm: sse.KMS, KeyID: key}, BucketKey: &yes},
	}})
	if err != nil {
		t.Fatal(err)
	}
	in := put("src", "s3", pattern(10))
	in.SSE.Algorithm = sse.AES256
	w.put(in)
	w.put(put("src", "k", pattern(10)))
	up := w.begin(CreateUpload{Ref: ref("src", "multi")})
	if _, err := w.complete(Complete{UploadRef: up, Parts: []CompletePart{w.part(up, 1, pattern(10))}}); err != nil {
		t.Fatal(err)
	}
	if failed := p.run(); failed != nil {
		t.Fatal(failed)
	}
	for _, c := range []struct {
		key, algorithm string
		same           bool
	}{{"s3", sse.AES256, true}, {"k", sse.KMS, false}, {"multi", sse.KMS, false}} {
		_, src := w.get(read("src", c.key, ""))
		_, dst := w.get(read("dst", c.key, ""))
		if dst.SSE.Algorithm != c.algorithm || dst.SSE.BucketKey != (c.algorithm == sse.KMS) || (src.ETag == dst.ETag) != c.same || len(src.ETag) != len(dst.ETag) {
			t.Errorf("%s: %+v, %+v", c.key, src, dst)
		}
	}
}

func TestReplicasComeInAnyOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := newReplicating(t, small)
		w.versioning("dst", bucket.Suspended)
		for i, name := range []string{"dst", "src", "dst", "src"} {
			w.put(put(name, "k", pattern(i+1)))
			w.versioning("dst", bucket.Enabled)
			time.Sleep(time.Millisecond)
		}
		w.delete("src", "k", "")
		w.put(put("src", "k", pattern(5)))
		w.put(put("src", "l", pattern(6)))
		w.delete("src", "l", "")
		tasks := p.take()
		if len(tasks) != 6 || tasks[2].Operation != OpMarker || tasks[0].Operation != OpPut {
			t.Fatalf("%+v", tasks)
		}
		for _, step := range []struct {
			task    int
			history string
		}{
			{1, "k=4* k=3 k=1~"}, {3, "k=5* k=4 k=3 k=1~"}, {0, "k=5* k=4 k=3 k=2 k=1~"}, {2, "k=5* k=x k=4 k=3 k=2 k=1~"},
			{5, "k=5* k=x k=4 k=3 k=2 k=1~ l=x*"}, {4, "k=5* k=x k=4 k=3 k=2 k=1~ l=x* l=6"},
		} {
			for range 2 { // the second time it is there
				if _, err := p.replicate(tasks[step.task]); err != nil {
					t.Fatal(err)
				}
				w.expect("dst", step.history)
			}
		}
		if err := w.consistent(false); err != nil {
			t.Error(err)
		}
		// What takes the place of a newest replica that goes, is the one before.
		w.delete("dst", "k", tasks[3].VersionID)
		w.expect("dst", "k=x* k=4 k=3 k=2 k=1~ l=x* l=6")
	})
}

// A replica that stands beside another version of its moment has its place in both orders.
func TestReplicasOfOneMoment(t *testing.T) {
	w, p := newReplicating(t, small)
	w.put(put("src", "k", pattern(1)))
	made := p.take()[0]
	at, _ := parseID(made.VersionID)
	w.put(put("dst", "k", pattern(2)))
	for _, uid := range []byte{0, 0xff} {
		w.change(currentKey(w.uid("dst"), "k"), func(r *record) { r.Time, r.UID[0] = at.time, uid })
		if _, err := p.replicate(made); err != nil {
			t.Fatal(err)
		}
		if wanted := map[byte]string{0: "k=2* k=1", 0xff: "k=1* k=2"}[uid]; w.history("dst", 1000) != wanted {
			t.Errorf("%x: %s", uid, w.history("dst", 1000))
		}
		if err := w.consistent(false); err != nil {
			t.Error(err)
		}
		w.delete("dst", "k", made.VersionID)
	}
}

// The data key of a replica of an upload leaves its generation like any other.
func TestReplicasAreRewrapped(t *testing.T) {
	w, p := newReplicating(t, small)
	up := w.begin(CreateUpload{Ref: ref("src", "k")})
	if _, err := w.complete(Complete{UploadRef: up, Parts: []CompletePart{w.part(up, 1, pattern(10)), w.part(up, 2, pattern(5))}}); err != nil {
		t.Fatal(err)
	}
	p.run()
	r, _, err := w.objects.row(t.Context(), w.uid("dst"), "k", currentKey(w.uid("dst"), "k"))
	if err != nil {
		t.Fatal(err)
	}
	if bind, err := sse.BindOf(r.Wrap); err != nil || bind != sse.BindDescriptor || r.Upload == nil {
		t.Errorf("bound to %v, %v", bind, err)
	}
	key := w.key()
	if _, err := w.objects.UpdateEncryption(t.Context(), alice, UpdateEncryption{VersionRef: VersionRef{Ref: ref("dst", "k")}, KeyARN: key, BucketKey: true}); err != nil {
		t.Fatal(err)
	}
	if got, _ := w.get(read("dst", "k", "")); len(got) != 15 {
		t.Errorf("%d bytes", len(got))
	}
	sum := fips.MD5(pattern(15))
	if r.ETag == hex.EncodeToString(sum[:]) {
		t.Error("the ETag is not that of an upload")
	}
}

// A replica that cannot be made leaves nothing, and the next try makes it.
func TestTriesOfReplicas(t *testing.T) {
	for call := range 40 {
		for _, lost := range []bool{false, true} {
			ended := func() bool {
				rows := &staged{Store: metamem.New()}
				w, p := newReplicatingOver(t, filed, rows)
				in := put("src", "k", pattern(100_000))
				stored := w.put(in)
				w.annotate(VersionRef{in.Ref, stored.VersionID}, "a", "note")
				task := p.take()[0]
				failed := rows.failAt(commitRows, call+1, lost)
				out, err := p.replicate(task)
				if err == nil {
					err = p.note(task, out, ReplicaCompleted)
				}
				met := failed()
				rows.direct(nil)
				if met != (err != nil) {
					t.Errorf("call %d, lost %t: %v", call, lost, err)
				}
				if err := w.consistent(false); err != nil {
					t.Errorf("call %d, lost %t: %v", call, lost, err)
				}
				if out, err = p.replicate(task); err != nil {
					t.Errorf("call %d, lost %t: again: %v", call, lost, err)
				}
				if err := p.note(task, out, ReplicaCompleted); err != nil {
					t.Fatal(err)
				}
				w.same("k", stored.VersionID)
				w.status("src", "k", "", StatusCompleted)
				return !met
			}()
			if ended {
				if call == 0 {
					t.Error("no call failed")
				}
				return
			}
		}
	}
}

// What it was decided by that a version may be replicated must be so still when it is.
func TestDecisionsThatAreOutOfDate(t *testing.T) {
	w, _ := newReplicating(t, Config{})
	at := at1("src", "k", w.put(put("src", "k", pattern(10))).VersionID)
	b, err := w.buckets.Find(t.Context(), at.Ref.Ref)
	if err != nil {
		t.Fatal(err)
	}
	decide := func() *Decided {
		t.Helper()
		to, err := w.buckets.Find(t.Context(), bucket.Ref{Bucket: "dst"})
		if err != nil {
			t.Fatal(err)
		}
		facts, err := w.objects.Facts(t.Context(), b, "k", at.VersionID)
		if err != nil {
			t.Fatal(err)
		}
		return &Decided{Destination: to.UID, Changed: facts.Changed, Algorithm: sse.AES256}
	}
	try := func(d *Decided) error {
		_, err := w.objects.Replicate(t.Context(), alice, Replicate{
			Source: at.Ref.Ref, SourceUID: b.UID, Key: "k", VersionID: at.VersionID, Destination: "dst", Decided: d,
		})
		return err
	}
	old := decide()
	if _, err := w.objects.PutTagging(t.Context(), alice, PutTagging{VersionRef: at, Tags: []bucket.Tag{{Key: "a", Value: "b"}}}); err != nil {
		t.Fatal(err)
	}
	if err := try(old); !errors.Is(err, ErrChanged) {
		t.Errorf("tags came: %v", err)
	}
	other := decide()
	other.Algorithm = sse.KMS
	if err := try(other); !errors.Is(err, ErrChanged) {
		t.Errorf("the encryption is another: %v", err)
	}
	last := decide()
	if _, err := w.buckets.Delete(t.Context(), alice, bucket.Delete{Ref: bucket.Ref{Bucket: "dst"}}); err != nil {
		t.Fatal(err)
	}
	w.bucket("dst", bucket.Enabled)
	var failed *ReplicaError
	if err := try(last); !errors.As(err, &failed) || failed.Reason != "DstBucketNotFound" {
		t.Errorf("another bucket has the name: %v", err)
	}
	if err := try(decide()); err != nil {
		t.Error(err)
	}
}
