// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"errors"
	"testing"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/store/blob"
)

// A service writes where the bucket's policy says so, and nowhere else. New buckets
// block public access and own what is in them: neither is in its way.
func TestServicesWriteByPolicy(t *testing.T) {
	blog := `{"Sid":"DenyObjectsThatAreNotSSEKMS","Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::logs/*",
		"Condition":{"Null":{"s3:x-amz-server-side-encryption-aws-kms-key-id":"true"}}}`
	for name, c := range map[string]struct {
		statements []string
		want       error
	}{
		"no policy":                    {nil, iam.AccessDenied},
		"AWS's statement":              {[]string{write(trailARN)}, nil},
		"of another trail":             {[]string{write(trailARN + "2")}, iam.AccessDenied},
		"for another service":          {[]string{`{"Effect":"Allow","Principal":{"Service":"logging.s3.amazonaws.com"},"Action":"s3:*","Resource":"arn:aws:s3:::logs/*"}`}, iam.AccessDenied},
		"with another list of grants":  {[]string{`{"Effect":"Allow","Principal":{"Service":"` + service + `"},"Action":"s3:PutObject","Resource":"arn:aws:s3:::logs/*","Condition":{"StringEquals":{"s3:x-amz-acl":"private"}}}`}, iam.AccessDenied},
		"for its account":              {[]string{`{"Effect":"Allow","Principal":{"Service":"` + service + `"},"Action":"s3:PutObject","Resource":"arn:aws:s3:::logs/*","Condition":{"StringEquals":{"aws:SourceAccount":"444455556666"}}}`}, nil},
		"for the account's principals": {[]string{`{"Effect":"Allow","Principal":{"AWS":"` + home + `"},"Action":"s3:*","Resource":"arn:aws:s3:::logs/*"}`}, iam.AccessDenied},
		"the blog's denial":            {[]string{write(trailARN), blog}, iam.AccessDenied},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if c.statements != nil {
				w.policy(c.statements...)
			}
			_, err := w.deliver(sse.Request{})
			if !errors.Is(err, c.want) || (c.want == nil) != (err == nil) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
		})
	}
}

// What a service writes into a bucket with lists of grants is the bucket owner's.
func TestDeliveredObjectsAreTheBucketOwners(t *testing.T) {
	w := newWorld(t)
	w.policy(write(trailARN))
	w.must(w.buckets.PutOwnership(t.Context(), w.owner, bucket.PutOwnership{Ref: bucket.Ref{Bucket: "logs"}, Ownership: bucket.ObjectWriter}))
	w.must(w.deliver(sse.Request{}))
	b, err := w.buckets.Find(t.Context(), bucket.Ref{Bucket: "logs"})
	w.must(nil, err)
	if f, err := w.objects.Facts(t.Context(), b, file, ""); err != nil || f.Owner != home || f.ACL != nil {
		t.Errorf("stored as %+v, %v", f, err)
	}
}

// The key's policy decides for the service: of the key that the trail names, with the
// trail's context, and of the bucket's default.
func TestKeysDecideForServices(t *testing.T) {
	named := func(key string) sse.Request {
		return sse.Request{Algorithm: sse.KMS, KeyID: key, Context: kms.Context{"aws:cloudtrail:arn": trailARN}}
	}
	t.Run("its policy says nothing", func(t *testing.T) {
		w := newWorld(t)
		w.policy(write(trailARN))
		if _, err := w.deliver(named(w.key())); !errors.Is(err, kms.AccessDenied) {
			t.Fatalf("got %v", err)
		}
		for _, source := range []string{"s3.amazonaws.com", "kms.amazonaws.com"} {
			r := w.trail.of(source)
			last := r[len(r)-1]
			if last.ErrorCode != "AccessDenied" || last.UserIdentity.InvokedBy != service || last.RecipientAccountID != home {
				t.Errorf("%s: %+v", source, last)
			}
		}
	})
	t.Run("AWS's statement", func(t *testing.T) {
		w := newWorld(t)
		w.policy(write(trailARN))
		key := w.key(encrypts)
		out, err := w.deliver(named(key))
		if err != nil || out.SSE.KeyARN != key || out.SSE.BucketKey {
			t.Fatalf("got %+v, %v", out, err)
		}
		r := w.trail.of("kms.amazonaws.com")
		got := r[len(r)-1]
		context, _ := got.RequestParameters["encryptionContext"].(kms.Context)
		if got.EventName != "GenerateDataKey" || context["aws:cloudtrail:arn"] != trailARN || context["aws:s3:arn"] != "arn:aws:s3:::logs/"+file {
			t.Errorf("recorded as %+v", got)
		}
		if (got.UserIdentity != audit.Identity{Type: "AWSService", InvokedBy: service}) || got.SourceIPAddress != service || got.UserAgent != service {
			t.Errorf("recorded as by %+v at %s", got.UserIdentity, got.SourceIPAddress)
		}
	})
	t.Run("the bucket's default", func(t *testing.T) {
		w := newWorld(t)
		w.policy(write(trailARN))
		key := w.key(`{"Effect":"Allow","Principal":{"Service":"` + service + `"},"Action":"kms:GenerateDataKey*","Resource":"*"}`)
		w.defaultKey(key)
		out, err := w.deliver(sse.Request{})
		if err != nil || out.SSE.KeyARN != key || !out.FromDefault {
			t.Fatalf("got %+v, %v", out, err)
		}
	})
	t.Run("no service has a managed key", func(t *testing.T) {
		w := newWorld(t)
		w.policy(write(trailARN))
		if _, err := w.deliver(sse.Request{Algorithm: sse.KMS}); !errors.Is(err, kms.AccessDenied) {
			t.Fatalf("got %v", err)
		}
	})
}

func TestDeliveriesAreRecorded(t *testing.T) {
	w := newWorld(t)
	w.policy(write(trailARN))
	w.must(w.deliver(sse.Request{}))
	all := w.trail.of("s3.amazonaws.com")
	if len(all) != 1 {
		t.Fatalf("%d records", len(all))
	}
	r := all[0]
	if (r.UserIdentity != audit.Identity{Type: "AWSService", InvokedBy: service}) || r.SourceIPAddress != service || r.UserAgent != service ||
		r.EventName != "PutObject" || r.EventCategory != audit.Data || r.ManagementEvent || r.ReadOnly || r.RecipientAccountID != home || r.ErrorCode != "" {
		t.Errorf("recorded as %+v", r)
	}
	if r.RequestParameters["bucketName"] != "logs" || r.RequestParameters["key"] != file || r.RequestParameters["x-amz-acl"] != "bucket-owner-full-control" ||
		r.AdditionalEventData["SSEApplied"] != "Default_SSE_S3" || r.AdditionalEventData["bytesTransferredIn"] != int64(7) || r.ResponseElements[sse.AlgorithmHeader] != sse.AES256 {
		t.Errorf("recorded as %+v", r)
	}
}

// A service that fails and tries again tells the trail of each change, and no more.
func TestFailuresAreRecordedOnce(t *testing.T) {
	w := newWorld(t)
	outcome := func(want string, records int) {
		t.Helper()
		for range 3 {
			_, err := w.deliver(sse.Request{})
			if code, _ := name(err); err != nil && code != want || (err == nil) != (want == "") {
				t.Fatalf("got %v, want %q", err, want)
			}
		}
		if got := w.trail.of("s3.amazonaws.com"); len(got) != records {
			t.Fatalf("%d records, want %d", len(got), records)
		} else if last := got[len(got)-1]; last.ErrorCode != want {
			t.Fatalf("the last is %q", last.ErrorCode)
		}
	}
	outcome("AccessDenied", 1)
	w.policy(write(trailARN))
	w.full = blob.Full
	outcome(string(blob.Full), 2)
	w.full = nil
	outcome("", 5) // each of three files
	w.must(w.buckets.DeletePolicy(t.Context(), w.owner, bucket.DeletePolicy{Ref: bucket.Ref{Bucket: "logs"}}))
	outcome("AccessDenied", 6)
	for range 2 { // another bucket fails for itself
		if _, err := w.deliverTo("missing", sse.Request{}); !errors.Is(err, bucket.NoSuchBucket) {
			t.Fatal(err)
		}
	}
	got := w.trail.of("s3.amazonaws.com")
	if last := got[len(got)-1]; len(got) != 7 || last.ErrorCode != "NoSuchBucket" || last.RecipientAccountID != "444455556666" {
		t.Errorf("%d records, the last %+v", len(got), last)
	}
}

// What cannot be recorded is not delivered, as far as its service knows: it delivers again.
func TestUnrecordedDeliveriesFail(t *testing.T) {
	w := newWorld(t)
	w.policy(write(trailARN))
	w.trail.fails = audit.Unavailable
	if _, err := w.deliver(sse.Request{}); !errors.Is(err, audit.Unavailable) {
		t.Errorf("got %v", err)
	}
}
