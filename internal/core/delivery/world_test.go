// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/access"
	"github.com/cofferstore/coffer/internal/core/acl"
	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/bucketkey"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/link/keystore/builtin"
	"github.com/cofferstore/coffer/internal/link/keystore/rootkey"
	"github.com/cofferstore/coffer/internal/secret"
	blobmem "github.com/cofferstore/coffer/internal/store/blob/mem"
	metamem "github.com/cofferstore/coffer/internal/store/meta/mem"
)

const (
	home     = "111122223333"
	trailARN = "arn:aws:cloudtrail:us-east-1:444455556666:trail/main"
	service  = "cloudtrail.amazonaws.com"
)

// trail keeps what is recorded.
type trail struct {
	mu      sync.Mutex
	records []audit.Record
	fails   error
}

func (k *trail) Append(_ context.Context, r audit.Record, durable bool) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !durable {
		return errors.New("what a service did must be durable")
	}
	if k.fails != nil {
		return k.fails
	}
	k.records = append(k.records, r)
	return nil
}

// of returns the records of a source.
func (k *trail) of(source string) (out []audit.Record) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, r := range k.records {
		if r.EventSource == source {
			out = append(out, r)
		}
	}
	return out
}

// world is a server's core with a bucket "logs" of the account home, into which the
// trail of another account is delivered.
type world struct {
	t       *testing.T
	owner   iam.Caller
	buckets *bucket.Buckets
	objects *object.Objects
	kms     *kms.Service
	trail   *trail
	full    error
	*Writer
}

func newWorld(t *testing.T) *world {
	t.Helper()
	rows, w := metamem.New(), &world{t: t, trail: new(trail)}
	root, err := rootkey.Create(t.TempDir(), rootkey.SlotOptions{Type: rootkey.File})
	if err != nil {
		t.Fatal(err)
	}
	seal := secret.Random(secret.Size)
	keys, _, err := iam.OpenRoot(t.Context(), rows, seal, iam.RootConfig{Account: home})
	if err != nil {
		t.Fatal(err)
	}
	people, err := iam.Open(t.Context(), rows, seal, keys, iam.Config{Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	w.owner = iam.Caller{Principal: keys.Principal(), RequestID: "R", Secure: true, SigV4: true}
	w.kms = kms.New(rows, builtin.New(rows, root, builtin.Config{}), w.trail, kms.Config{Region: "us-east-1", Policies: people})
	w.buckets = bucket.New(rows, bucket.Config{Region: "us-east-1", Principals: people, CanonicalID: people.CanonicalID})
	cache := bucketkey.New(w.kms.ViaS3(), rows, bucketkey.Config{TTL: bucketkey.DefaultTTL})
	owned := bucketkey.New(w.kms.Owned(), rows, bucketkey.Config{TTL: bucketkey.MaxTTL})
	t.Cleanup(func() { cache.Close(); owned.Close() })
	w.objects = object.New(w.buckets, rows, blobmem.New(), sse.New(w.kms.ViaS3(), cache, owned), secret.Random(secret.Size), object.Config{})
	authorizer := access.New(people, w.buckets, w.objects, w.kms.ViaS3(), access.Config{})
	w.Writer = New(authorizer, w.objects, w.buckets, w.trail, Config{Region: "us-east-1", Name: name, Room: func(context.Context) error { return w.full }})
	w.must(w.buckets.Create(t.Context(), w.owner, bucket.Create{Bucket: "logs"}))
	return w
}

// name stands for S3's table of codes.
func name(err error) (code, message string) {
	switch {
	case errors.Is(err, bucket.NoSuchBucket):
		return "NoSuchBucket", "gone"
	case errors.Is(err, iam.AccessDenied), errors.Is(err, kms.AccessDenied):
		return "AccessDenied", "Access Denied"
	}
	if f, ok := fault.As(err); ok {
		return string(f.Kind), f.Message
	}
	return "InternalError", ""
}

func (w *world) must(_ any, err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) policy(statements ...string) {
	w.t.Helper()
	text := `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
	w.must(w.buckets.PutPolicy(w.t.Context(), w.owner, bucket.PutPolicy{Ref: bucket.Ref{Bucket: "logs"}, Text: text}))
}

// write is the statement that AWS gives its customers for trails.
func write(sourceARN string) string {
	return `{"Sid":"AWSCloudTrailWrite20150319","Effect":"Allow","Principal":{"Service":"` + service + `"},"Action":"s3:PutObject",
		"Resource":"arn:aws:s3:::logs/AWSLogs/444455556666/*",
		"Condition":{"StringEquals":{"s3:x-amz-acl":"bucket-owner-full-control","aws:SourceArn":"` + sourceARN + `"}}}`
}

// key makes a KMS key of the bucket's owner whose policy allows the trail with its
// context.
func (w *world) key(statements ...string) string {
	w.t.Helper()
	text := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + aws.RootARN(home) + `"},"Action":"kms:*","Resource":"*"}`
	for _, s := range statements {
		text += "," + s
	}
	k, err := w.kms.CreateKey(w.t.Context(), w.owner, kms.CreateKey{Policy: text + "]}"})
	if err != nil {
		w.t.Fatal(err)
	}
	return k.Arn
}

// encrypts is the statement that AWS gives its customers for a trail's key.
const encrypts = `{"Effect":"Allow","Principal":{"Service":"` + service + `"},"Action":"kms:GenerateDataKey*","Resource":"*",
	"Condition":{"StringEquals":{"aws:SourceArn":"` + trailARN + `"},"StringLike":{"kms:EncryptionContext:aws:cloudtrail:arn":"arn:aws:cloudtrail:*:444455556666:trail/*"}}}`

func (w *world) defaultKey(arn string) {
	w.t.Helper()
	w.must(w.buckets.PutEncryption(w.t.Context(), w.owner, bucket.PutEncryption{
		Ref: bucket.Ref{Bucket: "logs"}, Rules: []bucket.EncryptionRule{{Default: &bucket.DefaultEncryption{Algorithm: sse.KMS, KeyID: arn}}},
	}))
}

const file = "AWSLogs/444455556666/CloudTrail/us-east-1/2026/03/04/file.json.gz"

// deliver writes a file as a trail does.
func (w *world) deliver(asked sse.Request) (object.Stored, error) {
	return w.deliverTo("logs", asked)
}

func (w *world) deliverTo(name string, asked sse.Request) (object.Stored, error) {
	return w.Put(w.t.Context(), iam.ServiceCaller(service, trailARN, "444455556666"), object.Put{
		Ref: object.Ref{Ref: bucket.Ref{Bucket: name}, Key: file}, Body: strings.NewReader("records"), Size: 7,
		Attributes: object.Attributes{ACL: acl.Asked{Canned: acl.BucketOwnerFullControl}, SSE: asked},
	}, nil)
}
