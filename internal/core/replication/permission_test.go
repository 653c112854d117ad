// SPDX-License-Identifier: Apache-2.0

package replication

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fault"
)

func TestWhatTheRoleNeeds(t *testing.T) {
	under := func(a string) func(*world) { return func(w *world) { w.version.SSE.Algorithm = a } }
	hasTags := func(w *world) { w.version.TagCount = 1 }
	locked := func(w *world) { w.version.Lock = object.Lock{Mode: "GOVERNANCE", Until: time.Now(), Hold: "ON"} }
	denied := func(actions ...string) func(*world) {
		return func(w *world) {
			for _, a := range actions {
				w.denied["s3:"+a] = true
			}
		}
	}
	explicit := func(actions ...string) func(*world) {
		return func(w *world) {
			for _, a := range actions {
				w.explicit["s3:"+a] = true
			}
		}
	}
	all := func(f ...func(*world)) func(*world) {
		return func(w *world) {
			for _, f := range f {
				f(w)
			}
		}
	}
	kms := all(under(sse.KMS), func(w *world) { w.rules(rule1("r", "copies", 1, takesKMS)) })
	toOwner := func(w *world) {
		w.rules(rule1("r", "copies", 1, owned, func(r *rule) { r.Destination.Account = ptr(home) }))
	}
	const put, marker, tags, acl = object.OpPut, object.OpMarker, object.OpTags, object.OpACL
	for _, c := range []struct {
		what   string
		op     object.Operation
		having func(*world)
		reason string // "" is COMPLETED
	}{
		{"everything", put, denied(), ""},
		{"the source", put, denied("GetObjectVersionForReplication", "GetObjectVersion"), srcGetObjectNotPermitted},
		{"the source, but as a client", put, denied("GetObjectVersionForReplication"), ""},
		{"the source, denied", put, explicit("GetObjectVersionForReplication"), srcGetObjectNotPermitted},
		{"an encrypted source, but as a client", put, all(kms, denied("GetObjectVersionForReplication")), srcGetObjectNotPermitted},
		{"its grants", put, denied("GetObjectVersionAcl"), srcGetACLNotPermitted},
		{"its grants, that stay there", put, all(toOwner, denied("GetObjectVersionAcl")), ""},
		{"to override the owner", put, all(toOwner, denied("ObjectOwnerOverrideToBucketOwner")), dstPutObjectNotPermitted},
		{"to override the owner, who stays", put, denied("ObjectOwnerOverrideToBucketOwner"), ""},
		{"to write", put, denied("ReplicateObject"), dstPutObjectNotPermitted},
		{"what no marker needs", put, denied("ReplicateDelete"), ""},
		{"tags that there are not", put, denied("GetObjectVersionTagging", "ReplicateTags"), ""},
		{"to tag, which goes with writing", put, all(hasTags, denied("ReplicateTags")), ""},
		{"to tag, denied", put, all(hasTags, explicit("ReplicateTags")), dstPutTaggingNotPermitted},
		{"the retention", put, all(locked, denied("GetObjectRetention")), srcGetRetentionNotPermitted},
		{"the hold", put, all(locked, denied("GetObjectLegalHold")), srcGetLegalHoldNotPermitted},
		{"to retain", put, all(locked, denied("PutObjectRetention")), dstPutRetentionNotPermitted},
		{"to hold", put, all(locked, denied("PutObjectLegalHold")), dstPutLegalHoldNotPermitted},
		{"a lock that there is not", put, denied("GetObjectRetention", "GetObjectLegalHold", "PutObjectRetention", "PutObjectLegalHold"), ""},
		{"to hide", marker, denied("ReplicateDelete"), dstDelObjNotPermitted},
		{"what only objects need", marker, denied("GetObjectVersionForReplication", "GetObjectVersion", "ReplicateObject", "GetObjectVersionAcl"), ""},
		{"the tags", tags, denied("GetObjectVersionTagging"), "SrcGetTaggingNotPermitted"},
		{"to change grants", acl, denied("ReplicateObject"), dstPutACLNotPermitted},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.rules(rule1("r", "copies", 1, takesMarkers))
			c.having(w)
			w.change(c.op, "a")
			w.run()
			synctest.Wait()
			want := "COMPLETED"
			if c.reason != "" {
				want = "FAILED"
			}
			if got := w.state("a", "copies"); got != want || w.tasks() != 0 {
				t.Errorf("without %s: %q, %d tasks", c.what, got, w.tasks())
			}
			reason := ""
			for _, r := range w.records {
				if v, ok := r.AdditionalEventData["cofferReplicationFailure"].(string); ok {
					reason = v
				}
			}
			if reason != c.reason {
				t.Errorf("without %s: recorded %q, want %q", c.what, reason, c.reason)
			}
		})
	}
}

// Who may not read the tags replicates without them.
func TestTagsThatMayNotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.rules(rule1("r", "copies", 1))
		w.version.TagCount, w.denied["s3:GetObjectVersionTagging"] = 2, true
		w.put("a")
		w.run()
		synctest.Wait()
		if !w.last.WithoutTags || w.state("a", "copies") != "COMPLETED" || slices.ContainsFunc(w.asked, func(s string) bool { return strings.Contains(s, "ReplicateTags") }) {
			t.Errorf("asked for %+v, state %q", w.last, w.state("a", "copies"))
		}
	})
}

// Changes of a version follow it, also when its bytes went to an archive since.
func TestChangesOfWhatIsArchived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.rules(rule1("r", "copies", 1))
		w.put("a")
		w.run()
		synctest.Wait()
		w.mu.Lock()
		w.version.StorageClass = "GLACIER"
		w.mu.Unlock()
		w.change(object.OpTags, "a")
		synctest.Wait()
		if w.state("a", "copies") != "COMPLETED" || len(w.made) != 2 {
			t.Errorf("state %q, made %q", w.state("a", "copies"), w.made)
		}
	})
}

// What can be wrong with a destination, and with the role.
func TestWhatIsFinal(t *testing.T) {
	account := func(id string) func(*rule) { return func(r *rule) { r.Destination.Account = &id } }
	for _, c := range []struct {
		reason string
		change func(w *world)
	}{
		{dstBucketNotFound, func(w *world) {
			w.must(w.Buckets.Delete(w.t.Context(), w.owner, bucket.Delete{Ref: bucket.Ref{Bucket: "copies"}}))
		}},
		{dstBucketUnversioned, func(w *world) {
			w.must(w.Buckets.PutVersioning(w.t.Context(), w.owner, bucket.PutVersioning{Ref: bucket.Ref{Bucket: "copies"}, Status: bucket.Suspended}))
		}},
		{dstPutObjectNotPermitted, func(w *world) { w.rules(rule1("r", "copies", 1, account(abroad))) }},
		{assumeRoleNotPermitted, func(w *world) { w.refused = "no" }},
		{srcObjectNotEligible, func(w *world) { w.version.StorageClass = "GLACIER" }},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.rules(rule1("r", "copies", 1, account(home)))
			w.put("a")
			c.change(w)
			w.run()
			synctest.Wait()
			failed := failuresOf(t, w, c.reason)
			if all := w.recordedAs(); len(all) == 0 || !strings.HasSuffix(all[len(all)-1], "InternalError") && !strings.HasSuffix(all[len(all)-1], "AccessDenied") {
				t.Errorf("%s: recorded %q", c.reason, all)
			}
			if w.state("a", "copies") != "FAILED" || w.tasks() != 0 || len(w.made) != 0 || failed != 1 {
				t.Errorf("%s: state %q, %d tasks, counted %v", c.reason, w.state("a", "copies"), w.tasks(), failed)
			}
		})
	}
}

func TestSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.rules(rule1("r", "copies", 1))
		w.run()
		assumed := func(want ...string) {
			t.Helper()
			synctest.Wait()
			got := slices.DeleteFunc(w.recordedAs(), func(s string) bool { return !strings.HasPrefix(s, "AssumeRole") })
			if !slices.Equal(got, want) {
				t.Errorf("recorded %q, want %q", got, want)
			}
		}
		w.put("a")
		assumed("AssumeRole")
		key := w.by.AccessKeyID
		w.put("b", "c")
		assumed("AssumeRole")
		if w.by.AccessKeyID != key || w.by.ARN != "arn:aws:sts::"+home+":assumed-role/replication/s3-replication" {
			t.Errorf("replicated by %+v", w.by)
		}
		time.Sleep(2 * time.Hour)
		w.put("d")
		assumed("AssumeRole", "AssumeRole")
		if w.by.AccessKeyID == key {
			t.Error("a session goes on after its end")
		}
		w.refused = "no" // at once, although there is a session
		w.put("e", "f")
		assumed("AssumeRole", "AssumeRole", "AssumeRole AccessDenied")
		if w.state("e", "copies") != "FAILED" || w.state("d", "copies") != "COMPLETED" {
			t.Errorf("states %q, %q", w.state("e", "copies"), w.state("d", "copies"))
		}
	})
}

// What the policy of a destination may ask of the encryption of replicas.
func TestEncryptionThatPoliciesAskFor(t *testing.T) {
	w := newWorld(t)
	w.must(w.Buckets.PutEncryption(t.Context(), w.owner, bucket.PutEncryption{
		Ref: bucket.Ref{Bucket: "copies"}, Rules: []bucket.EncryptionRule{{Default: &bucket.DefaultEncryption{Algorithm: sse.KMS, KeyID: "default"}}},
	}))
	to, err := w.Buckets.Access(t.Context(), "copies")
	w.must(nil, err)
	for _, c := range []struct{ algorithm, want, key string }{
		{sse.AES256, sse.AES256, ""}, {sse.KMS, sse.KMS, "arn of " + keyARN}, {sse.DSSE, sse.DSSE, "arn of " + keyARN}, {sse.NotSSE, sse.KMS, "arn of default"}, {sse.Customer, "", ""},
	} {
		r := rule1("r", "copies", 1, takesKMS)
		j := &job{queued: new(queued), rule: &r, destination: to, object: &object.Object{SSE: sse.Applied{Algorithm: c.algorithm}}}
		got, err := w.encryptionOf(t.Context(), j)
		w.must(nil, err)
		if one(got["s3:x-amz-server-side-encryption"]) != c.want || one(got["s3:x-amz-server-side-encryption-aws-kms-key-id"]) != c.key {
			t.Errorf("%s: %v", c.algorithm, got)
		}
	}
}

// A policy that asks for the key is asked again when the key's name could not be found out.
func TestKeysWhoseNamesCannotBeFoundOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.rules(rule1("r", "copies", 1, takesKMS))
		w.version.SSE.Algorithm, w.unresolved = sse.KMS, fault.New(kms.Unavailable, "")
		w.put("a")
		w.run()
		synctest.Wait()
		if len(w.made) != 0 || w.state("a", "copies") != "" || w.tasks() != 1 {
			t.Errorf("made %q, state %q, %d tasks", w.made, w.state("a", "copies"), w.tasks())
		}
	})
}

// What is asked for is what was decided about: the bucket, and the version as it was.
func TestWhatIsDecidedIsWhatIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.rules(rule1("r", "copies", 1))
		want := object.Decided{Destination: w.bucket("copies").UID, Changed: object.Changed{5}, Algorithm: sse.AES256}
		w.changed = object.Changed{5}
		w.Service.cfg.Room = func(ctx context.Context) error {
			w.must(w.Buckets.Delete(ctx, w.owner, bucket.Delete{Ref: bucket.Ref{Bucket: "copies"}}))
			w.must(w.Buckets.Create(ctx, w.owner, bucket.Create{Bucket: "copies"}))
			w.changed = object.Changed{6}
			return nil
		}
		w.put("a")
		w.run()
		synctest.Wait()
		if w.last.Decided == nil || *w.last.Decided != want {
			t.Errorf("asked for %+v, want %+v", w.last.Decided, want)
		}
	})
}

// A rule without a key says none, and has none made.
func TestEncryptionByARuleWithoutAKey(t *testing.T) {
	w := newWorld(t)
	w.unresolved = errBusy
	r := rule1("r", "copies", 1)
	got, err := w.encryptionOf(t.Context(), &job{queued: new(queued), rule: &r, object: &object.Object{SSE: sse.Applied{Algorithm: sse.KMS}}})
	if err != nil || len(got) != 1 || one(got["s3:x-amz-server-side-encryption"]) != sse.KMS {
		t.Errorf("%v, %v", got, err)
	}
}

func one(values []string) string { return strings.Join(values, ",") }
