// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"errors"
	"testing"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/store/meta/mem"
)

const (
	ownerAccount = "111122223333"
	otherAccount = "444455556666"
	keyOne       = "arn:aws:kms:us-east-1:111122223333:key/11111111-1111-1111-1111-111111111111"
)

var (
	root      = rootOf(ownerAccount)
	otherRoot = rootOf(otherAccount)
	alice     = user(ownerAccount, "alice")
	bob       = user(otherAccount, "bob")
	nobody    = iam.Caller{Principal: iam.Principal{Type: iam.Anonymous}, Secure: true}
)

func rootOf(account string) iam.Caller {
	return iam.Caller{Secure: true, SigV4: true, Principal: iam.Principal{
		Type: iam.Root, Account: account, ARN: "arn:aws:iam::" + account + ":root", PrincipalID: account,
	}}
}

func user(account, name string) iam.Caller {
	return iam.Caller{Secure: true, SigV4: true, Principal: iam.Principal{
		Type: iam.IAMUser, Account: account, ARN: "arn:aws:iam::" + account + ":user/" + name, PrincipalID: "AIDA" + name, UserName: name,
	}}
}

// world is a bucket "photos" of the owner's account, with what is needed to decide
// about it.
type world struct {
	t        testing.TB
	buckets  *bucket.Buckets
	identity map[string]string         // statements that an ARN's identity policy has
	controls map[string]string         // statements of an account's service control policy
	rights   map[string]*policy.Rights // by the text of both
	objects  map[string]object.Facts
	uploads  map[string]sse.Applied
	looked   int
	resolved int
	broken   error // what looking at an object comes to
	*Authorizer
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, identity: map[string]string{}, controls: map[string]string{}, rights: map[string]*policy.Rights{}, objects: map[string]object.Facts{}, uploads: map[string]sse.Applied{}}
	w.buckets = bucket.New(mem.New(), bucket.Config{Region: "us-east-1", CanonicalID: w.CanonicalID})
	w.Authorizer = New(w, w.buckets, w, w, Config{})
	if _, err := w.buckets.Create(t.Context(), root, bucket.Create{Bucket: "photos"}); err != nil {
		t.Fatal(err)
	}
	return w
}

var photos = bucket.Ref{Bucket: "photos"}

func object1(key string) object.Ref { return object.Ref{Ref: photos, Key: key} }

func (w *world) open() {
	w.t.Helper()
	w.must(w.buckets.DeletePublicAccess(w.t.Context(), root, bucket.DeletePublicAccess{Ref: photos}))
}

func (w *world) policy(statements string) {
	w.t.Helper()
	w.must(w.buckets.PutPolicy(w.t.Context(), root, bucket.PutPolicy{Ref: photos, Text: document(statements)}))
}

func (w *world) own(o bucket.Ownership) {
	w.t.Helper()
	w.must(w.buckets.PutOwnership(w.t.Context(), root, bucket.PutOwnership{Ref: photos, Ownership: o}))
}

func (w *world) must(_ struct{}, err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func document(statements string) string {
	return `{"Version":"2012-10-17","Statement":[` + statements + `]}`
}

func (w *world) Decide(_ context.Context, by iam.Caller, q *policy.Question) (policy.Decision, error) {
	q.Principal = policy.Principal{Account: by.Account, ARN: by.ARN, ID: by.PrincipalID, Type: map[string]policy.PrincipalType{
		iam.Root: policy.Account, iam.IAMUser: policy.User, iam.Anonymous: policy.Anonymous,
	}[by.Type]}
	own, controls := w.identity[by.ARN], w.controls[by.Account]
	both := own + "|" + controls
	if q.Rights = w.rights[both]; both != "|" && q.Rights == nil {
		var c policy.RightsConfig
		if own != "" {
			c.Policies = w.attached(own)
		}
		if controls != "" {
			c.Controls = [][]policy.Attached{w.attached(controls)}
		}
		q.Rights = policy.NewRights(c)
		w.rights[both] = q.Rights
	}
	return policy.Decide(q), nil
}

func (w *world) attached(statements string) []policy.Attached {
	doc, err := policy.Parse(policy.Identity, "", document(statements))
	if err != nil {
		w.t.Fatal(err)
	}
	return []policy.Attached{{Name: "p", Doc: doc}}
}

func (w *world) CanonicalID(account string) string { return "id-of-" + account }

func (w *world) Facts(_ context.Context, _ *bucket.Bucket, key, version string) (object.Facts, error) {
	w.looked++
	return w.objects[key+version], w.broken
}

func (w *world) UploadEncryption(_ context.Context, _ *bucket.Bucket, ref object.UploadRef) (a sse.Applied, byDefault bool, err error) {
	w.looked++
	a, ok := w.uploads[ref.UploadID]
	if !ok {
		return a, false, object.NoSuchUpload
	}
	return a, ref.UploadID == "default", nil
}

func (w *world) Resolve(_ context.Context, by iam.Caller, key string) (string, error) {
	w.resolved++
	switch key {
	case "":
		return "arn:aws:kms:us-east-1:" + by.Account + ":key/managed", nil
	case "alias/one", keyOne:
		return keyOne, nil
	}
	return "", errors.New("no such key")
}

// decides checks a decision; want nil is yes.
func (w *world) decides(what string, by iam.Caller, in any, want error) error {
	w.t.Helper()
	err := w.Authorize(w.t.Context(), Request{By: by, In: in})
	if !errors.Is(err, want) || (want == nil) != (err == nil) {
		w.t.Errorf("%s: %v, want %v", what, err, want)
	}
	return err
}

func get(key string) object.Get { return object.Get{VersionRef: object.VersionRef{Ref: object1(key)}} }

func put(key string) object.Put { return object.Put{Ref: object1(key)} }
