// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/core/acl"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

const (
	readAll   = `{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/*"}`
	readOther = `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::444455556666:root"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/*"}`
	denyAll   = `{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::photos","arn:aws:s3:::photos/*"]}`
	mayAll    = `{"Effect":"Allow","Action":"s3:*","Resource":"*"}`
)

func TestWithoutAPolicy(t *testing.T) {
	w := newWorld(t)
	w.decides("the owner's root", root, get("a"), nil)
	err := w.decides("a user without rights", alice, get("a"), iam.AccessDenied)
	if want := `User: arn:aws:iam::111122223333:user/alice is not authorized to perform: s3:GetObject on resource: "arn:aws:s3:::photos/a" because no identity-based policy allows the s3:GetObject action`; err.Error() != want && !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
	for who, by := range map[string]iam.Caller{"nobody": nobody, "another account's root": otherRoot, "its user": bob} {
		if err := w.decides(who, by, get("a"), iam.AccessDenied); strings.Contains(err.Error(), "User:") {
			t.Errorf("%s is told %v", who, err)
		}
	}
	w.identity[alice.ARN], w.identity[bob.ARN] = mayAll, mayAll
	w.decides("a user with rights", alice, get("a"), nil)
	w.decides("another account's user with rights", bob, get("a"), iam.AccessDenied)
	w.decides("a bucket that is not there", nobody, object.Get{VersionRef: object.VersionRef{Ref: object.Ref{Ref: bucket.Ref{Bucket: "nowhere"}, Key: "a"}}}, bucket.NoSuchBucket)
	w.decides("nobody lists buckets", nobody, bucket.List{}, iam.AccessDenied)
	w.decides("nobody makes a bucket", nobody, bucket.Create{Bucket: "another"}, iam.AccessDenied)
	w.decides("a user makes a bucket", alice, bucket.Create{Bucket: "another"}, nil)
	w.decides("a request that needs nothing it says", root, 5, iam.AccessDenied)
}

func TestPublicPolicies(t *testing.T) {
	w := newWorld(t)
	if _, err := w.buckets.PutPolicy(t.Context(), root, bucket.PutPolicy{Ref: photos, Text: document(readAll)}); err == nil {
		t.Error("a public policy is taken where public policies are blocked")
	}
	w.open()
	w.policy(readAll)
	w.decides("nobody", nobody, get("a"), nil)
	w.decides("nobody writes", nobody, put("a"), iam.AccessDenied)
	w.decides("a user without rights", alice, get("a"), nil)
	w.must(w.buckets.PutPublicAccess(t.Context(), root, bucket.PutPublicAccess{Ref: photos, PublicAccess: bucket.PublicAccess{Restrict: true}}))
	w.decides("nobody, restricted", nobody, get("a"), iam.AccessDenied)
	w.decides("the account's user, restricted", alice, get("a"), nil)
	w.open()
	w.decides("nobody, open again", nobody, get("a"), nil)
	w.must(w.buckets.PutAccountPublicAccess(t.Context(), root, bucket.PutAccountPublicAccess{Account: ownerAccount, PublicAccess: bucket.PublicAccess{Restrict: true}}))
	w.decides("nobody, restricted by the account", nobody, get("a"), iam.AccessDenied)
	w.must(w.buckets.DeleteAccountPublicAccess(t.Context(), root, bucket.DeleteAccountPublicAccess{Account: ownerAccount}))
	w.must(w.buckets.DeletePolicy(t.Context(), root, bucket.DeletePolicy{Ref: photos}))
	w.decides("nobody, without the policy", nobody, get("a"), iam.AccessDenied)
}

func TestOtherAccounts(t *testing.T) {
	w := newWorld(t)
	w.policy(readOther)
	w.decides("the account's user without rights", bob, get("a"), iam.AccessDenied)
	w.identity[bob.ARN] = mayAll
	w.decides("the account's user", bob, get("a"), nil)
	w.decides("writes", bob, put("a"), iam.AccessDenied)
	w.policy(`{"Effect":"Allow","Principal":{"AWS":"` + otherAccount + `"},"Action":"s3:*","Resource":"arn:aws:s3:::photos"}`)
	w.decides("another account's user sets the policy", bob, bucket.PutPolicy{Ref: photos}, NotOwner)
	w.decides("and reads it", bob, bucket.GetPolicy{Ref: photos}, NotOwner)
	w.decides("and tags", bob, bucket.GetTagging{Ref: photos}, nil)
}

func TestTheOwnersRootIsNotLockedOutOfThePolicy(t *testing.T) {
	w := newWorld(t)
	w.policy(denyAll)
	w.identity[alice.ARN] = mayAll
	w.decides("the owner's root", root, get("a"), iam.AccessDenied)
	w.decides("a user", alice, bucket.DeletePolicy{Ref: photos}, iam.AccessDenied)
	w.decides("the root reads the policy", root, bucket.GetPolicy{Ref: photos}, nil)
	w.decides("sets it", root, bucket.PutPolicy{Ref: photos}, nil)
	w.decides("removes it", root, bucket.DeletePolicy{Ref: photos}, nil)
	w.controls[ownerAccount] = mayAll + `,{"Effect":"Deny","Action":"s3:DeleteBucketPolicy","Resource":"*"}`
	w.decides("sets it, where its account may not remove it", root, bucket.PutPolicy{Ref: photos}, nil)
	w.decides("removes it, where its account may not", root, bucket.DeletePolicy{Ref: photos}, iam.AccessDenied)
	w.decides("another's root", otherRoot, bucket.DeletePolicy{Ref: photos}, iam.AccessDenied)
}

func TestAdmit(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		what   string
		by     iam.Caller
		bucket string
		want   bool
	}{{"a user", alice, "photos", true}, {"nobody", nobody, "photos", false}, {"nobody, no bucket", nobody, "", false}} {
		if err := w.Admit(t.Context(), c.by, c.bucket); (err == nil) != c.want {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	w.policy(readOther)
	if err := w.Admit(t.Context(), nobody, "photos"); err != nil {
		t.Errorf("nobody, a bucket with a policy: %v", err)
	}
	w.must(w.buckets.DeletePolicy(t.Context(), root, bucket.DeletePolicy{Ref: photos}))
	w.own(bucket.ObjectWriter)
	if err := w.Admit(t.Context(), nobody, "photos"); err != nil {
		t.Errorf("nobody, a bucket with lists: %v", err)
	}
}

func TestMissing(t *testing.T) {
	w := newWorld(t)
	w.identity[alice.ARN] = `{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/*"}`
	missing := object.NoSuchKey
	if err := w.Missing(t.Context(), Request{By: alice}, "arn:aws:s3:::photos", missing); err == nil || !strings.Contains(err.Error(), "s3:ListBucket") {
		t.Errorf("who may not list: %v", err)
	}
	w.identity[alice.ARN] = mayAll
	if err := w.Missing(t.Context(), Request{By: alice}, "arn:aws:s3:::photos", missing); err != missing {
		t.Errorf("who may list: %v", err)
	}
}

func TestEach(t *testing.T) {
	w := newWorld(t)
	w.identity[alice.ARN] = `{"Effect":"Allow","Action":"s3:DeleteObject*","Resource":"arn:aws:s3:::photos/mine/*"}`
	in := object.DeleteMany{Ref: photos, Items: []object.DeleteItem{{Key: "mine/a"}, {Key: "yours/a"}, {Key: "mine/b", VersionID: "1"}}}
	errs := w.Each(t.Context(), Request{By: alice, In: in}, in.ItemNeeds())
	if len(errs) != 3 || errs[0] != nil || errs[1] == nil || errs[2] != nil {
		t.Errorf("%v", errs)
	}
}

// Lists of grants: who is allowed what, by whose list.
func TestACLs(t *testing.T) {
	w := newWorld(t)
	w.own(bucket.ObjectWriter)
	w.open()
	carol := user(otherAccount, "carol")
	w.identity[carol.ARN] = mayAll
	public := acl.List{{ID: "id-of-" + ownerAccount, Permission: acl.FullControl}, {Group: acl.AllUsers, Permission: acl.Read}}
	w.objects["public"] = object.Facts{Found: true, Owner: ownerAccount, ACL: public}
	w.objects["private"] = object.Facts{Found: true, Owner: ownerAccount}
	w.objects["members"] = object.Facts{Found: true, Owner: ownerAccount, ACL: acl.List{{Group: acl.AuthenticatedUsers, Permission: acl.Read}}}
	w.objects["lent"] = object.Facts{Found: true, Owner: ownerAccount, ACL: acl.List{
		{ID: "id-of-" + ownerAccount, Permission: acl.FullControl}, {ID: "id-of-" + otherAccount, Permission: acl.Read},
	}}
	w.objects["bobs"] = object.Facts{Found: true, Owner: otherAccount}
	w.objects["shared"] = object.Facts{Found: true, Owner: otherAccount, ACL: acl.List{{ID: "id-of-" + ownerAccount, Permission: acl.Read}}}
	w.objects["nobodys"] = object.Facts{Found: true, ACL: acl.List{{ID: acl.AnonymousID, Permission: acl.FullControl}}}
	for _, c := range []struct {
		what string
		by   iam.Caller
		in   any
		want error
	}{
		{"nobody, public", nobody, get("public"), nil},
		{"nobody, private", nobody, get("private"), iam.AccessDenied},
		{"nobody, for those with an account", nobody, get("members"), iam.AccessDenied},
		{"carol, for those with an account", carol, get("members"), nil},
		{"nobody reads the list", nobody, object.GetACL{VersionRef: object.VersionRef{Ref: object1("public")}}, iam.AccessDenied},
		{"alice, whose account owns it", alice, get("private"), iam.AccessDenied},
		{"root, whose account owns it", root, get("private"), nil},
		{"alice, whose account is granted it as its owner", alice, get("lent"), iam.AccessDenied},
		{"bob, to whose account it is lent", bob, get("lent"), iam.AccessDenied},
		{"carol, to whose account it is lent", carol, get("lent"), nil},
		{"bob's root, what his account's user wrote", otherRoot, get("bobs"), nil},
		{"bob, without a policy that lets him", bob, get("bobs"), iam.AccessDenied},
		{"carol, who has one", carol, get("bobs"), nil},
		{"root encrypts what bob wrote anew", root, object.UpdateEncryption{VersionRef: object.VersionRef{Ref: object1("bobs")}, KeyARN: keyOne}, iam.AccessDenied},
		{"root writes over what bob wrote, with tags", root, object.Put{Ref: object1("bobs"), Attributes: object.Attributes{Tags: []bucket.Tag{{Key: "a"}}}}, nil},
		{"root, what bob wrote", root, get("bobs"), iam.AccessDenied},
		{"root removes what bob wrote", root, object.Delete{VersionRef: object.VersionRef{Ref: object1("bobs")}}, nil},
		{"root reads the tags of what bob wrote", root, object.GetTagging{VersionRef: object.VersionRef{Ref: object1("bobs")}}, iam.AccessDenied},
		{"root, what bob shared", root, get("shared"), nil},
		{"root sets the list of what bob shared", root, object.PutACL{VersionRef: object.VersionRef{Ref: object1("shared")}}, iam.AccessDenied},
		{"nobody, what nobody wrote", nobody, get("nobodys"), nil},
		{"bob writes", bob, put("new"), iam.AccessDenied},
	} {
		w.decides(c.what, c.by, c.in, c.want)
	}
	w.must(w.buckets.PutACL(t.Context(), root, bucket.PutACL{Ref: photos, ACL: acl.Asked{Grants: acl.List{{ID: "id-of-" + otherAccount, Permission: acl.Write}}}}))
	w.decides("carol writes, granted", carol, put("new"), nil)
	w.decides("carol lists", carol, object.List{Ref: photos}, iam.AccessDenied)
	w.must(w.buckets.PutPublicAccess(t.Context(), root, bucket.PutPublicAccess{Ref: photos, PublicAccess: bucket.PublicAccess{IgnoreACLs: true}}))
	w.decides("nobody, public ones ignored", nobody, get("public"), iam.AccessDenied)
	w.decides("nobody, what nobody wrote, public ones ignored", nobody, get("nobodys"), iam.AccessDenied)
	w.policy(denyAll)
	w.decides("carol, what bob wrote, denied by the policy", carol, get("bobs"), iam.AccessDenied)
	w.must(w.buckets.DeletePolicy(t.Context(), root, bucket.DeletePolicy{Ref: photos}))
	w.must(w.buckets.PutACL(t.Context(), root, bucket.PutACL{Ref: photos, ACL: acl.Asked{Canned: acl.Private}}))
	w.own(bucket.BucketOwnerEnforced)
	w.looked = 0
	w.decides("root, all is the bucket owner's", root, get("bobs"), nil)
	if w.looked != 0 {
		t.Error("objects are looked at where lists are disabled")
	}
}

// Where a public policy counts for the account alone, what others have put there is not
// public either.
func TestRestrictedObjectsOfOthers(t *testing.T) {
	w := newWorld(t)
	w.own(bucket.ObjectWriter)
	w.open()
	w.policy(readAll)
	w.objects["a"] = object.Facts{Found: true, Owner: otherAccount, ACL: acl.List{{Group: acl.AllUsers, Permission: acl.Read}}}
	w.decides("nobody", nobody, get("a"), nil)
	w.must(w.buckets.PutPublicAccess(t.Context(), root, bucket.PutPublicAccess{Ref: photos, PublicAccess: bucket.PublicAccess{Restrict: true}}))
	w.decides("nobody, restricted", nobody, get("a"), iam.AccessDenied)
	w.decides("its owner, restricted", otherRoot, get("a"), iam.AccessDenied)
	w.decides("the bucket's owner, restricted", root, get("a"), nil)
}

// What cannot be found out is not allowed, whatever else is.
func TestWhatCannotBeFoundOut(t *testing.T) {
	w := newWorld(t)
	w.broken = fault.New(meta.Unavailable, "")
	w.policy(`{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/*","Condition":{"StringEquals":{"s3:ExistingObjectTag/a":"b"}}}`)
	w.decides("a tag", root, get("a"), meta.Unavailable)
	w.must(w.buckets.DeletePolicy(t.Context(), root, bucket.DeletePolicy{Ref: photos}))
	w.own(bucket.ObjectWriter)
	w.decides("an owner", root, get("a"), meta.Unavailable)
	damaged := New(w, damagedPolicies{w.buckets}, w, w, Config{})
	for what, c := range map[string]struct {
		in   any
		want error
	}{
		"a damaged policy":                {object.List{Ref: photos}, meta.Damaged},
		"a damaged policy is replaced":    {bucket.PutPolicy{Ref: photos}, nil},
		"and another's root cannot do it": {bucket.PutPolicy{Ref: photos}, meta.Damaged},
	} {
		by := root
		if strings.Contains(what, "another") {
			by = otherRoot
		}
		if err := damaged.Authorize(t.Context(), Request{By: by, In: c.in}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", what, err, c.want)
		}
	}
}

// damagedPolicies are buckets whose policies cannot be read.
type damagedPolicies struct{ *bucket.Buckets }

func (d damagedPolicies) Access(ctx context.Context, name string) (*bucket.Access, error) {
	a, err := d.Buckets.Access(ctx, name)
	if err != nil {
		return nil, err
	}
	return &bucket.Access{Bucket: a.Bucket, Broken: fault.New(meta.Damaged, "")}, nil
}

func TestCopiedTags(t *testing.T) {
	w := newWorld(t)
	w.identity[alice.ARN] = `{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::photos/*"}`
	copied := object.Copy{Ref: object1("b"), Source: object.Source{VersionRef: object.VersionRef{Ref: object1("a")}}}
	w.objects["a"] = object.Facts{Found: true, Owner: ownerAccount}
	w.decides("a source without tags", alice, copied, nil)
	w.objects["a"] = object.Facts{Found: true, Owner: ownerAccount, Tags: []bucket.Tag{{Key: "k", Value: "v"}}}
	w.decides("a source with tags", alice, copied, iam.AccessDenied)
	w.identity[alice.ARN] = `{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject","s3:GetObjectTagging","s3:PutObjectTagging"],"Resource":"arn:aws:s3:::photos/*"}`
	w.decides("with the permissions for them", alice, copied, nil)
}

func TestCopiedAnnotations(t *testing.T) {
	w := newWorld(t)
	const plain = `"s3:GetObject","s3:GetObjectVersion","s3:PutObject"`
	allow := func(actions string) {
		w.identity[alice.ARN] = `{"Effect":"Allow","Action":[` + actions + `],"Resource":"arn:aws:s3:::photos/*"}`
	}
	copied := object.Copy{Ref: object1("b"), Source: object.Source{VersionRef: object.VersionRef{Ref: object1("a")}}}
	version, without := copied, copied
	version.Source.VersionID, without.ExcludeAnnotations = "v7", true
	allow(plain)
	w.objects["a"] = object.Facts{Found: true, Owner: ownerAccount}
	w.decides("a source without annotations", alice, copied, nil)
	w.objects["a"] = object.Facts{Found: true, Owner: ownerAccount, Annotated: true}
	w.decides("a source with annotations", alice, copied, iam.AccessDenied)
	w.decides("which are excluded", alice, without, nil)
	allow(plain + `,"s3:GetObjectAnnotation"`)
	w.decides("which may be read", alice, copied, iam.AccessDenied)
	allow(plain + `,"s3:PutObjectAnnotation"`)
	w.decides("which may be put", alice, copied, iam.AccessDenied)
	allow(plain + `,"s3:GetObjectAnnotation","s3:PutObjectAnnotation"`)
	w.decides("which may be read and put", alice, copied, nil)
}

// Annotations of a version that is named take actions of their own; those of a foreign object
// are its owner's.
func TestAnnotationsTakePermissions(t *testing.T) {
	w := newWorld(t)
	w.objects["k"] = object.Facts{Found: true, Owner: ownerAccount}
	current := object.VersionRef{Ref: object1("k")}
	version := object.VersionRef{Ref: object1("k"), VersionID: "v7"}
	for _, c := range []struct {
		action string
		in     interface{ Needs() []policy.Need }
	}{
		{"PutObjectAnnotation", object.PutAnnotation{VersionRef: current}}, {"PutObjectVersionAnnotation", object.PutAnnotation{VersionRef: version}},
		{"GetObjectAnnotation", object.GetAnnotation{VersionRef: current}}, {"GetObjectVersionAnnotation", object.GetAnnotation{VersionRef: version}},
		{"DeleteObjectAnnotation", object.DeleteAnnotation{VersionRef: current}}, {"DeleteObjectVersionAnnotation", object.DeleteAnnotation{VersionRef: version}},
		{"ListObjectAnnotations", object.ListAnnotations{VersionRef: current}}, {"ListObjectVersionAnnotations", object.ListAnnotations{VersionRef: version}},
	} {
		w.identity[alice.ARN] = `{"Effect":"Allow","NotAction":"s3:` + c.action + `","Resource":"*"}`
		w.decides("all but "+c.action, alice, c.in, iam.AccessDenied)
		w.identity[alice.ARN] = `{"Effect":"Allow","Action":"s3:` + c.action + `","Resource":"arn:aws:s3:::photos/k"}`
		w.decides(c.action, alice, c.in, nil)
		if !ofForeign("s3:" + c.action) {
			t.Errorf("%s of a foreign object is not its owner's", c.action)
		}
	}
}

func BenchmarkAuthorize(b *testing.B) {
	w := newWorld(b)
	w.policy(readOther)
	in := pointless(get("a").Needs())
	r := Request{By: root, In: in}
	b.ReportAllocs()
	for b.Loop() {
		if err := w.Authorize(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
}

// pointless is a request whose needs cost nothing to say.
type pointless []policy.Need

func (p pointless) Needs() []policy.Need { return p }

// A user with rights of its own, at a bucket with a policy whose conditions must be
// looked at.
func BenchmarkAuthorizeUser(b *testing.B) {
	w := newWorld(b)
	w.policy(`{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::photos/*","Condition":{"Null":{"s3:x-amz-server-side-encryption-aws-kms-key-id":"true"}}}`)
	w.identity[alice.ARN] = mayAll
	in := kmsPut{put("a")}
	in.SSE = sse.Request{Algorithm: sse.KMS, KeyID: keyOne}
	r := Request{By: alice, In: &in}
	if err := w.Authorize(b.Context(), r); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := w.Authorize(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
}

// kmsPut is a Put that is handed on by its address.
type kmsPut struct{ object.Put }

// What S3 reads for a replica, of a version that is not the bucket owner's, is for its owner to
// grant, as for any reader.
func TestSourcesOfReplicas(t *testing.T) {
	w := newWorld(t)
	w.own(bucket.ObjectWriter)
	w.identity[alice.ARN] = mayAll
	need := policy.Need{Action: "s3:GetObjectVersionForReplication", Resource: "arn:aws:s3:::photos/a", Version: "v7"}
	may := func() bool {
		t.Helper()
		err := w.Each(t.Context(), Request{By: alice}, []policy.Need{need})[0]
		if err != nil && !errors.Is(err, iam.AccessDenied) {
			t.Fatal(err)
		}
		return err == nil
	}
	w.objects["av7"] = object.Facts{Found: true, Owner: ownerAccount}
	if !may() {
		t.Error("the role may not read what is of its own account")
	}
	w.objects["av7"] = object.Facts{Found: true, Owner: otherAccount}
	if may() {
		t.Error("the role may read what another account has put there")
	}
	w.objects["av7"] = object.Facts{Found: true, Owner: otherAccount, ACL: acl.List{{ID: "id-of-" + ownerAccount, Permission: acl.Read}}}
	w.open()
	if !may() {
		t.Error("the role may not read what is granted")
	}
}
